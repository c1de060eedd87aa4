//! TCP in both directions, with the options that make a dead analyzer visible.

use core::time::Duration;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::com_port::ComPortWire;
use crate::connection::{Connection, Peer};
use crate::endpoint::{Liveness, TcpConnectSettings, TcpListenSettings};
use crate::places::Places;
use crate::rate::ConnectRate;
use crate::tls::{self, Certificates, Material, TlsConnectSettings, TlsError, TlsFault, TlsListenSettings};
use crate::wire::Wire;

/// Connections that wait for `accept`.
const BACKLOG: u32 = 128;
/// Pause after `accept` found no descriptor or memory, so that the loop around it cannot spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(250);

/// Why a caller was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its address is in none of the allowed networks.
    NotAllowed,
    /// It dials too often.
    TooOften {
        /// Connects that one source may make a minute.
        connects_per_minute_max: u32,
    },
    /// All places are taken.
    Full {
        /// The number of places.
        connections_max: usize,
    },
    /// All places for handshakes are taken.
    HandshakesFull {
        /// The number of places.
        handshakes_max: usize,
    },
    /// Its handshake failed.
    Tls(TlsFault),
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::TooOften { .. } => "connects-per-minute",
            Self::Full { .. } => "connections-max",
            Self::HandshakesFull { .. } => "handshakes-max",
            Self::Tls(fault) => fault.code(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("its address is not in `allow`"),
            Self::TooOften { connects_per_minute_max } => {
                write!(f, "it connects more than {connects_per_minute_max} times a minute")
            }
            Self::Full { connections_max } => write!(f, "all {connections_max} connections are taken"),
            Self::HandshakesFull { handshakes_max } => {
                write!(f, "{handshakes_max} other handshakes are under way")
            }
            Self::Tls(fault) => fault.fmt(f),
        }
    }
}

/// Somebody dialled in.
#[derive(Debug)]
pub enum Arrival {
    /// An analyzer, in clear.
    Connection(Connection),
    /// Somebody who has a handshake before them. To be completed beside the next `accept`: it takes as
    /// long as its caller likes, up to its time-out.
    Handshake(Handshake),
    /// A caller that was turned away; its connection is closed.
    Refused {
        /// Its address.
        peer: SocketAddr,
        /// The reason.
        refusal: Refusal,
    },
}

/// A caller on its way to be an analyzer.
#[derive(Debug)]
pub struct Handshake {
    stream: TcpStream,
    peer: SocketAddr,
    material: Arc<Material<TlsListenSettings>>,
    places: Arc<Places>,
    connections_max: usize,
    _turn: OwnedSemaphorePermit,
}

impl Handshake {
    /// The caller's address.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Goes through with it. Nothing that the caller sends before its end is read as data.
    ///
    /// # Errors
    /// Why the caller is turned away; its connection is closed.
    pub async fn complete(self) -> Result<Connection, Refusal> {
        let stream = tls::accept(&self.material, self.stream).await.map_err(Refusal::Tls)?;
        let Some(place) = self.places.take(self.peer.ip(), Instant::now()) else {
            return Err(Refusal::Full { connections_max: self.connections_max });
        };
        Ok(Connection::new(stream, Peer::Address(self.peer)).with_place(place))
    }
}

/// A port on which analyzers dial in.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    settings: TcpListenSettings,
    places: Arc<Places>,
    rate: Mutex<ConnectRate>,
    tls: Option<Secured>,
}

#[derive(Debug)]
struct Secured {
    material: Arc<Material<TlsListenSettings>>,
    turns: Arc<Semaphore>,
}

impl Listener {
    /// Binds the port.
    ///
    /// # Errors
    /// The address is in use, not ours, or not permitted; or a [`TlsError`] as `InvalidInput`.
    pub fn bind(settings: TcpListenSettings) -> io::Result<Self> {
        let socket = if settings.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Connections of the process before us may still be in TIME_WAIT; a restart must not wait for them.
        socket.set_reuseaddr(true)?;
        socket.bind(settings.address)?;
        Self::around(socket.listen(BACKLOG)?, settings)
    }

