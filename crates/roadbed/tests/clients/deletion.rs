//! Deleting over the network: of these clients only skopeo can.

use anyhow::{Result, ensure};

use super::{client::RegistryClient, scenarios::DENIED, skopeo::Skopeo, world::World};
use crate::harness::{
    admin,
    server::{ADMIN, ADMIN_PASSWORD},
    unable::{Unable, report},
};

fn skopeo_as(world: &World, user: &str, password: &str) -> Result<Skopeo, Unable> {
    let mut skopeo = Skopeo::start(world.setup())?;
    let login = skopeo
        .log_in(user, password)
        .and_then(super::machine::Outcome::expect_success);
    login.expect("a right password is taken");
    Ok(skopeo)
}

fn delete(skopeo: &Skopeo, reference: &str) -> Result<super::machine::Outcome> {
    skopeo.run(
        skopeo
            .command("delete")
            .args(skopeo.transport(""))
            .arg(skopeo.remote(reference)),
    )
}

/// What `skopeo list-tags` prints of tags.
fn tags(skopeo: &Skopeo, repository: &str) -> Result<Vec<String>> {
    let mut command = skopeo.command("list-tags");
    let listed = skopeo
        .run(command.args(skopeo.transport("")).arg(skopeo.remote(repository)))?
        .expect_success()?;
    let parsed: serde_json::Value = serde_json::from_str(&listed.output)?;
    Ok(serde_json::from_value(parsed["Tags"].clone())?)
}

async fn delete_what_was_pushed(world: &World, skopeo: &Skopeo) -> Result<()> {
    let (first, second) = (world.image("first", 1)?, world.image("second", 1)?);
    skopeo.push(&first, "team/app:v1")?.expect_success()?;
    skopeo.push(&first, "team/app:stable")?.expect_success()?;
    skopeo.push(&second, "team/app:v2")?.expect_success()?;
    ensure!(
        tags(skopeo, "team/app")? == ["stable", "v1", "v2"],
        "{:?}",
        tags(skopeo, "team/app")?
    );
    // skopeo asks for the digest behind the tag and deletes the manifest, so every tag of it goes.
    delete(skopeo, "team/app:v1")?.expect_success()?;
    ensure!(
        tags(skopeo, "team/app")? == ["v2"],
        "{:?}",
        tags(skopeo, "team/app")?
    );
    world
        .server
        .admin()
        .check_no_manifest("team/app", &first.top.digest)
        .await?;
    skopeo
        .pull("team/app:stable")?
        .expect_refusal(&["unknown", "not found"])?;
    skopeo.pull("team/app:v2")?.expect_success()?;
    skopeo.check_pulled("team/app:v2", &second)?;
    delete(skopeo, "team/app:v1")?.expect_refusal(&["unknown", "not found", "may not exist"])
}

#[tokio::test]
async fn skopeo_deletes_an_image_with_its_tags() {
    let world = World::plain().await;
    match skopeo_as(&world, ADMIN, ADMIN_PASSWORD) {
        Ok(skopeo) => delete_what_was_pushed(&world, &skopeo).await.unwrap(),
        Err(unable) => report(&unable),
    }
}

async fn delete_with_the_role_only(world: &World, pusher: &Skopeo) -> Result<()> {
    admin::grant(&world.server, "pusher", "team/**", &["push"]).await?;
    let image = world.image("image", 1)?;
    pusher.push(&image, "team/app:v1")?.expect_success()?;
    delete(pusher, "team/app:v1")?.expect_refusal(&DENIED)?;
    world.check_whole("team/app", "v1").await?;
    admin::grant(&world.server, "pusher", "team/**", &["push", "delete"]).await?;
    delete(pusher, "team/app:v1")?.expect_success()?;
    world.server.admin().check_no_manifest("team/app", "v1").await
}

#[tokio::test]
async fn skopeo_deletes_with_the_role_only() {
    let world = World::plain().await;
    admin::create_user(&world.server, "pusher").await.unwrap();
    match skopeo_as(&world, "pusher", admin::USER_PASSWORD) {
        Ok(skopeo) => delete_with_the_role_only(&world, &skopeo).await.unwrap(),
        Err(unable) => report(&unable),
    }
}
