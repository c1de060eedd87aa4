//! Reading the table files. `README.md` describes their language.

use std::collections::BTreeMap;

/// One line of a case: a verb and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) verb: String,
    pub(crate) rest: String,
    /// File and line, for messages.
    pub(crate) at: String,
}

/// How a part of a case is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// A conversation with a LIS01 machine.
    Link { strict: bool },
    /// A conversation with a session that reads by a profile.
    Session { strict: bool, profile: String },
    /// A message through a profile.
    Decode { strict: bool, profile: String },
    /// A Rust function.
    Function(String),
}

/// Something that is done and looked at from the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) runner: Runner,
    pub(crate) steps: Vec<Step>,
    pub(crate) at: String,
}

/// A case of the lists.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) clause: String,
    pub(crate) title: String,
    /// Why it is put off.
    pub(crate) later: Option<String>,
    /// Why we do otherwise; the parts show what we do.
    pub(crate) decision: Option<String>,
    pub(crate) parts: Vec<Part>,
}

/// All that the files say.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) cases: Vec<Case>,
    /// Profiles by name: TOML, without `[analyzer]`, which the runner adds.
    pub(crate) profiles: BTreeMap<String, String>,
    texts: BTreeMap<String, String>,
}

/// What indented lines belong to.
enum Block {
    None,
    Case,
    Profile(String),
}

impl Table {
    /// Reads a file; what it defines, files that follow may use.
    pub(crate) fn read(&mut self, file: &str, content: &str) {
        let mut block = Block::None;
        for (number, line) in (1..).zip(content.lines()) {
            let at = format!("tests/conformance/{file}:{number}");
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            match (line.strip_prefix("  "), &block) {
                (Some(toml), Block::Profile(name)) => {
                    let profile = self.profiles.entry(name.clone()).or_default();
                    profile.push_str(toml);
                    profile.push('\n');
                }
                (Some(step), Block::Case) => self.take_step(step, at),
                (Some(_), Block::None) => panic!("{at}: an indented line belongs to a case or a profile"),
                (None, _) => block = self.take_head(line, &at),
            }
        }
    }

    fn take_head(&mut self, line: &str, at: &str) -> Block {
        if let Some(name) = line.strip_prefix("profile ") {
            assert!(!self.profiles.contains_key(name), "{at}: there is a profile {name}");
            return Block::Profile(name.to_owned());
        }
        if let Some((name, text)) = line.strip_prefix("text ").and_then(|rest| rest.split_once(" = ")) {
            let text = self.expand(text);
            assert!(self.texts.insert(name.to_owned(), text).is_none(), "{at}: there is a text {name}");
            return Block::None;
        }
        let head = line.split_once(" | ").and_then(|(head, title)| Some((head.split_once(' ')?, title)));
        let Some(((id, clause), title)) = head else { panic!("{at}: a case begins `ID CLAUSE | TITLE`") };
        self.cases.push(Case {
            id: id.to_owned(),
            clause: clause.to_owned(),
            title: title.to_owned(),
            later: None,
            decision: None,
            parts: Vec::new(),
        });
        Block::Case
    }

    fn take_step(&mut self, step: &str, at: String) {
        let expanded = self.expand(step);
        let (verb, rest) = expanded.split_once(' ').unwrap_or((&expanded, ""));
        let Some(case) = self.cases.last_mut() else { return };
        let runner = match verb {
            "later" => return case.later = Some(rest.to_owned()),
            "decision" => return case.decision = Some(rest.to_owned()),
            "link" => Some(Runner::Link { strict: setting(rest, &at) }),
            "session" | "decode" => {
                let Some((word, profile)) = rest.split_once(' ') else {
                    panic!("{at}: `{verb} strict PROFILE` or `{verb} default PROFILE`")
                };
                let (strict, profile) = (setting(word, &at), profile.to_owned());
                let is_session = verb == "session";
                Some(if is_session {
                    Runner::Session { strict, profile }
                } else {
                    Runner::Decode { strict, profile }
                })
            }
            "function" => Some(Runner::Function(rest.to_owned())),
            _ => None,
        };
        if let Some(runner) = runner {
            case.parts.push(Part { runner, steps: Vec::new(), at });
            return;
        }
        let Some(part) = case.parts.last_mut() else { panic!("{at}: a case begins with how it is run") };
        part.steps.push(Step { verb: verb.to_owned(), rest: rest.to_owned(), at });
    }

    /// Puts the texts in that `{NAME}` stands for. Braces around anything else stand for themselves.
    fn expand(&self, line: &str) -> String {
        let mut expanded = line.to_owned();
        for (name, text) in &self.texts {
            expanded = expanded.replace(&format!("{{{name}}}"), text);
        }
        expanded
    }
}

fn setting(word: &str, at: &str) -> bool {
    match word {
        "strict" => true,
        "default" => false,
        other => panic!("{at}: `strict` or `default`, not `{other}`"),
    }
}
