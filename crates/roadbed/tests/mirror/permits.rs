//! Who gets what, while the centre is there and while it is not.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use super::world::{Image, World, until_held};
use crate::harness::{
    admin::{self, USER_PASSWORD},
    answer::Answer,
    login::{Challenge, Login},
    server::{ADMIN, ADMIN_PASSWORD},
};

const PATH: &str = "/v2/team/app/manifests/1";

/// Nobody here is served with the robot.
const NO_ROBOT: (&str, &str) = ("ROADBED_MIRROR__ROBOT_NETWORKS", "10.255.255.0/24");

/// A permit is asked for again after a second.
const SHORT: (&str, &str) = ("ROADBED_MIRROR__PERMIT", "1s");

const LONGER: Duration = Duration::from_millis(1_200);

/// A no is remembered for a moment.
const FORGOTTEN: Duration = Duration::from_millis(2_200);

async fn asked(world: &World, login: Login) -> Result<Answer> {
    world.mirror.client(login).get(PATH).send().await
}

fn ann() -> Login {
    Login::basic("ann", USER_PASSWORD)
}

fn bob() -> Login {
    Login::basic("bob", USER_PASSWORD)
}

async fn start(variables: &[(&str, &str)]) -> Result<(World, Image)> {
    let world = World::start(&[&[NO_ROBOT], variables].concat()).await?;
    admin::user(&world.centre, "ann", "team/**", &["pull"]).await?;
    admin::user(&world.centre, "bob", "other/**", &["pull"]).await?;
    let image = Image::of("permits", 50_000);
    image.push(&world.centre, "team/app", "1").await?;
    Ok((world, image))
}

async fn each_their_own() -> Result<()> {
    let (mut world, image) = start(&[]).await?;
    let nobody = asked(&world, Login::Anonymous)
        .await?
        .expect_error(401, "UNAUTHORIZED")?;
    let challenge = nobody.require("www-authenticate")?;
    ensure!(challenge.starts_with("Basic "), "{challenge}");
    asked(&world, bob()).await?.expect_error(403, "DENIED")?;
    image
        .pull(&world.mirror.client(ann()), "team/app", "1", "")
        .await?;
    // That it is held is no reason to hand it out.
    asked(&world, bob()).await?.expect_error(403, "DENIED")?;
    asked(&world, Login::Anonymous).await?.expect(&[401])?;
    asked(&world, Login::basic("ann", "not her password"))
        .await?
        .expect(&[401, 403])?;
    let layer = format!("/v2/team/app/blobs/{}", image.blobs[1].digest);
    world
        .mirror
        .client(bob())
        .get(&layer)
        .send()
        .await?
        .expect(&[403])?;
    let elsewhere = format!("/v2/other/app/blobs/{}", image.blobs[1].digest);
    world
        .mirror
        .client(bob())
        .get(&elsewhere)
        .send()
        .await?
        .expect(&[404])?;
    until_held(&world.mirror, 1).await?;

    world.centre.kill();
    sleep(FORGOTTEN).await;
    for _ in 0..2 {
        image
            .pull(&world.mirror.client(ann()), "team/app", "1", "")
            .await?;
        for login in [bob(), Login::Anonymous, Login::basic("ann", "not her password")] {
            let answer = asked(&world, login).await?.expect_error(503, "UNAVAILABLE")?;
            ensure!(
                answer
                    .error_message()?
                    .contains("does not know that you may pull"),
                "{}",
                answer.summary()
            );
        }
        world
            .mirror
            .client(bob())
            .get(&layer)
            .send()
            .await?
            .expect(&[503])?;
        world.mirror.restart().await;
    }
    Ok(())
}

