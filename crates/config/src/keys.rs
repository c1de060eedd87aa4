//! The key table of the site file. `docs/configuration.md` is made from it.

use core::time::Duration;

use labwire_schema::{Checked, Key, Shape, Table};

use crate::judge;

static NAME: Checked =
    Checked { noun: "a name of small letters, digits and hyphens such as \"xn-1\"", check: judge::name };
static TIME_ZONE: Checked = Checked { noun: "a time zone such as \"Africa/Cairo\"", check: judge::time_zone };
static PATH: Checked = Checked { noun: "an absolute path", check: judge::path };
static DEVICE: Checked = Checked { noun: "the path of a device", check: judge::device };
static SOCKET_PATH: Checked = Checked { noun: "an absolute path", check: judge::socket_path };
static LIS_URL: Checked =
    Checked { noun: "a URL such as \"sqlite:///var/lib/labwire/lis.db\"", check: judge::lis_url };
static LISTEN: Checked =
    Checked { noun: "an address with its port such as \"10.20.0.5:5600\"", check: judge::socket_address };
static CONNECT: Checked =
    Checked { noun: "an address with its port such as \"10.0.0.7:5000\"", check: judge::peer_address };
static NETWORK: Checked =
    Checked { noun: "a network such as \"10.20.0.0/16\" or an address", check: judge::network };
static CREDENTIAL: Checked =
    Checked { noun: "the name of a credential such as \"chemistry-key\"", check: judge::credential };
static SUBJECT: Checked =
    Checked { noun: "a DNS name or an IP address as it stands in the certificate", check: judge::subject };
static DRIVER: Checked =
    Checked { noun: "the id of a driver profile: \"vendor/model\"", check: judge::driver };
static SIGN: Checked = Checked {
    noun: "a field of the sender such as \"H.5.1\" or \"MSH-3\"",
    check: labwire_driver::check_sender_path,
};
static PATTERN: Checked = Checked { noun: "a regular expression", check: labwire_driver::check_pattern };
static IDENTIFY: Shape = Shape::Either(&[
    Shape::OneOf(&["hold", "note", "off"]),
    Shape::MapOf { key: Some(&SIGN), value: &Shape::Checked(&PATTERN) },
]);

/// Where HTTP is served unless the file says otherwise.
pub(crate) const ADMIN_LISTEN_DEFAULT: &str = "127.0.0.1:8080";

const CONNECTIONS_MAX: Shape = Shape::Integer { min: 1, max: 1024 };
const CONNECTS_PER_MINUTE_MAX: Shape = Shape::Integer { min: 1, max: 1_000_000 };
const BYTES_PER_SECOND_MAX: Shape = Shape::Integer { min: 1024, max: 1 << 30 };
const LINE_TIMEOUT: Shape = Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(86_400) };
const INCOMPLETE_HOLD: Shape =
    Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(7 * 86_400) };

static SITE_TABLE: Table = Table::new(
    "site",
    "The laboratory.",
    &[
        Key::required(
            "tenant",
            Shape::Checked(&NAME),
            "Names the laboratory in every stored record; small letters, digits and hyphens.",
        )
        .example("\"central-lab\""),
        Key::required(
            "time_zone",
            Shape::Checked(&TIME_ZONE),
            "The zone in which analyzers tell the time when they send no offset.",
        )
        .example("\"Africa/Cairo\""),
    ],
);

static SPOOL: Table = Table::new(
    "spool",
    "Where everything that was received is kept until it is delivered, and after. An analyzer gets its positive reply when its bytes are safe here.",
    &[Key::required(
        "path",
        Shape::Checked(&PATH),
        "The database file, on a local disk. Its directory must exist and belong to labwire alone.",
    )
    .example("\"/var/lib/labwire/spool.db\"")],
)
.hints(&[("url", "the spool is a local file: `path = \"/var/lib/labwire/spool.db\"`")]);

