//! end-8 and the catalog: sorted, paged, followed by `Link` to their end.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{client::Client, login::Login, manifest::small_image, server::Server, tally::Tally};

const REPOSITORY: &str = "lists/tags";

/// In the order in which they must be listed: that of their bytes.
const TAGS: [&str; 14] = [
    "0",
    "10",
    "9",
    "A",
    "Z.z-Z",
    "_",
    "__",
    "a",
    "a-b",
    "a.b",
    "a_b",
    "latest",
    "v1.0.0",
    "v1.0.0-rc.1",
];

/// Pages followed before a list is called endless.
const MAX_PAGES: usize = 200;

/// Follows `Link` from a first path and returns the pages.
async fn follow(client: &Client, path: &str, field: &str) -> Result<Vec<Vec<String>>> {
    let mut pages = Vec::new();
    let mut next = Some(client.url(path));
    while let Some(url) = next {
        let answer = client.get(url.as_str()).send().await?.expect(&[200])?;
        let page: Vec<String> =
            serde_json::from_value(answer.json()?[field].clone()).context("not a list of names")?;
        pages.push(page);
        next = answer.next_link()?;
        ensure!(pages.len() < MAX_PAGES, "{path} never ends");
    }
    Ok(pages)
}

async fn pages_of(client: &Client, size: usize) -> Result<()> {
    let pages = follow(client, &format!("/v2/{REPOSITORY}/tags/list?n={size}"), "tags").await?;
    let (last, full) = pages.split_last().context("no page")?;
    ensure!(
        full.iter().all(|page| page.len() == size),
        "a page that is not the last is not full: {pages:?}"
    );
    ensure!(!last.is_empty() && last.len() <= size, "the last page: {last:?}");
    ensure!(pages.concat() == TAGS, "{pages:?}");
    Ok(())
}

/// What a query lists, and whether `Link` leads on.
async fn lists(client: &Client, query: &str, wanted: &[&str], more: bool) -> Result<()> {
    let answer = client
        .get(format!("/v2/{REPOSITORY}/tags/list?{query}"))
        .send()
        .await?
        .expect(&[200])?;
    let body = answer.json()?;
    ensure!(
        body == json!({ "name": REPOSITORY, "tags": wanted }),
        "{query}: {body}"
    );
    ensure!(
        answer.next_link()?.is_some() == more,
        "{query}: Link: {:?}",
        answer.header("link")
    );
    Ok(())
}

async fn refused(client: &Client, query: &str) -> Result<()> {
    let answer = client
        .get(format!("/v2/{REPOSITORY}/tags/list?{query}"))
        .send()
        .await?;
    answer.expect(&[400])?.error_code()?;
    Ok(())
}

async fn prepare(client: &Client) -> Result<()> {
    let (blobs, document) = small_image("lists");
    // Not in order, so that the order is the server's doing.
    for tag in TAGS.iter().rev() {
        client.push_image(REPOSITORY, tag, &blobs, &document).await?;
    }
    Ok(())
}

#[tokio::test]
async fn tag_lists() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("tag lists");
    tally.record("push", prepare(&client).await);
    tally.record("all", lists(&client, "", &TAGS, false).await);
    for size in [1, 2, 3, 5, 13, 14, 15, 1000] {
        tally.record(format!("pages of {size}"), pages_of(&client, size).await);
    }
    tally.record("n=0", lists(&client, "n=0", &[], false).await);
    tally.record("n=0 and last", lists(&client, "n=0&last=A", &[], false).await);
    tally.record(
        "n over all",
        lists(&client, "n=99999999999999999999", &TAGS, false).await,
    );
    tally.record("n as large as all", lists(&client, "n=14", &TAGS, false).await);
    tally.record(
        "last without n",
        lists(&client, "last=a_b", &TAGS[11..], false).await,
    );
    tally.record(
        "last and n",
        lists(&client, "n=2&last=A", &TAGS[4..6], true).await,
    );
    tally.record(
        "last that is no tag",
        lists(&client, "last=b", &TAGS[11..], false).await,
    );
    tally.record("last before all", lists(&client, "last=!", &TAGS, false).await);
    tally.record("last behind all", lists(&client, "last=zzz", &[], false).await);
    tally.record(
        "last is the last",
        lists(&client, "n=5&last=v1.0.0-rc.1", &[], false).await,
    );
    for query in ["n=-1", "n=abc", "n=1e3", "n=0x10", "n=%2B1", "n=1.5"] {
        tally.record(query, refused(&client, query).await);
    }
    let unknown = client.get("/v2/lists/unknown/tags/list").send().await;
    tally.record(
        "unknown repository",
        unknown
            .and_then(|answer| answer.expect_error(404, "NAME_UNKNOWN"))
            .map(drop),
    );
    tally.record("tags that go", tags_that_go(&client).await);
    tally.finish(&server);
}

/// A repository without tags but with manifests has an empty list.
async fn tags_that_go(client: &Client) -> Result<()> {
    let (blobs, document) = small_image("untagged");
    client
        .push_image("lists/untagged", "only", &blobs, &document)
        .await?;
    client
        .delete("/v2/lists/untagged/manifests/only")
        .send()
        .await?
        .expect(&[202])?;
    ensure!(
        client.tags("lists/untagged").await?.is_empty(),
        "the tag is still listed"
    );
    client
        .push_image("lists/untagged", "again", &blobs, &document)
        .await?;
    ensure!(
        client.tags("lists/untagged").await? == ["again"],
        "the new tag is not listed"
    );
    client
        .delete(format!("/v2/lists/untagged/manifests/{}", document.digest))
        .send()
        .await?
        .expect(&[202])?;
    client.check_no_manifest("lists/untagged", "again").await
}

#[tokio::test]
async fn catalog() {
    let server = Server::start().await;
    let client = server.admin();
    let mut tally = Tally::new("catalog");
    let names: Vec<String> = ["a", "a-b", "a/b", "a/b/c", "b", "team/app", "team/app-two"]
        .map(str::to_owned)
        .to_vec();
    let (blobs, document) = small_image("catalog");
    for name in names.iter().rev() {
        tally.record(
            format!("push {name}"),
            client.push_image(name, "latest", &blobs, &document).await,
        );
    }
    for size in [1, 3, 7, 100] {
        let outcome = check_catalog(&client, size, &names).await;
        tally.record(format!("pages of {size}"), outcome);
    }
    let nothing = client
        .get("/v2/_catalog?n=0")
        .send()
        .await
        .and_then(|answer| answer.expect(&[200])?.json());
    tally.check(
        "n=0",
        nothing.is_ok_and(|body: Value| body["repositories"] == json!([])),
    );
    let stranger = client
        .with_login(Login::Anonymous)
        .get("/v2/_catalog")
        .send()
        .await;
    tally.record(
        "a stranger",
        stranger
            .and_then(|answer| answer.expect_error(401, "UNAUTHORIZED"))
            .map(drop),
    );
    tally.finish(&server);
}

async fn check_catalog(client: &Client, size: usize, names: &[String]) -> Result<()> {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let pages = follow(client, &format!("/v2/_catalog?n={size}"), "repositories").await?;
    ensure!(
        pages.iter().all(|page| page.len() <= size),
        "a page is too long: {pages:?}"
    );
    ensure!(pages.concat() == sorted, "{pages:?}");
    Ok(())
}
