//! A test bench for wires: one running daemon with many connections, and analyzers that a test plays
//! by hand, byte for byte, over real TCP and over pseudo-terminals.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

#[path = "bench/analyzer.rs"]
mod analyzer;

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use labwire_link::{UnitEnd, write_frame};
use labwire_testkit::{control_names, from_control_names};
use labwire_transport::PseudoTerminal;
use tokio::runtime::Runtime;

pub(crate) use analyzer::{Analyzer, Books};

use crate::support::{Daemon, Site, eventually, free_address, http_get};

/// Connections of each kind; a test takes one for itself.
const CONNECTIONS: usize = 52;

/// A line that a test can have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// LIS01 frames over TCP, by the default profile.
    Tcp,
    /// The same over a pseudo-terminal.
    Serial,
    /// LIS01 over TCP where frame numbers may begin anywhere.
    Restarting,
    /// LIS01 over TCP to the letter.
    Strict,
    /// HL7 in MLLP blocks over TCP.
    Blocks,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Tcp, Self::Serial, Self::Restarting, Self::Strict, Self::Blocks];

    fn driver(self) -> &'static str {
        match self {
            Self::Tcp | Self::Serial => "bench/frames",
            Self::Restarting => "bench/restarting",
            Self::Strict => "bench/strict",
            Self::Blocks => "bench/blocks",
        }
    }

    fn connections(self) -> usize {
        match self {
            Self::Tcp | Self::Serial => CONNECTIONS,
            Self::Restarting | Self::Strict => 4,
            Self::Blocks => 16,
        }
    }
}

struct Place {
    connection: String,
    at: At,
}

enum At {
    Address(SocketAddr),
    /// Name under which the daemon finds the serial line, as `/dev/serial/by-id` gives one. The line
    /// is there from the beginning: a daemon that has missed one for long looks for it less often.
    Device(PathBuf, Option<PseudoTerminal>),
}

/// A site with a running daemon. It ends with the last test that uses it.
pub(crate) struct Bench {
    // Dropped before the directory that it works in.
    daemon: Mutex<Option<Daemon>>,
    pub(crate) site: Site,
    free: Mutex<BTreeMap<Kind, Vec<Place>>>,
    runtime: Runtime,
}

static SHARED: Mutex<Weak<Bench>> = Mutex::new(Weak::new());

/// An analyzer on a line of its own at the bench that all tests of this file share.
pub(crate) fn analyzer(kind: Kind) -> Analyzer {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = shared.upgrade().unwrap_or_else(|| {
        let bench = Arc::new(Bench::start(Kind::connections));
        *shared = Arc::downgrade(&bench);
        bench
    });
    drop(shared);
    bench.analyzer(kind)
}

impl Bench {
    /// A bench of its own, with so many connections of each kind.
    pub(crate) fn start(connections: impl Fn(Kind) -> usize) -> Self {
        let mut site = Site::new();
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/bench/drivers");
        site.extra(&format!("[drivers]\ndirectory = \"{}\"\n", profiles.display()));
        site.extra("\n[capture]\nenabled = false\n");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut free = BTreeMap::new();
        for kind in Kind::ALL {
            for number in 1..=connections(kind) {
                let connection = format!("{kind:?}-{number}").to_lowercase();
                let at = if kind == Kind::Serial {
                    let device = site.path(&connection);
                    let endpoint = format!("serial = {{ device = \"{}\", baud = 9600 }}", device.display());
                    site.connection(&connection, kind.driver(), &endpoint);
                    let terminal = open_terminal(&runtime, &device);
                    At::Device(device, Some(terminal))
                } else {
                    let address = free_address();
                    site.connection(&connection, kind.driver(), &format!("tcp.listen = \"{address}\""));
                    At::Address(address)
                };
                free.entry(kind).or_insert_with(Vec::new).push(Place { connection, at });
            }
        }
        let daemon = Mutex::new(Some(site.start()));
        Self { daemon, site, free: Mutex::new(free), runtime }
    }

    pub(crate) fn analyzer(self: &Arc<Self>, kind: Kind) -> Analyzer {
        let place = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&kind)
            .and_then(Vec::pop)
            .unwrap_or_else(|| panic!("no {kind:?} connection is left on the bench"));
        Analyzer::new(Arc::clone(self), place)
    }

    /// Kills the daemon and starts it again.
    pub(crate) fn kill_and_restart(&self) {
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = daemon.take() {
            running.kill();
        }
        *daemon = Some(self.site.start());
    }

    /// Stops the daemon as a service manager does, and starts it again.
    pub(crate) fn restart(&self) {
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = daemon.take() {
            assert_eq!(running.stop(), Some(0));
        }
        *daemon = Some(self.site.start());
    }

    fn metrics(&self) -> String {
        eventually("an answer from /metrics", || http_get(self.site.admin, "/metrics"))
    }
}

fn open_terminal(runtime: &Runtime, device: &Path) -> PseudoTerminal {
    let terminal = runtime.block_on(async { PseudoTerminal::open() }).unwrap();
    symlink(terminal.path(), device).unwrap();
    terminal
}

/// A frame as it goes over the wire, control characters by name.
pub(crate) fn frame(number: u8, text: &str, end: UnitEnd) -> String {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, number, &from_control_names(text), end);
    control_names(&bytes)
}

/// A record in an end frame of its own.
pub(crate) fn record_frame(number: u8, record: &str) -> String {
    frame(number, &format!("{record}<CR>"), UnitEnd::End)
}

/// Records in end frames of their own, numbered from 1.
pub(crate) fn record_frames(records: &[&str]) -> Vec<String> {
    (1..).zip(records).map(|(number, record)| record_frame(number % 8, record)).collect()
}

/// Positive replies.
pub(crate) fn acks(count: usize) -> String {
    "<ACK>".repeat(count)
}

/// An HL7 message in its block.
pub(crate) fn block(segments: &[&str]) -> String {
    let mut text = "<VT>".to_owned();
    for segment in segments {
        // Writing to a String cannot fail.
        let _ = write!(text, "{segment}<CR>");
    }
    text + "<FS><CR>"
}
