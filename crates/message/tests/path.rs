//! Paths: what they name, how they are written, and what a mistake is told.

use labwire_message::{Name, Path};

#[test]
fn a_path_is_written_as_it_is_read() {
    for text in [
        "R.4",
        "O.4.3",
        "R.5[2].4",
        "R.5[2]",
        "OBX-5",
        "OBX-5.1",
        "MSH-10",
        "SPM-2.1.1",
        "PV1-3[2].1.4",
        "Z.65535",
    ] {
        assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
    }
}

#[test]
fn every_part_of_a_path_has_its_place() {
    let path: Path = "SPM-2[3].4.5".parse().unwrap();
    assert_eq!(path.record, Name::new(b"SPM").unwrap());
    assert_eq!((path.field, path.repeat, path.component, path.subcomponent), (2, Some(3), Some(4), Some(5)));
    assert_eq!(path.whole(), "SPM-2".parse().unwrap());
}

#[test]
fn a_mistake_in_a_path_is_told_with_its_column_and_a_remedy() {
    let cases = [
        ("", 1, "a path begins with a record", "write a record and a field, such as `R.4`"),
        (".4", 1, "a path begins with a record", "write a record"),
        ("RR.4", 1, "neither a record letter nor a segment id", "segments three characters"),
        ("4.4", 1, "neither a record letter nor a segment id", "one letter"),
        ("OBXX-4", 1, "neither a record letter nor a segment id", "one letter"),
        ("r.4", 1, "upper case", "write `R`"),
        ("Obx-4", 2, "upper case", "write `OBX`"),
        ("R", 2, "the field is missing", "write a record and a field"),
        ("R-4", 2, "a record letter is followed by a dot", "write `R.`"),
        ("OBX.5", 4, "a segment id is followed by a hyphen", "write `OBX-`"),
        ("R.", 3, "the field is missing", "from 1"),
        ("R.x", 3, "the field is missing", "from 1"),
        ("R.0", 3, "field 0 does not exist", "counted from 1"),
        ("R.99999", 3, "too large", "65535"),
        ("R.4.", 5, "the component is missing", "from 1"),
        ("R.4.0", 5, "component 0 does not exist", "counted from 1"),
        ("R.4[2", 6, "the bracket is not closed", "write `[2]`"),
        ("R.4[]", 5, "the repeat is missing", "from 1"),
        ("R.4.5[2]", 6, "the repeat stands after the field", "`R.5[2].4`"),
        ("R.3.4.1", 6, "LIS02 has no subcomponents", "end the path at the component"),
        ("OBX-5.1.1.1", 10, "nothing may follow here", "write a record"),
        ("R.4 ", 4, "nothing may follow here", "write a record"),
        ("\u{e9}.4", 1, "a path begins with a record", "write a record"),
    ];
    for (text, column, problem, remedy) in cases {
        let error = text.parse::<Path>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.problem.contains(problem), "{text}: {error}");
        assert!(error.remedy.contains(remedy), "{text}: {error}");
    }
    assert_eq!(
        "R-4".parse::<Path>().unwrap_err().to_string(),
        "a record letter is followed by a dot at column 2; write `R.` and the number of the field"
    );
}
