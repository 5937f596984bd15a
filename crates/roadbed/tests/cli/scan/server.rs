//! What a Roadbed registry says: of images that it has, and of builds that were not pushed.

use serde_json::Value;

use crate::cli::person::Person;
use crate::cli::scan::fixture::{Layout, advisory, config, kev, layer};
use crate::cli::scan::{found, scan};
use crate::harness::content::{Algorithm, Blob};
use crate::harness::login::Login;
use crate::harness::manifest::{CONFIG, Document, Draft, LAYER};
use crate::harness::server::{ADMIN_PASSWORD, Options, Server};

const PASSWORD: &str = "a long enough password";

/// Pushes the image with the jar; its manifest.
pub(super) async fn push(server: &Server, repository: &str, tag: &str) -> Document {
    let blobs = [
        Blob::new(Algorithm::Sha256, config(&layer())),
        Blob::new(Algorithm::Sha256, layer()),
    ];
    let image = Draft::image(blobs[0].descriptor(CONFIG), vec![blobs[1].descriptor(LAYER)]).finish();
    let pushed = server.admin().push_image(repository, tag, &blobs, &image).await;
    pushed.unwrap();
    image
}

/// The administrator, who has imported what is known of the jar, and has the image as a layout.
fn informed(server: &Server) -> Person {
    let admin = Person::administrator(server);
    admin.write("osv/Maven/GHSA-jfh8-c2jp-5v3q.json", &advisory());
    admin.write("osv/kev.json", &kev());
    admin.run(["advisories", "import", "osv"]).ok();
    Layout::log4j().write(&admin.home().join("layout"));
    admin
}

