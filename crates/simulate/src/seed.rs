//! Chance from a seed: the same seed gives the same analyzer, message by message.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number from `low` to `high`, both included. The modulo's bias is far below anything seen here.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.next() % (high - low + 1) }
    }

    /// True in `per_mille` of a thousand cases.
    pub(crate) const fn in_thousand(&mut self, per_mille: u16) -> bool {
        self.between(0, 999) < per_mille as u64
    }

    /// One of these; `None` of none.
    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(items.len()).ok()?.checked_sub(1)?;
        items.get(usize::try_from(self.between(0, last)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            (0..10).map(|_| chance.between(1, 6)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(5), numbers(5));
        assert_ne!(numbers(5), numbers(6));
        assert!(numbers(5).iter().all(|number| (1..=6).contains(number)));
    }

    #[test]
    fn a_share_of_a_thousand_is_about_that_share() {
        let mut chance = Chance::new(1);
        let hits = (0..10_000).filter(|_| chance.in_thousand(100)).count();
        assert!((800..1200).contains(&hits), "{hits}");
        assert!(!chance.in_thousand(0));
        assert!(chance.in_thousand(1000));
    }
}
