//! A wrapper that sees every byte go by and keeps it, with direction and time.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use labwire_capture::{Direction, Entry, Ring};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::marks::CharacterError;

/// Which end of the line this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The host: what is read came from the analyzer.
    Host,
    /// The analyzer, in simulations: what is read came from the host.
    Analyzer,
}

/// A shared recording: every clone writes into the same bounded ring.
#[derive(Debug, Clone)]
pub struct Recorder {
    ring: Arc<Mutex<Ring>>,
    side: Side,
    started: Instant,
    started_wall: SystemTime,
}

impl Recorder {
    /// A recording that begins at this moment and holds at most `bytes_max` bytes.
    pub fn new(side: Side, bytes_max: usize) -> Self {
        Self {
            ring: Arc::new(Mutex::new(Ring::new(bytes_max))),
            side,
            started: Instant::now(),
            started_wall: SystemTime::now(),
        }
    }

    /// Wall time of offset zero, for a capture's header.
    pub const fn started(&self) -> SystemTime {
        self.started_wall
    }

    /// Records something that happened to the line: `open`, `close`.
    pub fn event(&self, text: impl Into<String>) {
        let entry = Entry::event(self.started.elapsed(), text);
        self.ring().push(entry);
    }

    /// The entries recorded so far. Recording waits while the guard is held: clone or write, then let go.
    pub fn ring(&self) -> MutexGuard<'_, Ring> {
        // A ring is whole between any two statements of its own, so a panic elsewhere does not spoil it.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, direction: Direction, bytes: &[u8]) {
        if !bytes.is_empty() {
            let entry = Entry::new(self.started.elapsed(), direction, bytes);
            self.ring().push(entry);
        }
    }

    const fn read_direction(&self) -> Direction {
        match self.side {
            Side::Host => Direction::ToHost,
            Side::Analyzer => Direction::ToAnalyzer,
        }
    }

    const fn write_direction(&self) -> Direction {
        match self.side {
            Side::Host => Direction::ToAnalyzer,
            Side::Analyzer => Direction::ToHost,
        }
    }
}

/// A stream whose bytes are recorded, once a recorder is set.
#[derive(Debug)]
pub struct Tap<S> {
    stream: S,
    recorder: Option<Recorder>,
}

impl<S> Tap<S> {
    /// A tap that records nothing yet.
    pub const fn new(stream: S) -> Self {
        Self { stream, recorder: None }
    }

    /// Records from here on.
    pub fn record(&mut self, recorder: Recorder) {
        self.recorder = Some(recorder);
    }

    /// The stream under the tap.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
        if let Some(recorder) = &this.recorder {
            match &result {
                Ok(()) => recorder.bytes(recorder.read_direction(), &buf.filled()[before..]),
                Err(error) => {
                    if let Some(error) = CharacterError::of(error) {
                        recorder.event(error.to_string());
                    }
                }
            }
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        if let Some(recorder) = &this.recorder {
            recorder.bytes(recorder.write_direction(), &buf[..count.min(buf.len())]);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
