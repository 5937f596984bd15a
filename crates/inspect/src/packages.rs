//! The catalogers: who reads which evidence of packages.

mod apk;
mod dpkg;
mod executable;
mod go_binary;
mod os_release;
mod random_access;
mod rpm;
mod rust_binary;

use crate::Cataloger;

/// All of them. A file is read by each one that wants it.
pub const CATALOGERS: &[&dyn Cataloger] = &[
    // Operating systems, and what compilers leave in binaries.
    &os_release::OsReleaseFile,
    &os_release::ReleaseFile,
    &os_release::ApkRepositories,
    &dpkg::Status,
    &dpkg::StatusD,
    &dpkg::FileList,
    &dpkg::Copyright,
    &apk::Installed,
    &rpm::Database,
    &go_binary::GoBinary,
    &rust_binary::RustBinary,
];

#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;
