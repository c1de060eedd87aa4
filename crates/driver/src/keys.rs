//! The key table of a profile: the one description that reading, checking, the JSON Schema and the
//! reference in `drivers/README.md` follow.

mod link;
mod place;
mod text;

use labwire_schema::{Checked, Key, Shape, Table};

use crate::checks;
use crate::codes::{FLAG_MEANINGS, STATUS_WORDS};
use link::LINK;
use place::{CONDITION, PAD, PART, PLACE, PLACE_TABLE, RULE_TABLE, STREAM};
use text::TEXT_TABLE;

pub(crate) const KINDS: &[&str] = &[
    "hematology",
    "chemistry",
    "immunoassay",
    "coagulation",
    "urinalysis",
    "blood-gas",
    "point-of-care",
    "microbiology",
    "molecular",
    "blood-bank",
    "other",
];
pub(crate) const PROTOCOLS: &[&str] = &["lis02", "hl7", "law", "text"];
pub(crate) const EVIDENCE: &[&str] = &["unverified", "documented", "captured", "field"];
pub(crate) const TEST_KINDS: &[&str] = &["number", "text", "coded", "titer"];

static REGEX: Checked = Checked { noun: "a regular expression", check: checks::regex };
static TEXT: Shape = Shape::Text;
pub(crate) static TEXTS: Shape = Shape::ListOf(&TEXT);
static RULE: Shape = Shape::Table(&RULE_TABLE);
static FLAG: Shape = Shape::OneOf(FLAG_MEANINGS);
static STATUS: Shape = Shape::OneOf(STATUS_WORDS);
static TEST: Shape = Shape::Table(&TEST_TABLE);
static ATTACHMENT: Shape = Shape::Table(&ATTACHMENT_TABLE);
static CHECK: Shape = Shape::Table(&CHECK_TABLE);
pub(crate) static BYTES: Checked =
    Checked { noun: "text with control characters by name, such as \"<STX>\"", check: checks::bytes };

/// Tables that stand in many places of a profile, each with what it is called on its own.
pub(crate) static SHARED: &[(&str, &Table)] = &[
    ("A place as a table", &PLACE_TABLE),
    ("`part` of a place", &PART),
    ("`pad` of a place", &PAD),
    ("A rule: `ignore`, `only`, `hold`", &RULE_TABLE),
    ("Conditions: `[qc]`, `[calibration]`, `[comments] of_specimen`", &STREAM),
];

