//! A bound on the lines that one connection may write into the log: under ten in any minute, whatever is
//! sent to it. What does not fit is counted.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const MINUTE: Duration = Duration::from_secs(60);
/// Lines of one connection in a minute.
const LINES_MAX: usize = 9;
/// Of these for what is no warning, so that a busy line cannot hide one.
const QUIET_LINES_MAX: usize = 6;

/// Keeps what each connection has written lately.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    /// By connection; their names come from the configuration alone, so they are few.
    written: Mutex<BTreeMap<String, VecDeque<Instant>>>,
}

impl LogBudget {
    fn admits(&self, connection: &str, level: Level, now: Instant) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = written.entry(connection.to_owned()).or_default();
        while lines.front().is_some_and(|at| now.saturating_duration_since(*at) >= MINUTE) {
            lines.pop_front();
        }
        let max = if level <= Level::WARN { LINES_MAX } else { QUIET_LINES_MAX };
        let admitted = lines.len() < max;
        if admitted {
            lines.push_back(now);
        }
        admitted
    }
}

impl<S: Subscriber> Layer<S> for LogBudget {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let level = *event.metadata().level();
        // Whoever asks for the details wants all of them.
        if level > Level::INFO {
            return true;
        }
        let mut connection = Connection(None);
        event.record(&mut connection);
        let Some(connection) = connection.0 else { return true };
        let admitted = self.admits(&connection, level, Instant::now());
        if !admitted {
            labwire_engine::log_line_suppressed();
        }
        admitted
    }
}

/// The connection that an event is about.
struct Connection(Option<String>);

impl Visit for Connection {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "connection" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_writes_under_ten_lines_in_any_minute_and_its_neighbour_as_many() {
        let (budget, start) = (LogBudget::default(), Instant::now());
        let admitted = |connection: &str, second: u64| {
            budget.admits(connection, Level::WARN, start + Duration::from_secs(second))
        };
        assert_eq!((0..60).filter(|second| admitted("a", *second)).count(), 9);
        assert!(admitted("b", 59));
        assert!(admitted("a", 60) && admitted("a", 61));
        assert_eq!((62..69).filter(|second| admitted("a", *second)).count(), 7);
        assert!(!admitted("a", 69));
    }

    #[test]
    fn a_busy_line_cannot_hide_a_warning() {
        let (budget, now) = (LogBudget::default(), Instant::now());
        assert_eq!((0..100).filter(|_| budget.admits("a", Level::INFO, now)).count(), 6);
        assert!(budget.admits("a", Level::WARN, now) && budget.admits("a", Level::ERROR, now));
    }
}
