//! Telnet and its COM port control option (RFC 854, 855, 856, 858, 2217), the client's side, byte by byte.
//!
//! What one byte means depends on the bytes before it alone, so that chunks cannot matter. The only memory is
//! the replies that wait in [`ComPort::transmit`]: never more bytes than were read since they were last taken.

use std::error::Error;
use std::fmt;
use std::io;

use crate::endpoint::{DataBits, Flow, LineSettings, Parity, StopBits};
use crate::marks::CharacterError;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT_OPTION: u8 = 44;

const NOTIFY_LINESTATE: u8 = 6;
const FLOWCONTROL_SUSPEND: u8 = 8;
const FLOWCONTROL_RESUME: u8 = 9;
const SET_LINESTATE_MASK: u8 = 10;
const SET_MODEMSTATE_MASK: u8 = 11;
/// What the server adds to a command that it answers, or sends by itself.
const FROM_SERVER: u8 = 100;

const BREAK: u8 = 0x10;
/// Break, framing error, parity error, overrun.
const LINE_ERRORS: u8 = BREAK | 0x08 | 0x04 | 0x02;

/// Bytes of a subnegotiation; beyond them its end is not waited for, because it would swallow the analyzer's
/// data. Signatures are the longest that are sent, and rarely have a hundred.
const SUBNEGOTIATION_BYTES_MAX: usize = 1024;
/// Bytes of it that are looked at: option, command and four of a baud rate.
const COMMAND_BYTES_MAX: usize = 6;

/// What a terminal server is asked to set, and says that it has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Bits per second.
    Baud,
    /// Bits of a character.
    DataBits,
    /// Parity.
    Parity,
    /// Stop bits.
    StopBits,
    /// Flow control.
    FlowControl,
}

impl Setting {
    const ALL: [Self; 5] = [Self::Baud, Self::DataBits, Self::Parity, Self::StopBits, Self::FlowControl];

    /// RFC 2217 section 3: SET-BAUDRATE to SET-CONTROL.
    const fn command(self) -> u8 {
        match self {
            Self::Baud => 1,
            Self::DataBits => 2,
            Self::Parity => 3,
            Self::StopBits => 4,
            Self::FlowControl => 5,
        }
    }

    const fn wanted(self, line: &LineSettings) -> u32 {
        match self {
            Self::Baud => line.baud,
            Self::DataBits => match line.data_bits {
                DataBits::Seven => 7,
                DataBits::Eight => 8,
            },
            Self::Parity => match line.parity {
                Parity::None => 1,
                Parity::Odd => 2,
                Parity::Even => 3,
            },
            Self::StopBits => match line.stop_bits {
                StopBits::One => 1,
                StopBits::Two => 2,
            },
            Self::FlowControl => match line.flow {
                Flow::None => 1,
                Flow::Software => 2,
                Flow::Hardware => 3,
            },
        }
    }

    /// What a value means, for people.
    fn describe(self, value: u32) -> String {
        let word = match (self, value) {
            (Self::Parity, 1) => "no parity",
            (Self::Parity, 2) => "odd parity",
            (Self::Parity, 3) => "even parity",
            (Self::Parity, 4) => "mark parity",
            (Self::Parity, 5) => "space parity",
            (Self::StopBits, 1) => "1 stop bit",
            (Self::StopBits, 2) => "2 stop bits",
            (Self::StopBits, 3) => "1.5 stop bits",
            (Self::FlowControl, 1) => "no flow control",
            (Self::FlowControl, 2) => "software flow control",
            (Self::FlowControl, 3) => "hardware flow control",
            (Self::FlowControl, _) => "another flow control",
            (Self::Baud, _) => return format!("{value} baud"),
            (Self::DataBits, _) => return format!("{value} data bits"),
            (Self::Parity, _) => return format!("parity {value}"),
            (Self::StopBits, _) => return format!("stop bits {value}"),
        };
        word.to_owned()
    }
}

