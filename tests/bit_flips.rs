//! Every bit of every frame of three fixtures turned over, one at a time, on the way to the host: the frame
//! is refused, or it is the same all the same. No value is stored that the analyzer did not send, and
//! nothing that it sent is lost.
//!
//! Frames alone have a check that finds this. MLLP blocks have none, which is why they belong on TCP.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use core::time::Duration;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_capture::{Content, Reader};
use labwire_driver::{Library, Plan};
use labwire_link::control::{ACK, ENQ, EOT, LF, NAK, STX};
use labwire_workbench::{Heard, Host, Step};

const FIXTURES: [&str; 3] = ["results-without-a-profile", "eight-bit-text", "delimiters-of-its-own"];

/// Longer than any silence that tells the host what a byte meant.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an analyzer waits for the reply to a frame.
const REPLY_TIMEOUT: Duration = Duration::from_secs(15);

struct Fixture {
    plan: Arc<Plan>,
    started: Timestamp,
    /// The frames of each session.
    sessions: Vec<Vec<Vec<u8>>>,
}

fn fixture(name: &str) -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/astm/{name}.cap"));
    let text = std::fs::read(path).unwrap();
    let reader = Reader::new(text.as_slice()).unwrap();
    let header = reader.header().clone();
    let plan = Library::embedded().compile(header.driver.as_deref().unwrap()).unwrap().plan.unwrap();
    let mut bytes = Vec::new();
    for entry in reader {
        if let Content::ToHost(part) = entry.unwrap().content {
            bytes.extend(part);
        }
    }
    let sessions =
        bytes.split(|byte| *byte == EOT).map(frames).filter(|frames: &Vec<_>| !frames.is_empty()).collect();
    Fixture { plan: Arc::new(plan), started: header.started, sessions }
}

fn frames(session: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = (0..session.len()).filter(|at| session[*at] == STX).collect();
    starts
        .iter()
        .map(|from| {
            let end = session[*from..].iter().position(|byte| *byte == LF).unwrap();
            session[*from..=from + end].to_vec()
        })
        .collect()
}

/// The analyzer's side, played by hand: it believes nothing but replies.
struct Analyzer {
    host: Host,
    at: Duration,
}

impl Analyzer {
    fn new(fixture: &Fixture) -> Self {
        let host = Host::new(Arc::clone(&fixture.plan), TimeZone::UTC, fixture.started, None);
        Self { host, at: Duration::ZERO }
    }

    fn wait(&mut self, time: Duration) {
        self.at += time;
        self.host.wait_until(self.at);
    }

    fn says(&mut self, bytes: &[u8]) -> Vec<u8> {
        let before = self.host.replies.len();
        self.host.take(Step::Bytes(bytes));
        self.wait(PAUSE);
        self.host.replies[before..].to_vec()
    }

    fn opens(&mut self) {
        assert_eq!(self.says(&[ENQ]), [ACK], "a bid");
    }

    fn sends(&mut self, frames: &[Vec<u8>]) {
        for frame in frames {
            assert_eq!(self.says(frame), [ACK], "a good frame");
        }
    }

    /// Texts of complete messages and the parts of broken ones.
    fn stored(mut self) -> (BTreeSet<Vec<u8>>, Vec<Vec<u8>>) {
        self.host.settle();
        let (mut whole, mut torn) = (BTreeSet::new(), Vec::new());
        for heard in self.host.heard {
            match heard {
                Heard::Message { raw, .. } => {
                    whole.insert(raw);
                }
                Heard::Incomplete { raw, .. } => torn.push(raw),
                Heard::Note(_) | Heard::Close(_) => {}
            }
        }
        (whole, torn)
    }
}

/// What came of one flip.
enum Reply {
    Accepted,
    Refused,
    Ignored,
}

fn play(session: &[Vec<u8>], flipped: usize, bit: usize, analyzer: &mut Analyzer) -> Reply {
    analyzer.opens();
    analyzer.sends(&session[..flipped]);
    let mut hurt = session[flipped].clone();
    hurt[bit / 8] ^= 1 << (bit % 8);
    match analyzer.says(&hurt).as_slice() {
        [ACK] => {
            analyzer.sends(&session[flipped + 1..]);
            analyzer.says(&[EOT]);
            Reply::Accepted
        }
        [NAK] => {
            analyzer.sends(&session[flipped..]);
            analyzer.says(&[EOT]);
            Reply::Refused
        }
        [] => {
            analyzer.wait(REPLY_TIMEOUT);
            analyzer.says(&[EOT]);
            analyzer.opens();
            analyzer.sends(session);
            analyzer.says(&[EOT]);
            Reply::Ignored
        }
        replies => panic!("{replies:02X?} to one frame: the second one would answer the next"),
    }
}

#[test]
fn no_single_bit_error_of_a_frame_changes_or_loses_what_is_stored() {
    let (mut accepted, mut refused, mut ignored) = (0, 0, 0);
    for name in FIXTURES {
        let fixture = fixture(name);
        assert!(!fixture.sessions.is_empty(), "{name} holds no session");
        for session in &fixture.sessions {
            let mut unhurt = Analyzer::new(&fixture);
            unhurt.opens();
            unhurt.sends(session);
            unhurt.says(&[EOT]);
            let (sent, _) = unhurt.stored();
            for (number, frame) in session.iter().enumerate() {
                for bit in 0..frame.len() * 8 {
                    let at = format!("{name}, frame {}, byte {}, bit {}", number + 1, bit / 8, bit % 8);
                    let mut analyzer = Analyzer::new(&fixture);
                    let reply = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        play(session, number, bit, &mut analyzer)
                    }));
                    match reply.unwrap_or_else(|_| panic!("at {at}")) {
                        Reply::Accepted => accepted += 1,
                        Reply::Refused => refused += 1,
                        Reply::Ignored => ignored += 1,
                    }
                    let (whole, torn) = analyzer.stored();
                    assert_eq!(whole, sent, "{at}");
                    for torn in torn {
                        let begins = sent.iter().any(|text| text.starts_with(&torn));
                        assert!(begins, "{at}: a part that nobody sent is kept");
                    }
                }
            }
        }
    }
    println!("{refused} refused, {ignored} ignored and repeated, {accepted} harmless");
    assert!(refused > 1_000, "the frames are too few to prove anything");
}
