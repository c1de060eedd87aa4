//! What happened, for a person; kept only where somebody will read it.

use core::time::Duration;

/// Lines of a history that are shown: its end is what matters.
const LINES_MAX: usize = 400;

/// A broken law, and what came before it.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) law: String,
    pub(super) history: Vec<String>,
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: Option<Vec<String>>,
}

impl History {
    pub(super) fn new(kept: bool) -> Self {
        Self { kept: kept.then(Vec::new) }
    }

    pub(super) fn note(&mut self, now: Duration, line: impl FnOnce() -> String) {
        if let Some(kept) = &mut self.kept {
            kept.push(format!("{:>10.3} {}", now.as_secs_f64(), line()));
        }
    }

    pub(super) fn broken(&mut self, law: String) -> Broken {
        let mut history = self.kept.take().unwrap_or_default();
        let older = history.len().saturating_sub(LINES_MAX);
        if older > 0 {
            history.drain(..older);
            history.insert(0, format!("({older} lines before)"));
        }
        Broken { law, history }
    }
}
