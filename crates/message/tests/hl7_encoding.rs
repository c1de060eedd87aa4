//! ER7 as it is written and as it is met: delimiters, segment ends, numbering, escapes, sets.

use labwire_message::{Charset, Delimiters, FINDINGS_MAX, Index, Path, Syntax, View, escape};

fn with<R>(bytes: &[u8], look: impl FnOnce(View<'_>) -> R) -> R {
    look(Index::new().scan(Syntax::Hl7, bytes))
}

fn part(message: &str, path: &str) -> Option<String> {
    let path = path.parse::<Path>().ok()?;
    with(message.as_bytes(), |view| {
        let bytes = view.records().find(|record| record.name() == path.record)?.get(&path)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    })
}

fn names(message: &str) -> String {
    with(message.as_bytes(), |view| {
        view.records().map(|record| record.name().to_string()).collect::<Vec<_>>().join(" ")
    })
}

fn codes(message: &str) -> Vec<&'static str> {
    with(message.as_bytes(), |view| view.findings().iter().map(|finding| finding.code).collect())
}

fn delimiters(message: &str) -> Option<Delimiters> {
    with(message.as_bytes(), |view| view.records().next().map(|record| *record.delimiters()))
}

#[test]
fn delimiters_are_read_from_the_header_as_it_declares_them() {
    let usual = Delimiters::HL7;
    let cases: &[(&str, Delimiters, &[&str])] = &[
        ("MSH|^~\\&|a\r", usual, &[]),
        ("MSH|^~\\&#|a\r", Delimiters { truncation: Some(b'#'), ..usual }, &[]),
        ("MSH|^~\\\\&|a\r", usual, &["delimiters-doubled"]),
        ("MSH|^~\\\\&#|a\r", Delimiters { truncation: Some(b'#'), ..usual }, &["delimiters-doubled"]),
        ("MSH|^~\\|a\r", Delimiters { subcomponent: None, ..usual }, &["delimiters-short"]),
        ("MSH|^~|a\r", Delimiters { escape: None, subcomponent: None, ..usual }, &["delimiters-short"]),
        ("MSH|^~\\}|a\r", Delimiters { subcomponent: Some(b'}'), ..usual }, &[]),
        (
            "MSH*:;!+*a\r",
            Delimiters {
                field: b'*',
                component: Some(b':'),
                repeat: Some(b';'),
                escape: Some(b'!'),
                subcomponent: Some(b'+'),
                truncation: None,
            },
            &[],
        ),
        ("MSH|^^\\&|a\r", Delimiters { repeat: None, ..usual }, &["delimiters-invalid"]),
        ("MSH|^~\\&#%|a\r", Delimiters { truncation: Some(b'#'), ..usual }, &["delimiters-invalid"]),
        ("MSH||a\r", usual, &["delimiters-absent"]),
        ("MSH\r", usual, &["delimiters-absent"]),
    ];
    for (message, expected, findings) in cases {
        assert_eq!(
            (delimiters(message), codes(message)),
            (Some(*expected), findings.to_vec()),
            "{message:?}"
        );
    }
}

#[test]
fn the_header_is_numbered_from_its_separator() {
    let message = "MSH|^~\\&|app^x&y|fac|||20260102||ORU^R01|id7|P|2.5.1\rPID|1||p^q\r";
    let cases = [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "app^x&y"),
        ("MSH-3.2.2", "y"),
        ("MSH-9.2", "R01"),
        ("MSH-10", "id7"),
        ("PID-1", "1"),
        ("PID-3.2", "q"),
    ];
    for (path, expected) in cases {
        assert_eq!(part(message, path).as_deref(), Some(expected), "{path}");
    }
    assert_eq!(part(message, "MSH-13"), None);
    assert_eq!(part(message, "MSH-2.2"), None, "the declaration has no components");
}

