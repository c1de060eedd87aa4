//! Profiles over profiles.

mod support;

use core::time::Duration;

use labwire_driver::{Dialect, Library, overview_markdown};
use labwire_link::{
    Answer, Capability, Check, DelimitedSettings, ErrorMode, InterruptPolicy, LinkSettings, Packing, Role,
    SentChecksum, TextReply, Tolerance, Tolerances,
};
use labwire_schema::Source;
use support::{brief, compiled, decode, message, profile, said};

const BASE: &str = r#"
[specimen]
id = "O.3"
[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
[tests.GLU]
name = "Glucose"
unit = "mg/dL"
lis = "GLUC"
[[check]]
capture = "example/base/results.cap"
"#;

fn library(files: &[(&str, &str)]) -> Library {
    let of = |(id, text): &(&str, &str)| ((*id).to_owned(), Source::new(format!("{id}.toml"), *text));
    Library::empty().with_directory(files.iter().map(of).collect())
}

fn results(unit: &str) -> Vec<u8> {
    message(&[r"H|\^&", "P|1", "O|1|S1", &format!("R|1|^^^GLU|98|{unit}"), "L|1|N"])
}

#[test]
fn a_profile_that_extends_another_changes_only_what_it_names() {
    let base = profile("lis02", BASE);
    let library = library(&[
        ("example/base", base.as_str()),
        (
            "example/site",
            "schema = 1\nextends = \"example/base\"\n[tests.GLU]\nunit = \"mmol/L\"\n[tests.LAC]\nname = \"Lactate\"\n",
        ),
    ]);
    let site = compiled(&library, "example/site");
    assert_eq!(site.tests["GLU"].unit.as_deref(), Some("mmol/L"));
    assert_eq!(site.tests["GLU"].lis.as_deref(), Some("GLUC"), "what is not named stays");
    assert!(site.tests.contains_key("LAC"));
    assert!(site.checks.is_empty(), "a capture proves the profile that names it");
    assert_eq!(brief(&decode(&site, &results("mmol/L"))), ["4 S1 GLU 98 deliver"]);
    assert_eq!(brief(&decode(&site, &results("mg/dL"))), ["4 S1 GLU 98 unit-mismatch"]);
    let base = compiled(&library, "example/base");
    assert_eq!(base.tests["GLU"].unit.as_deref(), Some("mg/dL"), "the one below is not touched");
    assert_eq!(base.checks.len(), 1);
}

#[test]
fn a_profile_serves_the_models_that_it_lists_and_else_the_one_it_names() {
    let library = library(&[
        (
            "acme/one",
            "schema = 1\n[analyzer]\nvendor = \"Acme\"\nmodel = \"One\"\nkind = \"other\"\nprotocol = \"lis02\"\n[specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\n",
        ),
        ("acme/two", "schema = 1\nextends = \"acme/one\"\n[analyzer]\nmodels = [\"Two\", \"Three\"]\n"),
    ]);
    assert_eq!(compiled(&library, "acme/one").models, ["One"]);
    assert_eq!(compiled(&library, "acme/two").models, ["Two", "Three"]);
    let table = overview_markdown(&library);
    assert!(table.starts_with("2 profiles for 3 models, and 0 that hold everything"), "{table}");
    assert!(table.contains("| `acme/two` | Two, Three | other |"), "{table}");
}

#[test]
fn a_directory_overrides_a_shipped_profile_key_by_key_and_what_extends_it_follows() {
    let base = profile("lis02", BASE);
    let shipped = library(&[
        ("example/base", base.as_str()),
        ("example/other", "schema = 1\nextends = \"example/base\"\n"),
    ]);
    let own = Source::new("/etc/drivers/example/base.toml", "schema = 1\n[tests.GLU]\nlis = \"1234\"\n");
    let site = shipped.clone().with_directory(vec![("example/base".to_owned(), own)]);
    for id in ["example/base", "example/other"] {
        assert_eq!(compiled(&site, id).tests["GLU"].lis.as_deref(), Some("1234"), "{id}");
        assert_eq!(compiled(&shipped, id).tests["GLU"].lis.as_deref(), Some("GLUC"), "{id}");
    }
    assert_eq!(site.sources("example/base").len(), 2);
}

#[test]
fn a_mistake_is_reported_in_the_file_that_made_it() {
    let base = profile("lis02", BASE);
    let library = library(&[("example/base", base.as_str())]).with_directory(vec![(
        "example/base".to_owned(),
        Source::new("site.toml", "schema = 1\n[result]\nvalue = \"O.4\"\n[tests.NEW]\nlis = \"N\"\n"),
    )]);
    let compiled = library.compile("example/base").unwrap();
    assert!(compiled.plan.is_none());
    let said = said(&compiled);
    assert_eq!(compiled.reports.len(), 1, "{said}");
    assert!(said.contains("site.toml:3:9"), "{said}");
    assert!(said.contains("missing key `name` in `tests.NEW`"), "{said}");
}

#[test]
fn profiles_that_extend_each_other_are_refused_with_the_whole_circle() {
    let library = library(&[
        ("a/one", "schema = 1\nextends = \"a/two\"\n"),
        ("a/two", "schema = 1\nextends = \"a/three\"\n"),
        ("a/three", "schema = 1\nextends = \"a/two\"\n"),
    ]);
    let compiled = library.compile("a/one").unwrap();
    assert!(compiled.plan.is_none());
    assert!(said(&compiled).contains("a/two → a/three → a/two"), "{}", said(&compiled));
}

#[test]
fn a_generic_profile_s_hold_is_not_inherited() {
    let generic = profile("lis02", "").replace("schema = 1", "schema = 1\nno_profile = true");
    let library = library(&[
        ("generic/any", generic.as_str()),
        (
            "example/own",
            "schema = 1\nextends = \"generic/any\"\n[specimen]\nid = \"O.3\"\n[result]\ntest = \"R.3.4\"\nvalue = \"R.4\"\nopen_tests = true\n",
        ),
    ]);
    assert_eq!(brief(&decode(&compiled(&library, "example/own"), &results(""))), ["4 S1 GLU 98 deliver"]);
}

#[test]
fn the_version_follows_everything_that_can_change_a_result_and_nothing_else() {
    let version = |text: &str| compiled(&library(&[("example/base", text)]), "example/base").version;
    let first = version(&profile("lis02", BASE));
    assert_eq!(first.len(), 8);
    let commented =
        format!("# a comment\n{}", profile("lis02", BASE).replace("[result]", "\n\n[result] # here"));
    assert_eq!(first, version(&commented));
    assert_eq!(first, version(&profile("lis02", &BASE.replace("results.cap", "other.cap"))));
    let swapped = BASE.replace("test = \"R.3.4\"\nvalue = \"R.4\"", "value = \"R.4\"\ntest = \"R.3.4\"");
    assert_ne!(swapped, BASE);
    assert_eq!(first, version(&profile("lis02", &swapped)));
    assert_ne!(first, version(&profile("lis02", &BASE.replace("R.4", "R.4.1"))));
    assert_ne!(first, version(&profile("lis02", &BASE.replace("GLUC", "GLU"))));
    let named = profile("lis02", BASE).replace("schema = 1", "schema = 1\nversion = \"7\"");
    assert!(version(&named).starts_with("7+"), "{}", version(&named));
}

#[test]
fn who_speaks_is_told_by_the_profile_with_the_most_signs() {
    let one = profile("lis02", &format!("[identify]\n\"H.5.1\" = '^One'\n{BASE}"));
    let two = profile("lis02", &format!("[identify]\n\"H.5.1\" = '^One'\n\"O.5.4\" = '^GLU$'\n{BASE}"));
    let silent = profile("lis02", BASE);
    let library = library(&[("a/one", one.as_str()), ("a/silent", silent.as_str()), ("b/two", two.as_str())]);
    let ids =
        |bytes: &[u8]| -> Vec<String> { library.identify(bytes).into_iter().map(|found| found.id).collect() };
    assert_eq!(ids(b"H|\\^&|||One^2\rP|1\rO|1|S1||^^^GLU\r"), ["b/two", "a/one"]);
    assert_eq!(ids(b"H|\\^&|||One^2\rP|1\rO|1|S1||^^^LAC\r"), ["a/one"]);
    assert_eq!(ids(b"H|\\^&|||Other\r"), Vec::<String>::new());
    assert_eq!(ids(b"P|1|||One\r"), Vec::<String>::new(), "without a header nobody is recognised");
    let why = &library.identify(b"H|\\^&|||One^2\rP|1\rO|1|S1||^^^GLU\r")[0].why;
    assert_eq!(why, &["H.5.1 matches ^One", "O.5.4 matches ^GLU$"]);
}

#[test]
fn the_link_of_a_profile_is_the_dialect_s_with_what_the_profile_says() {
    let rules = format!(
        "[link]\ntolerate = [\"frame-number-restart\"]\nreceive_frame_bytes_max = 2000000\nstrict = true\n{BASE}"
    );
    let text = profile("lis02", &rules);
    let plan = compiled(&library(&[("a/one", text.as_str())]), "a/one");
    assert_eq!(plan.link.dialect, Dialect::Lis01);
    let LinkSettings::Lis01(settings) = plan.link_settings(Role::Host, None, ErrorMode::Resync) else {
        panic!("not LIS01");
    };
    assert!(settings.strict && settings.tolerate.contains(Tolerance::FrameNumberRestart));
    assert!(settings.tolerate.contains(Tolerance::MissingCrlf), "the dialect's own stay");
    assert_eq!(settings.error_mode, ErrorMode::Resync);
    assert!(settings.backlog_bytes_max >= settings.receive_frame_bytes_max);
    let LinkSettings::Lis01(settings) = plan.link_settings(Role::Instrument, Some(false), ErrorMode::Close)
    else {
        panic!("not LIS01");
    };
    assert_eq!(
        (settings.role, settings.strict, settings.error_mode),
        (Role::Instrument, false, ErrorMode::Close)
    );

    let hl7 = profile(
        "hl7",
        "[link]\nerror_mode = \"resync\"\n[specimen]\nid = \"OBR-3\"\n[result]\ntest = \"OBX-3.1\"\nvalue = \"OBX-5\"\n",
    );
    let plan = compiled(&library(&[("a/one", hl7.as_str())]), "a/one");
    let LinkSettings::Mllp(settings) = plan.link_settings(Role::Host, None, ErrorMode::Close) else {
        panic!("not MLLP");
    };
    assert_eq!(settings.error_mode, ErrorMode::Resync, "the profile knows better than the transport");
}

#[test]
fn every_key_of_a_lis01_link_reaches_the_machine() {
    let rules = format!(
        "[link]\nchecksum = \"blank\"\npacking = \"record-chain\"\ndirection = \"receive\"\ninterrupt = \"ignore\"\nattempts = 3\nbids_max = 4\ntolerate = [\"eot-reply\"]\n[link.timers]\nbid_reply = \"1s\"\nframe_reply = \"2s\"\nreceive = \"3s\"\nbusy_hold_off = \"4s\"\ncontention_retry = \"5s\"\ncontention_yield = \"6s\"\ninterrupt_hold_off = \"7s\"\nabort_hold_off = \"8s\"\nsession_gap = \"9s\"\nturnaround = \"10s\"\nprogress = \"11s\"\nframe_end_idle = \"12s\"\nverdict = \"9s\"\n{BASE}"
    );
    let text = profile("lis02", &rules);
    let plan = library(&[("a/one", text.as_str())]).compile("a/one").unwrap().plan.unwrap();
    let LinkSettings::Lis01(settings) = plan.link_settings(Role::Host, None, ErrorMode::Close) else {
        panic!("not LIS01");
    };
    assert!(settings.tolerates(Tolerance::ChecksumOff) && settings.tolerates(Tolerance::EotReply));
    assert_eq!(settings.send_checksum, SentChecksum::Blanks);
    assert_eq!((settings.packing, settings.interrupt), (Packing::RecordChain, InterruptPolicy::Ignore));
    assert_eq!((settings.attempts, settings.bids_max), (3, Some(4)));
    assert_eq!(settings.capability, Capability::ReceiveOnly);
    let waits = [
        settings.bid_reply_timeout,
        settings.frame_reply_timeout,
        settings.receive_timeout,
        settings.busy_hold_off,
        settings.contention_hold_off_instrument,
        settings.contention_hold_off_host,
        settings.interrupt_hold_off,
        settings.abort_hold_off,
        settings.session_gap,
        settings.turnaround,
        settings.progress_timeout,
        settings.frame_end_idle,
        settings.verdict_timeout,
    ];
    assert_eq!(waits.map(|wait| wait.as_secs()), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 9]);
    let LinkSettings::Lis01(analyzer) = plan.link_settings(Role::Instrument, None, ErrorMode::Close) else {
        panic!("not LIS01");
    };
    assert_eq!(analyzer.capability, Capability::SendOnly, "the other end of the line does the other half");
}

