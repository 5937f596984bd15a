//! What must not be pulled through, or pushed.

use anyhow::{Result, ensure};

use super::world::{World, blob, is_final, manifest, until};
use crate::{
    feed_server::Reply,
    harness::{
        admin,
        content::{Algorithm, Blob},
        login::Login,
        manifest::{Document, IMAGE, small_image},
        tally::Tally,
    },
};

async fn nobody_without_a_grant(world: &World) -> Result<()> {
    let before = world.upstream.count("GET", "");
    let stranger = admin::user(&world.server, "stranger", "team/**", &["pull"]).await?;
    let answer = stranger.get(manifest("app", "1")).send().await?;
    ensure!(matches!(answer.status, 401 | 403 | 404), "{}", answer.summary());
    let nobody = world.server.client(Login::Anonymous);
    nobody.get(manifest("app", "1")).send().await?.expect(&[401])?;
    ensure!(
        world.upstream.count("GET", "") == before,
        "the upstream was asked"
    );
    Ok(())
}

async fn local_names_never_fall_through(world: &World) -> Result<()> {
    let before = world.upstream.count("GET", "");
    let admin = world.server.admin();
    let digest = Blob::noise(Algorithm::Sha256, "local", 10).digest;
    for path in [
        "/v2/library/app/manifests/1".to_owned(),
        "/v2/hub/manifests/1".to_owned(),
        "/v2/hubs/app/manifests/1".to_owned(),
        format!("/v2/team/app/blobs/{digest}"),
    ] {
        admin.get(&path).send().await?.expect(&[404])?;
    }
    let unmapped = admin.get("/v2/library/app/manifests/1?ns=quay.io").send().await?;
    unmapped.expect_error(404, "NAME_UNKNOWN")?;
    let own = world.server.address().to_string();
    let own = admin
        .get(format!("/v2/library/app/manifests/1?ns={own}"))
        .send()
        .await?;
    own.expect(&[404])?;
    ensure!(
        world.upstream.count("GET", "") == before,
        "the upstream was asked"
    );
    Ok(())
}

async fn pushes(world: &World) -> Result<()> {
    let admin = world.server.admin();
    let (_, document) = small_image("pushed");
    let upload = admin.post("/v2/hub/library/app/blobs/uploads/").send().await?;
    upload.expect_error(403, "DENIED")?;
    let put = admin
        .put(manifest("app", "mine"))
        .header("content-type", document.media_type.as_str())
        .body(document.bytes.clone());
    let put = put.send().await?;
    ensure!(
        put.error_message()?.contains("comes from upstream hub"),
        "{}",
        put.summary()
    );
    put.expect_error(403, "DENIED")?;
    Ok(())
}

async fn names_by_their_rules(world: &World) -> Result<()> {
    let (blobs, document) = small_image("rules");
    for name in ["library/good", "library/evil", "stranger/app"] {
        world.upstream.add(name, "1", &blobs, &document);
    }
    until(&world.node, &manifest("good", "1"), is_final)
        .await?
        .expect(&[200])?;
    for name in ["library/evil", "stranger/app"] {
        world
            .node
            .get(manifest(name, "1"))
            .send()
            .await?
            .expect_error(403, "DENIED")?;
        let path = blob(name, &blobs[0].digest);
        world.node.get(path).send().await?.expect_error(403, "DENIED")?;
        ensure!(world.upstream.count("GET", name) == 0, "{name} was asked for");
    }
    Ok(())
}

async fn what_is_not_there(world: &World) -> Result<()> {
    let unknown = until(&world.node, &manifest("none", "1"), is_final).await?;
    unknown.expect_error(404, "MANIFEST_UNKNOWN")?;
    let digest = Blob::noise(Algorithm::Sha256, "nowhere", 10).digest;
    let unknown = until(&world.node, &blob("library/none", &digest), is_final).await?;
    unknown.expect_error(404, "BLOB_UNKNOWN")?;
    world.upstream.spoil("library/closed/", Reply::status(403));
    let closed = until(&world.node, &manifest("closed", "1"), is_final).await?;
    closed.expect_error(403, "DENIED")?;
    Ok(())
}

async fn nonsense(world: &World) -> Result<()> {
    let html = Reply::ok("<html>log in</html>").header("Content-Type", "text/html");
    world.upstream.spoil("library/html/", html);
    let circle = Reply::redirect(&format!("{}/v2/library/circle/manifests/1", world.upstream.url()));
    world.upstream.spoil("library/circle/", circle);
    let endless = Document::of_bytes(IMAGE, vec![b' '; 5 << 20]);
    world.upstream.add("library/endless", "1", &[], &endless);
    for name in ["html", "circle", "endless"] {
        let answer = world.node.get(manifest(name, "1")).send().await?;
        ensure!(matches!(answer.status, 502 | 503), "{name}: {}", answer.summary());
    }
    world.server.admin().get("/v2/").send().await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_is_refused() {
    let rules = "allow = [\"library/**\"]\ndeny = [\"library/evil\"]\n";
    let world = World::start(rules).await.unwrap();
    let mut tally = Tally::new("not pulled through");
    tally.record("without a grant", nobody_without_a_grant(&world).await);
    tally.record("local names", local_names_never_fall_through(&world).await);
    tally.record("pushes", pushes(&world).await);
    tally.record("allowed and denied names", names_by_their_rules(&world).await);
    tally.record("what is not there", what_is_not_there(&world).await);
    tally.record("nonsense", nonsense(&world).await);
    tally.finish(&world.server);
}
