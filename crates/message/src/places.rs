//! Finding every place of one byte, eight bytes at a time.
//!
//! Fields are short: a vector search that starts anew behind every hit spends its time on starting.

const LOW_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;
const EVERY_BYTE: u64 = 0x0101_0101_0101_0101;

/// Appends the offset of every `needle` in `bytes`, counted from `base`.
pub(crate) fn push_places(bytes: &[u8], needle: u8, base: u32, places: &mut Vec<u32>) {
    let wanted = EVERY_BYTE * u64::from(needle);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = base;
    for word in words {
        // A byte of `difference` is zero where the needle is; exactly there the high bit of `hits` is set.
        let difference = u64::from_le_bytes(*word) ^ wanted;
        let mut hits = !(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS);
        while hits != 0 {
            places.push(at + hits.trailing_zeros() / 8);
            hits &= hits - 1;
        }
        at += 8;
    }
    for byte in rest {
        if *byte == needle {
            places.push(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::push_places;

    #[test]
    fn every_place_of_every_byte_is_found_wherever_it_stands() {
        let bytes: Vec<u8> =
            (0..=255).chain((0..=255).rev()).chain([124, 124, 0, 252, 125, 123, 124]).collect();
        for start in 0..9 {
            for needle in 0..=255 {
                let mut found = Vec::new();
                push_places(&bytes[start..], needle, 100, &mut found);
                let expected = bytes[start..].iter().zip(100..).filter(|(byte, _)| **byte == needle);
                assert_eq!(found, expected.map(|(_, place)| place).collect::<Vec<u32>>());
            }
        }
    }
}
