//! Every route, asked as everybody: who is not allowed gets 401 or 403, who is allowed gets what the row says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{Who, World};

/// One route, and who may use it.
struct Row {
    method: &'static str,
    /// As in the description of the API.
    template: &'static str,
    /// What is asked for. Where allowed callers would take something from each other, it asks for what is not there.
    target: &'static str,
    body: Option<Value>,
    allowed: &'static [Who],
    /// What the allowed ones get.
    status: u16,
}

const EVERYBODY: &[Who] = &Who::ALL;
const SIGNED_IN: &[Who] = &[
    Who::Nobody,
    Who::Puller,
    Who::Pusher,
    Who::Deleter,
    Who::Owner,
    Who::Robot,
    Who::Administrator,
];
const PULLERS: &[Who] = &[
    Who::Puller,
    Who::Pusher,
    Who::Deleter,
    Who::Owner,
    Who::Robot,
    Who::Administrator,
];
const PUSHERS: &[Who] = &[Who::Pusher, Who::Owner, Who::Robot, Who::Administrator];
const DELETERS: &[Who] = &[Who::Deleter, Who::Owner, Who::Administrator];
const OWNERS: &[Who] = &[Who::Owner, Who::Administrator];
const ADMINISTRATORS: &[Who] = &[Who::Administrator];

/// A manifest that is not there.
const GHOST: &str = "/repository/manifest?repository=team/app&digest=\
                     sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn row(
    method: &'static str,
    template: &'static str,
    target: &'static str,
    body: Option<Value>,
    allowed: &'static [Who],
    status: u16,
) -> Row {
    Row {
        method,
        template,
        target,
        body,
        allowed,
        status,
    }
}

/// A waiver that nobody can get any more.
fn over(repository: &str) -> Value {
    json!({
        "findings": ["CVE-2021-44228"], "repositories": [repository], "reason": "none", "until": "2020-01-01T00:00:00Z",
    })
}

fn table() -> Vec<Row> {
    let mut table = plain();
    table.extend(rulings());
    table.extend(of_the_road());
    table.extend(of_rebases());
    table.extend(of_telling());
    table.extend(of_incidents());
    table.extend(of_traffic());
    table.extend(of_maturity());
    table
}

