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

/// The first place at which another record seems to begin, with the number of the field.
pub(crate) fn find(
    syntax: Syntax,
    bytes: &[u8],
    record: Range<usize>,
    separators: &[u32],
    delimiters: &Delimiters,
    is_header: bool,
) -> Option<(usize, usize)> {
    let piece = |number: usize| -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            None => record.start,
            Some(before) => *separators.get(before)? as usize + 1,
        };
        let end = separators.get(number).map_or(record.end, |place| *place as usize);
        bytes.get(start..end)
    };
    (1..separators.len()).find_map(|number| {
        let (field, next) = (piece(number)?, piece(number + 1)?);
        let length = match syntax {
            Syntax::Hl7 => begins_segment(field, next).then_some(3),
            Syntax::Lis02 => {
                begins_record(field, next, piece(number + 2), separators.len() - number, delimiters)
                    .then_some(1)
            }
        }?;
        let place = separators.get(number).map(|place| *place as usize - length)?;
        let counted = if syntax == Syntax::Lis02 || is_header { number + 1 } else { number };
        Some((place, counted))
    })
}

fn begins_segment(field: &[u8], next: &[u8]) -> bool {
    let Some(before) = field.len().checked_sub(3) else { return false };
    let (before, id) = field.split_at(before);
    let apart = before.last().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    apart && is_set_id(next, 4) && SEGMENTS.contains(&id)
}

/// A LIS02 letter alone says little, so the shape of what follows has to fit as well: a header
/// declares the delimiters in force, a result names a test, a terminator ends the line.
fn begins_record(
    field: &[u8],
    next: &[u8],
    after: Option<&[u8]>,
    left: usize,
    delimiters: &Delimiters,
) -> bool {
    let is_number = !next.is_empty() && is_set_id(next, 4);
    match field {
        [.., b'H'] => next.len() == 3 && next == delimiters.declaration_lis02(),
        [.., b'R'] => is_number && after.is_some_and(|test| test.first() == delimiters.component.as_ref()),
        [_, .., b'L'] => {
            next == b"1" && (left == 1 || (left == 2 && after.is_some_and(|code| code.len() <= 1)))
        }
        _ => false,
    }
}

fn is_set_id(field: &[u8], digits_max: usize) -> bool {
    field.len() <= digits_max && field.iter().all(u8::is_ascii_digit)
}
