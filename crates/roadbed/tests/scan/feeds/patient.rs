//! Sources that are emptied by somebody who is patient, and mirrors that hand out what was true last year.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    mirror::{Mirror, gzip},
    registry::{Registry, Synced},
};
use crate::feed_server::Reply;

const LATER: &str = "2023-01-01T00:00:00Z";

fn fails(synced: &Synced, source: &str, why: &str) -> Result<()> {
    let error = synced.error(source);
    ensure!(!synced.succeeded && error.contains(why), "{why}: {synced:?}");
    Ok(())
}

#[tokio::test]
async fn losses_are_counted_over_many_syncs() -> Result<()> {
    let mirror = Mirror::start().await;
    for number in 0..110 {
        mirror.put("npm", &format!("TEST-X-{number}"), LATER);
    }
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    let remove = |from: usize| {
        for number in from..from + 15 {
            mirror.remove("npm", &format!("TEST-X-{number}"));
        }
        // As many others in their place do not make up for them.
        for number in from..from + 15 {
            mirror.put("npm", &format!("TEST-Z-{number}"), LATER);
        }
    };
    remove(0);
    assert_eq!(registry.sync_well().await?.of("npm")["gone"], 15);
    remove(15);
    fails(
        &registry.sync(&[]).await?,
        "npm",
        "names 96 of the 126 advisories",
    )?;
    assert_eq!(registry.counts("TEST-X-20").await?, Some(true));
    let accepted = registry.sync(&["--source", "npm", "--accept-removals"]).await?;
    assert_eq!(accepted.of("npm")["gone"], 15, "{accepted:?}");
    // From then on they are counted anew.
    remove(30);
    assert_eq!(registry.sync_well().await?.of("npm")["gone"], 15);
    Ok(())
}

fn kev(first: u32, released: &str) -> Reply {
    let entry = |number| json!({ "cveID": format!("CVE-2020-{number}"), "dateAdded": "2021-12-10" });
    let entries: Vec<Value> = (first..first + 30).map(entry).collect();
    let catalogue = json!({ "catalogVersion": "1", "dateReleased": released, "vulnerabilities": entries });
    Reply::ok(catalogue.to_string())
}

fn epss(first: u32, day: &str) -> Result<Reply> {
    let mut text = format!("#model_version:v1,score_date:{day}T00:00:00+0000\ncve,epss,percentile\n");
    for number in first..first + 30 {
        writeln!(text, "CVE-2020-{number},0.5,0.5")?;
    }
    Ok(Reply::ok(gzip(text.as_bytes())))
}

#[tokio::test]
async fn a_catalogue_of_as_many_others_is_another_one() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror).await?;
    let (old, new) = ("2024-01-01", "2024-01-02");
    mirror.spoil("/kev.json", kev(1_000, &format!("{new}T00:00:00Z")));
    mirror.spoil("/epss.csv.gz", epss(1_000, new)?);
    registry.sync_well().await?;
    mirror.spoil("/kev.json", kev(2_000, &format!("{new}T00:00:01Z")));
    mirror.spoil("/epss.csv.gz", epss(2_000, "2024-01-03")?);
    let others = registry.sync(&[]).await?;
    for source in ["kev", "epss"] {
        fails(&others, source, "names 0 of the 30 entries")?;
    }
    // A few are gone each time.
    mirror.spoil("/kev.json", kev(1_015, &format!("{new}T00:00:02Z")));
    mirror.spoil("/epss.csv.gz", epss(1_015, "2024-01-04")?);
    registry.sync_well().await?;
    mirror.spoil("/kev.json", kev(1_030, &format!("{new}T00:00:03Z")));
    mirror.spoil("/epss.csv.gz", epss(1_030, "2024-01-05")?);
    let patient = registry.sync(&[]).await?;
    for source in ["kev", "epss"] {
        fails(&patient, source, "names 15 of the 30 entries")?;
    }
    mirror.spoil("/kev.json", kev(1_015, &format!("{old}T00:00:00Z")));
    mirror.spoil("/epss.csv.gz", epss(1_015, old)?);
    let older = registry.sync(&[]).await?;
    for source in ["kev", "epss"] {
        fails(&older, source, "says what it said before")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_mirror_that_went_back_is_not_believed() -> Result<()> {
    let mirror = Mirror::start().await;
    let ids: Vec<String> = (0..30).map(|number| format!("TEST-X-{number}")).collect();
    for id in &ids {
        mirror.put("npm", id, LATER);
    }
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    // A single one is passed over.
    mirror.put("npm", "TEST-X-7", "2022-06-01T00:00:00Z");
    assert_eq!(registry.sync_well().await?.generation(), None);
    for id in &ids {
        mirror.put("npm", id, "2022-06-01T00:00:00Z");
    }
    fails(
        &registry.sync(&[]).await?,
        "npm",
        "says what it said before of 30 of 31 advisories",
    )?;
    assert_eq!(registry.status("npm").await?["state"], "failing");
    assert_eq!(registry.generation().await?, 1);
    Ok(())
}
