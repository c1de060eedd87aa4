//! The store as a plain list that knows the rules in its own words, and beside it, for some seeds, the
//! real one, which must say the same.

use std::collections::BTreeMap;

use labwire_driver::Plan;
use labwire_model::MessageKind;
use labwire_session::{Incomplete, Persist, RecoveredFrame, Resolution};
use labwire_store::{
    CloseIncomplete, Closed, FrameRecord, Fresh, MessageId, MessageRecord, Options, Spool, SpoolHandle, Stamp,
};

/// The connection of every simulation.
const CONNECTION: &str = "line";

/// How many torn messages a daemon remembers.
pub(super) const REMEMBERED_MAX: usize = 16;
/// How many of them the spool gives a daemon that starts.
const READ_MAX: usize = 64;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is on its way to the LIS.
    Filed,
    /// It was, and looked like one before it that it cannot be told from.
    PossibleRepeat,
    /// It repeats the message with this place.
    Duplicate(usize),
    /// It broke off.
    Incomplete,
    /// It broke off, and a whole one took its place.
    Settled,
}

/// One stored message.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) transmission: u64,
    pub(super) raw: Vec<u8>,
    /// What makes it the same as another; none for what broke off.
    identity: Option<(Option<String>, Vec<u8>)>,
    kind: MessageKind,
    pub(super) state: State,
    /// How many rows were there when what it settles was decided.
    pub(super) decided: usize,
}

#[derive(Clone, Debug)]
struct FrameRow {
    transmission: u64,
    frame: RecoveredFrame,
}

/// A reception that no message completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) transmission: u64,
    pub(super) frames: Vec<RecoveredFrame>,
}

/// The spool of one connection.
#[derive(Debug, Default)]
pub(super) struct Store {
    frames: Vec<FrameRow>,
    pub(super) rows: Vec<Row>,
    /// Grows with everything that becomes durable.
    pub(super) commits: u64,
    real: Option<Real>,
}

impl Store {
    /// With the real spool beside it.
    ///
    /// # Errors
    /// It could not be opened.
    pub(super) fn with_spool(plan: &Plan) -> Result<Self, String> {
        Ok(Self { real: Some(Real::open(plan)?), ..Self::default() })
    }

    /// Makes a unit durable.
    ///
    /// # Errors
    /// The real spool says something else.
    pub(super) fn persist(&mut self, persist: &Persist, decided: usize) -> Result<(), String> {
        self.commits += 1;
        let mut expected = Vec::new();
        if let Some(before) = self.completed_before(persist) {
            expected = before;
            for message in &persist.completes {
                for place in self.settled_by(message) {
                    self.rows[place].state = State::Settled;
                }
            }
        } else if persist.completes.is_empty() {
            self.keep_frame(persist);
        } else {
            self.frames.retain(|one| one.transmission != persist.transmission);
            let first = self.rows.len();
            for message in &persist.completes {
                expected.push(self.file(persist.transmission, first, message, decided));
            }
            if let Some((transmission, text)) = &persist.carry {
                let frame = RecoveredFrame { number: None, ends_chain: false, bytes: text.clone() };
                self.frames.push(FrameRow { transmission: *transmission, frame });
            }
        }
        let expected: Vec<(usize, State)> =
            expected.into_iter().map(|place| (place, self.rows[place].state)).collect();
        match &mut self.real {
            Some(real) => real.persist(persist, &expected),
            None => Ok(()),
        }
    }

    /// A unit whose commit came too late is sent again and completes the same messages again.
    fn completed_before(&self, persist: &Persist) -> Option<Vec<usize>> {
        let mut before = (0..self.rows.len()).filter(|place| {
            let row = &self.rows[*place];
            row.transmission == persist.transmission && row.identity.is_some()
        });
        let mut found = Vec::new();
        for message in &persist.completes {
            let place = before.next()?;
            let identity = (message.decoded.control_id.clone(), message.decoded.identity.clone());
            (self.rows[place].identity.as_ref() == Some(&identity)).then_some(())?;
            found.push(place);
        }
        (!found.is_empty()).then_some(found)
    }

    fn keep_frame(&mut self, persist: &Persist) {
        let frame = RecoveredFrame {
            number: persist.frame.number,
            ends_chain: persist.frame.ends_chain,
            bytes: persist.frame.bytes.clone(),
        };
        let last = self.frames.iter().rev().find(|one| one.transmission == persist.transmission);
        if frame.number.is_none() || last.is_none_or(|last| last.frame != frame) {
            self.frames.push(FrameRow { transmission: persist.transmission, frame });
        }
    }

    /// The places of what broke off and is settled by a message.
    fn settled_by(&self, message: &labwire_session::Message) -> Vec<usize> {
        message
            .resolves
            .iter()
            .filter_map(|resolves| {
                self.rows.iter().rposition(|row| {
                    row.state == State::Incomplete && row.transmission == resolves.transmission
                })
            })
            .collect()
    }

