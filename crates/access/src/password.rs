//! Passwords of users: argon2id with the parameters that OWASP's password storage cheat sheet recommends
//! (19 MiB, two passes, one lane), kept as PHC strings.
//!
//! One check takes tens of milliseconds and [`MEMORY_KIB`] of memory, on purpose. Callers bound how many run at
//! once, and remember for a short time what they have verified.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, CustomizedPasswordHasher, Params, PasswordVerifier, Version};

/// Memory of one hash, in KiB.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
pub const PASSES: u32 = 2;
/// Lanes; one, because servers check many passwords side by side anyway.
pub const LANES: u32 = 1;

/// Fewest characters of a new password (NIST SP 800-63B asks for eight and recommends fifteen).
pub const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password, in bytes; also when checking, so that nobody makes us hash megabytes.
pub const MAX_PASSWORD_BYTES: usize = 256;

/// Most memory that a stored hash may ask for, in KiB (256 MiB): an imported row must not exhaust the server.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// Most passes that a stored hash may ask for.
pub const MAX_PASSES: u32 = 10;
/// Most lanes that a stored hash may ask for.
pub const MAX_LANES: u32 = 4;
/// Longest stored hash, in bytes. Ours have 97.
pub const MAX_PHC_BYTES: usize = 256;

/// A hash with our own parameters that belongs to no password.
const DUMMY_PHC: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cm9hZGJlZC1uby11c2VyIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// An argon2id hash in the form of a PHC string, with parameters within our limits.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string, for the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it was made with other parameters than today's and should be made anew at the next sign-in.
    pub fn is_outdated(&self) -> bool {
        let expected = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
        !self.0.starts_with(&expected)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

/// Reads a stored PHC string and refuses one that we would not want to compute.
impl FromStr for PasswordHash {
    type Err = PasswordError;

    fn from_str(text: &str) -> Result<Self, PasswordError> {
        if text.len() > MAX_PHC_BYTES {
            return Err(PasswordError::HashTooLong { bytes: text.len() });
        }
        let parsed = phc::PasswordHash::new(text).map_err(|_| PasswordError::HashMalformed)?;
        let version = Version::V0x13 as u32;
        if parsed.algorithm.as_str() != Algorithm::Argon2id.as_str() || parsed.version != Some(version) {
            return Err(PasswordError::HashAlgorithm);
        }
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(PasswordError::HashMalformed);
        }
        let params = Params::try_from(&parsed).map_err(|_| PasswordError::HashMalformed)?;
        check_cost(&params)?;
        Ok(PasswordHash(text.to_owned()))
    }
}

fn check_cost(params: &Params) -> Result<(), PasswordError> {
    for (parameter, value, limit) in [
        ("m", params.m_cost(), MAX_MEMORY_KIB),
        ("t", params.t_cost(), MAX_PASSES),
        ("p", params.p_cost(), MAX_LANES),
    ] {
        if value > limit {
            return Err(PasswordError::HashCost {
                parameter,
                value,
                limit,
            });
        }
    }
    Ok(())
}

/// Hashes a new password. The caller brings 16 random bytes and has asked [`check_strength`] first.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<PasswordHash, PasswordError> {
    check_length(password)?;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Hashing)?;
    let made: phc::PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_customized(password.as_bytes(), &salt, None, None, params)
        .map_err(|_| PasswordError::Hashing)?;
    Ok(PasswordHash(made.to_string()))
}

/// Whether `password` is the one that was hashed. Compares in constant time.
pub fn verify(hash: &PasswordHash, password: &str) -> bool {
    let Ok(parsed) = phc::PasswordHash::new(&hash.0) else {
        return false;
    };
    check_length(password).is_ok()
        && Argon2::default()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
}

/// A hash to check against when the user does not exist, so that the answer takes as long as for one who does.
/// [`verify`] with it is always false.
pub fn dummy() -> &'static PasswordHash {
    static DUMMY: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash(DUMMY_PHC.to_owned()));
    &DUMMY
}

/// Whether `password` may be chosen: long enough, not too long, and possible to send in Basic credentials
/// (RFC 7617 forbids control characters).
pub fn check_strength(password: &str) -> Result<(), PasswordError> {
    check_length(password)?;
    let chars = password.chars().count();
    if chars < MIN_PASSWORD_CHARS {
        return Err(PasswordError::TooShort { chars });
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordError::ControlCharacter);
    }
    let mut distinct = password.chars();
    let first = distinct.next();
    if distinct.all(|c| Some(c) == first) {
        return Err(PasswordError::OneCharacter);
    }
    Ok(())
}

fn check_length(password: &str) -> Result<(), PasswordError> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong {
            bytes: password.len(),
        });
    }
    Ok(())
}

