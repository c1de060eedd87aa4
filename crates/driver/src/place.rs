//! Places: where a text of an observation stands, and what is taken from it.

use std::borrow::Cow;

use labwire_message::Path;
use regex::Regex;

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

/// What an observation can see of its message.
pub(crate) trait Scope {
    /// The part that a place names: unescaped and decoded, not trimmed. `None` where nothing was
    /// sent, or where `""` asks to delete what is stored.
    fn text(&self, place: &Place) -> Option<Text<'_>>;

    /// The part that a place names as sent, only the character set decoded.
    fn verbatim(&self, place: &Place) -> Option<Text<'_>>;

    /// The whole field that a place lies in, as sent, only the character set decoded.
    fn whole(&self, place: &Place) -> Option<Text<'_>>;

    /// The parts that a place names in every repeat of its field, as [`Scope::text`].
    fn each_repeat(&self, place: &Place, take: &mut dyn FnMut(Text<'_>));
}

/// How several places make one text.
#[derive(Clone, Debug)]
enum Several {
    FirstOf,
    JoinedWith(String),
}

/// Places, and what is taken from the text found there.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    places: Vec<Place>,
    several: Several,
    pub(crate) trim: bool,
    pub(crate) cut: Option<String>,
    pub(crate) part: Option<(String, usize)>,
    pub(crate) pattern: Option<Regex>,
}

impl Selector {
    pub(crate) fn first_of(places: Vec<Place>) -> Self {
        Self { places, several: Several::FirstOf, trim: true, cut: None, part: None, pattern: None }
    }

    pub(crate) fn joined(places: Vec<Place>, with: &str) -> Self {
        Self { several: Several::JoinedWith(with.to_owned()), ..Self::first_of(places) }
    }

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

    /// The text, unescaped, trimmed and cut as the profile says; never empty.
    pub(crate) fn take<'s>(&self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        match &self.several {
            Several::FirstOf => self.places.iter().find_map(|place| self.refine(scope.text(place)?)),
            Several::JoinedWith(with) => {
                let mut joined = Text { text: Cow::Borrowed(""), damaged: false, odd_escape: false };
                for found in self.places.iter().filter_map(|place| scope.text(place)) {
                    let found = Text { text: trimmed(found.text), ..found };
                    if found.text.is_empty() {
                        continue;
                    }
                    joined.damaged |= found.damaged;
                    joined.odd_escape |= found.odd_escape;
                    joined.text = match joined.text.as_ref() {
                        "" => found.text,
                        before => Cow::Owned(format!("{before}{with}{}", found.text)),
                    };
                }
                self.refine(joined)
            }
        }
    }

    /// The whole field behind [`Selector::take`], as sent: of the place that gave the text, else of
    /// the first place where anything was sent.
    pub(crate) fn whole<'s>(&self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        let sent = |place: &Place| scope.whole(place).filter(|whole| !whole.text.is_empty());
        if matches!(self.several, Several::FirstOf) {
            let gave = |place: &&Place| scope.text(place).and_then(|text| self.refine(text)).is_some();
            if let Some(place) = self.places.iter().find(gave) {
                return sent(place);
            }
        }
        self.places.iter().find_map(sent)
    }

    /// The part as sent; `None` where it is empty or blank.
    pub(crate) fn verbatim<'s>(&self, scope: &'s dyn Scope) -> Option<Text<'s>> {
        self.places.iter().find_map(|place| scope.verbatim(place).filter(|text| !text.text.trim().is_empty()))
    }

    /// Every repeat's text, none of them empty.
    pub(crate) fn each<'s>(&self, scope: &'s dyn Scope, take: &mut dyn FnMut(Text<'_>)) {
        let mut any = false;
        for place in &self.places {
            scope.each_repeat(place, &mut |text| {
                if let Some(text) = self.refine(text) {
                    any = true;
                    take(text);
                }
            });
            if any && matches!(self.several, Several::FirstOf) {
                return;
            }
        }
    }

    fn refine<'t>(&self, found: Text<'t>) -> Option<Text<'t>> {
        let Text { mut text, damaged, odd_escape } = found;
        if self.trim {
            text = trimmed(text);
        }
        if let Some(cut) = &self.cut {
            text = narrowed(text, |text| text.split(cut.as_str()).next());
        }
        if let Some((split, take)) = &self.part {
            text = narrowed(text, |text| text.split(split.as_str()).nth(take - 1));
        }
        if let Some(pattern) = &self.pattern {
            text = narrowed(text, |text| {
                let found = pattern.captures(text)?;
                found.get(1).or_else(|| found.get(0)).map(|found| found.as_str())
            });
        }
        if self.trim {
            text = trimmed(text);
        }
        (!text.is_empty()).then_some(Text { text, damaged, odd_escape })
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
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

