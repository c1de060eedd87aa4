//! What the control socket writes into the log: who asked for what, and nothing a caller could slip in.
//!
//! The one test of this file owns the process's subscriber.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use labwire_admin::control::{Client, ControlLimits, Handler, Lines, Peer, Refusal, Request, Server};
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

struct Knows;

impl Handler for Knows {
    async fn handle(&self, request: Request, _: Peer, _: Lines) -> Result<(), Refusal> {
        match request.command.as_str() {
            "ledger" => Ok(()),
            other => Err(Refusal::unknown_command(other)),
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn the_log_names_caller_command_and_outcome_but_no_argument_and_no_foreign_word() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let directory = TempDir::new().unwrap();
    let path = directory.path().join("control.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = {
        let _inside = runtime.enter();
        Server::bind(&path, ControlLimits::default()).unwrap()
    };
    runtime.spawn(server.serve(Arc::new(Knows), std::future::pending()));

    let mut client = Client::connect(&path, Duration::from_secs(20)).unwrap();
    client.collect(&Request::new("ledger").with("patient", "Argument^Secret")).unwrap();
    client.collect(&Request::new("show Surname^Forename")).unwrap_err();

    let text = log.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let uid = format!("uid={}", rustix::process::getuid().as_raw());
    let pid = format!("pid={}", std::process::id());
    for line in &lines {
        assert!(line.contains(&uid) && line.contains(&pid), "{line}");
    }
    assert!(lines[0].contains(r#"command="ledger" outcome="ok""#), "{text}");
    assert!(lines[1].contains(r#"command="(malformed)" outcome="unknown-command""#), "{text}");
    assert!(!text.contains("Secret") && !text.contains("Surname"), "{text}");
}