    /// Takes a listening socket that systemd has bound.
    ///
    /// # Errors
    /// The socket cannot be used without blocking; or a [`TlsError`] as `InvalidInput`.
    pub fn from_std(listener: std::net::TcpListener, settings: TcpListenSettings) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::around(TcpListener::from_std(listener)?, settings)
    }

    fn around(listener: TcpListener, settings: TcpListenSettings) -> io::Result<Self> {
        let places = Places::new(settings.connections_max, settings.when_full, settings.replaceable_after);
        let rate = Mutex::new(ConnectRate::new(settings.connects_per_minute_max, Instant::now()));
        let tls = settings.tls.clone().map(Secured::load).transpose()?;
        Ok(Self { listener, settings, places, rate, tls })
    }

    /// The address, with the port that the system chose where port 0 was asked for.
    ///
    /// # Errors
    /// What the system reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A second handle to the listening socket, to serve it under other settings later. Callers wait in
    /// the system's queue while nobody accepts.
    ///
    /// # Errors
    /// The process is out of descriptors.
    pub fn socket(&self) -> io::Result<std::net::TcpListener> {
        Ok(self.listener.as_fd().try_clone_to_owned()?.into())
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.places.taken()
    }

    /// The certificates, where there is TLS.
    pub fn certificates(&self) -> Option<Arc<dyn Certificates>> {
        self.tls.as_ref().map(|tls| Arc::clone(&tls.material) as Arc<dyn Certificates>)
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
            if prepare(&stream, &self.settings.liveness).is_err() {
                continue;
            }
            return Ok(match self.admit(stream, peer) {
                Ok(arrival) => arrival,
                Err(refusal) => Arrival::Refused { peer, refusal },
            });
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Result<Arrival, Refusal> {
        let allow = &self.settings.allow;
        if !allow.is_empty() && !allow.iter().any(|network| network.contains(peer.ip())) {
            return Err(Refusal::NotAllowed);
        }
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if !rate.admits(peer.ip(), Instant::now()) {
            let connects_per_minute_max = self.settings.connects_per_minute_max;
            return Err(Refusal::TooOften { connects_per_minute_max });
        }
        drop(rate);
        let connections_max = self.settings.connections_max;
        let Some(tls) = &self.tls else {
            let Some(place) = self.places.take(peer.ip(), Instant::now()) else {
                return Err(Refusal::Full { connections_max });
            };
            return Ok(Arrival::Connection(Connection::new(stream, Peer::Address(peer)).with_place(place)));
        };
        let Ok(turn) = Arc::clone(&tls.turns).try_acquire_owned() else {
            return Err(Refusal::HandshakesFull { handshakes_max: tls.material.settings().handshakes_max });
        };
        Ok(Arrival::Handshake(Handshake {
            stream,
            peer,
            material: Arc::clone(&tls.material),
            places: Arc::clone(&self.places),
            connections_max,
            _turn: turn,
        }))
    }
}

impl Secured {
    fn load(settings: TlsListenSettings) -> Result<Self, TlsError> {
        let turns = Arc::new(Semaphore::new(settings.handshakes_max.min(Semaphore::MAX_PERMITS)));
        let material = Material::new(settings);
        material.config()?;
        Ok(Self { material: Arc::new(material), turns })
    }
}

fn is_callers_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// What is needed to dial one analyzer.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) settings: TcpConnectSettings,
    pub(crate) tls: Option<Arc<Material<TlsConnectSettings>>>,
}

impl Dialler {
    pub(crate) fn new(settings: TcpConnectSettings) -> Self {
        let tls = settings.tls.clone().map(|tls| Arc::new(Material::new(tls)));
        Self { settings, tls }
    }

    /// Dials once. The name is looked up each time, and each of its addresses tried.
    pub(crate) async fn dial(&self) -> io::Result<Connection> {
        if let Some(material) = &self.tls {
            material.config()?;
        }
        let attempt = async {
            let mut last = None;
            for address in tokio::net::lookup_host(&self.settings.address).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok((stream, address)),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
        };
        let (stream, address) = match tokio::time::timeout(self.settings.connect_timeout, attempt).await {
            Ok(result) => result?,
            Err(_elapsed) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection attempt"));
            }
        };
        prepare(&stream, &self.settings.liveness)?;
        let wire = match &self.tls {
            None => Wire::Tcp(stream),
            Some(material) => tls::connect(material, stream).await?.into(),
        };
        let wire = match self.settings.com_port {
            None => wire,
            Some(line) => ComPortWire::negotiate(wire, line, self.settings.connect_timeout).await?.into(),
        };
        Ok(Connection::new(wire, Peer::Address(address)))
    }
}

/// Dials once.
///
/// # Errors
/// The last address's refusal, a lookup that found nothing, the time-out, what is wrong with TLS on
/// either side, or a [`crate::ComPortError`].
pub async fn connect(settings: &TcpConnectSettings) -> io::Result<Connection> {
    Dialler::new(settings.clone()).dial().await
}

/// Acknowledgements are single bytes that must not wait for company, and analyzers are switched off at the wall.
fn prepare(stream: &TcpStream, liveness: &Liveness) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(liveness.keepalive_idle)
        .with_interval(liveness.keepalive_interval)
        .with_retries(liveness.keepalive_probes);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(liveness.user_timeout))
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
