//! Sources that say what cannot be believed: they fail, by themselves, and what they had said before stays in force.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Result, ensure};

use super::{
    mirror::{Mirror, gzip},
    registry::Registry,
};
use crate::feed_server::{Piece, Reply};

const LIST: &str = "/osv/Maven/modified_id.csv";
const ARCHIVE: &str = "/osv/Maven/all.zip";
const DOCUMENT: &str = "/osv/Maven/TEST-M-1.json";
const LATER: &str = "2023-01-01T00:00:00Z";
const PAGE: &str = "<!DOCTYPE html>\n<html><body>Sign in to use this network</body></html>\n";

fn endless() -> Reply {
    Reply::status(200).pieces(vec![Piece::Endless(vec![b'x'; 64 << 10])])
}

fn slow() -> Reply {
    Reply::status(200).pieces(vec![
        Piece::Bytes(b"20".to_vec()),
        Piece::Pause(Duration::from_mins(1)),
    ])
}

async fn registry(mirror: &Mirror) -> Result<Registry> {
    Ok(Registry::new(mirror)
        .await?
        .with("ROADBED_FEEDS__LIST_BYTES", "40MiB")
        .with("ROADBED_FEEDS__ARCHIVE_BYTES", "1MiB")
        .with("ROADBED_FEEDS__ARCHIVE_UNPACKED", "2MiB"))
}

/// Syncs while a path is spoilt: the source fails for that reason, the other ones do not, and it recovers.
async fn fails(
    mirror: &Mirror,
    registry: &Registry,
    source: &str,
    path: &str,
    reply: Reply,
    why: &str,
) -> Result<()> {
    mirror.spoil(path, reply);
    let synced = registry.sync(&[]).await?;
    let error = synced.error(source);
    ensure!(
        !synced.succeeded && error.contains(why),
        "{path}: {why}: {synced:?}"
    );
    ensure!(error.ends_with(')'), "there is no remedy: {error}");
    // Who asks to be left alone is not asked for anything else either.
    let others_fail = why == "answers 429";
    ensure!(synced.of("npm")["error"].is_null() != others_fail, "{synced:?}");
    mirror.mend();
    Ok(())
}

#[tokio::test]
async fn lists_that_are_none_change_nothing() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    let rubbish = "x".repeat(30) + "\n";
    let moved = Reply::redirect("http://169.254.169.254/latest/meta-data/");
    let busy = Reply::status(429).header("Retry-After", "3600");
    let bomb = Reply::ok(gzip(&vec![b'x'; 64 << 20])).header("Content-Encoding", "gzip");
    for (reply, why) in [
        (Reply::ok(PAGE), "2 of 2 lines are no `<moment>,<id>`"),
        (Reply::ok(""), "it is empty"),
        (
            Reply::ok("2022-01-01T00:00:00Z,TEST-M-1\n").announcing(4_000),
            "broke off",
        ),
        (Reply::ok(rubbish.repeat(1_000_000)), "1000000 of 1000000 lines"),
        (endless(), "has more than 41943040 bytes"),
        (bomb, "has more than 41943040 bytes"),
        (slow(), "broke off"),
        (moved, "169.254.169.254 is not a public address"),
        (busy, "answers 429"),
        (Reply::status(404), "there is nothing at"),
    ] {
        fails(&mirror, &registry, "Maven", LIST, reply, why).await?;
    }
    assert_eq!(registry.generation().await?, 1);
    assert_eq!(registry.counts("GHSA-jfh8-c2jp-5v3q").await?, Some(true));
    let status = registry.status("Maven").await?;
    assert_eq!(
        (&status["state"], &status["failures"]),
        (&"failing".into(), &10.into())
    );
    registry.sync_well().await?;
    assert_eq!(registry.status("Maven").await?["state"], "fresh");
    Ok(())
}

#[tokio::test]
async fn archives_that_are_none_change_nothing() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    let elsewhere = Reply::redirect("http://127.0.0.2:9/all.zip");
    for (reply, why) in [
        (Reply::ok(PAGE), "it is no zip archive"),
        (
            Reply::ok(zip_of(&[("TEST-M-1.json", PAGE.as_bytes())])),
            "it has 0 of the 3 advisories",
        ),
        (
            Reply::ok(zip_of(&[("bomb.json", &vec![b' '; 4 << 20])])),
            "unpacks to more than 2097152 bytes",
        ),
        (endless(), "has more than 1048576 bytes"),
        (elsewhere, "127.0.0.2 is not a public address"),
    ] {
        fails(&mirror, &registry, "Maven", ARCHIVE, reply, why).await?;
        assert_eq!(registry.counts("TEST-M-1").await?, None);
    }
    registry.sync_well().await?;
    assert_eq!(registry.counts("TEST-M-1").await?, Some(true));
    Ok(())
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.to_vec()))
        .collect();
    crate::scan::images::zip(&files)
}

