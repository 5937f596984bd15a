//! What is beyond a limit is judged as a whole and told in one line, and nothing is forgotten.

use oci::RepoName;
use serde_json::json;
use store::{Actor, Importer};

use super::*;
use crate::{
    fleet::Following,
    judge::{JudgeLimits, read_facts, tests as judging},
};

struct Kit {
    store: Store,
    fleet: Arc<FleetService>,
    following: Option<Following>,
    _directory: tempfile::TempDir,
}

/// A store with one image that holds the package `a` of npm.
async fn kit() -> Kit {
    let directory = tempfile::tempdir().unwrap();
    let store = judging::open(directory.path()).await;
    let repo: RepoName = "team/app".parse().unwrap();
    judging::push(&store, &repo, &[]).await;
    let knowledge = Knowledge::of(store.clone(), JudgeLimits::default());
    Kit {
        fleet: FleetService::of(store.clone(), knowledge),
        following: None,
        store,
        _directory: directory,
    }
}

impl Kit {
    async fn import(&self, packages: &[&str]) {
        let mut importer = Importer::begin(&self.store).await.unwrap();
        for (number, package) in packages.iter().enumerate() {
            let document = json!({
                "id": format!("CVE-2026-{number}"), "modified": "2026-01-01T00:00:00Z",
                "affected": [{
                    "package": { "ecosystem": "npm", "name": package },
                    "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }],
                }],
            });
            let name = format!("osv/npm/CVE-2026-{number}.json");
            importer
                .add(&name, document.to_string().as_bytes())
                .await
                .unwrap();
        }
        importer.finish("test", &Actor::operator("test")).await.unwrap();
    }

    async fn plan(&self, limits: Limits) -> Plan {
        let facts = Arc::new(read_facts(&self.store).await.unwrap());
        plan::of(&self.store, &self.fleet, &facts, 0, limits)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_within_the_limits_is_told_one_by_one() {
    let mut kit = kit().await;
    kit.following = Some(kit.fleet.follow());
    kit.import(&["a", "b"]).await;
    let plan = kit.plan(Limits::default()).await;
    assert!(!plan.is_everything);
    assert_eq!(
        (plan.advisories, plan.images.len(), plan.told.news.len()),
        (2, 1, 1),
        "{plan:?}"
    );
    // One line less than there is to tell.
    let plan = kit
        .plan(Limits {
            news: 0,
            ..Limits::default()
        })
        .await;
    assert_eq!(
        (plan.told.news.len(), plan.told.untold, plan.images.len()),
        (0, 1, 1),
        "{plan:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_advisories_have_all_images_judged() {
    let mut kit = kit().await;
    kit.following = Some(kit.fleet.follow());
    kit.import(&["a", "b"]).await;
    let plan = kit
        .plan(Limits {
            advisories: 1,
            ..Limits::default()
        })
        .await;
    assert!(plan.is_everything);
    assert_eq!(plan.summarised.unwrap(), "2 advisories changed, more than 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_states_are_not_compared_and_the_images_are_judged() {
    let mut kit = kit().await;
    kit.following = Some(kit.fleet.follow());
    kit.import(&["a", "b"]).await;
    let plan = kit
        .plan(Limits {
            compared: 1,
            ..Limits::default()
        })
        .await;
    assert_eq!((plan.is_everything, plan.images.len()), (false, 1));
    let told = plan.summarised.unwrap();
    assert!(told.contains("would have to be compared, more than 1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_does_not_stand_is_not_waited_for_any_longer() {
    let kit = kit().await;
    kit.import(&["a"]).await;
    let plan = kit
        .plan(Limits {
            wait: Duration::from_millis(20),
            ..Limits::default()
        })
        .await;
    assert!(plan.is_everything);
    assert_eq!(plan.summarised.unwrap(), "the index of the fleet does not stand");
}
