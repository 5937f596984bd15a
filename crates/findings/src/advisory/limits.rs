//! How much of a document is read. Feeds are public and are mirrored by strangers; a document is never believed to be small.

/// Bytes of one OSV document. The largest of the public feeds has a few hundred kilobytes.
pub const OSV_DOCUMENT_BYTES: usize = 8 * 1024 * 1024;
/// Packages that one document speaks of.
pub const AFFECTED: usize = 20_000;
/// Ranges of one package.
pub const RANGES: usize = 1_000;
/// Events of one range.
pub const EVENTS: usize = 2_000;
/// Versions that are listed one by one for a package.
pub const VERSIONS: usize = 20_000;
/// Other names of an advisory; the same for what it is upstream of and what it is related to.
pub const ALIASES: usize = 2_000;
/// Severities that one place states.
pub const SEVERITIES: usize = 32;
/// Bytes of an id.
pub const ID_BYTES: usize = 256;
/// Bytes of the name of a package or of an ecosystem.
pub const NAME_BYTES: usize = 512;
/// Bytes of a version.
pub const VERSION_BYTES: usize = 512;
/// Bytes of a summary that are kept; the rest is cut off.
pub const SUMMARY_BYTES: usize = 400;
/// Bytes of the details that are kept; the rest is cut off.
pub const DETAILS_BYTES: usize = 4_000;
/// Bytes of a CVSS vector.
pub const VECTOR_BYTES: usize = 512;

/// How deep a document may be nested where it is read. What is passed over may be nested as deep as its bytes allow: it is gone
/// through without a stack.
pub const NESTING: usize = 128;

/// Bytes of a KEV catalogue (1.3 MB with 1,404 entries in 2025).
pub const KEV_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;
/// Vulnerabilities of a KEV catalogue.
pub const KEV_ENTRIES: usize = 200_000;
/// Bytes of EPSS's list, unpacked (10 MB with 280,000 lines in 2025).
pub const EPSS_DOCUMENT_BYTES: usize = 256 * 1024 * 1024;
/// Lines of EPSS's list.
pub const EPSS_LINES: usize = 2_000_000;
/// Bytes of an `OpenVEX` document.
pub const VEX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;
/// Statements of an `OpenVEX` document.
pub const VEX_STATEMENTS: usize = 20_000;
/// Products of a statement; the same for the parts of a product.
pub const VEX_PRODUCTS: usize = 5_000;
/// Products and parts of all statements of a document; parts that stand beside several products count for each.
pub const VEX_COMPONENTS: usize = 200_000;
/// Bytes of an identifier of a product: a package URL, say.
pub const VEX_ID_BYTES: usize = 4_096;
/// Bytes of a text of a statement that are kept.
pub const VEX_TEXT_BYTES: usize = 1_000;

/// Advisories that are kept of what speaks of the packages of one image, for and against together. A layer of some kilobytes can
/// name fifty thousand packages of which each has thousands.
pub const MATCHES: usize = 50_000;
/// Entries of advisories that the packages of one image are compared with.
pub const COMPARISONS: usize = 10_000_000;

/// Advisories of an index. OSV's whole export has about 600,000 in 2026, most of them malicious npm packages.
pub const INDEX_ADVISORIES: usize = 2_000_000;
/// Packages that the advisories of an index speak of, over all of them.
pub const INDEX_ENTRIES: usize = 10_000_000;
/// Bytes of an index in memory.
pub const INDEX_BYTES: usize = 4 * 1024 * 1024 * 1024;
/// Bytes of the unpacked form that an index is loaded from.
pub const BLOB_BYTES: u64 = 4 * 1024 * 1024 * 1024;
