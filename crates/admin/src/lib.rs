//! What the daemon serves to people and machines beside it: `/metrics`, `/live` and `/ready` over HTTP,
//! and commands over a Unix socket.
//!
//! Both servers are handed what they show ([`http::AdminSource`], [`control::Handler`]); neither knows
//! the engine, and neither can reach the spool. Until access control exists, HTTP serves these three
//! pages and nothing else: none of them holds patient data.

#![forbid(unsafe_code)]

pub mod control;
pub mod http;

/// A limit that a client ran into, for the metric that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// [`http::HttpLimits::connections_max`]
    HttpConnections,
    /// [`http::HttpLimits::header_timeout`]
    HttpHeaderTime,
    /// [`http::HttpLimits::header_bytes_max`]
    HttpHeaderBytes,
    /// [`http::HttpLimits::connection_timeout`]
    HttpConnectionTime,
    /// [`control::ControlLimits::clients_max`]
    ControlClients,
    /// [`control::ControlLimits::request_bytes_max`]
    ControlRequestBytes,
    /// [`control::ControlLimits::idle_timeout`]
    ControlIdleTime,
    /// [`control::ControlLimits::write_timeout`]
    ControlWriteTime,
    /// [`control::LINE_BYTES_MAX`], by a line of an answer
    ControlLineBytes,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::HttpConnections,
        Self::HttpHeaderTime,
        Self::HttpHeaderBytes,
        Self::HttpConnectionTime,
        Self::ControlClients,
        Self::ControlRequestBytes,
        Self::ControlIdleTime,
        Self::ControlWriteTime,
        Self::ControlLineBytes,
    ];

    /// Its name as a metric's label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpConnections => "http-connections",
            Self::HttpHeaderTime => "http-header-time",
            Self::HttpHeaderBytes => "http-header-bytes",
            Self::HttpConnectionTime => "http-connection-time",
            Self::ControlClients => "control-clients",
            Self::ControlRequestBytes => "control-request-bytes",
            Self::ControlIdleTime => "control-idle-time",
            Self::ControlWriteTime => "control-write-time",
            Self::ControlLineBytes => "control-line-bytes",
        }
    }
}