#[test]
fn a_path_takes_the_first_repeat_and_a_missing_part_is_none() {
    let message = "MSH|^~\\&|\rOBX|1|CE|a^b^c~d^e&f^g||v1~v2~\r";
    let cases = [
        ("OBX-3", Some("a^b^c~d^e&f^g")),
        ("OBX-3.2", Some("b")),
        ("OBX-3[2]", Some("d^e&f^g")),
        ("OBX-3[2].2", Some("e&f")),
        ("OBX-3[2].2.2", Some("f")),
        ("OBX-3.1.1", Some("a")),
        ("OBX-3.1.2", None),
        ("OBX-3[3]", None),
        ("OBX-4", Some("")),
        ("OBX-5[3]", Some("")),
        ("OBX-6", None),
        ("OBR-3", None),
    ];
    for (path, expected) in cases {
        assert_eq!(part(message, path).as_deref(), expected, "{path}");
    }
    with(message.as_bytes(), |view| {
        let path = "OBX-3[2].2.2".parse().unwrap();
        let record = view.record(1).unwrap();
        assert_eq!(record.whole_field(&path), Some(&b"a^b^c~d^e&f^g"[..]));
        let offsets: Vec<_> = record
            .repeats(3)
            .flat_map(|repeat| repeat.components())
            .map(|component| (component.offset(), component.bytes()))
            .collect();
        let bytes = view.bytes();
        assert!(offsets.iter().all(|(offset, part)| &bytes[*offset..*offset + part.len()] == *part));
        assert_eq!(offsets.len(), 6);
    });
}

#[test]
fn segments_end_at_cr_lf_or_both_and_blank_lines_are_nothing() {
    for end in ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n", "\r \r"] {
        let message = ["MSH|^~\\&|a", "PID|1", "OBX|1|ST|x||5"].join(end) + end;
        assert_eq!(names(&message), "MSH PID OBX", "{end:?}");
        assert_eq!(part(&message, "OBX-5").as_deref(), Some("5"), "{end:?}");
    }
    assert_eq!(names("MSH|^~\\&|a\rPID|1"), "MSH PID", "the last segment needs no end");
    assert_eq!(codes("MSH|^~\\&|a\rPID|1\r"), Vec::<&str>::new());
    assert_eq!(codes("MSH|^~\\&|a\r\nPID|1\r\nOBR|1\r\n"), ["line-end"], "said once");
}

#[test]
fn a_line_feed_inside_a_field_stays_in_the_field() {
    let message = "MSH|^~\\&|a\rNTE|1||first line\nsecond | line\n\nthird\rOBX|1|ST|x||5\r";
    assert_eq!(names(message), "MSH NTE OBX");
    assert_eq!(part(message, "NTE-3").as_deref(), Some("first line\nsecond "));
    assert_eq!(part(message, "NTE-4").as_deref(), Some(" line\n\nthird"));
    with(message.as_bytes(), |view| {
        let finding = &view.findings()[0];
        assert_eq!(
            (finding.code, finding.record, view.bytes()[finding.offset]),
            ("line-feed-in-field", 2, b'\n')
        );
    });
    assert_eq!(
        names("MSH|^~\\&|a\rPID|1\nOBX|1|ST|x||5\r"),
        "MSH PID OBX",
        "a segment behind it ends the field"
    );
    let without_cr = "MSH|^~\\&|a\nNTE|1||first line\nsecond line\n";
    assert_eq!(part(without_cr, "NTE-3").as_deref(), Some("first line"), "no CR: LF ends segments");
    assert_eq!(codes(without_cr), ["line-end", "not-a-record"]);
}

#[test]
fn what_is_around_segments_is_left_out_and_said() {
    let message = "/*\r\n * examples\r\n */\r\n\u{b}MSH|^~\\&|a\r\n  PID|1\r\nwhat is this?\r\n\u{1c}\r\n\u{feff}MSH|^~\\&|b\r\n";
    assert_eq!(names(message), "MSH PID MSH");
    assert_eq!(
        codes(message),
        ["not-a-record", "not-a-record", "not-a-record", "line-end", "record-indented", "not-a-record"]
    );
    with(message.as_bytes(), |view| {
        let finding = view.findings().iter().rev().find(|finding| finding.code == "not-a-record").unwrap();
        assert_eq!(&view.bytes()[finding.offset..finding.offset + finding.length], b"what is this?");
    });
    assert_eq!(
        part("MSH|^~\\&|a\rPID|1||x\u{1c}\r", "PID-3").as_deref(),
        Some("x"),
        "an end block is no text"
    );
}

