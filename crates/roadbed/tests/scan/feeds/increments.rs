//! What is fetched, and what is not: requests are counted.

use anyhow::{Result, ensure};

use super::{mirror::Mirror, registry::Registry};

const LATER: &str = "2023-01-01T00:00:00Z";

const LISTS: [&str; 4] = [
    "/kev.json",
    "/epss.csv.gz",
    "/osv/Maven/modified_id.csv",
    "/osv/npm/modified_id.csv",
];

fn asked(mirror: &Mirror) -> Vec<String> {
    let mut asked = mirror.server.take_asked();
    asked.sort();
    asked
}

fn sorted(paths: &[&str]) -> Vec<String> {
    let mut paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn archives_come_once_and_then_only_what_is_new() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror).await?;
    let first = registry.sync_well().await?;
    assert_eq!(first.generation(), Some(1), "{first:?}");
    assert_eq!(first.of("Maven")["changed"], 3);
    let archives = ["/osv/Maven/all.zip", "/osv/npm/all.zip"];
    assert_eq!(asked(&mirror), sorted(&[&LISTS[..], &archives].concat()));
    assert_eq!(registry.counts("TEST-N-1").await?, Some(true));
    ensure!(
        !registry.data().join("feeds/Maven.zip").exists(),
        "the archive stayed"
    );

    let nothing = registry.sync_well().await?;
    assert_eq!(nothing.generation(), None);
    assert_eq!(asked(&mirror), sorted(&LISTS));
    assert_eq!(registry.generation().await?, 1);

    mirror.put("Maven", "TEST-M-1", LATER);
    mirror.put("Maven", "TEST-M-3", LATER);
    let some = registry.sync_well().await?;
    assert_eq!(some.generation(), Some(2));
    assert_eq!(some.of("Maven")["changed"], 2);
    let documents = ["/osv/Maven/TEST-M-1.json", "/osv/Maven/TEST-M-3.json"];
    assert_eq!(asked(&mirror), sorted(&[&LISTS[..], &documents].concat()));

    let status = registry.status("Maven").await?;
    assert_eq!(
        (&status["state"], &status["covers"]),
        (&"fresh".into(), &4.into())
    );
    assert_eq!(status["generation"], 2);
    assert_eq!(registry.status("npm").await?["generation"], 1);
    Ok(())
}

#[tokio::test]
async fn when_much_has_changed_the_archive_comes_again() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror)
        .await?
        .with("ROADBED_FEEDS__CHANGED_DOCUMENTS", "1");
    registry.sync_well().await?;
    asked(&mirror);
    mirror.put("Maven", "TEST-M-1", LATER);
    mirror.put("Maven", "TEST-M-3", LATER);
    let much = registry.sync_well().await?;
    assert_eq!(much.of("Maven")["changed"], 2);
    assert_eq!(
        asked(&mirror),
        sorted(&[&LISTS[..], &["/osv/Maven/all.zip"]].concat())
    );
    Ok(())
}

/// Documents that come one by one are held in memory.
#[tokio::test]
async fn when_what_has_changed_is_large_the_archive_comes_again() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror)
        .await?
        .with("ROADBED_FEEDS__CHANGED_BYTES", "1MiB");
    registry.sync_well().await?;
    asked(&mirror);
    mirror.put_large("Maven", "TEST-M-1", LATER, 2 << 20);
    let large = registry.sync_well().await?;
    assert_eq!(large.of("Maven")["changed"], 1);
    let came = ["/osv/Maven/TEST-M-1.json", "/osv/Maven/all.zip"];
    assert_eq!(asked(&mirror), sorted(&[&LISTS[..], &came].concat()));
    Ok(())
}

/// A mirror inside may have lists and archives alone.
#[tokio::test]
async fn a_mirror_without_single_documents_is_enough() -> Result<()> {
    let mirror = Mirror::start().await;
    mirror.hand_out_only_archives();
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    mirror.put("Maven", "TEST-M-3", LATER);
    let some = registry.sync_well().await?;
    assert_eq!(
        (some.generation(), &some.of("Maven")["changed"]),
        (Some(2), &1.into())
    );
    assert_eq!(registry.counts("TEST-M-3").await?, Some(true));
    Ok(())
}

