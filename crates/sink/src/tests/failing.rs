//! A LIS database that takes nothing is one error, changes nothing, and is tried again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use labwire_model::Kind;

use super::builder::*;
use crate::{LisDatabase, Outcome, SinkError};

fn delivered_at_last(bench: &Bench) {
    let delivered = bench.deliver(&mut bench.lis()).unwrap();
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].outcome, Outcome::Filed { added: 1 });
    assert_eq!(bench.number("SELECT count(*) FROM result"), 1);
}

/// Takes away the right to write. Root has it all the same; for root the connection is told to
/// answer as SQLite does on a file that it cannot write.
fn read_only(bench: &Bench) -> Result<LisDatabase, SinkError> {
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o444)).unwrap();
    let lis = bench.try_lis()?;
    lis.sql.pragma_update(None, "query_only", true).unwrap();
    Ok(lis)
}

#[test]
fn a_read_only_file_is_tried_again_until_it_can_be_written() {
    let mut bench = Bench::new();
    drop(bench.lis());
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let error = read_only(&bench).and_then(|mut lis| bench.deliver(&mut lis)).unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("readonly"), "{error}");
    assert!(error.is_retryable());
    assert_eq!(bench.waiting().len(), 1, "it waits in the spool");
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o644)).unwrap();
    delivered_at_last(&bench);
}

#[test]
fn a_lock_that_the_lis_holds_is_waited_out() {
    let mut bench = Bench::new();
    let mut lis = bench.lis();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let holder = bench.sql();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = bench.deliver(&mut lis).unwrap_err();
    assert!(matches!(&error, SinkError::Unavailable { reason, .. } if reason.contains("locked")), "{error}");
    holder.execute_batch("ROLLBACK").unwrap();
    delivered_at_last(&bench);
}

#[test]
fn a_directory_that_is_not_mounted_yet_is_tried_again() {
    let mut bench = Bench::new();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let elsewhere = bench.directory.path().join("share").join("lis.db");
    let error = LisDatabase::open(&elsewhere).unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    fs::create_dir(elsewhere.parent().unwrap()).unwrap();
    let delivered = LisDatabase::open(&elsewhere).unwrap().deliver(&bench.waiting()).unwrap();
    assert_eq!(delivered[0].outcome, Outcome::Filed { added: 1 });
}

#[test]
fn a_full_disk_delivers_nothing_of_the_batch() {
    let mut bench = Bench::new();
    let mut lis = bench.lis();
    bench.receive((1..200).map(|record| deliver(record, Kind::Patient)).collect());
    let pages = bench.number("PRAGMA page_count");
    lis.sql.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
    let error = bench.deliver(&mut lis).unwrap_err();
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error}");
    assert_eq!(bench.number("SELECT count(*) FROM message"), 0);
    drop(lis);
    assert_eq!(bench.deliver(&mut bench.lis()).unwrap()[0].outcome, Outcome::Filed { added: 199 });
}

#[test]
fn a_newer_schema_and_a_foreign_file_are_refused_untouched() {
    let bench = Bench::new();
    drop(bench.lis());
    bench.sql().pragma_update(None, "user_version", 3).unwrap();
    let newer = SinkError::Newer { path: bench.path(), found: 3, known: 2 };
    assert_eq!(bench.try_lis().map(drop), Err(newer));
    assert_eq!(bench.number("PRAGMA user_version"), 3);

    fs::remove_file(bench.path()).unwrap();
    bench.sql().execute_batch("CREATE TABLE result(mine TEXT)").unwrap();
    assert!(matches!(bench.try_lis().map(drop), Err(SinkError::Foreign { .. })));
    assert_eq!(bench.number("SELECT count(*) FROM sqlite_schema"), 1);

    fs::write(bench.path(), "a text of somebody's own making, long enough to be looked at").unwrap();
    assert!(matches!(bench.try_lis().map(drop), Err(SinkError::Foreign { .. })));
}

#[test]
fn a_file_that_was_taken_away_gets_nothing_more_and_the_one_in_its_place_does() {
    let mut bench = Bench::new();
    let mut lis = bench.lis();
    bench.receive(vec![deliver(1, Kind::Patient)]);
    let archive = bench.directory.path().join("archive.db");
    // With its log, which holds what was written last.
    for ending in ["", "-wal", "-shm"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        fs::rename(name(&bench.path()), name(&archive)).unwrap();
    }
    let error = bench.deliver(&mut lis).unwrap_err();
    assert!(
        matches!(&error, SinkError::Unavailable { reason, .. } if reason.contains("replaced")),
        "{error}"
    );
    assert!(error.is_retryable());
    drop(lis);
    delivered_at_last(&bench);
    let archive = rusqlite::Connection::open(archive).unwrap();
    let filed: i64 = archive.query_row("SELECT count(*) FROM result", [], |row| row.get(0)).unwrap();
    assert_eq!(filed, 0, "the archive stays as it was");
}

#[test]
fn two_that_open_at_once_make_the_tables_once() {
    let bench = Bench::new();
    let path = bench.path();
    let openers: Vec<_> = (0..4)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || LisDatabase::open(path).map(drop))
        })
        .collect();
    for opener in openers {
        assert_eq!(opener.join().unwrap(), Ok(()));
    }
    assert_eq!(bench.number("PRAGMA user_version"), 2);
}
