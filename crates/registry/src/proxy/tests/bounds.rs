//! Who takes too much, and what nobody waits for any more.

use super::*;

#[tokio::test]
async fn a_manifest_that_nobody_waits_for_any_more_is_not_fetched() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let mut config = upstream("hub", &fake);
    config.fetches = 1;
    let limits = ProxyLimits {
        first_wait: Duration::from_millis(50),
        ..limits()
    };
    let puller = Puller::new(&world, world.proxy(config, Arc::new(OpenGate), limits));
    let digest = fake.image("2", b"config", &[b"layer"]);
    fake.change(|state| state.latency = Duration::from_millis(400));
    // The first has the only turn; of both nobody waits for the end.
    for tag in ["1", "2"] {
        let error = puller.pull(tag).await.unwrap_err();
        assert!(matches!(error, ProxyError::OnItsWay { .. }), "{error}");
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(fake.asked().manifests, 1);
    assert!(puller.proxy.inner.asking.are_free());
    fake.change(|state| state.latency = Duration::ZERO);
    while puller.pull("2").await.ok() != Some((digest, None)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_manifest_waits_for_its_turn_for_a_while() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let mut config = upstream("hub", &fake);
    config.fetches = 1;
    let short = ProxyLimits {
        manifest_time: Duration::from_millis(100),
        ..limits()
    };
    let puller = Puller::new(&world, world.proxy(config, Arc::new(OpenGate), short));
    let turn = puller.ask.proxied.upstream.fetches.try_pass();
    assert!(turn.is_some());
    let error = puller.pull("1").await.unwrap_err();
    assert!(matches!(error, ProxyError::NoTurn { .. }), "{error}");
    assert_eq!(fake.asked(), asks(0, 0, 0));
}

#[tokio::test]
async fn images_and_questions_are_not_all_of_one_who_pulls() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let few = ProxyLimits {
        images: ImageLimits {
            images: 2,
            ..ImageLimits::default()
        },
        questions: 6,
        ..limits()
    };
    let proxy = world.proxy(upstream("hub", &fake), Arc::new(OpenGate), few);
    let puller = Arc::new(Puller::new(&world, proxy));
    fake.image("1", b"config", &[b"layer"]);
    fake.image("2", b"another config", &[b"another layer"]);
    fake.change(|state| state.pace = Some(Duration::from_mins(1)));
    puller.find("1").await.unwrap();
    let Err(error) = puller.find("2").await else {
        panic!("half of the images are one")
    };
    let of_images = "too many images that this user or robot wants are on their way from upstreams";
    assert!(
        matches!(error, ProxyError::TooMany(words) if words == of_images),
        "{error}"
    );
    fake.change(|state| state.latency = Duration::from_mins(1));
    let asking: Vec<_> = ["a", "b", "c"]
        .map(|tag| {
            let puller = Arc::clone(&puller);
            tokio::spawn(async move { puller.pull(tag).await.map(drop) })
        })
        .into();
    while fake.asked().manifests < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = puller.pull("d").await.unwrap_err();
    assert!(
        matches!(error, ProxyError::TooMany(words) if words == QUESTIONS.payer),
        "{error}"
    );
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn readers_are_not_all_of_one_who_pulls() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let few = ProxyLimits {
        readers: 4,
        ..limits()
    };
    let proxy = world.proxy(upstream("hub", &fake), Arc::new(OpenGate), few);
    let puller = Puller::new(&world, proxy);
    let read = || puller.proxy.reader(&puller.ask);
    let held = [read().unwrap(), read().unwrap()];
    assert!(matches!(read(), Err(ProxyError::TooMany(words)) if words == READERS.payer));
    drop(held);
    assert!(read().is_ok());
}
