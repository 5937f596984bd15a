//! Where applications stand, over the API of a server that is killed in between: what was acknowledged counts afterwards, once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::sleep;

use crate::harness::{
    client::Client,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Server},
};

/// Pushes of evidence, each with a kill behind it.
const KILLS: usize = 4;

/// How long a server may read what is known.
const READING: Duration = Duration::from_secs(30);

fn administrator(server: &Server) -> Client {
    server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
}

async fn ask(client: &Client, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
    let deadline = std::time::Instant::now() + READING;
    loop {
        let mut request = client.request(method, format!("/api/v1{path}"));
        if let Some(body) = &body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await?;
        if answer.status == 503 && std::time::Instant::now() < deadline {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        return answer.expect(&[200])?.json();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_counts_once_whatever_is_killed() -> Result<()> {
    let mut server = Server::start().await;
    let application = json!({ "name": "shop", "repositories": ["shop/**"], "owner": "payments", "tier": 1 });
    ask(&administrator(&server), "PUT", "/applications", Some(application)).await?;
    // What was seen long ago would be over by now.
    let began = OffsetDateTime::now_utc() - time::Duration::hours(1);
    for number in 0..KILLS {
        let minutes = i64::try_from(number)?;
        let run = (began + time::Duration::minutes(minutes)).format(&Rfc3339)?;
        let began = began.format(&Rfc3339)?;
        let push = json!({ "evidence": [
            { "subject": "app:shop", "fact": "pipeline-defined", "value": true, "observed_at": began },
            { "subject": "app:shop", "fact": "chaos-run", "item": format!("run-{number}"), "value": true,
              "observed_at": run },
        ]});
        ask(&administrator(&server), "POST", "/evidence", Some(push)).await?;
        server.kill();
        server.start_again().await;
    }
    let admin = administrator(&server);
    let history = ask(
        &admin,
        "GET",
        "/maturity/history?subject=app:shop&limit=1000",
        None,
    )
    .await?;
    let changes = history["items"].as_array().context("no history")?;
    let of = |change: &&Value| change["change"]["criterion"] == "PR-REL-1";
    let moves: Vec<_> = changes.iter().filter(of).collect();
    ensure!(moves.len() == 1 && moves[0]["change"]["to"] == "met", "{moves:?}");
    let why = ask(
        &admin,
        "GET",
        "/maturity/why?subject=app:shop&criterion=PR-REL-1",
        None,
    )
    .await?;
    ensure!(why["state"] == "met", "{why}");
    let event = why["checks"][0]["events"][0].as_i64().context("no event")?;
    let events = ask(
        &admin,
        "GET",
        &format!("/events?after={}&limit=1", event - 1),
        None,
    )
    .await?;
    ensure!(events["items"][0]["kind"] == "evidence.push", "{events}");
    let team = ask(&admin, "GET", "/maturity/team?name=payments", None).await?;
    ensure!(team["apps"]["apps"] == 1, "{team}");
    Ok(())
}
