//! A spool in a temporary directory, and messages in few words.

use std::path::PathBuf;
use std::time::Duration;

use labwire_model::{DecodedMessage, Disposition, MessageKind, Observation, Outcome};

use crate::*;

pub(super) const MINUTE_MS: i64 = 60_000;
pub(super) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A spool with one sink, `lis`, and quick retries.
pub(super) struct Bench {
    pub(super) directory: tempfile::TempDir,
    pub(super) spool: Option<Spool>,
    pub(super) options: Options,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut options = Options::new("lab", vec!["lis".to_owned()]);
        options.self_check_interval = Duration::from_millis(20);
        Self::with(options)
    }

    pub(super) fn with(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Self { directory, spool: None, options };
        bench.open();
        bench
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("spool.db")
    }

    pub(super) fn open(&mut self) {
        self.spool = Some(Spool::open(self.path(), self.options.clone()).unwrap());
    }

    /// Closes and opens again, as a restart does.
    pub(super) fn reopen(&mut self) {
        self.spool = None;
        self.open();
    }

    pub(super) fn handle(&self) -> SpoolHandle {
        self.spool.as_ref().unwrap().handle()
    }

    pub(super) fn reader(&self) -> Reader {
        self.handle().reader().unwrap()
    }

    pub(super) fn persist(&self, persist: Persist) -> Result<Persisted, StoreError> {
        self.handle().wait(|handle, reply| handle.persist(persist, reply))
    }

    /// Persists a unit that is one whole message, and answers what became of it.
    pub(super) fn file(&self, persist: Persist) -> Filed {
        let persisted = self.persist(persist).unwrap();
        assert_eq!(persisted.messages.len(), 1, "one message was filed");
        persisted.messages[0]
    }

    pub(super) fn close(&self, close: CloseIncomplete) -> Closed {
        self.handle().wait(|handle, reply| handle.close_incomplete(close, reply)).unwrap()
    }

    pub(super) fn expire(&self, before_ms: i64) -> Vec<MessageId> {
        self.handle()
            .wait(|handle, reply| handle.expire_incompletes(move |_| before_ms, at(before_ms), reply))
            .unwrap()
    }

    pub(super) fn release(&self, items: Vec<i64>) -> Result<(), StoreError> {
        self.handle().wait(|handle, reply| handle.release(items, decision(), reply))
    }

    pub(super) fn discard(&self, items: Vec<i64>) -> Result<(), StoreError> {
        self.handle().wait(|handle, reply| handle.discard(items, decision(), reply))
    }

    /// Delivers everything that waits; answers the deliveries in order.
    pub(super) fn deliver_all(&self, sink: &str) -> Vec<Delivery> {
        let batch = self.reader().next_batch(sink, usize::MAX).unwrap();
        assert_eq!(batch.damaged, []);
        self.mark_delivered(batch.deliveries.iter().map(|delivery| delivery.id).collect());
        batch.deliveries
    }

    pub(super) fn mark_delivered(&self, ids: Vec<i64>) -> u64 {
        self.handle().wait(|handle, reply| handle.mark_delivered(ids, at(0), reply)).unwrap()
    }

    pub(super) fn open_transmissions(&self) -> Vec<OpenTransmission> {
        let mut open = Vec::new();
        self.reader().each_open_transmission(|one| open.push(one)).unwrap();
        open
    }

    pub(super) fn open_items(&self) -> Vec<QuarantineItem> {
        self.reader().quarantine(&QuarantineFilter::default()).unwrap()
    }

    pub(super) fn states(&self) -> Vec<MessageState> {
        let messages = self.reader().messages(&MessageFilter::default()).unwrap();
        messages.into_iter().map(|message| message.state).collect()
    }

    /// The account of connection `a` with sink `lis`, after checking that the ledger balances.
    pub(super) fn balance(&self) -> (Account, Account) {
        let ledger = self.reader().ledger().unwrap();
        assert_eq!(ledger.differences, [], "the ledger balances");
        ledger
            .lines
            .iter()
            .find(|line| line.connection == "a" && line.sink == "lis")
            .map(|line| (line.messages, line.observations))
            .unwrap_or_default()
    }
}

/// A moment at which both clocks agree.
pub(super) fn at(wall_ms: i64) -> Stamp {
    Stamp { monotonic_ns: u64::try_from(wall_ms).unwrap_or(0) * 1_000_000, wall_ms }
}

pub(super) fn decision() -> Decision {
    Decision { actor: "k.ito".to_owned(), reason: "checked by hand".to_owned(), at: at(0) }
}

pub(super) fn hold(code: &str) -> Disposition {
    Disposition::Hold { code: code.to_owned(), reason: "a person must look".to_owned() }
}

pub(super) fn ignore() -> Disposition {
    Disposition::Ignore { rule: "image reference".to_owned() }
}

/// One observation for each disposition, records numbered from 1, and an identity of its own.
pub(super) fn results(body: &str, dispositions: &[Disposition]) -> DecodedMessage {
    let outcomes = dispositions
        .iter()
        .enumerate()
        .map(|(index, disposition)| Outcome {
            observation: Observation {
                record: index + 1,
                specimen_id: body.chars().next().map(|letter| format!("S-{letter}")),
                analyzer_test: Some(format!("T{index}")),
                value: Some(format!("{index}.50")),
                ..Observation::default()
            },
            disposition: disposition.clone(),
        })
        .collect();
    DecodedMessage {
        kind: MessageKind::Results,
        outcomes,
        control_id: None,
        distinguishable: true,
        identity: body.as_bytes().to_vec(),
        ..DecodedMessage::empty(MessageKind::Results)
    }
}

pub(super) fn message(decoded: DecodedMessage) -> MessageRecord {
    MessageRecord {
        raw: decoded.identity.clone(),
        decoded,
        driver: "house/analyzer".to_owned(),
        driver_version: "1".to_owned(),
        resolves: Vec::new(),
        previous_reply_received: false,
        sinks: vec!["lis".to_owned()],
    }
}

pub(super) fn frame(number: Option<u8>, text: &str) -> FrameRecord {
    FrameRecord { number, ends_chain: true, bytes: text.as_bytes().to_vec(), at: at(0) }
}

/// A unit on connection `a` that completes the message.
pub(super) fn whole(transmission: u64, record: MessageRecord) -> Persist {
    Persist {
        connection: "a".to_owned(),
        transmission,
        frame: FrameRecord { number: None, ends_chain: true, bytes: record.raw.clone(), at: at(0) },
        completes: vec![record],
        carry: None,
    }
}

/// A unit on connection `a` that completes nothing.
pub(super) fn part(transmission: u64, frame: FrameRecord) -> Persist {
    Persist { connection: "a".to_owned(), transmission, frame, completes: Vec::new(), carry: None }
}

pub(super) fn broken_off(transmission: u64, decoded: DecodedMessage, wall_ms: i64) -> CloseIncomplete {
    CloseIncomplete {
        connection: "a".to_owned(),
        transmission,
        raw: decoded.identity.clone(),
        decoded,
        driver: "house/analyzer".to_owned(),
        driver_version: "1".to_owned(),
        sinks: vec!["lis".to_owned()],
        at: at(wall_ms),
    }
}
