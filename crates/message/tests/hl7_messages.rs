//! HL7 messages in files and batches, and the acknowledgements they get.

use labwire_message::hl7::{
    self, AckCode, AckError, AckFields, AckMode, AckPlan, Header, Location, Outcome, Severity, Version, When,
    ack_policy, acknowledge,
};
use labwire_message::{Charset, End, Finding, Index, Message, Name, Syntax, View};

fn with<R>(bytes: &[u8], look: impl FnOnce(View<'_>) -> R) -> R {
    look(Index::new().scan(Syntax::Hl7, bytes))
}

fn split(text: &str) -> (Vec<Message>, Vec<usize>, Vec<Finding>) {
    with(text.as_bytes(), |view| {
        let split = hl7::messages(&view);
        (split.messages, split.envelope, split.findings)
    })
}

#[test]
fn messages_in_a_file_begin_at_their_headers() {
    let (messages, envelope, findings) = split("MSH|^~\\&|a\rPID|1\rMSH|^~\\&|b\rOBX|1\rOBX|2\r");
    let found: Vec<_> = messages.iter().map(|message| (message.records.clone(), message.end)).collect();
    assert_eq!(found, [(0..2, End::NextHeader), (2..5, End::Input)]);
    assert!(messages.iter().all(|message| message.is_complete && message.has_header));
    assert!(envelope.is_empty() && findings.is_empty());
}

#[test]
fn segments_before_the_first_header_are_kept_apart_and_reported() {
    let (messages, _, findings) = split("PID|1\rOBX|1\rMSH|^~\\&|a\rOBX|2\r");
    assert!(!messages[0].has_header && !messages[0].is_complete);
    assert_eq!(messages[0].records, 0..2);
    assert_eq!(
        findings.iter().map(|finding| (finding.code, finding.offset)).collect::<Vec<_>>(),
        [("record-outside-message", 0), ("record-outside-message", 6)]
    );
    assert_eq!(messages[1].records, 2..4);
}

#[test]
fn a_batch_is_an_envelope_and_no_message() {
    let batch = "FHS|^~\\&|f\rBHS|^~\\&|b\rMSH|^~\\&|1\rPID|1\rMSH|^~\\&|2\rBTS|2\rBHS|^~\\&|c\rMSH|^~\\&|3\rBTS|1\rFTS|2\r";
    let (messages, envelope, findings) = split(batch);
    assert_eq!(
        messages.iter().map(|message| message.records.clone()).collect::<Vec<_>>(),
        [2..4, 4..5, 7..8]
    );
    assert_eq!(messages[1].end, End::Envelope);
    assert_eq!(envelope, [0, 1, 5, 6, 8, 9]);
    assert_eq!(findings, []);
}

#[test]
fn a_batch_that_lost_a_message_is_reported_and_the_rest_is_kept() {
    let (messages, _, findings) = split("BHS|^~\\&|b\rMSH|^~\\&|1\rBTS|2\rFTS|3\r");
    assert_eq!(messages.len(), 1);
    let [lost, batches] = findings.as_slice() else { panic!("two findings: {findings:?}") };
    assert_eq!((lost.code, lost.record, lost.field), ("batch-count", 3, Some(1)));
    assert_eq!(batches.text, "the trailer counts 3 batches, 1 came before it");
    let (_, _, findings) = split("BHS|^~\\&|b\rMSH|^~\\&|1\rMSH|^~\\&|2\rBTS|1\r");
    assert_eq!(findings[0].text, "the trailer counts 1 messages, 2 came before it");
    let (_, _, findings) = split("BHS|^~\\&|b\rMSH|^~\\&|1\rBTS|\r");
    assert_eq!(findings, [], "a trailer need not count");
}

/// A request with every header field that a reply repeats.
fn request(version: &str, kind: &str) -> String {
    format!(
        "MSH|^~\\&|an^1.2^ISO|lab&x|host^y|fac~z|20260102030405||{kind}|I\\T\\d {{7}} |P^T|{version}|||AL|2||8859/1|||LAB-29^IHE\r"
    )
}

fn reply(request: &[u8], code: AckCode, fields: &AckFields<'_>) -> Vec<u8> {
    with(request, |view| view.record(0).map(|msh| acknowledge(&msh, code, fields)).unwrap_or_default())
}

const FIELDS: AckFields<'_> = AckFields {
    control_id: "r1",
    time: "20260102030406+0000",
    message_type: None,
    text: None,
    expected_sequence: None,
    condition: None,
    error: None,
    echo_msh_10: false,
    echo_msh_16: false,
    echo_msh_21: false,
};

