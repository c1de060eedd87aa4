//! The record layer close to the code: what the conformance cases of the same ids do not show already,
//! or show through a profile or a session only.

use labwire_message::lis02::{self, Hierarchy, Resumption};
use labwire_message::{Charset, Delimiters, End, Index, Name, Path, Syntax, View, escape};

/// Scans records written with `⏎` for CR and hands the view to the test.
fn with<R>(text: &str, look: impl FnOnce(View<'_>) -> R) -> R {
    let bytes = text.replace('⏎', "\r").into_bytes();
    look(Index::new().scan(Syntax::Lis02, &bytes))
}

/// The raw part that a path names in the first record of its name.
fn part(text: &str, path: &str) -> Option<String> {
    let path = path.parse::<Path>().ok()?;
    with(text, |view| {
        let record = view.records().find(|record| record.name() == path.record)?;
        record.get(&path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    })
}

/// The unescaped text of a part, decoded as UTF-8.
fn text(message: &str, path: &str) -> Option<String> {
    let path = path.parse::<Path>().ok()?;
    with(message, |view| {
        let record = view.records().find(|record| record.name() == path.record)?;
        record.text(&path, Charset::Utf8).map(|text| text.into_owned())
    })
}

fn names(view: &View<'_>) -> String {
    view.records().map(|record| record.name().to_string()).collect::<Vec<_>>().join(" ")
}

fn codes(findings: &[labwire_message::Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn rec_delimiters_come_from_the_header_and_parts_follow_them() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("REC-01", r"H|\^&|||X⏎", "H.5", "X"),
        ("REC-01 H.2 is literal", r"H|\^&|||X⏎", "H.2", r"\^&"),
        ("REC-02", r"H!~*?!!!A⏎P!1!!X*Y⏎", "P.4.1", "X"),
        ("REC-02", r"H!~*?!!!A⏎P!1!!X*Y⏎", "P.4.2", "Y"),
        ("REC-03 first repeat", r"H|@^\|x⏎O|1|S||^^^A@^^^B\F\C⏎", "O.5[1].4", "A"),
        ("REC-03 second repeat", r"H|@^\|x⏎O|1|S||^^^A@^^^B\F\C⏎", "O.5[2].4", r"B\F\C"),
        ("REC-04", "H|`^&⏎Q|1|^100`^101⏎", "Q.3[1].2", "100"),
        ("REC-04", "H|`^&⏎Q|1|^100`^101⏎", "Q.3[2].2", "101"),
        ("REC-10", r"h|\^&⏎p|1⏎l|1|N⏎", "L.3", "N"),
        ("VAL-03", r"H|\^&⏎P|1||||||||||||||||175^lb⏎", "P.18.1", "175"),
        ("VAL-03", r"H|\^&⏎P|1||||||||||||||||175^lb⏎", "P.18.2", "lb"),
        ("VAL-04 first range", r"H|\^&⏎R|1|^^^A|1||3.5 to 4.5\10 to 20^toxic⏎", "R.6[1]", "3.5 to 4.5"),
        ("VAL-04 second range", r"H|\^&⏎R|1|^^^A|1||3.5 to 4.5\10 to 20^toxic⏎", "R.6[2].1", "10 to 20"),
        ("VAL-04 its description", r"H|\^&⏎R|1|^^^A|1||3.5 to 4.5\10 to 20^toxic⏎", "R.6[2].2", "toxic"),
        ("VAL-04 free text", r"H|\^&⏎R|1|^^^A|1||0.9 - 1.75⏎", "R.6", "0.9 - 1.75"),
        ("VAL-06 code", r"H|\^&⏎R|1|^^^GLU^1^2⏎", "R.3.4", "GLU"),
        ("VAL-06 extension", r"H|\^&⏎R|1|^^^GLU^1^2⏎", "R.3.6", "2"),
        ("VAL-07", r"H|\^&⏎R|1|^^^A|<0.25⏎", "R.4", "<0.25"),
        ("VAL-07", r"H|\^&⏎R|1|^^^A|++⏎", "R.4", "++"),
        ("VAL-07", r"H|\^&⏎R|1|^^^A|-----⏎", "R.4", "-----"),
        ("VAL-08", r"H|\^&||||||||||Q⏎", "H.12", "Q"),
    ];
    for (case, message, path, expected) in cases {
        assert_eq!(part(message, path).as_deref(), Some(*expected), "{case}: {path} of {message}");
    }
    assert_eq!(text(r"H|@^\|x⏎O|1|S||^^^A@^^^B\F\C⏎", "O.5[2].4").as_deref(), Some("B|C"), "REC-03 decoded");
}

#[test]
fn rec_01_all_four_delimiters_are_read() {
    with(r"H|\^&|||X⏎", |view| {
        let delimiters = *view.records().next().unwrap().delimiters();
        assert_eq!(delimiters, Delimiters::LIS02);
        assert_eq!(
            (delimiters.field, delimiters.repeat, delimiters.component),
            (b'|', Some(b'\\'), Some(b'^'))
        );
        assert_eq!(delimiters.escape, Some(b'&'));
    });
}

#[test]
fn rec_05_two_messages_in_a_session_keep_their_own_delimiters() {
    with(r"H|\^&⏎P|1||A^B⏎L|1⏎H!~*?⏎P!1!!C*D⏎L!1⏎", |view| {
        let path = "P.4.2".parse().unwrap();
        let parts: Vec<_> = view.records().filter_map(|record| record.get(&path)).collect();
        assert_eq!(parts, [b"B", b"D"]);
        assert_eq!(lis02::messages(&view).messages.len(), 2);
    });
}

#[test]
fn rec_10_record_letters_are_case_insensitive_and_content_is_not() {
    with(r"h|\^&⏎p|1||abC⏎l|1|N⏎", |view| {
        assert_eq!(names(&view), "H P L");
        assert_eq!(lis02::messages(&view).messages.len(), 1);
        assert!(view.findings().is_empty());
    });
    assert_eq!(part(r"h|\^&⏎p|1||abC⏎", "P.4").as_deref(), Some("abC"));
}

#[test]
fn rec_12_an_unknown_record_is_kept_and_leaves_the_hierarchy_alone() {
    with(r"H|\^&⏎P|1⏎Z|1|x⏎O|1|S⏎C|1|I|c⏎L|1⏎", |view| {
        assert_eq!(names(&view), "H P Z O C L");
        assert_eq!(view.record(2).unwrap().bytes(), b"Z|1|x");
        let finding = &view.findings()[0];
        assert_eq!((finding.code, finding.record, finding.offset), ("unknown-record", 3, 10));
        let hierarchy = Hierarchy::of(&view);
        assert_eq!((hierarchy.level(2), hierarchy.parent(2)), (None, None));
        assert_eq!((hierarchy.parent(3), hierarchy.parent(4)), (Some(1), Some(3)));
        assert!(hierarchy.findings.is_empty());
    });
}

#[test]
fn prose_between_records_is_no_record_and_joins_no_terminator() {
    with(
        "H|\\^&⏎C|1|I|two\nlines|G⏎L|1|N\n# a comment⏎H: not a header⏎Host|1⏎H;^&;;x⏎P;1⏎",
        |view| {
            assert_eq!(names(&view), "H C L H P");
            assert_eq!(view.record(1).unwrap().field(4).unwrap().bytes(), b"two\nlines");
            assert_eq!(view.record(2).unwrap().bytes(), b"L|1|N");
            let expected = [
                "line-feed-in-field",
                "line-end",
                "not-a-record",
                "not-a-record",
                "not-a-record",
                "delimiters-short",
            ];
            assert_eq!(codes(view.findings()), expected);
        },
    );
}

#[test]
fn esc_sequences_decode_once_and_what_is_none_stays() {
    let cases: &[(&str, &str, &[u8], usize)] = &[
        ("ESC-01", "a&F&b&S&c&R&d&E&e", br"a|b^c\d&e", 0),
        ("ESC-02 odd digits", "&XA&", b"\n", 0),
        ("ESC-02", "&X414A&", b"AJ", 0),
        ("ESC-02 no digits", "&X&", b"&X&", 1),
        ("ESC-02 no hex", "&XGG&", b"&XGG&", 1),
        ("ESC-03", "&H&hot&N&", b"hot", 0),
        ("ESC-05 lone", "AT&T", b"AT&T", 1),
        ("ESC-05 unknown", "&Q9&", b"&Q9&", 1),
        ("ESC-05 prose between two", "a & b & c&F&d", b"a & b & c|d", 2),
        ("an escape at the very end", "x&", b"x&", 1),
        ("no nesting", "&E&F&E&", b"&F&", 0),
        ("vendor-defined is kept", "&Z1c&", b"&Z1c&", 0),
        ("codes are upper case", "&f&", b"&f&", 2),
    ];
    for (case, raw, expected, kept) in cases {
        let decoded = escape::decode_lis02(raw.as_bytes(), &Delimiters::LIS02);
        assert_eq!((decoded.bytes.as_ref(), decoded.kept), (*expected, *kept), "{case}: {raw}");
    }
}

#[test]
fn esc_06_the_definition_in_the_header_is_never_unescaped() {
    assert_eq!(text(r"H|\^&|&E&⏎", "H.2").as_deref(), Some(r"\^&"));
    assert_eq!(text(r"H|\^&|&E&⏎", "H.3").as_deref(), Some("&"));
    assert_eq!(text(r"H|\^&F&|x⏎", "H.2").as_deref(), Some(r"\^&F&"), "nor where it looks like a sequence");
}

/// Letters of the records, and for each the place of its parent.
fn parents(message: &str) -> (Vec<Option<usize>>, Vec<&'static str>) {
    with(message, |view| {
        let hierarchy = Hierarchy::of(&view);
        let parents = hierarchy.places.iter().map(|place| place.parent).collect();
        (parents, codes(&hierarchy.findings))
    })
}

#[test]
fn hie_parents_follow_the_levels() {
    type Case = (&'static str, &'static str, &'static [Option<usize>], &'static [&'static str]);
    let cases: &[Case] = &[
        ("HIE-01", r"H|\^&⏎P|1⏎O|1⏎R|1⏎L|1⏎", &[None, Some(0), Some(1), Some(2), None], &[]),
        ("HIE-02", r"H|\^&⏎O|1⏎L|1⏎", &[None, Some(0), None], &["order-without-patient"]),
        ("HIE-03", r"H|\^&⏎P|1⏎R|1⏎L|1⏎", &[None, Some(0), Some(1), None], &["result-without-order"]),
        (
            "HIE-03 an order of another patient is none",
            r"H|\^&⏎P|1⏎O|1⏎P|2⏎R|1⏎",
            &[None, Some(0), Some(1), Some(0), Some(3)],
            &["result-without-order"],
        ),
        (
            "HIE-04, HIE-05",
            r"H|\^&⏎P|1⏎C|1⏎O|1⏎C|1⏎R|1⏎C|1⏎C|2⏎L|1⏎",
            &[None, Some(0), Some(1), Some(1), Some(3), Some(3), Some(5), Some(5), None],
            &[],
        ),
        ("HIE-06", r"H|\^&⏎M|1⏎P|1⏎", &[None, Some(0), Some(0)], &[]),
        (
            "a comment describes manufacturer information",
            r"H|\^&⏎P|1⏎M|1⏎C|1⏎",
            &[None, Some(0), Some(1), Some(2)],
            &[],
        ),
        (
            "manufacturer information follows a comment",
            r"H|\^&⏎P|1⏎C|1⏎M|1⏎",
            &[None, Some(0), Some(1), Some(2)],
            &[],
        ),
        ("a comment on the header", r"H|\^&⏎C|1⏎", &[None, Some(0)], &[]),
        (
            "HIE-07",
            r"H|\^&⏎L|1⏎C|1⏎M|1⏎H|\^&⏎C|1⏎",
            &[None, None, None, None, None, Some(4)],
            &["record-after-terminator", "record-after-terminator"],
        ),
        ("a comment before everything", r"C|1⏎", &[None], &["comment-without-record"]),
    ];
    for (case, message, expected, findings) in cases {
        let (parents, found) = parents(message);
        assert_eq!((parents.as_slice(), found.as_slice()), (*expected, *findings), "{case}: {message}");
    }
}

#[test]
fn hie_levels_of_comments_are_one_below_what_they_describe() {
    with(r"H|\^&⏎M|1⏎P|1⏎C|1⏎C|2⏎O|1⏎R|1⏎C|1⏎L|1⏎", |view| {
        let levels: Vec<_> = Hierarchy::of(&view).places.iter().map(|place| place.level).collect();
        assert_eq!(levels, [0, 1, 1, 2, 2, 2, 3, 4, 0].map(Some));
    });
}

#[test]
fn hie_ancestors_and_children_can_be_asked_for() {
    with(r"H|\^&⏎P|1⏎O|1⏎R|1⏎C|1⏎R|2⏎L|1⏎", |view| {
        let hierarchy = Hierarchy::of(&view);
        assert_eq!(hierarchy.ancestors(4), [0, 1, 2, 3]);
        assert_eq!(hierarchy.children(2).collect::<Vec<_>>(), [3, 5]);
    });
}

#[test]
fn hie_08_a_session_that_begins_without_a_header_says_so_for_each_record() {
    with(r"P|1⏎O|1⏎R|1⏎L|1⏎", |view| {
        let split = lis02::messages(&view);
        let message = &split.messages[0];
        assert!(!message.has_header && !message.is_complete);
        assert_eq!(message.records, 0..4);
        assert_eq!(codes(&split.findings), ["record-outside-message"; 4]);
        assert_eq!(split.findings[2].offset, 8);
    });
}

#[test]
fn hie_09_and_sto_08_a_message_without_terminator_is_kept_and_incomplete() {
    with(r"H|\^&⏎P|1⏎O|1⏎H|\^&⏎P|1⏎L|1⏎", |view| {
        let split = lis02::messages(&view);
        let [first, second] = split.messages.as_slice() else { panic!("two messages") };
        assert_eq!((first.records.clone(), first.end, first.is_complete), (0..3, End::NextHeader, false));
        assert_eq!((second.records.clone(), second.end, second.is_complete), (3..6, End::Terminator, true));
        assert_eq!(codes(&split.findings), ["message-incomplete"]);
    });
    with(r"H|\^&⏎P|1⏎O|1⏎", |view| {
        let message = lis02::messages(&view).messages.remove(0);
        assert_eq!((message.end, message.is_complete), (End::Input, false));
    });
}

#[test]
fn hie_10_two_messages_in_a_session_are_two() {
    with(r"H|\^&⏎P|1⏎L|1⏎H|\^&⏎P|1⏎L|1⏎", |view| {
        let split = lis02::messages(&view);
        assert_eq!(split.messages.len(), 2);
        assert!(split.messages.iter().all(|message| message.is_complete) && split.findings.is_empty());
        let second = view.part(split.messages[1].records.clone());
        assert_eq!(second.records().map(|record| record.ordinal()).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!(&view.bytes()[second.extent()], b"H|\\^&\rP|1\rL|1");
    });
}

#[test]
fn hie_14_a_wrong_sequence_number_is_said_when_asked_and_holds_nothing() {
    with(r"H|\^&⏎P|1⏎O|1⏎R|1⏎R|1⏎L|1⏎", |view| {
        assert!(view.findings().is_empty() && Hierarchy::of(&view).findings.is_empty());
        let findings = lis02::check_sequence(&view);
        assert_eq!(codes(&findings), ["sequence-number"]);
        assert_eq!((findings[0].record, findings[0].field, findings[0].offset), (5, Some(2), 20));
    });
}

/// Compares two sessions as a receiver does that leaves the header's time out.
fn resumed(old: &str, new: &str) -> Resumption {
    with(old, |old| {
        with(new, |new| {
            let levels: Vec<_> = Hierarchy::of(&old).places.iter().filter_map(|place| place.level).collect();
            let same = |before: usize, after: usize| match (old.record(before), new.record(after)) {
                (Some(before), Some(after)) if before.name() == "H" => after.name() == "H",
                (Some(before), Some(after)) => before.bytes() == after.bytes(),
                _ => false,
            };
            lis02::resume(&levels, new.len(), same)
        })
    })
}

#[test]
fn sto_03_to_05_a_continuation_a_whole_repeat_and_another_message_are_told_apart() {
    let incomplete = r"H|\^&||||||||||||1⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎O|2|S2⏎";
    let continues = r"H|\^&||||||||||||2⏎P|1⏎O|2|S2⏎R|1|^^^A|6⏎L|1⏎";
    assert_eq!(resumed(incomplete, continues), Resumption::Continues { kept: 4, from: 2 }, "STO-04");
    let whole = r"H|\^&||||||||||||2⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎O|2|S2⏎R|1|^^^A|6⏎L|1⏎";
    assert_eq!(resumed(incomplete, whole), Resumption::Repeats, "STO-05");
    let other = r"H|\^&||||||||||||2⏎P|1⏎O|1|S3⏎R|1|^^^A|5⏎L|1⏎";
    assert_eq!(resumed(incomplete, other), Resumption::Unrelated);
    let corrected = r"H|\^&||||||||||||2⏎P|1⏎O|1|S1⏎R|1|^^^A|5.1⏎O|2|S2⏎L|1⏎";
    assert_eq!(resumed(incomplete, corrected), Resumption::Unrelated, "a changed value is another message");
}

#[test]
fn a_message_that_holds_less_than_is_owed_supersedes_nothing() {
    let incomplete = r"H|\^&⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎";
    assert_eq!(resumed(incomplete, r"H|\^&⏎P|1⏎L|1⏎"), Resumption::Unrelated);
    assert_eq!(resumed(incomplete, r"H|\^&⏎P|1⏎"), Resumption::Unrelated);
    assert_eq!(resumed("", r"H|\^&⏎L|1⏎"), Resumption::Unrelated);
    assert_eq!(
        lis02::resume(&[0, 1, 2], 2, |_, _| true),
        Resumption::Unrelated,
        "whatever compares as the same"
    );
}

#[test]
fn a_whole_repeat_with_the_same_order_before_every_result_is_no_continuation() {
    let incomplete = r"H|\^&⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎O|1|S1⏎";
    let whole = r"H|\^&⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎O|1|S1⏎R|1|^^^B|6⏎L|1⏎";
    assert_eq!(resumed(incomplete, whole), Resumption::Repeats);
}

#[test]
fn a_sender_that_missed_the_last_reply_counts_less_as_saved_and_is_understood() {
    let incomplete = r"H|\^&⏎P|1⏎O|1|S1⏎R|1|^^^A|5⏎O|1|S1⏎R|1|^^^B|6⏎O|1|S1⏎";
    let continues = r"H|\^&⏎P|1⏎O|1|S1⏎R|1|^^^B|6⏎O|1|S1⏎R|1|^^^C|7⏎L|1⏎";
    assert_eq!(resumed(incomplete, continues), Resumption::Continues { kept: 4, from: 2 });
}

#[test]
fn a_name_is_what_the_standards_call_records() {
    assert_eq!(Name::new(b"r").unwrap(), "R");
    assert_eq!(Name::new(b"SPM").unwrap().as_str(), "SPM");
    assert_eq!(Name::new(b"SPM").unwrap().letter(), None);
    for no_name in [&b""[..], b"1", b"A-", b"ABCD", b"\xFF"] {
        assert_eq!(Name::new(no_name), None);
    }
}
