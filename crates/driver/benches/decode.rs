//! What one observation costs: `cargo bench -p labwire-driver`. With a number as argument the message is
//! decoded that often and nothing else is done, for `valgrind --tool=callgrind` or `perf stat` around it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench asks a clock, prints, and stops at the first surprise"
)]

use std::time::Instant;

use jiff::tz::TimeZone;
use labwire_driver::{Context, Library};
use labwire_message::Index;

/// Observations of a message.
const OBSERVATIONS: u32 = 30;

fn lis02() -> Vec<u8> {
    let mut message =
        "H|\\^&|||XN-550^00-24^22723||||||||E1394-97\rP|1|||PAT7\rO|1||^^        S-100^B|||||||N\r"
            .to_owned();
    for number in 1..=OBSERVATIONS {
        message.push_str(&format!("R|{number}|^^^^WBC^1|6.9|10*3/uL||N||F||||20260302081500\r"));
    }
    (message + "L|1|N\r").into_bytes()
}

fn hl7() -> Vec<u8> {
    let mut message = "MSH|^~\\&|BC-5380|x|||20260302081500||ORU^R01|1|P|2.3.1||||||UNICODE\rPID|1||PAT7\rOBR|1||S-100|00001^Automated Count^99MRC|||20260302081000\r".to_owned();
    for number in 1..=OBSERVATIONS {
        message.push_str(&format!("OBX|{number}|NM|6690-2^WBC^LN||7.34|10*9/L|4.00-10.00|H~A|||F\r"));
    }
    message.into_bytes()
}

fn main() {
    let times = std::env::args().skip(1).find_map(|argument| argument.parse::<u32>().ok());
    let library = Library::embedded();
    let context = Context { zone: &TimeZone::UTC };
    for (model, message) in [("/xn-l", lis02()), ("/bc-5380", hl7())] {
        let id = library.ids().into_iter().find(|id| id.ends_with(model)).unwrap();
        let plan = library.compile(id).unwrap().plan.unwrap();
        let mut index = Index::new();
        let mut decode = |times: u32| {
            for _ in 0..times {
                std::hint::black_box(plan.decode_with(&mut index, &message, &context));
            }
        };
        if let Some(times) = times {
            decode(times);
            continue;
        }
        decode(200);
        // The best of several runs is the one that other programs disturbed least.
        let best = (0..20)
            .map(|_| {
                let begun = Instant::now();
                decode(200);
                begun.elapsed()
            })
            .min()
            .unwrap_or_default();
        println!("{id}: {} ns an observation", (best / (200 * OBSERVATIONS)).as_nanos());
    }
}
