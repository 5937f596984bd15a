//! What was decided, and whether it is decided again from what is known.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::client::Client;

/// How long it may take until all is judged again.
const JUDGED_WITHIN: Duration = Duration::from_mins(3);

const PAUSE: Duration = Duration::from_millis(200);

/// A rule that no image meets. Whoever adds it has all images judged anew.
const NEVER: &str =
    "\n  - id: never-met\n    when: repo.name == \"nowhere\"\n    decide: refuse\n    message: never\n";

/// Has every image judged once more, from the facts that are stored: each fares as before, for the same reasons.
pub(super) async fn check(client: &Client, repository: &str, digests: &[String]) -> Result<()> {
    let before = decisions(client, repository, digests).await?;
    for (digest, decision) in &before {
        ensure!(
            decision["policy"].is_string(),
            "{digest} is not decided: {decision:#}"
        );
    }
    let policy = client
        .get("/api/v1/policy")
        .send()
        .await?
        .expect(&[200])?
        .json()?;
    let text = policy["body"].as_str().context("a policy has a text")?;
    let body = json!({ "body": format!("{}{NEVER}", text.trim_end()) });
    let set = client
        .put("/api/v1/policy")
        .header("content-type", "application/json")
        .body(body.to_string());
    set.send().await?.expect(&[200, 201])?;
    let deadline = Instant::now() + JUDGED_WITHIN;
    loop {
        let after = decisions(client, repository, digests).await?;
        let is_new = |(digest, decision): (&String, &Value)| before[digest]["policy"] != decision["policy"];
        if after.iter().all(is_new) {
            return compare(&before, &after);
        }
        ensure!(Instant::now() < deadline, "not all are judged again: {after:#?}");
        sleep(PAUSE).await;
    }
}

async fn decisions(client: &Client, repository: &str, digests: &[String]) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for digest in digests {
        let request = client
            .get("/api/v1/decisions")
            .query("repository", repository)
            .query("reference", digest);
        let entry = request.send().await?.expect(&[200])?.json()?;
        found.insert(digest.clone(), entry["images"][0].clone());
    }
    Ok(found)
}

fn compare(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Result<()> {
    for (digest, was) in before {
        let is = &after[digest];
        for part in ["outcome", "reasons", "unknowns", "waived", "signatures"] {
            ensure!(
                was[part] == is[part],
                "{digest} was decided otherwise\nbefore: {was:#}\nafter: {is:#}"
            );
        }
    }
    Ok(())
}
