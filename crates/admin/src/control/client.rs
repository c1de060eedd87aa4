//! The command line's side of the control socket: blocking, one request at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{LINE_BYTES_MAX, Line, Refusal, Request};

/// A connection to a running daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// Why a command brought no (further) answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there: no socket, or one that a dead daemon left behind.
    #[error("no daemon listens at {}", path.display())]
    NoDaemon {
        /// The socket asked.
        path: PathBuf,
    },
    /// The socket is there, but not for this user.
    #[error("not permitted to use {}; its group may", path.display())]
    NotPermitted {
        /// The socket asked.
        path: PathBuf,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection broke or the daemon was silent for too long.
    #[error("failed to talk to the daemon at {}: {error}", path.display())]
    Io {
        /// The socket asked.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// What came back is not an answer.
    #[error("the daemon at {} sent a line that is not an answer: {reason}", path.display())]
    BadLine {
        /// The socket asked.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Client {
    /// Connects; `silence_max` is how long the daemon may be silent within an answer.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`], [`ClientError::NotPermitted`] or any other I/O error.
    pub fn connect(path: &Path, silence_max: Duration) -> Result<Self, ClientError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(silence_max))?;
            stream.set_write_timeout(Some(silence_max))?;
            io::Result::Ok(stream)
        };
        match connect() {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream), path: path.to_owned() }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NoDaemon { path: path.to_owned() }
                }
                io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path: path.to_owned() },
                _ => ClientError::Io { path: path.to_owned(), error },
            }),
        }
    }

    /// Sends a request; the lines of the answer are read as the iterator is asked for them.
    ///
    /// # Errors
    /// When the request could not be sent whole.
    pub fn call(&mut self, request: &Request) -> Result<Answer<'_>, ClientError> {
        let mut bytes = match serde_json::to_vec(request) {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.io(error.into())),
        };
        bytes.push(b'\n');
        match self.stream.get_mut().write_all(&bytes) {
            // A daemon with too many clients says so and closes without reading; its line is the answer.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(self.io(error)),
            _ => Ok(Answer { client: self, over: false }),
        }
    }

    /// Sends a request and collects the whole answer.
    ///
    /// # Errors
    /// As [`Client::call`], and the first error among the answer's lines.
    pub fn collect(&mut self, request: &Request) -> Result<Vec<Value>, ClientError> {
        self.call(request)?.collect()
    }

    fn read_line(&mut self) -> Result<Line, ClientError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE_BYTES_MAX as u64 + 1);
        if let Err(error) = limited.read_until(b'\n', &mut line) {
            return Err(self.io(error));
        }
        if line.last() != Some(&b'\n') {
            return Err(if line.len() > LINE_BYTES_MAX {
                self.bad_line(format!("longer than {LINE_BYTES_MAX} bytes"))
            } else {
                self.io(io::ErrorKind::UnexpectedEof.into())
            });
        }
        match serde_json::from_slice(&line) {
            Ok(value) => Ok(Line::read(value)),
            Err(error) => Err(self.bad_line(error.to_string())),
        }
    }

    fn io(&self, error: io::Error) -> ClientError {
        ClientError::Io { path: self.path.clone(), error }
    }

    fn bad_line(&self, reason: String) -> ClientError {
        ClientError::BadLine { path: self.path.clone(), reason }
    }
}

/// The data lines of one answer. After an error it is over.
#[derive(Debug)]
pub struct Answer<'a> {
    client: &'a mut Client,
    over: bool,
}

impl Iterator for Answer<'_> {
    type Item = Result<Value, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = match self.client.read_line() {
            Ok(Line::Data(value)) => return Some(Ok(value)),
            Ok(Line::End) => None,
            Ok(Line::Error(refusal)) => Some(Err(refusal.into())),
            Err(error) => Some(Err(error)),
        };
        self.over = true;
        item
    }
}
