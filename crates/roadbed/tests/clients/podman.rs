//! `podman`, with a storage of its own.

use anyhow::Result;

use super::{
    client::{RegistryClient, Setup},
    layout::Layout,
    machine::Outcome,
    storage::Storage,
};
use crate::harness::unable::{Program, Unable};

const PROGRAM: Program = Program {
    name: "podman",
    package: "podman",
};

/// A storage and the program that fills it.
pub(super) struct Podman(Storage);

impl RegistryClient for Podman {
    fn start(setup: Setup) -> Result<Self, Unable> {
        let state = setup.home.join("libpod").display().to_string();
        Storage::new(PROGRAM, &["--tmpdir", &state], setup).map(Self)
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<Outcome> {
        self.0.log_in(user, password)
    }

    fn push(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.0.push(layout, to)
    }

    fn push_index(&self, layout: &Layout, to: &str) -> Result<Outcome> {
        self.0.push_index(layout, to)
    }

    fn copy(&self, layout: &Layout, _: &str, to: &str) -> Result<Outcome> {
        self.0.push_stored(layout, to)
    }

    fn pull(&self, from: &str) -> Result<Outcome> {
        self.0.pull(from)
    }

    fn check_pulled(&self, from: &str, layout: &Layout) -> Result<()> {
        self.0.check_pulled(from, layout)
    }

    fn forget(&self) -> Result<()> {
        self.0.forget()
    }
}
