//! The acts that a [`Permit`](crate::Permit) can be for.
//!
//! They are types, so that a function that writes demands `&Permit<Push>` and the compiler refuses a `Permit<Pull>`.

use std::fmt;

use crate::role::Role;

mod sealed {
    pub trait Sealed {}
}

/// An act on a repository. Only the four of this module implement it.
pub trait Act: sealed::Sealed + Clone + Copy + fmt::Debug + Send + Sync + 'static {
    /// The role that allows it.
    const ROLE: Role;
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident => $role:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl Act for $name {
            const ROLE: Role = Role::$role;
        }
    )+};
}

acts! {
    /// Reading.
    Pull => Pull;
    /// Writing.
    Push => Push;
    /// Deleting.
    Delete => Delete;
    /// Managing grants and rules of one repository.
    Administer => Admin;
}