/// The whole document.
pub(crate) static PROFILE: Table = Table::new(
    "profile",
    "One analyzer interface.",
    &[
        Key::required(
            "schema",
            Shape::IntegerOneOf(&[1]),
            "Version of this format. A profile of a newer format is refused, not misread.",
        )
        .example("1"),
        Key::optional(
            "version",
            Shape::Text,
            "The profile's own version. With a hash of the effective profile behind it, it is stored with every result.",
        ),
        Key::optional(
            "extends",
            Shape::Text,
            "Id (`vendor/model`) of a profile that this one is laid over key by key: a table is merged, any other value takes the place of the one below. `[[check]]`s are not inherited.",
        ),
        Key::optional(
            "no_profile",
            Shape::Bool,
            "For generic profiles: every observation is held with the code `no-profile`, filled in as far as the standard's own places allow.",
        )
        .default("false"),
        Key::required("analyzer", Shape::Table(&ANALYZER), "Which analyzer this is."),
        Key::optional("link", Shape::Table(&LINK), "The lower layer."),
        Key::optional(
            "acknowledge",
            Shape::Table(&ACKNOWLEDGE),
            "`hl7` and `law`: what the analyzer hears for its messages, where it is not what the standard says.",
        ),
        Key::optional(
            "identify",
            CONDITION,
            "How the analyzer is recognised on an unknown line or in a file. All must match the first record of that name; in a text profile the one key is `text`, matched against the whole message. On a live line a field of the sender (`H.5`, `MSH-3`, `MSH-4`) or a text that does not match means that another analyzer is on the port: the message is stored and acknowledged, and everything in it held with the code `wrong-analyzer`. One that is absent or empty tells nothing, and the other fields tell messages apart, not analyzers.",
        ),
        Key::optional("message", Shape::Table(&MESSAGE), "The message as a whole."),
        Key::optional("specimen", Shape::Table(&SPECIMEN), "Whose result it is."),
        Key::optional("patient", Shape::Table(&PATIENT), "The patient."),
        Key::optional("result", Shape::Table(&RESULT), "Where the parts of an observation stand."),
        Key::optional("isolate", Shape::Table(&ISOLATE), "Microbiology: which isolate an observation speaks of."),
        Key::optional("comments", Shape::Table(&COMMENTS), "What becomes of comments."),
        Key::optional(
            "attachment",
            Shape::ListOf(&ATTACHMENT),
            "Pictures, histograms and raw data: no results, kept with the message and listed beside them.",
        ),
        Key::optional(
            "qc",
            Shape::Table(&STREAM),
            "What is quality control. It is delivered apart and never among patient results.",
        ),
        Key::optional("calibration", Shape::Table(&STREAM), "What is calibration, delivered apart likewise."),
        Key::optional(
            "flags",
            Shape::MapOf { key: None, value: &FLAG },
            "Meaning of flags, over the standard's own letters (LIS02 R.7, HL7 table 0078). An unknown flag is filed as sent with a diagnostic.",
        ),
        Key::optional(
            "status",
            Shape::MapOf { key: None, value: &STATUS },
            "Meaning of status letters, over the standard's own (LIS02 R.9, HL7 table 0085). An unknown letter is filed as sent with a diagnostic.",
        ),
        Key::optional(
            "units",
            Shape::MapOf { key: None, value: &TEXT },
            "Units as sent and their UCUM, over the common spellings. An observation with an unknown unit is held.",
        ),
        Key::optional(
            "tests",
            Shape::MapOf { key: None, value: &TEST },
            "The analyzer's test codes, `[tests.WBC]`. An observation with an unknown code is held.",
        ),
        Key::optional("query", Shape::Table(&QUERY), "What the analyzer asks for."),
        Key::optional(
            "text",
            Shape::Table(&TEXT_TABLE),
            "For the protocol `text`: how a message gives named texts. Places elsewhere in the profile are these names.",
        ),
        Key::optional("check", Shape::ListOf(&CHECK), "Captures that prove the profile."),
    ],
)
.hints(&[
    ("results", "the table is called `[result]`"),
    ("test", "the table of a test is called `[tests.CODE]`"),
    ("match", "the table is called `[identify]`"),
]);

static ANALYZER: Table = Table::new(
    "analyzer",
    "Which analyzer this is, how its messages are built, and on what the profile rests.",
    &[
        Key::required("vendor", Shape::Text, "Vendor, as it names itself.").example("\"Vendor\""),
        Key::required("model", Shape::Text, "Model, as the vendor names it.").example("\"Model\""),
        Key::optional(
            "models",
            TEXTS,
            "Every model that speaks this interface as the sources say, where it is more than the one.",
        )
        .default("`model` alone"),
        Key::required("kind", Shape::OneOf(KINDS), "Kind of analyzer.").example("\"chemistry\""),
        Key::required(
            "protocol",
            Shape::OneOf(PROTOCOLS),
            "How messages are built: LIS02 (ASTM E1394) records, HL7 v2 segments, HL7 in the shape of IHE LAW, or text of the vendor's own.",
        )
        .example("\"lis02\""),
        Key::optional(
            "evidence",
            Shape::OneOf(EVIDENCE),
            "On what the profile rests: nothing yet, the vendor's documents, captures, or use in a laboratory.",
        )
        .default("\"unverified\""),
        Key::optional("sources", TEXTS, "The documents and captures it was written from."),
        Key::optional("notes", Shape::Text, "What to know before connecting the analyzer."),
    ],
);

