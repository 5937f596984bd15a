//! Step 11 of the replay: what is not known is said.

use time::macros::datetime;

use super::{
    dated,
    fixtures::{core, layer, own, unreadable},
    kit::Kit,
};

#[tokio::test(flavor = "multi_thread")]
async fn where_a_third_is_not_known_the_headline_says_so() {
    let kit = Kit::at(datetime!(2021-12-09 12:00 UTC)).await;
    for number in 0..10 {
        let name = format!("shop/s{number}");
        let file = match number {
            0..3 => unreadable(),
            3..6 => core("2.14.1"),
            _ => own("nothing"),
        };
        kit.push(&name, "prod", &[layer(&[file, own(&name)])]).await;
    }
    let mut statement = road::application::Statement::new(
        "shop".parse().unwrap(),
        road::application::Source::Declared,
        "test",
    );
    statement.repositories = vec!["shop/**".parse().unwrap()];
    statement.owner = Some("team-shop".parse().unwrap());
    kit.store
        .set_application(&super::kit::operator(), &statement)
        .await
        .unwrap();
    kit.go_to(datetime!(2021-12-10 0:41 UTC));
    kit.import(&dated::said_at(datetime!(2021-12-10 0:41 UTC))).await;
    let incident = kit.open("log4shell", "CVE-2021-44228", None).await;
    let headline = incident.report(kit.now()).headline;
    assert_eq!(
        headline,
        "at least 3 affected; 30 % of images not scannable or without owner"
    );
    // No line of it is a bare number.
    let report = incident.report(kit.now());
    assert!(
        report.parts[0].words().ends_with("open: at least 3 affected"),
        "{:?}",
        report.parts
    );
    let entry = web::wire::IncidentEntry::of(&incident, kit.now());
    assert!(entry.at_least);
    let told = road::message::messages(&incident, None, kit.now());
    assert!(told.iter().all(|message| message.at_least));
    let asked = kit.ask("CVE-2021-44228").await;
    assert!(
        asked.headline.contains("at least 3 of 10 images affected"),
        "{}",
        asked.headline
    );
    // A tag that moves on to what nobody can look into is not fixed.
    kit.push("shop/s4", "prod", &[layer(&[unreadable(), own("later")])])
        .await;
    kit.look().await;
    let incident = kit.incident("log4shell").await;
    let line = incident.line(&super::kit::prod("shop/s4")).unwrap();
    assert!(line.state(kit.now()).is_open());
    let headline = incident.report(kit.now()).headline;
    assert_eq!(
        headline,
        "at least 3 affected; 36 % of images not scannable or without owner"
    );
    assert_eq!(line.remedies[0].waits_on(), "somebody to look");
}
