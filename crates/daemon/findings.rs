//! What is wrong with files that a person wrote: collected, then drawn for people or listed for machines.

use labwire_schema::{Problem, Source, has_errors, render};
use serde_json::{Value, json};

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

#[derive(Debug)]
enum Finding {
    /// Problems of one file, each with its place.
    File(Source, Vec<Problem>),
    /// Something that no place in a file is to blame for.
    Sentence(String),
}

impl Findings {
    pub(crate) fn file(&mut self, source: Source, problems: Vec<Problem>) {
        self.0.push(Finding::File(source, problems));
    }

    pub(crate) fn sentence(&mut self, sentence: impl Into<String>) {
        self.0.push(Finding::Sentence(sentence.into()));
    }

    /// Whether anything in them keeps the files from being used.
    pub(crate) fn are_errors(&self) -> bool {
        self.0.iter().any(|finding| match finding {
            Finding::File(_, problems) => has_errors(problems),
            Finding::Sentence(_) => true,
        })
    }

    /// As a person reads them.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            match finding {
                Finding::File(source, problems) => text.push_str(&render(source, problems)),
                Finding::Sentence(sentence) => text.push_str(&format!("labwire: {sentence}\n")),
            }
        }
        text
    }

    /// As JSON, a line for each problem; `rendered` is what a person reads of it.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for finding in &self.0 {
            match finding {
                Finding::File(source, problems) => {
                    lines.extend(problems.iter().map(|problem| line(source, problem)));
                }
                Finding::Sentence(sentence) => lines.push(json!({
                    "type": "problem", "severity": "error", "file": null, "line": null, "column": null,
                    "message": sentence, "help": null, "rendered": format!("labwire: {sentence}\n"),
                })),
            }
        }
        lines
    }
}

fn line(source: &Source, problem: &Problem) -> Value {
    let at = source.position(problem.span.start);
    let rendered = render(source, core::slice::from_ref(problem));
    // Its last line counts the problems of the file.
    let rendered = rendered.trim_end().rsplit_once('\n').map_or("", |(before, _)| before);
    json!({
        "type": "problem",
        "severity": if problem.is_error() { "error" } else { "warning" },
        "file": source.name,
        "line": at.line,
        "column": at.column,
        "message": problem.message,
        "help": problem.help,
        "rendered": format!("{rendered}\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_its_place_its_words_and_its_drawing() {
        let mut findings = Findings::default();
        let source = Source::new("site.toml", "one = 1\ntwo = 2\n");
        findings.file(source, vec![Problem::error(8..11, "unknown key `two`").help("leave it out")]);
        findings.sentence("restart needed");
        let lines = findings.lines();
        assert_eq!((&lines[0]["line"], &lines[0]["column"]), (&2.into(), &1.into()));
        let rendered = lines[0]["rendered"].as_str().unwrap();
        assert!(rendered.contains("site.toml:2:1") && rendered.contains("leave it out"), "{rendered}");
        assert!(!rendered.contains("1 error"), "{rendered}");
        assert_eq!(lines[1]["message"], "restart needed");
        assert!(findings.are_errors() && findings.text().contains("1 error"));
    }

    #[test]
    fn a_warning_alone_keeps_nothing_from_being_used() {
        let mut findings = Findings::default();
        findings.file(Source::new("site.toml", "one = 1\n"), vec![Problem::warning(0..3, "odd")]);
        assert!(!findings.are_errors());
    }
}
