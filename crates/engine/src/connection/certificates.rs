//! The certificates of one connection: looked at again and again, because files change and time passes.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use labwire_transport::{Certificates, Refresh};
use serde_json::Value;

use crate::telemetry;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often an end that comes near is told of again.
const REMIND: Duration = Duration::from_secs(86_400);
/// Days before the end at which it is told of.
const NEAR_DAYS: [f64; 4] = [30.0, 7.0, 1.0, 0.0];

/// What is known of our own certificate on a connection.
#[derive(Debug, Default)]
pub(crate) struct CertificateState(Mutex<Known>);

#[derive(Debug, Default, Clone, PartialEq)]
struct Known {
    not_after: Option<Timestamp>,
    /// What is wrong with the files that are there, where those before are still in use.
    kept_because: Option<String>,
}

impl CertificateState {
    /// Adds it to a line about the connection, where there is one.
    pub(crate) fn describe(&self, line: &mut Value) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known == Known::default() {
            return;
        }
        let now = Timestamp::now();
        line["certificate_expires_at"] = known.not_after.map(|at| at.to_string()).into();
        #[expect(clippy::cast_possible_truncation, reason = "days between two dates of our calendar")]
        let days = known.not_after.map(|at| days_left(at, now).floor() as i64);
        line["certificate_days_left"] = days.into();
        line["certificate_error"] = known.kept_because.into();
    }

    fn update(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Looks at the certificates for as long as it is polled. Never comes back.
pub(super) async fn watch(
    connection: &str,
    state: &CertificateState,
    certificates: Option<Arc<dyn Certificates>>,
) {
    let Some(certificates) = certificates else { return core::future::pending().await };
    let mut reminder = Reminder::default();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let asked = Arc::clone(&certificates);
        match tokio::task::spawn_blocking(move || asked.refresh()).await {
            Ok(Refresh::Replaced) => {
                telemetry::certificate_replaced(connection);
                state.update(|known| known.kept_because = None);
            }
            Ok(Refresh::Kept(error)) => {
                let error = error.to_string();
                telemetry::certificate_kept(connection, &error);
                state.update(|known| known.kept_because = Some(error));
            }
            Ok(Refresh::Unchanged) | Err(_) => {}
        }
        let not_after = certificates.not_after();
        state.update(|known| known.not_after = not_after);
        if let Some(not_after) = not_after {
            let days = days_left(not_after, Timestamp::now());
            telemetry::certificate_left(connection, days);
            if reminder.is_due(days, Instant::now()) {
                telemetry::certificate_ends(connection, days);
            }
        }
    }
}

/// Days until then; negative behind it.
fn days_left(not_after: Timestamp, now: Timestamp) -> f64 {
    not_after.duration_since(now).as_secs_f64() / 86_400.0
}

/// Tells of an end once for each step that it comes nearer, and once a day.
#[derive(Debug, Default)]
struct Reminder {
    told: Option<(usize, Instant)>,
}

impl Reminder {
    fn is_due(&mut self, days: f64, now: Instant) -> bool {
        let steps = NEAR_DAYS.iter().filter(|near| days <= **near).count();
        if steps == 0 {
            self.told = None;
            return false;
        }
        let told_already =
            self.told.is_some_and(|(told, at)| steps <= told && now.saturating_duration_since(at) < REMIND);
        if !told_already {
            self.told = Some((steps, now));
        }
        !told_already
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_of_at_30_7_and_1_days_behind_it_and_once_a_day() {
        let mut reminder = Reminder::default();
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        let told: Vec<(f64, bool)> = [31.0, 30.0, 29.99, 7.0, 6.9, 1.0, 0.5, -0.1, -0.2]
            .into_iter()
            .map(|days| (days, reminder.is_due(days, start)))
            .collect();
        let due: Vec<f64> = told.into_iter().filter(|(_, due)| *due).map(|(days, _)| days).collect();
        assert_eq!(due, [30.0, 7.0, 1.0, -0.1]);
        assert!(!reminder.is_due(-0.9, start + hour * 23));
        assert!(reminder.is_due(-1.1, start + hour * 24));
        assert!(!reminder.is_due(300.0, start + hour * 25), "it has been renewed");
        assert!(reminder.is_due(29.0, start + hour * 26));
    }
}
