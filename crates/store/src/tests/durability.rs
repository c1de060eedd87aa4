//! What "durable" means: before the reply, across a crash, and never after an I/O error until the
//! file was verified.

use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use labwire_model::Disposition::Deliver;

use super::builder::*;
use crate::error::Severity;
use crate::fault::Place;
use crate::*;

fn states_of(bench: &Bench) -> Receiver<StoreState> {
    let (sender, receiver) = channel();
    bench.handle().observe(move |state| {
        let _ = sender.send(state.clone());
    });
    receiver
}

fn plan(bench: &Bench, faults: &[(Place, Severity)]) {
    bench.handle().shared.faults.planned.lock().unwrap().extend_from_slice(faults);
}

/// Waits for a state that must come by itself.
fn await_state(states: &Receiver<StoreState>, wanted: &str) {
    loop {
        let state = states.recv_timeout(Duration::from_secs(30)).expect("the state changes by itself");
        if state.as_str() == wanted {
            return;
        }
    }
}

fn send(bench: &Bench, transmission: u64) -> Result<Persisted, StoreError> {
    bench.persist(whole(transmission, message(results(&format!("m{transmission}"), &[Deliver]))))
}

/// Holds the writer in a transaction until the answer is dropped or used.
fn occupy(bench: &Bench) -> std::sync::mpsc::Sender<()> {
    let (release, wait) = channel::<()>();
    let (entered, inside) = channel();
    bench.handle().submit(
        None,
        0,
        move |_| {
            let _ = entered.send(());
            let _ = wait.recv();
            Ok(())
        },
        |_| {},
    );
    inside.recv().unwrap();
    release
}

#[test]
fn a_reply_comes_after_the_commit() {
    let bench = Bench::new();
    let reader = bench.reader();
    let (sender, receiver) = channel();
    bench.handle().persist(whole(1, message(results("one", &[Deliver]))), move |result| {
        let seen = reader.message(result.unwrap().messages[0].message).unwrap();
        let _ = sender.send(seen.is_some());
    });
    assert!(receiver.recv().unwrap(), "another connection sees the message when the reply is given");
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let mut bench = Bench::new();
    let filed: Vec<MessageId> =
        (0..20).map(|number| send(&bench, number).unwrap().messages[0].message).collect();
    bench.reopen();
    let found: Vec<MessageId> = bench
        .reader()
        .messages(&MessageFilter::default())
        .unwrap()
        .into_iter()
        .map(|message| message.id)
        .collect();
    assert_eq!(found, filed);
    assert_eq!(bench.reader().verify().unwrap(), []);
    bench.balance();
}

const CHILD: &str = "LABWIRE_STORE_TEST_CHILD";

/// Not a test of its own: the process that [`a_kill_inside_a_transaction_keeps_what_was_answered`]
/// starts and that dies while the writer is in a transaction.
#[test]
fn child_that_aborts_inside_a_transaction() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let spool = Spool::open(path, Options::new("lab", vec!["lis".to_owned()])).unwrap();
    let handle = spool.handle();
    for number in 0..10 {
        let persist = whole(number, message(results(&format!("m{number}"), &[Deliver])));
        handle.wait(|handle, reply| handle.persist(persist, reply)).unwrap();
    }
    handle.submit(
        None,
        0,
        |transaction| -> Result<(), crate::transaction::Refusal> {
            persist::apply(transaction, &whole(99, message(results("m99", &[Deliver]))))?;
            std::process::abort();
        },
        |_| {},
    );
    drop(spool);
}

#[test]
fn a_kill_inside_a_transaction_keeps_what_was_answered_and_nothing_of_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::durability::child_that_aborts_inside_a_transaction"])
        .env(CHILD, &path)
        .output()
        .unwrap()
        .status;
    assert!(!status.success(), "the child died");
    let reader = Spool::open_read(&path).unwrap();
    let found = reader.messages(&MessageFilter::default()).unwrap();
    let transmissions: Vec<u64> = found.iter().map(|message| message.transmission).collect();
    assert_eq!(transmissions, (0..10).collect::<Vec<_>>());
    assert!(reader.ledger().unwrap().balances());
}

