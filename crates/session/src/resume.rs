//! What a message that follows an incomplete one is to it: its repetition, its continuation, or
//! something else (LIS02-A2 §4.2.1, §4.2.2).
//!
//! A conformant sender that lost the line at record k repeats the ancestors of its first unsaved
//! record, then the unsaved records, then goes on. Most senders repeat the whole message. Both
//! sides may disagree by one record about where the line was lost (our last ACK may not have
//! arrived), so every cut is tried, the whole repetition first.

use labwire_message::lis02;

/// What a complete message is to an incomplete one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The complete message begins with everything that the incomplete one holds.
    Repeats,
    /// The complete message goes on where the incomplete one stopped: both together read as
    /// `incomplete[..kept]` followed by `complete[from..]`.
    Continues { kept: usize, from: usize },
    /// They have nothing to do with each other.
    Unrelated,
}

fn level(record: &[u8]) -> Option<u8> {
    record.first().and_then(|letter| lis02::fixed_level(letter.to_ascii_uppercase()))
}

/// Records that enclose `records[at]`, outermost first.
fn ancestors<'a>(records: &[&'a [u8]], at: usize) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    let Some(mut below) = records.get(at).and_then(|record| level(record)) else { return found };
    for record in records[..at].iter().rev() {
        if let Some(level) = level(record)
            && level < below
        {
            found.push(*record);
            below = level;
        }
    }
    found.reverse();
    found
}

/// The n-th field of a record as sent, the letter being the first.
fn field(record: &[u8], number: usize) -> Option<&[u8]> {
    // The field delimiter of the message is a matter of its header; the letter is followed by it.
    let delimiter = *record.get(1)?;
    record.split(|byte| *byte == delimiter).nth(number - 1)
}

fn sequence(record: &[u8]) -> Option<u32> {
    core::str::from_utf8(field(record, 2)?).ok()?.trim().parse().ok()
}

/// `complete` and `incomplete` are lists of whole records without their terminators, with what a
/// retransmission changes blanked; a record of the incomplete message that broke off in the middle
/// is not in the list.
pub(crate) fn relation(incomplete: &[&[u8]], complete: &[&[u8]]) -> Relation {
    if incomplete.is_empty() || complete.is_empty() {
        return Relation::Unrelated;
    }
    if complete.starts_with(incomplete) {
        return Relation::Repeats;
    }
    // A cut at 0 is the whole repetition. One at 1 would make the header alone the ancestor of a
    // patient record: every message of an analyzer that sends no time looks like that.
    for cut in 2..=incomplete.len() {
        let unsaved = &incomplete[cut..];
        let enclosing = if unsaved.is_empty() {
            let Some(next) = (0..complete.len()).find(|at| continues_after(incomplete, complete, *at)) else {
                continue;
            };
            complete[..next].to_vec()
        } else {
            ancestors(incomplete, cut)
        };
        if enclosing.len() < 2 || !complete.starts_with(&enclosing) {
            continue;
        }
        let rest = &complete[enclosing.len()..];
        if rest.starts_with(unsaved) && rest.len() > unsaved.len() {
            return Relation::Continues { kept: cut, from: enclosing.len() };
        }
    }
    Relation::Unrelated
}

/// Whether `complete[at]` is the record that would follow the incomplete message, with all before
/// it being its ancestors there.
fn continues_after(incomplete: &[&[u8]], complete: &[&[u8]], at: usize) -> bool {
    let next = complete[at];
    let (Some(next_level), Some(letter)) = (level(next), next.first()) else { return false };
    // The last record of the same type at the same level says which number comes next.
    let Some(previous) = incomplete
        .iter()
        .rev()
        .take_while(|record| level(record).is_none_or(|level| level >= next_level))
        .find(|record| record.first() == Some(letter))
    else {
        return false;
    };
    let follows = match (sequence(previous), sequence(next)) {
        (Some(previous), Some(next)) => next == previous + 1,
        _ => false,
    };
    if !follows {
        return false;
    }
    let mut with_next: Vec<&[u8]> = incomplete.to_vec();
    with_next.push(next);
    ancestors(&with_next, incomplete.len()) == complete[..at]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<&[u8]> {
        text.split(' ').map(str::as_bytes).collect()
    }

    fn check(incomplete: &str, complete: &str, expected: Option<&str>) {
        let merged = match relation(&records(incomplete), &records(complete)) {
            Relation::Repeats => "repeats".to_owned(),
            Relation::Unrelated => "unrelated".to_owned(),
            Relation::Continues { kept, from } => {
                let (first, second) = (records(incomplete), records(complete));
                let merged = [&first[..kept], &second[from..]].concat();
                String::from_utf8(merged.join(&b' ')).unwrap()
            }
        };
        assert_eq!(merged, expected.unwrap_or("unrelated"), "{incomplete} then {complete}");
    }

    #[test]
    fn a_message_sent_again_whole_repeats_the_incomplete_one() {
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|A R|1|X R|2|Y L|1|N", Some("repeats"));
        check(r"H|\^&", r"H|\^& P|1 L|1|N", Some("repeats"));
    }

    #[test]
    fn a_sender_that_goes_on_after_its_saved_records_is_read_as_one() {
        // The second order lowered the level, so everything before it counts as saved.
        check(
            r"H|\^& P|1 O|1|A R|1|X O|2|B",
            r"H|\^& P|1 O|2|B R|1|Y L|1|N",
            Some(r"H|\^& P|1 O|1|A R|1|X O|2|B R|1|Y L|1|N"),
        );
        // Nothing unsaved: the ancestors, then the next record.
        check(
            r"H|\^& P|1 O|1|A R|1|X R|2|Y",
            r"H|\^& P|1 O|1|A R|3|Z L|1|N",
            Some(r"H|\^& P|1 O|1|A R|1|X R|2|Y R|3|Z L|1|N"),
        );
        // The sender believes its last record unsaved although we have it.
        check(
            r"H|\^& P|1 O|1|A R|1|X R|2|Y",
            r"H|\^& P|1 O|1|A R|2|Y R|3|Z L|1|N",
            Some(r"H|\^& P|1 O|1|A R|1|X R|2|Y R|3|Z L|1|N"),
        );
    }

    #[test]
    fn another_message_is_no_continuation() {
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|B R|1|X L|1|N", None);
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|A R|1|Z L|1|N", None);
        check(r"H|\^& P|1", r"H|\^& P|1 O|1|A R|1|X L|1|N", Some("repeats"));
        check(r"H|\^& P|1|one O|1|A R|1|X", r"H|\^& P|2|two O|1|A R|1|X L|1|N", None);
    }
}
