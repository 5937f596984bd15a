//! A catalogue that is pushed as an artifact: it counts once a trusted signer signed it, and only what can be read counts.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{signer::Signer, signing::bundle, world::World};
use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{Document, Draft, EMPTY_JSON},
};

/// How long it may take until what was pushed counts.
const PATIENCE: Duration = Duration::from_mins(1);

const CATALOG: &str = "team/catalog";

const OPTIONS: [(&str, &str); 4] = [
    ("ROADBED_CATALOG__REPOSITORY", CATALOG),
    ("ROADBED_CATALOG__SIGNERS", "platform"),
    ("ROADBED_CATALOG__SPEAKS_OF", "team/**,base/*"),
    ("ROADBED_CATALOG__PRUNE", "true"),
];

const BASES: &str = "apiVersion: road/v1\nkind: BaseImage\nmetadata: {name: java17, owner: platform}\nspec:\n  \
                     repo: base/java17\n  lifecycle: supported\n  supportedUntil: 2099-09-30\n";

fn component(name: &str, owner: &str) -> String {
    format!(
        "kind: Component\nmetadata:\n  name: {name}\n  annotations: {{roadbed.dev/repositories: 'team/{name}/**'}}\n\
         spec: {{owner: {owner}, lifecycle: production}}\n"
    )
}

/// An artifact of files that does not say when it was made.
fn artifact(files: &[(&str, &str)]) -> (Vec<Blob>, Document) {
    artifact_of(files, None)
}

/// An artifact as `oras push` makes it of files: it says when it was made.
fn artifact_of(files: &[(&str, &str)], made: Option<&str>) -> (Vec<Blob>, Document) {
    let config = Blob::empty_json(Algorithm::Sha256);
    let mut blobs = Vec::new();
    let mut layers = Vec::new();
    for (name, text) in files {
        let blob = Blob::new(Algorithm::Sha256, (*text).to_owned());
        let mut layer = blob.descriptor("application/yaml");
        layer["annotations"] = json!({ "org.opencontainers.image.title": name });
        layers.push(layer);
        blobs.push(blob);
    }
    let draft = Draft::image(config.descriptor(EMPTY_JSON), layers);
    let draft = draft.artifact_type("application/vnd.roadbed.catalog.v1");
    let draft = match made {
        Some(made) => draft.annotation("org.opencontainers.image.created", made),
        None => draft,
    };
    let document = draft.finish();
    blobs.push(config);
    (blobs, document)
}

/// Pushes it under the tag that is followed, signed by this key if there is one.
async fn push(world: &World, files: &[(&str, &str)], key: Option<&KeyPair>) -> Result<Document> {
    let (blobs, document) = artifact(files);
    world
        .admin
        .push_image(CATALOG, &document.digest, &blobs, &document)
        .await?;
    if let Some(key) = key {
        sign(world, &document, key).await?;
    }
    world
        .admin
        .push_manifest(CATALOG, "latest", &document)
        .await?
        .expect(&[201])?;
    Ok(document)
}

async fn sign(world: &World, of: &Document, key: &KeyPair) -> Result<()> {
    let kind = "https://sigstore.dev/cosign/sign/v1";
    let (blobs, signature) = bundle(&of.digest, of, kind, &json!({}), key)?;
    world
        .admin
        .push_image(CATALOG, &signature.digest, &blobs, &signature)
        .await
}

/// Aliases of aliases: a billion words from a few lines.
fn bomb() -> String {
    let mut lines = vec![
        "kind: Component".to_owned(),
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned(),
    ];
    lines.extend((1..12).map(|level| {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{before}]")
    }));
    lines.join("\n")
}

fn pushed(world: &World) -> Result<Value> {
    let status: Value = serde_json::from_str(&world.roadbed(&["catalog", "status", "--output", "json"])?)?;
    Ok(status["pushed"].clone())
}

/// Waits until this one was taken in or refused, and this is said of it.
async fn until(world: &World, of: &Document, state: &str, wanted: &str) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = pushed(world)?;
        let is_it = told["catalog"] == format!("{CATALOG}@{}", of.digest) && told["state"] == state;
        if is_it && told.to_string().contains(wanted) {
            return Ok(told);
        }
        ensure!(Instant::now() < deadline, "{state}, {wanted}: {told:#}");
        sleep(Duration::from_millis(200)).await;
    }
}

