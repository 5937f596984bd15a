//! Signatures as conditions: made here, so that these tests need no program.

use anyhow::{Result, ensure};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

use super::{
    images::Image,
    signer::{Signer, base64, named, plain},
    world::{REPOSITORY, World, facts},
};
use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{CONFIG, Document, Draft, EMPTY_JSON},
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A payload of cosign's about an image, under a tag or as a referrer.
fn payload(image: &Document, key: &KeyPair) -> Result<(Vec<Blob>, Draft)> {
    let text = json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/team/app" },
            "image": { "docker-manifest-digest": image.digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let signature = base64(&key.sign(text.as_bytes())?);
    let (payload, config) = (
        Blob::new(Algorithm::Sha256, text),
        Blob::new(Algorithm::Sha256, "{\"config\":{}}"),
    );
    let mut layer = payload.descriptor("application/vnd.dev.cosign.simplesigning.v1+json");
    layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
    let draft = Draft::image(config.descriptor(CONFIG), vec![layer]);
    Ok((vec![payload, config], draft))
}

/// A bundle with a statement about an image, as a referrer of `subject`.
pub(super) fn bundle(
    image: &str,
    subject: &Document,
    kind: &str,
    predicate: &Value,
    key: &KeyPair,
) -> Result<(Vec<Blob>, Document)> {
    let (_, hex) = image.split_once(':').unwrap_or_default();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": hex } }],
        "predicateType": kind,
        "predicate": predicate,
    })
    .to_string();
    let payload_type = "application/vnd.in-toto+json";
    let signed = format!(
        "DSSEv1 {} {payload_type} {} {statement}",
        payload_type.len(),
        statement.len()
    );
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": {
            "payload": base64(statement.as_bytes()),
            "payloadType": payload_type,
            "signatures": [{ "sig": base64(&key.sign(signed.as_bytes())?) }],
        },
    });
    let (bundle, config) = (
        Blob::new(Algorithm::Sha256, bundle.to_string()),
        Blob::empty_json(Algorithm::Sha256),
    );
    let draft = Draft::image(config.descriptor(EMPTY_JSON), vec![bundle.descriptor(BUNDLE)])
        .artifact_type(BUNDLE)
        .subject(subject.descriptor());
    Ok((vec![bundle, config], draft.finish()))
}

pub(super) async fn attach(
    world: &World,
    reference: &str,
    blobs: &[Blob],
    document: &Document,
) -> Result<()> {
    world
        .admin
        .push_image(REPOSITORY, reference, blobs, document)
        .await
}

async fn delete(world: &World, reference: &str) -> Result<()> {
    let path = super::world::manifest_path(reference);
    world.admin.delete(path).send().await?.expect(&[202])?;
    Ok(())
}

/// Refused, signed, served, and refused again when the signature or its signer goes: without a push of the image.
#[tokio::test]
async fn what_has_to_be_signed_is_served_as_long_as_it_is() -> Result<()> {
    // The one image there is turns over and over: without the brake, which has tests of its own.
    let world = World::start(&[("ROADBED_GATE__BRAKE_SHARE", "10000")]).await?;
    let signer = Signer::named("release")?;
    signer.trust(&world, &[])?;
    world.set_policy(&named("release")).await?;
    let image = plain("signed");
    world.push("v1", &image).await?;
    let refused = world.decided("v1").await?.expect_error(403, "DENIED")?;
    ensure!(refused.error_message()?.contains("not signed by release"));

    let (blobs, draft) = payload(&image.document, &signer.key)?;
    let tag = format!("{}.sig", image.document.digest.replace(':', "-"));
    attach(&world, &tag, &blobs, &draft.finish()).await?;
    world.until("v1", "signed", |answer| answer.status == 200).await?;
    let told = world.decision("v1")?;
    ensure!(told.contains("signed by release: cosign signature"), "{told}");

    let path = format!("/api/v1/repository/tag?repository={REPOSITORY}&tag={tag}");
    world.api("DELETE", &path, None).await?;
    world
        .until("v1", "refused again", |answer| answer.status == 403)
        .await?;

    let kind = "https://sigstore.dev/cosign/sign/v1";
    let (blobs, document) = bundle(
        &image.document.digest,
        &image.document,
        kind,
        &json!({}),
        &signer.key,
    )?;
    attach(&world, &document.digest, &blobs, &document).await?;
    world
        .until("v1", "signed by a bundle", |answer| answer.status == 200)
        .await?;
    delete(&world, &document.digest).await?;
    world
        .until("v1", "refused again", |answer| answer.status == 403)
        .await?;

    attach(&world, &document.digest, &blobs, &document).await?;
    world
        .until("v1", "signed again", |answer| answer.status == 200)
        .await?;
    world.roadbed(&["signer", "remove", "release"])?;
    world
        .until("v1", "refused again", |answer| answer.status == 403)
        .await?;
    Ok(())
}

