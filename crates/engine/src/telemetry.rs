//! One function per event: its log line and its metric together.
//!
//! Law 10: no function here takes a value, a name or an id that an analyzer sent; connections,
//! sinks, codes and counts only. Labels come from the configuration and from closed lists of codes,
//! so their number is bounded.

use core::time::Duration;
use std::net::SocketAddr;

use labwire_link::{EndReason, Fault, FaultKind, Tolerance};
use labwire_model::{DecodedMessage, Disposition, MessageKind};
use labwire_session::WRONG_ANALYZER;
use labwire_transport::{Failure, Refusal, TlsFault};
use metrics::{counter, gauge, histogram};
use tracing::{debug, error, info, trace, warn};

pub(crate) const FRAMES: &str = "labwire_frames_received_total";
pub(crate) const BYTES: &str = "labwire_received_bytes_total";
pub(crate) const MESSAGES: &str = "labwire_messages_received_total";
pub(crate) const DUPLICATES: &str = "labwire_messages_duplicate_total";
pub(crate) const INCOMPLETES: &str = "labwire_messages_incomplete_total";
pub(crate) const FOREIGN: &str = "labwire_messages_wrong_analyzer_total";
pub(crate) const OBSERVATIONS: &str = "labwire_observations_received_total";
pub(crate) const DIAGNOSTICS: &str = "labwire_diagnostics_total";
pub(crate) const SESSIONS: &str = "labwire_sessions_total";
pub(crate) const FAULTS: &str = "labwire_link_faults_total";
pub(crate) const TOLERANCES: &str = "labwire_link_tolerances_used_total";
pub(crate) const REFUSED: &str = "labwire_units_refused_total";
pub(crate) const QUERIES: &str = "labwire_queries_unanswered_total";
pub(crate) const NEGATIVE: &str = "labwire_messages_answered_negatively_total";
pub(crate) const UP: &str = "labwire_connection_up";
pub(crate) const OPENED: &str = "labwire_connection_opened_total";
pub(crate) const REJECTED: &str = "labwire_connection_rejected_total";
pub(crate) const ACK_SECONDS: &str = "labwire_acknowledge_seconds";
pub(crate) const DELIVERED: &str = "labwire_sink_delivered_messages_total";
pub(crate) const FAILED: &str = "labwire_sink_failures_total";
pub(crate) const REFUSED_BY_SINK: &str = "labwire_sink_refused_messages_total";
pub(crate) const BACKLOG: &str = "labwire_outbox_pending_messages";
pub(crate) const OLDEST: &str = "labwire_outbox_oldest_age_seconds";
pub(crate) const HELD: &str = "labwire_quarantine_held_observations";
pub(crate) const READY: &str = "labwire_spool_ready";
pub(crate) const PLAINTEXT: &str = "labwire_connection_plaintext";
pub(crate) const CERTIFICATE_SECONDS: &str = "labwire_tls_certificate_remaining_seconds";
pub(crate) const CERTIFICATE_READS: &str = "labwire_tls_certificate_reads_total";
pub(crate) const PAUSED: &str = "labwire_connection_paused";
pub(crate) const RELOADS: &str = "labwire_reloads_total";
pub(crate) const CAPTURE_DROPPED: &str = "labwire_capture_dropped_entries_total";
pub(crate) const LIMIT_REACHED: &str = "labwire_limit_reached_total";
pub(crate) const BUILD: &str = "labwire_build_info";

/// A limit of the work that was reached (law 8); those of the admin servers have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    FrameBytes,
    FrameEndless,
    UnitBytes,
    BacklogBytes,
    MessageBytes,
    Connections,
    ConnectsPerMinute,
    Handshakes,
    HandshakeTime,
    BytesPerSecond,
    MessageTime,
    Progress,
    Idle,
    SpoolQueue,
    PersistDeadline,
    DrainTime,
    IncompleteMessages,
    LogLines,
}

