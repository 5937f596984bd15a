//! VEX that counts: of signers who are trusted for the product, attached to the image or imported by administrators.

use findings::{
    OsRelease, Package,
    advisory::{
        ImageIdentity, Trust, VexComponent, VexDocument, VexProduct, VexStatement, VulnerabilityFinding,
        apply_vex,
    },
};
use oci::{Digest, RepoName};
use policy::Suppression;
use signatures::TrustedSigner;
use time::OffsetDateTime;

/// How the predicate types of `OpenVEX` begin.
const OPENVEX: &str = "https://openvex.dev/ns";

/// A VEX document with those who are trusted to have made it.
pub(super) struct Attested<'a> {
    document: VexDocument,
    signers: Vec<&'a TrustedSigner>,
}

/// All VEX that counts for one image.
#[derive(Default)]
pub(crate) struct Vex<'a> {
    /// Last part of the repository's name.
    name: &'a str,
    image: ImageIdentity,
    attested: Vec<Attested<'a>>,
    imported: Vec<(&'a VexDocument, &'a TrustedSigner)>,
}

impl<'a> Attested<'a> {
    /// Whether a predicate is `OpenVEX`.
    pub(super) fn is_vex(predicate: &str) -> bool {
        predicate.starts_with(OPENVEX)
    }

    /// Reads what these signers attest; or says why it has no effect.
    pub(super) fn read(body: &str, made_by: Vec<&'a TrustedSigner>) -> Result<Self, String> {
        let signers: Vec<_> = made_by.into_iter().filter(|signer| signer.spec().vex).collect();
        if signers.is_empty() {
            return Err("its signers are not trusted for VEX, so it has no effect".to_owned());
        }
        let document =
            VexDocument::read(body.as_bytes()).map_err(|error| format!("it has no effect: {error}"))?;
        Ok(Self { document, signers })
    }
}

impl<'a> Vex<'a> {
    /// Whether nothing counts.
    pub(super) fn is_empty(&self) -> bool {
        self.attested.is_empty() && self.imported.is_empty()
    }

    /// What counts for an image of these digests: its own first, then those of the indexes that name it.
    pub(super) fn of(
        repository: &'a RepoName,
        digests: &[Digest],
        attested: Vec<Attested<'a>>,
        imported: &'a [VexDocument],
        signers: &'a [TrustedSigner],
        now: OffsetDateTime,
    ) -> Self {
        let name = repository.as_str().rsplit('/').next().unwrap_or_default();
        let image = ImageIdentity {
            purls: digests
                .iter()
                .map(|digest| format!("pkg:oci/{name}@{digest}"))
                .collect(),
            digests: digests.iter().map(ToString::to_string).collect(),
        };
        let imported = imported.iter().flat_map(|document| {
            let by = signers.iter().filter(move |signer| {
                signer.spec().author.as_ref() == Some(&document.author) && signer.is_for(repository, now)
            });
            by.map(move |signer| (document, signer))
        });
        Self {
            name,
            image,
            attested,
            imported: imported.collect(),
        }
    }

    /// When the first of those ends whose imported documents count: from then on the image is another one.
    pub(super) fn first_end(&self) -> Option<OffsetDateTime> {
        let ends = self.imported.iter().filter_map(|(_, signer)| signer.spec().until);
        ends.min()
    }

    /// Notes beside the findings what trusted signers say of them.
    pub(super) fn apply(
        &self,
        findings: &mut [VulnerabilityFinding],
        packages: &[Package],
        os: Option<&OsRelease>,
    ) {
        for Attested { document, signers } in &self.attested {
            for signer in signers {
                let trusted = self.trusted(document, signer, true);
                self.note(findings, packages, os, &trusted, signer);
            }
        }
        for (document, signer) in &self.imported {
            let trusted = self.trusted(document, signer, false);
            self.note(findings, packages, os, &trusted, signer);
        }
    }

    fn note(
        &self,
        findings: &mut [VulnerabilityFinding],
        packages: &[Package],
        os: Option<&OsRelease>,
        document: &VexDocument,
        signer: &TrustedSigner,
    ) {
        let trust = Trust::Trusted(signer.name().to_owned());
        apply_vex(findings, packages, os, &self.image, document, &trust);
    }

