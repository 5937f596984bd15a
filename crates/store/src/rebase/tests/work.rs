//! Work that a release asks for, what is told of it, and approvals and tags from one release to the next.

use findings::Severity;
use road::work::{Asks, Named, Problem, Task, WorkState};
use sea_orm::FromQueryResult;
use serde_json::json;

use super::*;

fn task(release: &str) -> Task {
    let named = |version: &str| Named {
        digest: sha256(version.as_bytes()),
        version: version.to_owned(),
    };
    Task {
        asks: Asks::Rebuild,
        base_repository: "base/java".parse().unwrap(),
        from: named("1"),
        to: named(release),
        reasons: Vec::new(),
        more_reasons: 0,
        fixes: vec![Problem {
            id: "CVE-1".to_owned(),
            package: "openssl".to_owned(),
            version: "3".to_owned(),
            severity: Severity::High,
        }],
        more_fixes: 0,
        remains: Vec::new(),
    }
}

fn stuck(release: &str) -> Placed {
    Placed {
        state: ItemState::Impossible,
        class: "C".to_owned(),
        reason: "why".to_owned(),
        remains: String::new(),
        task: Some(task(release)),
    }
}

async fn told(kit: &Kit) -> Vec<serde_json::Value> {
    let permit = kit.administrator("root").await;
    let filter = crate::EventFilter {
        kind: Some(EventKind::RoadWork),
        ..crate::EventFilter::default()
    };
    let events = kit.store.events(&permit, &filter, None, 100).await.unwrap();
    events.items.into_iter().map(|event| event.body).collect()
}

#[tokio::test]
async fn work_is_opened_with_its_plan_told_once_and_closed_by_where_the_tag_stands() {
    let world = world().await;
    let store = &world.kit.store;
    let (base, release) = ("java".parse().unwrap(), sha256(b"2"));
    let item = world.item("2").await;
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    let work = store.work(true).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!((work[0].digest, work[0].named), (world.old, Some(world.old)));
    assert_eq!(work[0].work.task, task("2"));
    // While another tag is still to be planned for the release nobody is told.
    let other = NewRebaseItem {
        tag: "v2".parse().unwrap(),
        ..item.of.clone()
    };
    store.add_rebase_items(vec![other]).await.unwrap();
    let since = store.now().minus(Duration::from_mins(1));
    assert_eq!(store.tell_of_work(since).await.unwrap(), 0);
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 1, "not for ever");
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 0);
    let close = async |state| store.close_work(vec![(work[0].id, state)]).await.unwrap();
    close(WorkState::Done).await;
    close(WorkState::Gone).await;
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 1);
    let bodies = told(&world.kit).await;
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies.iter().any(|body| body["images"]["done"] == 1),
        "{bodies:?}"
    );
    assert_eq!(store.work(true).await.unwrap(), []);
    let all = store.work_of_release(&base, &release).await.unwrap();
    assert_eq!((all.len(), all[0].state), (1, WorkState::Done), "closed once");
}

#[tokio::test]
async fn work_of_a_tag_that_can_follow_after_all_is_over_and_forgotten_once_it_was_told() {
    let mut world = world().await;
    let item = world.item("2").await;
    let store = world.kit.store.clone();
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    let pushed = world.kit.push_image(&world.ci, REPO, "rebuilt", &["v1"]).await;
    assert_eq!(store.work(true).await.unwrap()[0].named, Some(pushed));
    let again = NewRebaseItem {
        old: pushed,
        ..item.of.clone()
    };
    store.add_rebase_items(vec![again]).await.unwrap();
    let new = store.rebase_items_in(ItemState::New, 10).await.unwrap();
    let placed = Placed {
        state: ItemState::Asking,
        task: None,
        class: "A".to_owned(),
        ..stuck("2")
    };
    store.place_rebase_plan(new[0].id, placed).await.unwrap();
    assert_eq!(store.work(false).await.unwrap()[0].work.state, WorkState::Left);
    drop(store);
    world.kit.advance(crate::WORK_KEPT + Duration::from_mins(1));
    world.kit.restart().await;
    let store = &world.kit.store;
    assert_eq!(store.forget_work().await.unwrap(), 0, "nobody was told yet");
    store.tell_of_work(store.now()).await.unwrap();
    assert_eq!(store.forget_work().await.unwrap(), 1);
}