static LIS: Table = Table::new(
    "lis",
    "The database in which the LIS finds its results.",
    &[Key::required(
        "url",
        Shape::Checked(&LIS_URL),
        "`sqlite:///` and an absolute path. PostgreSQL is not supported by this version. A password never stands in a URL.",
    )
    .example("\"sqlite:///var/lib/labwire/lis.db\"")],
)
.hints(&[
    ("path", "write `url = \"sqlite:///var/lib/labwire/lis.db\"`"),
    ("password", "a password never stands in this file"),
]);

static ADMIN: Table = Table::new(
    "admin",
    "What is served over HTTP: `/metrics`, `/live` and `/ready`, nothing else.",
    &[Key::optional("listen", Shape::Checked(&LISTEN), "Address and port.")
        .default("\"127.0.0.1:8080\"")
        .example("\"127.0.0.1:8080\"")],
)
.hints(&[("port", "the port stands in the address: `listen = \"127.0.0.1:8080\"`")]);

static CONTROL: Table = Table::new(
    "control",
    "The socket on which commands ask the daemon.",
    &[Key::optional("socket", Shape::Checked(&SOCKET_PATH), "Its path.")
        .default("\"/run/labwire/control.sock\"")],
)
.hints(&[("path", "write `socket = \"/run/labwire/control.sock\"`")]);

static CAPTURE: Table = Table::new(
    "capture",
    "The latest bytes of every connection, both ways, kept in memory: the oldest go first, all with the daemon. They hold patient data.",
    &[
        Key::optional("enabled", Shape::Bool, "Whether connections are recorded.").default("true"),
        Key::optional("directory", Shape::Checked(&PATH), "For recordings in files, which this version does not write.")
            .default("\"/var/lib/labwire/capture\""),
        Key::optional(
            "bytes_max",
            Shape::Integer { min: 65_536, max: 1 << 40 },
            "How much memory the recording of one connection may take.",
        )
        .default("67_108_864"),
    ],
)
.hints(&[("days_max", "recordings are bounded by `bytes_max` alone in this version")]);

static DRIVERS: Table = Table::new(
    "drivers",
    "The site's own driver profiles.",
    &[Key::optional(
        "directory",
        Shape::Checked(&PATH),
        "A directory with `vendor/model.toml` files. They win over the profiles in the binary, key by key.",
    )
    .default("none: the profiles in the binary alone")
    .example("\"/etc/labwire/drivers\"")],
);

static CODES: Table = Table::new(
    "codes",
    "The laboratory's own codes and units for the tests of the driver profiles.",
    &[Key::optional(
        "directory",
        Shape::Checked(&PATH),
        "A directory with CSV files: a line a test, the first line names the columns `driver`, `test` and keys of a test such as `lis`, `loinc`, `unit`, `convert_to`. They win over the profiles.",
    )
    .default("none: the codes of the profiles")
    .example("\"/etc/labwire/codes\"")],
);

static LIMITS: Table = Table::new(
    "limits",
    "How much of what. Reaching a limit is counted.",
    &[
        Key::optional(
            "connections_max",
            CONNECTIONS_MAX,
            "How many peers may be connected to one listening connection at a time.",
        )
        .default("4"),
        Key::optional(
            "connects_per_minute_max",
            CONNECTS_PER_MINUTE_MAX,
            "How often one address may connect to a listening connection within a minute; more is closed unread.",
        )
        .default("600"),
        Key::optional(
            "bytes_per_second_max",
            BYTES_PER_SECOND_MAX,
            "How fast one peer is read. One that sends faster is made to wait, so that its neighbours are served; nothing is lost.",
        )
        .default("2_097_152"),
        Key::optional(
            "message_timeout",
            LINE_TIMEOUT,
            "How long a message may take from its first byte to its end; the line is then closed.",
        )
        .default("\"30m\""),
        Key::optional(
            "progress_timeout",
            LINE_TIMEOUT,
            "How long a peer may send without completing anything: a frame, a block, a session. The line is then closed. The longest frame must fit in: 64,000 bytes take 67 seconds at 9600 baud.",
        )
        .default("\"2m\""),
        Key::optional(
            "duplicate_window",
            Shape::Duration { min: Duration::from_secs(60), max: Duration::from_secs(366 * 86_400) },
            "How long a repeat of a message is recognised as one.",
        )
        .default("\"7d\""),
        Key::optional(
            "incomplete_hold",
            INCOMPLETE_HOLD,
            "How long a message that never completed waits for its continuation before a person is asked.",
        )
        .default("\"15m\""),
        Key::optional(
            "persist_deadline",
            Shape::Duration { min: Duration::from_millis(100), max: Duration::from_secs(14) },
            "How long a commit may take before the analyzer is refused. An analyzer waits 15 seconds for a reply, so it must be less.",
        )
        .default("\"10s\""),
        Key::optional(
            "drain_timeout",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(600) },
            "How long open conversations may take to end when the daemon stops.",
        )
        .default("\"20s\""),
    ],
);

