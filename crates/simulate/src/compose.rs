//! Messages that a profile understands, built from the profile itself and proven by decoding them with
//! it: a test whose composed observation does not come back as it was meant is left out of the pool.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use labwire_driver::{Context, Part, Place, Plan, Protocol, Recipe};
use labwire_message::build::RecordBuilder;
use labwire_message::lis02::MessageBuilder;
use labwire_message::{Delimiters, Name, Path, Syntax};
use labwire_model::{Disposition, Kind, Outcome};

use crate::sample::sample;
use crate::tests_pool::{Known, pool};
use crate::text;

/// Why an analyzer of this profile cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuitable(pub(crate) String);

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no message of this profile can be composed: {}", self.0)
    }
}

impl std::error::Error for Unsuitable {}

/// One observation to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) code: String,
    pub(crate) text: String,
    pub(crate) unit: Option<String>,
    pub(crate) flag: Option<&'static str>,
}

/// The content of one message.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) control_id: String,
    pub(crate) specimen_id: String,
    pub(crate) patient_id: String,
    pub(crate) at: DateTime,
    pub(crate) rows: Vec<Row>,
}

/// Builds messages of one profile.
#[derive(Debug)]
pub(crate) struct Composer {
    plan: Arc<Plan>,
    /// Which of the profile's places for the specimen id is written.
    specimen_place: usize,
    tests: Vec<Known>,
    can_control: bool,
}

impl Composer {
    /// Tries the profile out.
    pub(crate) fn new(plan: Arc<Plan>) -> Result<Self, Unsuitable> {
        let places = plan.recipe(Part::Specimen).map_or(1, |recipe| recipe.places.len().max(1));
        let mut reason = "the profile names no test".to_owned();
        for specimen_place in 0..places {
            let mut composer =
                Self { plan: Arc::clone(&plan), specimen_place, tests: pool(&plan), can_control: false };
            match composer.prove(Kind::Patient) {
                Ok(()) => {
                    composer.can_control = !plan.qc_signs().is_empty() && composer.controls_work();
                    return Ok(composer);
                }
                Err(why) => reason = why,
            }
        }
        Err(Unsuitable(reason))
    }

    /// The tests that come back as they were sent.
    pub(crate) fn tests(&self) -> &[Known] {
        &self.tests
    }

    /// Whether the profile tells controls apart from what this composes.
    pub(crate) const fn can_control(&self) -> bool {
        self.can_control
    }

    /// Observations that one message can hold.
    pub(crate) fn rows_max(&self) -> usize {
        if text::holds_one_row(&self.plan) { 1 } else { usize::MAX }
    }

    /// The message, without framing.
    pub(crate) fn compose(&self, draft: &Draft) -> Option<Vec<u8>> {
        match self.plan.protocol {
            Protocol::Lis02 => self.lis02(draft),
            Protocol::Hl7 | Protocol::Law => self.hl7(draft),
            Protocol::Text => text::compose(&self.plan, draft),
        }
    }

    /// Keeps the tests of the pool that work.
    fn prove(&mut self, kind: Kind) -> Result<(), String> {
        let mut reason = "the profile names no test".to_owned();
        let tests = core::mem::take(&mut self.tests);
        let (kept, _) = tests.into_iter().partition(|known| match self.trial(kind, known) {
            Ok(()) => true,
            Err(why) => {
                reason = why;
                false
            }
        });
        self.tests = kept;
        if self.tests.is_empty() { Err(reason) } else { Ok(()) }
    }

    fn controls_work(&self) -> bool {
        self.tests.iter().all(|known| self.trial(Kind::Qc, known).is_ok())
    }

    /// One message with one observation, there and back.
    fn trial(&self, kind: Kind, known: &Known) -> Result<(), String> {
        let text = if crate::values::is_word(&known.test) { "POSITIVE" } else { "4.2" };
        let row =
            Row { code: known.code.clone(), text: text.into(), unit: known.unit.clone(), flag: Some("N") };
        let draft = Draft {
            kind,
            control_id: "TRIAL1".into(),
            specimen_id: "TRIAL1".into(),
            patient_id: "P1".into(),
            at: DateTime::constant(2026, 1, 2, 3, 4, 5, 0),
            rows: vec![row],
        };
        let bytes = self.compose(&draft).ok_or("a pattern of the profile cannot be turned round")?;
        if !self.plan.identify_signs().is_empty() && self.plan.identifies(&bytes).is_none() {
            return Err("the profile does not recognise it".into());
        }
        let decoded = self.plan.decode(&bytes, &Context { zone: &TimeZone::UTC });
        match decoded.outcomes.as_slice() {
            [outcome] => self.judge(&draft, outcome),
            outcomes => Err(format!("one observation was composed and {} were read", outcomes.len())),
        }
    }

