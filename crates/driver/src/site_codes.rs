//! Code tables of a site: CSV files with one line a test, laid over `[tests]` of the profiles.
//!
//! The first line names the columns: `driver` and `test`, and any keys of a test. An empty cell says
//! nothing; cells of lists are separated by `;`. Every cell keeps its place in the file, so that what is
//! wrong with it is shown there.

use core::ops::Range;

use labwire_schema::{Entry, Key, Node, Problem, Shape, Source, Tree, Value, check_table, suggest};

use crate::keys::TEST_TABLE;

/// A code table and what it lays over each profile.
#[derive(Clone, Debug)]
pub(crate) struct CodeTable {
    pub(crate) source: Source,
    pub(crate) problems: Vec<Problem>,
    /// Driver id, where it stands, and the tree over its profile.
    pub(crate) drivers: Vec<(String, Range<usize>, Tree)>,
}

/// Columns that a table has lines for: the lists and tables of a test but those of texts have none.
fn column(name: &str) -> Option<&'static Key> {
    let key = TEST_TABLE.key(name)?;
    let is_cell = match key.shape {
        Shape::ListOf(item) => matches!(item, Shape::Text),
        Shape::Table(_) | Shape::MapOf { .. } | Shape::Either(_) => false,
        _ => true,
    };
    is_cell.then_some(key)
}

struct Cell {
    text: String,
    span: Range<usize>,
}

impl CodeTable {
    /// Reads a table and tells everything that is wrong with it.
    pub(crate) fn read(source: Source) -> Self {
        let mut table = Self { problems: Vec::new(), drivers: Vec::new(), source };
        let lines = cells(&table.source.text);
        let Some((header, lines)) = lines.split_first() else {
            let help = "begin the file with a line of columns: driver,test,lis";
            table.problems.push(Problem::error(0..0, "the code table is empty").help(help));
            return table;
        };
        table.check_header(header);
        let mut seen: Vec<(String, String)> = Vec::new();
        for line in lines {
            table.line(header, line, &mut seen);
        }
        let read: Vec<Problem> = table
            .drivers
            .iter()
            .flat_map(|(_, _, tree)| tree.root.get("tests").map_or(&[][..], Node::entries))
            .flat_map(|test| {
                check_table(&table.source, &test.node, &TEST_TABLE, &format!("tests.{}", test.key))
            })
            .collect();
        table.problems.extend(read);
        table
    }

    fn check_header(&mut self, header: &[Cell]) {
        for required in ["driver", "test"] {
            if !header.iter().any(|cell| cell.text == required) {
                let end = header.last().map_or(0, |cell| cell.span.end);
                let problem = Problem::error(end..end, format!("missing column `{required}`"));
                self.problems
                    .push(problem.help("the columns `driver` and `test` say which test a line is about"));
            }
        }
        for (place, cell) in header.iter().enumerate() {
            if header[..place].iter().any(|before| before.text == cell.text) {
                let problem =
                    Problem::error(cell.span.clone(), format!("column `{}` comes twice", cell.text));
                self.problems.push(problem.help("leave one of them out"));
            } else if !matches!(cell.text.as_str(), "driver" | "test") && column(&cell.text).is_none() {
                let columns =
                    TEST_TABLE.keys.iter().map(|key| key.name).filter(|name| column(name).is_some());
                let columns: Vec<&str> = ["driver", "test"].into_iter().chain(columns).collect();
                let problem = Problem::error(cell.span.clone(), format!("unknown column `{}`", cell.text));
                self.problems.push(problem.help(match suggest(&cell.text, columns.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the columns are {}", columns.join(", ")),
                }));
            }
        }
    }

