//! What is wrong, where, and what to do about it.

use core::ops::Range;

/// Whether the file can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used; someone should look.
    Warning,
}

/// A second place that explains the first, such as where a name was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Bytes of the source.
    pub span: Range<usize>,
    /// What is there, in few words.
    pub label: String,
}

/// One problem of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the source that are wrong; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong: a fragment that starts with a small letter and ends without a full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// Other places that explain this one, in the same file.
    pub related: Vec<Related>,
    /// Bytes of the source that are shown as stars, because they are a secret.
    pub concealed: Option<Range<usize>>,
}

impl Problem {
    /// A problem that makes the file unusable.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
            severity: Severity::Error,
            related: Vec::new(),
            concealed: None,
        }
    }

    /// A problem that leaves the file usable.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds what to do about it, where that is known.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds another place that explains this one.
    #[must_use]
    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push(Related { span, label: label.into() });
        self
    }

    /// Shows some bytes of the source as stars wherever their line is shown.
    #[must_use]
    pub fn conceal(mut self, secret: Range<usize>) -> Self {
        self.concealed = Some(secret);
        self
    }

    /// Whether this problem makes the file unusable.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Whether any of the problems makes the file unusable.
#[must_use]
pub fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(Problem::is_error)
}
