//! end-3, end-7 and end-9 beyond the data sets: names that move, names that go, several tags at once, odd headers.

use anyhow::{Result, ensure};

use crate::harness::{
    client::Client,
    manifest::{DOCKER_IMAGE, DOCKER_LIST, Document, Draft, IMAGE, INDEX, small_image},
    push::blob_path,
    server::Server,
    tally::Tally,
};

/// Tags in one PUT that a registry must take (specification main, end-7b: at least ten).
const TAGS_THAT_MUST_FIT: usize = 10;

/// More than our own cap.
const TAGS_THAT_DO_NOT_FIT: usize = 100;

async fn push(client: &Client, repository: &str, tag: &str, seed: &str) -> Result<Document> {
    let (blobs, document) = small_image(seed);
    client.push_image(repository, tag, &blobs, &document).await?;
    Ok(document)
}

/// A tag names the last manifest that was pushed under it, at once; the old one stays under its digest.
async fn tag_moves(client: Client) -> Result<()> {
    let first = push(&client, "manifests/moves", "latest", "first").await?;
    client.check_manifest("manifests/moves", "latest", &first).await?;
    let second = push(&client, "manifests/moves", "latest", "second").await?;
    client
        .check_manifest("manifests/moves", "latest", &second)
        .await?;
    client
        .check_manifest("manifests/moves", &first.digest, &first)
        .await?;
    ensure!(
        client.tags("manifests/moves").await? == ["latest"],
        "one tag is listed"
    );
    Ok(())
}

/// Deleting a manifest takes its tags with it and nothing else.
async fn tags_go_with_their_manifest(client: Client) -> Result<()> {
    let repository = "manifests/goes";
    let gone = push(&client, repository, "one", "goes").await?;
    push(&client, repository, "two", "goes").await?;
    let stays = push(&client, repository, "three", "stays").await?;
    client
        .delete(format!("/v2/{repository}/manifests/{}", gone.digest))
        .send()
        .await?
        .expect(&[202])?;
    for reference in ["one", "two", &gone.digest] {
        client.check_no_manifest(repository, reference).await?;
    }
    client.check_manifest(repository, "three", &stays).await?;
    ensure!(
        client.tags(repository).await? == ["three"],
        "other tags are listed"
    );
    let back = push(&client, repository, "one", "goes").await?;
    client.check_manifest(repository, "one", &back).await
}

/// A blob that a manifest names cannot be pulled from under it.
async fn blob_in_use_stays(client: Client) -> Result<()> {
    let repository = "manifests/uses";
    let (blobs, document) = small_image("in use");
    client.push_image(repository, "latest", &blobs, &document).await?;
    for blob in &blobs {
        client
            .delete(blob_path(repository, &blob.digest))
            .send()
            .await?
            .expect_one_error(&[409, 405], &["DENIED", "UNSUPPORTED"])?;
        client.check_blob(repository, blob).await?;
    }
    client
        .delete(format!("/v2/{repository}/manifests/{}", document.digest))
        .send()
        .await?
        .expect(&[202])?;
    for blob in &blobs {
        client
            .delete(blob_path(repository, &blob.digest))
            .send()
            .await?
            .expect(&[202])?;
        client.check_no_blob(repository, &blob.digest).await?;
    }
    Ok(())
}

/// What an index names cannot be pulled from under it either, whatever its tags are.
async fn child_in_use_stays(client: Client) -> Result<()> {
    let repository = "manifests/index";
    let child = push(&client, repository, "child", "child in use").await?;
    let index = Draft::index(vec![child.descriptor()]).finish();
    client
        .push_manifest(repository, "latest", &index)
        .await?
        .expect(&[201])?;
    let delete = |digest: &str| client.delete(format!("/v2/{repository}/manifests/{digest}"));
    let refused = delete(&child.digest).send().await?;
    ensure!(
        refused.error_message()?.contains(&index.digest),
        "the index is not named: {}",
        refused.summary()
    );
    refused.expect_one_error(&[409], &["DENIED"])?;
    client.check_manifest(repository, "child", &child).await?;
    for digest in [&index.digest, &child.digest] {
        delete(digest).send().await?.expect(&[202])?;
    }
    client.check_no_manifest(repository, "child").await
}

