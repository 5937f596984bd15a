//! What a client must be able to do to be tested.

use std::path::PathBuf;

use anyhow::Result;

use super::{layout::Layout, machine::Outcome};
use crate::harness::unable::Unable;

/// What one client is told.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// `host:port` of the registry.
    pub(super) registry: String,
    /// How it finds out whether it talks to the right one.
    pub(super) trust: Trust,
    /// An empty directory for everything that it keeps.
    pub(super) home: PathBuf,
}

/// What a client believes of a server's identity.
#[derive(Debug, Clone)]
pub(super) enum Trust {
    /// There is no TLS.
    PlainHttp,
    /// Whoever has a certificate from an authority in this directory (`ca.crt`).
    Authority(PathBuf),
    /// Only authorities of the system, which did not issue the server's certificate.
    Nobody,
}

/// A client under test. References are `repository:tag` or `repository@digest`, without the registry.
///
/// Functions return what the program did, for the scenario to judge; an error means that it could not be run at all.
pub(super) trait RegistryClient: Sized {
    /// Finds the program and starts its daemon, if it has one.
    fn start(setup: Setup) -> Result<Self, Unable>;

    /// Takes name and password for what follows. A client without a login command only remembers them.
    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome>;

    /// Pushes an image from files.
    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome>;

    /// Pushes an index with all its images from files.
    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome>;

    /// Copies what was pushed from `layout` to `from` into another repository of the same registry.
    fn copy(&self, layout: &Layout, from: &str, to: &str) -> Result<Outcome>;

    /// Pulls for this machine's platform.
    fn pull(&self, from: &str) -> Result<Outcome>;

    /// That what the last pull of `from` brought is this machine's image of `layout`.
    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()>;

    /// Drops the images that the client holds, so that the next pull has to transfer.
    fn forget(&self) -> Result<()>;
}
