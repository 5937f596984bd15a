//! What tests make their many cases with.

/// xorshift64*: the same seed is the same story.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let place = usize::try_from(self.roll(of.len() as u64)).unwrap();
        &of[place]
    }

    /// Up to `most` of these, one behind the other.
    pub(crate) fn text(&mut self, of: &[&str], most: u64) -> String {
        let count = self.roll(most + 1);
        (0..count).map(|_| *self.pick(of)).collect()
    }
}