/// Regular expressions that must all match. A place where nothing was sent counts as empty.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) terms: Vec<(Place, Regex)>,
}

impl Condition {
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        self.terms.iter().all(|(place, pattern)| match scope.text(place) {
            Some(found) => pattern.is_match(&found.text),
            None => pattern.is_match(""),
        })
    }
}

/// `when` and `any` of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) when: Option<Condition>,
    pub(crate) any: Vec<Condition>,
}

impl Filter {
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(scope))
            && (self.any.is_empty() || self.any.iter().any(|condition| condition.holds(scope)))
    }

    /// The places that it looks at, in the profile's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.when.iter().chain(&self.any).flat_map(|condition| condition.terms.iter().map(|(place, _)| place))
    }
}

/// A condition with what is said about what it finds.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) when: Condition,
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named texts; a whole field is the text in brackets.
    struct Fake(Vec<(&'static str, &'static str)>);

    impl Scope for Fake {
        fn text(&self, place: &Place) -> Option<Text<'_>> {
            let name = place.to_string();
            let (_, text) = self.0.iter().find(|(known, _)| *known == name)?;
            Some(Text { text: Cow::Borrowed(text), damaged: false, odd_escape: false })
        }
        fn verbatim(&self, place: &Place) -> Option<Text<'_>> {
            self.text(place)
        }
        fn whole(&self, place: &Place) -> Option<Text<'_>> {
            let text = self.text(place)?;
            Some(Text { text: Cow::Owned(format!("[{}]", text.text)), damaged: false, odd_escape: false })
        }
        fn each_repeat(&self, place: &Place, take: &mut dyn FnMut(Text<'_>)) {
            if let Some(text) = self.text(place) {
                take(text);
            }
        }
    }

    fn names(names: &[&str]) -> Vec<Place> {
        names.iter().map(|name| Place::Name((*name).to_owned())).collect()
    }

    fn taken(selector: &Selector, texts: &[(&'static str, &'static str)]) -> Option<String> {
        selector.take(&Fake(texts.to_vec())).map(|text| text.text.into_owned())
    }

    #[test]
    fn the_first_place_with_a_text_gives_text_and_whole_field() {
        let selector = Selector::first_of(names(&["a", "b"]));
        let texts = [("a", "  "), ("b", " 24.7 ")];
        assert_eq!(taken(&selector, &texts).as_deref(), Some("24.7"));
        assert_eq!(selector.whole(&Fake(texts.to_vec())).unwrap().text, "[ 24.7 ]");
        assert_eq!(taken(&selector, &[("a", "")]), None);
    }

    #[test]
    fn a_match_is_tried_at_every_place() {
        let mut selector = Selector::first_of(names(&["a", "b"]));
        selector.pattern = Some(Regex::new("^([A-Z]+)$").unwrap());
        assert_eq!(taken(&selector, &[("a", "12"), ("b", "AB")]).as_deref(), Some("AB"));
        assert_eq!(taken(&selector, &[("a", "12"), ("b", "34")]), None);
    }

    #[test]
    fn cut_part_and_match_follow_each_other() {
        let mut selector = Selector::first_of(names(&["a"]));
        selector.cut = Some("/".to_owned());
        assert_eq!(taken(&selector, &[("a", "717/dec")]).as_deref(), Some("717"));
        assert_eq!(taken(&selector, &[("a", "717")]).as_deref(), Some("717"));
        selector.part = Some(("+".to_owned(), 2));
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
    fn a_condition_takes_what_was_not_sent_as_empty() {
        let condition = Condition { terms: vec![(Place::Name("a".to_owned()), Regex::new("^$").unwrap())] };
        assert!(condition.holds(&Fake(vec![])));
        assert!(!condition.holds(&Fake(vec![("a", "F")])));
    }
}
