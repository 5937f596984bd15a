//! What the centre's policy refuses, although it is held.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::{
    images::Image,
    judging::{World as Centre, facts},
    process::Mirror,
    world::{until, until_held},
};
use crate::harness::{admin::USER_PASSWORD, answer::Answer};

const BY_TAG: &str = "/v2/team/app/manifests/1";

fn is_refused(answer: &Answer) -> bool {
    answer.status == 403 && answer.error_message().is_ok_and(|told| told.contains("CVE-2021-44228"))
}

async fn heard() -> Result<()> {
    let mut centre = Centre::start(&[]).await?;
    let image = Image::with_log4j("2.14.1");
    centre.push("1", &image).await?;
    centre.decided("1").await?.expect(&[200])?;
    let url = centre.server.url();
    let mut mirror = Mirror::start(&[
        ("ROADBED_MIRROR__CENTRE", &url),
        ("ROADBED_MIRROR__USERNAME", "reader"),
        ("ROADBED_MIRROR__PASSWORD_ENV", "SECRET"),
        ("SECRET", USER_PASSWORD),
        ("ROADBED_MIRROR__RECHECK", "1s"),
        ("ROADBED_MIRROR__FRESH", "1h"),
    ])
    .await;
    let by_digest = format!("/v2/team/app/manifests/{}", image.document.digest);
    let layer = format!("/v2/team/app/blobs/{}", image.layer().digest);
    let node = mirror.node();
    for path in [BY_TAG, &by_digest, &layer] {
        node.get(path).send().await?.expect(&[200])?;
    }
    until_held(&mirror, 1).await?;

    centre.import(&facts())?;
    // The tag is fresh and the digest is held: that it is refused is heard of behind a pull.
    let refused = until(&node, &by_digest, is_refused).await?;
    ensure!(refused.json()?["errors"][0]["detail"]["decision"] == "refuse", "{}", refused.summary());
    node.get(BY_TAG).send().await?.expect_error(403, "DENIED")?;
    node.get(&layer).send().await?.expect_error(403, "DENIED")?;
    let head = node.head(BY_TAG).send().await?.expect(&[200])?;
    ensure!(head.require("warning")?.contains("CVE-2021-44228"), "{:?}", head.headers);

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
    centre.import(&facts())?;
    let image = Image::with_log4j("2.14.1");
    centre.push("1", &image).await?;
    centre.decided("1").await?.expect(&[403])?;
    let url = centre.server.url();
    let mirror = Mirror::start(&[
        ("ROADBED_MIRROR__CENTRE", &url),
        ("ROADBED_MIRROR__USERNAME", "reader"),
        ("ROADBED_MIRROR__PASSWORD_ENV", "SECRET"),
        ("SECRET", USER_PASSWORD),
        ("ROADBED_MIRROR__FRESH", "0s"),
    ])
    .await;
    let node = mirror.node();
    let first = node.get(BY_TAG).send().await?;
    ensure!(is_refused(&first), "{}", first.summary());
    centre.break_glass()?;
    sleep(Duration::from_secs(1)).await;
    until(&node, BY_TAG, |answer| answer.status == 200).await?;
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
