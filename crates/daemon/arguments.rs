//! The command line, every word of it explained where it is defined.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Where the daemon looks for its configuration when none is named.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/labwire/labwire.toml";

const EXIT_CODES: &str = "\
Exit codes: 0 done · 64 usage · 65 bad data · 69 unavailable · 70 internal · 74 I/O · 75 busy · \
77 not permitted · 78 bad configuration";

/// Instrument interface engine: takes results from clinical analyzers (ASTM E1381/E1394 over serial
/// lines and TCP, HL7 v2 over MLLP, vendor texts), acknowledges them only when they are durable, and
/// delivers them to the LIS database exactly once.
#[derive(Debug, Parser)]
#[command(name = "labwire", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the main job: simulated analyzers, real sockets and a serial line, a throw-away spool and LIS
    ///
    /// Starts the daemon on stores in a temporary directory and analyzers on TCP, MLLP and a
    /// pseudo-terminal, prints results as they reach the LIS database, and at the end the ledger.
    /// Exits with 65 when the ledger does not balance.
    #[command(after_help = "Example:\n  labwire demo --seconds 20")]
    Demo(Demo),
    /// Run the daemon
    #[command(
        after_help = "Example:\n  labwire check --config labwire.toml && labwire run --config labwire.toml"
    )]
    Run(Run),
    /// Check a site configuration or a driver profile, and say every problem at once
    ///
    /// A site file is checked together with every driver it names and their `[[check]]`s; a driver file
    /// with its own. Problems are shown with file, line, caret and a suggestion; exit code 78.
    #[command(
        after_help = "Examples:\n  labwire check --config /etc/labwire/labwire.toml\n  labwire check drivers/vendor/model.toml"
    )]
    Check(Check),
    /// Turn captures, raw dumps or bare messages into canonical results
    ///
    /// Every observation of the input is exactly one of result, held and ignored; what could not be
    /// used is said with its position. Without --driver the analyzer is identified from what it sent.
    /// Exits with 65 when something could not be read at all.
    #[command(
        after_help = "Examples:\n  labwire decode dump.bin\n  labwire decode --json --driver generic/hl7 message.hl7"
    )]
    Decode(Decode),
    /// Play the analyzer's side of a capture to a host
    #[command(after_help = "Example:\n  labwire replay cbc.cap --to 127.0.0.1:5600 --speed max")]
    Replay(Replay),
    /// Be a living analyzer: results and QC in the dialect of a driver profile
    #[command(after_help = "Example:\n  labwire simulate generic/lis02 --to 127.0.0.1:5600 --messages 10")]
    Simulate(Simulate),
    /// Driver profiles: list, show, check, test, identify, new, diff, docs
    #[command(subcommand)]
    Driver(Driver),
    /// Capture files: show, import, redact
    #[command(subcommand)]
    Capture(Capture),
    /// Messages in the spool: list, show, follow
    #[command(
        after_help = "Examples:\n  labwire messages list --connection hematology-1 --config labwire.toml\n  labwire messages --follow --level results --config labwire.toml"
    )]
    Messages(Messages),
    /// Results in the spool
    #[command(subcommand)]
    Results(Results),
    /// Observations that wait for a person
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// The sums of all that was received, per connection and sink
    ///
    /// Every received result message is exactly one of delivered, pending, held, incomplete, duplicate
    /// and discarded; every observation one of delivered, pending, held, ignored by a named rule,
    /// duplicate and discarded. With --check the sums are recomputed from the stored rows; exit code 65
    /// when anything differs.
    #[command(after_help = "Example:\n  labwire ledger --check --config labwire.toml")]
    Ledger(Ledger),
    /// What the daemon is doing: connections, backlog, quarantine, readiness
    #[command(after_help = "Example:\n  labwire status --config labwire.toml")]
    Status(State),
    /// The analyzers' lines: list, pause, resume, restart
    #[command(subcommand)]
    Connection(Connection),
    /// Put the changed configuration into force without a restart
    ///
    /// The daemon checks the site file that it was started with, the driver profiles that it names and
    /// their `[[check]]`s. If anything is wrong it says every problem and changes nothing; exit code 78.
    /// A connection that is as it was keeps its sockets and sessions. One whose profile or settings
    /// changed ends the message under way by the old ones and goes on with the new ones on the same
    /// transport; one that is reached in another way, or speaks another dialect, is closed when nothing
    /// is under way. What cannot change (spool, tenant, LIS, `[admin]`, `[control]`, `[capture]`) is
    /// named: restart needed. SIGHUP does the same and tells the log.
    #[command(after_help = "Example:\n  labwire reload --config labwire.toml")]
    Reload(State),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connection {
    /// Show the lines: state, other end, profile, last byte and message, faults, tolerances used
    ///
    /// States are listening, connected, connecting, backing-off, paused and closed. Counts of faults and
    /// tolerances begin with the daemon. With a name, the line is shown in full.
    #[command(after_help = "Example:\n  labwire connection list --config labwire.toml")]
    List(ConnectionList),
    /// Let no session begin on a line until it is resumed
    ///
    /// A message under way may end. LIS01 bids are then answered NAK, which an analyzer understands as
    /// \"later\"; where the dialect cannot say so the transport is closed, and who dials in is closed at
    /// once. A pause outlives a reload, not a restart of the daemon.
    #[command(after_help = "Example:\n  labwire connection pause hematology-1 --config labwire.toml")]
    Pause(ConnectionName),
    /// Let sessions begin again on a line that was paused
    #[command(after_help = "Example:\n  labwire connection resume hematology-1 --config labwire.toml")]
    Resume(ConnectionName),
    /// Close a line's transports when nothing is under way, and open them anew
    ///
    /// A message under way may end, for `limits.drain_timeout` at most. A listening address stays bound:
    /// the analyzer dials in again.
    #[command(after_help = "Example:\n  labwire connection restart hematology-1 --config labwire.toml")]
    Restart(ConnectionName),
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionList {
    /// Only this connection, in full
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionName {
    /// The connection, as the site file names it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Stop after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: Option<u32>,
    /// Print results as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The site configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(crate) config: PathBuf,
    /// How log lines look: text for people, json for machines
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// A site configuration or a driver profile
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub(crate) file: Option<PathBuf>,
    /// The site configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON, one object a line: problems, connections or the profile, a summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriversFrom {
    /// A directory of driver profiles that wins over the built-in ones, key by key
    #[arg(long, value_name = "DIR")]
    pub(crate) drivers: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Captures (.cap), raw byte dumps, terminal logs, packet captures, or messages as text; `-` reads
    /// standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The driver profile, `vendor/model`; without it the analyzer is identified
    #[arg(long, value_name = "DRIVER")]
    pub(crate) driver: Option<String>,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Zone of the analyzer's clock, for times that were sent without an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The capture
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the host listens: ADDRESS:PORT, or the path of a serial device
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// How fast: 1 as recorded, 10 ten times as fast, max without pauses
    #[arg(long, value_name = "N|max", default_value = "1")]
    pub(crate) speed: String,
    /// Longest wait for the host to answer, in seconds
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) reply_seconds: u32,
    /// Print what was played as JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The driver profile, `vendor/model`
    #[arg(value_name = "DRIVER")]
    pub(crate) driver: String,
    /// Where the host listens: ADDRESS:PORT, or the path of a serial device
    #[arg(long, value_name = "ADDR")]
    pub(crate) to: String,
    /// Stop after so many messages; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<u64>,
    /// Pause between messages in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub(crate) pause_ms: u64,
    /// Seed: the same seed gives the same specimens and values
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Every so many messages a QC message; 0 for none
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) qc_every: u64,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print the analyzer's own record of what was acknowledged as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Driver {
    /// List the driver profiles
    #[command(after_help = "Example:\n  labwire driver list --json")]
    List(DriverList),
    /// Show a driver profile: identity, link, tests, notes
    #[command(after_help = "Example:\n  labwire driver show generic/lis02")]
    Show(DriverShow),
    /// Check driver profiles: files, or all that are known
    #[command(after_help = "Example:\n  labwire driver check drivers/generic/lis02.toml")]
    Check(DriverCheck),
    /// Run the `[[check]]`s of driver profiles; exit code 65 with a difference, 69 where a capture is missing
    #[command(after_help = "Example:\n  labwire driver test --all --fixtures fixtures")]
    Test(DriverTest),
    /// Say which profiles fit a capture, the best first, with the reasons
    ///
    /// A profile fits when its fingerprint matches, or when it reads at least half of the observations:
    /// some analyzers do not say who they are. Exits with 65 when none fits.
    #[command(after_help = "Example:\n  labwire driver identify unknown.cap")]
    Identify(DriverIdentify),
    /// Draft a profile from captures of an analyzer that has none
    ///
    /// Protocol, framing, delimiters, the places of specimen, test, value and unit, the test table and the
    /// tolerances that the line needs are inferred; every guess carries a TODO. The draft compiles and
    /// reads its captures. It goes to standard output, or with --out to a file that must not exist.
    #[command(
        after_help = "Example:\n  labwire driver new vendor/model --from first.cap second.cap --out vendor/model.toml"
    )]
    New(DriverNew),
    /// Show which results would change if one profile took the place of another
    #[command(
        after_help = "Example:\n  labwire driver diff generic/lis02 mine/model.toml --captures first.cap second.cap"
    )]
    Diff(DriverDiff),
    /// Print the page of a profile for people, as Markdown
    #[command(after_help = "Example:\n  labwire driver docs generic/lis02")]
    Docs(DriverShow),
}

