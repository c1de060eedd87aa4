//! One type for every kind of line, so that what is built on top has no type parameter.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::com_port::ComPortWire;
use crate::pty::PseudoTerminal;
use crate::serial::SerialWire;

/// An open line.
#[derive(Debug)]
pub enum Wire {
    /// TCP.
    Tcp(TcpStream),
    /// TLS over TCP, its handshake done.
    Tls(Box<TlsStream<TcpStream>>),
    /// A serial port, or a pseudo-terminal's far end.
    Serial(SerialWire),
    /// The serial port of a terminal server, set over the network.
    ComPort(Box<ComPortWire>),
    /// A pseudo-terminal's near end.
    PseudoTerminal(PseudoTerminal),
    /// Two ends in one process.
    Memory(DuplexStream),
}

macro_rules! each_wire {
    ($self:ident, $wire:ident => $call:expr) => {
        match $self.get_mut() {
            Wire::Tcp(stream) => {
                let $wire = Pin::new(stream);
                $call
            }
            Wire::Tls(stream) => {
                let $wire = Pin::new(stream.as_mut());
                $call
            }
            Wire::Serial(stream) => {
                let $wire = Pin::new(stream);
                $call
            }
            Wire::ComPort(stream) => {
                let $wire = Pin::new(stream.as_mut());
                $call
            }
            Wire::PseudoTerminal(stream) => {
                let $wire = Pin::new(stream);
                $call
            }
            Wire::Memory(stream) => {
                let $wire = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each_wire!(self, wire => wire.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each_wire!(self, wire => wire.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_wire!(self, wire => wire.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_wire!(self, wire => wire.poll_shutdown(cx))
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<TlsStream<TcpStream>> for Wire {
    fn from(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl From<ComPortWire> for Wire {
    fn from(port: ComPortWire) -> Self {
        Self::ComPort(Box::new(port))
    }
}

impl From<PseudoTerminal> for Wire {
    fn from(terminal: PseudoTerminal) -> Self {
        Self::PseudoTerminal(terminal)
    }
}
