//! Cases of HL7 v2, MLLP and IHE LAW that need more than a script.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use jiff::tz::TimeZone;
use labwire_driver::Context;
use labwire_link::{Event, Input, Machine, Mllp, MllpSettings, Release, SendFailure};
use labwire_message::build::RecordBuilder;
use labwire_message::hl7::{self, Version};
use labwire_message::{Charset, Delimiters, Index, Name, Syntax, View};
use labwire_model::{Bounds, parse_range};

use crate::support::{Daemon, PATIENCE, Site, eventually};
use crate::{Function, profiles};

pub(crate) const FUNCTIONS: &[Function] = &[
    (
        "a_block_beyond_the_default_limit_closes_its_line_and_no_other",
        a_block_beyond_the_default_limit_closes_its_line_and_no_other,
    ),
    (
        "a_sender_that_closes_its_direction_hears_its_acknowledgement",
        a_sender_that_closes_its_direction_hears_its_acknowledgement,
    ),
    (
        "a_block_that_is_refused_in_release_two_is_sent_twice_more",
        a_block_that_is_refused_in_release_two_is_sent_twice_more,
    ),
    ("content_that_would_break_its_block_is_refused", content_that_would_break_its_block_is_refused),
    ("noise_on_one_line_leaves_the_other_alone", noise_on_one_line_leaves_the_other_alone),
    ("every_delimiter_of_a_value_comes_back", every_delimiter_of_a_value_comes_back),
    ("control_characters_of_a_value_come_back", control_characters_of_a_value_come_back),
    ("empty_delete_and_text_are_three_things", empty_delete_and_text_are_three_things),
    ("fifty_thousand_observations_are_read_in_a_second", fifty_thousand_observations_are_read_in_a_second),
    ("an_embedded_file_decodes_to_its_bytes", an_embedded_file_decodes_to_its_bytes),
    (
        "the_lis_is_away_and_the_analyzer_is_acknowledged_from_the_spool",
        the_lis_is_away_and_the_analyzer_is_acknowledged_from_the_spool,
    ),
    (
        "the_spool_cannot_commit_and_nothing_is_acknowledged_lost_or_doubled",
        the_spool_cannot_commit_and_nothing_is_acknowledged_lost_or_doubled,
    ),
    (
        "a_crash_between_commit_and_acknowledgement_leads_to_one_result",
        a_crash_between_commit_and_acknowledgement_leads_to_one_result,
    ),
    (
        "the_same_control_id_over_two_contents_is_filed_twice",
        the_same_control_id_over_two_contents_is_filed_twice,
    ),
    (
        "copies_on_two_lines_at_the_same_time_are_one_result",
        copies_on_two_lines_at_the_same_time_are_one_result,
    ),
    ("the_expected_sequence_number_survives_a_crash", the_expected_sequence_number_survives_a_crash),
    ("reference_ranges_are_kept_and_read", reference_ranges_are_kept_and_read),
    ("an_orc_behind_its_obr_is_the_same_order", an_orc_behind_its_obr_is_the_same_order),
    ("the_states_of_orders_are_read_from_a_reply", the_states_of_orders_are_read_from_a_reply),
    ("results_under_another_control_id_are_filed_once", results_under_another_control_id_are_filed_once),
];

/// A daemon with lines that speak the profile of the tables; `lines` are laid over it.
struct Host {
    // Dropped before the directory that it works in.
    daemon: Option<Daemon>,
    site: Site,
    lines: Vec<SocketAddr>,
}

impl Host {
    fn new(lines: usize, protocol: &str) -> Self {
        let mut site = Site::new();
        let directory = site.path("drivers/conformance");
        std::fs::create_dir_all(&directory).unwrap();
        let profile = crate::table().profiles["hl7"].clone();
        let profile = match protocol {
            "law" => profile
                .replace("protocol = \"hl7\"", "protocol = \"law\"")
                .replace("volatile = [\"MSH-7\"]\n", ""),
            "counting" => format!("{profile}[acknowledge]\nsequence_numbers = true\n"),
            _ => profile,
        };
        std::fs::write(directory.join("hl7.toml"), profile).unwrap();
        site.extra(&format!("[drivers]\ndirectory = \"{}\"\n", site.path("drivers").display()));
        let lines =
            (1..=lines).map(|number| site.listen(&format!("line-{number}"), "conformance/hl7")).collect();
        Self { daemon: None, site, lines }
    }

    fn start(mut self) -> Self {
        self.daemon = Some(self.site.start());
        self
    }

    fn kill_and_restart(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.daemon = Some(self.site.start());
    }