fn owner(world: &World, name: &str) -> Result<String> {
    world.roadbed(&["app", "show", name])
}

#[tokio::test]
async fn a_pushed_catalogue_counts_once_a_trusted_signer_signed_it() -> Result<()> {
    let mut world = World::start(&OPTIONS).await?;
    let signer = Signer::named("platform")?;
    signer.trust(&world, &[])?;
    let shop = component("shop", "team-a");
    let files = [
        ("services/catalog-info.yaml", shop.as_str()),
        ("pavedroad.yaml", BASES),
    ];
    // Nobody stands behind it yet.
    let first = push(&world, &files, None).await?;
    until(
        &world,
        &first,
        "refused",
        "nothing is attached to it as a signature",
    )
    .await?;
    ensure!(owner(&world, "shop").is_err());
    sign(&world, &first, &signer.key).await?;
    let told = until(&world, &first, "imported", "").await?;
    let about = &told["about"];
    ensure!(
        about["signers"] == json!(["platform"]) && about["pushed_by"] == "admin",
        "{told:#}"
    );
    ensure!(
        about["digest"] == first.digest.as_str() && about["tag"] == "latest",
        "{told:#}"
    );
    ensure!(owner(&world, "shop")?.contains("group:team-a (catalog, services/catalog-info.yaml:1)"));
    ensure!(world.roadbed(&["base", "list"])?.contains("java17"));

    // The tag moves: what is no longer named is taken back.
    let pay = component("pay", "team-b");
    let second = push(&world, &[("catalog-info.yaml", &pay)], Some(&signer.key)).await?;
    until(&world, &second, "imported", "").await?;
    ensure!(owner(&world, "shop").is_err() && owner(&world, "pay")?.contains("team-b"));
    let events = || world.roadbed(&["audit", "--kind", "catalog.import", "--output", "json"]);
    let before = events()?;
    ensure!(
        before.contains(&second.digest) && before.contains("\"system\""),
        "{before}"
    );
    // A start does nothing again.
    world.server.terminate().await;
    world.server.start_again().await;
    world.log_in_again();
    sleep(Duration::from_secs(5)).await;
    ensure!(world.roadbed(&["audit", "--kind", "catalog.import", "--output", "json"])? == before);
    let status = world.roadbed(&["catalog", "status"])?;
    ensure!(status.contains("signed by platform, pushed by admin"), "{status}");
    Ok(())
}

#[tokio::test]
async fn what_does_not_count_says_why_and_leaves_all_as_it_was() -> Result<()> {
    let world = World::start(&OPTIONS).await?;
    let signer = Signer::named("platform")?;
    signer.trust(&world, &[])?;
    let other = Signer::named("release")?;
    other.trust(&world, &[])?;
    let key = Some(&signer.key);
    let shop = component("shop", "team-a");
    let good = push(&world, &[("catalog-info.yaml", &shop)], key).await?;
    until(&world, &good, "imported", "").await?;

    let thief = component("shop", "team-thief");
    let stranger = KeyPair::generate()?;
    let by_stranger = push(&world, &[("catalog-info.yaml", &thief)], Some(&stranger)).await?;
    until(
        &world,
        &by_stranger,
        "refused",
        "the key did not make this signature",
    )
    .await?;
    // Trusted for images, but not named in catalog.signers.
    let twice = component("shop", "team-other");
    let by_other = push(&world, &[("catalog-info.yaml", &twice)], Some(&other.key)).await?;
    until(
        &world,
        &by_other,
        "refused",
        "no trusted signer of catalog.signers (platform)",
    )
    .await?;

    let bomb = bomb();
    let doubled = format!("{shop}---\n{shop}");
    let circle = "kind: Group\nmetadata: {name: a}\nspec: {parent: b}\n---\nkind: Group\nmetadata: {name: b}\n\
                  spec: {parent: a}\n";
    let beyond = component("shop", "team-a").replace("team/shop/**", "other/shop/**");
    for (text, wanted) in [
        (bomb.as_str(), "catalog-info.yaml:"),
        (doubled.as_str(), "is there already"),
        (circle, "part of itself"),
        (beyond.as_str(), "catalog.speaks_of does not hold"),
        ("kind: Location\n", "rendered empty"),
        ("kind: [", "catalog-info.yaml:1: "),
    ] {
        let bad = push(&world, &[("catalog-info.yaml", text)], key).await?;
        until(&world, &bad, "refused", wanted).await?;
        ensure!(owner(&world, "shop")?.contains("team-a"), "{wanted}");
    }
    let archive = push(&world, &[("services.tar.gz", "no text")], key).await?;
    until(&world, &archive, "refused", "not as an archive").await?;
    let refusals = world.roadbed(&["audit", "--kind", "catalog.refuse", "--output", "json"])?;
    let refusals: Value = serde_json::from_str(&refusals)?;
    ensure!(
        refusals.as_array().is_some_and(|all| all.len() >= 9),
        "{refusals:#}"
    );
    Ok(())
}