#[test]
fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let bench = Bench::new();
    let holder = Some(std::process::id());
    let expected = StoreError::InUse { path: bench.path(), holder };
    assert_eq!(Spool::open(bench.path(), bench.options.clone()).err(), Some(expected.clone()));
    assert_eq!(Spool::open_read(bench.path()).err(), Some(expected.clone()));
    assert!(expected.to_string().contains(&format!("by process {}", std::process::id())));
    send(&bench, 1).unwrap();
}

#[test]
fn a_lock_file_that_was_left_behind_stops_nobody() {
    let mut bench = Bench::new();
    bench.spool = None;
    std::fs::write(bench.path().with_extension("db.lock"), "1\n").unwrap();
    bench.open();
    send(&bench, 1).unwrap();
}

#[test]
fn reading_alone_takes_the_lock_and_needs_a_spool() {
    let mut bench = Bench::new();
    send(&bench, 1).unwrap();
    bench.spool = None;
    let reader = Spool::open_read(bench.path()).unwrap();
    assert_eq!(reader.messages(&MessageFilter::default()).unwrap().len(), 1);
    assert_eq!(
        Spool::open(bench.path(), bench.options.clone()).err().map(|error| error.code()),
        Some("in-use")
    );
    drop(reader);
    bench.open();
    let missing = bench.directory.path().join("nothing.db");
    assert_eq!(Spool::open_read(&missing).err(), Some(StoreError::Missing { path: missing.clone() }));
    assert!(!missing.exists(), "asking creates nothing");
}

#[test]
fn a_newer_another_tenants_and_a_foreign_file_are_refused_untouched() {
    let mut bench = Bench::new();
    bench.spool = None;
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.pragma_update(None, "user_version", 2).unwrap();
    drop(sql);
    let open = |bench: &Bench| Spool::open(bench.path(), bench.options.clone()).err();
    assert_eq!(open(&bench), Some(StoreError::NewerFormat { path: bench.path(), found: 2, known: 1 }));
    assert_eq!(Spool::open_read(bench.path()).err().map(|error| error.code()), Some("newer-format"));

    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.pragma_update(None, "user_version", 1).unwrap();
    drop(sql);
    bench.options.tenant = "other-lab".to_owned();
    assert_eq!(open(&bench).map(|error| error.code()), Some("other-tenant"));

    std::fs::write(bench.path(), "no database, but a text of somebody's own making").unwrap();
    assert_eq!(open(&bench), Some(StoreError::NotASpool { path: bench.path() }));

    std::fs::remove_file(bench.path()).unwrap();
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.execute_batch("CREATE TABLE invoice(id INTEGER)").unwrap();
    drop(sql);
    assert_eq!(open(&bench), Some(StoreError::NotASpool { path: bench.path() }));
}

#[test]
fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let mode = std::fs::metadata(bench.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn after_a_failed_commit_nothing_is_durable_until_the_file_is_verified() {
    let bench = Bench::new();
    let states = states_of(&bench);
    send(&bench, 1).unwrap();
    plan(&bench, &[(Place::BeforeCommit, Severity::File)]);
    plan(&bench, &[(Place::Reopen, Severity::File); 1_000]);
    assert_eq!(send(&bench, 2).unwrap_err().code(), "latched");
    for number in 3..6 {
        assert_eq!(send(&bench, number).unwrap_err().code(), "latched");
    }
    assert!(!bench.handle().state().is_ready());

    bench.handle().shared.faults.planned.lock().unwrap().clear();
    await_state(&states, "ready");
    send(&bench, 6).unwrap();
    let found: Vec<u64> = bench
        .reader()
        .messages(&MessageFilter::default())
        .unwrap()
        .iter()
        .map(|message| message.transmission)
        .collect();
    assert_eq!(found, [1, 6]);
    bench.balance();
}

#[test]
fn a_commit_that_reported_an_error_and_is_durable_all_the_same_counts_once() {
    let bench = Bench::new();
    let states = states_of(&bench);
    plan(&bench, &[(Place::AfterCommit, Severity::File)]);
    assert_eq!(send(&bench, 1).unwrap_err().code(), "latched");
    await_state(&states, "ready");
    let again = send(&bench, 1).unwrap();
    assert!(again.frame_repeated, "the analyzer sends the refused unit again");
    assert_eq!(bench.states(), [MessageState::Pending]);
    bench.balance();
}

#[test]
fn a_full_spool_refuses_keeps_what_it_has_and_recovers_by_itself() {
    let mut options = Options::new("lab", vec!["lis".to_owned()]);
    options.self_check_interval = Duration::from_millis(50);
    options.pages_max = 120;
    let bench = Bench::with(options);
    let states = states_of(&bench);
    let mut stored = Vec::new();
    let refused = (0..10_000)
        .find(|number| match send(&bench, *number) {
            Ok(_) => {
                stored.push(*number);
                false
            }
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                true
            }
        })
        .expect("the limit is reached");
    await_state(&states, "full");
    bench.balance();

    bench
        .handle()
        .wait(|handle, reply| {
            handle.submit(
                None,
                0,
                |transaction| {
                    transaction.sql.pragma_update_and_check(None, "max_page_count", 100_000, |row| {
                        row.get::<_, i64>(0)
                    })?;
                    Ok(())
                },
                reply,
            );
        })
        .unwrap();
    await_state(&states, "ready");
    send(&bench, refused).unwrap();
    stored.push(refused);
    let found: Vec<u64> = bench
        .reader()
        .messages(&MessageFilter { messages_max: 20_000, ..MessageFilter::default() })
        .unwrap()
        .iter()
        .map(|message| message.transmission)
        .collect();
    assert_eq!(found, stored);
    bench.balance();
}

