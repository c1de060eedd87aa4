//! A pseudo-terminal's near end: what a simulated analyzer holds where a real one has its serial port.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The near end of a pseudo-terminal. Dropping it is what pulling the plug is on a real port.
#[derive(Debug)]
pub struct PseudoTerminal {
    near: AsyncFd<OwnedFd>,
    /// Kept open so that the near end does not report a hang-up while nobody has opened the far one.
    far: OwnedFd,
    path: PathBuf,
}

impl PseudoTerminal {
    /// Makes a pseudo-terminal, its far end without echo and line editing.
    ///
    /// # Errors
    /// What the system reports, for example that there are too many.
    pub fn open() -> io::Result<Self> {
        let near = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&near)?;
        rustix::pty::unlockpt(&near)?;
        let name = rustix::pty::ptsname(&near, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        let far = rustix::pty::ioctl_tiocgptpeer(
            &near,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        )?;
        let mut termios = rustix::termios::tcgetattr(&far)?;
        termios.make_raw();
        rustix::termios::tcsetattr(&far, OptionalActions::Now, &termios)?;
        rustix::io::ioctl_fionbio(&near, true)?;
        #[expect(
            deprecated,
            reason = "unsound for types that change their descriptor; an OwnedFd keeps its own"
        )]
        let near = AsyncFd::new(near)?;
        Ok(Self { near, far, path })
    }

    /// The far end's device, for a serial port's configuration.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lifts the exclusive use that a killed process left behind. A real port forgets it with its last
    /// descriptor; this one is kept open by its near end.
    ///
    /// # Errors
    /// What the system reports.
    pub fn release(&self) -> io::Result<()> {
        Ok(rustix::termios::ioctl_tiocnxcl(&self.far)?)
    }
}

impl AsyncRead for PseudoTerminal {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.near.poll_read_ready(cx))?;
            let unfilled = buf.initialize_unfilled();
            match guard.try_io(|near| Ok(rustix::io::read(near, unfilled)?)) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for PseudoTerminal {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.near.poll_write_ready(cx))?;
            match guard.try_io(|near| Ok(rustix::io::write(near, buf)?)) {
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
