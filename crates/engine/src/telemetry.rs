//! One function per event: its log line and its metric together.
//!
//! Law 10: no function here takes a value, a name or an id that an analyzer sent; connections,
//! sinks, codes and counts only. Labels come from the configuration and from closed lists of codes,
//! so their number is bounded.

use core::time::Duration;

use labwire_link::{EndReason, Fault, Tolerance};
use labwire_model::{DecodedMessage, Disposition, MessageKind};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use tracing::{debug, error, info, trace, warn};

const FRAMES: &str = "labwire_frames_received_total";
const BYTES: &str = "labwire_received_bytes_total";
const MESSAGES: &str = "labwire_messages_received_total";
const DUPLICATES: &str = "labwire_messages_duplicate_total";
const INCOMPLETES: &str = "labwire_messages_incomplete_total";
const OBSERVATIONS: &str = "labwire_observations_received_total";
const DIAGNOSTICS: &str = "labwire_diagnostics_total";
const SESSIONS: &str = "labwire_sessions_total";
const FAULTS: &str = "labwire_link_faults_total";
const TOLERANCES: &str = "labwire_link_tolerances_used_total";
const REFUSED: &str = "labwire_units_refused_total";
const QUERIES: &str = "labwire_queries_unanswered_total";
const UP: &str = "labwire_connection_up";
const OPENED: &str = "labwire_connection_opened_total";
const REJECTED: &str = "labwire_connection_rejected_total";
const ACK_SECONDS: &str = "labwire_acknowledge_seconds";
const DELIVERED: &str = "labwire_sink_delivered_messages_total";
const FAILED: &str = "labwire_sink_failures_total";
const REFUSED_BY_SINK: &str = "labwire_sink_refused_messages_total";
const BACKLOG: &str = "labwire_outbox_pending_messages";
const OLDEST: &str = "labwire_outbox_oldest_age_seconds";
const HELD: &str = "labwire_quarantine_held_observations";
const READY: &str = "labwire_spool_ready";
const PLAINTEXT: &str = "labwire_connection_plaintext";
const CAPTURE_DROPPED: &str = "labwire_capture_dropped_entries_total";
const START: &str = "labwire_start_time_seconds";
const BUILD: &str = "labwire_build_info";

/// Says what each metric means; called once.
pub(crate) fn describe() {
    describe_counter!(FRAMES, "Units (LIS01 frames, MLLP blocks, texts) received and committed.");
    describe_counter!(BYTES, "Bytes received from the analyzer.");
    describe_counter!(MESSAGES, "Complete messages committed, by what they are for.");
    describe_counter!(DUPLICATES, "Messages recognised as repetitions of an earlier one; not filed again.");
    describe_counter!(
        INCOMPLETES,
        "Receptions that broke off before the end of the message; kept, not filed."
    );
    describe_counter!(OBSERVATIONS, "Observations received, by what becomes of them.");
    describe_counter!(DIAGNOSTICS, "Findings about message content, by code.");
    describe_counter!(SESSIONS, "Link sessions, by how they ended.");
    describe_counter!(FAULTS, "Faults on the line, by kind.");
    describe_counter!(TOLERANCES, "Uses of a tolerance that the profile names.");
    describe_counter!(REFUSED, "Units answered with a negative reply because they were not durable in time.");
    describe_counter!(QUERIES, "Host queries that got no answer.");
    describe_gauge!(UP, "Open transports of the connection.");
    describe_counter!(OPENED, "Transports opened.");
    describe_counter!(REJECTED, "Connects refused before a byte was read, by reason.");
    describe_histogram!(ACK_SECONDS, metrics::Unit::Seconds, "Time from a whole unit to its durable commit.");
    describe_counter!(DELIVERED, "Messages delivered to the sink.");
    describe_counter!(FAILED, "Delivery attempts that failed.");
    describe_counter!(REFUSED_BY_SINK, "Messages that the sink will never take; held for a person.");
    describe_gauge!(BACKLOG, "Messages that wait for delivery to the sink.");
    describe_gauge!(OLDEST, "Age of the oldest message that waits for delivery.");
    describe_gauge!(HELD, "Observations that wait for a person.");
    describe_gauge!(READY, "1 while the spool can commit, else 0.");
    describe_gauge!(PLAINTEXT, "1 for a TCP connection without TLS.");
    describe_counter!(CAPTURE_DROPPED, "Entries that left a full capture ring.");
    describe_gauge!(START, "When the daemon started, in seconds since 1970.");
    describe_gauge!(BUILD, "1, with the version as a label.");
}

