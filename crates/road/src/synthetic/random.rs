//! Numbers that look random and are the same each time (`SplitMix64`).

#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, each as often.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap_or(0)
    }

    /// Below `end`, by Zipf's law with an exponent of about one: small ones often, large ones seldom.
    pub(super) fn zipf(&mut self, end: u32) -> u32 {
        // The inverse of the logarithm that the sum of 1/n is close to.
        let unit = f64::from(self.below(1 << 24)) / f64::from(1 << 24);
        let chosen = f64::from(end.max(1) + 1).powf(unit) - 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and `end`"
        )]
        let chosen = chosen as u32;
        chosen.min(end.saturating_sub(1))
    }
}
