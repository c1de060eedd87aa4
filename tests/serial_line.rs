//! A serial line through the daemon: the adapter is pulled out in the middle of a message and plugged in again.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]
#![expect(clippy::expect_used, reason = "a test says what it waited for")]

#[path = "support/sender.rs"]
mod sender;
mod support;

use std::os::unix::fs::symlink;
use std::path::Path;

use labwire_link::{UnitEnd, write_frame};
use labwire_transport::PseudoTerminal;
use sender::{ACK, ENQ, EOT, PROFILE, add_profile, records};
use support::{PATIENCE, Site, eventually, http_get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// An adapter with an analyzer at its far end.
struct Adapter<'a> {
    runtime: &'a Runtime,
    terminal: PseudoTerminal,
}

impl<'a> Adapter<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        Self { runtime, terminal: runtime.block_on(async { PseudoTerminal::open() }).unwrap() }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.runtime.block_on(self.terminal.write_all(bytes)).unwrap();
    }

    fn is_acknowledged(&mut self, bytes: &[u8]) {
        self.send(bytes);
        let mut reply = [0];
        let read = async { tokio::time::timeout(PATIENCE, self.terminal.read_exact(&mut reply)).await };
        self.runtime.block_on(read).unwrap().unwrap();
        assert_eq!(reply[0], ACK, "to {}", bytes.escape_ascii());
    }

    /// A bid and so many frames of a message.
    fn send_frames(&mut self, records: &[String]) {
        self.is_acknowledged(&[ENQ]);
        for (number, record) in (1..).zip(records) {
            let mut frame = Vec::new();
            write_frame(&mut frame, number % 8, format!("{record}\r").as_bytes(), UnitEnd::End);
            self.is_acknowledged(&frame);
        }
    }

    fn send_message(&mut self, specimen_id: &str, value: &str) {
        self.send_frames(&records(specimen_id, value));
        self.send(&[EOT]);
    }

    fn plug_in(&self, by_id: &Path) {
        symlink(self.terminal.path(), by_id).unwrap();
    }

    fn pull_out(self, by_id: &Path) {
        std::fs::remove_file(by_id).unwrap();
    }
}

fn await_metric(site: &Site, name: &str, value: &str) {
    let line = format!("{name}{{connection=\"counter\"}} {value}");
    eventually(&line, || http_get(site.admin, "/metrics")?.lines().any(|one| one == line).then_some(()));
}

#[test]
fn a_pulled_adapter_is_seen_and_found_again_under_another_number_with_nothing_lost() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut site = Site::new();
    add_profile(&mut site);
    let by_id = site.path("usb-adapter-if00-port0");
    site.connection("counter", PROFILE, &format!("serial = {{ device = \"{}\" }}", by_id.display()));
    let mut adapter = Adapter::new(&runtime);
    // Both are there at once, so that the second cannot have the first one's number.
    let mut replugged = Adapter::new(&runtime);
    assert_ne!(adapter.terminal.path(), replugged.terminal.path());

    adapter.plug_in(&by_id);
    let daemon = site.start();
    adapter.send_message("BEFORE", "5.10");
    adapter.send_frames(&records("CUT", "5.20")[..4]);
    await_metric(&site, "labwire_connection_opened_total", "1");
    adapter.pull_out(&by_id);
    await_metric(&site, "labwire_connection_up", "0");
    eventually("the log to tell of the absent adapter", || {
        site.log().contains("is the adapter plugged in?").then_some(())
    });
    assert!(daemon.is_ready(), "one analyzer that is away does not make the daemon unready");

    replugged.plug_in(&by_id);
    await_metric(&site, "labwire_connection_up", "1");
    await_metric(&site, "labwire_connection_opened_total", "2");
    replugged.send_message("CUT", "5.20");
    replugged.send_message("AFTER", "5.30");
    site.await_lis_rows(3);
    let rows: Vec<(String, u64)> =
        site.lis_rows().into_iter().map(|((specimen_id, ..), count)| (specimen_id, count)).collect();
    assert_eq!(rows, [("AFTER".to_owned(), 1), ("BEFORE".to_owned(), 1), ("CUT".to_owned(), 1)]);
    assert_eq!(daemon.stop(), Some(0));
    site.assert_ledger_balances();
}
