//! `labwire messages`: listing, showing at each level, and following what arrives.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use sender::{PROFILE, site_with};
use serde_json::Value;
use support::{Site, eventually, labwire};

/// Three messages, without a control among them.
fn send(address: SocketAddr, drivers: &str, seed: &str) {
    let to = address.to_string();
    let output = labwire(&[
        "simulate",
        PROFILE,
        "--to",
        &to,
        "--drivers",
        drivers,
        "--messages",
        "3",
        "--pause-ms",
        "0",
        "--qc-every",
        "0",
        "--seed",
        seed,
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn of_type(lines: &[Value], kind: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["type"] == kind).cloned().collect()
}

fn drivers(site: &Site) -> String {
    site.path("drivers").display().to_string()
}

#[test]
fn messages_are_listed_in_order_and_in_pages() {
    let (site, addresses) = site_with(&["one", "two"]);
    let daemon = site.start();
    send(addresses[0], &drivers(&site), "1");
    send(addresses[1], &drivers(&site), "2");
    let all = site.json(&["messages", "list"]);
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|line| line["type"] == "message" && line["driver"] == PROFILE));
    assert!(all.windows(2).all(|pair| pair[0]["row"].as_i64() < pair[1]["row"].as_i64()));
    let of_two = site.json(&["messages", "list", "--connection", "two"]);
    assert_eq!(of_two.len(), 3);
    let cursor = all[1]["row"].to_string();
    let page = site.json(&["messages", "list", "--after", &cursor, "--limit", "2"]);
    assert_eq!(page, all[2..4]);

    let results = site.json(&["results", "list", "--connection", "one"]);
    let specimen = results[0]["specimen_id"].as_str().unwrap();
    let found = site.json(&["messages", "list", "--specimen", specimen]);
    assert!(found.iter().any(|line| line["message_id"] == results[0]["message_id"]));
    assert!(found.len() < 6);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(site.json(&["messages", "list"]).len(), 6, "without a daemon the spool itself answers");
}

#[test]
fn a_message_is_shown_as_deep_as_asked() {
    let (site, addresses) = site_with(&["one"]);
    let _daemon = site.start();
    send(addresses[0], &drivers(&site), "3");
    let first = site.json(&["messages", "list"]).remove(0);
    let id = first["message_id"].as_str().unwrap();

    let raw = of_type(&site.json(&["messages", "show", id, "--level", "raw"]), "raw");
    let text = raw[0]["text"].as_str().unwrap();
    assert!(text.starts_with("H|\\^&") && text.contains("<CR>"), "{text}");

    let records = of_type(&site.json(&["messages", "show", id, "--level", "records"]), "record");
    assert!(records[0]["text"].as_str().unwrap().starts_with("H|") && records.len() >= 4);
    assert_eq!(records.last().unwrap()["record"], records.len());

    let results = site.json(&["messages", "show", id]);
    let results = of_type(&results, "result");
    assert_eq!(results.len() as u64, first["observations"].as_u64().unwrap());
    let value = results[0]["value"].as_str().unwrap();
    assert!(text.contains(&format!("|{value}|")), "the value is as sent");
    eventually("the observation is delivered", || {
        let lines = site.json(&["messages", "show", id]);
        of_type(&lines, "result").iter().all(|line| line["state"] == "delivered").then_some(())
    });

    let unknown = site.labwire(&["messages", "show", "01932c07-8f5e-7cc0-8000-5f3b6f2a9d11"]);
    assert_eq!(unknown.status.code(), Some(64));
}

#[test]
fn who_follows_sees_messages_as_they_arrive_and_may_stop_reading() {
    let (site, addresses) = site_with(&["one"]);
    let daemon = site.start();
    send(addresses[0], &drivers(&site), "4");
    let config = site.config();
    let mut following = Command::new(env!("CARGO_BIN_EXE_labwire"))
        .args(["messages", "--follow", "--level", "results", "--json", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = BufReader::new(following.stdout.take().unwrap()).lines();
    // What was there before is not shown: whoever follows begins at some moment between these.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (address, from) = (addresses[0], drivers(&site));
    let sending = std::thread::spawn(move || {
        for seed in 100_u32.. {
            if stopped.try_recv().is_ok() {
                return;
            }
            send(address, &from, &seed.to_string());
        }
    });
    let first: Value = serde_json::from_str(&seen.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["type"], "message");
    let next: Value = serde_json::from_str(&seen.next().unwrap().unwrap()).unwrap();
    assert_eq!((&next["type"], &next["message_id"]), (&"result".into(), &first["message_id"]));
    drop(seen);
    // Nobody reads any more: the command ends by itself at its next line.
    let ended = eventually("the command ends", || following.try_wait().unwrap());
    assert!(ended.code().is_some());
    stop.send(()).unwrap();
    sending.join().expect("the analyzer sends to the end");
    assert_eq!(daemon.stop(), Some(0));
}
