//! What goes wrong on real lines, and what the running daemon replies and files: the exact reply
//! bytes, the rows in the LIS database, the ledger, the faults counted. Most of it over TCP and over a
//! serial line alike.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/bench.rs"]
mod bench;
mod support;

use bench::{Analyzer, Books, record_frames};

const HEADER: &str = "H|\\^&|||A";
const PATIENT: &str = "P|1";
const ORDER: &str = "O|1|S7";
const GLUCOSE: &str = "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407";
const UREA: &str = "R|2|^^^UREA|4.1|mmol/L||N||F||||20260302081409";
const TERMINATOR: &str = "L|1|N";
const MESSAGE: [&str; 5] = [HEADER, PATIENT, ORDER, GLUCOSE, TERMINATOR];

const GLUCOSE_ROW: &str = "S7 GLU 5.4 mmol/L";
const UREA_ROW: &str = "S7 UREA 4.1 mmol/L";

/// Another message of the same analyzer.
const NEXT_MESSAGE: [&str; 5] =
    [HEADER, PATIENT, "O|1|S8", "R|1|^^^GLU|6.1|mmol/L||N||F||||20260302081507", TERMINATOR];
const NEXT_ROW: &str = "S8 GLU 6.1 mmol/L";

fn frames() -> Vec<String> {
    record_frames(&MESSAGE)
}

/// The same frame with a checksum that does not fit.
fn damaged(frame: &str) -> String {
    let (text, check) = frame.strip_suffix("<CR><LF>").unwrap().split_at(frame.len() - 10);
    let digit = if check.ends_with('0') { '1' } else { '0' };
    format!("{text}{}{digit}<CR><LF>", &check[..1])
}

fn without_crlf(frame: &str) -> &str {
    frame.strip_suffix("<CR><LF>").unwrap()
}

fn whole_session(frames: &[String]) -> String {
    format!("<ENQ>{}<EOT>", frames.concat())
}

/// Bids and sends frames, each acknowledged.
#[track_caller]
fn sends(line: &mut Analyzer, frames: &[String]) {
    line.exchange("<ENQ>", "<ACK>");
    for frame in frames {
        line.exchange(frame, "<ACK>");
    }
}

/// Nothing was wrong, and the one message is filed.
#[track_caller]
fn ends_well(line: &mut Analyzer) {
    line.ends();
    line.is_told(&[]);
    line.has_filed(&[GLUCOSE_ROW], Books::delivered(1));
}

/// Makes a test over TCP and one over a serial line of each scenario.
macro_rules! over_tcp_and_serial {
    ($($scenario:ident),* $(,)?) => {
        mod over_tcp {
            $(#[test] fn $scenario() { super::$scenario(&mut crate::bench::analyzer(crate::bench::Kind::Tcp)); })*
        }
        mod over_a_serial_line {
            $(#[test] fn $scenario() { super::$scenario(&mut crate::bench::analyzer(crate::bench::Kind::Serial)); })*
        }
    };
}

#[path = "wire_faults/arrangements.rs"]
mod arrangements;
#[path = "wire_faults/blocks.rs"]
mod blocks;
#[path = "wire_faults/drops.rs"]
mod drops;
#[path = "wire_faults/frames.rs"]
mod frames;
#[path = "wire_faults/reads.rs"]
mod reads;
#[path = "wire_faults/sequence.rs"]
mod sequence;
