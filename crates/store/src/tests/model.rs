//! Random histories against a plain list that knows the rules in its own words.

use labwire_model::{DecodedMessage, Disposition};
use proptest::prelude::*;

use super::builder::*;
use crate::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A whole message arrives.
    Send {
        connection: usize,
        body: usize,
    },
    /// One breaks off.
    Break {
        connection: usize,
        body: usize,
    },
    /// The sender repeats or continues the oldest message that broke off.
    Settle {
        connection: usize,
        how: usize,
    },
    /// The hold of everything that broke off ends.
    Expire,
    /// So many deliveries arrive.
    Deliver(usize),
    /// A person decides about one held observation.
    Release(usize),
    Discard(usize),
    /// The sink will never take the next delivery.
    Refuse,
    /// Days pass.
    Wait(u8),
    /// Somebody sets the wall clock by so many days.
    SetClock(i8),
    Restart,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..2usize, 0..4usize).prop_map(|(connection, body)| Step::Send { connection, body }),
        3 => (0..2usize, 0..4usize).prop_map(|(connection, body)| Step::Break { connection, body }),
        4 => (0..2usize, 0..2usize).prop_map(|(connection, how)| Step::Settle { connection, how }),
        1 => Just(Step::Expire),
        3 => (1..4usize).prop_map(Step::Deliver),
        3 => (0..9usize).prop_map(Step::Release),
        2 => (0..9usize).prop_map(Step::Discard),
        1 => Just(Step::Refuse),
        1 => (1..6u8).prop_map(Step::Wait),
        1 => (-20..20i8).prop_map(Step::SetClock),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

const CONNECTIONS: [&str; 2] = ["a", "b"];

/// What a message of each body holds; the last two name neither time nor id.
fn body(number: usize) -> DecodedMessage {
    let dispositions = match number {
        0 => vec![Disposition::Deliver],
        1 => vec![Disposition::Deliver, hold("unknown-test")],
        2 => vec![Disposition::Deliver, ignore(), hold("unknown-unit"), Disposition::Deliver],
        _ => vec![ignore()],
    };
    DecodedMessage { distinguishable: number < 2, ..results(&format!("body{number}"), &dispositions) }
}

fn torn(number: usize) -> DecodedMessage {
    let mut decoded = body(number);
    for outcome in &mut decoded.outcomes {
        if !matches!(outcome.disposition, Disposition::Ignore { .. }) {
            outcome.disposition = hold("incomplete");
        }
    }
    decoded
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Pending,
    Delivered,
    Held,
    Ignored,
    Duplicate,
    Discarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Whole,
    Torn,
    Expired,
    Duplicate,
    Resumed,
}

#[derive(Clone, Debug)]
struct Kept {
    id: MessageId,
    connection: usize,
    transmission: u64,
    body: usize,
    is: Is,
    complete: bool,
    words: Vec<Word>,
    /// When it came, and in which run of the daemon.
    came: Clock,
    /// Released out of quarantine by a person, before any sink had refused it.
    released: Vec<bool>,
    discarded: Vec<bool>,
}

impl Kept {
    fn state(&self) -> MessageState {
        match self.is {
            Is::Torn => MessageState::Incomplete,
            Is::Duplicate => MessageState::Duplicate,
            Is::Resumed => MessageState::Resumed,
            Is::Whole | Is::Expired if self.words.contains(&Word::Held) => MessageState::Held,
            Is::Whole | Is::Expired if self.words.contains(&Word::Pending) => MessageState::Pending,
            Is::Whole | Is::Expired
                if self.words.contains(&Word::Discarded) && !self.words.contains(&Word::Delivered) =>
            {
                MessageState::Discarded
            }
            Is::Whole | Is::Expired => MessageState::Delivered,
        }
    }
}

/// The clocks, in days; the first begins anew with each run.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    run: u32,
    monotonic: i64,
    wall: i64,
}

impl Clock {
    fn stamp(self) -> Stamp {
        Stamp { monotonic_ns: at(self.monotonic * DAY_MS).monotonic_ns, wall_ms: self.wall * DAY_MS }
    }