#[rustfmt::skip]
fn plain() -> Vec<Row> {
    let grant = json!({ "subject": "nobody", "pattern": "team/new/**", "roles": ["pull"] });
    let rule = json!({ "pattern": "team/new/**", "quota_tags": 10 });
    let user = json!({ "name": "made", "password": "a long enough password" });
    let wrong = json!({ "user": "nobody", "password": "wrong" });
    vec![
        row("GET", "/openapi.json", "/openapi.json", None, EVERYBODY, 200),
        // The credentials in the body decide, whoever asks.
        row("POST", "/session", "/session", Some(wrong), &[], 401),
        row("GET", "/session", "/session", None, SIGNED_IN, 200),
        // Changes nothing: the present password is wrong.
        row("PUT", "/session/password", "/session/password",
            Some(json!({ "old": "wrong", "new": "a long enough password" })), &[], 403),
        row("GET", "/users", "/users", None, ADMINISTRATORS, 200),
        row("POST", "/users", "/users", Some(user), ADMINISTRATORS, 201),
        row("GET", "/users/{name}", "/users/nobody", None, ADMINISTRATORS, 200),
        row("PATCH", "/users/{name}", "/users/nobody", Some(json!({ "disabled": false })), ADMINISTRATORS, 200),
        row("DELETE", "/users/{name}", "/users/ghost", None, ADMINISTRATORS, 404),
        row("PUT", "/users/{name}/password", "/users/ghost/password",
            Some(json!({ "password": "a long enough password" })), ADMINISTRATORS, 404),
        row("GET", "/robots", "/robots", None, ADMINISTRATORS, 200),
        row("POST", "/robots", "/robots", Some(json!({ "name": "built" })), ADMINISTRATORS, 201),
        row("GET", "/robots/{name}", "/robots/robot", None, ADMINISTRATORS, 200),
        row("PATCH", "/robots/{name}", "/robots/robot", Some(json!({ "disabled": false })), ADMINISTRATORS, 200),
        row("DELETE", "/robots/{name}", "/robots/ghost", None, ADMINISTRATORS, 404),
        row("GET", "/robots/{name}/secrets", "/robots/robot/secrets", None, ADMINISTRATORS, 200),
        row("POST", "/robots/{name}/secrets", "/robots/robot/secrets", Some(json!({})), ADMINISTRATORS, 201),
        row("DELETE", "/robots/{name}/secrets/{id}", "/robots/robot/secrets/999999", None, ADMINISTRATORS, 404),
        row("GET", "/grants", "/grants", None, OWNERS, 200),
        row("POST", "/grants", "/grants", Some(grant), OWNERS, 200),
        row("POST", "/grants", "/grants",
            Some(json!({ "subject": "nobody", "pattern": "**", "roles": ["pull"] })), &[], 0),
        row("DELETE", "/grants", "/grants?subject=nobody&pattern=team/ghost", None, OWNERS, 404),
        row("GET", "/rules", "/rules", None, OWNERS, 200),
        row("PUT", "/rules", "/rules", Some(rule), OWNERS, 200),
        row("DELETE", "/rules", "/rules?pattern=team/ghost", None, OWNERS, 404),
        row("DELETE", "/rules", "/rules?pattern=other/ghost", None, ADMINISTRATORS, 404),
        row("GET", "/repositories", "/repositories", None, SIGNED_IN, 200),
        row("GET", "/repository", "/repository?repository=team/app", None, PULLERS, 200),
        row("GET", "/repository", "/repository?repository=team/ghost", None, PULLERS, 404),
        row("GET", "/repository", "/repository?repository=other/ghost", None, ADMINISTRATORS, 404),
        row("DELETE", "/repository", "/repository?repository=team/ghost", None, OWNERS, 404),
        row("GET", "/repository/tags", "/repository/tags?repository=team/app", None, PULLERS, 200),
        row("GET", "/repository/tag", "/repository/tag?repository=team/app&tag=v1", None, PULLERS, 200),
        row("DELETE", "/repository/tag", "/repository/tag?repository=team/app&tag=ghost", None, DELETERS, 404),
        row("GET", "/repository/manifests", "/repository/manifests?repository=team/app", None, PULLERS, 200),
        row("GET", "/repository/manifests", "/repository/manifests?repository=team/ghost", None, PULLERS, 404),
        row("DELETE", "/repository/manifest", GHOST, None, DELETERS, 404),
        row("GET", "/events", "/events", None, ADMINISTRATORS, 200),
        row("GET", "/pulls", "/pulls", None, ADMINISTRATORS, 200),
        row("POST", "/apply", "/apply?dry_run=true", Some(json!({})), ADMINISTRATORS, 200),
        row("POST", "/gc", "/gc", Some(json!({})), ADMINISTRATORS, 200),
        row("GET", "/gc", "/gc", None, ADMINISTRATORS, 200),
        row("POST", "/fsck", "/fsck", Some(json!({})), ADMINISTRATORS, 200),
        row("POST", "/backup", "/backup", Some(json!({})), ADMINISTRATORS, 200),
        row("GET", "/system", "/system", None, ADMINISTRATORS, 200),
        row("GET", "/maintenance", "/maintenance", None, SIGNED_IN, 200),
        // Without a reason: the rows behind it change something.
        row("PUT", "/maintenance", "/maintenance", Some(json!({ "reason": "" })), ADMINISTRATORS, 400),
        row("DELETE", "/maintenance", "/maintenance", None, ADMINISTRATORS, 200),
    ]
}

