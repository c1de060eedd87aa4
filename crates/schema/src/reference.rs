//! The key table as a page for people.

use core::fmt::Write as _;

use crate::table::{Key, Shape, Table};

/// One section a table: what it is for, then each key with its value, default and meaning.
#[must_use]
pub fn reference_markdown(table: &'static Table) -> String {
    let mut page = Page { out: String::new(), open: vec![table.name] };
    page.keys(table);
    page.nested(table, "");
    page.out
}

struct Page {
    out: String,
    /// Tables around the one that is written: one that holds itself is not written again.
    open: Vec<&'static str>,
}

impl Page {
    fn section(&mut self, heading: &str, path: &str, table: &'static Table) {
        if self.open.contains(&table.name) {
            return;
        }
        self.open.push(table.name);
        let _ = write!(self.out, "\n## {heading}\n\n{}\n", table.doc);
        self.keys(table);
        self.nested(table, path);
        self.open.pop();
    }

    fn nested(&mut self, table: &'static Table, path: &str) {
        for key in table.keys {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            self.nested_shape(&key.shape, &path, &format!("`[{path}]`"));
        }
    }

    fn nested_shape(&mut self, shape: &Shape, path: &str, heading: &str) {
        match shape {
            Shape::Table(table) => self.section(heading, path, table),
            Shape::ListOf(item) => self.nested_shape(item, path, &format!("`[[{path}]]`")),
            Shape::MapOf { value, .. } => {
                let path = format!("{path}.NAME");
                self.nested_shape(value, &path, &format!("`[{path}]`"));
            }
            Shape::Either(shapes) => {
                for shape in *shapes {
                    self.nested_shape(shape, path, heading);
                }
            }
            _ => {}
        }
    }

    fn keys(&mut self, table: &'static Table) {
        if table.keys.is_empty() {
            return;
        }
        self.out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in table.keys {
            let _ = writeln!(
                self.out,
                "| `{}` | {} | {} | {} |",
                key.name,
                cell(&key.shape.noun()),
                default(key),
                cell(key.doc)
            );
        }
    }
}

fn default(key: &Key) -> String {
    match (key.required, key.default) {
        (true, _) => "required".to_owned(),
        (false, None) => "–".to_owned(),
        (false, Some(default)) if toml::from_str::<toml::Table>(&format!("it = {default}")).is_ok() => {
            format!("`{}`", cell(default))
        }
        (false, Some(words)) => cell(words),
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
