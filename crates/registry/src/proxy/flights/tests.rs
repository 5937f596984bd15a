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
    )
}

fn wanted(world: &World, digest: Digest, size: Option<u64>) -> Wanted {
    let ask = world.ask("hub/library/app");
    Wanted {
        proxied: ask.proxied.clone(),
        intake: ask.intake(),
        digest,
        size,
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
    assert_eq!(flights.bytes.load(Ordering::Relaxed), 0);
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
    let few = FlightLimits {
        queued: 2,
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
