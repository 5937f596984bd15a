//! Which manifests are judged: whatever a node can unpack or mount, and not what it is called.
//!
//! A stranger chooses all media types. So a manifest is left out only when its types say that it is one of a few known kinds
//! of artifact *and* what was seen of its blobs agrees. Everything else is judged, and what cannot be looked into is unknown.

mod kinds;

use oci::media_type::{DOCKER_CONFIG, OCI_IMAGE_CONFIG};
use oci::{Descriptor, Manifest, ManifestKind};
use serde::{Deserialize, Serialize};

pub use kinds::ArtifactKind;

/// Whether a manifest is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applicability {
    /// It is: a node can run it.
    Image,
    /// By its children. See [`decide_index`](crate::decide_index).
    Index,
    /// It is not.
    NotApplicable(ArtifactKind),
}

/// What the content of a blob looks like, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peek {
    /// Compressed, or a tar.
    Archive,
    /// JSON or other text.
    Text,
    /// Something else.
    Other,
    /// Nobody looked.
    Unread,
}

/// What the configuration is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigShape {
    /// It names diff ids, as an image's does.
    Image,
    /// It names none.
    Other,
    /// Nobody looked.
    Unread,
}

impl Peek {
    /// Bytes that [`of`](Self::of) wants to see.
    pub const BYTES: usize = 512;

    /// By the first [`BYTES`](Self::BYTES) of a blob, or all of it if it has fewer.
    pub fn of(bytes: &[u8]) -> Self {
        const GZIP: &[u8] = &[0x1f, 0x8b];
        const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
        const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
        const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
        let is_tar = bytes.get(257..262) == Some(b"ustar") || has_tar_checksum(bytes);
        let is_skippable = bytes.first().is_some_and(|first| first & 0xf0 == 0x50)
            && bytes
                .get(1..)
                .is_some_and(|rest| rest.starts_with(ZSTD_SKIPPABLE));
        if is_tar
            || is_skippable
            || [GZIP, ZSTD, XZ, b"BZh"]
                .iter()
                .any(|magic| bytes.starts_with(magic))
        {
            return Self::Archive;
        }
        let head = bytes.get(..Self::BYTES).unwrap_or(bytes);
        let is_text = head.iter().all(|byte| *byte >= b' ' || b"\t\n\r".contains(byte));
        if is_text && !head.is_empty() {
            Self::Text
        } else {
            Self::Other
        }
    }
}

/// Whether the bytes begin with the header of a tar of the oldest form, which has no magic and can be made of letters alone.
fn has_tar_checksum(bytes: &[u8]) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let (Some(header), Some(field)) = (bytes.get(..512), bytes.get(FIELD)) else {
        return false;
    };
    let blank = |(place, byte): (usize, &u8)| if FIELD.contains(&place) { b' ' } else { *byte };
    let unsigned: u64 = header.iter().enumerate().map(|at| u64::from(blank(at))).sum();
    let signed: i64 = header
        .iter()
        .enumerate()
        .map(|at| i64::from(blank(at).cast_signed()))
        .sum();
    let written = if field.first().is_some_and(|first| first & 0x80 != 0) {
        // Base 256, as GNU writes large numbers.
        field
            .iter()
            .skip(1)
            .fold(0_u64, |sum, byte| sum.wrapping_shl(8) | u64::from(*byte))
    } else {
        let digits: String = field.iter().map(|byte| char::from(*byte)).collect();
        let digits = digits.trim_matches([' ', '\0']);
        u64::from_str_radix(digits.split(' ').next().unwrap_or(digits), 8).unwrap_or(u64::MAX)
    };
    written == unsigned || i64::try_from(written) == Ok(signed)
}

/// Whether `manifest` is judged. `peek` says what was seen of a layer.
pub fn classify(
    manifest: &Manifest,
    config: ConfigShape,
    peek: impl Fn(&Descriptor) -> Peek,
) -> Applicability {
    if manifest.kind == ManifestKind::Index {
        return Applicability::Index;
    }
    match kinds::declared(manifest) {
        Some(kind) if is_believed(kind, manifest, config, peek) => Applicability::NotApplicable(kind),
        _ => Applicability::Image,
    }
}

/// Whether an index is a build cache: its children are layers and no manifests, so that no node can run any of them.
pub fn is_cache_index(manifest: &Manifest) -> bool {
    manifest.kind == ManifestKind::Index
        && !manifest.manifests.is_empty()
        && manifest
            .manifests
            .iter()
            .all(|child| !oci::media_type::MANIFESTS.contains(&child.media_type.as_str()))
}

/// Clients look at different things: containerd unpacks by the types of the layers, Docker by the type of the configuration
/// and the first bytes of the layers, whatever the layers are called.
fn is_believed(
    kind: ArtifactKind,
    manifest: &Manifest,
    config: ConfigShape,
    peek: impl Fn(&Descriptor) -> Peek,
) -> bool {
    let config_type = manifest
        .config
        .as_ref()
        .map_or("", |config| config.media_type.as_str());
    let is_image_config = [OCI_IMAGE_CONFIG, DOCKER_CONFIG].contains(&config_type);
    match kind {
        // Charts are archives. No node takes that type of configuration for an image.
        ArtifactKind::Chart => !is_image_config && config != ConfigShape::Image,
        // Caches have layers as images do; without diff ids nobody can unpack them.
        ArtifactKind::BuildCache => !is_image_config && config == ConfigShape::Other,
        // Cosign stores signatures under an image's configuration with diff ids. Only their content tells them apart.
        _ if is_image_config => manifest.layers.iter().all(|layer| peek(layer) == Peek::Text),
        _ => manifest.layers.iter().all(|layer| peek(layer) != Peek::Archive),
    }
}

#[cfg(test)]
mod tests;
