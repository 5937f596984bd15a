//! Several vulnerabilities of one package in one incident: one thing to do, and one incident for each.

use std::collections::BTreeMap;

use road::{
    incident::{Coverage, Incident, LineKey, Remedy},
    names::VulnerabilityId,
};
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::datetime};
use web::IncidentOpening;

use super::{
    dated,
    fixtures::{core, layer, own},
    kit::{Kit, operator, prod},
};

const SHELL: &str = "CVE-2021-44228";
const INCOMPLETE: &str = "CVE-2021-45046";
const DENIAL: &str = "CVE-2021-45105";

const PACKAGE: &str = "org.apache.logging.log4j:log4j-core";

const ID: &str = "log4shell";

/// What each source last said by a moment.
fn known_at(moment: OffsetDateTime) -> Vec<(String, Value)> {
    let known = dated::all().into_iter().filter(|dated| dated.at <= moment);
    let latest: BTreeMap<String, Value> = known.map(|dated| dated.document()).collect();
    latest.into_iter().collect()
}

async fn kit(moment: OffsetDateTime) -> Kit {
    let kit = Kit::at(moment).await;
    kit.import(&known_at(moment)).await;
    kit
}

fn opening(id: &str, vulnerabilities: &[&str]) -> IncidentOpening {
    IncidentOpening {
        id: Some(id.parse().unwrap()),
        title: Some("Log4Shell".to_owned()),
        vulnerabilities: vulnerabilities.iter().map(|id| id.parse().unwrap()).collect(),
        another: false,
        deadlines: web::wire::IncidentDeadlines::default(),
    }
}

fn upgrade(fixed_in: &[&str], leaves: &[&str]) -> Remedy {
    Remedy::Upgrade {
        package: PACKAGE.to_owned(),
        fixed_in: fixed_in.iter().map(|version| (*version).to_owned()).collect(),
        leaves: leaves.iter().map(|id| id.parse().unwrap()).collect(),
    }
}

fn remedies(incident: &Incident, key: &LineKey) -> Vec<Remedy> {
    incident.line(key).unwrap().remedies.clone()
}

fn targets(incident: &Incident) -> Vec<&str> {
    let last = incident.generations().last().unwrap();
    last.targets.iter().map(String::as_str).collect()
}

/// Nobody is sent to 2.15.0 or 2.16.0, which the group itself supersedes.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_version_to_go_to_that_is_without_all_of_the_group() {
    let kit = kit(datetime!(2021-12-23 0:00 UTC)).await;
    kit.push("shop/new", "prod", &[layer(&[core("2.14.1")])]).await;
    kit.push("shop/half", "prod", &[layer(&[core("2.16.0")])]).await;
    kit.push("shop/java7", "prod", &[layer(&[core("2.12.1")])]).await;
    kit.push("shop/both", "prod", &[layer(&[core("2.12.1"), core("2.14.1")])])
        .await;
    kit.settle().await;
    let all = opening(ID, &[SHELL, INCOMPLETE, DENIAL]);
    let incident = kit.incidents.open_one(&operator(), all).await.unwrap();
    for (repository, fixed_in) in [
        ("shop/new", &["2.17.0"][..]),
        ("shop/half", &["2.17.0"]),
        ("shop/java7", &["2.12.3"]),
        ("shop/both", &["2.12.3", "2.17.0"]),
    ] {
        let found = remedies(&incident, &prod(repository));
        assert_eq!(found, [upgrade(fixed_in, &[])], "{repository}");
    }
    assert_eq!(targets(&incident), ["2.12.3", "2.17.0"]);
    let told = road::message::messages(&incident, None, kit.now());
    let said = serde_json::to_string(&told).unwrap();
    assert!(!said.contains("2.15.0") && !said.contains("2.16.0"), "{said}");
    // The same after a look, and after a start.
    kit.look().await;
    assert_eq!(*kit.incident(ID).await, *incident);
    // What was found later makes the fix none, and the one thing to do another one.
    kit.go_to(datetime!(2021-12-29 12:00 UTC));
    kit.import(&dated::said_at(datetime!(2021-12-29 12:00 UTC))).await;
    let id = ID.parse().unwrap();
    let add = web::IncidentChange::Add(vec!["CVE-2021-44832".parse().unwrap()]);
    kit.settle().await;
    let incident = kit.incidents.change_one(&operator(), &id, add).await.unwrap();
    let found = remedies(&incident, &prod("shop/both"));
    assert_eq!(found, [upgrade(&["2.12.4", "2.17.1"], &[])]);
    assert_eq!(incident.generations().len(), 2);
    assert_eq!(targets(&incident), ["2.12.4", "2.17.1"]);
}

