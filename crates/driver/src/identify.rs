//! Who is speaking: a profile's fingerprint against a message.

use labwire_message::{Index, Path};
use labwire_schema::Mistake;
use regex::Regex;

use crate::plan::{Plan, Protocol};

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

    /// Where the message says that another analyzer sent it: a sentence for each place, without
    /// anything that was sent.
    ///
    /// Only the header's sender fields tell who speaks (`H.5`, `MSH-3`, `MSH-4`; of a text all of it):
    /// by the others a profile knows its messages, not its analyzer. One that is absent or empty tells
    /// nothing: several analyzers leave the sender out, and the connection stands for it.
    /// A profile whose analyzer never names itself says so with `^$`, and a name contradicts it.
    #[must_use]
    pub fn contradictions(&self, bytes: &[u8]) -> Vec<String> {
        let signs = &self.rules.identify;
        let charset = self.rules.charset.unwrap_or_default();
        let Some(syntax) = self.protocol.syntax() else {
            let text = crate::decode::text::payload(bytes);
            let text = charset.decode(&text[..text.len().min(TEXT_BYTES_MAX)]).0;
            return signs
                .iter()
                .filter(|(_, pattern)| !text.trim().is_empty() && !pattern.is_match(&text))
                .map(|(_, pattern)| format!("the text does not match '{pattern}'"))
                .collect();
        };
        if signs.is_empty() {
            return Vec::new();
        }
        let mut index = Index::new();
        let view = index.scan(syntax, bytes);
        signs
            .iter()
            .filter_map(|(path, pattern)| {
                let path = path.as_ref().filter(|path| names_sender(path))?;
                let header = view.records().find(|record| record.name() == path.record)?;
                let text = header.text(path, charset).filter(|text| !text.trim().is_empty())?;
                (!pattern.is_match(&text)).then(|| format!("{path} does not match '{pattern}'"))
            })
            .collect()
    }

    /// The same profile for an analyzer that names itself in another way: these signs, field path and
    /// regular expression, take the place of `[identify]`.
    ///
    /// # Errors
    /// A sentence about the first sign that this profile's messages cannot show.
    pub fn identified_by(mut self, signs: &[(String, String)]) -> Result<Self, String> {
        self.rules.identify = signs
            .iter()
            .map(|(at, pattern)| {
                let path = sender_path(at).map_err(|mistake| mistake.message)?;
                let fits = match (&path, self.protocol) {
                    (None, protocol) => protocol == Protocol::Text,
                    (Some(path), Protocol::Lis02) => path.record == "H",
                    (Some(path), Protocol::Hl7 | Protocol::Law) => path.record == "MSH",
                    (Some(_), Protocol::Text) => false,
                };
                if !fits {
                    let protocol = self.protocol.as_str();
                    return Err(format!("`{at}` is not in the messages of `{}` ({protocol})", self.id));
                }
                Ok((path, Regex::new(pattern).map_err(|error| error.to_string())?))
            })
            .collect::<Result<_, String>>()?;
        Ok(self)
    }
}

/// LIS02-A2 §6.5: sender name or id. HL7: sending application and facility.
fn names_sender(path: &Path) -> bool {
    path.record == "H" && path.field == 5 || path.record == "MSH" && matches!(path.field, 3 | 4)
}

/// A place that tells who speaks; `None` for a whole text.
fn sender_path(text: &str) -> Result<Option<Path>, Mistake> {
    if text == "text" {
        return Ok(None);
    }
    let help = "write a field of the sender such as \"H.5.1\", \"MSH-3\" or \"MSH-4\", or `text`";
    match text.parse::<Path>() {
        Ok(path) if names_sender(&path) => Ok(Some(path)),
        Ok(_) => Err(Mistake::new(format!("`{text}` does not tell who speaks")).help(help)),
        Err(_) => Err(Mistake::new(format!("`{text}` is not a field")).help(help)),
    }
}

/// Judges a place that tells who speaks, as a site file names it.
///
/// # Errors
/// What is wrong with it.
pub fn check_sender_path(text: &str) -> Result<(), Mistake> {
    sender_path(text).map(|_| ())
}

/// Judges a regular expression.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(text: &str) -> Result<(), Mistake> {
    crate::checks::regex(text)
}
