//! What would let pass much of what is refused waits for a person, whoever brings it and whatever is killed.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    mirror::Mirror,
    served::{run, start},
};
use crate::{
    harness::metrics::Metrics,
    scan::{
        images::Image,
        world::{World, facts, log4shell},
    },
};

const VULNERABLE: [&str; 6] = ["2.13.0", "2.13.1", "2.13.2", "2.13.3", "2.14.0", "2.14.1"];

/// Pushes six images that are refused and one that is not.
async fn push_refused(world: &World) -> Result<()> {
    for version in VULNERABLE {
        world.push(version, &Image::with_log4j(version)).await?;
    }
    world.push("good", &Image::with_log4j("2.17.1")).await?;
    all_are_refused(world).await
}

async fn all_are_refused(world: &World) -> Result<()> {
    for version in VULNERABLE {
        world
            .until(version, "refused", |answer| answer.status == 403)
            .await?;
    }
    Ok(())
}

fn source(status: &Value, name: &str) -> Value {
    let sources = status["sources"].as_array().into_iter().flatten();
    let mut of = sources.filter(|source| source["source"] == name);
    of.next().cloned().unwrap_or_default()
}

/// How often it was told that something is held.
async fn times_told(world: &World) -> Result<usize> {
    let (_, told, _) = run(world, &["audit", "--kind", "advisories.hold"]).await?;
    let text = told.to_string();
    Ok(text.matches("\"advisories.hold\"").count())
}

#[tokio::test]
async fn a_source_that_takes_back_what_refuses_waits_for_a_person() -> Result<()> {
    let mirror = Mirror::start().await;
    let mut variables = mirror.variables();
    variables.push(("ROADBED_FEEDS__GATHER", "1s".to_owned()));
    let mut world = start(&variables).await?;
    let (succeeded, report, said) = sync_when_idle(&world).await?;
    ensure!(succeeded, "{report} {said}");
    push_refused(&world).await?;

    mirror.put_document("Maven", log4shell(true));
    mirror.put("npm", "TEST-N-2", "2023-01-01T00:00:00Z");
    let (succeeded, report, said) = run(&world, &["advisories", "sync"]).await?;
    ensure!(!succeeded && said.contains("1 of 4 sources"), "{report} {said}");
    // What the others bring counts.
    let outcome = source(&report, "npm");
    ensure!(outcome["error"].is_null() && outcome["changed"] == 1, "{report}");
    let (_, status, _) = run(&world, &["advisories", "status"]).await?;
    let maven = source(&status, "Maven");
    ensure!(
        maven["state"] == "held" && maven["held"]["why"] == "lifts",
        "{status}"
    );
    let lifts = &maven["held"]["lifts"];
    assert_eq!(
        (&lifts["refused"], &lifts["lifted"]),
        (&6.into(), &6.into()),
        "{status}"
    );
    assert_eq!(lifts["causes"][0], json!({ "id": "CVE-2021-44228", "images": 6 }));
    check_shown(&world)?;
    let metrics = Metrics::read(&world.server).await?;
    assert_eq!(metrics.sum("feeds_held", &[])?, 1);
    assert_eq!(metrics.sum("feed_lifts_held", &[])?, 6);

    // Asked again, it is the same, and not told again; fewer than it lifts are not enough.
    let (succeeded, ..) = run(
        &world,
        &["advisories", "sync", "--source", "Maven", "--accept-lifts", "5"],
    )
    .await?;
    ensure!(!succeeded);
    assert_eq!(times_told(&world).await?, 1);
    world.server.kill();
    world.server.start_again().await;
    world.log_in_again();
    all_are_refused(&world).await?;

    let accept = ["advisories", "sync", "--source", "Maven", "--accept-lifts", "6"];
    let accept: &'static [&'static str] = Vec::leak(accept.to_vec());
    let (succeeded, report, said) = run(&world, accept).await?;
    ensure!(succeeded && !report["generation"].is_null(), "{report} {said}");
    for version in VULNERABLE {
        world
            .until(version, "served", |answer| answer.status == 200)
            .await?;
    }
    let (_, status, _) = run(&world, &["advisories", "status"]).await?;
    let maven = source(&status, "Maven");
    ensure!(maven["state"] == "fresh" && maven["held"].is_null(), "{status}");
    assert_eq!(status["imports"][0]["about"]["lifted"], 6, "{status}");
    assert_eq!(status["imports"][0]["about"]["lifts_approved"], true, "{status}");
    Ok(())
}

