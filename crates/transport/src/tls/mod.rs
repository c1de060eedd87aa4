//! TLS on both sides of a TCP line: whom we trust, who we are, and files that may change while we run.
//!
//! - A handshake ends before a byte of a session passes; what fails in it is refused with a reason.
//! - Every handshake judges certificates anew: nothing is resumed, so what a file or a clock has ended
//!   stays ended.
//! - Files are read again when they change. Handshakes from then on use what they say; lines that are
//!   open go on; files that do not fit together change nothing.

mod config;
mod fault;
mod files;
mod material;
mod names;
mod validity;

use core::time::Duration;
use std::path::PathBuf;

pub use fault::TlsFault;
pub use files::TlsError;
pub use material::{Certificates, Refresh};

pub(crate) use material::{Material, accept, connect};

/// The oldest protocol that a peer may speak. Older ones than these are not built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2, for peers that cannot do better.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A PEM file that nobody else may read.
    File(PathBuf),
    /// A credential that systemd handed over (`LoadCredential=`), by its name.
    Credential(String),
}

/// Who this side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// PEM file: the certificate, then those between it and its CA.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: KeySource,
}

/// Which callers may connect (mutual TLS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsClients {
    /// PEM file of the CAs that their certificates come from. A self-signed certificate is its own CA.
    pub ca: PathBuf,
    /// DNS names or IP addresses, of which the certificate must carry one as subject alternative name.
    pub names: Vec<String>,
}

/// TLS where analyzers dial in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsListenSettings {
    /// Who we are.
    pub identity: TlsIdentity,
    /// Who may connect; without it callers show no certificate.
    pub clients: Option<TlsClients>,
    /// The oldest protocol.
    pub minimum: TlsVersion,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Handshakes under way at a time, beside the connections that are open.
    pub handshakes_max: usize,
}

impl TlsListenSettings {
    /// TLS 1.3, callers without certificates, ten seconds and sixteen places for handshakes.
    pub const fn new(identity: TlsIdentity) -> Self {
        Self {
            identity,
            clients: None,
            minimum: TlsVersion::Tls13,
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 16,
        }
    }
}

/// TLS where this side dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConnectSettings {
    /// PEM file of the CAs that the analyzer's certificate comes from.
    pub ca: PathBuf,
    /// The DNS name or IP address that its certificate must carry.
    pub server_name: String,
    /// Who we are, where the analyzer asks for it.
    pub identity: Option<TlsIdentity>,
    /// The oldest protocol.
    pub minimum: TlsVersion,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
}

impl TlsConnectSettings {
    /// TLS 1.3, without a certificate of our own, ten seconds for a handshake.
    pub fn new(ca: impl Into<PathBuf>, server_name: impl Into<String>) -> Self {
        Self {
            ca: ca.into(),
            server_name: server_name.into(),
            identity: None,
            minimum: TlsVersion::Tls13,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}