pub(crate) static TCP: Table = Table::new(
    "tcp",
    "A connection over TCP: `tcp.listen` where the analyzer connects to us, `tcp.connect` where we connect to it. Without `tls`, what it carries can be read on the network.",
    &[
        Key::optional("listen", Shape::Checked(&LISTEN), "Where we listen.").example("\"10.20.0.5:5600\""),
        Key::optional("connect", Shape::Checked(&CONNECT), "Where the analyzer listens.")
            .example("\"10.0.0.7:5000\""),
        Key::optional(
            "keepalive_idle",
            LINE_TIMEOUT,
            "Silence after which the system asks whether the peer is still there.",
        )
        .default("\"60s\""),
        Key::optional("keepalive_interval", LINE_TIMEOUT, "How often it asks.").default("\"10s\""),
        Key::optional(
            "peer_timeout",
            LINE_TIMEOUT,
            "How long the peer may leave that, or bytes that were sent to it, unanswered before it counts as gone.",
        )
        .default("\"30s\""),
    ],
)
.hints(&[
    ("keepalive", "write `tcp.keepalive_idle = \"60s\"`"),
    ("port", "the port stands in the address: `tcp.listen = \"10.20.0.5:5600\"`"),
    ("host", "write `tcp.connect = \"10.0.0.7:5000\"`"),
    ("address", "write `tcp.listen = \"10.20.0.5:5600\"` or `tcp.connect = \"10.0.0.7:5000\"`"),
    ("tls", "`tls` stands beside `tcp`, not in it"),
    ("allow", "`allow` stands beside `tcp`, not in it"),
]);

