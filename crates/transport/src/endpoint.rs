//! Where a connection comes from, as data.

use core::time::Duration;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cidr::Cidr;
use crate::places::WhenFull;
use crate::tls::{TlsConnectSettings, TlsListenSettings};

/// One configured end of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Analyzers dial in.
    TcpListen(TcpListenSettings),
    /// This side dials the analyzer.
    TcpConnect(TcpConnectSettings),
    /// A serial port, or a pseudo-terminal in its place.
    Serial(SerialSettings),
}

/// A port on which analyzers dial in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpListenSettings {
    /// The address.
    pub address: SocketAddr,
    /// Networks that may connect; empty lets everybody in.
    pub allow: Vec<Cidr>,
    /// Connections at a time.
    pub connections_max: usize,
    /// What happens to one more.
    pub when_full: WhenFull,
    /// Silence after which a connection may be replaced by its analyzer's next one.
    pub replaceable_after: Duration,
    /// Connects that one source may make a minute, as many at once after a pause.
    pub connects_per_minute_max: u32,
    /// How a dead peer is found out.
    pub liveness: Liveness,
    /// TLS; without it, what is exchanged can be read on the network.
    pub tls: Option<TlsListenSettings>,
}

impl TcpListenSettings {
    /// A port for everybody in clear: eight connections at a time, 600 connects a minute.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            allow: Vec::new(),
            connections_max: 8,
            when_full: WhenFull::ReplaceIdle,
            replaceable_after: Duration::from_secs(10),
            connects_per_minute_max: 600,
            liveness: Liveness::DEFAULT,
            tls: None,
        }
    }
}

/// How a TCP peer that is gone without a word is found out: switched off, unplugged, behind a firewall
/// that forgot it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// Silence after which the first probe is sent.
    pub keepalive_idle: Duration,
    /// Time between probes.
    pub keepalive_interval: Duration,
    /// Unanswered probes after which the peer is gone.
    pub keepalive_probes: u32,
    /// Time that sent bytes may stay unacknowledged, or a window closed (`TCP_USER_TIMEOUT`). It also cuts
    /// the probing short: with it Linux gives an idle peer up at the first probe that is due after it.
    pub user_timeout: Duration,
}

impl Liveness {
    /// A minute of silence, probes ten seconds apart, and half a minute without an answer.
    pub const DEFAULT: Self = Self {
        keepalive_idle: Duration::from_secs(60),
        keepalive_interval: Duration::from_secs(10),
        keepalive_probes: 6,
        user_timeout: Duration::from_secs(30),
    };
}

/// An analyzer that waits to be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpConnectSettings {
    /// `host:port`; a name is looked up at each attempt.
    pub address: String,
    /// How long one attempt may take.
    pub connect_timeout: Duration,
    /// How a dead peer is found out.
    pub liveness: Liveness,
    /// TLS; without it, what is exchanged can be read on the network.
    pub tls: Option<TlsConnectSettings>,
    /// The serial port of the terminal server that is dialled, to be set by RFC 2217.
    pub com_port: Option<LineSettings>,
}

impl TcpConnectSettings {
    /// Ten seconds for an attempt, in clear.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            connect_timeout: Duration::from_secs(10),
            liveness: Liveness::DEFAULT,
            tls: None,
            com_port: None,
        }
    }
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialSettings {
    /// The device. A path below `/dev/serial/by-id` is followed anew at each opening, so that a replugged
    /// adapter is found under whatever name it comes back.
    pub device: PathBuf,
    /// How characters go over it.
    pub line: LineSettings,
}

impl SerialSettings {
    /// A port with the usual line.
    pub fn new(device: impl Into<PathBuf>) -> Self {
        Self { device: device.into(), line: LineSettings::default() }
    }
}

/// How characters go over a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits per second.
    pub baud: u32,
    /// Bits of a character.
    pub data_bits: DataBits,
    /// Parity.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: StopBits,
    /// Flow control.
    pub flow: Flow,
}

impl Default for LineSettings {
    /// 9600 bits per second, eight bits, no parity, one stop bit, no flow control.
    fn default() -> Self {
        Self {
            baud: 9600,
            data_bits: DataBits::Eight,
            parity: Parity::None,
            stop_bits: StopBits::One,
            flow: Flow::None,
        }
    }
}

/// Bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataBits {
    /// Seven.
    Seven,
    /// Eight.
    Eight,
}

/// Parity of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// Stop bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopBits {
    /// One.
    One,
    /// Two.
    Two,
}

/// Flow control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// None.
    None,
    /// XON and XOFF. They are then no data: text that contains 0x11 or 0x13 does not pass.
    Software,
    /// RTS and CTS.
    Hardware,
}

/// A word or number that is none of the known ones; its text lists those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName(&'static str);

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl Error for UnknownName {}

impl FromStr for Parity {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "none" => Ok(Self::None),
            "even" => Ok(Self::Even),
            "odd" => Ok(Self::Odd),
            _ => Err(UnknownName("`none`, `even` or `odd`")),
        }
    }
}

impl FromStr for Flow {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "none" => Ok(Self::None),
            "software" => Ok(Self::Software),
            "hardware" => Ok(Self::Hardware),
            _ => Err(UnknownName("`none`, `software` (XON/XOFF) or `hardware` (RTS/CTS)")),
        }
    }
}

impl TryFrom<u8> for DataBits {
    type Error = UnknownName;

    fn try_from(bits: u8) -> Result<Self, UnknownName> {
        match bits {
            7 => Ok(Self::Seven),
            8 => Ok(Self::Eight),
            _ => Err(UnknownName("7 or 8")),
        }
    }
}

impl TryFrom<u8> for StopBits {
    type Error = UnknownName;

    fn try_from(bits: u8) -> Result<Self, UnknownName> {
        match bits {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err(UnknownName("1 or 2")),
        }
    }
}