    fn line(&mut self, header: &[Cell], line: &[Cell], seen: &mut Vec<(String, String)>) {
        let [first, .., last] = line else {
            if let [only] = line {
                let problem = Problem::error(only.span.clone(), "the line has one cell");
                self.problems.push(problem.help("separate the cells by commas"));
            }
            return;
        };
        if line.len() > header.len() {
            let problem = Problem::error(last.span.clone(), "the line has more cells than there are columns");
            self.problems.push(problem.help("put a cell with a comma in it between double quotes"));
            return;
        }
        let named = |name: &str| {
            let place = header.iter().position(|cell| cell.text == name)?;
            line.get(place).filter(|cell| !cell.text.is_empty())
        };
        let (Some(driver), Some(test)) = (named("driver"), named("test")) else {
            let problem =
                Problem::error(first.span.start..last.span.end, "the line names no driver or no test");
            self.problems.push(problem.help("fill in the columns `driver` and `test`"));
            return;
        };
        let key = (driver.text.clone(), test.text.clone());
        if seen.contains(&key) {
            let problem =
                Problem::error(test.span.clone(), format!("the test \"{}\" comes twice", test.text));
            self.problems.push(problem.help("a test has one line; leave one of them out"));
            return;
        }
        seen.push(key);
        let entries = header.iter().zip(line).filter_map(|(name, cell)| {
            let key = column(&name.text).filter(|_| !cell.text.is_empty())?;
            Some(entry(&name.text, cell.span.clone(), value(&key.shape, cell)))
        });
        let span = first.span.start..last.span.end;
        let row = entry(&test.text, test.span.clone(), table_node(entries.collect(), span.clone()));
        let tests = entry("tests", span.clone(), table_node(vec![row], span.clone()));
        let tree = Tree { root: table_node(vec![tests], span), whole: true };
        match self.drivers.iter().position(|(id, ..)| *id == driver.text) {
            Some(place) => {
                let (id, span, below) = self.drivers.remove(place);
                self.drivers.insert(place, (id, span, below.overlaid(tree)));
            }
            None => self.drivers.push((driver.text.clone(), driver.span.clone(), tree)),
        }
    }
}

fn entry(key: &str, key_span: Range<usize>, node: Node) -> Entry {
    Entry { key: key.to_owned(), key_span, node }
}

fn table_node(entries: Vec<Entry>, span: Range<usize>) -> Node {
    Node { value: Value::Table(entries), span, origin: 0 }
}

fn value(shape: &Shape, cell: &Cell) -> Node {
    let text = |text: &str| Value::Text(text.to_owned());
    let node = |value| Node { value, span: cell.span.clone(), origin: 0 };
    match shape {
        Shape::Integer { .. } | Shape::IntegerOneOf(_) => {
            node(cell.text.parse().map_or_else(|_| text(&cell.text), Value::Integer))
        }
        Shape::Bool => node(match cell.text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => text(&cell.text),
        }),
        Shape::ListOf(_) => {
            node(Value::List(cell.text.split(';').map(|part| node(text(part.trim()))).collect()))
        }
        _ => node(text(&cell.text)),
    }
}

/// The cells of each line that has any, as RFC 4180 writes them; a line that begins with `#` is a remark.
fn cells(text: &str) -> Vec<Vec<Cell>> {
    let mut lines = Vec::new();
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    while at < text.len() {
        let mut line = Vec::new();
        loop {
            let (cell, end) = cell(text, at);
            line.push(cell);
            let more = text[end..].starts_with(',');
            at = end + usize::from(more);
            if !more {
                break;
            }
        }
        let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        at = line_end;
        let is_remark = line.first().is_some_and(|cell: &Cell| cell.text.starts_with('#'));
        if !is_remark && line.iter().any(|cell| !cell.text.is_empty()) {
            lines.push(line);
        }
    }
    lines
}

/// The cell that begins here, and where it ends.
fn cell(text: &str, at: usize) -> (Cell, usize) {
    let rest = &text[at..];
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = at + rest.find([',', '\n']).unwrap_or(rest.len());
        let raw = &text[at..end];
        let from = at + raw.len() - raw.trim_start().len();
        let bare = raw.trim();
        return (Cell { text: bare.to_owned(), span: from..from + bare.len() }, end);
    };
    let mut out = String::new();
    let mut close = 0;
    loop {
        let Some(quote) = quoted[close..].find('"') else {
            // Without its end the cell is all that is left; the shape of the line tells.
            out.push_str(&quoted[close..]);
            return (Cell { text: out, span: at..text.len() }, text.len());
        };
        out.push_str(&quoted[close..close + quote]);
        close += quote + 1;
        if !quoted[close..].starts_with('"') {
            break;
        }
        out.push('"');
        close += 1;
    }
    let end = at + 1 + close;
    let behind = end + text[end..].find([',', '\n']).unwrap_or(text.len() - end);
    (Cell { text: out, span: at..end }, behind)
}