#[test]
fn a_spool_that_was_moved_away_stops_until_it_is_back() {
    let bench = Bench::new();
    let states = states_of(&bench);
    let elsewhere = bench.directory.path().join("elsewhere.db");
    std::fs::rename(bench.path(), &elsewhere).unwrap();
    await_state(&states, "latched");
    assert_eq!(send(&bench, 1).unwrap_err().code(), "latched");
    assert!(!bench.path().exists(), "no second spool is made in its place");
    std::fs::rename(&elsewhere, bench.path()).unwrap();
    await_state(&states, "ready");
    send(&bench, 1).unwrap();
}

#[test]
fn one_commit_serves_all_who_wait() {
    let bench = Bench::new();
    let before = bench.handle().commit_stats();
    let release = occupy(&bench);
    let (sender, receiver) = channel();
    for number in 0..50 {
        let sender = sender.clone();
        bench.handle().persist(
            whole(number, message(results(&format!("m{number}"), &[Deliver]))),
            move |result| {
                let _ = sender.send(result.is_ok());
            },
        );
    }
    drop((release, sender));
    assert_eq!(receiver.iter().filter(|ok| *ok).count(), 50);
    let after = bench.handle().commit_stats();
    assert_eq!(after.requests - before.requests, 51);
    assert_eq!(after.commits - before.commits, 2, "the one that was held open, and one for all the others");
}

#[test]
fn a_request_that_cannot_be_done_costs_its_neighbours_nothing() {
    let bench = Bench::new();
    let release = occupy(&bench);
    let (sender, receiver) = channel();
    for number in 0..3 {
        let mut record = message(results(&format!("m{number}"), &[Deliver]));
        if number == 1 {
            record.sinks = vec!["lis".to_owned(), "nowhere".to_owned()];
        }
        let sender = sender.clone();
        bench.handle().persist(whole(number, record), move |result| {
            let _ = sender.send((number, result.is_ok()));
        });
    }
    drop((release, sender));
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [(0, true), (1, false), (2, true)]);
    assert_eq!(bench.states().len(), 2);
    bench.balance();
}

#[test]
fn a_full_queue_refuses_at_once_and_loses_nothing_that_it_took() {
    let bench = Bench::new();
    let release = occupy(&bench);
    let (sender, receiver) = channel();
    for _ in 0..QUEUE_JOBS_MAX + 10 {
        let sender = sender.clone();
        bench.handle().count("a", Tally::EmptySessions, 1, move |result| {
            let _ = sender.send(result);
        });
    }
    drop((release, sender));
    let answers: Vec<_> = receiver.iter().collect();
    assert_eq!(answers.len(), QUEUE_JOBS_MAX + 10, "every request is answered once");
    let busy = StoreError::Busy { limit: "QUEUE_JOBS_MAX" };
    assert_eq!(answers.iter().filter(|answer| **answer == Err(busy.clone())).count(), 10);
    let counted = bench.reader().ledger().unwrap().tallies["a"][&Tally::EmptySessions];
    assert_eq!(usize::try_from(counted).unwrap(), QUEUE_JOBS_MAX);
    assert_eq!(bench.handle().commit_stats().busy, 10);
}

