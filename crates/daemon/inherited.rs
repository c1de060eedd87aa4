//! Listening sockets that the service manager hands over (`sd_listen_fds(3)`), each by the name of its
//! connection (`FileDescriptorName=`).

use std::collections::HashMap;
use std::net::TcpListener;

use labwire_config::{EndpointConfig, SiteConfig};

use crate::exit::{Exit, Failure};

/// The sockets by connection; a connection without one binds its own.
///
/// # Errors
/// Everything that is wrong with them. A socket that nobody serves would take callers in and leave them
/// waiting, so it is not passed over.
pub(crate) fn listeners(site: &SiteConfig) -> Result<HashMap<String, TcpListener>, Failure> {
    let mut descriptors = listenfd::ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut listeners = HashMap::new();
    let mut problems = Vec::new();
    for index in 0..descriptors.len() {
        let name = names.next().unwrap_or_default();
        let taken = match descriptors.take_tcp_listener(index) {
            Ok(Some(listener)) => place(site, name, &listener).map(|()| listener),
            Ok(None) | Err(_) => Err(format!("what is handed over for \"{name}\" is no TCP socket")),
        };
        match taken {
            Ok(listener) if !listeners.contains_key(name) => {
                listeners.insert(name.to_owned(), listener);
            }
            Ok(_) => problems.push(format!(
                "two sockets are handed over for \"{name}\"; one .socket unit, one ListenStream=, one connection"
            )),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(listeners) } else { Err(Failure::new(Exit::Config, problems.join("\n"))) }
}

/// Whether the socket is that of the connection of its name.
fn place(site: &SiteConfig, name: &str, listener: &TcpListener) -> Result<(), String> {
    let listening = |name: &str| {
        site.connections.iter().find_map(|connection| match &connection.endpoint {
            EndpointConfig::TcpListen { addr, .. } if connection.name == name => Some(*addr),
            _ => None,
        })
    };
    let Some(configured) = listening(name) else {
        return Err(format!(
            "a socket is handed over for \"{name}\", and no connection of that name has `tcp.listen`; its .socket unit says FileDescriptorName="
        ));
    };
    match listener.local_addr() {
        // Port 0 of the site file is any port.
        Ok(bound) if bound.ip() == configured.ip() && [bound.port(), 0].contains(&configured.port()) => {
            Ok(())
        }
        Ok(bound) => Err(format!(
            "the socket that is handed over for \"{name}\" is bound to {bound}, and `tcp.listen` is {configured}"
        )),
        Err(error) => Err(format!("the socket that is handed over for \"{name}\" cannot be used: {error}")),
    }
}