/// `v1` and `v1-p2` would both be rebased otherwise.
#[tokio::test]
async fn a_tag_whose_rebase_was_taken_back_is_left_alone_where_a_later_one_stands() {
    let world = world().await;
    let store = &world.kit.store;
    let first = world.make("first").await.unwrap();
    store.move_rebase(first.id).await.unwrap();
    let mut plan = world.plan("second", None);
    plan.tag = "v1-p1".parse().unwrap();
    plan.old = first.new;
    let second = store.make_rebase(&world.actor, plan).await.unwrap();
    store.move_rebase(second.id).await.unwrap();
    store.undo_rebase(&world.actor, first.id).await.unwrap();
    assert_eq!(world.tags().await, ["v1", "v1-p2"]);
    let repo = REPO.parse().unwrap();
    let follow = async || {
        let tags = store.tags_to_follow(&repo).await.unwrap();
        let names = tags.into_iter().map(|(tag, _)| tag.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(follow().await, ["v1-p2"]);
    store.undo_rebase(&world.actor, second.id).await.unwrap();
    assert_eq!(follow().await, ["v1"], "nothing is left in its place");
}

/// A base with releases that its declared signer has signed, or nobody.
async fn released(world: &World, releases: &[(&str, bool)]) -> (road::base::BaseImage, Vec<Digest>) {
    let (kit, store) = (&world.kit, &world.kit.store);
    let mut digests = Vec::new();
    for (name, _) in releases {
        digests.push(kit.push_image(&world.ci, "base/java", name, &[name]).await);
    }
    kit.trust("platform").await;
    let mut base = crate::base::tests::base("java", "base/java");
    base.signer = Some("platform".to_owned());
    store.set_base(&Kit::operator(), &base).await.unwrap();
    for (release, (_, is_signed)) in digests.iter().zip(releases) {
        let note = crate::ImageNote {
            platform: "linux/amd64".to_owned(),
            diff_ids: vec![*release],
            words: None,
            signed_by: is_signed.then(|| "platform".to_owned()).into_iter().collect(),
            made_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        store.note_image(&base.repository, release, note).await.unwrap();
    }
    (base, digests)
}

async fn follows(world: &World, release: Digest) -> RebaseItem {
    let item = NewRebaseItem {
        base: "java".parse().unwrap(),
        repository: REPO.parse().unwrap(),
        tag: "v1".parse().unwrap(),
        old: world.old,
        old_release: sha256(b"1"),
        new_release: release,
    };
    let store = &world.kit.store;
    store.add_rebase_items(vec![item.clone()]).await.unwrap();
    let items = store.rebase_items(&item.base, &[release], 10).await;
    items.unwrap().remove(0)
}

async fn approve(world: &World, item: &RebaseItem) {
    let store = &world.kit.store;
    let asking = store.place_rebase_item(item.id, ItemState::Asking, "A", "ask");
    asking.await.unwrap();
    let ruled = store.rule_on_rebase_item(&world.actor, item.id, true).await;
    ruled.unwrap();
}

#[tokio::test]
async fn what_was_approved_and_has_not_begun_is_approved_for_the_next_signed_release() {
    let world = world().await;
    let store = &world.kit.store;
    let (base, releases) = released(&world, &[("2", true), ("3", false), ("4", true)]).await;
    approve(&world, &follows(&world, releases[0]).await).await;
    let third = follows(&world, releases[1]).await;
    assert_eq!(third.approved_by, "", "nobody has signed that one");
    let left = store.leave_out_rebase_items(&base.name, &releases[2..]);
    assert_eq!(left.await.unwrap(), 2);
    let fourth = follows(&world, releases[2]).await;
    assert_eq!(fourth.approved_by, "ci");
    // Its application does not want it after all.
    let left = store.place_rebase_item(fourth.id, ItemState::LeftOut, "A", "never");
    left.await.unwrap();
    let now = store.rebase_item(fourth.id).await.unwrap().unwrap();
    assert_eq!(now.approved_by, "");
}

#[tokio::test]
async fn an_approval_does_not_outlive_a_later_no() {
    let world = world().await;
    let store = &world.kit.store;
    let (_, releases) = released(&world, &[("2", true), ("3", true), ("4", true)]).await;
    approve(&world, &follows(&world, releases[0]).await).await;
    let third = follows(&world, releases[1]).await;
    assert_eq!(third.approved_by, "ci");
    let waiting = store.place_rebase_item(third.id, ItemState::Waiting, "A", "");
    waiting.await.unwrap();
    let rejected = store.rule_on_rebase_item(&world.actor, third.id, false).await;
    rejected.unwrap();
    assert_eq!(follows(&world, releases[2]).await.approved_by, "");
}

#[tokio::test]
async fn what_could_not_follow_is_planned_again_once_its_work_is_closed() {
    let mut world = world().await;
    let store = world.kit.store.clone();
    let item = world.item("2").await;
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    assert_eq!(
        world.item("2").await.state,
        ItemState::Impossible,
        "it is asked for"
    );
    let work = store.work(true).await.unwrap();
    let left = vec![(work[0].id, WorkState::Left)];
    store.close_work(left).await.unwrap();
    // The tag was moved away and back.
    assert_eq!(world.item("2").await.state, ItemState::New);
    drop(store);
    world.kit.advance(Duration::from_mins(1));
    world.kit.restart().await;
    let store = &world.kit.store;
    let nothing = Placed {
        task: None,
        ..stuck("2")
    };
    store.place_rebase_plan(item.id, nothing).await.unwrap();
    assert_eq!(world.item("2").await.state, ItemState::Impossible, "not for ever");
    assert_eq!(store.work(false).await.unwrap()[0].work.state, WorkState::Left);
}

/// A tag may stand again where it stood, whatever is remembered of that.
#[tokio::test]
async fn what_could_not_follow_is_planned_again_also_when_its_work_is_forgotten() {
    let world = world().await;
    let item = world.item("2").await;
    let store = &world.kit.store;
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    world.kit.advance(crate::WORK_KEPT);
    let work = store.work(true).await.unwrap();
    let left = vec![(work[0].id, WorkState::Left)];
    store.close_work(left).await.unwrap();
    store.tell_of_work(store.now()).await.unwrap();
    world.kit.advance(crate::WORK_KEPT + Duration::from_mins(1));
    assert_eq!(store.forget_work().await.unwrap(), 1);
    assert_eq!(world.item("2").await.state, ItemState::New);
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    assert_eq!(store.work(true).await.unwrap().len(), 1, "it is asked for anew");
    assert_eq!(world.item("2").await.state, ItemState::Impossible, "not for ever");
}

#[tokio::test]
async fn what_its_repository_does_not_take_is_work_until_it_is_let_in_and_tried_each_day() {
    let world = world().await;
    let item = world.item("2").await;
    let store = &world.kit.store;
    assert_eq!(store.next_let_in().await.unwrap(), None);
    let waiting = Placed {
        state: ItemState::Waiting,
        class: "A".to_owned(),
        task: None,
        ..stuck("2")
    };
    let shut_out = Placed {
        class: "A".to_owned(),
        task: Some(Task {
            asks: Asks::LetIn,
            ..task("2")
        }),
        ..stuck("2")
    };
    store.place_rebase_plan(item.id, waiting.clone()).await.unwrap();
    store.place_rebase_plan(item.id, shut_out.clone()).await.unwrap();
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 1);
    let again = store.now().plus(crate::LET_IN_AGAIN);
    assert_eq!(store.next_let_in().await.unwrap(), Some(again));
    assert_eq!(world.item("2").await.state, ItemState::Impossible);
    world.kit.advance(crate::LET_IN_AGAIN);
    assert_eq!(world.item("2").await.state, ItemState::New);
    // That it can follow is nothing new, and that it is shut out again neither.
    store.place_rebase_plan(item.id, waiting.clone()).await.unwrap();
    store.place_rebase_plan(item.id, shut_out).await.unwrap();
    assert_eq!(store.work(true).await.unwrap()[0].work.task.asks, Asks::LetIn);
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 0);
    world.kit.advance(crate::LET_IN_AGAIN);
    assert_eq!(world.item("2").await.state, ItemState::New);
    store.place_rebase_plan(item.id, waiting).await.unwrap();
    let plan = world.plan("new", Some(item.id));
    store.make_rebase(&world.actor, plan).await.unwrap();
    assert_eq!(store.work(false).await.unwrap()[0].work.state, WorkState::Left);
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 1);
    assert_eq!(store.next_let_in().await.unwrap(), None);
}

