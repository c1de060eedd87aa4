//! What an analyzer hears for its HL7 messages, and when.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_driver::{Library, Source};
use labwire_link::ErrorMode;
use labwire_session::{Effect, Input, Note, Now, Persist, Session, Settings};

const VT: &str = "\u{b}";
const END: &str = "\u{1c}\r";
const MSH: &str = "MSH|^~\\&|DEV|LAB|OUR|LIS|20260302081407||ORU^R01";

/// An analyzer whose profile is the generic one with these lines laid over it.
struct Analyzer {
    session: Session,
    at: Duration,
    notes: Vec<Note>,
    closed: Option<&'static str>,
    incomplete: Vec<Vec<u8>>,
}

impl Analyzer {
    fn new(lines: &str) -> Self {
        let over = Source::new("over.toml", format!("schema = 1\n{lines}"));
        let library = Library::embedded().with_directory(vec![("generic/hl7".to_owned(), over)]);
        let compiled = library.compile("generic/hl7").unwrap();
        let problems: Vec<_> = compiled.reports.iter().flat_map(|report| &report.problems).collect();
        assert!(problems.is_empty(), "{problems:?}");
        let session = Session::new(Settings {
            identity: labwire_session::Identity::Hold,
            plan: Arc::new(compiled.plan.unwrap()),
            strict: None,
            transport: ErrorMode::Close,
            zone: TimeZone::UTC,
            first_transmission: 1,
            control_id_prefix: "T".to_owned(),
            message_bytes_max: 1_000_000,
        });
        let mut analyzer =
            Self { session, at: Duration::ZERO, notes: Vec::new(), closed: None, incomplete: Vec::new() };
        analyzer.tell(Input::StoreReady(true));
        analyzer
    }

    fn now(&self) -> Now {
        Now { monotonic: self.at, wall: Timestamp::UNIX_EPOCH }
    }

    fn tell(&mut self, input: Input<'_>) {
        let now = self.now();
        self.session.handle(now, input);
    }

    fn says(&mut self, block: &str) {
        self.tell(Input::Bytes(format!("{VT}{block}{END}").as_bytes()));
    }

    /// The commit that is asked for, if one is.
    fn asked(&mut self) -> Option<Persist> {
        let mut asked = None;
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Persist(persist) => asked = Some(*persist),
                Effect::Note(note) => self.notes.push(note),
                Effect::Close(reason) => self.closed = Some(reason),
                Effect::Incomplete(incomplete) => self.incomplete.push(incomplete.raw),
            }
        }
        asked
    }

    fn is_stored(&mut self) -> Persist {
        let persist = self.asked().unwrap_or_else(|| panic!("no commit was asked for"));
        let now = self.now();
        self.session.persisted(now, persist.token);
        let _ = self.asked();
        persist
    }

    fn is_not_stored(&mut self) {
        let persist = self.asked().unwrap_or_else(|| panic!("no commit was asked for"));
        let now = self.now();
        self.session.not_persisted(now, persist.token);
        let _ = self.asked();
    }

    fn hears(&mut self) -> String {
        let mut out = Vec::new();
        while self.session.poll_transmit(&mut out) {}
        String::from_utf8(out).unwrap()
    }

    /// MSA segments of what is heard.
    fn answers(&mut self) -> Vec<String> {
        self.hears().split('\r').filter(|line| line.starts_with("MSA")).map(str::to_owned).collect()
    }
}

fn oru(id: &str, accept: &str, application: &str) -> String {
    format!("{MSH}|{id}|P|2.5.1|||{accept}|{application}\rOBR|1||S1\rOBX|1|NM|K||6.9|mmol/L|||||F\r")
}

#[test]
fn a_commit_reply_and_an_application_reply_follow_one_commit_each_as_a_message() {
    let mut analyzer = Analyzer::new("");
    analyzer.says(&oru("7", "AL", "AL"));
    assert_eq!(analyzer.hears(), "", "neither is sent before the commit");
    analyzer.is_stored();
    let heard = analyzer.hears();
    assert_eq!(heard.matches(VT).count(), 2);
    assert!(
        heard.contains("|T1|P|2.5.1\rMSA|CA|7\r") && heard.contains("|T2|P|2.5.1\rMSA|AA|7\r"),
        "{heard:?}"
    );
}

#[test]
fn a_sender_that_is_told_that_its_message_was_not_accepted_waits_for_no_application_reply() {
    let mut analyzer = Analyzer::new("");
    analyzer.says(&oru("7", "AL", "AL").replace("ORU^R01", "ORU^R99"));
    let stored = analyzer.is_stored();
    let heard = analyzer.hears();
    assert!(heard.contains("MSA|CR|7\r") && heard.contains("|201^"), "{heard:?}");
    assert_eq!(heard.matches("MSA").count(), 1);
    assert_eq!(stored.completes[0].decoded.held().count(), 1);
    assert!(analyzer.notes.contains(&Note::Refused(201)));
}

