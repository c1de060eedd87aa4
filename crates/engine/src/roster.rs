//! The connections that are served, and how they become others while the daemon runs.
//!
//! A change is prepared whole, addresses bound and numbers read, before any of it is applied: what
//! cannot be done leaves everything as it was. Each connection then follows its orders by itself, and
//! one that has to close what is open does so when nothing is under way.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use labwire_session::sequence_number;
use labwire_store::{MessageFilter, Reader, SpoolHandle};
use labwire_transport::{Endpoint, Listener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{self, ConnectionSettings, Limits, Orders, Serving, Shared};
use crate::delivery::Nudge;
use crate::{StartError, telemetry};

/// Messages looked through for the sequence number accepted last; those that start the link have none.
const NUMBERED_MESSAGES_MAX: usize = 32;

/// What became of a connection when the configuration was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is as it was: sockets and sessions are undisturbed.
    Kept,
    /// It is new.
    Added,
    /// It is not configured any more: what is under way may end.
    Removed,
    /// It goes on with other settings as soon as nothing is under way.
    Renewed,
    /// It is reached in another way: what is open is closed as soon as nothing is under way.
    Reopened,
}

impl Change {
    /// The word in logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Renewed => "renewed",
            Self::Reopened => "reopened",
        }
    }
}

/// What every connection works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) spool: SpoolHandle,
    pub(crate) sinks: Vec<String>,
    pub(crate) nudge: Nudge,
    pub(crate) ready: watch::Receiver<bool>,
}

struct Member {
    shared: Arc<Shared>,
    /// The listening socket, to be handed on when the connection is served under other settings.
    socket: Option<TcpListener>,
    task: Option<JoinHandle<()>>,
    configured: bool,
}

/// All connections, and those that are ending.
pub(crate) struct Roster {
    members: Mutex<Vec<Member>>,
    surroundings: Surroundings,
    /// How long incomplete messages of connections are held that are not configured any more.
    orphan_hold: Mutex<Duration>,
}

/// A listening socket that is bound, and the handle by which it is passed on.
type Bound = Option<(Listener, TcpListener)>;

impl Roster {
    pub(crate) fn new(surroundings: Surroundings, orphan_hold: Duration) -> Self {
        Self { members: Mutex::new(Vec::new()), surroundings, orphan_hold: Mutex::new(orphan_hold) }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configured connections, in the order in which they were added.
    pub(crate) fn configured(&self) -> Vec<Arc<Shared>> {
        let members = self.members();
        members.iter().filter(|one| one.configured).map(|one| Arc::clone(&one.shared)).collect()
    }

    /// Also those that are ending.
    pub(crate) fn all(&self) -> Vec<Arc<Shared>> {
        self.members().iter().map(|one| Arc::clone(&one.shared)).collect()
    }

    /// A configured connection.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Shared>> {
        self.configured().into_iter().find(|one| one.name == name)
    }

