//! `labwire simulate` plays each analyzer into one running daemon, and the LIS has what the analyzer
//! believes to have been taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use labwire_driver::{Dialect, Plan, TestKind};
use labwire_simulate::{Settings, Simulator};
use labwire_transport::PseudoTerminal;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::analyzers;
use crate::support::{Site, eventually};

const MESSAGES: u64 = 6;
/// Every third message is a control where the profile tells controls apart.
const QC_EVERY: u64 = 3;

/// Kind, specimen id, test code and value, of one connection.
type Row = (String, String, String, String);

/// One analyzer and the line that it is on.
struct Place {
    plan: Arc<Plan>,
    connection: String,
    to: String,
    /// Carries the bytes between the analyzer's port and the daemon's.
    cable: Option<JoinHandle<()>>,
}

/// Dialects without TCP in the field are played over serial lines.
fn is_serial(plan: &Plan) -> bool {
    matches!(plan.link.dialect, Dialect::Delimited | Dialect::Bci | Dialect::ControlAckEnvelope)
}

/// Two serial ports with a cable between them: the analyzer's and the daemon's.
async fn cable() -> (PathBuf, PathBuf, JoinHandle<()>) {
    let (mut one, mut other) = (PseudoTerminal::open().unwrap(), PseudoTerminal::open().unwrap());
    let (analyzer, daemon) = (one.path().to_owned(), other.path().to_owned());
    let copying = tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
    });
    (analyzer, daemon, copying)
}

/// What the analyzer has written into its own record.
fn books(output: &[u8]) -> Vec<Row> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut rows = Vec::new();
    for line in String::from_utf8(output.to_vec()).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        match message["type"].as_str().unwrap() {
            "acknowledged" | "written" => {}
            // It is sent again.
            "not_taken" => continue,
            other => panic!("a simulator says `{other}`"),
        }
        for value in message["values"].as_array().unwrap() {
            rows.push((
                text(&message["kind"]),
                text(&message["specimen_id"]),
                text(&value["test"]),
                text(&value["value"]),
            ));
        }
    }
    rows.sort();
    rows
}

/// The rows of the LIS by connection, sorted.
fn filed(lis: &Path) -> BTreeMap<String, Vec<Row>> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let lis = rusqlite::Connection::open_with_flags(lis, flags).unwrap();
    let mut query = lis
        .prepare(
            "select connection, kind, coalesce(specimen_id, ''), coalesce(analyzer_test, ''), coalesce(text, '') from result",
        )
        .unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))))
        .unwrap();
    let mut filed: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let (connection, row): (String, Row) = row.unwrap();
        filed.entry(connection).or_default().push(row);
    }
    filed.values_mut().for_each(|rows| rows.sort());
    filed
}

#[test]
fn what_each_simulated_analyzer_sent_is_in_the_lis_as_it_was_sent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut site = Site::new();
    let mut places = Vec::new();
    for plan in analyzers() {
        let connection = plan.id.replace('/', "-");
        let (to, cable) = if is_serial(&plan) {
            let (analyzer, daemon, cable) = runtime.block_on(cable());
            let endpoint = format!("serial = {{ device = \"{}\", baud = 9600 }}", daemon.display());
            site.connection(&connection, &plan.id, &endpoint);
            (analyzer.display().to_string(), Some(cable))
        } else {
            (site.listen(&connection, &plan.id).to_string(), None)
        };
        places.push(Place { plan, connection, to, cable });
    }
    assert!(places.iter().filter(|place| place.cable.is_some()).count() >= 3);
    let daemon = site.start();

    // All at once, so that no analyzer's pauses add to another's.
    let simulators: Vec<_> = (1..)
        .zip(&places)
        .map(|(seed, place): (u32, &Place)| {
            Command::new(env!("CARGO_BIN_EXE_labwire"))
                .args(["simulate", &place.plan.id, "--to", &place.to, "--json", "--pause-ms", "0"])
                .args(["--messages", &MESSAGES.to_string(), "--qc-every", &QC_EVERY.to_string()])
                .args(["--seed", &seed.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut sent = BTreeMap::new();
    for (place, simulator) in places.iter().zip(simulators) {
        let output = simulator.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {}: {said}", place.plan.id, output.status);
        let books = books(&output.stdout);
        let controls = books.iter().any(|(kind, ..)| kind == "qc");
        assert_eq!(controls, !place.plan.qc_signs().is_empty(), "{}: controls", place.plan.id);
        sent.insert(place.connection.clone(), books);
    }
    let total = sent.values().map(Vec::len).sum();
    eventually("all that was acknowledged to be in the LIS", || {
        let found: usize = filed(&site.lis()).values().map(Vec::len).sum();
        (found >= total).then_some(())
    });
    let filed = filed(&site.lis());
    for (connection, rows) in &sent {
        assert_eq!(filed.get(connection), Some(rows), "{connection}");
        let specimens = rows.iter().map(|(_, specimen, ..)| specimen).collect::<BTreeSet<_>>();
        assert_eq!(specimens.len(), usize::try_from(MESSAGES).unwrap(), "{connection}");
    }
    assert_eq!(filed.len(), sent.len(), "connections with results that nobody sent");
    site.assert_ledger_balances();
    assert_eq!(daemon.stop(), Some(0));
    for cable in places.into_iter().filter_map(|place| place.cable) {
        cable.abort();
    }
}

/// Rows without a unit may be judgements that only look like tests; an analyzer with enough others
/// leaves them out.
#[test]
fn a_simulated_analyzer_reports_every_number_with_a_unit_that_its_profile_names() {
    let mut silent = Vec::new();
    for plan in analyzers() {
        let started = jiff::civil::date(2026, 3, 2).at(8, 0, 0, 0);
        let simulator = Simulator::new(Arc::clone(&plan), 1, Settings::new(started, "T")).unwrap();
        let reported: Vec<&str> = simulator.tests().collect();
        let measured = plan
            .tests
            .iter()
            .filter(|(_, test)| test.unit.is_some() && test.kind.is_none_or(|kind| kind == TestKind::Number));
        silent.extend(
            measured
                .filter(|(code, _)| !reported.contains(&code.as_str()))
                .map(|(code, _)| format!("{} {code}", plan.id)),
        );
    }
    assert_eq!(silent, Vec::<String>::new());
}