/// What a stranger attaches is shown with the reason why it does not count.
#[tokio::test]
async fn what_strangers_attach_is_shown_and_does_not_count() -> Result<()> {
    let world = World::start(&[("ROADBED_SIGNATURES__DOCUMENT_BYTES", "4KiB")]).await?;
    let signer = Signer::named("release")?;
    signer.trust(&world, &[])?;
    world.set_policy(&named("release")).await?;
    let (image, other) = (plain("one"), plain("two"));
    world.push("v1", &image).await?;
    world.push("v2", &other).await?;
    let subject = &image.document;
    let kind = "https://sigstore.dev/cosign/sign/v1";
    let stranger = KeyPair::generate()?;
    let (blobs, document) = bundle(&subject.digest, subject, kind, &json!({}), &stranger)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    let (blobs, document) = bundle(&other.document.digest, subject, kind, &json!({}), &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    let long = json!({ "long": "x".repeat(5 << 10) });
    let (blobs, document) = bundle(&subject.digest, subject, kind, &long, &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    let notation = Blob::new(Algorithm::Sha256, "{\"payload\":\"\"}");
    let config = Blob::empty_json(Algorithm::Sha256);
    let layers = vec![notation.descriptor("application/jose+json")];
    let document = Draft::image(config.descriptor(EMPTY_JSON), layers)
        .artifact_type("application/vnd.cncf.notary.signature")
        .subject(subject.descriptor())
        .finish();
    attach(&world, &document.digest, &[notation, config], &document).await?;
    let reasons = [
        "release: the key did not make this signature",
        "not about this image",
        "at most 4096 are read (signatures.document_bytes)",
        "notation signature: signatures of Notation are recognised, not verified",
    ];
    let told = world.until_told("v1", &reasons).await?;
    ensure!(
        told.contains("refused") && !told.contains("\n  signed by"),
        "{told}"
    );
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    Ok(())
}

/// A signature of an index is one of what its digest covers.
#[tokio::test]
async fn a_signed_index_is_served_with_its_images() -> Result<()> {
    let world = World::start(&[("ROADBED_SIGNATURES__DOCUMENTS", "1")]).await?;
    let signer = Signer::named("release")?;
    signer.trust(&world, &[])?;
    world.set_policy(&named("release")).await?;
    let image = plain("child");
    world.push("child", &image).await?;
    let index = Draft::index(vec![image.document.descriptor_for("amd64")]).finish();
    world
        .admin
        .push_manifest(REPOSITORY, "v1", &index)
        .await?
        .expect(&[201])?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    let kind = "https://sigstore.dev/cosign/sign/v1";
    let (blobs, document) = bundle(&index.digest, &index, kind, &json!({}), &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    for reference in ["v1", "child"] {
        world
            .until(reference, "signed", |answer| answer.status == 200)
            .await?;
    }
    ensure!(
        world
            .decision("child")?
            .contains(&format!("of the index {}", index.digest))
    );
    // One more than is read: what is left out is said.
    let (blobs, document) = bundle(&index.digest, &index, kind, &json!({ "again": 1 }), &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    world
        .set_policy(&format!("{}{}", named("release"), UNKNOWNS))
        .await?;
    world
        .until_told("child", &["not everything could be looked into: facts-too-long"])
        .await?;
    Ok(())
}

/// However many small documents there are: together they are no more than so many bytes.
#[tokio::test]
async fn documents_beyond_the_bytes_of_one_image_are_not_read_and_that_is_said() -> Result<()> {
    let world = World::start(&[("ROADBED_SIGNATURES__TOTAL_BYTES", "4KiB")]).await?;
    let signer = Signer::named("release")?;
    signer.trust(&world, &[])?;
    let rules = format!("{}{UNKNOWNS}", named("release"));
    world.set_policy(&rules).await?;
    let image = plain("many");
    world.push("v1", &image).await?;
    let kind = "https://sigstore.dev/cosign/sign/v1";
    let digest = &image.document.digest;
    let one = bundle(digest, &image.document, kind, &json!({}), &signer.key)?;
    attach(&world, &one.1.digest, &one.0, &one.1).await?;
    world.until("v1", "signed", |answer| answer.status == 200).await?;
    ensure!(!world.decision("v1")?.contains("facts-too-long"));
    for number in 0..4 {
        let more = json!({ "number": number, "filling": "x".repeat(1_000) });
        let (blobs, document) = bundle(digest, &image.document, kind, &more, &signer.key)?;
        attach(&world, &document.digest, &blobs, &document).await?;
    }
    world
        .until_told("v1", &["not everything could be looked into: facts-too-long"])
        .await?;
    Ok(())
}

/// The rule of the default policy about what is unknown.
const UNKNOWNS: &str = "  - id: unknown\n    when: size(image.unknowns) > 0\n    decide: warn\n    \
                        message: \"not everything could be looked into: {image.unknowns}\"\n";

pub(super) fn vex(image: &Image, status: &str, at: &str) -> Value {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1", "author": "Example",
        "timestamp": at, "version": 1,
        "statements": [{
            "vulnerability": { "name": "CVE-2021-44228" }, "status": status,
            "products": [{ "@id": format!("pkg:oci/app@{}?repository_url=r.example/team", image.document.digest) }],
            "justification": "vulnerable_code_not_in_execute_path", "action_statement": "it reads files of our own only",
        }],
    })
}

/// VEX of whoever may push changes nothing; that of a signer who is trusted for it suppresses, and is told.
#[tokio::test]
async fn attached_vex_counts_from_those_who_are_trusted_for_it() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    let image = Image::with_log4j("2.14.1");
    world.push("v1", &image).await?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    let signer = Signer::named("security")?;
    signer.trust(&world, &[])?;
    let kind = "https://openvex.dev/ns";
    let subject = &image.document;
    let statement = vex(&image, "not_affected", "2026-01-01T00:00:00Z");
    let (blobs, document) = bundle(&subject.digest, subject, kind, &statement, &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    world
        .until_told("v1", &["its signers are not trusted for VEX"])
        .await?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    signer.trust(&world, &["--vex", "--product", "pkg:oci/other@*"])?;
    world
        .until_told(
            "v1",
            &["signed by security: sigstore bundle (https://openvex.dev/ns)\n"],
        )
        .await?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;

    signer.trust(&world, &["--vex", "--product", "pkg:oci/app@*"])?;
    world
        .until("v1", "suppressed", |answer| answer.status == 200)
        .await?;
    let suppressed = "CVE-2021-44228 by security (VEX): not affected: it reads files of our own only";
    ensure!(
        world.decision("v1")?.contains(suppressed),
        "{}",
        world.decision("v1")?
    );
    // The newest word counts, and it takes the older one back.
    let statement = vex(&image, "affected", "2026-02-01T00:00:00Z");
    let (blobs, document) = bundle(&subject.digest, subject, kind, &statement, &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    world.until_told("v1", &["in use"]).await?;
    Ok(())
}

/// Imported documents carry no signature: an administrator says which authors count, and for what.
#[tokio::test]
async fn imported_vex_counts_from_trusted_authors() -> Result<()> {
    let world = World::start(&[]).await?;
    let image = Image::with_log4j("2.14.1");
    let mut files = facts().to_vec();
    files.push((
        "app.vex.json",
        vex(&image, "not_affected", "2026-01-01T00:00:00Z"),
    ));
    world.import(&files)?;
    world.push("v1", &image).await?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    let trust = |author: &str| {
        let of = [
            "signer",
            "add",
            "vendor",
            "--vex",
            "--repository",
            "team/**",
            "--author",
            author,
        ];
        world.roadbed(&of)
    };
    trust("Somebody else")?;
    world.decided("v1").await?.expect_error(403, "DENIED")?;
    trust("Example")?;
    world
        .until("v1", "suppressed", |answer| answer.status == 200)
        .await?;
    ensure!(world.decision("v1")?.contains("by vendor (VEX)"));
    Ok(())
}

/// An image of one registry, judged by another one whose administrator trusts its signer.
#[tokio::test]
async fn signatures_of_an_image_elsewhere_count_where_it_is_judged() -> Result<()> {
    let (home, judge) = (World::start(&[]).await?, World::start(&[]).await?);
    let signer = Signer::named("release")?;
    signer.trust(&judge, &[])?;
    judge.set_policy(&named("release")).await?;
    let image = plain("elsewhere");
    home.push("v1", &image).await?;
    home.decided("v1").await?.expect(&[200])?;
    let name = format!("{}:v1", super::world::REPOSITORY);
    let url = judge.server.url();
    // Fetched from where it lies, and judged elsewhere.
    let outcome = || -> Result<Value> {
        let words = ["scan", &name, "--server", &url, "--format", "json"];
        Ok(serde_json::from_str(&home.roadbed(&words)?)?)
    };
    let unsigned = outcome()?;
    ensure!(unsigned["decision"]["outcome"] == "refuse", "{unsigned:#}");

    let stranger = KeyPair::generate()?;
    let (blobs, draft) = payload(&image.document, &stranger)?;
    let referrer = draft
        .artifact_type(BUNDLE)
        .subject(image.document.descriptor())
        .finish();
    attach(&home, &referrer.digest, &blobs, &referrer).await?;
    let by_stranger = outcome()?;
    ensure!(by_stranger["decision"]["outcome"] == "refuse", "{by_stranger:#}");

    let (blobs, draft) = payload(&image.document, &signer.key)?;
    let tag = format!("{}.sig", image.document.digest.replace(':', "-"));
    attach(&home, &tag, &blobs, &draft.finish()).await?;
    let accepted = outcome()?;
    ensure!(accepted["decision"]["outcome"] != "refuse", "{accepted:#}");

    // A signature of another image is none of this one.
    let other = plain("another");
    home.push("v2", &other).await?;
    let (blobs, draft) = payload(&image.document, &signer.key)?;
    let tag = format!("{}.sig", other.document.digest.replace(':', "-"));
    attach(&home, &tag, &blobs, &draft.finish()).await?;
    let words = ["scan", "team/app:v2", "--server", &url, "--format", "json"];
    let moved: Value = serde_json::from_str(&home.roadbed(&words)?)?;
    ensure!(moved["decision"]["outcome"] == "refuse", "{moved:#}");
    Ok(())
}