    fn judge(&self, draft: &Draft, outcome: &Outcome) -> Result<(), String> {
        let sent = &draft.rows[0];
        let read = &outcome.observation;
        match &outcome.disposition {
            Disposition::Deliver => {}
            Disposition::Hold { code, .. } if self.plan.no_profile && code == "no-profile" => {}
            Disposition::Hold { code, reason } => return Err(format!("it is held ({code}): {reason}")),
            Disposition::Ignore { rule } => return Err(format!("it is ignored: {rule}")),
        }
        let differs = [
            ("kind", read.kind == draft.kind),
            ("specimen id", read.specimen_id.as_ref() == Some(&draft.specimen_id)),
            ("test", read.analyzer_test.as_ref() == Some(&sent.code)),
            ("value", read.text.as_deref() == Some(&self.written(sent))),
            ("unit", self.plan.recipe(Part::Unit).is_none() || sent.unit.is_none() || read.unit == sent.unit),
        ];
        match differs.iter().find(|(_, same)| !same) {
            None => Ok(()),
            Some((what, _)) => Err(format!("the {what} is read otherwise than it was sent")),
        }
    }

    /// A value as this analyzer writes it.
    pub(crate) fn written(&self, row: &Row) -> String {
        if self.plan.decimal_comma() { row.text.replace('.', ",") } else { row.text.clone() }
    }

    /// What the whole message carries outside its observations, the stronger claims last.
    fn common(&self, draft: &Draft) -> Option<Sheet> {
        let plan = &self.plan;
        let mut sheet = Sheet::default();
        for (path, pattern) in plan.identify_signs() {
            if let Some(path) = path {
                sheet.put(*path, sample(pattern, &|_, _| None)?);
            }
        }
        if let Some((recipe, value)) = plan.results_value() {
            sheet.put_recipe(&recipe, 0, value)?;
        }
        if draft.kind == Kind::Qc {
            for (place, pattern) in plan.qc_signs() {
                if let Place::Path(path) = place {
                    sheet.put(*path, sample(pattern, &|_, _| None)?);
                }
            }
        } else if let Some(recipe) = plan.recipe(Part::Patient) {
            sheet.put_recipe(&recipe, 0, &draft.patient_id)?;
        }
        if let Some(recipe) = plan.recipe(Part::Specimen) {
            sheet.put_recipe(&recipe, self.specimen_place, &draft.specimen_id)?;
        }
        Some(sheet)
    }

    /// What one observation carries.
    fn row(&self, draft: &Draft, row: &Row) -> Option<Sheet> {
        let plan = &self.plan;
        let mut sheet = Sheet::default();
        let value = self.written(row);
        let time = time_text(plan, draft.at);
        let parts = [
            (Part::Test, Some(row.code.as_str())),
            (Part::Value, Some(value.as_str())),
            (Part::Unit, row.unit.as_deref()),
            (Part::Flags, row.flag),
            (Part::Status, Some("F")),
            (Part::At, time.as_deref()),
        ];
        for (part, text) in parts {
            if let (Some(recipe), Some(text)) = (plan.recipe(part), text) {
                sheet.put_recipe(&recipe, 0, text)?;
            }
        }
        Some(sheet)
    }

    fn lis02(&self, draft: &Draft) -> Option<Vec<u8>> {
        let common = self.common(draft)?;
        let rows: Vec<Sheet> = draft.rows.iter().map(|row| self.row(draft, row)).collect::<Option<_>>()?;
        let time = plain_time(draft.at);
        let mut builder = MessageBuilder::new(Delimiters::usual(Syntax::Lis02));
        builder.header(|header| {
            header.text(3, draft.control_id.as_bytes());
            header.text(12, b"P").text(13, b"LIS2-A2").text(14, time.as_bytes());
            common.fill(header);
        });
        builder.record(b'P', |patient| common.fill(patient));
        builder.record(b'O', |order| {
            order.text(6, b"R").text(26, b"F");
            common.fill(order);
            rows.iter().take(1).for_each(|row| row.fill(order));
        });
        for row in &rows {
            builder.record(b'R', |result| {
                common.fill(result);
                row.fill(result);
            });
        }
        builder.terminator(b"N");
        Some(builder.finish())
    }

    fn hl7(&self, draft: &Draft) -> Option<Vec<u8>> {
        let common = self.common(draft)?;
        let rows: Vec<Sheet> = draft.rows.iter().map(|row| self.row(draft, row)).collect::<Option<_>>()?;
        let law = self.plan.protocol == Protocol::Law;
        let time = plain_time(draft.at);
        let mut message = Vec::new();
        let mut segment = |name: &[u8], fill: &mut dyn FnMut(&mut RecordBuilder)| {
            if let Some(name) = Name::new(name) {
                let mut record = RecordBuilder::new(Syntax::Hl7, name, Delimiters::usual(Syntax::Hl7));
                fill(&mut record);
                message.extend(record.finish());
                message.push(b'\r');
            }
        };
        segment(b"MSH", &mut |header| {
            let (event, structure) = if law { ("R22", "OUL_R22") } else { ("R01", "ORU_R01") };
            let code = if law { "OUL" } else { "ORU" };
            header.text(7, time.as_bytes()).text(9, code.as_bytes());
            header.component(9, 2, event.as_bytes()).component(9, 3, structure.as_bytes());
            header.text(10, draft.control_id.as_bytes()).text(11, b"P").text(12, b"2.5.1");
            header.text(18, b"UNICODE UTF-8");
            common.fill(header);
        });
        let mut behind = Vec::new();
        for name in common.names_between(law) {
            if name == *b"SPM" && !law {
                behind.push(name);
                continue;
            }
            segment(&name, &mut |record| {
                record.text(1, b"1");
                if name == *b"OBR" {
                    record.text(4, b"PANEL").text(7, time.as_bytes());
                }
                common.fill(record);
                rows.iter().take(1).for_each(|row| row.fill(record));
            });
        }
        for (ordinal, row) in rows.iter().enumerate() {
            segment(b"OBX", &mut |record| {
                let numeric = draft.rows[ordinal].text.starts_with(|char: char| char.is_ascii_digit());
                record.text(1, (ordinal + 1).to_string().as_bytes());
                record.text(2, if numeric { b"NM" } else { b"ST" }).text(11, b"F");
                common.fill(record);
                row.fill(record);
            });
        }
        for name in behind {
            segment(&name, &mut |record| {
                record.text(1, b"1");
                common.fill(record);
            });
        }
        Some(message)
    }
}

