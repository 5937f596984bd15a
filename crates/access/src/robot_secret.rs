//! Secrets of robots: generated, 256 bits strong, recognisable by secret scanners.
//!
//! `rbr_`, 43 base62 digits of entropy, 6 base62 digits of checksum. The checksum lets a scanner tell a real one
//! from chance, and lets us refuse a mistyped one without a look-up. It is a public function of the rest and says
//! nothing about it. Because the entropy is full, a plain SHA-256 is enough to keep it: there is nothing to guess.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// What every secret of a robot starts with.
pub const PREFIX: &str = "rbr_";

/// Base62 digits that 256 bits need.
const ENTROPY_DIGITS: usize = 43;
/// Base62 digits that 32 bits need.
const CHECKSUM_DIGITS: usize = 6;
/// Length of every secret, in bytes.
pub const SECRET_BYTES: usize = PREFIX.len() + ENTROPY_DIGITS + CHECKSUM_DIGITS;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A robot's secret. Shown once, when it is made; kept only as a [`SecretDigest`].
#[derive(Clone)]
pub struct RobotSecret(Zeroizing<String>);

impl RobotSecret {
    /// Makes a secret from 32 random bytes.
    pub fn generate(mut entropy: [u8; 32]) -> RobotSecret {
        let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES));
        text.push_str(PREFIX);
        push_base62(&mut text, &mut entropy, ENTROPY_DIGITS);
        entropy.zeroize();
        let sum = checksum(&text);
        text.push_str(&sum);
        RobotSecret(text)
    }

    /// Reads a secret as a client sent it. Refuses wrong length, prefix, digit and checksum, without any look-up.
    pub fn parse(text: &str) -> Result<RobotSecret, RobotSecretError> {
        let (body, sum) = text
            .split_at_checked(SECRET_BYTES - CHECKSUM_DIGITS)
            .ok_or(RobotSecretError::Shape)?;
        let digits = text.strip_prefix(PREFIX).ok_or(RobotSecretError::Shape)?;
        if text.len() != SECRET_BYTES || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(RobotSecretError::Shape);
        }
        if checksum(body) != sum {
            return Err(RobotSecretError::Checksum);
        }
        Ok(RobotSecret(Zeroizing::new(text.to_owned())))
    }

    /// What is kept of it.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The secret itself: to show it once to whoever asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RobotSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RobotSecret(redacted)")
    }
}

fn checksum(body: &str) -> String {
    let hash = Sha256::digest(body.as_bytes());
    let mut sum = [hash[0], hash[1], hash[2], hash[3]];
    let mut text = String::with_capacity(CHECKSUM_DIGITS);
    push_base62(&mut text, &mut sum, CHECKSUM_DIGITS);
    text
}

/// Appends the big-endian number as `digits` base62 digits, the lowest first. Leaves zeroes in `number`.
fn push_base62(text: &mut String, number: &mut [u8], digits: usize) {
    for _ in 0..digits {
        let mut remainder = 0_u32;
        for byte in number.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 62).to_le_bytes()[0];
            remainder = value % 62;
        }
        text.push(char::from(ALPHABET[remainder as usize]));
    }
}

/// The SHA-256 of a [`RobotSecret`], which is all that is stored of it.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// From the database.
    pub fn from_bytes(bytes: [u8; 32]) -> SecretDigest {
        SecretDigest(bytes)
    }

    /// For the database.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are of the same secret. Takes the same time whatever they hold.
    pub fn matches(&self, other: &SecretDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(redacted)")
    }
}

/// Why a text is no secret of a robot. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RobotSecretError {
    /// Wrong prefix, length or character.
    #[error("not a robot secret: one starts with `{PREFIX}` and has {SECRET_BYTES} characters")]
    Shape,
    /// The last six digits do not belong to the rest.
    #[error("robot secret is mistyped or cut: copy it again")]
    Checksum,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_never_changes() {
        let zero = RobotSecret::generate([0; 32]);
        assert_eq!(zero.expose().len(), SECRET_BYTES);
        assert!(
            zero.expose()
                .starts_with(&format!("{PREFIX}{}", "0".repeat(ENTROPY_DIGITS)))
        );
        let full = RobotSecret::generate([0xff; 32]);
        assert_eq!(full.expose(), RobotSecret::parse(full.expose()).unwrap().expose());
        assert_eq!(
            format!("{full:?} {:?}", full.digest()),
            "RobotSecret(redacted) SecretDigest(redacted)"
        );
    }

    #[test]
    fn what_is_not_one_is_refused() {
        let good = RobotSecret::generate([42; 32]);
        let good = good.expose();
        for bad in [
            "",
            "rbr_",
            "hunter2",
            &good[1..],
            &good[..SECRET_BYTES - 1],
            &format!("{good}0"),
        ] {
            assert_eq!(
                RobotSecret::parse(bad).unwrap_err(),
                RobotSecretError::Shape,
                "{bad}"
            );
        }
        let other_prefix = good.replace(PREFIX, "ghp_");
        assert_eq!(
            RobotSecret::parse(&other_prefix).unwrap_err(),
            RobotSecretError::Shape
        );
        let multibyte = format!("{PREFIX}{}", "é".repeat(30));
        assert_eq!(
            RobotSecret::parse(&multibyte).unwrap_err(),
            RobotSecretError::Shape
        );
    }

    proptest! {
        #[test]
        fn every_secret_parses_and_every_typing_error_is_found(
            entropy: [u8; 32], at in PREFIX.len()..SECRET_BYTES, digit in 0..62_usize,
        ) {
            let secret = RobotSecret::generate(entropy);
            let read = RobotSecret::parse(secret.expose()).unwrap();
            prop_assert!(read.digest().matches(&secret.digest()));

            let mut typed = secret.expose().as_bytes().to_vec();
            prop_assume!(typed[at] != ALPHABET[digit]);
            typed[at] = ALPHABET[digit];
            let typed = String::from_utf8(typed).unwrap();
            // One in 2^32 would pass by chance; the digest tells it apart all the same.
            match RobotSecret::parse(&typed) {
                Err(error) => prop_assert_eq!(error, RobotSecretError::Checksum),
                Ok(other) => prop_assert!(!other.digest().matches(&secret.digest())),
            }
        }

        #[test]
        fn different_entropy_makes_different_secrets(a: [u8; 32], b: [u8; 32]) {
            prop_assume!(a != b);
            let (a, b) = (RobotSecret::generate(a), RobotSecret::generate(b));
            prop_assert_ne!(a.expose(), b.expose());
            prop_assert!(!a.digest().matches(&b.digest()));
        }
    }
}
