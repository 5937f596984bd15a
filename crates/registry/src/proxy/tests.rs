use tokio::time::Instant;

use super::fake::{Asks, Fake, World, upstream};
use super::*;
use crate::gate::{Answer, OpenGate, Pull as PullOf, Push, PushAnswer, PushVerdict, Verdict};

mod bounds;

const REPO: &str = "hub/library/app";

fn limits() -> ProxyLimits {
    ProxyLimits {
        first_wait: Duration::from_secs(5),
        revalidate_wait: Duration::from_millis(200),
        ..ProxyLimits::default()
    }
}

/// One who pulls by tag, and waits until what is on its way is here.
struct Puller {
    proxy: Proxy,
    ask: Ask,
}

impl Puller {
    fn new(world: &World, proxy: Proxy) -> Self {
        let proxied = proxy.of(&REPO.parse().unwrap()).unwrap();
        let ask = Ask {
            proxied,
            ..world.ask(REPO)
        };
        Self { proxy, ask }
    }

    async fn find(&self, reference: &str) -> Result<Found, ProxyError> {
        let reference: Reference = reference.parse().unwrap();
        if let Some(found) = self.proxy.remembered(&self.ask, &reference).await {
            return Ok(found);
        }
        let deadline = Instant::now() + self.proxy.limits().first_wait;
        let seen = self.proxy.look(&self.ask, &reference).await?;
        self.proxy.manifest(&self.ask, &reference, seen, deadline).await
    }

    /// The digest, and why it is stale.
    async fn pull(&self, reference: &str) -> Result<(Digest, Option<String>), ProxyError> {
        match self.find(reference).await? {
            Found::Held(manifest, stale) => Ok((manifest.digest, stale)),
            Found::Coming(coming) => {
                coming.arrived().await?;
                Ok((coming.manifest.digest, None))
            }
        }
    }
}

async fn world() -> (Arc<Fake>, World, Puller) {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let proxy = world.proxy(upstream("hub", &fake), Arc::new(OpenGate), limits());
    let puller = Puller::new(&world, proxy);
    (fake, world, puller)
}

fn is_not_found(error: &ProxyError) -> bool {
    matches!(
        error,
        ProxyError::Source {
            source: SourceError::NotFound,
            ..
        }
    )
}

fn asks(heads: u32, manifests: u32, blobs: u32) -> Asks {
    Asks {
        heads,
        manifests,
        blobs,
    }
}

#[tokio::test]
async fn an_image_comes_once_and_is_fresh_for_a_while() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer", b"other"]);
    assert_eq!(puller.pull("1").await.unwrap(), (digest, None));
    assert_eq!(fake.asked(), asks(0, 1, 3));
    assert_eq!(puller.pull("1").await.unwrap(), (digest, None));
    assert_eq!(puller.pull(&digest.to_string()).await.unwrap(), (digest, None));
    assert_eq!(fake.asked(), asks(0, 1, 3), "all of it is here");
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(puller.pull("1").await.unwrap(), (digest, None));
    assert_eq!(puller.pull("1").await.unwrap(), (digest, None));
    assert_eq!(fake.asked(), asks(1, 1, 3), "renewed by one question");
    let tagged = world
        .store
        .manifest(&puller.ask.permit, &"1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(tagged.unwrap().digest, digest);
}

#[tokio::test]
async fn a_tag_that_has_moved_is_fetched_and_one_to_what_is_here_is_not() {
    let (fake, world, puller) = world().await;
    let first = fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    let second = fake.image("1", b"new config", &[b"layer"]);
    world.clock.advance(Duration::from_mins(2));
    let (now, _) = puller.pull("1").await.unwrap();
    assert!(
        now == second || now == first,
        "what is new may come a moment later"
    );
    while puller.pull("1").await.unwrap() != (second, None) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fake.asked().manifests, 2);
    assert_eq!(fake.blobs_asked(), 3, "what both have is here");
    fake.image("1", b"config", &[b"layer"]);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(puller.pull("1").await.unwrap(), (first, None));
    assert_eq!(fake.asked().manifests, 2, "it is here by its digest");
}

