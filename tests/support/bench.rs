//! A test bench for wires: one running daemon with many connections, and analyzers that a test plays
//! by hand, byte for byte, over real TCP and over pseudo-terminals.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use labwire_link::{UnitEnd, write_frame};
use labwire_testkit::{control_names, from_control_names};
use labwire_transport::PseudoTerminal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::support::{Daemon, PATIENCE, Site, eventually, http_get};

/// Connections of each kind; a test takes one for itself.
const CONNECTIONS: usize = 52;

const FRAMES: &str = r#"
schema = 1

[analyzer]
vendor = "Bench"
model = "Frames"
kind = "chemistry"
protocol = "lis02"
evidence = "unverified"

[link]
dialect = "lis01"

[message]
volatile = ["H.14"]

[specimen]
id = "O.3"

[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
flags = "R.7"
status = "R.9"
at = "R.13"
comments = "C.4"

[tests]
GLU = { name = "Glucose", unit = "mmol/L", lis = "GLU" }
UREA = { name = "Urea", unit = "mmol/L", lis = "UREA" }
"#;

const RESTARTING: &str = r#"
schema = 1
extends = "bench/frames"

[link]
tolerate = ["missing-crlf", "frame-number-restart"]
"#;

const STRICT: &str = r#"
schema = 1
extends = "bench/frames"

[link]
strict = true
"#;

const BLOCKS: &str = r#"
schema = 1

[analyzer]
vendor = "Bench"
model = "Blocks"
kind = "chemistry"
protocol = "hl7"
evidence = "unverified"

[link]
dialect = "mllp"

[specimen]
id = "OBR-3.1"

[result]
test = "OBX-3.1"
value = "OBX-5"
unit = "OBX-6"
flags = "OBX-8"
status = "OBX-11"
at = "OBX-14"

[tests]
GLU = { name = "Glucose", unit = "mmol/L", lis = "GLU" }
UREA = { name = "Urea", unit = "mmol/L", lis = "UREA" }
"#;

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
        for (name, text) in
            [("frames", FRAMES), ("restarting", RESTARTING), ("strict", STRICT), ("blocks", BLOCKS)]
        {
            let directory = site.path("drivers/bench");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join(format!("{name}.toml")), text).unwrap();
        }
        site.extra(&format!("[drivers]\ndirectory = \"{}\"\n", site.path("drivers").display()));
        site.extra("\n[capture]\nenabled = false\n");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Held together until all are chosen, so that none is given out twice.
        let mut listeners = Vec::new();
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
                    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                    let address = listener.local_addr().unwrap();
                    listeners.push(listener);
                    site.connection(&connection, kind.driver(), &format!("tcp.listen = \"{address}\""));
                    At::Address(address)
                };
                free.entry(kind).or_insert_with(Vec::new).push(Place { connection, at });
            }
        }
        drop(listeners);
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
        let mut analyzer = Analyzer { bench: Arc::clone(self), place, line: None };
        analyzer.plug_in();
        analyzer
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

enum Line {
    Tcp(TcpStream),
    Serial(PseudoTerminal),
}

/// The analyzer's end of a line: says bytes and hears replies, both with control characters by name.
pub(crate) struct Analyzer {
    pub(crate) bench: Arc<Bench>,
    place: Place,
    line: Option<Line>,
}

impl Analyzer {
    pub(crate) fn connection(&self) -> &str {
        &self.place.connection
    }