    fn file(
        &mut self,
        transmission: u64,
        unit: usize,
        message: &labwire_session::Message,
        decided: usize,
    ) -> usize {
        let decoded = &message.decoded;
        let identity = (decoded.control_id.clone(), decoded.identity.clone());
        let settles = self.settled_by(message);
        let same = self
            .rows
            .iter()
            .rposition(|row| row.kind == MessageKind::Results && row.identity.as_ref() == Some(&identity));
        let state = match same {
            Some(place) if decoded.kind == MessageKind::Results => {
                let first = match self.rows[place].state {
                    State::Duplicate(first) => first,
                    _ => place,
                };
                // Anything behind it but the torn beginning of this one shows that its reply arrived.
                let followed = place >= unit
                    || message.previous_reply_received
                    || (place + 1..self.rows.len()).any(|later| !settles.contains(&later));
                if decoded.distinguishable || !followed {
                    State::Duplicate(first)
                } else {
                    State::PossibleRepeat
                }
            }
            _ => State::Filed,
        };
        for place in settles {
            self.rows[place].state = State::Settled;
        }
        self.rows.push(Row {
            transmission,
            raw: message.raw.clone(),
            identity: Some(identity),
            kind: decoded.kind,
            state,
            decided,
        });
        self.rows.len() - 1
    }

    /// Keeps what broke off.
    ///
    /// # Errors
    /// The real spool says something else.
    pub(super) fn close(&mut self, incomplete: &Incomplete) -> Result<(), String> {
        self.commits += 1;
        let frames = self.frames.len();
        self.frames.retain(|one| one.transmission != incomplete.transmission);
        let any = self.frames.len() < frames;
        let settled = self.rows.iter().any(|row| row.transmission == incomplete.transmission);
        let kept = any || (!incomplete.raw.is_empty() && !settled);
        if kept {
            self.rows.push(Row {
                transmission: incomplete.transmission,
                raw: incomplete.raw.clone(),
                identity: None,
                kind: incomplete.decoded.kind,
                state: State::Incomplete,
                decided: self.rows.len(),
            });
        }
        match &mut self.real {
            Some(real) => real.close(incomplete, kept.then(|| self.rows.len() - 1)),
            None => Ok(()),
        }
    }

    /// Receptions that were under way.
    pub(super) fn open(&self) -> Vec<Open> {
        let mut found: BTreeMap<u64, Vec<RecoveredFrame>> = BTreeMap::new();
        for row in &self.frames {
            found.entry(row.transmission).or_default().push(row.frame.clone());
        }
        found.into_iter().map(|(transmission, frames)| Open { transmission, frames }).collect()
    }

    /// The newest that a session can still settle: reception, text, and whether nothing whole followed.
    pub(super) fn incompletes(&self) -> Vec<(u64, Vec<u8>, bool)> {
        let mut found: Vec<_> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.state == State::Incomplete)
            .map(|(place, row)| {
                let followed = self.rows[place + 1..].iter().any(|later| later.identity.is_some());
                (row.transmission, row.raw.clone(), !followed)
            })
            .collect();
        found.drain(..found.len().saturating_sub(READ_MAX));
        found
    }

    /// The daemon is gone; what was committed is there when it comes back.
    ///
    /// # Errors
    /// The real spool does not open, or has kept something else.
    pub(super) fn reopen(&mut self) -> Result<(), String> {
        let open = self.open();
        let incompletes: Vec<(u64, Vec<u8>)> =
            self.incompletes().into_iter().map(|(transmission, raw, _)| (transmission, raw)).collect();
        match &mut self.real {
            Some(real) => real.reopen(&open, &incompletes),
            None => Ok(()),
        }
    }
}

/// The spool itself, in a directory of its own.
#[derive(Debug)]
struct Real {
    directory: tempfile::TempDir,
    spool: Option<Handled>,
    driver: (String, String),
    /// The ids that it gave, by the place in the plain list.
    ids: BTreeMap<usize, MessageId>,
}

struct Handled {
    handle: SpoolHandle,
    _spool: Spool,
}

impl core::fmt::Debug for Handled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Spool")
    }
}

fn told(error: impl core::fmt::Display) -> String {
    format!("the spool: {error}")
}

impl Real {
    fn open(plan: &Plan) -> Result<Self, String> {
        let memory = std::path::Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let mut real = Self {
            directory: directory.map_err(told)?,
            spool: None,
            driver: (plan.id.clone(), plan.version.clone()),
            ids: BTreeMap::new(),
        };
        real.start()?;
        Ok(real)
    }

