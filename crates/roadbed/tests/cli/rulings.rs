//! Policy, waivers, decisions, and breaking the glass.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::person::Person;
use crate::harness::{
    content::{Algorithm, Blob},
    login::Login,
    manifest::{CONFIG, Draft, IMAGE, LAYER},
    server::Server,
};

const PASSWORD: &str = "a long enough password";

/// Refuses every image that says not which user it runs as, also where it is in use.
const STRICT: &str = "version: 1\nrules:\n  - id: user\n    when: image.user == \"\"\n    decide: refuse\n    running: refuse\n    message: name a user\n";

const CASES: &str = "\
cases:
  - name: root is refused
    now: 2026-11-27T12:00:00Z
    subject: {repo: {name: team/app}}
    expect: {outcome: refuse, rules: [user], text: name a user}
  - name: a user is fine
    now: 2026-11-27T12:00:00Z
    subject: {repo: {name: team/app}, image: {user: app, scanned: true}}
    expect: {outcome: allow}
";

/// Pushes an image with one empty layer and no user.
async fn push_image(server: &Server, repository: &str) {
    let layer = Blob::new(Algorithm::Sha256, vec![0; 1024]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer.digest] },
    });
    let config = Blob::new(Algorithm::Sha256, config.to_string());
    let draft = Draft::image(config.descriptor(CONFIG), vec![layer.descriptor(LAYER)]);
    let (client, blobs) = (server.admin(), [config, layer]);
    client
        .push_image(repository, "v1", &blobs, &draft.finish())
        .await
        .unwrap();
}

