//! A tree without mistakes to the typed configuration.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use labwire_schema::{Node, Shape, Table, parse_duration};

use crate::judge::sqlite_path;
use crate::keys::{self, SITE};
use crate::site::{
    AdminConfig, CallersConfig, CaptureConfig, ConnectionConfig, ControlConfig, DataBits, EndpointConfig,
    ErrorMode, FlowControl, IdentifyConfig, KeySource, LimitsConfig, LineConfig, LisConfig, LivenessConfig,
    Parity, PeerLimits, SerialConfig, SiteConfig, SpoolConfig, StopBits, TlsClientsConfig, TlsConnectConfig,
    TlsIdentityConfig, TlsListenConfig, TlsVersion, WhenFull,
};

/// The configuration; nothing only if the tree has a mistake that no check reports.
pub(crate) fn site(root: &Node) -> Option<SiteConfig> {
    let time_zone = TimeZone::get(root.text("site.time_zone")?).ok()?;
    let limits = limits(root)?;
    let connections = root
        .list("connection")
        .iter()
        .map(|node| connection(node, &time_zone, &limits))
        .collect::<Option<Vec<_>>>()?;
    Some(SiteConfig {
        tenant: root.text("site.tenant")?.to_owned(),
        spool: SpoolConfig { path: path(root, "spool.path")? },
        lis: LisConfig::Sqlite { path: PathBuf::from(sqlite_path(root.text("lis.url")?)?) },
        admin: AdminConfig { listen: text(root, "admin.listen")?.parse().ok()? },
        control: ControlConfig { socket: path(root, "control.socket")? },
        capture: CaptureConfig {
            enabled: root.bool("capture.enabled").or(default("capture.enabled")?.parse().ok())?,
            directory: path(root, "capture.directory")?,
            bytes_max: u64::try_from(integer(root, "capture.bytes_max")?).ok()?,
        },
        drivers_directory: root.text("drivers.directory").map(PathBuf::from),
        time_zone,
        limits,
        connections,
    })
}

fn limits(root: &Node) -> Option<LimitsConfig> {
    Some(LimitsConfig {
        connections_max: usize::try_from(integer(root, "limits.connections_max")?).ok()?,
        connects_per_minute_max: u32::try_from(integer(root, "limits.connects_per_minute_max")?).ok()?,
        bytes_per_second_max: u64::try_from(integer(root, "limits.bytes_per_second_max")?).ok()?,
        message_timeout: duration(root, "limits.message_timeout")?,
        progress_timeout: duration(root, "limits.progress_timeout")?,
        duplicate_window: duration(root, "limits.duplicate_window")?,
        incomplete_hold: duration(root, "limits.incomplete_hold")?,
        persist_deadline: duration(root, "limits.persist_deadline")?,
        drain_timeout: duration(root, "limits.drain_timeout")?,
    })
}

fn connection(node: &Node, site_zone: &TimeZone, limits: &LimitsConfig) -> Option<ConnectionConfig> {
    let time_zone = match node.text("time_zone") {
        Some(name) => TimeZone::get(name).ok()?,
        None => site_zone.clone(),
    };
    Some(ConnectionConfig {
        name: node.text("name")?.to_owned(),
        driver: node.text("driver")?.to_owned(),
        endpoint: endpoint(node, limits)?,
        time_zone,
        identify: identify(node),
        strict: node.bool("strict"),
        error_mode: node.text("error_mode").map(|mode| match mode {
            "close" => ErrorMode::Close,
            _ => ErrorMode::Resync,
        }),
        incomplete_hold: node.duration("incomplete_hold").unwrap_or(limits.incomplete_hold),
        limits: PeerLimits {
            bytes_per_second_max: match node.integer("bytes_per_second_max") {
                Some(bytes) => u64::try_from(bytes).ok()?,
                None => limits.bytes_per_second_max,
            },
            message_timeout: node.duration("message_timeout").unwrap_or(limits.message_timeout),
            progress_timeout: node.duration("progress_timeout").unwrap_or(limits.progress_timeout),
            idle_timeout: node.duration("idle_timeout"),
        },
    })
}

fn identify(node: &Node) -> IdentifyConfig {
    if let Some(table) = node.table("identify") {
        let signs = table.entries().iter();
        let signs = signs.filter_map(|entry| Some((entry.key.clone(), entry.node.as_text()?.to_owned())));
        return IdentifyConfig::Signs(signs.collect());
    }
    match node.text("identify") {
        Some("note") => IdentifyConfig::Note,
        Some("off") => IdentifyConfig::Off,
        _ => IdentifyConfig::Hold,
    }
}

fn endpoint(node: &Node, limits: &LimitsConfig) -> Option<EndpointConfig> {
    if let Some(listen) = node.text("tcp.listen") {
        return Some(EndpointConfig::TcpListen {
            addr: listen.parse().ok()?,
            callers: callers(node, limits)?,
            liveness: liveness(node)?,
            tls: match node.table("tls") {
                Some(tls) => Some(tls_listen(tls)?),
                None => None,
            },
        });
    }
    if let Some(connect) = node.text("tcp.connect") {
        let addr = connect.parse().ok()?;
        return Some(EndpointConfig::TcpConnect {
            addr,
            liveness: liveness(node)?,
            tls: match node.table("tls") {
                Some(tls) => Some(tls_connect(tls, addr)?),
                None => None,
            },
            rfc2217: match node.table("rfc2217") {
                Some(port) => Some(line(port, &keys::RFC2217)?),
                None => None,
            },
        });
    }
    let serial = node.table("serial")?;
    Some(EndpointConfig::Serial(SerialConfig {
        device: PathBuf::from(serial.text("device")?),
        line: line(serial, &keys::SERIAL)?,
    }))
}

