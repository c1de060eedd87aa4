//! The LIS database away, read-only, locked, replaced: analyzers are acknowledged all the same, the
//! backlog and its reason are shown, and delivery goes on by itself, once and in order.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sender::{Sender, site_with};
use serde_json::Value;
use support::{Site, eventually};

const NAMES: [&str; 2] = ["one", "two"];

/// What each connection sent: numbered specimens, so that order shows.
fn specimens(name: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{name}-{number:03}")).collect()
}

/// Both analyzers send at the same time; every message is acknowledged or the test fails.
fn send(addresses: &[std::net::SocketAddr], numbers: std::ops::Range<u32>) {
    std::thread::scope(|scope| {
        for (name, address) in NAMES.iter().zip(addresses) {
            let numbers = numbers.clone();
            scope.spawn(move || {
                let mut analyzer = Sender::connect(*address);
                for specimen in specimens(name, numbers) {
                    analyzer.send(&specimen, "5.10");
                }
            });
        }
    });
}

/// The sink's line of `status`.
fn sink(site: &Site) -> Value {
    site.json(&["status"]).into_iter().find(|line| line["type"] == "sink").expect("status shows the sink")
}

fn await_backlog_with_error(site: &Site, backlog: u64, words: &str) {
    let mut seen = Value::Null;
    eventually(&format!("a backlog of {backlog} and an error that says `{words}`"), || {
        seen = sink(site);
        let said = seen["last_error"].as_str().is_some_and(|error| error.contains(words));
        (said && seen["backlog"] == backlog).then_some(())
    });
    assert!(seen["oldest_at"].is_string(), "{seen}");
    let text = String::from_utf8(site.labwire(&["status"]).stdout).unwrap();
    assert!(text.contains(words) && text.contains("LAST ERROR"), "{text}");
}

fn await_no_backlog(site: &Site) {
    eventually("the backlog to go", || (sink(site)["backlog"] == 0).then_some(()));
    assert_eq!(sink(site)["last_error"], Value::Null, "an error that has passed is not shown");
}