async fn withdrawn() -> Result<()> {
    let (mut world, image) = start(&[SHORT]).await?;
    image
        .pull(&world.mirror.client(ann()), "team/app", "1", "")
        .await?;
    until_held(&world.mirror, 1).await?;
    let admin = world.centre.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let taken = admin
        .delete("/api/v1/grants?subject=ann&pattern=team/**")
        .send()
        .await?;
    taken.expect(&[200, 204])?;
    sleep(LONGER).await;
    // What the centre remembers of her ends within a moment of its own.
    let mut last = asked(&world, ann()).await?;
    for _ in 0..50 {
        if last.status == 403 {
            break;
        }
        sleep(Duration::from_millis(200)).await;
        last = asked(&world, ann()).await?;
    }
    last.expect_error(403, "DENIED")?;
    world.centre.kill();
    sleep(FORGOTTEN).await;
    for _ in 0..2 {
        asked(&world, ann()).await?.expect_error(503, "UNAVAILABLE")?;
        world.mirror.restart().await;
    }
    Ok(())
}

async fn tokens_and_what_is_public() -> Result<()> {
    let (mut world, image) = start(&[SHORT]).await?;
    let centre = world.centre.client(Login::token("ann", USER_PASSWORD));
    let challenge = Challenge {
        realm: centre.url("/v2/token").to_string(),
        service: "any".to_owned(),
        scope: "repository:team/app:pull".to_owned(),
        error: None,
    };
    let token = centre.fetch_token(&challenge).await?.expect(&[200])?.json()?;
    let token = Login::Bearer(token["token"].as_str().unwrap_or_default().to_owned());
    image
        .pull(&world.mirror.client(token.clone()), "team/app", "1", "")
        .await?;
    let other = Login::Bearer("not.a.token".to_owned());
    asked(&world, other).await?.expect(&[401])?;
    let open = Image::of("open", 10_000);
    open.push(&world.centre, "open/app", "1").await?;
    admin::grant(&world.centre, "anonymous", "open/**", &["pull"]).await?;
    let nobody = world.mirror.client(Login::Anonymous);
    open.pull(&nobody, "open/app", "1", "").await?;
    until_held(&world.mirror, 2).await?;
    sleep(LONGER).await;
    world.centre.kill();
    // A token is made to end, whatever is known of who got it.
    asked(&world, token).await?.expect_error(503, "UNAVAILABLE")?;
    open.pull(&nobody, "open/app", "1", "").await?;
    open.pull(&world.mirror.client(bob()), "open/app", "1", "").await
}

async fn a_registry_is_no_mirror() -> Result<()> {
    let mut world = World::start(&[]).await?;
    world.centre.kill();
    let data = world.centre.data().to_string_lossy().into_owned();
    let home = tempfile::tempdir()?;
    let serve = [
        "mirror",
        "serve",
        "--centre",
        "http://127.0.0.1:1",
        "--listen",
        "127.0.0.1:0",
    ];
    let (served, said) = super::process::run(home.path(), &[&serve[..], &["--data", &data]].concat())?;
    ensure!(!served && said.contains("is that of a registry"), "{said}");
    let held = world.mirror.data().to_string_lossy().into_owned();
    drop(world.mirror);
    let copied = home.path().join("mirror");
    std::fs::create_dir(&copied)?;
    ensure!(!held.is_empty(), "a path");
    let own = super::world::mirror_of(
        "http://127.0.0.1:1",
        &[("ROADBED_MIRROR__DATA_DIR", &copied.to_string_lossy())],
    )
    .await;
    drop(own);
    let copied = copied.to_string_lossy().into_owned();
    let (served, said) = super::process::run(
        home.path(),
        &["serve", "--listen", "127.0.0.1:0", "--data", &copied],
    )?;
    ensure!(!served && said.contains("of a mirror"), "{said}");
    Ok(())
}

#[tokio::test]
async fn nobody_gets_what_another_one_may_have() {
    each_their_own().await.unwrap();
}

#[tokio::test]
async fn a_no_ends_a_permit_at_once() {
    withdrawn().await.unwrap();
}

#[tokio::test]
async fn tokens_end_and_what_is_public_stays_so() {
    tokens_and_what_is_public().await.unwrap();
}

#[tokio::test]
async fn neither_opens_the_other_s_directory() {
    a_registry_is_no_mirror().await.unwrap();
}
