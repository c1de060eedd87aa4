//! The lines that analyzers speak over: TCP in both directions, with TLS or in clear, serial ports here and
//! behind terminal servers, pseudo-terminals.
//!
//! - Opening: [`Listener`] accepts analyzers that dial in; [`Opener`] dials out or opens a serial port,
//!   again and again, with [`Backoff`] between attempts.
//! - Carrying: a [`Connection`] is a [`Wire`] with its peer's name; [`Connection::receive`] hands over
//!   bytes, damaged characters and the end of the line in the order in which they came.
//! - Recording: a [`Recorder`] on a connection keeps every byte with direction and time in a bounded
//!   [`labwire_capture::Ring`].
//!
//! Nothing here knows a protocol. No peer can make memory grow: reads are as large as the caller's
//! buffer, connections as many as the listener's limit, recordings as long as the ring.

mod backoff;
mod cidr;
mod com_port;
mod connection;
mod endpoint;
mod marks;
mod opener;
mod places;
mod pty;
mod rate;
mod serial;
mod tap;
mod tcp;
mod tls;
mod wire;

pub use backoff::{Backoff, BackoffSettings};
pub use cidr::{Cidr, CidrError};
pub use com_port::{ComPortError, ComPortWire, Setting};
pub use connection::{Connection, Peer, Received};
pub use endpoint::{
    DataBits, Endpoint, Flow, LineSettings, Liveness, Parity, SerialSettings, StopBits, TcpConnectSettings,
    TcpListenSettings, UnknownName,
};
pub use marks::CharacterError;
pub use opener::{Failure, Opener};
pub use places::WhenFull;
pub use pty::PseudoTerminal;
pub use serial::{SerialError, SerialWire};
pub use tap::{Recorder, Side, Tap};
pub use tcp::{Arrival, Handshake, Listener, Refusal, connect};
pub use tls::{
    Certificates, KeySource, Refresh, TlsClients, TlsConnectSettings, TlsError, TlsFault, TlsIdentity,
    TlsListenSettings, TlsVersion,
};
pub use wire::Wire;
