//! A profile seen from the other side, for who composes messages that it must understand: a
//! simulated analyzer. Everything here is also in the profile; nothing here is used for decoding.

use labwire_message::{Charset, Path};

use crate::place::{Place, Selector};
use crate::plan::{MessageUse, Plan, TimeFormat};
use crate::text::{Layout, Span, TextWay};

/// A part of an observation or a query that a profile has a place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `[specimen] id`
    Specimen,
    /// `[patient] id`
    Patient,
    /// `[result] test`
    Test,
    /// `[result] value`
    Value,
    /// `[result] unit`
    Unit,
    /// `[result] flags`
    Flags,
    /// `[result] status`
    Status,
    /// `[result] range`
    Range,
    /// `[result] at`
    At,
    /// `[query] id`
    Query,
}

/// Where a part stands and what is cut out of the text there.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'p> {
    /// The places, the preferred one first.
    pub places: &'p [Place],
    /// The texts of all places make one text, with this between them.
    pub joint: Option<&'p str>,
    /// The text before this is kept.
    pub cut: Option<&'p str>,
    /// The text is split by this and the part of this number, from 1, is kept.
    pub part: Option<(&'p str, usize)>,
    /// The first group of this regular expression, or its match, is kept.
    pub pattern: Option<&'p str>,
}

/// How a message of the vendor's own text gives named texts.
#[derive(Clone, Debug)]
pub enum TextShape<'p> {
    /// By regular expressions: texts of the whole message by name, and one match for each observation.
    Rows {
        /// Name and regular expression; the first group is the text.
        fields: Vec<(&'p str, &'p str)>,
        /// Its named groups are the texts.
        row: &'p str,
    },
    /// By tags.
    Tagged {
        /// What separates fields.
        separator: &'p [u8],
        /// What stands before a field.
        record: &'p [u8],
        /// The tag that begins an observation; `None`: the message is one.
        row: Option<&'p str>,
    },
    /// By columns or cells.
    Layout(TextLayout<'p>),
}

/// Texts by their place.
#[derive(Clone, Debug)]
pub struct TextLayout<'p> {
    /// What separates cells; `None`: characters are counted.
    pub separator: Option<&'p str>,
    /// Texts of the whole message: name, and the first character or cell from 0 with how many.
    pub fields: Vec<(&'p str, (usize, usize))>,
    /// Values at fixed places, by test code.
    pub values: Vec<(&'p str, (usize, usize))>,
    /// Where groups begin, how wide one is, and the texts in it.
    pub groups: Option<TextGroups<'p>>,
}

/// Groups of texts one behind the other.
#[derive(Clone, Debug)]
pub struct TextGroups<'p> {
    /// Where the first one begins, from 0.
    pub from: usize,
    /// Characters or cells of one.
    pub width: usize,
    /// Name of each text, and its place in the group from 0 with its width.
    pub fields: Vec<(&'p str, (usize, usize))>,
}

impl Plan {
    /// Where a part stands and how it is cut out; `None` where the profile does not say.
    #[must_use]
    pub fn recipe(&self, part: Part) -> Option<Recipe<'_>> {
        let places = &self.rules.places;
        let selector = match part {
            Part::Specimen => places.specimen.as_ref(),
            Part::Patient => places.patient.as_ref(),
            Part::Test => places.test.as_ref(),
            Part::Value => places.value.as_ref(),
            Part::Unit => places.unit.as_ref(),
            Part::Flags => places.flags.as_ref(),
            Part::Status => places.status.as_ref(),
            Part::Range => places.range.as_ref(),
            Part::At => places.at.as_ref(),
            Part::Query => self.rules.query.as_ref().map(|query| &query.id),
        };
        selector.map(recipe)
    }

    /// The regular expressions that recognise quality control: place and pattern, of `when` or of
    /// the first of `any`.
    #[must_use]
    pub fn qc_signs(&self) -> Vec<(&Place, &str)> {
        let Some(filter) = &self.rules.qc else { return Vec::new() };
        filter
            .when
            .iter()
            .chain(filter.any.first())
            .flat_map(|condition| condition.terms.iter())
            .map(|(place, pattern)| (place, pattern.as_str()))
            .collect()
    }

    /// The signs by which the analyzer is recognised: place and regular expression, no place where
    /// the whole message is matched.
    #[must_use]
    pub fn identify_signs(&self) -> Vec<(Option<&Path>, &str)> {
        self.rules.identify.iter().map(|(path, pattern)| (path.as_ref(), pattern.as_str())).collect()
    }

    /// The field that says what a message is for, and its value for results.
    #[must_use]
    pub fn results_value(&self) -> Option<(Recipe<'_>, &str)> {
        let kind = self.rules.kind.as_ref()?;
        let (value, _) = kind.values.iter().find(|(_, use_)| **use_ == MessageUse::Results)?;
        Some((recipe(&kind.at), value))
    }

    /// How a vendor's own text is built; of several layouts the first.
    #[must_use]
    pub fn text_shape(&self) -> Option<TextShape<'_>> {
        let rule = self.rules.text.as_ref()?;
        Some(match &rule.way {
            TextWay::Rows(rows) => TextShape::Rows {
                fields: rule.fields.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str())).collect(),
                row: rows.first()?.as_str(),
            },
            TextWay::Tagged(tagged) => TextShape::Tagged {
                separator: tagged.separator.as_bytes(),
                record: tagged.record.as_bytes(),
                row: tagged.rows.last().map(String::as_str),
            },
            TextWay::Layouts(layouts) => TextShape::Layout(text_layout(layouts.first()?)),
        })
    }

    /// How times are written, where it is not `YYYYMMDDHHMMSS`.
    #[must_use]
    pub fn at_format(&self) -> Option<&str> {
        self.rules.at_formats.iter().find_map(|format| match format {
            TimeFormat::Strftime { format, .. } => Some(format.as_str()),
            TimeFormat::Epoch | TimeFormat::EpochMilliseconds => None,
        })
    }

    /// Whether numbers have a decimal comma.
    #[must_use]
    pub fn decimal_comma(&self) -> bool {
        self.rules.decimal_comma
    }

    /// The character set of the bytes, where the profile names one.
    #[must_use]
    pub fn charset(&self) -> Option<Charset> {
        self.rules.charset
    }
}

/// Of several places that have steps of their own, the first is the one to write to.
fn recipe(selector: &Selector) -> Recipe<'_> {
    if let Some(nested) = selector.first_nested().filter(|_| selector.joint().is_none()) {
        return recipe(nested);
    }
    let steps = &selector.steps;
    Recipe {
        places: selector.places(),
        joint: selector.joint(),
        cut: steps.cut.as_deref(),
        part: steps.part.as_ref().map(|(split, take)| (split.as_str(), *take)),
        pattern: steps.pattern.as_ref().map(regex::Regex::as_str),
    }
}

fn text_layout(layout: &Layout) -> TextLayout<'_> {
    TextLayout {
        separator: layout.separator.as_deref(),
        fields: spans(&layout.fields),
        values: layout
            .values
            .iter()
            .map(|value| (value.test.as_str(), (value.value.from, value.value.width)))
            .collect(),
        groups: layout.groups.as_ref().map(|groups| TextGroups {
            from: groups.from,
            width: groups.width,
            fields: spans(&groups.fields),
        }),
    }
}

fn spans(fields: &[(String, Span)]) -> Vec<(&str, (usize, usize))> {
    fields.iter().map(|(name, span)| (name.as_str(), (span.from, span.width))).collect()
}
