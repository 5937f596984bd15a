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
    /// What would allow it.
    pub needed: Needed,
}

/// What a caller lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// A grant on the repository.
    Grant,
    /// A grant of [`Role::Admin`](crate::Role::Admin) on the whole pattern.
    PatternAdmin,
    /// To be an administrator; no grant stands for that.
    Administrator,
}

impl Denied {
    /// Whether other credentials may help (401 with a challenge); if not, only what is [needed](Denied::needed) does
    /// (403).
    pub fn calls_for_credentials(&self) -> bool {
        !self.authenticated || self.insufficient_scope
    }

    fn message(self) -> &'static str {
        if self.insufficient_scope {
            return "token is too narrow: ask for one with the scope of this request";
        }
        if !self.authenticated {
            return "sign in first: this is not open to everybody";
        }
        match self.needed {
            Needed::Grant => "no grant allows this: ask an administrator of the repository for one",
            Needed::PatternAdmin => {
                "this needs the role admin on the whole pattern: ask an administrator of the registry to grant or do it"
            }
            Needed::Administrator => {
                "only administrators of the registry may do this, whatever is granted: ask one of them"
            }
        }
    }
}