/// What is wrong with a password or with a stored hash. Never repeats either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Under [`MIN_PASSWORD_CHARS`].
    #[error("password has {chars} characters: use at least {MIN_PASSWORD_CHARS}")]
    TooShort {
        /// Its length.
        chars: usize,
    },
    /// Over [`MAX_PASSWORD_BYTES`].
    #[error("password has {bytes} bytes: use at most {MAX_PASSWORD_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line break, tab or the like.
    #[error("password contains a control character: clients cannot send it, leave it out")]
    ControlCharacter,
    /// The same character over and over.
    #[error("password repeats one character: use several")]
    OneCharacter,
    /// Over [`MAX_PHC_BYTES`].
    #[error("stored password hash has {bytes} bytes: at most {MAX_PHC_BYTES} are read")]
    HashTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No PHC string, or one without salt or output.
    #[error("stored password hash is not a complete PHC string: set the password anew")]
    HashMalformed,
    /// Another algorithm than argon2id version 19.
    #[error("stored password hash is not argon2id version 19: set the password anew")]
    HashAlgorithm,
    /// A parameter over its limit.
    #[error(
        "stored password hash asks for {parameter}={value}, over the limit of {limit}: set the password anew"
    )]
    HashCost {
        /// `m` (KiB), `t` (passes) or `p` (lanes).
        parameter: &'static str,
        /// What it asks for.
        value: u32,
        /// What we would compute at most.
        limit: u32,
    },
    /// The hash function failed, which means that memory is out.
    #[error("password could not be hashed: not enough memory")]
    Hashing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_and_another_does_not() {
        let hash = hash("correct horse battery", [7; 16]).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(!hash.is_outdated());
        let read: PasswordHash = hash.as_str().parse().unwrap();
        assert!(verify(&read, "correct horse battery"));
        assert!(!verify(&read, "correct horse batterz"));
        assert!(!verify(&read, ""));
        assert_eq!(format!("{read:?}"), "PasswordHash(redacted)");
    }

    #[test]
    fn the_dummy_costs_the_same_and_matches_nothing() {
        let read: PasswordHash = DUMMY_PHC.parse().unwrap();
        assert_eq!(&read, dummy());
        assert!(!read.is_outdated());
        assert!(!verify(dummy(), "roadbed-no-user!"));
    }

    #[test]
    fn absurd_parameters_are_refused() {
        let with = |m: u32, t: u32, p: u32| {
            let (_, tail) = DUMMY_PHC.split_once("p=1").unwrap();
            format!("$argon2id$v=19$m={m},t={t},p={p}{tail}").parse::<PasswordHash>()
        };
        assert!(with(MAX_MEMORY_KIB, MAX_PASSES, MAX_LANES).unwrap().is_outdated());
        for (refused, name) in [
            (with(MAX_MEMORY_KIB + 1, 1, 1), "m"),
            (with(u32::MAX, 1, 1), "m"),
            (with(19_456, MAX_PASSES + 1, 1), "t"),
            (with(19_456, 2, MAX_LANES + 1), "p"),
        ] {
            assert!(matches!(refused, Err(PasswordError::HashCost { parameter, .. }) if parameter == name));
        }
        assert_eq!(with(1, 1, 1), Err(PasswordError::HashMalformed));
    }

    #[test]
    fn only_complete_argon2id_strings_are_read() {
        for (text, error) in [
            ("", PasswordError::HashMalformed),
            ("hunter2", PasswordError::HashMalformed),
            ("$argon2id$v=19$m=19456,t=2,p=1", PasswordError::HashMalformed),
            (
                "$argon2id$v=19$m=19456,t=2,p=1$cm9hZGJlZC1uby11c2VyIQ",
                PasswordError::HashMalformed,
            ),
            (
                &DUMMY_PHC.replace("argon2id", "argon2i"),
                PasswordError::HashAlgorithm,
            ),
            (
                &DUMMY_PHC.replace("argon2id", "scrypt"),
                PasswordError::HashAlgorithm,
            ),
            (&DUMMY_PHC.replace("v=19", "v=16"), PasswordError::HashAlgorithm),
            (&DUMMY_PHC.replace("v=19$", ""), PasswordError::HashAlgorithm),
        ] {
            assert_eq!(text.parse::<PasswordHash>(), Err(error), "{text}");
        }
        let long = format!("{DUMMY_PHC}{}", "A".repeat(MAX_PHC_BYTES));
        assert!(matches!(
            long.parse::<PasswordHash>(),
            Err(PasswordError::HashTooLong { .. })
        ));
    }

    #[test]
    fn strength_has_two_ends() {
        assert_eq!(check_strength("twelve chars"), Ok(()));
        assert_eq!(
            check_strength("elevenchars"),
            Err(PasswordError::TooShort { chars: 11 })
        );
        assert_eq!(check_strength("zwölf Zeiche"), Ok(()));
        assert_eq!(check_strength(&"ab".repeat(MAX_PASSWORD_BYTES / 2)), Ok(()));
        let long = "ab".repeat(MAX_PASSWORD_BYTES / 2 + 1);
        assert_eq!(check_strength(&long), Err(PasswordError::TooLong { bytes: 258 }));
        assert_eq!(
            check_strength("with a\nline break"),
            Err(PasswordError::ControlCharacter)
        );
        assert_eq!(
            check_strength("aaaaaaaaaaaaaaaa"),
            Err(PasswordError::OneCharacter)
        );
        assert!(matches!(hash(&long, [0; 16]), Err(PasswordError::TooLong { .. })));
        assert!(!verify(dummy(), &long));
    }
}