fn named_tags(answer: &crate::harness::answer::Answer) -> Vec<String> {
    let values = answer
        .headers
        .get_all("oci-tag")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags: Vec<String> = values
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().to_owned())
        .collect();
    tags.sort_unstable();
    tags
}

/// end-7b: every tag is set in one request and named in the answer.
async fn many_tags_at_once(client: Client) -> Result<()> {
    let repository = "manifests/many-tags";
    let first = push(&client, repository, "tag-3", "many tags, before").await?;
    let (blobs, document) = small_image("many tags");
    for blob in &blobs {
        client.push_blob(repository, blob).await?;
    }
    let tags: Vec<String> = (0..TAGS_THAT_MUST_FIT)
        .map(|number| format!("tag-{number}"))
        .collect();
    let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
    let request = client.put(format!(
        "/v2/{repository}/manifests/{}?{}",
        document.digest,
        query.join("&")
    ));
    let answer = request
        .header("content-type", IMAGE)
        .body(document.bytes.clone())
        .send()
        .await?
        .expect(&[201])?;
    ensure!(named_tags(&answer) == tags, "{}", answer.summary());
    for tag in &tags {
        client.check_manifest(repository, tag, &document).await?;
    }
    client.check_manifest(repository, &first.digest, &first).await?;
    ensure!(client.tags(repository).await? == tags, "other tags are listed");
    Ok(())
}

/// One tag too many, or one out of grammar: nothing is stored.
async fn bad_tags_at_once(client: Client) -> Result<()> {
    let repository = "manifests/bad-tags";
    let (blobs, document) = small_image("bad tags");
    for blob in &blobs {
        client.push_blob(repository, blob).await?;
    }
    let too_many: Vec<String> = (0..TAGS_THAT_DO_NOT_FIT)
        .map(|number| format!("tag={number}"))
        .collect();
    let too_long = format!("tag=good&tag={}", "a".repeat(129));
    let queries = [
        (too_many.join("&"), &[414, 431, 400][..]),
        (too_long, &[400]),
        ("tag=good&tag=-bad".to_owned(), &[400]),
        ("tag=good&tag=a%2Fb".to_owned(), &[400]),
        ("tag=good&tag=".to_owned(), &[400]),
    ];
    for (query, statuses) in queries {
        let request = client.put(format!("/v2/{repository}/manifests/{}?{query}", document.digest));
        let answer = request
            .header("content-type", IMAGE)
            .body(document.bytes.clone())
            .send()
            .await?;
        answer.expect(statuses)?.error_code()?;
        client.check_no_manifest(repository, &document.digest).await?;
        client.check_no_manifest(repository, "good").await?;
    }
    Ok(())
}

/// The bytes decide what a manifest is; the header may be missing or carry parameters.
async fn media_type_headers(client: Client) -> Result<()> {
    let repository = "manifests/types";
    let (blobs, document) = small_image("types");
    for blob in &blobs {
        client.push_blob(repository, blob).await?;
    }
    for (tag, header) in [
        ("none", None),
        ("parameter", Some(format!("{IMAGE}; charset=utf-8"))),
    ] {
        let mut request = client
            .put(format!("/v2/{repository}/manifests/{tag}"))
            .body(document.bytes.clone());
        if let Some(header) = header {
            request = request.header("content-type", header);
        }
        request.send().await?.expect(&[201])?;
        client.check_manifest(repository, tag, &document).await?;
    }
    // Without `mediaType` in the body the header says it; it is optional for OCI manifests.
    for (draft, kind) in [
        (Draft::index(Vec::new()), INDEX),
        (Draft::index(Vec::new()).field("x", 1), DOCKER_LIST),
    ] {
        let mut document = draft.without("mediaType").finish();
        kind.clone_into(&mut document.media_type);
        client
            .push_manifest(repository, "silent", &document)
            .await?
            .expect(&[201])?;
        client.check_manifest(repository, "silent", &document).await?;
    }
    Ok(())
}

/// A client that does not ask for a type still gets the bytes as they are: nothing is converted.
async fn accept_headers(client: Client) -> Result<()> {
    let repository = "manifests/accept";
    let document = push(&client, repository, "latest", "accept").await?;
    for accept in [
        DOCKER_IMAGE,
        "*/*",
        "application/json",
        "text/html",
        "nonsense",
        "",
    ] {
        let request = client
            .get(format!("/v2/{repository}/manifests/latest"))
            .header("accept", accept);
        let answer = request
            .header("accept-encoding", "gzip, zstd")
            .send()
            .await?
            .expect(&[200])?;
        answer
            .expect_header("content-type", IMAGE)?
            .expect_no_header("content-encoding")?
            .expect_body(&document.bytes)?;
    }
    Ok(())
}

