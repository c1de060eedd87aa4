//! A site's code tables over the profiles, and the conversions that they declare.

mod support;

use labwire_driver::Library;
use labwire_schema::{Source, render};
use support::{codes, compiled, decode, message, profile, said};

const PROFILE: &str = r#"
[specimen]
id = "O.3"
[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
[tests.GLU]
name = "Glucose"
loinc = "2345-7"
unit = "mg/dL"
units = ["mmol/L", "g/dL", "cells"]
[tests.NA]
name = "Sodium"
unit = "mmol/L"
"#;

fn library(csv: &str) -> Library {
    let source = Source::new("one.toml", profile("lis02", PROFILE));
    Library::empty()
        .with_directory(vec![("example/one".to_owned(), source)])
        .with_codes(vec![Source::new("codes/one.csv", csv)])
}

fn reported(library: &Library) -> String {
    library.code_reports().iter().map(|report| render(&report.source, &report.problems)).collect()
}

#[test]
fn a_line_gives_a_test_the_laboratory_s_code_and_unit() {
    let library = library(
        "\u{feff}driver,test,name,lis,convert_to,molar_mass,convert_decimals\r\n# glucose in the unit of the house\r\nexample/one,GLU,\"Glucose, plasma\",GLUP,mmol/L,180.156,2\r\n\r\nexample/one,K,Potassium,KA,,,\r\n",
    );
    assert_eq!(reported(&library), "");
    let plan = compiled(&library, "example/one");
    let bytes = message(&[
        r"H|\^&",
        "P|1",
        "O|1|S1",
        "R|1|^^^GLU|<126|mg/dL",
        "R|2|^^^GLU|5.50|mmol/L",
        "R|3|^^^GLU|7|g/dL",
        "R|4|^^^GLU|neg|mg/dL",
        "R|5|^^^K|4.1",
        "R|6|^^^NA|140|mmol/L",
        "L|1|N",
    ]);
    let decoded = decode(&plan, &bytes);
    let rows: Vec<_> = decoded
        .outcomes
        .iter()
        .map(|outcome| {
            let o = &outcome.observation;
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            [&o.lis_test, &o.value, &o.number, &o.converted_number, &o.converted_ucum].map(text).join(" ")
        })
        .collect();
    assert_eq!(
        rows,
        [
            "GLUP <126 126 6.99 mmol/L",
            "GLUP 5.50 5.50 5.50 mmol/L",
            "GLUP 7 7 388.55 mmol/L",
            "GLUP neg - - -",
            "KA 4.1 4.1 - -",
            "- 140 140 - -"
        ]
    );
    assert_eq!(
        decoded.outcomes[0].observation.loinc.as_deref(),
        Some("2345-7"),
        "an empty cell says nothing"
    );
    assert_eq!(decoded.outcomes[0].observation.test_name.as_deref(), Some("Glucose, plasma"));
}

#[test]
fn a_unit_that_cannot_be_converted_is_told_and_the_value_delivered_as_sent() {
    let library = library("driver,test,convert_to,molar_mass\nexample/one,GLU,mmol/L,180.156\n");
    let plan = compiled(&library, "example/one");
    let bytes = message(&[r"H|\^&", "P|1", "O|1|S1", "R|1|^^^GLU|5|", "L|1|N"]);
    let decoded = decode(&plan, &bytes);
    assert_eq!(codes(&decoded), ["not-converted"]);
    let o = &decoded.outcomes[0].observation;
    assert_eq!((o.number.as_deref(), &o.converted_number), (Some("5"), &None));
}

#[test]
fn a_version_tells_which_codes_were_used() {
    let one = compiled(&library("driver,test,lis\nexample/one,GLU,A\n"), "example/one");
    let other = compiled(&library("driver,test,lis\nexample/one,GLU,B\n"), "example/one");
    assert_ne!(one.version, other.version);
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_place() {
    for (csv, expected) in [
        ("", "the code table is empty"),
        ("driver,tests,lis\nexample/one,GLU,A\n", "codes/one.csv:1:8"),
        ("driver,test,list\nexample/one,GLU,A\n", "did you mean `lis`?"),
        ("driver,test,lis,lis\nexample/one,GLU,A,B\n", "column `lis` comes twice"),
        ("driver,test,lis\nexample/on,GLU,A\n", "did you mean \"example/one\"?"),
        ("driver,test,lis\nexample/one,,A\n", "names no driver or no test"),
        ("driver,test,lis\nexample/one,GLU,A,B\n", "more cells than there are columns"),
        ("driver,test,lis\nexample/one,GLU,A\nexample/one,GLU,B\n", "codes/one.csv:3:13"),
        ("driver,test,loinc\nexample/one,GLU,2345-8\n", "the check digit of LOINC 2345 is 7, not 8"),
        ("driver,test,decimals\nexample/one,GLU,two\n", "codes/one.csv:2:17"),
        ("driver,test,molar_mass\nexample/one,GLU,-1\n", "no decimal number above zero"),
        ("driver,test,flags\nexample/one,GLU,x\n", "unknown column `flags`"),
    ] {
        let told = reported(&library(csv));
        assert!(told.contains(expected), "{csv:?} tells {told}");
    }
}

#[test]
fn a_conversion_that_makes_no_sense_is_refused_where_it_stands() {
    for (cells, expected) in [
        ("convert_to\nexample/one,GLU,mmol/L", "needs the molar mass"),
        ("convert_to\nexample/one,GLU,fL", "do not measure the same"),
        ("convert_to\nexample/one,GLU,Cel", "a scale of its own"),
        ("convert_to\nexample/one,GLU,mg/dl", "write \"mg/dL\""),
        ("molar_mass\nexample/one,GLU,180", "has no meaning without `convert_to`"),
        ("lis\nexample/one,XYZ,A", "missing key `name`"),
    ] {
        let library = library(&format!("driver,test,{cells}\n"));
        assert_eq!(reported(&library), "");
        let told = said(&library.compile("example/one").unwrap());
        assert!(told.contains(expected) && told.contains("codes/one.csv:2:"), "{cells:?} tells {told}");
    }
}
