//! The two lists of conformance cases, LIS01 with LIS02 and HL7 with MLLP, LAW and POCT1-A, from the
//! tables in `tests/conformance/`. `cargo xtask conformance` prints what came of each case.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a table that cannot be read fails the test")]
#![expect(clippy::panic, reason = "a table that cannot be read fails the test")]

#[path = "support/bench.rs"]
mod bench;
#[path = "conformance/decode.rs"]
mod decode;
#[path = "conformance/exchange.rs"]
mod exchange;
#[path = "conformance/expect.rs"]
mod expect;
#[path = "conformance/hl7.rs"]
mod hl7;
#[path = "conformance/link.rs"]
mod link;
#[path = "conformance/lis02.rs"]
mod lis02;
#[path = "conformance/profiles.rs"]
mod profiles;
#[path = "conformance/report.rs"]
mod report;
#[path = "conformance/required.rs"]
mod required;
#[path = "conformance/session.rs"]
mod session;
mod support;
#[path = "conformance/table.rs"]
mod table;
#[path = "conformance/tls.rs"]
mod tls;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use report::{Report, Verdict};
use table::{Case, Part, Runner, Table};

/// The table files, in the order in which the table is printed.
const FILES: &[(&str, &str)] = &[
    ("lis01.txt", include_str!("conformance/lis01.txt")),
    ("lis02.txt", include_str!("conformance/lis02.txt")),
    ("hl7.txt", include_str!("conformance/hl7.txt")),
    ("framing.txt", include_str!("conformance/framing.txt")),
    ("encoding.txt", include_str!("conformance/encoding.txt")),
    ("acknowledgement.txt", include_str!("conformance/acknowledgement.txt")),
    ("content.txt", include_str!("conformance/content.txt")),
];

/// Cases at a time. Some wait for a daemon most of their time.
const RUNNERS: usize = 4;

/// A case that needs more than a script can say.
type Function = (&'static str, fn());

fn function(name: &str) -> Option<fn()> {
    [lis02::FUNCTIONS, hl7::FUNCTIONS, exchange::FUNCTIONS, tls::FUNCTIONS]
        .concat()
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|found| found.1)
}

fn table() -> Table {
    let mut table = Table::default();
    for (name, content) in FILES {
        table.read(name, content);
    }
    table
}

fn run_part(table: &Table, part: &Part) -> Result<(), String> {
    match &part.runner {
        Runner::Link { strict } => link::run(part, *strict),
        Runner::Session { strict, profile } => session::run(&table.profiles, part, profile, *strict),
        Runner::Decode { strict, profile } => decode::run(&table.profiles, part, profile, *strict),
        Runner::Function(name) => {
            let function =
                function(name).ok_or_else(|| format!("{}: there is no function {name}", part.at))?;
            function();
            Ok(())
        }
    }
}

fn run(table: &Table, case: &Case) -> Verdict {
    if let Some(reason) = &case.later {
        return if required::later().contains(&case.id) && case.parts.is_empty() {
            Verdict::Later(reason.clone())
        } else {
            Verdict::Fail("this case is due".to_owned())
        };
    }
    if case.parts.is_empty() {
        return Verdict::Fail("nothing is run".to_owned());
    }
    for part in &case.parts {
        let ran = catch_unwind(AssertUnwindSafe(|| run_part(table, part)))
            .unwrap_or_else(|panic| Err(format!("{}: {}", part.at, report::said(panic.as_ref()))));
        if let Err(why) = ran {
            return Verdict::Fail(why);
        }
    }
    match &case.decision {
        Some(_) if !required::is_ours_to_decide(&case.id) => {
            Verdict::Fail("a rule that is not ours to decide".to_owned())
        }
        Some(reason) => Verdict::Decision(reason.clone()),
        None => Verdict::Pass,
    }
}

fn run_all(table: &Table) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![None; table.cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..RUNNERS {
            scope.spawn(|| {
                while let Some((place, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, table.cases.get(at)?)))
                {
                    let verdict = run(table, case);
                    verdicts.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.into_iter().map(|verdict| verdict.expect("every case has run")).collect()
}

#[test]
fn every_case_comes_out_as_the_table_says() {
    let table = table();
    let report = Report::new(run_all(&table).into_iter().zip(&table.cases));
    println!("{report}");
    let failures = report.failures();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_case_of_the_lists_is_written_once() {
    let table = table();
    let mut written = BTreeSet::new();
    for case in &table.cases {
        assert!(written.insert(case.id.as_str()), "{} is written twice", case.id);
    }
    let required = required::all();
    let unknown: Vec<_> = written.iter().filter(|id| !required.contains(**id)).collect();
    assert!(unknown.is_empty(), "no list has these: {unknown:?}");
    let missing: Vec<_> = required.iter().filter(|id| !written.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "nobody has written these: {missing:?}");
}

#[test]
fn every_function_belongs_to_a_case() {
    let table = table();
    let named: BTreeSet<_> = table
        .cases
        .iter()
        .flat_map(|case| &case.parts)
        .filter_map(|part| match &part.runner {
            Runner::Function(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for (name, _) in [lis02::FUNCTIONS, hl7::FUNCTIONS, exchange::FUNCTIONS, tls::FUNCTIONS].concat() {
        assert!(named.contains(name), "no case runs {name}");
    }
}

/// Where the default profile deviates from the letter of LIS01, and why.
const DEFAULT_DEVIATES: [(&str, &str); 5] = [
    ("CON-05", "a pause before our bid lets a waiting analyzer take the line"),
    ("FN-02", "a pause before our next bid lets a waiting analyzer take the line"),
    ("INT-03", "a pause before our bid lets a waiting analyzer take the line"),
    ("CHK-09", "a checksum that holds proves a device control to be content"),
    ("CHK-10", "a checksum that holds proves a line feed to be content"),
];

#[test]
fn the_default_machine_deviates_from_the_link_cases_exactly_where_it_says_why() {
    let table = table();
    let deviates =
        |part: &Part| matches!(part.runner, Runner::Link { .. }) && link::run(part, false).is_err();
    let deviating: BTreeSet<_> = table
        .cases
        .iter()
        .filter(|case| case.parts.iter().any(deviates))
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(deviating, DEFAULT_DEVIATES.iter().map(|(id, _)| *id).collect());
}
