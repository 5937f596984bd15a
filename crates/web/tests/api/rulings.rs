//! Policy, waivers and decisions.

use std::sync::Arc;
use std::time::Duration;

use findings::{FindingKind, ScanResult, ScanTarget, Severity};
use oci::{Digest, RepoName};
use policy::{JudgedFinding, Outcome, Policy};
use serde_json::{Value, json};
use store::{JobKind, JobPriority, Judgement, Point, Timestamp};
use web::wire::{ImageLineage, ImportDocument, PreviewCount, PreviewReport, UnpushedImage};
use web::{Asked, Judging, JudgingError, ReportOf};

use super::world::{Who, World};

const ADMIN: Who = Who::Administrator;
const RULE: &str =
    "version: 1\nrules:\n  - {id: any, when: finding.kind == 'vulnerability', decide: refuse}\n";

#[tokio::test]
async fn the_policy_has_versions_and_the_default_is_none_of_them() {
    let world = World::new().await;
    let policy = world
        .ask(Who::Puller, "GET", "/policy", None)
        .await
        .expect(200)
        .json();
    assert_eq!(policy["version"], 0);
    assert!(policy["body"].as_str().unwrap().contains("id: exploited"));
    assert!(policy.get("set_by").is_none());

    let text = json!({ "body": RULE });
    let set = world
        .ask(ADMIN, "PUT", "/policy", Some(&text))
        .await
        .expect(200)
        .json();
    assert_eq!((&set["changed"], &set["was"]), (&json!(true), &json!(0)));
    assert_eq!(
        (&set["policy"]["version"], &set["policy"]["set_by"]),
        (&json!(1), &json!("admin"))
    );
    let again = world
        .ask(ADMIN, "PUT", "/policy", Some(&text))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&again["changed"], &again["policy"]["version"]),
        (&json!(false), &json!(1))
    );
    let history = world
        .ask(ADMIN, "GET", "/policies", None)
        .await
        .expect(200)
        .json();
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
    assert_eq!(history["items"][0]["body"], RULE);
    let events = world
        .ask(ADMIN, "GET", "/events?kind=policy.set", None)
        .await
        .expect(200)
        .json();
    assert_eq!(events["items"][0]["actor"], "admin");
}

#[tokio::test]
async fn all_mistakes_of_a_policy_are_told_at_once_with_their_lines() {
    let world = World::new().await;
    let wrong = "version: 1\nrules:\n  - {id: A, when: finding.kev, decide: refuse}\n  - {id: b, when: finding.kevv, decide: warn}\n";
    for (method, path) in [("PUT", "/policy"), ("POST", "/policy/preview")] {
        let text = json!({ "body": wrong });
        let problem = world
            .ask(ADMIN, method, path, Some(&text))
            .await
            .expect(400)
            .json();
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 2, "{problem}");
        assert!(errors[0].as_str().unwrap().starts_with("policy:3: "), "{problem}");
        assert!(errors[1].as_str().unwrap().starts_with("policy:4: "), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("kevv"), "{problem}");
    }
    assert_eq!(
        world.ask(ADMIN, "GET", "/policy", None).await.json()["version"],
        0
    );
}

pub(super) fn waiver(repository: &str) -> Value {
    json!({
        "findings": ["CVE-2021-44228"], "repositories": [repository], "reason": "not reachable",
        "until": "2027-01-01T00:00:00Z",
    })
}

