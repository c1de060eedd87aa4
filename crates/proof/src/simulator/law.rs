//! What must be true of every history, asked after every step of it.

use super::books::Books;
use super::store::{REMEMBERED_MAX, State, Store};

/// How far the law has been asked, so that a step costs only what it changed.
#[derive(Debug, Default)]
pub(super) struct Law {
    commits: u64,
    receipts: usize,
}

impl Law {
    /// Asks all that can have changed.
    ///
    /// # Errors
    /// What was broken.
    pub(super) fn ask(&mut self, books: &Books, store: &Store) -> Result<(), String> {
        if (self.commits, self.receipts) == (store.commits, books.receipts) {
            return Ok(());
        }
        (self.commits, self.receipts) = (store.commits, books.receipts);
        nothing_is_stored_that_was_not_sent(books, store)?;
        acknowledged_is_stored_once(books, store)?;
        order_is_kept(books, store)
    }
}

/// The place of the message that a stored text is; the first of those that are alike.
fn place_of(books: &Books, raw: &[u8]) -> Option<usize> {
    books.texts.iter().position(|text| is_same(text, raw))
}

/// Whether they are the same text. What ends the last line belongs to the framing of some.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let line = |text: &'_ [u8]| text.strip_suffix(b"\r").unwrap_or(text).len();
    one[..line(one)] == other[..line(other)]
}

fn nothing_is_stored_that_was_not_sent(books: &Books, store: &Store) -> Result<(), String> {
    for (number, row) in store.rows.iter().enumerate() {
        let known = match row.state {
            // What there is of a text whose check has not come is shown as it arrived.
            State::Incomplete | State::Settled if books.unproved_fragments => true,
            State::Incomplete | State::Settled => books.texts.iter().any(|text| begins(text, &row.raw)),
            State::Filed | State::PossibleRepeat | State::Duplicate(_) => {
                place_of(books, &row.raw).is_some_and(|place| books.begun[place] > 0)
            }
        };
        if !known {
            return Err(format!(
                "row {number} ({:?}) holds what nobody sent:\n{}",
                row.state,
                labwire_testkit::control_names(&row.raw)
            ));
        }
    }
    Ok(())
}

/// Whether the text begins with what was kept of it. The end of a chain counts as the end of a record.
fn begins(text: &[u8], kept: &[u8]) -> bool {
    text.starts_with(kept) || kept.strip_suffix(b"\r").is_some_and(|kept| text.starts_with(kept))
}

/// Messages that are alike count together: so many were sent, and so many must be there.
fn acknowledged_is_stored_once(books: &Books, store: &Store) -> Result<(), String> {
    for (number, text) in books.texts.iter().enumerate() {
        if place_of(books, text) != Some(number) {
            continue;
        }
        let alike = || (number..books.texts.len()).filter(|other| books.texts[*other] == *text);
        let acknowledged = alike().filter(|other| books.acknowledged[*other]).count();
        let of = |state: fn(State) -> bool| {
            store.rows.iter().filter(|row| state(row.state) && is_same(text, &row.raw)).count()
        };
        let filed = of(|state| state == State::Filed);
        let flagged = of(|state| state == State::PossibleRepeat);
        if filed > 1 {
            return Err(format!("message {number} is filed {filed} times"));
        }
        if acknowledged > filed + flagged {
            return Err(format!(
                "message {number} was acknowledged {acknowledged} times and is stored {} times",
                filed + flagged
            ));
        }
        let begun: u32 = alike().map(|other| books.begun[other]).sum();
        if filed + flagged > begun as usize {
            return Err(format!("message {number} was sent {begun} times and is filed more often"));
        }
    }
    Ok(())
}

/// What reaches the LIS comes in the order in which it was sent, unless the sender does not wait for its
/// replies: then a refused one comes again behind others.
fn order_is_kept(books: &Books, store: &Store) -> Result<(), String> {
    if !books.waits {
        return Ok(());
    }
    let mut last = 0;
    for row in store.rows.iter().filter(|row| row.state == State::Filed) {
        let Some(place) = place_of(books, &row.raw) else { continue };
        if place < last {
            return Err(format!("message {place} was filed behind message {last}"));
        }
        last = place;
    }
    Ok(())
}

/// In the end: everything has got across, and nothing that broke off waits for what has come.
///
/// # Errors
/// What is left.
pub(super) fn ask_at_the_end(books: &Books, store: &Store) -> Result<(), String> {
    if let Some(number) = books.next() {
        return Err(format!("message {number} never got across although all is well"));
    }
    // A block that broke off was never replied to, and a person sees what there is of it.
    if books.control_ids.is_empty() {
        whole_repeats_settle(store)?;
    }
    Ok(())
}

/// What broke off before its whole repeat came is settled by it. What a half-open line gives up only behind
/// that repeat, or while it is on its way to the disk, waits for a person.
fn whole_repeats_settle(store: &Store) -> Result<(), String> {
    let broke_off = |state: State| matches!(state, State::Incomplete | State::Settled);
    for (place, torn) in store.rows.iter().enumerate().filter(|(_, row)| row.state == State::Incomplete) {
        let behind = store.rows[place + 1..]
            .iter()
            .position(|row| !broke_off(row.state) && row.decided > place && begins(&row.raw, &torn.raw));
        let Some(behind) = behind else { continue };
        let until = place + 1 + behind;
        let remembered = store.rows[place..until].iter().filter(|row| broke_off(row.state)).count();
        if remembered <= REMEMBERED_MAX {
            return Err(format!(
                "row {place} broke off and still waits although row {until} repeats it:\n{}",
                labwire_testkit::control_names(&torn.raw)
            ));
        }
    }
    Ok(())
}
