//! The HTTP listener as a stranger meets it: over real sockets, with real patience.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use labwire_admin::Limit;
use labwire_admin::http::{AdminSource, HttpLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(Default)]
struct Source {
    dead: AtomicBool,
    unready: AtomicBool,
    metrics_bytes: usize,
    reached: Mutex<Vec<Limit>>,
}

impl Source {
    fn reached(&self) -> Vec<Limit> {
        self.reached.lock().unwrap().clone()
    }
}

impl AdminSource for Source {
    fn metrics(&self) -> String {
        format!("# TYPE labwire_up gauge\nlabwire_up 1\n{}", "#".repeat(self.metrics_bytes))
    }

    fn live(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }

    fn ready(&self) -> Result<(), String> {
        if self.unready.load(Ordering::Relaxed) { Err("the spool does not commit".into()) } else { Ok(()) }
    }

    fn limit_reached(&self, limit: Limit) {
        self.reached.lock().unwrap().push(limit);
    }
}

struct Served {
    address: SocketAddr,
    source: Arc<Source>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn served(source: Source, limits: HttpLimits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = Arc::new(source);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(listener, Arc::clone(&source), limits, async {
        drop(stopped.await);
    }));
    Served { address, source, stop, task }
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: labwire\r\n\r\n")).await.unwrap()
}

async fn exchange(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        tokio::task::yield_now().await;
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn the_three_pages_say_what_the_source_says() {
    let served = served(Source::default(), HttpLimits::default()).await;

    let metrics = get(served.address, "/metrics").await;
    assert_eq!(status(&metrics), "200");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{metrics}");
    assert!(metrics.contains("\r\n\r\n# TYPE labwire_up gauge\nlabwire_up 1\n"), "{metrics}");
    assert_eq!(status(&get(served.address, "/live").await), "200");
    assert_eq!(status(&get(served.address, "/ready").await), "200");

    served.source.dead.store(true, Ordering::Relaxed);
    served.source.unready.store(true, Ordering::Relaxed);
    assert_eq!(status(&get(served.address, "/live").await), "503");
    let ready = get(served.address, "/ready").await;
    assert_eq!(status(&ready), "503");
    assert!(ready.ends_with("not ready: the spool does not commit\n"), "{ready}");
}

#[tokio::test]
async fn nothing_else_is_served() {
    let served = served(Source::default(), HttpLimits::default()).await;
    for path in ["/", "/metrics/", "/results", "/../metrics"] {
        assert_eq!(status(&get(served.address, path).await), "404", "{path}");
    }
    let post = "POST /metrics HTTP/1.1\r\nHost: labwire\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(status(&exchange(served.address, post).await.unwrap()), "405");
}

#[tokio::test]
async fn a_body_that_never_comes_delays_no_answer() {
    let served = served(Source::default(), HttpLimits::default()).await;
    let request = "GET /live HTTP/1.1\r\nHost: labwire\r\nContent-Length: 1000000\r\n\r\n";
    let begun = Instant::now();
    assert_eq!(status(&exchange(served.address, request).await.unwrap()), "200");
    assert!(begun.elapsed() < Duration::from_secs(4), "answered after {:?}", begun.elapsed());
}

#[tokio::test]
async fn slow_headers_lose_the_connection_and_nobody_else_waits() {
    let header_timeout = Duration::from_millis(300);
    let served = served(Source::default(), HttpLimits { header_timeout, ..HttpLimits::default() }).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    let begun = Instant::now();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: lab").await.unwrap();

    assert_eq!(status(&get(served.address, "/live").await), "200");

    let answer = read_all(&mut slow).await.unwrap_or_default();
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(begun.elapsed() >= header_timeout, "closed after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "closed after {:?}", begun.elapsed());
    until("the limit is counted", || served.source.reached() == [Limit::HttpHeaderTime]).await;
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let served = served(Source::default(), HttpLimits::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request = format!("GET /live HTTP/1.1\r\nX-Long: {}\r\n\r\n", "a".repeat(64 * 1024));
    // The refusal may come, and the connection go, before all of this is written.
    drop(stream.write_all(request.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    until("the limit is counted", || served.source.reached() == [Limit::HttpHeaderBytes]).await;
    assert_eq!(status(&get(served.address, "/live").await), "200");
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_until_a_place_is_free() {
    let limits = HttpLimits { connections_max: 2, ..HttpLimits::default() };
    let served = served(Source::default(), limits).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /live HTTP/1.1\r\n").await.unwrap();
        held.push(stream);
    }
    let turned_away = exchange(served.address, "GET /live HTTP/1.1\r\n\r\n").await.unwrap_or_default();
    assert_eq!(turned_away, "");
    assert_eq!(served.source.reached(), [Limit::HttpConnections]);

    let mut freed = held.remove(0);
    freed.write_all(b"Host: labwire\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_all(&mut freed).await.unwrap()), "200");
    let begun = Instant::now();
    while exchange(served.address, "GET /live HTTP/1.1\r\nHost: labwire\r\n\r\n")
        .await
        .is_ok_and(|answer| answer.is_empty())
    {
        assert!(begun.elapsed() < Duration::from_secs(10), "the freed place was never given away");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_that_never_reads_loses_its_place() {
    let connection_timeout = Duration::from_millis(300);
    let limits = HttpLimits { connections_max: 1, connection_timeout, ..HttpLimits::default() };
    let served = served(Source { metrics_bytes: 64 << 20, ..Source::default() }, limits).await;
    let mut greedy = TcpStream::connect(served.address).await.unwrap();
    greedy.write_all(b"GET /metrics HTTP/1.1\r\nHost: labwire\r\n\r\n").await.unwrap();

    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(10), "the place was never given away");
        match exchange(served.address, "GET /live HTTP/1.1\r\nHost: labwire\r\n\r\n").await {
            Ok(answer) if status(&answer) == "200" => break,
            _ => tokio::task::yield_now().await,
        }
    }
    assert!(begun.elapsed() >= connection_timeout.mul_f32(0.5), "{:?}", begun.elapsed());
    assert!(served.source.reached().contains(&Limit::HttpConnectionTime), "{:?}", served.source.reached());
}

#[tokio::test]
async fn shutdown_closes_the_listener_and_finishes_what_is_under_way() {
    let served = served(Source::default(), HttpLimits::default()).await;
    let mut under_way = TcpStream::connect(served.address).await.unwrap();
    under_way.write_all(b"GET /live HTTP/1.1\r\nHost: labwire\r\n").await.unwrap();
    // An answer on a later connection shows that the earlier one has been accepted.
    assert_eq!(status(&get(served.address, "/live").await), "200");
    served.stop.send(()).unwrap();
    under_way.write_all(b"\r\n").await.unwrap();
    assert_eq!(status(&read_all(&mut under_way).await.unwrap()), "200");
    served.task.await.unwrap();
    let refused = TcpStream::connect(served.address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
