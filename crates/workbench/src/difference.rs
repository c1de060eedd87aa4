//! Which results would change if a profile took the place of another one.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use labwire_driver::{Context, Plan};
use labwire_model::{DecodedMessage, Outcome, OutcomeLine, Provenance};
use serde_json::{Map, Value, json};

/// Changes that are shown one by one; more are counted under their kind.
const SHOWN_MAX: usize = 10_000;
/// Kinds of change that are told apart. A profile that changes more is another profile.
const KINDS_MAX: usize = 1_000;

/// Two profiles over the same messages. Messages that read alike cost a comparison and nothing else.
#[derive(Debug, Default)]
pub struct Difference {
    messages: usize,
    observations: usize,
    changed_messages: usize,
    changed: usize,
    kinds: BTreeMap<(String, String), usize>,
    lines: Vec<Value>,
    not_shown: usize,
}

impl Difference {
    /// Nothing compared yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one message, without framing, with both profiles. `name` is how a person finds it again.
    pub fn message(&mut self, name: &str, raw: &[u8], (old, new): (&Plan, &Plan), zone: &TimeZone) {
        let context = Context { zone };
        self.decoded(name, &old.decode(raw, &context), &new.decode(raw, &context));
    }

    /// Takes what both profiles read of one message.
    pub fn decoded(&mut self, name: &str, old: &DecodedMessage, new: &DecodedMessage) {
        self.messages += 1;
        self.observations += old.outcomes.len().max(new.outcomes.len());
        if old.outcomes == new.outcomes && old.queries == new.queries && old.kind == new.kind {
            return;
        }
        let before = self.changed;
        let (mut olds, mut news) = (by_record(old), by_record(new));
        let records: Vec<usize> = {
            let mut records: Vec<usize> = olds.keys().chain(news.keys()).copied().collect();
            records.sort_unstable();
            records.dedup();
            records
        };
        for record in records {
            let (one, other) =
                (olds.remove(&record).unwrap_or_default(), news.remove(&record).unwrap_or_default());
            for place in 0..one.len().max(other.len()) {
                self.pair(name, one.get(place).copied(), other.get(place).copied());
            }
        }
        if old.kind != new.kind {
            let (one, other) =
                (format!("{:?}", old.kind).to_lowercase(), format!("{:?}", new.kind).to_lowercase());
            self.change(name, None, "the message", "kind", (&one.into(), &other.into()));
        }
        if old.queries != new.queries {
            self.change(
                name,
                None,
                "the message",
                "queries",
                (&old.queries.len().into(), &new.queries.len().into()),
            );
        }
        self.changed_messages += usize::from(self.changed > before);
    }

    fn pair(&mut self, name: &str, old: Option<&Outcome>, new: Option<&Outcome>) {
        if old == new {
            return;
        }
        let (one, other) = (old.map(line).unwrap_or_default(), new.map(line).unwrap_or_default());
        let record = old.or(new).map(|outcome| outcome.observation.record);
        let test = [&one, &other]
            .into_iter()
            .find_map(|line| line.get("analyzer_test").and_then(Value::as_str))
            .unwrap_or("-")
            .to_owned();
        match (old, new) {
            (Some(_), None) => self.change(name, record, &test, "observation", (&one["type"], &Value::Null)),
            (None, Some(_)) => {
                self.change(name, record, &test, "observation", (&Value::Null, &other["type"]))
            }
            _ => {
                for (key, value) in &one {
                    let changed = other.get(key).unwrap_or(&Value::Null);
                    if value != changed {
                        self.change(name, record, &test, key, (value, changed));
                    }
                }
            }
        }
    }

    fn change(
        &mut self,
        name: &str,
        record: Option<usize>,
        test: &str,
        key: &str,
        (old, new): (&Value, &Value),
    ) {
        self.changed += 1;
        let kind = (test.to_owned(), key.to_owned());
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        }
        if self.lines.len() >= SHOWN_MAX {
            self.not_shown += 1;
            return;
        }
        self.lines.push(json!({
            "type": "change", "message": name, "record": record, "analyzer_test": test,
            "key": key, "old": old, "new": new,
        }));
    }

    /// Whether every message reads alike.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changed == 0
    }

    /// The JSON objects of `driver diff --json`: changes one by one, then how many of each kind, and a
    /// summary.
    #[must_use]
    pub fn into_lines(self) -> Vec<Value> {
        let mut lines = self.lines;
        lines.extend(self.kinds.into_iter().map(|((test, key), count)| {
            json!({ "type": "kind", "analyzer_test": test, "key": key, "count": count })
        }));
        lines.push(json!({
            "type": "summary",
            "messages": self.messages,
            "changed_messages": self.changed_messages,
            "observations": self.observations,
            "changes": self.changed,
            "not_shown": self.not_shown,
        }));
        lines
    }
}

/// Observations by the record that they stand in; a record may hold several.
fn by_record(decoded: &DecodedMessage) -> BTreeMap<usize, Vec<&Outcome>> {
    let mut records: BTreeMap<usize, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &decoded.outcomes {
        records.entry(outcome.observation.record).or_default().push(outcome);
    }
    records
}

/// An observation as `decode --json` shows it, without what is the same for the whole message.
fn line(outcome: &Outcome) -> Map<String, Value> {
    match serde_json::to_value(OutcomeLine::new(Provenance::default(), outcome)) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use labwire_driver::{Library, Source};

    use super::*;

    fn plan(more: &str) -> Plan {
        let text = format!(
            "schema = 1\n[analyzer]\nvendor = \"V\"\nmodel = \"M\"\nkind = \"other\"\nprotocol = \"lis02\"\n\
             [specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n{more}\n"
        );
        Library::empty().compile_source("v/m", &Source::new("m.toml", text)).plan.unwrap()
    }

    const MESSAGE: &[u8] = b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^A|5\rR|2|^^^B|6\rL|1|N\r";

    fn compare(old: &Plan, new: &Plan) -> Vec<Value> {
        let mut difference = Difference::new();
        difference.message("7", MESSAGE, (old, new), &TimeZone::UTC);
        difference.into_lines()
    }

    #[test]
    fn profiles_that_read_alike_differ_in_nothing() {
        let both = "[tests]\nA = { name = \"A\" }";
        let lines = compare(&plan(both), &plan(both));
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["observations"], &lines[0]["changes"]), (&json!(2), &json!(0)));
    }

    #[test]
    fn a_test_that_becomes_known_is_shown_with_what_it_was() {
        let old = plan("[tests]\nA = { name = \"A\" }");
        let new = plan("[tests]\nA = { name = \"A\", lis = \"AA\" }\nB = { name = \"B\" }");
        let lines = compare(&old, &new);
        let change = |test: &str, key: &str| {
            lines
                .iter()
                .find(|line| line["type"] == "change" && line["analyzer_test"] == test && line["key"] == key)
        };
        let lis = change("A", "lis_test").unwrap();
        assert_eq!((&lis["old"], &lis["new"], &lis["message"]), (&Value::Null, &json!("AA"), &json!("7")));
        let kind = change("B", "type").unwrap();
        assert_eq!((&kind["old"], &kind["new"]), (&json!("held"), &json!("result")));
        assert_eq!(lines.last().unwrap()["changed_messages"], 1);
    }
}