#[tokio::test]
async fn an_image_that_comes_late_takes_no_tag_from_a_newer_one() {
    let (fake, world, puller) = world().await;
    fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    fake.change(|state| state.pace = Some(Duration::from_millis(300)));
    let slow = fake.image("1", b"slow config", &[&[7; 6_000]]);
    world.clock.advance(Duration::from_mins(2));
    puller.pull("1").await.unwrap();
    while fake.blobs_asked() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fake.change(|state| state.pace = None);
    let newest = fake.image("1", b"newest config", &[b"newest layer"]);
    world.clock.advance(Duration::from_mins(2));
    while puller.pull("1").await.unwrap().0 != newest {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(puller.pull(&slow.to_string()).await.unwrap(), (slow, None));
    let tagged = world
        .store
        .manifest(&puller.ask.permit, &"1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(tagged.unwrap().digest, newest);
}

#[tokio::test]
async fn what_has_come_is_what_is_held_when_the_upstream_goes_right_after() {
    let (fake, world, puller) = world().await;
    fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    fake.change(|state| state.pace = Some(Duration::from_millis(300)));
    let newer = fake.image("1", b"newer config", &[b"newer layer"]);
    world.clock.advance(Duration::from_mins(2));
    puller.pull("1").await.unwrap();
    assert_eq!(puller.pull(&newer.to_string()).await.unwrap(), (newer, None));
    fake.change(|state| state.error = Some(SourceError::Unreachable("refused".into())));
    world.clock.advance(Duration::from_mins(2));
    let (held, stale) = puller.pull("1").await.unwrap();
    assert!(held == newer && stale.is_some(), "{held} {stale:?}");
}

#[tokio::test]
async fn what_is_held_is_served_when_the_upstream_is_gone_slow_or_tired() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    for error in [
        SourceError::Throttled { retry_after: None },
        SourceError::OverBudget {
            retry_after: Duration::from_mins(7),
        },
        SourceError::Unreachable("refused".into()),
    ] {
        fake.change(|state| state.error = Some(error.clone()));
        world.clock.advance(Duration::from_mins(2));
        let (held, stale) = puller.pull("1").await.unwrap();
        assert!(
            held == digest && stale.is_some_and(|why| why.starts_with("stale")),
            "{error}"
        );
    }
    let asked = fake.asked().heads;
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(puller.pull("1").await.unwrap().1.is_some());
    }
    assert_eq!(fake.asked().heads, asked, "it is left alone");
    assert!(begun.elapsed() < Duration::from_secs(1), "and nobody waits");
    let unknown = puller.pull("2").await.unwrap_err();
    assert!(matches!(unknown, ProxyError::Shut { .. }), "{unknown}");
}

#[tokio::test]
async fn who_has_something_does_not_wait_for_a_slow_upstream() {
    let (fake, world, puller) = world().await;
    fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    world.clock.advance(Duration::from_mins(2));
    fake.change(|state| state.latency = Duration::from_secs(1));
    let begun = Instant::now();
    assert!(puller.pull("1").await.unwrap().1.is_some());
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(
        puller.pull("1").await.unwrap().1,
        None,
        "the answer came meanwhile"
    );
    assert_eq!(fake.asked().heads, 1);
}

#[tokio::test]
async fn a_tag_that_is_gone_stays_or_goes_by_its_rule() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    fake.change(|state| state.manifests.clear());
    world.clock.advance(Duration::from_mins(2));
    for _ in 0..2 {
        let (held, stale) = puller.pull("1").await.unwrap();
        assert!(held == digest && stale.is_some_and(|why| why.contains("any more")));
    }
    assert_eq!(fake.asked().heads, 1);
    let mut config = upstream("hub", &fake);
    config.rule.gone = Gone::Drop;
    let dropping = Puller::new(&world, world.proxy(config, Arc::new(OpenGate), limits()));
    world.clock.advance(Duration::from_mins(2));
    let gone = dropping.pull("1").await.unwrap_err();
    assert!(is_not_found(&gone), "{gone}");
    assert!(
        dropping.pull(&digest.to_string()).await.is_ok(),
        "its digest is what it was"
    );
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once_in_a_while() {
    let (fake, _world, puller) = world().await;
    for _ in 0..5 {
        let error = puller.pull("1").await.unwrap_err();
        assert!(is_not_found(&error), "{error}");
    }
    assert_eq!(fake.asked(), asks(0, 1, 0));
}

#[tokio::test]
async fn an_index_is_here_at_once_and_its_children_when_they_are_asked_for() {
    let (fake, _world, puller) = world().await;
    let child = fake.image("child", b"config", &[b"layer"]);
    let descriptor = |digest: Digest| serde_json::json!({ "mediaType": oci::media_type::OCI_IMAGE_MANIFEST, "digest": digest, "size": 7 });
    let other = Digest::of(oci::Algorithm::Sha256, b"never fetched");
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_INDEX,
        "manifests": [descriptor(child), descriptor(other)],
    });
    let index = fake.tag(
        "1",
        index.to_string().as_bytes(),
        oci::media_type::OCI_IMAGE_INDEX,
    );
    assert_eq!(puller.pull("1").await.unwrap(), (index, None));
    assert_eq!(fake.asked(), asks(0, 1, 0));
    assert_eq!(puller.pull(&child.to_string()).await.unwrap(), (child, None));
    assert_eq!(fake.asked(), asks(0, 2, 2));
}

