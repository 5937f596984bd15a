//! Media types, and the ones that have a meaning to a registry.

use std::sync::Arc;

use crate::text::{checked_text, excerpt};

/// OCI image manifest.
pub const OCI_IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The two bytes `{}`, the config or layer of artifacts that need none.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, uncompressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that may not be redistributed, uncompressed; deprecated, still pushed.
pub const OCI_FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// OCI layer that may not be redistributed, gzip.
pub const OCI_FOREIGN_LAYER_GZIP: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// OCI layer that may not be redistributed, zstd.
pub const OCI_FOREIGN_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, version 2, schema 1: refused.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// The same, signed: refused.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer that may not be redistributed, uncompressed.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// Docker layer that may not be redistributed, gzip.
pub const DOCKER_FOREIGN_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Metadata of a Helm chart, the config of its artifact.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Archive of a Helm chart, a layer of its artifact.
pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What is signed of a Helm chart, a layer of its artifact.
pub const HELM_PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// The manifests that the registry takes, in the order in which it would rather serve them.
pub const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_INDEX,
    OCI_IMAGE_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_MANIFEST,
];

/// Longest media type in bytes, without parameters: two names of 127 and a slash (RFC 6838, 4.2).
pub const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// Longest text that is looked at for a media type, parameters included, in bytes.
pub const MAX_MEDIA_TYPE_TEXT_BYTES: usize = 1024;

const MAX_NAME_BYTES: usize = 127;

/// A media type such as `application/vnd.oci.image.manifest.v1+json` (RFC 6838, 4.2).
///
/// Parameters (`; charset=utf-8`) are cut off when it is parsed. The case is kept and matters, as it does to
/// the clients that will read it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Arc<str>);

/// Why a text is no media type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// A name over 127 bytes, or parameters without end.
    #[error("media type of {bytes} bytes is too long: at most {MAX_NAME_BYTES} on each side of the slash")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Outside the grammar.
    #[error("media type `{media_type}` is malformed: expected `type/subtype`, such as {OCI_IMAGE_MANIFEST}")]
    Malformed {
        /// The text, clipped and escaped.
        media_type: String,
    },
}

checked_text!(
    MediaType,
    MediaTypeError,
    check,
    "a media type such as application/vnd.oci.image.manifest.v1+json"
);

impl MediaType {
    /// Whether it marks a layer that registries do not hold: non-distributable (OCI) or foreign (Docker).
    pub fn is_foreign_layer(&self) -> bool {
        [
            OCI_FOREIGN_LAYER,
            OCI_FOREIGN_LAYER_GZIP,
            OCI_FOREIGN_LAYER_ZSTD,
            DOCKER_FOREIGN_LAYER,
            DOCKER_FOREIGN_LAYER_GZIP,
        ]
        .contains(&self.as_str())
    }

    /// For the constants of this module.
    pub(crate) fn known_good(text: &'static str) -> MediaType {
        debug_assert_eq!(check(text), Ok(text));
        MediaType(text.into())
    }
}

/// Returns the text without parameters and surrounding blanks.
fn check(text: &str) -> Result<&str, MediaTypeError> {
    if text.len() > MAX_MEDIA_TYPE_TEXT_BYTES {
        return Err(MediaTypeError::TooLong { bytes: text.len() });
    }
    let bare = text
        .split_once(';')
        .map_or(text, |(bare, _)| bare)
        .trim_matches([' ', '\t']);
    let malformed = || MediaTypeError::Malformed {
        media_type: excerpt(text),
    };
    let (kind, subtype) = bare.split_once('/').ok_or_else(malformed)?;
    if !is_restricted_name(kind) || !is_restricted_name(subtype) {
        return Err(malformed());
    }
    if kind.len() > MAX_NAME_BYTES || subtype.len() > MAX_NAME_BYTES {
        return Err(MediaTypeError::TooLong { bytes: bare.len() });
    }
    Ok(bare)
}

fn is_restricted_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_parameters_off() {
        for text in [
            "text/plain",
            "text/plain;charset=utf-8",
            " text/plain ; a=b;c=d",
            "text/plain;",
        ] {
            assert_eq!(text.parse::<MediaType>().unwrap(), "text/plain");
        }
        let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
        assert_eq!(longest.len(), MAX_MEDIA_TYPE_BYTES);
        assert_eq!(longest.parse::<MediaType>().unwrap(), longest.as_str());
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "", "/", "a/", "/b", "a", "a/b/c", "a/b c", "a /b", ".a/b", "a/+b", "a/b\n", "a/\0", "é/b",
            "a/*", ";a/b",
        ] {
            let error = text.parse::<MediaType>().unwrap_err();
            assert!(
                matches!(error, MediaTypeError::Malformed { .. }),
                "{text:?}: {error}"
            );
        }
        for text in [
            format!("{}/b", "a".repeat(128)),
            format!("a/b;{}", "c".repeat(MAX_MEDIA_TYPE_TEXT_BYTES)),
        ] {
            assert!(matches!(
                text.parse::<MediaType>(),
                Err(MediaTypeError::TooLong { .. })
            ));
        }
    }

    #[test]
    fn knows_foreign_layers() {
        assert!(MediaType::known_good(OCI_FOREIGN_LAYER_ZSTD).is_foreign_layer());
        assert!(MediaType::known_good(DOCKER_FOREIGN_LAYER_GZIP).is_foreign_layer());
        assert!(!MediaType::known_good(OCI_LAYER_GZIP).is_foreign_layer());
        assert!(!MediaType::known_good(DOCKER_LAYER_GZIP).is_foreign_layer());
    }

    #[test]
    fn constants_are_well_formed() {
        for text in
            MANIFESTS
                .into_iter()
                .chain([DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_EMPTY, DOCKER_CONFIG])
        {
            assert_eq!(text.parse::<MediaType>().unwrap(), text);
        }
    }
}
