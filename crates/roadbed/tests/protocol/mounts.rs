//! end-11: a blob of one repository appears in another without being sent again.

use anyhow::{Result, ensure};

use crate::harness::{
    answer::Answer,
    client::Client,
    content::{Algorithm, Blob},
    login::Login,
    manifest::{CONFIG, Draft, LAYER_GZIP, config_blob},
    push::blob_path,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

const SOURCE: &str = "mounts/source";
const TARGET: &str = "mounts/target";

async fn mount(client: &Client, digest: &str, from: Option<&str>) -> Result<Answer> {
    let mut request = client
        .post(format!("/v2/{TARGET}/blobs/uploads/"))
        .query("mount", digest);
    if let Some(from) = from {
        request = request.query("from", from);
    }
    request.send().await
}

/// 201 at once; the copy outlives its source.
async fn mounted(client: &Client, algorithm: Algorithm, from: Option<&str>) -> Result<()> {
    let blob = Blob::noise(algorithm, &format!("{} from {from:?}", algorithm.name()), 2000);
    client.push_blob(SOURCE, &blob).await?;
    client.check_no_blob(TARGET, &blob.digest).await?;
    let answer = mount(client, &blob.digest, from).await?.expect(&[201])?;
    ensure!(
        answer.location()?.path() == blob_path(TARGET, &blob.digest),
        "{}",
        answer.summary()
    );
    client
        .check_blob_location(
            &answer.expect_header("docker-content-digest", &blob.digest)?,
            &blob,
        )
        .await?;
    client
        .delete(blob_path(SOURCE, &blob.digest))
        .send()
        .await?
        .expect(&[202])?;
    client.check_no_blob(SOURCE, &blob.digest).await?;
    client.check_blob(TARGET, &blob).await
}

/// 202 with a session that takes the blob: "unable to mount".
async fn falls_back(client: &Client, name: &str, from: Option<&str>) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, name, 2000);
    let answer = mount(client, &blob.digest, from).await?.expect(&[202])?;
    let answer = client
        .finish_upload(&answer.location()?, &blob.digest)
        .body(blob.bytes.clone())
        .send()
        .await?;
    client.check_blob_location(&answer.expect(&[201])?, &blob).await
}

/// From a repository that does not hold it, though another one does.
async fn wrong_source(client: &Client) -> Result<()> {
    let blob = Blob::noise(Algorithm::Sha256, "elsewhere", 2000);
    client.push_blob("mounts/elsewhere", &blob).await?;
    let answer = mount(client, &blob.digest, Some(SOURCE)).await?;
    // Who pushed it may have it in either way.
    answer.expect(&[201, 202])?.location()?;
    Ok(())
}

async fn malformed(client: &Client) -> Result<()> {
    for digest in ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest", ""] {
        mount(client, digest, Some(SOURCE)).await?.expect(&[400, 202])?;
    }
    let blob = Blob::noise(Algorithm::Sha256, "bad source", 2000);
    client.push_blob(SOURCE, &blob).await?;
    for from in ["UPPER/case", "../source", "mounts//source", ""] {
        mount(client, &blob.digest, Some(from))
            .await?
            .expect(&[400, 201, 202])?;
    }
    Ok(())
}

/// A manifest links the blobs that its pusher pushed elsewhere: clients skip what they know to be there.
async fn linked_by_a_manifest(client: &Client) -> Result<()> {
    let config = config_blob(Algorithm::Sha256, "linked", "amd64");
    let layer = Blob::noise(Algorithm::Sha256, "linked", 2000);
    for blob in [&config, &layer] {
        client.push_blob(SOURCE, blob).await?;
    }
    let document = Draft::image(config.descriptor(CONFIG), vec![layer.descriptor(LAYER_GZIP)]).finish();
    client
        .push_manifest("mounts/linked", "latest", &document)
        .await?
        .expect(&[201])?;
    client.check_blob("mounts/linked", &config).await?;
    client.check_blob("mounts/linked", &layer).await
}

async fn mounts(way: &str, login: Login) {
    let server = Server::start().await;
    let client = server.client(login);
    let mut tally = Tally::new(format!("mounts with {way}"));
    for algorithm in Algorithm::ALL {
        for from in [Some(SOURCE), None] {
            let outcome = mounted(&client, algorithm, from).await;
            tally.record(format!("{} from {from:?}", algorithm.name()), outcome);
        }
    }
    tally.record(
        "a blob that is nowhere, from a source",
        falls_back(&client, "nowhere", Some(SOURCE)).await,
    );
    tally.record(
        "a blob that is nowhere",
        falls_back(&client, "nowhere at all", None).await,
    );
    tally.record(
        "from an unknown repository",
        falls_back(&client, "unknown source", Some("mounts/unknown")).await,
    );
    tally.record("from a repository without it", wrong_source(&client).await);
    tally.record("digests and names out of grammar", malformed(&client).await);
    tally.record("linked by a manifest", linked_by_a_manifest(&client).await);
    tally.finish(&server);
}

/// The token of a push covers the target only; the mount must work all the same.
#[tokio::test]
async fn mounts_with_tokens() {
    mounts("tokens", Login::token(ADMIN, ADMIN_PASSWORD)).await;
}

#[tokio::test]
async fn mounts_with_basic() {
    mounts("Basic", Login::basic(ADMIN, ADMIN_PASSWORD)).await;
}
