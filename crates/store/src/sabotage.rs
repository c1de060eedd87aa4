//! Planted faults and crash points, chosen at run time by `LABWIRE_SABOTAGE` in a build with
//! `--cfg labwire_sabotage`. A test suite that stays green while one is planted proves nothing.
//!
//! The variable holds one or more of these, separated by commas:
//!
//! | word | effect |
//! |---|---|
//! | `crash:before-commit:N` | abort right before the N-th commit that carries analyzer data |
//! | `crash:after-commit:N` | abort right after that commit, before any reply |
//! | `link:…` | a bug of the link machines and the session, planted by whoever runs them |
//! | `ack-before-commit` | send the replies, wait, then commit: the bug that the whole design excludes |

use crate::StoreError;

/// The environment variable.
pub const VARIABLE: &str = "LABWIRE_SABOTAGE";

/// Refuses to go on when the environment asks for a planted fault and this build holds none.
///
/// # Errors
/// [`StoreError::Sabotage`].
pub fn refuse_in_release() -> Result<(), StoreError> {
    if cfg!(labwire_sabotage) || std::env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    Err(StoreError::Sabotage)
}

/// A place in the writer where a fault can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Everything is written, nothing is committed.
    BeforeCommit,
    /// The commit succeeded, nobody knows.
    AfterCommit,
}

/// The planted faults; in an ordinary build it has no state and no effect.
#[derive(Debug, Default)]
pub(crate) struct Sabotage {
    #[cfg(labwire_sabotage)]
    planted: planted::Planted,
}

#[cfg(not(labwire_sabotage))]
impl Sabotage {
    pub(crate) fn from_environment() -> Self {
        Self::default()
    }

    #[expect(clippy::unused_self, reason = "the sabotage build has state")]
    pub(crate) fn reach(&self, _point: Point, _commits: u64) {}

    #[expect(clippy::unused_self, reason = "the sabotage build has state")]
    pub(crate) fn replies_before_commit(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "the sabotage build has state")]
    pub(crate) fn let_replies_travel(&self) {}
}

#[cfg(labwire_sabotage)]
impl Sabotage {
    pub(crate) fn from_environment() -> Self {
        Self { planted: planted::Planted::parse(&std::env::var(VARIABLE).unwrap_or_default()) }
    }

    /// Aborts if a crash is planted here. `commits` counts those that carry analyzer data, from 1.
    pub(crate) fn reach(&self, point: Point, commits: u64) {
        if self.planted.crashes.iter().any(|(at, number)| *at == point && *number == commits) {
            std::process::abort();
        }
    }

    pub(crate) fn replies_before_commit(&self) -> bool {
        self.planted.acknowledge_before_commit
    }

    /// Gives a reply that was sent too early the time to reach the wire, so that the planted bug
    /// is there to be found.
    pub(crate) fn let_replies_travel(&self) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[cfg(labwire_sabotage)]
mod planted {
    use super::Point;

    #[derive(Debug, Default)]
    pub(super) struct Planted {
        pub(super) crashes: Vec<(Point, u64)>,
        pub(super) acknowledge_before_commit: bool,
    }

    impl Planted {
        /// A word that is not understood aborts: a test must not pass because of a typing error.
        pub(super) fn parse(text: &str) -> Self {
            let mut planted = Self::default();
            for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let mut parts = word.split(':');
                if parts.clone().next() == Some("link") {
                    continue;
                }
                match (parts.next(), parts.next(), parts.next().map(str::parse), parts.next()) {
                    (Some("crash"), Some("before-commit"), Some(Ok(number)), None) => {
                        planted.crashes.push((Point::BeforeCommit, number));
                    }
                    (Some("crash"), Some("after-commit"), Some(Ok(number)), None) => {
                        planted.crashes.push((Point::AfterCommit, number));
                    }
                    (Some("ack-before-commit"), None, None, None) => planted.acknowledge_before_commit = true,
                    _ => {
                        eprintln!("LABWIRE_SABOTAGE: `{word}` is no planted fault");
                        std::process::abort();
                    }
                }
            }
            planted
        }
    }
}
