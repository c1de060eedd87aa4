//! How a command ends: exit codes after sysexits, and the one line that says why.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing is amiss.
    Done = 0,
    /// The words of the command line are off.
    Usage = 64,
    /// Input could not be read, a check failed, sums do not balance.
    Data = 65,
    /// What is asked for is not there: no daemon, no spool, no host.
    Unavailable = 69,
    /// Our fault.
    Software = 70,
    /// A file or device could not be read or written.
    Io = 74,
    /// Somebody else has it.
    Busy = 75,
    /// Not permitted.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// A command's failure: its exit code, and what to tell the person who typed it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Nothing when everything has been said.
    pub(crate) message: Option<String>,
}

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()) }
    }

    /// A failure whose reasons were printed already.
    pub(crate) fn told(exit: Exit) -> Self {
        Self { exit, message: None }
    }

    /// A file that could not be read or written.
    pub(crate) fn io(action: &str, path: impl fmt::Display, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::Io,
        };
        Self::new(exit, format!("failed to {action} {path}: {error}"))
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl From<std::io::Error> for Failure {
    /// Writing to standard output failed. A reader that has seen enough (`| head`) is no failure.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::told(Exit::Done);
        }
        Self::new(Exit::Io, format!("failed to write the output: {error}"))
    }
}
