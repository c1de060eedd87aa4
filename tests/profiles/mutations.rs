//! Damage to messages, by seed: fields and records dropped, swapped, lengthened, emptied, repeated; bytes
//! changed; ends cut off.

use labwire_testkit::Seed;

/// One to three damages to the message.
pub(crate) fn damaged(message: &[u8], separator: u8, seed: &mut Seed) -> Vec<u8> {
    let mut message = message.to_vec();
    for _ in 0..=seed.below(3) {
        message = damage(&message, separator, seed);
    }
    message
}

fn damage(message: &[u8], separator: u8, seed: &mut Seed) -> Vec<u8> {
    if message.is_empty() {
        return Vec::new();
    }
    match seed.below(16) {
        0..8 => in_a_record(message, separator, seed),
        8..12 => among_records(message, seed),
        12 | 13 => flipped(message, seed),
        14 => message[..below(message.len(), seed)].to_vec(),
        _ => {
            let mut message = message.to_vec();
            let odd = [b'\r', b'\n', separator, b'^', b'&', b'\\', b'"', 0, 0xFF];
            message.insert(below(message.len(), seed), odd[below(odd.len(), seed)]);
            message
        }
    }
}

/// Damage to the fields of one record.
fn in_a_record(message: &[u8], separator: u8, seed: &mut Seed) -> Vec<u8> {
    let mut records = records(message);
    let chosen = below(records.len(), seed);
    let mut fields: Vec<Vec<u8>> =
        records[chosen].split(|byte| *byte == separator).map(<[u8]>::to_vec).collect();
    let (one, other) = (below(fields.len(), seed), below(fields.len(), seed));
    match seed.below(6) {
        0 => drop(fields.remove(one)),
        1 => fields.swap(one, other),
        2 => fields[one] = fields[one].repeat(2 + below(40, seed)),
        3 => fields[one].clear(),
        4 => fields.insert(one, fields[other].clone()),
        // Behind the last field.
        _ => fields.extend([b"9".to_vec(), b"EXTRA^1".to_vec()]),
    }
    records[chosen] = fields.join(&separator);
    records.join(&b'\r')
}

/// Records removed, repeated, exchanged, run together.
fn among_records(message: &[u8], seed: &mut Seed) -> Vec<u8> {
    let mut records = records(message);
    let (one, other) = (below(records.len(), seed), below(records.len(), seed));
    match seed.below(4) {
        0 => drop(records.remove(one)),
        1 => records.insert(other, records[one].clone()),
        2 => records.swap(one, other),
        _ => {
            let next = records.remove(one);
            if let Some(record) = records.get_mut(one) {
                *record = [next, record.clone()].concat();
            }
        }
    }
    records.join(&b'\r')
}

fn flipped(message: &[u8], seed: &mut Seed) -> Vec<u8> {
    let mut message = message.to_vec();
    let place = below(message.len(), seed);
    message[place] ^= 1 << seed.below(8);
    message
}

fn records(message: &[u8]) -> Vec<Vec<u8>> {
    message.split(|byte| *byte == b'\r').map(<[u8]>::to_vec).collect()
}

fn below(end: usize, seed: &mut Seed) -> usize {
    usize::try_from(seed.below(u64::try_from(end).unwrap())).unwrap()
}
