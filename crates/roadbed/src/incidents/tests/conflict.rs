//! Two sources that do not agree: affected if any of them says so, and the conflict is shown.

use time::macros::datetime;

use super::{
    dated,
    fixtures::{core, layer},
    kit::{Kit, prod},
};

/// With 2.12.2 an image is rid of it by one source, and is not by what the other one says later.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_its_mind_begins_a_generation() {
    let kit = Kit::at(datetime!(2021-12-14 12:00 UTC)).await;
    kit.push("shop/o3", "prod", &[layer(&[core("2.12.1")])]).await;
    for at in [datetime!(2021-12-14 18:01 UTC), datetime!(2021-12-15 0:08 UTC)] {
        kit.go_to(at);
        kit.import(&dated::said_at(at)).await;
    }
    let incident = kit.open("second", "CVE-2021-45046", None).await;
    assert_eq!(incident.generations()[0].targets, ["2.12.2"]);
    kit.push("shop/o3", "prod", &[layer(&[core("2.12.2")])]).await;
    kit.look().await;
    assert_eq!(kit.state("second", "shop/o3").await, "fixed");

    let later = datetime!(2025-08-17 0:00 UTC);
    kit.go_to(later);
    kit.import(&dated::said_at(later)).await;
    kit.look().await;
    let asked = kit.ask("CVE-2021-45046").await;
    // The one of before has no tag any more.
    let image = asked.items.iter().find(|image| !image.tags.is_empty()).unwrap();
    let finding = image.places[0].finding.as_ref().unwrap();
    assert_eq!(finding.fix.as_deref(), Some("2.12.3"));
    assert_eq!(finding.denied_by, ["GHSA GHSA-7rjr-3q55-vv33"]);
    assert!(
        finding
            .conflicts
            .iter()
            .any(|words| words.contains("not by GHSA-7rjr-3q55-vv33")),
        "{finding:?}"
    );

    let incident = kit.incident("second").await;
    let targets: Vec<_> = incident
        .generations()
        .iter()
        .map(|one| one.targets.join(" "))
        .collect();
    assert_eq!(targets, ["2.12.2", "2.12.3"]);
    let line = incident.line(&prod("shop/o3")).unwrap();
    assert_eq!(
        line.last_reopening.unwrap().cause,
        road::incident::ReopeningCause::Superseded
    );
    assert_eq!(kit.state("second", "shop/o3").await, "reopened");
}
