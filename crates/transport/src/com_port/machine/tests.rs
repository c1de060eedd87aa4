use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const AGREED: &[u8] = b"\xff\xfd\x2c\xff\xfd\x00\xff\xfb\x00\xff\xfd\x03\xff\xfb\x03";
const CONFIRMED: &[u8] = b"\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0\xff\xfa\x2c\x66\x08\xff\xf0\
      \xff\xfa\x2c\x67\x01\xff\xf0\xff\xfa\x2c\x68\x01\xff\xf0\xff\xfa\x2c\x69\x01\xff\xf0";

fn feed(machine: &mut ComPort, bytes: &[u8]) -> Vec<Item> {
    bytes.iter().filter_map(|byte| machine.handle(*byte)).collect()
}

fn said(machine: &mut ComPort) -> Vec<u8> {
    core::mem::take(machine.transmit())
}

/// A machine whose port runs at 9600 8N1, with nothing left to say.
fn ready() -> ComPort {
    let mut machine = ComPort::new(LineSettings::default());
    assert_eq!(feed(&mut machine, AGREED), []);
    assert_eq!(feed(&mut machine, CONFIRMED), []);
    assert!(machine.is_ready(), "{machine:?}");
    said(&mut machine);
    machine
}

fn data(bytes: &[u8]) -> Vec<Item> {
    bytes.iter().copied().map(Item::Byte).collect()
}

fn after(bytes: &[u8]) -> ComPort {
    let mut machine = ready();
    feed(&mut machine, bytes);
    machine
}

#[test]
fn options_are_asked_for_first_and_settings_when_the_option_is_agreed() {
    let line = LineSettings {
        baud: 0x00ff_2580,
        data_bits: DataBits::Seven,
        parity: Parity::Even,
        stop_bits: StopBits::Two,
        flow: Flow::Hardware,
    };
    let mut machine = ComPort::new(line);
    assert_eq!(said(&mut machine), b"\xff\xfb\x2c\xff\xfb\x00\xff\xfd\x00\xff\xfb\x03\xff\xfd\x03");
    feed(&mut machine, b"\xff\xfd\x2c");
    assert_eq!(
        said(&mut machine),
        b"\xff\xfa\x2c\x01\x00\xff\xff\x25\x80\xff\xf0\
          \xff\xfa\x2c\x02\x07\xff\xf0\
          \xff\xfa\x2c\x03\x03\xff\xf0\
          \xff\xfa\x2c\x04\x02\xff\xf0\
          \xff\xfa\x2c\x05\x03\xff\xf0\
          \xff\xfa\x2c\x0a\x1e\xff\xf0\
          \xff\xfa\x2c\x0b\x00\xff\xf0"
    );
}

#[test]
fn it_is_ready_when_every_setting_is_confirmed_and_not_before() {
    let mut machine = ComPort::new(LineSettings::default());
    feed(&mut machine, AGREED);
    for byte in CONFIRMED {
        assert!(!machine.is_ready(), "{machine:?}");
        machine.handle(*byte);
    }
    assert!(machine.is_ready() && machine.failure().is_none(), "{machine:?}");
}

#[test]
fn data_passes_with_its_doubled_ff_and_between_commands() {
    let mut machine = ready();
    assert_eq!(feed(&mut machine, b"\x05\xff\xff\xff\xf1a\xff\xfb\x01b"), data(b"\x05\xffab"));
    let mut escaped = Vec::new();
    escape(b"a\xff\xffb", &mut escaped);
    assert_eq!(escaped, b"a\xff\xff\xff\xffb");
}

#[test]
fn what_is_unknown_is_refused_once_each_and_confirmations_are_not_answered() {
    let mut machine = ready();
    feed(&mut machine, b"\xff\xfb\x01\xff\xfd\x18\xff\xfc\x01\xff\xfe\x18");
    assert_eq!(said(&mut machine), b"\xff\xfe\x01\xff\xfc\x18");
    feed(&mut machine, AGREED);
    assert_eq!(said(&mut machine), b"", "a confirmation of a confirmation would never end");
    feed(&mut machine, b"\xff\xfb\x2c\xff\xfb\x2c\xff\xfe\x03\xff\xfd\x03");
    assert_eq!(said(&mut machine), b"\xff\xfd\x2c\xff\xfc\x03\xff\xfb\x03");
    assert!(machine.is_ready());
}

