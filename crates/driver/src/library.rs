//! All profiles: those in the binary, and those of a site laid over them key by key.

use labwire_schema::{Problem, Source, has_errors};

use crate::plan::Plan;

/// The problems of one file.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub source: Source,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// What came of compiling a profile: the plan unless there are errors, and a report for each file
/// with problems.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Option<Plan>,
    /// Files with problems, warnings included.
    pub reports: Vec<Report>,
}

impl Compiled {
    /// Whether any file has errors.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.reports.iter().any(|report| has_errors(&report.problems))
    }
}

/// A profile that recognised a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The profile's id.
    pub id: String,
    /// By which signs.
    pub why: Vec<String>,
}

/// Profiles by id.
#[derive(Clone, Debug, Default)]
pub struct Library {
    layers: Vec<(String, Source)>,
}

impl Library {
    /// The profiles that come with the binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self::default()
    }

    /// Lays the profiles of a directory over these, key by key: `(id, source)` each.
    #[must_use]
    pub fn with_directory(mut self, files: Vec<(String, Source)>) -> Self {
        self.layers.extend(files);
        self
    }

    /// All ids, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.layers.iter().map(|(id, _)| id.as_str()).collect()
    }

    /// Compiles a profile. `None` when there is no such id.
    #[must_use]
    pub fn compile(&self, id: &str) -> Option<Compiled> {
        let _ = id;
        None
    }

    /// Compiles a profile file that is not in the library; `extends` refers to the library.
    #[must_use]
    pub fn compile_source(&self, id: &str, source: Source) -> Compiled {
        let _ = (id, source);
        Compiled { plan: None, reports: Vec::new() }
    }

    /// The profiles that recognise a message, the most specific first.
    #[must_use]
    pub fn identify(&self, bytes: &[u8]) -> Vec<Identified> {
        let _ = bytes;
        Vec::new()
    }
}
