//! The daemon's side of the control socket.
//!
//! Constraints: the socket file is never, not even for a moment, open to more than owner and group; each
//! caller is known by its peer credentials before its first byte is read; what a client can make the
//! daemon keep in memory is one line of request and a few lines of answer; a client that stops reading
//! or writing loses its place after a while.

use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{LINE_BYTES_MAX, Line, Refusal, Request, is_data};
use crate::Limit;

/// Carries out commands.
pub trait Handler: Send + Sync + 'static {
    /// Carries out one command for `peer` and sends the lines of its answer.
    ///
    /// Dropped at its next await when the client goes away or the socket is closed, so nothing in it may
    /// be half done there.
    fn handle(
        &self,
        request: Request,
        peer: Peer,
        lines: Lines,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// A client ran into a limit. Count it.
    fn limit_reached(&self, limit: Limit) {
        let _ = limit;
    }
}

/// Who asks, as the kernel says (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process, where the kernel tells it.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Where a handler puts the lines of its answer. Bounded: a slow reader slows the handler down.
#[derive(Clone, Debug)]
pub struct Lines(mpsc::Sender<Value>);

impl Lines {
    /// Sends one data line: an object with more in it than a single `end` or `error`.
    ///
    /// # Errors
    /// When the client is gone, or the value is no data line; give it back with `?`.
    pub async fn send(&self, value: Value) -> Result<(), Refusal> {
        if !is_data(&value) {
            return Err(Refusal::new("internal", "a line of the answer could be taken for its end"));
        }
        self.0.send(value).await.map_err(|_| Refusal::new("gone", "the client is gone"))
    }
}

/// The limits of the socket.
#[derive(Clone, Copy, Debug)]
pub struct ControlLimits {
    /// How many clients are served at once; further ones are told `busy`.
    pub clients_max: usize,
    /// How many bytes a request may have, its line end included.
    pub request_bytes_max: usize,
    /// How long a client may be silent before it loses its connection.
    pub idle_timeout: Duration,
    /// How long a client may take to read one line.
    pub write_timeout: Duration,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            clients_max: 16,
            request_bytes_max: LINE_BYTES_MAX,
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// How many lines of an answer wait for a client that reads slowly.
const LINES_WAITING_MAX: usize = 16;

/// How often a client that only reads is looked after: its end changes nothing that could be waited for.
const HALF_CLOSED_CHECK: Duration = Duration::from_millis(250);

/// A bound control socket. Its file goes away with it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
    limits: ControlLimits,
}

impl Server {
    /// Binds the socket with mode 0660. Call it within the tokio runtime that will serve it.
    ///
    /// A file that a dead daemon left behind is replaced; one that somebody listens on is not.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] when somebody listens there or something else has that name.
    pub fn bind(path: &Path, limits: ControlLimits) -> io::Result<Self> {
        make_room(path)?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        // Linux gives the file the mode of the unbound socket less the umask: it is born narrow, and
        // the chmod after it can only open what the group is meant to have.
        rustix::fs::fchmod(socket.as_fd(), rustix::fs::Mode::from_raw_mode(0o660))?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = SocketFile::created(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        rustix::net::listen(&socket, 64)?;
        let listener = UnixListener::from_std(StdUnixListener::from(socket))?;
        Ok(Self { listener, file, limits })
    }

    /// Serves until `shutdown` is ready. Commands under way are dropped then.
    pub async fn serve<H: Handler>(self, handler: Arc<H>, shutdown: impl Future<Output = ()>) {
        let Self { listener, file, limits } = self;
        let places = Arc::new(Semaphore::new(limits.clients_max));
        let mut clients = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = clients.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let identified = accepted.and_then(|(stream, _)| {
                let credentials = stream.peer_cred()?;
                let peer = Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() };
                Ok((stream, peer))
            });
            let (stream, peer) = match identified {
                Ok(client) => client,
                Err(error) => {
                    tracing::warn!(event = "control_accept_failed", %error);
                    // Out of file descriptors: asking again at once would only spin.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let handler = Arc::clone(&handler);
                    clients.spawn(async move {
                        Conversation::new(stream, peer, limits).run(&*handler).await;
                        drop(place);
                    });
                }
                Err(_) => {
                    handler.limit_reached(Limit::ControlClients);
                    tracing::warn!(event = "control_client_refused", clients_max = limits.clients_max);
                    // The buffer of a fresh socket holds this line: no waiting, no task.
                    let busy = Refusal::new("busy", "too many clients of the control socket");
                    drop(stream.try_write(&Line::Error(busy).write()));
                }
            }
        }
        drop(listener);
        drop(file);
        clients.shutdown().await;
    }
}

/// One client from its first request to its last.
struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    peer: Peer,
    limits: ControlLimits,
}

/// Why a conversation is over.
enum Over {
    Closed,
    Limit(Limit),
    Broken(io::Error),
}

/// What reading a request came to.
enum Received {
    Request(Request),
    /// The line is used up, and the next one may be good.
    Malformed(Refusal),
    /// Where the line ends is unknown, so nothing after it can be read.
    TooLong(Refusal),
}

