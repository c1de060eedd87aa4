//! A simulated analyzer on a real line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use labwire_simulate::{Event, Input, Simulator};
use labwire_transport::{Connection, Peer, SerialSettings, SerialWire, TcpConnectSettings, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::exit::{Exit, Failure};

/// How a simulated analyzer's line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has sent all that it was asked to, and all of it is acknowledged.
    Finished,
    /// The line went away, from either side; the analyzer goes on with the next one.
    LineGone,
}

/// Opens the line to a host: `ADDRESS:PORT`, or the path of a serial device.
pub(crate) async fn connect(to: &str) -> Result<Connection, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{to}: {error}"));
    if to.starts_with('/') {
        let settings = SerialSettings::new(to);
        let wire = SerialWire::open(&settings).map_err(|error| failed(&error))?;
        return Ok(Connection::new(Wire::Serial(wire), Peer::Device(PathBuf::from(to))));
    }
    if !to.contains(':') {
        let told = format!("`{to}` is neither ADDRESS:PORT nor the path of a serial device");
        return Err(Failure::new(Exit::Usage, told));
    }
    labwire_transport::connect(&TcpConnectSettings::new(to)).await.map_err(|error| failed(&error))
}

/// Lets an analyzer live on a line. `origin` is the zero of its clock, the same for all its lines.
pub(crate) async fn live(
    simulator: &mut Simulator,
    wire: &mut Connection,
    origin: Instant,
    mut told: impl FnMut(Event),
) -> Ended {
    let mut buffer = [0; 4096];
    let mut step = simulator.step(origin.elapsed(), Input::Opened);
    loop {
        // Before anything is waited for: who stops waiting must have heard what the simulator knows.
        let mut ended = None;
        for event in core::mem::take(&mut step.events) {
            match event {
                Event::Finished => ended = Some(Ended::Finished),
                Event::Disconnect => ended = Some(Ended::LineGone),
                _ => {}
            }
            told(event);
        }
        for bytes in core::mem::take(&mut step.writes) {
            if wire.write_all(&bytes).await.is_err() {
                return gone(simulator, origin, &mut told);
            }
        }
        if let Some(ended) = ended {
            // What was written must reach the host before the line goes.
            let _ = wire.flush().await;
            return ended;
        }
        let wake = step.deadline.map_or_else(|| Instant::now() + Duration::from_secs(3600), |at| origin + at);
        step = tokio::select! {
            read = wire.read(&mut buffer) => match read {
                Ok(0) => return gone(simulator, origin, &mut told),
                Ok(count) => simulator.step(origin.elapsed(), Input::Bytes(&buffer[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    simulator.step(origin.elapsed(), Input::Deadline)
                }
                Err(_) => return gone(simulator, origin, &mut told),
            },
            () = sleep_until(wake) => simulator.step(origin.elapsed(), Input::Deadline),
        };
    }
}

fn gone(simulator: &mut Simulator, origin: Instant, told: &mut impl FnMut(Event)) -> Ended {
    let step = simulator.step(origin.elapsed(), Input::Closed);
    for event in step.events {
        told(event);
    }
    Ended::LineGone
}