pub(crate) static TLS: Table = Table::new(
    "tls",
    "TLS on a connection over TCP. Certificates and keys are PEM files; when they change on disk, handshakes from then on use them, open connections go on, and what does not fit together changes nothing. Certificates are judged at every handshake, and a handshake ends before a byte of data is read or sent.",
    &[
        Key::optional(
            "certificate",
            Shape::Checked(&PATH),
            "Our certificate, then those between it and its CA. Required with `tcp.listen`; with `tcp.connect` where the analyzer asks for one.",
        )
        .example("\"/etc/labwire/tls/labwire.pem\""),
        Key::optional(
            "key",
            Shape::Checked(&PATH),
            "The file of its private key, which nobody else may read: mode 0600, or 0640 where it belongs to root.",
        )
        .example("\"/etc/labwire/tls/labwire.key\""),
        Key::optional(
            "key_credential",
            Shape::Checked(&CREDENTIAL),
            "The private key as a credential of systemd (`LoadCredential=` or `LoadCredentialEncrypted=` of the unit), in the place of `key`.",
        )
        .example("\"labwire-tls-key\""),
        Key::optional(
            "client_ca",
            Shape::Checked(&PATH),
            "With `tcp.listen`: the CAs whose certificates analyzers must show. A self-signed certificate is its own CA. Without this key analyzers show none.",
        )
        .example("\"/etc/labwire/tls/analyzers-ca.pem\""),
        Key::optional(
            "client_names",
            Shape::ListOf(&Shape::Checked(&SUBJECT)),
            "With `client_ca`: the names of which a certificate must carry one (subject alternative name, DNS or IP). Another analyzer's certificate is refused here.",
        )
        .example("[\"chemistry-1.lab.example\"]"),
        Key::optional(
            "ca",
            Shape::Checked(&PATH),
            "With `tcp.connect`, required: the CAs that the analyzer's certificate comes from.",
        )
        .example("\"/etc/labwire/tls/analyzers-ca.pem\""),
        Key::optional(
            "server_name",
            Shape::Checked(&SUBJECT),
            "With `tcp.connect`: the name that the analyzer's certificate must carry.",
        )
        .default("the IP address of `tcp.connect`"),
        Key::optional(
            "minimum",
            Shape::OneOf(&["1.2", "1.3"]),
            "The oldest protocol. `\"1.2\"` is for analyzers that can do no better; older ones are never spoken.",
        )
        .default("\"1.3\""),
        Key::optional(
            "handshake_timeout",
            Shape::Duration { min: Duration::from_millis(100), max: Duration::from_secs(60) },
            "How long a handshake may take.",
        )
        .default("\"10s\""),
        Key::optional(
            "handshakes_max",
            Shape::Integer { min: 1, max: 1024 },
            "With `tcp.listen`: how many handshakes may be under way at a time.",
        )
        .default("16"),
    ],
)
.hints(&[
    ("cert", "did you mean `certificate`?"),
    ("private_key", "did you mean `key`?"),
    ("password", "a key with a password cannot be used; keep it in a credential (`key_credential`)"),
    ("min", "did you mean `minimum`?"),
    ("version", "write `minimum = \"1.2\"`"),
    ("verify", "certificates are always verified; a self-signed one can be named as its own `ca` or `client_ca`"),
    ("insecure", "certificates are always verified; a self-signed one can be named as its own `ca` or `client_ca`"),
]);

const BAUD: Key = Key::optional(
    "baud",
    Shape::IntegerOneOf(&[300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200]),
    "Bits a second.",
)
.default("9600");
const DATA_BITS: Key =
    Key::optional("data_bits", Shape::IntegerOneOf(&[7, 8]), "Bits of a character.").default("8");
const PARITY: Key =
    Key::optional("parity", Shape::OneOf(&["none", "even", "odd"]), "The check bit of a character.")
        .default("\"none\"");
const STOP_BITS: Key =
    Key::optional("stop_bits", Shape::IntegerOneOf(&[1, 2]), "Bits behind a character.").default("1");
const FLOW_CONTROL: Key = Key::optional(
    "flow_control",
    Shape::OneOf(&["none", "software", "hardware"]),
    "How either side makes the other one wait: not at all, by XON and XOFF, by RTS and CTS.",
)
.default("\"none\"");

pub(crate) static SERIAL: Table = Table::new(
    "serial",
    "A serial line.",
    &[
        Key::required(
            "device",
            Shape::Checked(&DEVICE),
            "The device file. A path under `/dev/serial/by-id/` stays the same when the adapter is plugged in elsewhere.",
        )
        .example("\"/dev/serial/by-id/usb-FTDI_FT232R-if00-port0\""),
        BAUD,
        DATA_BITS,
        PARITY,
        STOP_BITS,
        FLOW_CONTROL,
    ],
)
.hints(&[
    ("port", "write `device = \"/dev/serial/by-id/…\"`"),
    ("path", "write `device = \"/dev/serial/by-id/…\"`"),
    ("speed", "did you mean `baud`?"),
    ("rtscts", "write `flow_control = \"hardware\"`"),
    ("xonxoff", "write `flow_control = \"software\"`"),
]);

pub(crate) static RFC2217: Table = Table::new(
    "rfc2217",
    "The serial port of the terminal server at `tcp.connect`, set over the network by its COM port control (RFC 2217). A server that refuses a setting is not talked to. Without this table the server's own settings hold, and its raw port is dialled.",
    &[BAUD, DATA_BITS, PARITY, STOP_BITS, FLOW_CONTROL],
)
.hints(&[
    ("speed", "did you mean `baud`?"),
    ("rtscts", "write `flow_control = \"hardware\"`"),
    ("xonxoff", "write `flow_control = \"software\"`"),
    ("device", "the terminal server's port is told by the port of `tcp.connect`"),
]);