/// What images are judged by, and what was decided.
#[rustfmt::skip]
fn rulings() -> Vec<Row> {
    vec![
        row("GET", "/advisories", "/advisories", None, ADMINISTRATORS, 200),
        // Nobody fetches in this world.
        row("POST", "/advisories/sync", "/advisories/sync", Some(json!({})), ADMINISTRATORS, 409),
        row("POST", "/advisories/imports", "/advisories/imports", Some(json!({})), ADMINISTRATORS, 201),
        row("POST", "/advisories/imports/{id}/documents", "/advisories/imports/ghost/documents",
            Some(json!({ "documents": [] })), ADMINISTRATORS, 404),
        row("POST", "/advisories/imports/{id}/finish", "/advisories/imports/ghost/finish",
            Some(json!({ "origin": "here" })), ADMINISTRATORS, 404),
        row("GET", "/policy", "/policy", None, SIGNED_IN, 200),
        row("PUT", "/policy", "/policy", Some(json!({ "body": "version: 1\nrules: []\n" })), ADMINISTRATORS, 200),
        row("GET", "/policies", "/policies", None, ADMINISTRATORS, 200),
        // Nobody judges in this world.
        row("POST", "/policy/preview", "/policy/preview", Some(json!({ "body": "version: 1\nrules: []\n" })),
            ADMINISTRATORS, 409),
        row("POST", "/advisories/preview", "/advisories/preview", Some(json!({ "documents": [] })), ADMINISTRATORS, 409),
        row("GET", "/policy/held", "/policy/held", None, ADMINISTRATORS, 200),
        row("POST", "/policy/held/{change}/approve", "/policy/held/7/approve", Some(json!({})), ADMINISTRATORS, 404),
        row("GET", "/in-use", "/in-use", None, ADMINISTRATORS, 200),
        // Its end is over.
        row("POST", "/in-use", "/in-use", Some(json!({ "repository": "team/app", "references": ["v1"],
            "until": "2020-01-01T00:00:00Z", "reason": "runs" })), ADMINISTRATORS, 400),
        row("DELETE", "/in-use", "/in-use?repository=team/app&reference=ghost", None, ADMINISTRATORS, 404),
        row("GET", "/waivers", "/waivers", None, SIGNED_IN, 200),
        // Its end is over: nobody takes the name from the next one.
        row("PUT", "/waivers/{id}", "/waivers/w", Some(over("team/app")), PULLERS, 400),
        row("PUT", "/waivers/{id}", "/waivers/w", Some(over("team/**")), OWNERS, 400),
        row("POST", "/waivers/{id}/approve", "/waivers/ghost/approve", Some(json!({})), SIGNED_IN, 404),
        row("DELETE", "/waivers/{id}", "/waivers/ghost", None, SIGNED_IN, 404),
        row("GET", "/signers", "/signers", None, SIGNED_IN, 200),
        // It has no key: nobody is trusted by it.
        row("PUT", "/signers", "/signers", Some(json!({ "name": "s", "repositories": ["**"] })), ADMINISTRATORS, 400),
        row("GET", "/signers/{name}", "/signers/ghost", None, SIGNED_IN, 404),
        row("DELETE", "/signers/{name}", "/signers/ghost", None, ADMINISTRATORS, 404),
        row("GET", "/affected", "/affected?q=log4j-core", None, SIGNED_IN, 409),
        row("GET", "/decisions", "/decisions?repository=team/app&reference=v1", None, PULLERS, 200),
        row("GET", "/decisions", "/decisions?repository=team/app&reference=ghost", None, PULLERS, 404),
        row("GET", "/reports", "/reports?repository=team/app&reference=v1", None, PULLERS, 409),
        row("POST", "/judgements/sbom", "/judgements/sbom?repository=team/app", Some(json!({})), PUSHERS, 409),
        row("POST", "/judgements", "/judgements?repository=team/app", Some(json!({})), PUSHERS, 409),
    ]
}

