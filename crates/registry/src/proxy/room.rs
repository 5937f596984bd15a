//! Room on the disk for what comes in, where somebody keeps count of it.

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

/// Room that is held as long as the value lives.
pub type RoomHeld = Box<dyn Send>;

/// Room, some time later.
pub type MakingRoom<'a> = Pin<Box<dyn Future<Output = Result<RoomHeld, NoRoom>> + Send + 'a>>;

/// There is no room, and none can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no room for {bytes} bytes: {why}")]
pub struct NoRoom {
    /// How many were wanted.
    pub bytes: u64,
    /// What takes it.
    pub why: String,
}

/// Makes room for blobs before they come.
pub trait Room: Send + Sync {
    /// Makes room for so many bytes more than are here and on their way.
    fn make(&self, bytes: u64) -> MakingRoom<'_>;
}
