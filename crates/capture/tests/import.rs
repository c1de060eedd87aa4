//! The kinds of file that people keep, each recognised and brought back to bytes or records.

#![expect(clippy::panic, reason = "helpers of tests may stop at the first surprise")]

use labwire_capture::{Body, Entry, Format, import, sniff};

fn wire(bytes: &[u8]) -> Vec<Entry> {
    match import(bytes).body {
        Body::Wire(entries) => entries,
        Body::Records(_) => panic!("taken for records: {:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn each_kind_of_file_is_told_from_its_content() {
    let cases: [(&[u8], Format); 12] = [
        (b"labwire-capture 1\nlink tcp\n", Format::Capture),
        (b"\xef\xbb\xbflabwire-capture 1\r\n", Format::Capture),
        (b"\x05\x021H|\\^&\r\x0300\r\n\x04", Format::Framed),
        (b"\x0bMSH|^~\\&|\r\x1c\r", Format::Framed),
        (b"<ENQ>\n<STX>1H|\\^&", Format::Terminal),
        (b"RX [VT]\nMSH|^~\\&|A\n", Format::Terminal),
        (br"b'\x05' then b'\x021H|\\^&\r'", Format::Terminal),
        (b"MSH|^~\\&|A\rPID|1\r", Format::Hl7),
        (b"/* said of it */\n\nMSH|^~\\&|A\nPID|1\n", Format::Hl7),
        (b"# scenario 6: \\x02\\x05 garbage\nH|\\^&|||A\nL|1|N\n", Format::Bare),
        (b"H;^~&;;;A\r\nL;1\r\n", Format::Bare),
        (b"Hello world\n", Format::Text),
    ];
    for (bytes, format) in cases {
        assert_eq!(sniff(bytes), format, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_dump_and_the_log_of_the_same_session_give_the_same_entries() {
    let dump = b"\x05\x06\x021H|\\^&\rL|1|N\r\x03B3\r\n\x06\x04";
    let log = b"12:00:01 < <ENQ>\n12:00:01 > <ACK>\n12:00:02 < <STX>1H|\\^&<CR>L|1|N<CR><ETX>B3<CR><LF>\n\
        12:00:02 > <ACK>\n12:00:03 < <EOT>\n";
    let entries = wire(dump);
    assert_eq!(entries.len(), 5);
    assert_eq!(wire(log), entries);
}

#[test]
fn a_capture_with_a_bad_line_gives_the_good_ones_and_a_note() {
    let text =
        b"labwire-capture 1\nlink tcp\nstarted 2026-03-02T08:14:07Z\n0.000 > <ENQ>\n0.001 > <BAD>\n0.002 < <ACK>\n";
    let import = import(text);
    assert_eq!(import.format, Format::Capture);
    assert_eq!(import.header.unwrap().link, "tcp");
    assert_eq!(import.notes.len(), 1);
    assert_eq!(import.notes[0].line, Some(5));
    assert!(matches!(import.body, Body::Wire(entries) if entries.len() == 2));
}

#[test]
fn records_without_framing_are_handed_on_as_they_are() {
    let text = b"\xef\xbb\xbfH|\\^&|||A\nP|1\nL|1|N\n";
    assert_eq!(import(text).body, Body::Records(text[3..].to_vec()));
}

#[test]
fn a_text_analyzer_with_tags_and_no_end_of_text_is_one_entry() {
    let dump = b"\x02\x1emtrsl|\x1eciA17|\x1eqn0.05|\x1db0\n";
    assert_eq!(wire(dump).len(), 1);
}
