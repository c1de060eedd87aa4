//! What the tests that run the real binary share: a site in a temporary directory, the daemon as a
//! process, and looking into the LIS database.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that must come before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is there. Fails the test with `what` after [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first port of those that this process gives out. Processes begin apart; all of them stay below the
/// ports that the system gives to callers, so that none is taken while a daemon is down.
static PORT: AtomicU32 = AtomicU32::new(0);
const PORT_FIRST: u32 = 10_000;
const PORTS: u32 = 22_000;

/// An address on the loopback that nobody listens on, and that no other test of this process gets.
pub(crate) fn free_address() -> SocketAddr {
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let number = begin.wrapping_add(PORT.fetch_add(1, Ordering::Relaxed)) % PORTS + PORT_FIRST;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(number).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A site of its own: directory, configuration, stores.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    pub(crate) admin: SocketAddr,
    connections: String,
    extra: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            admin: free_address(),
            connections: String::new(),
            extra: String::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn lis(&self) -> PathBuf {
        self.path("lis.db")
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.path("spool.db")
    }

    /// A connection that listens; gives its address.
    pub(crate) fn listen(&mut self, name: &str, driver: &str) -> SocketAddr {
        let address = free_address();
        self.connection(name, driver, &format!("tcp.listen = \"{address}\""));
        address
    }

    pub(crate) fn connection(&mut self, name: &str, driver: &str, endpoint: &str) {
        self.connections
            .push_str(&format!("\n[[connection]]\nname = \"{name}\"\ndriver = \"{driver}\"\n{endpoint}\n"));
    }

    /// Forgets connections and further lines, to be written anew.
    pub(crate) fn clear(&mut self) {
        self.connections.clear();
        self.extra.clear();
    }

    /// Further lines of the configuration, before the connections.
    pub(crate) fn extra(&mut self, lines: &str) {
        self.extra.push_str(lines);
    }

    pub(crate) fn config(&self) -> PathBuf {
        let path = self.path("labwire.toml");
        let text = format!(
            "[site]\ntenant = \"test-lab\"\ntime_zone = \"UTC\"\n\n[spool]\npath = \"{}\"\n\n[lis]\nurl = \"sqlite://{}\"\n\n\
             [admin]\nlisten = \"{}\"\n\n[control]\nsocket = \"{}\"\n\n{}\n{}",
            self.spool().display(),
            self.lis().display(),
            self.admin,
            self.path("control.sock").display(),
            self.extra,
            self.connections,
        );
        // Commands of other threads read it: it is there whole or not at all.
        if std::fs::read_to_string(&path).is_ok_and(|written| written == text) {
            return path;
        }
        let mut file = tempfile::NamedTempFile::new_in(self.directory.path()).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        file.persist(&path).unwrap();
        path
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        self.start_with(Path::new(env!("CARGO_BIN_EXE_labwire")), &[])
    }

    /// Starts a given binary with further environment, without waiting.
    pub(crate) fn spawn(&self, binary: &Path, environment: &[(&str, String)]) -> Daemon {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let child = Command::new(binary)
            .args(["run", "--config"])
            .arg(self.config())
            .envs(environment.iter().map(|(key, value)| (*key, value.clone())))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, admin: self.admin }
    }

    pub(crate) fn start_with(&self, binary: &Path, environment: &[(&str, String)]) -> Daemon {
        let mut daemon = self.spawn(binary, environment);
        eventually("the daemon to be ready", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}; its log:\n{}", self.log());
            }
            daemon.is_ready().then_some(())
        });
        daemon
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs a command of the binary with this site's configuration.
    pub(crate) fn labwire(&self, arguments: &[&str]) -> Output {
        labwire(&[arguments, &["--config", self.config().to_str().unwrap()]].concat())
    }

    /// Lines of a command's JSON output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.labwire(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How often each (specimen, test, value as sent) is in the LIS database.
    pub(crate) fn lis_rows(&self) -> BTreeMap<(String, String, String), u64> {
        self.lis_rows_with("value")
    }

    /// The same with the part of the field that the profile names in place of the whole field.
    pub(crate) fn lis_texts(&self) -> BTreeMap<(String, String, String), u64> {
        self.lis_rows_with("text")
    }

    fn lis_rows_with(&self, column: &str) -> BTreeMap<(String, String, String), u64> {
        let Ok(lis) = rusqlite::Connection::open_with_flags(
            self.lis(),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
        ) else {
            return BTreeMap::new();
        };
        let Ok(mut query) = lis.prepare(&format!(
            "select coalesce(specimen_id, ''), coalesce(analyzer_test, ''), coalesce({column}, ''), count(*) from result group by 1, 2, 3",
        )) else {
            return BTreeMap::new();
        };
        let rows =
            query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get::<_, i64>(3)?)));
        rows.unwrap().map(Result::unwrap).map(|(key, count)| (key, u64::try_from(count).unwrap())).collect()
    }

    /// Waits until the LIS database has so many result rows.
    pub(crate) fn await_lis_rows(&self, rows: u64) {
        eventually(&format!("{rows} rows in the LIS database"), || {
            let found: u64 = self.lis_rows().values().sum();
            (found >= rows).then_some(())
        });
    }

    pub(crate) fn assert_ledger_balances(&self) {
        let output = self.labwire(&["ledger", "--check"]);
        assert!(
            output.status.success(),
            "ledger: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Runs the binary.
pub(crate) fn labwire(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labwire")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// The daemon as a process; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    admin: SocketAddr,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether `/ready` says so.
    pub(crate) fn is_ready(&self) -> bool {
        http_get(self.admin, "/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// SIGKILL, and wait.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit code after the drain.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        eventually("the daemon to end after SIGTERM", || self.child.try_wait().unwrap()).code()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP GET; the whole answer.
pub(crate) fn http_get(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::Write as _;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}
