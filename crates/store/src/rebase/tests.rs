//! The journal, and the tags that follow together: each step once, whatever is repeated.

use std::time::Duration;

use oci::ManifestLimits;

use super::*;
use crate::testing::{Kit, image, sha256};

mod work;

const REPO: &str = "team/app";

struct World {
    kit: Kit,
    ci: access::Caller,
    old: Digest,
    actor: Actor,
}

async fn world() -> World {
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    let old = kit.push_image(&ci, REPO, "old", &["v1"]).await;
    let actor = Actor::holder(&kit.push(&ci, REPO), "rebase");
    World { kit, ci, old, actor }
}

impl World {
    fn plan(&self, seed: &str, item: Option<Uuid>) -> NewRebase {
        let (config, layer) = (format!("config of {seed}"), format!("layer of {seed}"));
        let text = image(config.as_bytes(), &[layer.as_bytes()]);
        let bytes = Bytes::from(text);
        let manifest = Manifest::parse(&bytes, None, &ManifestLimits::default()).unwrap();
        let digest = sha256(&bytes);
        NewRebase {
            repository: REPO.parse().unwrap(),
            tag: "v1".parse().unwrap(),
            old: self.old,
            how: TagMove::Suffix,
            plan: "{}".to_owned(),
            base: "base/java".parse().unwrap(),
            manifests: vec![(digest, bytes, manifest)],
            blobs: vec![config.into(), layer.into()],
            images: vec![MadeImage {
                old: self.old,
                new: digest,
                base: "java".parse().unwrap(),
                releases: vec![sha256(b"release")],
            }],
            referrers: Vec::new(),
            item: item.map(|item| RebaseOf { item, thaw: None }),
        }
    }

    /// Whether what the new image went to counts.
    async fn counts(&self, new: &Digest) -> bool {
        let repo = REPO.parse().unwrap();
        let store = &self.kit.store;
        store.rebased_from(&repo, new).await.unwrap().unwrap().counts
    }

    async fn make(&self, seed: &str) -> Result<Rebase, RebaseError> {
        self.kit
            .store
            .make_rebase(&self.actor, self.plan(seed, None))
            .await
    }

    async fn tags(&self) -> Vec<String> {
        self.kit.tags(&self.ci, REPO).await
    }

    async fn item(&self, release: &str) -> RebaseItem {
        let item = NewRebaseItem {
            base: "java".parse().unwrap(),
            repository: REPO.parse().unwrap(),
            tag: "v1".parse().unwrap(),
            old: self.old,
            old_release: sha256(b"1"),
            new_release: sha256(release.as_bytes()),
        };
        self.kit.store.add_rebase_items(vec![item]).await.unwrap();
        let base = "java".parse().unwrap();
        let items = self
            .kit
            .store
            .rebase_items(&base, &[sha256(release.as_bytes())], 10)
            .await;
        let mut items = items.unwrap();
        assert_eq!(items.len(), 1);
        items.remove(0)
    }

    async fn state(&self, item: &RebaseItem) -> ItemState {
        self.kit.store.rebase_item(item.id).await.unwrap().unwrap().state
    }
}

#[tokio::test]
async fn a_tag_follows_goes_back_and_the_same_plan_answers_the_same_line() {
    let world = world().await;
    let first = world.make("new").await.unwrap();
    assert_eq!(world.make("new").await.unwrap(), first);
    assert_eq!(world.tags().await, ["v1"], "no tag knows of it");
    let store = &world.kit.store;
    let moved = store.move_rebase(first.id).await.unwrap();
    assert_eq!(world.tags().await, ["v1", "v1-p1"]);
    assert!(matches!(
        store.move_rebase(first.id).await,
        Err(RebaseError::State { .. })
    ));
    assert_eq!(world.make("new").await.unwrap(), moved);
    let repo: RepoName = REPO.parse().unwrap();
    assert_eq!(
        store.rebased_from(&repo, &first.new).await.unwrap(),
        Some(RebasedFrom {
            image: world.old,
            counts: false
        })
    );
    assert_eq!(store.rebased_from(&repo, &world.old).await.unwrap(), None);
    // The rebased one is followed from now on, and not the one that it was made of.
    let follow: Vec<String> = store
        .tags_to_follow(&repo)
        .await
        .unwrap()
        .into_iter()
        .map(|(tag, _)| tag.to_string())
        .collect();
    assert_eq!(follow, ["v1-p1"]);
    store.undo_rebase(&world.actor, first.id).await.unwrap();
    assert_eq!(world.tags().await, ["v1"]);
    assert!(matches!(
        store.undo_rebase(&world.actor, first.id).await,
        Err(RebaseError::State { .. })
    ));
    let again = world.make("new").await.unwrap();
    assert_ne!(again.id, first.id, "what was undone can be made again");
}

