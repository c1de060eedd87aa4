//! The control socket between two real ends: the blocking client or a hand-written one, and the server.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use labwire_admin::Limit;
use labwire_admin::control::{
    Client, ClientError, ControlLimits, Handler, Lines, Peer, Refusal, Request, Server,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);

/// Commands with every kind of end.
#[derive(Default)]
struct Commands {
    waiting: AtomicBool,
    waiting_dropped: Arc<AtomicBool>,
    reached: Mutex<Vec<Limit>>,
}

struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Handler for Commands {
    async fn handle(&self, request: Request, peer: Peer, lines: Lines) -> Result<(), Refusal> {
        match request.command.as_str() {
            "status" => Ok(()),
            "whoami" => lines.send(json!({ "type": "peer", "pid": peer.pid, "uid": peer.uid })).await,
            "count" => {
                let to = request.arguments.get("to").and_then(Value::as_u64);
                let to = to.ok_or_else(|| Refusal::bad_request("`count` needs `to`"))?;
                for number in 1..=to {
                    lines.send(json!({ "type": "number", "number": number })).await?;
                }
                Ok(())
            }
            "broken-off" => {
                lines.send(json!({ "type": "number", "number": 1 })).await?;
                Err(Refusal::new("unavailable", "the spool is closed"))
            }
            "ambiguous" => lines.send(json!({ "end": true })).await,
            "wait" => {
                let _dropped = Flag(Arc::clone(&self.waiting_dropped));
                // The socket stays with the handler: only its own end or the client's ends the command.
                let _lines = lines;
                self.waiting.store(true, Ordering::SeqCst);
                std::future::pending().await
            }
            "huge" => lines.send(json!({ "type": "text", "text": "x".repeat(2 << 20) })).await,
            other => Err(Refusal::unknown_command(other)),
        }
    }

    fn limit_reached(&self, limit: Limit) {
        self.reached.lock().unwrap().push(limit);
    }
}