/// Why a terminal server's port cannot be used, from the operator's chair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComPortError {
    /// It does not let its port be set over the network.
    NoComPortControl,
    /// It does not carry all eight bits of a byte.
    NoBinary,
    /// It runs its port with another setting.
    Refused {
        /// Which one.
        setting: Setting,
        /// As configured, in the numbers of RFC 2217.
        wanted: u32,
        /// As the server has it.
        got: u32,
    },
    /// It did not answer in time; no setting at all, or not this one.
    Unanswered(Option<Setting>),
    /// Bytes that are not telnet, or a subnegotiation without an end.
    NotTelnet,
}

impl ComPortError {
    /// Whether only a person can mend it: the port's set-up on the terminal server, or ours.
    pub(crate) const fn is_configuration(self) -> bool {
        matches!(self, Self::NoComPortControl | Self::NoBinary | Self::Refused { .. })
    }
}

impl fmt::Display for ComPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoComPortControl => f.write_str(
                "the terminal server refuses COM port control (RFC 2217); turn it on for this port, or leave `rfc2217` out and set the line there",
            ),
            Self::NoBinary => f.write_str("the terminal server refuses binary transmission (RFC 856)"),
            Self::Refused { setting, wanted, got } => write!(
                f,
                "the terminal server runs its port with {} where {} is configured",
                setting.describe(*got),
                setting.describe(*wanted)
            ),
            Self::Unanswered(None) => f.write_str(
                "no answer to the negotiation of COM port control (RFC 2217); is this the raw port of the terminal server?",
            ),
            Self::Unanswered(Some(setting)) => {
                let what = match setting {
                    Setting::Baud => "the baud rate",
                    Setting::DataBits => "the number of data bits",
                    Setting::Parity => "the parity",
                    Setting::StopBits => "the number of stop bits",
                    Setting::FlowControl => "the flow control",
                };
                write!(f, "the terminal server does not confirm {what}")
            }
            Self::NotTelnet => f.write_str("what the terminal server sends is not telnet"),
        }
    }
}

impl Error for ComPortError {}

impl From<ComPortError> for io::Error {
    fn from(error: ComPortError) -> Self {
        let kind = match error {
            ComPortError::NoComPortControl | ComPortError::NoBinary | ComPortError::Refused { .. } => {
                io::ErrorKind::Unsupported
            }
            ComPortError::Unanswered(_) => io::ErrorKind::TimedOut,
            ComPortError::NotTelnet => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// What a byte of the server completed for the reader of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// A character of the serial line.
    Byte(u8),
    /// A character there did not arrive whole.
    Error(CharacterError),
}

/// An option that is on, was asked for, or was refused; RFC 1143 needs no more states where one asks once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Asked,
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    Data,
    Command,
    /// The option of WILL, WONT, DO or DONT.
    Option(u8),
    Subnegotiation,
    /// Behind IAC in a subnegotiation.
    SubnegotiationCommand,
}

/// The client's side of one connection to a terminal server.
#[derive(Debug)]
pub(crate) struct ComPort {
    line: LineSettings,
    awaiting: Awaiting,
    /// The beginning of the subnegotiation under way, and its length.
    command: [u8; COMMAND_BYTES_MAX],
    command_len: usize,
    binary_here: Agreement,
    binary_there: Agreement,
    go_ahead_here: Agreement,
    go_ahead_there: Agreement,
    com_port: Agreement,
    /// The server may offer what only we command; that it may changes nothing.
    com_port_there: Agreement,
    confirmed: [bool; Setting::ALL.len()],
    suspended: bool,
    failure: Option<ComPortError>,
    transmit: Vec<u8>,
}

impl ComPort {
    /// A connection that has just been made; its first commands wait in [`Self::transmit`].
    pub(crate) fn new(line: LineSettings) -> Self {
        let mut transmit = Vec::new();
        for (verb, option) in [
            (WILL, COM_PORT_OPTION),
            (WILL, BINARY),
            (DO, BINARY),
            (WILL, SUPPRESS_GO_AHEAD),
            (DO, SUPPRESS_GO_AHEAD),
        ] {
            transmit.extend([IAC, verb, option]);
        }
        Self {
            line,
            awaiting: Awaiting::Data,
            command: [0; COMMAND_BYTES_MAX],
            command_len: 0,
            binary_here: Agreement::Asked,
            binary_there: Agreement::Asked,
            go_ahead_here: Agreement::Asked,
            go_ahead_there: Agreement::Asked,
            com_port: Agreement::Asked,
            com_port_there: Agreement::Off,
            confirmed: [false; Setting::ALL.len()],
            suspended: false,
            failure: None,
            transmit,
        }
    }