    fn line(&self, place: usize) -> Line {
        let stream = TcpStream::connect(self.lines[place]).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line(stream)
    }

    /// The rows of the LIS database, each as `specimen value`, once there are so many, and the ledger
    /// balances.
    #[track_caller]
    fn has_filed(&self, wanted: &[&str]) {
        self.site.await_lis_rows(u64::try_from(wanted.len()).unwrap());
        let rows = self.site.lis_rows();
        let found: Vec<String> = rows
            .iter()
            .flat_map(|((specimen, _, value), count)| (0..*count).map(move |_| format!("{specimen} {value}")))
            .collect();
        assert_eq!(found, wanted);
        self.site.assert_ledger_balances();
    }
}

/// An analyzer's end of a line.
struct Line(TcpStream);

impl Line {
    fn say(&mut self, message: &str) {
        self.0.write_all(&block(message)).unwrap();
    }

    /// The next block, or what came before the line ended.
    fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(b"\x1c\r") {
            match self.0.read(&mut byte) {
                Ok(0) | Err(_) => break,
                Ok(_) => heard.push(byte[0]),
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    #[track_caller]
    fn is_acknowledged(&mut self, id: &str) {
        let heard = self.hear();
        assert!(heard.ends_with(&format!("\rMSA|AA|{id}\r\u{1c}\r")), "{heard:?}");
    }

    #[track_caller]
    fn is_closed_without_a_word(&mut self) {
        assert_eq!(self.hear(), "");
    }
}

fn block(message: &str) -> Vec<u8> {
    format!("\u{b}{message}\u{1c}\r").into_bytes()
}

fn oru(id: &str, specimen: &str, value: &str) -> String {
    format!(
        "MSH|^~\\&|DEV|LAB|OUR|LIS|20250611080000||ORU^R01|{id}|P|2.3.1\rOBR|1|{specimen}||CHEM\rOBX|1|NM|GLU||{value}|mmol/L|||||F\r"
    )
}

fn a_block_beyond_the_default_limit_closes_its_line_and_no_other() {
    let mut host = Host::new(2, "hl7");
    // At the usual rate sixteen mebibytes take so long that a busy machine comes near the time of a block.
    host.site.extra("[limits]\nbytes_per_second_max = 1_073_741_824\n");
    let host = host.start();
    let mut other = host.line(1);
    let mut endless = host.line(0);
    let piece = vec![b'A'; 1 << 20];
    endless.0.write_all(b"\x0b").unwrap();
    // The line ends somewhere behind sixteen of them.
    let written = (0..20).take_while(|_| endless.0.write_all(&piece).is_ok()).count();
    assert!(written >= 16, "{written} MiB were taken");
    endless.is_closed_without_a_word();
    other.say(&oru("1", "S1", "5.4"));
    other.is_acknowledged("1");
    let page = crate::support::http_get(host.site.admin, "/metrics").unwrap();
    let resident = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
    let mebibytes = resident.parse::<f64>().unwrap() / f64::from(1 << 20);
    assert!(mebibytes < 256.0, "{mebibytes} MiB");
}

fn a_sender_that_closes_its_direction_hears_its_acknowledgement() {
    let host = Host::new(1, "hl7").start();
    let mut line = host.line(0);
    line.say(&oru("1", "S1", "5.4"));
    line.0.shutdown(Shutdown::Write).unwrap();
    line.is_acknowledged("1");
    line.is_closed_without_a_word();
    host.has_filed(&["S1 5.4"]);
}

fn a_block_that_is_refused_in_release_two_is_sent_twice_more() {
    let mut machine = Mllp::new(MllpSettings { release: Release::Two, ..MllpSettings::default() });
    machine.handle(Duration::ZERO, Input::Send { id: 7, message: b"MSH|^~\\&|A\r" });
    for _ in 0..3 {
        machine.handle(Duration::ZERO, Input::Bytes(b"\x0b\x15\x1c\r"));
    }
    let mut written = Vec::new();
    while machine.poll_transmit(&mut written) {}
    assert_eq!(written, block("MSH|^~\\&|A\r").repeat(3));
    let events: Vec<Event> = core::iter::from_fn(|| machine.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::SendFailed { id: 7, reason: SendFailure::Refused }));
}

fn content_that_would_break_its_block_is_refused() {
    for byte in [0x0B, 0x1C] {
        let mut machine = Mllp::new(MllpSettings::default());
        machine
            .handle(Duration::ZERO, Input::Send { id: 7, message: &[b"MSH|a".as_slice(), &[byte]].concat() });
        assert!(!machine.poll_transmit(&mut Vec::new()));
        let reason = SendFailure::RestrictedByte { byte, at: 5 };
        assert_eq!(machine.poll_event(), Some(Event::SendFailed { id: 7, reason }));
        assert!(!travels(&[b'a', byte, b'b']).contains(&byte), "text is escaped before it comes so far");
    }
}

fn noise_on_one_line_leaves_the_other_alone() {
    let host = Host::new(2, "hl7").start();
    let mut quiet = host.line(1);
    let address = host.lines[0];
    let noise = std::thread::spawn(move || {
        let started = Instant::now();
        // The host ends a line full of noise; the sender dials again.
        while started.elapsed() < Duration::from_secs(2) {
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            while started.elapsed() < Duration::from_secs(2) && stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
    });
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let asked = Instant::now();
        quiet.say(&oru(&format!("M{number}"), "S1", "5.4"));
        quiet.is_acknowledged(&format!("M{number}"));
        slowest = slowest.max(asked.elapsed());
    }
    noise.join().unwrap();
    assert!(slowest < Duration::from_secs(2), "an answer took {slowest:?}");
    let faults = host.site.log().lines().filter(|line| line.contains("bytes-skipped")).count();
    assert!(faults < 100, "{faults} lines about noise in the log");
}

/// A value written into an OBX, as it goes over the wire.
fn travels(value: &[u8]) -> Vec<u8> {
    let mut obx = RecordBuilder::new(Syntax::Hl7, Name::new(b"OBX").unwrap(), Delimiters::HL7);
    obx.text(5, value);
    obx.finish()
}

/// The value as the other side reads it.
fn comes_back(obx: &[u8]) -> Vec<u8> {
    let message = [b"MSH|^~\\&|A\r", obx, b"\r"].concat();
    with(&message, |view| {
        view.record(1).unwrap().text(&"OBX-5".parse().unwrap(), Charset::Utf8).unwrap().into_owned()
    })
    .into_bytes()
}

fn with<R>(message: &[u8], look: impl FnOnce(View<'_>) -> R) -> R {
    look(Index::new().scan(Syntax::Hl7, message))
}

fn every_delimiter_of_a_value_comes_back() {
    let value = b"A|B^C&D~E\\F";
    let sent = travels(value);
    assert_eq!(sent.iter().filter(|byte| **byte == b'|').count(), 5, "{sent:?}");
    assert_eq!(comes_back(&sent), value);
}

fn control_characters_of_a_value_come_back() {
    let value = b"a\rb\nc\x0bd\x1ce";
    let sent = travels(value);
    assert!(!sent.iter().any(u8::is_ascii_control), "{sent:?}");
    assert_eq!(comes_back(&sent), value);
}

fn empty_delete_and_text_are_three_things() {
    let field = |pid: &str, look: fn(&labwire_message::Field<'_>) -> bool| {
        let message = format!("MSH|^~\\&|A\r{pid}\r");
        with(message.as_bytes(), |view| look(&view.record(1).unwrap().field(5).unwrap()))
    };
    assert!(field("PID|1||P1||", |field| field.is_empty() && !field.is_delete()));
    assert!(field("PID|1||P1||\"\"", |field| field.is_delete() && !field.is_empty()));
    assert!(field("PID|1||P1||Doe^Jo", |field| !field.is_delete() && !field.is_empty()));
}

fn plan() -> labwire_driver::Plan {
    profiles::plan(&crate::table().profiles, "hl7", &[])
}

fn fifty_thousand_observations_are_read_in_a_second() {
    let mut message = "MSH|^~\\&|A||||2025||ORU^R01|1|P|2.5.1\rOBR|1|S1\r".to_owned();
    for number in 1..=50_000 {
        message.push_str(&format!("OBX|{number}|NM|GLU||5.4|mmol/L|||||F\r"));
    }
    let plan = plan();
    let started = Instant::now();
    let decoded = plan.decode(message.as_bytes(), &Context { zone: &TimeZone::UTC });
    let took = started.elapsed();
    assert_eq!(decoded.outcomes.len(), 50_000);
    // A build without optimisation takes some thirty times as long, on a machine that runs other tests;
    // one that looks back from each observation would take hours.
    let limit = if cfg!(debug_assertions) { 60 } else { 1 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
}

fn an_embedded_file_decodes_to_its_bytes() {
    let file: Vec<u8> = (0..3_000_000_u32).map(|place| u8::try_from(place * 7 % 251).unwrap()).collect();
    let text = base64(&file);
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| core::str::from_utf8(line).unwrap()).collect();
    let value = format!("^IM^PNG^Base64^{}", lines.join("\\.br\\"));
    let message = format!("MSH|^~\\&|A||||2025||ORU^R01|1|P|2.5.1\rOBR|1|S1\rOBX|1|ED|COL||{value}||||||F\r");
    with(message.as_bytes(), |view| {
        let field = view.record(2).unwrap().field(5).unwrap();
        assert_eq!(hl7::embedded_data(&field, Some(b'\\')).unwrap(), file);
    });
    let decoded = plan().decode(message.as_bytes(), &Context { zone: &TimeZone::UTC });
    assert_eq!(decoded.outcomes[0].observation.value.as_deref(), Some(value.as_str()));
    assert!(decoded.diagnostics.is_empty());
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = [group[0], group.get(1).copied().unwrap_or(0), group.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4_usize {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap();
            text.push(if place <= group.len() { char::from(ALPHABET[digit]) } else { '=' });
        }
    }
    text
}

fn the_lis_is_away_and_the_analyzer_is_acknowledged_from_the_spool() {
    let host = Host::new(1, "hl7");
    let nothing_of_ours = "a file of somebody else, longer than the head of a database\n".repeat(9);
    std::fs::write(host.site.lis(), nothing_of_ours).unwrap();
    let host = host.start();
    let mut line = host.line(0);
    line.say(&oru("1", "S1", "5.4"));
    line.is_acknowledged("1");
    std::fs::remove_file(host.site.lis()).unwrap();
    host.has_filed(&["S1 5.4"]);
}

fn the_spool_cannot_commit_and_nothing_is_acknowledged_lost_or_doubled() {
    let mut host = Host::new(1, "hl7").start();
    // A writer of somebody else keeps the spool from committing, whatever the daemon does.
    let spool = rusqlite::Connection::open(host.site.spool()).unwrap();
    eventually("the lock on the spool", || spool.execute_batch("BEGIN IMMEDIATE").ok());
    let mut line = host.line(0);
    line.say(&oru("1", "S1", "5.4"));
    line.is_closed_without_a_word();
    spool.execute_batch("ROLLBACK").unwrap();
    drop(spool);
    host.kill_and_restart();
    let mut line = host.line(0);
    line.say(&oru("1", "S1", "5.4"));
    line.is_acknowledged("1");
    host.has_filed(&["S1 5.4"]);
}

fn a_crash_between_commit_and_acknowledgement_leads_to_one_result() {
    let mut host = Host::new(1, "hl7").start();
    let mut line = host.line(0);
    line.say(&oru("1", "S1", "5.4"));
    // It is committed; the acknowledgement is never read.
    host.site.await_lis_rows(1);
    host.kill_and_restart();
    let mut again = host.line(0);
    again.say(&oru("1", "S1", "5.4"));
    again.is_acknowledged("1");
    host.has_filed(&["S1 5.4"]);
}

fn the_same_control_id_over_two_contents_is_filed_twice() {
    let host = Host::new(1, "hl7").start();
    let mut line = host.line(0);
    for (specimen, value) in [("S1", "5.4"), ("S2", "6.1")] {
        line.say(&oru("1", specimen, value));
        line.is_acknowledged("1");
    }
    host.has_filed(&["S1 5.4", "S2 6.1"]);
}

fn copies_on_two_lines_at_the_same_time_are_one_result() {
    let host = Host::new(1, "hl7").start();
    let mut lines = [host.line(0), host.line(0)];
    // Two at once on the first line and one on the second, before any is answered.
    let message = block(&oru("1", "S1", "5.4"));
    lines[0].0.write_all(&message.repeat(2)).unwrap();
    lines[1].0.write_all(&message).unwrap();
    for place in [0, 0, 1] {
        lines[place].is_acknowledged("1");
    }
    host.has_filed(&["S1 5.4"]);
}

fn the_expected_sequence_number_survives_a_crash() {
    let mut host = Host::new(1, "counting").start();
    let numbered =
        |id: &str, number: &str| oru(id, "S1", id).replace("|2.3.1\r", &format!("|2.3.1|{number}\r"));
    let mut line = host.line(0);
    line.say(&numbered("1", "41"));
    assert!(line.hear().ends_with("\rMSA|AA|1||41\r\u{1c}\r"));
    host.kill_and_restart();
    let mut line = host.line(0);
    line.say(&numbered("2", "43"));
    assert!(line.hear().contains("\rMSA|AE|2|sequence number 42 is expected|42|"));
    line.say(&numbered("3", "42"));
    assert!(line.hear().ends_with("\rMSA|AA|3||42\r\u{1c}\r"));
    host.has_filed(&["S1 1", "S1 3"]);
}

fn reference_ranges_are_kept_and_read() {
    let ranges = ["3.1-9.7", "[0.00;1.00]", "<5", ">=40", "-9999999 - 9999999", " - "];
    let mut message = "MSH|^~\\&|A||||2025||ORU^R01|1|P|2.5.1\rOBR|1|S1\r".to_owned();
    for range in ranges {
        message.push_str(&format!("OBX|1|NM|GLU||5.4|mmol/L|{range}||||F\r"));
    }
    let decoded = plan().decode(message.as_bytes(), &Context { zone: &TimeZone::UTC });
    let sent: Vec<&str> = decoded
        .outcomes
        .iter()
        .map(|outcome| outcome.observation.reference_range.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(sent, ["3.1-9.7", "[0.00;1.00]", "<5", ">=40", "-9999999 - 9999999", "-"]);
    let bounds = |low, high| Bounds { low, high };
    let read: Vec<Bounds<'_>> = ranges.iter().map(|range| parse_range(range)).collect();
    assert_eq!(
        read,
        [
            bounds(Some("3.1"), Some("9.7")),
            bounds(Some("0.00"), Some("1.00")),
            bounds(None, Some("5")),
            bounds(Some("40"), None),
            bounds(None, None),
            bounds(None, None),
        ]
    );
}

fn an_orc_behind_its_obr_is_the_same_order() {
    let steps = ["[specimen]", "id = \"SPM-2.1.1\"", "[patient]", "id = \"ORC-2\""];
    let steps: Vec<crate::table::Step> = steps
        .iter()
        .map(|line| crate::table::Step { verb: "toml".into(), rest: (*line).into(), at: String::new() })
        .collect();
    let plan = profiles::plan(&crate::table().profiles, "hl7", &steps);
    let message = "MSH|^~\\&|A||||2025||OUL^R22|1|P|2.5.1\rSPM|1|S1\rOBR|1|W1||GLU\rORC|SC|W1|||CM\rOBX|1|NM|GLU||1|mmol/L|||||F\rOBR|2|W2||GLU\rORC|SC|W2|||CM\rOBX|1|NM|GLU||2|mmol/L|||||F\r";
    let decoded = plan.decode(message.as_bytes(), &Context { zone: &TimeZone::UTC });
    // The place of the patient id shows which ORC an observation sees.
    let orders: Vec<_> =
        decoded.outcomes.iter().map(|outcome| outcome.observation.patient_id.as_deref()).collect();
    assert_eq!(orders, [Some("W1"), Some("W2")]);
}

fn the_states_of_orders_are_read_from_a_reply() {
    let message = "MSH|^~\\&|A||||2025||ORL^O34^ORL_O42|1|P|2.5.1\rMSA|AA|m1\rSPM|1|S1\rSAC|||S1\rORC|OK|W1|||SC\rORC|UA|W2|||CA\rORC|OK||||SC\r";
    with(message.as_bytes(), |view| {
        let header = hl7::Header::new(view.record(0).unwrap()).unwrap();
        assert_eq!(header.version(), Some(Version(2, 5, 1)));
        let states: Vec<String> = hl7::order_states(&view)
            .iter()
            .map(|state| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (placer, control, status) = (text(state.placer), text(state.control), text(state.status));
                format!("{} {placer} {control} {status}", state.position)
            })
            .collect();
        assert_eq!(states, ["1 W1 OK SC", "2 W2 UA CA", "3  OK SC"]);
    });
    let decoded = plan().decode(message.as_bytes(), &Context { zone: &TimeZone::UTC });
    assert_eq!(decoded.kind, labwire_model::MessageKind::Acknowledgement);
}

fn results_under_another_control_id_are_filed_once() {
    let host = Host::new(1, "law").start();
    let mut line = host.line(0);
    for id in ["u1", "u2"] {
        line.say(&format!(
            "MSH|^~\\&|A^7|L|OUR|LIS|20250611080000+0200||OUL^R22^OUL_R22|{id}|P|2.5.1|||NE|AL||UNICODE UTF-8|||LAB-29^IHE\rSPM|1|||SER\rSAC|||S100\rOBR||W1||GLU\rORC|SC||||CM\rOBX|1|NM|GLU|1|5.42|mmol/L|||||F||||||||20250611075900\r"
        ));
        let heard = line.hear();
        assert!(
            heard.contains("||ACK^R22^ACK|")
                && heard.ends_with(&format!("|LAB-29^IHE\rMSA|AA|{id}\r\u{1c}\r")),
            "{heard:?}"
        );
    }
    host.has_filed(&["S100 5.42"]);
}
