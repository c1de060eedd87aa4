//! HL7 over TLS: the conversation of FR-01 between two transports of the loopback, with certificates
//! made on the spot.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use labwire_link::ErrorMode;
use labwire_session::{Effect, Input, Now, Session, Settings};
use labwire_testkit::certificates::{Authority, Issued};
use labwire_transport::{
    Arrival, Backoff, BackoffSettings, Connection, KeySource, Listener, Opener, Received, Refresh, Refusal,
    TcpConnectSettings, TcpListenSettings, TlsClients, TlsConnectSettings, TlsFault, TlsIdentity,
    TlsListenSettings, TlsVersion, connect,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::PATIENCE;
use crate::{Function, profiles};

pub(crate) const FUNCTIONS: &[Function] = &[
    ("both_versions_of_tls_carry_the_conversation", both_versions_of_tls_carry_the_conversation),
    ("who_shows_no_good_certificate_says_nothing_here", who_shows_no_good_certificate_says_nothing_here),
    ("an_older_tls_is_refused_by_name", an_older_tls_is_refused_by_name),
    ("a_new_certificate_is_for_new_lines", a_new_certificate_is_for_new_lines),
    ("a_host_that_is_not_trusted_gets_no_message", a_host_that_is_not_trusted_gets_no_message),
];

const MESSAGE: &[u8] = b"\x0bMSH|^~\\&|DEV|LAB|OUR|LIS|20250611080000||ORU^R01|A1|P|2.3.1\rOBR|1|S100\rOBX|1|NM|GLU||5.4|mmol/L|||||F\r\x1c\r";

/// A laboratory with its own authority and a directory for the files.
struct Lab {
    directory: TempDir,
    authority: Authority,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lab = Self { directory, authority: Authority::new("the laboratory").unwrap() };
        std::fs::write(lab.ca(), lab.authority.certificate()).unwrap();
        lab
    }

    fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    fn identity(&self, issued: &Issued, name: &str) -> TlsIdentity {
        let (certificate, key) = issued.write(self.directory.path(), name).unwrap();
        TlsIdentity { certificate, key: KeySource::File(key) }
    }

    fn host(&self) -> TlsListenSettings {
        TlsListenSettings::new(self.identity(&self.authority.issue(&["127.0.0.1"]).unwrap(), "host"))
    }

    fn analyzer(&self) -> TlsConnectSettings {
        TlsConnectSettings::new(self.ca(), "127.0.0.1")
    }
}

fn listen(tls: TlsListenSettings) -> Listener {
    let settings = TcpListenSettings::new("127.0.0.1:0".parse().unwrap());
    Listener::bind(TcpListenSettings { tls: Some(tls), ..settings }).unwrap()
}

fn dial(address: SocketAddr, tls: TlsConnectSettings) -> TcpConnectSettings {
    TcpConnectSettings { tls: Some(tls), ..TcpConnectSettings::new(address.to_string()) }
}

async fn arrive(listener: &Listener) -> Result<Connection, Refusal> {
    match listener.accept().await.unwrap() {
        Arrival::Handshake(handshake) => handshake.complete().await,
        other => panic!("{other:?}"),
    }
}

/// Both ends of one line, or why there is none.
async fn meet(
    listener: &Listener,
    tls: TlsConnectSettings,
) -> (std::io::Result<Connection>, Result<Connection, Refusal>) {
    let settings = dial(listener.local_addr().unwrap(), tls);
    tokio::join!(connect(&settings), arrive(listener))
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.unwrap() });
}

/// The analyzer says its message, a session behind the other end answers it.
async fn converse(analyzer: &mut Connection, host: &mut Connection) {
    let plan = profiles::plan(&crate::table().profiles, "hl7", &[]);
    let mut session = Session::new(Settings {
        identity: labwire_session::Identity::Hold,
        plan: Arc::new(plan),
        strict: None,
        transport: ErrorMode::Close,
        zone: TimeZone::UTC,
        first_transmission: 1,
        control_id_prefix: "T".to_owned(),
        message_bytes_max: 1 << 20,
    });
    let now = Now { monotonic: Duration::ZERO, wall: Timestamp::UNIX_EPOCH };
    session.handle(now, Input::StoreReady(true));
    analyzer.send(MESSAGE, PATIENCE).await.unwrap();
    let (mut buffer, mut reply) = ([0; 4096], Vec::new());
    while reply.is_empty() {
        let Received::Bytes(count) = host.receive(&mut buffer).await.unwrap() else { panic!("no bytes") };
        session.handle(now, Input::Bytes(&buffer[..count]));
        while let Some(effect) = session.poll_effect() {
            if let Effect::Persist(persist) = effect {
                session.persisted(now, persist.token);
            }
        }
        while session.poll_transmit(&mut reply) {}
    }
    host.send(&reply, PATIENCE).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < reply.len() {
        let Received::Bytes(count) = analyzer.receive(&mut buffer).await.unwrap() else { panic!("no reply") };
        heard.extend_from_slice(&buffer[..count]);
    }
    assert!(heard.ends_with(b"\rMSA|AA|A1\r\x1c\r"), "{:?}", String::from_utf8_lossy(&heard));
}

