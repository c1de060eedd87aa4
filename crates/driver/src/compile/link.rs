//! `[link]`: the dialect must carry the protocol, and every key must mean something to it.

use core::time::Duration;

use labwire_link::{
    Answer, Capability, Check, DelimitedSettings, ErrorMode, InterruptPolicy, LinkSettings as Machine,
    Lis01Settings, MllpSettings, Packing, Release, SentChecksum, TextReply, TextSession, Tolerance,
    Tolerances,
};
use labwire_schema::{Node, Problem, suggest};

use crate::checks::named_bytes;
use crate::compile::Compiler;
use crate::link::{Dialect, LinkSettings};

const LIS01: &[Dialect] = &[Dialect::Lis01];
const MLLP: &[Dialect] = &[Dialect::Mllp];
const DELIMITED: &[Dialect] = &[Dialect::Delimited];
const MARKED: &[Dialect] = &[Dialect::Delimited, Dialect::SohBlock, Dialect::ControlAckEnvelope];
const ENDED: &[Dialect] = &[Dialect::Delimited, Dialect::Records];
const COUNTED: &[Dialect] = &[Dialect::Delimited, Dialect::FixedLength];
const ALONE: &[Dialect] = &[Dialect::Delimited, Dialect::SohBlock, Dialect::FixedLength];
const ANSWERABLE: &[Dialect] =
    &[Dialect::Delimited, Dialect::SohBlock, Dialect::FixedLength, Dialect::Records];
const ENVELOPE: &[Dialect] = &[Dialect::ControlAckEnvelope];
const BIDDING: &[Dialect] = &[Dialect::Lis01, Dialect::Delimited, Dialect::Bci, Dialect::ControlAckEnvelope];
const ALL_BUT_MLLP: &[Dialect] = &[
    Dialect::Lis01,
    Dialect::Delimited,
    Dialect::Bci,
    Dialect::ControlAckEnvelope,
    Dialect::SohBlock,
    Dialect::FixedLength,
    Dialect::Records,
];

/// The keys that mean something to some dialects only.
const OF_DIALECTS: &[(&str, &[Dialect])] = &[
    ("send_text_bytes_max", LIS01),
    ("packing", LIS01),
    ("checksum", LIS01),
    ("direction", LIS01),
    ("interrupt", LIS01),
    ("bids_max", LIS01),
    ("attempts", ALL_BUT_MLLP),
    ("release", MLLP),
    ("start", DELIMITED),
    ("end", ENDED),
    ("continued", MARKED),
    ("length", COUNTED),
    ("between", ALONE),
    ("check", MARKED),
    ("reply", ANSWERABLE),
    ("answer", ANSWERABLE),
    ("handshake", DELIMITED),
    ("timers.bid_reply", LIS01),
    ("timers.frame_reply", ALL_BUT_MLLP),
    ("timers.receive", ALL_BUT_MLLP),
    ("timers.busy_hold_off", ALL_BUT_MLLP),
    ("timers.contention_retry", BIDDING),
    ("timers.contention_yield", LIS01),
    ("timers.interrupt_hold_off", LIS01),
    ("timers.abort_hold_off", LIS01),
    ("timers.session_gap", BIDDING),
    ("timers.turnaround", LIS01),
    ("timers.frame_end_idle", LIS01),
    ("timers.verdict", ALL_BUT_MLLP),
    ("timers.idle_end", DELIMITED),
    ("timers.block_reply", ENVELOPE),
];

