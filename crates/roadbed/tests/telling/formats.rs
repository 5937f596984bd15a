//! Chats, ticket systems and mail hear what a test says, in their own words.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::receiver::base64;
use super::world::World;
use crate::http_server::{Reply, Server};
use crate::post::{Manner, PostOffice};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_gets_its_payload_at_the_url_that_is_its_secret() -> Result<()> {
    let world = World::start(&[]).await;
    let server = Server::start(|_| Reply::status(404).body("no_service")).await;
    let secret = server.url("/services/T0/B0/very-secret");
    world.set_with_secret(&["chat", "--kind", "slack", "--quiet", "20:00-07:00"], &secret)?;
    let ran = world.run(&["sink", "test", "chat"])?;
    ensure!(!ran.is_ok && ran.out.contains("no_service"), "{}", ran.out);
    let asked = &server.asked()[0];
    ensure!(asked.path == "/services/T0/B0/very-secret");
    let payload: Value = serde_json::from_slice(&asked.body)?;
    ensure!(
        payload["blocks"][0]["type"] == "header" && payload["parse"] == "none",
        "{payload}"
    );
    // Nothing tells the rest of the URL.
    let shown = world.json(&["sink", "show", "chat"])?;
    ensure!(shown["sink"]["target"] == server.url(""), "{shown}");
    let audit = world.json(&["audit"])?;
    for text in [shown.to_string(), audit.to_string(), ran.out, world.server.log()] {
        ensure!(!text.contains("very-secret"), "{text}");
    }
    // Set again without it, it stays; another place needs another secret.
    world.roadbed(&["sink", "set", "chat", "--kind", "slack"])?;
    world.run(&["sink", "test", "chat"])?;
    ensure!(server.count() == 2);
    let target = [
        "sink",
        "set",
        "chat",
        "--kind",
        "webhook",
        "--target",
        "http://127.0.0.1:1/",
    ];
    ensure!(
        world.json(&target)?["secret"].is_string(),
        "another kind has a secret of its own"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_by_every_kind_of_connection() -> Result<()> {
    let login = Some(("roadbed".to_owned(), "pass word".to_owned(), false));
    let office = PostOffice::start(Manner {
        tls: true,
        login,
        ..Manner::default()
    })
    .await;
    let directory = tempfile::tempdir()?;
    let authority = directory.path().join("ca.pem");
    std::fs::write(&authority, office.authority())?;
    let authority = authority.to_string_lossy().into_owned();
    let world = World::start(&[("ROADBED_TELLING__CA_FILE", &authority)]).await;
    let target = format!("smtps://localhost:{}", office.port());
    let mail = [
        "mail",
        "--kind",
        "smtp",
        "--target",
        &target,
        "--from",
        "roadbed@shop.example",
        "--user",
        "roadbed",
        "--to",
        "ann@shop.example,bob@shop.example",
    ];
    world.set_with_secret(&mail, "wrong")?;
    let ran = world.run(&["sink", "test", "mail"])?;
    ensure!(!ran.is_ok && ran.out.contains("535"), "{}", ran.out);
    world.set_with_secret(&mail, "pass word")?;
    world.roadbed(&["sink", "test", "mail"])?;
    let mails = office.mails();
    ensure!(mails.len() == 1 && mails[0].is_protected && mails[0].to.len() == 2);
    ensure!(mails[0].user.as_deref() == Some("roadbed"));
    for text in [
        "\r\nDate: ",
        "Subject: [roadbed-test]",
        "Auto-Submitted: auto-generated",
        "Message-ID: <",
    ] {
        ensure!(
            format!("\r\n{}", mails[0].text).contains(text),
            "{text}: {}",
            mails[0].text
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_without_tls_is_spoken_to_only_by_word() -> Result<()> {
    let world = World::start(&[]).await;
    let plain = PostOffice::start(Manner::default()).await;
    let target = format!("smtp://localhost:{}", plain.port());
    let set = [
        "sink",
        "set",
        "plain",
        "--kind",
        "smtp",
        "--from",
        "r@shop.example",
        "--target",
        &target,
    ];
    world.roadbed(&set)?;
    let ran = world.run(&["sink", "test", "plain"])?;
    ensure!(
        !ran.is_ok && ran.out.contains("STARTTLS") && plain.mails().is_empty(),
        "{}",
        ran.out
    );
    world.roadbed(&[&set[..], &["--plain-text"]].concat())?;
    world.roadbed(&["sink", "test", "plain"])?;
    ensure!(
        plain.mails()[0].to == ["r@shop.example"],
        "a test disturbs no owner"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticket_systems_are_asked_with_credentials_and_nothing_is_made() -> Result<()> {
    let world = World::start(&[]).await;
    let server = Server::start(|asked| {
        let found = if asked.path.starts_with("/jira/") {
            json!({ "issues": [] })
        } else {
            json!({ "result": [] })
        };
        Reply::status(200).body(found.to_string())
    })
    .await;
    let (jira, now) = (server.url("/jira/"), server.url(""));
    let arguments = [
        "tickets",
        "--kind",
        "jira",
        "--target",
        &jira,
        "--user",
        "bot@shop.example",
        "--project",
        "SEC",
        "--issue-type",
        "Task",
    ];
    world.set_with_secret(&arguments, "token")?;
    world.set_with_secret(&["now", "--kind", "servicenow", "--target", &now], "bearer")?;
    for name in ["tickets", "now"] {
        let said = world.roadbed(&["sink", "test", name])?;
        ensure!(said.contains("none was made"), "{said}");
    }
    let asked = server.asked();
    ensure!(asked.len() == 2 && asked.iter().all(|asked| asked.method == "GET"));
    ensure!(
        asked[0].path.starts_with("/jira/rest/api/2/search?jql=project"),
        "{}",
        asked[0].path
    );
    let basic = format!("Basic {}", base64(b"bot@shop.example:token"));
    ensure!(asked[0].header("authorization") == Some(basic.as_str()));
    ensure!(
        asked[1]
            .path
            .starts_with("/api/now/table/incident?sysparm_query=correlation_id")
    );
    ensure!(asked[1].header("authorization") == Some("Bearer bearer"));
    // Whoever may set sinks does not get to see the secret of one by naming another place.
    let evil = Server::start(|_| Reply::status(200)).await;
    let target = evil.url("");
    let ran = world.run(&["sink", "set", "now", "--kind", "servicenow", "--target", &target])?;
    ensure!(
        !ran.is_ok && ran.err.contains("give its secret again"),
        "{}",
        ran.err
    );
    Ok(())
}
