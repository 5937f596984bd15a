//! Who was affected as of a moment: images that were deleted since, also after the index was built anew, and what was known to be
//! exploited then.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    excused::until_known,
    fleet::{reader, time_now, until},
    images::Image,
    world::{REPOSITORY, World, facts, kev},
};

const CVE: &str = "CVE-2021-44228";

/// The answer as of a moment.
async fn then(world: &World, question: &str, at: &str) -> Result<Value> {
    let reader = reader(world);
    let asked = reader
        .get("/api/v1/affected")
        .query("q", question)
        .query("as_of", at);
    asked.send().await?.expect(&[200])?.json()
}

fn affects(images: u64) -> impl Fn(&Value) -> bool {
    move |report| {
        report["counts"]["affected"] == images
            && report["coverage"]["indexed_percent"] == 100
            && report["coverage"]["waiting"] == 0
    }
}

/// What an answer says of its images, without what is known of them today.
fn said(report: &Value) -> Value {
    let mut said = report["items"].clone();
    for image in said.as_array_mut().into_iter().flatten() {
        image["decision"] = Value::Null;
    }
    json!([
        said,
        report["counts"],
        report["coverage"]["images"],
        report["as_of_notes"]
    ])
}

#[tokio::test]
async fn what_was_deleted_is_in_answers_of_its_time_also_after_the_index_is_built_anew() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let (bad, kept) = (Image::with_log4j("2.14.1"), Image::with_log4j("2.13.3"));
    for (tag, image) in [("bad", &bad), ("kept", &kept)] {
        world.push(tag, image).await?;
        world.decided(tag).await?.expect(&[200])?;
    }
    world.import(&facts())?;
    until_known(&world).await?;
    until(&reader(&world), CVE, affects(2)).await?;
    let there = time_now();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let path = format!("/v2/{REPOSITORY}/manifests/{}", bad.document.digest);
    world.admin.delete(path).send().await?.expect(&[202])?;
    until(&reader(&world), CVE, affects(1)).await?;
    let before = then(&world, CVE, &there).await?;
    ensure!(
        before["counts"]["affected"] == 2 && before.to_string().contains("deleted_at"),
        "{before:#}"
    );
    ensure!(before["vulnerability"]["kev"] == true, "{before:#}");
    ensure!(before["as_of_notes"].is_null(), "nothing is left out: {before:#}");
    // Another catalogue came since: the days in it tell what was known.
    let mut newer = kev();
    newer["dateReleased"] = json!("2035-01-01T00:00:00.0000Z");
    world.import(&[("kev.json", newer)])?;
    let later = then(&world, CVE, &there).await?;
    ensure!(later["vulnerability"]["kev"] == true, "{later:#}");
    ensure!(
        later["as_of_notes"].to_string().contains("catalogue of today"),
        "{later:#}"
    );
    let table = world.roadbed(&["affected", CVE, "--as-of", &there])?;
    ensure!(table.contains("not as of then: known to be exploited"), "{table}");
    world.server.terminate().await;
    std::fs::remove_file(world.server.data().join("fleet.index"))?;
    world.server.start_again().await;
    world.log_in_again();
    until_known(&world).await?;
    until(&reader(&world), CVE, affects(1)).await?;
    let rebuilt = then(&world, CVE, &there).await?;
    ensure!(
        said(&rebuilt) == said(&later),
        "{rebuilt:#}\ninstead of\n{later:#}"
    );
    // It comes back: it was there twice.
    world.push("bad", &bad).await?;
    until(&reader(&world), CVE, affects(2)).await?;
    ensure!(then(&world, CVE, &there).await?["counts"]["affected"] == 2);
    Ok(())
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_said() -> Result<()> {
    let world = World::start(&[("ROADBED_STORAGE__GONE_IMAGES", "0")]).await?;
    // Of a package that nobody knows there is no answer.
    world.import(&facts())?;
    let bad = Image::with_log4j("2.14.1");
    world.push("bad", &bad).await?;
    until(&reader(&world), "log4j-core", affects(1)).await?;
    let there = time_now();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let path = format!("/v2/{REPOSITORY}/manifests/{}", bad.document.digest);
    world.admin.delete(path).send().await?.expect(&[202])?;
    until(&reader(&world), "log4j-core", affects(0)).await?;
    let told = then(&world, "log4j-core", &there).await?;
    ensure!(
        told["as_of_notes"].to_string().contains("may be missing"),
        "{told:#}"
    );
    let headline = told["headline"].to_string();
    ensure!(headline.contains("at least "), "{headline}");
    Ok(())
}
