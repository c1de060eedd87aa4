//! One process owns a spool. The kernel's lock decides, not the pid in the file: a pid may be
//! recycled, a lock dies with its holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::StoreError;

/// The lock beside a spool, held as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn lock_path(spool: &Path) -> PathBuf {
    let mut name = spool.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl Lock {
    /// Takes the lock or names the holder.
    pub(crate) fn take(spool: &Path) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_path(spool))
            .map_err(|error| StoreError::failed("open the spool's lock file", &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::InUse { path: spool.to_owned(), holder });
            }
            Err(error) => return Err(StoreError::failed("lock the spool", &error)),
        }
        // The pid is there for a person's eyes; a full disk must not keep the daemon down.
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(event = "spool_lock_pid_not_written", %error);
        }
        Ok(Self { _file: file })
    }
}