static CONNECTION: Table = Table::new(
    "connection",
    "One analyzer link. It has exactly one of `tcp.listen`, `tcp.connect` and `serial`.",
    &[
        Key::required(
            "name",
            Shape::Checked(&NAME),
            "Names the connection in commands, metrics and every stored record; unique.",
        )
        .example("\"hematology-1\""),
        Key::required(
            "driver",
            Shape::Checked(&DRIVER),
            "The driver profile; `labwire driver list` shows them all.",
        )
        .example("\"generic/lis02\""),
        Key::optional("tcp", Shape::Table(&TCP), "A connection over TCP.")
            .example("{ listen = \"10.20.0.5:5600\" }"),
        Key::optional("tls", Shape::Table(&TLS), "TLS on a connection over TCP.")
            .example("{ certificate = \"/etc/labwire/tls/labwire.pem\", key = \"/etc/labwire/tls/labwire.key\" }"),
        Key::optional("serial", Shape::Table(&SERIAL), "A serial line.")
            .example("{ device = \"/dev/serial/by-id/…\", baud = 9600 }"),
        Key::optional("rfc2217", Shape::Table(&RFC2217), "The serial port of a terminal server.")
            .example("{ baud = 9600 }"),
        Key::optional(
            "allow",
            Shape::ListOf(&Shape::Checked(&NETWORK)),
            "Networks with which results may be exchanged: who may connect to `tcp.listen`, where the address of `tcp.connect` must lie. Required for `tcp` unless the address is of this machine (127.0.0.0/8, ::1) or certificates say who the peer is (`tls.client_ca`, `tls.ca`).",
        )
        .default("this machine alone")
        .example("[\"10.20.0.0/16\"]"),
        Key::optional(
            "connections_max",
            CONNECTIONS_MAX,
            "How many peers may be connected at a time.",
        )
        .default("`limits.connections_max`"),
        Key::optional(
            "when_full",
            Shape::OneOf(&["replace-idle", "refuse"]),
            "What happens to one more: it takes the place of the connection from its own address that has been silent longest, if that is ten seconds or more, so that an analyzer that was switched off and on does not wait for its dead connection; or it is refused.",
        )
        .default("\"replace-idle\""),
        Key::optional(
            "connects_per_minute_max",
            CONNECTS_PER_MINUTE_MAX,
            "How often one address may connect within a minute.",
        )
        .default("`limits.connects_per_minute_max`"),
        Key::optional("bytes_per_second_max", BYTES_PER_SECOND_MAX, "How fast one peer is read.")
            .default("`limits.bytes_per_second_max`"),
        Key::optional(
            "message_timeout",
            LINE_TIMEOUT,
            "How long a message may take from its first byte to its end.",
        )
        .default("`limits.message_timeout`"),
        Key::optional(
            "progress_timeout",
            LINE_TIMEOUT,
            "How long a peer may send without completing a frame, a block or a session.",
        )
        .default("`limits.progress_timeout`"),
        Key::optional(
            "idle_timeout",
            LINE_TIMEOUT,
            "How long a peer over TCP may be silent before its connection is closed. Analyzers may be silent for a weekend, so there is no such limit unless it is set.",
        )
        .default("none"),
        Key::optional(
            "time_zone",
            Shape::Checked(&TIME_ZONE),
            "The zone of the analyzer's clock, where it is another than the site's.",
        )
        .default("`site.time_zone`"),
        Key::optional(
            "identify",
            IDENTIFY,
            "What is done about a message whose sender (`H.5`, `MSH-3`, `MSH-4`) is another analyzer than the profile's: `\"hold\"` stores and acknowledges it and holds everything in it with the code `wrong-analyzer`, `\"note\"` files it and counts it, `\"off\"` does not look. A table of these fields and regular expressions takes the place of the profile's `[identify]` and holds: for an analyzer that the site has given another name, or, with its serial number, for two of the same model. A field that is absent or empty tells nothing.",
        )
        .default("\"hold\", where the profile has `[identify]`")
        .example("{ \"H.5.1\" = '^CHEM-2$' }"),
        Key::optional(
            "strict",
            Shape::Bool,
            "Whether the standard is followed to the letter, without the tolerances that the field has taught.",
        )
        .default("as the driver profile says"),
        Key::optional(
            "error_mode",
            Shape::OneOf(&["close", "resync"]),
            "What is done about bytes that no protocol explains: the connection is closed, or they are skipped. Choose `resync` behind a serial-to-Ethernet box.",
        )
        .default("as the driver profile says, else `close` for TCP and `resync` for a serial line, `rfc2217` included"),
        Key::optional(
            "incomplete_hold",
            INCOMPLETE_HOLD,
            "How long a message that never completed waits for its continuation before a person is asked.",
        )
        .default("`limits.incomplete_hold`"),
    ],
)
.hints(&[
    ("listen", "write `tcp.listen = \"10.20.0.5:5600\"`"),
    ("connect", "write `tcp.connect = \"10.0.0.7:5000\"`"),
    ("port", "write `tcp.listen = \"10.20.0.5:5600\"`"),
    ("host", "write `tcp.connect = \"10.0.0.7:5000\"`"),
    ("device", "write `serial = { device = \"/dev/serial/by-id/…\", baud = 9600 }`"),
    ("baud", "write `serial = { device = \"/dev/serial/by-id/…\", baud = 9600 }`"),
    ("type", "the kind of connection is told by its key: `tcp.listen`, `tcp.connect` or `serial`"),
    ("telnet", "write `rfc2217 = { baud = 9600 }` beside `tcp.connect`"),
    ("certificate", "write `tls = { certificate = \"…\", key = \"…\" }`"),
    ("tenant", "this version serves one laboratory: `site.tenant`"),
    ("orders", "orders are not supported by this version"),
    ("deny", "only those in `allow` may connect; there is nothing to deny"),
]);