#[tokio::test]
async fn a_damaged_item_keeps_no_other_from_being_read() {
    let world = world().await;
    let store = &world.kit.store;
    for release in ["2", "3"] {
        let item = world.item(release).await;
        store.place_rebase_plan(item.id, stuck(release)).await.unwrap();
    }
    let damage = store.write(|tx| {
        Box::pin(async move {
            let sql = "UPDATE road_work SET task = '{' WHERE release_digest = $1";
            crate::db::sql::execute(tx.sql(), sql, [sha256(b"2").to_string().into()]).await
        })
    });
    assert_eq!(damage.await.unwrap(), 1);
    let work = store.work(true).await.unwrap();
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].work.task, task("3"));
}

#[derive(FromQueryResult)]
struct Step {
    detail: String,
}

#[tokio::test]
async fn what_is_to_be_told_is_found_without_what_was() {
    let world = world().await;
    let explained = format!("EXPLAIN QUERY PLAN {}", super::super::work::UNTOLD);
    let values: [sea_orm::Value; 2] = [0_i64.into(), 1_i64.into()];
    let steps: Vec<Step> = crate::db::sql::all(world.kit.store.inner.db.read(), &explained, values)
        .await
        .unwrap();
    let uses = |step: &Step| step.detail.contains("road_work_untold");
    assert!(steps.iter().any(uses));
}

