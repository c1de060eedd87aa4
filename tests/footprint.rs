//! What a daemon with nothing to do costs: memory and processor time with eight connections, open all
//! of them as in a laboratory at night. How fast it starts is told, not judged: that is the machine's
//! wall clock.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use labwire_transport::PseudoTerminal;
use support::{Site, eventually, free_address, http_get};

const RESIDENT_KIB_MAX: u64 = 20 * 1024;
/// What is not pages of the binary itself. The code of an unoptimised build is three times as large as
/// that of the one that is installed, so of such a build this part alone is judged.
const PRIVATE_KIB_MAX: u64 = 8 * 1024;
/// Of one core.
const CPU_SHARE_MAX: f64 = 0.01;
/// Long enough that one tick of the kernel's clock more or less decides nothing.
const OBSERVED: Duration = Duration::from_secs(6);

/// The lines of the example of a whole laboratory, on this machine's ports and pseudo-terminals.
struct Laboratory {
    site: Site,
    analyzers: Vec<SocketAddr>,
    /// Where the daemon dials to.
    box_behind: TcpListener,
    terminals: Vec<PseudoTerminal>,
}

fn laboratory() -> Laboratory {
    let mut site = Site::new();
    let box_behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut analyzers, mut terminals) = (Vec::new(), Vec::new());
    let example = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/eight-connections.toml");
    let example = std::fs::read_to_string(example).unwrap();
    // What comes before is the site's own places.
    let (_, tables) = example.split_once("[capture]").unwrap();
    let mut adapted = String::from("[capture]\n");
    for line in tables.lines() {
        let line = if line.starts_with("tcp.listen") {
            let address = free_address();
            analyzers.push(address);
            format!("tcp.listen = \"{address}\"")
        } else if line.starts_with("tcp.connect") {
            format!("tcp.connect = \"{}\"", box_behind.local_addr().unwrap())
        } else if line.starts_with("allow") {
            "allow = [\"127.0.0.1\"]".to_owned()
        } else if let Some((_, rest)) = line.split_once("device = \"") {
            let terminal = PseudoTerminal::open().unwrap();
            let device = terminal.path().display().to_string();
            terminals.push(terminal);
            // A pseudo-terminal has no parity, and the daemon does not pretend that it has.
            let settings =
                rest.split_once('"').unwrap().1.replace("parity = \"even\", data_bits = 7", "baud = 9600");
            format!("serial = {{ device = \"{device}\"{settings}")
        } else {
            line.replace("/var/lib/labwire", site.path("").to_str().unwrap().trim_end_matches('/'))
        };
        adapted.push_str(&line);
        adapted.push('\n');
    }
    site.extra(&adapted);
    Laboratory { site, analyzers, box_behind, terminals }
}

/// The binary under test, or the release build that the environment names, and whether it is optimised.
fn measured() -> (PathBuf, bool) {
    match std::env::var_os("LABWIRE_RELEASE_BINARY") {
        Some(path) => (path.into(), true),
        None => (env!("CARGO_BIN_EXE_labwire").into(), !cfg!(debug_assertions)),
    }
}

fn proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

fn kib(pid: u32, what: &str) -> u64 {
    let status = proc(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processor time of all threads, in the kernel's ticks; proc_pid_stat(5), fields 14 and 15.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = proc(pid, "stat");
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn an_idle_daemon_with_eight_open_connections_costs_next_to_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let laboratory = laboratory();
    let site = &laboratory.site;
    assert_eq!(laboratory.analyzers.len() + laboratory.terminals.len() + 1, 8, "connections of the example");

    let started = Instant::now();
    let (binary, is_optimised) = measured();
    let daemon = site.start_with(&binary, &[]);
    let ready = started.elapsed();
    let _analyzers: Vec<TcpStream> =
        laboratory.analyzers.iter().map(|address| TcpStream::connect(address).unwrap()).collect();
    let _dialled = laboratory.box_behind.accept().unwrap();
    eventually("all eight connections to be open", || {
        let metrics = http_get(site.admin, "/metrics")?;
        let up =
            metrics.lines().filter(|line| line.starts_with("labwire_connection_up{") && line.ends_with(" 1"));
        (up.count() == 8).then_some(())
    });

    let pid = daemon.pid();
    let (from, ticks) = (Instant::now(), cpu_ticks(pid));
    std::thread::sleep(OBSERVED);
    let (elapsed, ticks) = (from.elapsed(), cpu_ticks(pid) - ticks);
    let (resident, private) = (kib(pid, "VmRSS"), kib(pid, "RssAnon"));
    #[expect(clippy::cast_precision_loss, reason = "a few ticks")]
    let share = ticks as f64 / rustix::param::clock_ticks_per_second() as f64 / elapsed.as_secs_f64();
    println!(
        "ready {} ms after it was started, {resident} KiB resident, {private} of them private, {:.2} % of a core",
        ready.as_millis(),
        share * 100.0
    );
    assert!(private < PRIVATE_KIB_MAX, "{private} KiB of private memory are not below {PRIVATE_KIB_MAX}");
    assert!(
        resident < RESIDENT_KIB_MAX || !is_optimised,
        "{resident} KiB resident are not below {RESIDENT_KIB_MAX}"
    );
    assert!(share < CPU_SHARE_MAX, "{ticks} ticks in {elapsed:?}");
    assert_eq!(daemon.stop(), Some(0));
}
