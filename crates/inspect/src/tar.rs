//! The reader of layers: bounded, and strict where parsers disagree.
//!
//! An image is unpacked by containerd, so by Go's `archive/tar`: the entries here are those that it sees, in all forms that it
//! reads (V7, ustar, PAX, GNU, sparse files in five spellings). Where another parser, or a reader of the specification, could see
//! other entries in the same bytes, a file can be hidden from one of them (GHSA-fp55-jw48-c537, GHSA-3cv2-h65g-fgmm,
//! GHSA-j5gw-2vrg-8fgx). Such a place is an [`Oddity`](findings::Oddity), and the reader goes on. What Go refuses is an error here.
//!
//! Nothing is allocated because a header announces it; holes of sparse files count as bytes of the layer.

mod block;
mod entry;
mod error;
mod meta;
mod number;
mod oddities;
mod path;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
pub(crate) mod tests;

pub use entry::{Entry, EntryKind};
pub use error::TarError;
pub(crate) use oddities::Oddities;
pub use path::{LayerPath, Whiteout, normalise};
pub use reader::Reader;
