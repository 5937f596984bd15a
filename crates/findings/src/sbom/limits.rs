//! How much of an SBOM is read.

/// Bytes of a document. 64 MiB hold about 100,000 packages as the most talkative tools write them.
pub const DOCUMENT_BYTES: usize = 64 << 20;
/// Components or packages, over all depths.
pub const COMPONENTS: usize = 300_000;
/// Components inside components. Everything else may nest as deep as the JSON reader goes (128).
pub const DEPTH: usize = 16;
/// Properties, references, licences or annotations of one component.
pub const ITEMS: usize = 10_000;
/// Bytes of a text. A component with a longer one is not understood.
pub const TEXT_BYTES: usize = 16 << 10;
/// Layers.
pub const LAYERS: usize = 10_000;
/// Types of package URLs that are named as unknown.
pub const NAMED_TYPES: usize = 20;
