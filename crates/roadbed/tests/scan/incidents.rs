//! An incident on a real server: opened, followed, closed and open again, with the server killed in between; and what is refused.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    images::Image,
    world::{World, facts},
};
use crate::harness::{
    admin,
    answer::Answer,
    client::Client,
    login::Login,
    server::{ADMIN, ADMIN_PASSWORD},
};

/// How long the followers may take.
const PATIENCE: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(100);

const CVE: &str = "CVE-2021-44228";

const LINE: &str = "team/app:prod";

/// Somebody at the API, which takes no tokens of the registry.
fn signed_in(client: &Client, name: &str) -> Client {
    client.with_login(Login::basic(name, admin::USER_PASSWORD))
}

fn reader(world: &World) -> Client {
    signed_in(&world.reader, "reader")
}

/// A world in which the tag `prod` is affected, and it is known whose it is.
async fn affected() -> Result<World> {
    let world = World::start(&[]).await?;
    world.push("prod", &Image::with_log4j("2.14.1")).await?;
    world.push("other", &Image::with_log4j("2.17.1")).await?;
    world.decided("prod").await?.expect(&[200])?;
    world.decided("other").await?.expect(&[200])?;
    let set = [
        "app",
        "set",
        "shop",
        "--owner",
        "team-shop",
        "--repository",
        "team/**",
        "--contact",
        "shop@shop.example",
    ];
    world.roadbed(&set)?;
    world.import(&facts())?;
    let deadline = Instant::now() + PATIENCE;
    while world
        .roadbed(&["affected", CVE])
        .map_or(true, |said| !said.contains("team/app:prod"))
    {
        ensure!(Instant::now() < deadline, "nobody is affected");
        sleep(PAUSE).await;
    }
    Ok(world)
}

fn open(world: &World) -> Result<Value> {
    let opened = [
        "incident",
        "open",
        "GHSA-jfh8-c2jp-5v3q",
        "--id",
        "log4shell",
        "--title",
        "Log4Shell",
        "--within",
        "critical=24h",
        "--output",
        "json",
    ];
    Ok(serde_json::from_str(&world.roadbed(&opened)?)?)
}

/// What is known of the line, without what a clock says.
fn shown(world: &World) -> Result<Value> {
    let shown = world.roadbed(&["incident", "show", "log4shell", "--all", "--output", "json"])?;
    let mut shown: Value = serde_json::from_str(&shown)?;
    for line in shown["lines"].as_array_mut().into_iter().flatten() {
        line["spent_seconds"] = Value::Null;
    }
    Ok(shown)
}

/// Waits until the line is in a state.
async fn until(world: &World, state: &str) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = shown(world)?;
        let mut lines = shown["lines"].as_array().into_iter().flatten();
        if lines.any(|line| line["line"] == LINE && line["state"] == state) {
            return Ok(shown);
        }
        ensure!(Instant::now() < deadline, "not {state}: {shown:#}");
        sleep(PAUSE).await;
    }
}

async fn killed(world: &mut World) -> Result<()> {
    world.server.kill();
    world.server.start_again().await;
    world.log_in_again();
    Ok(())
}

#[tokio::test]
async fn an_incident_is_opened_followed_and_closed_and_survives_kills() -> Result<()> {
    let mut world = affected().await?;
    let opened = open(&world)?;
    ensure!(opened["id"] == "log4shell" && opened["open"] == 1, "{opened:#}");
    ensure!(opened["vulnerabilities"][0]["id"] == CVE, "{opened:#}");
    ensure!(opened["headline"] == "1 affected", "{opened:#}");
    let before = until(&world, "open").await?;
    let line = &before["lines"][0];
    ensure!(line["owner"] == "group:team-shop", "{line:#}");
    ensure!(
        line["application"] == "shop" && line["severity"] == "critical",
        "{line:#}"
    );
    let upgrade =
        json!({ "do": "upgrade", "package": "org.apache.logging.log4j:log4j-core", "fixed_in": ["2.15.0"] });
    ensure!(line["remedies"] == json!([upgrade]), "{line:#}");

    killed(&mut world).await?;
    ensure!(until(&world, "open").await? == before, "another one after a kill");
    world.push("prod", &Image::with_log4j("2.17.1")).await?;
    let fixed = until(&world, "fixed").await?;
    ensure!(
        fixed["incident"]["fixed"] == 1 && fixed["incident"]["open"] == 0,
        "{fixed:#}"
    );
    let closed = world.roadbed(&["incident", "close", "log4shell", "--note", "all on 2.17.1"])?;
    ensure!(
        closed.contains("(closed)") && closed.contains("critical part"),
        "{closed}"
    );
    let before = shown(&world)?;
    killed(&mut world).await?;
    ensure!(shown(&world)? == before, "another one after a kill");
    // Somebody pushes what was there before.
    world.push("prod", &Image::with_log4j("2.14.1")).await?;
    let again = until(&world, "reopened").await?;
    ensure!(again["incident"]["status"] == "reopened", "{again:#}");
    check_history(&world).await
}