struct Daemon {
    directory: TempDir,
    commands: Arc<Commands>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Runtime,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Daemon {
    fn start(limits: ControlLimits) -> Self {
        let directory = TempDir::new().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let commands = Arc::new(Commands::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let server = {
            let _inside = runtime.enter();
            Server::bind(&directory.path().join("control.sock"), limits).unwrap()
        };
        let task = runtime.spawn(server.serve(Arc::clone(&commands), async {
            drop(stopped.await);
        }));
        Self { directory, commands, stop: Some(stop), runtime, task: Some(task) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket(), PATIENCE).unwrap()
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    #[track_caller]
    fn assert_counted(&self, limit: Limit) {
        until(limit.name(), || self.commands.reached.lock().unwrap().contains(&limit));
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.runtime.block_on(self.task.take().unwrap()).unwrap();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

fn everything(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn one_connection_carries_many_commands_and_every_line_of_their_answers() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.client();
    assert_eq!(client.collect(&Request::new("status")).unwrap(), Vec::<Value>::new());
    let numbers = client.collect(&Request::new("count").with("to", 1000)).unwrap();
    assert_eq!(numbers.len(), 1000);
    assert_eq!(numbers[999], json!({ "type": "number", "number": 1000 }));
    assert_eq!(client.collect(&Request::new("status")).unwrap(), Vec::<Value>::new());
}

#[test]
fn the_handler_learns_who_asks_from_the_kernel() {
    let daemon = Daemon::start(ControlLimits::default());
    let answer = daemon.client().collect(&Request::new("whoami")).unwrap();
    assert_eq!(answer[0]["pid"], json!(std::process::id()));
    assert_eq!(answer[0]["uid"], json!(rustix::process::getuid().as_raw()));
}

#[test]
fn an_unknown_command_is_refused_by_code_and_the_connection_goes_on() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.client();
    let error = client.collect(&Request::new("frobnicate")).unwrap_err();
    let ClientError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!(refusal, Refusal::new("unknown-command", "no command `frobnicate`"));
    assert_eq!(client.collect(&Request::new("status")).unwrap(), Vec::<Value>::new());
}

#[test]
fn an_answer_that_breaks_off_gives_its_lines_and_then_the_reason() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.client();
    let mut answer = client.call(&Request::new("broken-off")).unwrap();
    assert_eq!(answer.next().unwrap().unwrap()["number"], json!(1));
    let error = answer.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the spool is closed");
    assert!(answer.next().is_none());
}

#[test]
fn bad_arguments_and_lines_that_could_be_an_end_are_refused() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.client();
    assert_eq!(client.collect(&Request::new("count")).unwrap_err().to_string(), "`count` needs `to`");
    let error = client.collect(&Request::new("ambiguous")).unwrap_err();
    assert!(error.to_string().contains("could be taken for its end"), "{error}");
}

#[test]
fn a_line_that_is_no_request_is_refused_without_quoting_it() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut stream = daemon.raw();
    stream.write_all(b"SURNAME^FORENAME\n{\"command\":\"status\"}\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = everything(stream);
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with(r#"{"error":{"code":"bad-request","message":"#), "{answer}");
    assert!(!answer.contains("SURNAME"), "{answer}");
    assert_eq!(lines[1], r#"{"end":true}"#, "the good request after the bad one was not answered");
}

#[test]
fn a_request_over_the_limit_is_refused_and_the_connection_closed() {
    let daemon = Daemon::start(ControlLimits { request_bytes_max: 1024, ..ControlLimits::default() });
    let mut stream = daemon.raw();
    stream.write_all(&[b'x'; 1024]).unwrap();
    let answer = everything(stream);
    assert!(answer.starts_with(r#"{"error":{"code":"too-long""#), "{answer}");
    assert_eq!(answer.lines().count(), 1);
    daemon.assert_counted(Limit::ControlRequestBytes);
    assert_eq!(daemon.client().collect(&Request::new("status")).unwrap(), Vec::<Value>::new());
}

#[test]
fn a_request_at_the_limit_is_taken() {
    let request = "{\"command\":\"status\"}\n";
    let daemon =
        Daemon::start(ControlLimits { request_bytes_max: request.len(), ..ControlLimits::default() });
    let mut stream = daemon.raw();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(everything(stream), "{\"end\":true}\n");
}

#[test]
fn a_line_too_long_for_a_client_becomes_an_error() {
    let daemon = Daemon::start(ControlLimits::default());
    let error = daemon.client().collect(&Request::new("huge")).unwrap_err();
    assert!(matches!(&error, ClientError::Refused(refusal) if refusal.code == "too-long"), "{error}");
    daemon.assert_counted(Limit::ControlLineBytes);
}

#[test]
fn a_silent_client_loses_its_connection() {
    let idle_timeout = Duration::from_millis(200);
    let daemon = Daemon::start(ControlLimits { idle_timeout, ..ControlLimits::default() });
    let mut stream = daemon.raw();
    let begun = Instant::now();
    stream.write_all(b"{\"command\":").unwrap();
    assert_eq!(everything(stream), "");
    assert!(begun.elapsed() >= idle_timeout, "{:?}", begun.elapsed());
    daemon.assert_counted(Limit::ControlIdleTime);
}

#[test]
fn a_client_that_does_not_read_loses_its_connection() {
    let limits = ControlLimits {
        clients_max: 1,
        write_timeout: Duration::from_millis(200),
        ..ControlLimits::default()
    };
    let daemon = Daemon::start(limits);
    let mut deaf = daemon.raw();
    deaf.write_all(b"{\"command\":\"count\",\"arguments\":{\"to\":100000000}}\n").unwrap();
    until("the place is free again", || daemon.client().collect(&Request::new("status")).is_ok());
    daemon.assert_counted(Limit::ControlWriteTime);
}

#[test]
fn clients_over_the_limit_are_told_so() {
    let daemon = Daemon::start(ControlLimits { clients_max: 1, ..ControlLimits::default() });
    let mut first = daemon.client();
    first.collect(&Request::new("status")).unwrap();
    // The refusal may come, and the connection go, before the request is written; whichever it is, it is seen.
    let mut turned_away = daemon.raw();
    let mut answer = String::new();
    turned_away.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with(r#"{"error":{"code":"busy""#), "{answer}");
    daemon.assert_counted(Limit::ControlClients);
    drop(first);
    until("the place is free again", || daemon.client().collect(&Request::new("status")).is_ok());
}

#[test]
fn a_command_ends_with_its_client() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.raw();
    client.write_all(b"{\"command\":\"wait\"}\n").unwrap();
    until("the command runs", || daemon.commands.waiting.load(Ordering::SeqCst));
    drop(client);
    until("the command is dropped", || daemon.commands.waiting_dropped.load(Ordering::SeqCst));
}

#[test]
fn a_client_that_only_reads_is_answered_and_missed_when_it_goes() {
    let daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.raw();
    client.write_all(b"{\"command\":\"wait\"}\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    until("the command runs", || daemon.commands.waiting.load(Ordering::SeqCst));
    assert!(!daemon.commands.waiting_dropped.load(Ordering::SeqCst));
    drop(client);
    until("the command is dropped", || daemon.commands.waiting_dropped.load(Ordering::SeqCst));
}

#[test]
fn shutdown_drops_what_is_under_way_and_removes_the_file() {
    let mut daemon = Daemon::start(ControlLimits::default());
    let mut client = daemon.raw();
    client.write_all(b"{\"command\":\"wait\"}\n").unwrap();
    until("the command runs", || daemon.commands.waiting.load(Ordering::SeqCst));
    daemon.stop();
    assert!(daemon.commands.waiting_dropped.load(Ordering::SeqCst));
    assert!(!daemon.socket().exists());
    let error = Client::connect(&daemon.socket(), PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
}

#[test]
fn the_socket_is_open_to_owner_and_group_only() {
    let daemon = Daemon::start(ControlLimits::default());
    let mode = std::fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "{mode:o}");
}

#[test]
fn a_dead_daemons_socket_is_replaced_a_living_ones_and_a_file_are_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("control.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let bind = || Server::bind(&path, ControlLimits::default());

    // std leaves the file behind, as a killed daemon does.
    drop(UnixListener::bind(&path).unwrap());
    let living = bind().unwrap();
    let refused = bind().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse, "{refused}");
    drop(living);

    std::fs::write(&path, "a letter").unwrap();
    let refused = bind().unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse, "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
}

#[test]
fn a_successors_socket_outlives_its_predecessor() {
    let mut daemon = Daemon::start(ControlLimits::default());
    std::fs::remove_file(daemon.socket()).unwrap();
    let _successor = UnixListener::bind(daemon.socket()).unwrap();
    daemon.stop();
    assert!(daemon.socket().exists());
}