    /// Takes one byte of the server. A connection that has failed passes nothing on.
    pub(crate) fn handle(&mut self, byte: u8) -> Option<Item> {
        if self.failure.is_some() {
            return None;
        }
        match (self.awaiting, byte) {
            (Awaiting::Data, IAC) => self.awaiting = Awaiting::Command,
            (Awaiting::Data, _) => return Some(Item::Byte(byte)),
            (Awaiting::Command, IAC) => {
                self.awaiting = Awaiting::Data;
                return Some(Item::Byte(IAC));
            }
            (Awaiting::Command | Awaiting::SubnegotiationCommand, WILL | WONT | DO | DONT) => {
                self.awaiting = Awaiting::Option(byte);
            }
            (Awaiting::Command | Awaiting::SubnegotiationCommand, SB) => {
                self.command_len = 0;
                self.awaiting = Awaiting::Subnegotiation;
            }
            (Awaiting::SubnegotiationCommand, IAC) => {
                self.awaiting = Awaiting::Subnegotiation;
                self.keep(IAC);
            }
            (Awaiting::SubnegotiationCommand, SE) => {
                self.awaiting = Awaiting::Data;
                return self.obey();
            }
            // NOP, AYT and the others are for terminals.
            (Awaiting::Command | Awaiting::SubnegotiationCommand, _) => self.awaiting = Awaiting::Data,
            (Awaiting::Option(verb), option) => {
                self.awaiting = Awaiting::Data;
                self.negotiate(verb, option);
            }
            (Awaiting::Subnegotiation, IAC) => self.awaiting = Awaiting::SubnegotiationCommand,
            (Awaiting::Subnegotiation, _) => self.keep(byte),
        }
        None
    }

    /// Bytes for the server; whoever sends them takes them.
    pub(crate) const fn transmit(&mut self) -> &mut Vec<u8> {
        &mut self.transmit
    }

    /// Whether the port runs as configured and bytes pass unchanged.
    pub(crate) fn is_ready(&self) -> bool {
        self.com_port == Agreement::On
            && self.binary_here == Agreement::On
            && self.binary_there == Agreement::On
            && self.confirmed.iter().all(|confirmed| *confirmed)
    }

    /// Whether the server asked for no more data for the time being.
    pub(crate) const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Why the connection is of no use.
    pub(crate) const fn failure(&self) -> Option<ComPortError> {
        self.failure
    }

    /// What is not answered yet, as an error.
    pub(crate) fn unanswered(&self) -> ComPortError {
        let unconfirmed = Setting::ALL.into_iter().zip(self.confirmed).find(|(_, confirmed)| !confirmed);
        match unconfirmed {
            Some((setting, _)) if self.com_port == Agreement::On => ComPortError::Unanswered(Some(setting)),
            _ => ComPortError::Unanswered(None),
        }
    }

    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.command.get_mut(self.command_len) {
            *place = byte;
        }
        self.command_len += 1;
        if self.command_len > SUBNEGOTIATION_BYTES_MAX {
            self.failure = Some(ComPortError::NotTelnet);
        }
    }