#[test]
fn a_closed_spool_finishes_what_it_took_and_answers_the_rest() {
    let mut bench = Bench::new();
    let handle = bench.handle();
    let release = occupy(&bench);
    let (sender, receiver) = channel();
    handle.count("a", Tally::Queries, 1, move |result| {
        let _ = sender.send(result);
    });
    drop(release);
    bench.spool = None;
    assert_eq!(receiver.recv().unwrap(), Ok(()));
    assert_eq!(handle.state(), StoreState::Stopped);
    let late = handle.wait(|handle, reply| handle.count("a", Tally::Queries, 1, reply));
    assert_eq!(late, Err(StoreError::Stopped));
}

#[test]
fn an_idle_writer_keeps_proving_that_it_can_commit() {
    let bench = Bench::new();
    let handle = bench.handle();
    let before = handle.heartbeat();
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while handle.heartbeat() <= before {
        assert!(std::time::Instant::now() < patience, "the self-check comes by itself");
        std::thread::yield_now();
    }
    handle.wait(|handle, reply| handle.probe(reply)).unwrap();
}

#[test]
fn a_damaged_record_is_named_and_its_neighbours_are_delivered() {
    let mut bench = Bench::new();
    for number in 0..3 {
        send(&bench, number).unwrap();
    }
    for transmission in [7, 8] {
        bench.persist(part(transmission, frame(Some(1), "H"))).unwrap();
        bench.persist(part(transmission, frame(Some(2), "P"))).unwrap();
    }
    bench.close(broken_off(9, results("torn", &[hold("incomplete")]), 0));
    bench.close(broken_off(10, results("torn too", &[hold("incomplete")]), 0));
    bench.spool = None;
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.execute("UPDATE message SET raw = x'6d39' WHERE transmission = 1", []).unwrap();
    sql.execute("UPDATE message SET decoded = x'7b7d' WHERE transmission = 9", []).unwrap();
    sql.execute("UPDATE frame SET wall_ms = 5 WHERE transmission = 7 AND number = 2", []).unwrap();
    drop(sql);
    bench.open();
    let reader = bench.reader();
    let batch = reader.next_batch("lis", 10).unwrap();
    let raws: Vec<_> = batch.deliveries.iter().map(|delivery| delivery.raw.clone()).collect();
    assert_eq!(raws, [b"m0".to_vec(), b"m2".to_vec(), b"torn too".to_vec()]);
    assert_eq!(batch.damaged.len(), 2);
    let damage: Vec<_> = reader.verify().unwrap().iter().map(|damage| (damage.table, damage.row)).collect();
    assert_eq!(damage, [("frame", 2), ("message", 2), ("message", 4)]);
    let open: Vec<u64> = bench.open_transmissions().iter().map(|open| open.transmission).collect();
    assert_eq!(open, [8], "the torn reception with a damaged frame stays as it is");
    let incompletes: Vec<u64> =
        reader.incompletes("a").unwrap().iter().map(|incomplete| incomplete.transmission).collect();
    assert_eq!(incompletes, [10]);
    assert_eq!(reader.status().unwrap().open_frames, 4);
}

#[test]
fn a_request_that_panics_is_refused_alone() {
    let bench = Bench::new();
    let refused: Result<(), StoreError> = bench.handle().wait(|handle, reply| {
        handle.submit(
            None,
            0,
            |transaction| {
                transaction.tally("a", Tally::Queries, 1)?;
                panic!("a defect")
            },
            reply,
        );
    });
    assert!(matches!(refused, Err(StoreError::Failed { .. })), "{refused:?}");
    assert_eq!(bench.handle().state(), StoreState::Ready);
    bench.file(whole(1, message(results("x", &[]))));
    let ledger = bench.reader().ledger().unwrap();
    assert_eq!(ledger.tallies.get("a"), None, "what it had written was taken back");
}
