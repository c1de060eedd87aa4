//! What the keys of `tls` say about each other and about the way to the analyzer.

use labwire_schema::{Entry, Node, Problem};

/// Keys of the side that listens, and of the side that connects.
const LISTENING: [&str; 3] = ["client_ca", "client_names", "handshakes_max"];
const CONNECTING: [&str; 2] = ["ca", "server_name"];

pub(super) fn check(connection: &Node, problems: &mut Vec<Problem>) {
    let Some(entry) = connection.entry("tls").filter(|entry| entry.node.is_table()) else { return };
    let tls = &entry.node;
    if connection.get("tcp.listen").is_some() {
        foreign(tls, &CONNECTING, "`tcp.listen`", "`tcp.connect`", problems);
        lacking(entry, "certificate", "/etc/labwire/tls/labwire.pem", problems);
        together(tls, "client_ca", "client_names", problems);
        if let Some(names) = tls.entry("client_names").filter(|names| names.node.items().is_empty()) {
            problems.push(
                Problem::error(names.node.span.clone(), "`client_names` is empty, so nobody may connect")
                    .help("write the names that stand in the analyzers' certificates"),
            );
        }
    } else if connection.get("tcp.connect").is_some() {
        foreign(tls, &LISTENING, "`tcp.connect`", "`tcp.listen`", problems);
        lacking(entry, "ca", "/etc/labwire/tls/analyzers-ca.pem", problems);
    }
    key(tls, problems);
}

fn foreign(tls: &Node, keys: &[&str], here: &str, there: &str, problems: &mut Vec<Problem>) {
    for entry in keys.iter().filter_map(|key| tls.entry(key)) {
        problems.push(
            Problem::error(entry.key_span.clone(), format!("`{}` means nothing with {here}", entry.key))
                .help(format!("it is for {there}; leave it out")),
        );
    }
}

fn lacking(entry: &Entry, key: &str, example: &str, problems: &mut Vec<Problem>) {
    if entry.node.get(key).is_none() {
        problems.push(
            Problem::error(entry.key_span.clone(), format!("`tls` lacks `{key}`"))
                .help(format!("add `{key} = \"{example}\"`")),
        );
    }
}

fn together(tls: &Node, one: &str, other: &str, problems: &mut Vec<Problem>) {
    for (there, absent) in [(one, other), (other, one)] {
        if let (Some(entry), None) = (tls.entry(there), tls.get(absent)) {
            problems.push(
                Problem::error(entry.key_span.clone(), format!("`{there}` without `{absent}`"))
                    .help(format!("add `{absent}`: a CA says who signed, the names say which analyzers")),
            );
        }
    }
}

fn key(tls: &Node, problems: &mut Vec<Problem>) {
    match (tls.entry("certificate"), tls.entry("key"), tls.entry("key_credential")) {
        (Some(certificate), None, None) => problems.push(
            Problem::error(certificate.key_span.clone(), "the certificate has no private key")
                .help("add `key = \"/etc/labwire/tls/labwire.key\"`, or `key_credential`"),
        ),
        (_, Some(file), Some(credential)) => problems.push(
            Problem::error(credential.key_span.clone(), "the private key is said to be in two places")
                .related(file.key_span.clone(), "the other one")
                .help("keep `key` or `key_credential`"),
        ),
        (None, Some(key), None) | (None, None, Some(key)) => problems.push(
            Problem::error(key.key_span.clone(), "a private key without its certificate")
                .help("add `certificate = \"/etc/labwire/tls/labwire.pem\"`"),
        ),
        _ => {}
    }
}