/// What a person reads of it.
fn check_shown(world: &World) -> Result<()> {
    let shown = world.roadbed(&["advisories", "status"])?;
    for part in [
        "HELD",
        "it would let pass 6 of 6 images that are refused",
        "no longer refused for CVE-2021-44228: 6 images",
        "would pass: team/app@sha256:",
        "roadbed advisories sync --source Maven --accept-lifts 6",
    ] {
        ensure!(shown.contains(part), "{part}: {shown}");
    }
    Ok(())
}

fn lists_what_is_lifted(said: &str) -> Result<()> {
    for part in [
        "it would let pass 6 of 6 images that are refused",
        "\n  no longer refused for CVE-2021-44228: 6 images\n",
        "\n  would pass: team/app@sha256:",
        " --accept-lifts 6",
    ] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    Ok(())
}

/// The same of what comes with a bundle.
fn a_bundle_is_held_too(world: &World, advisories: &str) -> Result<()> {
    let bundle = format!("{advisories}.bundle");
    world.roadbed(&["advisories", "export", advisories, "--to", &bundle])?;
    let held = world.roadbed(&["advisories", "import-bundle", &bundle, "--unsigned"]);
    std::fs::remove_file(&bundle)?;
    let said = held.err().map(|error| format!("{error:#}")).unwrap_or_default();
    lists_what_is_lifted(&said)?;
    let command = format!("roadbed advisories import-bundle {bundle} --unsigned --accept-lifts 6");
    ensure!(said.contains(&command), "{said}");
    Ok(())
}

/// The server fetches by itself as well.
async fn sync_when_idle(world: &World) -> Result<(bool, Value, String)> {
    loop {
        let synced = run(world, &["advisories", "sync"]).await?;
        if !synced.2.contains("being fetched already") {
            return Ok(synced);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// Another range, another severity, a catalogue that lists it no more, all of it newer than what is known.
fn lifting() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let later = "2026-02-01T00:00:00Z";
    let advisory = "GHSA-jfh8-c2jp-5v3q.json";
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut advisory = log4shell(false);
        advisory["modified"] = json!(later);
        change(&mut advisory);
        advisory
    };
    let narrowed = changed(&|advisory| {
        advisory["affected"][0]["ranges"][0]["events"][1]["fixed"] = json!("2.13.0");
    });
    let lowered = changed(&|advisory| {
        advisory["database_specific"]["severity"] = json!("LOW");
        advisory["severity"][0]["score"] = json!("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N");
    });
    let mut listed_no_more = super::super::world::kev();
    listed_no_more["dateReleased"] = json!(later);
    listed_no_more["vulnerabilities"][0]["cveID"] = json!("CVE-2020-0001");
    vec![
        ("taken back", vec![(advisory, log4shell(true))]),
        ("narrowed", vec![(advisory, narrowed)]),
        ("lowered", vec![(advisory, lowered), ("kev.json", listed_no_more)]),
    ]
}

#[tokio::test]
async fn an_import_by_hand_is_held_by_whatever_it_lifts() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    push_refused(&world).await?;
    for (way, files) in lifting() {
        let refused = world.import(&files).err().map(|error| format!("{error:#}"));
        let said = refused.unwrap_or_default();
        ensure!(
            said.contains("the import is held")
                && said.contains("if that is right: roadbed advisories import "),
            "{way}: {said:?}"
        );
        lists_what_is_lifted(&said)?;
        all_are_refused(&world).await?;
    }
    assert_eq!(times_told(&world).await?, 3);
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("a.json"), log4shell(true).to_string())?;
    let path = directory.path().to_string_lossy().into_owned();
    a_bundle_is_held_too(&world, &path)?;
    all_are_refused(&world).await?;
    let done = world.roadbed(&["advisories", "import", &path, "--accept-lifts", "6"])?;
    ensure!(done.contains("6 images refused no more."), "{done}");
    world
        .until("2.14.1", "served", |answer| answer.status == 200)
        .await?;
    Ok(())
}
