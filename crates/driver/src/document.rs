//! What is generated: from the key table the JSON Schema for editors and the reference for people,
//! from the profiles the table of what each of them reads.

use std::collections::BTreeSet;

use crate::keys::{PROFILE, SHARED};
use crate::library::Library;
use crate::plan::Plan;

/// The JSON Schema of a profile, as `drivers/schema.json` holds it.
#[must_use]
pub fn json_schema() -> String {
    format!("{:#}\n", labwire_schema::json_schema(&PROFILE, "Labwire driver profile"))
}

/// Every key of a profile, the second part of `drivers/README.md`. A table that stands in many
/// places is described once, at the end.
#[must_use]
pub fn reference_markdown() -> String {
    let page = labwire_schema::reference_markdown(&PROFILE);
    let mut sections = page.split("\n## ");
    let mut out = sections.next().unwrap_or_default().to_owned();
    let mut shared: Vec<(&str, &str)> = Vec::new();
    for section in sections {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        match SHARED.iter().find(|(_, table)| body.trim_start().starts_with(table.doc)) {
            None => out.push_str(&format!("\n## {heading}\n{body}")),
            Some((heading, _)) if shared.iter().all(|(known, _)| known != heading) => {
                shared.push((heading, body))
            }
            Some(_) => {}
        }
    }
    for (heading, _) in SHARED {
        for (_, body) in shared.iter().filter(|(known, _)| known == heading) {
            out.push_str(&format!("\n## {heading}\n{body}"));
        }
    }
    format!("{}\n", out.trim_end())
}

/// What each profile of a library reads and on what that rests, the table in `drivers/README.md`. A
/// profile that does not compile has no line; profiles that hold everything are not counted.
#[must_use]
pub fn overview_markdown(library: &Library) -> String {
    let plans: Vec<Plan> = library
        .ids()
        .into_iter()
        .filter_map(|id| library.compile(id).and_then(|compiled| compiled.plan))
        .collect();
    let counted = || plans.iter().filter(|plan| !plan.no_profile);
    let models: BTreeSet<(&str, &str)> = counted()
        .flat_map(|plan| plan.models.iter().map(|model| (plan.vendor.as_str(), model.as_str())))
        .collect();
    let mut out = format!(
        "{} profiles for {} models, and {} that hold everything they receive.\n\n",
        counted().count(),
        models.len(),
        plans.len() - counted().count(),
    );
    out.push_str(
        "| profile | models | kind | protocol | results | QC | query | attachments | evidence | captures |\n",
    );
    out.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for plan in &plans {
        out.push_str(&format!(
            "| `{}` | {} | {} | {} over {} | {} | {} | {} | {} | {} | {} |\n",
            plan.id,
            plan.models.join(", "),
            plan.kind,
            plan.protocol.as_str(),
            plan.link.dialect.as_str(),
            results(plan),
            control_marks(plan),
            query(plan),
            attachments(plan),
            plan.evidence,
            plan.checks.len(),
        ));
    }
    out
}

fn results(plan: &Plan) -> String {
    match (plan.no_profile, plan.rules.open_tests, plan.tests.len()) {
        (true, _, _) => "all held".to_owned(),
        (false, true, 0) => "any code".to_owned(),
        (false, true, tests) => format!("{tests} tests, any other code"),
        (false, false, tests) => format!("{tests} tests"),
    }
}

/// The places that tell a control from a patient.
fn control_marks(plan: &Plan) -> String {
    let mut places: Vec<String> = Vec::new();
    for place in plan.rules.qc.iter().flat_map(|filter| filter.places()) {
        let place = place.to_string();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    or_dash(places.join(", "))
}

/// Where a query names its specimen.
fn query(plan: &Plan) -> String {
    let places = plan.rules.query.iter().flat_map(|query| query.id.places());
    or_dash(places.map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// What a message carries beside its results.
fn attachments(plan: &Plan) -> String {
    let reasons = plan.rules.attachments.iter().map(|attachment| attachment.rule.reason.as_str());
    or_dash(reasons.collect::<Vec<_>>().join(", "))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}