impl Limit {
    pub(crate) const ALL: [Self; 18] = [
        Self::FrameBytes,
        Self::FrameEndless,
        Self::UnitBytes,
        Self::BacklogBytes,
        Self::MessageBytes,
        Self::Connections,
        Self::ConnectsPerMinute,
        Self::Handshakes,
        Self::HandshakeTime,
        Self::BytesPerSecond,
        Self::MessageTime,
        Self::Progress,
        Self::Idle,
        Self::SpoolQueue,
        Self::PersistDeadline,
        Self::DrainTime,
        Self::IncompleteMessages,
        Self::LogLines,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FrameBytes => "frame-bytes",
            Self::FrameEndless => "frame-endless",
            Self::UnitBytes => "unit-bytes",
            Self::BacklogBytes => "backlog-bytes",
            Self::MessageBytes => "message-bytes",
            Self::Connections => "connections",
            Self::ConnectsPerMinute => "connects-per-minute",
            Self::Handshakes => "handshakes",
            Self::HandshakeTime => "handshake-time",
            Self::BytesPerSecond => "bytes-per-second",
            Self::MessageTime => "message-time",
            Self::Progress => "progress",
            Self::Idle => "idle",
            Self::SpoolQueue => "spool-queue",
            Self::PersistDeadline => "persist-deadline",
            Self::DrainTime => "drain-time",
            Self::IncompleteMessages => "incomplete-messages",
            Self::LogLines => "log-lines",
        }
    }

    /// When it is reached, for the reference.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::FrameBytes => {
                "a LIS01 frame is longer than `receive_frame_bytes_max` of its profile; refused"
            }
            Self::FrameEndless => "a LIS01 frame goes on beyond every limit without an end; dropped",
            Self::UnitBytes => "an MLLP block or a delimited text is longer than its limit",
            Self::BacklogBytes => "more bytes came behind an open commit than may wait",
            Self::MessageBytes => "a message is longer than 16 MiB; refused, the connection is closed",
            Self::Connections => {
                "a connect beyond `connections_max` of a connection; it or a silent one is closed"
            }
            Self::ConnectsPerMinute => {
                "a source connected more often than `connects_per_minute_max`; closed unread"
            }
            Self::Handshakes => {
                "a connect while `handshakes_max` TLS handshakes are under way; closed unread"
            }
            Self::BytesPerSecond => "a peer sent faster than `bytes_per_second_max`; it was made to wait",
            Self::MessageTime => "a message took longer than `message_timeout`; the connection is closed",
            Self::Progress => {
                "a peer sent for `progress_timeout` and completed nothing; the connection is closed"
            }
            Self::Idle => "a peer was silent for `idle_timeout`; the connection is closed",
            Self::HandshakeTime => "a TLS handshake took longer than `handshake_timeout`; closed unread",
            Self::SpoolQueue => "the queue to the spool's writer is full; the unit is refused",
            Self::PersistDeadline => "a commit took longer than `persist_deadline`; the unit is refused",
            Self::DrainTime => {
                "a message under way did not end within `drain_timeout` when the daemon stopped or its connection changed"
            }
            Self::LogLines => "a connection had more to tell than nine lines a minute; the line was left out",
            Self::IncompleteMessages => {
                "more than 16 incomplete messages of a connection wait for their repeat; the oldest is left to a person"
            }
        }
    }

    fn of_fault(kind: FaultKind) -> Option<Self> {
        match kind {
            FaultKind::FrameTooLong { .. } => Some(Self::FrameBytes),
            FaultKind::FrameEndless => Some(Self::FrameEndless),
            FaultKind::UnitTooLong { .. } => Some(Self::UnitBytes),
            FaultKind::BacklogFull { .. } => Some(Self::BacklogBytes),
            _ => None,
        }
    }
}

/// Counts a limit that was reached, by its name: a label from a closed list.
pub(crate) fn limit_reached(limit: &'static str) {
    counter!(LIMIT_REACHED, "limit" => limit).increment(1);
    debug!(event = "limit_reached", limit);
}

