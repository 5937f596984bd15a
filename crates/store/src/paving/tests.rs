//! The catalogue: kept together, renewed, read back, warned of.

use road::base::{BaseImage, Lifecycle};
use road::debt::{Debt, DebtState};
use road::ends::endings;
use time::OffsetDateTime;

use super::*;
use crate::base::tests::base;
use crate::testing::Kit;
use crate::{Declared, EventFilter};

fn until(kit: &Kit, days: i64) -> OffsetDateTime {
    kit.store.now().to_utc() + time::Duration::days(days)
}

fn app_road(kit: &Kit, days: i64) -> RoadEntry {
    let text = format!(
        r#"{{"kind": "AppRoad", "entry": {{"application": "checkout", "owner": "shop", "ring": "early",
            "auto_rebase": "auto", "until": "{}"}}}}"#,
        Timestamp::from(until(kit, days))
    );
    serde_json::from_str(&text).unwrap()
}

fn exemption(kit: &Kit, days: i64, reason: &str) -> RoadEntry {
    let text = format!(
        r#"{{"kind": "Exemption", "entry": {{"application": "video", "rule": "TE-CON-2", "reason": "{reason}",
            "owner": "video", "approved_by": ["platform"], "from": "{}", "until": "{}", "max_renewals": 1}}}}"#,
        kit.store.now(),
        Timestamp::from(until(kit, days))
    );
    serde_json::from_str(&text).unwrap()
}

