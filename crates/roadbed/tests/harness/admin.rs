//! Users and grants, made by the administrator over the API.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    answer::Answer,
    client::Client,
    login::{Login, basic_header},
    server::Server,
};

/// A password for users that tests make.
pub(crate) const USER_PASSWORD: &str = "a long enough password";

/// Makes a user with roles on a pattern of repositories and returns its client.
pub(crate) async fn user(server: &Server, name: &str, pattern: &str, roles: &[&str]) -> Result<Client> {
    create_user(server, name).await?;
    grant(server, name, pattern, roles).await?;
    Ok(server.client(Login::token(name, USER_PASSWORD)))
}

/// Makes a user that may do nothing yet.
pub(crate) async fn create_user(server: &Server, name: &str) -> Result<()> {
    let body = json!({ "name": name, "password": USER_PASSWORD });
    send(server, "POST", "/api/v1/users", &body).await.map(drop)
}

/// Lets a user act on a pattern of repositories.
pub(crate) async fn grant(server: &Server, name: &str, pattern: &str, roles: &[&str]) -> Result<()> {
    let body = json!({ "subject": name, "pattern": pattern, "roles": roles });
    send(server, "POST", "/api/v1/grants", &body).await.map(drop)
}

/// Makes a robot that may pull from a pattern of repositories; answers the value of its `Authorization` header.
pub(crate) async fn robot(server: &Server, name: &str, pattern: &str) -> Result<String> {
    let made = send(server, "POST", "/api/v1/robots", &json!({ "name": name })).await?;
    let made = made.json()?;
    let secret = made["secret"].as_str().context("the robot has no secret")?;
    grant(server, name, pattern, &["pull"]).await?;
    Ok(basic_header(name, secret))
}

async fn send(server: &Server, method: &str, path: &str, body: &serde_json::Value) -> Result<Answer> {
    let client = server.client(Login::basic(super::server::ADMIN, super::server::ADMIN_PASSWORD));
    let request = client
        .request(method, path)
        .header("content-type", "application/json")
        .body(body.to_string());
    request.send().await?.expect(&[200, 201, 204])
}
