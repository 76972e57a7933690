//! Numbers that follow from the seed: the same on every machine and in every release.

/// SplitMix64, keyed by whatever names the thing that is generated.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for one thing: `&[seed, seller, order]` always falls the same.
    pub(crate) fn for_thing(name: &[u64]) -> Self {
        Self(name.iter().fold(0x9E37_79B9_7F4A_7C15, |state, part| {
            mix(state ^ mix(part.wrapping_add(0x632B_E59B_D9B4_E019)))
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end` (exclusive); 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next() % end }
    }

    /// A number from `from` to `to` (exclusive).
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + self.unit() * (to - from)
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `from`, which is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// `length` letters and digits of `alphabet`.
    pub(crate) fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length)
            .map(|_| char::from(self.pick(alphabet)))
            .collect()
    }
}

/// Capital letters and digits, as in ASINs and seller ids.
pub(crate) const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// Letters and digits, as in tokens.
pub(crate) const ALPHANUMERIC: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Lower-case hexadecimal digits.
pub(crate) const HEXADECIMAL: &[u8] = b"0123456789abcdef";

/// A 64-bit checksum of `bytes` under `key`; keeps honest clients honest, nothing more.
pub(crate) fn checksum(key: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(mix(key), |state, byte| mix(state ^ u64::from(*byte)))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_always_falls_the_same() {
        let roll = || Dice::for_thing(&[1, 2, 3]).text(CAPITALS, 20);
        assert_eq!(roll(), roll());
        assert_ne!(roll(), Dice::for_thing(&[1, 3, 2]).text(CAPITALS, 20));
    }

    #[test]
    fn a_changed_byte_changes_the_checksum() {
        assert_ne!(checksum(7, b"page 1"), checksum(7, b"page 2"));
        assert_ne!(checksum(7, b"page 1"), checksum(8, b"page 1"));
    }
}
