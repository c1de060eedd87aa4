//! An analyzer that a test plays by hand over TCP, frame for frame, and a profile to read it with.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use labwire_link::{UnitEnd, write_frame};

use crate::support::{PATIENCE, Site};

pub(crate) const ACK: u8 = 0x06;
pub(crate) const NAK: u8 = 0x15;
pub(crate) const ENQ: u8 = 0x05;
pub(crate) const EOT: u8 = 0x04;

/// The id of the profile that [`add_profile`] gives a site.
pub(crate) const PROFILE: &str = "bench/counter";

const PROFILE_TEXT: &str = r#"
schema = 1

[analyzer]
vendor = "Bench"
model = "Counter"
kind = "hematology"
protocol = "lis02"
evidence = "unverified"

[link]
dialect = "lis01"

[specimen]
id = "O.3"

[result]
test = "R.3.4"
value = "R.4"
unit = "R.5"
status = "R.9"
at = "R.13"

[tests]
WBC = { name = "Leukocytes", unit = "10*9/L", lis = "WBC" }
HGB = { name = "Hemoglobin", unit = "g/L", lis = "HGB" }
"#;

/// Gives the site a drivers directory with [`PROFILE`].
pub(crate) fn add_profile(site: &mut Site) {
    let directory = site.path("drivers");
    std::fs::create_dir_all(directory.join("bench")).unwrap();
    std::fs::write(directory.join(PROFILE).with_extension("toml"), PROFILE_TEXT).unwrap();
    site.extra(&format!("[drivers]\ndirectory = \"{}\"\n", directory.display()));
}

/// A site with [`PROFILE`] and connections of these names that listen.
pub(crate) fn site_with(names: &[&str]) -> (Site, Vec<SocketAddr>) {
    let mut site = Site::new();
    add_profile(&mut site);
    let addresses = names.iter().map(|name| site.listen(name, PROFILE)).collect();
    (site, addresses)
}

/// The records of one message with one result.
pub(crate) fn records(specimen_id: &str, value: &str) -> Vec<String> {
    vec![
        r"H|\^&|||Bench^1|||||||P|1|20260303080000".to_owned(),
        "P|1".to_owned(),
        format!("O|1|{specimen_id}||^^^WBC"),
        format!("R|1|^^^WBC|{value}|10*9/L||||F||||20260303075900"),
        "L|1|N".to_owned(),
    ]
}

/// The sending side of a LIS01 line.
pub(crate) struct Sender {
    stream: TcpStream,
    number: u8,
}

impl Sender {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, number: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The host's next byte.
    pub(crate) fn reply(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the host answers");
        byte[0]
    }

    pub(crate) fn bid(&mut self) -> u8 {
        self.number = 0;
        self.write(&[ENQ]);
        self.reply()
    }

    /// Sends one record in a frame of its own.
    pub(crate) fn frame(&mut self, record: &str) -> u8 {
        self.number = (self.number + 1) % 8;
        let mut frame = Vec::new();
        write_frame(&mut frame, self.number, format!("{record}\r").as_bytes(), UnitEnd::End);
        self.write(&frame);
        self.reply()
    }

    pub(crate) fn end(&mut self) {
        self.write(&[EOT]);
    }

    /// A bid and frames, each of which must be acknowledged.
    pub(crate) fn frames(&mut self, records: &[String]) {
        assert_eq!(self.bid(), ACK, "the bid");
        for record in records {
            assert_eq!(self.frame(record), ACK, "{record}");
        }
    }

    /// A whole message, acknowledged to its last frame.
    pub(crate) fn send(&mut self, specimen_id: &str, value: &str) {
        self.frames(&records(specimen_id, value));
        self.end();
    }

    /// Waits until the host closes the connection.
    pub(crate) fn await_close(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "instead of closing the host sent {rest:?}");
    }
}
