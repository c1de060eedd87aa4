//! The configuration changes while analyzers are at work: who is not concerned notices nothing, who is
//! ends what is under way by the old settings.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};

use sender::{ACK, ENQ, EOT, NAK, PROFILE, Sender, add_profile, records, site_with};
use serde_json::Value;
use support::{PATIENCE, Site, eventually, free_address, http_get, labwire};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The change of each connection, as `labwire reload` tells them.
fn reload(site: &Site) -> Vec<(String, String)> {
    let lines = site.json(&["reload"]);
    let word = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines
        .iter()
        .filter(|line| line["type"] == "connection")
        .map(|line| (word(line, "connection"), word(line, "change")))
        .collect()
}

fn changes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, change)| ((*name).to_owned(), (*change).to_owned())).collect()
}

fn line(site: &Site, name: &str) -> Value {
    site.json(&["connection", "list", name]).remove(0)
}

/// Writes the profile of these tests anew, with another code for the LIS.
fn change_profile(site: &Site, lis: &str) {
    let path = site.path("drivers").join(PROFILE).with_extension("toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("lis = \"WBC\"").expect("the profile has a code");
    std::fs::write(path, format!("{before}lis = \"{lis}\"{after}")).unwrap();
}

/// A site with the profile of these tests, written by hand so that it can be changed.
struct Changing {
    site: Site,
    lines: Vec<(&'static str, SocketAddr)>,
}

impl Changing {
    fn new(names: &[&'static str]) -> Self {
        let lines = names.iter().map(|name| (*name, free_address())).collect();
        Self { site: Site::new(), lines }.written()
    }

    /// With the lines as they are, in the file.
    fn written(self) -> Self {
        let Self { mut site, lines } = self;
        site.clear();
        add_profile(&mut site);
        for (name, address) in &lines {
            site.connection(name, PROFILE, &format!("tcp.listen = \"{address}\""));
        }
        site.config();
        Self { site, lines }
    }
}

#[test]
fn who_is_not_concerned_keeps_its_socket_and_its_session() {
    let mut lab = Changing::new(&["kept", "leaving"]);
    let daemon = lab.site.start();
    let mut kept = Sender::connect(lab.lines[0].1);
    let mut leaving = Sender::connect(lab.lines[1].1);
    let (staying, last) = (records("KEPT", "5.10"), records("LAST", "5.20"));
    kept.frames(&staying[..3]);
    leaving.frames(&last[..3]);

    let gone = lab.lines.remove(1).1;
    lab.lines.push(("added", free_address()));
    let lab = lab.written();
    let expected = changes(&[("leaving", "removed"), ("kept", "kept"), ("added", "added")]);
    assert_eq!(reload(&lab.site), expected);
    assert!(TcpStream::connect(gone).is_err(), "nobody listens where no connection is configured");
    for (record, end) in staying[3..].iter().zip(&last[3..]) {
        assert_eq!(kept.frame(record), ACK, "{record}");
        assert_eq!(leaving.frame(end), ACK, "what was under way may end: {end}");
    }
    leaving.write(&[EOT, ENQ]);
    assert_eq!(leaving.reply(), NAK, "a bid on a line that ends");
    leaving.await_close();
    kept.end();
    kept.send("KEPT-2", "5.30");
    Sender::connect(lab.lines[1].1).send("ADDED", "5.40");
    lab.site.await_lis_rows(4);
    assert_eq!(line(&lab.site, "kept")["transports"].as_array().unwrap().len(), 1);
    assert_eq!(daemon.stop(), Some(0), "{}", lab.site.log());
    lab.site.assert_ledger_balances();
}

#[test]
fn a_message_under_way_is_read_by_the_profile_that_it_began_under() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    let message = records("OLD", "5.10");
    analyzer.frames(&message[..3]);
    let before = line(&site, "bench")["driver_version"].clone();
    change_profile(&site, "LEU");
    assert_eq!(reload(&site), changes(&[("bench", "renewed")]));
    for record in &message[3..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    analyzer.end();
    let after = eventually("the line to go on by the changed profile", || {
        Some(line(&site, "bench")).filter(|_| site.log().contains("connection_renewed"))
    });
    analyzer.send("NEW", "5.20");
    site.await_lis_rows(2);
    let results = site.json(&["results", "list"]);
    let of = |specimen: &str| results.iter().find(|line| line["specimen_id"] == specimen).unwrap();
    assert_eq!((&of("OLD")["lis_test"], &of("OLD")["driver_version"]), (&"WBC".into(), &before));
    assert_eq!(
        (&of("NEW")["lis_test"], &of("NEW")["driver_version"]),
        (&"LEU".into(), &after["driver_version"])
    );
    assert_eq!(after["transports"].as_array().unwrap().len(), 1, "on the same transport: {after}");
    assert_eq!(reload(&site), changes(&[("bench", "kept")]));
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}

#[test]
fn an_analyzer_that_never_ends_its_message_is_cut_off_at_the_drain_timeout() {
    let (mut site, addresses) = site_with(&["bench"]);
    site.extra("\n[limits]\ndrain_timeout = \"1s\"\n");
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    analyzer.frames(&records("SILENT", "5.10")[..4]);
    change_profile(&site, "LEU");
    assert_eq!(reload(&site), changes(&[("bench", "renewed")]));
    analyzer.await_close();
    eventually("the incomplete message", || (line(&site, "bench")["incomplete"] == 1).then_some(()));
    Sender::connect(addresses[0]).send("NEXT", "5.20");
    site.await_lis_rows(1);
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}

#[test]
fn a_bad_configuration_changes_nothing_and_every_problem_is_said() {
    let (site, addresses) = site_with(&["bench"]);
    let mut daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    analyzer.frames(&records("UNDISTURBED", "5.10")[..2]);
    let good = std::fs::read_to_string(site.config()).unwrap();
    let bad = good.replace("driver = \"bench/counter\"", "driver = \"bench/counted\"\nspeed = 9600");
    std::fs::write(site.path("labwire.toml"), &bad).unwrap();
    std::fs::write(site.path("ask.toml"), &good).unwrap();
    let ask = site.path("ask.toml");
    let refused = labwire(&["reload", "--config", ask.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    for words in ["there is no driver profile \"bench/counted\"", "unknown key `speed`", "labwire.toml:"] {
        assert!(said(&refused).contains(words), "{words}:\n{}", said(&refused));
    }
    daemon.signal("HUP");
    eventually("the log to tell of the problems", || {
        (site.log().matches("reload_problem").count() >= 2 && site.log().contains("reload_refused"))
            .then_some(())
    });
    for record in &records("UNDISTURBED", "5.10")[2..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    analyzer.end();
    let page = eventually("the metrics", || http_get(site.admin, "/metrics"));
    assert!(page.contains("labwire_reloads_total{outcome=\"refused\"} 2"), "{page}");
    assert!(daemon.is_ready() && !daemon.has_ended());

    std::fs::write(site.path("labwire.toml"), &good).unwrap();
    daemon.signal("HUP");
    eventually("the log to tell of the good one", || site.log().contains("event=\"reloaded\"").then_some(()));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_profile_that_no_longer_compiles_or_proves_itself_is_refused() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let path = site.path("drivers").join(PROFILE).with_extension("toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("value = \"R.4\"", "value = \"R,4\"")).unwrap();
    let refused = site.labwire(&["reload"]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).contains("counter.toml:"), "{}", said(&refused));

    let beside = path.parent().unwrap();
    std::fs::write(&path, format!("{good}\n[[check]]\ncapture = \"proof.cap\"\n")).unwrap();
    std::fs::write(beside.join("proof.cap"), "H|\\^&\rL|1|N\r").unwrap();
    std::fs::write(beside.join("proof.expected.json"), "{\"type\":\"result\"}\n").unwrap();
    let refused = site.labwire(&["reload"]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).contains("[[check]]"), "{}", said(&refused));
    Sender::connect(addresses[0]).send("ON", "5.10");
    site.await_lis_rows(1);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_cannot_change_is_named_and_nothing_else_changes_with_it() {
    let (site, _) = site_with(&["bench"]);
    let daemon = site.start();
    let ask = site.path("ask.toml");
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(&ask, &text).unwrap();
    let moved = text
        .replace("spool.db", "other.db")
        .replace(&site.admin.to_string(), &free_address().to_string())
        .replace("name = \"bench\"", "name = \"renamed\"");
    std::fs::write(site.path("labwire.toml"), moved).unwrap();
    let refused = labwire(&["reload", "--json", "--config", ask.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    for key in ["spool.path", "admin.listen"] {
        assert!(said(&refused).contains(&format!("`{key}` cannot change")), "{key}: {}", said(&refused));
    }
    assert!(said(&refused).contains("restart needed"));
    std::fs::write(site.path("labwire.toml"), text).unwrap();
    assert_eq!(line(&site, "bench")["state"], "listening");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn two_connections_change_places_and_each_ends_what_it_has_begun() {
    let lab = Changing::new(&["one", "two"]);
    let daemon = lab.site.start();
    let mut first = Sender::connect(lab.lines[0].1);
    let message = records("BEFORE", "5.10");
    first.frames(&message[..3]);
    let Changing { site, mut lines } = lab;
    let (a, b) = (lines[0].1, lines[1].1);
    (lines[0].1, lines[1].1) = (b, a);
    let lab = Changing { site, lines }.written();
    assert_eq!(reload(&lab.site), changes(&[("one", "reopened"), ("two", "reopened")]));
    for record in &message[3..] {
        assert_eq!(first.frame(record), ACK, "{record}");
    }
    first.end();
    first.await_close();
    Sender::connect(a).send("AFTER", "5.20");
    lab.site.await_lis_rows(2);
    let results = lab.site.json(&["results", "list"]);
    let of = |specimen: &str| results.iter().find(|line| line["specimen_id"] == specimen).unwrap();
    assert_eq!((&of("BEFORE")["connection"], &of("AFTER")["connection"]), (&"one".into(), &"two".into()));
    assert_eq!(daemon.stop(), Some(0));
    lab.site.assert_ledger_balances();
}

#[test]
fn an_address_that_is_taken_leaves_everything_as_it_was() {
    let mut lab = Changing::new(&["bench"]);
    let daemon = lab.site.start();
    let mut analyzer = Sender::connect(lab.lines[0].1);
    analyzer.frames(&records("UNDISTURBED", "5.10")[..2]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    lab.lines.insert(0, ("free", free_address()));
    lab.lines.push(("taken", taken.local_addr().unwrap()));
    let lab = lab.written();
    let refused = lab.site.labwire(&["reload"]);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).contains("connection `taken` cannot listen"), "{}", said(&refused));
    assert!(TcpStream::connect(lab.lines[0].1).is_err(), "what could have been bound is let go again");
    for record in &records("UNDISTURBED", "5.10")[2..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    assert_eq!(lab.site.json(&["connection", "list"]).len(), 1);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_connection_that_comes_back_takes_up_what_it_left() {
    let mut lab = Changing::new(&["other", "bench"]);
    let daemon = lab.site.start();
    let mut analyzer = Sender::connect(lab.lines[1].1);
    analyzer.frames(&records("TORN", "5.10")[..4]);
    drop(analyzer);
    eventually("the incomplete message", || (line(&lab.site, "bench")["incomplete"] == 1).then_some(()));
    let bench = lab.lines.pop().unwrap();
    let mut lab = lab.written();
    assert_eq!(reload(&lab.site), changes(&[("bench", "removed"), ("other", "kept")]));
    lab.lines.push(bench);
    let lab = lab.written();
    assert_eq!(reload(&lab.site), changes(&[("other", "kept"), ("bench", "added")]));
    Sender::connect(lab.lines[1].1).send("TORN", "5.10");
    lab.site.await_lis_rows(1);
    assert_eq!(line(&lab.site, "bench")["incomplete"], 0, "its whole repetition settles it");
    assert_eq!(daemon.stop(), Some(0));
    lab.site.assert_ledger_balances();
}

#[test]
fn a_reload_while_another_one_runs_is_busy() {
    let (site, _) = site_with(&["bench"]);
    let daemon = site.start();
    let (config, ask) = (site.config(), site.path("ask.toml"));
    std::fs::copy(&config, &ask).unwrap();
    // A configuration that cannot be read to its end keeps the first one waiting.
    std::fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    daemon.signal("HUP");
    let pipe = eventually("the first one to read", || {
        let asked = Command::new(env!("CARGO_BIN_EXE_labwire"))
            .args(["connection", "list", "--config"])
            .arg(&ask)
            .output()
            .unwrap();
        assert!(asked.status.success(), "a reload keeps nobody else waiting: {}", said(&asked));
        // Without a reader behind it the pipe cannot be opened so.
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::open(&config, flags, rustix::fs::Mode::empty()).ok()
    });
    let busy = labwire(&["reload", "--config", ask.to_str().unwrap()]);
    assert_eq!(busy.status.code(), Some(75), "{}", said(&busy));
    drop(pipe);
    eventually("the first one to end", || site.log().contains("reload_refused").then_some(()));
    std::fs::remove_file(&config).unwrap();
    std::fs::copy(&ask, &config).unwrap();
    assert_eq!(reload(&site), changes(&[("bench", "kept")]));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_reload_without_a_daemon_is_unavailable() {
    let (site, _) = site_with(&["bench"]);
    for command in [["reload"].as_slice(), &["connection", "list"], &["connection", "pause", "bench"]] {
        let refused = site.labwire(command);
        assert_eq!(refused.status.code(), Some(69), "{command:?}: {}", said(&refused));
    }
}

#[test]
fn a_paused_line_ends_its_message_and_answers_later_to_bids_until_it_is_resumed() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    let message = records("UNDER-WAY", "5.10");
    analyzer.frames(&message[..3]);
    let paused = site.json(&["connection", "pause", "bench"]);
    assert_eq!((&paused[0]["state"], &paused[0]["paused"]), (&"paused".into(), &true.into()));
    for record in &message[3..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    analyzer.end();
    assert_eq!(analyzer.bid(), NAK, "a bid on a paused line");
    change_profile(&site, "LEU");
    assert_eq!(reload(&site), changes(&[("bench", "renewed")]));
    assert_eq!(analyzer.bid(), NAK, "a pause outlives a reload");
    assert_eq!(Sender::connect(addresses[0]).bid(), NAK, "on a second transport as well");
    let page = eventually("the metrics", || http_get(site.admin, "/metrics"));
    assert!(page.contains("labwire_connection_paused{connection=\"bench\"} 1"), "{page}");
    site.json(&["connection", "resume", "bench"]);
    analyzer.send("RESUMED", "5.20");
    site.await_lis_rows(2);
    site.json(&["connection", "pause", "bench"]);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = site.start();
    assert_eq!(line(&site, "bench")["paused"], false, "a pause does not outlive the daemon");
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}

#[test]
fn a_paused_line_without_bids_is_closed_until_it_is_resumed() {
    let mut site = Site::new();
    let address = site.listen("blocks", "generic/hl7");
    let daemon = site.start();
    let closes = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        matches!(stream.read(&mut [0]), Ok(0) | Err(_))
    };
    let open = TcpStream::connect(address).unwrap();
    eventually("the transport", || (line(&site, "blocks")["open"] == 1).then_some(()));
    site.json(&["connection", "pause", "blocks"]);
    assert!(closes(open), "what is open is closed when nothing is under way");
    assert!(closes(TcpStream::connect(address).unwrap()), "who dials in is closed at once");
    site.json(&["connection", "resume", "blocks"]);
    let _again = TcpStream::connect(address).unwrap();
    eventually("the transport", || (line(&site, "blocks")["open"] == 1).then_some(()));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_line_that_is_restarted_ends_its_message_and_is_opened_anew() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    let message = records("UNDER-WAY", "5.10");
    analyzer.frames(&message[..3]);
    site.json(&["connection", "restart", "bench"]);
    for record in &message[3..] {
        assert_eq!(analyzer.frame(record), ACK, "{record}");
    }
    analyzer.end();
    analyzer.await_close();
    Sender::connect(addresses[0]).send("ANEW", "5.20");
    site.await_lis_rows(2);
    let unknown = site.labwire(&["connection", "restart", "bensch"]);
    assert_eq!(unknown.status.code(), Some(64), "{}", said(&unknown));
    assert!(said(&unknown).contains("did you mean `bench`?"), "{}", said(&unknown));
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_line_that_dials_is_dialled_at_once_when_it_is_restarted() {
    let mut site = Site::new();
    add_profile(&mut site);
    let analyzer = free_address();
    site.connection("out", PROFILE, &format!("tcp.connect = \"{analyzer}\""));
    let daemon = site.start();
    let failing = eventually("the line to back off", || {
        Some(line(&site, "out")).filter(|line| line["failure"]["attempt"].as_u64() >= Some(3))
    });
    assert_eq!(failing["state"], "backing-off", "{failing}");
    let listener = TcpListener::bind(analyzer).unwrap();
    site.json(&["connection", "restart", "out"]);
    let (_stream, _) = listener.accept().unwrap();
    let open = eventually("the line to be open", || {
        Some(line(&site, "out")).filter(|line| line["state"] == "connected")
    });
    assert_eq!(open["transports"][0]["peer"], analyzer.to_string(), "{open}");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn the_list_of_lines_shows_who_is_there_and_what_was_odd() {
    let (site, addresses) = site_with(&["bench"]);
    let daemon = site.start();
    let mut analyzer = Sender::connect(addresses[0]);
    assert_eq!(analyzer.bid(), ACK);
    analyzer.write(b"\x021H|\\^&\r\x0300\r\n");
    assert_eq!(analyzer.reply(), NAK, "a wrong checksum");
    let shown = line(&site, "bench");
    assert_eq!((&shown["state"], &shown["open_sessions"]), (&"connected".into(), &1.into()), "{shown}");
    assert_eq!(shown["faults"], serde_json::json!({ "checksum-mismatch": 1 }), "{shown}");
    assert!(shown["last_byte_at"].is_string() && shown["transports"][0]["since"].is_string(), "{shown}");
    let text = said(&site.labwire(&["connection", "list", "bench"]));
    assert!(text.contains("connected") && text.contains("faults: checksum-mismatch 1"), "{text}");
    assert_eq!(daemon.stop(), Some(0));
}
