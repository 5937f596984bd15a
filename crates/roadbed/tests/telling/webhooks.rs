//! The way of an event from the audit log to a receiver.

use anyhow::{Result, ensure};
use serde_json::json;

use super::receiver::{check, received, subjects};
use super::world::{World, until};
use crate::harness::{metrics::Metrics, unable::Program};
use crate::http_server::{Reply, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_the_kinds_that_its_sink_names_signed_and_in_order() -> Result<()> {
    let world = World::start(&[("ROADBED_SERVER__PUBLIC_URL", "https://registry.example")]).await;
    world.make_robot("before")?;
    let server = Server::start(|_| Reply::status(204)).await;
    let secret = world.webhook("hook", &server.url("/roadbed?x=1"), "robot.*")?;
    for name in ["one", "two", "three"] {
        world.make_robot(name)?;
    }
    world.roadbed(&["grant", "add", "one", "team/**", "pull"])?;
    until("three came", || Ok(server.count() >= 3)).await?;
    // What was before the sink, and what it does not name, is not told.
    let all = received(&server, &secret)?;
    let told: Vec<_> = all.iter().map(|one| (one.kind(), one.subject())).collect();
    let kind = "dev.roadbed.audit.robot.create";
    ensure!(
        told == [(kind, "one"), (kind, "two"), (kind, "three")],
        "{told:?}"
    );
    ensure!(all[0].event["source"] == "https://registry.example");
    ensure!(all[0].event["data"]["actor"] == "admin");
    ensure!(all[0].event["datacontenttype"] == "application/json");
    ensure!(server.asked()[0].path == "/roadbed?x=1");
    ensure!(all[0].id != all[1].id && all[0].event["id"] != all[1].event["id"]);
    until("they are noted as sent", || {
        Ok(world.deliveries("hook", "sent")?.len() == 3)
    })
    .await?;
    Metrics::until(&world.server, "deliveries_sent_total", |sent| sent == 3).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_comes_again_under_the_same_id() -> Result<()> {
    let world = World::start(&[]).await;
    let tries = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(
        move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0..3 => Reply::status(500).body("try later"),
            _ => Reply::status(200),
        },
    )
    .await;
    let secret = world.webhook("hook", &server.url("/"), "robot.*")?;
    world.make_robot("one")?;
    world.make_robot("two")?;
    until("both came", || Ok(server.count() >= 5)).await?;
    let all = received(&server, &secret)?;
    ensure!(
        all[..4]
            .iter()
            .all(|one| one.id == all[0].id && one.subject() == "one")
    );
    ensure!(
        all[..4].iter().all(|one| one.event == all[0].event),
        "a retry is the same event"
    );
    ensure!(all[4].subject() == "two" && all.len() == 5);
    until("they are noted as sent", || {
        Ok(world.deliveries("hook", "sent")?.len() == 2)
    })
    .await?;
    ensure!(world.deliveries("hook", "sent")?[0]["attempts"] == 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_can_be_changed_without_a_gap() -> Result<()> {
    let world = World::start(&[]).await;
    let server = Server::start(|_| Reply::status(200)).await;
    let old = world.webhook("hook", &server.url("/"), "robot.*")?;
    let set = [
        "sink", "set", "hook", "--kind", "webhook", "--events", "robot.*", "--target",
    ];
    let target = server.url("/");
    let rotate = [&set[..], &[&target, "--rotate"]].concat();
    let new = world.json(&rotate)?["secret"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(new != old && new.starts_with("whsec_"));
    world.make_robot("one")?;
    until("it came", || Ok(server.count() == 1)).await?;
    for secret in [&old, &new] {
        ensure!(subjects(&server, secret)? == ["one"]);
    }
    // Set again without a word about its secret, it keeps it; and the old one ends at once if that is said.
    world.roadbed(&[&set[..], &[&target]].concat())?;
    let shown = world.json(&["sink", "show", "hook"])?;
    ensure!(shown["has_secret"] == json!(true) && shown["old_secret_until"].is_string());
    ensure!(!shown.to_string().contains("whsec_"));
    let rotate = [&set[..], &[&target, "--rotate", "--keep-old", "0s"]].concat();
    let newest = world.json(&rotate)?["secret"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    world.make_robot("two")?;
    until("the second came", || Ok(server.count() == 2)).await?;
    let second = &server.asked()[1];
    ensure!(check(second, &newest).is_ok() && check(second, &new).is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_says_what_came_of_it() -> Result<()> {
    let world = World::start(&[]).await;
    let server = Server::start(|asked| match asked.path.as_str() {
        "/good" => Reply::status(202),
        _ => Reply::status(401).body("who are you?\r\n\u{1b}[31m"),
    })
    .await;
    let secret = world.webhook("good", &server.url("/good"), "*")?;
    world.webhook("bad", &server.url("/bad"), "robot.*")?;
    let said = world.roadbed(&["sink", "test", "good"])?;
    ensure!(said.contains("good took it (202)"), "{said}");
    let tests = |asked: &crate::http_server::Asked| asked.path == "/good";
    let asked = server.asked();
    let test = asked
        .iter()
        .filter(|asked| tests(asked))
        .find_map(|asked| check(asked, &secret).ok());
    ensure!(test.is_some(), "nothing came");
    let ran = world.run(&["sink", "test", "bad"])?;
    ensure!(
        !ran.is_ok && ran.out.contains("401") && ran.out.contains("secret"),
        "{}",
        ran.out
    );
    ensure!(!ran.out.contains('\u{1b}'));
    let ghost = world.run(&["sink", "test", "ghost"])?;
    ensure!(
        !ghost.is_ok && ghost.err.contains("no sink ghost"),
        "{}",
        ghost.err
    );
    Ok(())
}

/// The receiver of the documentation, as it stands there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_of_the_documentation_believes_what_is_signed() -> Result<()> {
    let python = Program {
        name: "python3",
        package: "python3",
    };
    let Ok(python) = python.find() else {
        eprintln!("not tested: install python3");
        return Ok(());
    };
    let page = include_str!("../../../../docs/telling.md");
    let code = page
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let world = World::start(&[]).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let target = format!("http://127.0.0.1:{port}/");
    let secret = world.webhook("hook", &target, "robot.*")?;
    let said = world.server.surroundings().join("said");
    let start = |secret: &str| -> Result<Python> {
        let child = std::process::Command::new(&python)
            .args(["-c", code.unwrap_or_default()])
            .env("WEBHOOK_SECRET", secret)
            .env("PORT", port.to_string())
            .stdout(std::fs::File::create(&said)?)
            .stderr(std::process::Stdio::null())
            .spawn()?;
        Ok(Python(child))
    };
    let receiver = start(&secret)?;
    until("it listens", || Ok(world.run(&["sink", "test", "hook"])?.is_ok)).await?;
    world.make_robot("one")?;
    until("it believes", || {
        Ok(std::fs::read_to_string(&said)?.contains("dev.roadbed.audit.robot.create one"))
    })
    .await?;
    drop(receiver);
    let stranger = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let _receiver = start(stranger)?;
    until("it refuses", || {
        Ok(world.run(&["sink", "test", "hook"])?.out.contains("401"))
    })
    .await
}

/// Ends with the value.
struct Python(std::process::Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