async fn states(world: &World, who: Who) -> Vec<(String, String)> {
    let page = world.ask(who, "GET", "/waivers", None).await.expect(200).json();
    let items = page["items"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items
        .map(|item| (text(&item["id"]), text(&item["state"])))
        .collect()
}

#[tokio::test]
async fn one_person_asks_and_another_one_approves() {
    let world = World::new().await;
    let rulings = world.store.rulings();
    let body = waiver("team/app");
    let asked = world
        .ask(Who::Pusher, "PUT", "/waivers/w1", Some(&body))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&asked["state"], &asked["requester"]),
        (&json!("requested"), &json!("pusher"))
    );
    assert!(!rulings.has_changed().unwrap(), "a request has no effect");

    // Who asked does not administer it.
    let approve = "/waivers/w1/approve";
    world
        .ask(Who::Pusher, "POST", approve, Some(&json!({})))
        .await
        .expect(403);
    // Who sees it neither as requester nor as administrator does not learn that it is there.
    world
        .ask(Who::Puller, "POST", approve, Some(&json!({})))
        .await
        .expect(404);
    assert_eq!(states(&world, Who::Puller).await, []);
    assert_eq!(states(&world, Who::Pusher).await.len(), 1);
    let approved = world
        .ask(Who::Owner, "POST", approve, Some(&json!({})))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&approved["state"], &approved["approver"]),
        (&json!("in-force"), &json!("owner"))
    );
    assert!(rulings.has_changed().unwrap());
    world
        .ask(Who::Owner, "POST", approve, Some(&json!({})))
        .await
        .expect(409);

    let stored = world.store.waivers().await.unwrap();
    let kept: policy::Waiver = serde_json::from_str(&stored[0].body).unwrap();
    assert_eq!(
        (kept.requester.as_str(), kept.approver.as_str()),
        ("pusher", "owner")
    );
    for (kind, actor) in [("waiver.request", "pusher"), ("waiver.set", "owner")] {
        let events = world
            .ask(ADMIN, "GET", &format!("/events?kind={kind}"), None)
            .await
            .json();
        assert_eq!(events["items"][0]["actor"], actor);
    }

    // What is approved is not changed by whoever asked for it, and ends by itself.
    world
        .ask(Who::Pusher, "PUT", "/waivers/w1", Some(&body))
        .await
        .expect(409);
    world.later(60 * 24 * 60 * 60);
    let listed = world.store.waivers().await.unwrap();
    assert!(listed[0].until < world.store.now());
}

#[tokio::test]
async fn nobody_approves_their_own_request_and_no_program_approves() {
    let world = World::new().await;
    let body = waiver("team/**");
    world
        .ask(Who::Owner, "PUT", "/waivers/mine", Some(&body))
        .await
        .expect(200);
    let refused = world
        .ask(Who::Owner, "POST", "/waivers/mine/approve", Some(&json!({})))
        .await
        .expect(403);
    assert!(refused.text().contains("another person"), "{}", refused.text());
    let grant = json!({ "subject": "robot", "pattern": "team/**", "roles": ["admin"] });
    world
        .ask(ADMIN, "POST", "/grants", Some(&grant))
        .await
        .expect(200);
    let refused = world
        .ask(Who::Robot, "POST", "/waivers/mine/approve", Some(&json!({})))
        .await
        .expect(403);
    assert!(refused.text().contains("only a person"), "{}", refused.text());
    world
        .ask(ADMIN, "POST", "/waivers/mine/approve", Some(&json!({})))
        .await
        .expect(200);
}