fn both_versions_of_tls_carry_the_conversation() {
    run(async {
        let lab = Lab::new();
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let listener = listen(TlsListenSettings { minimum: version, ..lab.host() });
            let (analyzer, host) =
                meet(&listener, TlsConnectSettings { minimum: version, ..lab.analyzer() }).await;
            converse(&mut analyzer.unwrap(), &mut host.unwrap()).await;
        }
    });
}

fn who_shows_no_good_certificate_says_nothing_here() {
    run(async {
        let lab = Lab::new();
        let other = Authority::new("another laboratory").unwrap();
        let name = ["chemistry.lab"];
        let clients = Some(TlsClients { ca: lab.ca(), names: vec![name[0].to_owned()] });
        let listener = listen(TlsListenSettings { clients, ..lab.host() });
        for (issued, expected) in [
            (None, TlsFault::CertificateMissing),
            (Some(lab.authority.issue_expired(&name).unwrap()), TlsFault::CertificateExpired),
            (Some(other.issue(&name).unwrap()), TlsFault::CertificateUnknownCa),
        ] {
            let identity = issued.map(|issued| lab.identity(&issued, "analyzer"));
            let (analyzer, refused) =
                meet(&listener, TlsConnectSettings { identity, ..lab.analyzer() }).await;
            // There is no connection that a byte of the message could be read from.
            assert_eq!(refused.unwrap_err(), Refusal::Tls(expected));
            if let Ok(mut analyzer) = analyzer {
                let _ = analyzer.send(MESSAGE, PATIENCE).await;
                assert!(analyzer.receive(&mut [0; 8]).await.is_err(), "no reply to data");
            }
        }
        let issued = lab.authority.issue(&name).unwrap();
        let identity = Some(lab.identity(&issued, "analyzer"));
        let (analyzer, host) = meet(&listener, TlsConnectSettings { identity, ..lab.analyzer() }).await;
        converse(&mut analyzer.unwrap(), &mut host.unwrap()).await;
    });
}

/// A greeting of TLS 1.0 (RFC 2246, 7.4.1.2): one cipher suite, no extension.
fn old_greeting() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x14, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

fn an_older_tls_is_refused_by_name() {
    run(async {
        let lab = Lab::new();
        for minimum in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let listener = listen(TlsListenSettings { minimum, ..lab.host() });
            let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            caller.write_all(&old_greeting()).await.unwrap();
            assert_eq!(arrive(&listener).await.unwrap_err(), Refusal::Tls(TlsFault::Version));
            let mut answer = Vec::new();
            let _ = caller.read_to_end(&mut answer).await;
            assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "an alert at most: {answer:02x?}");
        }
    });
}

fn a_new_certificate_is_for_new_lines() {
    run(async {
        let lab = Lab::new();
        let listener = listen(lab.host());
        let certificates = listener.certificates().unwrap();
        let (analyzer, host) = meet(&listener, lab.analyzer()).await;
        let (mut analyzer, mut host) = (analyzer.unwrap(), host.unwrap());
        lab.authority.issue(&["renewed.lab"]).unwrap().write(lab.directory.path(), "host").unwrap();
        assert!(matches!(certificates.refresh(), Refresh::Replaced));
        converse(&mut analyzer, &mut host).await;
        let (as_before, _) = meet(&listener, lab.analyzer()).await;
        assert_eq!(TlsFault::of(&as_before.unwrap_err()), Some(TlsFault::CertificateName));
        let renewed = TlsConnectSettings { server_name: "renewed.lab".to_owned(), ..lab.analyzer() };
        let (analyzer, host) = meet(&listener, renewed).await;
        converse(&mut analyzer.unwrap(), &mut host.unwrap()).await;
    });
}

fn a_host_that_is_not_trusted_gets_no_message() {
    run(async {
        let lab = Lab::new();
        let other = Authority::new("another laboratory").unwrap();
        for issued in [lab.authority.issue(&["other.lab"]).unwrap(), other.issue(&["127.0.0.1"]).unwrap()] {
            let listener = listen(TlsListenSettings::new(lab.identity(&issued, "host")));
            let settings = dial(listener.local_addr().unwrap(), lab.analyzer());
            let quick = Duration::from_millis(5);
            let slow = Duration::from_secs(300);
            let backoff = BackoffSettings {
                first: quick,
                factor: 1,
                max: quick,
                jitter_percent: 0,
                after_misconfiguration: slow,
            };
            let mut opener = Opener::tcp(settings, Backoff::new(backoff, 1));
            let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
            let opening = opener.open(|failure| {
                told.send((failure.attempt, failure.pause, failure.is_configuration)).unwrap();
            });
            let watching = async {
                assert!(matches!(arrive(&listener).await, Err(Refusal::Tls(_))), "no line to send over");
                assert_eq!(failures.recv().await, Some((1, slow, true)), "and no other attempt soon");
            };
            tokio::select! {
                _ = opening => panic!("a line to a host that is not trusted"),
                () = watching => {}
            }
        }
    });
}
