//! The analyzer's end of a line, played by a test, and what it asks the daemon afterwards.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use labwire_testkit::{control_names, from_control_names};
use labwire_transport::PseudoTerminal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{At, Bench, Place, open_terminal};
use crate::support::{PATIENCE, eventually};

enum Line {
    Tcp(TcpStream),
    Serial(PseudoTerminal),
}

/// The analyzer's end of a line: says bytes and hears replies, both with control characters by name.
pub(crate) struct Analyzer {
    pub(crate) bench: Arc<Bench>,
    place: Place,
    line: Option<Line>,
    /// Lines that it opened before and never closed.
    forgotten: Vec<Line>,
}

impl Analyzer {
    pub(super) fn new(bench: Arc<Bench>, place: Place) -> Self {
        let mut analyzer = Self { bench, place, line: None, forgotten: Vec::new() };
        analyzer.plug_in();
        analyzer
    }

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
                read.unwrap_or_else(|_elapsed| Err(ErrorKind::TimedOut.into()))
            }
        };
        match read {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some(buffer)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
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

    /// Has said its last byte and goes on listening: the write direction of the line is closed.
    pub(crate) fn says_no_more(&mut self) {
        let Some(Line::Tcp(stream)) = &self.line else { panic!("a serial line has no directions to close") };
        stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Goes away without another word, and has heard nothing more than it was asked for.
    #[track_caller]
    pub(crate) fn hangs_up(&mut self) {
        if let Some(Line::Tcp(stream)) = &self.line {
            stream.shutdown(Shutdown::Write).unwrap();
            self.is_left_by_the_host();
        } else {
            self.unplug();
        }
        self.await_metric("labwire_connection_up", 0);
    }

    /// Forgets its line without closing it, as one does that lost its power.
    pub(crate) fn leaves_its_line_open(&mut self) {
        self.forgotten.extend(self.line.take());
    }

    fn unplug(&mut self) {
        if let (At::Device(device, _), Some(_)) = (&self.place.at, &self.line) {
            // The name goes first: the number of a terminal that is gone is given to the next one, and
            // the daemon would find another test's line under this name.
            std::fs::remove_file(device).unwrap();
        }
        self.line = None;
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

    /// Which observations wait for a person, as `specimen code`.
    #[track_caller]
    pub(crate) fn has_held(&self, wanted: &[&str]) {
        let list = ["results", "list", "--connection", self.connection()];
        let lines = self.bench.site.json(&list);
        let tell = |line: &serde_json::Value| {
            format!(
                "{} {}",
                line["specimen_id"].as_str().unwrap_or("-"),
                line["reason_code"].as_str().unwrap()
            )
        };
        let held: Vec<String> = lines.iter().filter(|line| line["type"] == "held").map(tell).collect();
        assert_eq!(held, wanted, "held of {}", self.connection());
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

impl Drop for Analyzer {
    fn drop(&mut self) {
        self.unplug();
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
