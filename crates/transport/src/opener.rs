//! Lines that this side opens: dialled or plugged in, and opened again whenever they are lost.

use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::com_port::ComPortError;
use crate::connection::{Connection, Peer};
use crate::endpoint::{SerialSettings, TcpConnectSettings};
use crate::serial::SerialWire;
use crate::tcp::Dialler;
use crate::tls::{Certificates, TlsError, TlsFault};
use crate::wire::Wire;

/// How long a line must have held for the next pause to be the first one again. A peer that accepts and
/// closes at once would otherwise be dialled without any pause.
const STABLE: Duration = Duration::from_secs(10);

/// An attempt that failed.
#[derive(Debug)]
pub struct Failure {
    /// Failures since the line was last open, this one included.
    pub attempt: u32,
    /// The reason.
    pub error: io::Error,
    /// The pause before the next attempt.
    pub pause: Duration,
    /// Whether only a person can mend it: a certificate, a key, a name, a terminal server's settings. Other
    /// certificates on disk end the pause.
    pub is_configuration: bool,
}

/// Opens one line for ever.
#[derive(Debug)]
pub struct Opener {
    target: Target,
    backoff: Backoff,
    opened: Option<Instant>,
    attempt: u32,
    /// Whether the line that was open last ended because the peer refused us.
    refused: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Target {
    Tcp(Box<Dialler>),
    Serial(SerialSettings),
}

impl Opener {
    /// Dials an analyzer.
    pub fn tcp(settings: TcpConnectSettings, backoff: Backoff) -> Self {
        Self::new(Target::Tcp(Box::new(Dialler::new(settings))), backoff)
    }

    /// Opens a serial port.
    pub fn serial(settings: SerialSettings, backoff: Backoff) -> Self {
        Self::new(Target::Serial(settings), backoff)
    }

    fn new(target: Target, backoff: Backoff) -> Self {
        Self { target, backoff, opened: None, attempt: 0, refused: Arc::default() }
    }

    /// The certificates, where there is TLS.
    pub fn certificates(&self) -> Option<Arc<dyn Certificates>> {
        match &self.target {
            Target::Tcp(dialler) => {
                dialler.tls.as_ref().map(|material| Arc::clone(material) as Arc<dyn Certificates>)
            }
            Target::Serial(_) => None,
        }
    }

    /// Where to, for reports.
    pub fn target(&self) -> String {
        match &self.target {
            Target::Tcp(dialler) => dialler.settings.address.clone(),
            Target::Serial(settings) => settings.device.display().to_string(),
        }
    }

    /// Opens the line, however long it takes; `failed` hears of every failure. Called again it opens the
    /// line anew, after a pause where the one before did not hold for long.
    pub async fn open(&mut self, mut failed: impl FnMut(&Failure)) -> Connection {
        if let Some(opened) = self.opened.take() {
            if self.refused.swap(false, Ordering::Relaxed) {
                self.fail(TlsFault::RefusedByPeer.into(), &mut failed).await;
            } else if opened.elapsed() >= STABLE {
                self.backoff.reset();
            } else {
                tokio::time::sleep(self.backoff.pause()).await;
            }
        }
        loop {
            match self.attempt().await {
                Ok(connection) => {
                    self.opened = Some(Instant::now());
                    self.attempt = 0;
                    return connection.tell_refusal(Arc::clone(&self.refused));
                }
                Err(error) => self.fail(error, &mut failed).await,
            }
        }
    }

    async fn fail(&mut self, error: io::Error, failed: &mut impl FnMut(&Failure)) {
        self.attempt = self.attempt.saturating_add(1);
        let is_configuration = is_configuration(&error);
        let pause = if is_configuration { self.backoff.pause_for_a_person() } else { self.backoff.pause() };
        let failure = Failure { attempt: self.attempt, error, pause, is_configuration };
        failed(&failure);
        let material = match &self.target {
            Target::Tcp(dialler) => dialler.tls.as_ref(),
            Target::Serial(_) => None,
        };
        match material {
            Some(material) => {
                // Other certificates may mend what these could not.
                let _ = tokio::time::timeout(pause, material.replaced()).await;
            }
            None => tokio::time::sleep(pause).await,
        }
    }

    async fn attempt(&self) -> io::Result<Connection> {
        match &self.target {
            Target::Tcp(dialler) => dialler.dial().await,
            Target::Serial(settings) => {
                let wire = SerialWire::open(settings)?;
                Ok(Connection::new(Wire::Serial(wire), Peer::Device(settings.device.clone())))
            }
        }
    }
}

/// Whether only a person can mend it.
fn is_configuration(error: &io::Error) -> bool {
    let is_own = error.get_ref().is_some_and(|inner| {
        inner.is::<TlsError>()
            || inner.downcast_ref().is_some_and(|error: &ComPortError| error.is_configuration())
    });
    is_own || TlsFault::of(error).is_some_and(TlsFault::is_configuration)
}
