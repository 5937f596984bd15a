//! What the registry states of an image that it made: how it was made (SLSA provenance, version 1), and where those who made image
//! and base are trusted, its signature. Both are
//! attached to the image in the transaction that stores it, signed with the registry's own key. No author is named.

use anyhow::Result;
use bytes::Bytes;
use oci::media_type::{OCI_EMPTY, OCI_IMAGE_MANIFEST};
use oci::{Algorithm, Digest, Manifest, ManifestLimits};
use road::base::BaseImage;
use serde_json::{Value, json};
use signatures::patch::{BUNDLE, COSIGN_SIGN, PatchKey};
use store::{NewRebase, OwnReferrer};
use web::wire::{ImagePlan, PlanEntry};

/// The predicate type of provenance (slsa.dev/spec/v1.0/provenance).
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What kind of build a rebase is. The page says what its parameters mean: docs/rebase.md, "Whose word it is".
const BUILD_TYPE: &str = "https://roadbed.dev/rebase/v1";

/// Who built it.
const BUILDER: &str = "https://roadbed.dev/registry";

/// Files of the layer on top that are named.
const MAX_MERGED: usize = 100;

/// What is to be stored, with a provenance of what its tag will name, and a signature where `is_vouched`: who admits by the key
/// alone must not admit what anybody pushed.
pub(super) fn attested(
    key: &PatchKey,
    mut new: NewRebase,
    plan: &PlanEntry,
    (base, is_vouched): (&BaseImage, bool),
) -> Result<NewRebase> {
    let Some((image, bytes, manifest)) = new.manifests.last() else {
        return Ok(new);
    };
    let media_type = &manifest.media_type;
    let subject = json!({ "mediaType": media_type, "digest": image, "size": bytes.len() });
    let signature = is_vouched.then(|| (COSIGN_SIGN, json!({})));
    let statements = signature
        .into_iter()
        .chain([(PROVENANCE, provenance(plan, base))]);
    for (kind, predicate) in statements {
        let mut made = referrer(key, (image, &subject), kind, &predicate)?;
        if !new.referrers.is_empty() {
            // The empty configuration comes with the first one: each file costs a sync of the disk.
            made.blobs.remove(0);
        }
        new.referrers.push(made);
    }
    Ok(new)
}

/// An artifact that refers to an image and holds a statement about it.
pub(crate) fn referrer(
    key: &PatchKey,
    (image, subject): (&Digest, &Value),
    kind: &str,
    predicate: &Value,
) -> Result<OwnReferrer> {
    let (empty, bundle) = (
        Bytes::from_static(b"{}"),
        Bytes::from(key.bundle(image, kind, predicate)?),
    );
    let descriptor = |media_type: &str, bytes: &Bytes| {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "artifactType": BUNDLE,
        "config": descriptor(OCI_EMPTY, &empty),
        "layers": [descriptor(BUNDLE, &bundle)],
        "subject": subject,
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": kind,
        },
    });
    let bytes = Bytes::from(manifest.to_string());
    Ok(OwnReferrer {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        manifest: Manifest::parse(&bytes, None, &ManifestLimits::default())?,
        bytes,
        blobs: vec![empty, bundle],
    })
}

/// The same plan gives the same text: it holds no time and no name of whoever asked.
fn provenance(plan: &PlanEntry, base: &BaseImage) -> Value {
    let resource = |name: &str, repository: &str, digest: &Digest| json!({ "name": name, "uri": format!("oci:{repository}"), "digest": digest_of(digest) });
    let mut materials = vec![resource("image", plan.repository.as_str(), &plan.digest)];
    for image in &plan.images {
        if image.digest != plan.digest {
            materials.push(resource(
                "image of the index",
                plan.repository.as_str(),
                &image.digest,
            ));
        }
        materials.push(resource("old base", base.repository.as_str(), &image.from.digest));
        if let Some(to) = &image.to {
            materials.push(resource("new base", base.repository.as_str(), &to.digest));
        }
    }
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "image": format!("{}@{}", plan.repository, plan.digest),
                "base": base.name,
            },
            "internalParameters": {
                "class": plan.class,
                "checks": plan.images.iter().map(checks).collect::<Vec<Value>>(),
            },
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": { "id": BUILDER, "version": { "roadbed": env!("CARGO_PKG_VERSION") } },
            "metadata": {},
        },
    })
}

fn digest_of(digest: &Digest) -> Value {
    json!({ digest.algorithm().to_string(): digest.hex() })
}