#[test]
fn a_message_that_could_not_be_stored_is_answered_only_where_the_sender_repeats_after_it() {
    for (lines, accept, answers, closes) in [
        ("", "", &[][..], true),
        ("", "NE", &[], true),
        ("", "ER", &["MSA|CE|7"], false),
        ("[acknowledge]\nwhen_not_stored = \"silence\"", "ER", &[], true),
        ("[acknowledge]\nwhen_not_stored = \"error\"", "", &["MSA|AE|7"], false),
    ] {
        let mut analyzer = Analyzer::new(lines);
        analyzer.says(&oru("7", accept, if accept.is_empty() { "" } else { "AL" }));
        analyzer.is_not_stored();
        let heard = analyzer.hears();
        let answered: Vec<&str> = heard.split('\r').filter(|line| line.starts_with("MSA")).collect();
        assert_eq!(answered, answers, "{lines:?} {accept:?}");
        assert_eq!(heard.contains("|207^Application internal error^"), !answers.is_empty());
        assert_eq!(analyzer.closed.is_some(), closes, "{lines:?} {accept:?}");
    }
}

#[test]
fn a_line_of_release_two_gets_its_block_reply_before_the_message_and_keeps_open_on_nak() {
    let mut analyzer = Analyzer::new("[link]\nrelease = 2");
    analyzer.says(&oru("7", "", ""));
    assert_eq!(analyzer.hears(), "");
    analyzer.is_stored();
    let heard = analyzer.hears();
    assert!(heard.starts_with("\u{b}\u{6}\u{1c}\r\u{b}MSH|"), "{heard:?}");
    analyzer.says("\u{6}");
    analyzer.says(&oru("8", "", ""));
    analyzer.is_not_stored();
    assert_eq!(analyzer.hears(), "\u{b}\u{15}\u{1c}\r");
    assert_eq!(analyzer.closed, None);
}

#[test]
fn a_profile_decides_on_mode_words_and_echo() {
    for (lines, expected) in [
        ("mode = \"original\"", vec!["MSA|AA|7"]),
        ("mode = \"enhanced\"", vec!["MSA|CA|7", "MSA|AA|7"]),
        ("mode = \"commit\"", vec!["MSA|CA|7"]),
        ("mode = \"none\"", vec![]),
        ("unanswered = [\"ORU^R01\"]", vec![]),
        ("text = \"Message accepted\"\ncondition = \"0\"", vec!["MSA|AA|7|Message accepted|||0"]),
    ] {
        let mut analyzer = Analyzer::new(&format!("[acknowledge]\n{lines}"));
        analyzer.says(&oru("7", "NE", "AL"));
        analyzer.is_stored();
        assert_eq!(analyzer.answers(), expected, "{lines}");
    }
    let mut analyzer = Analyzer::new("[acknowledge]\necho = [\"MSH-10\", \"MSH-16\"]\ntype = \"code\"");
    analyzer.says(&oru("7", "", "2"));
    analyzer.is_stored();
    assert!(analyzer.hears().contains("||ACK|7|P|2.5.1||||2\r"));
    let mut analyzer = Analyzer::new("");
    analyzer.says(&oru("7", "", "2"));
    analyzer.is_stored();
    assert!(
        analyzer.hears().contains("||ACK^R01^ACK|T1|P|2.5.1\rMSA|AA|7\r"),
        "a misused MSH-16 is not repeated"
    );
}

#[test]
fn a_batch_in_one_block_is_answered_by_a_batch_in_its_order() {
    let batch = |count: u8| {
        format!(
            "FHS|^~\\&|f\rBHS|^~\\&|DEV|LAB|OUR|LIS|20260302||||b9\r{}{}BTS|{count}\rFTS|1\r",
            oru("1", "", ""),
            oru("2", "", "")
        )
    };
    let mut analyzer = Analyzer::new("");
    analyzer.says(&batch(2));
    assert_eq!(analyzer.is_stored().completes.len(), 2);
    let heard = analyzer.hears();
    assert!(
        heard.starts_with("\u{b}BHS|^~\\&|OUR|LIS|DEV|LAB|19700101000000+0000||||T3|b9\rMSH|"),
        "{heard:?}"
    );
    assert!(heard.ends_with("MSA|AA|2\rBTS|2\r\u{1c}\r"), "{heard:?}");

    analyzer.says(&batch(3));
    let stored = analyzer.is_stored();
    assert_eq!(stored.completes[1].decoded.diagnostics.last().unwrap().code, "batch-count");
    assert_eq!(analyzer.answers(), ["MSA|AA|1", "MSA|AA|2", "MSA|AE|b9"]);
    assert!(analyzer.notes.contains(&Note::BatchMiscounted { declared: 3, received: 2 }));

    let mut analyzer = Analyzer::new("[acknowledge]\nbatch = \"blocks\"");
    analyzer.says(&batch(2));
    analyzer.is_stored();
    assert_eq!(analyzer.hears().matches(VT).count(), 2);
}

