//! Our messages to an HL7 peer over real TCP: the peer answers as the case says.

use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use labwire_message::hl7::AckCode;
use labwire_session::{
    Exchange, ExchangeEvent, ExchangeInput, ExchangeNote, ExchangeSettings, Failure, Now, Retry,
};

use crate::Function;
use crate::support::PATIENCE;

pub(crate) const FUNCTIONS: &[Function] = &[
    ("a_late_reply_does_not_answer_the_next_message", a_late_reply_does_not_answer_the_next_message),
    ("a_reply_to_another_message_answers_nothing", a_reply_to_another_message_answers_nothing),
    ("an_error_gives_the_message_back_with_its_text", an_error_gives_the_message_back_with_its_text),
    ("a_reject_that_passes_is_tried_again", a_reject_that_passes_is_tried_again),
    (
        "a_line_that_ends_before_the_reply_leads_to_the_same_message",
        a_line_that_ends_before_the_reply_leads_to_the_same_message,
    ),
    ("a_peer_that_never_answers_is_not_flooded", a_peer_that_never_answers_is_not_flooded),
    ("a_reply_in_pieces_is_a_reply", a_reply_in_pieces_is_a_reply),
    ("a_reply_without_a_block_is_named", a_reply_without_a_block_is_named),
    ("a_reply_with_line_feeds_is_a_reply", a_reply_with_line_feeds_is_a_reply),
    ("reply_codes_are_exact", reply_codes_are_exact),
];

/// What a peer does with a message.
enum Act {
    /// Writes these pieces, each in a segment of its own.
    Say(Vec<Vec<u8>>),
    HangUp,
}

/// Which message of which connection a peer has received, from 1, and its MSH-10.
type Heard = Arc<Mutex<Vec<(usize, String)>>>;

/// A peer on the loopback. It ends with the test's process; each of its threads ends with its line.
fn peer(act: impl Fn(usize, usize, &str) -> Act + Send + Sync + 'static) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let (kept, act) = (Arc::clone(&heard), Arc::new(act));
    std::thread::spawn(move || {
        for (connection, stream) in (1..).zip(listener.incoming()) {
            let (kept, act) = (Arc::clone(&kept), Arc::clone(&act));
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || listen(stream, connection, &kept, &*act));
        }
    });
    (address, heard)
}

fn listen(mut stream: TcpStream, connection: usize, heard: &Heard, act: &dyn Fn(usize, usize, &str) -> Act) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(end) = received.windows(2).position(|pair| pair == b"\x1c\r") {
            let block: Vec<u8> = received.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&block);
            let id = text.split('|').nth(9).unwrap_or_default().to_owned();
            let number = {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push((connection, id.clone()));
                heard.len()
            };
            match act(connection, number, &id) {
                Act::HangUp => return,
                Act::Say(pieces) => {
                    for piece in pieces {
                        if stream.write_all(&piece).is_err() {
                            return;
                        }
                    }
                }
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
        }
    }
}

fn reply(code: &str, id: &str, more: &str) -> Vec<u8> {
    format!("\u{b}MSH|^~\\&|P|L|U|L|2026||ACK^R01^ACK|p1|P|2.5.1\rMSA|{code}|{id}{more}\r\u{1c}\r")
        .into_bytes()
}

fn says(code: &str, id: &str) -> Act {
    Act::Say(vec![reply(code, id, "")])
}

/// Our side: an exchange and the transport that it asks for.
struct Owner {
    exchange: Exchange,
    address: SocketAddr,
    stream: Option<TcpStream>,
    origin: Instant,
    events: Vec<ExchangeEvent>,
}

impl Owner {
    fn new(address: SocketAddr, attempts_max: Option<u32>) -> Self {
        let retry = Retry {
            pause_first: Duration::from_millis(20),
            pause_max: Duration::from_millis(80),
            attempts_max,
        };
        let settings = ExchangeSettings {
            reply_timeout: Duration::from_millis(200),
            retry,
            ..ExchangeSettings::default()
        };
        Self {
            exchange: Exchange::new(settings),
            address,
            stream: None,
            origin: Instant::now(),
            events: Vec::new(),
        }
    }

