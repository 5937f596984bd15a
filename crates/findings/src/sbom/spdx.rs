//! SPDX JSON: 2.3 is written, 2.2 and 2.3 are read.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
