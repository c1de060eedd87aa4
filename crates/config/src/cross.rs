//! What the values of a site file say about each other.

mod tls;

use std::net::SocketAddr;

use labwire_schema::{Entry, Node, Problem, Tree, suggest};

use crate::DriverNames;
use crate::judge::{self, sqlite_path};
use crate::keys::ADMIN_LISTEN_DEFAULT;
use crate::network::Network;

/// Adds what is wrong between values that are right by themselves; values that are not are passed
/// over, because they are reported already.
pub(crate) fn check(tree: &Tree, drivers: &dyn DriverNames, problems: &mut Vec<Problem>) {
    let root = &tree.root;
    let connections = connections(root);
    no_connection(root, problems);
    names(&connections, problems);
    listening(root, &connections, problems);
    shared(&connections, "serial.device", "serial line", problems);
    shared(&connections, "tcp.connect", "analyzer", problems);
    files(root, problems);
    for connection in &connections {
        driver(connection, drivers, problems);
        endpoint(connection, tree.whole, problems);
    }
}

fn connections(root: &Node) -> Vec<&Node> {
    root.list("connection").iter().filter(|connection| connection.is_table()).collect()
}

fn no_connection(root: &Node, problems: &mut Vec<Problem>) {
    if let Some(entry) = root.entry("connection")
        && !entry.node.is_table()
        && entry.node.items().is_empty()
    {
        problems.push(
            Problem::error(entry.node.span.clone(), "no connection is configured")
                .help("add `[[connection]]` with `name`, `driver` and `tcp.listen`"),
        );
    }
}

fn names(connections: &[&Node], problems: &mut Vec<Problem>) {
    for (position, connection) in connections.iter().enumerate() {
        let Some(entry) = connection.entry("name") else { continue };
        let Some(name) = entry.node.as_text() else { continue };
        let Some(first) = connections[..position].iter().find(|other| other.text("name") == Some(name))
        else {
            continue;
        };
        problems.push(
            Problem::error(entry.node.span.clone(), format!("two connections are called \"{name}\""))
                .related(first.span_of("name"), "the first one")
                .help("give each connection its own name: results and counters are kept by it"),
        );
    }
}

/// Something that listens, and what it is called.
struct Listener<'a> {
    address: SocketAddr,
    node: Option<&'a Node>,
    called: String,
}

fn listening(root: &Node, connections: &[&Node], problems: &mut Vec<Problem>) {
    let mut listeners: Vec<Listener<'_>> = Vec::new();
    let admin = root.get("admin.listen");
    if let Some(address) =
        address(admin).or_else(|| ADMIN_LISTEN_DEFAULT.parse().ok().filter(|_| admin.is_none()))
    {
        listeners.push(Listener { address, node: admin, called: "`admin.listen`".to_owned() });
    }
    for connection in connections {
        let node = connection.get("tcp.listen");
        let Some(address) = address(node) else { continue };
        let called = match connection.text("name") {
            Some(name) => format!("connection \"{name}\""),
            None => "another connection".to_owned(),
        };
        listeners.push(Listener { address, node, called });
    }
    listeners.sort_by_key(|listener| listener.node.map_or(0, |node| node.span.start));
    for (position, listener) in listeners.iter().enumerate() {
        let clash = listeners[..position].iter().find(|other| overlap(other.address, listener.address));
        let (Some(first), Some(node)) = (clash, listener.node) else { continue };
        let port = listener.address.port();
        let message = format!("port {port} is taken by {}", first.called);
        let problem = Problem::error(node.span.clone(), message);
        problems.push(match first.node {
            Some(first) => problem.related(first.span.clone(), "the first one").help(if same_ip(listener, first) {
                "give each its own port".to_owned()
            } else {
                format!("give each its own port: {} stands for every address of this machine", unspecified(listener.address, first))
            }),
            None => problem.help(format!(
                "`admin.listen` is \"{ADMIN_LISTEN_DEFAULT}\" unless the file says otherwise; give one of them another port"
            )),
        });
    }
}

fn same_ip(listener: &Listener<'_>, first: &Node) -> bool {
    address(Some(first)).is_some_and(|first| first.ip() == listener.address.ip())
}

fn unspecified(address_here: SocketAddr, first: &Node) -> String {
    match address(Some(first)) {
        Some(first) if first.ip().is_unspecified() => first.ip().to_string(),
        _ => address_here.ip().to_string(),
    }
}

/// Whether two sockets cannot both be bound. Port 0 is another one each time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let (ip_a, ip_b) = (a.ip(), b.ip());
    let same_family = ip_a.is_ipv4() == ip_b.is_ipv4();
    // `[::]` takes IPv4 too.
    let covers = |wide: std::net::IpAddr| wide.is_unspecified() && (same_family || wide.is_ipv6());
    a.port() != 0 && a.port() == b.port() && (ip_a == ip_b || covers(ip_a) || covers(ip_b))
}

