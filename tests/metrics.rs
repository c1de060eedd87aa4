//! What `/metrics`, `/live` and `/ready` say, judged by Prometheus and its own linter, and whether
//! `docs/metrics.md` tells of every number in them.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use labwire_engine::metric::{METRICS, Metric, PROCESS_METRICS, reference_markdown};
use labwire_link::{UnitEnd, write_frame};
use labwire_testkit::certificates::Issued;
use support::{Daemon, Site, eventually, free_address, http_get};
use traffic::{ACK, BLOCKS, ENQ, EOT, FRAMES, Line, NAK, damaged, frame, with_profiles};

const MARK: &str = "<!-- Everything below is made from the table of metrics: UPDATE_GOLDEN=1 cargo test --test metrics -->\n";

const HEADER: &str = "H|\\^&|||A||||||||LIS2-A2|20260302081400";
const ORDER: &str = "O|1|S7";
const GLUCOSE: &str = "R|1|^^^GLU|5.4|mmol/L||N||F||||20260302081407";
const TERMINATOR: &str = "L|1|N";
/// Longest message and longest block.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
const MESSAGE: [&str; 5] = [HEADER, "P|1", ORDER, GLUCOSE, TERMINATOR];

/// Past libtest's capture, so that whoever sums up the run sees it.
fn skip(suite: &str, reason: &str) {
    let mut out = io::stderr();
    writeln!(out, "skipped: {suite} ({reason})").unwrap();
}

/// Starts a tool of Prometheus; `None`, and a line that says so, where the machine has none.
fn tool(suite: &str, command: &mut Command) -> Option<Child> {
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let program = command.get_program().display().to_string();
            skip(suite, &format!("{program} is missing: apt-get install prometheus"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The page behind an answer's head.
fn page(address: SocketAddr, path: &str) -> String {
    let answer = eventually(&format!("an answer from {path}"), || http_get(address, path));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    body.to_owned()
}

/// The value of a series as the page writes it, `name{label="value"}`.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn reaches(site: &Site, series: &str, at_least: f64) {
    eventually(&format!("{series} to reach {at_least}"), || {
        (value(&page(site.admin, "/metrics"), series)? >= at_least).then_some(())
    });
}

/// A daemon to which everything has happened that it counts.
struct Busy {
    // Dropped before the directory that it works in.
    _daemon: Daemon,
    site: Site,
}

static SHARED: Mutex<Weak<Busy>> = Mutex::new(Weak::new());

/// The one that the tests of this file share. It ends with the last test that uses it.
fn busy() -> Arc<Busy> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let busy = Arc::new(make_busy());
        *shared = Arc::downgrade(&busy);
        busy
    })
}

