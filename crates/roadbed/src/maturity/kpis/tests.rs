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
    let counted = counted(&kit).await;
    let app: App = "checkout".parse().unwrap();
    let shown = counted.velocity_of(&app);
    let velocity = shown.value().unwrap();
    let week = velocity.weeks.iter().find(|week| week.week == IsoWeek::of(START));
    let week = week.unwrap();
    assert_eq!((week.features, week.maintenance), (2, 1));
    assert!(shown.source_label.contains("proxy"));
    assert_eq!(counted.weeks(&app), Some(1));

    let all = counted.figures(None).unwrap();
    let coverage = &figure(&all, "velocity")["coverage"];
    assert_eq!(coverage["running"], 1, "a base is no workload");
    let adoption = &figure(&all, "adoption")["measured"]["value"];
    // It does not follow by itself.
    assert_eq!(adoption["bands"]["own-road"]["apps"], 1, "{adoption}");
    assert!(figure(&all, "time-to-remediate")["withheld"].is_object());
    assert_eq!(figure(&all, "freshness")["measured"]["value"]["known"], 1);
    assert!(all.iter().all(|figure| figure["kpi"] != "fold"));
}

#[tokio::test]
async fn a_figure_is_withheld_where_too_little_is_known_or_seen() {
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
    let all = counted(&kit).await;
    let figures = all.figures(None).unwrap();
    let velocity = figure(&figures, "velocity");
    assert_eq!(velocity["coverage"]["running"], 6);
    assert_eq!(velocity["coverage"]["known"], 1);
    assert!(velocity["measured"].is_null() && velocity["withheld"].is_object());
    assert_eq!(all.weeks(&"checkout".parse().unwrap()), None);
    // Whoever sees no application is told of none, and of nobody's images neither.
    let counter = Counter::of(kit.store.clone(), Arc::clone(&kit.stacks) as Arc<dyn Stacks>);
    let read = counter.read(kit.now()).await.unwrap();
    let none = Counted::of(&read, kit.now(), &|_| false).figures(None).unwrap();
    assert_eq!(figure(&none, "velocity")["coverage"]["running"], 0);
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
