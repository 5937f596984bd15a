//! Each limit, exceeded.

use road::incident::ReliefKind;
use time::macros::datetime;
use web::{IncidentChange, LineSelection};

use super::{
    super::{MAX_FOLLOWED, change::MAX_SELECTED},
    dated,
    fixtures::{core, layer},
    kit::{Kit, operator},
};

const CVE: &str = "CVE-2021-44228";

/// What one push may carry.
const TAGS_A_PUSH: usize = 64;

async fn kit(tags: usize) -> Kit {
    let kit = Kit::at(datetime!(2021-12-10 0:41 UTC)).await;
    kit.import(&dated::said_at(datetime!(2021-12-10 0:41 UTC))).await;
    let tags: Vec<String> = (0..tags).map(|number| format!("t{number}")).collect();
    for some in tags.chunks(TAGS_A_PUSH) {
        kit.push_as("shop/a", some, &[layer(&[core("2.14.1")])]).await;
    }
    kit.settle().await;
    kit
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_too_many_to_follow_is_refused_until_one_is_over() {
    let kit = kit(1).await;
    let opening = |id: &str| web::IncidentOpening {
        id: Some(id.parse().unwrap()),
        title: None,
        vulnerabilities: vec![CVE.parse().unwrap()],
        deadlines: web::wire::IncidentDeadlines::default(),
        another: true,
    };
    for number in 0..MAX_FOLLOWED {
        let opening = opening(&format!("i{number}"));
        kit.incidents.open_one(&operator(), opening).await.unwrap();
    }
    let refused = kit
        .incidents
        .open_one(&operator(), opening("more"))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "100 incidents are open: close one of them first"
    );
    kit.delete_tag("shop/a", "t0").await;
    kit.look().await;
    let id = "i7".parse().unwrap();
    let close = IncidentChange::Close { note: String::new() };
    kit.incidents.change_one(&operator(), &id, close).await.unwrap();
    kit.incidents
        .open_one(&operator(), opening("more"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tags_than_one_request_may_waive_are_refused() {
    let kit = kit(MAX_SELECTED + 1).await;
    let incident = kit.open("log4shell", CVE, None).await;
    let all: Vec<_> = incident.lines().map(|line| line.key.clone()).collect();
    assert_eq!(all.len(), MAX_SELECTED + 1);
    let waive = |lines: &[road::incident::LineKey]| IncidentChange::Relieve {
        kind: ReliefKind::Waiver,
        lines: LineSelection {
            lines: lines.to_vec(),
            ..LineSelection::default()
        },
        covers: Vec::new(),
        until: datetime!(2021-12-24 0:00 UTC),
        reason: "borne".to_owned(),
    };
    let id = "log4shell".parse().unwrap();
    let refused = kit.incidents.change_one(&operator(), &id, waive(&all)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("at most 500 at a time"), "{refused}");
    let waived = kit
        .incidents
        .change_one(&operator(), &id, waive(&all[..MAX_SELECTED]))
        .await;
    let open = waived.unwrap().report(kit.now()).total.open;
    assert_eq!(open, 1);
}
