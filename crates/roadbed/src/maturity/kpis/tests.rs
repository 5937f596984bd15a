//! What is counted of a small organisation.

use std::sync::Arc;

use maturity::kpi::{fold::Fold, week::IsoWeek};
use time::Duration;

use super::*;
use crate::maturity::collect::tests::kit::{Kit, START, layer};

const REPO: &str = "shop/checkout";

async fn counted(kit: &Kit) -> Counted {
    let counter = Counter::of(kit.store.clone(), Arc::clone(&kit.stacks) as Arc<dyn Stacks>);
    let now = kit.now();
    let read = counter.read(now).await.unwrap();
    Counted::of(&read, now, &|_| true)
}

/// A figure as it is shown.
fn figure<'f>(figures: &'f [Value], name: &str) -> &'f Value {
    figures.iter().find(|figure| figure["kpi"] == name).unwrap()
}

/// Publishes a version with own layers.
async fn publish(kit: &Kit, tag: &str, layers: &[Vec<u8>]) {
    let image = kit.push(&kit.robot, REPO, tag, layers).await;
    kit.decide(REPO, &image, &[]).await;
}

#[tokio::test]
async fn versions_are_counted_and_rebases_are_not() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    kit.approve("java", START + Duration::days(900)).await;
    let bases = [vec![layer("base 1")], vec![layer("base 2")]];
    for (tag, base) in ["17.1", "17.2"].into_iter().zip(&bases) {
        let release = kit.push(&kit.robot, "base/java", tag, base).await;
        kit.decide("base/java", &release, &[]).await;
        kit.release("base/java", &release, base).await;
        kit.wait(1);
    }
    let own = |number: &str| vec![layer(&format!("own {number}"))];
    publish(&kit, "1.0", &[bases[0].clone(), own("1")].concat()).await;
    kit.go_on(1);
    publish(&kit, "1.1", &[bases[0].clone(), own("2")].concat()).await;
    kit.go_on(1);
    // The same own layers on the next release.
    publish(&kit, "1.1-p1", &[bases[1].clone(), own("2")].concat()).await;
    publish(&kit, "latest", &[bases[1].clone(), own("3")].concat()).await;
    kit.go_on(7);
    let figures = figures(&kit).await;
    let app: App = "checkout".parse().unwrap();
    let of_app = figures.of_app(&app, None);
    let velocity = of_app.velocity.value().unwrap();
    let week = velocity
        .weeks
        .iter()
        .find(|week| week.week == IsoWeek::of(START))
        .unwrap();
    assert_eq!((week.features, week.maintenance), (2, 1));
    assert!(of_app.velocity.source_label.contains("proxy"));
    assert_eq!(figures.weeks(&app), Some(1));

    let all = figures.all(None);
    assert_eq!(all.velocity.coverage.running, 1, "a base is no workload");
    let adoption = all.adoption.value().unwrap();
    assert_eq!(
        adoption.bands[&Cohort::OwnRoad].apps,
        1,
        "it does not follow by itself"
    );
    assert!(all.fold.is_none() && all.time_to_remediate.withheld().is_some());
    assert_eq!(all.freshness.value().unwrap().known, 1);
}

#[tokio::test]
async fn a_figure_is_withheld_where_too_little_is_known() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    publish(&kit, "1.0", &[layer("one")]).await;
    for number in 0..5 {
        let repository = format!("nobody/{number}");
        let image = kit
            .push(&kit.robot, &repository, "1.0", &[layer(&repository)])
            .await;
        kit.decide(&repository, &image, &[]).await;
    }
    let figures = figures(&kit).await;
    let all = figures.all(None);
    assert_eq!(
        (all.velocity.coverage.running, all.velocity.coverage.known),
        (6, 1)
    );
    assert!(all.velocity.value().is_none() && all.velocity.withheld().is_some());
    assert_eq!(figures.weeks(&"checkout".parse().unwrap()), None);
}

#[tokio::test]
async fn a_baseline_is_frozen_and_compared_with() {
    let kit = Kit::new().await;
    kit.declare("checkout", "shop/**").await;
    for number in 0..10 {
        publish(&kit, &format!("1.{number}"), &[layer(&format!("a{number}"))]).await;
        kit.go_on(7);
    }
    kit.go_on(14);
    let end = kit.now();
    let baseline = counted(&kit).await.freeze(end, "before the road").unwrap();
    for number in 0..24 {
        publish(&kit, &format!("2.{number}"), &[layer(&format!("b{number}"))]).await;
        kit.go_on(3);
        kit.wait(12 * 60);
    }
    let app: App = "checkout".parse().unwrap();
    let fold = counted(&kit).await.fold_of(&app, Some(&baseline)).unwrap();
    match fold.value() {
        Some(Fold::Times { fold }) => assert!((1.5..=2.5).contains(fold), "{fold}"),
        other => panic!("{other:?}"),
    }
}
