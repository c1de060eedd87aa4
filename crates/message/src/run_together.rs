//! Records that lost the CR between them: one line that holds two.

use core::ops::Range;

use crate::delimiters::Delimiters;
use crate::scan::Syntax;

/// Segments that laboratory messages carry; a field that ends with one of these and is followed by
/// a set id, or by nothing, is the beginning of a segment.
const SEGMENTS: [&[u8]; 16] = [
    b"MSH", b"MSA", b"PID", b"PV1", b"ORC", b"OBR", b"OBX", b"NTE", b"SPM", b"SAC", b"TQ1", b"TCD", b"INV",
    b"SID", b"QRD", b"DSP",
];

/// A place at which another record seems to begin.
pub(crate) struct Beginning {
    /// Offset of its name.
    pub(crate) offset: usize,
    /// The number of the field that holds its name.
    pub(crate) field: usize,
    /// The piece to go on from.
    pub(crate) next: usize,
}

/// The first such place in a record from a piece on. The scanner asks again until there is none.
pub(crate) fn find(
    from: usize,
    syntax: Syntax,
    bytes: &[u8],
    record: Range<usize>,
    separators: &[u32],
    delimiters: &Delimiters,
    is_header: bool,
) -> Option<Beginning> {
    let piece = |number: usize| -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            None => record.start,
            Some(before) => *separators.get(before)? as usize + 1,
        };
        let end = separators.get(number).map_or(record.end, |place| *place as usize);
        bytes.get(start..end)
    };
    let is_possible = |number: &usize| {
        separators.get(*number).is_some_and(|place| ends_like_a_name(syntax, bytes, *place as usize))
    };
    (from.max(1)..separators.len()).filter(is_possible).find_map(|number| {
        let (field, next) = (piece(number)?, piece(number + 1)?);
        let length = match syntax {
            Syntax::Hl7 => begins_segment(field, next, separators.len() - number).then_some(3),
            Syntax::Lis02 if number < first_end_lis02(piece(0)?) => None,
            Syntax::Lis02 => {
                let left = separators.len() - number;
                let orders = piece(number + 4).is_some_and(|test| begins_test(test, delimiters));
                begins_record(field, next, piece(number + 2), left, orders, delimiters).then_some(1)
            }
        }?;
        let offset = separators.get(number).map(|place| *place as usize - length)?;
        let field = if syntax == Syntax::Lis02 || is_header { number + 1 } else { number };
        Some(Beginning { offset, field, next: number + 1 })
    })
}

/// A quick look at the last bytes before a separator, which spares nearly every field the close one.
fn ends_like_a_name(syntax: Syntax, bytes: &[u8], separator: usize) -> bool {
    match (syntax, &bytes[..separator]) {
        (Syntax::Lis02, [.., last]) => matches!(last, b'H' | b'O' | b'R' | b'L'),
        (Syntax::Hl7, [.., middle, last]) => {
            middle.is_ascii_uppercase() && (last.is_ascii_uppercase() || *last == b'1')
        }
        _ => false,
    }
}

/// The first piece a record of this letter may end with. Identifiers before it are followed by a
/// number and components often enough to look like the beginning of a result.
fn first_end_lis02(letter: &[u8]) -> usize {
    match letter {
        b"R" | b"r" | b"C" | b"c" => 3,
        b"L" | b"l" => 2,
        _ => 5,
    }
}

/// `left` separators stand from the one behind the name on. A name right behind a letter or a digit,
/// as behind the status of `...||FOBX|2|NM|`, counts where a number and further fields follow it.
fn begins_segment(field: &[u8], next: &[u8], left: usize) -> bool {
    let Some(before) = field.len().checked_sub(3) else { return false };
    let (before, id) = field.split_at(before);
    let apart = before.last().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (apart || (!next.is_empty() && left > 2)) && is_set_id(next, 4) && SEGMENTS.contains(&id)
}

/// A LIS02 letter alone says little, so the shape of what follows has to fit as well: a header
/// declares the delimiters in force, a result names a test, a terminator ends the line.
fn begins_record(
    field: &[u8],
    next: &[u8],
    after: Option<&[u8]>,
    left: usize,
    orders: bool,
    delimiters: &Delimiters,
) -> bool {
    let is_number = !next.is_empty() && is_set_id(next, 4);
    match field {
        [.., b'H'] => next.len() == 3 && next == delimiters.declaration_lis02(),
        [.., b'R'] => is_number && after.is_some_and(|test| begins_test(test, delimiters)),
        [_, .., b'O'] => is_number && orders,
        [_, .., b'L'] => {
            next == b"1" && (left == 1 || (left == 2 && after.is_some_and(|code| code.len() <= 1)))
        }
        _ => false,
    }
}

fn begins_test(field: &[u8], delimiters: &Delimiters) -> bool {
    !field.is_empty() && field.first() == delimiters.component.as_ref()
}

fn is_set_id(field: &[u8], digits_max: usize) -> bool {
    field.len() <= digits_max && field.iter().all(u8::is_ascii_digit)
}
