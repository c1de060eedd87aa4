//! A tree without mistakes to the typed configuration.

use core::time::Duration;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use labwire_schema::{Node, Shape, Table, parse_duration};

use crate::judge::sqlite_path;
use crate::keys::{self, SITE};
use crate::site::{
    AdminConfig, CaptureConfig, ConnectionConfig, ControlConfig, DataBits, EndpointConfig, ErrorMode,
    FlowControl, LimitsConfig, LisConfig, Parity, SerialConfig, SiteConfig, SpoolConfig, StopBits,
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
        endpoint: endpoint(node)?,
        time_zone,
        strict: node.bool("strict"),
        error_mode: node.text("error_mode").map(|mode| match mode {
            "close" => ErrorMode::Close,
            _ => ErrorMode::Resync,
        }),
        incomplete_hold: node.duration("incomplete_hold").unwrap_or(limits.incomplete_hold),
    })
}

fn endpoint(node: &Node) -> Option<EndpointConfig> {
    if let Some(listen) = node.text("tcp.listen") {
        let allow = node.texts("allow").map(|text| text.parse().ok()).collect::<Option<Vec<_>>>()?;
        return Some(EndpointConfig::TcpListen { addr: listen.parse().ok()?, allow });
    }
    if let Some(connect) = node.text("tcp.connect") {
        return Some(EndpointConfig::TcpConnect { addr: connect.parse().ok()? });
    }
    let serial = node.table("serial")?;
    let keys = &keys::SERIAL;
    Some(EndpointConfig::Serial(SerialConfig {
        device: PathBuf::from(serial.text("device")?),
        baud: u32::try_from(serial.integer("baud").or(default_in(keys, "baud")?.parse().ok())?).ok()?,
        data_bits: match serial.integer("data_bits").or(default_in(keys, "data_bits")?.parse().ok())? {
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        },
        parity: match serial.text("parity").or(default_in(keys, "parity"))? {
            "even" => Parity::Even,
            "odd" => Parity::Odd,
            _ => Parity::None,
        },
        stop_bits: match serial.integer("stop_bits").or(default_in(keys, "stop_bits")?.parse().ok())? {
            2 => StopBits::Two,
            _ => StopBits::One,
        },
        flow_control: match serial.text("flow_control").or(default_in(keys, "flow_control"))? {
            "software" => FlowControl::Software,
            "hardware" => FlowControl::Hardware,
            _ => FlowControl::None,
        },
    }))
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
