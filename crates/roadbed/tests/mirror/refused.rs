//! What the centre's policy refuses, although it is held.

use std::fs;

use anyhow::{Result, ensure};

use super::{
    images::Image,
    judging::World as Centre,
    process::Mirror,
    world::{until, until_held},
};
use crate::harness::{admin::USER_PASSWORD, answer::Answer};

const BY_TAG: &str = "/v2/team/app/manifests/1";

/// Refuses what is in use as well.
const STRICT: &str = "version: 1\nrules:\n  - id: user\n    when: image.user == \"1000\"\n    decide: refuse\n    \
    running: refuse\n    message: name another user\n";

const MILD: &str = "version: 1\nrules: []\n";

fn set_policy(centre: &Centre, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), text)?;
    centre
        .roadbed(&["policy", "set", &file.path().to_string_lossy()])
        .map(drop)
}

async fn mirror_of(centre: &Centre, variables: &[(&str, &str)]) -> Mirror {
    let url = centre.server.url();
    let all = [
        ("ROADBED_MIRROR__CENTRE", url.as_str()),
        ("ROADBED_MIRROR__USERNAME", "reader"),
        ("ROADBED_MIRROR__PASSWORD_ENV", "SECRET"),
        ("SECRET", USER_PASSWORD),
    ];
    Mirror::start(&[&all[..], variables].concat()).await
}

fn is_refused(answer: &Answer) -> bool {
    answer.status == 403
        && answer
            .error_message()
            .is_ok_and(|told| told.contains("name another user"))
}

/// An image that a mild policy lets pass, pulled by somebody.
async fn pulled(centre: &Centre) -> Result<Image> {
    set_policy(centre, MILD)?;
    let image = Image::with_log4j("2.17.1");
    centre.push("1", &image).await?;
    centre.decided("1").await?.expect(&[200])?;
    Ok(image)
}

async fn heard() -> Result<()> {
    let mut centre = Centre::start(&[]).await?;
    let image = pulled(&centre).await?;
    let fresh = ("ROADBED_MIRROR__FRESH", "1h");
    let mut mirror = mirror_of(&centre, &[fresh, ("ROADBED_MIRROR__RECHECK", "1s")]).await;
    let by_digest = format!("/v2/team/app/manifests/{}", image.document.digest);
    let layer = format!("/v2/team/app/blobs/{}", image.layer().digest);
    let node = mirror.node();
    for path in [BY_TAG, &by_digest, &layer] {
        node.get(path).send().await?.expect(&[200])?;
    }
    until_held(&mirror, 1).await?;

    set_policy(&centre, STRICT)?;
    // The tag is fresh and the digest is held: that it is refused is heard of behind a pull.
    let refused = until(&node, &by_digest, is_refused).await?;
    let detail = &refused.json()?["errors"][0]["detail"];
    ensure!(detail["decision"] == "refuse", "{}", refused.summary());
    node.get(BY_TAG).send().await?.expect_error(403, "DENIED")?;
    node.get(&layer).send().await?.expect_error(403, "DENIED")?;
    let head = node.head(BY_TAG).send().await?.expect(&[200])?;
    ensure!(
        head.require("warning")?.contains("name another user"),
        "{:?}",
        head.headers
    );

    centre.server.kill();
    for _ in 0..2 {
        let node = mirror.node();
        for path in [BY_TAG, &by_digest, &layer] {
            node.get(path).send().await?.expect_error(403, "DENIED")?;
        }
        mirror.restart().await;
    }
    Ok(())
}

async fn lifted() -> Result<()> {
    let centre = Centre::start(&[]).await?;
    let image = pulled(&centre).await?;
    set_policy(&centre, STRICT)?;
    centre.until("1", "refused", is_refused).await?;
    let mirror = mirror_of(&centre, &[("ROADBED_MIRROR__FRESH", "0s")]).await;
    let node = mirror.node();
    let first = node.get(BY_TAG).send().await?;
    ensure!(is_refused(&first), "{}", first.summary());
    let by_digest = format!("/v2/team/app/manifests/{}", image.document.digest);
    node.get(&by_digest).send().await?.expect_error(403, "DENIED")?;
    set_policy(&centre, MILD)?;
    until(&node, BY_TAG, |answer| answer.status == 200).await?;
    until(&node, &by_digest, |answer| answer.status == 200).await?;
    Ok(())
}

#[tokio::test]
async fn a_refusal_that_was_heard_is_honoured() {
    heard().await.unwrap();
}

#[tokio::test]
async fn what_is_let_pass_again_is_served() {
    lifted().await.unwrap();
}