fn make_busy() -> Busy {
    let mut site = Site::new();
    with_profiles(&mut site);
    site.extra("[limits]\nconnections_max = 1\n");
    let frames = site.listen("frames", FRAMES);
    let blocks = site.listen("blocks", BLOCKS);
    let secured = secured(&mut site);
    // No database: the first delivery fails.
    std::fs::write(site.lis(), "a file of somebody else, longer than the head of a database\n".repeat(9))
        .unwrap();
    let daemon = site.start();

    let mut line = Line::to(frames);
    line.sends_records(&MESSAGE);
    reaches(&site, "labwire_sink_failures_total{sink=\"lis\"}", 1.0);
    std::fs::remove_file(site.lis()).unwrap();
    site.await_lis_rows(1);
    refuse_urea(&site);

    // The same again; a damaged frame; an unknown test and an unknown flag; no CR LF.
    line.sends_records(&MESSAGE);
    line.exchange(ENQ, ACK);
    line.exchange(&damaged(frame(1, HEADER)), NAK);
    line.exchange(&frame(1, HEADER), ACK);
    line.exchange(&frame(2, "O|1|S8"), ACK);
    line.exchange(&frame(3, "R|1|^^^LITHIUM|0.8|mmol/L||N||F||||20260302081500"), ACK);
    line.exchange(&frame(4, "R|2|^^^GLU|6.1|mmol/L||?||F||||20260302081501"), ACK);
    let terminator = frame(5, TERMINATOR);
    line.exchange(terminator.strip_suffix(b"\r\n").unwrap(), ACK);
    line.say(EOT);
    // One that the LIS refuses; a host query; a frame beyond its limit.
    line.sends_records(&[HEADER, "O|1|S9", "R|1|^^^UREA|4.1|mmol/L||N||F||||20260302081600", TERMINATOR]);
    line.sends_records(&[HEADER, "Q|1|^S10||^^^ALL||||||||O", TERMINATOR]);
    line.exchange(ENQ, ACK);
    line.exchange(&frame(1, &format!("C|1|I|{}", "x".repeat(70_000))), NAK);
    line.say(EOT);
    // A second one at the same time, and one that breaks off.
    drop(Line::to(frames).is_left());
    line.begins(&[HEADER, "O|1|S11", GLUCOSE]);
    line.hangs_up();

    let mut line = Line::to(blocks);
    let order = "OBR|1||S12||||20260302081700";
    let observation = "OBX|1|NM|GLU||5.4|mmol/L||N|||F|||20260302081701";
    let header = |id: &str| format!("MSH|^~\\&|BENCH|LAB|LIS|LAB|20260302081702||ORU^R01|{id}|P|2.3.1");
    assert_eq!(line.sends_segments(&[&header("1"), "PID|1||77", order, observation]), "AA");
    assert_eq!(line.sends_segments(&[&header("1"), "PID|1||77", order, observation]), "AA");
    line.say(b"noise between blocks");
    assert_eq!(line.sends_segments(&[&header("2"), "OBX|1|NM|GLU||5.5|mmol/L||N|||F"]), "AA");
    let unknown_event = header("3").replace("R01", "R99");
    assert_eq!(line.sends_segments(&[&unknown_event, order, observation]), "AR");
    line.hangs_up();

    // In clear where TLS is spoken, and a certificate that is renewed.
    let mut line = Line::to(secured);
    line.say(ENQ);
    reaches(&site, "labwire_connection_rejected_total{connection=\"secured\",reason=\"tls-none\"}", 1.0);
    Issued::self_signed(&["127.0.0.1"]).unwrap().write(&site.path(""), "host").unwrap();
    reaches(&site, "labwire_tls_certificate_reads_total{connection=\"secured\",outcome=\"replaced\"}", 1.0);

    reaches(&site, "labwire_sink_refused_messages_total{sink=\"lis\",code=\"refused-by-sink\"}", 1.0);
    reaches(&site, "labwire_messages_incomplete_total{connection=\"frames\"}", 1.0);
    // Read from the spool every few seconds, not counted.
    reaches(&site, "labwire_quarantine_held_observations", 1.0);
    Busy { _daemon: daemon, site }
}

/// A connection with TLS.
fn secured(site: &mut Site) -> SocketAddr {
    let issued = Issued::self_signed(&["127.0.0.1"]).unwrap();
    let (certificate, key) = issued.write(&site.path(""), "host").unwrap();
    let address = free_address();
    let (certificate, key) = (certificate.display(), key.display());
    let tls =
        format!("tcp.listen = \"{address}\"\ntls = {{ certificate = \"{certificate}\", key = \"{key}\" }}");
    site.connection("secured", BLOCKS, &tls);
    address
}

/// A LIS that has something against one test.
fn refuse_urea(site: &Site) {
    let lis = rusqlite::Connection::open(site.lis()).unwrap();
    lis.busy_timeout(support::PATIENCE).unwrap();
    lis.execute_batch(
        "CREATE TRIGGER no_urea BEFORE INSERT ON result WHEN new.analyzer_test = 'UREA'
         BEGIN SELECT RAISE(ABORT, 'no urea'); END",
    )
    .unwrap();
}

#[test]
fn the_linter_of_prometheus_has_no_complaint_after_every_kind_of_traffic() {
    let busy = busy();
    let page = page(busy.site.admin, "/metrics");
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Some(mut promtool) = tool("promtool", &mut command) else { return };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

#[test]
fn every_number_is_described_and_every_description_has_its_number() {
    let busy = busy();
    let page = page(busy.site.admin, "/metrics");
    let described: Vec<&Metric> = METRICS.iter().chain(PROCESS_METRICS).collect();

    let told: BTreeMap<&str, &str> =
        described.iter().map(|metric| (metric.name, metric.kind.as_str())).collect();
    let shown: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert_eq!(shown, told, "what the page shows, and what the table tells");

    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let of_histogram = |metric: &Metric| {
            ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(metric.name))
        };
        let metric = described.iter().find(|metric| metric.name == name || of_histogram(metric)).unwrap();
        let labels: BTreeSet<&str> = line
            .split_once('{')
            .map_or("", |(_, rest)| rest.split_once('}').unwrap().0)
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "labels of {line}");
        assert!(page.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "help of {name}");
    }
}

