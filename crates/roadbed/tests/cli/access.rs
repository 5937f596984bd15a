//! Users, robots, grants, rules, repositories, tags and the audit log.

use anyhow::Result;

use crate::cli::person::Person;
use crate::harness::content::{Algorithm, Blob};
use crate::harness::manifest::{CONFIG, Draft, LAYER};
use crate::harness::server::Server;

const PASSWORD: &str = "a long enough password\n";

/// Pushes `repository:tag` as the administrator.
pub(crate) async fn push(server: &Server, repository: &str, tag: &str) -> Result<()> {
    let blobs = [
        Blob::noise(Algorithm::Sha256, "config", 100),
        Blob::noise(Algorithm::Sha256, tag, 1_000),
    ];
    let draft = Draft::image(blobs[0].descriptor(CONFIG), vec![blobs[1].descriptor(LAYER)]);
    server
        .admin()
        .push_image(repository, tag, &blobs, &draft.finish())
        .await
}

#[tokio::test]
async fn users_come_and_go() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin
        .run_with_input(["user", "create", "ann", "--password-stdin"], PASSWORD)
        .ok()
        .says("ann was made");
    admin
        .run_with_input(["user", "create", "ann", "--password-stdin"], PASSWORD)
        .fails("exists already");
    admin
        .run_with_input(["user", "create", "bob", "--password-stdin"], "short\n")
        .fails("12")
        .leaves_out("openapi");
    admin
        .run_with_input(["user", "create", "bob", "--password-stdin"], "")
        .fails("no password");
    admin
        .run_with_input(["user", "create", "BOB", "--password-stdin"], PASSWORD)
        .fails("not allowed");
    admin.run(["user", "list"]).ok().says("ann");

    let ann = Person::new()
        .at(&server)
        .with("ROADBED_USER", "ann")
        .with("ROADBED_PASSWORD", PASSWORD.trim_end());
    let refused = "only administrators of the registry may do this, whatever is granted: ask one of them\n";
    ann.run(["user", "list"]).fails(refused);
    for command in ["audit", "pulls", "gc", "fsck"] {
        ann.run([command]).fails(refused);
    }
    ann.run(["backup", "-o", "copy.tar"]).fails(refused);
    ann.run(["grant", "add", "ann", "**", "pull"])
        .fails("this needs the role admin on the whole pattern");
    ann.run(["rule", "list"]).fails("the role admin");
    admin.run(["user", "disable", "ann"]).ok();
    ann.run(["whoami"]).fails("wrong");
    admin.run(["user", "enable", "ann"]).ok();
    let both = format!("{PASSWORD}another long password\n");
    ann.run_with_input(["user", "password", "--password-stdin"], &both)
        .ok();
    ann.run(["whoami"]).fails("wrong");
    admin
        .run_with_input(["user", "password", "ann", "--password-stdin"], PASSWORD)
        .ok();
    admin
        .run(["user", "promote", "ann"])
        .ok()
        .says("ann is an administrator of the registry.\n");
    ann.run(["user", "list"]).ok();
    admin
        .run(["user", "demote", "ann"])
        .ok()
        .says("ann is no administrator of the registry.\n");
    ann.run(["whoami"]).ok().says("administrator  no\n");
    admin.run(["user", "delete", "ann"]).ok();
    admin
        .run(["user", "delete", "ann"])
        .fails("there is no user ann\n");
    for command in ["delete", "demote", "disable"] {
        admin
            .run(["user", command, "admin"])
            .fails("admin is the last administrator who can log in; make another one first\n");
    }
}

#[tokio::test]
async fn robots_change_their_secrets() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let secret = admin.run(["robot", "create", "ci", "--not-after", "90d"]).ok();
    assert!(
        secret.out.starts_with("rbr_") && secret.out.lines().count() == 1,
        "{secret:?}"
    );
    let second = admin
        .run(["robot", "secret", "add", "ci", "--output", "json"])
        .ok()
        .json();
    admin
        .run(["robot", "secret", "add", "ci"])
        .fails("2 valid secrets already; revoke one first\n");
    let listed = admin.run(["robot", "list"]).ok().says("DISABLED  ENDS");
    assert!(!listed.out.contains("ADMINISTRATOR"), "{listed:?}");
    // The moment when it was made has no fractions: it ends at its seconds.
    let made = listed.out.trim_end().rsplit("  ").next().unwrap();
    assert_eq!(made.len(), "2026-11-22T08:33:00Z".len(), "{listed:?}");
    admin
        .run_with_input(["user", "create", "ci", "--password-stdin"], PASSWORD)
        .fails("robot ci exists already");
    let robot = Person::new()
        .at(&server)
        .with("ROADBED_USER", "ci")
        .with("ROADBED_PASSWORD", secret.out.trim_end());
    robot.run(["whoami"]).ok().says("robot");
    let first = admin
        .run(["robot", "secret", "list", "ci", "--output", "json"])
        .ok()
        .json();
    let ids = first
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["id"].as_i64().unwrap());
    let first = ids
        .filter(|id| *id != second["id"].as_i64().unwrap())
        .min()
        .unwrap()
        .to_string();
    admin.run(["robot", "secret", "revoke", "ci", &first]).ok();
    robot.run(["whoami"]).fails("wrong");
    admin.run(["robot", "delete", "ci"]).ok();
}

