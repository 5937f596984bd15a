//! How an image is made: users, permissions, left-overs.

pub(crate) mod entries;
