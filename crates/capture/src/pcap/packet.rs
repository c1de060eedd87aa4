//! The TCP segment in a packet, below whatever the network card was.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

const TCP: u8 = 6;

/// `None` for anything that is no TCP segment, or not all of one.
pub(super) fn segment(link: u32, bytes: &[u8]) -> Option<Segment<'_>> {
    // Link types as tcpdump.org numbers them.
    let ip = match link {
        0 => bytes.get(4..)?,
        1 => behind_tags(bytes.get(12..)?)?,
        12 | 14 | 101 | 228 | 229 => bytes,
        113 => bytes.get(16..)?,
        276 => bytes.get(20..)?,
        _ => return None,
    };
    match ip.first()? >> 4 {
        4 => behind_ipv4(ip),
        6 => behind_ipv6(ip),
        _ => None,
    }
}

/// Behind the Ethernet type, with or without VLAN tags.
fn behind_tags(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x08, 0x00, rest @ ..] | [0x86, 0xdd, rest @ ..] => Some(rest),
        [0x81, 0x00, _, _, rest @ ..] | [0x88, 0xa8, _, _, rest @ ..] => behind_tags(rest),
        _ => None,
    }
}

fn behind_ipv4(ip: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(ip.first()? & 0x0f) * 4;
    // A short packet is padded on Ethernet, and a card that cuts packets itself reports none.
    let total = match usize::from(short(ip, 2)?) {
        0 => ip.len(),
        total => total,
    };
    let is_fragment = short(ip, 6)? & 0x3fff != 0;
    if is_fragment || *ip.get(9)? != TCP {
        return None;
    }
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*ip.get(at..)?.first_chunk::<4>()?)));
    tcp(address(12)?, address(16)?, ip.get(header..total)?)
}

fn behind_ipv6(ip: &[u8]) -> Option<Segment<'_>> {
    const HEADER: usize = 40;
    let total = HEADER + usize::from(short(ip, 4)?);
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*ip.get(at..)?.first_chunk::<16>()?)));
    let (mut next, mut at) = (*ip.get(6)?, HEADER);
    // Hop-by-hop, routing and destination options may stand in front.
    while matches!(next, 0 | 43 | 60) {
        next = *ip.get(at)?;
        at += 8 + usize::from(*ip.get(at + 1)?) * 8;
    }
    if next != TCP {
        return None;
    }
    tcp(address(8)?, address(24)?, ip.get(at..total)?)
}

fn tcp(from: IpAddr, to: IpAddr, bytes: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(bytes.get(12)? >> 4) * 4;
    let flags = *bytes.get(13)?;
    Some(Segment {
        from: SocketAddr::new(from, short(bytes, 0)?),
        to: SocketAddr::new(to, short(bytes, 2)?),
        sequence: u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?),
        fin: flags & 0x01 != 0,
        syn: flags & 0x02 != 0,
        rst: flags & 0x04 != 0,
        ack: flags & 0x10 != 0,
        payload: bytes.get(header..)?,
    })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
