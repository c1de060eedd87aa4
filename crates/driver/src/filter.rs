//! Conditions on what an observation sees, and rules that hang on them.

use regex::Regex;

use crate::place::{Place, Scope};

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

/// `when`, `any`, `unless` and `same` together: all that are there must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) when: Option<Condition>,
    /// At least one of these, where there are any.
    pub(crate) any: Vec<Condition>,
    /// This must not hold.
    pub(crate) unless: Option<Condition>,
    /// The first place's text must be the one that some repeat of the second has.
    pub(crate) same: Vec<(Place, Place)>,
}

impl Filter {
    pub(crate) fn holds(&self, scope: &dyn Scope) -> bool {
        self.when.as_ref().is_none_or(|when| when.holds(scope))
            && (self.any.is_empty() || self.any.iter().any(|condition| condition.holds(scope)))
            && !self.unless.as_ref().is_some_and(|unless| unless.holds(scope))
            && self.same.iter().all(|(one, other)| agree(scope, one, other))
    }

    /// The places that its conditions look at, in the profile's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        let conditions = self.when.iter().chain(&self.any).chain(&self.unless);
        conditions.flat_map(|condition| condition.terms.iter().map(|(place, _)| place))
    }

    /// Whether nothing but `when` decides.
    pub(crate) fn is_plain(&self) -> bool {
        self.any.is_empty() && self.unless.is_none() && self.same.is_empty()
    }
}

/// Whether a place has the text of some repeat of another one. Nothing agrees with nothing.
fn agree(scope: &dyn Scope, one: &Place, other: &Place) -> bool {
    let Some(one) = scope.text(one) else { return scope.text(other).is_none() };
    let mut agrees = false;
    scope.each_repeat(other, &[], &mut |text| agrees |= text.text.trim() == one.text.trim());
    agrees
}

/// A condition with what is said about what it finds.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) filter: Filter,
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Extent, Term, Text};
    use std::borrow::Cow;

    /// Named texts; a comma separates repeats.
    struct Fake(Vec<(&'static str, &'static str)>);

    impl Scope for Fake {
        fn read(&self, place: &Place, _: &[Term], _: Extent) -> Option<Text<'_>> {
            let (_, text) = self.0.iter().find(|(known, _)| *known == place.to_string())?;
            Some(Text { text: Cow::Borrowed(text), damaged: false, odd_escape: false })
        }
        fn each_repeat(&self, place: &Place, _: &[Term], take: &mut dyn FnMut(Text<'_>)) {
            let text = self.text(place).map(|text| text.text).unwrap_or_default();
            for repeat in text.split(',').filter(|repeat| !repeat.is_empty()) {
                take(Text { text: Cow::Borrowed(repeat), damaged: false, odd_escape: false });
            }
        }
    }

    fn name(name: &str) -> Place {
        Place::Name(name.to_owned())
    }

    fn condition(pattern: &str) -> Condition {
        Condition { terms: vec![(name("a"), Regex::new(pattern).unwrap())] }
    }

    #[test]
    fn a_condition_takes_what_was_not_sent_as_empty() {
        assert!(condition("^$").holds(&Fake(vec![])));
        assert!(!condition("^$").holds(&Fake(vec![("a", "F")])));
    }

    #[test]
    fn unless_turns_a_condition_round() {
        let filter = Filter { unless: Some(condition("^-268435455$")), ..Filter::default() };
        assert!(filter.holds(&Fake(vec![("a", "5.1")])));
        assert!(filter.holds(&Fake(vec![])));
        assert!(!filter.holds(&Fake(vec![("a", "-268435455")])));
    }

    #[test]
    fn the_same_is_what_one_of_the_repeats_says() {
        let filter = Filter { same: vec![(name("a"), name("b"))], ..Filter::default() };
        assert!(filter.holds(&Fake(vec![("a", "HPV"), ("b", "CT,HPV")])));
        assert!(!filter.holds(&Fake(vec![("a", "IC"), ("b", "CT,HPV")])));
        assert!(!filter.holds(&Fake(vec![("b", "CT")])));
    }
}
