//! Access as files.

use crate::cli::person::Person;
use crate::harness::server::Server;

#[tokio::test]
async fn the_example_of_the_documentation_is_applied_once() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let page = include_str!("../../../../docs/apply.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    admin.write("access/all.yaml", example);

    admin
        .run(["apply", "-f", "access", "--dry-run"])
        .ok()
        .says("+ user ann: administrator, enabled, never ends\n")
        .says("+ user bob: enabled, ends 2030-01-01T00:00:00Z\n")
        .says("+ rule release/**: immutable tags v*,!v0*, quota 50GiB, tag quota 1000, deletion forbidden\n")
        .says("would be made");
    admin.run(["user", "list"]).ok();
    let done = admin
        .run(["apply", "-f", "access"])
        .ok()
        .says("+ robot ci")
        .says("were made");
    assert!(
        done.out.contains("Secret of ci, shown this once: rbr_"),
        "{done:?}"
    );
    admin
        .run(["apply", "-f", "access"])
        .ok()
        .says("Everything is as the files say");

    admin.run(["grant", "add", "ann", "other/**", "pull"]).ok();
    admin
        .run(["apply", "-f", "access"])
        .ok()
        .says("Everything is as the files say");
    admin
        .run(["apply", "-f", "access", "--prune", "--dry-run"])
        .ok()
        .says("- grant ann other/** pull");
    admin.run(["apply", "-f", "access", "--prune"]).ok();
    let grants = admin.run(["grant", "list"]).ok();
    assert!(!grants.out.contains("other/**"), "{grants:?}");
    // The account that applies is not pruned.
    admin.run(["whoami"]).ok();
}

#[tokio::test]
async fn a_plan_shows_what_is_and_what_it_becomes() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.write("ann.yaml", "kind: User\nname: ann\n");
    admin
        .run(["apply", "-f", "ann.yaml"])
        .ok()
        .says("1 change was made");
    admin.write(
        "ann.yaml",
        "kind: User\nname: ann\nadministrator: true\nnot_after: 2030-01-31\n",
    );
    admin
        .run(["apply", "-f", "ann.yaml", "--dry-run"])
        .ok()
        .says("~ user ann: administrator no -> yes, ends never -> 2030-01-31T23:59:59Z\n")
        .says("1 change would be made");
    admin.run(["apply", "-f", "ann.yaml"]).ok();
    admin
        .run(["apply", "-f", "ann.yaml"])
        .ok()
        .says("Everything is as the files say");

    let rules = |grant: &str, rule: &str| {
        let grant = format!("kind: Grant\nsubject: ann\npattern: team/**\nroles: [{grant}]\n");
        let rule = format!("kind: Rule\npattern: team/**\n{rule}\n");
        admin.write("team.yaml", &format!("{grant}---\n{rule}"));
    };
    rules("pull", "quota_bytes: 10GiB\nquota_tags: 9");
    admin.run(["apply", "-f", "team.yaml"]).ok();
    rules("push", "quota_bytes: 50GiB\ndeletion: false");
    let plan = admin.run(["apply", "-f", "team.yaml", "--dry-run"]).ok();
    let plan = plan
        .says("~ grant ann team/** pull -> pull,push\n")
        .says("~ rule team/**: quota 10GiB -> 50GiB, tag quota 9 -> none, deletion allowed -> forbidden\n");
    assert!(!plan.out.contains("immutable"), "{plan:?}");
    let shown = admin
        .run(["apply", "-f", "team.yaml", "--dry-run", "--output", "json"])
        .ok();
    let steps = &shown.json()["steps"];
    assert_eq!(steps[1]["quota_bytes"], 50_u64 << 30, "{shown:?}");
    assert_eq!(steps[1]["was"]["quota_bytes"], 10_u64 << 30, "{shown:?}");
    admin.run(["apply", "-f", "team.yaml"]).ok();
    admin.write("nothing.yaml", "kind: User\nname: ann\nadministrator: true\n");
    admin
        .run(["apply", "-f", "nothing.yaml", "--prune", "--dry-run"])
        .ok()
        .says("- rule team/**: quota 50GiB, deletion forbidden\n");
}

