//! The daemon as a service: ready, drained, refused a second time, and what a broken-off message becomes
//! over its lives.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Output;

use sender::{ACK, ENQ, EOT, NAK, PROFILE, Sender, records, site_with};
use support::{PATIENCE, Site, eventually, free_address, http_get, labwire};

const BINARY: &str = env!("CARGO_BIN_EXE_labwire");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A second site on other addresses that shares the first one's spool.
fn neighbour(site: &Site, spool: &Path) -> Site {
    let other = Site::new();
    let text = std::fs::read_to_string(other.config()).unwrap();
    let text = text.replace(&other.spool().display().to_string(), &spool.display().to_string());
    assert!(text.contains(&site.spool().display().to_string()));
    std::fs::write(other.path("shared.toml"), text + &one_connection()).unwrap();
    other
}

fn one_connection() -> String {
    format!(
        "\n[[connection]]\nname = \"bench\"\ndriver = \"generic/lis02\"\ntcp.listen = \"{}\"\n",
        free_address()
    )
}

fn run(config: &Path) -> Output {
    labwire(&["run", "--config", config.to_str().unwrap()])
}

fn await_draining(admin: SocketAddr) {
    eventually("the daemon to say that it stops", || {
        http_get(admin, "/ready").filter(|answer| answer.starts_with("HTTP/1.1 503"))
    });
}

#[test]
fn a_message_under_way_at_sigterm_may_end_and_a_new_bid_may_not_begin() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    let message = records("DRAINED", "5.10");
    analyzer.frames(&message[..3]);
    daemon.signal("TERM");
    await_draining(site.admin);
    for record in &message[3..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    analyzer.write(&[EOT, ENQ]);
    assert_eq!(analyzer.reply(), NAK, "a bid while the daemon stops");
    analyzer.await_close();
    assert_eq!(daemon.stop(), Some(0), "{}", site.log());
    site.assert_ledger_balances();
    let rows = site.lis_rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[&("DRAINED".to_owned(), "WBC".to_owned(), "5.10".to_owned())], 1);
    assert!(!site.log().contains("ERROR"), "an ordinary end is no error:\n{}", site.log());
}

#[test]
fn an_analyzer_that_falls_silent_holds_the_daemon_no_longer_than_the_drain_timeout() {
    let (mut site, addresses) = site_with(&["bench"]);
    site.extra("\n[limits]\ndrain_timeout = \"1s\"\n");
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    analyzer.frames(&records("SILENT", "5.10")[..4]);
    let began = std::time::Instant::now();
    assert_eq!(daemon.stop(), Some(0), "{}", site.log());
    // LIS01 alone would have waited 30 s for the next frame.
    assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(site.log().contains("the daemon stops"), "the log says what ended the wait:\n{}", site.log());
    let connection = site.json(&["status"]).into_iter().find(|line| line["connection"] == "bench").unwrap();
    assert_eq!(connection["incomplete"], 1, "{connection}");
    assert!(site.lis_rows().is_empty());
    site.assert_ledger_balances();
}

#[test]
fn a_second_daemon_on_the_same_spool_is_refused_and_the_first_one_named() {
    let (site, _) = site_with(&["bench"]);
    let mut daemon = site.start();
    let other = neighbour(&site, &site.spool());
    let refused = run(&other.path("shared.toml"));
    assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
    assert!(said(&refused).contains(&daemon.pid().to_string()), "{}", said(&refused));
    assert!(daemon.is_ready() && !daemon.has_ended());
}

#[test]
fn the_same_configuration_started_twice_is_busy_not_broken() {
    let (site, _) = site_with(&["bench"]);
    let mut daemon = site.start();
    let refused = run(&site.config());
    assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
    assert!(said(&refused).contains("another daemon"), "{}", said(&refused));
    assert!(daemon.is_ready() && !daemon.has_ended());
    assert!(!site.json(&["status"]).is_empty(), "the first one still answers commands");
}

