//! Helm charts of a classic repository: listed, pulled by both ways, and served when the repository has gone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    chart_repository::ChartRepository,
    world::{World, is_final, until},
};
use crate::{
    feed_server::Reply,
    harness::{
        admin::{self, USER_PASSWORD},
        answer::Answer,
        client::Client,
        content::{Algorithm, sha256_hex},
        login::Login,
        manifest::small_image,
        server::{ADMIN, ADMIN_PASSWORD, Server},
        unable::{report, tool},
    },
};

pub(super) const VERSION: &str = "1.2.3+build.1";
pub(super) const TAG: &str = "1.2.3_build.1";
pub(super) const INDEX: &str = "/helm/charts/index.yaml";
pub(super) const ARCHIVE: &str = "/helm/charts/charts/app/app-1.2.3+build.1.tgz";

/// A registry with a repository of charts below `charts/`, and somebody who may pull one of them.
pub(super) struct Charts {
    pub(super) world: World,
    pub(super) repository: ChartRepository,
    pub(super) deployer: Client,
}

pub(super) fn of_repository(url: &str, more: &str) -> String {
    format!(
        "[[proxy.upstreams]]\nname = \"charts\"\nkind = \"helm\"\nurl = \"{url}\"\nallowed_private = [\"127.0.0.0/8\"]\n{more}\n"
    )
}

impl Charts {
    async fn start(more: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let repository = ChartRepository::start().await;
        let world = World::start_with(&of_repository(&repository.url(), more), environment).await?;
        admin::user(&world.server, "deployer", "charts/app", &["pull"]).await?;
        let deployer = world.server.client(Login::basic("deployer", USER_PASSWORD));
        Ok(Self {
            world,
            repository,
            deployer,
        })
    }

    /// Without looking into anything.
    pub(super) async fn unlooked(more: &str) -> Result<Self> {
        Self::start(more, &[("ROADBED_SCAN__ENABLED", "false")]).await
    }
}

fn is_stale(answer: &Answer) -> bool {
    answer
        .header("warning")
        .is_some_and(|text| text.contains("stale"))
}

/// Names of the charts of an index.
pub(super) fn listed(answer: &Answer) -> Result<Vec<String>> {
    let index = answer.json()?;
    let entries = index["entries"].as_object().context("no entries")?;
    Ok(entries.keys().cloned().collect())
}

async fn listed_and_pulled(charts: &Charts) -> Result<()> {
    let archive = charts
        .repository
        .add("app", VERSION, &[("values.yaml", "replicas: 1\n")]);
    charts.repository.add("secret", "1.0.0", &[]);
    let anonymous = charts.world.server.client(Login::Anonymous);
    let refused = anonymous.get(INDEX).send().await?.expect(&[401])?;
    let challenge = refused.require("www-authenticate")?;
    ensure!(challenge.starts_with("Basic "), "{challenge}");
    let answer = charts.deployer.get(INDEX).send().await?.expect(&[200])?;
    ensure!(listed(&answer)? == ["app"], "only what may be pulled");
    let entry = &answer.json()?["entries"]["app"][0];
    ensure!(
        entry["digest"] == sha256_hex(&archive).as_str() && entry["version"] == VERSION,
        "{entry}"
    );
    let url = entry["urls"][0].as_str().context("no URL")?;
    ensure!(format!("/helm/charts/{url}") == ARCHIVE, "{url}");
    for _ in 0..2 {
        let answer = charts.deployer.get(ARCHIVE).send().await?.expect(&[200])?;
        answer.expect_body(&archive)?;
    }
    // With the question whether it is signed.
    ensure!(charts.repository.count(".tgz") == 2, "fetched once");
    ensure!(charts.repository.count("index.yaml") == 1, "read once");
    let other = charts
        .deployer
        .get("/helm/charts/charts/secret/secret-1.0.0.tgz")
        .send()
        .await?;
    other.expect(&[403])?;
    let all = charts.world.server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    ensure!(
        listed(&all.get(INDEX).send().await?)? == ["app", "secret"],
        "an administrator"
    );
    let unknown = charts
        .deployer
        .get("/helm/charts/charts/app/app-9.9.9.tgz")
        .send()
        .await?;
    unknown.expect(&[404])?;
    charts
        .deployer
        .get("/helm/hub/index.yaml")
        .send()
        .await?
        .expect(&[404])?;
    Ok(())
}