static ACKNOWLEDGE: Table = Table::new(
    "acknowledge",
    "What the analyzer hears for its HL7 messages. A reply follows the commit that it speaks of.",
    &[
        Key::optional(
            "mode",
            Shape::OneOf(&["auto", "original", "enhanced", "commit", "none"]),
            "Which replies a message gets: those that MSH-15 and MSH-16 ask for, where a value that table 0155 does not have counts as none; one application reply; an accept and an application reply; the accept reply alone; none.",
        )
        .default("\"auto\""),
        Key::optional(
            "type",
            Shape::OneOf(&["code", "event", "structure"]),
            "MSH-9 of a reply: `ACK`, `ACK^R01` or `ACK^R01^ACK`.",
        )
        .default("as the version in MSH-12 has it"),
        Key::optional("text", Shape::Text, "MSA-3 of a positive reply, for analyzers that look for it."),
        Key::optional("condition", Shape::Text, "MSA-6 of a positive reply, for analyzers that look for it."),
        Key::optional(
            "echo",
            Shape::ListOf(&ECHO),
            "Fields of the message's header that the reply repeats. MSH-21 is repeated always.",
        ),
        Key::optional(
            "batch",
            Shape::OneOf(&["batch", "blocks"]),
            "How the messages of a batch in one block are answered: by a batch of replies, or each in a block of its own.",
        )
        .default("\"batch\""),
        Key::optional(
            "when_not_stored",
            Shape::OneOf(&["asked", "silence", "error"]),
            "What a message that could not be stored is answered with: CE where MSH-15 asks for it and else silence; silence; CE or AE, for an analyzer that repeats after it. After silence the connection is closed.",
        )
        .default("\"asked\""),
        Key::optional(
            "without_control_id",
            Shape::OneOf(&["error", "reject"]),
            "How a message without MSH-10 is answered, which no reply can name: AE or AR. What it holds is held.",
        )
        .default("\"error\""),
        Key::optional(
            "accept",
            TEXTS,
            "Message types accepted beside those that the standard has for results and for the analyzer's state: `ORU^W01`, or `ORU` for every event. Another type is answered AR.",
        ),
        Key::optional("unanswered", TEXTS, "Message types that get no reply, written likewise."),
        Key::optional(
            "reject",
            Shape::ListOf(&REJECT),
            "What is answered AR, though the message is kept: training and debugging (MSH-11 `T`, `D`), a version that no standard has (MSH-12; with `strict` always).",
        ),
        Key::optional(
            "sequence_numbers",
            Shape::Bool,
            "Follows the sequence number protocol: MSH-13 counts messages, MSA-4 says which is expected.",
        )
        .default("false"),
    ],
);

static ECHO: Shape = Shape::OneOf(&["MSH-10", "MSH-16"]);
static REJECT: Shape = Shape::OneOf(&["processing-id", "version"]);

static MESSAGE: Table = Table::new(
    "message",
    "What holds for the message as a whole.",
    &[
        Key::optional(
            "charset",
            Shape::Checked(&CHARSET),
            "Character set of the bytes. It wins over what the message says of itself.",
        )
        .default("MSH-18 where there is one, else \"utf-8-or-cp1252\""),
        Key::optional("decimal_comma", Shape::Bool, "Whether `7,41` is a number.").default("false"),
        Key::optional(
            "volatile",
            TEXTS,
            "Whole fields that differ when the analyzer repeats a message. They are no part of its identity.",
        )
        .default("none; for `law` MSH-7 and MSH-10"),
        Key::optional(
            "accept_processing",
            TEXTS,
            "H.12 or MSH-11 of `T` (training) or `D` (debugging) holds every observation, but for the letters here.",
        ),
        Key::optional("kind", Shape::Table(&KIND), "A field that says what the message is for."),
    ],
);

static KIND: Table = Table::new(
    "message.kind",
    "The values of a field that tell what a message is for. With a value that no list names, its observations are held; without a value, a message is what its records say.",
    &[
        Key::required("at", PLACE, "The field.").example("\"H.11.1\""),
        Key::optional("results", TEXTS, "Values of result messages."),
        Key::optional("qc", TEXTS, "Values of quality control messages."),
        Key::optional("calibration", TEXTS, "Values of calibration messages."),
        Key::optional("query", TEXTS, "Values of host queries."),
        Key::optional("order", TEXTS, "Values of orders."),
        Key::optional("ignore", TEXTS, "Values of messages whose observations are no results."),
    ],
);

static SPECIMEN: Table = Table::new(
    "specimen",
    "Whose result it is. A patient observation without a specimen id is held.",
    &[Key::optional("id", PLACE, "The specimen id (accession).").example("\"O.3\"")],
);

static PATIENT: Table = Table::new(
    "patient",
    "The patient.",
    &[Key::optional("id", PLACE, "The patient id.").example("\"P.4\"")],
);

