//! What is said about a value of each shape.

mod document;

use std::time::Duration;

use document::{DOCUMENT, said};
use labwire_schema::{Source, read};

/// A document whose `[site]` has this line too.
fn site(line: &str) -> String {
    format!("[site]\ntenant = \"a\"\n{line}\n")
}

/// The messages with their line, column and help.
fn problems(text: &str) -> Vec<(String, usize, usize, String)> {
    let source = Source::new("x.toml", text);
    let (_, problems) = read(&source, &DOCUMENT);
    problems
        .into_iter()
        .map(|problem| {
            let at = source.position(problem.span.start);
            (problem.message, at.line, at.column, problem.help.unwrap_or_default())
        })
        .collect()
}

fn one(line: &str) -> (String, usize, String) {
    let found = problems(&site(line));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, 3);
    (found[0].0.clone(), found[0].2, found[0].3.clone())
}

fn says(line: &str, message: &str, column: usize, help: &str) {
    assert_eq!(one(line), (message.to_owned(), column, help.to_owned()));
}

#[test]
fn a_document_that_is_right_is_read_without_a_word() {
    let text = "version = 2\n[site]\ntenant = \"a\"\nnote = \"\"\nhold = \"1m 30s\"\nstrict = true\nparity = \"odd\"\n\
                port = \"p1\"\n[units]\nab = \"x\"\n[[rule]]\nname = \"r\"\nallow = [\"a\", \"b\"]\n\
                line = { device = \"d\", baud = 0x2580, stop_bits = 2 }\nat = [\"x\"]\n[[rule.rules]]\nname = \"inner\"\nat = \"x\"\n";
    assert_eq!(said(text), "");
    let (tree, _) = read(&Source::new("x.toml", text), &DOCUMENT);
    let root = &tree.root;
    assert!(tree.whole);
    assert_eq!(root.integer("version"), Some(2));
    assert_eq!(root.text("site.note"), Some(""));
    assert_eq!(root.duration("site.hold"), Some(Duration::from_secs(90)));
    assert_eq!(root.bool("site.strict"), Some(true));
    assert_eq!(root.text("units.ab"), Some("x"));
    let rule = &root.list("rule")[0];
    assert_eq!(rule.texts("allow").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rule.integer("line.baud"), Some(9600));
    assert_eq!(rule.list("rules")[0].texts("at").collect::<Vec<_>>(), ["x"]);
    assert_eq!(&text[rule.span_of("allow")], "[\"a\", \"b\"]");
    assert_eq!(&text[rule.span_of("absent")], "[[rule]]");
    assert_eq!(root.list("absent").len(), 0);
}

#[test]
fn text_is_quoted_and_not_empty() {
    says("note = 5", "`note` must be text, not a whole number", 8, "write it in quotes: \"5\"");
    says(
        "note = 2026-03-02",
        "`note` must be text, not a date or time",
        8,
        "write it in quotes: \"2026-03-02\"",
    );
    assert_eq!(
        problems("[site]\ntenant = \"\"\n"),
        [("`tenant` is empty".to_owned(), 2, 10, "write at least one character".to_owned())]
    );
}

#[test]
fn text_that_is_judged_is_marked_where_it_is_wrong() {
    says("port = \"a:b\"", "`:` cannot stand in a port", 10, "write letters and digits");
    says("port = 'a:b'", "`:` cannot stand in a port", 10, "write letters and digits");
    says("port = \"\"\"a:b\"\"\"", "`:` cannot stand in a port", 12, "write letters and digits");
}

#[test]
fn text_with_escapes_is_marked_as_a_whole_because_its_bytes_have_moved() {
    says("port = \"\\u0061:b\"", "`:` cannot stand in a port", 8, "write letters and digits");
}

#[test]
fn a_number_for_text_that_is_judged_is_quoted_only_if_that_helps() {
    says(
        "port = 5",
        "`port` must be a port such as \"p1\", not a whole number",
        8,
        "write it in quotes: \"5\"",
    );
    says(
        "port = 1.5",
        "`port` must be a port such as \"p1\", not a number with a fraction",
        8,
        "write letters and digits",
    );
}

#[test]
fn a_word_of_a_few_is_suggested() {
    says("parity = \"evn\"", "`parity` cannot be \"evn\"", 10, "did you mean \"even\"?");
    says("parity = \"mark\"", "`parity` cannot be \"mark\"", 10, "write \"none\", \"even\" or \"odd\"");
    says(
        "parity = 1",
        "`parity` must be \"none\", \"even\" or \"odd\", not a whole number",
        10,
        "write \"none\", \"even\" or \"odd\"",
    );
}

#[test]
fn a_whole_number_lies_within_its_bounds() {
    let line = |value: &str| {
        problems(&format!(
            "[site]\ntenant = \"a\"\n[[rule]]\nname = \"r\"\nline = {{ device = \"d\", baud = {value} }}\n"
        ))
    };
    assert_eq!(line("300"), []);
    assert_eq!(line("115200"), []);
    assert_eq!(line("299")[0].0, "`baud` is less than 300");
    assert_eq!(line("115201")[0].0, "`baud` is more than 115200");
    assert_eq!(line("99999999999999999999")[0].0, "`baud` is a number too large to be read");
    assert_eq!(line("\"9600\"")[0].3, "write it without quotes: 9600");
    assert_eq!(line("96.0")[0].3, "write a whole number from 300 to 115200");
    assert_eq!(problems("version = 0\n[site]\ntenant = \"a\"\n")[0].3, "write a whole number from 1");
}

