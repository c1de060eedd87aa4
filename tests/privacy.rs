//! What an analyzer says about a patient is in the LIS database and in what `results` and `quarantine`
//! show, and nowhere else: not in the log at its most talkative, not in the metrics, not in what
//! commands say when they fail. And nothing that it says is a command to a terminal.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Output;

use support::{Site, eventually, free_address, http_get, labwire};
use traffic::{ACK, BLOCKS, ENQ, EOT, FRAMES, Line, NAK, block, damaged, frame, with_profiles};

/// What good messages say of people and their results: to be found in the LIS database.
const FILED: [&str; 13] = [
    "PAT77130",
    "SPEC44191",
    "88.8317",
    "kelvinsprout",
    "OPERODDSOCKS",
    "7.31-9.42",
    "remarkzebrine",
    "PAT77131",
    "SPEC44192",
    "77.7193",
    "OPERNIGHTJAR",
    "remarkquagga",
    // Its time cannot be read; its value can.
    "55.5817",
];
/// What is held for a person: to be found in quarantine.
const HELD: [&str; 5] = ["TESTVELLUM", "UNITGOSSAMER", "66.6521", "SPEC44193", "TESTPARCHMENT"];
/// What is in no result, or in what no result can be made of.
const NOT_FILED: [&str; 32] = [
    "QUILLFEATHER",
    "HAWKSBEARD",
    "TEASELWORT",
    "19031217",
    "QUERYBARCODE",
    "BROKENFRAME",
    "BROKENNUMBER",
    "LONGFRAME",
    "NOISEBETWEEN",
    "NOBIDBEFORE",
    "BIDINSIDE",
    "ZRECORDTEXT",
    "BEFOREHEADER",
    "BADDATETEXT",
    "STATUSWORD",
    "FLAGWORD",
    "BREAKSOFF",
    "KILLEDWITHIN",
    "CONTROLIDWORD",
    "SENDERNAME",
    "NOSEGMENTHEADER",
    "TYPEDWORD",
    "BLOCKBROKEN",
    "BLOCKNOISE",
    "EVENTWORD",
    "CHARSETWORD",
    "HTTPPATHWORD",
    "TLSNAMEWORD",
    "FORGEDLINE",
    "ESCAPEDTITLE",
    "PROCESSINGWORD",
    "REFUSEDBYLIS",
];

fn canaries() -> Vec<&'static str> {
    let all: Vec<&str> = [&FILED[..], &HELD, &NOT_FILED].concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    all
}

/// The ways in which a careless line could show it: as text in any letters, as the bytes in hex or as
/// `{:?}` prints them.
fn disguises(canary: &str) -> [String; 3] {
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
    [canary.to_lowercase(), hex, list.join(", ")]
}

/// Nothing of any patient is in `text`.
#[track_caller]
fn says_nothing_of_patients(place: &str, text: &str) {
    let lower = text.to_lowercase();
    for canary in canaries() {
        for disguise in disguises(canary) {
            let Some(at) = lower.find(&disguise) else { continue };
            let line = lower[..at].matches('\n').count();
            let line = text.lines().nth(line).unwrap_or_default();
            panic!("{place} tells of `{canary}`:\n{line}");
        }
    }
}

/// Nothing in `text` is a command to a terminal, or turns the direction of writing.
#[track_caller]
fn is_harmless_to_a_terminal(place: &str, text: &str) {
    let obeyed = |character: char| {
        (character.is_control() && character != '\n') || ('\u{202a}'..='\u{202e}').contains(&character)
    };
    if let Some(line) = text.lines().find(|line| line.contains(obeyed)) {
        panic!("{place} commands the terminal: {}", line.escape_debug());
    }
}