/// Whose repositories are, and what images may stand on.
#[rustfmt::skip]
fn of_the_road() -> Vec<Row> {
    let application = json!({ "name": "app", "repositories": ["team/app"], "owner": "team" });
    let base = json!({ "name": "os", "owner": "group:platform", "contact": null, "repository": "base/os", "channels": {},
        "lifecycle": "supported", "supported_until": "2100-01-01T00:00:00Z", "replaced_by": null, "rebase": null,
        "patch_within": { "critical": 86400 } });
    vec![
        row("PUT", "/applications", "/applications", Some(application), ADMINISTRATORS, 200),
        row("GET", "/applications", "/applications", None, SIGNED_IN, 200),
        row("GET", "/application", "/application?name=app", None, PULLERS, 200),
        row("GET", "/application", "/application?name=ghost", None, SIGNED_IN, 404),
        row("GET", "/application/saved", "/application/saved?name=app", None, PULLERS, 409),
        row("DELETE", "/application", "/application?name=ghost", None, ADMINISTRATORS, 404),
        row("PUT", "/bases", "/bases", Some(base), ADMINISTRATORS, 200),
        row("GET", "/bases", "/bases", None, SIGNED_IN, 200),
        row("GET", "/base", "/base?name=os", None, ADMINISTRATORS, 200),
        row("GET", "/base", "/base?name=ghost", None, SIGNED_IN, 404),
        row("DELETE", "/base", "/base?name=ghost", None, ADMINISTRATORS, 404),
        row("GET", "/catalog", "/catalog", None, SIGNED_IN, 200),
        row("POST", "/catalog", "/catalog?dry_run=true", Some(json!({})), ADMINISTRATORS, 200),
        row("POST", "/advisories/bundles", "/advisories/bundles", Some(json!({})), ADMINISTRATORS, 409),
        row("POST", "/advisories/bundles/{id}/finish", "/advisories/bundles/x/finish", Some(json!({})), ADMINISTRATORS, 409),
        row("PUT", "/advisories/bundles/{id}/pieces", "/advisories/bundles/x/pieces?offset=0", None, ADMINISTRATORS, 409),
        row("POST", "/catalog/allowed", "/catalog/allowed", Some(json!({ "catalog": format!("a@sha256:{}", "0".repeat(64)) })), ADMINISTRATORS, 204),
        // Nobody judges in this world.
        row("POST", "/road", "/road?dry_run=true", Some(json!({})), ADMINISTRATORS, 200),
        row("GET", "/road", "/road", None, SIGNED_IN, 200),
        row("GET", "/road", "/road?version=1", None, ADMINISTRATORS, 200),
        row("GET", "/road/history", "/road/history", None, ADMINISTRATORS, 200),
        row("GET", "/road/promises", "/road/promises", None, SIGNED_IN, 200),
        row("GET", "/road/promises", "/road/promises?base=ghost", None, SIGNED_IN, 404),
        row("GET", "/road/work", "/road/work", None, SIGNED_IN, 200),
        row("GET", "/road/work", "/road/work?state=ghost", None, SIGNED_IN, 400),
        row("GET", "/road/adoption", "/road/adoption", None, SIGNED_IN, 409),
        row("GET", "/lineage", "/lineage?repository=team/app&reference=v1", None, PULLERS, 409),
        row("GET", "/lineage", "/lineage?repository=team/app&reference=ghost", None, PULLERS, 404),
    ]
}

