//! Whatever the bytes are: nothing panics, nothing is lost, and what was written is read again.

use labwire_message::build::RecordBuilder;
use labwire_message::hl7::{AckCode, AckFields, Header, ack_policy, acknowledge};
use labwire_message::lis02::{self, Hierarchy, MessageBuilder, Saved};
use labwire_message::{Charset, Delimiters, Index, Name, Path, Record, Syntax, View, escape, hl7};
use proptest::prelude::*;

fn syntax() -> impl Strategy<Value = Syntax> {
    prop_oneof![Just(Syntax::Lis02), Just(Syntax::Hl7)]
}

/// Bytes that look like messages often enough to reach every branch.
fn wire_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..12),
        3 => "[A-Z]\\|[0-9]\\|[a-zA-Z^&\\\\|]{0,12}".prop_map(String::into_bytes),
        2 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"H|\\^&|||".to_vec()),
        1 => Just(b"L|1|N".to_vec()),
        1 => Just(b"MSH|^~\\&|a|b|c|d|||ORU^R01|1|P|2.5|||AL|0||8859/1\r".to_vec()),
        1 => "MSH[^a-zA-Z0-9]{0,7}".prop_map(String::into_bytes),
        1 => "H[^a-zA-Z0-9]{0,6}".prop_map(String::into_bytes),
        1 => Just(b"OBX|1|ST|a^b&c~d||\\X0D\\\\E\\\\".to_vec()),
        1 => Just(b"BTS|9\rFHS|^~\\&\r".to_vec()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Four to six distinct delimiters that are no letters, digits, blanks or `"`.
fn delimiters(syntax: Syntax) -> impl Strategy<Value = Delimiters> {
    let pool: Vec<u8> = (33..=126_u8).filter(|byte| byte.is_ascii_punctuation()).collect();
    Just(pool).prop_shuffle().prop_map(move |pool| Delimiters {
        field: pool[0],
        repeat: Some(pool[1]),
        component: Some(pool[2]),
        escape: Some(pool[3]),
        subcomponent: (syntax == Syntax::Hl7).then_some(pool[4]),
        truncation: (syntax == Syntax::Hl7 && pool[5] > b'@').then_some(pool[5]),
    })
}

/// Everything that can be asked of a view.
fn ask(view: View<'_>) -> usize {
    let mut parts = view.findings().len();
    for record in view.records() {
        for field in record.fields() {
            for repeat in field.repeats() {
                parts +=
                    repeat.components().map(|component| component.subcomponents().count()).sum::<usize>();
            }
            let decoded = record.decode(field.bytes());
            parts += decoded.text(Charset::default()).0.len();
        }
        let whole = Path::field(record.name(), 3);
        let named = Path { repeat: Some(2), component: Some(2), subcomponent: Some(1), ..whole };
        parts +=
            record.get(&named).map_or(0, <[u8]>::len) + record.whole_field(&named).map_or(0, <[u8]>::len);
        parts += acknowledge(&record, AckCode::Aa, &AckFields::default()).len();
        parts += usize::from(ack_policy(&record).accept_misused);
        parts += Header::new(record).map_or(0, |header| header.control_id().len());
    }
    parts
}

/// The bytes of a record put together again from its parts.
fn rejoined(record: &Record<'_>) -> Vec<u8> {
    let delimiters = record.delimiters();
    let glue = |delimiter: Option<u8>| Vec::from_iter(delimiter);
    let hl7_header = record.syntax() == Syntax::Hl7 && record.is_header();
    let fields: Vec<Vec<u8>> = record
        .fields()
        .skip(usize::from(hl7_header))
        .map(|field| {
            let repeats = field.repeats().map(|repeat| {
                let components = repeat.components().map(|component| {
                    component.subcomponents().collect::<Vec<_>>().join(&glue(delimiters.subcomponent)[..])
                });
                components.collect::<Vec<_>>().join(&glue(delimiters.component)[..])
            });
            repeats.collect::<Vec<_>>().join(&glue(delimiters.repeat)[..])
        })
        .collect();
    let joined = fields.join(&delimiters.field);
    match record.syntax() {
        Syntax::Lis02 => joined,
        Syntax::Hl7 if record.field_count() == 0 => record.bytes().to_vec(),
        Syntax::Hl7 => [&record.bytes()[..3], &[delimiters.field], &joined].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_bytes(syntax in syntax(), bytes in wire_bytes()) {
        let mut index = Index::new();
        let view = index.scan(syntax, &bytes);
        ask(view);
        for split in [lis02::messages(&view), hl7::messages(&view)] {
            for message in split.messages {
                let part = view.part(message.records);
                ask(part);
                prop_assert!(part.extent().end <= bytes.len());
            }
        }
        let hierarchy = Hierarchy::of(&view);
        prop_assert_eq!(hierarchy.places.len(), view.len());
        prop_assert!(hierarchy.places.iter().enumerate().all(|(place, found)| found.parent.is_none_or(|parent| parent < place)));
        prop_assert!(lis02::check_sequence(&view).len() <= view.len());
    }

    #[test]
    fn every_finding_and_every_part_lies_inside_the_bytes(syntax in syntax(), bytes in wire_bytes()) {
        let mut index = Index::new();
        let view = index.scan(syntax, &bytes);
        for finding in view.findings() {
            prop_assert!(finding.offset + finding.length <= bytes.len(), "{finding:?}");
            prop_assert!(finding.record <= view.len());
        }
        for record in view.records() {
            for field in record.fields() {
                prop_assert_eq!(&bytes[field.offset()..field.offset() + field.bytes().len()], field.bytes());
                for repeat in field.repeats() {
                    let offset = repeat.offset();
                    prop_assert_eq!(&bytes[offset..offset + repeat.bytes().len()], repeat.bytes());
                }
            }
        }
    }

    #[test]
    fn split_records_joined_again_are_the_bytes(syntax in syntax(), bytes in wire_bytes()) {
        let mut index = Index::new();
        for record in index.scan(syntax, &bytes).records() {
            prop_assert_eq!(rejoined(&record), record.bytes());
        }
    }

    #[test]
    fn every_byte_is_a_record_a_finding_or_nothing_to_say(syntax in syntax(), bytes in wire_bytes()) {
        let mut index = Index::new();
        let view = index.scan(syntax, &bytes);
        let mut covered = vec![false; bytes.len()];
        let records = view.records().map(|record| record.offset()..record.offset() + record.bytes().len());
        let lines = view.findings().iter().filter(|finding| finding.code == "not-a-record");
        let lines = lines.map(|finding| finding.offset..finding.offset + finding.length);
        records.chain(lines).flatten().for_each(|place| covered[place] = true);
        for (byte, covered) in bytes.iter().zip(covered) {
            let says_nothing = matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0x0B | 0x1C | 0xEF | 0xBB | 0xBF);
            prop_assert!(covered || says_nothing, "byte {byte:#x} of {bytes:?} is lost");
        }
    }

    #[test]
    fn each_message_of_a_split_holds_its_own_records_in_order(bytes in wire_bytes(), syntax in syntax()) {
        let mut index = Index::new();
        let view = index.scan(syntax, &bytes);
        let split = match syntax {
            Syntax::Lis02 => lis02::messages(&view),
            Syntax::Hl7 => hl7::messages(&view),
        };
        let mut held: Vec<usize> = split.messages.iter().flat_map(|message| message.records.clone()).collect();
        held.extend(&split.envelope);
        held.sort_unstable();
        let strays = split.findings.iter().filter(|finding| finding.code == "record-after-terminator");
        held.extend(strays.map(|finding| finding.record - 1));
        held.sort_unstable();
        prop_assert_eq!(held, (0..view.len()).collect::<Vec<_>>());
    }

    #[test]
    fn escaped_text_decodes_to_itself(
        (syntax, delimiters) in syntax().prop_flat_map(|syntax| (Just(syntax), delimiters(syntax))),
        text in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let encoded = escape::encode(syntax, &text, &delimiters);
        let decoded = escape::decode(syntax, &encoded, &delimiters);
        prop_assert_eq!(decoded.bytes.as_ref(), &text[..]);
        prop_assert_eq!(decoded.kept, 0);
        let inert = |byte: &u8| {
            let is_cut = [Some(delimiters.field), delimiters.repeat, delimiters.component, delimiters.subcomponent];
            !byte.is_ascii_control() && !is_cut.contains(&Some(*byte))
        };
        prop_assert!(encoded.iter().all(inert), "{encoded:?} could be cut");
    }

    #[test]
    fn decoding_never_grows_without_bound_and_keeps_plain_text(
        syntax in syntax(),
        raw in proptest::collection::vec(prop_oneof![Just(b'\\'), Just(b'&'), any::<u8>()], 0..60),
    ) {
        let delimiters = Delimiters::usual(syntax);
        let decoded = escape::decode(syntax, &raw, &delimiters);
        if !raw.contains(&delimiters.escape.unwrap_or_default()) {
            prop_assert_eq!(decoded.bytes.as_ref(), &raw[..]);
        }
        prop_assert!(decoded.bytes.len() <= raw.len() * 60);
    }

    #[test]
    fn a_built_record_reads_back_part_by_part(
        (syntax, delimiters) in syntax().prop_flat_map(|syntax| (Just(syntax), delimiters(syntax))),
        parts in proptest::collection::btree_map((3..9_u16, 1..4_u16, 1..4_u16), "[ -~]{0,8}", 0..8),
    ) {
        let (header, name) = match syntax {
            Syntax::Lis02 => (Name::new(b"H"), Name::new(b"R")),
            Syntax::Hl7 => (Name::new(b"MSH"), Name::new(b"OBX")),
        };
        let (header, name) = (header.unwrap(), name.unwrap());
        let mut record = RecordBuilder::new(syntax, name, delimiters);
        let path = |&(field, repeat, component): &(u16, u16, u16)| Path {
            repeat: Some(repeat),
            component: Some(component),
            ..Path::field(name, field)
        };
        for (place, text) in &parts {
            record.set(&path(place), text.as_bytes());
        }
        let bytes = [RecordBuilder::new(syntax, header, delimiters).finish(), record.finish()].join(&b'\r');
        let mut index = Index::new();
        let view = index.scan(syntax, &bytes);
        prop_assert_eq!(view.findings().iter().filter(|finding| finding.code != "records-run-together").count(), 0);
        prop_assert_eq!(view.len(), 2);
        let record = view.record(1).unwrap();
        prop_assert_eq!(record.delimiters(), &delimiters);
        for (place, text) in &parts {
            let read = record.text(&path(place), Charset::Ascii);
            prop_assert_eq!(read.as_deref(), Some(text.as_str()), "{:?} of {:?}", place, String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_built_message_has_the_numbers_that_the_check_wants(letters in "[PQOSRCM]{0,40}") {
        let mut message = MessageBuilder::new(Delimiters::LIS02);
        message.header(|_| {});
        for letter in letters.bytes() {
            message.record(letter, |_| {});
        }
        message.terminator(b"N");
        let bytes = message.finish();
        let mut index = Index::new();
        let view = index.scan(Syntax::Lis02, &bytes);
        prop_assert_eq!(lis02::check_sequence(&view), []);
        prop_assert!(lis02::messages(&view).messages.iter().all(|message| message.is_complete));
    }

    #[test]
    fn an_acknowledgement_answers_its_request(id in "[ -~]{0,30}", application in "[a-z^&]{0,8}", code in 0..6_usize) {
        let id = id.replace('|', "/");
        let request = format!("MSH|^~\\&|{application}|f|||20260102||ORU^R01|{id}|P|2.5.1|||AL|NE\r");
        let code = [AckCode::Aa, AckCode::Ae, AckCode::Ar, AckCode::Ca, AckCode::Ce, AckCode::Cr][code];
        let mut index = Index::new();
        let request_view = index.scan(Syntax::Hl7, request.as_bytes());
        let reply = acknowledge(&request_view.record(0).unwrap(), code, &AckFields { control_id: "n", ..AckFields::default() });
        let mut index = Index::new();
        let view = index.scan(Syntax::Hl7, &reply);
        let (msh, msa) = (view.record(0).unwrap(), view.record(1).unwrap());
        prop_assert_eq!(msa.field(2).unwrap().bytes(), id.as_bytes());
        prop_assert_eq!(AckCode::parse(msa.field(1).unwrap().bytes()), Some(code));
        prop_assert_eq!(Header::new(msh).unwrap().receiving_application(), application.as_bytes());
        prop_assert_eq!(view.findings(), []);
    }

    #[test]
    fn what_is_saved_and_what_is_repeated_is_everything(levels in proptest::collection::vec(0..5_u8, 1..40)) {
        let mut saved = Saved::new();
        for (arrived, level) in levels.iter().enumerate() {
            let repeated = saved.repeated(*level);
            let owed: Vec<usize> = (saved.saved()..arrived).collect();
            prop_assert!(repeated.ends_with(&owed), "unsaved records are repeated");
            let ancestors = &repeated[..repeated.len() - owed.len()];
            prop_assert!(ancestors.iter().all(|place| *place < saved.saved()), "ancestors are saved ones");
            prop_assert!(ancestors.windows(2).all(|pair| levels[pair[0]] < levels[pair[1]]), "levels rise");
            let before = saved.saved();
            let range = saved.push(*level);
            prop_assert_eq!(range.start, before);
            prop_assert_eq!(range.end, saved.saved());
        }
    }

    #[test]
    fn a_conformant_continuation_after_any_failure_is_recognised(
        levels in proptest::collection::vec(1..4_u8, 2..20),
        cut in 1..20_usize,
        reply_lost in any::<bool>(),
    ) {
        let levels: Vec<u8> = core::iter::once(0).chain(levels).collect();
        let cut = cut.min(levels.len() - 1);
        let mut saved = Saved::new();
        for level in &levels[..cut] {
            saved.push(*level);
        }
        let sent: Vec<usize> = saved.repeated(levels[cut]).into_iter().chain(cut..levels.len()).collect();
        let received = cut + usize::from(reply_lost);
        let resumption = lis02::resume(&levels[..received], sent.len(), |old, new| sent[new] == old);
        let joined: Vec<usize> = match resumption {
            lis02::Resumption::Repeats => sent,
            lis02::Resumption::Continues { kept, from } => (0..kept).chain(sent[from..].iter().copied()).collect(),
            lis02::Resumption::Unrelated => Vec::new(),
        };
        prop_assert_eq!(joined, (0..levels.len()).collect::<Vec<_>>());
    }
}
