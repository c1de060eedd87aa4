//! From a validated site file to what the engine runs.

mod endpoint;

use std::path::PathBuf;
use std::sync::Arc;

use core::time::Duration;

use labwire_config::{ConnectionConfig, ErrorMode, IdentifyConfig, LisConfig, SiteConfig};
use labwire_driver::{Library, Plan};
use labwire_schema::{Problem, Source};
use labwire_session::Identity;

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
    /// How long an incomplete message of a connection that is not configured any more is held.
    pub incomplete_hold: Duration,
    /// Bound of the capture ring of each connection in bytes; `None` for no rings.
    pub capture_bytes_max: Option<usize>,
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
    /// What the connection asks of it that it cannot give.
    pub sentences: Vec<String>,
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
                Err(profile) => bad.push(profile),
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
            incomplete_hold: site.limits.incomplete_hold,
            capture_bytes_max: capture_bytes_max(site),
            limits: Limits {
                persist_deadline: site.limits.persist_deadline,
                message_bytes_max: MESSAGE_BYTES_MAX,
                drain_timeout: site.limits.drain_timeout,
            },
            connections,
        })
    }
}

fn compile(connection: &ConnectionConfig, library: &Library) -> Result<Plan, BadProfile> {
    let mut bad =
        BadProfile { connection: connection.name.clone(), problems: Vec::new(), sentences: Vec::new() };
    let Some(compiled) = library.compile(&connection.driver) else { return Err(bad) };
    let Some(plan) = compiled.plan else {
        bad.problems = compiled.reports.into_iter().map(|report| (report.source, report.problems)).collect();
        return Err(bad);
    };
    match &connection.identify {
        IdentifyConfig::Signs(signs) => plan.identified_by(signs).map_err(|sentence| {
            bad.sentences.push(format!("`identify` of connection `{}`: {sentence}", connection.name));
            bad
        }),
        _ => Ok(plan),
    }
}

fn settings(site: &SiteConfig, connection: &ConnectionConfig, mut plan: Plan) -> ConnectionSettings {
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
        identity: match connection.identify {
            IdentifyConfig::Hold | IdentifyConfig::Signs(_) => Identity::Hold,
            IdentifyConfig::Note => Identity::Note,
            IdentifyConfig::Off => Identity::Off,
        },
        signs: match &connection.identify {
            IdentifyConfig::Signs(signs) => signs.clone(),
            _ => Vec::new(),
        },
        strict: connection.strict,
        plaintext: connection.is_plaintext(),
        on_serial: connection.endpoint.is_serial(),
        zone: connection.time_zone.clone(),
        endpoint: endpoint(&connection.endpoint),
        peer_limits: PeerLimits {
            bytes_per_second_max: connection.limits.bytes_per_second_max,
            message_timeout: connection.limits.message_timeout,
            progress_timeout: connection.limits.progress_timeout,
            idle_timeout: connection.limits.idle_timeout,
        },
        capture_bytes_max: capture_bytes_max(site),
        incomplete_hold: connection.incomplete_hold,
    }
}

fn capture_bytes_max(site: &SiteConfig) -> Option<usize> {
    site.capture.enabled.then(|| usize::try_from(site.capture.bytes_max).unwrap_or(usize::MAX))
}
