//! Character sets by name, and what becomes of bytes that are none.

use labwire_message::{Charset, charset};

#[test]
fn every_set_is_found_by_its_own_name() {
    for name in Charset::names() {
        assert_eq!(Charset::from_name(name).map(Charset::name), Some(name));
    }
}

#[test]
fn the_names_of_table_0211_and_the_wild_ones_are_known() {
    let cases = [
        ("ASCII", Some(Charset::Ascii)),
        ("ISO IR6", Some(Charset::Ascii)),
        ("8859/1", Some(Charset::Latin1)),
        ("8859-1", Some(Charset::Latin1)),
        ("ISO-8859-1", Some(Charset::Latin1)),
        ("8859/5", Some(Charset::Iso8859Cyrillic)),
        ("8859/15", Some(Charset::Latin9)),
        ("UNICODE UTF-8", Some(Charset::Utf8)),
        ("UTF-8", Some(Charset::Utf8)),
        ("utf8", Some(Charset::Utf8)),
        ("UNICODE", Some(Charset::Utf8OrCp1252)),
        ("WINDOWS-1252", Some(Charset::Cp1252)),
        ("GB 18030-2000", Some(Charset::Gb18030)),
        ("GB2312", Some(Charset::Gb18030)),
        ("KS X 1001", Some(Charset::EucKr)),
        ("BIG-5", Some(Charset::Big5)),
        ("ISO IR87", Some(Charset::Iso2022Jp)),
        ("", None),
        (" ", None),
        ("EBCDIC", None),
    ];
    for (name, expected) in cases {
        assert_eq!(Charset::from_hl7_name(name.as_bytes()), expected, "{name}");
    }
    assert_eq!(Charset::from_hl7_name(b"\xFF"), None);
}

#[test]
fn text_is_decoded_and_an_error_never_drops_a_byte() {
    let cases: &[(Charset, &[u8], &str, bool)] = &[
        (Charset::Ascii, b"5.1", "5.1", false),
        (Charset::Ascii, b"\xB5g", "\u{fffd}g", true),
        (Charset::Utf8, b"\xC2\xB5g", "\u{b5}g", false),
        (Charset::Utf8, b"\xB5g", "\u{fffd}g", true),
        (Charset::Utf8, b"\xEF\xBB\xBFx", "\u{feff}x", false),
        (Charset::Utf8OrCp1252, b"\xC2\xB5g", "\u{b5}g", false),
        (Charset::Utf8OrCp1252, b"\xB5g \x80", "\u{b5}g \u{20ac}", false),
        (Charset::Latin1, b"\xB5g \x80", "\u{b5}g \u{80}", false),
        (Charset::Latin9, b"\xA4", "\u{20ac}", false),
        (Charset::Cp1251, b"\xE3/\xEB", "\u{433}/\u{43b}", false),
        (Charset::Cp1256, b"\xE3", "\u{645}", false),
        (Charset::Gb18030, b"\xB0\xD7", "\u{767d}", false),
        (Charset::Iso2022Jp, b"\x1B$B7l\x1B(B", "\u{8840}", false),
    ];
    for (charset, bytes, text, had_errors) in cases {
        let (decoded, errors) = charset.decode(bytes);
        assert_eq!((decoded.as_ref(), errors), (*text, *had_errors), "{charset:?} {bytes:?}");
    }
}

#[test]
fn what_was_decoded_encodes_to_the_same_bytes() {
    let cases: &[(Charset, &[u8])] = &[
        (Charset::Utf8, "µg é 血".as_bytes()),
        (Charset::Latin1, b"\xB5g \x80\xFF"),
        (Charset::Latin9, b"\xA4\xE9"),
        (Charset::Cp1251, b"\xE3/\xEB"),
        (Charset::Gb18030, b"\xB0\xD7a"),
        (Charset::ShiftJis, b"\x8C\x8C"),
    ];
    for (charset, bytes) in cases {
        let (text, _) = charset.decode(bytes);
        assert_eq!(charset.encode(&text), ((*bytes).into(), false), "{charset:?}");
    }
    assert_eq!(Charset::Latin1.encode("a\u{416}b"), (b"a?b".as_slice().into(), true));
    assert_eq!(Charset::Ascii.encode("\u{b5}"), (b"?".as_slice().into(), true));
}

#[test]
fn sets_whose_characters_hold_delimiters_are_marked() {
    for charset in [Charset::ShiftJis, Charset::Gb18030, Charset::Big5] {
        let hidden = (0x81..=0xFE_u8).any(|lead| {
            let bytes = [lead, b'|'];
            let (text, had_errors) = charset.decode(&bytes);
            !had_errors && !text.contains('|')
        }) || (0x81..=0xFE_u8).any(|lead| {
            let bytes = [lead, b'\\'];
            let (text, had_errors) = charset.decode(&bytes);
            !had_errors && !text.contains('\\')
        });
        assert!(hidden && charset.hides_delimiters(), "{charset:?}");
    }
    for charset in [Charset::EucKr, Charset::EucJp, Charset::Cp1252, Charset::Utf8] {
        for delimiter in *b"|^~\\&" {
            let hides = (0x80..=0xFE_u8).any(|lead| {
                let bytes = [lead, delimiter];
                let (text, had_errors) = charset.decode(&bytes);
                !had_errors && !text.contains(char::from(delimiter))
            });
            assert!(!hides && !charset.hides_delimiters(), "{charset:?} {delimiter}");
        }
    }
}