#[tokio::test]
async fn an_image_that_the_registry_knows_is_not_fetched() {
    let server = Server::start().await;
    let admin = informed(&server);
    let image = push(&server, "team/app", "v1").await;
    let ran = admin.run([
        "scan",
        "team/app:v1",
        "--format",
        "json",
        "--fail-on",
        "refuse,high",
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let result = ran.json();
    assert_eq!(found(&result).len(), 1, "{result:#}");
    assert_eq!(result["target"]["digest"], image.digest);
    assert_eq!(result["target"]["name"], "team/app:v1");
    assert_eq!(result["decision"]["outcome"], "refuse", "{result:#}");
    assert!(result["advisory_generation"].as_u64().unwrap() > 0, "{result:#}");
    // Nothing was pulled, so nothing had to be allowed.
    let pulls = admin.run(["pulls", "--output", "json"]).ok();
    assert_eq!(pulls.json(), Value::Array(Vec::new()), "{pulls:?}");
    admin
        .run(["scan", "team/app:v2"])
        .breaks("there is no image v2 of team/app");

    // The token of a login does, with the host in the name as others write it.
    let person = Person::new();
    let login = ["login", &server.url(), "--password-stdin"];
    person.run_with_input(login, &format!("{ADMIN_PASSWORD}\n")).ok();
    let named = format!("{}/team/app@{}", server.address(), image.digest);
    let by_token = person.run(["scan", &named, "--output", "json"]).ok().json();
    assert_eq!(found(&by_token), found(&result));

    let stranger = Person::new();
    stranger
        .run(["--url", &server.url(), "scan", "team/app:v1"])
        .breaks("wants to know who asks: run `roadbed login http://");
}

#[tokio::test]
async fn a_registry_that_looks_into_nothing_is_fetched_from() {
    let options = Options::default().environment("ROADBED_SCAN__ENABLED", "false");
    let server = Server::start_with(options).await;
    let image = push(&server, "team/app", "v1").await;
    let admin = Person::administrator(&server);
    admin.write("osv/Maven/GHSA-jfh8-c2jp-5v3q.json", &advisory());
    let result = scan(&admin, "team/app:v1");
    assert_eq!(found(&result).len(), 1, "{result:#}");
    assert_eq!(result["target"]["digest"], image.digest);
    let plain = admin.run(["scan", "team/app:v1"]).ok();
    assert!(plain.err.contains("is fetched and looked into here"), "{plain:?}");
    let url = server.url();
    let stranger = Person::new();
    stranger
        .run(["--url", &url, "scan", "team/app:v1", "--judge"])
        .breaks("set ROADBED_USER and ROADBED_PASSWORD");
    let local = ["--url", &url, "scan", "team/app:v1", "--policy", "policy.yaml"];
    stranger.write("policy.yaml", "version: 1\nrules: []\n");
    stranger.run(local).breaks("`docker login` or `podman login`");
    admin
        .run(["scan", "team/app:v2"])
        .breaks("there is no image v2 of team/app");
}

#[tokio::test]
async fn passwords_that_docker_keeps_are_used_and_those_of_the_environment_go_nowhere_else() {
    let options = Options::default().environment("ROADBED_SCAN__ENABLED", "false");
    let server = Server::start_with(options).await;
    push(&server, "team/app", "v1").await;
    let image = format!("{}/team/app:v1", server.address());
    // As whoever is signed in to another registry.
    let elsewhere = Person::administrator(&server).with("ROADBED_URL", "https://registry.example");
    elsewhere.run(["scan", &image]).breaks("docker login");

    let person = Person::new();
    let auth = base64_of(&format!("admin:{ADMIN_PASSWORD}"));
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, server.address());
    person.write(".docker/config.json", &config);
    person
        .run(["scan", &image])
        .ok()
        .says("1 package of an ecosystem");
    person.write(".docker/config.json", r#"{"credsStore": "missing"}"#);
    person
        .run(["scan", &image])
        .breaks("cannot start docker-credential-missing");
    person.write(".docker/config.json", "{");
    person.run(["scan", &image]).breaks("config.json cannot be read");
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn a_build_is_judged_as_if_it_were_pushed_and_nothing_is_kept() {
    let server = Server::start().await;
    let admin = informed(&server);
    let url = server.url();
    let judge = |target: &str, more: &[&str]| {
        let mut arguments = vec!["scan", target, "--server", &url, "--as", "team/app:v9"];
        arguments.extend_from_slice(more);
        admin.run_all(&arguments)
    };
    let ran = judge("layout:v1", &["--fail-on", "refuse", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let result = ran.json();
    assert_eq!(found(&result).len(), 1, "{result:#}");
    assert_eq!(result["target"]["name"], "team/app:v9");
    assert_eq!(result["decision"]["outcome"], "refuse", "{result:#}");
    assert!(
        result["decision"]["reasons"][0]
            .as_str()
            .unwrap()
            .contains("2.15.0"),
        "{result:#}"
    );
    assert_eq!(
        admin.run(["repo", "list", "--output", "json"]).ok().json(),
        Value::Array(Vec::new())
    );

    // What the registry would say of the image itself is the same.
    push(&server, "team/app", "v1").await;
    let stored = admin.run(["scan", "team/app:v1", "--format", "json"]).ok().json();
    assert_eq!(stored["vulnerabilities"], result["vulnerabilities"]);
    assert_eq!(stored["packages"], result["packages"]);
    assert_eq!(stored["decision"], result["decision"]);

    // A waiver counts, a policy counts, and only whoever may push there may ask.
    std::fs::create_dir_all(admin.home().join("tree")).unwrap();
    judge("tree", &["--fail-on", "refuse"]).ok();
    admin
        .run(["scan", "layout", "--server", &url])
        .breaks("--as REPOSITORY");
    let create = ["user", "create", "ann", "--password-stdin"];
    admin.run_with_input(create, PASSWORD).ok();
    admin.run(["grant", "add", "ann", "team/**", "pull"]).ok();
    let ann = Person::new()
        .with("ROADBED_USER", "ann")
        .with("ROADBED_PASSWORD", PASSWORD);
    Layout::log4j().write(&ann.home().join("layout"));
    ann.run(["scan", "layout", "--server", &url, "--as", "team/app"])
        .breaks("did not judge it: no grant allows this");
}

#[tokio::test]
async fn an_sbom_is_judged_by_the_registry_as_far_as_it_tells() {
    let server = Server::start().await;
    let admin = informed(&server);
    let url = server.url();
    let form = ["scan", "layout:v1", "--format", "cyclonedx", "-o", "app.cdx.json"];
    admin.run(form).ok();
    let judge = |target: &str, more: &[&str]| {
        let mut arguments = vec!["scan", target, "--server", &url, "--as", "team/app:v9"];
        arguments.extend_from_slice(more);
        admin.run_all(&arguments)
    };
    let ran = judge("app.cdx.json", &["--fail-on", "refuse", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let result = ran.json();
    assert_eq!(found(&result).len(), 1, "{result:#}");
    assert_eq!(result["target"]["name"], "team/app:v9");
    assert_eq!(result["decision"]["outcome"], "refuse", "{result:#}");
    let unknown = result["unknowns"].to_string();
    assert!(unknown.contains("an SBOM tells of packages alone"), "{unknown}");

    // Of one without packages nothing is known to be wrong, and that is not the same as clean.
    let empty = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}"#;
    admin.write("empty.json", empty);
    let warned = judge("empty.json", &["--fail-on", "refuse", "--format", "json"])
        .ok()
        .json();
    assert_eq!(warned["decision"]["outcome"], "warn", "{warned:#}");
    let reasons = warned["decision"]["reasons"].to_string();
    assert!(reasons.contains("only-packages"), "{reasons}");

    admin.write("sbom.json", "{}");
    judge("sbom.json", &[]).breaks("did not judge it");
    let repositories = admin.run(["repo", "list", "--output", "json"]).ok().json();
    assert_eq!(repositories, Value::Array(Vec::new()));
}

#[tokio::test]
async fn an_sbom_is_attached_to_each_image_with_packages() {
    let server = Server::start().await;
    let admin = informed(&server);
    let image = push(&server, "team/app", "v1").await;
    let client = server.client(Login::token("admin", ADMIN_PASSWORD));
    let list = format!("/v2/team/app/referrers/{}", image.digest);
    let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let entry = loop {
        let index = client.get(&list).send().await.unwrap().json().unwrap();
        if let Some(entry) = index["manifests"].as_array().unwrap().first() {
            break entry.clone();
        }
        assert!(std::time::Instant::now() < end, "no SBOM: {}", server.log_tail());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_eq!(entry["artifactType"], "application/vnd.cyclonedx+json");
    let path = format!("/v2/team/app/manifests/{}", entry["digest"].as_str().unwrap());
    let manifest = client
        .get(&path)
        .send()
        .await
        .unwrap()
        .expect(&[200])
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(manifest["subject"]["digest"], image.digest);
    let layer = &manifest["layers"][0];
    let path = format!("/v2/team/app/blobs/{}", layer["digest"].as_str().unwrap());
    let document = client.get(&path).send().await.unwrap().expect(&[200]).unwrap();
    let text = String::from_utf8(document.body.to_vec()).unwrap();
    admin.write("attached.json", &text);
    assert_eq!(found(&scan(&admin, "attached.json")).len(), 1);
    let printed = admin.run(["sbom", "team/app:v1"]).ok();
    assert_eq!(printed.out, text);
    admin
        .run(["sbom", "team/app:v1", "--format", "spdx"])
        .ok()
        .says("SPDX-2.3");
    admin
        .run(["sbom", "team/app:v1", "--format", "x"])
        .misused("cyclonedx or spdx");

    // It goes with its image.
    client
        .delete(format!("/v2/team/app/manifests/{}", image.digest))
        .send()
        .await
        .unwrap()
        .expect(&[202])
        .unwrap();
    let index = client.get(&list).send().await.unwrap().json().unwrap();
    assert_eq!(index["manifests"], Value::Array(Vec::new()));
}
