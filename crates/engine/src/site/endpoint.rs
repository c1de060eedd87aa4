//! Where an analyzer is: from the words of the configuration to those of the transport.

use labwire_config as config;
use labwire_config::{
    CallersConfig, DataBits, EndpointConfig, FlowControl, LineConfig, LivenessConfig, Parity, StopBits,
    TlsConnectConfig, TlsIdentityConfig, TlsListenConfig,
};
use labwire_transport::{
    Cidr, Endpoint, KeySource, LineSettings, Liveness, SerialSettings, TcpConnectSettings, TcpListenSettings,
    TlsClients, TlsConnectSettings, TlsIdentity, TlsListenSettings, TlsVersion, WhenFull,
};

pub(super) fn endpoint(endpoint: &EndpointConfig) -> Endpoint {
    match endpoint {
        EndpointConfig::TcpListen { addr, callers, liveness: alive, tls } => {
            let CallersConfig { allow, connections_max, when_full, connects_per_minute_max } = callers;
            let mut settings = TcpListenSettings::new(*addr);
            // Both write a network the same way; the text was checked when the file was read.
            settings.allow = allow.iter().filter_map(|network| network.to_string().parse().ok()).collect();
            if settings.allow.is_empty() && addr.ip().to_canonical().is_loopback() {
                settings.allow = loopback();
            }
            settings.connections_max = *connections_max;
            settings.when_full = match when_full {
                config::WhenFull::ReplaceIdle => WhenFull::ReplaceIdle,
                config::WhenFull::Refuse => WhenFull::Refuse,
            };
            settings.connects_per_minute_max = *connects_per_minute_max;
            settings.liveness = liveness(alive);
            settings.tls = tls.as_ref().map(tls_listen);
            Endpoint::TcpListen(settings)
        }
        EndpointConfig::TcpConnect { addr, liveness: alive, tls, rfc2217 } => {
            let mut settings = TcpConnectSettings::new(addr.to_string());
            settings.liveness = liveness(alive);
            settings.tls = tls.as_ref().map(tls_connect);
            settings.com_port = rfc2217.as_ref().map(line_settings);
            Endpoint::TcpConnect(settings)
        }
        EndpointConfig::Serial(serial) => Endpoint::Serial(SerialSettings {
            device: serial.device.clone(),
            line: line_settings(&serial.line),
        }),
    }
}

fn liveness(config: &LivenessConfig) -> Liveness {
    let asking = config.keepalive_interval.as_nanos().max(1);
    Liveness {
        keepalive_idle: config.keepalive_idle,
        keepalive_interval: config.keepalive_interval,
        // As many as fit into the time that the peer has; the system takes at most 127.
        keepalive_probes: u32::try_from(config.peer_timeout.as_nanos().div_ceil(asking))
            .unwrap_or(u32::MAX)
            .clamp(1, 127),
        user_timeout: config.peer_timeout,
    }
}

fn tls_listen(config: &TlsListenConfig) -> TlsListenSettings {
    TlsListenSettings {
        identity: identity(&config.identity),
        clients: config
            .clients
            .as_ref()
            .map(|clients| TlsClients { ca: clients.ca.clone(), names: clients.names.clone() }),
        minimum: version(config.minimum),
        handshake_timeout: config.handshake_timeout,
        handshakes_max: config.handshakes_max,
    }
}

fn tls_connect(config: &TlsConnectConfig) -> TlsConnectSettings {
    TlsConnectSettings {
        ca: config.ca.clone(),
        server_name: config.server_name.clone(),
        identity: config.identity.as_ref().map(identity),
        minimum: version(config.minimum),
        handshake_timeout: config.handshake_timeout,
    }
}

fn identity(config: &TlsIdentityConfig) -> TlsIdentity {
    TlsIdentity {
        certificate: config.certificate.clone(),
        key: match &config.key {
            config::KeySource::File(path) => KeySource::File(path.clone()),
            config::KeySource::Credential(name) => KeySource::Credential(name.clone()),
        },
    }
}

const fn version(version: config::TlsVersion) -> TlsVersion {
    match version {
        config::TlsVersion::Tls12 => TlsVersion::Tls12,
        config::TlsVersion::Tls13 => TlsVersion::Tls13,
    }
}

/// This machine alone.
fn loopback() -> Vec<Cidr> {
    ["127.0.0.0/8", "::1/128"].iter().filter_map(|network| network.parse().ok()).collect()
}

fn line_settings(line: &LineConfig) -> LineSettings {
    use labwire_transport as transport;
    LineSettings {
        baud: line.baud,
        data_bits: match line.data_bits {
            DataBits::Seven => transport::DataBits::Seven,
            DataBits::Eight => transport::DataBits::Eight,
        },
        parity: match line.parity {
            Parity::None => transport::Parity::None,
            Parity::Even => transport::Parity::Even,
            Parity::Odd => transport::Parity::Odd,
        },
        stop_bits: match line.stop_bits {
            StopBits::One => transport::StopBits::One,
            StopBits::Two => transport::StopBits::Two,
        },
        flow: match line.flow_control {
            FlowControl::None => transport::Flow::None,
            FlowControl::Software => transport::Flow::Software,
            FlowControl::Hardware => transport::Flow::Hardware,
        },
    }
}
