//! A terminal server that is set over the network (RFC 2217), played by a test over real TCP.
//!
//! It is written from the RFC and shares nothing with the client that it is to judge.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does other than what it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manners {
    /// Nothing.
    #[default]
    Obliging,
    /// It refuses COM port control.
    WithoutComPortControl,
    /// Its port runs at this speed, whatever is asked for.
    AtBaud(u32),
    /// It answers nothing, as a raw port.
    Raw,
}

/// The network side of a terminal server with one serial port.
#[derive(Debug)]
pub struct TerminalServer {
    listener: TcpListener,
}

impl TerminalServer {
    /// A server on a free port of the loopback.
    ///
    /// # Errors
    /// No port is free.
    pub fn bind() -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind("127.0.0.1:0")? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for a client and serves it until its seven commands are answered, or it goes.
    ///
    /// # Errors
    /// The client went, or said nothing for half a minute.
    pub fn accept(&self, manners: Manners) -> io::Result<SerialSide> {
        let (stream, _) = self.listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut line = SerialSide { stream, manners, asked: BTreeMap::new(), early: Vec::new() };
        // The last command of a client that sets everything is the mask of modem states.
        while manners != Manners::Raw && !line.asked.contains_key(&11) {
            if let Some(byte) = line.step()? {
                line.early.push(byte);
            }
        }
        Ok(line)
    }
}

/// The serial side of a terminal server: what a test does here, an analyzer does.
#[derive(Debug)]
pub struct SerialSide {
    stream: TcpStream,
    manners: Manners,
    asked: BTreeMap<u8, u32>,
    early: Vec<u8>,
}

impl SerialSide {
    /// What the client asked for, by the command of RFC 2217: 1 for the speed to 11 for the mask of modem states.
    pub const fn asked(&self) -> &BTreeMap<u8, u32> {
        &self.asked
    }

    /// Bytes that the client sent for the line before the port was set.
    pub fn early(&self) -> &[u8] {
        &self.early
    }

    /// Sends characters from the line to the client.
    ///
    /// # Errors
    /// The client is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let escaped: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| core::iter::repeat_n(*byte, 1 + usize::from(*byte == 0xff)))
            .collect();
        self.stream.write_all(&escaped)
    }

    /// Sends a command of the server: 106 and a line state, 108 to suspend, 109 to resume.
    ///
    /// # Errors
    /// The client is gone.
    pub fn command(&mut self, command: u8, value: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0xff, 0xfa, 44, command];
        for byte in value {
            bytes.extend(core::iter::repeat_n(*byte, 1 + usize::from(*byte == 0xff)));
        }
        bytes.extend([0xff, 0xf0]);
        self.stream.write_all(&bytes)
    }

    /// The next characters for the line.
    ///
    /// # Errors
    /// The client is gone, or said nothing for half a minute.
    pub fn receive(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut received = Vec::new();
        while received.len() < count {
            received.extend(self.step()?);
        }
        Ok(received)
    }

    /// Whether the client says nothing for so long.
    ///
    /// # Errors
    /// The client is gone.
    pub fn is_silent_for(&mut self, time: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match peeked {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(true)
            }
            peeked => peeked.map(|_| false),
        }
    }

    /// Waits until the client closes.
    ///
    /// # Errors
    /// It does not within half a minute.
    pub fn await_close(&mut self) -> io::Result<()> {
        loop {
            match self.step() {
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::UnexpectedEof
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::BrokenPipe
                    ) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// Reads a character for the line, or a command, which it answers.
    fn step(&mut self) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        if byte != 0xff || self.manners == Manners::Raw {
            return Ok(Some(byte));
        }
        match self.byte()? {
            0xff => return Ok(Some(0xff)),
            verb @ (0xfb | 0xfd) => {
                let option = self.byte()?;
                let (yes, no) = if verb == 0xfb { (0xfd, 0xfe) } else { (0xfb, 0xfc) };
                let refused = option == 44 && self.manners == Manners::WithoutComPortControl;
                self.stream.write_all(&[0xff, if refused { no } else { yes }, option])?;
            }
            0xfc | 0xfe => drop(self.byte()?),
            0xfa => self.subnegotiation()?,
            _ => {}
        }
        Ok(None)
    }

    fn subnegotiation(&mut self) -> io::Result<()> {
        let mut body = Vec::new();
        loop {
            match self.byte()? {
                0xff => match self.byte()? {
                    0xff => body.push(0xff),
                    0xf0 => break,
                    _ => return Err(io::ErrorKind::InvalidData.into()),
                },
                byte => body.push(byte),
            }
        }
        let [44, command, value @ ..] = body.as_slice() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let number = value.iter().fold(0, |number: u32, byte| (number << 8) | u32::from(*byte));
        self.asked.insert(*command, number);
        match (self.manners, command) {
            (Manners::AtBaud(baud), 1) => self.command(101, &baud.to_be_bytes()),
            _ => self.command(command + 100, value),
        }
    }
}
