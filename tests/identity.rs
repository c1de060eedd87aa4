//! Another analyzer than the profile's on the port: what it sends is stored and acknowledged as ever,
//! and held, not filed.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use labwire_driver::Library;
use sender::{PROFILE, Sender, add_profile, records};
use serde_json::Value;
use support::{Daemon, Site, eventually, free_address, http_get};

/// A site whose connection has the profile of these tests with a fingerprint, and further keys.
fn site_with_fingerprint(connections: &[(&str, &str)]) -> (Site, Vec<SocketAddr>) {
    let mut site = Site::new();
    add_profile(&mut site);
    let text = format!(
        "schema = 1\nextends = \"{PROFILE}\"\n[analyzer]\nmodel = \"Counter II\"\n[identify]\n\"H.5.1\" = '^Counter'\n"
    );
    std::fs::write(site.path("drivers/bench/named.toml"), text).unwrap();
    let addresses = connections.iter().map(|(name, keys)| {
        let address = free_address();
        site.connection(name, "bench/named", &format!("tcp.listen = \"{address}\"\n{keys}"));
        address
    });
    let addresses = addresses.collect();
    (site, addresses)
}

/// A whole message from an analyzer that names itself so.
fn send(address: SocketAddr, sender: &str, specimen: &str) {
    let mut message = records(specimen, "5.10");
    message[0] = message[0].replace("Bench^1", sender);
    let mut analyzer = Sender::connect(address);
    analyzer.frames(&message);
    analyzer.end();
}

fn connection(site: &Site, name: &str) -> Value {
    site.json(&["connection", "list", name]).remove(0)
}

/// The messages that the daemon has received on all its connections.
fn await_messages(site: &Site, count: u64) {
    eventually("the messages", || {
        let lines = site.json(&["connection", "list"]);
        let received: u64 = lines.iter().filter_map(|line| line["messages"].as_u64()).sum();
        (received == count).then_some(())
    });
}

fn ends_in_balance(daemon: Daemon, site: &Site) {
    assert_eq!(daemon.stop(), Some(0), "{}", site.log());
    site.assert_ledger_balances();
}

#[test]
fn the_wrong_analyzer_is_acknowledged_and_held_with_the_field_that_gave_it_away() {
    let (site, addresses) = site_with_fingerprint(&[("bench", "")]);
    let daemon = site.start();
    send(addresses[0], "Reader^7", "WRONG");
    send(addresses[0], "Counter^7", "RIGHT");
    site.await_lis_rows(1);
    let held = site.json(&["quarantine", "list"]);
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!(
        (&held[0]["reason_code"], &held[0]["specimen_id"]),
        (&"wrong-analyzer".into(), &"WRONG".into())
    );
    let reason = held[0]["reason"].as_str().unwrap();
    assert_eq!(reason, "H.5.1 does not match '^Counter': expected Bench Counter II");
    assert!(!held[0]["remedy"].as_str().unwrap().is_empty());
    assert_eq!(site.lis_rows().keys().next().unwrap().0, "RIGHT");
    assert_eq!(connection(&site, "bench")["wrong_analyzer"], 1);
    let page = eventually("the metrics", || http_get(site.admin, "/metrics"));
    assert!(page.contains("labwire_messages_wrong_analyzer_total{connection=\"bench\"} 1"), "{page}");
    assert!(String::from_utf8_lossy(&site.labwire(&["status"]).stdout).contains("WRONG ANALYZER"));
    let log = site.log();
    assert!(log.contains("wrong_analyzer") && log.contains("analyzer_recognised"), "{log}");
    assert!(!log.contains("Reader"), "what an analyzer sends is not in the log:\n{log}");
    ends_in_balance(daemon, &site);
}

#[test]
fn an_analyzer_that_does_not_name_itself_is_believed_to_be_the_one_of_its_port() {
    let (site, addresses) = site_with_fingerprint(&[("bench", "")]);
    let daemon = site.start();
    for (number, sender) in ["", "^^Counter", "  "].iter().enumerate() {
        send(addresses[0], sender, &format!("S{number}"));
    }
    site.await_lis_rows(3);
    assert_eq!(connection(&site, "bench")["wrong_analyzer"], 0);
    ends_in_balance(daemon, &site);
}