#[tokio::test]
async fn what_has_vanished_is_taken_back_once_the_source_confirms_it() -> Result<()> {
    let mirror = Mirror::start().await;
    mirror.put("npm", "TEST-M-2", LATER);
    mirror.put("Maven", "TEST-M-9", LATER);
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    // One is gone, one is only not listed, one is listed elsewhere.
    mirror.remove("Maven", "TEST-M-1");
    mirror.hide("GHSA-jfh8-c2jp-5v3q");
    mirror.remove("Maven", "TEST-M-2");
    let synced = registry.sync_well().await?;
    assert_eq!(synced.of("Maven")["gone"], 1, "{synced:?}");
    assert_eq!(synced.generation(), Some(2));
    assert_eq!(registry.counts("TEST-M-1").await?, Some(false));
    assert_eq!(registry.counts("GHSA-jfh8-c2jp-5v3q").await?, Some(true));
    assert_eq!(registry.counts("TEST-M-2").await?, Some(true));
    // What comes back counts again.
    mirror.put("Maven", "TEST-M-1", LATER);
    registry.sync_well().await?;
    assert_eq!(registry.counts("TEST-M-1").await?, Some(true));
    Ok(())
}

#[tokio::test]
async fn a_list_that_lost_much_is_believed_only_when_somebody_says_so() -> Result<()> {
    let mirror = Mirror::start().await;
    let ids: Vec<String> = (0..110).map(|number| format!("TEST-X-{number}")).collect();
    for id in &ids {
        mirror.put("npm", id, LATER);
    }
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    for id in &ids {
        mirror.remove("npm", id);
    }
    let refused = registry.sync(&[]).await?;
    ensure!(
        !refused.succeeded && refused.generation().is_none(),
        "{refused:?}"
    );
    let error = refused.error("npm");
    ensure!(
        error.contains("names 1 of the 111 advisories") && error.contains("--accept-removals"),
        "{error}"
    );
    assert_eq!(registry.counts("TEST-X-7").await?, Some(true));
    let accepted = registry.sync(&["--source", "npm", "--accept-removals"]).await?;
    assert_eq!(accepted.of("npm")["gone"], 110, "{accepted:?}");
    assert_eq!(registry.counts("TEST-X-7").await?, Some(false));
    Ok(())
}

/// A source changes its list and its documents one after the other.
#[tokio::test]
async fn a_document_older_than_its_list_is_fetched_again() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror).await?;
    registry.sync_well().await?;
    mirror.list_as("TEST-M-1", "2024-01-01T00:00:00Z");
    let document = "/osv/Maven/TEST-M-1.json".to_owned();
    for _ in 0..3 {
        asked(&mirror);
        assert_eq!(registry.sync_well().await?.generation(), None);
        ensure!(asked(&mirror).contains(&document), "it was not tried again");
    }
    registry.sync_well().await?;
    asked(&mirror);
    registry.sync_well().await?;
    assert_eq!(asked(&mirror), sorted(&LISTS), "it is not tried for ever");
    mirror.put("Maven", "TEST-M-1", "2024-01-02T00:00:00Z");
    mirror.mend();
    assert_eq!(registry.sync_well().await?.generation(), Some(2));
    Ok(())
}

#[tokio::test]
async fn an_archive_that_was_cut_off_goes_on_next_time() -> Result<()> {
    let mirror = Mirror::start().await;
    mirror.cut_archives();
    let registry = Registry::new(&mirror).await?;
    let cut = registry.sync(&[]).await?;
    ensure!(cut.error("Maven").contains("broke off"), "{cut:?}");
    // The catalogues came; of the ecosystems nothing counts.
    assert_eq!(cut.generation(), Some(1));
    assert_eq!(registry.counts("TEST-M-1").await?, None);
    mirror.server.take_asked();
    let synced = registry.sync_well().await?;
    assert_eq!(synced.generation(), Some(2));
    let parts = mirror.server.asked();
    let part = parts.iter().find(|asked| asked.path == "/osv/Maven/all.zip");
    ensure!(
        part.is_some_and(|asked| asked.header("range").is_some()),
        "it began anew"
    );
    assert_eq!(registry.counts("TEST-M-1").await?, Some(true));
    Ok(())
}

#[tokio::test]
async fn only_what_is_asked_for_is_fetched() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = Registry::new(&mirror).await?;
    let one = registry.sync(&["--source", "maven"]).await?;
    ensure!(one.succeeded, "{one:?}");
    assert_eq!(
        asked(&mirror),
        ["/osv/Maven/all.zip", "/osv/Maven/modified_id.csv"]
    );
    let unknown = registry.sync(&["--source", "PyPI"]).await?;
    ensure!(
        !unknown.succeeded && unknown.said.contains("\"PyPI\" is no source here; there are osv"),
        "{unknown:?}"
    );
    let registry = registry
        .with("ROADBED_FEEDS__KEV", "")
        .with("ROADBED_FEEDS__EPSS", "");
    registry.sync_well().await?;
    assert_eq!(
        asked(&mirror),
        [
            "/osv/Maven/modified_id.csv",
            "/osv/npm/all.zip",
            "/osv/npm/modified_id.csv"
        ]
    );
    Ok(())
}
