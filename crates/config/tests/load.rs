//! From the text of a site file to its configuration, or to what is wrong with it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use labwire_config::{
    DataBits, EndpointConfig, ErrorMode, FlowControl, KeySource, LisConfig, Parity, SiteConfig, StopBits,
    TlsVersion, WhenFull, load,
};
use labwire_schema::{Severity, Source};

const TOP: &str = "[site]\ntenant = \"central-lab\"\ntime_zone = \"Africa/Cairo\"\n\
    [spool]\npath = \"/var/lib/labwire/spool.db\"\n[lis]\nurl = \"sqlite:///var/lib/labwire/lis.db\"\n";

fn drivers() -> BTreeSet<String> {
    ["generic/lis02", "generic/hl7"].map(str::to_owned).into()
}

fn site(rest: &str) -> String {
    format!("{TOP}{rest}")
}

/// One connection with these lines besides its name and driver.
fn connection(lines: &str) -> String {
    site(&format!("[[connection]]\nname = \"a\"\ndriver = \"generic/lis02\"\n{lines}\n"))
}

fn loaded(text: &str) -> SiteConfig {
    let (config, problems) = load(&Source::new("x.toml", text), &drivers());
    assert_eq!(problems, [], "{text}");
    config.unwrap()
}

fn messages(text: &str) -> Vec<String> {
    let (config, problems) = load(&Source::new("x.toml", text), &drivers());
    assert_eq!(config.is_some(), problems.iter().all(|p| p.severity == Severity::Warning), "{text}");
    problems.into_iter().map(|problem| problem.message).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_the_file_does_not_say_has_the_documented_default() {
    let config = loaded(&connection("tcp.listen = \"127.0.0.1:5600\""));
    assert_eq!(config.tenant, "central-lab");
    assert_eq!(config.time_zone.iana_name(), Some("Africa/Cairo"));
    assert_eq!(config.spool.path, Path::new("/var/lib/labwire/spool.db"));
    assert_eq!(config.lis, LisConfig::Sqlite { path: "/var/lib/labwire/lis.db".into() });
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.control.socket, Path::new("/run/labwire/control.sock"));
    assert!(config.capture.enabled);
    assert_eq!(config.capture.bytes_max, 64 * 1024 * 1024);
    assert_eq!(config.capture.directory, Path::new("/var/lib/labwire/capture"));
    assert_eq!(config.drivers_directory, None);
    assert_eq!(config.limits.connections_max, 4);
    assert_eq!(config.limits.duplicate_window, Duration::from_secs(7 * 86_400));
    assert_eq!(config.limits.incomplete_hold, Duration::from_secs(15 * 60));
    assert_eq!(config.limits.persist_deadline, Duration::from_secs(10));
    assert_eq!(config.limits.drain_timeout, Duration::from_secs(20));
    let connection = &config.connections[0];
    assert_eq!((connection.strict, connection.error_mode), (None, None));
    assert_eq!(connection.incomplete_hold, Duration::from_secs(15 * 60));
    assert_eq!(connection.time_zone, config.time_zone);
}

#[test]
fn what_the_file_says_is_what_holds() {
    let config = loaded(&site(
        "[admin]\nlisten = \"[::1]:9000\"\n[control]\nsocket = \"/tmp/c.sock\"\n\
         [capture]\nenabled = false\ndirectory = \"/srv/cap\"\nbytes_max = 1_000_000\n[drivers]\ndirectory = \"/etc/d\"\n\
         [limits]\nconnections_max = 1\nduplicate_window = \"1d\"\nincomplete_hold = \"1h\"\npersist_deadline = \"500ms\"\ndrain_timeout = \"1m\"\n\
         [[connection]]\nname = \"a\"\ndriver = \"generic/hl7\"\ntcp.connect = \"10.0.0.7:5000\"\nallow = [\"10.0.0.0/8\"]\n\
         time_zone = \"UTC\"\nstrict = true\nerror_mode = \"resync\"\nincomplete_hold = \"2m\"\n",
    ));
    assert_eq!(config.admin.listen.to_string(), "[::1]:9000");
    assert_eq!(config.control.socket, Path::new("/tmp/c.sock"));
    assert!(!config.capture.enabled);
    assert_eq!(config.capture.bytes_max, 1_000_000);
    assert_eq!(config.drivers_directory.as_deref(), Some(Path::new("/etc/d")));
    assert_eq!(config.limits.connections_max, 1);
    assert_eq!(config.limits.persist_deadline, Duration::from_millis(500));
    let connection = &config.connections[0];
    assert_eq!(connection.driver, "generic/hl7");
    let EndpointConfig::TcpConnect { addr, tls: None, .. } = &connection.endpoint else { panic!() };
    assert_eq!(addr.to_string(), "10.0.0.7:5000");
    assert_eq!((connection.strict, connection.error_mode), (Some(true), Some(ErrorMode::Resync)));
    assert_eq!(connection.incomplete_hold, Duration::from_secs(120));
    assert_eq!(connection.time_zone.iana_name(), Some("UTC"));
    assert!(connection.is_plaintext());
}

