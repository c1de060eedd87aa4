//! The profiles of simulated conversations: what the standards say, one for each way to speak.

use std::sync::{Arc, OnceLock};

use labwire_driver::{Library, Plan, Source};
use labwire_link::{DelimitedSettings, LinkSettings, TextReply, TextSession};

use super::scenario::Speech;

const LIS02: &str = r#"schema = 1
[analyzer]
vendor = "Simulated"
model = "Analyzer"
kind = "other"
protocol = "lis02"
evidence = "unverified"
sources = ["CLSI LIS02-A2"]
[specimen]
id = "O.3"
[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
status = "R.9"
at = "R.13"
[link]
dialect = "lis01"
"#;

const HL7: &str = r#"schema = 1
[analyzer]
vendor = "Simulated"
model = "Analyzer"
kind = "other"
protocol = "hl7"
evidence = "unverified"
sources = ["HL7 v2.5.1"]
[link]
dialect = "mllp"
[specimen]
id = "OBR-3.1"
[result]
test = "OBX-3.1"
value = "OBX-5"
unit = "OBX-6.1"
status = "OBX-11"
at = "OBX-14"
"#;

/// The profile of a speech.
///
/// # Errors
/// What the checker says about it.
pub(super) fn plan(speech: Speech) -> Result<Arc<Plan>, String> {
    static PLANS: [OnceLock<Result<Arc<Plan>, String>>; 7] = [const { OnceLock::new() }; 7];
    let texts = DelimitedSettings { reply: TextReply::AckOrNak, ..DelimitedSettings::default() };
    let (place, text, texts) = match speech {
        Speech::Frames => (0, LIS02, None),
        Speech::Blocks => (1, HL7, None),
        Speech::Texts => (2, LIS02, Some(texts)),
        Speech::TextsWithHandshake => {
            (3, LIS02, Some(DelimitedSettings { session: TextSession::Bid, ..texts }))
        }
        Speech::Envelope => (5, LIS02, Some(DelimitedSettings::control_ack_envelope())),
        Speech::Paragraphs => (6, LIS02, Some(DelimitedSettings::soh_block())),
        Speech::CheckedTexts => (4, LIS02, Some(DelimitedSettings::bci())),
    };
    let compile = || {
        let mut plan = compile(text)?;
        plan.link.machine = texts.map_or(plan.link.machine, LinkSettings::Delimited);
        Ok(Arc::new(plan))
    };
    PLANS[place].get_or_init(compile).clone()
}

fn compile(text: &str) -> Result<Plan, String> {
    let compiled =
        Library::empty().compile_source("simulated/analyzer", &Source::new("simulated.toml", text));
    let problems: Vec<&str> = compiled
        .reports
        .iter()
        .flat_map(|report| &report.problems)
        .filter(|problem| problem.is_error())
        .map(|problem| problem.message.as_str())
        .collect();
    compiled.plan.filter(|_| problems.is_empty()).ok_or_else(|| problems.join("; "))
}
