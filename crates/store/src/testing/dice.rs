//! What models tell their stories with: dice that a seed decides, and what tests their stories make.

/// xorshift64*: the same seed is the same story.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// Tests that call `tell` with `STORIES` seeds each, from a first one on.
macro_rules! stories {
    ($($name:ident: $first:literal;)+) => {$(
        #[tokio::test]
        async fn $name() {
            for seed in $first..$first + STORIES {
                println!("seed {seed}");
                tell(seed, None).await;
            }
        }
    )+};
}
pub(crate) use stories;

/// Tests that `tell` fails where a statement is carried out after each step. A model that notices nothing proves nothing.
macro_rules! sabotage {
    ($($name:ident: $sql:literal;)+) => {$(
        #[tokio::test]
        #[should_panic]
        #[expect(clippy::should_panic_without_expect, reason = "which check notices first is left to the dice")]
        async fn $name() {
            tell(5, Some($sql)).await;
        }
    )+};
}
pub(crate) use sabotage;