#[test]
fn a_batch_over_several_blocks_is_counted_and_its_messages_are_answered_as_they_come() {
    let mut analyzer = Analyzer::new("");
    analyzer.says("BHS|^~\\&|DEV|LAB|OUR|LIS|||||b9\r");
    analyzer.is_stored();
    assert_eq!((analyzer.hears().as_str(), analyzer.closed), ("", None));
    analyzer.says(&oru("1", "", ""));
    analyzer.is_stored();
    assert_eq!(analyzer.answers(), ["MSA|AA|1"]);
    analyzer.says("BTS|1\r");
    analyzer.is_stored();
    assert_eq!(analyzer.hears(), "", "a batch that holds what it counts needs no words");
    assert!(analyzer.notes.iter().all(|note| !matches!(note, Note::BatchMiscounted { .. })));
}

#[test]
fn a_sequence_number_is_answered_and_another_one_than_expected_is_not_accepted() {
    let numbered = |id: &str, number: &str| oru(id, "", "").replace("2.5.1|", &format!("2.5.1|{number}"));
    let mut analyzer = Analyzer::new("[acknowledge]\nsequence_numbers = true");
    analyzer.session.resume_sequence(41);
    analyzer.says(&numbered("1", "0"));
    analyzer.is_stored();
    assert_eq!(analyzer.answers(), ["MSA|AA|1||42"]);
    analyzer.says(&numbered("2", "42"));
    analyzer.is_not_stored();
    analyzer.says(&numbered("2", "42"));
    analyzer.is_stored();
    assert_eq!(analyzer.answers(), ["MSA|AA|2||42"]);
    assert_eq!(analyzer.session.sequence(), Some(42));
    analyzer.says(&numbered("3", "44"));
    assert!(analyzer.asked().is_none(), "nothing is stored under a number that is not due");
    assert_eq!(analyzer.answers(), ["MSA|AE|3||43"]);
    assert!(analyzer.notes.contains(&Note::SequenceGap { expected: 43, received: 44 }));
}

const FIRST: &str = "\rOBR|1||S1\rOBX|1|NM|K||6.9|mmol/L|||||F\rDSC|P7|F\r";

#[test]
fn fragments_are_acknowledged_each_and_read_as_one_message() {
    let mut analyzer = Analyzer::new("");
    analyzer.says(&format!("{MSH}|1|P|2.5.1{FIRST}"));
    let first = analyzer.is_stored();
    assert_eq!(first.completes, []);
    assert_eq!(analyzer.answers(), ["MSA|AA|1"]);
    assert!(!analyzer.session.is_neutral());
    // The reply was lost.
    analyzer.says(&format!("{MSH}|1|P|2.5.1{FIRST}"));
    assert!(analyzer.asked().is_none(), "it is durable already");
    assert_eq!(analyzer.answers(), ["MSA|AA|1"]);
    analyzer.says(&format!("{MSH}|2|P|2.5.1||P7\rOBX|2|NM|NA||140|mmol/L|||||F\r"));
    let last = analyzer.is_stored();
    assert_eq!(analyzer.answers(), ["MSA|AA|2"]);
    assert_eq!(last.transmission, first.transmission);
    let decoded = &last.completes[0].decoded;
    assert_eq!(decoded.outcomes.len(), 2);
    assert!(decoded.outcomes.iter().all(|one| one.observation.specimen_id.as_deref() == Some("S1")));
    assert!(analyzer.session.is_neutral());
}

#[test]
fn fragments_whose_rest_does_not_come_are_an_incomplete_message() {
    for ends in ["another message", "silence", "the end of the line"] {
        let mut analyzer = Analyzer::new("");
        analyzer.says(&format!("{MSH}|1|P|2.5.1{FIRST}"));
        analyzer.is_stored();
        match ends {
            "silence" => {
                analyzer.at = analyzer.session.poll_deadline().unwrap();
                analyzer.tell(Input::Deadline);
            }
            "another message" => analyzer.says(&oru("2", "", "")),
            _ => analyzer.tell(Input::Closed),
        }
        let _ = analyzer.asked();
        assert_eq!(analyzer.incomplete.len(), 1, "{ends}");
    }
}

#[test]
fn a_control_id_over_another_content_is_told_and_over_the_same_is_not() {
    let mut analyzer = Analyzer::new("");
    for (id, value, told) in [("1", "6.9", 0), ("1", "6.9", 0), ("2", "6.9", 0), ("1", "7.0", 1)] {
        analyzer.says(&oru(id, "", "").replace("6.9", value));
        analyzer.is_stored();
        let reused = analyzer.notes.iter().filter(|note| **note == Note::ControlIdReused).count();
        assert_eq!(reused, told, "{id} {value}");
    }
}

#[test]
fn a_reply_to_a_message_of_ours_is_never_answered() {
    for kind in ["ACK^R01", "ORL^O34^ORL_O34"] {
        let mut analyzer = Analyzer::new("");
        let header = MSH.replace("ORU^R01", kind);
        analyzer.says(&format!("{header}|1|P|2.5.1|||AL|AL\rMSA|AA|T1\rORC|OK|W1\r"));
        analyzer.is_stored();
        assert_eq!(analyzer.hears(), "", "{kind}");
    }
}
