//! The reading side of the format. A bad line is reported with line and column; the lines behind it
//! are still read.

use core::time::Duration;
use std::error::Error;
use std::fmt;
use std::io::{BufRead, Read};

use jiff::Timestamp;

use crate::entry::{Direction, Entry, Header};
use crate::escape::unescape;

/// The longest line that is read; a longer one is an error and ends the reading.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first word of every capture.
pub(crate) const MAGIC: &[u8] = b"labwire-capture ";

/// The version that this program writes, and the only one there is.
const VERSION: &str = "1";

/// What is wrong with a capture, and where. Lines and columns count from one; columns count bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// The line.
    pub line: usize,
    /// The byte in the line.
    pub column: usize,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl Error for ReadError {}

/// Reads a capture: the header when it is made, the entries as an iterator.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines<R>,
    header: Header,
    /// The first entry's line, which the header's end was recognised by.
    first: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Not a capture, a version that this program does not know, a header line that cannot be read.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut lines = Lines { input, number: 0, buffer: Vec::new(), failed: false };
        let magic = lines.next_line()?.map(<[u8]>::to_vec).unwrap_or_default();
        let magic = magic.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&magic);
        let Some(version) = magic.strip_prefix(MAGIC) else {
            return Err(lines.error(1, "not a capture: the first line must be `labwire-capture 1`"));
        };
        if version.trim_ascii() != VERSION.as_bytes() {
            let version = version.trim_ascii();
            let version = if version.len() <= 4 && version.iter().all(u8::is_ascii_digit) {
                format!(" `{}`", String::from_utf8_lossy(version))
            } else {
                String::new()
            };
            let message = format!("capture version{version} is not known here; this program reads version 1");
            return Err(lines.error(MAGIC.len() + 1, message));
        }
        let (mut driver, mut link, mut started, mut extra) = (None, None, None, Vec::new());
        let mut first = None;
        while let Some(line) = lines.next_line()? {
            if is_skipped(line) {
                continue;
            }
            if line.first().is_some_and(u8::is_ascii_digit) {
                first = Some(line.to_vec());
                break;
            }
            let (name, value) = match line.iter().position(|&byte| byte == b' ') {
                Some(space) => (&line[..space], &line[space + 1..]),
                None => (line, &[][..]),
            };
            let column = line.len() - value.len() + 1;
            let name = String::from_utf8_lossy(name).into_owned();
            let value = match unescape(value) {
                Ok(value) => String::from_utf8_lossy(&value).into_owned(),
                Err((at, message)) => return Err(lines.error(column + at, message)),
            };
            match name.as_str() {
                "driver" => driver = Some(value),
                "link" => link = Some(value),
                "started" => match value.trim().parse::<Timestamp>() {
                    Ok(time) => started = Some(time),
                    Err(_) => {
                        return Err(lines.error(column, "`started` must be like 2026-03-02T08:14:07.120Z"));
                    }
                },
                _ => extra.push((name, value)),
            }
        }
        let Some(started) = started else {
            return Err(lines.error(1, "the header has no line `started 2026-03-02T08:14:07.120Z`"));
        };
        let link = link.unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { lines, header: Header { driver, link, started, extra }, first })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The line that the last item of the iterator stood on.
    pub const fn line(&self) -> usize {
        self.lines.number
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(line) = self.first.take() {
            let number = self.lines.number;
            return Some(parse_entry(&line).map_err(|(column, message)| ReadError {
                line: number,
                column,
                message,
            }));
        }
        loop {
            let number = self.lines.number + 1;
            match self.lines.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) if is_skipped(line) => {}
                Ok(Some(line)) => {
                    let place = |(column, message)| ReadError { line: number, column, message };
                    return Some(parse_entry(line).map_err(place));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Blank lines and `#` comments belong to the person who edits the file.
fn is_skipped(line: &[u8]) -> bool {
    line.first() == Some(&b'#') || line.trim_ascii().is_empty()
}

fn parse_entry(line: &[u8]) -> Result<Entry, (usize, String)> {
    let expected = || (1, "expected `SECONDS > BYTES`, `<` or `!`, for example `0.010 > <STX>1H`".to_owned());
    let space = line.iter().position(|&byte| byte == b' ').ok_or_else(expected)?;
    // What stands there instead is not quoted: it may be a record that an editor broke in two.
    let offset =
        parse_offset(&line[..space]).ok_or_else(|| (1, "not a time in seconds such as 0.010".to_owned()))?;
    let (mark, rest) = line[space + 1..].split_first().ok_or_else(expected)?;
    let direction = Direction::from_mark(*mark).ok_or_else(|| {
        let message = "expected `>` (analyzer to host), `<` (host to analyzer) or `!` (event)";
        (space + 2, message.to_owned())
    })?;
    let text = match rest.split_first() {
        None => rest,
        Some((b' ', text)) => text,
        Some(_) => {
            return Err((space + 3, "expected one blank between the direction and the bytes".to_owned()));
        }
    };
    let bytes = unescape(text).map_err(|(at, message)| (line.len() - text.len() + at + 1, message))?;
    Ok(Entry::new(offset, direction, bytes))
}

/// Seconds with up to nine digits behind the point.
fn parse_offset(text: &[u8]) -> Option<Duration> {
    let text = core::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

/// Lines of the input, without their ends, counted.
#[derive(Debug)]
struct Lines<R> {
    input: R,
    number: usize,
    buffer: Vec<u8>,
    failed: bool,
}

impl<R: BufRead> Lines<R> {
    fn next_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        if self.failed {
            return Ok(None);
        }
        self.buffer.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        match self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer) {
            Ok(0) => return Ok(None),
            Ok(_) => self.number += 1,
            Err(error) => {
                self.failed = true;
                self.number += 1;
                return Err(self.error(1, format!("cannot be read: {error}")));
            }
        }
        if self.buffer.len() > LINE_BYTES_MAX && self.buffer.last() != Some(&b'\n') {
            self.failed = true;
            return Err(self
                .error(LINE_BYTES_MAX, format!("longer than {LINE_BYTES_MAX} bytes; the rest is not read")));
        }
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    fn error(&self, column: usize, message: impl Into<String>) -> ReadError {
        ReadError { line: self.number.max(1), column, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "labwire-capture 1\nlink tcp\nstarted 2026-03-02T08:14:07.120Z\n";

    fn error_of(line: &str) -> ReadError {
        let text = format!("{HEAD}{line}\n");
        Reader::new(text.as_bytes()).unwrap().next().unwrap().unwrap_err()
    }

    #[test]
    fn each_kind_of_bad_line_is_named_with_its_column() {
        let cases = [
            ("0.00x > a", 1, "not a time"),
            ("0.010", 1, "expected `SECONDS"),
            ("0.010 ", 1, "expected `SECONDS"),
            ("0.010 = a", 7, "analyzer to host"),
            ("0.010 >a", 8, "one blank"),
            ("0.010 > ab<STY>", 11, "`<STY>`"),
            ("0.0000000001 > a", 1, "not a time"),
        ];
        for (line, column, message) in cases {
            let error = error_of(line);
            assert_eq!((error.line, error.column), (4, column), "{line}: {error}");
            assert!(error.message.contains(message), "{line}: {error}");
        }
    }

    #[test]
    fn no_error_quotes_what_may_be_of_a_patient() {
        for line in ["P|1||PAT7713^QUILL > x", "0.1 PAT7713", "0.1 > a<PAT7713>", "0.1 >PAT7713", "PAT7713"] {
            let text = format!("{HEAD}0.000 > a\n{line}\n");
            let error = Reader::new(text.as_bytes()).unwrap().nth(1).unwrap().unwrap_err();
            assert!(!error.message.contains("PAT7713"), "{line}: {error}");
        }
        for text in ["labwire-capture PAT7713\n", "labwire-capture 1\nstarted PAT7713\n"] {
            let error = Reader::new(text.as_bytes()).unwrap_err();
            assert!(!error.message.contains("PAT7713"), "{text}: {error}");
        }
    }

    #[test]
    fn lines_behind_a_bad_one_are_read() {
        let text = format!("{HEAD}0.000 > <ENQ>\n0.001 ? x\n\n# by hand\n0.002 < <ACK>\r\n0.003 !\n");
        let items: Vec<_> = Reader::new(text.as_bytes()).unwrap().collect();
        assert_eq!(items[0], Ok(Entry::to_host(Duration::ZERO, b"\x05")));
        assert_eq!(items[1].as_ref().unwrap_err().line, 5);
        assert_eq!(items[2], Ok(Entry::to_analyzer(Duration::from_millis(2), b"\x06")));
        assert_eq!(items[3], Ok(Entry::event(Duration::from_millis(3), "")));
        assert_eq!(items.len(), 4);
    }

    #[test]
    fn headers_that_cannot_be_used_are_refused_with_their_place() {
        let cases = [
            ("", 1, "not a capture"),
            ("MSH|^~\\&", 1, "not a capture"),
            ("labwire-capture 2\n", 1, "version `2`"),
            ("labwire-capture 1\nstarted yesterday\n", 2, "must be like"),
            ("labwire-capture 1\nlink tcp\n0.000 > a\n", 3, "no line `started"),
        ];
        for (text, line, message) in cases {
            let error = Reader::new(text.as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn unknown_header_lines_are_kept() {
        let text = format!("{HEAD}driver generic/lis02\nsite north wing\n0.000 > a\n");
        let reader = Reader::new(text.as_bytes()).unwrap();
        assert_eq!(reader.header().driver.as_deref(), Some("generic/lis02"));
        assert_eq!(reader.header().extra, [("site".to_owned(), "north wing".to_owned())]);
    }
}
