//! What is pushed, moved and deleted while an incident is open.

use road::incident::{EventKind, Remedy, Status};
use store::NewInUse;
use time::macros::datetime;
use web::IncidentChange;

use super::{
    dated,
    fixtures::{core, core_without_lookup, layer, own, spring},
    kit::{Kit, operator, prod},
};

const CVE: &str = "CVE-2021-44228";

const ID: &str = "log4shell";

/// On the first morning, with what was known then.
pub(super) async fn kit() -> Kit {
    let kit = Kit::at(datetime!(2021-12-09 12:00 UTC)).await;
    kit.go_to(datetime!(2021-12-10 0:41 UTC));
    kit.import(&dated::said_at(datetime!(2021-12-10 0:41 UTC))).await;
    kit
}

/// An image with log4j-core.
pub(super) fn image(version: &str) -> [Vec<u8>; 1] {
    [layer(&[core(version)])]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_takes_the_place_of_an_old_tag_that_nobody_uses() {
    let kit = kit().await;
    for tag in ["1.4.1", "1.4.2", "2.0.0", "latest"] {
        kit.push("shop/cart", tag, &image("2.14.1")).await;
    }
    let digest = kit.push("shop/cart", "1.3.0", &image("2.13.3")).await;
    kit.push("shop/till", "1.0.0", &image("2.14.1")).await;
    kit.push("shop/till", "1.0.1", &image("2.15.0")).await;
    let incident = kit.open(ID, CVE, None).await;
    let lines: Vec<String> = incident.lines().map(|line| line.key.to_string()).collect();
    // 1.0.0 of the till is over already.
    assert_eq!(
        lines,
        ["1.3.0", "1.4.1", "1.4.2", "2.0.0", "latest"].map(|tag| format!("shop/cart:{tag}"))
    );
    // Somebody says that the oldest runs.
    let in_use = NewInUse {
        repo: "shop/cart".parse().unwrap(),
        references: vec![oci::Reference::Digest(digest)],
        until: kit.store.now().plus(std::time::Duration::from_hours(24)),
        reason: "it runs".to_owned(),
    };
    assert!(kit.store.set_in_use(in_use, &operator()).await.unwrap());
    kit.push("shop/cart", "1.4.3", &image("2.15.0")).await;
    kit.look().await;
    let incident = kit.incident(ID).await;
    let states = incident.lines().map(|line| line.state(kit.now()).as_str());
    let states: Vec<&str> = states.collect();
    assert_eq!(states, ["open", "fixed", "fixed", "open", "open"]);
}

/// `1.4` is moved along with its versions; whoever forgot to is told which one is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tag_of_the_same_line_is_what_is_to_be_used() {
    let kit = kit().await;
    for tag in ["1.4", "1.4.1", "latest"] {
        kit.push("shop/cart", tag, &image("2.14.1")).await;
    }
    kit.open(ID, CVE, None).await;
    let remedies = async |tag: &str| {
        let incident = kit.incident(ID).await;
        let line = incident.line(&format!("shop/cart:{tag}").parse().unwrap());
        line.unwrap().remedies.clone()
    };
    assert!(matches!(
        remedies("1.4").await.as_slice(),
        [Remedy::Upgrade { .. }]
    ));
    kit.push("shop/cart", "1.4.2", &image("2.15.0")).await;
    kit.push("shop/cart", "1.4.10", &image("2.15.0")).await;
    // A later one that has it is none to go to.
    kit.push("shop/cart", "1.4.11", &image("2.14.1")).await;
    kit.look().await;
    let newer = Remedy::NewerTag {
        tag: "1.4.10".to_owned(),
    };
    assert_eq!(remedies("1.4").await, [newer]);
    assert!(matches!(
        remedies("latest").await.as_slice(),
        [Remedy::Upgrade { .. }]
    ));
    let incident = kit.incident(ID).await;
    let key = "shop/cart:1.4.1".parse().unwrap();
    assert_eq!(incident.line(&key).unwrap().state(kit.now()).as_str(), "fixed");
    assert_eq!(incident.report(kit.now()).waiting_on["a move to a newer tag"], 1);
}

