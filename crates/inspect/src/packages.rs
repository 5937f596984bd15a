//! The catalogers: who reads which evidence of packages.

mod apk;
mod dotnet;
mod dpkg;
mod executable;
mod gather;
mod go_binary;
mod java;
mod node;
mod os_release;
mod php;
mod python;
mod random_access;
mod rpm;
mod ruby;
mod rust_binary;
#[cfg(test)]
mod testing;

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
    // Languages.
    &java::JavaArchive,
    &node::NodeModule,
    &node::NodeLock,
    &python::PythonInstalled,
    &python::PythonLock,
    &ruby::GemSpec,
    &ruby::GemLock,
    &php::Composer,
    &dotnet::DotNet,
];

#[cfg(test)]
mod as_sbom;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;
