//! Who causes a change, for the event that is written with it.

use access::permit::Act;
use access::{Caller, PatternPermit, Permit, SystemPermit};

/// Whoever makes an administrative change, and why. It can only be made from a proof that the change is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    cause: String,
}

/// The actor of what the operator does on the machine itself, in possession of the data directory.
pub const OPERATOR: &str = "operator";
/// The actor of what the registry does by itself (collection, expiry, first start).
pub const SYSTEM: &str = "system";
/// The actor of what somebody without a name does.
pub const ANONYMOUS: &str = access::ANONYMOUS;

impl Actor {
    /// An administrator, through the API. `cause` is free text, such as `api` or `apply`.
    pub fn administrator(permit: &SystemPermit, cause: &str) -> Self {
        Self::named(permit.principal_name(), cause)
    }

    /// Whoever administers the pattern that a grant or rule is for. The functions that take an actor do not look at
    /// the pattern again.
    pub fn pattern_administrator(permit: &PatternPermit, cause: &str) -> Self {
        Self::named(permit.principal_name(), cause)
    }

    /// Whoever holds a permit for the repository that the change is about.
    pub fn holder<A: Act>(permit: &Permit<A>, cause: &str) -> Self {
        Self::named(permit.principal_name(), cause)
    }

    /// Whoever says what they know or vouch for. About whom they may is asked where it is said.
    pub fn speaker(caller: &Caller, cause: &str) -> Self {
        Self::named(caller.principal_name(), cause)
    }

    /// The caller, for what everybody may do to their own account (see [`crate::Store::set_own_password`]).
    pub(crate) fn caller(caller: &Caller, cause: &str) -> Self {
        Self::named(caller.principal_name(), cause)
    }

    /// Whoever logs in.
    pub(crate) fn logging_in(name: &str) -> Self {
        Self::named(name, "login")
    }

    /// The operator on the machine itself: whoever can open the data directory may do everything.
    pub fn operator(cause: &str) -> Self {
        Self::named(OPERATOR, cause)
    }

    /// The registry itself.
    pub fn system(cause: &str) -> Self {
        Self::named(SYSTEM, cause)
    }

    fn named(name: &str, cause: &str) -> Self {
        Self {
            name: name.to_owned(),
            cause: cause.to_owned(),
        }
    }

    /// The principal's name, or [`OPERATOR`], [`SYSTEM`], [`ANONYMOUS`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why, in the words of the one who acts.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}
