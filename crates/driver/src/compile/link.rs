//! `[link]`: the dialect must carry the protocol, and every key must mean something to it.

use labwire_link::{ErrorMode, Packing, Release, TextReply, Tolerance, Tolerances};
use labwire_schema::{Problem, suggest};

use crate::checks::named_bytes;
use crate::compile::Compiler;
use crate::link::{Dialect, LinkSettings};

impl Compiler<'_> {
    pub(super) fn link(&mut self) -> LinkSettings {
        let root = self.root;
        let carrying = Dialect::carrying(self.protocol);
        let dialect = root.text("link.dialect").and_then(Dialect::from_word);
        if let (Some(dialect), Some(node)) = (dialect, root.get("link.dialect"))
            && !carrying.contains(&dialect)
        {
            let words: Vec<String> = carrying.iter().map(|fit| format!("\"{}\"", fit.as_str())).collect();
            self.error(
                node,
                format!(
                    "dialect \"{}\" does not carry protocol \"{}\"",
                    dialect.as_str(),
                    self.protocol.as_str()
                ),
                format!("write {}", words.join(" or ")),
            );
        }
        let dialect = dialect.unwrap_or(carrying[0]);
        self.link_keys_fit(dialect);
        let bytes = |path: &str, default: Vec<u8>| {
            root.text(path).and_then(|text| named_bytes(text).ok()).unwrap_or(default)
        };
        let size = |path: &str| root.integer(path).and_then(|size| usize::try_from(size).ok());
        let base = LinkSettings::of(dialect);
        LinkSettings {
            dialect,
            strict: root.bool("link.strict").unwrap_or(false),
            release: match root.integer("link.release") {
                Some(2) => Release::Two,
                _ => Release::One,
            },
            error_mode: root.text("link.error_mode").and_then(|word| match word {
                "close" => Some(ErrorMode::Close),
                "resync" => Some(ErrorMode::Resync),
                _ => None,
            }),
            receive_bytes_max: size("link.receive_frame_bytes_max"),
            send_text_bytes_max: size("link.send_text_bytes_max"),
            packing: match root.text("link.packing") {
                Some("message") => Packing::WholeMessage,
                _ => Packing::RecordPerFrame,
            },
            tolerate: self.tolerances(dialect),
            start: bytes("link.start", base.start),
            end: bytes("link.end", base.end),
            handshake: root.bool("link.handshake").unwrap_or(false),
            reply: match root.text("link.reply") {
                Some("none") => TextReply::None,
                _ => TextReply::AckOrNak,
            },
        }
    }

    fn link_keys_fit(&mut self, dialect: Dialect) {
        for (key, needs) in [
            ("release", Dialect::Mllp),
            ("send_text_bytes_max", Dialect::Lis01),
            ("packing", Dialect::Lis01),
            ("start", Dialect::Delimited),
            ("end", Dialect::Delimited),
            ("reply", Dialect::Delimited),
            ("handshake", Dialect::Delimited),
        ] {
            if let Some(entry) = self.root.entry(&format!("link.{key}"))
                && dialect != needs
            {
                let problem = Problem::error(
                    entry.key_span.clone(),
                    format!("`{key}` has no meaning for dialect \"{}\"", dialect.as_str()),
                )
                .help(format!("it belongs to dialect \"{}\"; leave it out", needs.as_str()));
                self.report(&entry.node, problem);
            }
        }
    }

    fn tolerances(&mut self, dialect: Dialect) -> Tolerances {
        let mut set = Tolerances::NONE;
        for node in self.root.list("link.tolerate") {
            let Some(name) = node.as_text() else { continue };
            match name.parse::<Tolerance>() {
                Ok(_) if matches!(dialect, Dialect::Delimited | Dialect::Bci) => self.error(
                    node,
                    format!("dialect \"{}\" has no tolerances", dialect.as_str()),
                    "leave `tolerate` out",
                ),
                Ok(tolerance) => set = set.with(tolerance),
                Err(_) => {
                    let known = Tolerance::ALL.map(Tolerance::name);
                    let help = match suggest(name, known) {
                        Some(meant) => format!("did you mean \"{meant}\"?"),
                        None => format!("the tolerances are {}", known.join(", ")),
                    };
                    self.error(node, format!("unknown tolerance \"{name}\""), help);
                }
            }
        }
        set
    }
}
