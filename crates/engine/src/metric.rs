//! Every metric of the daemon in one table: from it they are described to Prometheus, and from it
//! `docs/metrics.md` is made.

use metrics::{describe_counter, describe_gauge, describe_histogram};

use crate::telemetry as name;

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at each start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count.
    Histogram,
}

impl Kind {
    /// Prometheus' word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Names of its labels. Their values come from the configuration and from closed lists.
    pub labels: &'static [&'static str],
    /// What it means, as one sentence.
    pub help: &'static str,
}

impl Metric {
    const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }
}

const CONNECTION: &[&str] = &["connection"];
const SINK: &[&str] = &["sink"];

/// What the daemon counts and measures of its work.
pub const METRICS: &[Metric] = &[
    Metric::counter(name::BYTES, CONNECTION, "Bytes received from the analyzer."),
    Metric::counter(
        name::FRAMES,
        CONNECTION,
        "Units (LIS01 frames, MLLP blocks, texts) received and committed.",
    ),
    Metric::histogram(name::ACK_SECONDS, CONNECTION, "Time from a whole unit to its durable commit."),
    Metric::counter(
        name::REFUSED,
        CONNECTION,
        "Units answered with a negative reply because they were not durable in time.",
    ),
    Metric::counter(name::SESSIONS, &["connection", "end"], "Link sessions, by how they ended."),
    Metric::counter(name::FAULTS, &["connection", "kind"], "Faults on the line, by kind."),
    Metric::counter(
        name::TOLERANCES,
        &["connection", "tolerance"],
        "Uses of a tolerance that the profile names.",
    ),
    Metric::counter(
        name::MESSAGES,
        &["connection", "kind"],
        "Complete messages committed, by what they are for.",
    ),
    Metric::counter(
        name::DUPLICATES,
        CONNECTION,
        "Messages recognised as repetitions of an earlier one; not filed again.",
    ),
    Metric::counter(
        name::FOREIGN,
        CONNECTION,
        "Messages whose header names another analyzer than the connection's profile.",
    ),
    Metric::counter(
        name::INCOMPLETES,
        CONNECTION,
        "Receptions that broke off before the end of the message; kept, not filed.",
    ),
    Metric::counter(
        name::OBSERVATIONS,
        &["connection", "disposition"],
        "Observations received, by what becomes of them.",
    ),
    Metric::counter(name::DIAGNOSTICS, &["connection", "code"], "Findings about message content, by code."),
    Metric::counter(name::QUERIES, CONNECTION, "Host queries that got no answer."),
    Metric::counter(
        name::NEGATIVE,
        &["connection", "code"],
        "HL7 messages that were stored and answered AE, AR, CE or CR, by code of table 0357.",
    ),
    Metric::gauge(name::UP, CONNECTION, "Open transports of the connection."),
    Metric::gauge(name::PAUSED, CONNECTION, "1 for a connection that a person has paused, else 0."),
    Metric::counter(
        name::RELOADS,
        &["outcome"],
        "Configurations that were to be applied while the daemon ran, by what became of them.",
    ),
    Metric::counter(name::OPENED, CONNECTION, "Transports opened."),
    Metric::counter(
        name::REJECTED,
        &["connection", "reason"],
        "Connects refused before a byte was read, by reason.",
    ),
    Metric::gauge(
        name::PLAINTEXT,
        CONNECTION,
        "1 for a connection that can be read on a network on its way, else 0.",
    ),
    Metric::gauge(
        name::CERTIFICATE_SECONDS,
        CONNECTION,
        "Time until our certificate ends, on a connection with TLS; negative when it has ended.",
    ),
    Metric::counter(
        name::CERTIFICATE_READS,
        &["connection", "outcome"],
        "Certificate files that changed: replaced, or kept because the new ones cannot be used.",
    ),
    Metric::counter(name::CAPTURE_DROPPED, CONNECTION, "Entries that left a full capture ring."),
    Metric::counter(name::DELIVERED, SINK, "Messages delivered to the sink."),
    Metric::counter(name::FAILED, SINK, "Delivery attempts that failed."),
    Metric::counter(
        name::REFUSED_BY_SINK,
        &["sink", "code"],
        "Messages that the sink will never take; held for a person.",
    ),
    Metric::gauge(name::BACKLOG, SINK, "Messages that wait for delivery to the sink."),
    Metric::gauge(name::OLDEST, SINK, "Age of the oldest message that waits for delivery."),
    Metric::gauge(name::HELD, &[], "Observations that wait for a person."),
    Metric::gauge(name::READY, &[], "1 while the spool can commit, else 0."),
    Metric::counter(name::LIMIT_REACHED, &["limit"], "How often a limit was reached, by its name."),
    Metric::gauge(name::BUILD, &["version"], "1, with the version as a label."),
];

/// What every process shows of itself, by the conventions of Prometheus' client libraries.
pub const PROCESS_METRICS: &[Metric] = &[
    Metric::counter("process_cpu_seconds_total", &[], "User and system CPU time spent."),
    Metric::gauge("process_open_fds", &[], "Open file descriptors."),
    Metric::gauge("process_max_fds", &[], "Most file descriptors that may be open."),
    Metric::gauge("process_resident_memory_bytes", &[], "Memory in use that is in RAM."),
    Metric::gauge("process_virtual_memory_bytes", &[], "Address space in use."),
    Metric::gauge("process_start_time_seconds", &[], "When the process started, in seconds since 1970."),
];

/// Says what each metric means; called once.
pub(crate) fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}

/// The tables of `docs/metrics.md`.
#[must_use]
pub fn reference_markdown() -> String {
    format!(
        "## Of the work\n\n{}\n## Of the limits\n\nValues of the label `limit`:\n\n{}\n## Of the process\n\n{}",
        table(METRICS),
        limits(),
        table(PROCESS_METRICS),
    )
}

fn table(metrics: &[Metric]) -> String {
    let mut text = "| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in metrics {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (metric.kind.as_str(), labels.join(", "));
        text.push_str(&format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help));
    }
    text
}

fn limits() -> String {
    let mut text = "| limit | reached when |\n|---|---|\n".to_owned();
    for limit in name::Limit::ALL {
        text.push_str(&format!("| `{}` | {} |\n", limit.name(), limit.meaning()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_occur_once() {
        let all: Vec<&Metric> = METRICS.iter().chain(PROCESS_METRICS).collect();
        for (place, metric) in all.iter().enumerate() {
            assert!(!all[..place].iter().any(|earlier| earlier.name == metric.name), "{} twice", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains(['|', '\n']), "{}", metric.name);
        }
    }
}