    /// How long incomplete messages wait for their sender, by connection, and of those that are not
    /// configured any more.
    pub(crate) fn incomplete_holds(&self) -> (BTreeMap<String, Duration>, Duration) {
        let configured = self.configured();
        let holds = configured.iter().map(|one| (one.name.clone(), one.settings().incomplete_hold)).collect();
        (holds, *self.orphan_hold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves these connections and no others. Blocks on the spool; call within a tokio runtime.
    ///
    /// # Errors
    /// Every address that cannot be bound, or that the spool cannot be read; nothing is changed then.
    pub(crate) fn apply(
        &self,
        wanted: Vec<ConnectionSettings>,
        limits: Limits,
        orphan_hold: Duration,
        inherited: &mut HashMap<String, TcpListener>,
    ) -> Result<Vec<(String, Change)>, Vec<StartError>> {
        let mut members = self.members();
        let mut prepared = Vec::with_capacity(wanted.len());
        let mut errors = Vec::new();
        for settings in wanted {
            match self.prepare(&members, settings, limits, inherited) {
                Ok(one) => prepared.push(one),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut changes = Vec::new();
        for member in members.iter_mut().filter(|member| member.configured) {
            if !prepared.iter().any(|one| one.settings.name == member.shared.name) {
                member.remove();
                changes.push((member.shared.name.clone(), Change::Removed));
            }
        }
        for one in prepared {
            changes.push((one.settings.name.clone(), one.change));
            self.take(&mut members, one, limits);
        }
        *self.orphan_hold.lock().unwrap_or_else(PoisonError::into_inner) = orphan_hold;
        Ok(changes)
    }

    fn prepare(
        &self,
        members: &[Member],
        settings: ConnectionSettings,
        limits: Limits,
        inherited: &mut HashMap<String, TcpListener>,
    ) -> Result<Prepared, StartError> {
        let known = members.iter().find(|member| member.shared.name == settings.name);
        let change = match known.filter(|member| member.configured).map(|member| member.shared.settings()) {
            None => Change::Added,
            Some(current) if current.endpoint != settings.endpoint => Change::Reopened,
            Some(current) if !current.is_same(&settings) => Change::Renewed,
            Some(_) => Change::Kept,
        };
        let bound = match change {
            Change::Added | Change::Reopened => self.bind(members, &settings, inherited),
            _ => Ok(None),
        };
        let bound = bound.map_err(|error| StartError::Bind { connection: settings.name.clone(), error })?;
        let shared = match known {
            Some(_) => None,
            None => Some(self.share(settings.clone(), limits)?),
        };
        Ok(Prepared { settings, change, bound, shared })
    }

    /// Binds what the connection listens on. A socket that a connection of ours has on that address is
    /// passed on, so that two connections may change places.
    fn bind(
        &self,
        members: &[Member],
        settings: &ConnectionSettings,
        inherited: &mut HashMap<String, TcpListener>,
    ) -> std::io::Result<Bound> {
        let Endpoint::TcpListen(listen) = &settings.endpoint else { return Ok(None) };
        let held = members.iter().find_map(|member| {
            let socket = member.socket.as_ref()?;
            (socket.local_addr().ok()? == listen.address).then_some(socket)
        });
        let listener = match held {
            Some(socket) => Listener::from_std(socket.try_clone()?, listen.clone())?,
            None => connection::bind(&settings.name, listen, inherited)?,
        };
        let socket = listener.socket()?;
        Ok(Some((listener, socket)))
    }

    /// A connection that is not served yet, with what an earlier run left of it.
    fn share(&self, settings: ConnectionSettings, limits: Limits) -> Result<Arc<Shared>, StartError> {
        let Surroundings { spool, sinks, nudge, .. } = &self.surroundings;
        let reader = spool.reader()?;
        let next_transmission = reader.next_transmission(&settings.name)?;
        let one =
            Shared::new(settings, limits, spool.clone(), sinks.clone(), nudge.clone(), next_transmission);
        for incomplete in reader.incompletes(&one.name)? {
            let last = !incomplete.followed && !incomplete.expired;
            one.remember(incomplete.transmission, incomplete.raw, last);
        }
        if one.settings().plan.acknowledge.sequence_numbers {
            one.note_sequence(last_sequence(&one.name, &reader)?);
        }
        take_up(&one, &reader)?;
        Ok(Arc::new(one))
    }

    fn take(&self, members: &mut Vec<Member>, prepared: Prepared, limits: Limits) {
        let Prepared { settings, change, bound, shared } = prepared;
        if change != Change::Kept {
            telemetry::connection_configured(&settings.name, settings.plaintext);
        }
        if let Some(shared) = shared {
            members.push(Member { shared, socket: None, task: None, configured: true });
        }
        let Some(member) = members.iter_mut().find(|member| member.shared.name == settings.name) else {
            return;
        };
        let opens = matches!(change, Change::Added | Change::Reopened);
        member.configured = true;
        member.shared.orders.send_modify(|orders| {
            orders.limits = limits;
            orders.stop = false;
            if change != Change::Kept {
                orders.settings = Arc::new(settings);
            }
            orders.paused &= change != Change::Added;
            orders.epoch += u64::from(opens);
        });
        if opens {
            let (listener, socket) = bound.unzip();
            member.socket = socket;
            member.serve(listener, self.surroundings.ready.clone());
        }
    }

    /// Forgets connections that are not configured any more and have come to their end.
    pub(crate) fn prune(&self) {
        self.members().retain(|member| {
            let ended = member.task.as_ref().is_none_or(JoinHandle::is_finished);
            member.configured || !ended || member.shared.has_left()
        });
    }

    /// Lets what is under way end, then ends.
    pub(crate) async fn stop(&self) {
        let tasks: Vec<JoinHandle<()>> = {
            let mut members = self.members();
            members.iter().for_each(|member| member.shared.orders.send_modify(|orders| orders.stop = true));
            members.iter_mut().filter_map(|member| member.task.take()).collect()
        };
        for task in tasks {
            let _ = task.await;
        }
        self.members().iter_mut().for_each(|member| member.socket = None);
    }
}

/// A connection as it is wanted, with all that could fail behind it.
struct Prepared {
    settings: ConnectionSettings,
    change: Change,
    bound: Bound,
    /// Of a connection that is not known yet.
    shared: Option<Arc<Shared>>,
}

impl Member {
    fn remove(&mut self) {
        self.configured = false;
        self.socket = None;
        self.shared.orders.send_modify(|orders| orders.stop = true);
    }

    /// Serves the connection as it is configured, once those who serve it have come to their end.
    fn serve(&mut self, listener: Option<Listener>, ready: watch::Receiver<bool>) {
        let before = self.task.take();
        let shared = Arc::clone(&self.shared);
        let Orders { epoch, settings, .. } = shared.orders.borrow().clone();
        let serving = Serving { epoch, endpoint: settings.endpoint.clone(), listener };
        self.task = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            connection::run(shared, serving, ready).await;
        }));
    }
}

/// The sequence number accepted last on a connection: that of the last message that carries one.
fn last_sequence(connection: &str, reader: &Reader) -> Result<Option<u64>, StartError> {
    let filter = MessageFilter {
        connection: Some(connection.to_owned()),
        messages_max: NUMBERED_MESSAGES_MAX,
        ..MessageFilter::default()
    };
    for summary in reader.messages(&filter)?.into_iter().rev() {
        let number = reader.message(summary.id)?.and_then(|message| sequence_number(&message.raw));
        if number.is_some() {
            return Ok(number);
        }
    }
    Ok(None)
}

/// Receptions that were under way when the daemon last ended are incomplete messages.
fn take_up(one: &Shared, reader: &Reader) -> Result<(), StartError> {
    reader.each_open_transmission(|open| {
        if open.connection == one.name {
            one.take_up(open);
        }
    })?;
    Ok(())
}
