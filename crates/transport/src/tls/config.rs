//! From settings to what the TLS library wants.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::names::NamedClients;
use super::validity::not_after;
use super::{TlsConnectSettings, TlsError, TlsIdentity, TlsListenSettings, TlsVersion, files};

/// What the files of one side come to.
pub(crate) struct Loaded<C> {
    pub(crate) config: Arc<C>,
    /// When the first certificate of our own chain ends.
    pub(crate) not_after: Option<Timestamp>,
}

pub(super) fn server(settings: &TlsListenSettings) -> Result<Loaded<ServerConfig>, TlsError> {
    let own = &settings.identity.certificate;
    let (chain, key) = identity(&settings.identity)?;
    let not_after = first_end(&chain);
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.minimum))
        .map_err(|error| unusable(own, &error))?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let roots = Arc::new(roots(&clients.ca)?);
            let chain = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| TlsError::Unusable(clients.ca.clone(), error.to_string()))?;
            let names = clients.names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
            builder.with_client_cert_verifier(Arc::new(NamedClients { chain, names }))
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| unusable(own, &error))?;
    // A resumed session would not show its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded { config: Arc::new(config), not_after })
}

pub(super) fn client(settings: &TlsConnectSettings) -> Result<Loaded<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions(settings.minimum))
        .map_err(|error| unusable(&settings.ca, &error))?
        .with_root_certificates(roots(&settings.ca)?);
    let (mut config, not_after) = match &settings.identity {
        None => (builder.with_no_client_auth(), None),
        Some(own) => {
            let (chain, key) = identity(own)?;
            let not_after = first_end(&chain);
            let config = builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(&own.certificate, &error))?;
            (config, not_after)
        }
    };
    config.resumption = Resumption::disabled();
    Ok(Loaded { config: Arc::new(config), not_after })
}

/// The name that a certificate is to carry.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| TlsError::Unusable(name.into(), "it is neither a DNS name nor an IP address".to_owned()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match minimum {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_12[..1],
    }
}

fn identity(
    identity: &TlsIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    Ok((files::certificates(&identity.certificate)?, files::key(&identity.key)?))
}

fn first_end(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    chain.iter().filter_map(|certificate| not_after(certificate)).min()
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, error: &Error) -> TlsError {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch(path.to_owned()),
        other => TlsError::Unusable(path.to_owned(), other.to_string()),
    }
}