fn check_columns(list: &str) {
    let head: Vec<&str> = list
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let columns = [
        "ID",
        "STATUS",
        "OPENED",
        "OPEN",
        "OVERDUE",
        "MITIGATED",
        "WAIVED",
        "FIXED",
        "TITLE",
    ];
    assert_eq!(head, columns, "{list}");
}

/// What was, and what was told of it.
async fn check_history(world: &World) -> Result<()> {
    let list = world.roadbed(&["incident", "list"])?;
    ensure!(list.contains("log4shell") && list.contains("reopened"), "{list}");
    check_columns(&list);
    let report = world.roadbed(&["incident", "report", "log4shell"])?;
    ensure!(report.starts_with("# log4shell: Log4Shell"), "{report}");
    for part in [
        "Opened at ",
        " by admin",
        ": all on 2.17.1",
        "## What happened",
        "team/app:prod",
    ] {
        ensure!(report.contains(part), "{part}: {report}");
    }
    let html = world.roadbed(&["incident", "report", "log4shell", "--format", "html"])?;
    ensure!(html.contains("<title>log4shell: Log4Shell</title>"), "{html}");
    let report = world.roadbed(&["incident", "report", "log4shell", "--format", "json"])?;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["total"]["reopened"] == 1, "{report:#}");
    let opened_at = report["opened_at"].as_str().context("no moment")?;
    let then = [
        "incident",
        "report",
        "log4shell",
        "--format",
        "json",
        "--as-of",
        opened_at,
    ];
    let then: Value = serde_json::from_str(&world.roadbed(&then)?)?;
    ensure!(
        then["total"]["open"] == 1 && then["total"]["reopened"] == 0,
        "{then:#}"
    );
    let audit = world.roadbed(&["audit", "--subject", "log4shell", "--output", "json"])?;
    for kind in ["incident.open", "incident.change", "incident.close"] {
        ensure!(audit.contains(kind), "{audit}");
    }
    // Who may pull sees it, who may not does not know of it.
    let path = "/api/v1/incidents/log4shell";
    let seen = reader(world).get(path).send().await?.expect(&[200])?.json()?;
    ensure!(seen["lines"] == 1, "{seen:#}");
    let stranger = admin::user(&world.server, "stranger", "other/*", &["pull"]).await?;
    let stranger = signed_in(&stranger, "stranger");
    for below in ["", "/lines", "/report"] {
        let path = format!("{path}{below}");
        stranger.get(&path).send().await?.expect(&[404])?;
    }
    let list = stranger
        .get("/api/v1/incidents")
        .send()
        .await?
        .expect(&[200])?
        .json()?;
    ensure!(list["items"] == json!([]), "{list:#}");
    Ok(())
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<Answer> {
    let request = client.post(format!("/api/v1/incidents{path}"));
    let request = request.header("Content-Type", "application/json");
    request.body(body.to_string()).send().await
}

/// What is asked for, and with which status and words it is refused.
type Refusal<'a> = (&'a str, Value, u16, &'a str);

async fn refused(administrator: &Client, refusals: Vec<Refusal<'_>>) -> Result<()> {
    for (path, body, status, words) in refusals {
        let answer = post(administrator, path, &body).await?;
        let problem = answer.expect(&[status])?.json()?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(words), "{path}: {detail}");
    }
    Ok(())
}

