//! The keys of `[link]`: dialect, limits, tolerances and timers of the lower layer.

use core::time::Duration;

use labwire_schema::{Key, Shape, Table};

use super::{BYTES, TEXTS};

const DIALECTS: &[&str] =
    &["lis01", "mllp", "delimited", "bci", "control-ack-envelope", "soh-block", "fixed-length", "records"];

pub(super) static LINK: Table = Table::new(
    "link",
    "Dialect of the lower layer, its limits, and every deviation that is accepted. Each use of a tolerance is counted.",
    &[
        Key::optional(
            "dialect",
            Shape::OneOf(DIALECTS),
            "`lis01` carries `lis02`, `mllp` carries `hl7` and `law`; the others carry `text`, and all of them but `bci` and `fixed-length` also `lis02` without frames. The introduction says what each looks like on the wire. A profile that names another dialect than the one it extends inherits nothing of `[link]`.",
        )
        .default("the first that carries the protocol"),
        Key::optional("strict", Shape::Bool, "Follows the standard's state tables to the letter, and holds observations in records that LIS02 does not allow.").default("false"),
        Key::optional(
            "error_mode",
            Shape::OneOf(&["close", "resync"]),
            "After an error that the protocol cannot recover from: close the connection, or skip to what can be read.",
        )
        .default("close on TCP, resync on a serial line"),
        Key::optional(
            "release",
            Shape::IntegerOneOf(&[1, 2]),
            "`mllp`: release of the lower layer. In 2, each block is answered by a block of ACK or NAK alone before its reply.",
        )
        .default("1"),
        Key::optional(
            "send_text_bytes_max",
            Shape::Integer { min: 1, max: 63_993 },
            "`lis01`: longest text of a frame that is sent.",
        )
        .default("240"),
        Key::optional(
            "receive_frame_bytes_max",
            Shape::Integer { min: 64, max: 67_108_864 },
            "Longest frame, block or text accepted.",
        )
        .default("64000, 16777216 for `mllp`"),
        Key::optional(
            "tolerate",
            TEXTS,
            "Deviations accepted beyond the dialect's defaults, by name; the introduction lists them.",
        ),
        Key::optional(
            "packing",
            Shape::OneOf(&["record", "record-chain", "message"]),
            "`lis01`: whether each record begins a frame of its own that ends with ETX, or with ETB but for the last record of the message, or the whole message is one chain of frames cut wherever one is full. For sending; all are received.",
        )
        .default("\"record\""),
        Key::optional(
            "checksum",
            Shape::OneOf(&["required", "report", "off", "blank"]),
            "`lis01`: whether a frame with a wrong checksum is refused, or taken and counted, or checksums are not looked at. `blank` is `off` with two blanks for the checksum of what is sent. Anything but `required` lets damaged values pass, and the check of the profile says so.",
        )
        .default("\"required\""),
        Key::optional(
            "direction",
            Shape::OneOf(&["both", "receive", "send"]),
            "`lis01`: what this side does. One that only receives never bids for the line; one that only sends refuses every bid.",
        )
        .default("\"both\""),
        Key::optional(
            "interrupt",
            Shape::OneOf(&["after-message", "at-once", "ignore"]),
            "`lis01`: when the analyzer, as receiver, gets the line that it asks for with EOT in place of ACK.",
        )
        .default("\"after-message\""),
        Key::optional(
            "attempts",
            Shape::Integer { min: 1, max: 100 },
            "How often one frame or text is sent before the message fails.",
        )
        .default("6"),
        Key::optional(
            "bids_max",
            Shape::Integer { min: 1, max: 1_000 },
            "`lis01`: how often in a row the line is asked for in vain before the message fails.",
        )
        .default("without bound, with growing pauses"),
        Key::optional("timers", Shape::Table(&TIMERS), "How long is waited for what."),
        Key::optional("start", Shape::Checked(&BYTES), "`delimited`: what stands before a text.")
            .default("\"<STX>\""),
        Key::optional(
            "end",
            Shape::Checked(&BYTES),
            "`delimited`: what stands behind a text; `records`: what ends a record.",
        )
        .default("\"<ETX>\", \"<CR>\" for `records`"),
        Key::optional(
            "continued",
            Shape::Checked(&BYTES),
            "What stands behind a text that the next one continues, such as `<ETB>`.",
        ),
        Key::optional(
            "length",
            Shape::Integer { min: 1, max: 1_048_576 },
            "Bytes of every text. With an end marker a text of another length is refused; without one the length ends the text.",
        ),
        Key::optional(
            "between",
            Shape::Checked(&BYTES),
            "Bytes that may stand between texts and mean nothing, such as `<CR><LF>`.",
        )
        .default("`<CR><LF>` for `soh-block`, else none"),
        Key::optional(
            "check",
            Shape::OneOf(&["none", "bcc", "sum-before-end", "sum-behind-end"]),
            "How a text is checked: one byte behind `end`, the exclusive or of everything behind `start` through `end`; or two hexadecimal digits in front of `end`, the sum of everything between `start` and them; or two digits behind `end`, the sum of everything behind `start` through `end`.",
        )
        .default("\"none\""),
        Key::optional(
            "reply",
            Shape::OneOf(&["ack", "ack-message", "none"]),
            "Whether the analyzer waits for an ACK behind each text or record, or behind the record that ends the message (`L`), or for nothing.",
        )
        .default("\"ack\", \"none\" for `fixed-length` and `records`"),
        Key::optional(
            "answer",
            Shape::ListOf(&Shape::Table(&ANSWER)),
            "Texts of ours that follow the reply to texts of theirs, as `[[link.answer]]`. The first that fits is sent.",
        ),
        Key::optional(
            "handshake",
            Shape::Bool,
            "`delimited`: whether ENQ, answered by ACK, and EOT stand around messages.",
        )
        .default("false"),
    ],
);