#[test]
fn a_control_socket_that_another_program_holds_is_not_taken_from_it() {
    let (site, _) = site_with(&["bench"]);
    let held = UnixListener::bind(site.path("control.sock")).unwrap();
    let refused = run(&site.config());
    assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
    assert!(said(&refused).contains("control.sock"), "{}", said(&refused));
    drop(held);
    // What the dead one left behind is replaced.
    assert_eq!(site.start().stop(), Some(0));
    std::fs::write(site.path("control.sock"), "notes").unwrap();
    let refused = run(&site.config());
    assert_eq!(refused.status.code(), Some(75), "{}", said(&refused));
    assert_eq!(std::fs::read_to_string(site.path("control.sock")).unwrap(), "notes");
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_running() {
    let (site, addresses) = site_with(&["bench"]);
    for (taken, words) in
        [(site.admin, site.admin.to_string()), (addresses[0], "connection `bench`".to_owned())]
    {
        let held = TcpListener::bind(taken).unwrap();
        let refused = run(&site.config());
        assert_eq!(refused.status.code(), Some(69), "{}", said(&refused));
        assert!(said(&refused).contains(&words), "{}", said(&refused));
        assert!(!site.path("control.sock").exists(), "the control socket goes with the daemon");
        drop(held);
    }
    assert_eq!(site.start().stop(), Some(0), "free again, it starts");
}

#[test]
fn a_spool_of_a_newer_program_is_refused_untouched() {
    let (site, _) = site_with(&["bench"]);
    assert_eq!(site.start().stop(), Some(0));
    let spool = rusqlite::Connection::open(site.spool()).unwrap();
    spool.pragma_update(None, "user_version", 99).unwrap();
    drop(spool);
    let before = std::fs::read(site.spool()).unwrap();
    for refused in [run(&site.config()), site.labwire(&["status"])] {
        assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
        assert!(said(&refused).contains("format 99"), "{}", said(&refused));
    }
    assert!(std::fs::read(site.spool()).unwrap() == before, "the spool is as it was");
}

/// The next word that the service manager hears.
fn heard(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let count = manager.recv(&mut buffer).expect("the daemon tells the service manager");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[test]
fn the_service_manager_hears_ready_watchdog_reloading_and_stopping_in_their_time() {
    let (site, addresses) = site_with(&["bench"]);
    let manager = UnixDatagram::bind(site.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let daemon = site.spawn(
        Path::new(BINARY),
        &[
            ("NOTIFY_SOCKET", site.path("notify").display().to_string()),
            ("WATCHDOG_USEC", "400000".to_owned()),
        ],
    );
    let first = heard(&manager);
    assert!(first.lines().any(|line| line == "READY=1"), "{first}");
    assert!(daemon.is_ready(), "ready means ready");
    let mut analyzer = Sender::connect(addresses[0]);
    assert_eq!(analyzer.bid(), ACK, "ready means that an analyzer is served");
    analyzer.end();
    for _ in 0..3 {
        let word = heard(&manager);
        assert!(word.lines().any(|line| line == "WATCHDOG=1"), "{word}");
    }
    daemon.signal("HUP");
    let reloading = eventually("RELOADING=1", || {
        Some(heard(&manager)).filter(|word| word.lines().any(|line| line == "RELOADING=1"))
    });
    assert!(reloading.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading}");
    eventually("READY=1", || heard(&manager).lines().any(|line| line == "READY=1").then_some(()));
    daemon.signal("TERM");
    eventually("STOPPING=1", || heard(&manager).lines().any(|line| line == "STOPPING=1").then_some(()));
    assert_eq!(daemon.stop(), Some(0));
}

fn connection_line(site: &Site, name: &str) -> serde_json::Value {
    let lines = site.json(&["status"]);
    lines.into_iter().find(|line| line["type"] == "connection" && line["connection"] == name).unwrap()
}

#[test]
fn a_message_that_broke_off_outlives_the_daemon_waits_for_a_person_and_yields_to_its_whole_repeat() {
    let (mut site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let message = records("BROKEN", "5.10");
    Sender::connect(addresses[0]).frames(&message[..4]);
    daemon.kill();

    let daemon = site.start();
    eventually("the incomplete message", || {
        (connection_line(&site, "bench")["incomplete"] == 1).then_some(())
    });
    assert_eq!(site.json(&["quarantine", "list"]), Vec::<serde_json::Value>::new(), "its repeat may come");
    site.assert_ledger_balances();
    assert_eq!(daemon.stop(), Some(0));

    site.extra("\n[limits]\nincomplete_hold = \"1s\"\n");
    let daemon = site.start();
    let held = eventually("the hold to end", || site.json(&["quarantine", "list"]).into_iter().next());
    assert_eq!(held["reason_code"], "incomplete", "{held}");
    assert_eq!((&held["specimen_id"], &held["value"]), (&"BROKEN".into(), &"5.10".into()), "{held}");
    assert_eq!(connection_line(&site, "bench")["held_observations"], 1);
    assert!(site.lis_rows().is_empty(), "what never completed is not filed");
    site.assert_ledger_balances();
    assert_eq!(daemon.stop(), Some(0));

    let daemon = site.start();
    Sender::connect(addresses[0]).send("BROKEN", "5.10");
    site.await_lis_rows(1);
    assert_eq!(site.json(&["quarantine", "list"]), Vec::<serde_json::Value>::new());
    let line = connection_line(&site, "bench");
    assert_eq!((&line["incomplete"], &line["held_observations"]), (&0.into(), &0.into()), "{line}");
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(site.lis_rows().values().sum::<u64>(), 1, "filed once");
    site.assert_ledger_balances();
}

#[test]
fn a_connection_s_own_hold_ends_by_itself_while_others_wait_on() {
    let mut site = Site::new();
    sender::add_profile(&mut site);
    let patient = site.listen("patient", PROFILE);
    let hasty = free_address();
    site.connection("hasty", PROFILE, &format!("tcp.listen = \"{hasty}\"\nincomplete_hold = \"1s\""));
    let daemon = site.start();
    // The one that waits broke off first.
    for (address, specimen) in [(patient, "PATIENT"), (hasty, "HASTY")] {
        Sender::connect(address).frames(&records(specimen, "5.10")[..4]);
    }
    let held = eventually("the hold to end", || site.json(&["quarantine", "list"]).into_iter().next());
    assert_eq!(held["specimen_id"], "HASTY", "{held}");
    assert_eq!(connection_line(&site, "patient")["incomplete"], 1, "held for 15 minutes");
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}

#[test]
fn the_profile_of_these_tests_is_one_that_check_accepts() {
    let (site, _) = site_with(&["bench"]);
    let checked = site.labwire(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(String::from_utf8_lossy(&checked.stdout).contains(PROFILE));
}
