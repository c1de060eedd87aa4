//! Stand-ins for words that name a person or a tube: as long as the word, of the same classes of
//! characters, the same for the same word, and different for different words.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};

use jiff::civil::Date;

/// Shorter words are common by chance and are replaced only where they stand in a person's field.
pub(super) const FOUND_ANYWHERE_BYTES: usize = 4;
/// Attempts to find a stand-in that no other word has.
const ATTEMPTS: u64 = 64;

/// What a word is, and with that what of it must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Of a person: nothing stays but punctuation.
    Person,
    /// The id of a tube or an order: letters stay, because marks such as `QC-` are what profiles look at.
    Id,
}

/// The stand-ins of one run. Its key is never written anywhere, so that nobody can try all ids.
#[derive(Debug)]
pub(super) struct Pseudonyms {
    key: [u64; 2],
    known: BTreeMap<Vec<u8>, Vec<u8>>,
    given: BTreeSet<Vec<u8>>,
}

impl Pseudonyms {
    pub(super) const fn new(key: [u64; 2]) -> Self {
        Self { key, known: BTreeMap::new(), given: BTreeSet::new() }
    }

    /// Words with their stand-ins, the longest first, so that a word is not taken for a part of it.
    pub(super) fn longest_first(&self) -> Vec<(&[u8], &[u8])> {
        let mut all: Vec<(&[u8], &[u8])> = self
            .known
            .iter()
            .filter(|(word, _)| word.len() >= FOUND_ANYWHERE_BYTES)
            .map(|(word, other)| (word.as_slice(), other.as_slice()))
            .collect();
        all.sort_by_key(|(word, _)| usize::MAX - word.len());
        all
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The stand-in of a word.
    pub(super) fn of(&mut self, word: &[u8], class: Class) -> Vec<u8> {
        if let Some(known) = self.known.get(word) {
            return known.clone();
        }
        let mut other = word.to_vec();
        for attempt in 0..ATTEMPTS {
            other = self.made(word, class, attempt);
            let is_taken = other == word || self.given.contains(&other);
            if !is_taken || word.len() < FOUND_ANYWHERE_BYTES {
                break;
            }
        }
        if other != word {
            self.given.insert(other.clone());
            self.known.insert(word.to_vec(), other.clone());
        }
        other
    }

    fn made(&self, word: &[u8], class: Class, attempt: u64) -> Vec<u8> {
        if let Some(date) = self.date(word, attempt) {
            return date;
        }
        word.iter()
            .enumerate()
            .map(|(place, byte)| {
                let chance = self.chance(word, attempt, place);
                let of = |first: u8, count: u64| first + u8::try_from(chance % count).unwrap_or(0);
                match (byte, class) {
                    (b'0'..=b'9', _) => of(b'0', 10),
                    (b'A'..=b'Z', Class::Person) => of(b'A', 26),
                    (b'a'..=b'z', Class::Person) => of(b'a', 26),
                    (0x80.., Class::Person) => b'x',
                    _ => *byte,
                }
            })
            .collect()
    }

    /// Another day for a word that begins with one; times of day stay.
    fn date(&self, word: &[u8], attempt: u64) -> Option<Vec<u8>> {
        if !matches!(word.len(), 8 | 12 | 14) || !word.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number =
            |range: core::ops::Range<usize>| core::str::from_utf8(&word[range]).ok()?.parse::<i16>().ok();
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        if !(1890..=2100).contains(&year) {
            return None;
        }
        let days = i64::try_from(self.chance(word, attempt, 0) % 20_000).ok()?;
        let other = Date::constant(1940, 1, 1).checked_add(jiff::Span::new().days(days)).ok()?;
        let mut text = other.strftime("%Y%m%d").to_string().into_bytes();
        text.extend_from_slice(&word[8..]);
        Some(text)
    }

    fn chance(&self, word: &[u8], attempt: u64, place: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.key[0]);
        hasher.write_u64(self.key[1]);
        hasher.write_u64(attempt);
        hasher.write(word);
        hasher.write_usize(place);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_the_shape_of_its_word_and_is_the_same_every_time() {
        let mut names = Pseudonyms::new([1, 2]);
        let one = names.of(b"Smith-JONES 12", Class::Person);
        assert_eq!(one, names.of(b"Smith-JONES 12", Class::Person));
        assert_eq!(one.len(), 14);
        assert!(one[0].is_ascii_uppercase() && one[1].is_ascii_lowercase() && one[5] == b'-');
        assert!(one[12].is_ascii_digit() && one != b"Smith-JONES 12");
    }

    #[test]
    fn an_id_keeps_its_letters_and_loses_its_digits() {
        let mut names = Pseudonyms::new([3, 4]);
        let one = names.of(b"QC-0071A", Class::Id);
        assert!(one.starts_with(b"QC-") && one.ends_with(b"A") && one != b"QC-0071A");
    }

    #[test]
    fn a_date_stays_a_date() {
        let mut names = Pseudonyms::new([5, 6]);
        let one = String::from_utf8(names.of(b"19710230", Class::Person)).unwrap();
        assert_eq!(one.len(), 8, "not a day of the calendar, so digits for digits: {one}");
        let one = String::from_utf8(names.of(b"197102280815", Class::Person)).unwrap();
        assert!(one.ends_with("0815") && one.parse::<u64>().is_ok());
        let month: u8 = one[4..6].parse().unwrap();
        assert!((1..=12).contains(&month), "{one}");
    }

    #[test]
    fn two_words_never_share_a_stand_in() {
        let mut names = Pseudonyms::new([7, 8]);
        let all: BTreeSet<Vec<u8>> =
            (1000..3000).map(|number: u32| names.of(number.to_string().as_bytes(), Class::Id)).collect();
        assert!(all.len() >= 1990, "{}", all.len());
    }
}
