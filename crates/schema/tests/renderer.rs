//! How problems look.

mod document;

use document::{DOCUMENT, said};
use labwire_schema::{Problem, Source, read, render};

fn shown(text: &str, problems: &[Problem]) -> String {
    render(&Source::new("x.toml", text), problems)
}

#[test]
fn a_problem_is_shown_with_its_place_its_line_a_caret_and_what_to_do() {
    assert_eq!(
        said("[site]\ntennant = \"a\"\ntenant = \"a\"\n"),
        "\
error: unknown key `tennant` in `[site]`
 --> x.toml:2:1
  |
2 | tennant = \"a\"
  | ^^^^^^^
  |
  = help: did you mean `tenant`?

x.toml: 1 error
"
    );
}

#[test]
fn nothing_is_shown_where_nothing_is_wrong() {
    assert_eq!(shown("a = 1\n", &[]), "");
}

#[test]
fn problems_stand_in_the_order_of_the_file_and_are_counted() {
    let text = "a\nb\nc\n";
    let problems =
        [Problem::error(4..5, "third"), Problem::warning(2..3, "second"), Problem::error(0..1, "first")];
    let out = shown(text, &problems);
    let places: Vec<usize> = ["first", "second", "third"].iter().map(|m| out.find(m).unwrap()).collect();
    assert!(places.is_sorted());
    assert!(out.contains("\nwarning: second\n --> x.toml:2:1\n"));
    assert!(out.ends_with("\nx.toml: 2 errors, 1 warning\n"));
}

#[test]
fn the_caret_stands_under_its_word_behind_tabs() {
    assert_eq!(
        shown("\tab\t=\t1\n", &[Problem::error(6..7, "one")]),
        "\
error: one
 --> x.toml:1:7
  |
1 |     ab  =   1
  |             ^

x.toml: 1 error
"
    );
}