/// Whoever gets the name next is somebody else.
#[tokio::test]
async fn owners_hear_that_a_repository_is_gone_and_the_next_of_its_name_has_no_work() {
    let mut world = world().await;
    let item = world.item("2").await;
    let store = world.kit.store.clone();
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    store.tell_of_work(store.now()).await.unwrap();
    world.kit.advance(Duration::from_mins(1));
    let permit = world.kit.permit::<access::permit::Administer>(&world.ci, REPO);
    store.delete_repository(&permit).await.unwrap();
    assert_eq!(store.work(false).await.unwrap(), []);
    world.kit.advance(Duration::from_mins(1));
    world.kit.push_image(&world.ci, REPO, "other", &["v1"]).await;
    assert_eq!(store.work(false).await.unwrap(), []);
    assert_eq!(store.tell_of_work(store.now()).await.unwrap(), 1);
    let bodies = told(&world.kit).await;
    assert!(
        bodies.iter().any(|body| body["images"]["gone"] == 1),
        "{bodies:?}"
    );
    drop(store);
    world.kit.advance(crate::WORK_KEPT + Duration::from_mins(1));
    world.kit.restart().await;
    assert_eq!(world.kit.store.forget_work().await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_said_of_a_release_is_kept_as_long_as_it_asks_for_something() {
    let mut world = world().await;
    let item = world.item("2").await;
    let subject = road::work::subject_of(&item.of.base, &item.of.new_release).unwrap();
    let store = world.kit.store.clone();
    store.place_rebase_plan(item.id, stuck("2")).await.unwrap();
    assert_eq!(
        store.releases_with_work().await.unwrap(),
        [],
        "nobody was told yet"
    );
    store.tell_of_work(store.now()).await.unwrap();
    let of = (item.of.base.clone(), item.of.new_release);
    assert_eq!(store.releases_with_work().await.unwrap(), [of]);
    let sink = json!({ "name": "hook", "kind": "webhook", "target": "https://hooks.example" });
    let sink = serde_json::from_value(sink).unwrap();
    let operator = Kit::operator();
    let set = store.set_sink(&operator, &sink, crate::SecretChange::Keep);
    set.await.unwrap();
    let note = |incident: &str| crate::MessageOf {
        incident: incident.to_owned(),
        owner: "group:shop".to_owned(),
        told: crate::ToldState {
            fingerprint: "x".to_owned(),
            body: "{}".to_owned(),
        },
    };
    let notes = [subject.as_str(), "work-over", "log4shell"].map(|about| ("hook".to_owned(), note(about)));
    let telling = crate::Telling {
        unsaid: notes.to_vec(),
        ..crate::Telling::default()
    };
    assert!(store.tell(telling, 10).await.unwrap());
    drop(store);
    world.kit.advance(crate::TOLD_KEPT + Duration::from_hours(1));
    world.kit.restart().await;
    let store = &world.kit.store;
    store.forget_told(crate::MAX_TOLD).await.unwrap();
    let left = async |about: &str| store.told(about).await.unwrap().len();
    assert_eq!(
        (
            left(subject.as_str()).await,
            left("work-over").await,
            left("log4shell").await
        ),
        (1, 0, 1)
    );
}
