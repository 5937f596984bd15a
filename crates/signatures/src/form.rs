//! Which documents of a manifest are signatures.

use std::collections::BTreeMap;

use oci::{Descriptor, Manifest};

/// Media type of cosign's payload in Red Hat's "simple signing" form.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Media type of a DSSE envelope.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// How the media types of Sigstore's bundles begin.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// Artifact type of Notation's signatures.
const NOTATION: &str = "application/vnd.cncf.notary.signature";

/// The form of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A simple-signing payload; the signature stands in the annotations of the layer.
    SimpleSigning,
    /// A DSSE envelope.
    Envelope,
    /// A Sigstore bundle.
    Bundle,
    /// A signature of Notation.
    Notation,
}

impl Form {
    /// Its name in decisions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SimpleSigning => "cosign signature",
            Self::Envelope => "cosign attestation",
            Self::Bundle => "sigstore bundle",
            Self::Notation => "notation signature",
        }
    }

    fn of(manifest: &Manifest, layer: &Descriptor) -> Option<Self> {
        if manifest.artifact_type.as_deref() == Some(NOTATION) {
            return Some(Self::Notation);
        }
        match layer.media_type.as_str() {
            SIMPLE_SIGNING => Some(Self::SimpleSigning),
            ENVELOPE => Some(Self::Envelope),
            other if other.starts_with(BUNDLE) => Some(Self::Bundle),
            _ => None,
        }
    }
}

/// A document that says of itself that it is a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its form.
    pub form: Form,
    /// Its blob.
    pub blob: Descriptor,
}

impl Announced {
    /// The annotations of the layer.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.blob.annotations
    }
}

/// The documents of a manifest that are signatures, in the manifest's order.
pub fn announced(manifest: &Manifest) -> impl Iterator<Item = Announced> + '_ {
    manifest.layers.iter().filter_map(|layer| {
        Some(Announced {
            form: Form::of(manifest, layer)?,
            blob: layer.clone(),
        })
    })
}
