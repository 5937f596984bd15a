//! The catalogers: who reads which evidence of packages.

use crate::Cataloger;

/// All of them. A file is read by each one that wants it.
pub const CATALOGERS: &[&dyn Cataloger] = &[];