fn path(bases: &str) -> RoadEntry {
    let text = format!(
        r#"{{"kind": "GoldenPath", "entry": {{"id": "java@3", "owner": "platform", "bases": ["{bases}"],
            "supported_until": "2090-01-01T00:00:00Z"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

async fn apply(
    kit: &Kit,
    bases: Vec<BaseImage>,
    road: Vec<RoadEntry>,
    prune: bool,
) -> Result<usize, AdminError> {
    let declared = Declared {
        bases,
        road,
        ..Declared::default()
    };
    let plan = kit.store.plan_road(&declared, prune).await?;
    Ok(kit.store.carry_out(&Kit::operator(), plan).await?.steps)
}

async fn kinds(kit: &Kit) -> Vec<EventKind> {
    let history = kit.store.road_history(None, None, 100).await.unwrap();
    history.items.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn what_an_application_says_counts_until_its_end() {
    let kit = Kit::new().await;
    let name = "checkout".parse().unwrap();
    assert_eq!(kit.store.app_road(&name).await.unwrap(), None);
    assert_eq!(
        apply(&kit, vec![], vec![app_road(&kit, 10)], false)
            .await
            .unwrap(),
        1
    );
    let road = kit.store.app_road(&name).await.unwrap().unwrap();
    assert_eq!(road.ring, road::app_road::Ring::Early);
    // The same again changes nothing.
    let same = RoadEntry::AppRoad(road);
    assert_eq!(apply(&kit, vec![], vec![same], false).await.unwrap(), 0);
    kit.advance(std::time::Duration::from_hours(24 * 10));
    assert_eq!(kit.store.app_road(&name).await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_go_together_changes_nothing() {
    let kit = Kit::new().await;
    let java = || vec![base("java17", "base/java17")];
    let missing = apply(&kit, java(), vec![path("java21")], false)
        .await
        .unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("BaseImage `java21`, which is not declared"),
        "{missing}"
    );
    assert!(kit.store.base_entries().await.unwrap().is_empty());
    apply(&kit, java(), vec![path("java17")], false).await.unwrap();
    // A base that a path stands on stays.
    let name = "java17".parse().unwrap();
    let refused = kit.store.remove_base(&Kit::operator(), &name).await.unwrap_err();
    assert!(refused.to_string().contains("GoldenPath `java@3`"), "{refused}");
    // Nobody answers for it.
    let RoadEntry::AppRoad(mut road) = app_road(&kit, 10) else {
        panic!()
    };
    road.owner = None;
    let nobody = apply(&kit, vec![], vec![RoadEntry::AppRoad(road)], false)
        .await
        .unwrap_err();
    assert!(nobody.to_string().contains("has no owner"), "{nobody}");
    assert_eq!(apply(&kit, vec![], vec![], true).await.unwrap(), 2);
    assert!(kit.store.road_entries().await.unwrap().is_empty());
}

#[tokio::test]
async fn renewals_are_counted_also_when_it_was_left_out_meanwhile() {
    let kit = Kit::new().await;
    let declare = async |days, reason| apply(&kit, vec![], vec![exemption(&kit, days, reason)], true).await;
    declare(10, "needs CUDA").await.unwrap();
    let same = declare(20, "Needs CUDA.").await.unwrap_err();
    assert!(same.to_string().contains("needs a reason of its own"), "{same}");
    // Taken back, and declared anew with a later end.
    apply(&kit, vec![], vec![], true).await.unwrap();
    assert!(kit.store.road_entries().await.unwrap().is_empty());
    declare(20, "the port is late").await.unwrap();
    assert_eq!(kit.store.road_entries().await.unwrap()[0].renewals, 1);
    let spent = declare(30, "it is still late").await.unwrap_err();
    assert!(spent.to_string().contains("renewed 1 times"), "{spent}");
}

#[tokio::test]
async fn each_version_can_be_read_back() {
    let kit = Kit::new().await;
    apply(
        &kit,
        vec![base("java17", "base/java17")],
        vec![path("java17")],
        false,
    )
    .await
    .unwrap();
    let first = kit.store.road_at(None).await.unwrap();
    assert_eq!((first.bases.len(), first.entries.len()), (1, 1));
    apply(&kit, vec![], vec![app_road(&kit, 10)], true).await.unwrap();
    let now = kit.store.road_at(None).await.unwrap();
    assert_eq!((now.bases.len(), now.entries.len()), (0, 1));
    assert!(now.version > first.version);
    assert_eq!(kit.store.road_at(Some(first.version)).await.unwrap(), first);
    assert_eq!(kit.store.road_version().await.unwrap(), now.version);
    assert_eq!(kit.store.road_at(Some(0)).await.unwrap(), RoadAt::default());
    assert_eq!(now.entries, kit.store.road_entries().await.unwrap());
    // Too many for an answer is none, never an older one.
    let refused = kit.store.road_within(None, 4).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::TooManyChanges { limit: 4 }),
        "{refused}"
    );
    assert_eq!(kit.store.road_within(None, 5).await.unwrap(), now);
    assert_eq!(
        kinds(&kit).await,
        [
            EventKind::RoadSet,
            EventKind::RoadRemove,
            EventKind::BaseRemove,
            EventKind::RoadSet,
            EventKind::BaseSet,
        ]
    );
    let of = kit.store.road_history(Some("checkout"), None, 100).await.unwrap();
    assert_eq!(of.items.len(), 1);
    assert_eq!(
        (of.items[0].subject.as_str(), of.items[0].actor.as_str()),
        ("AppRoad/checkout", Kit::operator().name())
    );
    let page = kit
        .store
        .road_history(None, Some(of.items[0].seq), 2)
        .await
        .unwrap();
    assert_eq!((page.items[0].kind, page.more), (EventKind::RoadRemove, true));
}

#[tokio::test]
async fn ends_are_told_of_once_each_also_after_a_restart() {
    let mut kit = Kit::new().await;
    apply(&kit, vec![], vec![exemption(&kit, 20, "needs CUDA")], false)
        .await
        .unwrap();
    let tell = async |kit: &Kit| {
        let road = kit.store.road().await.unwrap();
        let all = endings(&road.bases, &road.paving);
        kit.store
            .tell_ends(&Kit::operator(), all, kit.store.now().to_utc())
            .await
            .unwrap()
    };
    assert_eq!((tell(&kit).await, tell(&kit).await), (1, 0));
    kit.restart().await;
    assert_eq!(tell(&kit).await, 0);
    kit.advance(std::time::Duration::from_hours(24 * 19));
    // 14 days before the end nobody looked.
    assert_eq!((tell(&kit).await, tell(&kit).await), (1, 0));
    kit.advance(std::time::Duration::from_hours(24));
    assert_eq!((tell(&kit).await, tell(&kit).await), (1, 0));
    let history = kit.store.road_history(None, None, 3).await.unwrap();
    let days: Vec<_> = history
        .items
        .iter()
        .map(|event| event.body["days"].as_i64().unwrap())
        .collect();
    assert_eq!(days, [0, 3, 30]);
    assert_eq!(history.items[0].kind, EventKind::RoadEnd);
    assert_eq!(history.items[0].body["state"], "expired");
    // A later end is warned of anew.
    apply(&kit, vec![], vec![exemption(&kit, 2, "the port is late")], false)
        .await
        .unwrap();
    assert_eq!(tell(&kit).await, 1);
}

/// However often its beginning is said anew, and also after it was left out.
#[tokio::test]
async fn an_exemption_does_not_outlive_a_year_from_its_first_beginning() {
    let kit = Kit::new().await;
    let set =
        async |days, reason: &str| apply(&kit, vec![], vec![exemption(&kit, days, reason)], false).await;
    set(200, "needs CUDA").await.unwrap();
    let first = kit.store.road_entries().await.unwrap().remove(0).entry;
    kit.advance(std::time::Duration::from_hours(24 * 100));
    let refused = set(300, "the port is late").await.unwrap_err();
    assert!(refused.to_string().contains("366 days from then"), "{refused}");
    apply(&kit, vec![], vec![], true).await.unwrap();
    assert!(set(300, "the port is late").await.is_err());
    set(200, "the port is late").await.unwrap();
    let second = kit.store.road_entries().await.unwrap().remove(0).entry;
    let (RoadEntry::Exemption(first), RoadEntry::Exemption(second)) = (first, second) else {
        panic!("both are exemptions");
    };
    assert_eq!(second.from, first.from);
    assert!(second.until > first.until);
}

#[tokio::test]
async fn since_when_a_base_is_retired_stays() {
    let kit = Kit::new().await;
    let retired = |contact: &str| BaseImage {
        lifecycle: Lifecycle::Retired,
        contact: Some(contact.parse().unwrap()),
        ..base("java17", "base/java17")
    };
    let since = async || kit.store.road().await.unwrap().retired.values().next().copied();
    apply(&kit, vec![base("java17", "base/java17")], vec![], false)
        .await
        .unwrap();
    assert_eq!(since().await, None);
    apply(&kit, vec![retired("#a")], vec![], false).await.unwrap();
    let first = since().await;
    assert_eq!(first, Some(kit.store.now().to_utc()));
    kit.advance(std::time::Duration::from_hours(24));
    apply(&kit, vec![retired("#b")], vec![], false).await.unwrap();
    assert_eq!(since().await, first);
    apply(&kit, vec![base("java17", "base/java17")], vec![], false)
        .await
        .unwrap();
    assert_eq!(since().await, None);
}

#[tokio::test]
async fn promises_are_kept_and_told_of() {
    let kit = Kit::new().await;
    let debt = |state, patched: Option<i64>| Debt {
        base: "java17".parse().unwrap(),
        vulnerability: "CVE-2021-44228".parse().unwrap(),
        severity: findings::Severity::Critical,
        known_at: until(&kit, 0),
        due_at: until(&kit, 1),
        state,
        patched_at: patched.map(|days| until(&kit, days)),
        release: String::new(),
    };
    apply(&kit, vec![base("java17", "base/java17")], vec![], false)
        .await
        .unwrap();
    let steps = [
        debt(DebtState::Open, None),
        debt(DebtState::Late, None),
        debt(DebtState::Patched, Some(3)),
    ];
    for step in steps {
        kit.store
            .keep_debts(&Kit::operator(), vec![step.clone()])
            .await
            .unwrap();
        assert_eq!(kit.store.base_debts(Some(&step.base)).await.unwrap(), [step]);
    }
    let filter = EventFilter {
        subject: Some("java17".to_owned()),
        ..EventFilter::default()
    };
    let permit = kit.administrator("ann").await;
    let told = kit.store.events(&permit, &filter, None, 100).await.unwrap();
    let kinds: Vec<_> = told.items.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::BaseSet, EventKind::BaseLate, EventKind::BasePatched]
    );
    assert_eq!(told.items[2].body["seconds"], 3 * 24 * 60 * 60);
    assert_eq!(told.items[2].body["kept"], false);
    kit.store
        .remove_base(&Kit::operator(), &"java17".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(kit.store.base_debts(None).await.unwrap(), []);
}

#[tokio::test]
async fn all_that_is_owed_is_read_and_what_is_over_is_forgotten_at_last() {
    let kit = Kit::new().await;
    let debt = |number: i64, state| Debt {
        base: "java17".parse().unwrap(),
        vulnerability: format!("CVE-{number}").parse().unwrap(),
        severity: findings::Severity::High,
        known_at: until(&kit, number),
        due_at: until(&kit, number + 1),
        state,
        patched_at: None,
        release: String::new(),
    };
    let mut debts: Vec<Debt> = (1..=5).map(|number| debt(number, DebtState::Gone)).collect();
    // Older than all that is over, and owed.
    debts.push(debt(0, DebtState::Open));
    kit.store.keep_debts(&Kit::operator(), debts).await.unwrap();
    let bound = async |owed, settled| {
        let bounded = kit
            .store
            .write(move |tx| Box::pin(async move { crate::base::debt::bound(tx, owed, settled).await }));
        bounded.await
    };
    let names = async || -> Vec<String> {
        let debts = kit.store.base_debts(None).await.unwrap();
        debts
            .into_iter()
            .map(|debt| debt.vulnerability.to_string())
            .collect()
    };
    assert_eq!(names().await.len(), 6);
    bound(1, 2).await.unwrap();
    assert_eq!(names().await, ["CVE-0", "CVE-5", "CVE-4"]);
    let refused = bound(0, 2).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::TooManyOwed { limit: 0 }),
        "{refused}"
    );
    assert!(refused.to_string().contains("patchWithin"), "{refused}");
}