/// A value after `|`, in a set in which some byte of it looks like a delimiter, with the byte offset that
/// the `Z` behind it has.
const HIDDEN: &[(Charset, &[u8], &str)] = &[
    (Charset::Gb18030, b"R|\x84|\x81^|Z", "R|\u{5255}\u{4e5b}|Z"),
    (Charset::Big5, b"R|\xA6\x5C\xB3\x7C|Z", "R|\u{5412}\u{9016}|Z"),
    (Charset::ShiftJis, b"R|\x95\x5C\x83\x7C|Z", "R|\u{8868}\u{30dd}|Z"),
    (Charset::Utf16Le, b"R\0|\0\x7C\x04|\0Z\0", "R|\u{47c}|Z"),
    (Charset::Iso2022Jp, b"R|\x1B$B7|\x1B(B|Z", "R|\u{61f8}|Z"),
];

#[test]
fn sets_that_hide_delimiters_are_turned_into_text_first_and_offsets_lead_back() {
    for (charset, raw, text) in HIDDEN {
        let transcoded = charset::transcode(*charset, raw);
        assert_eq!(transcoded, *text, "{charset:?}");
        let mut offsets: Vec<usize> = transcoded.char_indices().map(|(at, _)| at).collect();
        let last = offsets.len() - 1;
        offsets.push(transcoded.len());
        charset::raw_offsets(*charset, raw, &mut offsets);
        assert!(offsets.is_sorted(), "{charset:?} {offsets:?}");
        assert_eq!(offsets[0], 0);
        assert_eq!(raw[offsets[last]], b'Z', "{charset:?} {offsets:?}");
        assert_eq!(offsets[last + 1], raw.len());
    }
}

#[test]
fn bytes_of_no_character_stay_different_in_the_text_and_look_alike_to_people() {
    for charset in [Charset::Gb18030, Charset::Big5, Charset::ShiftJis, Charset::Utf16Le] {
        let one = charset::transcode(charset, b"R|\xFF\xDC|");
        let other = charset::transcode(charset, b"R|\xFE\xDC|");
        assert_ne!(one, other, "{charset:?}");
    }
    let text = charset::transcode(Charset::Gb18030, b"a\xFFb");
    assert_eq!(charset::shown(text.into()), ("a\u{fffd}b".into(), true));
    assert_eq!(charset::shown("a\u{fffd}".into()), ("a\u{fffd}".into(), false), "sent as such");
    let torn = charset::transcode(Charset::Gb18030, b"a\xB0");
    assert_eq!(charset::shown(torn.into()), ("a\u{fffd}".into(), true), "a character cut in two");
}

#[test]
fn the_first_byte_that_belongs_to_no_character_is_found() {
    let cases: &[(Charset, &[u8], Option<usize>)] = &[
        (Charset::Ascii, b"ab\xB5", Some(2)),
        (Charset::Utf8, b"\xC2\xB5\xB5", Some(2)),
        (Charset::Latin1, b"\x80\xFF", None),
        (Charset::Utf8OrCp1252, b"\xB5\x81", None),
        (Charset::Gb18030, b"ok\xB0\xD7\xFF", Some(4)),
        (Charset::EucKr, b"ok\xFF", Some(2)),
        (Charset::Cp1253, b"ab\xD2", Some(2)),
        (Charset::Utf16Le, b"a\0\x00\xD8b\0", Some(2)),
    ];
    for (charset, bytes, place) in cases {
        assert_eq!(charset.first_malformed(bytes), *place, "{charset:?}");
    }
}

#[test]
fn text_that_a_set_cannot_say_is_refused_or_written_readably() {
    assert_eq!(Charset::Cp1251.encode_exactly("мг").unwrap().as_ref(), b"\xEC\xE3");
    assert_eq!(Charset::Cp1251.encode_exactly("aé").unwrap_err().at, 1);
    assert_eq!(Charset::Ascii.encode_readably("5 µg/L ≤ Ĳ"), (b"5 ug/L <= ?".as_slice().into(), true));
    assert_eq!(Charset::Latin1.encode_readably("µ€"), (b"\xB5EUR".as_slice().into(), true));
    assert_eq!(Charset::Utf8.encode_readably("µ"), ("µ".as_bytes().into(), false));
    assert_eq!(Charset::Utf16Le.encode_exactly("aµ").unwrap().as_ref(), b"a\0\xB5\0");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_set_panic_and_none_are_lost(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
    ) {
        for (charset, ..) in HIDDEN {
            let text = charset::transcode(*charset, &bytes);
            let mut offsets: Vec<usize> = (0..=text.len()).collect();
            charset::raw_offsets(*charset, &bytes, &mut offsets);
            proptest::prop_assert!(offsets.is_sorted() && offsets.iter().all(|offset| *offset <= bytes.len()));
            if *charset == Charset::Utf16Le && charset.first_malformed(&bytes).is_none() {
                proptest::prop_assert_eq!(charset.encode(&text).0.into_owned(), bytes.clone());
            }
        }
    }
}