#[tokio::test]
async fn requests_are_replaced_and_withdrawn_by_those_who_may() {
    let world = World::new().await;
    world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&waiver("team/app")))
        .await
        .expect(200);
    let mut better = waiver("team/app");
    better["reason"] = json!("behind a proxy");
    let replaced = world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&better))
        .await
        .expect(200)
        .json();
    assert_eq!(replaced["reason"], "behind a proxy");
    world
        .ask(Who::Puller, "PUT", "/waivers/w", Some(&better))
        .await
        .expect(409);
    world
        .ask(Who::Puller, "DELETE", "/waivers/w", None)
        .await
        .expect(404);
    world
        .ask(Who::Pusher, "DELETE", "/waivers/w", None)
        .await
        .expect(204);
    assert_eq!(states(&world, ADMIN).await, []);
    // Patterns are for those who administer them, names for the path.
    world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&waiver("team/**")))
        .await
        .expect(403);
    world
        .ask(Who::Pusher, "PUT", "/waivers/a%20b", Some(&waiver("team/app")))
        .await
        .expect(400);
    for (key, value) in [
        ("findings", json!([])),
        ("reason", json!(" ")),
        ("until", json!("2036-01-01T00:00:00Z")),
        ("kind", json!("false-positive")),
        ("repositories", json!([])),
    ] {
        let mut wrong = waiver("team/app");
        wrong[key] = value;
        world
            .ask(Who::Pusher, "PUT", "/waivers/w", Some(&wrong))
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn open_requests_of_one_person_are_bounded() {
    let world = World::new().await;
    for number in 0..100 {
        let path = format!("/waivers/w{number}");
        world
            .ask(Who::Pusher, "PUT", &path, Some(&waiver("team/app")))
            .await
            .expect(200);
    }
    let refused = world
        .ask(Who::Pusher, "PUT", "/waivers/more", Some(&waiver("team/app")))
        .await
        .expect(409);
    assert!(refused.text().contains("100"), "{}", refused.text());
    world
        .ask(Who::Puller, "PUT", "/waivers/more", Some(&waiver("team/app")))
        .await
        .expect(200);
}

/// Knows one image with two findings of one name.
struct Oracle;

fn finding(package: &str) -> JudgedFinding {
    let mut finding = JudgedFinding::new(FindingKind::Vulnerability, "CVE-1", Severity::High);
    finding.package = package.to_owned();
    finding
}

impl Judging for Oracle {
    fn weigh<'a>(&'a self, _: &'a mut store::Importer) -> Asked<'a, web::Weighed> {
        Box::pin(async { Ok(web::Weighed::default()) })
    }

    fn preview(&self, after: Policy, most: usize) -> Asked<'_, PreviewReport> {
        Box::pin(async move {
            Ok(PreviewReport {
                policy_digest: after.digest(),
                images: most as u64,
                waiting: 0,
                untouched: 0,
                refusals: Vec::new(),
                counts: vec![PreviewCount {
                    before: Outcome::Warn,
                    after: Outcome::Refuse,
                    images: 1,
                    in_use: 0,
                }],
                changes: Vec::new(),
            })
        })
    }

    fn preview_advisories(&self, documents: Vec<ImportDocument>, most: usize) -> Asked<'_, PreviewReport> {
        Box::pin(async move {
            let mut report = self.preview(Policy::default_policy(), most).await?;
            report.untouched = documents.len() as u64;
            Ok(report)
        })
    }

    fn findings<'a>(&'a self, _: &'a RepoName, _: &'a Digest) -> Asked<'a, Vec<JudgedFinding>> {
        Box::pin(async { Ok(vec![finding("a"), finding("b"), finding("b")]) })
    }

    fn lineage<'a>(&'a self, _: &'a RepoName, _: &'a Digest) -> Asked<'a, ImageLineage> {
        Box::pin(async { Err(JudgingError::Waits) })
    }

    fn report(&self, of: ReportOf) -> Asked<'_, ScanResult> {
        Box::pin(async move { Ok(result(&of.name, of.manifest.digest)) })
    }

    fn judge_unpushed(
        &self,
        repo: RepoName,
        pusher: Option<String>,
        image: UnpushedImage,
    ) -> Asked<'_, ScanResult> {
        Box::pin(async move {
            if image.layers.is_empty() {
                return Err(JudgingError::Malformed("no layers".to_owned()));
            }
            let pusher = pusher.unwrap_or_default();
            Ok(result(&format!("{repo} by {pusher}"), image.digest))
        })
    }

    fn judge_sbom(&self, repo: RepoName, pusher: Option<String>, sbom: String) -> Asked<'_, ScanResult> {
        Box::pin(async move {
            let digest = Digest::of(oci::Algorithm::Sha256, sbom.as_bytes());
            Ok(result(
                &format!("{repo} by {}: {sbom}", pusher.unwrap_or_default()),
                digest,
            ))
        })
    }
}

fn result(name: &str, digest: Digest) -> ScanResult {
    ScanResult {
        target: ScanTarget {
            name: name.to_owned(),
            digest: Some(digest),
            platform: None,
        },
        unknowns: vec![name.to_owned()],
        ..ScanResult::default()
    }
}

