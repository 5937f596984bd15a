//! Random storms on a few blobs of an upstream that does what it likes, against what must hold (ADR 0034).
//!
//! What everybody does and what goes wrong follows from the seed; when exactly it happens does not, since the store is the real
//! one with its files and threads. What is held against it: nothing that is wrong ever comes to its end; each blob is asked for by
//! one flight at a time; when all is well again everything comes, and nothing is left of what is over.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use oci::Reference;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;
use crate::proxy::dice::Dice;
use crate::proxy::source::{Asked, Source, SourceBody, SourceHead, SourceManifest};

/// Stories of one test, told at the same time.
const STORIES: u64 = 6;

const BLOBS: u64 = 3;
const CLIENTS: u64 = 40;

/// Largest blob, bytes.
const LARGEST: u64 = 80_000;

/// How long it may take until all is here when all is well.
const PATIENCE: Duration = Duration::from_mins(1);

impl Dice {
    fn size(&mut self, most: u64) -> usize {
        usize::try_from(self.roll(most)).unwrap()
    }
}

/// Counts who is asked for what at the same time.
struct Watched {
    fake: Arc<Fake>,
    flying: Arc<Mutex<HashMap<Digest, u32>>>,
    twice: Arc<AtomicBool>,
}

/// One question, until its body is dropped.
struct Flying {
    digest: Digest,
    flying: Arc<Mutex<HashMap<Digest, u32>>>,
}

impl Drop for Flying {
    fn drop(&mut self) {
        *self.flying.lock().unwrap().entry(self.digest).or_default() -= 1;
    }
}

struct Counted {
    body: SourceBody,
    _flying: Flying,
}

impl Stream for Counted {
    type Item = Result<Bytes, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.body.as_mut().poll_next(context)
    }
}

impl Watched {
    fn of(fake: &Arc<Fake>) -> Arc<Self> {
        Arc::new(Self {
            fake: Arc::clone(fake),
            flying: Arc::default(),
            twice: Arc::default(),
        })
    }
}

impl Source for Watched {
    fn head_manifest<'a>(&'a self, repo: &'a RepoName, reference: &'a Reference) -> Asked<'a, SourceHead> {
        self.fake.head_manifest(repo, reference)
    }

    fn manifest<'a>(
        &'a self,
        repo: &'a RepoName,
        reference: &'a Reference,
        most: usize,
    ) -> Asked<'a, SourceManifest> {
        self.fake.manifest(repo, reference, most)
    }

    fn blob<'a>(&'a self, repo: &'a RepoName, digest: &'a Digest, from: u64) -> Asked<'a, SourceBlob> {
        let count = {
            let mut flying = self.flying.lock().unwrap();
            let count = flying.entry(*digest).or_default();
            *count += 1;
            *count
        };
        if count > 1 {
            self.twice.store(true, Ordering::SeqCst);
        }
        let counted = Flying {
            digest: *digest,
            flying: Arc::clone(&self.flying),
        };
        Box::pin(async move {
            let SourceBlob { size, from, body } = self.fake.blob(repo, digest, from).await?;
            let body = Box::pin(Counted {
                body,
                _flying: counted,
            });
            Ok(SourceBlob { size, from, body })
        })
    }
}

struct Story {
    fake: Arc<Fake>,
    watched: Arc<Watched>,
    world: Arc<World>,
    flights: Vec<Arc<Flights>>,
    blobs: Vec<(Digest, Bytes)>,
    dice: Dice,
}

