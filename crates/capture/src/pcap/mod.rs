//! Packet captures (pcap and pcapng), as tcpdump and Wireshark write them: the TCP conversation with an
//! analyzer, put together again.
//!
//! [`mod@file`] finds the packets, [`packet`] the TCP segment in each, [`flow`] orders the bytes of one
//! connection. Which end is the analyzer a packet capture does not say: the one that sent more is taken
//! for it, and a note says so.

mod file;
mod flow;
mod packet;

use core::net::SocketAddr;
use std::collections::BTreeMap;

use core::time::Duration;
use jiff::Timestamp;

use crate::entry::{Direction, Entry, Header};
use crate::import::Note;
use flow::{Flow, Piece};
use packet::Segment;

/// Whether a file is one.
pub(crate) fn is_packet_capture(bytes: &[u8]) -> bool {
    file::kind(bytes).is_some()
}

/// The conversation with most bytes, with all its connections one after the other.
pub(crate) fn read(bytes: &[u8], notes: &mut Vec<Note>) -> (Option<Header>, Vec<Entry>) {
    let mut conversations: BTreeMap<Service, Vec<Connection>> = BTreeMap::new();
    let mut started = None;
    let mut skipped = 0_usize;
    for packet in file::packets(bytes, notes) {
        started.get_or_insert(packet.time);
        let offset = packet.time.saturating_sub(started.unwrap_or_default());
        match packet::segment(packet.link, packet.bytes) {
            Some(segment) => take(&mut conversations, offset, &segment),
            None => skipped += 1,
        }
    }
    if skipped > 0 {
        notes.push(Note::general(format!("{skipped} packets that are no whole TCP segments were left out")));
    }
    let others = conversations.len().saturating_sub(1);
    let sent =
        |connections: &[Connection]| connections.iter().map(|one| one.flow.bytes().iter().sum::<u64>()).sum();
    let chosen = conversations.into_iter().max_by_key(|(_, connections)| -> u64 { sent(connections) });
    let Some((service, connections)) = chosen else {
        notes.push(Note::general("there is no TCP conversation in it"));
        return (None, Vec::new());
    };
    if others > 0 {
        notes.push(Note::general(format!(
            "{others} other TCP conversations were left out; the one with port {} has most bytes",
            service.server.port()
        )));
    }
    let entries = entries_of(&service, connections, notes);
    let started = started.and_then(|time| Timestamp::from_duration(time.try_into().ok()?).ok());
    (Some(Header::new("tcp", started.unwrap_or_default())), entries)
}

/// Connections between the same two machines to the same port belong together: an analyzer that dials
/// again comes from another port of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Service {
    server: SocketAddr,
    client: core::net::IpAddr,
}

#[derive(Debug)]
struct Connection {
    client: SocketAddr,
    opened: Duration,
    closed: Option<Duration>,
    flow: Flow,
}

fn take(conversations: &mut BTreeMap<Service, Vec<Connection>>, offset: Duration, segment: &Segment<'_>) {
    let (from, to) = (segment.from, segment.to);
    let towards = |server: SocketAddr, client: SocketAddr| Service { server, client: client.ip() };
    let known = [towards(to, from), towards(from, to)].into_iter().find(|service| {
        let client = if service.server == to { from } else { to };
        conversations.get(service).is_some_and(|list| list.iter().any(|one| one.client == client))
    });
    let service = known.unwrap_or_else(|| match (segment.syn, segment.ack) {
        (true, false) => towards(to, from),
        (true, true) => towards(from, to),
        // Its beginning is not in the file; servers usually have the lower port.
        _ if to.port() <= from.port() => towards(to, from),
        _ => towards(from, to),
    });
    let from_client = service.server == to;
    let client = if from_client { from } else { to };
    let connections = conversations.entry(service).or_default();
    let opens_anew = segment.syn && !segment.ack;
    let current = connections.iter().rposition(|one| one.client == client);
    let place = match current {
        Some(place) if !(opens_anew && connections[place].flow.has_data()) => place,
        _ => {
            connections.push(Connection { client, opened: offset, closed: None, flow: Flow::default() });
            connections.len() - 1
        }
    };
    let connection = &mut connections[place];
    connection.flow.take(offset, usize::from(!from_client), segment);
    if segment.fin || segment.rst {
        connection.closed.get_or_insert(offset);
    }
}

fn entries_of(service: &Service, connections: Vec<Connection>, notes: &mut Vec<Note>) -> Vec<Entry> {
    let mut bytes = [0_u64; 2];
    for connection in &connections {
        let [client, server] = connection.flow.bytes();
        bytes[0] += client;
        bytes[1] += server;
    }
    let analyzer_is_client = bytes[0] >= bytes[1];
    notes.push(Note::general(format!(
        "the side that {} port {} sent more ({} of {} bytes) and is taken for the analyzer",
        if analyzer_is_client { "dialled" } else { "listens on" },
        service.server.port(),
        bytes[0].max(bytes[1]),
        bytes[0] + bytes[1],
    )));
    if connections.windows(2).any(|pair| pair[0].closed.is_none_or(|closed| closed > pair[1].opened)) {
        notes.push(Note::general("connections overlap in time: their bytes stand side by side"));
    }
    let mut missing = 0;
    let mut entries = Vec::new();
    for connection in connections.into_iter().filter(|connection| connection.flow.has_data()) {
        entries.push(Entry::event(connection.opened, "open"));
        for (offset, side, piece) in connection.flow.finish() {
            let direction =
                if (side == 0) == analyzer_is_client { Direction::ToHost } else { Direction::ToAnalyzer };
            entries.push(match piece {
                Piece::Bytes(bytes) => Entry::new(offset, direction, bytes),
                Piece::Missing(count) => {
                    missing += count;
                    Entry::event(offset, format!("{count} bytes are not in the packet capture"))
                }
            });
        }
        if let Some(closed) = connection.closed {
            entries.push(Entry::event(closed, "close"));
        }
    }
    if missing > 0 {
        notes.push(Note::general(format!(
            "{missing} bytes of the conversation are not in the packet capture"
        )));
    }
    entries.sort_by_key(|entry| entry.offset);
    entries
}

#[cfg(test)]
mod tests;