    fn restart(&mut self) {
        self.run += 1;
        self.monotonic = 0;
    }
}

#[derive(Debug, Default)]
struct Oracle {
    kept: Vec<Kept>,
    transmission: u64,
    clock: Clock,
}

/// What an earlier message of the same bytes says about one that comes.
enum Age {
    /// It came in the last seven days.
    Recent,
    /// It is older by a clock that may have been set, and among the last sixteen of its connection.
    Doubtful,
    Old,
}

impl Oracle {
    fn by_id(&mut self, id: MessageId) -> &mut Kept {
        self.kept.iter_mut().find(|kept| kept.id == id).expect("a message that is known")
    }

    fn age(&self, at: usize) -> Age {
        let earlier = &self.kept[at];
        let of_this_run = earlier.came.run == self.clock.run;
        let days = match of_this_run {
            true => self.clock.monotonic - earlier.came.monotonic,
            false => self.clock.wall - earlier.came.wall,
        };
        let since = self.kept[at + 1..].iter().filter(|kept| kept.connection == earlier.connection).count();
        match days <= 7 {
            true => Age::Recent,
            false if !of_this_run && since < 16 => Age::Doubtful,
            false => Age::Old,
        }
    }

    fn filed(
        &mut self,
        id: MessageId,
        connection: usize,
        number: usize,
        settles: Option<(usize, Resolution)>,
    ) -> Fresh {
        let same = self
            .kept
            .iter()
            .rposition(|kept| kept.complete && kept.connection == connection && kept.body == number);
        let fresh = match same.map(|at| (at, self.age(at))) {
            None | Some((_, Age::Old)) => Fresh::Fresh,
            Some((at, age)) => {
                // A duplicate of a duplicate is one of the first; here any earlier whole one is.
                let first = self.first_of(at);
                let followed = self.kept[at + 1..].iter().enumerate().any(|(after, kept)| {
                    kept.connection == connection && settles.map(|(torn, _)| torn) != Some(at + 1 + after)
                });
                if number < 2 || !(followed || matches!(age, Age::Doubtful)) {
                    Fresh::Repeat(first)
                } else {
                    Fresh::PossibleRepeat(first)
                }
            }
        };
        let is = if matches!(fresh, Fresh::Repeat(_)) { Is::Duplicate } else { Is::Whole };
        let decoded = body(number);
        let count = decoded.outcomes.len();
        let words = decoded
            .outcomes
            .iter()
            .enumerate()
            .map(|(index, outcome)| match &outcome.disposition {
                _ if is == Is::Duplicate => Word::Duplicate,
                Disposition::Ignore { .. } => Word::Ignored,
                _ if settles.is_some_and(|(torn, _)| self.kept[torn].released[index]) => Word::Duplicate,
                Disposition::Deliver => Word::Pending,
                Disposition::Hold { .. } => Word::Held,
            })
            .collect();
        if let Some((torn, how)) = settles {
            let torn = &mut self.kept[torn];
            torn.is = if how == Resolution::Superseded { Is::Duplicate } else { Is::Resumed };
            for index in 0..torn.words.len() {
                if !torn.released[index] && !torn.discarded[index] {
                    torn.words[index] = Word::Duplicate;
                }
            }
        }
        self.kept.push(Kept {
            id,
            connection,
            transmission: self.transmission,
            body: number,
            is,
            complete: true,
            words,
            came: self.clock,
            released: vec![false; count],
            discarded: vec![false; count],
        });
        fresh
    }

    fn first_of(&self, at: usize) -> MessageId {
        // Walk back to the whole one that the duplicates at `at` stand for.
        let same = |kept: &&Kept| {
            kept.complete
                && kept.connection == self.kept[at].connection
                && kept.body == self.kept[at].body
                && kept.is != Is::Duplicate
        };
        self.kept[..=at].iter().rev().find(same).expect("the first is whole").id
    }

