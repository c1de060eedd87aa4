//! The writing side of the format.

use std::io::{self, Write};

use crate::entry::{Entry, Header};
use crate::escape::{escape, escape_into};

/// Writes a capture: the header at once, then entry by entry.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    line: String,
}

impl<W: Write> Writer<W> {
    /// Begins a capture on `out`. Each entry is one `write_all`, so that a capture that is cut short
    /// ends at a line.
    ///
    /// # Errors
    /// Whatever `out` reports.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        let mut text = String::from("labwire-capture 1\n");
        if let Some(driver) = &header.driver {
            push_header_line(&mut text, "driver", driver);
        }
        push_header_line(&mut text, "link", &header.link);
        push_header_line(&mut text, "started", &format!("{:.3}", header.started));
        for (name, value) in &header.extra {
            push_header_line(&mut text, name, value);
        }
        out.write_all(text.as_bytes())?;
        Ok(Self { out, line: text })
    }

    /// Appends one entry.
    ///
    /// # Errors
    /// Whatever the underlying writer reports.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        let offset = entry.offset;
        self.line.push_str(&format!("{}.{:03}", offset.as_secs(), offset.subsec_millis()));
        self.line.push(' ');
        self.line.push(entry.direction().mark());
        if !entry.bytes().is_empty() {
            self.line.push(' ');
            escape_into(entry.bytes(), &mut self.line);
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }

    /// Flushes what the underlying writer buffers.
    ///
    /// # Errors
    /// Whatever the underlying writer reports.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The underlying writer.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn push_header_line(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push(' ');
    text.push_str(&escape(value.as_bytes()));
    text.push('\n');
}