#[test]
fn what_happened_is_what_is_counted() {
    let busy = busy();
    let page = page(busy.site.admin, "/metrics");
    for (series, expected) in [
        ("labwire_messages_received_total{connection=\"frames\",kind=\"results\"}", 4.0),
        ("labwire_messages_received_total{connection=\"frames\",kind=\"query\"}", 1.0),
        ("labwire_messages_received_total{connection=\"blocks\",kind=\"results\"}", 4.0),
        ("labwire_messages_answered_negatively_total{connection=\"blocks\",code=\"201\"}", 1.0),
        ("labwire_messages_duplicate_total{connection=\"frames\"}", 1.0),
        ("labwire_messages_duplicate_total{connection=\"blocks\"}", 1.0),
        ("labwire_messages_incomplete_total{connection=\"frames\"}", 1.0),
        ("labwire_queries_unanswered_total{connection=\"frames\"}", 1.0),
        ("labwire_link_faults_total{connection=\"frames\",kind=\"checksum-mismatch\"}", 1.0),
        ("labwire_link_faults_total{connection=\"frames\",kind=\"frame-too-long\"}", 1.0),
        ("labwire_link_tolerances_used_total{connection=\"frames\",tolerance=\"missing-crlf\"}", 1.0),
        ("labwire_connection_rejected_total{connection=\"frames\",reason=\"connections-max\"}", 1.0),
        ("labwire_limit_reached_total{limit=\"frame-bytes\"}", 1.0),
        ("labwire_limit_reached_total{limit=\"connections\"}", 1.0),
        ("labwire_limit_reached_total{limit=\"persist-deadline\"}", 0.0),
        ("labwire_connection_up{connection=\"frames\"}", 0.0),
        // The loopback is no network on which others listen.
        ("labwire_connection_plaintext{connection=\"blocks\"}", 0.0),
        ("labwire_spool_ready", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series} in\n{page}");
    }
}

#[test]
fn a_prometheus_scrapes_the_daemon_and_finds_its_counters() {
    let busy = busy();
    let directory = tempfile::tempdir().unwrap();
    let listen = free_address();
    let Some(_prometheus) = prometheus(directory.path(), listen, busy.site.admin) else { return };

    eventually("the target to be up", || (asked(listen, "up")? == "1").then_some(()));
    let messages = "sum(labwire_messages_received_total)";
    eventually("the counter to be found", || (asked(listen, messages)? == "9").then_some(()));
    let quantile = "histogram_quantile(0.99,sum(labwire_acknowledge_seconds_bucket)by(le))<10";
    eventually("the histogram to be one", || asked(listen, quantile));
    let lint = "process_start_time_seconds<time()";
    eventually("the start to lie in the past", || asked(listen, lint));
}

/// A Prometheus that scrapes one target; ended when dropped.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn prometheus(directory: &Path, listen: SocketAddr, target: SocketAddr) -> Option<Prometheus> {
    let config = directory.join("prometheus.yml");
    let text = format!(
        "scrape_configs:\n  - job_name: labwire\n    scrape_interval: 1s\n    static_configs:\n      - targets: [\"{target}\"]\n"
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address={listen}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let mut running = Prometheus(tool("prometheus", &mut command)?);
    eventually("Prometheus to be ready", || {
        if let Some(status) = running.0.try_wait().unwrap() {
            let log = std::fs::read_to_string(directory.join("log")).unwrap();
            panic!("Prometheus ended with {status}:\n{log}");
        }
        http_get(listen, "/-/ready")?.starts_with("HTTP/1.1 200").then_some(())
    });
    Some(running)
}

/// The one number that a query of Prometheus gives.
fn asked(prometheus: SocketAddr, query: &str) -> Option<String> {
    let answer = http_get(prometheus, &format!("/api/v1/query?query={}", query.replace('<', "%3C")))?;
    let body = answer.split_once("\r\n\r\n")?.1;
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(answer["data"]["result"].get(0)?["value"].get(1)?.as_str()?.to_owned())
}

#[test]
fn the_page_about_the_metrics_is_the_one_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (introduction, reference) = page.split_once(MARK).unwrap();
    let made = format!("\n{}", reference_markdown());
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{introduction}{MARK}{made}")).unwrap();
    } else {
        assert!(reference == made, "docs/metrics.md is stale: UPDATE_GOLDEN=1 cargo test --test metrics");
    }
    for limit in labwire_admin::Limit::ALL {
        assert!(introduction.contains(&format!("`{}`", limit.name())), "{} is not told of", limit.name());
    }
    let known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for word in introduction.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_') {
        assert!(!word.starts_with("labwire_") || known.contains(&word), "{word} does not exist");
    }
}