    fn standing(&self, connection: usize) -> (Account, Account) {
        let (mut messages, mut observations) = (Account::default(), Account::default());
        for kept in self.kept.iter().filter(|kept| kept.connection == connection) {
            if kept.is != Is::Resumed {
                messages.received += 1;
            }
            let standing = &mut messages.standing;
            match kept.state() {
                MessageState::Delivered => standing.delivered += 1,
                MessageState::Pending => standing.pending += 1,
                MessageState::Held => standing.held += 1,
                MessageState::Incomplete => standing.incomplete += 1,
                MessageState::Duplicate => standing.duplicate += 1,
                MessageState::Discarded => standing.discarded += 1,
                MessageState::Resumed | MessageState::NotResults => {}
            }
            for word in &kept.words {
                let standing = &mut observations.standing;
                if kept.is == Is::Resumed && *word == Word::Duplicate {
                    continue;
                }
                observations.received += 1;
                match word {
                    Word::Pending => standing.pending += 1,
                    Word::Delivered => standing.delivered += 1,
                    Word::Held => standing.held += 1,
                    Word::Ignored => standing.ignored += 1,
                    Word::Duplicate => standing.duplicate += 1,
                    Word::Discarded => standing.discarded += 1,
                }
            }
        }
        (messages, observations)
    }
}

/// Sends a whole message and compares the answer.
fn send(
    bench: &Bench,
    oracle: &mut Oracle,
    connection: usize,
    number: usize,
    settles: Option<(usize, Resolution)>,
) {
    oracle.transmission += 1;
    let resolves = settles
        .iter()
        .map(|(torn, how)| Resolves { transmission: oracle.kept[*torn].transmission, how: *how })
        .collect();
    let record = MessageRecord { resolves, ..message(body(number)) };
    let mut persist =
        Persist { connection: CONNECTIONS[connection].to_owned(), ..whole(oracle.transmission, record) };
    persist.frame.at = oracle.clock.stamp();
    let filed = bench.file(persist);
    let expected = oracle.filed(filed.message, connection, number, settles);
    assert_eq!(filed.fresh, expected);
}

