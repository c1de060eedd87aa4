//! `[result] at_format`.

use labwire_schema::Node;

use crate::compile::Compiler;
use crate::plan::TimeFormat;

impl Compiler<'_> {
    pub(super) fn at_formats(&mut self) -> Vec<TimeFormat> {
        let root = self.root;
        root.list("result.at_format").iter().filter_map(|node| self.at_format(node)).collect()
    }

    fn at_format(&mut self, node: &Node) -> Option<TimeFormat> {
        let format = node.as_text()?;
        match format {
            "epoch" => return Some(TimeFormat::Epoch),
            "epoch-ms" => return Some(TimeFormat::EpochMilliseconds),
            _ => {}
        }
        let help = "write it as strftime does: \"%y/%m/%d %H:%M\"";
        if !format.contains('%') {
            self.error(node, format!("\"{format}\" names no part of a time"), help);
            return None;
        }
        // An offset is the one thing of a zone that a message can say without a table of names.
        let offset = ["%z", "%:z"].iter().any(|offset| format.contains(offset));
        let sample = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        let written = if offset {
            jiff::fmt::strtime::format(format, &sample)
        } else {
            jiff::fmt::strtime::format(format, sample.datetime())
        };
        if written.is_err() {
            self.error(
                node,
                format!(
                    "\"{format}\" is no time format, or one with the name of a zone, which the site says"
                ),
                help,
            );
            return None;
        }
        let seconds = ["%S", "%T", "%s", "%c", "%r", "%X"].iter().any(|part| format.contains(part));
        Some(TimeFormat::Strftime { format: format.to_owned(), seconds, offset })
    }
}
