//! The catalogers: who reads which evidence of packages.

mod dotnet;
mod gather;
mod java;
mod node;
mod php;
mod python;
mod ruby;
#[cfg(test)]
mod testing;

use crate::Cataloger;

/// All of them. A file is read by each one that wants it.
pub const CATALOGERS: &[&dyn Cataloger] = &[
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
