//! Certificates for tests of TLS: made on the spot, good for a day.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Errors
    /// The name does not fit into a certificate.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?))
    }

    /// Its certificate in PEM, for those who are to trust it.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate that carries these DNS names and IP addresses, good for server and client.
    ///
    /// # Errors
    /// A name does not fit into a certificate.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, Error> {
        self.sign(parameters(names)?)
    }

    /// The same, but it ended years ago.
    ///
    /// # Errors
    /// A name does not fit into a certificate.
    pub fn issue_expired(&self, names: &[&str]) -> Result<Issued, Error> {
        let mut parameters = parameters(names)?;
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(2020, 1, 1);
        self.sign(parameters)
    }

    fn sign(&self, parameters: CertificateParams) -> Result<Issued, Error> {
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.0)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

impl Issued {
    /// A certificate that nobody but its own key has signed.
    ///
    /// # Errors
    /// A name does not fit into a certificate.
    pub fn self_signed(names: &[&str]) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let certificate = parameters(names)?.self_signed(&key)?.pem();
        Ok(Self { certificate, key: key.serialize_pem() })
    }

    /// Writes `NAME.pem` and `NAME.key`, the latter for its owner alone, in the place of what was there.
    /// Gives the two paths.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let (certificate, key) =
            (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        replace(&certificate, &self.certificate, 0o644)?;
        replace(&key, &self.key, 0o600)?;
        Ok((certificate, key))
    }
}

fn parameters(names: &[&str]) -> Result<CertificateParams, Error> {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

/// Whole or not at all, as a tool that renews certificates does it.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::set_permissions(&beside, PermissionsExt::from_mode(mode))?;
    fs::rename(beside, path)
}