/// The time as the profile's format has it.
pub(crate) fn time_text(plan: &Plan, at: DateTime) -> Option<String> {
    match plan.at_format() {
        None => Some(plain_time(at)),
        Some(format) => jiff::fmt::strtime::format(format, at).ok(),
    }
}

fn plain_time(at: DateTime) -> String {
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Texts by path, in the order in which they were put; a later one wins.
#[derive(Debug, Default)]
struct Sheet(Vec<(Path, String)>);

impl Sheet {
    fn put(&mut self, path: Path, text: String) {
        self.0.push((path, text));
    }

    fn put_recipe(&mut self, recipe: &Recipe<'_>, place: usize, text: &str) -> Option<()> {
        let text = turned_round(recipe, text)?;
        let texts: Vec<&str> = match recipe.joint {
            Some(joint) => text.splitn(recipe.places.len().max(1), joint).collect(),
            None => vec![text.as_str()],
        };
        for (place, text) in recipe.places.iter().skip(place).zip(texts) {
            if let Place::Path(path) = place {
                self.put(*path, text.to_owned());
            }
        }
        Some(())
    }

    /// Writes the parts of this record.
    fn fill(&self, record: &mut RecordBuilder) {
        let name = record.name();
        for (path, text) in self.0.iter().filter(|(path, text)| path.record == name && !text.is_empty()) {
            record.set(path, text.as_bytes());
        }
    }

    /// Segments between MSH and OBX, in the order of the message structure.
    fn names_between(&self, law: bool) -> Vec<Vec<u8>> {
        let order: &[&[u8; 3]] = if law {
            &[b"PID", b"PV1", b"SPM", b"SAC", b"OBR", b"ORC"]
        } else {
            &[b"PID", b"PV1", b"ORC", b"OBR", b"SPM"]
        };
        let written = |name: &&&[u8; 3]| {
            **name == b"OBR" || self.0.iter().any(|(path, _)| path.record.as_bytes() == name.as_slice())
        };
        order.iter().filter(written).map(|name| name.to_vec()).collect()
    }
}

/// The text from which a recipe takes `wanted`.
pub(crate) fn turned_round(recipe: &Recipe<'_>, wanted: &str) -> Option<String> {
    let mut text = wanted.to_owned();
    // A text that names the parts of all places is not completed by the pattern.
    let spelled_out = recipe.joint.is_some_and(|joint| wanted.contains(joint));
    if let Some(pattern) = recipe.pattern.filter(|_| !spelled_out) {
        text = sample(pattern, &|group, _| (group == 1).then(|| wanted.to_owned()))?;
        if !text.contains(wanted) {
            text = wanted.to_owned();
        }
    }
    if let Some((split, take)) = recipe.part {
        let before = ["1"].repeat(take.saturating_sub(1));
        let parts: Vec<&str> = before.into_iter().chain([text.as_str(), "1"]).collect();
        text = parts.join(split);
    }
    if let Some(cut) = recipe.cut {
        text.push_str(cut);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_turned_round_gives_the_text_that_it_takes() {
        let recipe = Recipe { places: &[], joint: None, cut: None, part: None, pattern: None };
        assert_eq!(turned_round(&recipe, "717").as_deref(), Some("717"));
        assert_eq!(turned_round(&Recipe { cut: Some("/"), ..recipe }, "717").as_deref(), Some("717/"));
        let part = Recipe { part: Some(("+", 2)), ..recipe };
        assert_eq!(turned_round(&part, "950").as_deref(), Some("1+950+1"));
        let pattern = Recipe { pattern: Some(r"^(\S+)-\d$"), ..recipe };
        assert_eq!(turned_round(&pattern, "AB").as_deref(), Some("AB-1"));
        let joined = Recipe { joint: Some("/"), pattern: Some("^(.+)/F$|^.+$"), ..recipe };
        assert_eq!(
            turned_round(&joined, "580").as_deref(),
            Some("580/F"),
            "the pattern names the other part"
        );
        assert_eq!(turned_round(&joined, "580/I").as_deref(), Some("580/I"), "the text names both parts");
    }
}