#[test]
fn an_acknowledgement_swaps_whole_fields_and_repeats_the_rest_byte_for_byte() {
    let request = request("2.5.1", "ORU^R01^ORU_R01");
    let reply = reply(request.as_bytes(), AckCode::Aa, &FIELDS);
    assert_eq!(
        String::from_utf8_lossy(&reply),
        "MSH|^~\\&|host^y|fac~z|an^1.2^ISO|lab&x|20260102030406+0000||ACK^R01^ACK|r1|P^T|2.5.1||||||8859/1\r\
         MSA|AA|I\\T\\d {7} \r"
    );
}

#[test]
fn msa_2_is_msh_10_whatever_its_bytes() {
    for id in [&b"1"[..], b" 7 ", b"\\F\\\\Q\\", b"\xE9\xFF\x01", b"{A-B}", b"a^b&c~d", b"\"\""] {
        let request = [b"MSH|^~\\&|||||||ORU^R01|", id, b"|P|2.3.1\r"].concat();
        let reply = reply(&request, AckCode::Aa, &FIELDS);
        let expected = [b"\rMSA|AA|", id, b"\r"].concat();
        assert!(reply.ends_with(&expected), "{id:?} in {reply:?}");
    }
}

#[test]
fn an_acknowledgement_speaks_in_the_delimiters_of_its_request() {
    let reply = reply(
        b"MSH*:;!%*a:1*b*c*d***ORU:R01*9*P*2.4\r",
        AckCode::Ae,
        &AckFields { text: Some("a*b:c!d"), ..FIELDS },
    );
    assert_eq!(
        String::from_utf8_lossy(&reply),
        "MSH*:;!%*c*d*a:1*b*20260102030406+0000**ACK:R01:ACK*r1*P*2.4\rMSA*AE*9*a!F!b!S!c!E!d\r"
    );
}

#[test]
fn a_request_with_few_delimiters_gets_them_back() {
    let reply =
        reply(b"MSH|^~|a||||||ORU^R01|9|P|2.3.1\r", AckCode::Aa, &AckFields { text: Some("x|y"), ..FIELDS });
    assert!(reply.starts_with(b"MSH|^~|"));
    assert!(reply.ends_with(b"MSA|AA|9|x y\r"), "what cannot be said becomes a blank");
}

#[test]
fn the_type_of_an_acknowledgement_follows_the_version() {
    let cases = [
        ("2.2", "ORU^R01", "ACK"),
        ("2.3", "ORU^R01", "ACK"),
        ("2.3.1", "ORU^R01", "ACK^R01"),
        ("2.4", "OUL^R21", "ACK^R21^ACK"),
        ("2.5.1", "OUL^R22^OUL_R22", "ACK^R22^ACK"),
        ("2.5.1^DEU", "ORU^R01", "ACK^R01^ACK"),
        ("", "ORU^R01", "ACK^R01"),
        ("2.5.1", "ORU", "ACK"),
    ];
    for (version, kind, expected) in cases {
        let reply = reply(request(version, kind).as_bytes(), AckCode::Aa, &FIELDS);
        with(&reply, |view| {
            let header = Header::new(view.record(0).unwrap()).unwrap();
            assert_eq!(String::from_utf8_lossy(header.message_type()), expected, "{version} {kind}");
        });
    }
}

#[test]
fn what_a_profile_asks_for_is_repeated() {
    let request = request("2.3.1", "ORU^R01");
    let fields = AckFields {
        text: Some("Message accepted"),
        condition: Some("0"),
        echo_msh_10: true,
        echo_msh_16: true,
        echo_msh_21: true,
        ..FIELDS
    };
    let reply = reply(request.as_bytes(), AckCode::Aa, &fields);
    assert_eq!(
        String::from_utf8_lossy(&reply),
        "MSH|^~\\&|host^y|fac~z|an^1.2^ISO|lab&x|20260102030406+0000||ACK^R01|I\\T\\d {7} |P^T|2.3.1||||2||8859/1|||LAB-29^IHE\r\
         MSA|AA|I\\T\\d {7} |Message accepted|||0\r"
    );
}

#[test]
fn text_of_the_reply_is_in_the_set_of_the_request() {
    let fields = AckFields { text: Some("gel\u{f6}scht \u{416}"), ..FIELDS };
    let latin = reply(request("2.3.1", "ORU^R01").as_bytes(), AckCode::Ae, &fields);
    assert!(latin.ends_with(b"|gel\xF6scht ?\r"));
    let utf8 = request("2.3.1", "ORU^R01").replace("8859/1", "UNICODE UTF-8");
    assert!(reply(utf8.as_bytes(), AckCode::Ae, &fields).ends_with("|gel\u{f6}scht \u{416}\r".as_bytes()));
    let hiding = request("2.3.1", "ORU^R01").replace("8859/1", "BIG-5");
    assert!(reply(hiding.as_bytes(), AckCode::Ae, &fields).ends_with(b"|gel?scht ?\r"));
}

