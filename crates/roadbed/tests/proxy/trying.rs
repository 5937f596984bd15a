//! What is wrong with an upstream: what operators and clients are told, the steps of a test, and a secret that changes.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::world::{World, is_final, manifest, until};
use crate::harness::{admin, login::Login, manifest::small_image};

/// `bot` with the passwords `first` and `second`.
const FIRST: &str = "Basic Ym90OmZpcnN0";
const SECOND: &str = "Basic Ym90OnNlY29uZA==";

/// Runs `upstream test` and answers what it prints, and whether it passed. It blocks: the upstream needs a thread beside it.
fn test(world: &World, arguments: &[&str]) -> Result<(Value, bool)> {
    let mut all = vec!["--output", "json", "upstream", "test", "hub"];
    all.extend(arguments);
    let output = world.roadbed(&all)?;
    let test = serde_json::from_slice(&output.stdout);
    let test = test.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((test, output.status.success()))
}

fn steps(test: &Value) -> Vec<(&str, bool)> {
    let steps = test["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let step = |step: &'_ Value| step["passed"].as_bool();
    steps
        .iter()
        .filter_map(|one| Some((one["step"].as_str()?, step(one)?)))
        .collect()
}

async fn a_secret_that_changes() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("password");
    std::fs::write(&file, "first\n")?;
    let more = format!(
        "username = \"bot\"\npassword_file = {:?}\nfresh = \"0s\"\n",
        file.to_string_lossy()
    );
    let world = World::start(&more).await?;
    world.upstream.demand(FIRST);
    for (name, login) in [("first", FIRST), ("second", SECOND)] {
        std::fs::write(&file, format!("{name}\n"))?;
        world.upstream.demand(login);
        let (blobs, document) = small_image(name);
        world
            .upstream
            .add(&format!("library/{name}"), "1", &blobs, &document);
        until(&world.node, &manifest(name, "1"), is_final)
            .await?
            .expect(&[200])?;
    }
    let (passed, is_success) = test(&world, &["library/second:1"])?;
    let expected = [
        ("resolve", true),
        ("connect", true),
        ("ping", true),
        ("login", true),
        ("manifest", true),
    ];
    ensure!(is_success && steps(&passed) == expected, "{passed}");
    ensure!(
        passed["passed"] == true && passed["upstream"] == "hub",
        "{passed}"
    );
    world.upstream.demand(FIRST);
    let (refused, is_success) = test(&world, &[])?;
    ensure!(
        !is_success && steps(&refused).last() == Some(&("login", false)),
        "{refused}"
    );
    let remedy = refused["steps"][3]["remedy"].as_str().unwrap_or_default();
    ensure!(remedy.contains("proxy.upstreams[0].password_file"), "{refused}");
    ensure!(!refused.to_string().contains("second"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_read_again_when_it_is_refused() {
    a_secret_that_changes().await.unwrap();
}

async fn steps_and_who_may_take_them() -> Result<()> {
    let world = World::start("").await?;
    let (blobs, document) = small_image("tried");
    world.upstream.add("library/app", "1", &blobs, &document);
    let (none, is_success) = test(&world, &["none:1"])?;
    ensure!(
        !is_success && steps(&none).last() == Some(&("manifest", false)),
        "{none}"
    );
    let (found, is_success) = test(&world, &["app:1"])?;
    ensure!(is_success && steps(&found).len() == 4, "{found}");
    let outcome = found["steps"][3]["outcome"].as_str().unwrap_or_default();
    ensure!(outcome.contains(&document.digest), "{found}");
    let unknown = world.roadbed(&["upstream", "test", "nobody"])?;
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    ensure!(!unknown.status.success() && told.contains("nobody"), "{told}");
    let stranger = world.node.with_login(Login::basic("node", admin::USER_PASSWORD));
    let asked = stranger
        .post("/api/v1/upstreams/hub/test")
        .header("content-type", "application/json")
        .body("{}");
    asked.send().await?.expect(&[403])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_tries_an_upstream_step_by_step() {
    steps_and_who_may_take_them().await.unwrap();
}

async fn told_to_whom() -> Result<()> {
    let world = World::start("").await?;
    let (server, node, _configuration) = world.without_upstream();
    for name in ["one", "two", "three"] {
        let answer = node.get(manifest(name, "1")).send().await?;
        let message = answer.expect_error(503, "UNAVAILABLE")?.error_message()?;
        ensure!(
            message.contains("upstream hub") && !message.contains("127.0.0.1"),
            "{message}"
        );
    }
    let log = server.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("an upstream is not reached"))
        .collect();
    ensure!(lines.len() == 1, "{lines:?}");
    for part in ["WARN", "hub", "127.0.0.1", "cannot reach"] {
        ensure!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    Ok(())
}

#[tokio::test]
async fn causes_are_for_the_log_and_not_for_clients() {
    told_to_whom().await.unwrap();
}

async fn a_private_address() -> Result<()> {
    let world = World::start("").await?;
    let file = tempfile::NamedTempFile::new()?;
    let text = format!(
        "[[proxy.upstreams]]\nname = \"hub\"\nurl = \"{}\"\n",
        world.upstream.url()
    );
    std::fs::write(file.path(), text)?;
    let inside = crate::harness::server::Server::start_with(
        crate::harness::server::Options::default()
            .environment("ROADBED_CONFIG", &file.path().to_string_lossy())
            .environment("ROADBED_SCAN__ENABLED", "false"),
    )
    .await;
    let node = admin::user(&inside, "node", "hub/**", &["pull"]).await?;
    let answer = node.get(manifest("app", "1")).send().await?;
    let message = answer.expect(&[503])?.error_message()?;
    ensure!(
        !message.contains("127.0.0.1") && !message.contains("allowed_private"),
        "{message}"
    );
    let log = inside.log();
    ensure!(
        log.contains("list 127.0.0.1 or its network in allowed_private"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_refused_is_told_to_operators_with_the_remedy() {
    a_private_address().await.unwrap();
}