static TIMERS: Table = Table::new(
    "link-timers",
    "Waits and pauses of the lower layer. The defaults of `lis01` are those of the standard where it has one; `strict` leaves out the pauses that it does not know.",
    &[
        Key::optional("bid_reply", WAIT, "`lis01`: for the answer to our ENQ (T1).").default("\"15s\""),
        Key::optional("frame_reply", WAIT, "For the reply to what we sent (T4).").default("\"15s\""),
        Key::optional("receive", WAIT, "For the next frame or text of a session (T5); for `records` the silence that ends what belongs together.").default("\"30s\", \"60s\" for `records`"),
        Key::optional("busy_hold_off", PAUSE, "Before the next bid, after one that was refused (T2).")
            .default("\"10s\""),
        Key::optional(
            "contention_retry",
            PAUSE,
            "Before the next bid, of the side that goes first when both bid.",
        )
        .default("\"1s\""),
        Key::optional("contention_yield", PAUSE, "`lis01`: the same, of the side that yields (T3).")
            .default("\"20s\""),
        Key::optional(
            "interrupt_hold_off",
            PAUSE,
            "`lis01`: before the next bid, after the line was given to an analyzer that asked for it (T7).",
        )
        .default("\"15s\""),
        Key::optional("abort_hold_off", PAUSE, "`lis01`: before the next bid, after a session that failed.")
            .default("\"1s\""),
        Key::optional("session_gap", PAUSE, "Between the end of a session and our next bid.")
            .default("\"100ms\""),
        Key::optional("turnaround", PAUSE, "`lis01`: between a reply and our next frame.").default("\"0s\""),
        Key::optional("progress", WAIT, "For the next byte inside a frame, block or text.")
            .default("\"10s\", \"30s\" for all but `lis01`"),
        Key::optional(
            "frame_end_idle",
            WAIT,
            "`lis01`: silence after a checksum that counts as the end of a frame without CR LF.",
        )
        .default("\"300ms\""),
        Key::optional(
            "block_reply",
            WAIT,
            "`control-ack-envelope`: silence behind the records after which the analyzer waits for an ACK before it sends ETX.",
        )
        .default("the reply to ETX is the one for the records"),
        Key::optional("idle_end", WAIT, "`delimited`: silence that closes a text.")
            .default("silence closes none"),
        Key::optional(
            "verdict",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(10) },
            "For the store to make a frame or text durable; after it the frame is refused. Shorter where the analyzer is impatient.",
        )
        .default("\"10s\""),
    ],
);

/// A wait that ends by itself.
const WAIT: Shape = Shape::Duration { min: Duration::from_millis(10), max: Duration::from_secs(600) };
/// A pause, which may be none.
const PAUSE: Shape = Shape::Duration { min: Duration::ZERO, max: Duration::from_secs(600) };

static ANSWER: Table = Table::new(
    "link-answer",
    "A text of ours that some texts of theirs must be followed by.",
    &[
        Key::required("to", Shape::Checked(&BYTES), "How their text begins.").example("\"P<FS>\""),
        Key::optional(
            "with",
            Shape::Checked(&BYTES),
            "Our text, without framing and check. Nothing beyond the reply without it.",
        ),
        Key::optional(
            "data",
            Shape::Bool,
            "Whether their text carries data and is answered once it is stored; else it is a poll, answered while the store can commit, and no message.",
        )
        .default("true"),
    ],
);
