//! A secret as the client sent it.

use std::fmt;

use zeroize::Zeroizing;

/// A password, robot secret or token as it came in. Shown nowhere; its memory is overwritten when dropped.
#[derive(Clone)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        SecretString(Zeroizing::new(text))
    }

    /// The secret itself: only for checking and hashing, never for a log or an answer.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        SecretString::new(text)
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        SecretString::new(text.to_owned())
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = SecretString::from("hunter2");
        assert_eq!(format!("{secret:?}"), "SecretString(redacted)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