#[tokio::test]
async fn whoever_may_push_asks_what_would_become_of_an_image() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let digest = format!("sha256:{}", "0".repeat(64));
    let layer =
        json!({ "media_type": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": 1 });
    let image = |layers: Vec<Value>| json!({ "media_type": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "layers": layers });
    let path = "/judgements?repository=team/app&tag=v2";
    let good = image(vec![layer.clone()]);
    let answer = world
        .ask(Who::Pusher, "POST", path, Some(&good))
        .await
        .expect(200)
        .json();
    assert_eq!(answer["result"]["target"]["name"], "team/app:v2");
    assert_eq!(answer["result"]["unknowns"][0], "team/app by pusher");
    for (who, status) in [(Who::Puller, 403), (Who::Nobody, 403), (Who::Anonymous, 401)] {
        world.ask(who, "POST", path, Some(&good)).await.expect(status);
    }
    world
        .ask(Who::Pusher, "POST", path, Some(&image(Vec::new())))
        .await
        .expect(400);
    let mut odd = good.clone();
    odd["manifest"] = json!("bytes");
    world.ask(Who::Pusher, "POST", path, Some(&odd)).await.expect(400);
    let mut large = good.clone();
    large["unread"] = json!(["x".repeat(web::MAX_JUDGEMENT_BYTES)]);
    world
        .ask(Who::Pusher, "POST", path, Some(&large))
        .await
        .expect(413);
    // Nothing of it was kept.
    let reference = format!("/decisions?repository=team/app&reference={digest}");
    world.ask(Who::Puller, "GET", &reference, None).await.expect(404);
}

#[tokio::test]
async fn a_preview_is_asked_of_whoever_judges() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let text = json!({ "body": RULE });
    let report = world
        .ask(ADMIN, "POST", "/policy/preview?limit=7", Some(&text))
        .await
        .expect(200)
        .json();
    assert_eq!(report["images"], 7);
    assert_eq!(
        report["counts"][0],
        json!({ "before": "warn", "after": "refuse", "images": 1, "in_use": 0 })
    );
    world
        .ask(ADMIN, "POST", "/policy/preview?limit=1001", Some(&text))
        .await
        .expect(400);
}

#[tokio::test]
async fn what_advisories_would_change_is_asked_of_whoever_judges() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let given = json!({ "documents": [{ "name": "npm/GHSA-1.json", "text": "{}" }] });
    let path = "/advisories/preview?limit=3";
    let report = world
        .ask(ADMIN, "POST", path, Some(&given))
        .await
        .expect(200)
        .json();
    assert_eq!((&report["images"], &report["untouched"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn the_facts_of_a_false_positive_come_from_the_image() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let mut body = waiver("team/app");
    body["kind"] = json!("false-positive");
    body["findings"] = json!(["CVE-1"]);
    body["image"] = json!({ "repository": "team/app", "reference": "v1" });
    let refused = world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&body))
        .await
        .expect(400);
    assert!(
        refused.text().contains("name package and path"),
        "{}",
        refused.text()
    );
    body["package"] = json!("b");
    let asked = world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&body))
        .await
        .expect(200)
        .json();
    assert_eq!(asked["facts"], finding("b").fingerprint().to_string());
    body["findings"] = json!(["CVE-2"]);
    world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&body))
        .await
        .expect(404);
    body["image"]["repository"] = json!("other/app");
    world
        .ask(Who::Pusher, "PUT", "/waivers/w", Some(&body))
        .await
        .expect(403);
}

