//! Who may do what: principals, secrets, roles, grants, tokens, and permits.
//!
//! This crate decides and proves; it stores nothing, reads no clock and draws no random numbers (both are
//! arguments), and speaks no HTTP. The store fills an [`AccessBook`] from its tables and swaps in a new one when
//! something changes; the servers ask it.
//!
//! # From credentials to a permit
//!
//! 1. [`Authorization::parse`] reads the header: Basic or Bearer.
//! 2. Basic: the store finds the [`Principal`] in the book, checks the secret against its [`SecretRecord`]s
//!    ([`password`] for users, [`robot_secret`] for robots), and [`AccessBook::sign_in`] makes the [`Caller`].
//!    Bearer: [`token::Signer::verify`] reads the [`token::Claims`], and [`AccessBook::caller_of`] makes the caller,
//!    narrowed to the token's [`Scope`]s. Neither: [`Caller::anonymous`].
//! 3. A caller may be remembered, as long as [`AccessBook::is_current`] says that its sign-in still holds.
//! 4. [`AccessBook::authorize`] gives a [`Permit`] for one act on one repository, or [`Denied`].
//! 5. The store's functions demand the permit. There is no other way to make one, so no handler can forget to ask.
//!
//! # What is allowed
//!
//! Nothing, unless a [`Grant`] says so. A grant gives a [`Subject`] (one principal, everybody who signed in, or
//! everybody) a [`RoleSet`] on a pattern of repositories. All grants that match add up; none takes away. A
//! principal marked as administrator holds every role everywhere, and alone gets a [`SystemPermit`]. Whoever holds
//! [`Role::Admin`] on a pattern may manage the grants and rules of the patterns within it ([`PatternPermit`]). The
//! scopes of a token narrow all that, and never carry the role of an admin.
//!
//! # What never happens
//!
//! - A permit is made outside of the book (doc tests of [`Permit`] try).
//! - A caller gains by being old: everything that can be taken away is read from the newest book at each question.
//! - A secret appears in a log: every type that holds one has a redacted `Debug`, and no error repeats its input
//!   where that could be a secret.
//!
//! # Who comes first
//!
//! Where not everybody can be served at once: [`Class`], [`shares`] (nobody takes it all), [`fair`] (a line in which each has
//! the same share), [`adaptive`] (how much is worked on at a time) and [`bucket`] (so much per second).
//!
//! Read [`AccessBook`] first, then `book/permits.rs`, then `token.rs`.

pub mod adaptive;
mod authorization;
mod book;
pub mod bucket;
mod caller;
mod cidr;
mod class;
mod excerpt;
pub mod fair;
mod grant;
mod name_pattern;
pub mod password;
pub mod permit;
mod principal;
pub mod robot_secret;
mod role;
mod scope;
mod secret_string;
pub mod shares;
pub mod token;

pub use authorization::{Authorization, AuthorizationError, MAX_AUTHORIZATION_BYTES};
pub use book::permits::{PatternPermit, Permit, SystemPermit};
pub use book::{AccessBook, Denied, Needed};
pub use caller::Caller;
pub use cidr::{Cidr, CidrError};
pub use class::{Class, ClassError};
pub use grant::{Grant, Subject};
pub use name_pattern::{NamePattern, NamePatternError, glob};
pub use principal::{
    ANONYMOUS, AUTHENTICATED, MAX_NAME_BYTES, MAX_ROBOT_SECRETS, NameError, Principal, PrincipalId,
    PrincipalKind, PrincipalName, RESERVED_NAMES, SecretId, SecretRecord, SecretVerifier,
};
pub use role::{Role, RoleError, RoleSet};
pub use scope::{MAX_SCOPE_BYTES, MAX_SCOPES, Scope, ScopeError};
pub use secret_string::SecretString;
