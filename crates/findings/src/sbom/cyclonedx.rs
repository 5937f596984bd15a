//! `CycloneDX` JSON: 1.6 is written, 1.2 to 1.6 are read.

mod component;
mod read;
mod vulnerability;
mod write;

pub(super) use read::{layers_of, read};
pub(super) use write::{image_properties, os_properties, properties_beside, write};