#[test]
fn a_serial_line_is_8_n_1_at_9600_unless_the_file_says_otherwise() {
    let serial = |text: &str| match loaded(&connection(text)).connections.remove(0).endpoint {
        EndpointConfig::Serial(serial) => serial.line,
        EndpointConfig::TcpConnect { rfc2217: Some(line), .. } => line,
        other => panic!("{other:?}"),
    };
    let line = serial("serial = { device = \"/dev/pts/3\" }");
    assert_eq!((line.baud, line.data_bits, line.parity), (9600, DataBits::Eight, Parity::None));
    assert_eq!((line.stop_bits, line.flow_control), (StopBits::One, FlowControl::None));
    let line = serial(
        "serial = { device = \"/dev/pts/3\", baud = 300, data_bits = 7, parity = \"odd\", stop_bits = 2, flow_control = \"software\" }",
    );
    assert_eq!((line.baud, line.data_bits, line.parity), (300, DataBits::Seven, Parity::Odd));
    assert_eq!((line.stop_bits, line.flow_control), (StopBits::Two, FlowControl::Software));
    let there = |keys: &str| serial(&format!("tcp.connect = \"127.0.0.1:4001\"\nrfc2217 = {{ {keys} }}"));
    assert_eq!(there(""), serial("serial = { device = \"/dev/pts/3\" }"), "behind a terminal server too");
    assert_eq!(
        there("baud = 300, data_bits = 7, parity = \"odd\", stop_bits = 2, flow_control = \"software\""),
        line
    );
}

#[test]
fn only_those_who_are_allowed_may_connect() {
    let endpoint = |text: &str| loaded(&connection(text)).connections.remove(0).endpoint;
    let lab = endpoint("tcp.listen = \"0.0.0.0:5600\"\nallow = [\"10.20.0.0/16\", \"192.168.1.9\"]");
    assert!(lab.admits(address("10.20.3.4")) && lab.admits(address("192.168.1.9")));
    assert!(lab.admits(address("::ffff:10.20.3.4")), "an IPv4 peer of a dual-stack socket");
    assert!(!lab.admits(address("192.168.1.10")) && !lab.admits(address("127.0.0.1")));
    let here = endpoint("tcp.listen = \"127.0.0.1:5600\"");
    assert!(here.admits(address("127.0.0.1")) && !here.admits(address("10.20.3.4")));
}

