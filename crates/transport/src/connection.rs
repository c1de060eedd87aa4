//! An open line with the name of its other end.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::marks::CharacterError;
use crate::places::Place;
use crate::tap::{Recorder, Tap};
use crate::tls::TlsFault;
use crate::wire::Wire;

/// The other end of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address.
    Address(SocketAddr),
    /// A serial device, by the path that it was configured with.
    Device(PathBuf),
    /// The same process.
    Memory,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Device(path) => path.display().fmt(f),
            Self::Memory => f.write_str("memory"),
        }
    }
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// So many bytes at the beginning of the buffer.
    Bytes(usize),
    /// A damaged character at this place of the stream; the line goes on.
    CharacterError(CharacterError),
    /// The other end has closed, or the plug was pulled.
    Closed,
    /// The analyzer has dialled again and taken this connection's place. What it sends is on the other one.
    Replaced,
}

/// An open line.
#[derive(Debug)]
pub struct Connection {
    wire: Tap<Wire>,
    peer: Peer,
    /// A listener's place for this connection, given back when it goes.
    place: Option<Place>,
    /// Told when the peer refuses us behind the handshake.
    refused: Option<Arc<AtomicBool>>,
}

impl Connection {
    /// A connection over a wire that is open.
    pub fn new(wire: impl Into<Wire>, peer: Peer) -> Self {
        Self { wire: Tap::new(wire.into()), peer, place: None, refused: None }
    }

    pub(crate) fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// A TLS 1.3 client is connected before its certificate has been judged: a refusal comes as an
    /// alert at the first read.
    pub(crate) fn tell_refusal(mut self, refused: Arc<AtomicBool>) -> Self {
        self.refused = Some(refused);
        self
    }

    /// Two connections that are each other's other end.
    pub fn pair(buffer_bytes: usize) -> (Self, Self) {
        let (left, right) = tokio::io::duplex(buffer_bytes);
        (Self::new(Wire::Memory(left), Peer::Memory), Self::new(Wire::Memory(right), Peer::Memory))
    }

    /// The other end.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Records every byte from here on.
    pub fn record(&mut self, recorder: Recorder) {
        self.wire.record(recorder);
    }

    /// Waits for the next bytes, damaged character or end. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// What ends the line other than its orderly close: reset, time-out, I/O error.
    pub async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let read = match &self.place {
            None => self.wire.read(buffer).await,
            Some(place) => tokio::select! {
                biased;
                () = place.replaced() => return Ok(Received::Replaced),
                read = self.wire.read(buffer) => read,
            },
        };
        match read {
            Ok(0) => Ok(Received::Closed),
            Ok(count) => {
                if let Some(place) = &self.place {
                    place.hear(Instant::now());
                }
                Ok(Received::Bytes(count))
            }
            Err(error) => match CharacterError::of(&error) {
                Some(error) => Ok(Received::CharacterError(error)),
                // A port whose adapter is gone answers EIO where a socket would answer end of file.
                None if self.is_serial() && error.raw_os_error() == Some(EIO) => Ok(Received::Closed),
                None => {
                    if let (Some(refused), Some(fault)) = (&self.refused, TlsFault::of(&error)) {
                        refused.store(fault.is_configuration(), Ordering::Relaxed);
                    }
                    Err(error)
                }
            },
        }
    }

    /// Says goodbye, as far as the other end takes it within `timeout`: without it a TLS peer cannot tell
    /// the end of what we sent from a line that was cut.
    pub async fn close(mut self, timeout: Duration) {
        let _ = tokio::time::timeout(timeout, self.wire.shutdown()).await;
    }

    #[cfg(test)]
    pub(crate) const fn wire_ref(&self) -> &Wire {
        self.wire.get_ref()
    }

    /// Writes all of it, or gives the line up: a peer that reads nothing, or flow control that is never
    /// released, must not hold a session for ever. After an error the line is no longer usable, because
    /// part of the bytes may be on it.
    ///
    /// # Errors
    /// `TimedOut`, or what ended the line.
    pub async fn send(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        let write = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        match tokio::time::timeout(timeout, write).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the other end takes no more bytes"))
            }
        }
    }

    const fn is_serial(&self) -> bool {
        matches!(self.wire.get_ref(), Wire::Serial(_) | Wire::PseudoTerminal(_))
    }
}

const EIO: i32 = rustix::io::Errno::IO.raw_os_error();

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