/// Asks until a decision is what it should become.
fn decided(person: &Person, image: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let decision = person.run(["decision", image, "--output", "json"]).ok().json();
        if is_it(&decision) {
            return decision;
        }
        assert!(Instant::now() < end, "{decision}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn with_user(server: &Server, admin: &Person, name: &str, roles: &str) -> Person {
    let create = ["user", "create", name, "--password-stdin"];
    admin.run_with_input(create, PASSWORD).ok();
    admin.run(["grant", "add", name, "team/**", roles]).ok();
    Person::new()
        .at(server)
        .with("ROADBED_USER", name)
        .with("ROADBED_PASSWORD", PASSWORD)
}

#[test]
fn policies_are_checked_and_tried_without_a_registry() {
    let person = Person::new();
    let shown = person
        .run(["policy", "show", "--default"])
        .ok()
        .says("id: exploited");
    person.write("default.yaml", &shown.out);
    person
        .run(["policy", "check", "default.yaml"])
        .ok()
        .says("nothing is wrong");
    person.write(
        "wrong.yaml",
        "version: 1\nrules:\n  - {id: A, when: finding.kev, decide: refuse}\n  - {id: b, when: finding.kevv, decide: warn}\n",
    );
    person
        .run(["policy", "check", "wrong.yaml"])
        .fails("wrong.yaml:3: `A` is no id")
        .fails("\nwrong.yaml:4: ");
    person
        .run(["policy", "check", "missing.yaml"])
        .fails("cannot read missing.yaml");

    person.write("strict.yaml", STRICT);
    person.write("cases.yaml", CASES);
    person
        .run(["policy", "test", "cases.yaml", "strict.yaml"])
        .ok()
        .says("ok      root is refused\n")
        .says("2 cases, 0 failed.");
    let failed = person.run(["policy", "test", "cases.yaml"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    failed
        .says("FAILED  root is refused\n")
        .says("outcome: expected refuse, found ");
    person.write("broken.yaml", "cases:\n  - name: x\n    nonsense: 1\n");
    person
        .run(["policy", "test", "broken.yaml", "strict.yaml"])
        .fails("broken.yaml:");
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let page = include_str!("../../../../docs/policy.md");
    let mut examples = page.split("```yaml\n").skip(1);
    let mut example = || examples.next().unwrap().split("```").next().unwrap();
    let person = Person::new();
    person.write("policy.yaml", example());
    person.write("cases.yaml", example());
    person.run(["policy", "check", "policy.yaml"]).ok();
    person
        .run(["policy", "test", "cases.yaml"])
        .ok()
        .says("1 case, 0 failed.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_previewed_set_and_waived() {
    let server = Server::start().await;
    push_image(&server, "team/app").await;
    let admin = Person::administrator(&server);
    let owner = with_user(&server, &admin, "owner", "admin");
    decided(&admin, "team/app:v1", |decision| {
        decision["outcome"] != "undecided"
    });

    admin.write("strict.yaml", STRICT);
    let preview = admin
        .run(["policy", "preview", "strict.yaml", "--output", "json"])
        .ok()
        .json();
    assert_eq!(
        (&preview["images"], &preview["waiting"]),
        (&json!(1), &json!(0)),
        "{preview}"
    );
    assert_eq!(preview["changes"][0]["after"], "refuse");
    admin
        .run(["policy", "preview", "strict.yaml"])
        .ok()
        .says("-> refuse: 1 image")
        .says("team/app@sha256:")
        .says("[user] name a user");
    admin.run(["policy", "history"]).ok().says("No policy was set");
    admin
        .run(["policy", "set", "strict.yaml"])
        .ok()
        .says("Version 1 is in force in place of the default policy");
    admin
        .run(["policy", "set", "strict.yaml"])
        .ok()
        .says("nothing was changed");
    admin.run(["policy", "show"]).ok().says("id: user");
    admin.run(["policy", "history"]).ok().says("admin");

    decided(&admin, "team/app:v1", |decision| decision["outcome"] == "refuse");
    admin
        .run(["decision", "team/app:v1"])
        .ok()
        .says(": refused\n")
        .says("refuse  [user] name a user")
        .says("roadbed waiver request NAME --rule user --repository team/app");
    waive(&admin, &owner);
}

/// One asks, the other one approves; then it is over again.
fn waive(admin: &Person, owner: &Person) {
    admin
        .run([
            "waiver",
            "request",
            "w1",
            "--rule",
            "user",
            "--repository",
            "team/app",
            "--until",
            "30d",
            "--reason",
            "next release",
        ])
        .ok()
        .says("has no effect before");
    admin.run(["waiver", "approve", "w1"]).fails("another person");
    owner
        .run(["waiver", "list", "--requested"])
        .ok()
        .says("w1")
        .says("rule user");
    owner
        .run(["waiver", "approve", "w1"])
        .ok()
        .says("w1 is in force until");
    let waived = decided(admin, "team/app:v1", |decision| decision["outcome"] != "refuse");
    assert_eq!(waived["images"][0]["waived"][0]["waiver"], "w1", "{waived}");
    admin
        .run(["decision", "team/app:v1"])
        .ok()
        .says("waived  [user] the image until");
    admin.run(["waiver", "list", "--requested"]).ok();
    owner.run(["waiver", "remove", "w1"]).ok().says("withdrawn");
    decided(admin, "team/app:v1", |decision| decision["outcome"] == "refuse");
    admin
        .run([
            "waiver",
            "request",
            "w2",
            "--repository",
            "team/app",
            "--until",
            "30d",
            "--reason",
            "x",
        ])
        .misused("--finding");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_glass_is_broken_on_the_machine_and_the_log_knows() {
    let server = Server::start().await;
    push_image(&server, "team/app").await;
    let admin = Person::administrator(&server);
    with_user(&server, &admin, "puller", "pull");
    admin.write("strict.yaml", STRICT);
    admin.run(["policy", "set", "strict.yaml"]).ok();
    decided(&admin, "team/app:v1", |decision| decision["outcome"] == "refuse");
    let puller = server.client(Login::basic("puller", PASSWORD));
    let pull = async || {
        let request = puller.get("/v2/team/app/manifests/v1").header("accept", IMAGE);
        request.send().await.unwrap().status
    };
    assert_eq!(pull().await, 403);

    let data = server.data();
    let data = data.to_str().unwrap();
    let nobody = Person::new();
    let list = ["break-glass", "--list", "--data", data];
    nobody.run(list).ok().says("Nothing is open");
    nobody
        .run(["break-glass", "--pulls", "team/**", "--for", "2h", "--data", data])
        .misused("--reason");
    nobody
        .run([
            "break-glass",
            "--pulls",
            "team/**",
            "--for",
            "2d",
            "--reason",
            "x",
            "--data",
            data,
        ])
        .fails("at most 24 hours");
    nobody
        .run([
            "break-glass",
            "--pulls",
            "team/**",
            "--for",
            "2h",
            "--reason",
            "INC-1",
            "--data",
            data,
        ])
        .ok()
        .says("Pulls of team/** pass whatever was decided, until 2");
    nobody.run(list).ok().says("team/**").says("INC-1");
    until(&admin, "broken");
    assert_eq!(pull().await, 200);

    nobody
        .run(["break-glass", "--mend", "other/**", "--data", data])
        .ok()
        .says("Nothing was open for other/**");
    nobody
        .run(["break-glass", "--mend", "--data", data])
        .ok()
        .says("decided about again");
    until(&admin, "mended");
    assert_eq!(pull().await, 403);
    nobody
        .run(["break-glass", "--list", "--data", "nowhere"])
        .fails("does not exist");
}

/// Waits until the audit log has the last word about the glass.
fn until(admin: &Person, state: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let query = ["audit", "--kind", "gate.break-glass", "--output", "json"];
        let events = admin.run(query).ok().json();
        let last = events.as_array().and_then(|events| events.last()).cloned();
        if last.is_some_and(|event| event["body"]["state"] == state) {
            // Pulls look at the file once a second.
            std::thread::sleep(Duration::from_millis(1_100));
            return;
        }
        assert!(Instant::now() < end, "{events}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