/// The specimens of a connection as the LIS has them, in its order.
fn filed(lis: &Path, connection: &str) -> Vec<String> {
    let lis = rusqlite::Connection::open_with_flags(lis, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = lis.prepare("select specimen_id from result where connection = ?1 order by id").unwrap();
    query.query_map([connection], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn assert_filed(site: &Site, numbers: &std::ops::Range<u32>) {
    for name in NAMES {
        assert_eq!(filed(&site.lis(), name), specimens(name, numbers.clone()), "once and in order on {name}");
    }
    site.assert_ledger_balances();
}

#[test]
fn a_lis_database_that_cannot_be_opened_costs_nobody_an_acknowledgement() {
    let (site, addresses) = site_with(&NAMES);
    fs::create_dir(site.lis()).unwrap();
    let daemon = site.start();
    send(&addresses, 0..10);
    await_backlog_with_error(&site, 20, "the LIS database");
    assert!(daemon.is_ready(), "the analyzers can be served without the LIS");
    fs::remove_dir(site.lis()).unwrap();
    await_no_backlog(&site);
    send(&addresses, 10..12);
    site.await_lis_rows(24);
    assert_eq!(daemon.stop(), Some(0));
    assert_filed(&site, &(0..12));
}

#[test]
fn a_lis_database_whose_directory_is_not_mounted_yet_is_waited_for_across_a_restart() {
    let (site, addresses) = site_with(&NAMES);
    let mounted = site.path("mounted");
    symlink(mounted.join("lis.db"), site.lis()).unwrap();
    let daemon = site.start();
    send(&addresses, 0..5);
    await_backlog_with_error(&site, 10, "the LIS database");
    assert_eq!(daemon.stop(), Some(0), "a LIS that is away does not keep the daemon from ending");
    let daemon = site.start();
    send(&addresses, 5..8);
    await_backlog_with_error(&site, 16, "the LIS database");
    fs::create_dir(&mounted).unwrap();
    await_no_backlog(&site);
    assert_eq!(daemon.stop(), Some(0));
    assert_filed(&site, &(0..8));
}

/// The binary, unable to write what its mode forbids even when root starts it.
fn bound_by_file_modes(site: &Site) -> PathBuf {
    let path = site.path("labwire-without-override");
    let binary = env!("CARGO_BIN_EXE_labwire");
    let start = if rustix::process::geteuid().is_root() {
        format!("exec setpriv --bounding-set -dac_override --inh-caps -dac_override \"{binary}\" \"$@\"")
    } else {
        format!("exec \"{binary}\" \"$@\"")
    };
    fs::write(&path, format!("#!/bin/sh\n{start}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_lis_database_that_cannot_be_written_is_waited_for() {
    let (site, addresses) = site_with(&NAMES);
    let binary = bound_by_file_modes(&site);
    let daemon = site.start_with(&binary, &[]);
    send(&addresses, 0..2);
    site.await_lis_rows(4);
    assert_eq!(daemon.stop(), Some(0));
    fs::set_permissions(site.lis(), fs::Permissions::from_mode(0o444)).unwrap();
    let daemon = site.start_with(&binary, &[]);
    send(&addresses, 2..10);
    await_backlog_with_error(&site, 16, "opened for writing");
    fs::set_permissions(site.lis(), fs::Permissions::from_mode(0o644)).unwrap();
    await_no_backlog(&site);
    assert_eq!(daemon.stop(), Some(0));
    assert_filed(&site, &(0..10));
}

#[test]
fn a_lis_that_keeps_its_database_locked_delays_only_itself() {
    let (site, addresses) = site_with(&NAMES);
    let daemon = site.start();
    send(&addresses, 0..2);
    site.await_lis_rows(4);
    let mut lis = rusqlite::Connection::open(site.lis()).unwrap();
    let lock = lis.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    send(&addresses, 2..10);
    await_backlog_with_error(&site, 16, "locked");
    lock.commit().unwrap();
    await_no_backlog(&site);
    assert_eq!(daemon.stop(), Some(0));
    assert_filed(&site, &(0..10));
}

/// The files of a database.
fn move_database(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        if with(from).exists() {
            fs::rename(with(from), with(to)).unwrap();
        }
    }
}

#[test]
fn results_go_into_the_database_that_stands_there_not_into_one_that_was_taken_away() {
    let (site, addresses) = site_with(&NAMES);
    let daemon = site.start();
    send(&addresses, 0..3);
    site.await_lis_rows(6);
    await_no_backlog(&site);
    let archive = site.path("archive.db");
    move_database(&site.lis(), &archive);
    send(&addresses, 3..6);
    await_no_backlog(&site);
    for name in NAMES {
        assert_eq!(filed(&archive, name), specimens(name, 0..3), "the archive stays as it was");
        assert_eq!(filed(&site.lis(), name), specimens(name, 3..6), "the rest is in the new one");
    }
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}

#[test]
fn a_database_of_another_program_in_its_place_is_left_alone_until_the_right_one_is_back() {
    let (site, addresses) = site_with(&NAMES);
    let daemon = site.start();
    send(&addresses, 0..3);
    site.await_lis_rows(6);
    await_no_backlog(&site);
    let right = site.path("right.db");
    move_database(&site.lis(), &right);
    let wrong = rusqlite::Connection::open(site.lis()).unwrap();
    wrong
        .execute_batch("create table invoice(id integer primary key); insert into invoice values (1);")
        .unwrap();
    drop(wrong);
    let before = fs::read(site.lis()).unwrap();
    send(&addresses, 3..6);
    await_backlog_with_error(&site, 6, "another program");
    assert!(fs::read(site.lis()).unwrap() == before, "a foreign database is not touched");
    fs::remove_file(site.lis()).unwrap();
    move_database(&right, &site.lis());
    await_no_backlog(&site);
    assert_eq!(daemon.stop(), Some(0));
    assert_filed(&site, &(0..6));
}