/// Somebody who reads one blob along, perhaps not to its end. Answers whether all of it was read.
async fn client(flights: Arc<Flights>, wanted: Wanted, right: Bytes, mut dice: Dice) -> bool {
    sleep(Duration::from_millis(dice.roll(40))).await;
    let goes_after = (dice.roll(3) == 0).then(|| dice.size(LARGEST));
    let Ok(mut boarded) = flights.board(wanted) else {
        return false;
    };
    let incoming = loop {
        match boarded.borrow_and_update().clone() {
            Stage::Coming(incoming) => break incoming,
            Stage::Landed => return true,
            Stage::Failed(_) => return false,
            Stage::New | Stage::Asked => {}
        }
        if boarded.changed().await.is_err() {
            return false;
        }
    };
    let Some(size) = incoming.size() else { return false };
    let mut stream = incoming.stream(0..size);
    let mut read = Vec::new();
    while let Some(piece) = stream.next().await {
        let Ok(piece) = piece else { return false };
        read.extend_from_slice(&piece);
        if goes_after.is_some_and(|after| read.len() > after) {
            return false;
        }
        if dice.roll(8) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(
        read == right,
        "{} bytes came to their end, and are wrong",
        read.len()
    );
    true
}

impl Story {
    async fn new(seed: u64, replicas: usize) -> Self {
        let mut dice = Dice::new(seed);
        let fake = Fake::new();
        let mut blobs = Vec::new();
        for number in 0..BLOBS {
            let length = dice.size(LARGEST);
            let bytes: Vec<u8> = (0..length)
                .map(|at| u8::try_from((at as u64 * 31 + number * 7 + seed) % 251).unwrap())
                .collect();
            blobs.push((fake.blob_of(&bytes), Bytes::from(bytes)));
        }
        let watched = Watched::of(&fake);
        let mut config = upstream("hub", &fake);
        config.source = Arc::clone(&watched) as _;
        let world = World::of(config).await;
        let limits = FlightLimits {
            idle: Duration::from_millis(400),
            resumes: 3,
            ..FlightLimits::default()
        };
        let flights = (0..replicas).map(|_| flights(&world, limits)).collect();
        Self {
            fake,
            watched,
            world: Arc::new(world),
            flights,
            blobs,
            dice,
        }
    }

    /// The upstream changes its mind, for as long as anybody wants anything.
    async fn trouble(&self, mut dice: Dice) {
        loop {
            sleep(Duration::from_millis(dice.roll(12))).await;
            let cut = dice.size(LARGEST);
            let (digest, right) = self.blobs[dice.size(BLOBS)].clone();
            let wrong: Vec<u8> = right.iter().map(|byte| byte ^ 1).collect();
            let roll = dice.roll(12);
            self.fake.change(|state| match roll {
                0 => state.cuts.push(Cut::End(cut)),
                1 => state.cuts.push(Cut::Error(cut)),
                2 => state.cuts.push(Cut::Silence(cut)),
                3 => state.ranges = !state.ranges,
                4 => state.shift = cut as u64 % 3,
                5 => state.error = Some(SourceError::Broken("nonsense".into())),
                6 => state.error = Some(SourceError::Throttled { retry_after: None }),
                7 => drop(state.blobs.insert(digest, wrong.into())),
                8 => drop(state.blobs.insert(digest, right)),
                9 => state.says = Some(cut as u64),
                10 => state.latency = Duration::from_millis(cut as u64 % 5),
                _ => (state.error, state.says, state.shift) = (None, None, 0),
            });
        }
    }

    async fn storm(&mut self) -> usize {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (digest, right) = self.blobs[self.dice.size(BLOBS)].clone();
            let says = self.dice.roll(2) == 0;
            let wanted = wanted(&self.world, digest, says.then_some(right.len() as u64));
            let replicas = self.flights.len() as u64;
            let flights = Arc::clone(&self.flights[self.dice.size(replicas)]);
            let own = Dice::new(self.dice.roll(u64::MAX));
            clients.spawn(client(flights, wanted, right, own));
        }
        let own = Dice::new(self.dice.roll(u64::MAX));
        let trouble = self.trouble(own);
        let all = async {
            let mut whole = 0;
            while let Some(done) = clients.join_next().await {
                match done {
                    Ok(is_whole) => whole += usize::from(is_whole),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            whole
        };
        tokio::select! {
            whole = all => whole,
            () = trouble => unreachable!("it has no end of its own"),
        }
    }

    /// When all is well, everything comes.
    async fn calm(&self) {
        let right = self.blobs.iter().cloned().collect();
        self.fake.change(|state| {
            (state.error, state.says, state.shift, state.ranges) = (None, None, 0, true);
            state.cuts.clear();
            state.blobs = right;
        });
        for (digest, right) in &self.blobs {
            let until = Instant::now() + PATIENCE;
            let wanted = wanted(&self.world, *digest, Some(right.len() as u64));
            while let Err(error) = self.flights[0].bring(wanted.clone()).await {
                assert!(Instant::now() < until, "{digest} never comes: {error}");
                sleep(MOMENT).await;
            }
            let is_here = self.world.store.has_taken_in(&wanted.intake, digest).await;
            assert!(is_here.unwrap(), "{digest} has landed and is not here");
        }
        for flights in &self.flights {
            while !flights.running.lock().unwrap().is_empty() {
                sleep(MOMENT).await;
            }
            let is_free = flights.bytes.are_free() && flights.places.are_free();
            assert!(is_free, "room that nobody has");
        }
        let is_twice = self.watched.twice.load(Ordering::SeqCst);
        assert!(!is_twice, "a blob was asked for twice at once");
    }
}

/// Tells the story of a seed; answers how many read a whole blob in the storm.
async fn tell(seed: u64, replicas: usize) -> usize {
    println!("seed {seed}");
    let mut story = Story::new(seed, replicas).await;
    let whole = story.storm().await;
    story.calm().await;
    whole
}

macro_rules! stories {
    ($($name:ident: $first:literal;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let whole = join_all(($first..$first + STORIES).map(|seed| tell(seed, 1))).await;
            assert!(whole.iter().sum::<usize>() > 0, "nobody was served: the stories are empty");
        }
    )+};
}

stories! {
    no_storm_makes_a_wrong_byte_or_a_second_flight_1: 100;
    no_storm_makes_a_wrong_byte_or_a_second_flight_2: 200;
    no_storm_makes_a_wrong_byte_or_a_second_flight_3: 300;
}

/// A model that notices nothing proves nothing: two that know nothing of each other ask twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "twice at once")]
async fn the_model_notices_a_second_flight() {
    for seed in 0..STORIES {
        tell(seed, 2).await;
    }
}
