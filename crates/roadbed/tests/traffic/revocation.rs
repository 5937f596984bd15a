//! What is revoked ends at once, whatever a token or a cache still says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{
    admin,
    client::Client,
    login::{Challenge, Login},
    manifest::small_image,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

const REPOSITORY: &str = "team/app";

const MANIFEST: &str = "/v2/team/app/manifests/v1";

/// The API as the administrator.
fn api(server: &Server) -> Client {
    server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
}

async fn call(server: &Server, method: &str, path: &str, body: Value) -> Result<Value> {
    let client = api(server);
    let mut request = client.request(method, path);
    if !body.is_null() {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = request.send().await?.expect(&[200, 201, 204])?;
    if answer.body.is_empty() {
        Ok(Value::Null)
    } else {
        answer.json()
    }
}

/// A client with a token that was fetched now and is never fetched again.
async fn with_token(server: &Server, user: &str, password: &str) -> Result<Client> {
    let anonymous = server.client(Login::Anonymous);
    let challenge = Challenge::parse(
        anonymous
            .get(MANIFEST)
            .send()
            .await?
            .expect(&[401])?
            .require("www-authenticate")?,
    )?;
    let answer = server
        .client(Login::basic(user, password))
        .fetch_token(&challenge)
        .await?
        .expect(&[200])?;
    let token = answer.json()?["token"]
        .as_str()
        .context("the answer has no token")?
        .to_owned();
    Ok(server.client(Login::Bearer(token)))
}

async fn pushed() -> Result<Server> {
    let server = Server::start().await;
    let (blobs, image) = small_image("revoked");
    server
        .admin()
        .push_image(REPOSITORY, "v1", &blobs, &image)
        .await?;
    Ok(server)
}

async fn expect_status(clients: &[Client], statuses: &[u16]) -> Result<()> {
    for client in clients {
        client.get(MANIFEST).send().await?.expect(statuses)?;
    }
    Ok(())
}

async fn secrets() -> Result<()> {
    let server = pushed().await?;
    let made = call(&server, "POST", "/api/v1/robots", json!({ "name": "ci" })).await?;
    let rotated = call(&server, "POST", "/api/v1/robots/ci/secrets", json!({})).await?;
    admin::grant(&server, "ci", "team/**", &["pull"]).await?;
    let secret_of = |made: &Value| {
        made["secret"]
            .as_str()
            .map(str::to_owned)
            .context("a secret is shown once")
    };
    let (first, second) = (secret_of(&made)?, secret_of(&rotated)?);
    let old = [
        server.client(Login::basic("ci", &first)),
        with_token(&server, "ci", &first).await?,
    ];
    let new = [
        server.client(Login::basic("ci", &second)),
        with_token(&server, "ci", &second).await?,
    ];
    expect_status(&old, &[200]).await?;
    expect_status(&new, &[200]).await?;
    call(
        &server,
        "DELETE",
        &format!("/api/v1/robots/ci/secrets/{}", made["id"]),
        Value::Null,
    )
    .await?;
    // The first request after the answer: nothing is waited for.
    expect_status(&old, &[401]).await?;
    expect_status(&new, &[200]).await
}

#[tokio::test]
async fn a_revoked_secret_and_its_tokens_end_at_once() {
    secrets().await.unwrap();
}

async fn grants() -> Result<()> {
    let server = pushed().await?;
    admin::user(&server, "ann", "team/**", &["pull"]).await?;
    let ann = [
        server.client(Login::basic("ann", admin::USER_PASSWORD)),
        with_token(&server, "ann", admin::USER_PASSWORD).await?,
    ];
    expect_status(&ann, &[200]).await?;
    call(
        &server,
        "DELETE",
        "/api/v1/grants?subject=ann&pattern=team/**",
        Value::Null,
    )
    .await?;
    expect_status(&ann, &[401, 403]).await?;
    admin::grant(&server, "ann", "team/**", &["pull"]).await?;
    expect_status(&ann, &[200]).await?;
    call(&server, "PATCH", "/api/v1/users/ann", json!({ "disabled": true })).await?;
    expect_status(&ann, &[401]).await
}

#[tokio::test]
async fn a_removed_grant_and_a_disabled_user_end_at_once() {
    grants().await.unwrap();
}

async fn passwords() -> Result<()> {
    let server = pushed().await?;
    admin::user(&server, "ann", "team/**", &["pull"]).await?;
    let old = [server.client(Login::basic("ann", admin::USER_PASSWORD))];
    expect_status(&old, &[200]).await?;
    let password = "another long password";
    call(
        &server,
        "PUT",
        "/api/v1/users/ann/password",
        json!({ "password": password }),
    )
    .await?;
    expect_status(&old, &[401]).await?;
    expect_status(&[server.client(Login::basic("ann", password))], &[200]).await?;
    ensure!(!server.log().contains(password), "the log shows a password");
    Ok(())
}

#[tokio::test]
async fn an_old_password_ends_at_once() {
    passwords().await.unwrap();
}
