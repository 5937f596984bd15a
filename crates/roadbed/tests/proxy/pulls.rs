//! What a client meets that pulls through.

use anyhow::{Result, ensure};

use super::world::{World, blob, is_final, manifest, until, until_stored};
use crate::harness::{
    content::{Algorithm, Blob},
    login::{Challenge, Login},
    manifest::{Draft, INDEX, small_image},
    metrics::Metrics,
    tally::Tally,
};

async fn whole_image(world: &World) -> Result<()> {
    let (blobs, document) = small_image("pulls");
    world.upstream.add("library/app", "1", &blobs, &document);
    let answer = until(&world.node, &manifest("app", "1"), is_final).await?;
    answer
        .expect(&[200])?
        .expect_header("docker-content-digest", &document.digest)?
        .expect_header("content-type", &document.media_type)?
        .expect_body(&document.bytes)?;
    for part in &blobs {
        let answer = world.node.get(blob("library/app", &part.digest)).send().await?;
        answer.expect(&[200])?.expect_body(&part.bytes)?;
    }
    let asked = world.upstream.count("GET", "/blobs/");
    ensure!(
        asked == blobs.len(),
        "{asked} questions for {} blobs",
        blobs.len()
    );
    until_stored(&world.node, "library/app", "1").await
}

async fn both_names_are_one(world: &World) -> Result<()> {
    for path in [manifest("app", "1"), manifest("library/app", "1")] {
        world.node.get(&path).send().await?.expect(&[200])?;
    }
    let by_namespace = world
        .node
        .get("/v2/library/app/manifests/1?ns=docker.io")
        .send()
        .await?;
    by_namespace
        .expect(&[200])?
        .expect_header("oci-namespace", "docker.io")?;
    let asked = world.upstream.count("GET", "/manifests/1");
    ensure!(asked == 1, "{asked} questions for one tag");
    // Docker asks for a token by the name that it was given.
    let challenge = Challenge {
        realm: world.node.url("/v2/token").to_string(),
        service: "any".to_owned(),
        scope: "repository:hub/app:pull".to_owned(),
        error: None,
    };
    let token = world.node.fetch_token(&challenge).await?.expect(&[200])?.json()?;
    let token = token["token"].as_str().unwrap_or_default().to_owned();
    let docker = world.node.with_login(Login::Bearer(token));
    docker.get(manifest("app", "1")).send().await?.expect(&[200])?;
    Ok(())
}

async fn parts_of_a_blob(world: &World) -> Result<()> {
    let layer = Blob::noise(Algorithm::Sha256, "parts", 300_000);
    let (mut blobs, document) = small_image("parts");
    blobs.push(layer.clone());
    world.upstream.add("library/parts", "1", &blobs, &document);
    let path = blob("library/parts", &layer.digest);
    let part = world
        .node
        .get(&path)
        .header("range", "bytes=1000-1999")
        .send()
        .await?;
    part.expect(&[206])?
        .expect_header("content-range", "bytes 1000-1999/300000")?
        .expect_body(&layer.bytes[1000..2000])?;
    let asked = world.node.head(&path).send().await?.expect(&[200])?;
    asked.expect_header("content-length", "300000")?;
    let whole = world.node.get(&path).send().await?.expect(&[200])?;
    whole.expect_body(&layer.bytes)?;
    let asked = world.upstream.count("GET", &layer.digest);
    ensure!(asked == 1, "{asked} questions for one blob");
    Ok(())
}

async fn an_index_and_one_of_its_images(world: &World) -> Result<()> {
    let (blobs, amd64) = small_image("amd64");
    let (_, arm64) = small_image("arm64");
    let index = Draft::index(vec![amd64.descriptor_for("amd64"), arm64.descriptor_for("arm64")]).finish();
    world.upstream.add("library/many", "1", &blobs, &index);
    world.upstream.add("library/many", "amd64", &blobs, &amd64);
    let answer = until(&world.node, &manifest("many", "1"), is_final)
        .await?
        .expect(&[200])?;
    answer
        .expect_header("content-type", INDEX)?
        .expect_body(&index.bytes)?;
    let child = until(&world.node, &manifest("many", &amd64.digest), is_final).await?;
    child.expect(&[200])?.expect_body(&amd64.bytes)?;
    ensure!(
        world.upstream.count("GET", &arm64.digest) == 0,
        "nobody asked for the other one"
    );
    let asked = until(&world.node, &manifest("many", &arm64.digest), is_final).await?;
    asked.expect_error(404, "MANIFEST_UNKNOWN")?;
    Ok(())
}

async fn numbers(world: &World) -> Result<()> {
    let metrics = Metrics::read(&world.server).await?;
    let of_hub = ["upstream=\"hub\""];
    for name in [
        "upstream_hits_total",
        "upstream_misses_total",
        "upstream_fetched_bytes_total",
    ] {
        ensure!(metrics.sum(name, &of_hub)? > 0, "{name}");
    }
    ensure!(metrics.sum("upstream_reached", &of_hub)? == 1, "it answers");
    Ok(())
}

#[tokio::test]
async fn images_are_pulled_through() {
    let world = World::start("").await.unwrap();
    let mut tally = Tally::new("pulled through");
    tally.record("a whole image", whole_image(&world).await);
    tally.record("both names are one", both_names_are_one(&world).await);
    tally.record("parts of a blob", parts_of_a_blob(&world).await);
    tally.record("an index", an_index_and_one_of_its_images(&world).await);
    tally.record("numbers", numbers(&world).await);
    tally.finish(&world.server);
}
