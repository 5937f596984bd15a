//! What one address may have computed at a time, and what somebody sees of what is not theirs.

use std::sync::Arc;
use std::time::Duration;

use findings::ScanResult;
use futures_util::StreamExt as _;
use oci::{Digest, RepoName};
use policy::{JudgedFinding, Policy};
use serde_json::json;
use web::wire::{ImageLineage, ImportDocument, PreviewReport, UnpushedImage};
use web::{Asked, Judging, ReportOf};

use super::rulings::waiver;
use super::world::{Who, World};

const ADMIN: Who = Who::Administrator;

/// Never comes to an end.
struct Stuck;

impl Judging for Stuck {
    fn preview(&self, _: Policy, _: usize) -> Asked<'_, PreviewReport> {
        Box::pin(std::future::pending())
    }

    fn preview_advisories(&self, _: Vec<ImportDocument>, _: usize) -> Asked<'_, PreviewReport> {
        Box::pin(std::future::pending())
    }

    fn weigh<'a>(&'a self, _: &'a mut store::Importer) -> Asked<'a, web::Weighed> {
        Box::pin(std::future::pending())
    }

    fn findings<'a>(&'a self, _: &'a RepoName, _: &'a Digest) -> Asked<'a, Vec<JudgedFinding>> {
        Box::pin(std::future::pending())
    }

    fn lineage<'a>(&'a self, _: &'a RepoName, _: &'a Digest) -> Asked<'a, ImageLineage> {
        Box::pin(std::future::pending())
    }

    fn report(&self, _: ReportOf) -> Asked<'_, ScanResult> {
        Box::pin(std::future::pending())
    }

    fn judge_unpushed(&self, _: RepoName, _: Option<String>, _: UnpushedImage) -> Asked<'_, ScanResult> {
        Box::pin(std::future::pending())
    }

    fn judge_sbom(&self, _: RepoName, _: Option<String>, _: String) -> Asked<'_, ScanResult> {
        Box::pin(std::future::pending())
    }
}

/// Each of them holds a thread for a while: one address must not hold all of them.
#[tokio::test]
async fn reports_and_findings_of_one_address_are_bounded() {
    let world = World::judged_by(Arc::new(Stuck)).await;
    let path = "/reports?repository=team/app&reference=v1";
    let ask = || world.ask(Who::Puller, "GET", path, None);
    let mut asked: futures_util::stream::FuturesUnordered<_> = (0..5).map(|_| ask()).collect();
    let answered = tokio::time::timeout(Duration::from_mins(1), asked.next());
    let refused = answered
        .await
        .expect("nobody was turned away")
        .unwrap()
        .expect(429);
    assert!(refused.headers.contains_key("retry-after"), "{}", refused.text());
    let mut body = waiver("team/app");
    body["kind"] = json!("false-positive");
    body["findings"] = json!(["CVE-1"]);
    body["image"] = json!({ "repository": "team/app", "reference": "v1" });
    let waiver = world.ask(Who::Pusher, "PUT", "/waivers/w", Some(&body));
    let turned_away = tokio::select! {
        answer = waiver => answer,
        _ = asked.next() => panic!("a report ended"),
    };
    turned_away.expect(429);
}

#[tokio::test]
async fn signers_of_repositories_that_somebody_may_not_see_are_not_shown() {
    let world = World::new().await;
    let signer = |name: &str, repositories: &[&str]| json!({ "name": name, "repositories": repositories, "author": name, "vex": true, "products": ["pkg:oci/secret*"] });
    for (name, repositories) in [
        ("all", &["**"][..]),
        ("both", &["team/**", "secret/project/**"]),
        ("hidden", &["secret/**"]),
    ] {
        let body = signer(name, repositories);
        world.ask(ADMIN, "PUT", "/signers", Some(&body)).await.expect(200);
    }
    let list = |who| world.ask(who, "GET", "/signers", None);
    let all = list(ADMIN).await.expect(200);
    assert!(
        all.text().contains("secret/project/**") && all.text().contains("hidden"),
        "{}",
        all.text()
    );
    let seen = list(Who::Puller).await.expect(200);
    let names: Vec<String> = seen.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signer| signer["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["all", "both"], "{}", seen.text());
    assert_eq!(seen.json()["items"][1]["repositories"], json!(["team/**"]));
    assert_eq!(seen.json()["items"][1]["partial"], true);
    assert!(!seen.text().contains("secret/"), "{}", seen.text());
    let nothing = list(Who::Nobody).await.expect(200);
    assert_eq!(nothing.json()["items"], json!([]), "{}", nothing.text());
    world
        .ask(Who::Puller, "GET", "/signers/hidden", None)
        .await
        .expect(404);
    world.ask(ADMIN, "GET", "/signers/hidden", None).await.expect(200);
}
