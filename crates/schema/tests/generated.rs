//! What is made from a key table besides the reader.

mod document;

use document::{DOCUMENT, said};
use labwire_schema::{Source, json_schema, missing, read, read_overlay, reference_markdown};

#[test]
fn the_json_schema_says_what_the_reader_checks() {
    let schema = json_schema(&DOCUMENT, "x.toml");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "x.toml");
    assert_eq!(schema["required"], serde_json::json!(["site"]));
    assert_eq!(schema["additionalProperties"], false);
    let site = &schema["$defs"]["site"]["properties"];
    assert_eq!(site["parity"]["enum"], serde_json::json!(["none", "even", "odd"]));
    assert_eq!(site["hold"]["default"], "15m");
    assert_eq!(site["strict"]["default"], false);
    assert_eq!(site["tenant"]["examples"], serde_json::json!(["central-lab"]));
    let line = &schema["$defs"]["line"]["properties"];
    assert_eq!(line["baud"]["maximum"], 115_200);
    assert_eq!(line["stop_bits"]["enum"], serde_json::json!([1, 2]));
    assert_eq!(schema["properties"]["units"]["additionalProperties"]["type"], "string");
}

#[test]
fn a_table_that_holds_itself_is_defined_once() {
    let schema = json_schema(&DOCUMENT, "x.toml");
    let rule = &schema["$defs"]["rule"]["properties"];
    assert_eq!(rule["rules"]["items"]["$ref"], "#/$defs/rule");
    assert_eq!(rule["at"]["anyOf"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_reference_page_has_every_key_with_its_default() {
    let page = reference_markdown(&DOCUMENT);
    for line in [
        "| `site` | a table | required | The site. |",
        "## `[site]`",
        "| `hold` | a duration from \"1s\" to \"1h\" | `\"15m\"` | How long. |",
        "| `strict` | true or false | `false` | To the letter \\| or not. |",
        "| `note` | text | – | Anything. |",
        "## `[[rule]]`",
        "## `[rule.line]`",
    ] {
        assert!(page.lines().any(|have| have == line), "{line} is not in\n{page}");
    }
    assert_eq!(page.matches("## `[[rule").count(), 1, "a table that holds itself is written once");
}

#[test]
fn a_document_that_overrides_another_may_lack_what_the_other_has() {
    let base = Source::new("base.toml", "[site]\ntenant = \"a\"\nhold = \"5s\"\n[[rule]]\nname = \"r\"\n");
    let over = Source::new("over.toml", "[site]\nhold = \"9s\"\nstrict = true\n");
    let (lower, _) = read(&base, &DOCUMENT);
    let (upper, problems) = read_overlay(&over, &DOCUMENT);
    assert_eq!(problems, []);
    assert_eq!(missing(&upper, &DOCUMENT).len(), 1);
    let both = lower.overlaid(upper.with_origin(1));
    assert_eq!(missing(&both, &DOCUMENT), []);
    assert_eq!(both.root.text("site.tenant"), Some("a"));
    assert_eq!(both.root.text("site.hold"), Some("9s"));
    assert_eq!(both.root.bool("site.strict"), Some(true));
    assert_eq!(both.root.list("rule").len(), 1);
    let origins: Vec<usize> =
        ["site.tenant", "site.hold"].iter().filter_map(|key| Some(both.root.get(key)?.origin)).collect();
    assert_eq!(origins, [0, 1]);
}

#[test]
fn what_neither_of_two_documents_has_is_missing_from_the_lower_one() {
    let (lower, _) = read_overlay(&Source::new("base.toml", "[site]\n"), &DOCUMENT);
    let (upper, _) = read_overlay(&Source::new("over.toml", "[site]\nstrict = true\n"), &DOCUMENT);
    let found = missing(&lower.overlaid(upper.with_origin(1)), &DOCUMENT);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0, found[0].1.message.as_str()), (0, "missing key `tenant` in `[site]`"));
    assert!(said("[site]\n").contains("missing key `tenant`"));
}
