//! What makes a single value right.

use std::net::{IpAddr, SocketAddr};

use jiff::tz::TimeZone;
use labwire_schema::{Mistake, suggest};

use crate::network::Network;

const NAME_CHARACTERS_MAX: usize = 63;
/// What Linux allows.
const PATH_BYTES_MAX: usize = 4095;
/// What fits into the address of a Unix socket beside its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

pub(crate) fn name(text: &str) -> Result<(), Mistake> {
    if text.is_empty() {
        return Err(Mistake::new("empty name").help("write small letters, digits and hyphens"));
    }
    if text.chars().count() > NAME_CHARACTERS_MAX {
        return Err(Mistake::new(format!("a name has at most {NAME_CHARACTERS_MAX} characters"))
            .at(text.char_indices().nth(NAME_CHARACTERS_MAX).map_or(text.len(), |(at, _)| at)..text.len())
            .help("choose a shorter one"));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let Some((at, wrong)) = text.char_indices().find(|(_, c)| !fits(*c)) else {
        if let Some(at) = [0, text.len() - 1].into_iter().find(|at| text.as_bytes()[*at] == b'-') {
            return Err(Mistake::new("a name begins and ends with a letter or a digit")
                .at(at..at + 1)
                .help("leave the hyphen out"));
        }
        return Ok(());
    };
    let mistake = Mistake::new(format!("`{wrong}` cannot stand in a name")).at(at..at + wrong.len_utf8());
    let mended: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let mended = mended.trim_matches('-');
    Err(if text.is_ascii() && !mended.is_empty() {
        mistake.help(format!("write small letters, digits and hyphens: \"{mended}\""))
    } else {
        mistake.help("write small letters, digits and hyphens")
    })
}

pub(crate) fn time_zone(text: &str) -> Result<(), Mistake> {
    if TimeZone::get(text).is_ok() {
        return Ok(());
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let city = text.rsplit('/').next().unwrap_or(text).replace(' ', "_");
    let same_city = known
        .iter()
        .find(|name| name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city)));
    let meant = same_city.map(String::as_str).or_else(|| suggest(text, known.iter().map(String::as_str)));
    Err(Mistake::new(format!("there is no time zone `{text}`")).help(match meant {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "write a region and a city, such as \"Africa/Cairo\", or \"UTC\"".to_owned(),
    }))
}

pub(crate) fn path(text: &str) -> Result<(), Mistake> {
    if text.is_empty() {
        return Err(Mistake::new("empty path").help("write an absolute path"));
    }
    if let Some(at) = text.find(char::is_control) {
        return Err(Mistake::new("a path with a control character in it").at(at..at + 1).help("remove it"));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(
            Mistake::new(format!("a path has at most {PATH_BYTES_MAX} bytes")).help("choose a shorter path")
        );
    }
    if let Some(rest) = text.strip_prefix("~/") {
        return Err(Mistake::new("`~` means nothing to a daemon")
            .at(0..1)
            .help(format!("write the whole path: \"/home/…/{rest}\"")));
    }
    if !text.starts_with('/') {
        return Err(Mistake::new(format!("`{text}` is not an absolute path")).help(format!(
            "begin it with `/`: a daemon has no directory of its own, such as \"/var/lib/labwire/{}\"",
            text.trim_start_matches("./")
        )));
    }
    if text.ends_with('/') {
        return Err(Mistake::new("the path ends with `/`")
            .at(text.len() - 1..text.len())
            .help("leave it out"));
    }
    Ok(())
}

pub(crate) fn device(text: &str) -> Result<(), Mistake> {
    if !text.is_empty() && !text.contains('/') {
        return Err(Mistake::new(format!("`{text}` is not the path of a device"))
            .help("write the path under /dev/serial/by-id/ that leads to it (`ls -l /dev/serial/by-id`)"));
    }
    path(text)
}

