//! Why a handshake failed, sorted by who has to mend what.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::names::OtherSubject;

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer speaks an older protocol than the connection asks for.
    Version,
    /// What came is no TLS.
    NotTls,
    /// The peer showed no certificate.
    CertificateMissing,
    /// The peer's certificate is over, or not valid yet; or a clock is wrong.
    CertificateExpired,
    /// The peer's certificate comes from a CA that the connection does not trust.
    CertificateUnknownCa,
    /// The peer's certificate is for another name.
    CertificateName,
    /// The peer's certificate cannot be used for another reason.
    CertificateUnusable,
    /// The peer refused us: our certificate, or what we offered.
    RefusedByPeer,
    /// No cipher or key exchange in common, or a peer that breaks the protocol.
    Protocol,
    /// The handshake took too long.
    Timeout,
    /// The peer hung up in the middle.
    Closed,
}

impl TlsFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Version,
        Self::NotTls,
        Self::CertificateMissing,
        Self::CertificateExpired,
        Self::CertificateUnknownCa,
        Self::CertificateName,
        Self::CertificateUnusable,
        Self::RefusedByPeer,
        Self::Protocol,
        Self::Timeout,
        Self::Closed,
    ];

    /// A stable name for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Version => "tls-version",
            Self::NotTls => "tls-none",
            Self::CertificateMissing => "tls-certificate-missing",
            Self::CertificateExpired => "tls-certificate-expired",
            Self::CertificateUnknownCa => "tls-certificate-unknown-ca",
            Self::CertificateName => "tls-certificate-name",
            Self::CertificateUnusable => "tls-certificate-unusable",
            Self::RefusedByPeer => "tls-refused-by-peer",
            Self::Protocol => "tls-protocol",
            Self::Timeout => "tls-timeout",
            Self::Closed => "tls-closed",
        }
    }

    /// Whether trying again soon is of no use: somebody has to change a file or a setting.
    pub const fn is_configuration(self) -> bool {
        !matches!(self, Self::Timeout | Self::Closed)
    }

    /// The fault behind an error of a line; nothing where the line failed otherwise.
    pub fn of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        inner.downcast_ref::<Self>().copied().or_else(|| inner.downcast_ref::<Error>().map(Self::sort))
    }

    /// The fault behind an error of a handshake.
    pub(crate) fn of_handshake(error: &io::Error) -> Self {
        Self::of(error).unwrap_or(Self::Closed)
    }

    fn sort(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // Asked for before the version is looked at; those who leave it out are older than 1.2.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::InvalidEmptyPayload
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertificate(error) => Self::sort_certificate(error),
            Error::AlertReceived(_) => Self::RefusedByPeer,
            _ => Self::Protocol,
        }
    }

    fn sort_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::CertificateUnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateName
            }
            CertificateError::Other(other) if other.0.downcast_ref::<OtherSubject>().is_some() => {
                Self::CertificateName
            }
            _ => Self::CertificateUnusable,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => {
                "the peer speaks an older TLS than the connection asks for; where it can do no better than 1.2, set `minimum = \"1.2\"`"
            }
            Self::NotTls => "what the peer sends is no TLS; is TLS switched on there?",
            Self::CertificateMissing => "the peer shows no certificate",
            Self::CertificateExpired => "the peer's certificate has expired or is not valid yet",
            Self::CertificateUnknownCa => "the peer's certificate comes from a CA that is not trusted here",
            Self::CertificateName => "the peer's certificate carries another name",
            Self::CertificateUnusable => "the peer's certificate cannot be used",
            Self::RefusedByPeer => "the peer refused our certificate or what we offered",
            Self::Protocol => "the peer breaks the protocol or has no cipher in common with us",
            Self::Timeout => "the handshake took too long",
            Self::Closed => "the peer hung up during the handshake",
        })
    }
}

impl std::error::Error for TlsFault {}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> Self {
        let kind = match fault {
            TlsFault::Timeout => io::ErrorKind::TimedOut,
            TlsFault::Closed => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, fault)
    }
}