    /// Opens the line, again if need be, and waits until the daemon has it open.
    pub(crate) fn plug_in(&mut self) {
        let line = match &mut self.place.at {
            At::Address(address) => {
                let stream = TcpStream::connect(*address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                Line::Tcp(stream)
            }
            At::Device(device, terminal) => {
                Line::Serial(terminal.take().unwrap_or_else(|| open_terminal(&self.bench.runtime, device)))
            }
        };
        self.line = Some(line);
        // What is written to a serial line before it is opened is lost there as in the field.
        self.await_metric("labwire_connection_up", 1);
    }

    pub(crate) fn say(&mut self, bytes: &str) {
        self.say_bytes(&from_control_names(bytes));
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        match self.line.as_mut().unwrap() {
            Line::Tcp(stream) => stream.write_all(bytes).unwrap(),
            Line::Serial(terminal) => self.bench.runtime.block_on(terminal.write_all(bytes)).unwrap(),
        }
    }

    /// Says a part, and waits until the daemon has read it, so that what follows is another read.
    pub(crate) fn say_part(&mut self, bytes: &str) {
        let before = self.metric("labwire_received_bytes_total");
        self.say(bytes);
        let count = u64::try_from(from_control_names(bytes).len()).unwrap();
        self.await_metric("labwire_received_bytes_total", before + count);
    }

    /// Reads what there is; `None` when the other side has closed.
    fn read(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        let read = match self.line.as_mut().unwrap() {
            Line::Tcp(stream) => stream.read(&mut buffer),
            Line::Serial(terminal) => {
                let patience = Duration::from_millis(50);
                let read = async { tokio::time::timeout(patience, terminal.read(&mut buffer)).await };
                let read = self.bench.runtime.block_on(read);
                read.unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()))
            }
        };
        match read {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some(buffer)
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Some(Vec::new())
            }
            Err(error) => panic!("{}: {error}", self.place.connection),
        }
    }

    /// Hears exactly this next.
    #[track_caller]
    pub(crate) fn hears(&mut self, expected: &str) {
        let wanted = from_control_names(expected);
        let started = Instant::now();
        let mut heard = Vec::new();
        while heard.len() < wanted.len() {
            match self.read() {
                Some(bytes) => heard.extend(bytes),
                None => break,
            }
            if started.elapsed() > PATIENCE {
                break;
            }
        }
        assert_eq!(control_names(&heard), expected, "replies on {}", self.place.connection);
    }

    /// Says something and hears exactly this for it.
    #[track_caller]
    pub(crate) fn exchange(&mut self, bytes: &str, reply: &str) {
        self.say(bytes);
        self.hears(reply);
    }

    /// Hears one HL7 acknowledgement; time and control id of the reply are the daemon's own.
    #[track_caller]
    pub(crate) fn hears_acknowledgement(&mut self, code: &str, of: &str) {
        let text = self.hear_block();
        assert!(text.ends_with(&format!("<CR>MSA|{code}|{of}<CR><FS><CR>")), "{text}");
    }

    /// Hears one HL7 reply that says what is wrong.
    #[track_caller]
    pub(crate) fn hears_refusal(&mut self, code: &str) {
        let text = self.hear_block();
        assert!(text.contains(&format!("<CR>MSA|{code}|")) && text.contains("<CR>ERR|"), "{text}");
    }

    #[track_caller]
    fn hear_block(&mut self) -> String {
        let started = Instant::now();
        let mut heard = Vec::new();
        // One read may hold more than one reply, so it goes byte by byte.
        while !heard.ends_with(b"\x1c\r") {
            assert!(started.elapsed() < PATIENCE, "heard {} only", control_names(&heard));
            heard.extend(self.read_byte());
        }
        let text = control_names(&heard);
        assert!(text.starts_with("<VT>MSH|^~\\&|LIS|LAB|BENCH|LAB|"), "{text}");
        text
    }

    fn read_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        let Some(Line::Tcp(stream)) = self.line.as_mut() else { panic!("blocks go over TCP") };
        match stream.read(&mut byte) {
            Ok(0) => panic!("{} was closed", self.place.connection),
            Ok(_) => Some(byte[0]),
            Err(_nothing_yet) => None,
        }
    }

    /// Goes away without another word, and has heard nothing more than it was asked for.
    #[track_caller]
    pub(crate) fn hangs_up(&mut self) {
        if let Some(Line::Tcp(stream)) = &self.line {
            stream.shutdown(Shutdown::Write).unwrap();
            self.is_left_by_the_host();
        } else {
            self.line = None;
            let At::Device(device, _) = &self.place.at else { return };
            std::fs::remove_file(device).unwrap();
        }
        self.await_metric("labwire_connection_up", 0);
    }

    /// The host closes the line, without another word.
    #[track_caller]
    pub(crate) fn is_left_by_the_host(&mut self) {
        let started = Instant::now();
        let mut heard = Vec::new();
        while let Some(bytes) = self.read() {
            heard.extend(bytes);
            assert!(started.elapsed() < PATIENCE, "the host keeps the line open");
        }
        assert_eq!(control_names(&heard), "", "replies on {} nobody asked for", self.place.connection);
        self.line = None;
    }

    /// Ends the session and shows that nothing was said but what the test has heard.
    #[track_caller]
    pub(crate) fn ends(&mut self) {
        self.say("<EOT>");
        self.has_heard_all();
    }

    /// Nothing was said but what the test has heard.
    #[track_caller]
    pub(crate) fn has_heard_all(&mut self) {
        if matches!(self.line, Some(Line::Tcp(_))) {
            self.hangs_up();
        } else {
            // A serial line has no end to read up to: a reply that cannot be mistaken stands for it.
            self.exchange("<ENQ><STX>1X<CR><ETX>00<CR><LF><EOT>", "<ACK><NAK>");
            self.await_metric("labwire_sessions_total{eot}", 1);
        }
    }

    /// A number of this connection; `name{label}` picks one value of the second label.
    fn metric(&self, name: &str) -> u64 {
        let (name, label) = name.split_once('{').unwrap_or((name, ""));
        let label = label.trim_end_matches('}');
        self.labelled(name).get(label).copied().unwrap_or(0)
    }

    /// The values of a metric of this connection by their second label, empty where it has none.
    fn labelled(&self, name: &str) -> BTreeMap<String, u64> {
        let begin = format!("{name}{{connection=\"{}\"", self.place.connection);
        let metrics = self.bench.metrics();
        let found = metrics.lines().filter_map(|line| line.strip_prefix(&begin)).map(|rest| {
            let (labels, value) = rest.split_once("} ").unwrap();
            let label = labels.split('"').nth(1).unwrap_or("");
            (label.to_owned(), value.parse().unwrap())
        });
        found.collect()
    }

    #[track_caller]
    fn await_metric(&self, name: &str, at_least: u64) {
        if at_least == 0 {
            return eventually(&format!("{name} of {} to be 0", self.connection()), || {
                (self.metric(name) == 0).then_some(())
            });
        }
        eventually(&format!("{name} of {} to reach {at_least}", self.connection()), || {
            (self.metric(name) >= at_least).then_some(())
        });
    }

    /// The faults that the daemon has counted on this line, as `kind` or `kind*2`, sorted.
    #[track_caller]
    pub(crate) fn is_told(&self, faults: &[&str]) {
        let mut counted = self.labelled("labwire_link_faults_total");
        if let (Some(Line::Serial(_)), Some(count)) = (&self.line, counted.get_mut("checksum-mismatch")) {
            // The frame with which a serial line shows that it has no more to say.
            *count -= 1;
        }
        assert_eq!(told(&counted), faults, "faults on {}", self.connection());
    }

    /// The tolerances that the daemon has counted on this line.
    #[track_caller]
    pub(crate) fn is_forgiven(&self, tolerances: &[&str]) {
        let counted = self.labelled("labwire_link_tolerances_used_total");
        assert_eq!(told(&counted), tolerances, "tolerances on {}", self.connection());
    }

    /// What the LIS database has of this connection, and where its messages stand: both in full.
    #[track_caller]
    pub(crate) fn has_filed(&self, results: &[&str], books: Books) {
        let broke_off = u64::try_from(books.incomplete + books.superseded + books.resumed).unwrap();
        assert_eq!(self.metric("labwire_messages_incomplete_total"), broke_off, "messages that broke off");
        self.has_filed_after_a_crash(results, books);
    }

    /// The same, where the daemon that counted what broke off is no more.
    #[track_caller]
    pub(crate) fn has_filed_after_a_crash(&self, results: &[&str], books: Books) {
        let started = Instant::now();
        loop {
            let found = (self.lis_rows(), self.account());
            let wanted = (results.iter().map(|&result| result.to_owned()).collect(), books.account());
            if found == wanted {
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{}\n found {found:?}\nwanted {wanted:?}",
                self.connection()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lis_rows(&self) -> Vec<String> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let lis = rusqlite::Connection::open_with_flags(self.bench.site.lis(), flags);
        // The daemon listens before it has made the LIS database.
        let Ok(lis) = lis else { return Vec::new() };
        if !lis.table_exists(None, "result").unwrap() {
            return Vec::new();
        }
        lis.busy_timeout(PATIENCE).unwrap();
        let sql = "SELECT coalesce(specimen_id, '-') || ' ' || coalesce(lis_test, '-') || ' ' || coalesce(value, '-')
                     || ' ' || coalesce(unit, '-') || CASE possible_repeat WHEN 1 THEN ' possible repeat' ELSE '' END
                   FROM result WHERE connection = ?1 ORDER BY id";
        let mut query = lis.prepare(sql).unwrap();
        let rows = query.query_map([self.connection()], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// The messages of this connection by where they stand; parts that are 0 are left out.
    fn account(&self) -> BTreeMap<String, i64> {
        let lines = self.bench.site.json(&["ledger", "--check"]);
        let balance = lines.last().unwrap();
        assert!(balance["balances"] == true, "{lines:?}");
        let Some(line) =
            lines.iter().find(|line| line["type"] == "ledger" && line["connection"] == self.connection())
        else {
            return BTreeMap::new();
        };
        let messages = line["messages"].as_object().unwrap();
        let parts = messages.iter().map(|(part, count)| (part.clone(), count.as_i64().unwrap()));
        parts.filter(|(_, count)| *count != 0).collect()
    }
}

fn told(counted: &BTreeMap<String, u64>) -> Vec<String> {
    let tell = |(name, count): (&String, &u64)| match count {
        0 => None,
        1 => Some(name.clone()),
        _ => Some(format!("{name}*{count}")),
    };
    counted.iter().filter_map(tell).collect()
}

/// Where the messages of a connection have to stand.
#[derive(Clone, Copy, Default)]
pub(crate) struct Books {
    pub(crate) delivered: i64,
    pub(crate) held: i64,
    /// Broke off, and nothing has settled it.
    pub(crate) incomplete: i64,
    /// Broke off, and its sender sent it again whole.
    pub(crate) superseded: i64,
    /// Broke off, and its sender went on; counted with the continuation.
    pub(crate) resumed: i64,
    /// Came again after it was complete.
    pub(crate) repeated: i64,
}

impl Books {
    pub(crate) fn delivered(messages: i64) -> Self {
        Self { delivered: messages, ..Self::default() }
    }

    fn account(self) -> BTreeMap<String, i64> {
        let duplicate = self.superseded + self.repeated;
        let parts = [
            ("received", self.delivered + self.held + self.incomplete + duplicate),
            ("delivered", self.delivered),
            ("held", self.held),
            ("incomplete", self.incomplete),
            ("duplicate", duplicate),
        ];
        parts
            .into_iter()
            .filter(|(_, count)| *count != 0)
            .map(|(part, count)| (part.to_owned(), count))
            .collect()
    }
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
