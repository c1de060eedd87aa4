//! What a message that follows an incomplete one is to it, in the bytes that both are (LIS02-A2
//! §4.2.2; [`lis02::resume`] has the rule).

use labwire_message::lis02::{self, Hierarchy, Resumption};
use labwire_message::{Index, Record, Syntax, View};

/// The identity of a text that broke off: every record of an identity is ended, and the last one here
/// may not have been.
pub(crate) fn as_torn(raw: &[u8], mut identity: Vec<u8>) -> Vec<u8> {
    if !raw.ends_with(b"\r") && !raw.ends_with(b"\n") && identity.ends_with(b"\r") {
        identity.pop();
    }
    identity
}

/// Compares the identities of an incomplete message and of a complete one: their records without
/// what a retransmission changes.
pub(crate) fn relation(incomplete: &[u8], complete: &[u8]) -> Resumption {
    let (mut before, mut after) = (Index::new(), Index::new());
    let (before, after) = (before.scan(Syntax::Lis02, incomplete), after.scan(Syntax::Lis02, complete));
    let Some(levels) = levels(&before) else { return Resumption::Unrelated };
    let torn = !incomplete.ends_with(b"\r");
    let last = before.len().saturating_sub(1);
    let relation = lis02::resume(&levels, after.len(), |old, new| {
        let (Some(old_record), Some(new_record)) = (before.record(old), after.record(new)) else {
            return false;
        };
        if torn && old == last {
            new_record.bytes().starts_with(old_record.bytes())
        } else {
            new_record.bytes() == old_record.bytes()
        }
    });
    match relation {
        Resumption::Unrelated if !torn => goes_on(&before, &levels, &after),
        relation => relation,
    }
}

/// A sender that counts every acknowledged record as saved repeats the ancestors alone and goes on
/// with the next record. It is believed only where that record's number continues the count of its
/// siblings (§5.6.7), which no message of its own does.
fn goes_on(before: &View<'_>, levels: &[u8], after: &View<'_>) -> Resumption {
    let hierarchy = Hierarchy::of(after);
    for from in 2..after.len() {
        let (Some(next), Some(level)) = (after.record(from), hierarchy.level(from)) else { break };
        let enclosing = enclosing(levels, level);
        let repeats = enclosing.len() == from
            && enclosing.iter().zip(0..).all(|(old, new)| {
                before.record(*old).map(|record| record.bytes())
                    == after.record(new).map(|record| record.bytes())
            });
        let parent = enclosing.last().copied().unwrap_or(0);
        let sibling = (parent..before.len())
            .rev()
            .filter_map(|place| before.record(place))
            .find(|record| record.name().letter() == next.name().letter());
        if let Some(sibling) = sibling
            && repeats
            && sequence(&sibling).is_some_and(|number| sequence(&next) == Some(number + 1))
        {
            return Resumption::Continues { kept: before.len(), from };
        }
    }
    Resumption::Unrelated
}

/// The records that would enclose a record of this level behind all others, outermost first.
fn enclosing(levels: &[u8], level: u8) -> Vec<usize> {
    let mut found = Vec::new();
    let mut below = level;
    for (place, level) in levels.iter().enumerate().rev() {
        if *level < below {
            found.push(place);
            below = *level;
        }
    }
    found.reverse();
    found
}

fn sequence(record: &Record<'_>) -> Option<u32> {
    let field = record.field(2)?;
    core::str::from_utf8(field.bytes()).ok()?.trim().parse().ok()
}

/// A record whose level is unknown (another letter, a comment about nothing) makes the rule
/// inapplicable: nothing is merged on a guess.
fn levels(view: &View<'_>) -> Option<Vec<u8>> {
    let hierarchy = Hierarchy::of(view);
    (0..view.len()).map(|place| hierarchy.level(place)).collect()
}

/// Both parts read as one: the first `kept` records of the incomplete message, then those of the
/// complete one from `from` on.
pub(crate) fn merge(incomplete: &[u8], kept: usize, complete: &[u8], from: usize) -> Vec<u8> {
    let (mut before, mut after) = (Index::new(), Index::new());
    let (before, after) = (before.scan(Syntax::Lis02, incomplete), after.scan(Syntax::Lis02, complete));
    let mut text = Vec::with_capacity(incomplete.len() + complete.len());
    for record in before.records().take(kept).chain(after.records().skip(from)) {
        text.extend_from_slice(record.bytes());
        text.push(b'\r');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(records: &str) -> Vec<u8> {
        records.split(' ').flat_map(|record| [record.as_bytes(), b"\r"].concat()).collect()
    }

    fn check(incomplete: &str, complete: &str, expected: &str) {
        let (before, after) = (text(incomplete), text(complete));
        let found = match relation(&before, &after) {
            Resumption::Repeats => "repeats".to_owned(),
            Resumption::Unrelated => "unrelated".to_owned(),
            Resumption::Continues { kept, from } => {
                String::from_utf8(merge(&before, kept, &after, from)).unwrap().trim_end().replace('\r', " ")
            }
        };
        assert_eq!(found, expected, "{incomplete} then {complete}");
    }

    #[test]
    fn a_message_sent_again_whole_repeats_the_incomplete_one() {
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|A R|1|X R|2|Y L|1|N", "repeats");
        check(r"H|\^&", r"H|\^& P|1 L|1|N", "repeats");
    }

    #[test]
    fn a_sender_that_goes_on_after_its_saved_records_is_read_as_one() {
        // The second order lowered the level, so everything before it counts as saved.
        check(
            r"H|\^& P|1 O|1|A R|1|X O|2|B",
            r"H|\^& P|1 O|2|B R|1|Y L|1|N",
            r"H|\^& P|1 O|1|A R|1|X O|2|B R|1|Y L|1|N",
        );
    }

    #[test]
    fn a_sender_that_repeats_ancestors_alone_is_believed_by_its_count() {
        check(
            r"H|\^& P|1 O|1|A R|1|X R|2|Y",
            r"H|\^& P|1 O|1|A R|3|Z L|1|N",
            r"H|\^& P|1 O|1|A R|1|X R|2|Y R|3|Z L|1|N",
        );
        check(r"H|\^& P|1 O|1|A R|1|X R|2|Y", r"H|\^& P|1 O|1|A R|4|Z L|1|N", "unrelated");
        check(r"H|\^& P|1 O|1|A R|1|X R|2|Y", r"H|\^& P|1 O|1|B R|3|Z L|1|N", "unrelated");
    }

    #[test]
    fn another_message_is_no_continuation() {
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|B R|1|X L|1|N", "unrelated");
        check(r"H|\^& P|1 O|1|A R|1|X", r"H|\^& P|1 O|1|A R|1|Z L|1|N", "unrelated");
        check(r"H|\^& P|1|one O|1|A R|1|X", r"H|\^& P|2|two O|1|A R|1|X L|1|N", "unrelated");
    }

    #[test]
    fn a_record_that_was_torn_off_is_repeated_by_its_whole() {
        let complete = text(r"H|\^& P|1 O|1|A R|1|X L|1|N");
        assert_eq!(relation(br"H|\^&", &complete), Resumption::Repeats);
        assert_eq!(relation(b"H|\\^&\rP|1\rO|1|", &complete), Resumption::Repeats);
        assert_eq!(relation(b"H|\\^&\rP|1\rO|1|B", &complete), Resumption::Unrelated);
    }
}
