//! Who is speaking: a profile's fingerprint against a message.

use labwire_message::Index;

use crate::plan::Plan;

/// As much of a text message as a fingerprint may look at.
const TEXT_BYTES_MAX: usize = 64 * 1024;

impl Plan {
    /// Whether this analyzer sent the message, and by which signs. `None` where a sign is missing
    /// or the profile names none.
    #[must_use]
    pub fn identifies(&self, bytes: &[u8]) -> Option<Vec<String>> {
        let signs = &self.rules.identify;
        if signs.is_empty() {
            return None;
        }
        let charset = self.rules.charset.unwrap_or_default();
        let Some(syntax) = self.protocol.syntax() else {
            let text = crate::decode::text::payload(bytes);
            let text = charset.decode(&text[..text.len().min(TEXT_BYTES_MAX)]).0;
            return signs
                .iter()
                .map(|(_, pattern)| pattern.is_match(&text).then(|| format!("the text matches {pattern}")))
                .collect();
        };
        let mut index = Index::new();
        let view = index.scan(syntax, bytes);
        // Without a header any line of text would be a record.
        if !view.records().any(|record| record.name() == "H" || record.name() == "MSH") {
            return None;
        }
        signs
            .iter()
            .map(|(path, pattern)| {
                let path = path.as_ref()?;
                let record = view.records().find(|record| record.name() == path.record)?;
                let text = record.text(path, charset).unwrap_or_default();
                pattern.is_match(&text).then(|| format!("{path} matches {pattern}"))
            })
            .collect()
    }
}
