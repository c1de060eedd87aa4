//! Texts of a vendor's own: markers, and rows that look like name, value and unit.

use labwire_link::control::{ACK, CR, ENQ, EOT, ETX, GS, LF, NAK, RS, STX};

use super::Writer;

/// A name, a number or dashes, and a unit on one line. Proposed only where it finds something.
const ROW: &str = r"(?m)^[ \t]*(?P<test>[A-Za-z][A-Za-z0-9%#+._-]*)[ \t:=]+(?P<value>[<>]?\d+(?:[.,]\d+)?|-{2,}|\*+)(?:[ \t]+(?P<unit>[A-Za-z%/][A-Za-z0-9%/^*.]*))?";

pub(super) fn write(writer: &mut Writer, streams: &[Vec<u8>]) {
    let has = |byte: u8| streams.iter().any(|stream| stream.contains(&byte));
    writer.table("link");
    if has(RS) && has(GS) {
        writer.line("dialect = \"bci\"");
        writer.found("records between RS with a check behind GS");
    } else if has(STX) && has(ETX) {
        writer.line("dialect = \"delimited\"\nstart = \"<STX>\"\nend = \"<ETX>\"");
        writer.line("reply = \"ack\"  # TODO what the analyzer waits for");
        if has(ENQ) && has(EOT) {
            writer.line("handshake = true");
        }
        writer.found("texts between STX and ETX");
    } else {
        writer.line("dialect = \"delimited\"  # TODO how a message begins and ends\nstart = \"<STX>\"\nend = \"<ETX>\"");
        writer.found("no markers that tell where a message begins and ends");
    }
    writer.line("\n# TODO [identify]: text = 'what only this analyzer writes'");
    let rows = streams.iter().map(|stream| rows(stream)).sum::<usize>();
    writer.table("specimen");
    writer.line("id = \"specimen_id\"");
    writer.table("result");
    writer.line("test = \"test\"\nvalue = \"value\"\nunit = \"unit\"");
    writer.table("text");
    writer.line("fields = { specimen_id = '(?i)(?:ID|SAMPLE)[ #:.]*([A-Za-z0-9-]{4,})' }  # TODO");
    writer.line(format!("row = '{ROW}'  # TODO"));
    writer.found(format!("{rows} lines look like a name with a number"));
    writer.line("\n# TODO [tests]: every row is held until its name stands here, as in:\n# [tests]\n# NA = { name = \"Sodium\", unit = \"mmol/L\", lis = \"NA\" }");
}

/// Lines that begin with a word and hold a number behind it.
fn rows(stream: &[u8]) -> usize {
    let controls = [STX, ETX, ENQ, EOT, ACK, NAK, CR, LF];
    stream
        .split(|byte| controls.contains(byte))
        .filter(|line| {
            let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
            let name = words.next().is_some_and(|word| word[0].is_ascii_alphabetic());
            name && words.next().is_some_and(|word| word.iter().any(u8::is_ascii_digit))
        })
        .count()
}