    fn start(&mut self) -> Result<(), String> {
        let options = Options::new("lab", vec!["lis".to_owned()]);
        let spool = Spool::open(self.directory.path().join("spool.db"), options).map_err(told)?;
        self.spool = Some(Handled { handle: spool.handle(), _spool: spool });
        Ok(())
    }

    fn handle(&self) -> Result<&SpoolHandle, String> {
        self.spool.as_ref().map(|spool| &spool.handle).ok_or_else(|| told("it is not open"))
    }

    /// Asks that its word about each message is the plain list's.
    fn persist(&mut self, persist: &Persist, expected: &[(usize, State)]) -> Result<(), String> {
        let at = Stamp::now();
        let request = labwire_store::Persist {
            connection: CONNECTION.to_owned(),
            transmission: persist.transmission,
            frame: FrameRecord {
                number: persist.frame.number,
                ends_chain: persist.frame.ends_chain,
                bytes: persist.frame.bytes.clone(),
                at,
            },
            completes: persist.completes.iter().map(|message| self.record(message)).collect(),
            carry: persist.carry.clone(),
        };
        let answer = self.handle()?.wait(|spool, reply| spool.persist(request, reply)).map_err(told)?;
        if answer.messages.len() != expected.len() {
            return Err(told(format_args!(
                "{} messages where {} are expected",
                answer.messages.len(),
                expected.len()
            )));
        }
        for (filed, (place, state)) in answer.messages.iter().zip(expected) {
            let known = *self.ids.entry(*place).or_insert(filed.message);
            if known != filed.message {
                return Err(told(format_args!("message {place} has another id than before")));
            }
            let agrees = match (filed.fresh, state) {
                (Fresh::Fresh, State::Filed) | (Fresh::PossibleRepeat(_), State::PossibleRepeat) => true,
                (Fresh::Repeat(first), State::Duplicate(place)) => self.ids.get(place) == Some(&first),
                _ => false,
            };
            if !agrees {
                return Err(told(format_args!("{:?} where {state:?} is expected", filed.fresh)));
            }
        }
        Ok(())
    }

    fn close(&mut self, incomplete: &Incomplete, place: Option<usize>) -> Result<(), String> {
        let close = CloseIncomplete {
            connection: CONNECTION.to_owned(),
            transmission: incomplete.transmission,
            raw: incomplete.raw.clone(),
            decoded: incomplete.decoded.clone(),
            driver: self.driver.0.clone(),
            driver_version: self.driver.1.clone(),
            sinks: vec!["lis".to_owned()],
            at: Stamp::now(),
        };
        let answer =
            self.handle()?.wait(|spool, reply| spool.close_incomplete(close, reply)).map_err(told)?;
        match (answer, place) {
            (Closed::Incomplete(id), Some(place)) => {
                self.ids.insert(place, id);
                Ok(())
            }
            (Closed::Settled(_) | Closed::Nothing, None) => Ok(()),
            (answer, place) => Err(told(format_args!("{answer:?} where row {place:?} is expected"))),
        }
    }

    fn reopen(&mut self, open: &[Open], incompletes: &[(u64, Vec<u8>)]) -> Result<(), String> {
        self.spool = None;
        self.start()?;
        let reader = self.handle()?.reader().map_err(told)?;
        let mut found = Vec::new();
        reader
            .each_open_transmission(|open| {
                let frames = open.frames.into_iter().map(|frame| RecoveredFrame {
                    number: frame.number,
                    ends_chain: frame.ends_chain,
                    bytes: frame.bytes,
                });
                found.push(Open { transmission: open.transmission, frames: frames.collect() });
            })
            .map_err(told)?;
        if found != open {
            return Err(told("other frames than were committed are there after a restart"));
        }
        let found: Vec<(u64, Vec<u8>)> = reader
            .incompletes(CONNECTION)
            .map_err(told)?
            .into_iter()
            .map(|one| (one.transmission, one.raw))
            .collect();
        if found != incompletes {
            return Err(told("other incomplete messages than were committed are there after a restart"));
        }
        if !reader.ledger().map_err(told)?.differences.is_empty() {
            return Err(told("the ledger does not balance"));
        }
        Ok(())
    }

    fn record(&self, message: &labwire_session::Message) -> MessageRecord {
        MessageRecord {
            raw: message.raw.clone(),
            decoded: message.decoded.clone(),
            driver: self.driver.0.clone(),
            driver_version: self.driver.1.clone(),
            resolves: message
                .resolves
                .iter()
                .map(|resolves| labwire_store::Resolves {
                    transmission: resolves.transmission,
                    how: match resolves.how {
                        Resolution::Superseded => labwire_store::Resolution::Superseded,
                        Resolution::Resumed => labwire_store::Resolution::Resumed,
                    },
                })
                .collect(),
            previous_reply_received: message.previous_reply_received,
            sinks: vec!["lis".to_owned()],
        }
    }
}