/// Has the tag name an artifact that was pushed before.
async fn set_back(world: &World, to: &Document) -> Result<()> {
    world
        .admin
        .push_manifest(CATALOG, "latest", to)
        .await?
        .expect(&[201])
        .map(drop)
}

/// Signatures stay right for ever; what was signed yesterday is not what is meant today.
#[tokio::test]
async fn a_catalogue_is_not_set_back_without_a_person() -> Result<()> {
    let world = World::start(&OPTIONS).await?;
    let signer = Signer::named("platform")?;
    signer.trust(&world, &[])?;
    let mut pushed = Vec::new();
    for (owner, made) in [
        ("team-a", None),
        ("team-b", None),
        ("team-c", Some("2026-01-02T00:00:00Z")),
        ("team-d", Some("2026-01-03T00:00:00Z")),
    ] {
        let text = component("shop", owner);
        let (blobs, document) = artifact_of(&[("catalog-info.yaml", &text)], made);
        let (admin, digest) = (&world.admin, &document.digest);
        admin.push_image(CATALOG, digest, &blobs, &document).await?;
        sign(&world, &document, &signer.key).await?;
        set_back(&world, &document).await?;
        until(&world, &document, "imported", "").await?;
        if pushed.len() == 1 {
            // Neither says when it was made; that one was there before is known.
            set_back(&world, &pushed[0]).await?;
            until(&world, &pushed[0], "refused", "it was taken in before").await?;
        }
        pushed.push(document);
    }
    set_back(&world, &pushed[2]).await?;
    until(&world, &pushed[2], "refused", "it was made 2026-01-02").await?;
    set_back(&world, &pushed[1]).await?;
    until(&world, &pushed[1], "refused", "does not say when it was made").await?;
    ensure!(owner(&world, "shop")?.contains("group:team-d"));
    let (blobs, ahead) = artifact_of(
        &[("catalog-info.yaml", "kind: Location\n")],
        Some("2999-01-01T00:00:00Z"),
    );
    world
        .admin
        .push_image(CATALOG, &ahead.digest, &blobs, &ahead)
        .await?;
    sign(&world, &ahead, &signer.key).await?;
    set_back(&world, &ahead).await?;
    until(&world, &ahead, "refused", "which is to come").await?;

    let older = format!("{CATALOG}@{}", pushed[2].digest);
    world.roadbed(&["catalog", "allow", &older, "--reason", "the newer one is wrong"])?;
    set_back(&world, &pushed[2]).await?;
    until(&world, &pushed[2], "imported", "").await?;
    ensure!(owner(&world, "shop")?.contains("group:team-c"));
    // What a person has given up comes back by a person's word alone; from there on it goes forwards again.
    set_back(&world, &pushed[3]).await?;
    until(&world, &pushed[3], "refused", "it was taken in before").await?;
    let newer = format!("{CATALOG}@{}", pushed[3].digest);
    world.roadbed(&["catalog", "allow", &newer, "--reason", "it is right after all"])?;
    set_back(&world, &pushed[3]).await?;
    until(&world, &pushed[3], "imported", "").await?;
    Ok(())
}