static RESULT: Table = Table::new(
    "result",
    "Where the parts of an observation stand, and what becomes of it.",
    &[
        Key::optional("test", PLACE, "The test code.").example("\"R.3.4\""),
        Key::optional(
            "value",
            PLACE,
            "The value. The whole field that it lies in is stored as sent beside the part that the place names.",
        )
        .example("\"R.4\""),
        Key::optional(
            "number",
            PLACE,
            "Where the numeric view is taken from, if the value is not only the number: a field beside it, or the value without a sign before it.",
        )
        .default("the value"),
        Key::optional(
            "records",
            TEXTS,
            "LIS02: the records that are observations. Beside `R`, `M` and `S` can be.",
        )
        .default("[\"R\"]"),
        Key::optional("sub_id", PLACE, "What tells observations of one test apart: OBX-4, a replicate."),
        Key::optional("unit", PLACE, "The unit."),
        Key::optional(
            "unit_of_test",
            Shape::Bool,
            "Whether an observation that is sent without a unit has the one of its test.",
        )
        .default("false"),
        Key::optional("flags", PLACE, "Abnormal flags: each repeat of the field is one."),
        Key::optional(
            "flags_separator",
            Shape::Either(&[Shape::TextOrEmpty, TEXTS]),
            "What separates flags beside the message's repeat delimiter; several separators as a list. With `\"\"` each character is a flag.",
        ),
        Key::optional("status", PLACE, "The status letter."),
        Key::optional("range", PLACE, "The reference range."),
        Key::optional("at", PLACE, "When it was measured."),
        Key::optional(
            "at_format",
            Shape::Either(&[Shape::Text, TEXTS]),
            "How the time is written (strftime), where it is not `YYYYMMDDHHMMSS`; `epoch` is seconds since 1970, `epoch-ms` milliseconds. Of several formats one must fit, or all that fit must say the same time.",
        ),
        Key::optional(
            "at_zone",
            Shape::Checked(&ZONE),
            "Zone of the times, where it is another one than that of the analyzer's place: an offset such as `+00:00`, or a name.",
        )
        .default("the connection's, else the site's"),
        Key::optional("operator", PLACE, "Who measured it."),
        Key::optional("instrument", PLACE, "With which instrument or module."),
        Key::optional("reagent", PLACE, "With which reagent lot."),
        Key::optional(
            "comments",
            PLACE,
            "The text of a comment: of the records or segments after the observation, and after its order and patient.",
        )
        .default("\"C.4\" or \"NTE-3\""),
        Key::optional("unit_default", Shape::Text, "UCUM unit of an observation that is sent without one."),
        Key::optional("status_default", STATUS, "Status of an observation that is sent without one."),
        Key::optional(
            "sentinels",
            TEXTS,
            "Values that say that there is no number. They are delivered as text.",
        ),
        Key::optional(
            "no_value",
            Shape::ListOf(&Shape::Checked(&REGEX)),
            "Values that stand for none. The observation is delivered with the value as sent and without text.",
        )
        .example("['^-+$']"),
        Key::optional(
            "open_tests",
            Shape::Bool,
            "Delivers observations with a code that `[tests]` does not have, with the analyzer's code alone: for codes that each laboratory defines.",
        )
        .default("false"),
        Key::optional("hold_unknown_flag", Shape::Bool, "Holds an observation with an unknown flag.").default("false"),
        Key::optional("hold_unknown_status", Shape::Bool, "Holds an observation with an unknown status letter.")
            .default("false"),
        Key::optional("ignore", Shape::ListOf(&RULE), "Rows that are no results, each with the reason that is stored."),
        Key::optional("only", RULE, "Ignores every row that does not match."),
        Key::optional("hold", Shape::ListOf(&RULE), "Rows that a person must see before they are delivered."),
    ],
);

static ISOLATE: Table = Table::new(
    "isolate",
    "Microbiology: which isolate, and of which organism, an observation speaks of. In a susceptibility the test is the antibiotic, the value its concentration, and a flag the interpretation.",
    &[
        Key::optional("id", PLACE, "The isolate's number in its specimen.").example("\"O.3.2\""),
        Key::optional("organism", PLACE, "Code of the organism.").example("\"O.3.3\""),
        Key::optional("organism_name", PLACE, "Name of the organism."),
    ],
);

static COMMENTS: Table = Table::new(
    "comments",
    "What becomes of comments. `[result] comments` says where their text stands. Without these rules a comment belongs to the observation, order or patient that it follows.",
    &[
        Key::optional("ignore", Shape::ListOf(&RULE), "Comments that say nothing, each with the reason."),
        Key::optional(
            "of_specimen",
            Shape::Table(&STREAM),
            "Comments that speak of the specimen though they follow an observation: all observations of the order have them.",
        ),
    ],
);