    fn sends(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            let message = format!("MSH|^~\\&|U|L|P|L|2026||ORU^R01|M{id}|P|2.5.1\rOBX|1\r");
            self.tell(ExchangeInput::Send { id, message: message.as_bytes() });
        }
    }

    fn tell(&mut self, input: ExchangeInput<'_>) {
        let now = Now { monotonic: self.origin.elapsed(), wall: Timestamp::now() };
        self.exchange.handle(now, input);
    }

    /// Carries out what the exchange asks for until the test has seen enough.
    #[track_caller]
    fn goes_on_until(&mut self, what: &str, enough: impl Fn(&[ExchangeEvent]) -> bool) {
        let started = Instant::now();
        while !enough(&self.events) {
            assert!(started.elapsed() < PATIENCE, "waited for {what}: {:?}", self.events);
            self.carry_out();
            self.read();
            self.tell(ExchangeInput::Deadline);
        }
    }

    fn carry_out(&mut self) {
        while let Some(event) = self.exchange.poll_event() {
            match event {
                ExchangeEvent::Connect => match TcpStream::connect(self.address) {
                    Ok(stream) => {
                        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
                        self.stream = Some(stream);
                        self.tell(ExchangeInput::Connected);
                    }
                    Err(_) => self.tell(ExchangeInput::Closed),
                },
                ExchangeEvent::Close(_) => {
                    self.stream = None;
                    self.tell(ExchangeInput::Closed);
                    self.events.push(event);
                }
                event => self.events.push(event),
            }
        }
        let mut out = Vec::new();
        while self.exchange.poll_transmit(&mut out) {}
        if let Some(stream) = &mut self.stream {
            // A line that broke shows when it is read.
            let _ = stream.write_all(&out);
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        let Some(stream) = &mut self.stream else {
            std::thread::sleep(Duration::from_millis(1));
            return;
        };
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => self.tell(ExchangeInput::Bytes(&buffer[..count])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => {
                self.stream = None;
                self.tell(ExchangeInput::Closed);
            }
        }
    }

    fn notes(&self) -> Vec<ExchangeNote> {
        self.events
            .iter()
            .filter_map(|event| match event {
                ExchangeEvent::Note(note) => Some(*note),
                _ => None,
            })
            .collect()
    }
}

fn delivered(events: &[ExchangeEvent], wanted: u64) -> bool {
    events.iter().any(|event| matches!(event, ExchangeEvent::Delivered { id, .. } if *id == wanted))
}

fn failed(events: &[ExchangeEvent], wanted: u64) -> Option<&Failure> {
    events.iter().find_map(|event| match event {
        ExchangeEvent::Failed { id, failure } if *id == wanted => Some(failure),
        _ => None,
    })
}

