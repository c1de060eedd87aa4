//! From a validated site file to what the engine runs.

mod endpoint;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use core::time::Duration;

use labwire_config::{ConnectionConfig, EndpointConfig, ErrorMode, LisConfig, SiteConfig};
use labwire_driver::{Library, Plan};
use labwire_schema::{Problem, Source};

use self::endpoint::endpoint;
use crate::connection::{ConnectionSettings, Limits, PeerLimits};

/// Longest message in bytes: an image-laden hematology message is well below it.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the engine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The laboratory.
    pub tenant: String,
    /// The spool's file.
    pub spool: PathBuf,
    /// The LIS database's file.
    pub lis: PathBuf,
    /// How long an identical message counts as a repetition.
    pub duplicate_window: Duration,
    /// How long an incomplete message waits for its sender before it goes to quarantine, by connection.
    pub incomplete_holds: BTreeMap<String, Duration>,
    /// The same for a connection that is not configured any more.
    pub incomplete_hold: Duration,
    /// Limits of all connections.
    pub limits: Limits,
    /// The connections.
    pub connections: Vec<ConnectionSettings>,
}

/// A driver profile that does not compile, with what is wrong.
#[derive(Debug)]
pub struct BadProfile {
    /// The connection that names it.
    pub connection: String,
    /// Its problems, by file.
    pub problems: Vec<(Source, Vec<Problem>)>,
}

impl Settings {
    /// Compiles every driver profile that the site names.
    ///
    /// # Errors
    /// Every profile that does not compile.
    pub fn from_site(site: &SiteConfig, library: &Library) -> Result<Self, Vec<BadProfile>> {
        let mut bad = Vec::new();
        let mut connections = Vec::new();
        for connection in &site.connections {
            match compile(connection, library) {
                Ok(plan) => connections.push(settings(site, connection, plan)),
                Err(problems) => bad.push(BadProfile { connection: connection.name.clone(), problems }),
            }
        }
        if !bad.is_empty() {
            return Err(bad);
        }
        let LisConfig::Sqlite { path: lis } = &site.lis;
        Ok(Self {
            tenant: site.tenant.clone(),
            spool: site.spool.path.clone(),
            lis: lis.clone(),
            duplicate_window: site.limits.duplicate_window,
            incomplete_holds: site
                .connections
                .iter()
                .map(|connection| (connection.name.clone(), connection.incomplete_hold))
                .collect(),
            incomplete_hold: site.limits.incomplete_hold,
            limits: Limits {
                persist_deadline: site.limits.persist_deadline,
                message_bytes_max: MESSAGE_BYTES_MAX,
                drain_timeout: site.limits.drain_timeout,
            },
            connections,
        })
    }
}

fn compile(connection: &ConnectionConfig, library: &Library) -> Result<Plan, Vec<(Source, Vec<Problem>)>> {
    let Some(compiled) = library.compile(&connection.driver) else { return Err(Vec::new()) };
    compiled
        .plan
        .ok_or_else(|| compiled.reports.into_iter().map(|report| (report.source, report.problems)).collect())
}

fn settings(site: &SiteConfig, connection: &ConnectionConfig, mut plan: Plan) -> ConnectionSettings {
    let capture_bytes_max =
        site.capture.enabled.then(|| usize::try_from(site.capture.bytes_max).unwrap_or(usize::MAX));
    // The site knows its cable better than the profile does.
    if let Some(mode) = connection.error_mode {
        plan.link.error_mode = Some(match mode {
            ErrorMode::Close => labwire_link::ErrorMode::Close,
            ErrorMode::Resync => labwire_link::ErrorMode::Resync,
        });
    }
    ConnectionSettings {
        name: connection.name.clone(),
        plan: Arc::new(plan),
        strict: connection.strict,
        plaintext: connection.is_plaintext(),
        on_serial: matches!(connection.endpoint, EndpointConfig::Serial(_)),
        zone: connection.time_zone.clone(),
        endpoint: endpoint(&connection.endpoint),
        peer_limits: PeerLimits {
            bytes_per_second_max: connection.limits.bytes_per_second_max,
            message_timeout: connection.limits.message_timeout,
            progress_timeout: connection.limits.progress_timeout,
            idle_timeout: connection.limits.idle_timeout,
        },
        capture_bytes_max,
    }
}
