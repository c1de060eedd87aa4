//! Which profile fits a file: by the analyzer's own name first, by what the profile can read of it second.

use labwire_capture::{Body, import};
use labwire_driver::{Identified, Library};
use serde_json::{Value, json};

use crate::decode::{File, decode_with};
use crate::texts::{sent, syntax, texts};

/// A profile that may have been written for the sender of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The profile's id.
    pub id: String,
    /// Signs of `[identify]` that match; empty when only the content fits.
    pub signs: Vec<String>,
    /// Observations that the profile delivers.
    pub delivered: usize,
    /// Observations that it holds.
    pub held: usize,
    /// Observations that it ignores by a rule.
    pub ignored: usize,
}

impl Candidate {
    /// One sentence for each reason.
    #[must_use]
    pub fn why(&self) -> Vec<String> {
        let mut why = self.signs.clone();
        let all = self.delivered + self.held + self.ignored;
        why.push(match (self.delivered, all) {
            (_, 0) => "no observation is in the file".to_owned(),
            (delivered, all) => format!("it reads {delivered} of {all} observations and holds {}", self.held),
        });
        why
    }

    /// The line of `driver identify --json`.
    #[must_use]
    pub fn line(&self) -> Value {
        json!({
            "type": "candidate",
            "driver": self.id,
            "fingerprint": !self.signs.is_empty(),
            "why": self.why(),
            "results": self.delivered,
            "held": self.held,
            "ignored": self.ignored,
        })
    }
}

/// Which profiles recognise a file by `[identify]`, the best first, with the reasons.
#[must_use]
pub fn identify(library: &Library, bytes: &[u8]) -> Vec<Identified> {
    identify_body(library, &import(bytes).body)
}

pub(crate) fn identify_body(library: &Library, body: &Body) -> Vec<Identified> {
    let mut texts = texts(body);
    texts.push(sent(body));
    texts.iter().map(|text| library.identify(text)).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Which profiles may fit a file: those that recognise it, then those that can read at least half of
/// its observations without doing so, because some analyzers do not say who they are. A generic profile
/// holds everything and fits only as the last resort.
#[must_use]
pub fn candidates(library: &Library, file: &File<'_>) -> Vec<Candidate> {
    let recognised = identify(library, file.bytes);
    let syntax = syntax(&import(file.bytes).body);
    let mut found: Vec<(bool, Candidate)> = Vec::new();
    for plan in library.plans().iter().filter(|plan| plan.protocol.syntax() == syntax) {
        let of_plan = recognised.iter().find(|one| one.id == plan.id);
        let signs = of_plan.map(|one| one.why.clone()).unwrap_or_default();
        let (delivered, held, ignored) = decode_with(plan, Vec::new(), file).counts();
        let readable = delivered > 0 && delivered >= held;
        if !signs.is_empty() || (readable && !plan.no_profile) {
            found.push((plan.no_profile, Candidate { id: plan.id.clone(), signs, delivered, held, ignored }));
        }
    }
    found.sort_by(|(one_generic, one), (other_generic, other)| {
        one_generic
            .cmp(other_generic)
            .then(other.signs.len().cmp(&one.signs.len()))
            .then(other.delivered.cmp(&one.delivered))
            .then(one.held.cmp(&other.held))
            .then_with(|| one.id.cmp(&other.id))
    });
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn an_analyzer_that_says_who_it_is_comes_before_one_that_could_be_it() {
        let named = profile("named", "[identify]\n\"H.5\" = '^One$'");
        let silent = profile("silent", "");
        let library = Library::empty().with_directory(vec![silent, named]);
        let bytes = b"H|\\^&|||One\rP|1\rO|1|S1\rR|1|^^^A|5\rR|2|^^^B|5\rL|1|N\r";
        let file = File { name: "one", bytes, driver: None, zone: &TimeZone::UTC };
        let ids: Vec<String> = candidates(&library, &file).into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["test/named", "test/silent"]);

        let nobody = b"H|\\^&|||\rP|1\rO|1|S1\rR|1|^^^A|5\rL|1|N\r";
        let found = candidates(&library, &File { bytes: nobody, ..file });
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|one| one.signs.is_empty() && one.why()[0].contains("reads 1 of 1")));

        let other = b"H|\\^&|||\rP|1\rO|1|S1\rR|1|^^^X|5\rL|1|N\r";
        assert_eq!(candidates(&library, &File { bytes: other, ..file }), []);
    }

    fn profile(name: &str, more: &str) -> (String, labwire_driver::Source) {
        let text = format!(
            "schema = 1\n[analyzer]\nvendor = \"V\"\nmodel = \"M\"\nkind = \"other\"\nprotocol = \"lis02\"\n\
             [specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n\
             [tests]\nA = {{ name = \"A\" }}\nB = {{ name = \"B\" }}\n{more}\n"
        );
        (format!("test/{name}"), labwire_driver::Source::new(format!("{name}.toml"), text))
    }
}
