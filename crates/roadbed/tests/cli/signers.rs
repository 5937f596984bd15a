//! Trusted signers, by command and by file.

use serde_json::json;

use crate::cli::person::Person;
use crate::harness::server::Server;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";

#[tokio::test]
async fn signers_are_added_shown_and_removed() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.write("cosign.pub", KEY);
    let add = [
        "signer",
        "add",
        "release",
        "--repository",
        "prod/**",
        "--key",
        "cosign.pub",
    ];
    admin.run(add).ok().says("release is trusted for prod/**.");
    admin.run(add).ok().says("in place of who had this name");
    admin
        .run(["signer", "list"])
        .ok()
        .says("NAME     REPOSITORIES  WHO")
        .says("key sha256:");
    admin
        .run(["signer", "show", "release"])
        .ok()
        .says("release is trusted for prod/**")
        .says("-----BEGIN PUBLIC KEY-----");
    admin.write("no.pub", "no key");
    admin
        .run([
            "signer",
            "add",
            "release",
            "--repository",
            "prod/**",
            "--key",
            "no.pub",
        ])
        .fails("such as cosign.pub");
    admin
        .run([
            "signer",
            "add",
            "x",
            "--repository",
            "prod/**",
            "--key",
            "gone.pub",
        ])
        .fails("cannot read gone.pub");
    admin
        .run(["signer", "add", "x", "--repository", "a"])
        .misused("--key");
    admin
        .run(["signer", "add", "x", "--repository", "a", "--subject", "b"])
        .misused("--issuer");
    admin
        .run(["signer", "remove", "release"])
        .ok()
        .says("not trusted any more");
    admin.run(["signer", "remove", "release"]).fails("release");
    let events = admin.run(["audit", "--output", "json"]).ok().json().to_string();
    assert!(
        events.contains("signer.set") && events.contains("signer.remove"),
        "{events}"
    );
}

#[tokio::test]
async fn files_declare_signers_and_the_plan_tells_whom() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let key = KEY.replace('\n', "\n  ");
    let file = |until: &str| {
        format!(
            "kind: Signer\nname: release\nrepositories: [prod/**]\nvex: true\nuntil: {until}\nkey: |\n  {key}\n"
        )
    };
    admin.write("signers.yaml", &file("2030-01-31"));
    let apply = ["apply", "-f", "signers.yaml"];
    admin
        .run(apply)
        .ok()
        .says("+ signer release: for prod/**, key sha256:")
        .says("vex everything there, until 2030-01-31");
    let again = admin
        .run(["apply", "-f", "signers.yaml", "--output", "json"])
        .ok()
        .json();
    assert_eq!(again["steps"], json!([]));
    admin.write("signers.yaml", &file("2031-01-31"));
    admin
        .run(apply)
        .ok()
        .says("~ signer release: until 2030-01-31 -> 2031-01-31");
}