fn of(ids: &[&str], title: &str) -> Value {
    json!({ "vulnerabilities": ids, "title": title })
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_why() -> Result<()> {
    let world = affected().await?;
    let administrator = world.admin.with_login(Login::basic(ADMIN, ADMIN_PASSWORD));
    let title = "the title must be one line";
    let over = json!({ "vulnerabilities": [CVE], "deadlines": { "by": "2020-01-01T00:00:00Z" } });
    let refusals = vec![
        (
            "",
            of(&["CVE-2000-1"], "x"),
            404,
            "no advisory that was imported here knows",
        ),
        ("", of(&[], "x"), 400, "at least one vulnerability"),
        ("", of(&[CVE; 65], "x"), 400, "at most 64"),
        ("", of(&[CVE], "a\u{1b}[2J\nb"), 400, title),
        ("", of(&[CVE], &"x".repeat(201)), 400, title),
        ("", over, 400, "lies ahead"),
    ];
    refused(&administrator, refusals).await?;
    let denied = post(&reader(&world), "", &of(&[CVE], "x")).await?;
    denied.expect(&[403])?;

    // Two at once: one of them is it.
    let wanted = of(&[CVE], "<script>alert(1)</script>");
    let both = tokio::join!(
        post(&administrator, "", &wanted),
        post(&administrator, "", &wanted)
    );
    let mut statuses = [both.0?.status, both.1?.status];
    statuses.sort_unstable();
    ensure!(statuses == [200, 409], "{statuses:?}");
    let second = world.roadbed(&["incident", "open", CVE, "--id", "second"]);
    let said = format!("{:#}", second.err().context("a second one was opened")?);
    ensure!(
        said.contains("the open incident cve-2021-44228 is about CVE-2021-44228 already")
            && said.contains("--another"),
        "{said}"
    );
    let another = world.roadbed(&["incident", "open", CVE, "--id", "second", "--another"])?;
    ensure!(
        another.starts_with("second: ") && another.contains(" by "),
        "{another}"
    );
    let html = world.roadbed(&["incident", "report", CVE, "--format", "html"])?;
    ensure!(
        !html.contains("<script>") && html.contains("&lt;script&gt;"),
        "{html}"
    );
    check_changes(&administrator).await
}

async fn check_changes(administrator: &Client) -> Result<()> {
    let below = |what: &str| format!("/{}/{what}", CVE.to_lowercase());
    let (mitigations, waivers) = (below("mitigations"), below("waivers"));
    let (add, close) = (below("vulnerabilities"), below("close"));
    let soon = days_from_now(1);
    let relief = |line: &str, reason: &str| json!({ "lines": [line], "until": soon, "reason": reason });
    let late = json!({ "lines": [LINE], "until": "2200-01-01T00:00:00Z", "reason": "x" });
    let again = json!({ "vulnerabilities": ["GHSA-jfh8-c2jp-5v3q"] });
    let refusals = vec![
        (mitigations.as_str(), late, 400, "within"),
        (&mitigations, relief(LINE, " "), 400, "its reason"),
        (
            &waivers,
            relief(LINE, &"x".repeat(2_001)),
            400,
            "longer than 2000",
        ),
        (
            &waivers,
            relief("team/app:no", "x"),
            404,
            "is not in the incident",
        ),
        (&waivers, relief("no line", "x"), 400, "is no tag and no image"),
        (
            &waivers,
            json!({ "until": soon, "reason": "x" }),
            400,
            "nothing is meant",
        ),
        (&add, again, 409, "already"),
        (&add, json!({ "vulnerabilities": [] }), 400, "at least one"),
        (&close, json!({ "note": "" }), 409, "still open"),
    ];
    refused(administrator, refusals).await?;
    let mitigated = post(administrator, &mitigations, &relief(LINE, "taken out")).await?;
    let mitigated = mitigated.expect(&[200])?.json()?;
    ensure!(
        mitigated["mitigated"] == 1 && mitigated["open"] == 0,
        "{mitigated:#}"
    );
    post(administrator, &close, &json!({})).await?.expect(&[200])?;
    for (format, kind) in [
        ("html", "text/html"),
        ("markdown", "text/markdown"),
        ("json", "application/json"),
    ] {
        let report = administrator.get(format!("/api/v1/incidents{}", below("report")));
        let report = report.query("format", format).send().await?.expect(&[200])?;
        let said = report.header("content-type").unwrap_or_default();
        ensure!(said.starts_with(kind), "{said}");
    }
    Ok(())
}

/// So many days from now.
fn days_from_now(days: i64) -> String {
    let moment = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    let moment = moment.format(&time::format_description::well_known::Rfc3339);
    moment.expect("it has a form")
}
