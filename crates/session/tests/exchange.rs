//! Messages of ours and a peer that answers as the test says.

#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;

use jiff::Timestamp;
use labwire_link::{MllpSettings, Release};
use labwire_message::hl7::AckCode;
use labwire_session::{
    Exchange, ExchangeEvent, ExchangeInput, ExchangeNote, ExchangeSettings, Failure, Now, Retry,
};

fn oru(control_id: &str, accept: &str, application: &str) -> String {
    format!("MSH|^~\\&|US|LAB|PEER|LIS|2026||ORU^R01|{control_id}|P|2.5.1|||{accept}|{application}\rOBX|1\r")
}

fn reply(code: &str, control_id: &str, more: &str) -> String {
    format!(
        "\u{b}MSH|^~\\&|PEER|LIS|US|LAB|2026||ACK^R01^ACK|p1|P|2.5.1\rMSA|{code}|{control_id}{more}\r\u{1c}\r"
    )
}

struct Owner {
    exchange: Exchange,
    at: Duration,
    events: Vec<ExchangeEvent>,
}

impl Owner {
    fn new(settings: ExchangeSettings) -> Self {
        Self { exchange: Exchange::new(settings), at: Duration::ZERO, events: Vec::new() }
    }

    /// With the default settings and an open line.
    fn connected() -> Self {
        let mut owner = Self::new(ExchangeSettings::default());
        owner.sends(1, &oru("M1", "", ""));
        assert_eq!(owner.events, [ExchangeEvent::Connect]);
        owner.events.clear();
        owner.tell(ExchangeInput::Connected);
        owner
    }

    fn tell(&mut self, input: ExchangeInput<'_>) {
        let now = Now { monotonic: self.at, wall: Timestamp::UNIX_EPOCH };
        self.exchange.handle(now, input);
        while let Some(event) = self.exchange.poll_event() {
            self.events.push(event);
        }
    }

    fn sends(&mut self, id: u64, message: &str) {
        self.tell(ExchangeInput::Send { id, message: message.as_bytes() });
    }

    fn hears(&mut self, bytes: &str) {
        self.tell(ExchangeInput::Bytes(bytes.as_bytes()));
    }

    /// Time passes up to the next thing that the exchange waits for.
    fn waits(&mut self) -> Duration {
        let Some(due) = self.exchange.poll_deadline() else { panic!("nothing is waited for") };
        let waited = due.saturating_sub(self.at);
        self.at = due;
        self.tell(ExchangeInput::Deadline);
        waited
    }

    fn written(&mut self) -> String {
        let mut out = Vec::new();
        while self.exchange.poll_transmit(&mut out) {}
        String::from_utf8_lossy(&out).into_owned()
    }

    fn notes(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .filter_map(|event| match event {
                ExchangeEvent::Note(note) => Some(note.code()),
                _ => None,
            })
            .collect()
    }

    fn delivered(&self) -> Vec<u64> {
        self.events
            .iter()
            .filter_map(|event| match event {
                ExchangeEvent::Delivered { id, .. } => Some(*id),
                _ => None,
            })
            .collect()
    }

    fn failures(&self) -> Vec<(u64, &Failure)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                ExchangeEvent::Failed { id, failure } => Some((*id, failure)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn one_message_is_on_the_line_and_the_next_follows_its_reply() {
    let mut owner = Owner::connected();
    owner.sends(2, &oru("M2", "", ""));
    assert_eq!(owner.written().matches("MSH").count(), 1);
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [1]);
    assert!(owner.written().contains("|M2|"));
    let ExchangeEvent::Delivered { reply, .. } = &owner.events[0] else { panic!("{:?}", owner.events) };
    assert!(reply.ends_with(b"MSA|AA|M1\r"), "the owner gets the reply whole");
}

#[test]
fn a_reply_that_names_another_message_changes_nothing() {
    let mut owner = Owner::connected();
    owner.hears(&reply("AA", "M0", ""));
    owner.hears(&reply("AA", "", ""));
    assert_eq!((owner.delivered(), owner.notes()), (vec![], vec!["stray-reply"; 2]));
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [1]);
}

#[test]
fn an_answer_that_does_not_come_costs_the_stream_and_the_same_bytes_go_over_the_next() {
    let mut owner = Owner::connected();
    let first = owner.written();
    assert_eq!(owner.waits(), Duration::from_secs(30));
    assert!(matches!(
        owner.events[..],
        [ExchangeEvent::Close(_), ExchangeEvent::Note(ExchangeNote::Unanswered)]
    ));
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [0_u64; 0], "the stream that was given up is not read");
    owner.tell(ExchangeInput::Closed);
    assert!(owner.waits() <= Duration::from_secs(1));
    assert_eq!(owner.events.last(), Some(&ExchangeEvent::Connect));
    owner.tell(ExchangeInput::Connected);
    assert_eq!(owner.written(), first);
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [1]);
}