pub(crate) fn credential(text: &str) -> Result<(), Mistake> {
    const HELP: &str = "write the name that stands before the colon of LoadCredential= in the unit";
    if text.is_empty() {
        return Err(Mistake::new("empty name").help(HELP));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.char_indices().find(|(_, c)| !fits(*c)) {
        Some((at, wrong)) => Err(Mistake::new(format!("`{wrong}` cannot stand in the name of a credential"))
            .at(at..at + wrong.len_utf8())
            .help(HELP)),
        None if text.starts_with('.') => {
            Err(Mistake::new("the name of a credential does not begin with a dot").at(0..1).help(HELP))
        }
        None => Ok(()),
    }
}

/// A name that a certificate can carry.
pub(crate) fn subject(text: &str) -> Result<(), Mistake> {
    const HELP: &str = "write the DNS name or IP address that `openssl x509 -ext subjectAltName` shows";
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if text.contains('*') {
        return Err(Mistake::new("a pattern is no name").help("write the names of the analyzers one by one"));
    }
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(fits) {
        return Err(Mistake::new(format!("`{text}` is neither a DNS name nor an IP address")).help(HELP));
    }
    Ok(())
}

pub(crate) fn socket_path(text: &str) -> Result<(), Mistake> {
    path(text)?;
    if text.len() > SOCKET_PATH_BYTES_MAX {
        return Err(Mistake::new(format!("the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes"))
            .at(SOCKET_PATH_BYTES_MAX..text.len())
            .help("choose a shorter path, such as \"/run/labwire/control.sock\""));
    }
    Ok(())
}

/// The file that a URL `sqlite:///…` names.
pub(crate) fn sqlite_path(url: &str) -> Option<&str> {
    url.strip_prefix("sqlite://").filter(|path| path.starts_with('/'))
}

pub(crate) fn lis_url(text: &str) -> Result<(), Mistake> {
    const SHAPE: &str = "write \"sqlite:///var/lib/labwire/lis.db\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Mistake::new(format!("`{text}` is not a URL")).help(if text.starts_with('/') {
            format!("write \"sqlite://{text}\"")
        } else {
            SHAPE.to_owned()
        }));
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    if let Some((user, _)) = authority.rsplit_once('@')
        && let Some(colon) = user.find(':')
    {
        let start = scheme.len() + 3 + colon + 1;
        return Err(Mistake::new("a password does not belong in this file")
            .secret(start..scheme.len() + 3 + user.len())
            .help("change the password, for it has been seen here, and leave it out of the URL;\nthis version writes to SQLite, which needs none"));
    }
    if let Some(at) = rest.find("password=") {
        let start = scheme.len() + 3 + at + "password=".len();
        let end = text[start..].find('&').map_or(text.len(), |end| start + end);
        return Err(Mistake::new("a password does not belong in this file")
            .secret(start..end)
            .help("change the password, for it has been seen here, and leave it out of the URL"));
    }
    match scheme {
        "sqlite" => {}
        "postgres" | "postgresql" => {
            return Err(Mistake::new("PostgreSQL is not supported by this version")
                .at(0..scheme.len())
                .help(format!("it comes later; until then {SHAPE}")));
        }
        _ => {
            let help = match suggest(scheme, ["sqlite"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => SHAPE.to_owned(),
            };
            return Err(Mistake::new(format!("results cannot go to `{scheme}://`"))
                .at(0..scheme.len())
                .help(help));
        }
    }
    let Some(file) = sqlite_path(text) else {
        return Err(Mistake::new("the file of the database must be an absolute path")
            .help(format!("write three slashes: \"sqlite:///{}\"", rest.trim_start_matches("./"))));
    };
    if let Some(at) = file.find(['?', '#', '%']) {
        let at = "sqlite://".len() + at;
        return Err(Mistake::new(format!("`{}` cannot stand in this URL", &text[at..=at]))
            .at(at..at + 1)
            .help("write the path of the file and nothing else"));
    }
    path(file).map_err(|mistake| Mistake {
        at: mistake.at.map(|at| at.start + "sqlite://".len()..at.end + "sqlite://".len()),
        ..mistake
    })
}

pub(crate) fn socket_address(text: &str) -> Result<(), Mistake> {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        let shown = if address.is_ipv6() { format!("[{text}]") } else { text.to_owned() };
        return Err(Mistake::new(format!("`{text}` has no port"))
            .help(format!("write the port too: \"{shown}:5600\"")));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Mistake::new(format!("`{text}` is a port without an address")).help(format!(
            "write \"127.0.0.1:{text}\" for this machine alone, \"0.0.0.0:{text}\" for every network"
        )));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Mistake::new(format!("`{text}` is not an address"))
            .help("write an IP address and a port: \"10.20.0.5:5600\""));
    };
    let port_at = host.len() + 1..text.len();
    if port.parse::<u16>().is_err() {
        let message = if port.is_empty() {
            "the port is missing".to_owned()
        } else {
            format!("`{port}` is not a port")
        };
        return Err(Mistake::new(message)
            .at(if port.is_empty() { 0..text.len() } else { port_at })
            .help("write a number from 1 to 65535"));
    }
    if host.is_empty() || host == "*" {
        return Err(Mistake::new(format!("`{text}` has no address")).help(format!(
            "write \"127.0.0.1:{port}\" for this machine alone, \"0.0.0.0:{port}\" for every network"
        )));
    }
    Err(if host == "localhost" {
        Mistake::new("`localhost` is a name").at(0..host.len()).help(format!("write \"127.0.0.1:{port}\""))
    } else if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        Mistake::new(format!("`{host}` is not an IP address"))
            .at(0..host.len())
            .help("an IPv4 address has four numbers from 0 to 255, without leading zeros")
    } else {
        Mistake::new(format!("`{host}` is not an IP address")).at(0..host.len()).help("write the address itself: names are not looked up, so that a connection does not depend on name servers")
    })
}

pub(crate) fn peer_address(text: &str) -> Result<(), Mistake> {
    socket_address(text)?;
    let Ok(address) = text.parse::<SocketAddr>() else { return Ok(()) };
    if address.port() == 0 {
        return Err(Mistake::new("nobody listens on port 0")
            .at(text.len() - 1..text.len())
            .help("write the port on which the analyzer listens"));
    }
    if address.ip().is_unspecified() {
        return Err(Mistake::new(format!("`{}` is no address to connect to", address.ip()))
            .help("write the address of the analyzer"));
    }
    Ok(())
}

pub(crate) fn network(text: &str) -> Result<(), Mistake> {
    text.parse::<Network>().map(|_| ())
}

pub(crate) fn driver(text: &str) -> Result<(), Mistake> {
    const HELP: &str = "write \"vendor/model\" as `labwire driver list` shows it";
    if let Some(id) = text.strip_suffix(".toml") {
        let id = id.trim_start_matches("./").trim_start_matches("drivers/");
        return Err(Mistake::new(format!("`{text}` is not the id of a driver profile"))
            .help(format!("leave the ending out: \"{id}\"")));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_/".contains(c);
    if let Some((at, wrong)) = text.char_indices().find(|(_, c)| !fits(*c)) {
        return Err(Mistake::new(format!("`{wrong}` cannot stand in the id of a driver profile"))
            .at(at..at + wrong.len_utf8())
            .help(HELP));
    }
    match text.split_once('/') {
        Some((vendor, model)) if !vendor.is_empty() && !model.is_empty() && !model.contains('/') => Ok(()),
        _ => Err(Mistake::new(format!("`{text}` is not the id of a driver profile")).help(HELP)),
    }
}