#[test]
fn the_caret_stands_under_its_word_behind_wide_combining_and_invisible_characters() {
    // Two columns each, and a letter that is followed by its accent as a character of its own.
    let text = "東京 e\u{301} = x\n";
    let at = text.find('x').unwrap();
    assert_eq!(
        shown(text, &[Problem::error(at..at + 1, "x"), Problem::error(0..6, "city")]),
        "\
error: city
 --> x.toml:1:1
  |
1 | 東京 e\u{301} = x
  | ^^^^

error: x
 --> x.toml:1:9
  |
1 | 東京 e\u{301} = x
  |          ^

x.toml: 2 errors
"
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_endings_take_no_column() {
    assert_eq!(
        shown("\u{feff}a = 1\r\nb = 2\r\n", &[Problem::error(3..4, "a"), Problem::error(15..16, "2")]),
        "\
error: a
 --> x.toml:1:1
  |
1 | a = 1
  | ^

error: 2
 --> x.toml:2:6
  |
2 | b = 2
  |      ^

x.toml: 2 errors
"
    );
}

#[test]
fn another_place_that_explains_is_shown_with_its_label() {
    let text = "name = \"a\"\n\n\n\nname = \"a\"\nlast = 1\n";
    let problem = Problem::error(21..24, "twice").related(7..10, "the first one").help("rename it");
    assert_eq!(
        shown(text, &[problem]),
        "\
error: twice
 --> x.toml:5:8
  |
1 | name = \"a\"
  |        --- the first one
...
5 | name = \"a\"
  |        ^^^
  |
  = help: rename it

x.toml: 1 error
"
    );
}

#[test]
fn a_span_of_several_lines_is_marked_on_each() {
    let text = "a = [\n  1,\n  2,\n]\n";
    assert_eq!(
        shown(text, &[Problem::error(4..17, "list").help("first\nsecond")]),
        "\
error: list
 --> x.toml:1:5
  |
1 | a = [
  |     ^
2 |   1,
  |   ^^
3 |   2,
  |   ^^
4 | ]
  | ^
  |
  = help: first
          second

x.toml: 1 error
"
    );
}

#[test]
fn of_a_long_span_the_first_and_the_last_line_are_shown() {
    let text = "[\n1,\n2,\n3,\n4,\n5,\n6,\n7,\n8,\n]\n";
    let out = shown(text, &[Problem::error(0..text.len() - 1, "list")]);
    assert!(out.contains(" 1 | [\n   | ^\n...\n10 | ]\n   | ^\n"), "{out}");
}

#[test]
fn of_a_long_line_the_part_around_the_caret_is_shown() {
    let text = format!("a = \"{}!{}\"\n", "x".repeat(400), "y".repeat(400));
    let at = text.find('!').unwrap();
    let out = shown(&text, &[Problem::error(at..at + 1, "here")]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[1], " --> x.toml:1:406");
    assert!(lines[3].chars().count() < 130 && lines[3].contains('…'), "{}", lines[3]);
    let column = |line: &str, sign: char| line.chars().position(|c| c == sign);
    assert_eq!(column(lines[3], '!'), column(lines[4], '^'));
}

#[test]
fn a_caret_at_the_end_of_the_file_stands_behind_the_last_character() {
    assert_eq!(
        shown("a = 1", &[Problem::error(5..5, "more")]),
        "\
error: more
 --> x.toml:1:6
  |
1 | a = 1
  |      ^

x.toml: 1 error
"
    );
    assert!(shown("", &[Problem::error(0..0, "empty")]).contains("x.toml:1:1\n  |\n1 |\n  | ^\n"));
}

#[test]
fn what_would_change_the_terminal_is_shown_as_a_picture() {
    let text = "a = \"\u{1b}[31m\u{202e}b\u{200b}\"\n";
    let out = shown(text, &[Problem::error(0..1, "bad \u{1b}[31m\nnews").help("see \u{7}")]);
    assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{200b}', '\u{7}']), "{out:?}");
    assert!(out.contains("a = \"␛[31m�b�\"") && out.contains("error: bad ␛[31m␊news\n"), "{out}");
}

#[test]
fn a_secret_is_hidden_wherever_its_line_is_shown() {
    let text = "a = \"hunter2\"\n";
    let out = shown(text, &[Problem::error(5..12, "secret").conceal(5..12), Problem::error(0..1, "other")]);
    assert!(!out.contains("hunter2"), "{out}");
    assert_eq!(out.matches("a = \"*******\"").count(), 2, "{out}");
    let out = said("[site]\ntenant = \"a\"\npassword = \"hunter2\"\n");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn bytes_that_are_not_utf_8_are_reported_and_the_rest_is_read() {
    let source = Source::decode("x.toml", b"[site]\ntenant = \"h\xe4ma\"\nstrct = true\n");
    let out = render(&source, &read(&source, &DOCUMENT).1);
    assert!(out.contains("error: this is not UTF-8\n --> x.toml:2:12\n"), "{out}");
    assert!(out.contains("did you mean `strict`?"), "{out}");
}

#[test]
fn utf_16_is_recognised() {
    let units: Vec<u8> = "\u{feff}version = 0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let source = Source::decode("x.toml", &units);
    let out = render(&source, &read(&source, &DOCUMENT).1);
    assert!(out.contains("error: the file is UTF-16\n --> x.toml:1:1\n"), "{out}");
    assert!(out.ends_with("\nx.toml: 1 error\n"), "{out}");
}

#[test]
fn of_very_many_problems_the_first_are_shown_and_all_are_counted() {
    let text =
        "[site]\ntenant = \"a\"\n".to_owned() + &(0..300).map(|n| format!("x{n} = 1\n")).collect::<String>();
    let out = said(&text);
    assert_eq!(out.matches("\nerror: ").count() + 1, 200);
    assert!(out.ends_with("\nx.toml: 300 errors; the first 200 are shown\n"));
}
