//! An artifact with a subject, pushed by clients that know nothing of either, and what refers to the subject.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    client::RegistryClient,
    containerd::Containerd,
    layout::Layout,
    machine::{Outcome, command},
    skopeo::Skopeo,
    world::World,
};
use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{Document, Draft, EMPTY_JSON, INDEX},
    server::{ADMIN, ADMIN_PASSWORD},
    unable::{Program, report},
};

const CURL: Program = Program {
    name: "curl",
    package: "curl",
};

/// What kind of artifact the tests attach.
const SBOM: &str = "application/vnd.example.sbom.v1+json";

/// An artifact about `subject`, with the blobs that it names.
fn sbom(seed: &str, subject: &Document) -> (Vec<Blob>, Document) {
    let empty = Blob::empty_json(Algorithm::Sha256);
    let content = Blob::noise(Algorithm::Sha256, seed, 2048);
    let manifest = Draft::image(empty.descriptor(EMPTY_JSON), vec![content.descriptor(SBOM)])
        .artifact_type(SBOM)
        .subject(subject.descriptor())
        .annotation("org.example.tool", "a scanner")
        .finish();
    (vec![empty, content], manifest)
}

/// Pushes an image and an artifact about it with one client; the registry must list the artifact as its referrer.
async fn attach<C: RegistryClient>() -> Result<()> {
    let world = World::plain().await;
    let mut client = match C::start(world.setup()) {
        Ok(client) => client,
        Err(unable) => {
            report(&unable);
            return Ok(());
        }
    };
    client.log_in(ADMIN, ADMIN_PASSWORD)?.expect_success()?;
    let image = world.image("image", 1)?;
    client.push(&image, "team/app:v1")?.expect_success()?;
    let (blobs, manifest) = sbom(&world.seed("sbom"), &image.top);
    let artifact = Layout::of_manifest(&world.file("artifact"), &blobs, &manifest)?;
    client.push(&artifact, "team/app:sbom")?.expect_success()?;
    check_referrers(&world, &image.top, &manifest).await
}

async fn check_referrers(world: &World, subject: &Document, artifact: &Document) -> Result<()> {
    let admin = world.server.admin();
    for kind in [None, Some(SBOM)] {
        let mut request = admin.get(format!("/v2/team/app/referrers/{}", subject.digest));
        if let Some(kind) = kind {
            request = request.query("artifactType", kind);
        }
        let listed = request
            .send()
            .await?
            .expect(&[200])?
            .expect_header("content-type", INDEX)?
            .json()?;
        check_only_referrer(&listed, artifact)?;
    }
    admin.check_manifest("team/app", &artifact.digest, artifact).await
}

fn check_only_referrer(listed: &Value, artifact: &Document) -> Result<()> {
    let referrers = listed["manifests"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    ensure!(referrers.len() == 1, "one referrer was wanted: {listed}");
    ensure!(
        referrers[0]["digest"] == artifact.digest,
        "{} was wanted: {listed}",
        artifact.digest
    );
    ensure!(
        referrers[0]["artifactType"] == SBOM,
        "the artifact's type is lost: {listed}"
    );
    ensure!(
        referrers[0]["annotations"]["org.example.tool"] == "a scanner",
        "annotations are lost: {listed}"
    );
    Ok(())
}

#[tokio::test]
async fn skopeo_pushes_an_artifact_that_is_listed_as_referrer() {
    attach::<Skopeo>().await.unwrap();
}

#[tokio::test]
async fn containerd_pushes_an_artifact_that_is_listed_as_referrer() {
    attach::<Containerd>().await.unwrap();
}

/// `curl` with a login, as a script would use it.
struct Curl<'w> {
    world: &'w World,
    program: std::path::PathBuf,
}

impl Curl<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let home = self.world.file("curl");
        std::fs::create_dir_all(&home)?;
        let mut command: Command = command(&self.program, &home);
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            "--user",
            &format!("{ADMIN}:{ADMIN_PASSWORD}"),
        ]);
        Outcome::of(command.args(arguments), &home)?.expect_success()
    }

    fn put(&self, url: &str, media_type: &str, name: &str, bytes: &[u8]) -> Result<Outcome> {
        let file = self.world.file(name);
        std::fs::write(&file, bytes)?;
        let (kind, data) = (
            format!("Content-Type: {media_type}"),
            format!("@{}", file.display()),
        );
        self.run(&[
            "--request",
            "PUT",
            "--header",
            &kind,
            "--include",
            "--data-binary",
            &data,
            url,
        ])
    }

    /// Opens a session, follows its `Location`, as the specification describes it.
    fn push_blob(&self, base: &str, blob: &Blob) -> Result<()> {
        let url = format!("{base}/v2/team/app/blobs/uploads/");
        let opened = self.run(&[
            "--request",
            "POST",
            "--header",
            "Content-Length: 0",
            "--include",
            &url,
        ])?;
        let location = header(&opened, "location").unwrap_or_default();
        let location = if location.starts_with('/') {
            format!("{base}{location}")
        } else {
            location
        };
        let joint = if location.contains('?') { '&' } else { '?' };
        let target = format!("{location}{joint}digest={}", blob.digest);
        self.put(&target, "application/octet-stream", "blob", &blob.bytes)?;
        Ok(())
    }
}

fn header(outcome: &Outcome, name: &str) -> Option<String> {
    let mut lines = outcome.output.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

fn attach_with_curl(curl: &Curl<'_>) -> Result<()> {
    let base = format!("http://{}", curl.world.registry());
    let config = Blob::empty_json(Algorithm::Sha256);
    let image = Draft::image(config.descriptor(EMPTY_JSON), Vec::new())
        .artifact_type("application/vnd.example")
        .finish();
    let (blobs, manifest) = sbom(&curl.world.seed("sbom"), &image);
    blobs.iter().try_for_each(|blob| curl.push_blob(&base, blob))?;
    let pushes = [("v1", &image), (manifest.digest.as_str(), &manifest)];
    for (reference, document) in pushes {
        let url = format!("{base}/v2/team/app/manifests/{reference}");
        let answer = curl.put(&url, &document.media_type, "manifest", &document.bytes)?;
        let subject = header(&answer, "oci-subject");
        ensure!(
            subject == document.subject,
            "OCI-Subject: {subject:?}, wanted {:?}",
            document.subject
        );
    }
    let url = format!("{base}/v2/team/app/referrers/{}", image.digest);
    let listed = curl.run(&[&url])?;
    check_only_referrer(&serde_json::from_str(&listed.output)?, &manifest)
}

#[tokio::test]
async fn curl_pushes_an_artifact_that_is_listed_as_referrer() {
    let world = World::plain().await;
    match CURL.find() {
        Ok(program) => attach_with_curl(&Curl {
            world: &world,
            program,
        })
        .unwrap(),
        Err(unable) => report(&unable),
    }
}
