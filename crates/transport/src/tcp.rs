//! TCP in both directions, with the options that make a dead analyzer visible.

use core::time::Duration;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::connection::{Connection, Peer};
use crate::endpoint::{TcpConnectSettings, TcpListenSettings};
use crate::wire::Wire;

/// Silence after which the first probe is sent.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes after which the peer is gone.
const KEEPALIVE_PROBES: u32 = 6;
/// Time that sent bytes may stay unacknowledged, or a window closed. It also cuts the probing short: with it
/// Linux gives an idle peer up at the second unanswered probe.
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that wait for `accept`.
const BACKLOG: u32 = 128;
/// Pause after `accept` found no descriptor or memory, so that the loop around it cannot spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// Why a caller was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its address is in none of the allowed networks.
    NotAllowed,
    /// All places are taken.
    Full {
        /// The number of places.
        connections_max: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("its address is not in `allow`"),
            Self::Full { connections_max } => write!(f, "all {connections_max} connections are taken"),
        }
    }
}

/// Somebody dialled in.
#[derive(Debug)]
pub enum Arrival {
    /// An analyzer.
    Connection(Connection),
    /// A caller that was turned away; its connection is closed.
    Refused {
        /// Its address.
        peer: SocketAddr,
        /// The reason.
        refusal: Refusal,
    },
}

/// A port on which analyzers dial in.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    settings: TcpListenSettings,
    places: Arc<Semaphore>,
}

impl Listener {
    /// Binds the port.
    ///
    /// # Errors
    /// The address is in use, not ours, or not permitted.
    pub fn bind(settings: TcpListenSettings) -> io::Result<Self> {
        let socket = if settings.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of the process before us may still be in TIME_WAIT; a restart must not wait for them.
        socket.set_reuseaddr(true)?;
        socket.bind(settings.address)?;
        Ok(Self::around(socket.listen(BACKLOG)?, settings))
    }

    /// Takes a listening socket that systemd has bound.
    ///
    /// # Errors
    /// The socket cannot be used without blocking.
    pub fn from_std(listener: std::net::TcpListener, settings: TcpListenSettings) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::around(TcpListener::from_std(listener)?, settings))
    }

    fn around(listener: TcpListener, settings: TcpListenSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.connections_max.min(Semaphore::MAX_PERMITS)));
        Self { listener, settings, places }
    }

    /// The address, with the port that the system chose where port 0 was asked for.
    ///
    /// # Errors
    /// What the system reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.settings.connections_max.saturating_sub(self.places.available_permits())
    }

    /// Waits for the next caller. Giving up the wait loses nobody.
    ///
    /// # Errors
    /// The process is out of descriptors or memory; the error comes after a pause, and the next call may
    /// succeed.
    pub async fn accept(&self) -> io::Result<Arrival> {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                // The caller was gone before it was its turn.
                Err(error) if is_callers_own(&error) => continue,
                Err(error) => {
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    return Err(error);
                }
            };
            let allow = &self.settings.allow;
            if !allow.is_empty() && !allow.iter().any(|network| network.contains(peer.ip())) {
                return Ok(Arrival::Refused { peer, refusal: Refusal::NotAllowed });
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                let refusal = Refusal::Full { connections_max: self.settings.connections_max };
                return Ok(Arrival::Refused { peer, refusal });
            };
            if prepare(&stream).is_err() {
                continue;
            }
            return Ok(Arrival::Connection(Connection::new(stream, Peer::Address(peer)).with_place(place)));
        }
    }
}

fn is_callers_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Dials once. The name is looked up each time, and each of its addresses tried.
///
/// # Errors
/// The last address's refusal, a lookup that found nothing, or the time-out.
pub async fn connect(settings: &TcpConnectSettings) -> io::Result<Connection> {
    let attempt = async {
        let mut last = None;
        for address in tokio::net::lookup_host(&settings.address).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    prepare(&stream)?;
                    return Ok(Connection::new(Wire::Tcp(stream), Peer::Address(address)));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
    };
    match tokio::time::timeout(settings.connect_timeout, attempt).await {
        Ok(result) => result,
        Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection attempt")),
    }
}

/// Acknowledgements are single bytes that must not wait for company, and analyzers are switched off at the wall.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_are_kept_alive_and_send_at_once() {
        let listener = Listener::bind(TcpListenSettings::new("127.0.0.1:0".parse().unwrap())).unwrap();
        let settings = TcpConnectSettings::new(listener.local_addr().unwrap().to_string());
        let (dialled, accepted) = tokio::join!(connect(&settings), listener.accept());
        let Ok(Arrival::Connection(accepted)) = accepted else { panic!("{accepted:?}") };
        for connection in [dialled.unwrap(), accepted] {
            let Wire::Tcp(stream) = connection.wire_ref() else { panic!("not TCP") };
            let socket = SockRef::from(stream);
            assert!(stream.nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 6);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
        }
    }
}