fn line(node: &Node, keys: &'static Table) -> Option<LineConfig> {
    Some(LineConfig {
        baud: u32::try_from(node.integer("baud").or(default_in(keys, "baud")?.parse().ok())?).ok()?,
        data_bits: match node.integer("data_bits").or(default_in(keys, "data_bits")?.parse().ok())? {
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        },
        parity: match node.text("parity").or(default_in(keys, "parity"))? {
            "even" => Parity::Even,
            "odd" => Parity::Odd,
            _ => Parity::None,
        },
        stop_bits: match node.integer("stop_bits").or(default_in(keys, "stop_bits")?.parse().ok())? {
            2 => StopBits::Two,
            _ => StopBits::One,
        },
        flow_control: match node.text("flow_control").or(default_in(keys, "flow_control"))? {
            "software" => FlowControl::Software,
            "hardware" => FlowControl::Hardware,
            _ => FlowControl::None,
        },
    })
}

fn callers(node: &Node, limits: &LimitsConfig) -> Option<CallersConfig> {
    Some(CallersConfig {
        allow: node.texts("allow").map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?,
        connections_max: match node.integer("connections_max") {
            Some(max) => usize::try_from(max).ok()?,
            None => limits.connections_max,
        },
        when_full: match node.text("when_full") {
            Some("refuse") => WhenFull::Refuse,
            _ => WhenFull::ReplaceIdle,
        },
        connects_per_minute_max: match node.integer("connects_per_minute_max") {
            Some(max) => u32::try_from(max).ok()?,
            None => limits.connects_per_minute_max,
        },
    })
}

fn liveness(node: &Node) -> Option<LivenessConfig> {
    let of = |key| duration_in(node.get("tcp"), &keys::TCP, key);
    Some(LivenessConfig {
        keepalive_idle: of("keepalive_idle")?,
        keepalive_interval: of("keepalive_interval")?,
        peer_timeout: of("peer_timeout")?,
    })
}

fn tls_listen(tls: &Node) -> Option<TlsListenConfig> {
    let handshakes_max =
        tls.integer("handshakes_max").or(default_in(&keys::TLS, "handshakes_max")?.parse().ok());
    Some(TlsListenConfig {
        identity: tls_identity(tls)?,
        clients: tls.text("client_ca").map(|ca| TlsClientsConfig {
            ca: PathBuf::from(ca),
            names: tls.texts("client_names").map(str::to_owned).collect(),
        }),
        minimum: tls_minimum(tls),
        handshake_timeout: duration_in(Some(tls), &keys::TLS, "handshake_timeout")?,
        handshakes_max: usize::try_from(handshakes_max?).ok()?,
    })
}

fn tls_connect(tls: &Node, address: SocketAddr) -> Option<TlsConnectConfig> {
    Some(TlsConnectConfig {
        ca: PathBuf::from(tls.text("ca")?),
        server_name: tls.text("server_name").map_or_else(|| address.ip().to_string(), str::to_owned),
        identity: match tls.get("certificate") {
            Some(_) => Some(tls_identity(tls)?),
            None => None,
        },
        minimum: tls_minimum(tls),
        handshake_timeout: duration_in(Some(tls), &keys::TLS, "handshake_timeout")?,
    })
}

fn tls_identity(tls: &Node) -> Option<TlsIdentityConfig> {
    let file = tls.text("key").map(|path| KeySource::File(PathBuf::from(path)));
    let credential = || tls.text("key_credential").map(|name| KeySource::Credential(name.to_owned()));
    Some(TlsIdentityConfig {
        certificate: PathBuf::from(tls.text("certificate")?),
        key: file.or_else(credential)?,
    })
}

fn tls_minimum(tls: &Node) -> TlsVersion {
    match tls.text("minimum") {
        Some("1.2") => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    }
}

fn duration_in(node: Option<&Node>, table: &'static Table, key: &str) -> Option<Duration> {
    let written = node.and_then(|node| node.duration(key));
    written.or_else(|| parse_duration(default_in(table, key)?).ok())
}

/// What the key table says about a key that is not there, so that page and daemon agree.
fn default(path: &str) -> Option<&'static str> {
    let (table, key) = path.split_once('.')?;
    match SITE.key(table)?.shape {
        Shape::Table(table) => default_in(table, key),
        _ => None,
    }
}

fn default_in(table: &'static Table, key: &str) -> Option<&'static str> {
    Some(table.key(key)?.default?.trim_matches('"'))
}

fn text<'a>(root: &'a Node, path: &str) -> Option<&'a str> {
    root.text(path).or_else(|| default(path))
}

fn path(root: &Node, at: &str) -> Option<PathBuf> {
    text(root, at).map(PathBuf::from)
}

fn duration(root: &Node, path: &str) -> Option<Duration> {
    parse_duration(text(root, path)?).ok()
}

fn integer(root: &Node, path: &str) -> Option<i64> {
    root.integer(path).or_else(|| default(path)?.replace('_', "").parse().ok())
}