#[test]
fn a_late_reply_on_the_next_stream_does_not_release_the_next_message() {
    let retry = Retry { attempts_max: Some(1), ..Retry::default() };
    let mut owner = Owner::new(ExchangeSettings { retry, ..ExchangeSettings::default() });
    owner.sends(1, &oru("M1", "", ""));
    owner.sends(2, &oru("M2", "", ""));
    owner.tell(ExchangeInput::Connected);
    owner.waits();
    assert_eq!(owner.failures(), [(1, &Failure::Unanswered)]);
    owner.tell(ExchangeInput::Closed);
    owner.waits();
    owner.tell(ExchangeInput::Connected);
    assert!(owner.written().contains("|M2|"));
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [0_u64; 0]);
    owner.hears(&reply("AA", "M2", ""));
    assert_eq!(owner.delivered(), [2]);
}

#[test]
fn an_error_comes_back_with_its_words_and_does_not_hold_the_next_one_up() {
    let mut owner = Owner::connected();
    owner.sends(2, &oru("M2", "", ""));
    owner.hears(&reply("AE", "M1", "|no such patient\rERR||PID^1|204^unknown^HL70357|E"));
    let text = Some("no such patient".to_owned());
    let refused = Failure::Refused { code: AckCode::Ae, condition: Some(204), text };
    assert_eq!(owner.failures(), [(1, &refused)]);
    assert!(owner.written().contains("|M2|"));
}

#[test]
fn a_condition_that_passes_is_waited_out_on_the_same_stream_up_to_the_bound() {
    for (code, condition) in [("AR", "206"), ("AR", "207"), ("AE", "207"), ("CE", "")] {
        let retry = Retry { attempts_max: Some(3), ..Retry::default() };
        let mut owner = Owner::new(ExchangeSettings { retry, ..ExchangeSettings::default() });
        owner.sends(1, &oru("M1", "", ""));
        owner.tell(ExchangeInput::Connected);
        for _ in 0..2 {
            owner.hears(&reply(code, "M1", &format!("\rERR|||{condition}")));
            assert_eq!(owner.failures(), []);
            owner.waits();
        }
        assert_eq!(owner.written().matches("|M1|").count(), 3, "{code} {condition}");
        owner.hears(&reply(code, "M1", &format!("\rERR|||{condition}")));
        assert!(matches!(owner.failures()[..], [(1, Failure::Refused { .. })]), "{code} {condition}");
        assert!(!owner.events.iter().any(|event| matches!(event, ExchangeEvent::Close(_))));
    }
}

#[test]
fn a_peer_that_never_answers_gets_one_message_at_longer_and_longer_intervals() {
    let mut owner = Owner::new(ExchangeSettings::default());
    for id in 0..1_000 {
        owner.sends(id, &oru(&format!("M{id}"), "", ""));
    }
    owner.sends(1_000, &oru("M1000", "", ""));
    assert_eq!(owner.failures(), [(1_000, &Failure::QueueFull)]);
    let mut attempts = 0;
    while owner.at < Duration::from_secs(3_600) {
        if owner.events.contains(&ExchangeEvent::Connect) {
            owner.events.clear();
            owner.tell(ExchangeInput::Connected);
            let written = owner.written();
            assert_eq!((written.matches("MSH").count(), written.contains("|M0|")), (1, true));
            attempts += 1;
        }
        owner.waits();
    }
    assert!((30..60).contains(&attempts), "{attempts} attempts in an hour");
}

