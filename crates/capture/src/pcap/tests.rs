//! Packet captures built by hand, packet by packet.

use super::*;
use crate::escape::escape;

const ANALYZER: (u8, u16) = (5, 49_152);
const HOST: (u8, u16) = (1, 5600);

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x11;

/// An Ethernet frame with an IPv4 TCP segment, padded as Ethernet pads.
fn frame(from: (u8, u16), to: (u8, u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend(u16::try_from(40 + payload.len()).unwrap().to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 20, 0, from.0, 10, 20, 0, to.0]);
    ip.extend(from.1.to_be_bytes());
    ip.extend(to.1.to_be_bytes());
    ip.extend(sequence.to_be_bytes());
    ip.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    ip.extend(payload);
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(ip);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn pcap(packets: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for (millis, packet) in packets {
        let length = u32::try_from(packet.len()).unwrap();
        let seconds = 1_770_000_000 + millis / 1000;
        file.extend([seconds, millis % 1000 * 1000, length, length].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

fn session() -> Vec<(u32, Vec<u8>)> {
    vec![
        (0, frame(ANALYZER, HOST, 99, SYN, b"")),
        (1, frame(HOST, ANALYZER, 499, SYN | ACK, b"")),
        (10, frame(ANALYZER, HOST, 100, ACK, b"\x05")),
        (12, frame(HOST, ANALYZER, 500, ACK, b"\x06")),
        (20, frame(ANALYZER, HOST, 101, ACK, b"\x021H|\\^&\r")),
        (21, frame(ANALYZER, HOST, 109, ACK, b"\x03E5\r\n")),
        (25, frame(HOST, ANALYZER, 501, ACK, b"\x06")),
        (30, frame(ANALYZER, HOST, 114, ACK, b"\x04")),
        (40, frame(ANALYZER, HOST, 115, FIN, b"")),
    ]
}

const EXPECTED: [&str; 8] = [
    "0 ! open",
    "10 > <ENQ>",
    "12 < <ACK>",
    "20 > <STX>1H|\\^&<CR>",
    "21 > <ETX>E5<CR><LF>",
    "25 < <ACK>",
    "30 > <EOT>",
    "40 ! close",
];

fn lines(file: &[u8]) -> (Vec<String>, Vec<Note>) {
    let mut notes = Vec::new();
    let (_, entries) = read(file, &mut notes);
    let line = |entry: &Entry| {
        let millis = entry.offset.as_millis();
        format!("{millis} {} {}", entry.direction().mark(), escape(entry.bytes()))
    };
    (entries.iter().map(line).collect(), notes)
}

#[test]
fn a_session_is_read_with_its_times_and_directions() {
    let file = pcap(&session());
    assert!(is_packet_capture(&file));
    let (lines, notes) = lines(&file);
    assert_eq!(lines, EXPECTED);
    assert!(notes.iter().any(|note| note.text.contains("dialled port 5600")), "{notes:?}");
    let (header, _) = read(&file, &mut Vec::new());
    assert_eq!(header.unwrap().started.as_second(), 1_770_000_000);
}

#[test]
fn repeated_and_reordered_segments_give_every_byte_once_and_in_order() {
    let mut packets = session();
    packets.swap(4, 5);
    packets.insert(6, (22, frame(ANALYZER, HOST, 101, ACK, b"\x021H|\\^&\r\x03E5\r\n")));
    packets.insert(7, (23, frame(ANALYZER, HOST, 113, ACK, b"\n")));
    let times = [0, 1, 10, 12, 20, 21, 22, 23, 25, 30, 40];
    let packets: Vec<_> = times.into_iter().zip(packets.into_iter().map(|(_, packet)| packet)).collect();
    let (lines, _) = lines(&pcap(&packets));
    let mut expected = EXPECTED.map(str::to_owned);
    expected[3] = "21 > <STX>1H|\\^&<CR>".into();
    assert_eq!(lines, expected);
}

#[test]
fn bytes_that_were_not_captured_are_told_where_they_are_missing() {
    let mut packets = session();
    packets.remove(4);
    let (lines, notes) = lines(&pcap(&packets));
    let mut expected: Vec<String> = EXPECTED.map(str::to_owned).into();
    expected[3] = "21 ! 8 bytes are not in the packet capture".into();
    assert_eq!(lines, expected);
    assert!(notes.iter().any(|note| note.text.starts_with("8 bytes")), "{notes:?}");
}

#[test]
fn an_analyzer_that_dials_again_stays_one_conversation() {
    let mut packets = session();
    let again = session().into_iter().map(|(millis, _)| millis + 1000);
    let redialled: Vec<_> = session()
        .into_iter()
        .map(|(_, mut packet)| {
            // The analyzer's port stands at 34 or 36, by direction.
            let at = if packet[29] == ANALYZER.0 { 34 } else { 36 };
            packet[at + 1] = packet[at + 1].wrapping_add(1);
            packet
        })
        .collect();
    packets.extend(again.zip(redialled));
    let (lines, notes) = lines(&pcap(&packets));
    assert_eq!(lines.len(), 2 * EXPECTED.len());
    assert_eq!(lines[8..10], ["1000 ! open", "1010 > <ENQ>"]);
    assert!(!notes.iter().any(|note| note.text.contains("overlap")), "{notes:?}");
}

#[test]
fn a_capture_that_begins_in_the_middle_and_other_traffic_do_no_harm() {
    let mut packets = session().split_off(2);
    packets.push((50, frame((9, 40_000), (8, 443), 1, ACK, b"\x16\x03\x01")));
    packets.push((51, vec![0; 60]));
    let (lines, notes) = lines(&pcap(&packets));
    assert_eq!(lines[1], "0 > <ENQ>");
    assert_eq!(lines.len(), EXPECTED.len());
    assert!(notes.iter().any(|note| note.text.starts_with("1 other TCP")), "{notes:?}");
    assert!(notes.iter().any(|note| note.text.starts_with("1 packets")), "{notes:?}");
}

#[test]
fn sequence_numbers_may_pass_their_end() {
    let packets = [
        (0, frame(ANALYZER, HOST, u32::MAX - 1, ACK, b"abc")),
        (1, frame(ANALYZER, HOST, 1, ACK, b"def")),
        (2, frame(ANALYZER, HOST, u32::MAX - 1, ACK, b"abcdefg")),
    ];
    let (lines, _) = lines(&pcap(&packets));
    assert_eq!(lines, ["0 ! open", "0 > abc", "1 > def", "2 > g"]);
}

#[test]
fn a_torn_file_gives_what_is_whole_in_it() {
    let file = pcap(&session());
    for length in 4..file.len() {
        let (torn, notes) = lines(&file[..length]);
        assert!(torn.len() <= EXPECTED.len(), "{length}: {torn:?}");
        assert!(!notes.is_empty(), "{length}");
    }
    let (torn, notes) = lines(&file[..file.len() - 1]);
    assert_eq!(torn, EXPECTED[..7]);
    assert!(notes.iter().any(|note| note.text == "the packet capture is torn behind packet 8"), "{notes:?}");
}

#[test]
fn the_newer_format_gives_the_same_in_either_byte_order_and_resolution() {
    for (little, power) in [(true, 6_u8), (false, 9)] {
        let number = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let block = |kind: u32, body: Vec<u8>| {
            let body = [body.clone(), vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
            let length = number(u32::try_from(body.len() + 12).unwrap());
            [&number(kind)[..], &length, &body, &length].concat()
        };
        let mut file = block(0x0a0d_0d0a, [&number(0x1a2b_3c4d)[..], &[0; 12]].concat());
        let resolution = [&short(9)[..], &short(1), &[power, 0, 0, 0], &short(0), &short(0)].concat();
        file.extend(block(1, [&short(1)[..], &short(0), &number(0), &resolution].concat()));
        file.extend(block(5, vec![1, 2, 3, 4]));
        for (millis, packet) in session() {
            let ticks = (1_770_000_000_000 + u64::from(millis)) * 10_u64.pow(u32::from(power) - 3);
            let (high, low) =
                (u32::try_from(ticks >> 32).unwrap(), u32::try_from(ticks & 0xffff_ffff).unwrap());
            let length = u32::try_from(packet.len()).unwrap();
            let head = [0, high, low, length, length].map(number).concat();
            file.extend(block(6, [head, packet].concat()));
        }
        let (lines, notes) = lines(&file);
        assert_eq!(lines, EXPECTED, "{notes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn a_damaged_file_is_read_without_a_panic(
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0..=255_u8), 1..8),
    ) {
        let mut file = pcap(&session());
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (lines, _) = lines(&file);
        proptest::prop_assert!(lines.len() <= 4 * EXPECTED.len());
    }
}