#[tokio::test]
async fn nonsense_is_no_manifest() {
    let (fake, _world, puller) = world().await;
    fake.tag("html", b"<html>log in</html>", "text/html");
    fake.tag("empty", b"{}", oci::media_type::OCI_IMAGE_MANIFEST);
    let large = vec![b' '; ManifestLimits::default().bytes + 1];
    fake.tag("large", &large, oci::media_type::OCI_IMAGE_MANIFEST);
    let other = fake.tag("other", b"{}", oci::media_type::OCI_IMAGE_MANIFEST);
    fake.change(|state| {
        let wrong = state.manifests["html"].clone();
        state.manifests.insert(other.to_string(), wrong);
    });
    for reference in ["html", "empty", "large", &other.to_string()] {
        let error = puller.pull(reference).await.unwrap_err();
        assert!(matches!(error, ProxyError::Source { .. }), "{reference}: {error}");
    }
}

#[tokio::test]
async fn another_upstreams_tag_is_not_this_ones() {
    let (fake, world, puller) = world().await;
    fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    let other = Fake::new();
    let mut config = upstream("hub", &other);
    config.place = "https://other.example".into();
    let elsewhere = Puller::new(&world, world.proxy(config, Arc::new(OpenGate), limits()));
    let error = elsewhere.pull("1").await.unwrap_err();
    assert!(is_not_found(&error), "{error}");
}

#[tokio::test]
async fn what_is_asked_for_or_on_its_way_is_not_looked_for_in_the_database() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer"]);
    let layer = fake.blob_of(b"layer");
    fake.change(|state| state.latency = Duration::from_millis(200));
    let (puller, tag) = (Arc::new(puller), "1".parse().unwrap());
    let first = Arc::clone(&puller);
    let first = tokio::spawn(async move { first.find("1").await.unwrap() });
    while fake.asked().manifests == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(puller.proxy.is_asking(&puller.ask, &tag));
    let calls = || world.store.metrics().database_calls;
    let before = calls();
    let seen = puller.proxy.look(&puller.ask, &tag).await.unwrap();
    assert!(matches!(seen, Seen::Nothing));
    assert_eq!(calls(), before);

    let Found::Coming(coming) = first.await.unwrap() else {
        panic!("its blobs have not come yet");
    };
    let before = calls();
    for reference in [tag, digest.into()] {
        let found = puller.proxy.remembered(&puller.ask, &reference).await;
        assert!(matches!(found, Some(Found::Coming(_))), "{reference}");
    }
    assert_eq!(calls(), before);
    while !puller.proxy.is_coming(&puller.ask, &layer) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    coming.arrived().await.unwrap();
    assert!(!puller.proxy.is_coming(&puller.ask, &layer));
    let found = puller.proxy.remembered(&puller.ask, &digest.into()).await;
    assert!(matches!(found, Some(Found::Held(..))));
}

/// Serves everything and takes nothing in.
struct Refusing;

impl Gate for Refusing {
    fn manifest<'a>(&'a self, _: PullOf<'a>, _: &'a Arc<StoredManifest>) -> Answer<'a> {
        Box::pin(std::future::ready(Verdict::Serve))
    }
    fn blob<'a>(&'a self, _: PullOf<'a>, _: &'a Digest) -> Answer<'a> {
        Box::pin(std::future::ready(Verdict::Serve))
    }
    fn push<'a>(&'a self, _: Push<'a>) -> PushAnswer<'a> {
        let (message, detail) = ("no".into(), serde_json::Value::Null);
        Box::pin(std::future::ready(PushVerdict::Refuse { message, detail }))
    }
}