#[tokio::test]
async fn one_rebase_of_a_tag_waits_at_a_time() {
    let world = world().await;
    for number in 0..WAITING_OF_A_TAG {
        world.make(&format!("new {number}")).await.unwrap();
    }
    let one_more = world.make("one more").await;
    assert!(matches!(one_more, Err(RebaseError::Waiting(_))), "{one_more:?}");
    let waiting = world.kit.store.waiting_rebases(10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].by.as_str()), (1, "ci"));
    world
        .kit
        .store
        .refuse_rebase(waiting[0].id, Blame::Tag, "worse")
        .await
        .unwrap();
    world.make("one more").await.unwrap();
}

#[tokio::test]
async fn a_tag_that_was_moved_meanwhile_does_not_follow() {
    let world = world().await;
    let made = world.make("new").await.unwrap();
    let other = world.kit.push_image(&world.ci, REPO, "other", &["v1"]).await;
    let refused = world.kit.store.move_rebase(made.id).await;
    assert!(matches!(refused, Err(RebaseError::Moved { now, .. }) if now == other.to_string()));
    assert_eq!(world.tags().await, ["v1"]);
}

#[tokio::test]
async fn what_is_stopped_neither_begins_nor_ends_until_it_is_resumed() {
    let world = world().await;
    let made = world.make("new").await.unwrap();
    let store = &world.kit.store;
    assert!(store.switch_rebases(&Kit::operator(), true).await.unwrap());
    assert!(
        !store.switch_rebases(&Kit::operator(), true).await.unwrap(),
        "no news"
    );
    assert_eq!(
        store.rebases_stopped_by().await.unwrap().as_deref(),
        Some("operator")
    );
    assert!(matches!(
        store.move_rebase(made.id).await,
        Err(RebaseError::Stopped { .. })
    ));
    assert!(matches!(
        world.make("other").await,
        Err(RebaseError::Stopped { .. })
    ));
    // What was made stays as it is, and can be taken back.
    assert_eq!(world.make("new").await.unwrap(), made);
    assert!(store.switch_rebases(&Kit::operator(), false).await.unwrap());
    store.move_rebase(made.id).await.unwrap();
}

#[tokio::test]
async fn a_tag_is_to_follow_a_release_once_and_the_journal_says_what_became_of_it() {
    let world = world().await;
    let store = &world.kit.store;
    let item = world.item("2").await;
    assert_eq!(world.item("2").await, item, "it is there once");
    store
        .place_rebase_item(item.id, ItemState::Waiting, "A", "")
        .await
        .unwrap();
    let made = store
        .make_rebase(&world.actor, world.plan("new", Some(item.id)))
        .await
        .unwrap();
    assert_eq!(world.state(&item).await, ItemState::Made);
    // Whoever was killed behind that makes it again.
    store
        .make_rebase(&world.actor, world.plan("new", Some(item.id)))
        .await
        .unwrap();
    assert_eq!(store.rebases_started_since(Timestamp(0)).await.unwrap(), 1);
    store.move_rebase(made.id).await.unwrap();
    assert_eq!(world.state(&item).await, ItemState::Moved);
    store.undo_rebase(&world.actor, made.id).await.unwrap();
    assert_eq!(world.state(&item).await, ItemState::Failed);
    let rejected = store
        .rule_on_rebase_item(&world.actor, item.id, false)
        .await
        .unwrap();
    assert_eq!(rejected.state, ItemState::Rejected);
    let twice = store.rule_on_rebase_item(&world.actor, item.id, true).await;
    assert!(
        matches!(
            twice,
            Err(RebaseError::Item {
                state: "rejected",
                ..
            })
        ),
        "{twice:?}"
    );
}