    fn negotiate(&mut self, verb: u8, option: u8) {
        let here = matches!(verb, DO | DONT);
        let agreement = match (option, here) {
            (BINARY, true) => &mut self.binary_here,
            (BINARY, false) => &mut self.binary_there,
            (SUPPRESS_GO_AHEAD, true) => &mut self.go_ahead_here,
            (SUPPRESS_GO_AHEAD, false) => &mut self.go_ahead_there,
            (COM_PORT_OPTION, true) => &mut self.com_port,
            (COM_PORT_OPTION, false) => &mut self.com_port_there,
            // RFC 1123 section 3.2.1: what is unknown is refused; a refusal is not answered.
            (_, true) => return self.reply(verb == DO, WONT, option),
            (_, false) => return self.reply(verb == WILL, DONT, option),
        };
        let before = *agreement;
        let agreed = matches!(verb, DO | WILL);
        *agreement = if agreed { Agreement::On } else { Agreement::Off };
        let (yes, no) = if here { (WILL, WONT) } else { (DO, DONT) };
        match (agreed, before) {
            (true, Agreement::Off) => self.reply(true, yes, option),
            (false, Agreement::On) => self.reply(true, no, option),
            _ => {}
        }
        match (option, agreed) {
            (BINARY, false) => self.failure = Some(ComPortError::NoBinary),
            (COM_PORT_OPTION, false) if here => self.failure = Some(ComPortError::NoComPortControl),
            (COM_PORT_OPTION, true) if here && before == Agreement::Asked => self.configure(),
            _ => {}
        }
    }

    fn reply(&mut self, due: bool, verb: u8, option: u8) {
        if due {
            self.transmit.extend([IAC, verb, option]);
        }
    }

    fn configure(&mut self) {
        for setting in Setting::ALL {
            let wanted = setting.wanted(&self.line);
            match setting {
                Setting::Baud => self.command(setting.command(), &wanted.to_be_bytes()),
                // Every other value is one octet.
                _ => self.command(setting.command(), &wanted.to_be_bytes()[3..]),
            }
        }
        self.command(SET_LINESTATE_MASK, &[LINE_ERRORS]);
        self.command(SET_MODEMSTATE_MASK, &[0]);
    }

    fn command(&mut self, command: u8, value: &[u8]) {
        self.transmit.extend([IAC, SB, COM_PORT_OPTION, command]);
        escape(value, &mut self.transmit);
        self.transmit.extend([IAC, SE]);
    }

    /// Carries out the subnegotiation that has ended.
    fn obey(&mut self) -> Option<Item> {
        let whole = self.command.get(..self.command_len)?;
        let (&[COM_PORT_OPTION, command], value) = whole.split_first_chunk::<2>()? else { return None };
        match (command.checked_sub(FROM_SERVER)?, value) {
            (NOTIFY_LINESTATE, &[state]) => return line_error(state).map(Item::Error),
            (FLOWCONTROL_SUSPEND, []) => self.suspended = true,
            (FLOWCONTROL_RESUME, []) => self.suspended = false,
            (1, &[a, b, c, d]) => self.confirm(Setting::Baud, u32::from_be_bytes([a, b, c, d])),
            (2, &[bits]) => self.confirm(Setting::DataBits, bits.into()),
            (3, &[parity]) => self.confirm(Setting::Parity, parity.into()),
            (4, &[bits]) => self.confirm(Setting::StopBits, bits.into()),
            // The other values are of BREAK, DTR and RTS; 17 to 19 are flow controls that nobody asks for here.
            (5, &[control @ (1..=3 | 17..=19)]) => self.confirm(Setting::FlowControl, control.into()),
            _ => {}
        }
        None
    }

    /// A server answers with the value that its port runs with, whatever it was asked for.
    fn confirm(&mut self, setting: Setting, got: u32) {
        let wanted = setting.wanted(&self.line);
        if got != wanted {
            self.failure = Some(ComPortError::Refused { setting, wanted, got });
            return;
        }
        for (one, confirmed) in Setting::ALL.into_iter().zip(&mut self.confirmed) {
            *confirmed |= one == setting;
        }
    }
}

/// Doubles IAC, so that it is data (RFC 854).
pub(crate) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == IAC {
            out.push(IAC);
        }
    }
}

const fn line_error(state: u8) -> Option<CharacterError> {
    if state & BREAK != 0 {
        Some(CharacterError::Break)
    } else if state & LINE_ERRORS != 0 {
        Some(CharacterError::Unlocated)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
