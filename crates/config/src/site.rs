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
    /// How often one address may connect to one listening connection within a minute.
    pub connects_per_minute_max: u32,
    /// How fast one peer is read.
    pub bytes_per_second_max: u64,
    /// How long a message may take.
    pub message_timeout: Duration,
    /// How long a peer may send without completing anything.
    pub progress_timeout: Duration,
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
    /// What is done about a message that another analyzer seems to have sent.
    pub identify: IdentifyConfig,
    /// Whether the standard is followed to the letter; the profile says where the site does not.
    pub strict: Option<bool>,
    /// What is done about bytes that no protocol explains; the profile, then the transport says
    /// where the site does not.
    pub error_mode: Option<ErrorMode>,
    /// How long a message that never completed waits for its continuation.
    pub incomplete_hold: Duration,
    /// How much one peer may take.
    pub limits: PeerLimits,
}

impl ConnectionConfig {
    /// Whether what this connection carries can be read on a network on its way.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        match &self.endpoint {
            EndpointConfig::TcpListen { addr, tls: None, .. }
            | EndpointConfig::TcpConnect { addr, tls: None, .. } => !addr.ip().to_canonical().is_loopback(),
            EndpointConfig::TcpListen { .. }
            | EndpointConfig::TcpConnect { .. }
            | EndpointConfig::Serial(_) => false,
        }
    }
}

/// How much one peer of a connection may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// How fast it is read.
    pub bytes_per_second_max: u64,
    /// How long a message may take.
    pub message_timeout: Duration,
    /// How long it may send without completing anything.
    pub progress_timeout: Duration,
    /// How long it may be silent; for ever without it.
    pub idle_timeout: Option<Duration>,
}

/// What happens to a caller when every place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It takes the place of a silent connection from its own address.
    ReplaceIdle,
    /// It is turned away.
    Refuse,
}

/// Who may be connected at a time, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallersConfig {
    /// Networks of those who may connect; empty stands for this machine alone, or with client
    /// certificates for everybody.
    pub allow: Vec<Network>,
    /// How many at a time.
    pub connections_max: usize,
    /// What happens to one more.
    pub when_full: WhenFull,
    /// How often one address may connect within a minute.
    pub connects_per_minute_max: u32,
}

/// How a peer that is gone without a word is found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivenessConfig {
    /// Silence before the first probe.
    pub keepalive_idle: Duration,
    /// Time between probes.
    pub keepalive_interval: Duration,
    /// How long sent bytes may stay unanswered.
    pub peer_timeout: Duration,
}

/// The oldest protocol of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// A credential of systemd, by its name.
    Credential(String),
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentityConfig {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: KeySource,
}

/// Which analyzers may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsClientsConfig {
    /// The file of the CAs.
    pub ca: PathBuf,
    /// Names of which a certificate must carry one.
    pub names: Vec<String>,
}

/// `tls = { … }` beside `tcp.listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListenConfig {
    /// Who we are.
    pub identity: TlsIdentityConfig,
    /// Who may connect; without it analyzers show no certificate.
    pub clients: Option<TlsClientsConfig>,
    /// The oldest protocol.
    pub minimum: TlsVersion,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How many at a time.
    pub handshakes_max: usize,
}

/// `tls = { … }` beside `tcp.connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConnectConfig {
    /// The file of the CAs of the analyzer's certificate.
    pub ca: PathBuf,
    /// The name that it must carry.
    pub server_name: String,
    /// Who we are, where the analyzer asks.
    pub identity: Option<TlsIdentityConfig>,
    /// The oldest protocol.
    pub minimum: TlsVersion,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
}

/// `identify`: what is done about a message that another analyzer seems to have sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdentifyConfig {
    /// It is held, by the signs of the profile.
    #[default]
    Hold,
    /// It is filed and counted.
    Note,
    /// Nobody looks.
    Off,
    /// It is held, by these signs: field of the header, regular expression.
    Signs(Vec<(String, String)>),
}

/// How an analyzer is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointConfig {
    /// The analyzer connects to us.
    TcpListen {
        /// Where we listen.
        addr: SocketAddr,
        /// Who may connect, and how often.
        callers: CallersConfig,
        /// How a dead peer is found out.
        liveness: LivenessConfig,
        /// TLS; in clear without it.
        tls: Option<TlsListenConfig>,
    },
    /// We connect to the analyzer.
    TcpConnect {
        /// Where the analyzer listens.
        addr: SocketAddr,
        /// How a dead peer is found out.
        liveness: LivenessConfig,
        /// TLS; in clear without it.
        tls: Option<TlsConnectConfig>,
        /// The serial port of the terminal server there, where it is set over the network.
        rfc2217: Option<LineConfig>,
    },
    /// A serial line.
    Serial(SerialConfig),
}

impl EndpointConfig {
    /// Whether a serial line is the way to the analyzer, here or behind a terminal server that we set:
    /// closing it and opening it again tells the analyzer nothing.
    #[must_use]
    pub const fn is_serial(&self) -> bool {
        matches!(self, Self::Serial(_) | Self::TcpConnect { rfc2217: Some(_), .. })
    }

    /// Whether a peer may talk to us here.
    #[must_use]
    pub fn admits(&self, peer: IpAddr) -> bool {
        match self {
            Self::TcpListen { tls: Some(TlsListenConfig { clients: Some(_), .. }), callers, .. }
                if callers.allow.is_empty() =>
            {
                true
            }
            Self::TcpListen { callers, .. } if callers.allow.is_empty() => peer.to_canonical().is_loopback(),
            Self::TcpListen { callers, .. } => callers.allow.iter().any(|network| network.contains(peer)),
            Self::TcpConnect { .. } | Self::Serial(_) => true,
        }
    }
}

/// `serial = { … }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialConfig {
    /// The device file.
    pub device: PathBuf,
    /// How characters go over it.
    pub line: LineConfig,
}

/// How characters go over a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineConfig {
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