impl Compiler<'_> {
    pub(super) fn link(&mut self) -> LinkSettings {
        let root = self.root;
        let carrying = Dialect::carrying(self.protocol);
        let dialect = root.text("link.dialect").and_then(Dialect::from_word);
        if let (Some(dialect), Some(node)) = (dialect, root.get("link.dialect"))
            && !carrying.contains(&dialect)
        {
            self.error(
                node,
                format!(
                    "dialect \"{}\" does not carry protocol \"{}\"",
                    dialect.as_str(),
                    self.protocol.as_str()
                ),
                format!("write {}", words(carrying)),
            );
        }
        let dialect = dialect.unwrap_or(carrying[0]);
        self.link_keys_fit(dialect);
        self.unproven_frames_are_named();
        LinkSettings {
            dialect,
            strict: root.bool("link.strict").unwrap_or(false),
            error_mode: root.text("link.error_mode").and_then(|word| match word {
                "close" => Some(ErrorMode::Close),
                "resync" => Some(ErrorMode::Resync),
                _ => None,
            }),
            machine: match dialect {
                Dialect::Lis01 => Machine::Lis01(self.lis01()),
                Dialect::Mllp => Machine::Mllp(self.mllp()),
                Dialect::Delimited => Machine::Delimited(self.delimited(DelimitedSettings {
                    reply: TextReply::AckOrNak,
                    ..DelimitedSettings::default()
                })),
                Dialect::Bci => Machine::Delimited(self.delimited(DelimitedSettings::bci())),
                Dialect::ControlAckEnvelope => {
                    Machine::Delimited(self.delimited(DelimitedSettings::control_ack_envelope()))
                }
                Dialect::SohBlock => Machine::Delimited(self.delimited(DelimitedSettings::soh_block())),
                Dialect::FixedLength => Machine::Delimited(self.fixed_length()),
                Dialect::Records => Machine::Delimited(self.delimited(DelimitedSettings::records())),
            },
        }
    }

    fn lis01(&mut self) -> Lis01Settings {
        let base = Lis01Settings::default();
        let checksum = self.root.text("link.checksum");
        let tolerate = self.tolerances(Tolerances::OF_LIS01, base.tolerate);
        let receive_frame_bytes_max =
            self.size("receive_frame_bytes_max").unwrap_or(base.receive_frame_bytes_max);
        Lis01Settings {
            tolerate: match checksum {
                Some("report") => tolerate.with(Tolerance::ChecksumIgnored),
                Some("off" | "blank") => tolerate.with(Tolerance::ChecksumOff),
                _ => tolerate,
            },
            send_checksum: match checksum {
                Some("blank") => SentChecksum::Blanks,
                _ => SentChecksum::Digits,
            },
            capability: match self.root.text("link.direction") {
                Some("receive") => Capability::ReceiveOnly,
                Some("send") => Capability::SendOnly,
                _ => Capability::SendAndReceive,
            },
            packing: match self.root.text("link.packing") {
                Some("message") => Packing::WholeMessage,
                Some("record-chain") => Packing::RecordChain,
                _ => Packing::RecordPerFrame,
            },
            interrupt: match self.root.text("link.interrupt") {
                Some("at-once") => InterruptPolicy::AtOnce,
                Some("ignore") => InterruptPolicy::Ignore,
                _ => InterruptPolicy::AfterMessage,
            },
            receive_frame_bytes_max,
            // A frame that is allowed must be read to its end.
            endless_frame_bytes_max: base.endless_frame_bytes_max.max(2 * receive_frame_bytes_max),
            backlog_bytes_max: base.backlog_bytes_max.max(2 * receive_frame_bytes_max),
            send_text_bytes_max: self.size("send_text_bytes_max").unwrap_or(base.send_text_bytes_max),
            attempts: self.count("attempts").unwrap_or(base.attempts),
            bids_max: self.count("bids_max"),
            bid_reply_timeout: self.timer("bid_reply", base.bid_reply_timeout),
            busy_hold_off: self.timer("busy_hold_off", base.busy_hold_off),
            contention_hold_off_instrument: self
                .timer("contention_retry", base.contention_hold_off_instrument),
            contention_hold_off_host: self.timer("contention_yield", base.contention_hold_off_host),
            frame_reply_timeout: self.timer("frame_reply", base.frame_reply_timeout),
            receive_timeout: self.timer("receive", base.receive_timeout),
            interrupt_hold_off: self.timer("interrupt_hold_off", base.interrupt_hold_off),
            abort_hold_off: self.timer("abort_hold_off", base.abort_hold_off),
            session_gap: self.timer("session_gap", base.session_gap),
            turnaround: self.timer("turnaround", base.turnaround),
            progress_timeout: self.timer("progress", base.progress_timeout),
            frame_end_idle: self.timer("frame_end_idle", base.frame_end_idle),
            verdict_timeout: self.timer("verdict", base.verdict_timeout),
            ..base
        }
    }

    fn mllp(&mut self) -> MllpSettings {
        let base = MllpSettings::default();
        MllpSettings {
            release: match self.root.integer("link.release") {
                Some(2) => Release::Two,
                _ => Release::One,
            },
            tolerate: self.tolerances(Tolerances::OF_MLLP, base.tolerate),
            block_bytes_max: self.size("receive_frame_bytes_max").unwrap_or(base.block_bytes_max),
            progress_timeout: self.timer("progress", base.progress_timeout),
            ..base
        }
    }

    fn fixed_length(&mut self) -> DelimitedSettings {
        if self.root.get("link.length").is_none()
            && let Some(node) = self.root.get("link.dialect")
        {
            self.error(node, "texts of one length need that length", "add `length = 186`, in bytes");
        }
        self.delimited(DelimitedSettings::fixed_length(1))
    }

    fn answers(&mut self) -> Vec<Answer> {
        let bytes =
            |node: &Node, key: &str| named_bytes(node.text(key).unwrap_or_default()).unwrap_or_default();
        let answer = |node: &Node| Answer {
            to: bytes(node, "to"),
            with: bytes(node, "with"),
            is_data: node.bool("data").unwrap_or(true),
        };
        self.root.list("link.answer").iter().map(answer).collect()
    }

    fn delimited(&mut self, base: DelimitedSettings) -> DelimitedSettings {
        let tolerate = self.tolerances(Tolerances::OF_TEXTS, base.tolerate);
        let answers = self.answers();
        let root = self.root;
        let bytes = |key: &str| root.text(&format!("link.{key}")).and_then(|text| named_bytes(text).ok());
        DelimitedSettings {
            start: bytes("start").unwrap_or(base.start),
            end: bytes("end").unwrap_or(base.end),
            continued: bytes("continued").unwrap_or(base.continued),
            between: bytes("between").unwrap_or(base.between),
            length: self.count("length").or(base.length),
            session: match root.bool("link.handshake") {
                Some(true) => TextSession::Bid,
                _ => base.session,
            },
            check: match root.text("link.check") {
                Some("bcc") => Check::XorBehindEnd,
                Some("sum-before-end") => Check::SumBeforeEnd,
                Some("sum-behind-end") => Check::SumBehindEnd,
                _ => base.check,
            },
            reply: match root.text("link.reply") {
                Some("none") => TextReply::None,
                Some("ack") => TextReply::AckOrNak,
                Some("ack-message") => TextReply::AckOrNakAtTerminator,
                _ => base.reply,
            },
            answers,
            tolerate,
            block_idle: root.duration("link.timers.block_reply").or(base.block_idle),
            contention_retry: self.timer("contention_retry", base.contention_retry),
            bytes_max: self.size("receive_frame_bytes_max").unwrap_or(base.bytes_max),
            attempts: self.count("attempts").unwrap_or(base.attempts),
            idle_end: root.duration("link.timers.idle_end").or(base.idle_end),
            progress_timeout: self.timer("progress", base.progress_timeout),
            receive_timeout: self.timer("receive", base.receive_timeout),
            reply_timeout: self.timer("frame_reply", base.reply_timeout),
            hold_off: self.timer("busy_hold_off", base.hold_off),
            session_gap: self.timer("session_gap", base.session_gap),
            verdict_timeout: self.timer("verdict", base.verdict_timeout),
            ..base
        }
    }

    fn size(&self, key: &str) -> Option<usize> {
        self.count(key)
    }

    fn count<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.root.integer(&format!("link.{key}")).and_then(|count| T::try_from(count).ok())
    }

    fn timer(&self, key: &str, default: Duration) -> Duration {
        self.root.duration(&format!("link.timers.{key}")).unwrap_or(default)
    }

    fn link_keys_fit(&mut self, dialect: Dialect) {
        for (key, dialects) in OF_DIALECTS {
            if let Some(entry) = self.root.entry(&format!("link.{key}"))
                && !dialects.contains(&dialect)
            {
                let key = key.rsplit('.').next().unwrap_or(key);
                let problem = Problem::error(
                    entry.key_span.clone(),
                    format!("`{key}` has no meaning for dialect \"{}\"", dialect.as_str()),
                )
                .help(format!("it belongs to dialect {}; leave it out", words(dialects)));
                self.report(&entry.node, problem);
            }
        }
    }

    /// Nobody shall find out from a wrong result that a line is not checked.
    fn unproven_frames_are_named(&mut self) {
        let Some(node) = self.root.get("link.checksum") else { return };
        let (taken, counted) = match node.as_text() {
            Some("report") => ("frames are taken although their checksum is wrong", "checksum-ignored"),
            Some("off" | "blank") => ("frames are taken without looking at their checksum", "checksum-off"),
            _ => return,
        };
        let problem = Problem::warning(node.span.clone(), taken).help(format!(
            "a damaged value can pass as a good one; each such frame is counted as `{counted}`. Turn checksums on at the analyzer where that is possible, and leave the key out"
        ));
        self.report(node, problem);
    }

    /// What the profile tolerates beyond the dialect's defaults, among what means something to it.
    fn tolerances(&mut self, known: Tolerances, defaults: Tolerances) -> Tolerances {
        let mut set = defaults;
        for node in self.root.list("link.tolerate") {
            let Some(name) = node.as_text() else { continue };
            let names = || known.iter().map(Tolerance::name);
            match name.parse::<Tolerance>() {
                Ok(Tolerance::ChecksumIgnored | Tolerance::ChecksumOff) if known == Tolerances::OF_LIS01 => {
                    self.error(
                        node,
                        format!("`{name}` is no tolerance to choose"),
                        "write `checksum = \"report\"` or `checksum = \"off\"` in `[link]`",
                    );
                }
                Ok(tolerance) if known.contains(tolerance) => set = set.with(tolerance),
                Ok(_) => self.error(
                    node,
                    format!("tolerance \"{name}\" belongs to another dialect"),
                    format!("the tolerances of this one are {}", names().collect::<Vec<_>>().join(", ")),
                ),
                Err(_) => {
                    let help = match suggest(name, names()) {
                        Some(meant) => format!("did you mean \"{meant}\"?"),
                        None => {
                            format!("the tolerances are {}", names().collect::<Vec<_>>().join(", "))
                        }
                    };
                    self.error(node, format!("unknown tolerance \"{name}\""), help);
                }
            }
        }
        set
    }
}

/// The dialects as a profile writes them: `"one" or "other"`.
fn words(dialects: &[Dialect]) -> String {
    let words: Vec<_> = dialects.iter().map(|dialect| format!("\"{}\"", dialect.as_str())).collect();
    words.join(" or ")
}