fn take(bench: &mut Bench, oracle: &mut Oracle, step: Step) {
    match step {
        Step::Send { connection, body } => send(bench, oracle, connection, body, None),
        Step::Break { connection, body } => {
            oracle.transmission += 1;
            let decoded = torn(body);
            let count = decoded.outcomes.len();
            let words = decoded
                .outcomes
                .iter()
                .map(|outcome| match outcome.disposition {
                    Disposition::Ignore { .. } => Word::Ignored,
                    _ => Word::Held,
                })
                .collect();
            let close = CloseIncomplete {
                connection: CONNECTIONS[connection].to_owned(),
                ..broken_off(oracle.transmission, decoded, 0)
            };
            let Closed::Incomplete(id) = bench.close(close) else { panic!("it was closed before") };
            oracle.kept.push(Kept {
                id,
                connection,
                transmission: oracle.transmission,
                body,
                is: Is::Torn,
                complete: false,
                words,
                came: oracle.clock,
                released: vec![false; count],
                discarded: vec![false; count],
            });
        }
        Step::Settle { connection, how } => {
            let unsettled = oracle
                .kept
                .iter()
                .position(|kept| kept.connection == connection && matches!(kept.is, Is::Torn | Is::Expired));
            let Some(torn) = unsettled else { return };
            let how = if how == 0 || oracle.kept[torn].is == Is::Expired {
                Resolution::Superseded
            } else {
                Resolution::Resumed
            };
            send(bench, oracle, connection, oracle.kept[torn].body, Some((torn, how)));
        }
        Step::Expire => {
            for id in bench.expire(1) {
                let kept = oracle.by_id(id);
                assert_eq!(kept.is, Is::Torn);
                kept.is = Is::Expired;
            }
        }
        Step::Deliver(count) => {
            let batch = bench.reader().next_batch("lis", count).unwrap();
            bench.mark_delivered(batch.deliveries.iter().map(|delivery| delivery.id).collect());
            for delivery in batch.deliveries {
                let kept = oracle.by_id(delivery.message.id);
                for observation in delivery.observations {
                    let word = &mut kept.words[observation.record - 1];
                    assert_eq!(*word, Word::Pending, "nothing is delivered twice or unasked");
                    *word = Word::Delivered;
                }
            }
        }
        Step::Release(pick) | Step::Discard(pick) => {
            let items = bench.open_items();
            let Some(item) = items.get(pick % items.len().max(1)) else { return };
            let kept = oracle.by_id(item.message_id);
            assert_eq!(kept.words[item.record - 1], Word::Held);
            if matches!(step, Step::Release(_)) {
                bench.release(vec![item.id]).unwrap();
                kept.words[item.record - 1] = Word::Pending;
                kept.released[item.record - 1] |= item.sink.is_none();
            } else {
                bench.discard(vec![item.id]).unwrap();
                kept.words[item.record - 1] = Word::Discarded;
                kept.discarded[item.record - 1] |= item.sink.is_none();
            }
        }
        Step::Refuse => {
            let batch = bench.reader().next_batch("lis", 1).unwrap();
            let Some(delivery) = batch.deliveries.first() else { return };
            let id = delivery.id;
            bench
                .handle()
                .wait(|handle, reply| {
                    handle.refuse_delivery(id, "refused".to_owned(), "never".to_owned(), at(0), reply);
                })
                .unwrap();
            let kept = oracle.by_id(delivery.message.id);
            for observation in &delivery.observations {
                kept.words[observation.record - 1] = Word::Held;
            }
        }
        Step::Wait(days) => {
            oracle.clock.monotonic += i64::from(days);
            oracle.clock.wall += i64::from(days);
        }
        Step::SetClock(days) => oracle.clock.wall += i64::from(days),
        Step::Restart => {
            oracle.clock.restart();
            bench.reopen();
        }
        Step::Kill => {
            oracle.clock.restart();
            // The files as they lie while the writer is alive are what a kill would leave.
            let directory = tempfile::tempdir().unwrap();
            for name in ["spool.db", "spool.db-wal"] {
                let from = bench.directory.path().join(name);
                if from.exists() {
                    std::fs::copy(from, directory.path().join(name)).unwrap();
                }
            }
            bench.spool = None;
            bench.directory = directory;
            bench.open();
        }
    }
}

fn compare(bench: &Bench, oracle: &Oracle) {
    let reader = bench.reader();
    let states: Vec<_> = reader
        .messages(&MessageFilter::default())
        .unwrap()
        .into_iter()
        .map(|message| (message.id, message.state))
        .collect();
    let expected: Vec<_> = oracle.kept.iter().map(|kept| (kept.id, kept.state())).collect();
    assert_eq!(states, expected);

    let words: Vec<_> = reader
        .results(&ResultFilter::default())
        .unwrap()
        .into_iter()
        .map(|result| (result.message_id, result.observation.record, result.state.as_str().to_owned()))
        .collect();
    let expected: Vec<_> = oracle
        .kept
        .iter()
        .filter(|kept| kept.is != Is::Resumed)
        .flat_map(|kept| {
            kept.words
                .iter()
                .enumerate()
                .map(|(index, word)| (kept.id, index + 1, format!("{word:?}").to_lowercase()))
        })
        .collect();
    assert_eq!(words, expected);

    let ledger = reader.ledger().unwrap();
    assert_eq!(ledger.differences, []);
    for (number, connection) in CONNECTIONS.iter().enumerate() {
        let line = ledger.lines.iter().find(|line| line.connection == *connection);
        let found = line.map(|line| (line.messages, line.observations)).unwrap_or_default();
        assert_eq!(found, oracle.standing(number), "connection {connection}");
    }
    assert_eq!(reader.verify().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_reads_back_as_a_plain_list_would_have_it(steps in proptest::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        let mut oracle = Oracle::default();
        for step in steps {
            take(&mut bench, &mut oracle, step);
            compare(&bench, &oracle);
        }
    }
}
