//! Analyzers on TCP that a test plays by hand, and the site's own profiles that they speak by.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use labwire_link::{UnitEnd, write_frame};

use crate::support::{PATIENCE, Site};

/// Speaks LIS02 in LIS01 frames.
pub(crate) const FRAMES: &str = "bench/frames";
/// Speaks HL7 in MLLP blocks.
pub(crate) const BLOCKS: &str = "bench/blocks";

const FRAMES_PROFILE: &str = r#"
schema = 1

[analyzer]
vendor = "Bench"
model = "Frames"
kind = "chemistry"
protocol = "lis02"
evidence = "unverified"

[link]
dialect = "lis01"

[specimen]
id = "O.3"

[patient]
id = "P.4"

[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
range = "R.6"
flags = "R.7"
status = "R.9"
operator = "R.11"
at = "R.13"
comments = "C.4"

[tests]
GLU = { name = "Glucose", unit = "mmol/L", lis = "GLU" }
UREA = { name = "Urea", unit = "mmol/L", lis = "UREA" }
"#;

const BLOCKS_PROFILE: &str = r#"
schema = 1

[analyzer]
vendor = "Bench"
model = "Blocks"
kind = "chemistry"
protocol = "hl7"
evidence = "unverified"

[link]
dialect = "mllp"

[specimen]
id = "OBR-3.1"

[patient]
id = "PID-3.1"

[result]
test = "OBX-3.1"
value = "OBX-5"
unit = "OBX-6"
range = "OBX-7"
flags = "OBX-8"
status = "OBX-11"
operator = "OBX-16"
at = "OBX-14"
comments = "NTE-3"

[tests]
GLU = { name = "Glucose", unit = "mmol/L", lis = "GLU" }
UREA = { name = "Urea", unit = "mmol/L", lis = "UREA" }
"#;

/// Gives a site the two profiles.
pub(crate) fn with_profiles(site: &mut Site) {
    let directory = site.path("drivers/bench");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("frames.toml"), FRAMES_PROFILE).unwrap();
    std::fs::write(directory.join("blocks.toml"), BLOCKS_PROFILE).unwrap();
    site.extra(&format!("[drivers]\ndirectory = \"{}\"\n", site.path("drivers").display()));
}

/// The analyzer's end of a TCP line.
pub(crate) struct Line(TcpStream);

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Says what the host need not hear to its end.
    pub(crate) fn may_say(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Hears exactly these bytes next.
    #[track_caller]
    pub(crate) fn hears(&mut self, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).unwrap();
        assert_eq!(heard.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[track_caller]
    pub(crate) fn exchange(&mut self, bytes: &[u8], reply: &[u8]) {
        self.say(bytes);
        self.hears(reply);
    }

    /// Bids and sends records, one in each frame, all of them acknowledged; the session stays open.
    #[track_caller]
    pub(crate) fn begins(&mut self, records: &[&str]) {
        self.exchange(ENQ, ACK);
        for (number, record) in (1..).zip(records) {
            self.exchange(&frame(number % 8, record), ACK);
        }
    }

    /// A whole session with one message.
    #[track_caller]
    pub(crate) fn sends_records(&mut self, records: &[&str]) {
        self.begins(records);
        self.say(EOT);
    }

    /// A message in its block; gives the code of the acknowledgement.
    #[track_caller]
    pub(crate) fn sends_segments(&mut self, segments: &[&str]) -> String {
        self.say(&block(segments));
        let reply = self.hears_block();
        let answer = reply.split('\r').find_map(|segment| segment.strip_prefix("MSA|")).unwrap();
        answer.split('|').next().unwrap().to_owned()
    }

    /// Hears a reply, whichever.
    pub(crate) fn hears_any(&mut self) {
        self.0.read_exact(&mut [0]).unwrap();
    }

    /// Says that nothing more will come.
    pub(crate) fn shuts(&mut self) {
        // A host that has closed already is not connected any more.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Hears one block, or nothing before the host closes the line.
    #[track_caller]
    pub(crate) fn hears_block(&mut self) -> String {
        let mut reply = Vec::new();
        let mut byte = [0];
        while !reply.ends_with(b"\x1c\r") && self.0.read(&mut byte).unwrap() == 1 {
            reply.extend(byte);
        }
        String::from_utf8(reply).unwrap()
    }

    /// Goes away, and waits until the host has gone too.
    pub(crate) fn hangs_up(mut self) {
        self.shuts();
        self.is_left();
    }

    /// The host closes the line; whatever it said before is given.
    pub(crate) fn is_left(&mut self) -> Vec<u8> {
        let mut last = Vec::new();
        match self.0.read_to_end(&mut last) {
            Ok(_) => last,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => last,
            Err(error) => panic!("the host keeps the line open: {error}"),
        }
    }
}

pub(crate) const ENQ: &[u8] = b"\x05";
pub(crate) const EOT: &[u8] = b"\x04";
pub(crate) const ACK: &[u8] = b"\x06";
pub(crate) const NAK: &[u8] = b"\x15";

/// A record in an end frame of its own.
pub(crate) fn frame(number: u8, record: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, number, format!("{record}\r").as_bytes(), UnitEnd::End);
    bytes
}

/// The same frame with a checksum that does not fit.
pub(crate) fn damaged(mut frame: Vec<u8>) -> Vec<u8> {
    let digit = frame.len() - 3;
    frame[digit] = if frame[digit] == b'0' { b'1' } else { b'0' };
    frame
}

/// An HL7 message in its block.
pub(crate) fn block(segments: &[&str]) -> Vec<u8> {
    format!("\x0b{}\r\x1c\r", segments.join("\r")).into_bytes()
}
