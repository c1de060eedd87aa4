//! Runs a message through a profile.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use labwire_driver::{Context, Plan};
use labwire_message::{Charset, Index, Path};
use labwire_model::{DecodedMessage, MessageKind};
use labwire_testkit::{control_names, from_control_names};

use crate::table::Part;
use crate::{expect, profiles};

/// Runs one part and says what went otherwise.
pub(crate) fn run(
    profiles: &BTreeMap<String, String>,
    part: &Part,
    name: &str,
    strict: bool,
) -> Result<(), String> {
    let plan = profiles::plan(profiles, name, &part.steps);
    let mut message = Vec::new();
    let mut zone = TimeZone::UTC;
    for step in &part.steps {
        match step.verb.as_str() {
            ":" => {
                message.extend(from_control_names(&step.rest));
                message.push(b'\r');
            }
            "bytes" => message.extend(from_control_names(&step.rest)),
            "zone" => zone = TimeZone::get(&step.rest).unwrap_or_else(|error| panic!("{}: {error}", step.at)),
            _ => {}
        }
    }
    let context = Context { zone: &zone };
    let decoded =
        if strict { plan.decode_strictly(&message, &context) } else { plan.decode(&message, &context) };
    expect::results(&part.steps, &decoded.outcomes)?;
    for step in &part.steps {
        match step.verb.as_str() {
            ":" | "bytes" | "zone" | "toml" | "result" | "results" => {}
            "kind" if step.rest == kind(&decoded) => {}
            "kind" => return Err(format!("{}: found {}", step.at, kind(&decoded))),
            "diagnostics" => expect::diagnostics(step, &decoded.diagnostics)?,
            "raw" | "text" | "absent" => look(&plan, &message, step)?,
            other => panic!("{}: no step of `decode` is called {other}", step.at),
        }
    }
    Ok(())
}

fn kind(decoded: &DecodedMessage) -> &'static str {
    match decoded.kind {
        MessageKind::Results => "results",
        MessageKind::Query => "query",
        MessageKind::Acknowledgement => "acknowledgement",
        MessageKind::Order => "order",
        MessageKind::Other => "other",
    }
}

/// `raw PATH BYTES`, `text PATH TEXT` and `absent PATH`: a part of the first record of its name, as sent
/// and as read.
fn look(plan: &Plan, message: &[u8], step: &crate::table::Step) -> Result<(), String> {
    let (path, wanted) = step.rest.split_once(' ').unwrap_or((&step.rest, ""));
    let path: Path = path.parse().unwrap_or_else(|error| panic!("{}: {error}", step.at));
    let syntax = plan.protocol.syntax().unwrap_or_else(|| panic!("{}: this protocol has no paths", step.at));
    let mut index = Index::new();
    let view = index.scan(syntax, message);
    let record = view.records().find(|record| record.name() == path.record);
    let found = record.and_then(|record| {
        if step.verb == "text" {
            record.text(&path, Charset::Utf8).map(|text| text.into_owned().into_bytes())
        } else {
            record.get(&path).map(<[u8]>::to_vec)
        }
    });
    let wanted = (step.verb != "absent").then(|| from_control_names(wanted));
    if found == wanted {
        return Ok(());
    }
    Err(format!("{}: found {:?}", step.at, found.map(|found| control_names(&found))))
}
