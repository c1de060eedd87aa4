//! Messages in a session or a file: each from its H to its L.

use std::borrow::Cow;

use crate::finding::Finding;
use crate::split::{End, Message, Split};
use crate::view::{Record, View};

/// Splits a view into messages. A message without its L is kept and marked incomplete. Records that
/// no header precedes are kept together as a message without one and reported one by one; comments
/// behind a terminator belong to nothing and are reported.
#[must_use]
pub fn messages(view: &View<'_>) -> Split {
    let mut split = Split::default();
    let mut open: Option<Message> = None;
    let mut after_terminator = false;
    for (place, record) in view.records().enumerate() {
        let letter = record.name().letter().unwrap_or_default();
        match letter {
            b'H' => {
                close(view, &mut split, open.take(), End::NextHeader);
                open = Some(begin(place, true));
                after_terminator = false;
                continue;
            }
            b'C' | b'M' if after_terminator => {
                split.findings.push(outside(
                    &record,
                    "record-after-terminator",
                    "a terminator precedes this record and no header",
                ));
                continue;
            }
            _ => after_terminator = false,
        }
        let message = open.get_or_insert_with(|| begin(place, false));
        message.records.end = place + 1;
        if !message.has_header {
            split.findings.push(outside(&record, "record-outside-message", "no header precedes this record"));
        }
        if letter == b'L' {
            message.is_complete = message.has_header;
            close(view, &mut split, open.take(), End::Terminator);
            after_terminator = true;
        }
    }
    close(view, &mut split, open, End::Input);
    split
}

fn begin(place: usize, has_header: bool) -> Message {
    Message { records: place..place + 1, has_header, end: End::Input, is_complete: false }
}

fn close(view: &View<'_>, split: &mut Split, message: Option<Message>, end: End) {
    let Some(message) = message else { return };
    if message.has_header && end != End::Terminator {
        let last = view.record(message.records.end.saturating_sub(1));
        split.findings.push(Finding {
            code: "message-incomplete",
            offset: last.map_or(0, |record| record.offset() + record.bytes().len()),
            length: 0,
            record: last.map_or(0, |record| record.ordinal()),
            field: None,
            text: Cow::Borrowed("the message ends here without its terminator record"),
        });
    }
    split.messages.push(Message { end, ..message });
}

fn outside(record: &Record<'_>, code: &'static str, text: &'static str) -> Finding {
    Finding {
        code,
        offset: record.offset(),
        length: record.bytes().len(),
        record: record.ordinal(),
        field: None,
        text: Cow::Borrowed(text),
    }
}