/// Waits until the chart has its tag.
async fn until_stored(node: &Client) -> Result<()> {
    let has_tag = |answer: &Answer| String::from_utf8_lossy(&answer.body).contains(TAG);
    until(node, "/v2/charts/app/tags/list", has_tag).await.map(drop)
}

/// The same chart by the protocol of registries.
async fn as_an_artifact(charts: &Charts) -> Result<()> {
    let node = charts
        .world
        .server
        .client(Login::token("deployer", USER_PASSWORD));
    let path = format!("/v2/charts/app/manifests/{TAG}");
    let manifest = until(&node, &path, is_final).await?.expect(&[200])?.json()?;
    ensure!(
        manifest["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json",
        "{manifest}"
    );
    let layer = &manifest["layers"][0];
    ensure!(
        layer["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        "{layer}"
    );
    let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
    let archive = node
        .get(format!("/v2/charts/app/blobs/{}", digest(layer)))
        .send()
        .await?
        .expect(&[200])?;
    ensure!(
        Algorithm::Sha256.digest(&archive.body) == digest(layer),
        "another archive"
    );
    let config = format!("/v2/charts/app/blobs/{}", digest(&manifest["config"]));
    let config = node.get(config).send().await?.expect(&[200])?.json()?;
    ensure!(
        config["name"] == "app" && config["appVersion"] == "4.5",
        "{config}"
    );
    until_stored(&node).await
}

#[tokio::test]
async fn charts_are_listed_and_pulled_by_both_ways() {
    let charts = Charts::unlooked("").await.unwrap();
    listed_and_pulled(&charts).await.unwrap();
    as_an_artifact(&charts).await.unwrap();
}

async fn gone() -> Result<()> {
    let charts = Charts::unlooked("fresh = \"0s\"\n").await?;
    let archive = charts.repository.add("app", VERSION, &[]);
    charts.deployer.get(INDEX).send().await?.expect(&[200])?;
    charts.deployer.get(ARCHIVE).send().await?.expect(&[200])?;
    let node = charts
        .world
        .server
        .client(Login::token("deployer", USER_PASSWORD));
    until_stored(&node).await?;
    let Charts {
        world,
        repository,
        deployer,
    } = charts;
    drop(repository);
    let (mut server, _, _configuration) = world.without_upstream();
    for is_restarted in [false, true] {
        if is_restarted {
            server.kill();
            server.start_again().await;
        }
        let deployer = if is_restarted {
            server.client(Login::basic("deployer", USER_PASSWORD))
        } else {
            deployer.with_login(Login::basic("deployer", USER_PASSWORD))
        };
        let index = deployer.get(INDEX).send().await?.expect(&[200])?;
        ensure!(is_stale(&index), "{is_restarted}: {:?}", index.headers);
        ensure!(listed(&index)? == ["app"]);
        let chart = deployer
            .get(ARCHIVE)
            .send()
            .await?
            .expect(&[200])?
            .expect_body(&archive)?;
        ensure!(is_stale(&chart), "{is_restarted}: {:?}", chart.headers);
    }
    Ok(())
}

#[tokio::test]
async fn charts_that_are_held_are_served_when_the_repository_has_gone() {
    gone().await.unwrap();
}

async fn lies() -> Result<()> {
    let limits = [
        ("ROADBED_SCAN__ENABLED", "false"),
        ("ROADBED_PROXY__CHART_BYTES", "2KiB"),
    ];
    let charts = Charts::start("fresh = \"0s\"\n", &limits).await?;
    let archive = super::chart_repository::packed("app", VERSION, &[]);
    charts
        .repository
        .add_as("app", VERSION, archive, &sha256_hex(b"another one"));
    let noise: Vec<String> = (0..4_000_u32)
        .map(|number| format!("{:x}", number.wrapping_mul(2_654_435_761)))
        .collect();
    charts
        .repository
        .add("app", "2.0.0", &[("values.yaml", &noise.concat())]);
    let lied = charts.deployer.get(ARCHIVE).send().await?;
    ensure!(
        lied.error_message()?.contains("as its index says"),
        "{}",
        lied.summary()
    );
    lied.expect(&[502])?;
    let large = charts
        .deployer
        .get("/helm/charts/charts/app/app-2.0.0.tgz")
        .send()
        .await?;
    ensure!(
        large.error_message()?.contains("more than 2048 bytes"),
        "{}",
        large.summary()
    );
    for (reply, status) in [
        (Reply::ok("<html>Sign in</html>"), 200),
        (Reply::status(500), 200),
        (Reply::redirect("http://169.254.169.254/index.yaml"), 200),
    ] {
        // What is held is served.
        charts.repository.spoil("index.yaml", reply);
        let index = charts.deployer.get(INDEX).send().await?.expect(&[status])?;
        ensure!(is_stale(&index), "{:?}", index.headers);
    }
    let cold = Charts::unlooked("").await?;
    cold.repository
        .spoil("index.yaml", Reply::ok("<html>Sign in</html>"));
    let answer = cold.deployer.get(INDEX).send().await?;
    ensure!(
        answer.error_message()?.contains("its index cannot be read"),
        "{}",
        answer.summary()
    );
    answer.expect(&[502])?;
    Ok(())
}

#[tokio::test]
async fn what_a_repository_says_is_compared() {
    lies().await.unwrap();
}

const VALUES: &str =
    "image:\n  repository: library/app\n  tag: \"1\"\nsidecar:\n  image: quay.io/acme/side:2\n";
const TEMPLATE: &str = "kind: Pod\nspec: {containers: [{image: '{{ .Values.image.repository }}'}]}\n";

async fn images(server: &Server) -> Result<Value> {
    let path = format!("/api/v1/charts/images?repository=charts/app&reference={TAG}");
    let admin = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    let read = |answer: &Answer| answer.json().is_ok_and(|report| report["state"] == "read");
    until(&admin, &path, read).await?.json()
}

/// What somebody at a terminal is told.
fn by_command(server: &Server) -> Result<()> {
    let output = server
        .command()
        .args(["chart", "images", &format!("charts/app:{TAG}")])
        .env("ROADBED_URL", server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "app 1.2.3+build.1: 2 images",
        "hub/library/app",
        "templates/pod.yaml: it needs rendering",
    ] {
        ensure!(
            text.contains(part),
            "{part}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

async fn looked_into() -> Result<()> {
    let charts = Charts::start(
        "",
        &[
            ("ROADBED_SCAN__WORKERS", "1"),
            ("ROADBED_GATE__FIRST_WAIT", "20s"),
        ],
    )
    .await?;
    let files = [("values.yaml", VALUES), ("templates/pod.yaml", TEMPLATE)];
    charts.repository.add("app", VERSION, &files);
    let pulled = until(&charts.deployer, ARCHIVE, is_final).await?;
    pulled.expect(&[200])?;
    let server = &charts.world.server;
    let report = images(server).await?;
    let image = |report: &Value, at: usize| report["images"][at].clone();
    let app = image(&report, 0);
    ensure!(
        app["image"] == "docker.io/library/app:1" && app["unknown"] == "not held",
        "{app}"
    );
    ensure!(app["repository"] == "hub/library/app", "{app}");
    let side = image(&report, 1);
    ensure!(
        side["unknown"] == "quay.io is no upstream of this registry",
        "{side}"
    );
    ensure!(report["unknown"][0]["path"] == "templates/pod.yaml", "{report}");

    let (blobs, document) = small_image("of a chart");
    charts.world.upstream.add("library/app", "1", &blobs, &document);
    let path = super::world::manifest("library/app", "1");
    until(&charts.world.node, &path, is_final).await?;
    super::world::until_stored(&charts.world.node, "library/app", "1").await?;
    let app = image(&images(server).await?, 0);
    ensure!(
        app["digest"] == document.digest.as_str() && app["outcome"].is_string(),
        "{app}"
    );

    // Who may pull the chart only learns nothing of its images.
    let path = format!("/api/v1/charts/images?repository=charts/app&reference={TAG}");
    let seen = charts.deployer.get(&path).send().await?.expect(&[200])?.json()?;
    let app = image(&seen, 0);
    ensure!(
        app["unknown"] == "you may not pull it" && app["digest"].is_null(),
        "{app}"
    );
    by_command(server)?;
    let no_chart = format!(
        "/api/v1/charts/images?repository=hub/library/app&reference={}",
        document.digest
    );
    let admin = server.client(Login::basic(ADMIN, ADMIN_PASSWORD));
    admin.get(no_chart).send().await?.expect(&[400])?;
    Ok(())
}

#[tokio::test]
async fn the_images_of_a_chart_are_known_and_judged() {
    looked_into().await.unwrap();
}

/// Helm with a home of its own.
struct Helm {
    program: PathBuf,
    home: TempDir,
}

impl Helm {
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.program)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.home.path())
            .args(arguments)
            .output()?;
        ensure!(
            output.status.success(),
            "helm {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn path(&self) -> &Path {
        self.home.path()
    }
}

async fn by_helm(program: PathBuf) -> Result<()> {
    let charts = Charts::unlooked("").await?;
    let files = [("values.yaml", "replicas: 1\n"), ("templates/none.yaml", "")];
    let archive = charts.repository.add("app", VERSION, &files);
    charts.repository.add("secret", "1.0.0", &files);
    let helm = Helm {
        program,
        home: TempDir::new()?,
    };
    let server = &charts.world.server;
    let (url, host) = (
        format!("{}/helm/charts", server.url()),
        server.address().to_string(),
    );
    helm.run(&[
        "repo",
        "add",
        "ours",
        &url,
        "--username",
        "deployer",
        "--password",
        USER_PASSWORD,
    ])?;
    let found = helm.run(&["search", "repo", "ours/", "--versions", "--devel"])?;
    ensure!(found.contains("ours/app") && !found.contains("secret"), "{found}");
    helm.run(&["pull", "ours/app", "--version", VERSION])?;
    let pulled = helm.path().join(format!("app-{VERSION}.tgz"));
    ensure!(fs::read(&pulled)? == archive, "another archive");
    fs::remove_file(&pulled)?;
    let shown = helm.run(&["show", "values", "ours/app", "--version", VERSION])?;
    ensure!(shown.contains("replicas: 1"), "{shown}");

    helm.run(&[
        "registry",
        "login",
        &host,
        "-u",
        "deployer",
        "-p",
        USER_PASSWORD,
        "--plain-http",
    ])?;
    let chart = format!("oci://{host}/charts/app");
    helm.run(&["pull", &chart, "--version", VERSION, "--plain-http"])?;
    ensure!(fs::read(&pulled)? == archive, "another archive");
    let refused = helm.run(&[
        "pull",
        &format!("oci://{host}/charts/secret"),
        "--version",
        "1.0.0",
        "--plain-http",
    ]);
    ensure!(refused.is_err(), "it may not be pulled");
    Ok(())
}

// Commands block the thread that they are run on, and the repository answers on another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_pulls_by_both_ways() {
    match tool("helm") {
        Ok(program) => {
            let done = tokio::time::timeout(Duration::from_mins(2), by_helm(program)).await;
            done.expect("in time").unwrap();
        }
        Err(unable) => report(&unable),
    }
}