#[test]
fn errors_are_one_field_until_2_4_and_a_segment_of_their_own_shape_from_2_5() {
    let location = Location { segment: Name::new(b"OBX").unwrap(), sequence: 3, field: Some(5) };
    let error = AckError {
        code: 102,
        severity: Severity::Error,
        location: Some(location),
        text: Some("not a number"),
    };
    let fields = AckFields { error: Some(error), ..FIELDS };
    let old = reply(request("2.4", "ORU^R01").as_bytes(), AckCode::Ae, &fields);
    assert!(
        old.ends_with(b"\rERR|OBX^3^5^102&Data type error&HL70357\r"),
        "{}",
        String::from_utf8_lossy(&old)
    );
    let new = reply(request("2.5", "ORU^R01").as_bytes(), AckCode::Ae, &fields);
    assert!(
        new.ends_with(b"\rERR||OBX^3^5|102^Data type error^HL70357|E||||not a number\r"),
        "{}",
        String::from_utf8_lossy(&new)
    );
    let nowhere = AckFields { error: Some(AckError { location: None, code: 207, ..error }), ..FIELDS };
    let old = reply(request("2.3.1", "ORU^R01").as_bytes(), AckCode::Ae, &nowhere);
    assert!(old.ends_with(b"\rERR|^^^207&Application internal error&HL70357\r"));
}

#[test]
fn text_moves_from_msa_to_err_where_msa_3_was_withdrawn() {
    let error = AckError { code: 200, severity: Severity::Error, location: None, text: None };
    let fields = AckFields { text: Some("unknown type"), condition: Some("0"), error: Some(error), ..FIELDS };
    let reply = reply(request("2.7", "ORU^R01").as_bytes(), AckCode::Ar, &fields);
    assert!(reply.ends_with(b"{7} \rERR|||200^Unsupported message type^HL70357|E||||unknown type\r"));
}

#[test]
fn an_acknowledgement_never_asks_for_one() {
    let reply = reply(request("2.5.1", "ORU^R01").as_bytes(), AckCode::Aa, &FIELDS);
    with(&reply, |view| {
        let msh = view.record(0).unwrap();
        let header = Header::new(msh).unwrap();
        assert_eq!(
            (header.accept_acknowledgment(), header.application_acknowledgment()),
            (&b""[..], &b""[..])
        );
        assert!(header.is_acknowledgement());
        let plan = ack_policy(&msh);
        assert_eq!(plan.accept_reply(Outcome::Success).or(plan.application_reply(Outcome::Error)), None);
    });
}

fn plan(version: &str, accept: &str, application: &str) -> Option<AckPlan> {
    let request = format!("MSH|^~\\&|||||||ORU^R01|1|P|{version}|||{accept}|{application}\r");
    with(request.as_bytes(), |view| view.record(0).map(|msh| ack_policy(&msh)))
}

#[test]
fn the_replies_follow_msh_15_and_16() {
    use AckCode::{Aa, Ae, Ar, Ca, Ce, Cr};
    type Replies = [Option<AckCode>; 3];
    const NONE: Replies = [None; 3];
    let cases: &[(&str, &str, AckMode, Replies, Replies)] = &[
        ("", "", AckMode::Original, NONE, [Some(Aa), Some(Ae), Some(Ar)]),
        ("NE", "AL", AckMode::Enhanced, NONE, [Some(Aa), Some(Ae), Some(Ar)]),
        ("AL", "NE", AckMode::Enhanced, [Some(Ca), Some(Ce), Some(Cr)], NONE),
        ("AL", "AL", AckMode::Enhanced, [Some(Ca), Some(Ce), Some(Cr)], [Some(Aa), Some(Ae), Some(Ar)]),
        ("ER", "AL", AckMode::Enhanced, [None, Some(Ce), Some(Cr)], [Some(Aa), Some(Ae), Some(Ar)]),
        ("SU", "SU", AckMode::Enhanced, [Some(Ca), None, None], [Some(Aa), None, None]),
        ("NE", "NE", AckMode::Enhanced, NONE, NONE),
        ("NE", "", AckMode::Enhanced, NONE, NONE),
        ("al", " ne ", AckMode::Enhanced, [Some(Ca), Some(Ce), Some(Cr)], NONE),
        ("\"\"", "\"\"", AckMode::Original, NONE, [Some(Aa), Some(Ae), Some(Ar)]),
    ];
    for (accept, application, mode, accepts, applications) in cases {
        let plan = plan("2.5.1", accept, application).unwrap();
        let outcomes = [Outcome::Success, Outcome::Error, Outcome::Reject];
        assert_eq!(plan.mode, *mode, "{accept}/{application}");
        assert_eq!(outcomes.map(|outcome| plan.accept_reply(outcome)), *accepts, "{accept}/{application}");
        assert_eq!(
            outcomes.map(|outcome| plan.application_reply(outcome)),
            *applications,
            "{accept}/{application}"
        );
        assert!(!plan.accept_misused && !plan.application_misused);
    }
}

