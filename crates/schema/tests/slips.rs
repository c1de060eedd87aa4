//! What is said about text that is no TOML: each slip once, at the place where it is mended.

mod document;

use document::{DOCUMENT, said};
use labwire_schema::{Source, read, render};

/// `line:column message` of everything that is said.
fn brief(text: &str) -> Vec<String> {
    let source = Source::new("x.toml", text);
    let (_, mut problems) = read(&source, &DOCUMENT);
    problems.sort_by_key(|problem| problem.span.start);
    problems
        .iter()
        .map(|problem| {
            let at = source.position(problem.span.start);
            format!("{}:{} {}", at.line, at.column, problem.message)
        })
        .collect()
}

#[test]
fn several_slips_are_each_reported_and_so_is_what_is_wrong_elsewhere() {
    assert_eq!(
        brief("[site]\ntenant = abc\nhold 3\nstrict =\n= 4\nparity: \"odd\"\n[[rule]]\nname = 3\n"),
        [
            "2:10 text must be in quotes",
            "3:1 no `=` between key and value",
            "4:9 a key without a value",
            "5:1 a value without a key",
            "6:7 expected `=`, found `:`",
            "8:8 `name` must be text, not a whole number",
        ]
    );
}

#[test]
fn text_that_never_ends_is_marked_where_it_begins() {
    assert_eq!(brief("[site]\ntenant = \"a\nhold = 3\n")[0], "2:10 the text that begins here never ends");
    assert_eq!(brief("[site]\ntenant = 'a\n"), ["2:10 the text that begins here never ends"]);
    let open = brief("[site]\ntenant = \"\"\"a\nhold = \"5s\"\n[wrong]\n");
    assert_eq!(open, ["2:10 the text that begins here never ends", "4:2 unknown table `[wrong]`"]);
}

#[test]
fn a_list_or_table_that_is_not_closed_is_marked_where_it_begins() {
    assert_eq!(
        brief("[[rule]]\nname = \"r\"\nallow = [\"a\",\n  \"b\"\n[site]\ntenant = 3\n"),
        ["3:9 the list that begins here is not closed", "6:10 `tenant` must be text, not a whole number"]
    );
    assert_eq!(
        brief("[[rule]]\nname = \"r\"\nline = { device = \"d\"\nat = 3\n")[0],
        "3:8 the table that begins here is not closed"
    );
}

#[test]
fn a_missing_comma_is_marked_where_it_belongs() {
    assert_eq!(brief("[[rule]]\nname = \"r\"\nallow = [\n  \"a\"\n  \"b\",\n]\n"), ["4:6 missing comma"]);
    assert_eq!(
        brief("[[rule]]\nname = \"r\"\nline = {\n  device = \"d\"\n  baud = 9600\n}\n"),
        ["4:15 missing comma"]
    );
}

#[test]
fn a_header_that_is_malformed_takes_its_section_with_it() {
    assert_eq!(
        brief("[site\ntenant = 5\n[[rule]]\nname = 3\n"),
        ["1:1 the table header is malformed", "4:8 `name` must be text, not a whole number"]
    );
    assert!(said("[[rule]\nname = 3\n").contains("write `[[rule]]` on a line of its own"));
}

#[test]
fn what_is_given_twice_is_shown_with_the_first() {
    let out = said("[site]\ntenant = \"a\"\nhold = \"5s\"\ntenant = \"b\"\n");
    assert!(out.contains("error: the key `tenant` is given twice\n --> x.toml:4:1\n"), "{out}");
    assert!(out.contains("2 | tenant = \"a\"\n  | ------ first given here\n"), "{out}");
    let out = said("[site]\ntenant = \"a\"\n[units]\n[site]\nhold = \"5s\"\n");
    assert!(out.contains("error: the table `[site]` is given twice\n --> x.toml:4:2\n"), "{out}");
    assert!(out.contains("1 | [site]\n  |  ---- first given here\n"), "{out}");
}

#[test]
fn a_key_of_another_section_is_not_taken_for_the_first() {
    let out = said("[[rule]]\nname = \"a\"\n[[rule]]\nname = \"b\"\nname = \"c\"\n");
    assert!(out.contains("4 | name = \"b\"\n  | ---- first given here\n"), "{out}");
}

#[test]
fn words_of_other_languages_are_explained() {
    let help = |text: &str, help: &str| assert!(said(text).contains(help), "{}", said(text));
    help("[site]\ntenant = True\n", "write true");
    help("[site]\ntenant = \u{201c}a\u{201d}\n", "write \"a\"");
    help("[site]\ntenant = \"a\\q\"\n", "write the backslash twice, or put the text in single quotes");
    help("[site]\ntenant = 10.0.0.1\n", "write \"10.0.0.1\"");
    help("[site]\ntenant = \"a\" hold = \"5s\"\n", "begin a new line");
    help("version = 1 x = 2\n", "begin a new line for each key");
    help("version = 01\n", "leave the zero out");
    help("\u{645} = 1\n", "keys are of letters a to z");
    help("# \u{7}\n", "control character U+0007");
}

#[test]
fn a_file_in_another_format_is_one_problem() {
    assert_eq!(
        brief("{\n  \"site\": { \"tenant\": \"a\" },\n  \"rule\": [\n    1\n  ]\n}\n"),
        ["1:1 this is not TOML"]
    );
    assert_eq!(brief("site:\n  tenant: a\n  hold: 5\n").len(), 1);
}

#[test]
fn a_file_of_garbage_is_refused_soon() {
    let garbage = "@@@ \u{1}\n".repeat(5_000);
    let found = brief(&garbage);
    assert!(!found.is_empty() && found.len() <= 200, "{}", found.len());
}

/// Whatever is done to a file, something sensible is said and nothing breaks.
#[test]
fn any_mutation_of_a_file_can_be_read_and_shown() {
    const BASE: &str = "\u{feff}[site]\r\ntenant = \"a\u{e9}\" # x\r\nhold = '5s'\n[[rule]]\nname = \"\"\"\nr\n\"\"\"\n\
                        allow = [\n \"a\",\n]\nline = { device = \"d\", baud = 1_0 }\n[units]\n\"a b\" = 1.5\na.b = 2\n";
    const BITS: [&str; 20] = [
        "[", "]", "{", "}", "=", "\"", "'", "\"\"\"", "\n", "\r", ".", ",", ":", "#", "\\", "\u{0}", "é",
        "東", "1", " ",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % n as u64).unwrap()
    };
    for round in 0..2_000 {
        let mut chars: Vec<char> = BASE.chars().collect();
        for _ in 0..=below(4) {
            let at = below(chars.len());
            let bit = BITS[below(BITS.len())];
            match below(3) {
                0 => drop(chars.splice(at..at, bit.chars())),
                1 => drop(chars.splice(at..=at, bit.chars())),
                _ => chars.truncate(at.max(1)),
            }
        }
        let text: String = chars.into_iter().collect();
        let source = Source::new("x.toml", text.clone());
        let (tree, problems) = read(&source, &DOCUMENT);
        assert!(tree.whole || !problems.is_empty(), "round {round}: {text:?}");
        for problem in &problems {
            assert!(text.get(problem.span.clone()).is_some(), "round {round}: {problem:?} in {text:?}");
        }
        let out = render(&source, &problems);
        assert_eq!(out.is_empty(), problems.is_empty());
    }
}
