//! The daemon behind TLS: whom it lets in, whom it turns away and with which words, and certificates that
//! change under it. The cases TL-01 to TL-05 of the conformance list stand in their tests' comments.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use labwire_testkit::certificates::{Authority, Issued};
use labwire_transport::{
    Connection, KeySource, Listener, Received, TcpConnectSettings, TcpListenSettings, TlsConnectSettings,
    TlsFault, TlsIdentity, TlsListenSettings, TlsVersion, connect,
};
use support::{PATIENCE, Site, eventually, free_address, http_get};

const MESSAGE: &[u8] = b"\x0bMSH|^~\\&|BENCH|LAB|LIS|LAB|20260302081702||ORU^R01|7|P|2.3.1\rOBR|1||S1\r\
    OBX|1|NM|GLU||5.4|mmol/L||N|||F\r\x1c\r";

/// A laboratory whose daemon shows a certificate for 127.0.0.1.
struct Lab {
    site: Site,
    authority: Authority,
    address: SocketAddr,
}

impl Lab {
    /// With further keys of the table `tls`.
    fn listening(keys: &str) -> Self {
        let (mut site, authority) = (Site::new(), Authority::new("the laboratory").unwrap());
        std::fs::write(site.path("ca.pem"), authority.certificate()).unwrap();
        let host = authority.issue(&["127.0.0.1"]).unwrap();
        host.write(&site.path(""), "host").unwrap();
        let address = free_address();
        let tls = format!(
            "tcp.listen = \"{address}\"\n[connection.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n{}",
            site.path("host.pem").display(),
            site.path("host.key").display(),
            keys.replace("CA", &site.path("ca.pem").display().to_string()),
        );
        site.connection("chemistry", "generic/hl7", &tls);
        Self { site, authority, address }
    }

    fn mutual() -> Self {
        Self::listening("client_ca = \"CA\"\nclient_names = [\"chemistry.lab\"]")
    }

    fn ca(&self) -> PathBuf {
        self.site.path("ca.pem")
    }

    fn analyzer(&self) -> TlsConnectSettings {
        TlsConnectSettings::new(self.ca(), "127.0.0.1")
    }

    fn analyzer_with(&self, issued: &Issued) -> TlsConnectSettings {
        let (certificate, key) = issued.write(&self.site.path(""), "analyzer").unwrap();
        let identity = TlsIdentity { certificate, key: KeySource::File(key) };
        TlsConnectSettings { identity: Some(identity), ..self.analyzer() }
    }

    async fn dial(&self, tls: TlsConnectSettings) -> std::io::Result<Connection> {
        let settings =
            TcpConnectSettings { tls: Some(tls), ..TcpConnectSettings::new(self.address.to_string()) };
        connect(&settings).await
    }

    fn counted(&self, series: &str) -> Option<f64> {
        let page = http_get(self.site.admin, "/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    fn rejected(&self, reason: &str) -> f64 {
        let series =
            format!("labwire_connection_rejected_total{{connection=\"chemistry\",reason=\"{reason}\"}}");
        self.counted(&series).unwrap_or(0.0)
    }

    fn reaches(&self, series: &str, at_least: f64) {
        eventually(&format!("{series} to reach {at_least}"), || {
            (self.counted(series)? >= at_least).then_some(())
        });
    }

    /// Waits for a line of the log with all these words.
    fn logs(&self, words: &[&str]) {
        eventually(&format!("{words:?} in the log"), || {
            let log = self.site.log();
            log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        });
    }

    fn status(&self) -> serde_json::Value {
        let lines = self.site.json(&["status"]);
        lines.into_iter().find(|line| line["type"] == "connection").unwrap()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Sends the message and gives the acknowledgement code of the answer.
async fn exchange(line: &mut Connection) -> String {
    line.send(MESSAGE, PATIENCE).await.unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 512]);
    while !answer.ends_with(b"\x1c\r") {
        match tokio::time::timeout(PATIENCE, line.receive(&mut buffer)).await.unwrap().unwrap() {
            Received::Bytes(count) => answer.extend_from_slice(&buffer[..count]),
            other => panic!("{other:?} behind {answer:?}"),
        }
    }
    let text = String::from_utf8(answer).unwrap();
    text.split("MSA|").nth(1).unwrap()[..2].to_owned()
}

#[test]
fn a_client_of_tls_1_2_or_1_3_with_a_good_certificate_is_served() {
    // TL-01
    let lab = Lab::listening("minimum = \"1.2\"\nclient_ca = \"CA\"\nclient_names = [\"chemistry.lab\"]");
    let _daemon = lab.site.start();
    runtime().block_on(async {
        for minimum in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let issued = lab.authority.issue(&["chemistry.lab"]).unwrap();
            let tls = TlsConnectSettings { minimum, ..lab.analyzer_with(&issued) };
            let mut line = lab.dial(tls).await.unwrap();
            assert_eq!(exchange(&mut line).await, "AA");
        }
    });
    let status = lab.status();
    assert_eq!(status["plaintext"], false);
    assert!(status["certificate_days_left"].as_i64().unwrap() > 1000, "{status}");
    assert_eq!(status["certificate_error"], serde_json::Value::Null);
    lab.reaches("labwire_tls_certificate_remaining_seconds{connection=\"chemistry\"}", 1e8);
}

