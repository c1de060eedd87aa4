//! All profiles: those in the binary, and those of a site laid over them key by key.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use labwire_schema::{Entry, Problem, Source, Tree, Value, has_errors, read_overlay, suggest};

use crate::compile;
use crate::keys::PROFILE;
use crate::link::Dialect;
use crate::plan::{Plan, Protocol};
use crate::site_codes::CodeTable;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The problems of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file.
    pub source: Source,
    /// What is wrong with it, in the order in which it was found.
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

/// Profiles by id. A profile may have several layers: the one in the binary, and files of a site.
#[derive(Clone, Debug, Default)]
pub struct Library {
    layers: BTreeMap<String, Vec<Source>>,
    /// Code tables of the site, laid over all layers of a profile.
    codes: Vec<CodeTable>,
    /// Every profile that compiles, once somebody asks who sent a message.
    plans: OnceLock<Vec<Arc<Plan>>>,
}

impl Library {
    /// A library without any profile.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The profiles that come with the binary.
    #[must_use]
    pub fn embedded() -> Self {
        let files = EMBEDDED
            .iter()
            .map(|(id, text)| ((*id).to_owned(), Source::new(format!("drivers/{id}.toml"), *text)));
        Self::empty().with_directory(files.collect())
    }

    /// Lays the profiles of a directory over these: `(id, file)` each. A file with the id of a
    /// profile that is there overrides it key by key, any other is a profile of its own.
    #[must_use]
    pub fn with_directory(mut self, files: Vec<(String, Source)>) -> Self {
        for (id, source) in files {
            self.layers.entry(id).or_default().push(source);
        }
        self.plans = OnceLock::new();
        self
    }

    /// Lays a site's code tables (CSV) over the `[tests]` of the profiles that they name, a later
    /// file over an earlier one.
    #[must_use]
    pub fn with_codes(mut self, files: Vec<Source>) -> Self {
        self.codes.extend(files.into_iter().map(CodeTable::read));
        self.plans = OnceLock::new();
        self
    }

    /// What is wrong with the code tables themselves: columns, lines, drivers that there are not.
    /// What a line says about a test is judged when its profile is compiled.
    #[must_use]
    pub fn code_reports(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for table in &self.codes {
            let mut problems = table.problems.clone();
            for (id, span, _) in table.drivers.iter().filter(|(id, ..)| !self.layers.contains_key(id)) {
                let meant = suggest(id, self.layers.keys().map(String::as_str));
                let help = match meant {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => "`labwire driver list` shows the profiles".to_owned(),
                };
                problems
                    .push(Problem::error(span.clone(), format!("there is no profile \"{id}\"")).help(help));
            }
            if !problems.is_empty() {
                reports.push(Report { source: table.source.clone(), problems });
            }
        }
        reports
    }