#[tokio::test]
async fn a_grant_that_is_likely_not_meant_is_made_with_a_warning() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.run(["robot", "create", "ci"]).ok();
    let warning = |subject: &str, roles: &str| admin.run(["grant", "add", subject, "x/**", roles]).ok().err;
    assert!(warning("nobody", "pull").contains("there is no user or robot nobody"));
    assert!(warning("anonymous", "push").contains("everybody who reaches the registry"));
    for (subject, roles) in [
        ("ci", "push"),
        ("admin", "pull"),
        ("anonymous", "pull"),
        ("authenticated", "push"),
    ] {
        assert_eq!(warning(subject, roles), "", "{subject}");
    }
}

#[tokio::test]
async fn grants_rules_repositories_and_tags() {
    let server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    push(&server, "team/app", "latest").await.unwrap();
    let admin = Person::administrator(&server);
    admin
        .run_with_input(["user", "create", "ann", "--password-stdin"], PASSWORD)
        .ok();
    let ann = Person::new()
        .at(&server)
        .with("ROADBED_USER", "ann")
        .with("ROADBED_PASSWORD", PASSWORD.trim_end());
    ann.run(["repo", "show", "team/app"]).fails("no grant");
    admin
        .run(["grant", "add", "ann", "team/**", "delete"])
        .ok()
        .says("ann holds pull,delete on team/**");
    admin.run(["grant", "list"]).ok().says("team/**");
    ann.run(["repo", "list"]).ok().says("team/app\n");
    ann.run(["repo", "show", "team/app"]).ok().says("pull,delete");
    ann.run(["tag", "list", "team/app"]).ok().says("latest\nv1\n");

    admin
        .run([
            "rule",
            "set",
            "team/*",
            "--immutable-tags",
            "v*,!v0*",
            "--quota-bytes",
            "1GiB",
        ])
        .ok()
        .says("v*,!v0*");
    let rules = admin.run(["rule", "list", "--output", "json"]).ok().json();
    assert_eq!(rules[0]["quota_bytes"], 1_u64 << 30);
    ann.run(["tag", "delete", "team/app", "v1"]).fails("immutable");
    ann.run(["tag", "delete", "team/app", "latest"]).ok();
    ann.run(["tag", "show", "team/app", "v1"]).ok().says("sha256:");
    ann.run(["tag", "show", "team/app", "latest"]).fails("no tag");
    admin.run(["rule", "remove", "team/*"]).ok();
    ann.run(["repo", "delete", "team/app"]).fails("no grant");
    admin.run(["repo", "delete", "team/app"]).ok();
    admin
        .run(["repo", "show", "team/app"])
        .fails("no repository team/app");
    admin.run(["grant", "remove", "ann", "team/**"]).ok();
    admin.run(["grant", "remove", "ann", "team/**"]).fails("no grant");
}

#[tokio::test]
async fn a_rule_is_replaced_in_the_open() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin
        .run(["rule", "set", "team/**"])
        .misused("--immutable-tags <GLOB>|--quota-bytes <SIZE>");
    admin
        .run(["rule", "set", "team/**", "--quota-bytes", "10GiB"])
        .ok()
        .says("+ rule team/**: quota 10GiB, deletion allowed\n");
    let set = |options: [&str; 2]| {
        let [option, value] = options;
        admin.run(["rule", "set", "team/**", option, value]).ok()
    };
    set(["--quota-tags", "9"]).says("~ rule team/**: quota 10GiB -> none, tag quota none -> 9\n");
    set(["--quota-tags", "9"]).says("= rule team/**: tag quota 9, deletion allowed\n");
    let shown = set(["--no-limits", "--output=json"]).json();
    assert_eq!(shown["was"]["quota_tags"], 9, "{shown}");
    assert_eq!(shown.get("quota_tags"), None, "{shown}");
    admin
        .run(["rule", "set", "team/**", "--no-limits", "--no-deletion"])
        .misused("cannot be used with");
}

