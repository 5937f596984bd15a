//! Where applications stand, what people vouch for and what is pushed, by command.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cli::person::{Person, Ran};
use crate::harness::server::Server;

/// How long a server may read what is known.
const READING: Duration = Duration::from_secs(30);

fn shop(server: &Server) -> Person {
    let admin = Person::administrator(server);
    let set = [
        "app",
        "set",
        "shop",
        "--owner",
        "payments",
        "--repository",
        "shop/**",
        "--tier",
        "1",
    ];
    admin.run(set).ok();
    admin
}

/// Until a team and its application are known; they come with the audit log.
fn known(admin: &Person) -> Ran {
    let deadline = Instant::now() + READING;
    loop {
        let ran = admin.run(["maturity", "show", "shop"]);
        if ran.code == Some(0) || Instant::now() > deadline {
            return ran.ok();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn models_and_schemas_need_no_registry() {
    let somebody = Person::new();
    let model = somebody.run(["maturity", "model"]).ok();
    somebody.write("cnmm.yaml", &model.out);
    somebody
        .run(["maturity", "check", "cnmm.yaml"])
        .ok()
        .says("nothing is wrong: cnmm@");
    somebody.write(
        "wrong.yaml",
        &model.out.replace("topic: technology/", "topic: tecnology/"),
    );
    somebody
        .run(["maturity", "check", "wrong.yaml"])
        .fails("wrong.yaml:")
        .leaves_out("panicked");
    somebody
        .run(["maturity", "check", "none.yaml"])
        .fails("cannot read none.yaml");
    somebody
        .run(["maturity", "model", "cnm"])
        .misused("cncf-platform");
    for of in ["model", "evidence", "anonymous"] {
        assert!(somebody.run(["maturity", "schema", of]).ok().json()["$schema"].is_string());
    }
    somebody.write("own.json", "{}");
    somebody
        .run(["maturity", "compare", "own.json", "own.json"])
        .fails("own.json cannot be compared");
    somebody
        .run(["maturity", "show", "a/b/c"])
        .misused("write letters");
}

#[tokio::test]
async fn facts_are_pushed_and_the_chain_leads_to_them() {
    let server = Server::start().await;
    let admin = shop(&server);
    known(&admin)
        .says("app:shop, team payments, tier 1")
        .says("TOPIC")
        .says("next drop:");
    admin
        .run([
            "evidence",
            "push",
            "--subject",
            "shop",
            "--fact",
            "pipeline-defined",
            "--value",
            "true",
        ])
        .ok()
        .says("1 fact told (event ");
    admin
        .run(["maturity", "why", "shop", "PR-REL-1"])
        .ok()
        .says("state      met")
        .says("events");
    admin
        .run(["maturity", "history", "shop"])
        .ok()
        .says("seen: pipeline-defined");
    admin
        .run(["maturity", "history", "shop", "--as-of", "2020-01-01"])
        .ok()
        .says("What is missing was unknown.");
    admin.run(["maturity", "next", "shop"]).ok().says("1. ");
    admin
        .run(["maturity", "why", "shop", "PR-REL-l"])
        .fails("did you mean");
    let push = json!({ "evidence": [
        { "subject": "app:shop", "fact": "chaos-run", "item": "run-1", "value": true, "observed_at": "2026-01-01T00:00:00Z" },
    ]});
    admin
        .run_with_input(["evidence", "push", "-"], &push.to_string())
        .ok()
        .says("1 fact told");
    admin
        .run_with_input(["evidence", "push", "-"], "no json")
        .fails("schema evidence");
    let own = r#"{"evidence":[{"subject":"app:shop","fact":"image-signed","value":true,"observed_at":"2026-01-01T00:00:00Z"}]}"#;
    admin
        .run_with_input(["evidence", "push", "-"], own)
        .fails("nothing of the push was taken");
}

#[tokio::test]
async fn people_vouch_and_take_it_back() {
    let server = Server::start().await;
    let admin = shop(&server);
    known(&admin);
    let due = admin.run(["maturity", "inbox", "--output", "json"]).ok().json();
    let items = due["items"].as_array().unwrap();
    let of_team = items
        .iter()
        .find(|item| item["subject"] == "team:payments")
        .unwrap();
    let criterion = of_team["criterion"].as_str().unwrap();
    let attest = ["maturity", "attest", "team:payments", criterion, "--link"];
    admin
        .run_all(&[&attest[..], &["javascript:alert(1)"]].concat())
        .fails("http");
    let kept = admin
        .run_all(&[&attest[..], &["https://wiki.example/", "--output", "json"]].concat())
        .ok()
        .json();
    let id = kept["attestation"]["id"].as_str().unwrap();
    admin
        .run(["maturity", "attestations", "--subject", "team:payments"])
        .ok()
        .says(id);
    admin
        .run(["maturity", "revoke", id, "--reason", "left"])
        .ok()
        .says("any more");
}

#[tokio::test]
async fn targets_campaigns_roles_and_models_are_agreed_on() {
    let server = Server::start().await;
    let admin = shop(&server);
    known(&admin);
    admin
        .run(["maturity", "target", "shop", "technology=2"])
        .ok()
        .says("aims at technology=2");
    admin
        .run(["maturity", "target", "shop", "tecnology=2"])
        .fails("no such topics");
    admin
        .run(["maturity", "target", "team:payments", "technology=2"])
        .fails("name one");
    let add = [
        "maturity",
        "campaign",
        "add",
        "signed",
        "--title",
        "All signed",
        "--criterion",
        "PR-REL-1",
        "--due",
        "300d",
    ];
    admin.run(add).ok().says("signed: All signed");
    admin
        .run(["maturity", "campaign", "list"])
        .ok()
        .says("All signed");
    admin
        .run(["maturity", "campaign", "show", "none"])
        .fails("campaign list");
    admin.run(["maturity", "campaign", "remove", "signed"]).ok();
    admin
        .run(["maturity", "role", "set", "finops", "admin"])
        .ok()
        .says("finops is held by admin");
    let extension = Person::new()
        .run(["maturity", "model", "controls-example"])
        .ok()
        .out;
    admin.write("controls.yaml", &extension);
    admin
        .run(["maturity", "apply", "controls.yaml", "--preview"])
        .ok()
        .says("leave out --preview");
    admin
        .run(["maturity", "apply", "controls.yaml", "--reason", "agreed"])
        .ok()
        .says("Applied.");
}

#[tokio::test]
async fn a_report_is_written_in_three_forms() {
    let server = Server::start().await;
    let admin = shop(&server);
    known(&admin);
    admin
        .run(["maturity", "show", "team:payments"])
        .ok()
        .says("1 application");
    admin
        .run(["maturity", "show", "org"])
        .ok()
        .says("NOBODY CAN TELL");
    admin
        .run(["maturity", "report"])
        .ok()
        .says("# Maturity")
        .says("## What is unknown");
    let html = admin.run(["maturity", "report", "--format", "html"]).ok();
    html.says("<!doctype html>")
        .says("payments")
        .says("no overall score");
    let json = admin.run(["maturity", "report", "--format", "json"]).ok().json();
    assert_eq!(json["organisation"]["apps"]["apps"], 1);
    admin.run(["maturity", "kpis"]).ok().says("FIGURE");
    Person::new().at(&server).run(["maturity", "report"]).fails("");
}