#[test]
fn segments_run_into_another_are_found_and_not_read() {
    let message =
        "MSH|^~\\&|a\rOBR|1|p|f|t^CT^L|| OBX||TX|FIND^x^L|1|text| OBX||TX|y|2|more|\rOBX|3|ST|z||5\r";
    assert_eq!(names(message), "MSH OBR OBX");
    with(message.as_bytes(), |view| {
        let finding = &view.findings()[0];
        assert_eq!((finding.code, finding.record, finding.field), ("records-run-together", 2, Some(6)));
        assert_eq!(
            view.findings().iter().map(|finding| finding.field).collect::<Vec<_>>(),
            [Some(6), Some(12)]
        );
        for finding in view.findings() {
            assert_eq!(&view.bytes()[finding.offset..finding.offset + 4], b"OBX|");
        }
    });
    assert_eq!(codes("MSH|^~\\&|a\rPID|1|FPID|1\rOBX|1|ST|OBX|sub|1\r"), Vec::<&str>::new());
}

#[test]
fn a_segment_run_into_the_last_letter_of_another_is_found() {
    for (message, name) in [
        ("MSH|^~\\&|a\rOBX|1|NM|z||5||||||FOBX|2|NM|y||6||||||F\r", "OBX|"),
        ("MSH|^~\\&|a\rOBX|1|NM|z||5||||||FOBR|2||S2|p\rOBX|1|NM|z||6\r", "OBR|"),
        ("MSH|^~\\&|a\rNTE|1||wordPID|2||B^^^L\r", "PID|"),
    ] {
        with(message.as_bytes(), |view| {
            let finding = view.findings().first().expect(message);
            assert_eq!(finding.code, "records-run-together");
            assert!(message[finding.offset..].starts_with(name), "{message}");
        });
    }
}

#[test]
fn a_lis02_record_run_into_another_is_found() {
    let cases = [
        ("H|\\^&\rR|1|^^^A|5|g/L||N||F||||20260102O|2|S2||^^^A\rR|1|^^^A|6\r", 2, 13),
        ("H|\\^&\rR|1|^^^A|5|g/L||N||F||||20260102R|2|^^^B|6\r", 2, 13),
        ("H|\\^&\rR|1|^^^A|5|g/L||N||F||||20260102L|1|N\r", 2, 13),
        ("H|\\^&\rL|1|NH|\\^&\r", 2, 3),
    ];
    for (message, record, field) in cases {
        let mut index = Index::new();
        let view = index.scan(Syntax::Lis02, message.as_bytes());
        let finding = &view.findings()[0];
        assert_eq!(
            (finding.code, finding.record, finding.field),
            ("records-run-together", record, Some(field))
        );
        assert!(b"RLHO".contains(&message.as_bytes()[finding.offset]));
    }
    let well_formed = "H|\\^&\rO|1|S||^^^A\\^^^B|R|20260102||||L|N\rO|2|L|1|^^^A|R\rO|3|7R|1|^^^A\rP|1||7R|1|^Doe\rR|1|^^^L|1|L\rL|1|N\r";
    let mut index = Index::new();
    assert_eq!(index.scan(Syntax::Lis02, well_formed.as_bytes()).findings(), []);
}

