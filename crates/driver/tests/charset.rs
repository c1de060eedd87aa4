//! Character sets through a profile: what is read, what is held, and where a finding lies in the bytes.

mod support;

use labwire_message::Charset;
use labwire_model::DecodedMessage;
use support::{brief, code, decode, plan, profile};

const RULES: &str = r#"
[message]
charset = "CHARSET"
volatile = ["H.14"]
[specimen]
id = "O.3"
[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
operator = "R.11"
[tests]
GLU = { name = "Glucose", unit = "mmol/L", lis = "GLU" }
"#;

fn read(charset: &str, bytes: &[u8]) -> DecodedMessage {
    decode(&plan(&profile("lis02", &RULES.replace("CHARSET", charset))), bytes)
}

/// Where the diagnostics lie, as `code@byte`.
fn told(message: &DecodedMessage) -> Vec<String> {
    message.diagnostics.iter().map(|found| format!("{}@{}", found.code, found.position.byte)).collect()
}

#[test]
fn every_set_of_the_field_is_read() {
    let cases = [
        ("ascii", "5.4"),
        ("latin-1", "µé"),
        ("latin-9", "€é"),
        ("cp1251", "кровь"),
        ("cp1252", "µ€"),
        ("cp1256", "دم"),
        ("utf-8", "µ血"),
        ("utf-16le", "µ血|"),
        ("gbk", "剕血"),
        ("big5", "功許"),
        ("shift-jis", "表ポ"),
    ];
    for (name, text) in cases {
        let text = text.trim_end_matches('|');
        let charset = Charset::from_name(name).unwrap();
        let message = format!("H|\\^&\rP|1\rO|1|S1\rR|1|^^^GLU|{text}|mmol/L||||||op\rL|1|N\r");
        let decoded = read(name, &charset.encode_exactly(&message).unwrap());
        assert_eq!(brief(&decoded), [format!("4 S1 GLU {text} deliver")], "{name}");
        assert_eq!(told(&decoded), ["result-without"; 0], "{name}");
    }
}

#[test]
fn findings_lie_where_the_bytes_were_sent() {
    let text = "H|\\^&\rP|1||血\rZ|血\rO|1|S1\rR|1|^^^GLU|5|mmol/L\rL|1|N\r";
    for name in ["gbk", "big5", "shift-jis", "utf-16le"] {
        let raw = Charset::from_name(name).unwrap().encode_exactly(text).unwrap().into_owned();
        let width = if name == "utf-16le" { 2 } else { 1 };
        let place = (0..raw.len()).find(|at| raw[*at..].starts_with(if width == 2 { b"Z\0" } else { b"Z|" }));
        let decoded = read(name, &raw);
        let expected = format!("unknown-record@{}", place.unwrap());
        assert!(told(&decoded).contains(&expected), "{name}: {:?} without {expected}", told(&decoded));
    }
}

#[test]
fn bytes_of_no_character_are_told_by_their_place_and_make_another_message() {
    for name in ["ascii", "utf-8", "gbk", "big5", "shift-jis"] {
        let with = |byte: u8| {
            let head: &[u8] = b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^GLU|5|mmol/L||||||";
            [head, &[byte], b"\rL|1|N\r"].concat()
        };
        let (one, other) = (read(name, &with(0xFF)), read(name, &with(0xFE)));
        let place = with(0xFF).iter().position(|byte| *byte == 0xFF).unwrap();
        assert_eq!(told(&one), [format!("undecodable-bytes@{place}")], "{name}");
        assert_eq!(one.diagnostics[0].position.record, 4);
        assert_eq!(one.outcomes[0].observation.operator.as_deref(), Some("\u{fffd}"), "{name}");
        assert_eq!(code(&one.outcomes[0]), "deliver", "an operator's name is no reason to hold a result");
        assert_ne!(one.identity, other.identity, "{name}: another byte is another message");
    }
}

#[test]
fn a_value_with_bytes_of_no_character_is_held() {
    let decoded = read("gbk", b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^GLU|5\xFF|mmol/L\rL|1|N\r");
    assert_eq!(brief(&decoded), ["4 S1 GLU 5\u{fffd} unreadable"]);
}

#[test]
fn two_bytes_a_character_are_recognised_without_being_told() {
    let rules = RULES.replace("charset = \"CHARSET\"\n", "");
    let text = "H|\\^&\rP|1\rO|1|S1\rR|1|^^^GLU|5.4|mmol/L\rL|1|N\r";
    let plan = plan(&profile("lis02", &rules));
    let raw = Charset::Utf16Le.encode(text).0;
    assert_eq!(brief(&decode(&plan, &raw)), ["4 S1 GLU 5.4 deliver"]);
    let marked = [b"\xFF\xFE", raw.as_ref()].concat();
    assert_eq!(brief(&decode(&plan, &marked)), ["4 S1 GLU 5.4 deliver"]);
}
