//! Nobody takes what others need: each of these floods is one caller's, and another caller is served all the while.

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;

use crate::harness::{
    admin::{USER_PASSWORD, create_user, grant, user},
    answer::Answer,
    client::Client,
    login::Login,
    manifest::small_image,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "shares/app";

/// Callers of a flood at the same time, and what each of them asks for.
const CALLERS: usize = 8;
const REQUESTS: usize = 40;

/// Images whose pulls are not refused.
const IMAGES: usize = 12;

/// Asks for paths all at once, in `CALLERS` lines; returns how many were told to come again. All others are answered with
/// `usual`.
async fn flood(client: &Client, usual: u16, path: impl Fn(usize) -> String) -> Result<usize> {
    let path = &path;
    let line = |number: usize| async move {
        let mut refused = 0;
        for request in 0..REQUESTS {
            let answer = client.get(path(number * REQUESTS + request)).send().await?;
            refused += usize::from(is_refusal(&answer, usual)?);
        }
        anyhow::Ok(refused)
    };
    let refused = try_join_all((0..CALLERS).map(line)).await?;
    Ok(refused.into_iter().sum())
}

fn is_refusal(answer: &Answer, usual: u16) -> Result<bool> {
    if answer.status == usual {
        return Ok(false);
    }
    ensure!(answer.status == 429, "{}", answer.summary());
    let wait: u32 = answer.require("retry-after")?.parse()?;
    ensure!(
        wait > 0 && answer.error_code()? == "TOOMANYREQUESTS",
        "{}",
        answer.summary()
    );
    Ok(true)
}

fn unknown(number: usize) -> String {
    format!("/v2/{REPOSITORY}/manifests/unknown-{number}")
}

/// Pushes images and starts the server again: now nothing of them is in memory.
async fn with_cold_images(options: Options) -> Result<Server> {
    let mut server = Server::start_with(options).await;
    grant(&server, "anonymous", "shares/**", &["pull"]).await?;
    let admin = server.admin();
    for number in 0..IMAGES {
        let (blobs, image) = small_image(&format!("cold {number}"));
        let tag = format!("v{number}");
        admin.push_image(REPOSITORY, &tag, &blobs, &image).await?;
    }
    ensure!(server.terminate().await.success(), "the server ends");
    server.start_again().await;
    Ok(server)
}

async fn unknown_manifests() -> Result<()> {
    // One question of a stranger's at a time from one address, two of one user's.
    let options = Options::default().environment("ROADBED_REGISTRY__CONCURRENT_LOOKUPS", "4");
    let server = with_cold_images(options).await?;
    // With every request: whoever waits to be asked for a name is a stranger here.
    let admin = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    admin.get("/v2/").send().await?.expect(&[200])?;
    let strangers = server.client(Login::Anonymous);
    let pulls = async {
        for number in 0..IMAGES {
            let (blobs, image) = small_image(&format!("cold {number}"));
            admin
                .check_manifest(REPOSITORY, &format!("v{number}"), &image)
                .await?;
            for blob in &blobs {
                admin.check_blob(REPOSITORY, blob).await?;
            }
        }
        anyhow::Ok(())
    };
    let (refused, pulled) = tokio::join!(flood(&strangers, 404, unknown), pulls);
    pulled.context("a pull of somebody with a name")?;
    ensure!(
        refused? > 0,
        "strangers take as much as they like of the database"
    );
    // What is in memory now needs no place.
    let cached = format!("/v2/{REPOSITORY}/manifests/v0");
    let refused = flood(&strangers, 200, |_| cached.clone()).await?;
    ensure!(refused == 0, "{refused} pulls from memory were refused");
    Ok(())
}

#[tokio::test]
async fn strangers_who_ask_for_what_is_unknown_do_not_keep_pulls_from_the_database() {
    unknown_manifests().await.unwrap();
}

/// While `flooding` asks for a path all at once, `other` asks for it time and again and is never refused.
async fn other_is_served(flooding: &Client, other: &Client, usual: u16, path: &str) -> Result<()> {
    flooding.get(path).send().await?.expect(&[usual])?;
    other.get(path).send().await?.expect(&[usual])?;
    let served = async {
        for _ in 0..REQUESTS {
            other.get(path).send().await?.expect(&[usual])?;
        }
        anyhow::Ok(())
    };
    let (refused, served) = tokio::join!(flood(flooding, usual, |_| path.to_owned()), served);
    served.context("the other one")?;
    ensure!(refused? > 0, "{path}: one caller takes it all");
    Ok(())
}

async fn lists() -> Result<()> {
    let options = Options::default().environment("ROADBED_REGISTRY__CONCURRENT_LISTS", "2");
    let server = Server::start_with(options).await;
    let (blobs, image) = small_image("listed");
    server
        .admin()
        .push_image(REPOSITORY, "v1", &blobs, &image)
        .await?;
    let ann = user(&server, "ann", "shares/**", &["pull"]).await?;
    let path = format!("/v2/{REPOSITORY}/tags/list");
    other_is_served(&server.admin(), &ann, 200, &path).await
}

#[tokio::test]
async fn one_list_too_many_is_answered_429_and_another_user_is_served() {
    lists().await.unwrap();
}

async fn requests() -> Result<()> {
    let options = Options::default().environment("ROADBED_REGISTRY__CONCURRENT_REQUESTS", "2");
    let server = Server::start_with(options).await;
    create_user(&server, "ann").await?;
    grant(&server, "ann", "shares/**", &["pull"]).await?;
    // Without tokens: asking for one takes a place too.
    let admin = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let ann = server.client(Login::basic("ann", USER_PASSWORD));
    other_is_served(&admin, &ann, 404, &unknown(0)).await
}

#[tokio::test]
async fn one_user_gets_half_of_the_requests_and_another_one_is_served() {
    requests().await.unwrap();
}
