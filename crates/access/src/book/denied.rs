//! The answer no.

/// Why something is not allowed. Says nothing about whether the repository exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct Denied {
    /// Whether the caller is signed in. If not, signing in may help: 401 with a challenge.
    pub authenticated: bool,
    /// Whether the grants would allow it and only the token is too narrow. Then another token helps: 401 with
    /// `error="insufficient_scope"`, upon which Docker's and containerd's clients fetch one.
    pub insufficient_scope: bool,
}

impl Denied {
    /// Whether other credentials may help (401 with a challenge); if not, only a grant does (403).
    pub fn calls_for_credentials(&self) -> bool {
        !self.authenticated || self.insufficient_scope
    }

    fn message(self) -> &'static str {
        match (self.insufficient_scope, self.authenticated) {
            (true, _) => "token is too narrow: ask for one with the scope of this request",
            (false, true) => "no grant allows this: ask an administrator of the repository for one",
            (false, false) => "sign in first: this is not open to everybody",
        }
    }
}
