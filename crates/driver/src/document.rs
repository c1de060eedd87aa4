//! What is generated from the key table: the JSON Schema for editors, the reference for people.

use crate::keys::{PROFILE, SHARED};

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
