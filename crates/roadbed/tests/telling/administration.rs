//! Who may set sinks, what is refused, and what is never shown.

use anyhow::{Result, ensure};
use serde_json::json;

use super::world::World;
use crate::harness::{
    admin::{self, USER_PASSWORD},
    login::Login,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_are_for_administrators() -> Result<()> {
    let world = World::start(&[]).await;
    world.webhook("hook", "http://127.0.0.1:1/", "*")?;
    admin::user(&world.server, "owner", "**", &["admin"]).await?;
    let client = world.server.client(Login::basic("owner", USER_PASSWORD));
    for path in [
        "/api/v1/sinks",
        "/api/v1/sinks/hook",
        "/api/v1/deliveries",
        "/api/v1/deliveries/1",
    ] {
        client.get(path).send().await?.expect(&[403])?;
    }
    let sink = json!({ "sink": { "name": "x", "kind": "webhook", "target": "http://127.0.0.1:1/" } });
    for (method, path, body) in [
        ("PUT", "/api/v1/sinks", sink),
        ("POST", "/api/v1/sinks/hook/test", json!({})),
        ("POST", "/api/v1/deliveries/retry", json!({ "sink": "hook" })),
        ("POST", "/api/v1/deliveries/1/retry", json!({})),
        ("DELETE", "/api/v1/sinks/hook", json!({})),
    ] {
        let request = client
            .request(method, path)
            .header("content-type", "application/json");
        request.body(body.to_string()).send().await?.expect(&[403])?;
    }
    Ok(())
}

#[rustfmt::skip]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_told_is_refused_with_what_to_write() -> Result<()> {
    let world = World::start(&[]).await;
    for (arguments, says) in [
        (&["--kind", "webhook", "--target", "hooks.example"][..], "a URL such as"),
        (&["--kind", "webhook", "--target", "https://ann:pw@hooks.example"], "leave user and password out"),
        (&["--kind", "webhook", "--target", "https://x.example", "--digest", "08:00"], "for people"),
        (&["--kind", "webhook", "--target", "https://x.example", "--no-incidents"], "something to be told of"),
        (&["--kind", "slack"], "the URL of its incoming webhook"),
        (&["--kind", "jira", "--target", "https://x.example", "--project", "A", "--issue-type", "B"], "secret"),
        (&["--kind", "smtp", "--target", "smtps://x.example"], "address to send from"),
        (&["--kind", "smtp", "--target", "https://x.example", "--from", "a@b.example"], "smtps://host"),
        (&["--kind", "pager", "--target", "https://x.example"], "webhook, slack"),
        (&["--kind", "webhook", "--target", "https://x.example", "--events", "tag.*,tag.sett"], "no kind of event is called tag.sett"),
        (&["--kind", "webhook", "--target", "https://x.example", "--events", "tags.*"], "image.decide"),
        (&["--kind", "smtp", "--target", "smtps://x.example", "--from", "a@b.example", "--zone", "Europe/Wien"], "Europe/Vienna"),
        (&["--kind", "smtp", "--target", "smtps://x.example", "--from", "a@b.example", "--zone", "UTC", "--utc-offset", "+01:00"],
            "cannot be used with"),
        (&["--rotate"], "no sink x"),
    ] {
        let ran = world.run(&[&["sink", "set", "x"], arguments].concat())?;
        ensure!(!ran.is_ok && ran.err.contains(says), "{arguments:?}: {}", ran.err);
    }
    for (kind, more) in [("jira", &["--project", "A", "--issue-type", "B"][..]), ("servicenow", &[])] {
        let set = ["sink", "set", "x", "--kind", kind, "--target", "http://tickets.example", "--user", "u", "--secret-env", "PATH"];
        let ran = world.run(&[&set, more].concat())?;
        ensure!(!ran.is_ok && ran.err.contains("use https://"), "{kind}: {}", ran.err);
    }
    ensure!(world.json(&["sink", "list"])? == json!([]));
    let ran = world.run(&["delivery", "retry"])?;
    ensure!(!ran.is_ok && ran.err.contains("--sink"), "{}", ran.err);
    ensure!(world.run(&["delivery", "show", "7"])?.err.contains("no delivery 7"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_tells_nobody_says_so() -> Result<()> {
    let world = World::start(&[("ROADBED_TELLING__ENABLED", "false")]).await;
    let ran = world.run(&[
        "sink",
        "set",
        "x",
        "--kind",
        "webhook",
        "--target",
        "https://x.example",
    ])?;
    ensure!(!ran.is_ok && ran.err.contains("telling.enabled"), "{}", ran.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_declare_sinks_and_name_their_secrets() -> Result<()> {
    let world = World::start(&[]).await;
    let directory = world.server.surroundings().join("access");
    std::fs::create_dir(&directory)?;
    let secret = world.server.surroundings().join("url");
    std::fs::write(&secret, "https://hooks.example/services/very-secret\n")?;
    let write = |more: &str| {
        let text = format!(
            "kind: Sink\nname: chat\ntype: slack\nsecret_file: {}\n{more}---\n\
             kind: Sink\nname: hook\ntype: webhook\ntarget: https://hooks.example/\nevents: ['tag.*']\n",
            secret.display()
        );
        std::fs::write(directory.join("sinks.yaml"), text)
    };
    write("")?;
    let files = directory.to_string_lossy().into_owned();
    let apply = |more: &[&str]| world.roadbed(&[&["apply", "-f", &files], more].concat());
    let said = apply(&["--dry-run"])?;
    ensure!(
        said.contains("+ sink chat: slack") && said.contains("2 changes would be made"),
        "{said}"
    );
    ensure!(world.json(&["sink", "list"])? == json!([]));
    let said = apply(&[])?;
    ensure!(
        said.contains("Secret of sink hook, shown this once: whsec_"),
        "{said}"
    );
    ensure!(!said.contains("very-secret"));
    ensure!(apply(&[])?.contains("Everything is as the files say"));
    write("enabled: false\n")?;
    ensure!(apply(&[])?.contains("~ sink chat: slack"));
    let chat = world.json(&["sink", "show", "chat"])?;
    ensure!(chat["sink"]["enabled"] == json!(false) && chat["sink"]["target"] == "https://hooks.example");
    std::fs::write(directory.join("sinks.yaml"), "kind: User\nname: ann\n")?;
    let said = apply(&["--prune"])?;
    ensure!(
        said.contains("- sink chat") && said.contains("- sink hook"),
        "{said}"
    );
    ensure!(world.json(&["sink", "list"])? == json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_secret_changes_nothing_else() -> Result<()> {
    let world = World::start(&[]).await;
    let set = "sink set hook --kind webhook --target https://hooks.example/ --events tag.*,login --owner group:shop --at-least high";
    world.roadbed(&set.split(' ').collect::<Vec<_>>())?;
    let before = world.json(&["sink", "show", "hook"])?;
    let rotated = world.json(&["sink", "set", "hook", "--rotate"])?;
    ensure!(
        rotated["secret"]
            .as_str()
            .is_some_and(|secret| secret.starts_with("whsec_")),
        "{rotated}"
    );
    let after = world.json(&["sink", "show", "hook"])?;
    ensure!(after["sink"] == before["sink"], "{after}");
    ensure!(after["old_secret_until"].is_string(), "{after}");
    // What is said beside it changes, and only that.
    world.roadbed(&["sink", "set", "hook", "--rotate", "--events", "robot.*"])?;
    let after = world.json(&["sink", "show", "hook"])?;
    let mut wanted = before["sink"].clone();
    wanted["events"] = json!(["robot.*"]);
    ensure!(after["sink"] == wanted, "{after}");
    Ok(())
}