async fn decide(world: &World, digest: &Digest) {
    let repo: RepoName = "team/app".parse().unwrap();
    let body = json!({
        "outcome": "refuse", "point": "pull",
        "reasons": [
            { "rule": "exploited", "effect": "refuse", "kind": "vulnerability", "findings": ["CVE-1"],
              "message": "CVE-1 in a 1 is being exploited", "fix": "update a to 2", "severity": "high" },
            { "rule": "unknown", "effect": "warn", "message": "not everything could be looked into: no feed",
              "severity": "unknown" },
        ],
    });
    let judgement = Judgement {
        outcome: store::Outcome::Refuse,
        line: "refused by policy".to_owned(),
        body: store::Reasons::of(body.to_string()),
        policy: "sha256:policy".to_owned(),
        evidence: "sha256:facts".to_owned(),
        generation: 4,
        review_at: Some(Timestamp(1_795_336_380_000_000)),
        waives: true,
    };
    let subject = format!("{repo}@{digest}");
    world
        .store
        .request_job(JobKind::Judge, &subject, JobPriority::Asked)
        .await
        .unwrap();
    let job = world
        .store
        .claim_job(JobKind::Judge, "test", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let judgements = vec![(Point::Pull, judgement)];
    world
        .store
        .finish_judgement(&job, &repo, digest, judgements.into())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_decision_is_told_with_its_reasons() {
    let world = World::new().await;
    let path = "/decisions?repository=team/app&reference=v1";
    let open = world.ask(Who::Puller, "GET", path, None).await.expect(200).json();
    assert_eq!(
        (&open["outcome"], &open["images"][0]["outcome"]),
        (&json!("undecided"), &json!("undecided"))
    );
    let digest: Digest = open["digest"].as_str().unwrap().parse().unwrap();
    decide(&world, &digest).await;
    let by_digest = format!("/decisions?repository=team/app&reference={digest}");
    for path in [path, &by_digest] {
        let told = world.ask(Who::Puller, "GET", path, None).await.expect(200).json();
        assert_eq!(told["outcome"], "refuse");
        let image = &told["images"][0];
        assert_eq!(image["reasons"][0]["fix"], "update a to 2");
        assert_eq!(
            image["unknowns"],
            json!(["not everything could be looked into: no feed"])
        );
        assert_eq!(
            (&image["generation"], &image["policy"]),
            (&json!(4), &json!("sha256:policy"))
        );
        assert!(image["decided_at"].is_string() && image["review_at"].is_string());
    }
    let missing = "/decisions?repository=team/app&reference=a:b:c";
    world.ask(Who::Puller, "GET", missing, None).await.expect(400);
}

#[tokio::test]
async fn a_report_comes_with_what_was_decided() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let path = "/reports?repository=team/app&reference=v1&platform=linux/amd64";
    let waits = world.ask(Who::Puller, "GET", path, None).await.expect(503);
    assert!(waits.headers.contains_key("retry-after"));
    let known = world
        .ask(
            Who::Puller,
            "GET",
            "/decisions?repository=team/app&reference=v1",
            None,
        )
        .await;
    decide(&world, &known.json()["digest"].as_str().unwrap().parse().unwrap()).await;
    let report = world.ask(Who::Puller, "GET", path, None).await.expect(200).json();
    assert_eq!(report["result"]["target"]["name"], "team/app:v1");
    assert_eq!(report["result"]["decision"]["outcome"], "refuse");
    world.ask(Who::Nobody, "GET", path, None).await.expect(403);
    let ghost = "/reports?repository=team/app&reference=ghost";
    world.ask(Who::Puller, "GET", ghost, None).await.expect(404);
}

#[tokio::test]
async fn whoever_may_push_asks_what_would_become_of_an_sbom() {
    let world = World::judged_by(Arc::new(Oracle)).await;
    let path = "/judgements/sbom?repository=team/app&tag=v2";
    let body = json!({ "sbom": "text" });
    let answer = world
        .ask(Who::Pusher, "POST", path, Some(&body))
        .await
        .expect(200)
        .json();
    assert_eq!(answer["result"]["target"]["name"], "team/app:v2");
    assert_eq!(answer["result"]["unknowns"][0], "team/app by pusher: text");
    for (who, status) in [(Who::Puller, 403), (Who::Nobody, 403), (Who::Anonymous, 401)] {
        world.ask(who, "POST", path, Some(&body)).await.expect(status);
    }
    let large = json!({ "sbom": "x".repeat(web::MAX_JUDGEMENT_BYTES) });
    world
        .ask(Who::Pusher, "POST", path, Some(&large))
        .await
        .expect(413);
}