#[test]
fn a_whole_number_of_a_few_is_listed() {
    let found = problems(
        "[site]\ntenant = \"a\"\n[[rule]]\nname = \"r\"\nline = { device = \"d\", stop_bits = 3 }\n",
    );
    assert_eq!(found, [("`stop_bits` cannot be 3".to_owned(), 5, 36, "write 1 or 2".to_owned())]);
}

#[test]
fn a_truth_value_is_true_or_false() {
    says("strict = \"yes\"", "`strict` must be true or false, not text", 10, "write true");
    says("strict = 0", "`strict` must be true or false, not a whole number", 10, "write false");
    says("strict = \"perhaps\"", "`strict` must be true or false, not text", 10, "write true or false");
}

#[test]
fn a_duration_is_text_with_its_unit_within_its_bounds() {
    let noun = "a duration from \"1s\" to \"1h\"";
    says(
        "hold = 5",
        &format!("`hold` must be {noun}, not a whole number"),
        8,
        "a duration is text with its unit: \"5s\", \"5m\"",
    );
    says("hold = \"5\"", "`5` has no unit", 9, "write the unit: \"5s\", \"5m\", \"5h\"");
    says("hold = \"1m 5sec\"", "unknown unit of time `sec`", 12, "write \"5s\"");
    says("hold = \"10ms\"", "`hold` is shorter than 1s", 8, &format!("write {noun}"));
    says("hold = \"2h\"", "`hold` is longer than 1h", 8, &format!("write {noun}"));
}

#[test]
fn a_table_is_told_from_a_list_of_tables() {
    assert_eq!(problems("[[site]]\ntenant = \"a\"\n")[0].3, "write `[site]` with single brackets");
    assert_eq!(
        problems("[site]\ntenant = \"a\"\n[rule]\nname = \"r\"\n")[0].3,
        "write `[[rule]]` with double brackets"
    );
    assert_eq!(
        problems("site = 3\n"),
        [(
            "`site` must be a table, not a whole number".to_owned(),
            1,
            8,
            "the keys here are `tenant`, `note`, `hold`, `strict`, `parity` and `port`".to_owned()
        )]
    );
}

#[test]
fn keys_that_are_free_are_judged_and_so_are_their_values() {
    let found = problems("[site]\ntenant = \"a\"\n[units]\n'a b' = 3\n\"ok\" = \"x\"\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].0.as_str(), found[0].2), ("` ` cannot stand in a port", 3));
    assert_eq!((found[1].0.as_str(), found[1].2), ("`a b` must be text, not a whole number", 9));
}

#[test]
fn a_list_is_read_item_by_item() {
    let rule =
        |value: &str| problems(&format!("[site]\ntenant = \"a\"\n[[rule]]\nname = \"r\"\nallow = {value}\n"));
    assert_eq!(rule("[\"a\", 1, \"\"]").len(), 2);
    assert_eq!(rule("\"a\"")[0].3, "write a list: [\"a\"]");
}

#[test]
fn one_of_several_shapes_is_chosen_by_the_type_of_the_value() {
    let rule =
        |value: &str| problems(&format!("[site]\ntenant = \"a\"\n[[rule]]\nname = \"r\"\nat = {value}\n"));
    assert_eq!(rule("{ device = \"d\" }"), []);
    assert_eq!(rule("{ baud = 9600 }")[0].0, "missing key `device` in `rule.at`");
    assert_eq!(rule("{ device = \"d\", bauds = 9600 }")[0].3, "did you mean `baud`?");
    assert_eq!(rule("[3]")[0].0, "`at` must be text, not a whole number");
    assert_eq!(rule("3")[0].0, "`at` must be text, a list, each text or a table, not a whole number");
}

#[test]
fn an_unknown_key_is_suggested_explained_or_sent_home() {
    says("tennant = 1", "unknown key `tennant` in `[site]`", 1, "did you mean `tenant`?");
    says("tls = 1", "unknown key `tls` in `[site]`", 1, "TLS comes later");
    says("name = 1", "unknown key `name` in `[site]`", 1, "`name` belongs in `[[rule]]`");
    says(
        "version = 1",
        "unknown key `version` in `[site]`",
        1,
        "`version` belongs in the top level of the file, above the first `[table]`",
    );
    assert_eq!(problems("[site]\ntenant = \"a\"\n[[rulle]]\n")[0].0, "unknown table `[[rulle]]`");
    assert_eq!(problems("[site]\ntenant = \"a\"\n[stie]\n")[0].3, "did you mean `site`?");
}

#[test]
fn what_is_missing_is_said_at_the_table_that_lacks_it() {
    assert_eq!(
        problems("# nothing\n"),
        [(
            "missing table `[site]`".to_owned(),
            1,
            10,
            "add `[site]` with `tenant = \"central-lab\"`".to_owned()
        )]
    );
    assert_eq!(
        problems("[site]\ntenant = \"a\"\n[[rule]]\nname = \"r\"\n[[rule.rules]]\n"),
        [("missing key `name` in `rule.rules`".to_owned(), 5, 1, "add `name`: text".to_owned())]
    );
}

#[test]
fn nothing_is_called_missing_in_a_file_that_could_not_be_read_whole() {
    let found = problems("[site]\ntenant \"a\"\n[[rule]]\nnome = \"r\"\n");
    let messages: Vec<&str> = found.iter().map(|problem| problem.0.as_str()).collect();
    assert_eq!(messages, ["no `=` between key and value", "unknown key `nome` in `[[rule]]`"]);
}
