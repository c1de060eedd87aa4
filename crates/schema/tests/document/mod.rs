//! A small document type that has every shape.

use core::time::Duration;

use labwire_schema::{Checked, Key, Mistake, Shape, Source, Table, read, render};

static PORT: Checked = Checked { noun: "a port such as \"p1\"", check: check_port };

fn check_port(text: &str) -> Result<(), Mistake> {
    match text.find(|c: char| !c.is_ascii_alphanumeric()) {
        None => Ok(()),
        Some(at) => {
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            Err(Mistake::new(format!("`{}` cannot stand in a port", &text[at..end]))
                .at(at..end)
                .help("write letters and digits"))
        }
    }
}

static LINE: Table = Table::new(
    "line",
    "A serial line.",
    &[
        Key::required("device", Shape::Text, "Its device file.").example("\"/dev/ttyS0\""),
        Key::optional("baud", Shape::Integer { min: 300, max: 115_200 }, "Its speed.").default("9600"),
        Key::optional("stop_bits", Shape::IntegerOneOf(&[1, 2]), "Stop bits."),
    ],
);

static SITE: Table = Table::new(
    "site",
    "The site.",
    &[
        Key::required("tenant", Shape::Text, "The laboratory.").example("\"central-lab\""),
        Key::optional("note", Shape::TextOrEmpty, "Anything."),
        Key::optional(
            "hold",
            Shape::Duration { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
            "How long.",
        )
        .default("\"15m\""),
        Key::optional("strict", Shape::Bool, "To the letter | or not.").default("false"),
        Key::optional("parity", Shape::OneOf(&["none", "even", "odd"]), "Parity."),
        Key::optional("port", Shape::Checked(&PORT), "A port."),
    ],
)
.hints(&[("tls", "TLS comes later")]);

static RULE: Table = Table::new(
    "rule",
    "A rule, which may hold rules.",
    &[
        Key::required("name", Shape::Text, "Its name."),
        Key::optional("allow", Shape::ListOf(&Shape::Text), "Who may."),
        Key::optional("line", Shape::Table(&LINE), "A line."),
        Key::optional("rules", Shape::ListOf(&Shape::Table(&RULE)), "Rules within."),
        Key::optional(
            "at",
            Shape::Either(&[Shape::Text, Shape::ListOf(&Shape::Text), Shape::Table(&LINE)]),
            "Where.",
        ),
    ],
);

/// The document.
pub(crate) static DOCUMENT: Table = Table::new(
    "document",
    "A document.",
    &[
        Key::required("site", Shape::Table(&SITE), "The site."),
        Key::optional("rule", Shape::ListOf(&Shape::Table(&RULE)), "Rules."),
        Key::optional("units", Shape::MapOf { key: Some(&PORT), value: &Shape::Text }, "Units."),
        Key::optional("version", Shape::Integer { min: 1, max: i64::MAX }, "Version."),
    ],
);

/// What is said about a text; nothing if all is well.
pub(crate) fn said(text: &str) -> String {
    let source = Source::new("x.toml", text);
    let (_, problems) = read(&source, &DOCUMENT);
    render(&source, &problems)
}
