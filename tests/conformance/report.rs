//! What came of the cases, as a table for people.

use core::any::Any;
use core::fmt;

use crate::required::DECISIONS_MAX;
use crate::table::Case;

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// Holds what went otherwise.
    Fail(String),
    /// We do otherwise, for this reason.
    Decision(String),
    /// It needs what is not built.
    Later(String),
}

struct Line {
    id: String,
    clause: String,
    title: String,
    verdict: Verdict,
}

/// The table: clause, case, result.
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn new<'a>(cases: impl Iterator<Item = (Verdict, &'a Case)>) -> Self {
        let line = |(verdict, case): (Verdict, &Case)| Line {
            id: case.id.clone(),
            clause: case.clause.clone(),
            title: case.title.clone(),
            verdict,
        };
        Self { lines: cases.map(line).collect() }
    }

    /// Everything for which the run must not end well.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self
            .lines
            .iter()
            .filter_map(|line| match &line.verdict {
                Verdict::Fail(why) => Some(format!("{} {}: {why}", line.id, line.title)),
                _ => None,
            })
            .collect();
        let decisions = self.count(|verdict| matches!(verdict, Verdict::Decision(_)));
        if decisions > DECISIONS_MAX {
            failures.push(format!("{decisions} decisions are more than {DECISIONS_MAX}"));
        }
        failures
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.lines.iter().filter(|line| is(&line.verdict)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|line| line.clause.chars().count()).max().unwrap_or(0);
        writeln!(f, "{:<width$}  {:<7} {:<8} what it shows", "clause", "case", "result")?;
        for line in &self.lines {
            let (word, why) = match &line.verdict {
                Verdict::Pass => ("pass", None),
                Verdict::Fail(why) => ("FAIL", Some(why)),
                Verdict::Decision(why) => ("decision", Some(why)),
                Verdict::Later(why) => ("later", Some(why)),
            };
            write!(f, "{:<width$}  {:<7} {word:<8} {}", line.clause, line.id, line.title)?;
            writeln!(f, "{}", why.map(|why| format!(" — {why}")).unwrap_or_default())?;
        }
        write!(
            f,
            "{} cases: {} pass, {} FAIL, {} decision, {} later",
            self.lines.len(),
            self.count(|verdict| *verdict == Verdict::Pass),
            self.count(|verdict| matches!(verdict, Verdict::Fail(_))),
            self.count(|verdict| matches!(verdict, Verdict::Decision(_))),
            self.count(|verdict| matches!(verdict, Verdict::Later(_))),
        )
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}
