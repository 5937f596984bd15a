use futures_util::{StreamExt as _, future::join_all};
use store::UploadError;

use super::*;
use crate::proxy::fake::{Cut, Fake, World, upstream};

mod model;

const MOMENT: Duration = Duration::from_millis(50);

fn limits() -> FlightLimits {
    FlightLimits {
        idle: Duration::from_secs(2),
        ..FlightLimits::default()
    }
}

fn flights(world: &World, limits: FlightLimits) -> Arc<Flights> {
    Flights::new(
        world.store.clone(),
        Handle::current(),
        limits,
        ProxyMetrics::default(),
        None,
        1,
    )
}

fn wanted(world: &World, digest: Digest, size: Option<u64>) -> Wanted {
    let ask = world.ask("hub/library/app");
    Wanted {
        proxied: ask.proxied.clone(),
        intake: ask.intake(),
        digest,
        size,
        payer: None,
    }
}

/// All that was read along; `None` where it was here before that.
async fn read(mut boarded: Boarded) -> Result<Option<Vec<u8>>, String> {
    let incoming = loop {
        match boarded.borrow_and_update().clone() {
            Stage::Coming(incoming) => break incoming,
            Stage::Landed => return Ok(None),
            Stage::Failed(error) => return Err(error.to_string()),
            Stage::New | Stage::Asked => {}
        }
        boarded.changed().await.map_err(|_| "lost")?;
    };
    let mut stream = incoming.stream(0..incoming.size().unwrap());
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.map_err(|error| error.to_string())?);
    }
    Ok(Some(all))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_makes_one_request_and_who_goes_away_stops_nobody() {
    let fake = Fake::new();
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    let digest = fake.blob_of(&bytes);
    fake.change(|state| state.latency = MOMENT);
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let wanted = wanted(&world, digest, Some(2_000_000));
    let boarded: Vec<_> = (0..200).map(|_| flights.board(wanted.clone()).unwrap()).collect();
    let mut readers: Vec<_> = boarded
        .into_iter()
        .map(|boarded| tokio::spawn(read(boarded)))
        .collect();
    for gone in readers.drain(..50) {
        gone.abort();
    }
    for read in join_all(readers).await {
        assert!(read.unwrap().unwrap().is_none_or(|read| read == bytes));
    }
    flights.bring(wanted).await.unwrap();
    assert_eq!(fake.blobs_asked(), 1, "also of who came when it was here");
    assert!(flights.running.lock().unwrap().is_empty());
    assert!(flights.bytes.are_free() && flights.places.are_free());
}