#[test]
fn the_daemon_is_not_ready_while_it_waits_for_a_message_to_end() {
    let mut site = Site::new();
    with_profiles(&mut site);
    let frames = site.listen("frames", FRAMES);
    let mut daemon = site.start();
    assert_eq!(page(site.admin, "/live"), "live\n");
    assert_eq!(page(site.admin, "/ready"), "ready\n");

    let mut line = Line::to(frames);
    line.begins(&MESSAGE[..4]);
    daemon.signal("TERM");
    let answer = eventually("an answer that says no", || {
        http_get(site.admin, "/ready").filter(|answer| !answer.starts_with("HTTP/1.1 200"))
    });
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nnot ready: the daemon stops\n"), "{answer}");
    assert_eq!(page(site.admin, "/live"), "live\n");

    line.exchange(&frame(5, TERMINATOR), ACK);
    line.say(EOT);
    line.is_left();
    eventually("the daemon to end", || daemon.has_ended().then_some(()));
    site.await_lis_rows(1);
}

#[test]
fn other_paths_and_methods_do_not_exist() {
    let mut site = Site::new();
    with_profiles(&mut site);
    site.listen("frames", FRAMES);
    let _daemon = site.start();
    for path in
        ["/", "/metrics/", "/ready/now", "/status", "/api", "/debug/pprof", "/../etc/passwd", "/%2e%2e/"]
    {
        let answer = http_get(site.admin, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let mut stream = TcpStream::connect(site.admin).unwrap();
    write!(stream, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[test]
fn messages_and_blocks_that_never_end_are_counted_as_limits() {
    let mut site = Site::new();
    with_profiles(&mut site);
    // What is measured is their length.
    site.extra("[limits]\nbytes_per_second_max = 1_073_741_824\n");
    let frames = site.listen("frames", FRAMES);
    let blocks = site.listen("blocks", BLOCKS);
    let _daemon = site.start();

    let mut line = Line::to(frames);
    line.exchange(ENQ, ACK);
    let text = [&b"C|1|I|"[..], &[b'x'; 63_000]].concat();
    let part = |number: usize| {
        let mut frame = Vec::new();
        write_frame(&mut frame, u8::try_from(number % 8).unwrap(), &text, UnitEnd::Intermediate);
        frame
    };
    let taken = MESSAGE_BYTES_MAX / text.len();
    for number in 1..=taken {
        line.exchange(&part(number), ACK);
    }
    let counted = "labwire_limit_reached_total{limit=\"message-bytes\"}";
    assert_eq!(value(&page(site.admin, "/metrics"), counted), Some(0.0));
    line.say(&part(taken + 1));
    line.is_left();
    reaches(&site, counted, 1.0);

    let mut line = Line::to(blocks);
    line.may_say(b"\x0bMSH|^~\\&|");
    line.may_say(&vec![b'x'; MESSAGE_BYTES_MAX + 1]);
    line.is_left();
    reaches(&site, "labwire_limit_reached_total{limit=\"unit-bytes\"}", 1.0);
}

#[test]
fn a_message_cut_off_because_the_daemon_stops_is_counted_as_a_limit() {
    let mut site = Site::new();
    with_profiles(&mut site);
    site.extra("[limits]\ndrain_timeout = \"1s\"\n");
    let frames = site.listen("frames", FRAMES);
    let daemon =
        site.start_with(Path::new(env!("CARGO_BIN_EXE_labwire")), &[("LABWIRE_LOG", "debug".to_owned())]);
    let mut line = Line::to(frames);
    line.begins(&MESSAGE[..4]);
    // The numbers end with the daemon; its log stays.
    assert_eq!(daemon.stop(), Some(0));
    assert!(site.log().contains("event=\"limit_reached\" limit=\"drain-time\""), "{}", site.log());
}

#[test]
fn a_client_of_the_pages_that_says_too_much_is_counted() {
    let mut site = Site::new();
    with_profiles(&mut site);
    site.listen("frames", FRAMES);
    let _daemon = site.start();
    let mut stream = TcpStream::connect(site.admin).unwrap();
    // The daemon may close before it has read all.
    let _ = write!(stream, "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    reaches(&site, "labwire_limit_reached_total{limit=\"http-header-bytes\"}", 1.0);
}

#[test]
fn a_client_of_the_control_socket_that_says_too_much_is_counted() {
    let mut site = Site::new();
    with_profiles(&mut site);
    site.listen("frames", FRAMES);
    let _daemon = site.start();
    let mut stream = std::os::unix::net::UnixStream::connect(site.path("control.sock")).unwrap();
    let _ = stream.write_all(&vec![b'x'; labwire_admin::control::LINE_BYTES_MAX + 1]);
    reaches(&site, "labwire_limit_reached_total{limit=\"control-request-bytes\"}", 1.0);
}