#[test]
fn a_leak_would_be_noticed_in_each_of_its_disguises() {
    for leak in [
        "event=x id=Spec44191".to_owned(),
        format!("bytes={:?}", b"..PAT77130.."),
        "5045.50415437373133302e".replace('.', ""),
    ] {
        let noticed = std::panic::catch_unwind(|| says_nothing_of_patients("a line", &leak));
        assert!(noticed.is_err(), "{leak} was not noticed");
    }
    says_nothing_of_patients("a line", "event=message_received connection=\"frames\" deliver=1");
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const HEADER: &str = "H|\\^&|CONTROLIDWORD||SENDERNAME||||||||LIS2-A2|20260302081400";
const PATIENT: &str = "P|1||PAT77130||QUILLFEATHER^HAWKSBEARD||19031217|F|||TEASELWORT 7";
const TERMINATOR: &str = "L|1|N";

fn good_lis02() -> Vec<&'static str> {
    vec![
        HEADER,
        PATIENT,
        "C|1|I|remarkzebrine of a person",
        "O|1|SPEC44191",
        "R|1|^^^GLU|88.8317|mmol/L|7.31-9.42|FLAGWORD||F||OPERODDSOCKS||20260302081407",
        "C|1|I|remarkzebrine kelvinsprout&X1B&]0;ESCAPEDTITLE&X07&",
        TERMINATOR,
    ]
}

/// Every frame is right, and what is in them is not.
fn odd_lis02() -> Vec<&'static str> {
    vec![
        "R|1|^^^GLU|BEFOREHEADER|mmol/L",
        HEADER,
        PATIENT,
        "O|1|SPEC44193",
        "R|1|^^^TESTVELLUM|66.6521|mmol/L||N||F",
        "R|2|^^^GLU|<~5|UNITGOSSAMER||N||STATUSWORD||||BADDATETEXT",
        "R|3|^^^UREA|55.5817|mmol/L||N||F||||2026BADDATETEXT",
        "Z|1|ZRECORDTEXT",
        "\u{1b}[2J\u{9b}31m\nERROR event=\"FORGEDLINE\"",
        TERMINATOR,
    ]
}

fn plays_lis02(address: SocketAddr) {
    let mut line = Line::to(address);
    line.sends_records(&good_lis02());
    line.sends_records(&good_lis02());
    line.sends_records(&[HEADER, "Q|1|^QUERYBARCODE||^^^ALL||||||||O", TERMINATOR]);
    line.exchange(ENQ, ACK);
    line.exchange(&damaged(frame(1, "R|1|^^^GLU|BROKENFRAME")), NAK);
    line.exchange(&frame(5, "R|1|^^^GLU|BROKENNUMBER"), NAK);
    line.exchange(&frame(1, &format!("C|1|I|{}", "LONGFRAME".repeat(8_000))), NAK);
    line.say(b"NOISEBETWEEN");
    line.say(b"\x021R|1|^^^GLU|BIDINSIDE");
    line.exchange(ENQ, ACK);
    line.say(EOT);
    line.say(b"\x021NOBIDBEFORE\r\x0300\r\n");
    line.exchange(ENQ, ACK);
    for (number, record) in (1..).zip(odd_lis02()) {
        // Escapes are no characters of a frame: the host may refuse that one.
        let frame = frame(number % 8, record);
        if record.contains('\u{1b}') {
            line.say(&frame);
            line.hears_any();
            break;
        }
        line.exchange(&frame, ACK);
    }
    line.say(EOT);
    line.begins(&[HEADER, PATIENT, "O|1|BREAKSOFF", "R|1|^^^GLU|BREAKSOFF|mmol/L"]);
    line.hangs_up();
    let mut line = Line::to(address);
    line.sends_records(&odd_lis02()[1..8].iter().copied().chain([TERMINATOR]).collect::<Vec<_>>());
    line.sends_records(&[HEADER, PATIENT, "O|1|S9", "R|1|^^^UREA|REFUSEDBYLIS|mmol/L||N||F", TERMINATOR]);
    line.hangs_up();
    let mut line = Line::to(address);
    line.say(b"GET /HTTPPATHWORD HTTP/1.1\r\nHost: TLSNAMEWORD\r\n\r\n");
    line.hangs_up();
}

fn msh(id: &str, kind: &str) -> String {
    format!("MSH|^~\\&|SENDERNAME|LAB|LIS|LAB|20260302081702||{kind}|{id}|P|2.3.1")
}