/// Images that follow their base. Nobody plans in this world.
#[rustfmt::skip]
fn of_rebases() -> Vec<Row> {
    let new = json!({ "repository": "team/app", "tag": "v1", "how": "suffix" });
    let approve = "/rebases/items/0198c0de-0000-7000-8000-000000000000/approve";
    let reject = "/rebases/items/0198c0de-0000-7000-8000-000000000000/reject";
    let [line, undo] = ["/rebases/0198c0de-0000-7000-8000-000000000000", "/rebases/0198c0de-0000-7000-8000-000000000000/undo"];
    vec![
        row("GET", "/rebases/plan", "/rebases/plan?repository=team/app&reference=v1", None, PULLERS, 409),
        row("POST", "/rebases", "/rebases", Some(new), PUSHERS, 409),
        row("GET", "/rebases", "/rebases?repository=team/app", None, PULLERS, 200),
        row("GET", "/rebases/key", "/rebases/key", None, SIGNED_IN, 404),
        row("GET", "/rebases/report", "/rebases/report?base=java", None, SIGNED_IN, 409),
        row("POST", "/rebases/stop", "/rebases/stop", Some(json!({})), ADMINISTRATORS, 200),
        row("POST", "/rebases/resume", "/rebases/resume", Some(json!({})), ADMINISTRATORS, 200),
        row("POST", "/rebases/items/{id}/approve", approve, Some(json!({})), EVERYBODY, 404),
        row("POST", "/rebases/items/{id}/reject", reject, Some(json!({})), EVERYBODY, 404),
        row("GET", "/rebases/{id}", line, None, EVERYBODY, 404),
        row("POST", "/rebases/{id}/undo", undo, Some(json!({})), EVERYBODY, 404),
    ]
}

/// Who uses what, and who is throttled or banned.
#[rustfmt::skip]
fn of_traffic() -> Vec<Row> {
    // It would shut out who asks.
    let ban = json!({ "who": "admin", "kind": "ban", "until": "2026-11-30T00:00:00Z", "reason": "x" });
    vec![
        // Nobody serves in this world.
        row("GET", "/traffic", "/traffic", None, ADMINISTRATORS, 409),
        row("GET", "/traffic/measures", "/traffic/measures", None, ADMINISTRATORS, 200),
        row("PUT", "/traffic/measures", "/traffic/measures", Some(ban), ADMINISTRATORS, 400),
        row("DELETE", "/traffic/measures", "/traffic/measures?who=ghost", None, ADMINISTRATORS, 404),
        row("GET", "/charts/images", "/charts/images?repository=team/app&reference=ghost", None, PULLERS, 404),
        row("GET", "/upstreams", "/upstreams", None, ADMINISTRATORS, 200),
        // Nothing is pulled through in this world.
        row("POST", "/upstreams/prefetches", "/upstreams/prefetches",
            Some(json!({ "images": ["hub/library/alpine:3"] })), ADMINISTRATORS, 400),
        row("POST", "/upstreams/{name}/test", "/upstreams/hub/test", Some(json!({})), ADMINISTRATORS, 404),
    ]
}

/// Who is told what.
#[rustfmt::skip]
fn of_telling() -> Vec<Row> {
    let sink = json!({ "sink": { "name": "hook", "kind": "webhook", "target": "https://hooks.example/" } });
    vec![
        row("GET", "/sinks", "/sinks", None, ADMINISTRATORS, 200),
        row("GET", "/sinks/{name}", "/sinks/ghost", None, ADMINISTRATORS, 404),
        // Nobody tells in this world.
        row("PUT", "/sinks", "/sinks", Some(sink), ADMINISTRATORS, 409),
        row("POST", "/sinks/{name}/test", "/sinks/ghost/test", Some(json!({})), ADMINISTRATORS, 409),
        row("DELETE", "/sinks/{name}", "/sinks/ghost", None, ADMINISTRATORS, 404),
        row("GET", "/deliveries", "/deliveries?state=dead", None, ADMINISTRATORS, 200),
        row("GET", "/deliveries", "/deliveries?state=lost", None, ADMINISTRATORS, 400),
        row("GET", "/deliveries/{id}", "/deliveries/7", None, ADMINISTRATORS, 404),
        row("POST", "/deliveries/retry", "/deliveries/retry", Some(json!({ "sink": "ghost" })), ADMINISTRATORS, 409),
        row("POST", "/deliveries/{id}/retry", "/deliveries/7/retry", Some(json!({})), ADMINISTRATORS, 409),
    ]
}