#[test]
fn a_connection_has_the_limits_of_the_site_unless_it_has_its_own() {
    let listening = |lines: &str| {
        let text = format!(
            "[limits]\nconnections_max = 2\nconnects_per_minute_max = 30\nbytes_per_second_max = 4096\n\
             message_timeout = \"5m\"\nprogress_timeout = \"1m\"\n[[connection]]\nname = \"a\"\n\
             driver = \"generic/lis02\"\ntcp.listen = \"127.0.0.1:5600\"\n{lines}"
        );
        let connection = loaded(&site(&text)).connections.remove(0);
        let EndpointConfig::TcpListen { callers, liveness, .. } = connection.endpoint else { panic!() };
        (callers, liveness, connection.limits)
    };
    let (callers, liveness, limits) = listening("");
    assert_eq!((callers.connections_max, callers.connects_per_minute_max), (2, 30));
    assert_eq!(callers.when_full, WhenFull::ReplaceIdle);
    assert_eq!(limits.bytes_per_second_max, 4096);
    assert_eq!((limits.message_timeout, limits.progress_timeout), (seconds(300), seconds(60)));
    assert_eq!(limits.idle_timeout, None);
    assert_eq!((liveness.keepalive_idle, liveness.keepalive_interval), (seconds(60), seconds(10)));
    assert_eq!(liveness.peer_timeout, seconds(30));
    let (callers, liveness, limits) = listening(
        "connections_max = 1\nwhen_full = \"refuse\"\nconnects_per_minute_max = 10\nbytes_per_second_max = 2048\n\
         message_timeout = \"3s\"\nprogress_timeout = \"2s\"\nidle_timeout = \"1h\"\ntcp.keepalive_idle = \"5s\"\n\
         tcp.keepalive_interval = \"1s\"\ntcp.peer_timeout = \"4s\"\n",
    );
    assert_eq!((callers.connections_max, callers.connects_per_minute_max), (1, 10));
    assert_eq!(callers.when_full, WhenFull::Refuse);
    assert_eq!(limits.bytes_per_second_max, 2048);
    assert_eq!((limits.message_timeout, limits.progress_timeout), (seconds(3), seconds(2)));
    assert_eq!(limits.idle_timeout, Some(seconds(3600)));
    assert_eq!((liveness.keepalive_idle, liveness.keepalive_interval), (seconds(5), seconds(1)));
    assert_eq!(liveness.peer_timeout, seconds(4));
}

#[test]
fn tls_is_1_3_with_the_address_as_name_unless_the_file_says_otherwise() {
    let endpoint = |text: &str| loaded(&connection(text)).connections.remove(0).endpoint;
    let identity = "certificate = \"/t/c.pem\", key = \"/t/c.key\"";
    let listening = endpoint(&format!("tcp.listen = \"127.0.0.1:5600\"\ntls = {{ {identity} }}"));
    let EndpointConfig::TcpListen { tls: Some(tls), .. } = listening else { panic!() };
    assert_eq!((tls.minimum, tls.handshakes_max, &tls.clients), (TlsVersion::Tls13, 16, &None));
    assert_eq!(tls.handshake_timeout, seconds(10));
    assert_eq!(tls.identity.key, KeySource::File("/t/c.key".into()));
    let connecting = endpoint(
        "tcp.connect = \"10.0.0.7:5000\"\n[connection.tls]\nca = \"/t/ca.pem\"\nminimum = \"1.2\"\n\
         certificate = \"/t/c.pem\"\nkey_credential = \"tls-key\"\nhandshake_timeout = \"3s\"",
    );
    let EndpointConfig::TcpConnect { tls: Some(tls), .. } = connecting else { panic!() };
    assert_eq!((tls.server_name.as_str(), tls.minimum), ("10.0.0.7", TlsVersion::Tls12));
    assert_eq!(tls.identity.unwrap().key, KeySource::Credential("tls-key".to_owned()));
    assert_eq!(tls.handshake_timeout, seconds(3));
}

#[test]
fn where_certificates_say_who_may_connect_no_network_has_to() {
    let identity = "certificate = \"/t/c.pem\", key = \"/t/c.key\"";
    let mutual = loaded(&connection(&format!(
        "tcp.listen = \"0.0.0.0:5600\"\ntls = {{ {identity}, client_ca = \"/t/ca.pem\", client_names = [\"a.lab\", \"10.0.0.7\"] }}"
    )));
    assert!(!mutual.connections[0].is_plaintext());
    assert!(mutual.connections[0].endpoint.admits(address("203.0.113.9")));
    assert_eq!(
        messages(&connection(&format!("tcp.listen = \"0.0.0.0:5600\"\ntls = {{ {identity} }}"))),
        ["results come to 0.0.0.0:5600 from anyone"]
    );
    assert_eq!(
        messages(&connection("tcp.connect = \"10.0.0.7:5000\"\ntls = { ca = \"/t/ca.pem\" }")),
        [] as [&str; 0]
    );
}