/// The longest tag and every sign that a tag may have.
async fn odd_tags(client: Client) -> Result<()> {
    let repository = "manifests/odd-tags";
    let longest = "a".repeat(128);
    for tag in [longest.as_str(), "_", "A", "0", "a.b-c_d", "Sha256-0", "latest."] {
        let document = push(&client, repository, tag, "odd tags").await?;
        client.check_manifest(repository, tag, &document).await?;
    }
    Ok(())
}

/// Every shape of name.
async fn odd_names(client: Client) -> Result<()> {
    let deep = vec!["a"; 100].join("/");
    let longest = format!("{}/x", "a".repeat(200));
    let names = [
        "a",
        "0",
        "a__b",
        "a-----b",
        "a.b/c_d/e--f",
        "blobs/x",
        "manifests/x",
        "tags/list",
        "uploads/uploads",
        "v2/v2",
        "x/tags/list",
        "x/blobs/uploads",
    ];
    for name in names.into_iter().chain([deep.as_str(), longest.as_str()]) {
        let document = push(&client, name, "latest", "odd names").await?;
        client.check_manifest(name, "latest", &document).await?;
        ensure!(client.tags(name).await? == ["latest"], "{name}: other tags");
    }
    Ok(())
}

/// Specification main, "Registry Proxying": `ns` names the registry that a pull means. Our own name is us; another one
/// is never answered from here.
async fn namespaces(client: Client) -> Result<()> {
    let repository = "manifests/namespaces";
    let document = push(&client, repository, "latest", "namespaces").await?;
    let own = client
        .url("/")
        .host_str()
        .map(str::to_owned)
        .zip(client.url("/").port());
    let own = own
        .map(|(host, port)| format!("{host}:{port}"))
        .unwrap_or_default();
    let path = format!("/v2/{repository}/manifests/latest");
    let answer = client.get(&path).query("ns", &own).send().await?.expect(&[200])?;
    answer
        .expect_header("oci-namespace", &own)?
        .expect_body(&document.bytes)?;
    for other in ["docker.io", "registry.example.com:5000", "", "../..", "a b"] {
        let answer = client.get(&path).query("ns", other).send().await?;
        answer.expect_one_error(&[404, 400], &["NAME_UNKNOWN", "NAME_INVALID", "MANIFEST_UNKNOWN"])?;
    }
    Ok(())
}

/// Many clients move one tag at once: each is acknowledged, and the tag names one of theirs.
async fn tag_race(client: Client) -> Result<()> {
    let repository = "manifests/race";
    let pushes = (0..8).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { push(&client, repository, "latest", &format!("race {number}")).await })
    });
    let mut documents = Vec::new();
    for task in pushes.collect::<Vec<_>>() {
        documents.push(task.await??);
    }
    let answer = client
        .get(format!("/v2/{repository}/manifests/latest"))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(
        documents.iter().any(|document| document.bytes == answer.body),
        "the tag names none of them"
    );
    for document in &documents {
        client
            .check_manifest(repository, &document.digest, document)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn manifests_and_their_names() {
    let server = Server::start().await;
    let client = || server.admin();
    let mut tally = Tally::new("manifests");
    tally.record("a tag moves", tag_moves(client()).await);
    tally.record(
        "tags go with their manifest",
        tags_go_with_their_manifest(client()).await,
    );
    tally.record("a blob in use stays", blob_in_use_stays(client()).await);
    tally.record("a child in use stays", child_in_use_stays(client()).await);
    tally.record("many tags at once", many_tags_at_once(client()).await);
    tally.record("bad tags at once", bad_tags_at_once(client()).await);
    tally.record("media type headers", media_type_headers(client()).await);
    tally.record("accept headers", accept_headers(client()).await);
    tally.record("odd tags", odd_tags(client()).await);
    tally.record("odd names", odd_names(client()).await);
    tally.record("namespaces", namespaces(client()).await);
    tally.record("a race for a tag", tag_race(client()).await);
    tally.finish(&server);
}