/// A part that nothing fixes yet is named, and does not hide the version that helps against the rest.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_fixes_yet_is_named_beside_the_version_that_helps() {
    let kit = kit(datetime!(2021-12-10 0:41 UTC)).await;
    let unfixed = json!({
        "id": "GHSA-none", "aliases": ["CVE-2021-99999"], "modified": "2021-12-10T00:00:00Z",
        "affected": [{
            "package": { "ecosystem": "Maven", "name": PACKAGE },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }] }],
        }],
    });
    kit.import(&[("ghsa/GHSA-none.json".to_owned(), unfixed)]).await;
    kit.push("shop/new", "prod", &[layer(&[core("2.14.1")])]).await;
    kit.settle().await;
    let both = opening(ID, &[SHELL, "CVE-2021-99999"]);
    let incident = kit.incidents.open_one(&operator(), both).await.unwrap();
    let found = remedies(&incident, &prod("shop/new"));
    assert_eq!(found, [upgrade(&["2.15.0"], &["CVE-2021-99999"])]);
    let as_work = opening("work-none", &["CVE-2021-99999"]);
    let refused = kit.incidents.open_one(&operator(), as_work).await;
    assert!(matches!(refused, Err(web::IncidentsError::Malformed(_))));
    let none = opening("none", &["CVE-2021-99999"]);
    let refused = kit.incidents.open_one(&operator(), none.clone()).await;
    assert!(refused.is_err());
    let alone = IncidentOpening {
        another: true,
        ..none
    };
    let incident = kit.incidents.open_one(&operator(), alone).await.unwrap();
    let found = remedies(&incident, &prod("shop/new"));
    let nothing = Remedy::NoFix {
        package: PACKAGE.to_owned(),
    };
    assert_eq!(found, [nothing]);
}

/// Owners would be told the same twice, by two clocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_incident_about_the_same_names_the_first_one() {
    let kit = kit(datetime!(2021-12-18 18:00 UTC)).await;
    kit.push("shop/new", "prod", &[layer(&[core("2.14.1")])]).await;
    kit.settle().await;
    let open = async |opening| kit.incidents.open_one(&operator(), opening).await;
    open(opening(ID, &[SHELL, INCOMPLETE])).await.unwrap();
    // By another of its ids, and with one that is new.
    let again = opening("again", &["GHSA-7rjr-3q55-vv33", DENIAL]);
    let refused = open(again.clone()).await.unwrap_err();
    assert!(matches!(refused, web::IncidentsError::Conflict(_)), "{refused:?}");
    let words = refused.to_string();
    for part in [
        "log4shell",
        INCOMPLETE,
        "roadbed incident add log4shell CVE-2021-45105",
        "--another",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(
        kit.store
            .incident(&"again".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
    open(opening("other", &[DENIAL])).await.unwrap();
    let another = IncidentOpening {
        another: true,
        ..again.clone()
    };
    open(another).await.unwrap();
    // A start knows of it as well.
    let anew = kit.started_anew();
    assert!(
        anew.open_one(&operator(), opening("new", &[SHELL]))
            .await
            .is_err()
    );
    // One that is closed stands in nobody's way.
    kit.delete_tag("shop/new", "prod").await;
    kit.look().await;
    for id in [ID, "again", "other"] {
        let close = web::IncidentChange::Close { note: String::new() };
        let id = id.parse().unwrap();
        kit.incidents.change_one(&operator(), &id, close).await.unwrap();
    }
    open(opening("new", &[SHELL])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_over_is_no_day_by_which_something_can_be_done() {
    let kit = kit(datetime!(2021-12-18 18:00 UTC)).await;
    kit.push("shop/new", "prod", &[layer(&[core("2.14.1")])]).await;
    kit.settle().await;
    let by = async |by| {
        let mut opening = opening(ID, &[SHELL]);
        opening.deadlines.by = Some(web::wire::Moment(super::super::timestamp(by)));
        kit.incidents.open_one(&operator(), opening).await
    };
    let refused = by(datetime!(2021-12-18 18:00 UTC)).await.unwrap_err();
    assert!(refused.to_string().contains("lies ahead"), "{refused}");
    by(datetime!(2021-12-24 0:00 UTC)).await.unwrap();
}

/// Whoever may not pull a repository does not learn from fixes which line of releases it is on.
#[tokio::test(flavor = "multi_thread")]
async fn fixes_of_repositories_that_somebody_may_not_pull_are_not_shown() {
    let kit = kit(datetime!(2021-12-23 0:00 UTC)).await;
    kit.push("shop/new", "prod", &[layer(&[core("2.14.1"), own("new")])])
        .await;
    kit.push("secret/java7", "prod", &[layer(&[core("2.12.1"), own("old")])])
        .await;
    kit.settle().await;
    let incident = kit
        .incidents
        .open_one(&operator(), opening(ID, &[SHELL]))
        .await
        .unwrap();
    let shell: VulnerabilityId = SHELL.parse().unwrap();
    assert_eq!(incident.vulnerabilities()[0].id, shell);
    assert_eq!(incident.vulnerabilities()[0].fixed_in, ["2.12.2", "2.15.0"]);
    let only = Incident::clone(&incident);
    let only = only.only(|repo| repo.as_str().starts_with("shop/"), Coverage::default());
    assert_eq!(only.vulnerabilities()[0].fixed_in, ["2.15.0"]);
    assert_eq!(targets(&only), ["2.15.0"]);
    let report = only.report(kit.now()).to_json().unwrap();
    assert!(
        !report.contains("2.12.2") && !report.contains("secret/"),
        "{report}"
    );
}
