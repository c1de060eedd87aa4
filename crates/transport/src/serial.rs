//! Serial ports. They are opened for ourselves alone, verified to run as configured, and their marks of
//! damaged characters are taken out of the stream.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{InputModes, OptionalActions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::{ErrorKind, SerialPort, SerialStream};

use crate::endpoint::{DataBits, Flow, Parity, SerialSettings, StopBits};
use crate::marks::{Unmarked, Unmarker};

/// Raw bytes taken from the kernel at a time.
const RAW_BYTES: usize = 4096;

/// Why a serial port could not be opened, from the operator's chair.
#[derive(Debug)]
pub enum SerialError {
    /// There is no such device: not plugged in, or another name.
    Absent(PathBuf),
    /// This process may not open it.
    NotPermitted(PathBuf),
    /// Another process has it; its id where that can be found out.
    Busy(PathBuf, Option<u32>),
    /// The device does not run with these settings.
    Refused(PathBuf, &'static str),
    /// Anything else.
    Io(PathBuf, io::Error),
}

impl fmt::Display for SerialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(device) => {
                write!(f, "{} is not there; is the adapter plugged in?", device.display())
            }
            Self::NotPermitted(device) => write!(
                f,
                "{} may not be opened; the user needs the device's group (often dialout), the unit its DeviceAllow",
                device.display()
            ),
            Self::Busy(device, Some(pid)) => write!(f, "{} is in use by process {pid}", device.display()),
            Self::Busy(device, None) => write!(f, "{} is in use by another process", device.display()),
            Self::Refused(device, what) => write!(f, "{} refused {what}", device.display()),
            Self::Io(device, error) => write!(f, "{} cannot be opened: {error}", device.display()),
        }
    }
}

impl Error for SerialError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

impl From<SerialError> for io::Error {
    fn from(error: SerialError) -> Self {
        let kind = match &error {
            SerialError::Absent(_) => io::ErrorKind::NotFound,
            SerialError::NotPermitted(_) => io::ErrorKind::PermissionDenied,
            SerialError::Busy(..) => io::ErrorKind::ResourceBusy,
            SerialError::Refused(..) => io::ErrorKind::Unsupported,
            SerialError::Io(_, error) => error.kind(),
        };
        Self::new(kind, error)
    }
}

/// An open serial port.
#[derive(Debug)]
pub struct SerialWire {
    stream: SerialStream,
    unmarker: Unmarker,
    raw: Box<[u8; RAW_BYTES]>,
    /// The part of `raw` that has not been handed on.
    pending: core::ops::Range<usize>,
}

impl SerialWire {
    /// Opens the port.
    ///
    /// # Errors
    /// See [`SerialError`].
    pub fn open(settings: &SerialSettings) -> Result<Self, SerialError> {
        let SerialSettings { device, line } = settings;
        // A second descriptor for the terminal settings that tokio-serial does not offer. It comes first,
        // because once the port is exclusive nobody can open it again, ourselves included.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let control = rustix::fs::open(device, flags, Mode::empty())
            .map_err(|errno| from_errno(device, errno.into()))?;
        if !rustix::termios::isatty(&control) {
            return Err(SerialError::Refused(
                device.clone(),
                "to be a serial port: it is no terminal device",
            ));
        }
        let builder = tokio_serial::new(device.to_string_lossy(), line.baud)
            .data_bits(match line.data_bits {
                DataBits::Seven => tokio_serial::DataBits::Seven,
                DataBits::Eight => tokio_serial::DataBits::Eight,
            })
            .parity(parity(line.parity))
            .stop_bits(match line.stop_bits {
                StopBits::One => tokio_serial::StopBits::One,
                StopBits::Two => tokio_serial::StopBits::Two,
            })
            .flow_control(match line.flow {
                Flow::None => tokio_serial::FlowControl::None,
                Flow::Software => tokio_serial::FlowControl::Software,
                Flow::Hardware => tokio_serial::FlowControl::Hardware,
            })
            .exclusive(true);
        let stream = SerialStream::open(&builder).map_err(|error| from_serial(device, settings, error))?;
        verify(&stream, settings)?;
        mark_errors(&control, line.parity).map_err(|error| SerialError::Io(device.clone(), error))?;
        Ok(Self { stream, unmarker: Unmarker::default(), raw: Box::new([0; RAW_BYTES]), pending: 0..0 })
    }

    /// Hands on what is left of the last read: bytes up to the first damaged character, or that one.
    fn unmark(&mut self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let filled_before = buf.filled().len();
        while buf.remaining() > 0 {
            let Some(at) = self.pending.next() else { break };
            match self.unmarker.next(self.raw[at]) {
                Unmarked::Byte(byte) => buf.put_slice(&[byte]),
                Unmarked::Pending => {}
                Unmarked::Error(error) if buf.filled().len() == filled_before => {
                    return Some(Err(error.into()));
                }
                Unmarked::Error(_) => {
                    // Read again at the next call, when the bytes in front of it are gone.
                    self.pending.start = at;
                    self.unmarker = Unmarker::Error;
                    break;
                }
            }
        }
        (buf.filled().len() > filled_before).then_some(Ok(()))
    }
}