fn plays_hl7(address: SocketAddr) -> String {
    let mut replies = String::new();
    let pid = "PID|1||PAT77131||QUILLFEATHER^HAWKSBEARD||19031217|F|||TEASELWORT 7";
    let order = "OBR|1||SPEC44192||||20260302081700";
    let result = "OBX|1|NM|GLU||77.7193|mmol/L|7.31-9.42|FLAGWORD|||F|||20260302081701||OPERNIGHTJAR";
    let remark = "NTE|1|L|remarkquagga\\X1B\\]0;ESCAPEDTITLE\\X07\\\u{9b}31m\u{202e}";
    let messages: [&[&str]; 8] = [
        &[&msh("CONTROLIDWORD", "ORU^R01"), pid, order, result, remark],
        &[&msh("CONTROLIDWORD", "ORU^R01"), pid, order, result, remark],
        &[
            &msh("2", "ORU^R01"),
            "PID|1||PAT77131",
            "OBX|1|TYPEDWORD|TESTPARCHMENT||<~|UNITGOSSAMER||||STATUSWORD",
        ],
        &[&msh("3", "EVENTWORD^R99^EVENTWORD"), pid],
        &[&msh("4", "ORU^R01").replace("|P|2.3.1", "|PROCESSINGWORD|TYPEDWORD"), pid, order, result],
        &[&format!("{}||||||CHARSETWORD", msh("5", "ORU^R01")), pid, order, result],
        &["NOSEGMENTHEADER|1", pid],
        &["MSH|^~", "PID|NOSEGMENTHEADER"],
    ];
    for segments in messages {
        let mut line = Line::to(address);
        line.say(&block(segments));
        replies.push_str(&line.hears_block());
        line.hangs_up();
    }
    for bytes in [&b"BLOCKNOISE"[..], b"\x0bMSH|^~\\&|BLOCKBROKEN\r", b"\x16\x03\x01\x02\x00TLSNAMEWORD"] {
        let mut line = Line::to(address);
        line.say(bytes);
        line.shuts();
        line.is_left();
    }
    replies
}

/// A LIS that has something against one value, and says so with that value.
fn refuse_aloud(site: &Site) {
    let lis = rusqlite::Connection::open(site.lis()).unwrap();
    lis.busy_timeout(support::PATIENCE).unwrap();
    lis.execute_batch(
        "CREATE TRIGGER talkative BEFORE INSERT ON result WHEN new.value = 'REFUSEDBYLIS'
         BEGIN SELECT RAISE(ABORT, 'no place for ' || new.value || ' of ' || new.patient_id); END",
    )
    .unwrap();
}

/// All text of the LIS database.
fn lis_text(path: &Path) -> String {
    let lis = rusqlite::Connection::open(path).unwrap();
    lis.busy_timeout(support::PATIENCE).unwrap();
    let mut text = String::new();
    let mut query = lis.prepare("SELECT * FROM result").unwrap();
    let columns = query.column_count();
    let mut rows = query.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            text.push_str(&format!("{:?}\n", row.get_ref(column).unwrap().as_str().unwrap_or_default()));
        }
    }
    text
}

struct Told {
    site: Site,
    metrics: String,
    replies: String,
}

/// Runs everything through a daemon that logs all it can, kills it in the middle of a message, and lets
/// the next one take up what is left.
fn told() -> (Told, support::Daemon) {
    let mut site = Site::new();
    with_profiles(&mut site);
    let frames = site.listen("frames", FRAMES);
    let blocks = site.listen("blocks", BLOCKS);
    let talkative = [("LABWIRE_LOG", "trace".to_owned()), ("RUST_BACKTRACE", "full".to_owned())];
    let binary = Path::new(env!("CARGO_BIN_EXE_labwire"));
    // Not a database: the first deliveries fail and say so.
    std::fs::write(site.lis(), "a file of somebody else, longer than the head of a database\n".repeat(9))
        .unwrap();
    let daemon = site.start_with(binary, &talkative);

    let mut line = Line::to(frames);
    line.sends_records(&good_lis02());
    eventually("a delivery that fails", || site.log().contains("delivery_failed").then_some(()));
    says_nothing_of_patients("status of a failing sink", &out(&site.labwire(&["status", "--json"])));
    std::fs::remove_file(site.lis()).unwrap();
    site.await_lis_rows(1);
    refuse_aloud(&site);
    line.begins(&[HEADER, PATIENT, "O|1|KILLEDWITHIN", "R|1|^^^GLU|KILLEDWITHIN|mmol/L"]);
    daemon.kill();

    let daemon = site.start_with(binary, &talkative);
    plays_lis02(frames);
    let replies = plays_hl7(blocks);
    eventually("the LIS to refuse one", || site.log().contains("delivery_refused").then_some(()));
    let metrics = eventually("an answer from /metrics", || http_get(site.admin, "/metrics"));
    (Told { site, metrics, replies }, daemon)
}

