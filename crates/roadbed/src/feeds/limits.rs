//! How much is read of a source.

/// How much is read of one source. Each has a key below `[feeds]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedLimits {
    /// Bytes of the list of an ecosystem. That of npm, the longest, has some 15 MB in 2026. Default 256 MiB.
    pub(crate) list_bytes: u64,
    /// Lines of it. Default 2,000,000.
    pub(crate) list_lines: usize,
    /// Bytes of the archive of an ecosystem. That of npm has some 220 MB in 2026. Default 2 GiB.
    pub(crate) archive_bytes: u64,
    /// Bytes that it unpacks to. Default 32 GiB.
    pub(crate) archive_unpacked: u64,
    /// Entries of it. Default 2,000,000.
    pub(crate) archive_entries: u64,
    /// Changed advisories that are fetched one by one. Default 2,000.
    pub(crate) changed_documents: usize,
    /// Bytes of them. Default 256 MiB.
    pub(crate) changed_bytes: u64,
    /// How many are fetched at the same time. Default 8.
    pub(crate) concurrent_documents: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            list_bytes: 256 << 20,
            list_lines: 2_000_000,
            archive_bytes: 2 << 30,
            archive_unpacked: 32 << 30,
            archive_entries: 2_000_000,
            changed_documents: 2_000,
            changed_bytes: 256 << 20,
            concurrent_documents: 8,
        }
    }
}
