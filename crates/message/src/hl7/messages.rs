//! Messages in a file or a block: each begins at its MSH.

use std::borrow::Cow;

use crate::finding::Finding;
use crate::split::{End, Message, Split};
use crate::view::{Record, View};

/// Splits a view into messages. FHS, BHS, BTS and FTS are the batch around them and belong to none;
/// segments that no MSH precedes are kept together and reported one by one.
#[must_use]
pub fn messages(view: &View<'_>) -> Split {
    let mut split = Split::default();
    let mut open: Option<Message> = None;
    let mut counted = Counted::default();
    for (place, record) in view.records().enumerate() {
        let name = record.name();
        match name.as_str() {
            "MSH" => {
                close(&mut split, open.take(), End::NextHeader);
                counted.message();
                open = Some(Message {
                    records: place..place + 1,
                    has_header: true,
                    end: End::Input,
                    is_complete: true,
                });
            }
            "FHS" | "BHS" | "BTS" | "FTS" => {
                close(&mut split, open.take(), End::Envelope);
                split.envelope.push(place);
                split.findings.extend(counted.envelope(&record));
            }
            _ => match &mut open {
                Some(message) => {
                    message.records.end = place + 1;
                    if !message.has_header {
                        split.findings.push(outside(&record));
                    }
                }
                None => {
                    split.findings.push(outside(&record));
                    open = Some(Message {
                        records: place..place + 1,
                        has_header: false,
                        end: End::Input,
                        is_complete: false,
                    });
                }
            },
        }
    }
    close(&mut split, open, End::Input);
    split
}

fn close(split: &mut Split, message: Option<Message>, end: End) {
    split.messages.extend(message.map(|message| Message { end, ..message }));
}

fn outside(record: &Record<'_>) -> Finding {
    Finding {
        code: "record-outside-message",
        offset: record.offset(),
        length: record.bytes().len(),
        record: record.ordinal(),
        field: None,
        text: Cow::Borrowed("no MSH precedes this segment"),
    }
}

/// What the trailers of a batch are compared with.
#[derive(Default)]
struct Counted {
    messages: usize,
    batches: usize,
}

impl Counted {
    fn message(&mut self) {
        self.messages += 1;
    }

    fn envelope(&mut self, record: &Record<'_>) -> Option<Finding> {
        let (counted, what) = match record.name().as_str() {
            "FHS" => {
                self.batches = 0;
                return None;
            }
            "BHS" => {
                self.messages = 0;
                return None;
            }
            "BTS" => {
                self.batches += 1;
                (core::mem::take(&mut self.messages), "messages")
            }
            _ => (core::mem::take(&mut self.batches), "batches"),
        };
        let declared = record.field(1)?;
        let number = core::str::from_utf8(declared.bytes()).ok()?.trim().parse::<usize>().ok()?;
        (number != counted).then(|| Finding {
            code: "batch-count",
            offset: declared.offset(),
            length: declared.bytes().len(),
            record: record.ordinal(),
            field: Some(1),
            text: Cow::Owned(format!("the trailer counts {number} {what}, {counted} came before it")),
        })
    }
}