    /// The statements about products for which the signer is trusted. What is attached to the image and names no product is
    /// about the image.
    fn trusted(&self, document: &VexDocument, signer: &TrustedSigner, is_attached: bool) -> VexDocument {
        let statements = document.statements.iter().filter_map(|statement| {
            let mut products = statement.products.clone();
            if products.is_empty() && is_attached {
                products.push(self.as_product());
            }
            // Name by name: one that the signer is trusted for does not speak for the others beside it.
            for VexProduct { product, .. } in &mut products {
                let is_trusted = |name: &String| signer.speaks_of(std::iter::once(name.as_str()));
                product.ids.retain(is_trusted);
                product.digests.retain(is_trusted);
                self.recognise(product, signer);
            }
            products
                .retain(|VexProduct { product, .. }| !(product.ids.is_empty() && product.digests.is_empty()));
            (!products.is_empty()).then(|| VexStatement {
                products,
                ..statement.clone()
            })
        });
        VexDocument {
            statements: statements.collect(),
            ..document.clone()
        }
    }

    /// The image as a product.
    fn as_product(&self) -> VexProduct {
        VexProduct {
            product: VexComponent {
                ids: self.image.purls.clone(),
                digests: self.image.digests.clone(),
            },
            subcomponents: Vec::new(),
        }
    }

    /// A package URL with the digest of the image means the image, whatever registry it names. Where a signer is trusted for some
    /// products only, it must have the image's name too: otherwise such a product could be called like any other image.
    fn recognise(&self, product: &mut VexComponent, signer: &TrustedSigner) {
        let is_limited = !signer.spec().products.is_empty();
        let of_image = product.ids.iter().find_map(|id| {
            let (name, version) = id.strip_prefix("pkg:oci/")?.split_once('@')?;
            if is_limited && name != self.name {
                return None;
            }
            let version = version
                .split(['?', '#'])
                .next()?
                .to_ascii_lowercase()
                .replace("%3a", ":");
            self.image.digests.iter().find(|digest| **digest == version)
        });
        if let Some(digest) = of_image {
            product.digests.push(digest.clone());
        }
    }
}

/// By whose word a finding does not count, if it does not.
pub(super) fn suppression(finding: &VulnerabilityFinding) -> Option<Suppression> {
    let newest = finding.vex.iter().find(|note| note.is_trusted)?;
    newest.status.suppresses().then(|| {
        let words = newest.reason.clone().or_else(|| newest.justification.clone());
        let status = match newest.status {
            findings::advisory::VexStatus::Fixed => "fixed",
            _ => "not affected",
        };
        Suppression {
            by: newest.by.clone(),
            reason: words.map_or_else(|| status.to_owned(), |words| format!("{status}: {words}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use signatures::SignerSpec;

    use super::*;

    fn signer(products: &[&str]) -> TrustedSigner {
        let spec = json!({
            "name": "vendor", "repositories": ["**"], "author": "Vendor", "vex": true, "products": products,
        });
        let spec: SignerSpec = serde_json::from_value(spec).unwrap();
        TrustedSigner::new(spec).unwrap()
    }

    /// The names of the one product that is left, if it is.
    fn left(repository: &str, products: &[&str], product: &serde_json::Value) -> Option<VexComponent> {
        let document = json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vendor.example/1", "author": "Vendor",
            "timestamp": "2024-01-01T00:00:00Z", "version": 1,
            "statements": [{
                "vulnerability": { "name": "CVE-2021-44228" }, "products": [product], "status": "fixed",
            }],
        });
        let documents = [VexDocument::read(document.to_string().as_bytes()).unwrap()];
        let (signers, repository) = ([signer(products)], repository.parse().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        let vex = Vex::of(&repository, &[digest()], Vec::new(), &documents, &signers, now);
        let mut trusted = vex.trusted(&documents[0], &signers[0], false);
        let mut statement = trusted.statements.pop()?;
        Some(statement.products.remove(0).product)
    }

    fn digest() -> Digest {
        Digest::of(oci::Algorithm::Sha256, b"image")
    }

    #[test]
    fn a_product_that_is_called_like_a_trusted_one_is_no_other_image() {
        let product = json!({ "@id": format!("pkg:oci/allowed@{}", digest()) });
        let means_the_image = |repository, products: &[&str]| {
            left(repository, products, &product).is_some_and(|product| !product.digests.is_empty())
        };
        assert!(means_the_image("team/allowed", &["pkg:oci/allowed*"]));
        assert!(!means_the_image("team/victim", &["pkg:oci/allowed*"]));
        // Whoever is trusted for everything may call it as it was called elsewhere.
        assert!(means_the_image("team/renamed", &[]));
    }

    #[test]
    fn a_trusted_name_does_not_speak_for_those_beside_it() {
        let product = json!({
            "@id": "pkg:oci/allowed", "identifiers": { "purl": "pkg:deb/debian/openssl" },
        });
        let kept = left("team/app", &["pkg:oci/allowed*"], &product).unwrap();
        assert_eq!(kept.ids, ["pkg:oci/allowed"]);
        let foreign = json!({ "@id": "pkg:deb/debian/openssl" });
        assert_eq!(left("team/app", &["pkg:oci/allowed*"], &foreign), None);
    }
}
