//! Cases of LIS02-A2 and of both layers together that need more than a script.

use std::sync::Arc;

use crate::Function;
use crate::bench::{Analyzer, Bench, Books, Kind, record_frames};

pub(crate) const FUNCTIONS: &[Function] =
    &[("an_acknowledged_frame_survives_a_crash", an_acknowledged_frame_survives_a_crash)];

const MESSAGE: [&str; 5] = [
    "H|\\^&|||A|||||||P|1|20260302081407",
    "P|1",
    "O|1|S7",
    "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407",
    "L|1|N",
];

/// A daemon of its own with one line to the letter.
fn strict_line() -> (Arc<Bench>, Analyzer) {
    let bench = Arc::new(Bench::start(|kind| usize::from(kind == Kind::Strict)));
    let line = bench.analyzer(Kind::Strict);
    (bench, line)
}

fn an_acknowledged_frame_survives_a_crash() {
    let (bench, mut line) = strict_line();
    line.exchange("<ENQ>", "<ACK>");
    for frame in &record_frames(&MESSAGE)[..4] {
        line.exchange(frame, "<ACK>");
    }
    bench.kill_and_restart();
    line.has_filed_after_a_crash(&[], Books { incomplete: 1, ..Books::default() });
}
