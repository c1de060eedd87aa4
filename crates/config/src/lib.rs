//! The site file `labwire.toml`: TOML to a validated [`SiteConfig`].
//!
//! [`load`] gives a configuration only if nothing is wrong, and otherwise everything that is: what
//! the key table says about each value, then what the values say about each other.

#![forbid(unsafe_code)]

mod build;
mod cross;
mod judge;
mod keys;
mod kind;
mod network;
mod page;
mod site;

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use keys::SITE;
pub use kind::is_site_file;
pub use network::Network;
pub use page::{json_schema, reference_markdown};
pub use site::{
    AdminConfig, CallersConfig, CaptureConfig, ConnectionConfig, ControlConfig, DataBits, EndpointConfig,
    ErrorMode, FlowControl, IdentifyConfig, KeySource, LimitsConfig, LineConfig, LisConfig, LivenessConfig,
    Parity, PeerLimits, SerialConfig, SiteConfig, SpoolConfig, StopBits, TlsClientsConfig, TlsConnectConfig,
    TlsIdentityConfig, TlsListenConfig, TlsVersion, WhenFull,
};

use labwire_schema::{Problem, Source, has_errors, read};

/// Which driver profiles there are.
pub trait DriverNames {
    /// Whether there is a profile of this id (`vendor/model`).
    fn knows(&self, id: &str) -> bool;
    /// All ids, for suggestions.
    fn ids(&self) -> Vec<String>;
}

impl DriverNames for BTreeSet<String> {
    fn knows(&self, id: &str) -> bool {
        self.contains(id)
    }

    fn ids(&self) -> Vec<String> {
        self.iter().cloned().collect()
    }
}

impl DriverNames for labwire_driver::Library {
    fn knows(&self, id: &str) -> bool {
        !self.sources(id).is_empty()
    }

    fn ids(&self) -> Vec<String> {
        Self::ids(self).into_iter().map(str::to_owned).collect()
    }
}

/// Reads a site file. The configuration is there if no problem is an error.
#[must_use]
pub fn load(source: &Source, drivers: &dyn DriverNames) -> (Option<SiteConfig>, Vec<Problem>) {
    let (tree, mut problems) = read(source, &SITE);
    cross::check(&tree, drivers, &mut problems);
    if has_errors(&problems) || !tree.whole {
        return (None, problems);
    }
    (build::site(&tree.root), problems)
}

/// The directory of the site's own driver profiles, which must be read before [`load`] can know
/// their names. Says nothing about mistakes; [`load`] does.
#[must_use]
pub fn drivers_directory(source: &Source) -> Option<PathBuf> {
    let (tree, _) = read(source, &SITE);
    tree.root.text("drivers.directory").map(PathBuf::from)
}

/// The directory of the site's code tables, which are laid over the driver profiles.
#[must_use]
pub fn codes_directory(source: &Source) -> Option<PathBuf> {
    let (tree, _) = read(source, &SITE);
    tree.root.text("codes.directory").map(PathBuf::from)
}
