//! Messages of vendors' own text, by regular expressions, by tags or by places.

use labwire_driver::{Part, Place, Plan, TextLayout, TextShape};
use labwire_model::Kind;

use crate::compose::{Draft, Row, time_text, turned_round};
use crate::sample::sample;

/// Whether the profile reads a message as one observation.
pub(crate) fn holds_one_row(plan: &Plan) -> bool {
    matches!(plan.text_shape(), Some(TextShape::Tagged { row: None, .. }))
}

/// The message, or nothing where a pattern cannot be turned round.
pub(crate) fn compose(plan: &Plan, draft: &Draft) -> Option<Vec<u8>> {
    let text = match plan.text_shape()? {
        TextShape::Rows { fields, row } => rows(plan, draft, fields, row)?,
        TextShape::Tagged { separator, record, row } => return tagged(plan, draft, separator, record, row),
        TextShape::Layout(layout) => laid_out(plan, draft, &layout),
    };
    Some(text.into_bytes())
}

/// The slip: what holds for all in front, what stands at the very beginning first of all, then row by row.
fn rows(plan: &Plan, draft: &Draft, mut fields: Vec<(&str, &str)>, row: &str) -> Option<String> {
    fields.sort_by_key(|(_, pattern)| !pattern.starts_with('^'));
    let common = common(plan, draft);
    let mut pieces = Vec::new();
    for (name, pattern) in fields {
        let text = text_of(&common, name);
        pieces.push(sample(pattern, &|group, _| text.clone().filter(|_| group == 1))?);
    }
    for observation in &draft.rows {
        let texts = observation_texts(plan, observation);
        pieces.push(sample(row, &|_, name| text_of(&texts, name?))?);
    }
    Some(pieces.join(" "))
}

fn tagged(plan: &Plan, draft: &Draft, separator: &[u8], record: &[u8], row: Option<&str>) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    // What the whole message is recognised by begins it, as far as its fields are whole.
    if let Some((None, pattern)) = plan.identify_signs().first() {
        let sign = sample(pattern, &|_, _| None)?.into_bytes();
        let sign = sign.strip_prefix(record).unwrap_or(&sign);
        if let Some(end) = sign.windows(separator.len().max(1)).rposition(|window| window == separator) {
            message.extend([record, &sign[..end], separator].concat());
        }
    }
    let mut field = |(tag, text): &(String, String)| {
        message.extend([record, tag.as_bytes(), text.as_bytes(), separator].concat());
    };
    common(plan, draft).iter().for_each(&mut field);
    for observation in &draft.rows {
        if let Some(row) = row {
            field(&(row.to_owned(), String::new()));
        }
        observation_texts(plan, observation).iter().for_each(&mut field);
    }
    Some(message)
}

/// Each text at its place, blanks around it; a text that is too long for its place is cut, as an
/// analyzer would.
fn laid_out(plan: &Plan, draft: &Draft, layout: &TextLayout<'_>) -> String {
    let mut cells: Vec<String> = Vec::new();
    let width = |places: usize| if layout.separator.is_none() { places } else { usize::MAX };
    let mut put = |from: usize, places: usize, text: &str| {
        let cut: Vec<char> = text.chars().take(width(places)).collect();
        let pieces: Vec<String> = match layout.separator {
            Some(_) => vec![cut.into_iter().collect()],
            None => cut.into_iter().map(String::from).collect(),
        };
        if cells.len() < from + places {
            cells.resize(from + places, if layout.separator.is_some() { "" } else { " " }.to_owned());
        }
        for (cell, piece) in cells.iter_mut().skip(from).zip(pieces) {
            *cell = piece;
        }
    };
    let common = common(plan, draft);
    for (name, (from, places)) in &layout.fields {
        put(*from, *places, &text_of(&common, name).unwrap_or_default());
    }
    for observation in &draft.rows {
        let place = layout.values.iter().find(|(test, _)| *test == observation.code);
        if let Some((_, (from, places))) = place {
            put(*from, *places, &text_of(&observation_texts(plan, observation), "value").unwrap_or_default());
        }
    }
    if let Some(groups) = &layout.groups {
        for (number, observation) in draft.rows.iter().enumerate() {
            let base = groups.from + number * groups.width;
            put(base, groups.width, "");
            let texts = observation_texts(plan, observation);
            for (name, (from, places)) in &groups.fields {
                put(base + from, *places, &text_of(&texts, name).unwrap_or_default());
            }
        }
    }
    cells.join(layout.separator.unwrap_or_default())
}

fn common(plan: &Plan, draft: &Draft) -> Vec<(String, String)> {
    let time = time_text(plan, draft.at);
    let patient = (draft.kind == Kind::Patient).then_some(draft.patient_id.as_str());
    let mut texts = named(
        plan,
        &[
            (Part::Specimen, Some(draft.specimen_id.as_str())),
            (Part::Patient, patient),
            (Part::At, time.as_deref()),
        ],
    );
    if let Some((recipe, value)) = plan.results_value()
        && let Some(Place::Name(name)) = recipe.places.first()
    {
        texts.push((name.clone(), value.to_owned()));
    }
    texts
}

/// Free text has no letters for normal.
fn observation_texts(plan: &Plan, row: &Row) -> Vec<(String, String)> {
    let value = if plan.decimal_comma() { row.text.replace('.', ",") } else { row.text.clone() };
    named(
        plan,
        &[
            (Part::Test, Some(row.code.as_str())),
            (Part::Value, Some(value.as_str())),
            (Part::Unit, row.unit.as_deref()),
        ],
    )
}

/// Texts by the name of the place that each part is read from first.
fn named(plan: &Plan, parts: &[(Part, Option<&str>)]) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for (part, text) in parts {
        let (Some(recipe), Some(text)) = (plan.recipe(*part), text) else { continue };
        if let (Some(Place::Name(name)), Some(text)) = (recipe.places.first(), turned_round(&recipe, text)) {
            texts.push((name.clone(), text));
        }
    }
    texts
}

fn text_of(texts: &[(String, String)], name: &str) -> Option<String> {
    texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
}