#[test]
fn keys_beside_an_address_lead_to_no_analyzer() {
    assert_eq!(
        messages(&connection("tcp.peer_timeout = \"5s\"")),
        ["connection \"a\" does not say how the analyzer is reached"]
    );
}

#[test]
fn plaintext_is_what_leaves_the_machine_over_a_network() {
    let plaintext = |text: &str| loaded(&connection(text)).connections[0].is_plaintext();
    assert!(plaintext("tcp.listen = \"10.20.0.5:5600\"\nallow = [\"10.20.0.0/16\"]"));
    assert!(!plaintext("tcp.listen = \"127.0.0.1:5600\""));
    assert!(!plaintext("tcp.connect = \"[::1]:5600\""));
    assert!(!plaintext("serial = { device = \"/dev/pts/3\" }"));
}

#[test]
fn a_network_address_needs_allow_and_a_loopback_address_does_not() {
    assert_eq!(
        messages(&connection("tcp.listen = \"10.20.0.5:5600\"")),
        ["results come to 10.20.0.5:5600 in clear, and from anyone"]
    );
    assert_eq!(
        messages(&connection("tcp.connect = \"10.20.0.5:5600\"")),
        ["results come from 10.20.0.5:5600 in clear"]
    );
    assert_eq!(messages(&connection("tcp.listen = \"0.0.0.0:5600\"")).len(), 1);
    assert_eq!(messages(&connection("tcp.listen = \"127.9.0.1:5600\"")), [] as [&str; 0]);
    assert_eq!(messages(&connection("tcp.connect = \"[::1]:5600\"")), [] as [&str; 0]);
}

#[test]
fn two_listeners_clash_if_one_address_stands_for_the_other() {
    let two = |a: &str, b: &str| {
        messages(&site(&format!(
            "[[connection]]\nname = \"a\"\ndriver = \"generic/hl7\"\ntcp.listen = \"{a}\"\nallow = [\"10.0.0.0/8\"]\n\
             [[connection]]\nname = \"b\"\ndriver = \"generic/hl7\"\ntcp.listen = \"{b}\"\nallow = [\"10.0.0.0/8\"]\n"
        )))
        .into_iter()
        .filter(|message| message.contains("taken"))
        .count()
    };
    assert_eq!(two("10.0.0.1:5600", "10.0.0.1:5600"), 1);
    assert_eq!(two("10.0.0.1:5600", "0.0.0.0:5600"), 1);
    assert_eq!(two("[::]:5600", "10.0.0.1:5600"), 1, "[::] takes IPv4 too");
    assert_eq!(two("0.0.0.0:5600", "[::1]:5600"), 0, "0.0.0.0 takes no IPv6");
    assert_eq!(two("10.0.0.1:5600", "10.0.0.2:5600"), 0);
    assert_eq!(two("10.0.0.1:5600", "10.0.0.1:5601"), 0);
    assert_eq!(two("127.0.0.1:0", "127.0.0.1:0"), 0, "port 0 is another one each time");
    assert_eq!(two("10.0.0.1:5600", "0.0.0.0:8080"), 1, "where HTTP is served by default");
}

#[test]
fn a_warning_does_not_refuse_the_file() {
    let (config, problems) =
        load(&Source::new("x.toml", connection("serial = { device = \"/dev/ttyUSB0\" }")), &drivers());
    assert!(config.is_some());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].severity, Severity::Warning);
    assert!(!messages(&connection("tcp.listen = \"127.0.0.1:0\"")).is_empty());
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_even_if_the_rest_is_right() {
    let mut bytes = connection("tcp.listen = \"127.0.0.1:5600\" # caf").into_bytes();
    bytes.truncate(bytes.len() - 1);
    bytes.push(0xe9);
    let (config, problems) = load(&Source::decode("x.toml", &bytes), &drivers());
    assert!(config.is_none());
    assert_eq!(problems.len(), 1);
}