/// A pseudo-terminal, and some adapters, take parity and seven bits without a word and go on with 8N1: the
/// settings are read back.
fn verify(stream: &SerialStream, settings: &SerialSettings) -> Result<(), SerialError> {
    let refused = |what| Err(SerialError::Refused(settings.device.clone(), what));
    if stream.parity().ok() != Some(parity(settings.line.parity)) {
        return refused("this parity; it runs without");
    }
    let seven = stream.data_bits().ok() == Some(tokio_serial::DataBits::Seven);
    if seven != (settings.line.data_bits == DataBits::Seven) {
        return refused("this number of data bits");
    }
    Ok(())
}

const fn parity(parity: Parity) -> tokio_serial::Parity {
    match parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    }
}

/// Without this the kernel leaves damaged characters out, and a frame with a hole in it is only found out by
/// its checksum, if it has one.
fn mark_errors(control: impl std::os::fd::AsFd, parity: Parity) -> io::Result<()> {
    let mut termios = rustix::termios::tcgetattr(&control)?;
    let modes = &mut termios.input_modes;
    modes.remove(InputModes::IGNPAR | InputModes::IGNBRK | InputModes::BRKINT | InputModes::ISTRIP);
    modes.insert(InputModes::PARMRK);
    modes.set(InputModes::INPCK, parity != Parity::None);
    rustix::termios::tcsetattr(&control, OptionalActions::Now, &termios)?;
    Ok(())
}

fn from_serial(device: &Path, settings: &SerialSettings, error: tokio_serial::Error) -> SerialError {
    let eight_n_one = settings.line.parity == Parity::None && settings.line.data_bits == DataBits::Eight;
    match error.kind {
        // tokio-serial reports EBUSY and a lost race for its lock in this way.
        ErrorKind::NoDevice => SerialError::Busy(device.to_owned(), holder(device)),
        ErrorKind::InvalidInput if !eight_n_one => {
            SerialError::Refused(device.to_owned(), "this parity or number of data bits")
        }
        ErrorKind::InvalidInput => SerialError::Refused(device.to_owned(), "these settings"),
        _ => from_errno(device, error.into()),
    }
}

fn from_errno(device: &Path, error: io::Error) -> SerialError {
    match error.kind() {
        io::ErrorKind::NotFound => SerialError::Absent(device.to_owned()),
        io::ErrorKind::PermissionDenied => SerialError::NotPermitted(device.to_owned()),
        io::ErrorKind::ResourceBusy => SerialError::Busy(device.to_owned(), holder(device)),
        _ => SerialError::Io(device.to_owned(), error),
    }
}

/// The process that has the device open, as far as this one may see.
fn holder(device: &Path) -> Option<u32> {
    let device = device.canonicalize().ok()?;
    let own = std::process::id();
    let mut processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.find_map(|process| {
        let pid = process.file_name().to_str()?.parse::<u32>().ok().filter(|pid| *pid != own)?;
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.any(|file| std::fs::read_link(file.path()).is_ok_and(|path| path == device)).then_some(pid)
    })
}

impl AsyncRead for SerialWire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(result) = this.unmark(buf) {
                return Poll::Ready(result);
            }
            let mut raw = ReadBuf::new(&mut this.raw[..]);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut raw))?;
            this.pending = 0..raw.filled().len();
            if this.pending.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for SerialWire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    /// Nothing to do: `write` has given the bytes to the kernel. To wait for the last one on the line (tcdrain)
    /// would block the whole thread, for ever where flow control holds the line.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::marks::CharacterError;
    use crate::pty::PseudoTerminal;

    /// A pseudo-terminal doubles a marked FF, so marks are laid where the kernel of a real port would put them.
    fn with_raw(marked: &[u8]) -> (PseudoTerminal, SerialWire) {
        let analyzer = PseudoTerminal::open().unwrap();
        let mut wire = SerialWire::open(&SerialSettings::new(analyzer.path())).unwrap();
        wire.raw[..marked.len()].copy_from_slice(marked);
        wire.pending = 0..marked.len();
        (analyzer, wire)
    }

    #[tokio::test]
    async fn a_damaged_character_is_reported_at_its_place_and_the_line_goes_on() {
        let (_analyzer, mut wire) = with_raw(b"\x021H\xff\x00|\\^\xff\xff\xff\x00\x00&\r");
        let mut buffer = [0; 64];
        let mut seen = Vec::new();
        for _ in 0..5 {
            match wire.read(&mut buffer).await {
                Ok(count) => seen.push(Ok(buffer[..count].to_vec())),
                Err(error) => seen.push(Err(CharacterError::of(&error).unwrap())),
            }
        }
        assert_eq!(
            seen,
            [
                Ok(b"\x021H".to_vec()),
                Err(CharacterError::Damaged(b'|')),
                Ok(b"\\^\xff".to_vec()),
                Err(CharacterError::Break),
                Ok(b"&\r".to_vec()),
            ]
        );
    }

    #[tokio::test]
    async fn a_mark_cut_by_a_small_buffer_keeps_its_meaning() {
        let (_analyzer, mut wire) = with_raw(b"ab\xff\xffc\xff\x00d");
        let mut buffer = [0; 1];
        let mut good = Vec::new();
        let error = loop {
            match wire.read(&mut buffer).await {
                Ok(count) => good.extend_from_slice(&buffer[..count]),
                Err(error) => break error,
            }
        };
        assert_eq!(good, b"ab\xffc");
        assert_eq!(CharacterError::of(&error), Some(CharacterError::Damaged(b'd')));
    }
}
