//! `[acknowledge]`: only HL7 messages are answered by messages.

use labwire_message::hl7::AckType;
use labwire_schema::Problem;

use crate::acknowledge::{Acknowledge, NotStored, ReplyMode, Unnamed};
use crate::compile::Compiler;
use crate::plan::Protocol;

impl Compiler<'_> {
    pub(super) fn acknowledge(&mut self) -> Acknowledge {
        let root = self.root;
        if let Some(entry) = root.entry("acknowledge")
            && !matches!(self.protocol, Protocol::Hl7 | Protocol::Law)
        {
            let message =
                format!("`[acknowledge]` has no meaning for protocol \"{}\"", self.protocol.as_str());
            let problem = Problem::error(entry.key_span.clone(), message)
                .help("it belongs to protocols \"hl7\" and \"law\"; leave it out");
            self.report(&entry.node, problem);
        }
        let word = |key: &str| root.text(&format!("acknowledge.{key}"));
        let types =
            |key: &str| root.texts(&format!("acknowledge.{key}")).map(str::to_owned).collect::<Vec<_>>();
        let has =
            |key: &str, value: &str| root.texts(&format!("acknowledge.{key}")).any(|text| text == value);
        Acknowledge {
            mode: word("mode").and_then(ReplyMode::from_word).unwrap_or_default(),
            message_type: word("type").and_then(|word| match word {
                "code" => Some(AckType::Code),
                "event" => Some(AckType::Event),
                "structure" => Some(AckType::Structure),
                _ => None,
            }),
            text: word("text").map(str::to_owned),
            condition: word("condition").map(str::to_owned),
            echo_msh_10: has("echo", "MSH-10"),
            echo_msh_16: has("echo", "MSH-16"),
            batch_in_blocks: word("batch") == Some("blocks"),
            not_stored: match word("when_not_stored") {
                Some("silence") => NotStored::Silence,
                Some("error") => NotStored::Error,
                _ => NotStored::Asked,
            },
            unnamed: match word("without_control_id") {
                Some("reject") => Unnamed::Reject,
                _ => Unnamed::Error,
            },
            accept: types("accept"),
            unanswered: types("unanswered"),
            reject_processing: has("reject", "processing-id"),
            reject_version: has("reject", "version"),
            sequence_numbers: root.bool("acknowledge.sequence_numbers").unwrap_or(false),
        }
    }
}