#[test]
fn mistakes_of_every_kind_are_reported_together() {
    let found = messages(
        "[site]\ntenant = \"Lab\"\ntime_zone = \"Nowhere\"\n[spool]\npath = \"x\"\n[lis]\nurl = \"ftp://x\"\n[extra]\n\
         [[connection]]\nname = \"a\"\ndriver = \"generic/unknown\"\n[[connection]]\nname = \"a\"\ndriver = \"generic/hl7\"\ntcp.listen = \"x\"\n",
    );
    assert_eq!(found.len(), 9, "{found:#?}");
}

#[test]
fn a_url_says_what_is_wrong_with_it_and_never_a_password() {
    let url = |url: &str| messages(&TOP.replace("sqlite:///var/lib/labwire/lis.db", url)).remove(0);
    assert_eq!(url("postgres://u:hunter2@h/d"), "a password does not belong in this file");
    assert_eq!(url("postgres://h/d?user=u&password=hunter2"), "a password does not belong in this file");
    assert_eq!(url("sqlite://u:hunter2@/x.db"), "a password does not belong in this file");
    assert_eq!(url("postgres://h/d"), "PostgreSQL is not supported by this version");
    assert_eq!(url("mysql://h/d"), "results cannot go to `mysql://`");
    assert_eq!(url("sqlite://x.db"), "the file of the database must be an absolute path");
    assert_eq!(url("sqlite:///x.db?mode=ro"), "`?` cannot stand in this URL");
    assert_eq!(url("/x.db"), "`/x.db` is not a URL");
    assert_eq!(url("sqlite:///x/"), "the path ends with `/`");
}

#[test]
fn an_address_says_what_it_lacks() {
    let listen = |text: &str| messages(&connection(&format!("tcp.listen = \"{text}\""))).remove(0);
    assert_eq!(listen("127.0.0.1"), "`127.0.0.1` has no port");
    assert_eq!(listen("::1"), "`::1` has no port");
    assert_eq!(listen("5600"), "`5600` is a port without an address");
    assert_eq!(listen(":5600"), "`:5600` has no address");
    assert_eq!(listen("127.0.0.1:"), "the port is missing");
    assert_eq!(listen("127.0.0.1:99999"), "`99999` is not a port");
    assert_eq!(listen("localhost:1"), "`localhost` is a name");
    assert_eq!(listen("host.example:1"), "`host.example` is not an IP address");
    assert_eq!(listen("300.1.1.1:1"), "`300.1.1.1` is not an IP address");
    assert_eq!(listen(""), "`` is not an address");
    let connect = |text: &str| messages(&connection(&format!("tcp.connect = \"{text}\""))).remove(0);
    assert_eq!(connect("0.0.0.0:1"), "`0.0.0.0` is no address to connect to");
    assert_eq!(connect("127.0.0.1:0"), "nobody listens on port 0");
}

#[test]
fn a_name_is_small_letters_digits_and_hyphens() {
    let tenant =
        |text: &str| messages(&connection("tcp.listen = \"127.0.0.1:5600\"").replace("central-lab", text));
    assert_eq!(tenant("lab-2"), [] as [&str; 0]);
    assert_eq!(tenant(&"a".repeat(63)), [] as [&str; 0]);
    assert_eq!(tenant(&"a".repeat(64)), ["a name has at most 63 characters"]);
    assert_eq!(tenant("Lab"), ["`L` cannot stand in a name"]);
    assert_eq!(tenant("../lab"), ["`.` cannot stand in a name"]);
    assert_eq!(tenant("lab-"), ["a name begins and ends with a letter or a digit"]);
    assert_eq!(tenant(""), ["empty name"]);
}

#[test]
fn the_key_table_is_the_json_schema_of_the_file() {
    let schema: serde_json::Value = serde_json::from_str(&labwire_config::json_schema()).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["site", "spool", "lis", "connection"]));
    assert_eq!(schema["$defs"]["capture"]["properties"]["bytes_max"]["default"], 67_108_864);
}

#[test]
fn the_directory_of_profiles_is_known_before_the_file_is_right() {
    let source = Source::new("x.toml", "[site\n[drivers]\ndirectory = \"/etc/labwire/drivers\"\n");
    assert_eq!(
        labwire_config::drivers_directory(&source).as_deref(),
        Some(Path::new("/etc/labwire/drivers"))
    );
}
