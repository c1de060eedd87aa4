//! The two file formats: where the packets stand and when they were seen.

use core::time::Duration;

use crate::import::Note;

/// A packet with the time since 1970 and the kind of link that it was seen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) time: Duration,
    pub(super) link: u32,
    pub(super) bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pcap { order: Order, nanoseconds: bool },
    Pcapng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
}

pub(super) fn kind(bytes: &[u8]) -> Option<Kind> {
    Some(match bytes.first_chunk()? {
        [0xa1, 0xb2, 0xc3, 0xd4] => Kind::Pcap { order: Order::Big, nanoseconds: false },
        [0xd4, 0xc3, 0xb2, 0xa1] => Kind::Pcap { order: Order::Little, nanoseconds: false },
        [0xa1, 0xb2, 0x3c, 0x4d] => Kind::Pcap { order: Order::Big, nanoseconds: true },
        [0x4d, 0x3c, 0xb2, 0xa1] => Kind::Pcap { order: Order::Little, nanoseconds: true },
        [0x0a, 0x0d, 0x0d, 0x0a] => Kind::Pcapng,
        _ => return None,
    })
}

/// All packets that are whole in the file; a torn end is noted.
pub(super) fn packets<'a>(bytes: &'a [u8], notes: &mut Vec<Note>) -> Vec<Packet<'a>> {
    let mut packets = Vec::new();
    let read = match kind(bytes) {
        Some(Kind::Pcap { order, nanoseconds }) => pcap(bytes, order, nanoseconds, &mut packets),
        Some(Kind::Pcapng) => pcapng(bytes, &mut packets),
        None => None,
    };
    if read.is_none() {
        notes.push(Note::general(format!("the packet capture is torn behind packet {}", packets.len())));
    }
    packets
}

/// `Some` when the file ends behind a packet.
fn pcap<'a>(bytes: &'a [u8], order: Order, nanoseconds: bool, packets: &mut Vec<Packet<'a>>) -> Option<()> {
    // The upper bits of the link type say whether packets end with a check sequence.
    let link = number(bytes.get(20..24)?, order)? & 0x0fff_ffff;
    let mut rest = bytes.get(24..)?;
    while !rest.is_empty() {
        let [seconds, fraction, length] =
            [0, 4, 8].map(|at| rest.get(at..at + 4).and_then(|bytes| number(bytes, order)));
        let length = usize::try_from(length?).ok()?;
        let nanos = fraction?.saturating_mul(if nanoseconds { 1 } else { 1000 });
        let packet = rest.get(16..)?.get(..length)?;
        packets.push(Packet {
            time: Duration::new(seconds?.into(), nanos.min(999_999_999)),
            link,
            bytes: packet,
        });
        rest = &rest[16 + length..];
    }
    Some(())
}

/// An interface of a pcapng section.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// Time stamps count in this fraction of a second.
    per_second: u64,
}

fn pcapng<'a>(bytes: &'a [u8], packets: &mut Vec<Packet<'a>>) -> Option<()> {
    const SECTION: u32 = 0x0a0d_0d0a;
    const INTERFACE: u32 = 1;
    const ENHANCED_PACKET: u32 = 6;
    let mut order = Order::Little;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if rest.starts_with(&SECTION.to_be_bytes()) {
            order = match rest.get(8..12)? {
                [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                _ => return None,
            };
            interfaces.clear();
        }
        let length = usize::try_from(number(rest.get(4..8)?, order)?).ok()?;
        if length < 12 {
            return None;
        }
        let block = rest.get(..length)?;
        let body = &block[8..length - 4];
        match number(block.get(..4)?, order)? {
            INTERFACE => interfaces.push(interface(body, order)?),
            ENHANCED_PACKET => packets.extend(enhanced_packet(body, order, &interfaces)),
            _ => {}
        }
        rest = &rest[length..];
    }
    Some(())
}

fn interface(body: &[u8], order: Order) -> Option<Interface> {
    const END: u16 = 0;
    const TIME_RESOLUTION: u16 = 9;
    let link = short(body.get(..2)?, order)?.into();
    let mut per_second = 1_000_000;
    let mut options = body.get(8..)?;
    while let (Some(code), Some(length)) = (options.get(..2), options.get(2..4)) {
        let (code, length) = (short(code, order)?, usize::from(short(length, order)?));
        let Some(value) = options.get(4..4 + length) else { break };
        match (code, value) {
            (END, _) => break,
            (TIME_RESOLUTION, [power]) if power & 0x80 == 0 => {
                per_second = 10_u64.checked_pow((*power).into())?
            }
            (TIME_RESOLUTION, [power]) => per_second = 1_u64.checked_shl((power & 0x7f).into())?,
            _ => {}
        }
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Interface { link, per_second })
}

fn enhanced_packet<'a>(body: &'a [u8], order: Order, interfaces: &[Interface]) -> Option<Packet<'a>> {
    let word = |at: usize| number(body.get(at..at + 4)?, order);
    let interface = interfaces.get(usize::try_from(word(0)?).ok()?)?;
    let ticks = u64::from(word(4)?) << 32 | u64::from(word(8)?);
    let length = usize::try_from(word(12)?).ok()?;
    let fraction =
        u128::from(ticks % interface.per_second) * 1_000_000_000 / u128::from(interface.per_second);
    let time = Duration::new(ticks / interface.per_second, u32::try_from(fraction).ok()?);
    Some(Packet { time, link: interface.link, bytes: body.get(20..)?.get(..length)? })
}

fn number(bytes: &[u8], order: Order) -> Option<u32> {
    let bytes = bytes.try_into().ok()?;
    Some(match order {
        Order::Big => u32::from_be_bytes(bytes),
        Order::Little => u32::from_le_bytes(bytes),
    })
}

fn short(bytes: &[u8], order: Order) -> Option<u16> {
    let bytes = bytes.try_into().ok()?;
    Some(match order {
        Order::Big => u16::from_be_bytes(bytes),
        Order::Little => u16::from_le_bytes(bytes),
    })
}
