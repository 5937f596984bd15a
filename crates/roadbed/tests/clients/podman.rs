//! `podman`, with a storage of its own.

use super::{
    client::Setup,
    storage::{Storage, StorageClient},
};
use crate::harness::unable::{Program, Unable};

const PROGRAM: Program = Program {
    name: "podman",
    package: "podman",
};

/// A storage and the program that fills it.
pub(super) struct Podman(Storage);

impl StorageClient for Podman {
    fn over_storage(setup: Setup) -> Result<Self, Unable> {
        let state = setup.home.join("libpod").display().to_string();
        Storage::new(PROGRAM, &["--tmpdir", &state], setup).map(Self)
    }

    fn storage(&self) -> &Storage {
        &self.0
    }
}