static ATTACHMENT_TABLE: Table = Table::new(
    "attachment",
    "Rows that carry a picture, a histogram or raw data, and in LIS02 `M` records that do. An observation that is one is ignored with the reason.",
    &[
        Key::optional(
            "when",
            CONDITION,
            "All of these must match. A field that is not there counts as empty.",
        )
        .example("{ \"OBX-2\" = '^ED$' }"),
        Key::optional("any", Shape::ListOf(&CONDITION), "All of any one of these must match."),
        Key::optional("unless", CONDITION, "Not all of these may match."),
        Key::required("reason", Shape::Text, "What it is.").example("\"histogram\""),
        Key::optional("name", PLACE, "Its name.").example("\"OBX-3.2\""),
        Key::optional("media", PLACE, "Its kind, such as `image/png`, as sent."),
        Key::optional("encoding", PLACE, "How it is written as text, as sent: `Base64`."),
        Key::required("data", PLACE, "The data.").example("\"OBX-5\""),
    ],
);

pub(crate) static TEST_TABLE: Table = Table::new(
    "tests.NAME",
    "One test. The key is the analyzer's own code, as sent.",
    &[
        Key::required("name", Shape::Text, "Name for people.").example("\"Leukocytes\""),
        Key::optional("loinc", Shape::Checked(&LOINC), "LOINC code."),
        Key::optional("unit", Shape::Text, "Unit in UCUM."),
        Key::optional(
            "units",
            TEXTS,
            "Further units accepted as sent: in UCUM by `[units]` or the common spellings, else other spellings of `unit`.",
        ),
        Key::optional("also", TEXTS, "Other codes of the analyzer for the same test."),
        Key::optional(
            "decimals",
            Shape::Integer { min: 0, max: 12 },
            "How many of the digits are decimals where the value is sent without a decimal sign: with 1, `00123` is 12.3. A value with a decimal sign is taken as it is.",
        ),
        Key::optional(
            "unit_codes",
            Shape::MapOf { key: None, value: &TEXT },
            "UCUM of the codes for units that the analyzer sends in the unit's place: { \"1\" = \"g/dL\", \"2\" = \"g/L\" }.",
        ),
        Key::optional("lis", Shape::Text, "The LIS's code."),
        Key::optional(
            "convert_to",
            Shape::Text,
            "UCUM unit in which the number is delivered besides. What was sent is always delivered too. Refused where the units do not measure the same.",
        ),
        Key::optional(
            "molar_mass",
            Shape::Checked(&DECIMAL),
            "Grams of a mole, for a conversion between mass and amount of substance.",
        ),
        Key::optional(
            "valence",
            Shape::Integer { min: 1, max: 8 },
            "Charges of the ion, for a conversion between amount of substance and equivalents.",
        ),
        Key::optional(
            "convert_decimals",
            Shape::Integer { min: 0, max: 12 },
            "Decimals of the converted number.",
        )
        .default("as many significant digits as were sent, at least two"),
        Key::optional(
            "kind",
            Shape::OneOf(TEST_KINDS),
            "What its values are. Only of a number is the numeric view taken, and a diagnostic tells of a value that is none.",
        )
        .default("a number where the value reads as one"),
    ],
);

static QUERY: Table = Table::new(
    "query",
    "Host queries: the analyzer asks what to run.",
    &[
        Key::required("id", PLACE, "The specimen id asked for; each repeat of the field is one.")
            .example("\"Q.3.2\""),
        Key::optional("cancel", CONDITION, "A query that takes back the one before."),
    ],
);

static CHECK_TABLE: Table = Table::new(
    "check",
    "A capture, and beside it the lines that `decode --json` must give: `case.cap`, `case.expected.json`.",
    &[Key::required(
        "capture",
        Shape::Checked(&CAPTURE),
        "Path of the capture, relative to `fixtures/` or to the profile's own directory.",
    )
    .example("\"vendor/model/case.cap\"")],
);

static CHARSET: Checked = Checked { noun: "a character set such as \"latin-1\"", check: checks::charset };
static DECIMAL: Checked = Checked { noun: "a number such as \"180.156\"", check: checks::decimal };
static ZONE: Checked = Checked { noun: "a time zone such as \"UTC\" or \"+02:00\"", check: checks::zone };
static LOINC: Checked = Checked { noun: "a LOINC code such as \"6690-2\"", check: checks::loinc };
static CAPTURE: Checked = Checked { noun: "the path of a `.cap` file", check: checks::capture };