#[tokio::test]
async fn what_came_out_worse_failed_and_what_only_the_tag_is_to_blame_for_is_left_out() {
    for (blame, state) in [
        (Blame::Release, ItemState::Failed),
        (Blame::Tag, ItemState::LeftOut),
    ] {
        let world = world().await;
        let store = &world.kit.store;
        let item = world.item("2").await;
        store
            .place_rebase_item(item.id, ItemState::Waiting, "A", "")
            .await
            .unwrap();
        let made = store
            .make_rebase(&world.actor, world.plan("new", Some(item.id)))
            .await
            .unwrap();
        store.refuse_rebase(made.id, blame, "why").await.unwrap();
        assert_eq!(world.state(&item).await, state);
    }
}

#[tokio::test]
async fn what_asks_waits_for_its_answer_and_is_left_out_when_the_base_moves_on() {
    let mut world = world().await;
    let (second, third) = (world.item("2").await, world.item("3").await);
    world
        .kit
        .store
        .place_rebase_item(second.id, ItemState::Asking, "A", "ask")
        .await
        .unwrap();
    world.kit.advance(Duration::from_mins(1));
    world.kit.restart().await;
    let base = "java".parse().unwrap();
    assert_eq!(
        world
            .kit
            .store
            .leave_out_rebase_items(&base, &[sha256(b"3")])
            .await
            .unwrap(),
        1
    );
    assert_eq!(world.state(&second).await, ItemState::LeftOut);
    assert_eq!(world.state(&third).await, ItemState::New);
    // No release counts any more.
    assert_eq!(
        world.kit.store.leave_out_rebase_items(&base, &[]).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn an_incident_that_overrides_a_freeze_is_told_once_with_the_start() {
    let world = world().await;
    let store = &world.kit.store;
    let item = world.item("2").await;
    store
        .place_rebase_item(item.id, ItemState::Waiting, "A", "")
        .await
        .unwrap();
    let of = RebaseOf {
        item: item.id,
        thaw: Some(Thawed {
            incident: "log4shell".to_owned(),
            frozen_until: "2099-01-01".to_owned(),
        }),
    };
    let plan = || NewRebase {
        item: Some(of.clone()),
        ..world.plan("new", None)
    };
    let root = world.kit.administrator("root").await;
    let told = async || {
        let filter = crate::EventFilter {
            kind: Some(EventKind::RebaseThaw),
            ..crate::EventFilter::default()
        };
        let page = world.kit.store.events(&root, &filter, None, 10).await.unwrap();
        page.items.len()
    };
    store.switch_rebases(&Kit::operator(), true).await.unwrap();
    store.make_rebase(&world.actor, plan()).await.unwrap_err();
    assert_eq!(told().await, 0, "nothing has begun");
    store.switch_rebases(&Kit::operator(), false).await.unwrap();
    store.make_rebase(&world.actor, plan()).await.unwrap();
    store.make_rebase(&world.actor, plan()).await.unwrap();
    assert_eq!(told().await, 1);
}

#[tokio::test]
async fn what_is_over_takes_no_room_from_what_waits_and_more_wait_until_others_are_over() {
    let world = world().await;
    let store = &world.kit.store;
    let item = |number: u32| NewRebaseItem {
        base: "java".parse().unwrap(),
        repository: REPO.parse().unwrap(),
        tag: format!("v{number}").parse().unwrap(),
        old: world.old,
        old_release: sha256(b"1"),
        new_release: sha256(b"2"),
    };
    store.add_rebase_items((0..6).map(item).collect()).await.unwrap();
    let all = store.rebase_items_in(ItemState::New, 10).await.unwrap();
    let place = async |number: usize, state: ItemState| {
        let id = all[number].id;
        store.place_rebase_item(id, state, "A", "").await.unwrap();
    };
    let seen = async || {
        let base = "java".parse().unwrap();
        let items = store.rebase_items(&base, &[sha256(b"2")], 2).await.unwrap();
        items
            .iter()
            .map(|item| item.of.tag.to_string())
            .collect::<Vec<_>>()
    };
    for number in [0, 1, 2] {
        place(number, ItemState::LeftOut).await;
    }
    for number in [3, 4] {
        place(number, ItemState::Waiting).await;
    }
    place(5, ItemState::Failed).await;
    assert_eq!(
        seen().await,
        ["v5", "v3", "v0", "v1"],
        "what failed holds up the others"
    );
    store
        .rule_on_rebase_item(&world.actor, all[5].id, false)
        .await
        .unwrap();
    place(3, ItemState::LeftOut).await;
    assert_eq!(seen().await[..1], ["v4"]);
}

#[tokio::test]
async fn the_patch_key_is_made_once() {
    let mut kit = Kit::new().await;
    assert!(kit.store.patch_key_if_any().await.unwrap().is_none());
    let made = kit.store.patch_key().await.unwrap().public_pem().unwrap();
    kit.restart().await;
    assert_eq!(kit.store.patch_key().await.unwrap().public_pem().unwrap(), made);
}

/// Whoever gets the name of a repository that was deleted is somebody else.
#[tokio::test]
async fn what_was_rebased_is_forgotten_with_its_repository() {
    let world = world().await;
    let (kit, store) = (&world.kit, &world.kit.store);
    let repo: RepoName = REPO.parse().unwrap();
    let made = world.make("a").await.unwrap();
    world.item("2").await;
    assert_eq!(store.rebases(&repo, 10).await.unwrap().len(), 1);
    let from = store.rebased_from(&repo, &made.new).await.unwrap();
    assert_eq!(from.map(|from| from.image), Some(world.old));

    let permit = kit.permit::<access::permit::Administer>(&world.ci, REPO);
    store.delete_repository(&permit).await.unwrap();
    kit.push_image(&world.ci, REPO, "other", &["v1"]).await;
    assert_eq!(store.rebases(&repo, 10).await.unwrap(), []);
    assert_eq!(store.rebase(made.id).await.unwrap(), None);
    assert!(store.rebased_from(&repo, &made.new).await.unwrap().is_none());
    let base = "java".parse().unwrap();
    let items = store.rebase_items(&base, &[sha256(b"2")], 10).await.unwrap();
    assert!(items.is_empty(), "{items:?}");
    assert!(store.waiting_rebases(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_an_image_went_to_counts_by_the_signer_who_is_declared_when_it_is_asked() {
    let world = world().await;
    let store = &world.kit.store;
    let release = world
        .kit
        .push_image(&world.ci, "base/java", "release", &["2"])
        .await;
    let mut plan = world.plan("new", None);
    plan.images[0].releases = vec![release];
    let made = store.make_rebase(&world.actor, plan).await.unwrap();
    let mut base = crate::base::tests::base("java", "base/java");
    let operator = Kit::operator();
    store.set_base(&operator, &base).await.unwrap();
    let note = |signed_by: &[&str]| crate::ImageNote {
        platform: "linux/amd64".to_owned(),
        diff_ids: vec![sha256(b"layer")],
        words: None,
        signed_by: signed_by.iter().map(|name| (*name).to_owned()).collect(),
        made_at: time::OffsetDateTime::UNIX_EPOCH,
    };
    let repo = "base/java".parse().unwrap();
    store
        .note_image(&repo, &release, note(&["platform"]))
        .await
        .unwrap();
    assert!(!world.counts(&made.new).await, "nobody is declared");
    base.signer = Some("platform".to_owned());
    world.kit.trust("platform").await;
    store.set_base(&operator, &base).await.unwrap();
    assert!(world.counts(&made.new).await);
    store
        .note_image(&repo, &release, note(&["stranger"]))
        .await
        .unwrap();
    assert!(!world.counts(&made.new).await, "the signature was taken back");
    let refused = store.move_rebase(made.id).await;
    assert!(matches!(&refused, Err(RebaseError::Withdrawn(signer)) if signer == "platform"));
    assert_eq!(world.tags().await, ["v1"], "the tag does not follow");
    base.signer = None;
    store.set_base(&operator, &base).await.unwrap();
    store.move_rebase(made.id).await.unwrap();
}