    /// All ids, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.layers.keys().map(String::as_str).collect()
    }

    /// The files of a profile, the lowest layer first; none when there is no such id.
    #[must_use]
    pub fn sources(&self, id: &str) -> &[Source] {
        self.layers.get(id).map_or(&[], Vec::as_slice)
    }

    /// Compiles a profile. `None` when there is no such id.
    #[must_use]
    pub fn compile(&self, id: &str) -> Option<Compiled> {
        let layers = self.layers.get(id)?;
        Some(self.compile_layers(id, layers))
    }

    /// Compiles a file that stands for itself; what it extends is looked up in the library.
    #[must_use]
    pub fn compile_source(&self, id: &str, source: &Source) -> Compiled {
        self.compile_layers(id, core::slice::from_ref(source))
    }

    /// Every profile that compiles, in the order of the ids. The first who asks waits for it.
    pub fn plans(&self) -> &[Arc<Plan>] {
        let compiled = |id: &String| self.compile(id)?.plan.map(Arc::new);
        self.plans.get_or_init(|| self.layers.keys().filter_map(compiled).collect())
    }

    /// The profiles that recognise a message, the one with the most signs first. A generic profile
    /// stands behind every other: it says how the message is built, not who sent it.
    #[must_use]
    pub fn identify(&self, bytes: &[u8]) -> Vec<Identified> {
        let mut found: Vec<(bool, Identified)> = self
            .plans()
            .iter()
            .filter_map(|plan| {
                let why = plan.identifies(bytes)?;
                Some((plan.no_profile, Identified { id: plan.id.clone(), why }))
            })
            .collect();
        found.sort_by(|(a_generic, a), (b_generic, b)| {
            let signs = b.why.len().cmp(&a.why.len());
            a_generic.cmp(b_generic).then(signs).then_with(|| a.id.cmp(&b.id))
        });
        found.into_iter().map(|(_, identified)| identified).collect()
    }

    fn compile_layers(&self, id: &str, layers: &[Source]) -> Compiled {
        let mut gathered = Gathered::default();
        let tree = self.gather(layers, &mut gathered, &mut vec![id.to_owned()]);
        let Gathered { mut sources, mut problems, without_schema } = gathered;
        let Some(mut tree) = tree else { return Compiled { plan: None, reports: Vec::new() } };
        for table in &self.codes {
            for (_, _, codes) in table.drivers.iter().filter(|(driver, ..)| driver == id) {
                let (origin, span) = (tree.root.origin, tree.root.span.clone());
                tree = tree.overlaid(codes.clone().with_origin(sources.len()));
                (tree.root.origin, tree.root.span) = (origin, span);
                sources.push(&table.source);
            }
        }
        // A file says its own format; where the one below says it, nothing is missing from the whole.
        if tree.root.get("schema").is_some() {
            problems.extend(without_schema.into_iter().map(|origin| {
                let problem = Problem::error(0..0, "missing key `schema`");
                (origin, problem.help("begin the file with `schema = 1`"))
            }));
        }
        let (plan, more) = compile::compile(id, &tree, &sources);
        problems.extend(more);
        let mut reports: Vec<Report> = Vec::new();
        for (origin, source) in sources.iter().enumerate() {
            let mut of: Vec<Problem> = Vec::new();
            for (_, problem) in problems.iter().filter(|(at, _)| *at == origin) {
                if !of.contains(problem) {
                    of.push(problem.clone());
                }
            }
            if !of.is_empty() {
                reports.push(Report { source: (*source).clone(), problems: of });
            }
        }
        let broken = reports.iter().any(|report| has_errors(&report.problems));
        Compiled { plan: plan.filter(|_| !broken), reports }
    }

    /// The effective tree of some layers: what they extend below, each layer over the one before.
    fn gather<'s>(
        &'s self,
        layers: &'s [Source],
        into: &mut Gathered<'s>,
        chain: &mut Vec<String>,
    ) -> Option<Tree> {
        let mut own: Option<Tree> = None;
        for source in layers {
            let origin = into.sources.len();
            into.sources.push(source);
            let (tree, problems) = read_overlay(source, &PROFILE);
            into.problems.extend(problems.into_iter().map(|problem| (origin, problem)));
            let tree = tree.with_origin(origin);
            if tree.whole && tree.root.get("schema").is_none() {
                into.without_schema.push(origin);
            }
            own = Some(match own {
                Some(below) => laid_over(below, tree),
                None => tree,
            });
        }
        let own = own?;
        let Some((base_id, node)) =
            own.root.get("extends").and_then(|node| Some((node.as_text()?.to_owned(), node.clone())))
        else {
            return Some(own);
        };
        if chain.contains(&base_id) {
            let from = chain.iter().position(|known| *known == base_id).unwrap_or(0);
            let circle: Vec<&str> =
                chain[from..].iter().map(String::as_str).chain([base_id.as_str()]).collect();
            let problem = Problem::error(
                node.span.clone(),
                format!("profiles extend each other in a circle: {}", circle.join(" → ")),
            )
            .help("one of them must stand for itself");
            into.problems.push((node.origin, problem));
            return Some(own);
        }
        let Some(base_layers) = self.layers.get(&base_id) else {
            let meant = suggest(&base_id, self.layers.keys().map(String::as_str));
            let problem = Problem::error(node.span.clone(), format!("there is no profile \"{base_id}\""))
                .help(match meant {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => "`labwire driver list` shows the profiles".to_owned(),
                });
            into.problems.push((node.origin, problem));
            return Some(Tree { whole: false, ..own });
        };
        chain.push(base_id.clone());
        let base = self.gather(base_layers, into, chain);
        chain.pop();
        match base {
            Some(base) => Some(laid_over(without_own_keys(base), own)),
            None => Some(own),
        }
    }
}

/// Sources and problems of an effective tree; a source's place is its origin.
#[derive(Default)]
struct Gathered<'s> {
    sources: Vec<&'s Source>,
    problems: Vec<(usize, Problem)>,
    without_schema: Vec<usize>,
}

/// What is missing from the whole is missing from the file on top.
fn laid_over(mut below: Tree, over: Tree) -> Tree {
    // What was said about another dialect means nothing for this one.
    if over.root.text("link.dialect").is_some_and(|dialect| Some(dialect) != dialect_of(&below))
        && let Value::Table(entries) = &mut below.root.value
    {
        entries.retain(|entry| entry.key != "link");
    }
    let (origin, span) = (over.root.origin, over.root.span.clone());
    let mut tree = below.overlaid(over);
    tree.root.origin = origin;
    tree.root.span = span;
    tree
}

/// The dialect of a tree, named or not.
fn dialect_of(tree: &Tree) -> Option<&str> {
    let usual = || {
        let protocol = tree.root.text("analyzer.protocol").and_then(Protocol::from_word)?;
        Dialect::carrying(protocol).first().map(|dialect| dialect.as_str())
    };
    tree.root.text("link.dialect").or_else(usual)
}

/// What a profile says of itself alone is not inherited.
fn without_own_keys(mut base: Tree) -> Tree {
    if let Value::Table(entries) = &mut base.root.value {
        entries.retain(|Entry { key, .. }| {
            !matches!(key.as_str(), "check" | "version" | "no_profile" | "extends")
        });
    }
    base
}