#[test]
fn patients_are_in_the_lis_and_not_in_log_metrics_status_or_errors() {
    let (told, daemon) = told();
    let Told { site, metrics, replies } = &told;

    let lis = eventually("all that is good to be in the LIS", || {
        let text = lis_text(&site.lis());
        FILED.iter().all(|canary| text.contains(canary)).then_some(text)
    });
    assert!(lis.contains("ESCAPEDTITLE"), "comments are filed as they were sent");
    let results = out(&site.labwire(&["results", "list", "--json"]));
    for canary in ["SPEC44191", "88.8317", "PAT77130", "SPEC44192", "77.7193"] {
        assert!(results.contains(canary), "results list shows {canary}");
    }
    let quarantine = out(&site.labwire(&["quarantine", "list", "--json"]));
    for canary in HELD {
        assert!(quarantine.contains(canary), "quarantine list shows {canary}:\n{quarantine}");
    }

    says_nothing_of_patients("/metrics", metrics);
    for fault in ["checksum-mismatch", "frame-too-long", "frame-number-gap", "bytes-skipped"] {
        assert!(metrics.contains(&format!("kind=\"{fault}\"")), "{fault} was not counted:\n{metrics}");
    }
    for arguments in [&["status"][..], &["status", "--json"], &["ledger", "--check"], &["ledger", "--json"]] {
        let output = site.labwire(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        says_nothing_of_patients(&format!("{arguments:?}"), &(out(&output) + &err(&output)));
    }
    // What the analyzer gets back names its message; what is wrong with it is said without quoting it.
    let errors: Vec<&str> = replies.split('\r').filter(|segment| segment.starts_with("ERR|")).collect();
    assert!(!errors.is_empty(), "{replies}");
    says_nothing_of_patients("ERR segments", &errors.join("\n"));

    assert_eq!(daemon.stop(), Some(0));
    let log = site.log();
    for event in
        ["message_received", "unit_committed", "link_fault", "message_incomplete", "query_unanswered"]
    {
        assert!(log.contains(event), "the log is not at its most talkative, or tells of no {event}");
    }
    says_nothing_of_patients("the log", &log);
    is_harmless_to_a_terminal("the log", &log);
}

#[test]
fn commands_that_fail_do_not_quote_what_they_were_given_of_patients() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let capture = "labwire-capture 1\nstarted 2026-03-02T08:14:07Z\n";
    let prose = write("prose", b"QUILLFEATHER said that PAT77130 was unwell.\n");
    let split =
        write("split.cap", format!("{capture}0.000 > <ENQ>\nP|1||PAT77130^QUILLFEATHER x\n").as_bytes());
    let unnamed = write("unnamed.cap", format!("{capture}0.000 > <STX>1<PAT77130>\n").as_bytes());
    let started = write("started.cap", b"labwire-capture 1\nstarted PAT77130\n0.000 > <ENQ>\n");
    let version = write("version.cap", b"labwire-capture PAT77130\n");
    let bare = write("bare.astm", good_lis02().join("\r").as_bytes());
    let played = write(
        "played.cap",
        format!("{capture}0.000 > <ENQ>\n0.010 < <ACK>\n0.020 > <STX>1O|1|PAT77130\n").as_bytes(),
    );
    let nobody = free_address().to_string();
    let refuses = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = refuses.local_addr().unwrap().to_string();
    let host = std::thread::spawn(move || {
        let (mut stream, _) = refuses.accept().unwrap();
        stream.write_all(NAK).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut site = Site::new();
    with_profiles(&mut site);
    site.listen("frames", FRAMES);
    let config = site.config();
    let config = config.to_str().unwrap();

    let failing: [&[&str]; 12] = [
        &["decode", &prose],
        &["decode", "--driver", "generic/lis02", &started],
        &["decode", "--time-zone", "Nowhere/Town", &bare],
        &["capture", "import", &bare],
        &["capture", "import", &version],
        &["replay", &bare, "--to", &nobody],
        &["replay", &played, "--to", &nobody],
        &["replay", &played, "--to", &refusing, "--speed", "max"],
        &["quarantine", "show", "4711", "--config", config],
        &["results", "list", "--config", config],
        &["status", "--config", &bare],
        &["check", &bare],
    ];
    for arguments in failing {
        let output = labwire(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeds:\n{}", out(&output));
        // The configuration reader shows the line that it cannot read: a message in a site file's place
        // is the person's own mistake, before their own eyes.
        if !matches!(arguments, ["status" | "check", ..]) {
            says_nothing_of_patients(&format!("{arguments:?}"), &err(&output));
        }
        is_harmless_to_a_terminal(&format!("{arguments:?}"), &err(&output));
    }
    host.join().unwrap();
    for file in [&split, &unnamed, &started, &version] {
        says_nothing_of_patients(file, &err(&labwire(&["capture", "show", file])));
        says_nothing_of_patients(file, &err(&labwire(&["decode", file])));
    }
}

#[test]
fn nothing_that_an_analyzer_sends_is_a_command_to_the_terminal_that_shows_it() {
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{7f}";
    let mut site = Site::new();
    with_profiles(&mut site);
    let blocks = site.listen("blocks", BLOCKS);
    let daemon = site.start();
    let order = format!("OBR|1||S{hostile}1||||20260302081700");
    let result =
        format!("OBX|1|ST|GLU||5{hostile}4|mmol/L|{hostile}|{hostile}|||F|||20260302081701||{hostile}");
    let unknown = format!("OBX|2|ST|{hostile}||\\X1B\\[2J|{hostile}|||||F");
    let message = [&msh("1", "ORU^R01"), &format!("PID|1||{hostile}"), &order, &result, &unknown];
    let message = message.map(String::as_str);
    assert_eq!(Line::to(blocks).sends_segments(&message), "AA");
    site.await_lis_rows(1);

    let path = site.path("hostile.hl7");
    std::fs::write(&path, message.join("\r")).unwrap();
    let path = path.to_str().unwrap();
    let raw = site.path("hostile.cap");
    let header =
        format!("labwire-capture 1\ndriver {hostile}\nlink {hostile}\nstarted 2026-03-02T08:14:07Z\n");
    std::fs::write(&raw, format!("{header}0.000 > {hostile}\n{hostile}\n0.1 > <\u{1b}[m>\n")).unwrap();
    let query = site.path("query.astm");
    std::fs::write(&query, format!("H|\\^&|||A\rQ|1|^{hostile}\rL|1|N\r")).unwrap();
    let profiles = site.path("drivers");
    let profiles = profiles.to_str().unwrap();

    let held = site.json(&["quarantine", "list"]);
    let id = held[0]["id"].to_string();
    let shown = [
        ("5", site.labwire(&["results", "list"])),
        ("[2J", site.labwire(&["quarantine", "list"])),
        ("[2J", site.labwire(&["quarantine", "show", &id])),
        ("blocks", site.labwire(&["status"])),
        ("[2J", labwire(&["decode", path])),
        ("[2J", labwire(&["decode", path, "--driver", BLOCKS, "--drivers", profiles])),
        ("[2J", labwire(&["decode", query.to_str().unwrap()])),
        ("[2J", labwire(&["capture", "show", raw.to_str().unwrap()])),
        ("", labwire(&["decode", raw.to_str().unwrap()])),
    ];
    for (place, (expected, output)) in (1..).zip(shown) {
        let said = out(&output);
        assert!(said.contains(expected), "{place}. output does not show it: {said}{}", err(&output));
        is_harmless_to_a_terminal(&format!("{place}. output"), &said);
        is_harmless_to_a_terminal(&format!("{place}. errors"), &err(&output));
    }
    assert_eq!(daemon.stop(), Some(0));
}
