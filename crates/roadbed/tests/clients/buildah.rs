//! `buildah`, with a storage of its own.

use super::{
    client::Setup,
    storage::{Storage, StorageClient},
};
use crate::harness::unable::{Program, Unable};

const PROGRAM: Program = Program {
    name: "buildah",
    package: "buildah",
};

/// A storage and the program that fills it.
pub(super) struct Buildah(Storage);

impl StorageClient for Buildah {
    fn over_storage(setup: Setup) -> Result<Self, Unable> {
        Storage::new(PROGRAM, &[], setup).map(Self)
    }

    fn storage(&self) -> &Storage {
        &self.0
    }
}