#[test]
fn a_result_type_in_msh_16_is_no_condition() {
    for kind in ["0", "1", "2"] {
        let plan = plan("2.3.1", "", kind).unwrap();
        assert_eq!(
            (plan.mode, plan.accept, plan.application),
            (AckMode::Original, When::Never, When::Always)
        );
        assert!(plan.application_misused && !plan.accept_misused);
    }
    let plan = plan("2.3.1", "P", "AL").unwrap();
    assert_eq!((plan.mode, plan.accept, plan.application), (AckMode::Enhanced, When::Never, When::Always));
    assert!(plan.accept_misused);
}

#[test]
fn version_2_1_has_no_enhanced_mode() {
    assert_eq!(plan("2.1", "AL", "NE").unwrap().mode, AckMode::Original);
}

#[test]
fn an_answer_code_is_one_of_six_and_nothing_else() {
    assert_eq!(AckCode::parse(b"AA"), Some(AckCode::Aa));
    assert_eq!(AckCode::parse(b"ce"), Some(AckCode::Ce));
    for other in [&b"AAfoo"[..], b"", b"A", b"XX"] {
        assert_eq!(AckCode::parse(other), None);
    }
    assert!(AckCode::Ca.is_positive() && !AckCode::Ar.is_positive());
}

#[test]
fn the_header_is_read_raw() {
    with(request("2.5.1^DEU", "OUL^R22^OUL_R22").as_bytes(), |view| {
        let header = Header::new(view.record(0).unwrap()).unwrap();
        assert_eq!(header.sending_application(), b"an^1.2^ISO");
        assert_eq!(header.control_id(), b"I\\T\\d {7} ");
        assert_eq!((header.message_code(), header.trigger_event()), (&b"OUL"[..], &b"R22"[..]));
        assert_eq!((header.structure(), header.version()), (&b"OUL_R22"[..], Some(Version(2, 5, 1))));
        assert_eq!(header.charset(), Some(Charset::Latin1));
        assert_eq!(header.field(40), b"");
    });
    with(b"PID|1\r", |view| assert!(Header::new(view.record(0).unwrap()).is_none()));
}

#[test]
fn an_error_is_said_in_msa_3_and_msa_6_where_err_has_no_words() {
    let error =
        AckError { code: 207, severity: Severity::Error, location: None, text: Some("send it again") };
    let fields = AckFields { text: Some("accepted"), condition: Some("0"), error: Some(error), ..FIELDS };
    let old = reply(request("2.3.1", "ORU^R01").as_bytes(), AckCode::Ae, &fields);
    let msa = "\rMSA|AE|I\\T\\d {7} |send it again|||207^Application internal error^HL70357\r";
    assert!(String::from_utf8_lossy(&old).contains(msa), "{}", String::from_utf8_lossy(&old));
}

#[test]
fn a_batch_is_answered_by_a_batch_that_names_it() {
    let batch = "BHS|^~\\&|an|lab|host|fac|20260101||||b 1\rMSH|^~\\&|an|lab|host|fac|||ORU^R01|1|P|2.3.1\r";
    with(batch.as_bytes(), |view| {
        let (bhs, msh) = (view.record(0).unwrap(), view.record(1).unwrap());
        let answer =
            hl7::acknowledge_batch(&bhs, "r1", "20260102", &[b"MSH|1\r".to_vec(), b"MSH|2\r".to_vec()]);
        assert_eq!(
            String::from_utf8_lossy(&answer),
            "BHS|^~\\&|host|fac|an|lab|20260102||||r1|b 1\rMSH|1\rMSH|2\rBTS|2\r"
        );
        assert_eq!(
            String::from_utf8_lossy(&hl7::batch_as_message(&bhs, Some(&msh))),
            "MSH|^~\\&|an|lab|host|fac|20260101|||b 1|P|2.3.1"
        );
    });
}
