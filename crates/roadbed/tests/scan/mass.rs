//! A base moves, and all images on it follow: by whose word, in which order, and what the registry states of what it made.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::rebase::{self, push, refused, until};
use super::signer::Signer;
use super::signing::bundle;
use super::world::{World, facts};
use crate::harness::{admin, login::Login, manifest::Document};

const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// Starts a world with a base whose first release is signed, and images on it: `names` of `team/`.
pub(super) async fn on_signed_base(options: &[(&str, &str)], names: &[&str]) -> Result<(World, Signer)> {
    let world = World::start(options).await?;
    let platform = Signer::named("platform")?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("key.pub");
    std::fs::write(&file, platform.key.public_key_pem())?;
    let file = file.to_string_lossy().into_owned();
    world.roadbed(&[
        "signer",
        "add",
        "platform",
        "--repository",
        "base/**",
        "--key",
        &file,
    ])?;
    let first = rebase::release(1);
    push(&world, "base/java", "1", &first).await?;
    sign(&world, "base/java", &first.document, &platform).await?;
    rebase::declare(&world, &["--signer", "platform"])?;
    for name in names {
        push(&world, &format!("team/{name}"), "v1", &rebase::app(name)).await?;
    }
    for name in names {
        let reference = format!("team/{name}:v1");
        let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == "java";
        until(&world, &["lineage", &reference], on_base).await?;
    }
    Ok((world, platform))
}

/// Attaches a signature to an image.
pub(super) async fn sign(world: &World, repository: &str, image: &Document, by: &Signer) -> Result<()> {
    let (blobs, document) = bundle(&image.digest, image, SIGNED, &json!({}), &by.key)?;
    world
        .admin
        .push_image(repository, &document.digest, &blobs, &document)
        .await
}

/// The report, once it is so.
pub(super) async fn report(world: &World, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    until(world, &["rebase", "report", "java"], holds).await
}

pub(super) fn in_state<'r>(report: &'r Value, state: &str) -> Vec<&'r Value> {
    let items = report["items"].as_array().into_iter().flatten();
    items.filter(|item| item["state"] == state).collect()
}

fn id(item: &Value) -> Result<&str> {
    item["id"].as_str().context("an item has an id")
}

#[tokio::test]
async fn a_base_moves_by_its_signer_alone_and_each_image_is_asked_for() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["one", "two", "three", "built"]).await?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    // Whoever may push to the base's repository moves nothing by that, and it is told why.
    let told = |said: &Value| said["releases"].as_array().is_some_and(|all| all.len() == 2);
    let unsigned = report(&world, told).await?;
    ensure!(
        unsigned["releases"][0]["moves_nothing"]
            .as_str()
            .is_some_and(|why| why.contains("not signed by platform")),
        "{unsigned:#}"
    );
    ensure!(unsigned["items"] == json!([]), "{unsigned:#}");
    let events = world.roadbed(&["audit", "--kind", "base.release", "--output", "json"])?;
    ensure!(
        events.contains("it is not signed by platform, whom the catalogue declares"),
        "{events}"
    );
    let stranger = Signer::named("stranger")?;
    sign(&world, "base/java", &second.document, &stranger).await?;
    let plan = until(&world, &["rebase", "team/one:v1"], |_| true).await?;
    ensure!(plan["class"].is_null(), "there is nothing to go to: {plan:#}");

    sign(&world, "base/java", &second.document, &platform).await?;
    let all = |said: &Value| in_state(said, "asking").len() == 3 && in_state(said, "impossible").len() == 1;
    let asked = report(&world, all).await?;
    let impossible = in_state(&asked, "impossible");
    ensure!(
        impossible[0]["class"] == "C"
            && impossible[0]["reason"]
                .as_str()
                .is_some_and(|why| why.contains("usr/bin/tool")),
        "{asked:#}"
    );
    let asking = in_state(&asked, "asking");
    let ids = [id(asking[0])?, id(asking[1])?, id(asking[2])?];
    world.roadbed(&["rebase", "reject", ids[2]])?;
    world.roadbed(&["rebase", "approve", ids[0], ids[1]])?;
    let done = report(&world, |said| in_state(said, "moved").len() == 2).await?;
    ensure!(in_state(&done, "rejected").len() == 1, "{done:#}");
    let twice = refused(&world, &["rebase", "approve", ids[0]])?;
    ensure!(twice.contains("it is moved: it cannot be approved"), "{twice}");
    let moved = in_state(&done, "moved");
    let repository = moved[0]["repository"].as_str().unwrap_or_default();
    let lineage = until(&world, &["lineage", &format!("{repository}:v1-p1")], |_| true).await?;
    ensure!(
        lineage["images"][0]["lineage"]["stack"][0]["version"] == "2",
        "{lineage:#}"
    );
    Ok(())
}

