//! Character sets by name, and what becomes of bytes that are none.

use labwire_message::Charset;

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