fn owned(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn started(version: &'static str, unix_seconds: f64) {
    gauge!(BUILD, "version" => version).set(1.0);
    gauge!(START).set(unix_seconds);
}

/// Makes the series of a connection exist from the start, so that a rate is zero and not absent.
pub(crate) fn connection_configured(connection: &str, plaintext: bool) {
    gauge!(UP, "connection" => owned(connection)).set(0.0);
    gauge!(PLAINTEXT, "connection" => owned(connection)).set(f64::from(u8::from(plaintext)));
    for name in [FRAMES, BYTES, DUPLICATES, INCOMPLETES, REFUSED, QUERIES, OPENED] {
        counter!(name, "connection" => owned(connection)).absolute(0);
    }
    if plaintext {
        info!(event = "connection_plaintext", connection, "the connection is not encrypted");
    }
}

pub(crate) fn transport_opened(connection: &str, open: usize) {
    counter!(OPENED, "connection" => owned(connection)).increment(1);
    transports(connection, open);
    info!(event = "connection_opened", connection, open);
}

pub(crate) fn transport_closed(connection: &str, open: usize, reason: &str) {
    transports(connection, open);
    info!(event = "connection_closed", connection, open, reason);
}

fn transports(connection: &str, open: usize) {
    // More than 2^52 transports are not opened.
    #[expect(clippy::cast_precision_loss, reason = "a count of sockets")]
    gauge!(UP, "connection" => owned(connection)).set(open as f64);
}

pub(crate) fn transport_rejected(connection: &str, reason: &'static str) {
    counter!(REJECTED, "connection" => owned(connection), "reason" => reason).increment(1);
    debug!(event = "connection_rejected", connection, reason);
}

pub(crate) fn transport_failed(connection: &str, error: &str, retry_in: Duration) {
    warn!(event = "connection_failed", connection, error, retry_seconds = retry_in.as_secs_f64());
}

pub(crate) fn bytes_received(connection: &str, bytes: usize) {
    counter!(BYTES, "connection" => owned(connection)).increment(bytes as u64);
}

pub(crate) fn capture_dropped(connection: &str, entries: u64) {
    counter!(CAPTURE_DROPPED, "connection" => owned(connection)).absolute(entries);
}

pub(crate) fn unit_committed(connection: &str, waited: Duration) {
    counter!(FRAMES, "connection" => owned(connection)).increment(1);
    histogram!(ACK_SECONDS, "connection" => owned(connection)).record(waited);
    trace!(event = "unit_committed", connection, microseconds = waited.as_micros());
}

pub(crate) fn unit_refused(connection: &str, reason: &str) {
    counter!(REFUSED, "connection" => owned(connection)).increment(1);
    warn!(
        event = "unit_refused",
        connection, reason, "a unit was not durable in time; the analyzer will repeat it"
    );
}

fn kind(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Results => "results",
        MessageKind::Query => "query",
        MessageKind::Acknowledgement => "acknowledgement",
        MessageKind::Order => "order",
        MessageKind::Other => "other",
    }
}

/// What is told of a message: counts and codes, never content.
pub(crate) struct MessageSummary {
    kind: MessageKind,
    deliver: u64,
    held: u64,
    ignored: u64,
    diagnostics: Vec<String>,
}

impl MessageSummary {
    pub(crate) fn of(decoded: &DecodedMessage) -> Self {
        let mut summary = Self {
            kind: decoded.kind,
            deliver: 0,
            held: 0,
            ignored: 0,
            diagnostics: decoded.diagnostics.iter().map(|diagnostic| diagnostic.code.clone()).collect(),
        };
        for outcome in &decoded.outcomes {
            match outcome.disposition {
                Disposition::Deliver => summary.deliver += 1,
                Disposition::Hold { .. } => summary.held += 1,
                Disposition::Ignore { .. } => summary.ignored += 1,
            }
        }
        summary
    }
}