#[tokio::test]
async fn the_switch_stops_what_runs_and_what_would() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["one", "two"]).await?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    let asked = report(&world, |said| in_state(said, "asking").len() == 2).await?;
    let stopped = world.roadbed(&["rebase", "stop", "--output", "json"])?;
    ensure!(stopped.contains("stopped_by"), "{stopped}");
    let one = refused(&world, &["rebase", "team/one:v1", "--apply"])?;
    ensure!(one.contains("has stopped all rebases"), "{one}");
    let first = id(in_state(&asked, "asking")[0])?.to_owned();
    world.roadbed(&["rebase", "approve", &first])?;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let waits = report(&world, |_| true).await?;
    ensure!(
        in_state(&waits, "waiting").len() == 1 && waits["stopped_by"].is_string(),
        "{waits:#}"
    );
    world.roadbed(&["rebase", "resume"])?;
    report(&world, |said| in_state(said, "moved").len() == 1).await?;
    let all = world.roadbed(&["audit", "--output", "json"])?;
    for kind in [
        "rebase.ask",
        "rebase.stop",
        "rebase.approve",
        "rebase.resume",
        "rebase.make",
        "rebase.move",
    ] {
        ensure!(all.contains(kind), "{kind}");
    }
    Ok(())
}

/// Has an application say how it wants to be served: name, and what follows `spec:`.
pub(super) fn say(world: &World, said: &[(&str, &str)]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut text = String::new();
    for (name, spec) in said {
        world.roadbed(&[
            "app",
            "set",
            name,
            "--owner",
            "team",
            "--repository",
            &format!("team/{name}"),
        ])?;
        writeln!(
            text,
            "---\napiVersion: road/v1\nkind: AppRoad\nmetadata: {{name: {name}, owner: team}}\nspec: {spec}"
        )?;
    }
    std::fs::write(directory.path().join("pavedroad.yaml"), text)?;
    world
        .roadbed(&["catalog", "import", &directory.path().to_string_lossy()])
        .map(drop)
}

const UNTIL: &str = "until: 2099-01-01";

#[tokio::test]
async fn who_wants_it_follows_by_itself_ring_after_ring_and_not_while_frozen() -> Result<()> {
    let options = [
        ("ROADBED_REBASE__EARLY_AFTER", "1s"),
        ("ROADBED_REBASE__NORMAL_AFTER", "1s"),
        ("ROADBED_REBASE__LATE_AFTER", "1h"),
    ];
    let names = ["bird", "early", "common", "last", "ice", "asks", "own", "built"];
    let (world, platform) = on_signed_base(&options, &names).await?;
    let [bird, early, last] =
        ["canary", "early", "late"].map(|ring| format!("{{ring: {ring}, autoRebase: true, {UNTIL}}}"));
    let today = time::OffsetDateTime::now_utc().date();
    let ice = format!("{{autoRebase: true, freeze: [{today}/{today}], {UNTIL}}}");
    say(
        &world,
        &[
            ("bird", &bird),
            ("early", &early),
            ("common", &format!("{{autoRebase: true, {UNTIL}}}")),
            ("last", &last),
            ("ice", &ice),
            ("own", &format!("{{autoRebase: never, {UNTIL}}}")),
        ],
    )?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    let done = report(&world, |said| in_state(said, "moved").len() == 3).await?;
    let mut moved: Vec<(&str, &str)> = in_state(&done, "moved")
        .into_iter()
        .filter_map(|item| Some((item["settled_at"].as_str()?, item["repository"].as_str()?)))
        .collect();
    moved.sort_unstable();
    let order: Vec<&str> = moved.iter().map(|(_, repository)| *repository).collect();
    ensure!(order == ["team/bird", "team/early", "team/common"], "{done:#}");
    for (repository, state, why) in [
        ("team/last", "waiting", "ring late goes from"),
        ("team/ice", "waiting", "its application is frozen"),
        ("team/asks", "asking", "its application wants to be asked"),
        ("team/own", "left-out", "never wants it"),
        ("team/built", "impossible", "usr/bin/tool"),
    ] {
        let items = done["items"].as_array().context("items")?;
        let item = items.iter().find(|item| item["repository"] == repository);
        let item = item.with_context(|| format!("{repository} in {done:#}"))?;
        let reason = item["reason"].as_str().unwrap_or_default();
        ensure!(item["state"] == state && reason.contains(why), "{item:#}");
    }
    Ok(())
}