fn owned(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn started(version: &'static str) {
    gauge!(BUILD, "version" => version).set(1.0);
    for outcome in [crate::Reloaded::Applied, crate::Reloaded::Refused] {
        counter!(RELOADS, "outcome" => outcome.as_str()).absolute(0);
    }
    for limit in Limit::ALL {
        counter!(LIMIT_REACHED, "limit" => limit.name()).absolute(0);
    }
}

/// Makes the series of a connection exist from the start, so that a rate is zero and not absent.
pub(crate) fn connection_configured(connection: &str, plaintext: bool) {
    // A connection whose settings changed keeps its transports, and its pause.
    gauge!(UP, "connection" => owned(connection)).increment(0.0);
    gauge!(PAUSED, "connection" => owned(connection)).increment(0.0);
    gauge!(PLAINTEXT, "connection" => owned(connection)).set(f64::from(u8::from(plaintext)));
    for name in [FRAMES, BYTES, DUPLICATES, FOREIGN, INCOMPLETES, REFUSED, QUERIES, OPENED] {
        counter!(name, "connection" => owned(connection)).absolute(0);
    }
    if plaintext {
        info!(event = "connection_plaintext", connection, "the connection is not encrypted");
    }
}

pub(crate) fn connection_changed(connection: &str, change: &'static str) {
    info!(event = "connection_changed", connection, change);
    if change == crate::Change::Removed.as_str() {
        gauge!(PAUSED, "connection" => owned(connection)).set(0.0);
    }
}

pub(crate) fn connection_paused(connection: &str, paused: bool) {
    gauge!(PAUSED, "connection" => owned(connection)).set(f64::from(u8::from(paused)));
    info!(event = if paused { "connection_paused" } else { "connection_resumed" }, connection);
}

pub(crate) fn reloaded(outcome: &'static str) {
    counter!(RELOADS, "outcome" => outcome).increment(1);
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

/// A caller that was turned away. Its address is told, because somebody must find it.
pub(crate) fn transport_rejected(connection: &str, peer: SocketAddr, refusal: Refusal) {
    let reason = refusal.code();
    counter!(REJECTED, "connection" => owned(connection), "reason" => reason).increment(1);
    match refusal {
        Refusal::Tls(_) => warn!(event = "connection_rejected", connection, reason, %peer, %refusal),
        _ => debug!(event = "connection_rejected", connection, reason, %peer),
    }
    match refusal {
        Refusal::Full { .. } => limit_reached(Limit::Connections.name()),
        Refusal::TooOften { .. } => limit_reached(Limit::ConnectsPerMinute.name()),
        Refusal::HandshakesFull { .. } => limit_reached(Limit::Handshakes.name()),
        Refusal::Tls(TlsFault::Timeout) => limit_reached(Limit::HandshakeTime.name()),
        Refusal::NotAllowed | Refusal::Tls(_) => {}
    }
}

/// A caller on a line that is paused and whose dialect cannot refuse it otherwise.
pub(crate) fn transport_turned_away(connection: &str) {
    counter!(REJECTED, "connection" => owned(connection), "reason" => "paused").increment(1);
    debug!(event = "connection_rejected", connection, reason = "paused");
}

pub(crate) fn accept_failed(connection: &str, error: &str) {
    warn!(event = "connection_failed", connection, error);
}

pub(crate) fn transport_failed(connection: &str, failure: &Failure) {
    let Failure { attempt, error, pause, is_configuration } = failure;
    let retry_seconds = pause.as_secs_f64();
    if *is_configuration {
        error!(
            event = "connection_failed",
            connection, %error, attempt, retry_seconds, "no byte of a message was sent; a person must mend this"
        );
    } else {
        warn!(event = "connection_failed", connection, %error, attempt, retry_seconds);
    }
}

pub(crate) fn certificate_replaced(connection: &str) {
    counter!(CERTIFICATE_READS, "connection" => owned(connection), "outcome" => "replaced").increment(1);
    info!(event = "certificate_replaced", connection, "handshakes from here on use the new files");
}

pub(crate) fn certificate_kept(connection: &str, error: &str) {
    counter!(CERTIFICATE_READS, "connection" => owned(connection), "outcome" => "kept").increment(1);
    error!(
        event = "certificate_kept",
        connection, error, "the files cannot be used; those before are in use"
    );
}

pub(crate) fn certificate_left(connection: &str, days: f64) {
    gauge!(CERTIFICATE_SECONDS, "connection" => owned(connection)).set(days * 86_400.0);
}

pub(crate) fn certificate_ends(connection: &str, days: f64) {
    let days = days.floor();
    if days < 0.0 {
        error!(event = "certificate_expired", connection, days, "peers refuse our certificate");
    } else {
        warn!(event = "certificate_ends", connection, days, "our certificate must be renewed");
    }
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

/// Why a unit is refused whose commit is late.
pub(crate) const LATE: &str = "late";
/// `labwire_store::StoreError::code` of a full queue.
const SPOOL_BUSY: &str = "busy";

pub(crate) fn unit_refused(connection: &str, reason: &str) {
    counter!(REFUSED, "connection" => owned(connection)).increment(1);
    warn!(
        event = "unit_refused",
        connection, reason, "a unit was not durable in time; the analyzer will repeat it"
    );
    match reason {
        LATE => limit_reached(Limit::PersistDeadline.name()),
        SPOOL_BUSY => limit_reached(Limit::SpoolQueue.name()),
        _ => {}
    }
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
    pub(crate) is_foreign: bool,
}

impl MessageSummary {
    pub(crate) fn of(decoded: &DecodedMessage) -> Self {
        let mut summary = Self {
            kind: decoded.kind,
            deliver: 0,
            held: 0,
            ignored: 0,
            diagnostics: decoded.diagnostics.iter().map(|diagnostic| diagnostic.code.clone()).collect(),
            is_foreign: decoded.diagnostics.iter().any(|diagnostic| diagnostic.code == WRONG_ANALYZER),
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

/// A message that another analyzer than the profile's seems to have sent; `begins` when the one before
/// it was the right one's.
pub(crate) fn wrong_analyzer(connection: &str, begins: bool) {
    counter!(FOREIGN, "connection" => owned(connection)).increment(1);
    if begins {
        warn!(
            event = "wrong_analyzer",
            connection, "the message names another analyzer than the profile's; `labwire quarantine list`"
        );
    }
}

pub(crate) fn analyzer_recognised(connection: &str) {
    info!(event = "analyzer_recognised", connection);
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
    if let Some(limit) = Limit::of_fault(fault.kind) {
        limit_reached(limit.name());
    }
}

pub(crate) fn link_tolerance(connection: &str, tolerance: Tolerance) {
    counter!(TOLERANCES, "connection" => owned(connection), "tolerance" => tolerance.name()).increment(1);
}

pub(crate) fn query_unanswered(connection: &str) {
    counter!(QUERIES, "connection" => owned(connection)).increment(1);
    info!(event = "query_unanswered", connection);
}

/// A message was stored and answered AE, AR, CE or CR with this code of table 0357.
pub(crate) fn message_refused(connection: &str, code: u16) {
    counter!(NEGATIVE, "connection" => owned(connection), "code" => code.to_string()).increment(1);
    info!(event = "message_answered_negatively", connection, code);
}

/// Something about a sender that no single message shows.
pub(crate) fn sender_finding(connection: &str, code: &'static str) {
    counter!(DIAGNOSTICS, "connection" => owned(connection), "code" => code).increment(1);
    debug!(event = "sender_finding", connection, code);
}

/// Why a conversation is cut off that did not end in time.
pub(crate) const DRAIN_OVER: &str = "the daemon stops";

/// Why a transport is closed whose analyzer has dialled again.
pub(crate) const REPLACED: &str = "the analyzer has connected again and this connection was silent";

/// Why a transport is closed whose peer sends and completes nothing.
pub(crate) const NO_PROGRESS: &str = "the peer sends and completes nothing";
/// Why a transport is closed whose message does not end.
pub(crate) const MESSAGE_ENDLESS: &str = "a message takes too long";
/// Why a transport is closed whose peer is silent.
pub(crate) const IDLE: &str = "the peer has been silent for too long";

/// Why a conversation is cut off that did not come to rest before it was to end or to change.
pub(crate) const CHANGE_OVERDUE: &str = "what was under way did not end within drain_timeout";

pub(crate) fn conversation_renewed(connection: &str, driver: &str, driver_version: &str) {
    info!(event = "connection_renewed", connection, driver, driver_version);
}

pub(crate) fn closing(connection: &str, reason: &'static str) {
    warn!(event = "connection_closing", connection, reason);
    match reason {
        DRAIN_OVER | CHANGE_OVERDUE => limit_reached(Limit::DrainTime.name()),
        REPLACED => limit_reached(Limit::Connections.name()),
        NO_PROGRESS => limit_reached(Limit::Progress.name()),
        MESSAGE_ENDLESS => limit_reached(Limit::MessageTime.name()),
        IDLE => limit_reached(Limit::Idle.name()),
        labwire_session::MESSAGE_TOO_LONG => limit_reached(Limit::MessageBytes.name()),
        _ => {}
    }
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