#[test]
fn a_refused_option_or_setting_is_named() {
    for (bytes, error) in [
        (b"\xff\xfe\x2c".as_slice(), ComPortError::NoComPortControl),
        (b"\xff\xfe\x00", ComPortError::NoBinary),
        (b"\xff\xfc\x00", ComPortError::NoBinary),
        (
            b"\xff\xfa\x2c\x65\x00\x00\x12\xc0\xff\xf0",
            ComPortError::Refused { setting: Setting::Baud, wanted: 9600, got: 4800 },
        ),
        (
            b"\xff\xfa\x2c\x67\x03\xff\xf0",
            ComPortError::Refused { setting: Setting::Parity, wanted: 1, got: 3 },
        ),
    ] {
        let machine = after(bytes);
        assert_eq!(machine.failure(), Some(error));
        assert!(error.is_configuration());
    }
    assert_eq!(
        after(b"\xff\xfa\x2c\x65\x00\x00\x12\xc0\xff\xf0").failure().map(|error| error.to_string()),
        Some("the terminal server runs its port with 4800 baud where 9600 baud is configured".to_owned())
    );
    assert_eq!(feed(&mut after(b"\xff\xfe\x2c"), b"abc"), [], "nothing passes behind a failure");
}

#[test]
fn what_is_not_answered_is_named() {
    let mut machine = ComPort::new(LineSettings::default());
    assert_eq!(machine.unanswered(), ComPortError::Unanswered(None));
    feed(&mut machine, AGREED);
    assert_eq!(machine.unanswered(), ComPortError::Unanswered(Some(Setting::Baud)));
    feed(&mut machine, &CONFIRMED[..17]);
    assert_eq!(machine.unanswered(), ComPortError::Unanswered(Some(Setting::Parity)));
}

#[test]
fn line_errors_stand_at_their_place_among_the_data() {
    let mut machine = ready();
    let items = feed(
        &mut machine,
        b"a\xff\xfa\x2c\x6a\x04\xff\xf0b\xff\xfa\x2c\x6a\x72\xff\xf0c\xff\xfa\x2c\x6a\x61\xff\xf0d",
    );
    assert_eq!(
        items,
        [
            Item::Byte(b'a'),
            Item::Error(CharacterError::Unlocated),
            Item::Byte(b'b'),
            Item::Error(CharacterError::Break),
            Item::Byte(b'c'),
            // Data ready and an empty register are no errors.
            Item::Byte(b'd'),
        ]
    );
    for bit in [0x02, 0x04, 0x08] {
        let notice = [0xff, 0xfa, 44, 106, bit, 0xff, 0xf0];
        assert_eq!(feed(&mut machine, &notice), [Item::Error(CharacterError::Unlocated)], "{bit}");
    }
}

#[test]
fn the_server_suspends_and_resumes_our_data() {
    let mut machine = ready();
    feed(&mut machine, b"\xff\xfa\x2c\x6c\xff\xf0");
    assert!(machine.is_suspended());
    feed(&mut machine, b"\xff\xfa\x2c\x6d\xff\xf0");
    assert!(!machine.is_suspended());
}

#[test]
fn a_signature_and_modem_lines_are_passed_over() {
    let mut machine = ready();
    assert_eq!(
        feed(&mut machine, b"\xff\xfa\x2c\x64box 1.2\xff\xff\xff\xf0\xff\xfa\x2c\x6b\xff\xff\xff\xf0"),
        []
    );
    assert!(machine.is_ready() && machine.failure().is_none());
    assert_eq!(said(&mut machine), b"");
}

#[test]
fn a_subnegotiation_without_an_end_does_not_swallow_the_line() {
    let mut machine = ready();
    feed(&mut machine, b"\xff\xfa\x2c\x64");
    for _ in 0..SUBNEGOTIATION_BYTES_MAX {
        assert_eq!(machine.handle(b'x'), None);
    }
    assert_eq!(machine.failure(), Some(ComPortError::NotTelnet));
}

/// Bytes with what telnet knows over-represented.
fn telnet_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(vec![IAC, DONT, DO, WONT, WILL, SB, SE, BINARY, COM_PORT_OPTION, 101, 105, 106, 108]),
        1 => any::<u8>(),
    ];
    vec(byte, 0..300)
}

proptest! {
    #[test]
    fn any_bytes_are_answered_with_no_more_than_they_are(bytes in telnet_like()) {
        let mut machine = ready();
        let items = feed(&mut machine, &bytes);
        prop_assert!(items.len() <= bytes.len());
        prop_assert!(machine.transmit().len() <= bytes.len(), "{:?}", machine.transmit());
    }

    #[test]
    fn any_data_comes_through_escaped(bytes in vec(prop_oneof![Just(IAC), any::<u8>()], 0..300)) {
        let mut escaped = Vec::new();
        escape(&bytes, &mut escaped);
        prop_assert_eq!(feed(&mut ready(), &escaped), data(&bytes));
    }
}
