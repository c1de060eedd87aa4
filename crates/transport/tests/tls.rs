//! TLS over real sockets of the loopback interface: who gets in, who is turned away and why, and what
//! files that change do to lines that are open.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop at the first surprise")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use labwire_testkit::certificates::{Authority, Issued};
use labwire_transport::{
    Arrival, Backoff, BackoffSettings, Connection, KeySource, Listener, Opener, Received, Refresh, Refusal,
    TcpConnectSettings, TcpListenSettings, TlsClients, TlsConnectSettings, TlsFault, TlsIdentity,
    TlsListenSettings, TlsVersion, connect,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// A laboratory with its own authority and a directory for the files.
struct Lab {
    directory: TempDir,
    authority: Authority,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new("the laboratory").unwrap(),
        };
        std::fs::write(lab.ca(), lab.authority.certificate()).unwrap();
        lab
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    fn identity(&self, issued: &Issued, name: &str) -> TlsIdentity {
        let (certificate, key) = issued.write(self.path(), name).unwrap();
        TlsIdentity { certificate, key: KeySource::File(key) }
    }

    /// What Labwire shows as listening side.
    fn host(&self) -> TlsListenSettings {
        TlsListenSettings::new(self.identity(&self.authority.issue(&["127.0.0.1"]).unwrap(), "host"))
    }

    /// The same, for the analyzer `chemistry.lab` alone.
    fn host_for_chemistry(&self) -> TlsListenSettings {
        let clients = TlsClients { ca: self.ca(), names: vec!["chemistry.lab".to_owned()] };
        TlsListenSettings { clients: Some(clients), ..self.host() }
    }

    /// An analyzer that trusts the laboratory's authority.
    fn analyzer(&self) -> TlsConnectSettings {
        TlsConnectSettings::new(self.ca(), "127.0.0.1")
    }

    fn analyzer_with(&self, issued: &Issued) -> TlsConnectSettings {
        TlsConnectSettings { identity: Some(self.identity(issued, "analyzer")), ..self.analyzer() }
    }
}

fn listen(tls: TlsListenSettings) -> Listener {
    let address = "127.0.0.1:0".parse().unwrap();
    Listener::bind(TcpListenSettings { tls: Some(tls), ..TcpListenSettings::new(address) }).unwrap()
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
    tokio::time::timeout(PATIENCE, async { tokio::join!(connect(&settings), arrive(listener)) })
        .await
        .unwrap()
}

async fn exchange(analyzer: &mut Connection, host: &mut Connection) {
    let mut buffer = [0; 16];
    analyzer.send(b"\x05", PATIENCE).await.unwrap();
    assert_eq!(host.receive(&mut buffer).await.unwrap(), Received::Bytes(1));
    host.send(b"\x06", PATIENCE).await.unwrap();
    assert_eq!(analyzer.receive(&mut buffer).await.unwrap(), Received::Bytes(1));
    assert_eq!(buffer[0], 0x06);
}

fn quick() -> Backoff {
    let settings = BackoffSettings {
        first: Duration::from_millis(5),
        factor: 1,
        max: Duration::from_millis(5),
        jitter_percent: 0,
        after_misconfiguration: Duration::from_secs(300),
    };
    Backoff::new(settings, 1)
}

#[tokio::test]
async fn an_analyzer_with_a_certificate_of_its_name_gets_in_with_both_protocols() {
    let lab = Lab::new();
    let issued = lab.authority.issue(&["chemistry.lab"]).unwrap();
    for (host, analyzer) in [
        (TlsVersion::Tls13, TlsVersion::Tls13),
        (TlsVersion::Tls12, TlsVersion::Tls13),
        (TlsVersion::Tls12, TlsVersion::Tls12),
    ] {
        let listener = listen(TlsListenSettings { minimum: host, ..lab.host_for_chemistry() });
        let tls = TlsConnectSettings { minimum: analyzer, ..lab.analyzer_with(&issued) };
        let (dialled, accepted) = meet(&listener, tls).await;
        let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
        exchange(&mut dialled, &mut accepted).await;
        assert_eq!(listener.connections(), 1);
        dialled.close(PATIENCE).await;
        assert_eq!(accepted.receive(&mut [0; 8]).await.unwrap(), Received::Closed);
    }
}

