//! What is taken from a text that was found: the steps of a place, in the order in which they are
//! carried out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use crate::place::Text;

/// Upper or lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
}

/// The steps of a place: trim, strip, cut, part, match, trim, case, map, pad.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub(crate) trim: bool,
    pub(crate) strip: Option<Regex>,
    pub(crate) cut: Option<String>,
    pub(crate) part: Option<(String, usize)>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) case: Option<Case>,
    pub(crate) map: BTreeMap<String, String>,
    pub(crate) pad: Option<(char, usize)>,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            trim: true,
            strip: None,
            cut: None,
            part: None,
            pattern: None,
            case: None,
            map: BTreeMap::new(),
            pad: None,
        }
    }
}

impl Steps {
    /// What is left of a text; `None` where nothing is.
    pub(crate) fn refine<'t>(&self, found: Text<'t>) -> Option<Text<'t>> {
        let Text { mut text, damaged, odd_escape } = found;
        if self.trim {
            text = trimmed(text);
        }
        if let Some(strip) = self.strip.as_ref().filter(|strip| strip.is_match(&text)) {
            text = Cow::Owned(strip.replace_all(&text, "").into_owned());
        }
        if let Some(cut) = &self.cut {
            text = narrowed(text, |text| text.split(cut.as_str()).next());
        }
        if let Some((split, take)) = &self.part {
            text = narrowed(text, |text| text.split(split.as_str()).nth(take - 1));
        }
        if let Some(pattern) = &self.pattern {
            text = narrowed(text, |text| matched(pattern, text));
        }
        if self.trim {
            text = trimmed(text);
        }
        if text.is_empty() {
            return None;
        }
        match self.case {
            Some(Case::Upper) => text = Cow::Owned(text.to_uppercase()),
            Some(Case::Lower) => text = Cow::Owned(text.to_lowercase()),
            None => {}
        }
        if let Some(meant) = self.map.get(text.as_ref()) {
            text = Cow::Owned(meant.clone());
        }
        if let Some((with, to)) = self.pad {
            let short = to.saturating_sub(text.chars().count());
            text.to_mut().insert_str(0, &with.to_string().repeat(short));
        }
        Some(Text { text, damaged, odd_escape })
    }
}

/// The first group that took part in the match, else the whole match.
fn matched<'t>(pattern: &Regex, text: &'t str) -> Option<&'t str> {
    if pattern.captures_len() == 1 {
        return pattern.find(text).map(|found| found.as_str());
    }
    let found = pattern.captures(text)?;
    found.iter().skip(1).flatten().next().or_else(|| found.get(0)).map(|found| found.as_str())
}

pub(crate) fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    narrowed(text, |text| Some(text.trim()))
}

/// Takes a slice of a text; borrowed stays borrowed.
fn narrowed<'t>(text: Cow<'t, str>, take: impl Fn(&str) -> Option<&str>) -> Cow<'t, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(take(text).unwrap_or_default()),
        Cow::Owned(text) => match take(&text) {
            Some(taken) if taken.len() == text.len() => Cow::Owned(text),
            taken => Cow::Owned(taken.unwrap_or_default().to_owned()),
        },
    }
}