fn heard(heard: &Heard) -> Vec<(usize, String)> {
    heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn a_late_reply_does_not_answer_the_next_message() {
    // The reply to the first message comes when the second is on the line, and the second's never.
    let (address, log) = peer(|_, _, id| if id == "M1" { Act::Say(vec![]) } else { says("AA", "M1") });
    let mut owner = Owner::new(address, Some(1));
    owner.sends([1, 2]);
    owner.goes_on_until("both to be given up", |events| failed(events, 2).is_some());
    assert_eq!(failed(&owner.events, 1), Some(&Failure::Unanswered));
    assert_eq!(failed(&owner.events, 2), Some(&Failure::Unanswered));
    assert!(owner.notes().contains(&ExchangeNote::Stray));
    assert_eq!(heard(&log), [(1, "M1".to_owned()), (2, "M2".to_owned())], "on a stream of its own");
}

fn a_reply_to_another_message_answers_nothing() {
    let (address, _) = peer(|_, _, _| says("AA", "M77"));
    let mut owner = Owner::new(address, Some(1));
    owner.sends([1]);
    owner.goes_on_until("the end of its time", |events| failed(events, 1).is_some());
    assert_eq!(owner.notes(), [ExchangeNote::Stray, ExchangeNote::Unanswered]);
}

fn an_error_gives_the_message_back_with_its_text() {
    let (address, _) = peer(|_, _, id| match id {
        "M1" => Act::Say(vec![reply("AE", "M1", "|unknown patient")]),
        id => says("AA", id),
    });
    let mut owner = Owner::new(address, None);
    owner.sends([1, 2]);
    owner.goes_on_until("the next one", |events| delivered(events, 2));
    let text = Some("unknown patient".to_owned());
    let refused = Failure::Refused { code: AckCode::Ae, condition: None, text };
    assert_eq!(failed(&owner.events, 1), Some(&refused));
}

fn a_reject_that_passes_is_tried_again() {
    let (address, log) = peer(|_, number, id| match number {
        1 | 2 => Act::Say(vec![reply("AR", id, "\rERR|||206^locked^HL70357|E")]),
        _ => says("AA", id),
    });
    let mut owner = Owner::new(address, None);
    owner.sends([1]);
    let started = Instant::now();
    owner.goes_on_until("the third attempt", |events| delivered(events, 1));
    assert!(started.elapsed() >= Duration::from_millis(15 + 30), "with a pause that grows");
    assert_eq!(heard(&log), [(1, "M1".to_owned()), (1, "M1".to_owned()), (1, "M1".to_owned())]);
}

fn a_line_that_ends_before_the_reply_leads_to_the_same_message() {
    let (address, log) = peer(|connection, _, id| if connection == 1 { Act::HangUp } else { says("AA", id) });
    let mut owner = Owner::new(address, None);
    owner.sends([1]);
    owner.goes_on_until("the next line", |events| delivered(events, 1));
    assert_eq!(heard(&log), [(1, "M1".to_owned()), (2, "M1".to_owned())]);
}

fn a_peer_that_never_answers_is_not_flooded() {
    let (address, log) = peer(|_, _, _| Act::Say(vec![]));
    let mut owner = Owner::new(address, None);
    owner.sends(1..=1_000);
    owner.goes_on_until("four attempts", |events| {
        events.iter().filter(|event| matches!(event, ExchangeEvent::Close(_))).count() == 4
    });
    let heard = heard(&log);
    assert!(heard.len() <= 5 && heard.iter().all(|(_, id)| id == "M1"), "{heard:?}");
    let lines: Vec<usize> = heard.iter().map(|(connection, _)| *connection).collect();
    assert!(
        lines.is_sorted() && lines.windows(2).all(|pair| pair[0] < pair[1]),
        "one on each line: {lines:?}"
    );
}

fn a_reply_in_pieces_is_a_reply() {
    let (address, _) = peer(|_, _, id| {
        let whole = reply("AA", id, "");
        let (first, rest) = whole.split_at(1);
        Act::Say([first].into_iter().chain(rest.chunks(rest.len().div_ceil(4))).map(<[u8]>::to_vec).collect())
    });
    let mut owner = Owner::new(address, None);
    owner.sends([1]);
    owner.goes_on_until("the reply", |events| delivered(events, 1));
    assert_eq!(owner.notes(), []);
}

fn a_reply_without_a_block_is_named() {
    let (address, _) = peer(|_, _, id| {
        let whole = reply("AA", id, "");
        Act::Say(vec![whole[1..whole.len() - 2].to_vec()])
    });
    let mut owner = Owner::new(address, Some(1));
    owner.sends([1]);
    owner.goes_on_until("the end of its time", |events| failed(events, 1).is_some());
    assert_eq!(owner.notes(), [ExchangeNote::UnframedReply]);
}

fn a_reply_with_line_feeds_is_a_reply() {
    let (address, _) = peer(|_, _, id| {
        let mut whole = reply("AA", id, "");
        let end = whole.len() - 1;
        whole[..end].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Act::Say(vec![whole])
    });
    let mut owner = Owner::new(address, None);
    owner.sends([1]);
    owner.goes_on_until("the reply", |events| delivered(events, 1));
}

fn reply_codes_are_exact() {
    let (address, _) =
        peer(|_, _, id| Act::Say(["AAfoo", "", "aa"].iter().map(|code| reply(code, id, "")).collect()));
    let mut owner = Owner::new(address, Some(1));
    owner.sends([1]);
    owner.goes_on_until("the reply in lower case", |events| delivered(events, 1));
    assert_eq!(
        owner.notes(),
        [ExchangeNote::UnknownCode, ExchangeNote::UnknownCode, ExchangeNote::LowerCaseCode]
    );
}
