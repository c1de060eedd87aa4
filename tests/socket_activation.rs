//! Sockets that the service manager binds and hands over, as systemd does it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test says what it waited for")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use sender::{Sender, site_with};
use support::{Site, eventually};

/// A daemon that is handed two sockets; it ends with the test.
struct Activated(Child);

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn activate(site: &Site, names: &str, sockets: [TcpListener; 2]) -> Activated {
    let [first, second] = sockets.map(|socket| Stdio::from(OwnedFd::from(socket)));
    let log = std::fs::File::create(site.path("log")).unwrap();
    // The descriptors arrive as standard input and output; LISTEN_PID must be the daemon's own.
    let script = "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_labwire"), "run", "--config"])
        .arg(site.config())
        .env("LISTEN_FDNAMES", names)
        .stdin(first)
        .stdout(second)
        .stderr(log)
        .spawn()
        .unwrap();
    Activated(child)
}

/// What is said about sockets that do not fit the site, and the exit code.
fn refused(site: &Site, names: &str, sockets: [TcpListener; 2]) -> (String, Option<i32>) {
    let mut daemon = activate(site, names, sockets);
    let ended = eventually("the daemon to end", || daemon.0.try_wait().unwrap());
    (site.log(), ended.code())
}

#[test]
fn sockets_serve_the_connections_of_their_names_and_the_others_bind_their_own() {
    let (site, addresses) = site_with(&["first", "second", "third"]);
    let handed = [addresses[2], addresses[0]].map(|address| TcpListener::bind(address).unwrap());
    // An analyzer that dials before the daemon is there waits in the kernel's queue.
    let mut early = Sender::connect(addresses[2]);
    let mut daemon = activate(&site, "third:first", handed);
    early.send("EARLY", "5.10");
    Sender::connect(addresses[0]).send("FIRST", "5.20");
    Sender::connect(addresses[1]).send("SECOND", "5.30");
    Sender::connect(addresses[1]).send("SECOND-AGAIN", "5.40");
    site.await_lis_rows(4);
    let messages: Vec<(String, u64)> = site
        .json(&["status"])
        .iter()
        .filter(|line| line["type"] == "connection")
        .map(|line| (line["connection"].as_str().unwrap().to_owned(), line["messages"].as_u64().unwrap()))
        .collect();
    assert_eq!(messages, [("first".to_owned(), 1), ("second".to_owned(), 2), ("third".to_owned(), 1)]);
    assert!(Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap().success());
    let ended = eventually("the daemon to end", || daemon.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0), "{}", site.log());
}

#[test]
fn sockets_that_nobody_would_serve_are_all_named_and_refused() {
    let (site, addresses) = site_with(&["first"]);
    let handed = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (said, code) = refused(&site, "fist:first", [handed(), handed()]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("handed over for \"fist\", and no connection of that name"), "{said}");
    assert!(said.contains("handed over for \"first\" is bound to 127.0.0.1:"), "{said}");
    assert!(said.contains(&format!("`tcp.listen` is {}", addresses[0])), "{said}");
}

#[test]
fn a_socket_without_a_name_and_two_for_one_connection_are_refused() {
    let (site, addresses) = site_with(&["first"]);
    let handed = TcpListener::bind(addresses[0]).unwrap();
    let again = handed.try_clone().unwrap();
    let (said, code) = refused(&site, "first:first", [handed, again]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("two sockets are handed over for \"first\""), "{said}");

    let handed = TcpListener::bind(addresses[0]).unwrap();
    let again = handed.try_clone().unwrap();
    let (said, code) = refused(&site, "first", [handed, again]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("handed over for \"\", and no connection"), "{said}");
}
