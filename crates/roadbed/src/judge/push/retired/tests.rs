use std::collections::BTreeMap;

use oci::Algorithm;
use road::application::{Applications, Source, Statement};
use road::base::{Bases, Promise};
use road::lineage::{BaseIndex, Release, Word};
use road::paving::{Paving, RoadEntry};
use time::macros::datetime;

use super::*;

const RETIRED: OffsetDateTime = datetime!(2026-10-01 0:00 UTC);

const RULES: RoadAtPush = RoadAtPush {
    refuse_retired: true,
    notice: Duration::days(30),
};

fn layer(name: &str) -> Digest {
    Digest::of(Algorithm::Sha256, name.as_bytes())
}

fn base(name: &str, lifecycle: Lifecycle, replaced_by: Option<&str>) -> BaseImage {
    BaseImage {
        name: name.parse().unwrap(),
        owner: "platform".parse().unwrap(),
        contact: None,
        repository: format!("base/{name}").parse().unwrap(),
        channels: BTreeMap::new(),
        lifecycle,
        supported_until: RETIRED + Duration::days(900),
        replaced_by: replaced_by.map(|by| by.parse().unwrap()),
        rebase: None,
        patch_within: Promise::default(),
        retire_notice: None,
        signer: None,
    }
}

fn release(base: &str, layers: &[&str]) -> Release {
    Release {
        base: base.parse().unwrap(),
        digest: layer(base),
        version: "1".to_owned(),
        platform: "linux/amd64".to_owned(),
        diff_ids: layers.iter().map(|name| layer(name)).collect(),
        released_at: RETIRED - Duration::days(90),
        superseded: None,
        is_target: true,
        word: Word::Pusher,
    }
}

/// java17, which is retired, and java21 on debian12, which is retired too.
fn road(change: impl FnOnce(&mut BaseImage)) -> RoadEntries {
    let mut java17 = base("java17", Lifecycle::Retired, Some("java21"));
    change(&mut java17);
    let others = [
        base("java21", Lifecycle::Supported, None),
        base("debian12", Lifecycle::Retired, None),
    ];
    let releases = vec![
        release("java17", &["os", "j17"]),
        release("debian12", &["debian"]),
        release("java21", &["debian", "j21"]),
    ];
    let since = ["java17", "debian12"].map(|name| (name.parse().unwrap(), RETIRED));
    RoadEntries {
        bases: Bases::build([java17].into_iter().chain(others).collect()).unwrap(),
        releases: BaseIndex::build(releases).unwrap(),
        retired: since.into_iter().collect(),
        ..RoadEntries::default()
    }
}

fn asked(road: &RoadEntries, repo: &str, layers: &[&str], days: i64) -> Option<String> {
    let layers: Vec<Option<Digest>> = layers.iter().map(|name| Some(layer(name))).collect();
    RULES.refusal(
        road,
        &repo.parse().unwrap(),
        &layers,
        RETIRED + Duration::days(days),
    )
}

#[test]
fn it_is_refused_once_the_notice_is_over_and_told_what_to_use() {
    let road = road(|_| {});
    assert_eq!(asked(&road, "team/app", &["os", "j17", "app"], 29), None);
    let refusal = asked(&road, "team/app", &["os", "j17", "app"], 30).unwrap();
    assert!(
        refusal.contains("base java17, which was retired on 2026-10-01"),
        "{refusal}"
    );
    assert!(
        refusal.contains("since 2026-10-31: build it on java21 (base/java21)"),
        "{refusal}"
    );
    let refusal = asked(&road, "team/app", &["debian", "app"], 30).unwrap();
    assert!(refusal.contains("ask group:platform what"), "{refusal}");
    // A base that is on the road answers for what is below it; what stands on nothing is nobody's.
    assert_eq!(asked(&road, "team/app", &["debian", "j21", "app"], 900), None);
    assert_eq!(asked(&road, "team/app", &["else"], 900), None);
    assert_eq!(asked(&road, "base/java17", &["os", "j17", "patch"], 900), None);
}

#[test]
fn a_base_may_give_another_notice() {
    let longer = road(|java| java.retire_notice = Some(60 * 24 * 60 * 60));
    assert_eq!(asked(&longer, "team/app", &["os", "j17", "app"], 59), None);
    for seconds in [u64::MAX, i64::MAX.unsigned_abs()] {
        let endless = road(|java| java.retire_notice = Some(seconds));
        assert_eq!(asked(&endless, "team/app", &["os", "j17", "app"], 9_999), None);
    }
    assert!(asked(&longer, "team/app", &["os", "j17", "app"], 60).is_some());
    let never = road(|java| java.lifecycle = Lifecycle::Deprecated);
    assert_eq!(asked(&never, "team/app", &["os", "j17", "app"], 900), None);
}

#[test]
fn layers_are_looked_at_only_where_something_is_refused() {
    let road = road(|_| {});
    assert!(!RULES.is_asked(&road, RETIRED + Duration::days(29)));
    assert!(RULES.is_asked(&road, RETIRED + Duration::days(30)));
    let off = RoadAtPush {
        refuse_retired: false,
        ..RULES
    };
    assert!(!off.is_asked(&road, RETIRED + Duration::days(900)));
    assert!(!RULES.is_asked(&RoadEntries::default(), RETIRED));
}

#[test]
fn an_exemption_counts_while_it_lives() {
    let mut road = road(|_| {});
    let mut statement = Statement::new("shop".parse().unwrap(), Source::Declared, "entry");
    statement.repositories = vec!["team/**".parse().unwrap()];
    road.applications = Applications::build(vec![statement]).unwrap();
    let exemption = r#"{"kind": "Exemption", "entry": {"application": "shop", "rule": "base", "reason": "late",
        "owner": "shop", "approved_by": ["platform"], "from": "2026-10-01T00:00:00Z",
        "until": "2026-12-01T00:00:00Z", "max_renewals": 0}}"#;
    let exemption: RoadEntry = serde_json::from_str(exemption).unwrap();
    road.paving = Paving::build(&road.bases, vec![exemption]).unwrap();
    assert_eq!(asked(&road, "team/app", &["os", "j17", "app"], 40), None);
    assert!(asked(&road, "team/app", &["os", "j17", "app"], 70).is_some());
    // By the word of an image alone nobody is exempt.
    let mut own = Statement::new("shop".parse().unwrap(), Source::Annotation, "image");
    own.repositories = vec!["thief/app".parse().unwrap()];
    road.applications = Applications::build(vec![own]).unwrap();
    let whose = road
        .applications
        .owner_of(&"thief/app".parse().unwrap())
        .application();
    assert_eq!(whose.unwrap().name.as_str(), "shop");
    assert!(asked(&road, "thief/app", &["os", "j17", "app"], 40).is_some());
}