fn address(node: Option<&Node>) -> Option<SocketAddr> {
    node?.as_text()?.parse().ok()
}

/// What only one connection can have.
fn shared(connections: &[&Node], path: &str, what: &str, problems: &mut Vec<Problem>) {
    for (position, connection) in connections.iter().enumerate() {
        let Some(node) = connection.get(path) else { continue };
        let Some(text) = node.as_text() else { continue };
        if let Some(first) = connections[..position].iter().find(|other| other.text(path) == Some(text)) {
            problems.push(
                Problem::error(node.span.clone(), format!("two connections use the same {what}"))
                    .related(first.span_of(path), "the first one")
                    .help(format!("one {what}, one connection")),
            );
        }
    }
}

fn files(root: &Node, problems: &mut Vec<Problem>) {
    let (Some(spool), Some(lis)) = (root.entry("spool.path"), root.entry("lis.url")) else { return };
    let lis_path = lis.node.as_text().and_then(sqlite_path);
    if lis_path.is_some() && lis_path == spool.node.as_text() {
        let (first, second) = in_order(spool, lis);
        problems.push(
            Problem::error(second.node.span.clone(), "the spool and the LIS database are the same file")
                .related(first.node.span.clone(), "the first one")
                .help("the spool is Labwire's alone; give the LIS a file of its own"),
        );
    }
}

fn in_order<'a>(a: &'a Entry, b: &'a Entry) -> (&'a Entry, &'a Entry) {
    if a.key_span.start < b.key_span.start { (a, b) } else { (b, a) }
}

