//! Certificates and keys in files, and whether the files have changed.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::KeySource;

/// No file of certificates is longer; a path that leads elsewhere must not fill the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why TLS cannot be set up, from the operator's chair. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsError {
    /// A file that cannot be read.
    Unreadable(PathBuf, io::ErrorKind),
    /// A key that others may read or change; its mode.
    Exposed(PathBuf, u32),
    /// A file without what it should hold.
    Empty(PathBuf, &'static str),
    /// systemd handed over no credential of this name.
    NoCredential(String),
    /// Certificate and key are not each other's.
    Mismatch(PathBuf),
    /// A certificate, key or name that cannot be used.
    Unusable(PathBuf, String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Exposed(path, mode) => write!(
                f,
                "{} has mode {mode:04o} and others may read it; chmod 0600, or 0640 where root owns it",
                path.display()
            ),
            Self::Empty(path, what) => write!(f, "{} holds no {what} in PEM", path.display()),
            Self::NoCredential(name) => write!(
                f,
                "there is no credential `{name}`; the unit needs LoadCredential={name}:/path/of/the/key.pem"
            ),
            Self::Mismatch(path) => {
                write!(f, "the certificate in {} does not belong to the key", path.display())
            }
            Self::Unusable(path, why) => write!(f, "{} cannot be used: {why}", path.display()),
        }
    }
}

impl Error for TlsError {}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error: io::Error| TlsError::Unreadable(path.to_owned(), error.kind());
    let text = read(&File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Unusable(path.to_owned(), error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::Empty(path.to_owned(), "certificate"));
    }
    Ok(found)
}

/// The private key, if nobody else may read it.
pub(super) fn key(source: &KeySource) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = key_path(source)?;
    let unreadable = |error: io::Error| TlsError::Unreadable(path.clone(), error.kind());
    let file = File::open(&path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    // A group that root chose may read; the group of any other owner may not.
    let mode = metadata.mode() & 0o7777;
    let hidden = if metadata.uid() == 0 { mode & 0o027 == 0 } else { mode & 0o077 == 0 };
    let own = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
    if !hidden || !own {
        return Err(TlsError::Exposed(path, mode));
    }
    let text = read(&file).map_err(unreadable)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Empty(path, "private key"))
}

fn key_path(source: &KeySource) -> Result<PathBuf, TlsError> {
    match source {
        KeySource::File(path) => Ok(path.clone()),
        KeySource::Credential(name) => credential(std::env::var_os("CREDENTIALS_DIRECTORY"), name),
    }
}

fn credential(directory: Option<OsString>, name: &str) -> Result<PathBuf, TlsError> {
    directory
        .map(|directory| Path::new(&directory).join(name))
        .filter(|path| path.exists())
        .ok_or_else(|| TlsError::NoCredential(name.to_owned()))
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// What tells a file from the one that was there before: replaced, written over, or another mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<[i64; 6]>>);

impl Stamp {
    pub(crate) fn of<'a>(certificates: impl IntoIterator<Item = &'a Path>, key: Option<&KeySource>) -> Self {
        let of_file = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some([
                file.ino().cast_signed(),
                file.size().cast_signed(),
                file.mtime(),
                file.mtime_nsec(),
                file.ctime(),
                file.ctime_nsec(),
            ])
        };
        let key = key.map(|source| key_path(source).ok());
        let certificates = certificates.into_iter().map(of_file);
        Self(certificates.chain(key.map(|path| of_file(&path?))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key_file(mode: u32) -> (tempfile::TempDir, KeySource) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        std::fs::write(&path, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        (directory, KeySource::File(path))
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_its_mode_and_the_remedy() {
        for mode in [0o644, 0o604, 0o660, 0o620] {
            let (_directory, source) = key_file(mode);
            let said = key(&source).unwrap_err().to_string();
            assert!(said.contains(&format!("{mode:04o}")) && said.contains("chmod 0600"), "{said}");
        }
        for mode in [0o600, 0o400] {
            let (_directory, source) = key_file(mode);
            key(&source).unwrap();
        }
    }

    #[test]
    fn a_credential_is_a_file_in_the_directory_of_systemd() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("chemistry-key"), "").unwrap();
        let at = Some(directory.path().as_os_str().to_owned());
        assert_eq!(credential(at.clone(), "chemistry-key").unwrap(), directory.path().join("chemistry-key"));
        for directory in [at, None] {
            let said = credential(directory, "other").unwrap_err().to_string();
            assert!(said.contains("LoadCredential=other:"), "{said}");
        }
    }

    #[test]
    fn a_file_replaced_written_over_or_opened_to_others_is_another_one() {
        let (directory, source) = key_file(0o600);
        let KeySource::File(path) = &source else { panic!() };
        let before = Stamp::of([path.as_path()], Some(&source));
        assert_eq!(before, Stamp::of([path.as_path()], Some(&source)));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
        let opened = Stamp::of([path.as_path()], Some(&source));
        assert_ne!(before, opened);
        let other = directory.path().join("other");
        std::fs::copy(path, &other).unwrap();
        std::fs::rename(&other, path).unwrap();
        assert_ne!(opened, Stamp::of([path.as_path()], Some(&source)));
    }

    #[test]
    fn what_is_no_certificate_is_named_by_its_file() {
        let (_directory, KeySource::File(path)) = key_file(0o600) else { panic!() };
        let said = certificates(&path).unwrap_err().to_string();
        assert!(said.ends_with("key.pem holds no certificate in PEM"), "{said}");
        assert!(certificates(Path::new("/absent.pem")).unwrap_err().to_string().contains("cannot be read"));
        assert!(certificates(Path::new("/dev/zero")).unwrap_err().to_string().contains("file too large"));
    }
}
