//! The JSON API under load: places per address, and a database that has too much to do.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::time::{Duration, sleep};

use super::wire::{Wire, header, status};
use crate::harness::{
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const ATTEMPTS: usize = 100;

const PAUSE: Duration = Duration::from_millis(50);

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The status of a short request from an address, and the head of its answer.
async fn asks_from(server: &Server, address: Ipv4Addr) -> Result<(u16, String)> {
    let mut wire = Wire::open_from(server.address(), address).await?;
    wire.ask("GET", "/api/v1/session", "").await?;
    let (head, _) = wire.answer().await?;
    Ok((status(&head), head))
}

async fn until_served(server: &Server) -> Result<()> {
    for _ in 0..ATTEMPTS {
        if asks_from(server, Ipv4Addr::LOCALHOST).await?.0 == 200 {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    anyhow::bail!("not served after {ATTEMPTS} attempts")
}

/// Begins a request of the administrator whose body does not come. It has its place once it is told to go on.
async fn begin(server: &Server) -> Result<Wire> {
    let mut wire = Wire::open(server).await?;
    let fields = "Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n";
    wire.ask("POST", "/api/v1/grants", fields).await?;
    let head = wire.head().await?;
    ensure!(status(&head) == 100, "{head}");
    Ok(wire)
}

async fn places_per_address() -> Result<()> {
    let options = Options::default()
        .environment("ROADBED_API__CONCURRENT_REQUESTS", "4")
        .environment("ROADBED_API__REQUEST_TIMEOUT", "20s");
    let server = Server::start_with(options).await;
    until_served(&server).await?;
    let begun = begin(&server).await?;
    let (code, refusal) = asks_from(&server, Ipv4Addr::LOCALHOST).await?;
    ensure!(code == 429, "{refusal}");
    let wait = header(&refusal, "retry-after").context("no time to come again")?;
    ensure!(wait.parse::<u32>()? > 0, "{refusal}");
    let (code, head) = asks_from(&server, ELSEWHERE).await?;
    ensure!(code == 200, "another address: {head}");
    drop(begun);
    until_served(&server).await?;
    Ok(())
}

#[tokio::test]
async fn one_address_gets_a_part_of_the_api_and_another_one_is_served() {
    places_per_address().await.unwrap();
}

async fn a_busy_database() -> Result<()> {
    const CALLERS: usize = 12;
    const CHANGES: usize = 8;
    let options = Options::default().environment("ROADBED_STORAGE__WRITE_WAIT", "1ms");
    let server = Server::start_with(options).await;
    let client = &server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let change = |caller: usize, number: usize| async move {
        let pattern = format!("busy/of-{caller}-{number}");
        let rule = json!({ "pattern": pattern, "quota_tags": 1 }).to_string();
        let request = client
            .put("/api/v1/rules")
            .header("content-type", "application/json");
        request.body(rule).send().await
    };
    let change = &change;
    let line = |caller: usize| async move {
        let mut busy = 0;
        for number in 0..CHANGES {
            let answer = change(caller, number).await?.expect(&[200, 503])?;
            if answer.status == 503 {
                let wait: u32 = answer.require("retry-after")?.parse()?;
                let problem = answer.json()?;
                ensure!(
                    wait > 0 && problem["type"] == "urn:roadbed:problem:unavailable",
                    "{problem}"
                );
                busy += 1;
            }
        }
        anyhow::Ok(busy)
    };
    let busy: usize = try_join_all((0..CALLERS).map(line)).await?.into_iter().sum();
    ensure!(busy > 0, "nobody was told to come again");
    change(0, CHANGES).await?.expect(&[200])?;
    Ok(())
}

#[tokio::test]
async fn a_change_that_the_database_has_no_time_for_is_answered_503() {
    a_busy_database().await.unwrap();
}