#[test]
fn a_profile_that_does_not_look_at_checksums_is_used_with_a_warning() {
    for (word, code) in [("report", "checksum-ignored"), ("off", "checksum-off"), ("blank", "checksum-off")] {
        let text = profile("lis02", &format!("[link]\nchecksum = \"{word}\"\n{BASE}"));
        let compiled = library(&[("a/one", text.as_str())]).compile("a/one").unwrap();
        assert!(compiled.plan.is_some());
        let said = said(&compiled);
        assert!(said.contains("warning: frames are taken") && said.contains(code), "{said}");
    }
    let text = profile("lis02", &format!("[link]\nchecksum = \"required\"\n{BASE}"));
    assert!(library(&[("a/one", text.as_str())]).compile("a/one").unwrap().reports.is_empty());
}

#[test]
fn every_dialect_has_its_machine_and_its_keys_reach_it() {
    let link = |protocol: &str, keys: &str| {
        let rules = if protocol == "lis02" {
            format!("[link]\n{keys}\n{BASE}")
        } else {
            format!(
                "[link]\n{keys}\n[specimen]\nid = \"id\"\n[result]\ntest = \"test\"\nvalue = \"value\"\n[text]\nfields = {{ id = 'ID (\\S+)' }}\nrow = '(?P<test>[A-Z]+) +(?P<value>\\S+)'\n"
            )
        };
        let text = profile(protocol, &rules);
        let plan = compiled(&library(&[("a/one", text.as_str())]), "a/one");
        match plan.link_settings(Role::Instrument, None, ErrorMode::Resync) {
            LinkSettings::Delimited(settings) => settings,
            other => panic!("{other:?}"),
        }
    };
    let common = |base: DelimitedSettings| DelimitedSettings {
        role: Role::Instrument,
        error_mode: ErrorMode::Resync,
        ..base
    };
    assert_eq!(
        link(
            "lis02",
            "dialect = \"control-ack-envelope\"\ntolerate = [\"reply-byte-in-text\"]\ntimers.block_reply = \"300ms\""
        ),
        common(DelimitedSettings {
            tolerate: Tolerances::OF_TEXTS,
            block_idle: Some(Duration::from_millis(300)),
            ..DelimitedSettings::control_ack_envelope()
        })
    );
    assert_eq!(
        link("lis02", "dialect = \"records\"\nend = \"<LF>\"\nreply = \"ack-message\""),
        common(DelimitedSettings {
            end: b"\n".to_vec(),
            reply: TextReply::AckOrNakAtTerminator,
            ..DelimitedSettings::records()
        })
    );
    assert_eq!(link("lis02", "dialect = \"soh-block\""), common(DelimitedSettings::soh_block()));
    assert_eq!(
        link("text", "dialect = \"fixed-length\"\nlength = 186"),
        common(DelimitedSettings::fixed_length(186))
    );
    assert_eq!(link("text", "dialect = \"bci\""), common(DelimitedSettings::bci()));
    assert_eq!(
        link(
            "text",
            "dialect = \"delimited\"\ncheck = \"sum-before-end\"\ncontinued = \"<ETB>\"\nbetween = \"<LF>\"\nlength = 80\nanswer = [{ to = \"P<FS>\", with = \"N<FS>\", data = false }, { to = \"R\" }]\ntimers.idle_end = \"2s\"",
        ),
        common(DelimitedSettings {
            check: Check::SumBeforeEnd,
            continued: vec![0x17],
            between: vec![0x0A],
            length: Some(80),
            reply: TextReply::AckOrNak,
            answers: vec![
                Answer { to: b"P\x1C".to_vec(), with: b"N\x1C".to_vec(), is_data: false },
                Answer { to: b"R".to_vec(), with: Vec::new(), is_data: true },
            ],
            idle_end: Some(Duration::from_secs(2)),
            ..DelimitedSettings::default()
        })
    );
}

#[test]
fn a_profile_that_names_another_dialect_inherits_nothing_of_the_other_one() {
    let base =
        profile("lis02", &format!("[link]\nsend_text_bytes_max = 100\nchecksum = \"required\"\n{BASE}"));
    let over = |link: &str| {
        let over = format!("schema = 1\nextends = \"a/base\"\n[link]\n{link}\n");
        compiled(&library(&[("a/base", base.as_str()), ("a/one", over.as_str())]), "a/one").link_settings(
            Role::Host,
            None,
            ErrorMode::Close,
        )
    };
    assert_eq!(
        over("dialect = \"control-ack-envelope\""),
        LinkSettings::Delimited(DelimitedSettings::control_ack_envelope())
    );
    let LinkSettings::Lis01(same) = over("dialect = \"lis01\"") else { panic!("not LIS01") };
    assert_eq!(same.send_text_bytes_max, 100, "the usual dialect is the same whether it is named or not");
}
