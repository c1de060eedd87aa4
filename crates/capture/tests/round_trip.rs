//! What is written is read back the same, whatever the bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use std::time::Duration;

use jiff::Timestamp;
use labwire_capture::{Content, Entry, Header, Reader, Writer};
use proptest::prelude::*;

fn content() -> impl Strategy<Value = Content> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        bytes().prop_map(Content::ToHost),
        bytes().prop_map(Content::ToAnalyzer),
        any::<String>().prop_map(Content::Event),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    (0_u64..10_000_000_000, content())
        .prop_map(|(millis, content)| Entry { offset: Duration::from_millis(millis), content })
}

fn header() -> impl Strategy<Value = Header> {
    let extra = proptest::collection::vec(("x-[a-z]{1,8}", any::<String>()), 0..3);
    (proptest::option::of(any::<String>()), any::<String>(), 0_i64..4_000_000_000_000, extra).prop_map(
        |(driver, link, millis, extra)| Header {
            driver,
            link,
            started: Timestamp::from_millisecond(millis).unwrap(),
            extra,
        },
    )
}

fn written(header: &Header, entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for entry in entries {
        writer.entry(entry).unwrap();
    }
    writer.into_inner()
}

proptest! {
    #[test]
    fn a_written_capture_reads_back_the_same(
        header in header(),
        entries in proptest::collection::vec(entry(), 0..20),
    ) {
        let text = written(&header, &entries);
        prop_assert!(text.iter().all(|byte| matches!(byte, b'\n' | 0x20..=0x7e)), "a capture is printable ASCII");
        let mut reader = Reader::new(&text[..]).unwrap();
        prop_assert_eq!(reader.header(), &header);
        let read: Vec<Entry> = reader.by_ref().map(Result::unwrap).collect();
        prop_assert_eq!(&read, &entries);
        prop_assert_eq!(written(&header, &read), text);
    }

    #[test]
    fn any_bytes_are_imported_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let import = labwire_capture::import(&bytes);
        let _ = format!("{import:?}");
    }

    #[test]
    fn hurt_captures_are_read_without_a_panic(
        entries in proptest::collection::vec(entry(), 0..6),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut text = written(&Header::new("tcp", Timestamp::UNIX_EPOCH), &entries);
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(reader) = Reader::new(&text[..]) {
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            for error in reader.filter_map(Result::err) {
                prop_assert!(error.line <= lines, "{}", error);
            }
        }
    }
}

#[test]
fn the_format_is_the_documented_one() {
    let started = "2026-03-02T08:14:07.120Z".parse().unwrap();
    let header = Header::new("tcp", started).with_driver("generic/lis02");
    let entries = [
        Entry::to_host(Duration::ZERO, b"\x05"),
        Entry::to_analyzer(Duration::from_millis(2), b"\x06"),
        Entry::to_host(Duration::from_millis(10), b"\x021H|\\^&|||A<b\x03A7\r\n"),
        Entry::event(Duration::from_millis(61_013), "close"),
    ];
    let expected = "labwire-capture 1\n\
        driver generic/lis02\n\
        link tcp\n\
        started 2026-03-02T08:14:07.120Z\n\
        0.000 > <ENQ>\n\
        0.002 < <ACK>\n\
        0.010 > <STX>1H|\\^&|||A<3C>b<ETX>A7<CR><LF>\n\
        61.013 ! close\n";
    assert_eq!(String::from_utf8(written(&header, &entries)).unwrap(), expected);
}
