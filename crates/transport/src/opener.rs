//! Lines that this side opens: dialled or plugged in, and opened again whenever they are lost.

use core::time::Duration;
use std::io;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::connection::{Connection, Peer};
use crate::endpoint::{SerialSettings, TcpConnectSettings};
use crate::serial::SerialWire;
use crate::tcp;
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
}

/// Opens one line for ever.
#[derive(Debug)]
pub struct Opener {
    target: Target,
    backoff: Backoff,
    opened: Option<Instant>,
    attempt: u32,
}

#[derive(Debug)]
enum Target {
    Tcp(TcpConnectSettings),
    Serial(SerialSettings),
}

impl Opener {
    /// Dials an analyzer.
    pub const fn tcp(settings: TcpConnectSettings, backoff: Backoff) -> Self {
        Self { target: Target::Tcp(settings), backoff, opened: None, attempt: 0 }
    }

    /// Opens a serial port.
    pub const fn serial(settings: SerialSettings, backoff: Backoff) -> Self {
        Self { target: Target::Serial(settings), backoff, opened: None, attempt: 0 }
    }

    /// Where to, for reports.
    pub fn target(&self) -> String {
        match &self.target {
            Target::Tcp(settings) => settings.address.clone(),
            Target::Serial(settings) => settings.device.display().to_string(),
        }
    }

    /// Opens the line, however long it takes; `failed` hears of every failure. Called again it opens the
    /// line anew, after a pause where the one before did not hold for long.
    pub async fn open(&mut self, mut failed: impl FnMut(&Failure)) -> Connection {
        if let Some(opened) = self.opened.take() {
            if opened.elapsed() >= STABLE {
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
                    return connection;
                }
                Err(error) => {
                    self.attempt = self.attempt.saturating_add(1);
                    let failure = Failure { attempt: self.attempt, error, pause: self.backoff.pause() };
                    failed(&failure);
                    tokio::time::sleep(failure.pause).await;
                }
            }
        }
    }

    async fn attempt(&self) -> io::Result<Connection> {
        match &self.target {
            Target::Tcp(settings) => tcp::connect(settings).await,
            Target::Serial(settings) => {
                let wire = SerialWire::open(settings)?;
                Ok(Connection::new(Wire::Serial(wire), Peer::Device(settings.device.clone())))
            }
        }
    }
}
