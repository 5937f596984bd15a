//! How it ends: what is followed on after the closing, for how long, and what becomes of what advisories take back.

use road::incident::{State, Status};
use serde_json::json;
use time::macros::datetime;
use web::IncidentChange;

use super::{
    dated,
    kit::{Kit, operator, prod},
    moves::{image, kit},
};

const CVE: &str = "CVE-2021-44228";

const ID: &str = "log4shell";

async fn closed() -> Kit {
    let kit = kit().await;
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    kit.push("shop/a", "prod", &image("2.15.0")).await;
    kit.look().await;
    let close = IncidentChange::Close {
        note: "all done".to_owned(),
    };
    let id = ID.parse().unwrap();
    kit.incidents.change_one(&operator(), &id, close).await.unwrap();
    kit
}

/// The clock alone ends it; no start is needed.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_after_ninety_days_opens_nothing_again() {
    let kit = closed().await;
    kit.go_to(datetime!(2022-03-09 0:00 UTC));
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "reopened");
    kit.push("shop/a", "prod", &image("2.15.0")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "fixed");
    // The ninety days begin anew with the last that was done.
    kit.go_to(datetime!(2022-06-06 0:00 UTC));
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "reopened");
    kit.push("shop/a", "prod", &image("2.15.0")).await;
    kit.look().await;
    kit.go_to(datetime!(2022-09-05 0:00 UTC));
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "fixed");
    // Another one can be opened for it.
    let again = kit.open("again", CVE, None).await;
    assert_eq!(again.lines().len(), 1);
}

/// Both sources take it back: nothing was fixed, and nothing is open.
#[tokio::test(flavor = "multi_thread")]
async fn what_advisories_take_back_is_gone_with_the_reason() {
    let kit = kit().await;
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    let said = dated::said_at(datetime!(2021-12-10 0:41 UTC));
    let withdrawn = |mut document: serde_json::Value| {
        document["withdrawn"] = json!("2021-12-11T08:00:00Z");
        document["modified"] = json!("2021-12-11T08:00:00Z");
        document
    };
    kit.go_to(datetime!(2021-12-11 8:00 UTC));
    let taken_back = said
        .iter()
        .map(|(name, document)| (name.clone(), withdrawn(document.clone())));
    kit.import(&taken_back.collect::<Vec<_>>()).await;
    kit.look().await;
    let incident = kit.incident(ID).await;
    let line = incident.line(&prod("shop/a")).unwrap();
    assert_eq!(line.state(kit.now()), State::Gone);
    let why = line.gone.clone().unwrap();
    for part in [
        CVE,
        "GHSA-jfh8-c2jp-5v3q was withdrawn on 2021-12-11",
        "APACHE-CVE-2021-44228",
    ] {
        assert!(why.contains(part), "{why}");
    }
    let report = incident.report(kit.now());
    assert_eq!((report.total.gone, report.total.fixed), (1, 0));
    assert!(
        report.to_markdown().contains("was withdrawn on"),
        "{}",
        report.to_markdown()
    );
    // Looking again changes nothing, and closing is allowed.
    kit.look().await;
    assert_eq!(*kit.incident(ID).await, *incident);
    // They say it again.
    kit.go_to(datetime!(2021-12-12 8:00 UTC));
    let again = said.into_iter().map(|(name, mut document)| {
        document["modified"] = json!("2021-12-12T08:00:00Z");
        (name, document)
    });
    kit.import(&again.collect::<Vec<_>>()).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "reopened");
}

/// A feed that was taken out of the configuration: of what it said, nobody says that it is over.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_merely_not_there_was_taken_back_by_nobody() {
    let kit = kit().await;
    kit.go_to(datetime!(2021-12-11 8:00 UTC));
    let said = dated::said_at(datetime!(2021-12-10 0:41 UTC));
    let taken_back = said.into_iter().map(|(name, mut document)| {
        document["withdrawn"] = json!("2021-12-11T08:00:00Z");
        document["modified"] = json!("2021-12-11T08:00:00Z");
        (name, document)
    });
    kit.import(&taken_back.collect::<Vec<_>>()).await;
    let (known, missing) = ("GHSA-jfh8-c2jp-5v3q".to_owned(), "NOBODY-KNOWS-1".to_owned());
    let words = async |ids: &[String]| kit.incidents.words_of(ids).await.unwrap();
    assert_eq!(
        words(std::slice::from_ref(&known)).await.as_deref(),
        Some("GHSA-jfh8-c2jp-5v3q was withdrawn on 2021-12-11")
    );
    assert_eq!(words(&[known.clone(), missing.clone()]).await, None);
    assert_eq!(words(&[missing.clone(), known]).await, None);
    assert_eq!(words(&[missing]).await, None);
}

/// One that changes so that the version is not meant any more fixes nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_of_the_same_image_any_more_was_not_fixed() {
    let kit = kit().await;
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.push("shop/b", "prod", &image("2.13.3")).await;
    kit.open(ID, CVE, None).await;
    kit.go_to(datetime!(2021-12-11 8:00 UTC));
    let said = dated::said_at(datetime!(2021-12-10 0:41 UTC)).into_iter();
    let narrower = said.map(|(name, mut document)| {
        document["affected"][0]["ranges"][0]["events"] =
            json!([{ "introduced": "2.0" }, { "fixed": "2.14.0" }]);
        document["modified"] = json!("2021-12-11T08:00:00Z");
        (name, document)
    });
    kit.import(&narrower.collect::<Vec<_>>()).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "gone");
    assert_eq!(kit.state(ID, "shop/b").await, "open");
    let incident = kit.incident(ID).await;
    let why = incident.line(&prod("shop/a")).unwrap().gone.clone().unwrap();
    assert!(why.contains("nothing says any more"), "{why}");
    assert_eq!(incident.status(kit.now()), Status::Open);
}

/// What a closed incident says was true when it was closed; what comes later counts once it is open again.
#[tokio::test(flavor = "multi_thread")]
async fn what_advisories_say_after_the_closing_changes_nothing_of_it() {
    let kit = closed().await;
    let closed = kit.incident(ID).await;
    let severity = |incident: &road::incident::Incident| incident.vulnerabilities()[0].severity;
    assert_eq!(severity(&closed), findings::Severity::Critical);
    kit.go_to(datetime!(2021-12-20 8:00 UTC));
    let said = dated::said_at(datetime!(2021-12-10 0:41 UTC)).into_iter();
    let lowered = said.map(|(name, mut document)| {
        document["severity"] =
            json!([{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N" }]);
        document["database_specific"] = json!({ "severity": "LOW" });
        document["affected"][0]["ranges"][0]["events"] =
            json!([{ "introduced": "2.0" }, { "fixed": "2.14.9" }]);
        document["modified"] = json!("2021-12-20T08:00:00Z");
        (name, document)
    });
    kit.import(&lowered.collect::<Vec<_>>()).await;
    kit.look().await;
    let later = kit.incident(ID).await;
    assert_eq!(later.vulnerabilities(), closed.vulnerabilities());
    assert_eq!(later.generations(), closed.generations());
    assert_eq!(later.coverage(), closed.coverage());
    // It comes back, and says what is known by now.
    kit.push("shop/a", "prod", &image("2.13.3")).await;
    kit.look().await;
    kit.look().await;
    let again = kit.incident(ID).await;
    assert_eq!(again.status(kit.now()), Status::Reopened);
    assert_eq!(severity(&again), findings::Severity::Low);
}