/// What is followed until nobody is affected any more. Nobody keeps incidents in this world.
#[rustfmt::skip]
fn of_incidents() -> Vec<Row> {
    let cves = json!({ "vulnerabilities": ["CVE-2021-44228"] });
    let relief = json!({ "lines": ["team/app:v1"], "until": "2100-01-01T00:00:00Z", "reason": "x" });
    let end = json!({ "lines": ["team/app:v1"], "reason": "x" });
    vec![
        row("POST", "/incidents", "/incidents", Some(cves.clone()), ADMINISTRATORS, 409),
        row("GET", "/incidents", "/incidents", None, SIGNED_IN, 409),
        row("GET", "/incidents/{id}", "/incidents/i", None, SIGNED_IN, 409),
        row("GET", "/incidents/{id}/lines", "/incidents/i/lines?state=open", None, SIGNED_IN, 409),
        row("GET", "/incidents/{id}/report", "/incidents/i/report?format=html", None, SIGNED_IN, 409),
        row("POST", "/incidents/{id}/vulnerabilities", "/incidents/i/vulnerabilities", Some(cves), ADMINISTRATORS, 409),
        row("POST", "/incidents/{id}/mitigations", "/incidents/i/mitigations", Some(relief.clone()), ADMINISTRATORS, 409),
        row("POST", "/incidents/{id}/mitigations/end", "/incidents/i/mitigations/end", Some(end.clone()),
            ADMINISTRATORS, 409),
        row("POST", "/incidents/{id}/waivers", "/incidents/i/waivers", Some(relief), ADMINISTRATORS, 409),
        row("POST", "/incidents/{id}/waivers/end", "/incidents/i/waivers/end", Some(end), ADMINISTRATORS, 409),
        row("POST", "/incidents/{id}/close", "/incidents/i/close", Some(json!({})), ADMINISTRATORS, 409),
    ]
}

/// Where everybody stands. Nobody keeps an assessment in this world.
#[rustfmt::skip]
fn of_maturity() -> Vec<Row> {
    let attestation = json!({ "subject": "app:shop", "criterion": "TE-ARC-2", "link": "https://x.example" });
    let campaign = json!({ "id": "c", "title": "x", "criteria": ["TE-ARC-2"], "due": "2100-01-01T00:00:00Z" });
    let (renewal, why) = (json!({ "link": "https://x.example" }), json!({ "reason": "x" }));
    vec![
        row("GET", "/maturity/model", "/maturity/model", None, SIGNED_IN, 409),
        row("POST", "/maturity/models", "/maturity/models?preview=true", Some(json!({ "model": "cnmm" })), ADMINISTRATORS, 409),
        row("GET", "/maturity/scorecard", "/maturity/scorecard?subject=app:shop", None, SIGNED_IN, 409),
        row("GET", "/maturity/why", "/maturity/why?subject=app:shop&criterion=TE-ARC-2", None, SIGNED_IN, 409),
        row("GET", "/maturity/next", "/maturity/next?subject=app:shop", None, SIGNED_IN, 409),
        row("GET", "/maturity/history", "/maturity/history?subject=app:shop", None, SIGNED_IN, 409),
        row("GET", "/maturity/organisation", "/maturity/organisation", None, SIGNED_IN, 409),
        row("GET", "/maturity/team", "/maturity/team?name=payments", None, SIGNED_IN, 409),
        row("GET", "/maturity/heat-map", "/maturity/heat-map", None, SIGNED_IN, 409),
        row("POST", "/evidence", "/evidence", Some(json!({ "evidence": [] })), SIGNED_IN, 409),
        row("GET", "/maturity/attestations", "/maturity/attestations", None, SIGNED_IN, 409),
        row("POST", "/maturity/attestations", "/maturity/attestations", Some(attestation), SIGNED_IN, 409),
        row("POST", "/maturity/attestations/{id}/renew", "/maturity/attestations/a/renew", Some(renewal), SIGNED_IN, 409),
        row("POST", "/maturity/attestations/{id}/confirm", "/maturity/attestations/a/confirm", Some(json!({})), SIGNED_IN, 409),
        row("POST", "/maturity/attestations/{id}/revoke", "/maturity/attestations/a/revoke", Some(why), SIGNED_IN, 409),
        row("GET", "/maturity/inbox", "/maturity/inbox", None, SIGNED_IN, 409),
        row("PUT", "/maturity/targets", "/maturity/targets", Some(json!({ "app": "shop" })), SIGNED_IN, 409),
        row("GET", "/maturity/campaigns", "/maturity/campaigns", None, SIGNED_IN, 409),
        row("POST", "/maturity/campaigns", "/maturity/campaigns", Some(campaign), ADMINISTRATORS, 409),
        row("DELETE", "/maturity/campaigns/{id}", "/maturity/campaigns/c", None, ADMINISTRATORS, 409),
        row("GET", "/maturity/kpis", "/maturity/kpis", None, SIGNED_IN, 409),
        row("PUT", "/maturity/baseline", "/maturity/baseline", Some(json!({ "reason": "x" })), ADMINISTRATORS, 409),
        row("GET", "/maturity/roles", "/maturity/roles", None, ADMINISTRATORS, 409),
        row("PUT", "/maturity/roles/{role}", "/maturity/roles/sponsor", Some(json!({ "holders": [] })), ADMINISTRATORS, 409),
    ]
}

