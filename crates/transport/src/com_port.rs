//! The serial port of a terminal server that is set over the network (RFC 2217): a wire in a wire.

mod machine;

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::machine::{ComPort, Item, escape};
pub use self::machine::{ComPortError, Setting};
use crate::endpoint::LineSettings;
use crate::wire::Wire;

/// Bytes taken from the network at a time.
const RAW_BYTES: usize = 4096;
/// What was received and not handed on yet, while the port is set or the server holds our data up. When it
/// is full no more is read, and the waiting side's time-out ends the line.
const ITEMS_MAX: usize = 4 * RAW_BYTES;
/// Bytes accepted for sending at a time; escaped they are at most twice as many.
const WRITE_BYTES_MAX: usize = 4096;

/// An open serial port behind a terminal server.
#[derive(Debug)]
pub struct ComPortWire {
    network: Wire,
    machine: ComPort,
    raw: Box<[u8; RAW_BYTES]>,
    received: VecDeque<Item>,
    /// Whether the server has closed.
    ended: bool,
    outgoing: Vec<u8>,
    /// How much of `outgoing` is sent.
    sent: usize,
    unflushed: bool,
}

impl ComPortWire {
    /// Sets the port at the other end of an open connection.
    ///
    /// # Errors
    /// [`ComPortError`] inside the [`io::Error`], or what ended the connection.
    pub(crate) async fn negotiate(network: Wire, line: LineSettings, timeout: Duration) -> io::Result<Self> {
        let mut this = Self {
            network,
            machine: ComPort::new(line),
            raw: Box::new([0; RAW_BYTES]),
            received: VecDeque::new(),
            ended: false,
            outgoing: Vec::new(),
            sent: 0,
            unflushed: false,
        };
        let ready = core::future::poll_fn(|cx| this.poll_ready(cx));
        match tokio::time::timeout(timeout, ready).await {
            Ok(ready) => ready.map(|()| this),
            Err(_elapsed) => Err(this.machine.unanswered().into()),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(failure) = self.machine.failure() {
                return Poll::Ready(Err(failure.into()));
            }
            if self.ended {
                let closed = "the terminal server closed the connection while its port was being set";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, closed)));
            }
            ready!(self.poll_drain(cx))?;
            if self.machine.is_ready() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    /// Sends what waits: escaped data first, then replies, so that none stands in the middle of the other.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.append(self.machine.transmit());
        while self.sent < self.outgoing.len() {
            let rest = &self.outgoing[self.sent..];
            let count = ready!(Pin::new(&mut self.network).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
            self.unflushed = true;
        }
        self.outgoing.clear();
        self.sent = 0;
        if self.unflushed {
            ready!(Pin::new(&mut self.network).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the network once. With no place for more it waits for the reader.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.received.len() + RAW_BYTES > ITEMS_MAX {
            return Poll::Pending;
        }
        let mut raw = ReadBuf::new(&mut self.raw[..]);
        ready!(Pin::new(&mut self.network).poll_read(cx, &mut raw))?;
        self.ended = raw.filled().is_empty();
        let machine = &mut self.machine;
        self.received.extend(raw.filled().iter().filter_map(|byte| machine.handle(*byte)));
        Poll::Ready(Ok(()))
    }

    /// Hands on bytes up to the first damaged character, or that one.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let filled_before = buf.filled().len();
        while buf.remaining() > 0 {
            match self.received.front() {
                Some(Item::Byte(byte)) => buf.put_slice(&[*byte]),
                Some(Item::Error(error)) if buf.filled().len() == filled_before => {
                    let error = *error;
                    self.received.pop_front();
                    return Some(Err(error.into()));
                }
                Some(Item::Error(_)) | None => break,
            }
            self.received.pop_front();
        }
        (buf.filled().len() > filled_before).then_some(Ok(()))
    }
}

impl AsyncRead for ComPortWire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(delivered) = this.deliver(buf) {
                return Poll::Ready(delivered);
            }
            if let Some(failure) = this.machine.failure() {
                return Poll::Ready(Err(failure.into()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            // Replies go before more is read, so that a server that reads nothing cannot pile them up.
            ready!(this.poll_drain(cx))?;
            ready!(this.poll_fill(cx))?;
        }
    }
}

impl AsyncWrite for ComPortWire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if let Some(failure) = this.machine.failure() {
                return Poll::Ready(Err(failure.into()));
            }
            if this.ended {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            ready!(this.poll_drain(cx))?;
            if !this.machine.is_suspended() {
                break;
            }
            // The leave to go on comes on the reading side.
            ready!(this.poll_fill(cx))?;
        }
        let count = buf.len().min(WRITE_BYTES_MAX);
        escape(&buf[..count], &mut this.outgoing);
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the network does not take at once stands in front of whatever is written next.
            _ => Poll::Ready(Ok(count)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.network).poll_shutdown(cx)
    }
}
