//! What one side's files say, read again when they change.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::config::{self, Loaded};
use super::files::Stamp;
use super::{TlsConnectSettings, TlsError, TlsFault, TlsListenSettings};

/// What looking at the files again came to.
#[derive(Debug)]
pub enum Refresh {
    /// The files are the same.
    Unchanged,
    /// They have changed, and handshakes from here on use them.
    Replaced,
    /// They have changed and cannot be used. What was read before stays in use.
    Kept(TlsError),
}

/// Certificates that are in use and may be replaced on disk.
pub trait Certificates: Send + Sync + fmt::Debug {
    /// Reads the files again if they have changed. Blocks for as long as the file system does.
    fn refresh(&self) -> Refresh;
    /// When the first certificate of this side's chain ends; nothing where it shows none.
    fn not_after(&self) -> Option<Timestamp>;
}

/// One side's settings, and how its files become a configuration.
pub(crate) trait Role: fmt::Debug + Send + Sync {
    /// What the TLS library wants.
    type Config: Send + Sync;
    fn load(&self) -> Result<Loaded<Self::Config>, TlsError>;
    fn stamp(&self) -> Stamp;
}

impl Role for TlsListenSettings {
    type Config = ServerConfig;

    fn load(&self) -> Result<Loaded<ServerConfig>, TlsError> {
        config::server(self)
    }

    fn stamp(&self) -> Stamp {
        let ca = self.clients.as_ref().map(|clients| clients.ca.as_path());
        let certificates = [self.identity.certificate.as_path()].into_iter().chain(ca);
        Stamp::of(certificates, Some(&self.identity.key))
    }
}

impl Role for TlsConnectSettings {
    type Config = ClientConfig;

    fn load(&self) -> Result<Loaded<ClientConfig>, TlsError> {
        config::client(self)
    }

    fn stamp(&self) -> Stamp {
        let own = self.identity.as_ref().map(|own| own.certificate.as_path());
        let certificates = [self.ca.as_path()].into_iter().chain(own);
        Stamp::of(certificates, self.identity.as_ref().map(|own| &own.key))
    }
}

/// What the files of one side said when they were last right.
pub(crate) struct Material<R: Role> {
    role: R,
    current: Mutex<Current<R::Config>>,
    replaced: Notify,
}

struct Current<C> {
    loaded: Result<Loaded<C>, TlsError>,
    /// Of the files that were looked at last, whether they could be used or not.
    stamp: Stamp,
}

impl<R: Role> Material<R> {
    /// Reads the files. What is wrong with them is said by whoever needs them.
    pub(crate) fn new(role: R) -> Self {
        // Before reading: a file that changes in between is read again at the next look.
        let stamp = role.stamp();
        let loaded = role.load();
        Self { role, current: Mutex::new(Current { loaded, stamp }), replaced: Notify::new() }
    }

    pub(crate) const fn settings(&self) -> &R {
        &self.role
    }

    pub(crate) fn config(&self) -> Result<Arc<R::Config>, TlsError> {
        self.current().loaded.as_ref().map(|loaded| Arc::clone(&loaded.config)).map_err(Clone::clone)
    }

    /// Waits until the files have been replaced by others that can be used.
    pub(crate) async fn replaced(&self) {
        self.replaced.notified().await;
    }

    fn current(&self) -> MutexGuard<'_, Current<R::Config>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Role> fmt::Debug for Material<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("role", &self.role).finish_non_exhaustive()
    }
}

impl<R: Role> Certificates for Material<R> {
    fn refresh(&self) -> Refresh {
        let stamp = self.role.stamp();
        if self.current().stamp == stamp {
            return Refresh::Unchanged;
        }
        let loaded = self.role.load();
        let mut current = self.current();
        current.stamp = stamp;
        match loaded {
            Ok(loaded) => {
                current.loaded = Ok(loaded);
                drop(current);
                self.replaced.notify_waiters();
                Refresh::Replaced
            }
            Err(error) => Refresh::Kept(error),
        }
    }

    fn not_after(&self) -> Option<Timestamp> {
        self.current().loaded.as_ref().ok()?.not_after
    }
}

/// The listening side's handshake.
pub(crate) async fn accept(
    material: &Material<TlsListenSettings>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, TlsFault> {
    let Ok(config) = material.config() else { return Err(TlsFault::Protocol) };
    let handshake = TlsAcceptor::from(config).accept(stream);
    match tokio::time::timeout(material.settings().handshake_timeout, handshake).await {
        Ok(Ok(stream)) => Ok(stream.into()),
        Ok(Err(error)) => Err(TlsFault::of_handshake(&error)),
        Err(_elapsed) => Err(TlsFault::Timeout),
    }
}

/// The dialling side's handshake.
pub(crate) async fn connect(
    material: &Material<TlsConnectSettings>,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let settings = material.settings();
    let name = config::server_name(&settings.server_name)?;
    let handshake = TlsConnector::from(material.config()?).connect(name, stream);
    match tokio::time::timeout(settings.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => Ok(stream.into()),
        Ok(Err(error)) => Err(TlsFault::of_handshake(&error).into()),
        Err(_elapsed) => Err(TlsFault::Timeout.into()),
    }
}