fn expected(row: &Row, who: Who) -> u16 {
    match (row.method, row.template) {
        ("POST", "/session") => 401,
        // Nobody is hindered by grants; the wrong password is.
        ("PUT", "/session/password") if who != Who::Anonymous => 403,
        // The one row that asks for a pattern which only an administrator has. It would change the others' answers.
        ("POST", "/grants") if row.allowed.is_empty() && who == Who::Administrator => 0,
        // Whoever sees none of it is told that it is not there.
        ("GET", "/application" | "/application/saved" | "/base")
            if who != Who::Anonymous && !row.allowed.contains(&who) =>
        {
            404
        }
        _ if row.allowed.contains(&who) => row.status,
        _ if who == Who::Anonymous => 401,
        _ => 403,
    }
}

#[tokio::test]
async fn each_route_answers_each_caller_as_it_should() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    let mut checks = 0;
    for row in table() {
        for who in Who::ALL {
            let expected = expected(&row, who);
            if expected == 0 {
                continue;
            }
            let answer = world.ask(who, row.method, row.target, row.body.as_ref()).await;
            checks += 1;
            if row.target == "/session" && row.method == "POST" {
                // Past the wait that too many wrong passwords cause.
                world.later(61);
            }
            if answer.status.as_u16() != expected {
                wrong.push(format!(
                    "{} {} as {}: {} instead of {expected}: {}",
                    row.method,
                    row.target,
                    who.name(),
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {checks} checks failed\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn the_table_has_every_route_that_is_described() {
    let world = World::new().await;
    let document = world
        .ask(Who::Anonymous, "GET", "/openapi.json", None)
        .await
        .expect(200)
        .json();
    let mut described = BTreeSet::from([("GET".to_owned(), "/openapi.json".to_owned())]);
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix(web::PREFIX).unwrap();
        let methods = item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| ["get", "put", "post", "delete", "patch"].contains(&key.as_str()));
        described.extend(methods.map(|method| (method.to_uppercase(), path.to_owned())));
    }
    let tested: BTreeSet<_> = table()
        .iter()
        .map(|row| (row.method.to_owned(), row.template.to_owned()))
        .collect();
    assert_eq!(tested, described);
}
