//! Texts for tests of what reads them: pieces in any order, and right texts of which something was replaced, repeated or cut. The
//! same seed gives the same texts: what fails once fails again.

/// How many texts a test reads.
pub(crate) const TEXTS: u64 = 4_000;

/// A source of texts (`SplitMix64`).
pub(crate) struct Pieces(u64);

impl Pieces {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    /// Fewer than `most` of these, in any order.
    pub(crate) fn joined(&mut self, pieces: &[&str], most: usize) -> String {
        let count = self.below(most);
        (0..count).map(|_| pieces[self.below(pieces.len())]).collect()
    }

    /// A text with up to four changes, some of which put a piece into it.
    pub(crate) fn changed(&mut self, text: &str, pieces: &[&str]) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        for _ in 0..self.below(5) {
            let (one, other) = (self.below(characters.len() + 1), self.below(characters.len() + 1));
            let range = one.min(other)..one.max(other);
            match self.below(4) {
                0 => drop(characters.drain(range)),
                1 => {
                    let again: Vec<char> = characters[range].to_vec();
                    characters.splice(one..one, again);
                }
                _ => {
                    let piece = pieces[self.below(pieces.len())];
                    let end = (one + self.below(3)).min(characters.len());
                    characters.splice(one..end, piece.chars());
                }
            }
            characters.truncate(16 * 1024);
        }
        characters.into_iter().collect()
    }
}
