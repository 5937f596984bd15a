//! What is in use by somebody's word is warned about where it would be refused.

use anyhow::{Result, ensure};

use super::{
    images::Image,
    world::{World, facts},
};

#[tokio::test]
async fn what_somebody_says_is_in_use_is_kept_until_it_is_taken_back() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    let refused = world.decided("bad").await?;
    refused.expect_error(403, "DENIED")?;
    let wrong = world.roadbed(&[
        "in-use",
        "add",
        "team/app:bad",
        "--until",
        "400d",
        "--reason",
        "x",
    ]);
    ensure!(wrong.is_err(), "an end too far ahead");

    let images = tempfile::NamedTempFile::new()?;
    std::fs::write(
        images.path(),
        "# inventory\nteam/app:bad  # since 2021\n\nother/app:1\n",
    )?;
    let file = images.path().to_string_lossy().into_owned();
    let add = [
        "in-use",
        "add",
        "--file",
        &file,
        "--until",
        "30d",
        "--reason",
        "inventory of prod",
    ];
    let said = world.roadbed(&add)?;
    ensure!(said.starts_with("2 images in use until"), "{said}");
    let served = world.until("bad", "kept", |answer| answer.status == 200).await?;
    ensure!(served.require("warning")?.contains("CVE-2021-44228"));
    let decision = world.roadbed(&["decision", "team/app:bad"])?;
    ensure!(
        decision.contains("would refuse; the image is in use"),
        "{decision}"
    );
    let listed = world.roadbed(&["in-use", "list"])?;
    ensure!(
        listed.contains("team/app:bad") && listed.contains("other/app:1") && listed.contains("admin"),
        "{listed}"
    );

    check_taking_back(&world).await?;
    let audit = world.roadbed(&["audit", "--kind", "in-use.set"])?;
    ensure!(audit.contains("inventory of prod"), "{audit}");
    Ok(())
}

async fn check_taking_back(world: &World) -> Result<()> {
    // A pull while it was kept would keep it as well, so the word is taken back of what nobody pulled.
    world.push("idle", &Image::with_log4j("2.14.0")).await?;
    world.roadbed(&[
        "in-use",
        "add",
        "team/app:idle",
        "--until",
        "30d",
        "--reason",
        "x",
    ])?;
    world.until_decision("idle").await?;
    world.roadbed(&["in-use", "remove", "team/app:idle"])?;
    // Asked without a pull: one that is served would say that it is in use.
    for _ in 0..300 {
        if world
            .roadbed(&["decision", "team/app:idle"])?
            .contains(": refused")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    world.pull("idle").await?.expect_error(403, "DENIED")?;
    ensure!(
        world.roadbed(&["in-use", "remove", "team/app:idle"]).is_err(),
        "twice"
    );
    Ok(())
}

/// Whoever pulls through broken glass does not make it an image in use, which would be kept for thirty days by that.
#[tokio::test]
async fn a_pull_through_broken_glass_is_no_use() -> Result<()> {
    let world = World::start(&[]).await?;
    world.import(&facts())?;
    world.push("bad", &Image::with_log4j("2.14.1")).await?;
    world.decided("bad").await?.expect_error(403, "DENIED")?;
    world.break_glass()?;
    world.until("bad", "open", |answer| answer.status == 200).await?;
    world.until_pulls_are_noted(1).await?;
    world
        .set_policy(
            "version: 1\nrules:\n  - {id: again, when: finding.kev, decide: refuse, message: judged again}\n",
        )
        .await?;
    let told = world.until_told("bad", &["judged again"]).await?;
    ensure!(told.contains(": refused") && !told.contains("in use"), "{told}");
    Ok(())
}