#[test]
fn a_client_without_a_good_certificate_is_refused_with_its_reason_and_its_data_is_not_read() {
    // TL-02
    let lab = Lab::mutual();
    let _daemon = lab.site.start();
    let other = Authority::new("another laboratory").unwrap();
    let name = ["chemistry.lab"];
    runtime().block_on(async {
        for (issued, reason) in [
            (None, "tls-certificate-missing"),
            (Some(lab.authority.issue_expired(&name).unwrap()), "tls-certificate-expired"),
            (Some(other.issue(&name).unwrap()), "tls-certificate-unknown-ca"),
            (Some(lab.authority.issue(&["coagulation.lab"]).unwrap()), "tls-certificate-name"),
        ] {
            let tls = issued.map_or_else(|| lab.analyzer(), |issued| lab.analyzer_with(&issued));
            if let Ok(mut line) = lab.dial(tls).await {
                let _ = line.send(MESSAGE, PATIENCE).await;
                let end = tokio::time::timeout(PATIENCE, line.receive(&mut [0; 64])).await.unwrap();
                assert!(end.is_err(), "{reason}: {end:?}");
            }
            eventually(reason, || (lab.rejected(reason) == 1.0).then_some(()));
            lab.logs(&["connection_rejected", "chemistry", reason, "127.0.0.1:"]);
        }
    });
    assert_eq!(lab.counted("labwire_received_bytes_total{connection=\"chemistry\"}"), Some(0.0));
    assert_eq!(lab.counted("labwire_connection_opened_total{connection=\"chemistry\"}"), Some(0.0));
}

#[test]
fn plain_data_on_a_port_with_tls_is_refused_for_what_it_is() {
    let lab = Lab::mutual();
    let _daemon = lab.site.start();
    let mut caller = std::net::TcpStream::connect(lab.address).unwrap();
    std::io::Write::write_all(&mut caller, MESSAGE).unwrap();
    lab.logs(&["connection_rejected", "tls-none", "is TLS switched on there?"]);
    assert_eq!(lab.counted("labwire_received_bytes_total{connection=\"chemistry\"}"), Some(0.0));
}

#[test]
fn a_client_of_an_older_tls_is_refused_and_the_log_says_so() {
    // TL-03
    let lab = Lab::listening("");
    let _daemon = lab.site.start();
    for protocol in ["-tls1", "-tls1_1", "-tls1_2"] {
        let before = lab.rejected("tls-version");
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &lab.address.to_string(), protocol])
            .args(["-cipher", "DEFAULT@SECLEVEL=0"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{protocol}: {}", String::from_utf8_lossy(&output.stdout));
        eventually(protocol, || (lab.rejected("tls-version") == before + 1.0).then_some(()));
    }
    lab.logs(&["connection_rejected", "tls-version", "older TLS than the connection asks for"]);
}