#[tokio::test]
async fn a_flight_goes_on_without_anybody() {
    let fake = Fake::new();
    let digest = fake.blob_of(b"layer");
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let wanted = wanted(&world, digest, None);
    drop(flights.board(wanted.clone()).unwrap());
    let intake = wanted.intake.clone();
    while !world.store.has_taken_in(&intake, &digest).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fake.blobs_asked(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_blob_is_told_to_all_and_nothing_is_kept() {
    let fake = Fake::new();
    let digest = fake.blob_of(&[7; 5_000]);
    fake.change(|state| drop(state.blobs.insert(digest, vec![8; 5_000].into())));
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let wanted = wanted(&world, digest, Some(5_000));
    let readers = [
        read(flights.board(wanted.clone()).unwrap()),
        read(flights.board(wanted.clone()).unwrap()),
    ];
    for read in join_all(readers).await {
        assert!(read.is_err(), "no stream of it comes to its end");
    }
    let error = flights.bring(wanted.clone()).await.unwrap_err();
    let is_mismatch = |source: &UploadError| matches!(source, UploadError::DigestMismatch { .. });
    let is_wrong = matches!(&error, ProxyError::Blob { source, .. } if is_mismatch(source));
    assert!(is_wrong, "{error}");
    assert!(!world.store.has_taken_in(&wanted.intake, &digest).await.unwrap());
}

#[tokio::test]
async fn lengths_that_do_not_agree_are_no_blob() {
    let fake = Fake::new();
    let digest = fake.blob_of(&[7; 5_000]);
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let error = flights
        .bring(wanted(&world, digest, Some(4_000)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("another length"), "{error}");
    fake.change(|state| state.says = Some(6_000));
    let error = flights.bring(wanted(&world, digest, None)).await.unwrap_err();
    assert!(matches!(error, ProxyError::Blob { .. }), "{error}");
}

#[tokio::test]
async fn what_is_cut_is_gone_on_with() {
    let fake = Fake::new();
    let digest = fake.blob_of(&[7; 9_000]);
    fake.change(|state| state.cuts = vec![Cut::End(2_000), Cut::Error(5_000)]);
    let world = World::new(&fake).await;
    flights(&world, limits())
        .bring(wanted(&world, digest, Some(9_000)))
        .await
        .unwrap();
    assert_eq!(fake.blobs_asked(), 3);
}

#[tokio::test]
async fn there_are_no_more_than_may_be() {
    let fake = Fake::new();
    let digests = [fake.blob_of(b"one"), fake.blob_of(b"two"), fake.blob_of(b"three")];
    fake.change(|state| state.latency = MOMENT);
    let mut config = upstream("hub", &fake);
    config.flights = 1;
    let world = World::of(config).await;
    // Half of them for one who pulls.
    let few = FlightLimits {
        queued: 4,
        ..limits()
    };
    let flights = flights(&world, few);
    let board = |digest| flights.board(wanted(&world, digest, None));
    let (one, two) = (board(digests[0]).unwrap(), board(digests[1]).unwrap());
    assert!(matches!(board(digests[2]), Err(ProxyError::TooMany(_))));
    assert!(board(digests[0]).is_ok(), "that one flies already");
    tokio::time::sleep(MOMENT / 2).await;
    assert!(fake.blobs_asked() <= 1, "the other waits for its place");
    assert!(read(one).await.is_ok() && read(two).await.is_ok());
    let narrow = FlightLimits { bytes: 4, ..limits() };
    let error = self::flights(&world, narrow)
        .bring(wanted(&world, digests[2], None))
        .await;
    assert!(matches!(error, Err(ProxyError::TooMany(_))), "{error:?}");
}

#[tokio::test]
async fn what_is_here_waits_for_no_place() {
    let fake = Fake::new();
    let (here, slow) = (fake.blob_of(b"here"), fake.blob_of(b"slow"));
    let mut config = upstream("hub", &fake);
    config.flights = 1;
    let world = World::of(config).await;
    let flights = flights(&world, limits());
    flights.bring(wanted(&world, here, None)).await.unwrap();
    fake.change(|state| state.latency = Duration::from_secs(5));
    let slow = flights.board(wanted(&world, slow, None)).unwrap();
    while fake.blobs_asked() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    flights.bring(wanted(&world, here, None)).await.unwrap();
    assert!(
        matches!(*slow.borrow(), Stage::Asked),
        "the only place is taken all the while"
    );
}

#[tokio::test]
async fn what_is_not_there_is_asked_for_once_in_a_while() {
    let fake = Fake::new();
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let nowhere = Digest::of(oci::Algorithm::Sha256, b"nowhere");
    for _ in 0..3 {
        let error = flights.bring(wanted(&world, nowhere, None)).await.unwrap_err();
        assert!(error.is_a_no(), "{error}");
    }
    assert_eq!(fake.blobs_asked(), 1);
}

#[tokio::test]
async fn what_has_no_room_here_is_asked_for_once_in_a_while() {
    let fake = Fake::new();
    let digest = fake.blob_of(b"layer");
    let limit = store::StoreLimits::default().blob_bytes;
    fake.change(|state| state.says = Some(limit + 1));
    let world = World::new(&fake).await;
    let all = FlightLimits {
        bytes: u64::MAX,
        ..limits()
    };
    let flights = flights(&world, all);
    for _ in 0..3 {
        let error = flights.bring(wanted(&world, digest, None)).await.unwrap_err();
        assert!(matches!(error, ProxyError::Blob { .. }), "{error}");
    }
    assert_eq!(fake.blobs_asked(), 1);
}

#[tokio::test]
async fn an_upstream_that_is_not_reached_is_left_alone() {
    let fake = Fake::new();
    let digest = fake.blob_of(b"layer");
    fake.change(|state| state.error = Some(SourceError::Unreachable("refused".into())));
    let world = World::new(&fake).await;
    let flights = flights(&world, limits());
    let wanted = wanted(&world, digest, None);
    let first = flights.bring(wanted.clone()).await.unwrap_err();
    assert!(matches!(first, ProxyError::Source { .. }), "{first}");
    let second = flights.bring(wanted).await.unwrap_err();
    assert!(matches!(second, ProxyError::Shut { .. }), "{second}");
    assert_eq!(fake.blobs_asked(), 1);
}

fn payer(id: i64) -> access::PrincipalId {
    access::PrincipalId(id)
}

/// Waits until a flight has a place on the list and knows that it is not here.
async fn until_asked(boarded: &Boarded) {
    while matches!(*boarded.borrow(), Stage::New) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn neither_an_upstream_nor_whoever_pulls_takes_all_places() {
    let fake = Fake::new();
    let digests: Vec<_> = (0..9_u8).map(|seed| fake.blob_of(&[seed; 100])).collect();
    fake.change(|state| state.latency = Duration::from_mins(1));
    let world = World::of_all(vec![upstream("hub", &fake), upstream("quay", &fake)]).await;
    let limits = FlightLimits {
        queued: 8,
        ..limits()
    };
    let flights = Flights::new(
        world.store.clone(),
        Handle::current(),
        limits,
        ProxyMetrics::default(),
        None,
        2,
    );
    let board = |repo: &str, digest: usize, who: i64| {
        let ask = world.ask(repo);
        flights.board(Wanted {
            proxied: ask.proxied.clone(),
            intake: ask.intake(),
            digest: digests[digest],
            size: None,
            payer: Some(payer(who)),
        })
    };
    let hole: Vec<_> = (0..4)
        .zip(0..)
        .map(|(at, who)| board("hub/a", at, who).unwrap())
        .collect();
    assert!(matches!(board("hub/a", 4, 9), Err(ProxyError::TooMany(words)) if words == BLOBS.upstream));
    let other: Vec<_> = (5..8).map(|at| board("quay/a", at, 0).unwrap()).collect();
    assert!(matches!(board("quay/a", 8, 0), Err(ProxyError::TooMany(words)) if words == BLOBS.payer));
    assert!(board("quay/a", 8, 7).is_ok(), "others pull from others");
    drop((hole, other));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let fake = Fake::new();
    let (slow, left, wanted_still) = (
        fake.blob_of(b"slow"),
        fake.blob_of(b"left"),
        fake.blob_of(b"wanted"),
    );
    let mut config = upstream("hub", &fake);
    config.flights = 1;
    let world = World::of(config).await;
    let flights = flights(&world, limits());
    fake.change(|state| state.latency = MOMENT * 4);
    let slow = flights.board(wanted(&world, slow, None)).unwrap();
    while fake.blobs_asked() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let gone = flights.board(wanted(&world, left, None)).unwrap();
    let stays = flights.board(wanted(&world, wanted_still, None)).unwrap();
    until_asked(&gone).await;
    drop(gone);
    while flights.running.lock().unwrap().len() > 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(read(slow).await.is_ok() && read(stays).await.is_ok());
    assert_eq!(fake.blobs_asked(), 2, "nobody wanted the third");
    while !flights.places.are_free() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fake.change(|state| state.latency = Duration::ZERO);
    flights.bring(wanted(&world, left, None)).await.unwrap();
}

#[tokio::test]
async fn who_waits_for_a_turn_does_so_for_a_while() {
    let fake = Fake::new();
    let (slow, late) = (fake.blob_of(b"slow"), fake.blob_of(b"late"));
    let mut config = upstream("hub", &fake);
    config.flights = 1;
    let world = World::of(config).await;
    let short = FlightLimits {
        wait: MOMENT,
        ..limits()
    };
    let flights = flights(&world, short);
    fake.change(|state| state.latency = Duration::from_mins(1));
    let _slow = flights.board(wanted(&world, slow, None)).unwrap();
    while fake.blobs_asked() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = flights.bring(wanted(&world, late, None)).await.unwrap_err();
    assert!(matches!(error, ProxyError::NoTurn { .. }), "{error}");
    let answer = error
        .into_api(crate::proxy::AskedFor::Blob(&late))
        .into_response();
    assert_eq!(answer.status(), http::StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(http::header::RETRY_AFTER));
}

#[tokio::test]
async fn a_length_that_is_not_said_is_counted_as_it_comes() {
    let fake = Fake::new();
    let (small, large) = (fake.blob_of(&[1; 2_000]), fake.blob_of(&vec![2; 60_000]));
    fake.change(|state| state.is_mute = true);
    let world = World::new(&fake).await;
    let narrow = FlightLimits {
        bytes: 20_000,
        ..limits()
    };
    let flights = flights(&world, narrow);
    flights.bring(wanted(&world, small, None)).await.unwrap();
    let error = flights.bring(wanted(&world, large, None)).await.unwrap_err();
    assert!(
        matches!(error, ProxyError::TooMany(words) if words == BYTES.payer),
        "{error}"
    );
    assert!(flights.bytes.are_free());
    let intake = wanted(&world, large, None).intake;
    assert!(!world.store.has_taken_in(&intake, &large).await.unwrap());
}