#[tokio::test]
async fn what_was_done_in_an_incident_survives_the_next_run() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.write(
        "access.yaml",
        "kind: Robot\nname: ci\n---\nkind: User\nname: ann\nadministrator: true\nnot_after: 2030-01-31\n",
    );
    admin.run(["apply", "-f", "access.yaml"]).ok();
    admin.run(["robot", "disable", "ci"]).ok();
    admin.write(
        "access.yaml",
        "kind: Robot\nname: ci\n---\nkind: User\nname: ann\n",
    );
    admin
        .run(["apply", "-f", "access.yaml", "--prune"])
        .ok()
        .says("Everything is as the files say");
    admin.write(
        "access.yaml",
        "kind: Robot\nname: ci\ndisabled: false\n---\nkind: User\nname: ann\nnot_after: never\n",
    );
    admin
        .run(["apply", "-f", "access.yaml", "--dry-run"])
        .ok()
        .says("~ robot ci: disabled yes -> no\n")
        .says("~ user ann: ends 2030-01-31T23:59:59Z -> never\n");
    admin.write("access.yaml", "kind: User\nname: ann\n");
    admin
        .run(["apply", "-f", "access.yaml", "--prune", "--dry-run"])
        .ok()
        .says("- robot ci\n");
    admin.write("access.yaml", "kind: User\nname: admin\ndisabled: true\n");
    admin
        .run(["apply", "-f", "access.yaml", "--dry-run"])
        .fails("`disabled: true` would shut out admin, who applies this");
}

#[tokio::test]
async fn mistakes_are_found_before_anything_is_asked() {
    let nobody = Person::new();
    nobody.write("access/a.yaml", "kind: User\nname: ann\nadmin: true\n");
    nobody.run(["apply", "-f", "access"]).fails("access/a.yaml:3: ");
    nobody
        .run(["apply", "-f", "missing"])
        .fails("cannot read missing");
    nobody.run(["apply"]).misused("--files");
    nobody.write("empty/a.yaml", "# rendered to nothing\n");
    nobody
        .run(["apply", "-f", "empty", "--prune"])
        .fails("empty declares nothing, and --prune would remove all that there is");
    nobody.write("bad.yaml", "kind: Robot\nname: ci\nnot_after: soon\n");
    nobody
        .run(["apply", "-f", "bad.yaml"])
        .fails("bad.yaml:3: ")
        .fails("2030-01-01");
}

#[tokio::test]
async fn waivers_are_asked_for_and_approved_by_somebody_else() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let password = "a long enough password";
    admin
        .run_with_input(["user", "create", "ann", "--password-stdin"], password)
        .ok();
    admin.run(["grant", "add", "ann", "team/**", "admin"]).ok();
    let ann = Person::new()
        .at(&server)
        .with("ROADBED_USER", "ann")
        .with("ROADBED_PASSWORD", password);
    let until = (time::OffsetDateTime::now_utc() + time::Duration::days(30)).date();
    let write = |reason: &str| {
        let text = format!(
            "kind: Waiver\nname: w\nfindings: [CVE-1]\nrepositories: [team/app]\nreason: {reason}\nuntil: {until}\n"
        );
        admin.write("files/w.yaml", &text);
    };
    let apply = ["apply", "-f", "files"];
    write("none");
    admin
        .run(["apply", "-f", "files", "--dry-run"])
        .ok()
        .says("+ waiver w: CVE-1 in team/app until ")
        .says("1 change would be made");
    assert_eq!(
        admin.run(["waiver", "list", "--output", "json"]).ok().json(),
        serde_json::json!([])
    );
    admin.run(apply).ok().says("1 change was made");
    admin.run(apply).ok().says("Everything is as the files say");
    admin.run(["waiver", "list"]).ok().says("requested");
    // Whoever applies has asked, so they cannot approve.
    admin.run(["waiver", "approve", "w"]).fails("w");
    write("another reason");
    admin.run(apply).ok().says("~ waiver w: ");
    ann.run(["waiver", "approve", "w"]).ok();
    admin.run(apply).ok().says("Everything is as the files say");
    write("a third reason");
    admin
        .run(apply)
        .fails("waiver w was approved by ann and says something else");
    admin.write(
        "files/w.yaml",
        "kind: Grant\nsubject: ann\npattern: team/**\nroles: [admin]\n",
    );
    admin.run(apply).ok().says("Everything is as the files say");
    let pruned = ["apply", "-f", "files", "--prune", "--output", "json"];
    let outcome = admin.run(pruned).ok().json();
    assert_eq!(
        outcome["waivers"],
        serde_json::json!([{ "action": "remove", "name": "w" }]),
        "{outcome}"
    );
}