#[tokio::test]
async fn who_shows_no_good_certificate_of_a_named_analyzer_is_turned_away_with_the_reason() {
    let lab = Lab::new();
    let listener = listen(lab.host_for_chemistry());
    let other = Authority::new("another laboratory").unwrap();
    let name = ["chemistry.lab"];
    for (issued, expected) in [
        (None, TlsFault::CertificateMissing),
        (Some(lab.authority.issue_expired(&name).unwrap()), TlsFault::CertificateExpired),
        (Some(other.issue(&name).unwrap()), TlsFault::CertificateUnknownCa),
        (Some(Issued::self_signed(&name).unwrap()), TlsFault::CertificateUnknownCa),
        (Some(lab.authority.issue(&["coagulation.lab"]).unwrap()), TlsFault::CertificateName),
        (Some(lab.authority.issue(&["10.0.0.7"]).unwrap()), TlsFault::CertificateName),
    ] {
        let tls = issued.map_or_else(|| lab.analyzer(), |issued| lab.analyzer_with(&issued));
        let (dialled, refused) = meet(&listener, tls).await;
        assert_eq!(refused.unwrap_err(), Refusal::Tls(expected));
        // A TLS 1.3 client may believe that it is connected: what it sends is read by nobody.
        if let Ok(mut dialled) = dialled {
            let _ = dialled.send(b"\x05", PATIENCE).await;
            let end = dialled.receive(&mut [0; 8]).await;
            assert_eq!(TlsFault::of(&end.unwrap_err()), Some(TlsFault::RefusedByPeer));
        }
        assert_eq!(listener.connections(), 0);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_its_own_authority() {
    let lab = Lab::new();
    let own = Issued::self_signed(&["chemistry.lab"]).unwrap();
    std::fs::write(lab.ca(), [lab.authority.certificate(), own.certificate.clone()].concat()).unwrap();
    let listener = listen(lab.host_for_chemistry());
    let (dialled, accepted) = meet(&listener, lab.analyzer_with(&own)).await;
    exchange(&mut dialled.unwrap(), &mut accepted.unwrap()).await;
    let another = Issued::self_signed(&["chemistry.lab"]).unwrap();
    let (_, refused) = meet(&listener, lab.analyzer_with(&another)).await;
    assert!(matches!(refused, Err(Refusal::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn older_protocols_and_plain_data_are_refused_for_what_they_are() {
    let lab = Lab::new();
    for (minimum, hello, expected) in [
        (TlsVersion::Tls13, client_hello(0x0301), TlsFault::Version),
        (TlsVersion::Tls13, client_hello(0x0303), TlsFault::Version),
        (TlsVersion::Tls12, client_hello(0x0301), TlsFault::Version),
        (TlsVersion::Tls12, client_hello(0x0302), TlsFault::Version),
        (TlsVersion::Tls13, b"\x05\x021H|\\^&\r\x03E5\r\n".to_vec(), TlsFault::NotTls),
        (TlsVersion::Tls13, b"\x0bMSH|^~\\&|\r\x1c\r".to_vec(), TlsFault::NotTls),
        (TlsVersion::Tls13, b"GET / HTTP/1.1\r\n\r\n".to_vec(), TlsFault::NotTls),
    ] {
        let listener = listen(TlsListenSettings { minimum, ..lab.host() });
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        caller.write_all(&hello).await.unwrap();
        assert_eq!(arrive(&listener).await.unwrap_err(), Refusal::Tls(expected), "{hello:02x?}");
        let mut answer = Vec::new();
        let _ = caller.read_to_end(&mut answer).await;
        // An alert (content type 21) or nothing: never a reply to data.
        assert!(answer.is_empty() || answer.starts_with(&[21, 3]) && answer.len() == 7, "{answer:02x?}");
    }
}

/// A ClientHello as an old library sends it (RFC 2246, 7.4.1.2): one cipher suite, no extension.
fn client_hello(version: u16) -> Vec<u8> {
    let [major, minor] = version.to_be_bytes();
    let mut body = vec![major, minor];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x14, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(body);
    record
}

#[tokio::test]
async fn a_host_of_another_name_or_authority_gets_no_byte_of_a_message() {
    let lab = Lab::new();
    let other = Authority::new("another laboratory").unwrap();
    for (issued, expected) in [
        (lab.authority.issue(&["other.lab"]).unwrap(), TlsFault::CertificateName),
        (other.issue(&["127.0.0.1"]).unwrap(), TlsFault::CertificateUnknownCa),
        (lab.authority.issue_expired(&["127.0.0.1"]).unwrap(), TlsFault::CertificateExpired),
    ] {
        let listener = listen(TlsListenSettings::new(lab.identity(&issued, "host")));
        let (dialled, refused) = meet(&listener, lab.analyzer()).await;
        assert_eq!(TlsFault::of(&dialled.unwrap_err()), Some(expected));
        assert!(matches!(refused, Err(Refusal::Tls(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_tried_again_slowly_or_when_the_files_change() {
    let lab = Lab::new();
    let other = Authority::new("another laboratory").unwrap();
    let listener = listen(lab.host());
    std::fs::write(lab.ca(), other.certificate()).unwrap();
    let settings = dial(listener.local_addr().unwrap(), lab.analyzer());
    let mut opener = Opener::tcp(settings, quick());
    let certificates = opener.certificates().unwrap();
    let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
    let opening = opener.open(|failure| {
        told.send((failure.attempt, failure.pause, failure.is_configuration)).unwrap();
    });
    let mending = async {
        assert!(arrive(&listener).await.is_err());
        assert_eq!(failures.recv().await, Some((1, Duration::from_secs(300), true)));
        std::fs::write(lab.ca(), lab.authority.certificate()).unwrap();
        // The pause begins behind the report of the failure.
        tokio::task::yield_now().await;
        assert!(matches!(certificates.refresh(), Refresh::Replaced));
        arrive(&listener).await.unwrap()
    };
    let (mut dialled, mut accepted) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(opening, mending) }).await.unwrap();
    exchange(&mut dialled, &mut accepted).await;
}

#[tokio::test]
async fn a_refusal_behind_the_handshake_is_no_reason_to_dial_without_a_pause() {
    let lab = Lab::new();
    let listener = listen(lab.host_for_chemistry());
    let settings = dial(listener.local_addr().unwrap(), lab.analyzer());
    let mut opener = Opener::tcp(settings, quick());
    let (mut dialled, refused) =
        tokio::join!(opener.open(|failure| panic!("{failure:?}")), arrive(&listener));
    assert_eq!(refused.unwrap_err(), Refusal::Tls(TlsFault::CertificateMissing));
    assert!(dialled.receive(&mut [0; 8]).await.is_err());
    drop(dialled);
    let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
    tokio::select! {
        _ = opener.open(|failure| told.send((failure.pause, failure.is_configuration)).unwrap()) => {
            panic!("dialled at once");
        }
        failure = failures.recv() => assert_eq!(failure, Some((Duration::from_secs(300), true))),
    }
}

#[tokio::test]
async fn new_certificates_are_for_new_lines_and_broken_ones_for_nobody() {
    let lab = Lab::new();
    let listener = listen(lab.host());
    let certificates = listener.certificates().unwrap();
    let (analyzer, host) = meet(&listener, lab.analyzer()).await;
    let (mut analyzer, mut host) = (analyzer.unwrap(), host.unwrap());
    assert!(matches!(certificates.refresh(), Refresh::Unchanged));

    // Another certificate, for another name: lines that are open go on, new ones meet it.
    let renewed = lab.authority.issue(&["renewed.lab"]).unwrap();
    renewed.write(lab.path(), "host").unwrap();
    assert!(matches!(certificates.refresh(), Refresh::Replaced));
    exchange(&mut analyzer, &mut host).await;
    let (as_before, _) = meet(&listener, lab.analyzer()).await;
    assert_eq!(TlsFault::of(&as_before.unwrap_err()), Some(TlsFault::CertificateName));
    let renewed_name = || TlsConnectSettings { server_name: "renewed.lab".to_owned(), ..lab.analyzer() };
    let (dialled, accepted) = meet(&listener, renewed_name()).await;
    exchange(&mut dialled.unwrap(), &mut accepted.unwrap()).await;

    // Half of the next pair: what was there before stays in use, and is told of once.
    let half = lab.authority.issue(&["half.lab"]).unwrap();
    std::fs::write(lab.path().join("host.pem"), &half.certificate).unwrap();
    let Refresh::Kept(error) = certificates.refresh() else { panic!("half a pair is used") };
    assert!(error.to_string().contains("does not belong to the key"), "{error}");
    assert!(matches!(certificates.refresh(), Refresh::Unchanged));
    let (dialled, accepted) = meet(&listener, renewed_name()).await;
    exchange(&mut dialled.unwrap(), &mut accepted.unwrap()).await;

    // The other half.
    std::fs::write(lab.path().join("host.key"), &half.key).unwrap();
    assert!(matches!(certificates.refresh(), Refresh::Replaced));
    exchange(&mut analyzer, &mut host).await;
}

#[tokio::test]
async fn handshakes_that_go_nowhere_end_and_are_few_at_a_time() {
    let lab = Lab::new();
    let handshake_timeout = Duration::from_millis(50);
    let listener = listen(TlsListenSettings { handshakes_max: 2, handshake_timeout, ..lab.host() });
    let address = listener.local_addr().unwrap();
    let mut silent = Vec::new();
    let mut handshakes = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.unwrap());
        let Arrival::Handshake(handshake) = listener.accept().await.unwrap() else { panic!() };
        handshakes.push(handshake);
    }
    silent.push(TcpStream::connect(address).await.unwrap());
    let Arrival::Refused { refusal, .. } = listener.accept().await.unwrap() else { panic!() };
    assert_eq!(refusal, Refusal::HandshakesFull { handshakes_max: 2 });
    for handshake in handshakes {
        assert_eq!(handshake.complete().await.unwrap_err(), Refusal::Tls(TlsFault::Timeout));
    }
    let (dialled, accepted) = meet(&listener, lab.analyzer()).await;
    exchange(&mut dialled.unwrap(), &mut accepted.unwrap()).await;
}

#[tokio::test]
async fn the_end_of_our_own_certificate_is_known() {
    let lab = Lab::new();
    let expired = lab.authority.issue_expired(&["127.0.0.1"]).unwrap();
    let listener = listen(TlsListenSettings::new(lab.identity(&expired, "host")));
    let end = listener.certificates().unwrap().not_after().unwrap();
    assert_eq!(end.to_string(), "2020-01-01T00:00:00Z");
}

#[tokio::test]
async fn files_that_do_not_fit_are_refused_before_anybody_dials() {
    let lab = Lab::new();
    let address = "127.0.0.1:0".parse().unwrap();
    let mut host = lab.host();
    let stranger = lab.authority.issue(&["127.0.0.1"]).unwrap();
    host.identity.key = KeySource::File(stranger.write(lab.path(), "stranger").unwrap().1);
    let settings = TcpListenSettings { tls: Some(host), ..TcpListenSettings::new(address) };
    let error = Listener::bind(settings).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("does not belong to the key"), "{error}");
}

#[tokio::test]
async fn an_opener_whose_files_are_missing_says_so_and_dials_when_they_are_there() {
    let lab = Lab::new();
    let listener = listen(lab.host());
    std::fs::remove_file(lab.ca()).unwrap();
    let mut opener = Opener::tcp(dial(listener.local_addr().unwrap(), lab.analyzer()), quick());
    let certificates = opener.certificates().unwrap();
    let (told, mut failures) = tokio::sync::mpsc::unbounded_channel();
    let opening = opener.open(|failure| {
        told.send((failure.error.to_string(), failure.is_configuration)).unwrap();
    });
    let mending = async {
        let (error, is_configuration) = failures.recv().await.unwrap();
        assert!(error.contains("ca.pem cannot be read") && is_configuration, "{error}");
        std::fs::write(lab.ca(), lab.authority.certificate()).unwrap();
        tokio::task::yield_now().await;
        assert!(matches!(certificates.refresh(), Refresh::Replaced));
        arrive(&listener).await.unwrap()
    };
    let (mut dialled, mut accepted) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(opening, mending) }).await.unwrap();
    exchange(&mut dialled, &mut accepted).await;
}