impl Conversation {
    fn new(stream: UnixStream, peer: Peer, limits: ControlLimits) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, peer, limits }
    }

    async fn run<H: Handler>(mut self, handler: &H) {
        let over = loop {
            if let Err(over) = self.exchange(handler).await {
                break over;
            }
        };
        let Peer { pid, uid, .. } = self.peer;
        match over {
            Over::Closed => {}
            Over::Limit(limit) => {
                handler.limit_reached(limit);
                tracing::warn!(event = "control_client_cut_off", limit = limit.name(), pid, uid);
            }
            Over::Broken(error) => tracing::debug!(event = "control_client_lost", pid, uid, %error),
        }
    }

    async fn exchange<H: Handler>(&mut self, handler: &H) -> Result<(), Over> {
        match self.receive().await? {
            Received::Request(request) => {
                let command = loggable(&request.command).to_owned();
                let outcome = self.answer(handler, request).await?;
                let Peer { pid, uid, gid } = self.peer;
                let outcome_code = outcome.as_ref().map_or_else(|refusal| refusal.code.as_str(), |()| "ok");
                tracing::info!(event = "control_command", command, outcome = outcome_code, pid, uid, gid);
                self.send(outcome.map_or_else(Line::Error, |()| Line::End)).await
            }
            Received::Malformed(refusal) => self.send(Line::Error(refusal)).await,
            Received::TooLong(refusal) => {
                self.send(Line::Error(refusal)).await?;
                Err(Over::Limit(Limit::ControlRequestBytes))
            }
        }
    }

    async fn receive(&mut self) -> Result<Received, Over> {
        let mut line = Vec::new();
        let bytes_max = self.limits.request_bytes_max;
        let mut limited = (&mut self.reader).take(bytes_max as u64);
        match timeout(self.limits.idle_timeout, limited.read_until(b'\n', &mut line)).await {
            Err(_) => return Err(Over::Limit(Limit::ControlIdleTime)),
            Ok(Err(error)) => return Err(Over::Broken(error)),
            Ok(Ok(0)) => return Err(Over::Closed),
            Ok(Ok(_)) => {}
        }
        if line.last() != Some(&b'\n') {
            return if line.len() >= bytes_max {
                let message = format!("the request is longer than {bytes_max} bytes");
                Ok(Received::TooLong(Refusal::new("too-long", message)))
            } else {
                Err(Over::Closed)
            };
        }
        Ok(match serde_json::from_slice(&line) {
            Ok(request) => Received::Request(request),
            // The parser's own words could quote what was sent; its position cannot.
            Err(error) => Received::Malformed(Refusal::bad_request(format!(
                "the line is not a request (column {}): expected {{\"command\": \"…\", \"arguments\": {{…}}}}",
                error.column()
            ))),
        })
    }

    /// Runs the handler and writes its lines as they come; gives back what the answer ends with.
    async fn answer<H: Handler>(
        &mut self,
        handler: &H,
        request: Request,
    ) -> Result<Result<(), Refusal>, Over> {
        let (sender, mut lines) = mpsc::channel(LINES_WAITING_MAX);
        let command = handler.handle(request, self.peer, Lines(sender));
        tokio::pin!(command);
        let mut outcome = None;
        loop {
            tokio::select! {
                biased;
                line = lines.recv() => match (line, outcome.take()) {
                    (Some(line), kept) => {
                        outcome = kept;
                        self.send(Line::Data(line)).await?;
                    }
                    (None, Some(outcome)) => return Ok(outcome),
                    // The handler has dropped its end and goes on without it.
                    (None, None) => return Ok(command.await),
                },
                done = &mut command, if outcome.is_none() => outcome = Some(done),
                () = hung_up(&mut self.reader, &self.writer) => return Err(Over::Closed),
            }
        }
    }

    async fn send(&mut self, line: Line) -> Result<(), Over> {
        let mut bytes = line.write();
        if bytes.len() > LINE_BYTES_MAX {
            let message = format!("a line of the answer is longer than {LINE_BYTES_MAX} bytes");
            bytes = Line::Error(Refusal::new("too-long", message)).write();
            self.write(&bytes).await?;
            return Err(Over::Limit(Limit::ControlLineBytes));
        }
        self.write(&bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match timeout(self.limits.write_timeout, self.writer.write_all(bytes)).await {
            Err(_) => Err(Over::Limit(Limit::ControlWriteTime)),
            Ok(Err(error)) => Err(Over::Broken(error)),
            Ok(Ok(())) => Ok(()),
        }
    }
}

/// Resolves once the client can no longer be told anything, so that a long command does not outlive it.
///
/// A client may close its writing half after the request and still read (`nc -N`); only when both are
/// closed is it gone. One that has already sent its next request is noticed at the next line.
async fn hung_up(reader: &mut BufReader<OwnedReadHalf>, writer: &OwnedWriteHalf) {
    if reader.fill_buf().await.is_ok_and(|next_request| !next_request.is_empty()) {
        return std::future::pending().await;
    }
    loop {
        match writer.ready(Interest::WRITABLE).await {
            Ok(ready) if !ready.is_write_closed() => tokio::time::sleep(HALF_CLOSED_CHECK).await,
            _ => return,
        }
    }
}

/// A command as it may be logged: its words are ours, anything else is the caller's and might be a patient's.
fn loggable(command: &str) -> &str {
    let ours = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b' ');
    if command.len() <= 64 && command.bytes().all(ours) { command } else { "(malformed)" }
}

/// Removes what a dead daemon left under this name.
fn make_room(path: &Path) -> io::Result<()> {
    let in_use = |reason: &str| {
        let text = format!("{} is in use: {reason}", path.display());
        Err(io::Error::new(io::ErrorKind::AddrInUse, text))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => in_use("it is not a socket"),
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => in_use("another daemon listens there"),
        },
    }
}

/// The file of a bound socket, removed at the end unless somebody else has taken its name since.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn created(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: inode(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|found| found == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(event = "control_socket_not_removed", path = %self.path.display(), %error);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