#[test]
fn a_line_that_ends_or_cannot_be_opened_is_dialled_again_with_the_same_message() {
    let mut owner = Owner::connected();
    let first = owner.written();
    owner.tell(ExchangeInput::Closed);
    assert_eq!(owner.notes(), ["connection-lost"]);
    owner.waits();
    let mut pauses = Vec::new();
    for _ in 0..4 {
        owner.tell(ExchangeInput::Closed);
        pauses.push(owner.waits());
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    owner.tell(ExchangeInput::Connected);
    assert_eq!(owner.written(), first);
}

#[test]
fn a_reply_without_framing_is_named_when_its_time_is_over() {
    let mut owner = Owner::connected();
    owner.hears("MSH|^~\\&|PEER\rMSA|AA|M1\r");
    assert_eq!(owner.delivered(), [0_u64; 0]);
    owner.waits();
    assert_eq!(owner.notes(), ["unframed-reply"]);
}

#[test]
fn reply_codes_are_exact_but_for_case() {
    let mut owner = Owner::connected();
    for code in ["AAfoo", "", "OK"] {
        owner.hears(&reply(code, "M1", ""));
    }
    assert_eq!((owner.delivered(), owner.notes()), (vec![], vec!["unknown-code"; 3]));
    owner.hears(&reply("aa", "M1", "").replace('\r', "\n").replace("\u{1c}\n", "\u{1c}\r"));
    assert_eq!(owner.delivered(), [1], "in lower case, with line feeds between segments");
    assert_eq!(owner.notes().last(), Some(&"lower-case-code"));
}

#[test]
fn in_enhanced_mode_the_application_reply_follows_the_commit_reply_and_is_confirmed_if_it_asks() {
    let mut owner = Owner::new(ExchangeSettings::default());
    owner.sends(1, &oru("M1", "AL", "AL"));
    owner.tell(ExchangeInput::Connected);
    owner.written();
    owner.hears(&reply("CA", "M1", ""));
    assert_eq!(owner.delivered(), [0_u64; 0]);
    owner.hears(&reply("AA", "M1", "").replace("|p1|P|2.5.1", "|p2|P|2.5.1|||AL|NE"));
    assert_eq!(owner.delivered(), [1]);
    assert!(owner.written().contains("\rMSA|CA|p2\r"));
}

#[test]
fn what_the_peer_has_taken_over_is_not_sent_again() {
    let mut owner = Owner::new(ExchangeSettings::default());
    owner.sends(1, &oru("M1", "AL", "AL"));
    owner.tell(ExchangeInput::Connected);
    owner.hears(&reply("CA", "M1", ""));
    owner.waits();
    assert_eq!((owner.delivered(), owner.notes()), (vec![1], vec!["unanswered"]));
}

#[test]
fn a_message_gets_across_by_the_replies_that_it_asks_for() {
    for (accept, application, answer) in
        [("AL", "NE", Some("CA")), ("NE", "AL", Some("AA")), ("ER", "AL", Some("AA")), ("NE", "NE", None)]
    {
        let mut owner = Owner::new(ExchangeSettings::default());
        owner.sends(1, &oru("M1", accept, application));
        owner.tell(ExchangeInput::Connected);
        if let Some(code) = answer {
            assert_eq!(owner.delivered(), [0_u64; 0], "{accept}/{application}");
            owner.hears(&reply(code, "M1", ""));
        }
        assert_eq!(owner.delivered(), [1], "{accept}/{application}");
    }
}

#[test]
fn a_message_of_the_peer_is_handed_on_and_answers_nothing() {
    let mut owner = Owner::connected();
    owner.hears(&format!("\u{b}{}\u{1c}\r", oru("Q1", "", "")));
    assert!(matches!(&owner.events[..], [ExchangeEvent::Received(message)] if message.starts_with(b"MSH|")));
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [1]);
}

#[test]
fn what_cannot_be_sent_is_given_back_at_once() {
    let mut owner = Owner::connected();
    owner.hears(&reply("AA", "M1", ""));
    owner.events.clear();
    owner.sends(2, "MSH|^~\\&|||||||ORU^R01\r");
    owner.sends(3, &oru("M3", "", "").replace("OBX|1", "OBX|\u{b}"));
    owner.sends(4, &oru("M4", "", ""));
    owner.sends(5, &oru("M5", "", ""));
    owner.tell(ExchangeInput::Withdraw { id: 4 });
    owner.tell(ExchangeInput::Withdraw { id: 5 });
    let failures = owner.failures();
    assert!(
        matches!(
            failures[..],
            [(2, Failure::NoControlId), (3, Failure::Unsendable(_)), (5, Failure::Withdrawn)]
        ),
        "{failures:?}"
    );
}

#[test]
fn over_release_two_a_block_that_is_not_stored_is_sent_again() {
    let link = MllpSettings { release: Release::Two, ..MllpSettings::default() };
    let mut owner = Owner::new(ExchangeSettings { link, ..ExchangeSettings::default() });
    owner.sends(1, &oru("M1", "", ""));
    owner.tell(ExchangeInput::Connected);
    for _ in 0..3 {
        owner.hears("\u{b}\u{15}\u{1c}\r");
    }
    assert_eq!(owner.notes(), ["try-later"]);
    owner.waits();
    assert_eq!(owner.written().matches("|M1|").count(), 4);
    owner.hears("\u{b}\u{6}\u{1c}\r");
    owner.hears(&reply("AA", "M1", ""));
    assert_eq!(owner.delivered(), [1]);
    assert_eq!(owner.written(), "\u{b}\u{6}\u{1c}\r", "the reply is content and is answered");
}