/// Whoever is told to use a tag must be able to, and must not come from bad to worse.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tag_that_is_refused_or_brings_worse_is_none_to_go_to() {
    let kit = kit().await;
    let policy = "version: 1\nrules:\n  - {id: any, when: finding.kind == 'vulnerability', decide: warn}\n  \
                  - {id: bad, when: \"image.labels.of == 'shop/cart:1.4.2'\", decide: refuse}\n";
    let who = operator();
    let set = kit.store.set_policy(policy, "sha256:x", &who);
    set.await.unwrap();
    let worse = |id: &str| {
        let document = serde_json::json!({
            "schema_version": "1.6.0", "id": id, "published": "2021-12-10T01:00:00Z", "modified": "2021-12-10T01:00:00Z",
            "affected": [{
                "package": { "ecosystem": "Maven", "name": "com.example:shop" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }] }],
            }],
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H" }],
        });
        (format!("ghsa/{id}.json"), document)
    };
    kit.import(&[worse("GHSA-aaaa-aaaa-aaaa"), worse("GHSA-bbbb-bbbb-bbbb")])
        .await;
    kit.push("shop/cart", "1.4", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    kit.push("shop/cart", "1.4.1", &image("2.15.0")).await;
    kit.push("shop/cart", "1.4.2", &image("2.15.0")).await;
    kit.push(
        "shop/cart",
        "1.4.3",
        &[layer(&[core("2.15.0"), spring("2.15.0")])],
    )
    .await;
    let remedies = async || {
        kit.look().await;
        let incident = kit.incident(ID).await;
        let key = "shop/cart:1.4".parse().unwrap();
        incident.line(&key).unwrap().remedies.clone()
    };
    let tag = "1.4.1".to_owned();
    assert_eq!(remedies().await, [Remedy::NewerTag { tag }]);
    kit.delete_tag("shop/cart", "1.4.1").await;
    let now = remedies().await;
    assert!(matches!(now.as_slice(), [Remedy::Upgrade { .. }]), "{now:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_and_what_is_fixed_stays_so() {
    let kit = kit().await;
    for name in ["shop/a", "shop/b", "shop/c"] {
        kit.push(name, "prod", &[layer(&[core("2.14.1"), own(name)])])
            .await;
    }
    kit.open(ID, CVE, None).await;
    kit.delete_tag("shop/a", "prod").await;
    kit.push("shop/b", "prod", &image("2.15.0")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "gone");
    assert_eq!(kit.state(ID, "shop/b").await, "fixed");
    kit.delete_tag("shop/b", "prod").await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/b").await, "fixed");
    assert_eq!(kit.state(ID, "shop/c").await, "open");
    // What was looked at is not written again.
    let events = kit
        .store
        .incident(&ID.parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .events;
    kit.look().await;
    let again = kit
        .store
        .incident(&ID.parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .events;
    assert_eq!(events, again);
    // Rolled back, and deleted and pushed anew.
    kit.push("shop/b", "prod", &[layer(&[core("2.14.1"), own("shop/b")])])
        .await;
    kit.push("shop/a", "prod", &image("2.16.0")).await;
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/b").await, "reopened");
    assert_eq!(kit.state(ID, "shop/a").await, "fixed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_owns_it_is_told_as_it_is_at_last_and_the_line_stays_the_same() {
    let kit = kit().await;
    kit.push("shop/a", "prod", &[layer(&[core_without_lookup("2.14.1")])])
        .await;
    kit.push("shop/b", "prod", &image("2.14.1")).await;
    let incident = kit.open(ID, CVE, None).await;
    assert_eq!(incident.coverage().without_owner, 2);
    assert_eq!(incident.line(&prod("shop/a")).unwrap().owner, None);
    assert_eq!(kit.state(ID, "shop/a").await, "mitigated");
    let mut statement = road::application::Statement::new(
        "till".parse().unwrap(),
        road::application::Source::Declared,
        "test",
    );
    statement.repositories = vec!["shop/**".parse().unwrap()];
    statement.owner = Some("team-till".parse().unwrap());
    kit.store.set_application(&operator(), &statement).await.unwrap();
    kit.look().await;
    let incident = kit.incident(ID).await;
    assert_eq!(incident.lines().len(), 2);
    let line = incident.line(&prod("shop/a")).unwrap();
    assert_eq!(line.owner.as_ref().unwrap().to_string(), "group:team-till");
    assert_eq!(line.key.application.as_ref().unwrap().as_str(), "till");
    let messages = kit.incidents.messages_of(incident.id(), kit.now()).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].parts[0].open, messages[0].parts[0].settled), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_finds_what_happened_while_nobody_looked() {
    let kit = kit().await;
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    kit.push("shop/a", "prod", &image("2.15.0")).await;
    kit.settle().await;
    let anew = kit.started_anew();
    let id = ID.parse().unwrap();
    assert!(
        anew.look().await.unwrap(),
        "nothing is followed before it was read"
    );
    assert!(anew.current(&id).await.unwrap().is_some());
    assert!(anew.look().await.unwrap());
    let line = anew.current(&id).await.unwrap().unwrap().incident;
    assert_eq!(
        line.line(&prod("shop/a")).unwrap().state(kit.now()).as_str(),
        "fixed"
    );
    // The other one has written nothing of it and does not know: it is refused, reads it again, and goes on.
    assert!(!kit.incidents.look().await.unwrap());
    kit.look().await;
    assert_eq!(kit.state(ID, "shop/a").await, "fixed");
    assert!(kit.incidents.pressing(kit.now()).await.unwrap().is_empty());
    let closed = IncidentChange::Close {
        note: "over".to_owned(),
    };
    let closed = kit.incidents.change_one(&operator(), &id, closed).await.unwrap();
    assert!(matches!(closed.status(kit.now()), Status::Closed { .. }));
    let stored = kit.store.incident(&id).await.unwrap().unwrap();
    assert!(stored.settled_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_look_are_those_of_one_moment() {
    let kit = kit().await;
    kit.push("shop/a", "prod", &image("2.14.1")).await;
    kit.open(ID, CVE, None).await;
    kit.go_to(datetime!(2021-12-10 9:00 UTC));
    kit.push("shop/a", "prod", &image("2.15.0")).await;
    kit.look().await;
    let events = kit
        .store
        .incident_events(&ID.parse().unwrap(), 0, 100)
        .await
        .unwrap();
    let last = events.last().unwrap();
    assert_eq!(
        (last.at, last.actor.as_str()),
        (datetime!(2021-12-10 9:00 UTC), store::SYSTEM)
    );
    assert!(matches!(&last.kind, EventKind::Seen { lines } if lines.len() == 1));
}