/// What was looked at of an image, and what came of it.
fn checks(image: &ImagePlan) -> Value {
    let merged: Vec<&String> = image.merged.iter().take(MAX_MERGED).collect();
    json!({
        "image": image.digest,
        "becomes": image.new_digest,
        "platform": image.platform,
        "class": image.class,
        "obstacles": image.obstacles.len(),
        "paths": image.evidence.paths,
        "pathsOfBoth": image.evidence.unchanged,
        "merged": merged,
        "keptSettings": image.conflicts.len(),
        "findingsGone": image.findings.gone_by_severity,
        "findingsCome": image.findings.come_by_severity,
    })
}

#[cfg(test)]
mod tests {
    use web::wire::ReleaseEntry;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    fn plan() -> (PlanEntry, BaseImage) {
        let release = |name: &str| ReleaseEntry {
            digest: digest(name),
            version: name.to_owned(),
        };
        let image = ImagePlan {
            digest: digest("old"),
            platform: "linux/amd64".to_owned(),
            base: "java".parse().unwrap(),
            from: release("1"),
            to: Some(release("2")),
            class: Some(road::rebase::SafetyClass::A),
            obstacles: Vec::new(),
            more_obstacles: 0,
            evidence: road::rebase::PathEvidence::default(),
            packages: Vec::new(),
            more_packages: 0,
            own_packages: Vec::new(),
            more_own_packages: 0,
            merged: Vec::new(),
            conflicts: Vec::new(),
            findings: web::wire::FindingsChange::default(),
            remains: Vec::new(),
            new_digest: Some(digest("new")),
        };
        let plan = PlanEntry {
            repository: "team/app".parse().unwrap(),
            digest: digest("old"),
            class: image.class,
            new_digest: image.new_digest,
            new_bytes: 1,
            images: vec![image],
        };
        let base = serde_json::from_value(json!({
            "name": "java", "owner": "platform", "repository": "base/java", "channels": {}, "lifecycle": "supported",
            "supported_until": "2100-01-01T00:00:00Z", "patch_within": {},
        }));
        (plan, base.unwrap())
    }

    #[test]
    fn a_provenance_is_the_same_each_time_and_names_what_went_in() {
        let (plan, base) = plan();
        let said = provenance(&plan, &base).to_string();
        assert_eq!(said, provenance(&plan, &base).to_string());
        for name in ["old", "1", "2"] {
            assert!(said.contains(&digest(name).hex()), "{name} in {said}");
        }
    }

    #[test]
    fn only_what_is_vouched_for_is_signed() {
        let key = PatchKey::read(&PatchKey::make().unwrap()).unwrap();
        let (plan, base) = plan();
        let bytes = Bytes::from(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
        );
        let manifest = Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap();
        let new = NewRebase {
            repository: "team/app".parse().unwrap(),
            tag: "v1".parse().unwrap(),
            old: digest("old"),
            how: store::TagMove::Suffix,
            plan: String::new(),
            base: base.repository.clone(),
            manifests: vec![(digest("new"), bytes, manifest)],
            blobs: Vec::new(),
            images: Vec::new(),
            referrers: Vec::new(),
            item: None,
        };
        for (is_vouched, wanted) in [(false, &[PROVENANCE][..]), (true, &[COSIGN_SIGN, PROVENANCE])] {
            let made = attested(&key, new.clone(), &plan, (&base, is_vouched)).unwrap();
            let kind =
                |made: &OwnReferrer| made.manifest.annotations["dev.sigstore.bundle.predicateType"].clone();
            let kinds: Vec<String> = made.referrers.iter().map(kind).collect();
            assert_eq!(kinds, wanted);
            assert_eq!(made.referrers[0].blobs.len(), 2);
        }
    }

    #[test]
    fn a_referrer_is_about_its_image_and_names_all_its_blobs() {
        let key = PatchKey::read(&PatchKey::make().unwrap()).unwrap();
        let image = digest("new");
        let subject = json!({ "mediaType": OCI_IMAGE_MANIFEST, "digest": image, "size": 7 });
        let made = referrer(&key, (&image, &subject), PROVENANCE, &json!({})).unwrap();
        assert_eq!(made.manifest.subject.as_ref().unwrap().digest, image);
        assert_eq!(made.manifest.artifact_type.as_deref(), Some(BUNDLE));
        let layer = Digest::of(Algorithm::Sha256, &made.blobs[1]);
        assert_eq!(made.manifest.layers[0].digest, layer);
    }
}