#[test]
fn escapes_decode_to_the_delimiters_of_the_message_and_unknown_ones_stay() {
    let cases: &[(&str, &str, usize)] = &[
        (r"10\S\9/L", "10^9/L", 0),
        (r"\F\\S\\T\\R\\E\", "|^&~\\", 0),
        (r"\E\T\E\", r"\T\", 0),
        (r"a\X0D\b", "a\rb", 0),
        (r"a\X00D\b", "a\rb", 1),
        (r"a\X000d\b\X000A\", "a\rb\n", 0),
        (r"\X48656C6c6F\", "Hello", 0),
        (r"one\.br\two", "one\ntwo", 0),
        (r"a\.sp2\b\.sk 3\c", "a\n\nb   c", 0),
        (r"\.in+4\a\.fi\\.nf\\.ti-2\", "a", 0),
        (r"\H\hot\N\", "hot", 0),
        (r"\P\", "#", 0),
        (r"\Zab\", r"\Zab\", 0),
        (r"\C2842\\M2442\", r"\C2842\\M2442\", 2),
        (r"BSV 4\5", r"BSV 4\5", 1),
        (r"x\", r"x\", 1),
        (r"\XZZ\", r"\XZZ\", 1),
        (r"\.zz\a", r"\.zz\a", 1),
        (r"see \. Then \F\ too", r"see \. Then | too", 1),
        ("plain", "plain", 0),
    ];
    for (raw, expected, kept) in cases {
        let decoded = escape::decode_hl7(raw.as_bytes(), &Delimiters::HL7);
        let text = String::from_utf8_lossy(&decoded.bytes).into_owned();
        assert_eq!((text.as_str(), decoded.kept), (*expected, *kept), "{raw}");
    }
    let none = Delimiters { escape: None, ..Delimiters::HL7 };
    assert_eq!(escape::decode_hl7(br"\F\", &none).bytes.as_ref(), br"\F\");
}

#[test]
fn text_is_escaped_for_the_delimiters_in_force() {
    let seven = Delimiters { truncation: Some(b'#'), ..Delimiters::HL7 };
    let cases: &[(&Delimiters, &str, &str)] = &[
        (&Delimiters::HL7, "a|b^c&d~e\\f", r"a\F\b\S\c\T\d\R\e\E\f"),
        (&Delimiters::HL7, "a\r\n\u{b}\u{1c}", r"a\X0D\\X0A\\X0B\\X1C\"),
        (&Delimiters::HL7, "no. #", "no. #"),
        (&seven, "no. # 5#", r"no. # 5\P\"),
        (&Delimiters::HL7, "10*9/L", "10*9/L"),
    ];
    for (delimiters, text, expected) in cases {
        let encoded = escape::encode_hl7(text.as_bytes(), delimiters);
        assert_eq!(String::from_utf8_lossy(&encoded), *expected);
        assert_eq!(escape::decode_hl7(&encoded, delimiters).bytes.as_ref(), text.as_bytes());
    }
}

#[test]
fn a_value_that_was_cut_short_says_so() {
    with(b"MSH|^~\\&#|a\rOBX|1|ST|x||long text#^whole\r", |view| {
        let field = view.record(1).unwrap().field(5).unwrap();
        assert!(field.component(1).unwrap().is_truncated());
        assert!(!field.component(2).unwrap().is_truncated());
    });
    with(b"MSH|^~\\&|a\rOBX|1|ST|x||\r", |view| {
        assert!(!view.record(1).unwrap().field(5).unwrap().component(1).unwrap().is_truncated());
    });
    with(b"MSH|^~\\&|a\rOBX|1|ST|x||no. 5#\r", |view| {
        assert!(!view.record(1).unwrap().field(5).unwrap().component(1).unwrap().is_truncated());
    });
}

#[test]
fn two_quotes_alone_ask_to_delete() {
    with(b"MSH|^~\\&|a\rOBR|1|\"\"||\"\"x\r", |view| {
        let record = view.record(1).unwrap();
        assert!(record.field(2).unwrap().is_delete());
        assert!(!record.field(3).unwrap().is_delete() && !record.field(4).unwrap().is_delete());
    });
}

#[test]
fn text_is_unescaped_before_its_character_set_is_decoded() {
    let message = b"MSH|^~\\&|a\rOBX|1|ST|x||\\XB5\\g/L|\xB5g/L\r";
    with(message, |view| {
        let record = view.record(1).unwrap();
        let text = |path: &str, charset| record.text(&path.parse().unwrap(), charset).unwrap().into_owned();
        assert_eq!(text("OBX-5", Charset::Latin1), "\u{b5}g/L");
        assert_eq!(text("OBX-6", Charset::Utf8OrCp1252), "\u{b5}g/L");
        assert_eq!(text("OBX-6", Charset::Utf8), "\u{fffd}g/L");
        assert_eq!(text("OBX-1", Charset::Ascii), "1");
    });
}

#[test]
fn noise_without_end_is_counted_up_to_a_limit() {
    let noise = "?\n".repeat(5 * FINDINGS_MAX);
    let found = codes(&noise);
    assert_eq!((found.len(), found.last()), (FINDINGS_MAX, Some(&"more-findings")));
    assert_eq!(names(&(noise + "MSH|^~\\&|a\n")), "MSH", "what follows is read all the same");
}

#[test]
fn an_index_forgets_what_it_scanned_before() {
    let mut index = Index::new();
    assert_eq!(index.scan(Syntax::Hl7, b"MSH*:;!+*a\rPID*1\r?\r").len(), 2);
    let view = index.scan(Syntax::Hl7, b"PID|1\r");
    assert_eq!((view.len(), view.findings().len()), (1, 0));
    assert_eq!(*view.record(0).unwrap().delimiters(), Delimiters::HL7);
}