#[test]
fn what_tells_messages_apart_does_not_tell_analyzers_apart() {
    let (site, addresses) = site_with_fingerprint(&[("bench", "")]);
    let path = site.path("drivers/bench/named.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\"H.12\" = '^Q$'\n")).unwrap();
    let daemon = site.start();
    send(addresses[0], "Counter^7", "PATIENT");
    site.await_lis_rows(1);
    ends_in_balance(daemon, &site);
}

#[test]
fn swapped_cables_hold_both_lines_and_nothing_is_filed() {
    let (site, addresses) = site_with_fingerprint(&[
        ("first", "identify = { \"H.5.3\" = '^1001$' }"),
        ("second", "identify = { \"H.5.3\" = '^1002$' }"),
    ]);
    let daemon = site.start();
    // Two of the same model are told apart by what else they say of themselves.
    send(addresses[0], "Counter^1^1002", "SECOND");
    send(addresses[1], "Counter^1^1001", "FIRST");
    await_messages(&site, 2);
    let held = site.json(&["quarantine", "list"]);
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held.iter().all(|line| line["reason_code"] == "wrong-analyzer"), "{held:?}");
    assert!(site.lis_rows().is_empty());
    send(addresses[0], "Counter^1^1001", "FIRST");
    send(addresses[1], "Counter^1^1002", "SECOND");
    site.await_lis_rows(2);
    ends_in_balance(daemon, &site);
}

#[test]
fn a_site_may_only_note_it_not_look_at_all_or_know_its_analyzer_by_another_name() {
    let (site, addresses) = site_with_fingerprint(&[
        ("noted", "identify = \"note\""),
        ("ignored", "identify = \"off\""),
        ("renamed", "identify = { \"H.5.1\" = '^LAB-2$' }"),
    ]);
    let daemon = site.start();
    send(addresses[0], "Reader^7", "NOTED");
    send(addresses[1], "Reader^7", "IGNORED");
    send(addresses[2], "LAB-2", "RENAMED");
    site.await_lis_rows(3);
    assert_eq!(connection(&site, "noted")["wrong_analyzer"], 1);
    assert_eq!(connection(&site, "ignored")["wrong_analyzer"], 0);
    assert_eq!(connection(&site, "renamed")["wrong_analyzer"], 0);
    assert_eq!(site.json(&["quarantine", "list"]), Vec::<Value>::new());
    ends_in_balance(daemon, &site);
}

#[test]
fn a_sign_that_the_messages_of_a_profile_cannot_show_is_a_mistake() {
    let (site, _) = site_with_fingerprint(&[("bench", "identify = { \"MSH-3\" = 'X' }")]);
    let checked = site.labwire(&["check"]);
    assert_eq!(checked.status.code(), Some(78));
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("`MSH-3` is not in the messages of `bench/named` (lis02)"), "{said}");
    let (site, _) = site_with_fingerprint(&[("bench", "identify = { \"O.3\" = 'X', \"H.5\" = '(' }")]);
    let checked = site.labwire(&["check"]);
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("`O.3` does not tell who speaks"), "{said}");
    assert!(said.contains("the regular expression cannot be read"), "{said}");
}

/// Captures that prove a profile, with its id.
fn proofs() -> Vec<(String, String)> {
    let library = Library::embedded();
    let ids: Vec<String> = library.ids().into_iter().map(str::to_owned).collect();
    let plans = ids.iter().filter_map(|id| library.compile(id)?.plan);
    plans
        .flat_map(|plan| {
            let id = plan.id.clone();
            plan.checks.into_iter().map(move |check| (id.clone(), check.capture))
        })
        .collect()
}

#[test]
fn no_profile_takes_its_own_analyzer_for_another() {
    let library = Library::embedded();
    let (mut captures, mut messages) = (0, 0);
    for (id, capture) in proofs() {
        let plan = Arc::new(library.compile(&id).unwrap().plan.unwrap());
        let path = format!("{}/fixtures/{capture}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).expect("the capture of a check is there");
        let file = labwire_workbench::File {
            name: &path,
            bytes: &bytes,
            driver: Some(&id),
            zone: &jiff::tz::TimeZone::UTC,
        };
        let decoded = labwire_workbench::decode_with(&plan, Vec::new(), &file);
        captures += 1;
        for message in &decoded.messages {
            messages += 1;
            let diagnostics = &message.decoded.diagnostics;
            assert!(
                diagnostics.iter().all(|one| one.code != "wrong-analyzer"),
                "{id}: {capture}: {diagnostics:?}"
            );
        }
    }
    assert!(captures > 50 && messages >= captures, "{captures} captures, {messages} messages");
}
