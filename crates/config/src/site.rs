//! A site's configuration: every default filled in, every text parsed.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::network::Network;

/// The whole site file.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteConfig {
    /// The laboratory.
    pub tenant: String,
    /// The time zone of connections that name none.
    pub time_zone: TimeZone,
    /// Where what has been received is kept.
    pub spool: SpoolConfig,
    /// Where results go.
    pub lis: LisConfig,
    /// What is served over HTTP.
    pub admin: AdminConfig,
    /// Where commands ask the daemon.
    pub control: ControlConfig,
    /// What is recorded of every connection.
    pub capture: CaptureConfig,
    /// The site's own driver profiles.
    pub drivers_directory: Option<PathBuf>,
    /// How much of what.
    pub limits: LimitsConfig,
    /// The analyzers, in the order of the file.
    pub connections: Vec<ConnectionConfig>,
}

/// `[spool]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Its database file.
    pub path: PathBuf,
}

/// `[lis]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LisConfig {
    /// A database file (`sqlite:///…`).
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where `/metrics`, `/live` and `/ready` are served.
    pub listen: SocketAddr,
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// The socket's file.
    pub socket: PathBuf,
}

/// `[capture]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Whether connections are recorded.
    pub enabled: bool,
    /// Where the recordings are kept, one file a connection.
    pub directory: PathBuf,
    /// How large the recording of one connection may become before its oldest part is dropped.
    pub bytes_max: u64,
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// How many analyzers may be connected to one listening connection at a time.
    pub connections_max: usize,
    /// How long a repeat of a message is recognised.
    pub duplicate_window: Duration,
    /// How long a message that never completed waits for its continuation.
    pub incomplete_hold: Duration,
    /// How long a commit may take before the frame is refused.
    pub persist_deadline: Duration,
    /// How long open conversations may take to end when the daemon stops.
    pub drain_timeout: Duration,
}

/// `[[connection]]`: one configured analyzer link.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionConfig {
    /// Its name, unique in the site.
    pub name: String,
    /// The id of its driver profile.
    pub driver: String,
    /// How the analyzer is reached.
    pub endpoint: EndpointConfig,
    /// The time zone of the analyzer's clock.
    pub time_zone: TimeZone,
    /// Whether the standard is followed to the letter; the profile says where the site does not.
    pub strict: Option<bool>,
    /// What is done about bytes that no protocol explains; the profile, then the transport says
    /// where the site does not.
    pub error_mode: Option<ErrorMode>,
    /// How long a message that never completed waits for its continuation.
    pub incomplete_hold: Duration,
}

impl ConnectionConfig {
    /// Whether what this connection carries can be read on a network on its way.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        match &self.endpoint {
            EndpointConfig::TcpListen { addr, .. } | EndpointConfig::TcpConnect { addr } => {
                !addr.ip().to_canonical().is_loopback()
            }
            EndpointConfig::Serial(_) => false,
        }
    }
}

/// How an analyzer is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointConfig {
    /// The analyzer connects to us.
    TcpListen {
        /// Where we listen.
        addr: SocketAddr,
        /// Who may connect; empty stands for this machine alone.
        allow: Vec<Network>,
    },
    /// We connect to the analyzer.
    TcpConnect {
        /// Where the analyzer listens.
        addr: SocketAddr,
    },
    /// A serial line.
    Serial(SerialConfig),
}

impl EndpointConfig {
    /// Whether a peer may talk to us here.
    #[must_use]
    pub fn admits(&self, peer: IpAddr) -> bool {
        match self {
            Self::TcpListen { allow, .. } if allow.is_empty() => peer.to_canonical().is_loopback(),
            Self::TcpListen { allow, .. } => allow.iter().any(|network| network.contains(peer)),
            Self::TcpConnect { .. } | Self::Serial(_) => true,
        }
    }
}

/// `serial = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialConfig {
    /// The device file.
    pub device: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// Bits of a character.
    pub data_bits: DataBits,
    /// The check bit.
    pub parity: Parity,
    /// Bits behind a character.
    pub stop_bits: StopBits,
    /// How either side makes the other one wait.
    pub flow_control: FlowControl,
}

/// Bits of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataBits {
    /// 7
    Seven,
    /// 8
    Eight,
}

/// The check bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// It makes the number of ones even.
    Even,
    /// It makes the number of ones odd.
    Odd,
}

/// Bits behind a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopBits {
    /// 1
    One,
    /// 2
    Two,
}

/// How either side makes the other one wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowControl {
    /// Not at all.
    None,
    /// XON and XOFF.
    Software,
    /// RTS and CTS.
    Hardware,
}

/// What is done about bytes that no protocol explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// The connection is closed.
    Close,
    /// They are skipped up to the next thing that is understood.
    Resync,
}
