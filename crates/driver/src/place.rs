//! Places: where a text of an observation stands, and what is taken from it.

use std::borrow::Cow;

use labwire_message::Path;
use regex::Regex;

use crate::filter::Filter;
use crate::steps::{Steps, trimmed};

/// One place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A part of a record or segment.
    Path(Path),
    /// A named text of a `[text]` profile.
    Name(String),
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A text and what reading it met.
#[derive(Clone, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Some bytes are not in the character set.
    pub(crate) damaged: bool,
    /// Some escape sequence is unknown and stands as it was sent.
    pub(crate) odd_escape: bool,
}

/// How much of a place is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The part that the place names, unescaped and decoded, not trimmed; none where nothing was
    /// sent, or where `""` asks to delete what is stored.
    Meaning,
    /// The same part as sent, only the character set decoded.
    AsSent,
    /// The whole field that the place lies in, as sent, only the character set decoded.
    WholeField,
}

/// A regular expression on a place that chooses among repeats and records.
pub(crate) type Term = (Path, Regex);

/// What an observation can see of its message.
pub(crate) trait Scope {
    /// Reads a place. With `only` it is the first repeat, and the first record of that name in
    /// view, of which all terms hold.
    fn read(&self, place: &Place, only: &[Term], extent: Extent) -> Option<Text<'_>>;

    /// The meanings of a place in every repeat of its field of which all terms hold.
    fn each_repeat(&self, place: &Place, only: &[Term], take: &mut dyn FnMut(Text<'_>));

    /// What a place says.
    fn text(&self, place: &Place) -> Option<Text<'_>> {
        self.read(place, &[], Extent::Meaning)
    }
}

/// How several places make one text.
#[derive(Clone, Debug)]
enum Several {
    FirstOf,
    JoinedWith(String),
}

/// A place, and which of several repeats or records of it is meant.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) place: Place,
    pub(crate) only: Vec<Term>,
}

impl From<Place> for Leaf {
    fn from(place: Place) -> Self {
        Self { place, only: Vec::new() }
    }
}

/// One of the things that a selector looks at.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Leaf(Leaf),
    Selector(Box<Selector>),
}

/// Places, and what is taken from the text found there.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    origins: Vec<Origin>,
    several: Several,
    /// Every place in it, those of nested selectors too.
    places: Vec<Place>,
    /// Where this does not hold, there is no text.
    pub(crate) filter: Option<Filter>,
    pub(crate) steps: Steps,
}

/// A text and the place that gave it.
#[derive(Clone, Debug)]
pub(crate) struct Found<'s> {
    pub(crate) text: Text<'s>,
    pub(crate) leaf: &'s Leaf,
}

impl Selector {
    pub(crate) fn first_of(origins: Vec<Origin>) -> Self {
        let mut places = Vec::new();
        for origin in &origins {
            match origin {
                Origin::Leaf(leaf) => places.push(leaf.place.clone()),
                Origin::Selector(selector) => places.extend_from_slice(&selector.places),
            }
        }
        Self { origins, several: Several::FirstOf, places, filter: None, steps: Steps::default() }
    }

    pub(crate) fn of_places(places: impl IntoIterator<Item = Place>) -> Self {
        Self::first_of(places.into_iter().map(|place| Origin::Leaf(place.into())).collect())
    }

    pub(crate) fn joined(origins: Vec<Origin>, with: &str) -> Self {
        Self { several: Several::JoinedWith(with.to_owned()), ..Self::first_of(origins) }
    }

    /// Every place that it looks at, in order.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What stands between the texts of several places, where they make one text together.
    pub(crate) fn joint(&self) -> Option<&str> {
        match &self.several {
            Several::FirstOf => None,
            Several::JoinedWith(with) => Some(with),
        }
    }

    /// The selector nested first, where what it looks at first is no plain place.
    pub(crate) fn first_nested(&self) -> Option<&Self> {
        match self.origins.first() {
            Some(Origin::Selector(selector)) => Some(selector),
            _ => None,
        }
    }