#[derive(Debug, Args)]
pub(crate) struct DriverIdentify {
    /// Captures, dumps or messages
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print JSON, one object a candidate
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriverNew {
    /// Id of the profile: `vendor/model`, small letters, digits and hyphens
    #[arg(value_name = "DRIVER")]
    pub(crate) driver: String,
    /// What the analyzer sent: captures, dumps, terminal logs, packet captures or messages
    #[arg(long, required = true, num_args = 1.., value_name = "CAPTURE")]
    pub(crate) from: Vec<PathBuf>,
    /// Where the profile goes; a file that exists is not overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DriverDiff {
    /// The profile in use: `vendor/model`, or a file
    #[arg(value_name = "OLD")]
    pub(crate) old: String,
    /// The profile that is to take its place: `vendor/model`, or a file
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
    /// Captures to read with both
    #[arg(long, required = true, num_args = 1.., value_name = "CAPTURE")]
    pub(crate) captures: Vec<PathBuf>,
    /// Zone of the analyzer's clock, for times that were sent without an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) time_zone: String,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print JSON, one object a change
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriverList {
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriverShow {
    /// The driver profile, `vendor/model`
    #[arg(value_name = "DRIVER")]
    pub(crate) driver: String,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriverCheck {
    /// Profiles to check; without any, all built-in ones
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print JSON, one object a line: problems, then a line for each profile
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DriverTest {
    /// Driver profiles, `vendor/model`
    #[arg(value_name = "DRIVER", required_unless_present = "all")]
    pub(crate) profiles: Vec<String>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    /// Where captures are found that the profiles name, else beside the profile in --drivers
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    pub(crate) fixtures: PathBuf,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
    /// Print JSON, one object a check
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Capture {
    /// Show a capture with control characters by name
    #[command(after_help = "Example:\n  labwire capture show cbc.cap")]
    Show(CaptureShow),
    /// Make a capture of a raw byte dump, a terminal log or a packet capture, on standard output
    #[command(after_help = "Example:\n  labwire capture import terminal.log > terminal.cap")]
    Import(CaptureImport),
    /// Replace people in captures, so that they can be shown to others
    ///
    /// Names, dates of birth, ids of patients, specimens and orders, physicians, operators and comments get
    /// stand-ins of the same length, the same for the same word in all files of one command; checksums are
    /// made right again. Test codes, values, units, flags and times of measurement stay. Read the result
    /// before you pass it on: text of a vendor's own may name people in places that no profile knows.
    #[command(
        after_help = "Examples:\n  labwire capture redact cbc.cap > cbc.shared.cap\n  labwire capture redact --directory shared first.cap second.cap"
    )]
    Redact(CaptureRedact),
}

#[derive(Debug, Args)]
pub(crate) struct CaptureRedact {
    /// Captures, dumps, logs or messages
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the files go under their own names; needed for more than one. None is overwritten
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// The driver profile, where the files do not tell
    #[arg(long, value_name = "DRIVER")]
    pub(crate) driver: Option<String>,
    /// Leave comments (C and NTE records) as they are
    #[arg(long)]
    pub(crate) keep_comments: bool,
    #[command(flatten)]
    pub(crate) from: DriversFrom,
}

#[derive(Debug, Args)]
pub(crate) struct CaptureShow {
    /// The capture
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CaptureImport {
    /// The dump, log or packet capture (pcap, pcapng)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The driver profile to name in the capture
    #[arg(long, value_name = "DRIVER")]
    pub(crate) driver: Option<String>,
}

/// How a command reaches the state: through the running daemon, or else the spool itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct State {
    /// The site configuration that names the control socket and the spool
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub(crate) config: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Messages {
    #[command(subcommand)]
    pub(crate) command: Option<MessagesCommand>,
    #[command(flatten)]
    pub(crate) follow: MessagesFollow,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MessagesCommand {
    /// List messages, newest last, without their content
    #[command(after_help = "Example:\n  labwire messages list --specimen 26030200120 --config labwire.toml")]
    List(MessagesList),
    /// Show one message: the bytes, the records, or what was read and what became of it
    #[command(
        after_help = "Example:\n  labwire messages show 01932c07-8f5e-7cc0-8000-5f3b6f2a9d11 --level records --config labwire.toml"
    )]
    Show(MessagesShow),
}

#[derive(Debug, Args)]
pub(crate) struct MessagesList {
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Only messages with a result of this specimen
    #[arg(long, value_name = "ID")]
    pub(crate) specimen: Option<String>,
    /// Only messages behind this row, oldest first: the cursor of a page
    #[arg(long, value_name = "ROW")]
    pub(crate) after: Option<i64>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct MessagesShow {
    /// Id of the message, as `messages list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// How far decoded
    #[arg(long, default_value = "results", value_parser = ["raw", "records", "results"])]
    pub(crate) level: String,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct MessagesFollow {
    /// Show messages as they arrive, until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// Show each message so far decoded; without it, one line a message
    #[arg(long, value_parser = ["raw", "records", "results"])]
    pub(crate) level: Option<String>,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Results {
    /// List results, newest last
    #[command(after_help = "Example:\n  labwire results list --specimen 26030200120 --config labwire.toml")]
    List(ResultsList),
}

#[derive(Debug, Args)]
pub(crate) struct ResultsList {
    /// Only this specimen
    #[arg(long, value_name = "ID")]
    pub(crate) specimen: Option<String>,
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// List what is held, and why
    #[command(after_help = "Example:\n  labwire quarantine list --config labwire.toml")]
    List(QuarantineList),
    /// Show one held observation and the message that it came in
    #[command(after_help = "Example:\n  labwire quarantine show 7 --config labwire.toml")]
    Show(QuarantineShow),
}

#[derive(Debug, Args)]
pub(crate) struct QuarantineList {
    /// Only this connection
    #[arg(long, value_name = "NAME")]
    pub(crate) connection: Option<String>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct QuarantineShow {
    /// Number of the held observation, as `quarantine list` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: i64,
    #[command(flatten)]
    pub(crate) state: State,
}

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// Recompute every sum from the stored rows; exit code 65 when one does not balance
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) state: State,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
