//! What is made from the key table.

use labwire_schema as schema;

use crate::keys::SITE;

/// The page `docs/configuration.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let intro = "# The site file\n\n\
        <!-- made from the key table in crates/config/src/keys.rs; write it anew with UPDATE_GOLDEN=1 cargo test --test config -->\n\n\
        `labwire.toml` says which analyzers there are and where results go. `labwire check --config FILE` finds everything\n\
        that is wrong with it, each with its line and what to do; `labwire run --config FILE` refuses a file that `check`\n\
        refuses, with exit code 78. Durations are text with their unit (`\"15s\"`, `\"1h 30m\"`; units `d`, `h`, `m`, `s`, `ms`);\n\
        every other quantity has its unit in its name. Paths are absolute. Secrets never stand in the file.\n\n\
        Editors that know JSON Schema complete and check the file: write `#:schema ./labwire.schema.json` as its first\n\
        line, with the path of [labwire.schema.json](labwire.schema.json).\n";
    let example = include_str!("../../../config/two-analyzers.toml");
    format!(
        "{intro}\nAn example; more of them are under `config/`.\n\n```toml\n{example}```\n\n## The tables\n{}",
        schema::reference_markdown(&SITE)
    )
}

/// The JSON Schema of the site file, for editors.
#[must_use]
pub fn json_schema() -> String {
    format!("{:#}\n", schema::json_schema(&SITE, "labwire.toml"))
}