pub(crate) fn message_committed(connection: &str, message: &MessageSummary, repeat: bool) {
    let kind = kind(message.kind);
    counter!(MESSAGES, "connection" => owned(connection), "kind" => kind).increment(1);
    if repeat {
        counter!(DUPLICATES, "connection" => owned(connection)).increment(1);
        info!(event = "message_repeated", connection, kind);
        return;
    }
    let MessageSummary { deliver, held, ignored, diagnostics, .. } = message;
    for (disposition, count) in [("deliver", deliver), ("hold", held), ("ignore", ignored)] {
        counter!(OBSERVATIONS, "connection" => owned(connection), "disposition" => disposition)
            .increment(*count);
    }
    for code in diagnostics {
        counter!(DIAGNOSTICS, "connection" => owned(connection), "code" => code.clone()).increment(1);
    }
    info!(
        event = "message_received",
        connection,
        kind,
        deliver,
        held,
        ignored,
        diagnostics = diagnostics.len()
    );
}

pub(crate) fn message_incomplete(connection: &str, observations: usize) {
    counter!(INCOMPLETES, "connection" => owned(connection)).increment(1);
    warn!(
        event = "message_incomplete",
        connection, observations, "a message broke off before its end; it is kept"
    );
}

pub(crate) fn incomplete_not_closed(connection: &str, error: &str) {
    warn!(event = "incomplete_not_closed", connection, error, "the frames stay in the spool");
}

pub(crate) fn reception_orphaned(frames: usize) {
    warn!(
        event = "reception_orphaned",
        frames, "frames of a connection that is not configured stay in the spool"
    );
}

pub(crate) fn incompletes_expired(count: u64) {
    warn!(event = "incomplete_expired", count, "incomplete messages went to quarantine");
}

pub(crate) fn session_ended(connection: &str, reason: EndReason) {
    counter!(SESSIONS, "connection" => owned(connection), "end" => reason.code()).increment(1);
    trace!(event = "session_ended", connection, end = reason.code());
}

pub(crate) fn link_fault(connection: &str, fault: &Fault) {
    counter!(FAULTS, "connection" => owned(connection), "kind" => fault.kind.code()).increment(1);
    debug!(event = "link_fault", connection, kind = fault.kind.code(), at = fault.at, %fault);
}

pub(crate) fn link_tolerance(connection: &str, tolerance: Tolerance) {
    counter!(TOLERANCES, "connection" => owned(connection), "tolerance" => tolerance.name()).increment(1);
}

pub(crate) fn query_unanswered(connection: &str) {
    counter!(QUERIES, "connection" => owned(connection)).increment(1);
    info!(event = "query_unanswered", connection);
}

pub(crate) fn closing(connection: &str, reason: &str) {
    warn!(event = "connection_closing", connection, reason);
}

pub(crate) fn delivered(sink: &str, messages: u64) {
    counter!(DELIVERED, "sink" => owned(sink)).increment(messages);
    debug!(event = "delivered", sink, messages);
}

pub(crate) fn delivery_failed(sink: &str, error: &str, failures: u32, retry_in: Duration) {
    counter!(FAILED, "sink" => owned(sink)).increment(1);
    // One line when an outage begins; its end is told by `delivery_resumed`.
    if failures == 1 {
        error!(event = "delivery_failed", sink, error, retry_seconds = retry_in.as_secs_f64());
    } else {
        debug!(event = "delivery_failed", sink, error, failures, retry_seconds = retry_in.as_secs_f64());
    }
}

pub(crate) fn delivery_refused(sink: &str, code: &str, reason: &str) {
    counter!(REFUSED_BY_SINK, "sink" => owned(sink), "code" => owned(code)).increment(1);
    error!(event = "delivery_refused", sink, code, reason, "held for a person; its neighbours go on");
}

pub(crate) fn records_damaged(sink: &str, records: usize) {
    error!(event = "records_damaged", sink, records, "stored messages do not read back as they were written");
}

pub(crate) fn delivery_resumed(sink: &str, failures: u32) {
    info!(event = "delivery_resumed", sink, failures);
}

/// Levels that are read rather than counted.
pub(crate) fn levels(sink: &str, backlog: u64, oldest: Duration, held: u64, ready: bool) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(BACKLOG, "sink" => owned(sink)).set(backlog as f64);
    gauge!(OLDEST, "sink" => owned(sink)).set(oldest.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(HELD).set(held as f64);
    gauge!(READY).set(f64::from(u8::from(ready)));
}

pub(crate) fn spool_state(ready: bool, why: &str) {
    if ready {
        info!(event = "spool_ready");
    } else {
        error!(event = "spool_not_ready", why, "nothing is acknowledged until the spool can commit");
    }
}