#[tokio::test]
async fn the_audit_log_says_who_did_what() {
    let server = Server::start().await;
    push(&server, "team/app", "latest").await.unwrap();
    let admin = Person::administrator(&server);
    admin
        .run_with_input(["user", "create", "ann", "--password-stdin"], PASSWORD)
        .ok();
    let ann = Person::new()
        .at(&server)
        .with("ROADBED_USER", "ann")
        .with("ROADBED_PASSWORD", PASSWORD.trim_end());
    admin.run(["grant", "add", "ann", "team/**", "delete"]).ok();
    ann.run(["tag", "delete", "team/app", "latest"]).ok();
    admin.run(["user", "disable", "ann"]).ok();
    admin
        .run(["audit", "--kind", "user.update"])
        .ok()
        .says("ann      api    disabled=true\n");
    admin.run(["repo", "delete", "team/app"]).ok();
    admin.run(["grant", "remove", "ann", "team/**"]).ok();

    admin
        .run(["audit", "--kind", "grant.set"])
        .ok()
        .says("grant.set  ann      api    pattern=team/** roles=pull,delete\nEvents since 2")
        .says("Z (--since WHEN, by default 24h).\n");
    let newest = admin
        .run(["audit", "--limit", "2", "--output", "json"])
        .ok()
        .json();
    let kinds = newest.as_array().unwrap().iter().map(|event| &event["kind"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["repository.delete", "grant.remove"]);
    let events = admin
        .run(["audit", "--actor", "ann", "--since", "1h", "--output", "json"])
        .ok()
        .json();
    let kinds: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"tag.delete"), "{kinds:?}");
    admin.run(["audit", "--kind", "nonsense"]).fails("nonsense");
    admin.run(["pulls"]).ok().says("WHAT");
}

#[tokio::test]
async fn untagged_manifests_are_found_and_deleted() {
    let server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    let admin = Person::administrator(&server);
    let tags = admin
        .run(["tag", "list", "team/app", "--output", "json"])
        .ok()
        .json();
    let digest = tags[0]["digest"].as_str().unwrap();
    assert!(
        tags[0]["size"].is_u64() && tags[0]["pushed_at"].is_string(),
        "{tags}"
    );
    let untagged = ["manifest", "list", "team/app", "--untagged"];
    let all = admin.run(["manifest", "list", "team/app"]).ok();
    all.says(digest).says("v1").says("image.manifest.v1+json");
    assert!(!admin.run(untagged).ok().out.contains(digest));
    admin.run(["tag", "delete", "team/app", "v1"]).ok();
    admin.run(untagged).ok().says(digest);
    admin
        .run(["repo", "show", "team/app"])
        .ok()
        .says("released        nothing");
    admin
        .run(["manifest", "delete", "team/app", digest])
        .ok()
        .says("was deleted");
    admin
        .run(["manifest", "delete", "team/app", digest])
        .fails(&format!("there is no manifest team/app@{digest}"));
    admin
        .run(["repo", "show", "team/app"])
        .ok()
        .says("size            0 B")
        .says("1100 B, named by no manifest any more");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.run(["robot", "create", "ci"]).ok();
    let says = |reason: &str| format!("error: {reason}\n");
    admin
        .run(["user", "disable", "nobody"])
        .fails(&says("there is no user nobody"));
    admin
        .run(["robot", "secret", "revoke", "ci", "99"])
        .fails(&says("there is no secret 99 of robot ci"));
    admin
        .run(["repo", "delete", "team/app"])
        .fails(&says("there is no repository team/app"));
    admin
        .run(["tag", "delete", "team/app", "v1"])
        .fails(&says("there is no tag team/app:v1"));
    admin
        .run(["audit", "--kind", "nonsense"])
        .fails("cannot read the query: kind: unknown variant `nonsense`, expected one of `login`");
    Person::new()
        .run_with_input(
            ["login", &server.url(), "--user", "ann", "--password-stdin"],
            "mistyped\n",
        )
        .fails("is wrong, or the account is disabled or expired\n");
    admin
        .with("ROADBED_PASSWORD", "mistyped")
        .run(["whoami"])
        .fails("is wrong, or the account is disabled or expired (check ROADBED_USER and ROADBED_PASSWORD)");
}