#[test]
fn a_certificate_replaced_on_disk_is_for_new_connections_and_old_ones_go_on() {
    // TL-04
    let lab = Lab::listening("");
    let _daemon = lab.site.start();
    let reads = |outcome: &str| {
        format!("labwire_tls_certificate_reads_total{{connection=\"chemistry\",outcome=\"{outcome}\"}}")
    };
    runtime().block_on(async {
        let mut old = lab.dial(lab.analyzer()).await.unwrap();
        assert_eq!(exchange(&mut old).await, "AA");
        let renewed = lab.authority.issue(&["renewed.lab"]).unwrap();
        renewed.write(&lab.site.path(""), "host").unwrap();
        lab.reaches(&reads("replaced"), 1.0);
        assert_eq!(exchange(&mut old).await, "AA");
        let as_before = lab.dial(lab.analyzer()).await.unwrap_err();
        assert_eq!(TlsFault::of(&as_before), Some(TlsFault::CertificateName));
        let by_new_name = TlsConnectSettings { server_name: "renewed.lab".to_owned(), ..lab.analyzer() };
        assert_eq!(exchange(&mut lab.dial(by_new_name.clone()).await.unwrap()).await, "AA");

        // A broken one changes nothing and is told of.
        std::fs::write(lab.site.path("host.pem"), "half a cert").unwrap();
        lab.reaches(&reads("kept"), 1.0);
        lab.logs(&["certificate_kept", "host.pem holds no certificate"]);
        assert!(lab.status()["certificate_error"].as_str().unwrap().contains("host.pem"));
        assert_eq!(exchange(&mut lab.dial(by_new_name).await.unwrap()).await, "AA");
        assert_eq!(exchange(&mut old).await, "AA");
    });
}

#[test]
fn an_analyzer_of_another_name_or_authority_is_not_spoken_to_and_dialled_slowly() {
    // TL-05
    let (mut site, authority) = (Site::new(), Authority::new("the laboratory").unwrap());
    std::fs::write(site.path("ca.pem"), authority.certificate()).unwrap();
    let stranger = Authority::new("another laboratory").unwrap().issue(&["127.0.0.1"]).unwrap();
    let misnamed = authority.issue(&["coagulation.lab"]).unwrap();
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut listeners = Vec::new();
    for (name, issued) in [("stranger", stranger), ("misnamed", misnamed)] {
        let (certificate, key) = issued.write(&site.path(""), name).unwrap();
        let tls = TlsListenSettings::new(TlsIdentity { certificate, key: KeySource::File(key) });
        let settings =
            TcpListenSettings { tls: Some(tls), ..TcpListenSettings::new("127.0.0.1:0".parse().unwrap()) };
        let listener = Listener::bind(settings).unwrap();
        let address = listener.local_addr().unwrap();
        let ca = site.path("ca.pem").display().to_string();
        site.connection(
            name,
            "generic/hl7",
            &format!("tcp.connect = \"{address}\"\ntls = {{ ca = \"{ca}\" }}"),
        );
        listeners.push(listener);
    }
    let _daemon = site.start();
    for listener in &listeners {
        let refused = runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap() {
                labwire_transport::Arrival::Handshake(handshake) => handshake.complete().await,
                other => panic!("{other:?}"),
            }
        });
        assert!(refused.is_err(), "{refused:?}");
        // A back-off would have dialled again by then.
        let again = runtime.block_on(tokio::time::timeout(Duration::from_secs(3), listener.accept()));
        assert!(again.is_err(), "{again:?}");
    }
    for (name, words) in [("stranger", "comes from a CA that is not trusted"), ("misnamed", "another name")] {
        eventually(words, || {
            let log = site.log();
            let line = log.lines().find(|line| line.contains("connection_failed") && line.contains(name))?;
            assert!(line.contains(words) && line.contains("retry_seconds=300"), "{line}");
            Some(())
        });
    }
}

#[test]
fn a_key_that_others_may_read_keeps_the_daemon_from_starting() {
    let lab = Lab::listening("");
    let key: &Path = &lab.site.path("host.key");
    std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = lab.site.labwire(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("chemistry") && said.contains("0644") && said.contains("chmod 0600"), "{said}");
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn a_certificate_that_has_ended_is_told_of_everywhere() {
    let lab = Lab::listening("");
    let expired = lab.authority.issue_expired(&["127.0.0.1"]).unwrap();
    expired.write(&lab.site.path(""), "host").unwrap();
    let _daemon = lab.site.start();
    lab.logs(&["certificate_expired", "chemistry"]);
    eventually("the status to tell", || (lab.status()["certificate_days_left"].as_i64()? < 0).then_some(()));
    let seconds = lab.counted("labwire_tls_certificate_remaining_seconds{connection=\"chemistry\"}").unwrap();
    assert!(seconds < 0.0, "{seconds}");
}
