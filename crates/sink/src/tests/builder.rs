//! A spool and a LIS database beside each other, and messages in few words.

use std::path::PathBuf;
use std::time::Duration;

use labwire_model::{
    Comparator, DecodedMessage, Disposition, Flag, Kind, MessageKind, Observation, ObservationStatus, Outcome,
};
use labwire_store::{
    Delivery, FrameRecord, MessageRecord, Options, Persist, Persisted, Spool, SpoolHandle, Stamp,
};

use crate::{Delivered, LisDatabase, Outcome as Sent, SinkError};

pub(super) struct Bench {
    pub(super) directory: tempfile::TempDir,
    spool: Spool,
    received: u64,
}

impl Bench {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::new("lab", vec!["lis".to_owned()]);
        let spool = Spool::open(directory.path().join("spool.db"), options).unwrap();
        Self { directory, spool, received: 0 }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("lis.db")
    }

    pub(super) fn lis(&self) -> LisDatabase {
        self.try_lis().unwrap()
    }

    /// Opened without patience for a lock that somebody holds.
    pub(super) fn try_lis(&self) -> Result<LisDatabase, SinkError> {
        LisDatabase::open_waiting(&self.path(), Duration::ZERO)
    }

    /// The database as a LIS opens it.
    pub(super) fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub(super) fn spool(&self) -> SpoolHandle {
        self.spool.handle()
    }

    pub(super) fn receive(&mut self, outcomes: Vec<Outcome>) -> Persisted {
        self.received += 1;
        let body = format!("message {}", self.received).into_bytes();
        let decoded = DecodedMessage {
            outcomes,
            distinguishable: true,
            identity: body.clone(),
            ..DecodedMessage::empty(MessageKind::Results)
        };
        let at = Stamp { monotonic_ns: 0, wall_ms: 1_772_439_247_120 };
        let record = MessageRecord {
            raw: body.clone(),
            decoded,
            driver: "house/analyzer".to_owned(),
            driver_version: "3".to_owned(),
            resolves: Vec::new(),
            previous_reply_received: false,
            sinks: vec!["lis".to_owned()],
        };
        let persist = Persist {
            connection: "chem-1".to_owned(),
            transmission: self.received,
            frame: FrameRecord { number: None, ends_chain: true, bytes: body, at },
            completes: vec![record],
            carry: None,
        };
        self.spool().wait(|handle, reply| handle.persist(persist, reply)).unwrap()
    }

    pub(super) fn waiting(&self) -> Vec<Delivery> {
        self.spool().reader().unwrap().next_batch("lis", 100).unwrap().deliveries
    }

    /// Delivers what waits and tells the spool; answers what became of it.
    pub(super) fn deliver(&self, lis: &mut LisDatabase) -> Result<Vec<Delivered>, SinkError> {
        let delivered = lis.deliver(&self.waiting())?;
        for Delivered { id, outcome } in &delivered {
            let (id, at) = (*id, Stamp::now());
            match outcome {
                Sent::Filed { .. } => {
                    self.spool().wait(|handle, reply| handle.mark_delivered(vec![id], at, reply)).unwrap();
                }
                Sent::Refused { code, reason } => {
                    let (code, reason) = ((*code).to_owned(), reason.clone());
                    self.spool()
                        .wait(|handle, reply| handle.refuse_delivery(id, code, reason, at, reply))
                        .unwrap();
                }
            }
        }
        Ok(delivered)
    }

    pub(super) fn number(&self, statement: &str) -> i64 {
        self.sql().query_row(statement, [], |row| row.get(0)).unwrap()
    }
}

pub(super) fn observation(record: usize, kind: Kind) -> Observation {
    Observation {
        record,
        kind,
        specimen_id: Some("26-0042".to_owned()),
        patient_id: Some("P7".to_owned()),
        analyzer_test: Some("687".to_owned()),
        lis_test: Some("GLU".to_owned()),
        test_name: Some("Glucose".to_owned()),
        loinc: Some("2345-7".to_owned()),
        value: Some("<4.10^mmol".to_owned()),
        text: Some("<4.10".to_owned()),
        comparator: Some(Comparator::Less),
        number: Some("4.10".to_owned()),
        unit: Some("mmol/l".to_owned()),
        ucum: Some("mmol/L".to_owned()),
        flags: vec![Flag { sent: "L".to_owned(), meaning: Some("low".to_owned()) }],
        status_sent: Some("F".to_owned()),
        status: Some(ObservationStatus::CannotBeDone),
        observed_at: Some("2026-03-02T08:14:07+02:00".to_owned()),
        observed_at_verbatim: Some("20260302081407".to_owned()),
        comments: vec!["hemolytic".to_owned()],
        ..Observation::default()
    }
}

pub(super) fn deliver(record: usize, kind: Kind) -> Outcome {
    Outcome { observation: observation(record, kind), disposition: Disposition::Deliver }
}

pub(super) fn hold(record: usize, code: &str) -> Outcome {
    let disposition =
        Disposition::Hold { code: code.to_owned(), reason: "the profile does not know the test".to_owned() };
    Outcome { observation: observation(record, Kind::Patient), disposition }
}