/// The site file.
pub static SITE: Table = Table::new(
    "labwire",
    "The site file, usually `/etc/labwire/labwire.toml`.",
    &[
        Key::required("site", Shape::Table(&SITE_TABLE), "The laboratory."),
        Key::required("spool", Shape::Table(&SPOOL), "Where what was received is kept."),
        Key::required("lis", Shape::Table(&LIS), "Where results go."),
        Key::optional("admin", Shape::Table(&ADMIN), "What is served over HTTP."),
        Key::optional("control", Shape::Table(&CONTROL), "Where commands ask the daemon."),
        Key::optional("capture", Shape::Table(&CAPTURE), "What is remembered of every connection."),
        Key::optional("drivers", Shape::Table(&DRIVERS), "The site's own driver profiles."),
        Key::optional(
            "codes",
            Shape::Table(&CODES),
            "The laboratory's own codes and units for the tests of the driver profiles.",
        ),
        Key::optional("limits", Shape::Table(&LIMITS), "How much of what."),
        Key::required("connection", Shape::ListOf(&Shape::Table(&CONNECTION)), "The analyzers."),
    ],
)
.hints(&[
    ("sink", "further sinks are not supported by this version; results go to `[lis]`"),
    ("route", "routes are not supported by this version; all results go to `[lis]`"),
    ("orders", "orders are not supported by this version"),
    ("retention", "retention is not supported by this version; nothing is deleted"),
    ("key", "encryption at rest is not supported by this version"),
    ("tenant", "this version serves one laboratory: `site.tenant`"),
    ("database", "did you mean `lis`, where results go, or `spool`, where they are kept?"),
    ("log", "the daemon logs to standard error; `labwire run --log json` makes it JSON"),
    ("analyzer", "did you mean `[[connection]]`?"),
    ("analyzers", "did you mean `[[connection]]`?"),
    ("connections", "did you mean `[[connection]]`?"),
]);
