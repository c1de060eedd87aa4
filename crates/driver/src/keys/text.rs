//! `[text]`: how a message of the vendor's own gives named texts.

use labwire_schema::{Key, Shape, Table};

use super::{BYTES, REGEX, TEXTS};

pub(crate) static TEXT_TABLE: Table = Table::new(
    "text",
    "How a message of the vendor's own gives named texts: by regular expressions (`fields`, `row`), by tags (`tagged`), or by columns or cells (`layout`).",
    &[
        Key::optional(
            "split",
            Shape::Checked(&REGEX),
            "What stands between reports of one message, each with texts of its own.",
        ),
        Key::optional(
            "fields",
            Shape::MapOf { key: None, value: &Shape::Checked(&REGEX) },
            "Texts that hold for the whole message: the match's first group, none where matches differ.",
        ),
        Key::optional(
            "row",
            Shape::Either(&[Shape::Checked(&REGEX), Shape::ListOf(&Shape::Checked(&REGEX))]),
            "Each match is one observation; its named groups, `(?P<value>…)`, are the texts. Of several expressions each finds its own.",
        ),
        Key::optional(
            "skip",
            Shape::ListOf(&Shape::Checked(&REGEX)),
            "Parts of the message that are no results. What no rule reads is held, for it may be one.",
        ),
        Key::optional("tagged", Shape::Table(&TAGGED), "Fields that begin with a tag."),
        Key::optional(
            "layout",
            Shape::ListOf(&Shape::Table(&LAYOUT)),
            "Texts by their place; of several layouts the first whose `match` fits.",
        ),
    ],
);

static TAGGED: Table = Table::new(
    "text.tagged",
    "Fields that begin with a tag, which names them.",
    &[
        Key::required("separator", Shape::Checked(&BYTES), "What separates fields.").example("\"|\""),
        Key::optional("record", Shape::Checked(&BYTES), "What may stand before a field, such as `<RS>`."),
        Key::optional("tag_length", Shape::Integer { min: 1, max: 8 }, "Characters of a tag.").default("2"),
        Key::optional(
            "assign",
            Shape::Checked(&BYTES),
            "What stands between a tag and its text, where tags are of no fixed length: `=`.",
        ),
        Key::optional(
            "row",
            Shape::Either(&[Shape::Text, TEXTS]),
            "The tag that begins an observation. Fields before the first one hold for all. Of several tags each begins one, and an observation also sees the texts of the nearest one before it that began with a tag listed earlier.",
        )
        .default("the message is one observation"),
        Key::optional(
            "each",
            Shape::Bool,
            "Whether each field is an observation; its texts are called `tag` and `text`.",
        )
        .default("false"),
        Key::optional("shared", TEXTS, "With `each`: tags of texts that hold for the whole message."),
    ],
);

static LAYOUT: Table = Table::new(
    "text.layout",
    "Where texts stand, counted from 1: characters, or with `separator` cells.",
    &[
        Key::optional("match", Shape::Checked(&REGEX), "Which messages are laid out so.")
            .default("all of them"),
        Key::optional("separator", Shape::Checked(&BYTES), "What separates cells.").example("\",\""),
        Key::optional("quote", Shape::Checked(&BYTES), "What may stand around a cell.").example("\"\\\"\""),
        Key::optional(
            "fields",
            Shape::MapOf { key: None, value: &SPAN },
            "Texts that hold for the whole message.",
        ),
        Key::optional(
            "values",
            Shape::ListOf(&Shape::Table(&VALUE)),
            "Values at fixed places: each is an observation, its texts are called `test` and `value`. A blank one was not measured.",
        ),
        Key::optional(
            "groups",
            Shape::Table(&GROUPS),
            "Groups of texts that follow each other to the end, each an observation.",
        ),
    ],
);

static SPAN: Shape = Shape::Table(&SPAN_TABLE);

static SPAN_TABLE: Table = Table::new(
    "text.span",
    "Where a text stands.",
    &[
        Key::required("at", Shape::Integer { min: 1, max: 65_536 }, "The first character or cell, from 1.")
            .example("1"),
        Key::optional("width", Shape::Integer { min: 1, max: 65_536 }, "How many characters or cells.")
            .default("1"),
    ],
);

static VALUE: Table = Table::new(
    "text.value",
    "A value at a fixed place.",
    &[
        Key::required("test", Shape::Text, "The test code that it has under `[tests]`.").example("\"WBC\""),
        Key::required("at", Shape::Integer { min: 1, max: 65_536 }, "The first character or cell, from 1.")
            .example("35"),
        Key::optional("width", Shape::Integer { min: 1, max: 65_536 }, "How many characters or cells.")
            .default("1"),
        Key::optional(
            "flags_at",
            Shape::Integer { min: 1, max: 65_536 },
            "Where its flag stands, the text called `flags`.",
        ),
        Key::optional("flags_width", Shape::Integer { min: 1, max: 65_536 }, "How many characters or cells.")
            .default("1"),
    ],
);

static GROUPS: Table = Table::new(
    "text.groups",
    "Groups of texts that follow each other. A blank group is none.",
    &[
        Key::required("at", Shape::Integer { min: 1, max: 65_536 }, "Where the first one begins, from 1.")
            .example("39"),
        Key::required("width", Shape::Integer { min: 1, max: 65_536 }, "Characters or cells of a group.")
            .example("19"),
        Key::required(
            "fields",
            Shape::MapOf { key: None, value: &SPAN },
            "Texts of a group, counted from 1 within it.",
        )
        .example("{ test = { at = 1, width = 3 } }"),
    ],
);
