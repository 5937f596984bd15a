//! What statements do to findings: they are noted beside them, and some findings count as suppressed. Nothing is removed.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use super::{VexComponent, VexDocument, VexNote, VexProduct, VexStatement, purl::purl_means};
use crate::{OsRelease, Package, advisory::group::VulnerabilityFinding};

/// Whether the signer of a document is trusted for the image. The caller decides, by its signature and by who may speak for
/// which repositories; the author that a document names is no proof of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Signed by this signer, who is trusted for the image.
    Trusted(String),
    /// Unsigned, or by somebody else: shown, without effect.
    Untrusted,
}

/// What an image is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageIdentity {
    /// Its package URLs (`pkg:oci/name@sha256:…?repository_url=…`).
    pub purls: Vec<String>,
    /// Digests of its manifest and of the index that it is part of (`sha256:…`).
    pub digests: Vec<String>,
}

/// Notes what `document` says beside the findings that it is about.
///
/// A statement is about a finding if it names the vulnerability by any id, and either the package itself as a product or the
/// image: as a whole, or with the package among its parts. The newest trusted statement of a finding counts, also if it
/// takes an older one back.
pub fn apply_vex(
    findings: &mut [VulnerabilityFinding],
    packages: &[Package],
    os: Option<&OsRelease>,
    image: &ImageIdentity,
    document: &VexDocument,
    trust: &Trust,
) {
    let mut by_vulnerability: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, statement) in document.statements.iter().enumerate() {
        for id in &statement.vulnerability {
            by_vulnerability.entry(id).or_default().push(number);
        }
    }
    for finding in findings {
        let Some(package) = packages.get(finding.package) else {
            continue;
        };
        let named = finding
            .aliases
            .iter()
            .filter_map(|alias| by_vulnerability.get(alias.as_ref()))
            .flatten();
        let about: BTreeSet<usize> = named.copied().collect();
        if about.is_empty() {
            continue;
        }
        let purl = package.purl(os);
        let about = about.into_iter().map(|number| &document.statements[number]);
        let about = about.filter(|statement| {
            statement
                .products
                .iter()
                .any(|product| is_about(product, image, purl.as_str()))
        });
        finding
            .vex
            .extend(about.map(|statement| note(statement, document, trust)));
        // Of two of one moment the one that does not suppress counts.
        finding
            .vex
            .sort_by_key(|note| (Reverse(note.at), note.status.suppresses(), note.status));
        finding.vex.dedup();
    }
}

fn is_about(product: &VexProduct, image: &ImageIdentity, purl: &str) -> bool {
    if means_purl(&product.product, purl) {
        return true;
    }
    means_image(&product.product, image)
        && (product.subcomponents.is_empty()
            || product.subcomponents.iter().any(|part| means_purl(part, purl)))
}

fn means_purl(component: &VexComponent, purl: &str) -> bool {
    component.ids.iter().any(|id| purl_means(id, purl))
}

fn means_image(component: &VexComponent, image: &ImageIdentity) -> bool {
    component
        .digests
        .iter()
        .any(|digest| image.digests.contains(digest))
        || component
            .ids
            .iter()
            .any(|id| image.digests.contains(id) || image.purls.iter().any(|purl| purl_means(id, purl)))
}

fn note(statement: &VexStatement, document: &VexDocument, trust: &Trust) -> VexNote {
    let (by, is_trusted) = match trust {
        Trust::Trusted(signer) => (signer.clone(), true),
        Trust::Untrusted => (document.author.clone(), false),
    };
    VexNote {
        document: document.id.clone(),
        by,
        is_trusted,
        status: statement.status,
        justification: statement.justification.clone(),
        reason: statement.reason.clone(),
        at: statement.at,
    }
}