#[tokio::test]
async fn documents_that_are_none_change_nothing() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    mirror.put("Maven", "TEST-M-1", LATER);
    mirror.put("Maven", "TEST-M-2", LATER);
    let other = Reply::ok(r#"{"id":"TEST-M-9","modified":"2023-01-01T00:00:00Z"}"#);
    for (reply, why) in [
        (Reply::ok(PAGE), "is no OSV advisory of that id"),
        (other, "is no OSV advisory of that id"),
        (Reply::status(500), "answers 500"),
        (Reply::ok("{").announcing(500), "broke off"),
    ] {
        fails(&mirror, &registry, "Maven", DOCUMENT, reply, why).await?;
    }
    assert_eq!(
        registry.generation().await?,
        1,
        "one of two documents came, and neither counts"
    );
    // One that is too large is one less, and named.
    mirror.spoil(DOCUMENT, endless());
    let synced = registry.sync_well().await?;
    assert_eq!(synced.of("Maven")["changed"], 1);
    ensure!(
        synced.report["refusals"][0]
            .as_str()
            .is_some_and(|name| name.contains("TEST-M-1")),
        "{synced:?}"
    );
    Ok(())
}

#[tokio::test]
async fn ids_that_would_be_paths_are_never_asked_for() -> Result<()> {
    let mirror = Mirror::start().await;
    for number in 0..300 {
        mirror.put("Maven", &format!("TEST-Y-{number}"), LATER);
    }
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    let mut list = format!("{LATER},../../../etc/passwd\n{LATER},..%2f..%2fx\n{LATER},TEST-M-1\n");
    list.push_str("2022-03-25T20:56:18Z,GHSA-jfh8-c2jp-5v3q\n2022-01-01T00:00:00Z,TEST-M-2\n");
    for number in 0..300 {
        writeln!(list, "{LATER},TEST-Y-{number}")?;
    }
    mirror.spoil(LIST, Reply::ok(list));
    mirror.put("Maven", "TEST-M-1", LATER);
    mirror.server.take_asked();
    let synced = registry.sync_well().await?;
    assert_eq!(synced.of("Maven")["changed"], 1, "{synced:?}");
    assert_eq!(synced.report["refused"], 1);
    let asked = mirror.server.take_asked();
    ensure!(
        asked
            .iter()
            .all(|path| !path.contains("..") && !path.contains("etc")),
        "{asked:?}"
    );
    Ok(())
}

#[tokio::test]
async fn catalogues_that_are_none_change_nothing() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    let empty = r#"{"catalogVersion":"1","dateReleased":"x","vulnerabilities":[]}"#;
    let bomb = gzip(&vec![b'\n'; 300 << 20]);
    for (source, path, reply, why) in [
        ("kev", "/kev.json", Reply::ok(PAGE), "is no KEV catalogue"),
        ("kev", "/kev.json", Reply::ok(empty), "is no KEV catalogue"),
        ("epss", "/epss.csv.gz", Reply::ok(PAGE), "is no EPSS list"),
        (
            "epss",
            "/epss.csv.gz",
            Reply::ok(gzip(b"cve,epss,percentile\nCVE-1,2,3\n")),
            "is no EPSS list",
        ),
        ("epss", "/epss.csv.gz", Reply::ok(bomb), "is no EPSS list"),
    ] {
        fails(&mirror, &registry, source, path, reply, why).await?;
    }
    assert_eq!(registry.generation().await?, 1);
    Ok(())
}

/// One fails, the others go on.
#[tokio::test]
async fn a_source_that_fails_holds_up_no_other() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    mirror.put("Maven", "TEST-M-1", LATER);
    mirror.put("npm", "TEST-N-2", LATER);
    fails(
        &mirror,
        &registry,
        "Maven",
        DOCUMENT,
        Reply::ok(PAGE),
        "is no OSV advisory",
    )
    .await?;
    assert_eq!(registry.generation().await?, 2);
    assert_eq!(registry.counts("TEST-N-2").await?, Some(true));
    Ok(())
}

/// What cannot be read of one source's state stops that source alone, until somebody asks for it by name.
#[tokio::test]
async fn a_damaged_hold_stops_its_source_alone() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror).await?;
    registry.sync_well().await?;
    registry.damage_hold("Maven").await?;
    mirror.put("Maven", "TEST-M-9", LATER);
    mirror.put("npm", "TEST-N-2", LATER);
    for _ in 0..2 {
        let synced = registry.sync(&[]).await?;
        let error = synced.error("Maven");
        ensure!(
            !synced.succeeded && error.contains("why Maven is held is damaged"),
            "{synced:?}"
        );
        ensure!(error.contains("roadbed advisories sync --source NAME"), "{error}");
        ensure!(synced.error("npm").is_empty(), "{synced:?}");
    }
    assert_eq!(registry.counts("TEST-N-2").await?, Some(true));
    assert_eq!(registry.counts("TEST-M-9").await?, None);
    let status = registry.status("Maven").await?;
    ensure!(
        status["state"] == "held" && status["held"]["why"] == "unreadable",
        "{status}"
    );
    let mended = registry.sync(&["--source", "Maven"]).await?;
    ensure!(mended.succeeded, "{mended:?}");
    assert_eq!(registry.counts("TEST-M-9").await?, Some(true));
    registry.sync_well().await?;
    assert_eq!(registry.status("Maven").await?["state"], "fresh");
    Ok(())
}

#[tokio::test]
async fn a_mirror_inside_has_to_be_listed() -> Result<()> {
    let mirror = Mirror::start().await;
    let registry = registry(&mirror)
        .await?
        .with("ROADBED_FEEDS__ALLOWED_PRIVATE", "");
    let synced = registry.sync(&[]).await?;
    for source in ["kev", "epss", "Maven", "npm"] {
        let error = synced.error(source);
        ensure!(error.contains("feeds.allowed_private"), "{source}: {synced:?}");
    }
    assert_eq!(mirror.server.count(), 0);
    Ok(())
}