fn driver(connection: &Node, drivers: &dyn DriverNames, problems: &mut Vec<Problem>) {
    let Some(node) = connection.get("driver") else { return };
    let Some(id) = node.as_text() else { return };
    // A text that is no id is reported by its shape.
    if drivers.knows(id) || judge::driver(id).is_err() {
        return;
    }
    let ids = drivers.ids();
    let (vendor, model) = id.split_once('/').unwrap_or((id, ""));
    let same_model = ids.iter().find(|known| known.rsplit('/').next() == Some(model));
    let of_vendor: Vec<&str> =
        ids.iter().map(String::as_str).filter(|known| known.split('/').next() == Some(vendor)).collect();
    let meant = suggest(id, ids.iter().map(String::as_str)).or(same_model.map(String::as_str));
    problems.push(Problem::error(node.span.clone(), format!("there is no driver profile \"{id}\"")).help(
        match (meant, of_vendor.as_slice()) {
            (Some(meant), _) => format!("did you mean \"{meant}\"?"),
            (None, [_, ..]) => format!("of this vendor there is {}", quoted(&of_vendor)),
            (None, []) => "`labwire driver list` shows them all; \"generic/lis02\" and \"generic/hl7\" hold what they receive until there is a profile".to_owned(),
        },
    ));
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn endpoint(connection: &Node, whole: bool, problems: &mut Vec<Problem>) {
    let named = connection
        .text("name")
        .map_or_else(|| "this connection".to_owned(), |name| format!("connection \"{name}\""));
    let ways: Vec<&Entry> = ["tcp.listen", "tcp.connect", "serial"]
        .into_iter()
        .filter_map(|path| connection.entry(path))
        .collect();
    match ways.as_slice() {
        // What a broken file seems to lack may stand in a line that could not be read.
        [] if whole && connection.get("tcp").is_none_or(leads_nowhere) => problems.push(
            Problem::error(connection.span.clone(), format!("{named} does not say how the analyzer is reached"))
                .help("add `tcp.listen = \"10.20.0.5:5600\"`, `tcp.connect = \"10.0.0.7:5000\"`\nor `serial = { device = \"/dev/serial/by-id/…\", baud = 9600 }`"),
        ),
        [] | [_] => {}
        several => {
            let mut several = several.to_vec();
            several.sort_by_key(|entry| entry.key_span.start);
            let mut problem = Problem::error(
                several[several.len() - 1].key_span.clone(),
                format!("{named} says more than one way to reach the analyzer"),
            );
            for other in &several[..several.len() - 1] {
                problem = problem.related(other.key_span.clone(), "another way");
            }
            problems.push(problem.help("keep one of `tcp.listen`, `tcp.connect` and `serial`, or make two connections"));
        }
    }
    plaintext(connection, whole, problems);
    serial_device(connection, problems);
    meaningless(connection, problems);
    if whole {
        tls::check(connection, problems);
    }
}

/// Whether a `tcp` table has nothing but keys that stand beside an address.
fn leads_nowhere(tcp: &Node) -> bool {
    const BESIDE: [&str; 3] = ["keepalive_idle", "keepalive_interval", "peer_timeout"];
    tcp.is_table() && tcp.entries().iter().all(|entry| BESIDE.contains(&entry.key.as_str()))
}

/// Keys about callers where nobody calls, about the network where there is none, and about a terminal
/// server where none is dialled.
fn meaningless(connection: &Node, problems: &mut Vec<Problem>) {
    const CALLERS: [&str; 3] = ["connections_max", "when_full", "connects_per_minute_max"];
    const NETWORK: [&str; 2] = ["idle_timeout", "tls"];
    const TERMINAL_SERVER: [&str; 1] = ["rfc2217"];
    let (on, keys): (_, &[&[&str]]) = if connection.get("tcp.listen").is_some() {
        ("where the analyzer connects to us", &[&TERMINAL_SERVER])
    } else if connection.get("tcp.connect").is_some() {
        ("where we connect to the analyzer", &[&CALLERS])
    } else if connection.get("serial").is_some() {
        ("on a serial line", &[&CALLERS, &NETWORK, &TERMINAL_SERVER])
    } else {
        return;
    };
    for key in keys.iter().copied().flatten() {
        if let Some(entry) = connection.entry(key) {
            problems.push(
                Problem::error(entry.key_span.clone(), format!("`{key}` means nothing {on}"))
                    .help("leave it out"),
            );
        }
    }
}

/// Where results cross the network in clear, or from whoever connects, the file must say which network.
fn plaintext(connection: &Node, whole: bool, problems: &mut Vec<Problem>) {
    let allow = connection.entry("allow");
    if let Some(entry) = allow
        && entry.node.items().is_empty()
        && !entry.node.is_table()
    {
        problems.push(
            Problem::error(entry.node.span.clone(), "`allow` is empty, so nobody may connect")
                .help("name the network of the analyzer, such as \"10.20.0.0/16\""),
        );
    }
    if let (Some(allow), Some(_), None) = (allow, connection.get("serial"), connection.get("tcp")) {
        problems.push(
            Problem::error(allow.key_span.clone(), "`allow` means nothing on a serial line")
                .help("leave it out"),
        );
    }
    let listen = connection.get("tcp.listen");
    let connect = connection.get("tcp.connect");
    if let (Some(node), Some(address)) = (listen, address(listen)) {
        if address.port() == 0 {
            problems.push(
                Problem::warning(
                    node.span.clone(),
                    "on port 0 the system chooses another port at each start",
                )
                .help("write the port that the analyzer is set to"),
            );
        }
        let network = !address.ip().to_canonical().is_loopback() && allow.is_none() && whole;
        if network && connection.get("tls").is_none() {
            problems.push(
                Problem::error(
                    node.span.clone(),
                    format!("results come to {address} in clear, and from anyone"),
                )
                .help(format!("say who may connect: `allow = [\"{}\"]`", neighbourhood(address))),
            );
        } else if network && connection.get("tls.client_ca").is_none() {
            problems.push(
                Problem::error(node.span.clone(), format!("results come to {address} from anyone")).help(
                    format!(
                        "say who may connect: `allow = [\"{}\"]`, or `client_ca` and `client_names` in `tls`",
                        neighbourhood(address)
                    ),
                ),
            );
        }
    }
    if let (Some(node), Some(address)) = (connect, address(connect))
        && judge::peer_address(&address.to_string()).is_ok()
        && !address.ip().to_canonical().is_loopback()
    {
        match allow {
            None if !whole || connection.get("tls").is_some() => {}
            None => problems.push(
                Problem::error(node.span.clone(), format!("results come from {address} in clear"))
                    .help(format!("say that this is meant: `allow = [\"{}\"]`", address.ip())),
            ),
            Some(entry) => {
                let networks: Vec<Network> =
                    entry.node.items().iter().filter_map(|item| item.as_text()?.parse().ok()).collect();
                let all_read = networks.len() == entry.node.items().len() && !networks.is_empty();
                if all_read && !networks.iter().any(|network| network.contains(address.ip())) {
                    problems.push(
                        Problem::error(
                            node.span.clone(),
                            format!("{} lies in none of the networks of `allow`", address.ip()),
                        )
                        .related(entry.node.span.clone(), "these")
                        .help(format!("add \"{}\" to `allow`", address.ip())),
                    );
                }
            }
        }
    }
}

/// The network that probably was meant: that of the address where it tells one.
fn neighbourhood(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => "10.20.0.0/16".to_owned(),
        ip if ip.is_ipv4() => Network::new(ip, 24).to_string(),
        ip => Network::new(ip, 64).to_string(),
    }
}

fn serial_device(connection: &Node, problems: &mut Vec<Problem>) {
    let Some(node) = connection.get("serial.device") else { return };
    let Some(device) = node.as_text() else { return };
    if device.starts_with("/dev/ttyUSB") || device.starts_with("/dev/ttyACM") {
        problems.push(
            Problem::warning(
                node.span.clone(),
                format!("{device} may be another adapter after the next restart"),
            )
            .help("use the path under /dev/serial/by-id/ that leads to it"),
        );
    }
}
