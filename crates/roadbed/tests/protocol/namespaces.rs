//! `ns=` of a pull: another registry's repositories are under a prefix of ours, and never one of our own instead.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::harness::{
    client::Client,
    manifest::small_image,
    server::{Options, Server},
    tally::Tally,
};

/// One page after the other, following `Link`.
async fn tags(client: &Client, query: &str) -> Result<Vec<Value>> {
    let mut next = Some(client.url(&format!("/v2/library/app/tags/list?{query}")));
    let mut pages = Vec::new();
    while let Some(url) = next {
        let answer = client.get(url.as_str()).send().await?.expect(&[200])?;
        pages.push(answer.json()?["tags"].clone());
        next = answer.next_link()?;
        ensure!(pages.len() < 10, "the list never ends");
    }
    Ok(pages)
}

/// The next page must be that of the namespace, not of the local repository of the same name.
async fn pages(client: &Client) -> Result<()> {
    let own = tags(client, "n=2").await?;
    ensure!(own == [json!(["own-1", "own-2"]), json!(["own-3"])], "{own:?}");
    let mirrored = tags(client, "n=2&ns=docker.io").await?;
    ensure!(
        mirrored == [json!(["hub-1", "hub-2"]), json!(["hub-3"])],
        "{mirrored:?}"
    );
    Ok(())
}

async fn referrers(client: &Client, subject: &str) -> Result<()> {
    let path = format!("/v2/library/app/referrers/{subject}?ns=docker.io");
    client.get(path).send().await?.expect(&[200])?;
    Ok(())
}

async fn unknown(client: &Client) -> Result<()> {
    let answer = client
        .get("/v2/library/app/manifests/own-1?ns=quay.io")
        .send()
        .await?;
    answer.expect_error(404, "NAME_UNKNOWN")?;
    Ok(())
}

#[tokio::test]
async fn another_registrys_namespace() {
    let options = Options::default().environment("ROADBED_REGISTRY__NAMESPACES", "docker.io=mirror/hub");
    let server = Server::start_with(options).await;
    let client = server.admin();
    let (blobs, document) = small_image("namespaces");
    for number in 1..=3 {
        for (repository, tag) in [("library/app", "own"), ("mirror/hub/library/app", "hub")] {
            let tag = format!("{tag}-{number}");
            client
                .push_image(repository, &tag, &blobs, &document)
                .await
                .unwrap();
        }
    }
    let mut tally = Tally::new("namespaces");
    tally.record("pages", pages(&client).await);
    tally.record("referrers", referrers(&client, &document.digest).await);
    tally.record("a namespace that is not kept here", unknown(&client).await);
    tally.finish(&server);
}
