//! The word that was meant.

/// The candidate nearest to `word`, where one is near enough that it may have been meant.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        let distance = if folded == other { 0 } else { strsim::damerau_levenshtein(&folded, &other) };
        // A third of the word may be wrong, as in rustc; of a short word one letter.
        let near = distance <= (folded.chars().count().max(other.chars().count()) / 3).max(1)
            // or one is the other with a word more: `baud` for `baud_rate`
            || (word.len() >= 4 && candidate.len() >= 4 && (other.starts_with(&folded) || folded.starts_with(&other)));
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `Time-Zone` and `time_zone` are the same word to a person.
fn fold(word: &str) -> String {
    word.chars().map(|c| if c == '-' || c == ' ' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant() {
        assert_eq!(suggest("conection", ["connection", "control"]), Some("connection"));
        assert_eq!(suggest("lsi", ["lis", "site"]), Some("lis"));
        assert_eq!(suggest("Time-Zone", ["tenant", "time_zone"]), Some("time_zone"));
        assert_eq!(suggest("baud_rate", ["baud", "data_bits"]), Some("baud"));
    }

    #[test]
    fn a_word_like_no_other_finds_none() {
        assert_eq!(suggest("tls", ["listen", "connect"]), None);
        assert_eq!(suggest("zzz", ["lis", "site"]), None);
        assert_eq!(suggest("x", []), None);
    }

    #[test]
    fn the_nearest_of_several_is_taken_and_the_first_of_equals() {
        assert_eq!(suggest("nam", ["name", "nom"]), Some("name"));
    }
}