/// What waits is asked again when it is its turn.
#[tokio::test]
async fn who_wants_it_no_more_is_left_out_also_while_it_waits() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["one"]).await?;
    let today = time::OffsetDateTime::now_utc().date();
    let ice = format!("{{autoRebase: true, freeze: [{today}/{today}], {UNTIL}}}");
    say(&world, &[("one", &ice)])?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    report(&world, |said| in_state(said, "waiting").len() == 1).await?;
    say(&world, &[("one", &format!("{{autoRebase: never, {UNTIL}}}"))])?;
    let over = report(&world, |said| in_state(said, "left-out").len() == 1).await?;
    let why = in_state(&over, "left-out")[0]["reason"]
        .as_str()
        .unwrap_or_default();
    ensure!(why.contains("never wants it"), "{over:#}");
    ensure!(
        world.roadbed(&["decision", "team/one:v1-p1"]).is_err(),
        "no tag has followed"
    );
    Ok(())
}

#[tokio::test]
async fn a_plan_tells_which_findings_go_and_a_release_that_brings_worse_is_refused() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["one"]).await?;
    world.import(&facts())?;
    say(&world, &[("one", &format!("{{autoRebase: true, {UNTIL}}}"))])?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    let ids = |findings: &Value| -> Vec<String> {
        let all = findings.as_array().into_iter().flatten();
        all.filter_map(|finding| finding["id"].as_str().map(str::to_owned))
            .collect()
    };
    world.roadbed(&["rebase", "stop"])?;
    sign(&world, "base/java", &second.document, &platform).await?;
    let plan = until(&world, &["rebase", "team/one:v1"], |said| said["class"] == "A").await?;
    let findings = &plan["images"][0]["findings"];
    ensure!(
        ids(&findings["gone"]) == ["CVE-2021-44228"] && findings["come"] == json!([]),
        "{plan:#}"
    );
    world.roadbed(&["rebase", "resume"])?;
    report(&world, |said| in_state(said, "moved").len() == 1).await?;

    let bad = rebase::release(rebase::BAD);
    push(&world, "base/java", "bad", &bad).await?;
    sign(&world, "base/java", &bad.document, &platform).await?;
    let failed = report(&world, |said| in_state(said, "failed").len() == 1).await?;
    let item = in_state(&failed, "failed")[0];
    let why = item["reason"].as_str().unwrap_or_default();
    ensure!(
        item["tag"] == "v1-p1" && why.contains("brings 1 critical and takes away 0: CVE-2021-44228"),
        "{item:#}"
    );
    let by_hand = refused(&world, &["rebase", "team/one:v1-p1", "--apply"])?;
    ensure!(by_hand.contains("brings 1 critical"), "{by_hand}");
    Ok(())
}

/// Without a declared signer whoever may push to the base would move the fleet: everything is asked for.
#[tokio::test]
async fn without_a_declared_signer_nothing_follows_by_itself() -> Result<()> {
    let world = World::start(&[]).await?;
    push(&world, "base/java", "1", &rebase::release(1)).await?;
    rebase::declare(&world, &[])?;
    push(&world, "team/one", "v1", &rebase::app("one")).await?;
    say(&world, &[("one", &format!("{{autoRebase: true, {UNTIL}}}"))])?;
    let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == "java";
    until(&world, &["lineage", "team/one:v1"], on_base).await?;
    push(&world, "base/java", "2", &rebase::release(2)).await?;
    let asked = report(&world, |said| in_state(said, "asking").len() == 1).await?;
    let why = in_state(&asked, "asking")[0]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(why.contains("declares no signer"), "{why}");
    Ok(())
}

