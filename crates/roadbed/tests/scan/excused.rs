//! What does not count by somebody's word, and what only lies in a lower layer, in answers about the fleet: counted apart, and so
//! again after a restart.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    fleet::{ask, reader, signed_in, until},
    images::{Image, Layer, log4j_core},
    signer::Signer,
    signing::{attach, bundle, vex},
    world::{World, facts},
};
use crate::harness::{admin, content::sha256_hex};

const CVE: &str = "CVE-2021-44228";

/// Images that are affected, not affected by VEX, waived, and have it only in a lower layer.
fn counted(wanted: [u64; 4]) -> impl Fn(&Value) -> bool {
    move |report| {
        let counts = ["affected", "not_affected", "waived", "lower_layer"];
        let counts = counts.map(|name| report["counts"][name].as_u64());
        counts == wanted.map(Some) && report["coverage"]["indexed_percent"] == 100
    }
}

fn image<'a>(report: &'a Value, image: &Image) -> &'a Value {
    let mut items = report["items"].as_array().into_iter().flatten();
    let found = items.find(|item| item["digest"] == image.document.digest.as_str());
    found.unwrap_or(&Value::Null)
}

#[tokio::test]
async fn what_somebody_vouches_for_is_counted_apart_and_so_after_a_restart() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let images = ["2.14.1", "2.14.0", "2.13.3"].map(Image::with_log4j);
    for (tag, image) in ["vouched", "borne", "open"].into_iter().zip(&images) {
        world.push(tag, image).await?;
        world.decided(tag).await?.expect(&[200])?;
    }
    world.import(&facts())?;
    let [vouched, borne, open] = &images;
    let signer = Signer::named("security")?;
    signer.trust(&world, &["--vex", "--product", "pkg:oci/app@*"])?;
    let statement = vex(vouched, "not_affected", "2026-01-01T00:00:00Z");
    let subject = &vouched.document;
    let kind = "https://openvex.dev/ns";
    let (blobs, document) = bundle(&subject.digest, subject, kind, &statement, &signer.key)?;
    attach(&world, &document.digest, &blobs, &document).await?;
    bear(&world, borne).await?;
    until_known(&world).await?;
    let report = until(&reader(&world), CVE, counted([1, 1, 1, 0])).await?;
    let headline = report["headline"].as_str().unwrap_or_default();
    ensure!(
        headline.contains("1 of 3 images affected, 1 not affected by VEX, 1 waived"),
        "{headline}"
    );
    for (of, state) in [(vouched, "not-affected"), (borne, "waived"), (open, "affected")] {
        ensure!(image(&report, of)["state"] == state, "{state}: {report:#}");
    }
    let words = image(&report, vouched)["waived"].to_string();
    ensure!(words.contains("VEX by security"), "{words}");
    // Whoever has to do something has it to do for one image.
    ensure!(report["owners"][0]["images"] == 1, "{report:#}");
    ensure!(
        report["owners"][0]["actions"].to_string().contains("(1 image)"),
        "{report:#}"
    );
    let table = world.roadbed(&["affected", CVE])?;
    ensure!(
        table.contains("not-affected") && table.contains("waived"),
        "{table}"
    );
    // Of a package, which nobody vouches for, all are shown.
    until(&reader(&world), "log4j-core", counted([3, 0, 0, 0])).await?;
    // From the file that a start reads, and from nothing.
    world.server.terminate().await;
    again(&mut world).await?;
    world.server.kill();
    std::fs::remove_file(world.server.data().join("fleet.index"))?;
    again(&mut world).await?;
    // Its end is in the next answer.
    world.roadbed(&["waiver", "remove", "batch"])?;
    until(&reader(&world), CVE, counted([2, 1, 0, 0])).await?;
    Ok(())
}

async fn again(world: &mut World) -> Result<()> {
    world.server.start_again().await;
    world.log_in_again();
    until_known(world).await?;
    until(&reader(world), CVE, counted([1, 1, 1, 0])).await.map(drop)
}

/// The advisories have to be read before they can be asked about.
pub(super) async fn until_known(world: &World) -> Result<()> {
    for _ in 0..600 {
        let asked = reader(world)
            .get("/api/v1/affected")
            .query("q", CVE)
            .send()
            .await?;
        if asked.status == 200 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the advisories are not known")
}

/// One person asks, another one agrees.
async fn bear(world: &World, image: &Image) -> Result<()> {
    world.roadbed(&[
        "waiver",
        "request",
        "batch",
        "--finding",
        CVE,
        "--repository",
        "team/app",
        "--digest",
        &image.document.digest,
        "--until",
        "30d",
        "--reason",
        "the next release",
    ])?;
    let owner = admin::user(&world.server, "owner", "team/*", &["admin"]).await?;
    let owner = signed_in(&owner, "owner");
    let path = "/api/v1/waivers/batch/approve";
    let request = owner
        .request("POST", path)
        .header("content-type", "application/json");
    request.body("{}").send().await?.expect(&[200])?;
    Ok(())
}

/// O11 of that day: the jar is in the image, and what runs has it not.
#[tokio::test]
async fn what_an_upper_layer_hides_is_said_to_lie_in_a_lower_one() -> Result<()> {
    let world = World::start(&[]).await?;
    let jar = log4j_core("2.14.1");
    let bottom = || Layer::of_files(&[("app/lib/log4j-core-2.14.1.jar", jar.clone())]);
    let over = |path: &str, bytes: &[u8]| Layer::of_files(&[(path, bytes.to_vec())]);
    let gone = Image::of(
        "gone",
        &[bottom(), over("app/lib/.wh.log4j-core-2.14.1.jar", b"")],
    );
    let replaced = Image::of(
        "replaced",
        &[bottom(), over("app/lib/log4j-core-2.14.1.jar", b"none")],
    );
    let opaque = Image::of("opaque", &[bottom(), over("app/.wh..wh..opq", b"")]);
    let there = Image::of("there", &[bottom(), over("app/other", b"more")]);
    for (tag, image) in [
        ("gone", &gone),
        ("replaced", &replaced),
        ("opaque", &opaque),
        ("there", &there),
    ] {
        world.push(tag, image).await?;
        world.decided(tag).await?.expect(&[200])?;
    }
    let file = format!("sha256:{}", sha256_hex(&jar));
    let class = "org.apache.logging.log4j.core.lookup.JndiLookup";
    for question in ["log4j-core", class, file.as_str()] {
        let report = until(&reader(&world), question, counted([1, 0, 0, 3])).await?;
        for of in [&gone, &replaced, &opaque] {
            let item = image(&report, of);
            ensure!(item["state"] == "lower-layer", "{question}: {report:#}");
            let place = &item["places"][0];
            ensure!(
                place["state"] == "lower-layer" && place["layer"] == 0,
                "{question}: {report:#}"
            );
        }
        ensure!(
            image(&report, &there)["state"] == "affected",
            "{question}: {report:#}"
        );
        ensure!(report["owners"][0]["images"] == 1, "{question}: {report:#}");
        let headline = report["headline"].to_string();
        ensure!(headline.contains("3 only in a lower layer"), "{headline}");
    }
    world.import(&facts())?;
    until_known(&world).await?;
    let report = ask(&reader(&world), CVE).await?;
    ensure!(counted([1, 0, 0, 3])(&report), "{report:#}");
    Ok(())
}