    /// The text, unescaped, trimmed and cut as the profile says; never empty.
    pub(crate) fn take<'s>(&'s self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        self.find(scope).map(|found| found.text)
    }

    /// The text with the place that gave it; of joined texts the first place.
    pub(crate) fn find<'s>(&'s self, scope: &'s dyn Scope) -> Option<Found<'s>> {
        if !self.applies(scope) {
            return None;
        }
        match &self.several {
            Several::FirstOf => self.origins.iter().find_map(|origin| {
                let Found { text, leaf } = origin.find(scope)?;
                Some(Found { text: self.steps.refine(text)?, leaf })
            }),
            Several::JoinedWith(with) => {
                let mut joined: Option<Found<'s>> = None;
                for found in self.origins.iter().filter_map(|origin| origin.find(scope)) {
                    let text = Text { text: trimmed(found.text.text), ..found.text };
                    if text.text.is_empty() {
                        continue;
                    }
                    match &mut joined {
                        None => joined = Some(Found { text, leaf: found.leaf }),
                        Some(before) => {
                            before.text.damaged |= text.damaged;
                            before.text.odd_escape |= text.odd_escape;
                            let so_far = before.text.text.to_mut();
                            so_far.push_str(with);
                            so_far.push_str(&text.text);
                        }
                    }
                }
                let Found { text, leaf } = joined?;
                Some(Found { text: self.steps.refine(text)?, leaf })
            }
        }
    }

    /// The whole field of the first place where anything was sent, as sent.
    pub(crate) fn any_whole<'s>(&'s self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        self.origins.iter().find_map(|origin| match origin {
            Origin::Leaf(leaf) => leaf.whole(scope),
            Origin::Selector(selector) => selector.any_whole(scope),
        })
    }

    /// Every repeat's text, none of them empty.
    pub(crate) fn each(&self, scope: &dyn Scope, take: &mut dyn FnMut(Text<'_>)) {
        if !self.applies(scope) {
            return;
        }
        let mut any = false;
        for origin in &self.origins {
            let mut refined = |text: Text<'_>| {
                if let Some(text) = self.steps.refine(text) {
                    any = true;
                    take(text);
                }
            };
            match origin {
                Origin::Leaf(leaf) => scope.each_repeat(&leaf.place, &leaf.only, &mut refined),
                Origin::Selector(selector) => selector.each(scope, &mut refined),
            }
            if any && matches!(self.several, Several::FirstOf) {
                return;
            }
        }
    }

    fn applies(&self, scope: &dyn Scope) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(scope))
    }
}

impl Leaf {
    /// The whole field as sent, nothing for an empty one.
    pub(crate) fn whole<'s>(&'s self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        scope.read(&self.place, &self.only, Extent::WholeField).filter(|whole| !whole.text.is_empty())
    }

    /// The part as sent; `None` where it is empty or blank.
    pub(crate) fn as_sent<'s>(&'s self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        scope.read(&self.place, &self.only, Extent::AsSent).filter(|sent| !sent.text.trim().is_empty())
    }
}

