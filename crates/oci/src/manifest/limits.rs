//! How much of a manifest is taken.

/// Bounds on what one manifest may hold. Each stops a manifest that is cheap to send and costly to keep or
/// serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestLimits {
    /// Length of the whole manifest in bytes. Default 4 MiB, which the specification says must be taken.
    pub bytes: usize,
    /// Layers of an image. Default 1,000; overlay file systems stop at 500, Docker at 125.
    pub layers: usize,
    /// Children of an index. Default 1,000.
    pub children: usize,
    /// Annotations, of the manifest and all its descriptors together. Default 10,000. Their bytes are bounded
    /// by [`bytes`](Self::bytes).
    pub annotations: usize,
    /// `urls` of one descriptor. Default 32.
    pub urls: usize,
    /// Length of one URL in bytes. Default 8,192.
    pub url_bytes: usize,
    /// Length in bytes of an artifact type and of each text of a platform. Default 255.
    pub text_bytes: usize,
    /// `os.features` of one platform. Default 64.
    pub features: usize,
    /// Nesting of objects and arrays, the manifest itself being 1. Default 32; what the specifications define
    /// needs 5.
    pub depth: usize,
    /// Fields that no specification defines, at any depth, all together. Default 10,000.
    pub custom_fields: usize,
}

impl Default for ManifestLimits {
    fn default() -> Self {
        ManifestLimits {
            bytes: 4 * 1024 * 1024,
            layers: 1_000,
            children: 1_000,
            annotations: 10_000,
            urls: 32,
            url_bytes: 8_192,
            text_bytes: 255,
            features: 64,
            depth: 32,
            custom_fields: 10_000,
        }
    }
}