async fn until_remembered(puller: &Puller, reference: &str) {
    let key = (puller.ask.repo().clone(), reference.parse().unwrap());
    while !puller.proxy.inner.absent.contains_key(&key) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_policy_refuses_at_a_push_does_not_come_in_and_is_not_asked_for_again_at_once() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let proxy = world.proxy(upstream("hub", &fake), Arc::new(Refusing), limits());
    let puller = Puller::new(&world, proxy);
    let digest = fake.image("1", b"config", &[b"layer"]);
    let error = puller.pull("1").await.unwrap_err();
    assert!(matches!(error, ProxyError::Refused { .. }), "{error}");
    until_remembered(&puller, "1").await;
    for _ in 0..5 {
        let error = puller.pull("1").await.unwrap_err();
        assert!(matches!(error, ProxyError::Refused { .. }), "{error}");
    }
    assert_eq!(fake.asked().manifests, 1);
    assert!(
        !world
            .store
            .has_manifest(puller.ask.repo(), &digest)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn what_is_held_stays_where_policy_refuses_what_is_new() {
    let (fake, world, puller) = world().await;
    let held = fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    let new = fake.image("1", b"new config", &[b"layer"]);
    world.clock.advance(Duration::from_mins(2));
    let proxy = world.proxy(upstream("hub", &fake), Arc::new(Refusing), limits());
    let strict = Puller::new(&world, proxy);
    let (served, stale) = strict.pull("1").await.unwrap();
    assert!(served == held && stale.is_some());
    until_remembered(&strict, &new.to_string()).await;
    for _ in 0..5 {
        assert_eq!(strict.pull("1").await.unwrap(), (held, None));
    }
    assert_eq!(fake.asked(), asks(2, 2, 3));
}

#[tokio::test]
async fn nothing_comes_in_while_the_registry_is_maintained() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    let other = fake.image("2", b"another", &[b"more"]);
    let asked = fake.asked();
    let actor = store::Actor::system("test");
    let begun = world.store.begin_maintenance(&actor, "the disk is moved", None);
    begun.await.unwrap();
    world.clock.advance(Duration::from_mins(2));
    let (held, stale) = puller.pull("1").await.unwrap();
    assert_eq!(held, digest);
    assert!(stale.unwrap().contains("the disk is moved"));
    let blob = fake.blob_of(b"more");
    for error in [
        puller.pull("2").await.map(drop).unwrap_err(),
        puller.proxy.board(&puller.ask, blob, None).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, ProxyError::ReadOnly { .. }), "{error}");
        let response = error.into_api(AskedFor::Blob(&blob)).into_response();
        assert_eq!(response.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(http::header::RETRY_AFTER));
    }
    assert_eq!(fake.asked(), asked);
    world.store.end_maintenance(&actor).await.unwrap();
    assert_eq!(puller.pull("2").await.unwrap(), (other, None));
}

#[tokio::test]
async fn a_name_that_is_nearly_another_is_noticed() {
    let (fake, world, puller) = world().await;
    fake.image("1", b"config", &[b"layer"]);
    puller.pull("1").await.unwrap();
    let repo: RepoName = "hub/library/ap-p".parse().unwrap();
    assert_eq!(puller.proxy.looks_like(&repo, |_| true), None);
    let proxy = puller.proxy.clone();
    for name in ["hub/library/python", "hub/library/pyhton"] {
        let ask = Ask {
            proxied: proxy.of(&name.parse().unwrap()).unwrap(),
            ..world.ask(name)
        };
        let other = Puller {
            proxy: proxy.clone(),
            ask,
        };
        other.pull("1").await.unwrap();
    }
    let pyhton: RepoName = "hub/library/pyhton".parse().unwrap();
    assert_eq!(
        proxy.looks_like(&pyhton, |_| false),
        None,
        "nobody is told what they may not see"
    );
    let like = proxy.looks_like(&pyhton, |_| true);
    assert_eq!(
        like.map(|name| name.to_string()).as_deref(),
        Some("hub/library/python")
    );
    assert_eq!(
        proxy.looks_like(&"hub/library/python".parse().unwrap(), |_| true),
        None
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_pulls_asks_once() {
    let (fake, world, puller) = world().await;
    let digest = fake.image("1", b"config", &[b"layer"]);
    fake.change(|state| state.latency = Duration::from_millis(50));
    let puller = Arc::new(puller);
    let storm = |count: usize| {
        let pullers: Vec<_> = (0..count)
            .map(|_| {
                let puller = Arc::clone(&puller);
                tokio::spawn(async move { puller.pull("1").await.unwrap().0 })
            })
            .collect();
        futures_util::future::join_all(pullers)
    };
    for pulled in storm(200).await {
        assert_eq!(pulled.unwrap(), digest);
    }
    assert_eq!(fake.asked(), asks(0, 1, 2));
    world.clock.advance(Duration::from_mins(2));
    for pulled in storm(200).await {
        assert_eq!(pulled.unwrap(), digest);
    }
    assert_eq!(fake.asked(), asks(1, 1, 2));
}