impl Origin {
    fn find<'s>(&'s self, scope: &'s dyn Scope) -> Option<Found<'s>> {
        match self {
            Self::Leaf(leaf) => {
                Some(Found { text: scope.read(&leaf.place, &leaf.only, Extent::Meaning)?, leaf })
            }
            Self::Selector(selector) => selector.find(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named texts; a whole field is the text in brackets.
    struct Fake(Vec<(&'static str, &'static str)>);

    impl Scope for Fake {
        fn read(&self, place: &Place, _: &[Term], extent: Extent) -> Option<Text<'_>> {
            let name = place.to_string();
            let (_, text) = self.0.iter().find(|(known, _)| *known == name)?;
            let text = match extent {
                Extent::WholeField => Cow::Owned(format!("[{text}]")),
                _ => Cow::Borrowed(*text),
            };
            Some(Text { text, damaged: false, odd_escape: false })
        }
        fn each_repeat(&self, place: &Place, _: &[Term], take: &mut dyn FnMut(Text<'_>)) {
            if let Some(text) = self.text(place) {
                take(text);
            }
        }
    }

    fn names(names: &[&str]) -> Vec<Origin> {
        names.iter().map(|name| Origin::Leaf(Place::Name((*name).to_owned()).into())).collect()
    }

    fn taken(selector: &Selector, texts: &[(&'static str, &'static str)]) -> Option<String> {
        selector.take(&Fake(texts.to_vec())).map(|text| text.text.into_owned())
    }

    #[test]
    fn the_first_place_with_a_text_gives_text_and_whole_field() {
        let selector = Selector::first_of(names(&["a", "b"]));
        let texts = [("a", "  "), ("b", " 24.7 ")];
        assert_eq!(taken(&selector, &texts).as_deref(), Some("24.7"));
        assert_eq!(
            selector.find(&Fake(texts.to_vec())).unwrap().leaf.whole(&Fake(texts.to_vec())).unwrap().text,
            "[ 24.7 ]"
        );
        assert_eq!(taken(&selector, &[("a", "")]), None);
    }

    #[test]
    fn a_match_is_tried_at_every_place() {
        let mut selector = Selector::first_of(names(&["a", "b"]));
        selector.steps.pattern = Some(Regex::new("^([A-Z]+)$").unwrap());
        assert_eq!(taken(&selector, &[("a", "12"), ("b", "AB")]).as_deref(), Some("AB"));
        assert_eq!(taken(&selector, &[("a", "12"), ("b", "34")]), None);
    }

    #[test]
    fn cut_part_and_match_follow_each_other() {
        let mut selector = Selector::first_of(names(&["a"]));
        selector.steps.cut = Some("/".to_owned());
        assert_eq!(taken(&selector, &[("a", "717/dec")]).as_deref(), Some("717"));
        assert_eq!(taken(&selector, &[("a", "717")]).as_deref(), Some("717"));
        selector.steps.part = Some(("+".to_owned(), 2));
        assert_eq!(taken(&selector, &[("a", "1.0+ 7 +1.0/x")]).as_deref(), Some("7"));
        assert_eq!(taken(&selector, &[("a", "1.0")]), None);
    }

    #[test]
    fn joined_places_leave_out_what_was_not_sent() {
        let selector = Selector::joined(names(&["d", "t"]), " ");
        assert_eq!(
            taken(&selector, &[("d", "10/25/24"), ("t", "18:35 ")]).as_deref(),
            Some("10/25/24 18:35")
        );
        assert_eq!(taken(&selector, &[("t", "18:35")]).as_deref(), Some("18:35"));
        assert_eq!(taken(&selector, &[]), None);
    }

    #[test]
    fn nested_places_have_steps_of_their_own() {
        let mut first = Selector::first_of(names(&["a"]));
        first.steps.pattern = Some(Regex::new("^[A-Z]+$").unwrap());
        let mut second = Selector::first_of(names(&["b"]));
        second.steps.strip = Some(Regex::new("^0+").unwrap());
        let selector =
            Selector::first_of(vec![Origin::Selector(first.into()), Origin::Selector(second.into())]);
        assert_eq!(taken(&selector, &[("a", "12"), ("b", "0045")]).as_deref(), Some("45"));
        assert_eq!(selector.places().len(), 2);
    }

    #[test]
    fn case_map_and_pad_come_last() {
        let mut selector = Selector::first_of(names(&["a"]));
        selector.steps.case = Some(crate::steps::Case::Upper);
        selector.steps.map = [("NEG".to_owned(), "negative".to_owned())].into();
        assert_eq!(taken(&selector, &[("a", " neg ")]).as_deref(), Some("negative"));
        selector.steps.pad = Some(('0', 6));
        assert_eq!(taken(&selector, &[("a", "a71")]).as_deref(), Some("000A71"));
        assert_eq!(taken(&selector, &[("a", "a7100001")]).as_deref(), Some("A7100001"));
        assert_eq!(taken(&selector, &[("a", " ")]), None, "padding makes no text of nothing");
    }
}
