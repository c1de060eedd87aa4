//! What a player does with a capture: send the analyzer's bytes at their times, wait for the host's.

use core::iter::Peekable;
use core::time::Duration;

use crate::entry::{Content, Entry};

/// One thing a player has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes to the host.
    Send(Vec<u8>),
    /// The host is expected to send these bytes before the next step.
    Await(Vec<u8>),
    /// The line itself changed: `open`, `close`, `break`, a parity error.
    Event(String),
}

/// An action and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Time since the capture started.
    pub offset: Duration,
    /// Time since the step before; zero where a capture's times go backwards.
    pub after: Duration,
    /// What to do.
    pub action: Action,
}

/// Steps of a capture, in order. Host bytes that follow each other are one [`Action::Await`]; the
/// analyzer's keep their division into writes, because a host must not care about it and a replay shows
/// whether it does.
#[derive(Debug)]
pub struct Replay<'a, I: Iterator<Item = &'a Entry>> {
    entries: Peekable<I>,
    last: Duration,
}

impl<'a, I: Iterator<Item = &'a Entry>> Replay<'a, I> {
    /// The steps of these entries.
    pub fn new(entries: impl IntoIterator<IntoIter = I>) -> Self {
        Self { entries: entries.into_iter().peekable(), last: Duration::ZERO }
    }
}

impl<'a, I: Iterator<Item = &'a Entry>> Iterator for Replay<'a, I> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let entry = self.entries.next()?;
        let action = match &entry.content {
            Content::ToHost(bytes) => Action::Send(bytes.clone()),
            Content::Event(text) => Action::Event(text.clone()),
            Content::ToAnalyzer(bytes) => {
                let mut expected = bytes.clone();
                while let Some(Content::ToAnalyzer(more)) = self.entries.peek().map(|entry| &entry.content) {
                    expected.extend_from_slice(more);
                    self.entries.next();
                }
                Action::Await(expected)
            }
        };
        let after = entry.offset.saturating_sub(self.last);
        self.last = self.last.max(entry.offset);
        Some(Step { offset: entry.offset, after, action })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_session_becomes_sends_and_the_replies_that_they_wait_for() {
        let entries = [
            Entry::event(at(0), "open"),
            Entry::to_host(at(5), b"\x05"),
            Entry::to_analyzer(at(7), b"\x06"),
            Entry::to_host(at(10), b"\x021H"),
            Entry::to_host(at(30), b"|\r"),
            Entry::to_analyzer(at(40), b"\x06"),
            Entry::to_analyzer(at(41), b"\x05"),
        ];
        let steps: Vec<(u128, Action)> =
            Replay::new(&entries).map(|step| (step.after.as_millis(), step.action)).collect();
        assert_eq!(
            steps,
            [
                (0, Action::Event("open".into())),
                (5, Action::Send(b"\x05".into())),
                (2, Action::Await(b"\x06".into())),
                (3, Action::Send(b"\x021H".into())),
                (20, Action::Send(b"|\r".into())),
                (10, Action::Await(b"\x06\x05".into())),
            ]
        );
    }

    #[test]
    fn times_that_go_backwards_do_not_make_a_player_wait() {
        let entries =
            [Entry::to_host(at(50), b"a"), Entry::to_host(at(20), b"b"), Entry::to_host(at(60), b"c")];
        let waits: Vec<Duration> = Replay::new(&entries).map(|step| step.after).collect();
        assert_eq!(waits, [at(50), at(0), at(10)]);
    }
}
