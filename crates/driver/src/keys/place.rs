//! Places and conditions, which stand in many tables of a profile.

use labwire_schema::{Checked, Key, Shape, Table};

use super::{REGEX, TEXT};
use crate::checks;

pub(crate) static CONDITION: Shape = Shape::MapOf { key: None, value: &Shape::Checked(&REGEX) };
pub(crate) static PLACE: Shape = Shape::Either(&[Shape::Text, Shape::Table(&PLACE_TABLE)]);
static CONDITIONS: Shape = Shape::ListOf(&CONDITION);
static SAME: Shape = Shape::MapOf { key: None, value: &TEXT };

const WHEN: Key =
    Key::optional("when", CONDITION, "All of these must match. A field that is not there counts as empty.")
        .example("{ \"O.12\" = '^Q$' }");
const ANY: Key = Key::optional("any", CONDITIONS, "All of any one of these must match.");
const UNLESS: Key = Key::optional("unless", CONDITION, "Not all of these may match.");
const SAME_KEY: Key = Key::optional(
    "same",
    SAME,
    "Places that must have the text that some repeat of another one has: { \"R.3.4\" = \"O.5.4\" }.",
);

pub(crate) static STREAM: Table = Table::new(
    "stream",
    "Conditions on the record, its order, its patient and the header. Where several keys are given, each must hold.",
    &[WHEN, ANY, UNLESS, SAME_KEY],
);

pub(crate) static RULE_TABLE: Table = Table::new(
    "rule",
    "Conditions, of which at least one key is given and each must hold, and what is said about what they find.",
    &[
        WHEN,
        ANY,
        UNLESS,
        SAME_KEY,
        Key::required("reason", Shape::Text, "Stored with the observation.").example("\"image reference\""),
    ],
);

pub(crate) static PLACE_TABLE: Table = Table::new(
    "place",
    "Where a text stands, and what is taken from it after it was unescaped. Instead of a table, the path alone may be written. The steps are carried out in the order of the keys below, and what is left is trimmed.",
    &[
        Key::optional("at", Shape::Text, "A path, such as `O.4.3`, or a name of `[text]`."),
        Key::optional(
            "first_of",
            Shape::ListOf(&PLACE),
            "Several places, each a path or a table: the first that has a text.",
        ),
        Key::optional(
            "join",
            Shape::ListOf(&PLACE),
            "Several places, each a path or a table: the texts one behind the other. Of flags, those of all places.",
        ),
        Key::optional("with", Shape::TextOrEmpty, "What is put between the texts of `join`.")
            .default("\" \""),
        Key::optional(
            "where",
            CONDITION,
            "With `at`: the first repeat, and the first record of that name in view, of which all of these match; paths of the same record. A path of the same field looks at the same repeat.",
        )
        .example("{ \"PID-3.5\" = '^MR$' }"),
        Key::optional("when", CONDITION, "There is a text only where all of these match."),
        Key::optional("unless", CONDITION, "There is no text where all of these match."),
        Key::optional("trim", Shape::Bool, "Whether blanks around the text are left out.").default("true"),
        Key::optional("strip", Shape::Checked(&REGEX), "Leaves every match of this out.").example("'^0+'"),
        Key::optional("cut", Shape::Text, "Keeps the text before this."),
        Key::optional("part", Shape::Table(&PART), "Splits the text and takes one part."),
        Key::optional(
            "match",
            Shape::Checked(&REGEX),
            "Takes the first group that took part, or the whole match. Where it does not match there is no text.",
        ),
        Key::optional("case", Shape::OneOf(CASES), "Turns letters."),
        Key::optional(
            "map",
            Shape::MapOf { key: None, value: &TEXT },
            "What texts mean: { \"-1\" = \"negative\" }. A text that is not in it stays as it is.",
        ),
        Key::optional("pad", Shape::Table(&PAD), "Fills the text from the left."),
    ],
);

pub(crate) const CASES: &[&str] = &["upper", "lower"];

pub(crate) static PART: Table = Table::new(
    "part",
    "Splits a text and takes one part.",
    &[
        Key::required("split", Shape::Text, "What the parts are separated by.").example("\"+\""),
        Key::required("take", Shape::Integer { min: 1, max: 1000 }, "Which part, from 1.").example("2"),
    ],
);

pub(crate) static PAD: Table = Table::new(
    "pad",
    "Fills a text from the left.",
    &[
        Key::required("to", Shape::Integer { min: 1, max: 64 }, "To how many characters.").example("12"),
        Key::required("with", Shape::Checked(&CHARACTER), "With which character.").example("\"0\""),
    ],
);

static CHARACTER: Checked = Checked { noun: "one character", check: checks::character };