/// What somebody asked for does not happen once they may not do it any more.
#[tokio::test]
async fn rights_are_asked_again_when_the_tag_would_move() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["one"]).await?;
    admin::user(&world.server, "ann", "team/**", &["admin"]).await?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    let asked = report(&world, |said| in_state(said, "asking").len() == 1).await?;
    world.roadbed(&["rebase", "stop"])?;
    let ann = world.server.client(Login::basic("ann", admin::USER_PASSWORD));
    let path = format!(
        "/api/v1/rebases/items/{}/approve",
        id(in_state(&asked, "asking")[0])?
    );
    let approve = ann
        .request("POST", path)
        .header("content-type", "application/json");
    approve.body("{}".to_owned()).send().await?.expect(&[200])?;
    world.roadbed(&["grant", "remove", "ann", "team/**"])?;
    world.roadbed(&["rebase", "resume"])?;
    let over = report(&world, |said| in_state(said, "left-out").len() == 1).await?;
    let why = in_state(&over, "left-out")[0]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        why.contains("ann, who asked for it, may not push to team/one any more"),
        "{why}"
    );
    ensure!(
        world.roadbed(&["decision", "team/one:v1-p1"]).is_err(),
        "no tag has followed"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_made_counts_as_signed_only_if_its_source_was() -> Result<()> {
    let (world, platform) = on_signed_base(&[], &["signed", "plain"]).await?;
    let release = Signer::named("release")?;
    release.trust(&world, &[])?;
    let signed = rebase::app("signed");
    sign(&world, "team/signed", &signed.document, &release).await?;
    until_signed(&world, "team/signed:v1", &["release"]).await?;
    let second = rebase::release(2);
    push(&world, "base/java", "2", &second).await?;
    sign(&world, "base/java", &second.document, &platform).await?;
    report(&world, |said| in_state(said, "asking").len() == 2).await?;
    for name in ["signed", "plain"] {
        let image = format!("team/{name}:v1");
        until(&world, &["rebase", &image], |said| said["class"] == "A").await?;
        world.roadbed(&["rebase", &image, "--apply"])?;
    }
    until_signed(&world, "team/signed:v1-p1", &["rebase-of:release"]).await?;
    until_signed(&world, "team/plain:v1-p1", &[]).await?;
    // Nor does the registry sign what nobody signed, for those who admit by its key alone.
    ensure!(
        is_signed_by_registry(&world, "team/signed").await?,
        "its source is signed"
    );
    ensure!(
        !is_signed_by_registry(&world, "team/plain").await?,
        "its source is not"
    );
    // What is taken back of the source is taken back of what was made of it.
    world.roadbed(&["signer", "remove", "release"])?;
    until_signed(&world, "team/signed:v1-p1", &[]).await?;
    Ok(())
}

async fn is_signed_by_registry(world: &World, repository: &str) -> Result<bool> {
    let image = world
        .admin
        .get(format!("/v2/{repository}/manifests/v1-p1"))
        .send()
        .await?
        .expect(&[200])?;
    let digest = image.header("docker-content-digest").context("it has a digest")?;
    let all = world
        .admin
        .get(format!("/v2/{repository}/referrers/{digest}"))
        .send()
        .await?
        .expect(&[200])?;
    let all: Value = serde_json::from_slice(&all.body)?;
    let mut all = all["manifests"].as_array().into_iter().flatten();
    Ok(all.any(|one| one["annotations"]["dev.sigstore.bundle.predicateType"] == SIGNED))
}

async fn until_signed(world: &World, image: &str, by: &[&str]) -> Result<()> {
    let said = |said: &Value| {
        let attached = said["images"][0]["signatures"].as_array().into_iter().flatten();
        let signers: Vec<&str> = attached
            .flat_map(|one| one["signers"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        signers == by
    };
    until(world, &["decision", image], said).await.map(drop)
}
