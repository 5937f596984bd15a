//! Random interleavings of those who want the same, against what must hold (ADR 0034).
//!
//! All runs on one thread, with a clock that moves only when everybody waits, and every task gives way as the seed says: the same
//! seed is the same story, down to the order of the polls. What the model would say of a `Coalesce` that is broken is tried too.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::*;
use crate::proxy::dice::Dice;

const STORIES: u64 = 1_500;
const CLIENTS: u64 = 24;
const KEYS: u64 = 3;
const MOST: usize = 2;

impl Dice {
    /// Gives way to others, a little or until they all wait.
    async fn give_way(&mut self) {
        for _ in 0..self.roll(4) {
            if self.roll(3) == 0 {
                sleep(Duration::from_millis(self.roll(3))).await;
            } else {
                yield_now().await;
            }
        }
    }
}

type Worked = Pin<Box<dyn Future<Output = u32> + Send>>;

/// What is tried: ours, or one that is broken.
trait Joining: Send + Sync + 'static {
    fn join(&self, key: u64, work: &mut dyn FnMut() -> Worked) -> Result<Joined<u32>, Full>;

    /// Whether nothing is left of what is over.
    fn is_idle(&self) -> bool;
}

impl Joining for Arc<Coalesce<u64, u32>> {
    fn join(&self, key: u64, work: &mut dyn FnMut() -> Worked) -> Result<Joined<u32>, Full> {
        Coalesce::join(self, &Handle::current(), key, work)
    }

    fn is_idle(&self) -> bool {
        self.running.lock().unwrap().is_empty()
    }
}

/// What is known of all pieces of work; a piece is known by its place.
#[derive(Default)]
struct Known {
    moment: u64,
    pieces: Vec<Piece>,
}

struct Piece {
    key: u64,
    ended: Option<u64>,
    is_lost: bool,
}

impl Known {
    fn now(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn running(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.ended.is_none())
    }
}

type Shared = Arc<Mutex<Known>>;

/// Begins a piece of work; some are lost on the way.
fn begin(known: &Shared, key: u64, mut dice: Dice) -> Worked {
    let piece = {
        let mut known = known.lock().unwrap();
        assert!(
            known.running().all(|piece| piece.key != key),
            "two pieces of work about {key} at once"
        );
        assert!(
            known.running().count() < MOST,
            "more than {MOST} pieces of work at once"
        );
        known.pieces.push(Piece {
            key,
            ended: None,
            is_lost: false,
        });
        known.pieces.len() - 1
    };
    let known = Arc::clone(known);
    Box::pin(async move {
        dice.give_way().await;
        dice.give_way().await;
        let is_lost = dice.roll(8) == 0;
        {
            let mut known = known.lock().unwrap();
            let now = known.now();
            known.pieces[piece].ended = Some(now);
            known.pieces[piece].is_lost = is_lost;
        }
        if is_lost {
            // A panic that tells nobody.
            std::panic::resume_unwind(Box::new("lost"));
        }
        u32::try_from(piece).unwrap()
    })
}

/// Somebody who wants something, some time, and perhaps does not wait for it.
async fn client(coalesce: Arc<dyn Joining>, known: Shared, mut dice: Dice) -> u32 {
    dice.give_way().await;
    dice.give_way().await;
    let key = dice.roll(KEYS);
    let joined_at = known.lock().unwrap().now();
    let work_dice = Dice::new(dice.roll(u64::MAX));
    let Ok(joined) = coalesce.join(key, &mut || begin(&known, key, work_dice.clone())) else {
        let known = known.lock().unwrap();
        let is_there = known.running().any(|piece| piece.key == key);
        assert!(known.running().count() >= MOST && !is_there, "there was room");
        return 0;
    };
    if dice.roll(4) == 0 {
        dice.give_way().await;
        return 0;
    }
    let done = joined.done().await;
    let known = known.lock().unwrap();
    let Some(piece) = done else {
        let is_lost = |piece: &Piece| piece.key == key && piece.is_lost && piece.ended > Some(joined_at);
        assert!(
            known.pieces.iter().any(is_lost),
            "what was not lost was never done"
        );
        return 0;
    };
    let piece = &known.pieces[usize::try_from(piece).unwrap()];
    assert_eq!(piece.key, key, "the result of something else");
    assert!(
        piece.ended > Some(joined_at),
        "a result from before it was asked for"
    );
    1
}

/// Tells the story of a seed; answers how many got what they wanted.
fn tell(seed: u64, make: impl Fn() -> Arc<dyn Joining>) -> u32 {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let (coalesce, known, mut dice) = (make(), Shared::default(), Dice::new(seed));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let own = Dice::new(dice.roll(u64::MAX));
            clients.spawn(client(Arc::clone(&coalesce), Arc::clone(&known), own));
        }
        let mut served = 0;
        while let Some(done) = clients.join_next().await {
            match done {
                Ok(one) => served += one,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        // Whoever nobody waits for comes to its end too.
        sleep(Duration::from_secs(1)).await;
        assert_eq!(known.lock().unwrap().running().count(), 0, "it never ends");
        assert!(coalesce.is_idle(), "what is over is kept");
        served
    })
}

fn tell_all(make: impl Fn() -> Arc<dyn Joining> + Copy) -> u32 {
    let mut served = 0;
    for seed in 0..STORIES {
        println!("seed {seed}");
        served += tell(seed, make);
    }
    served
}

#[test]
fn all_who_want_the_same_share_one_piece_of_work_in_any_order() {
    let served = tell_all(|| Arc::new(Coalesce::<u64, u32>::new(MOST)));
    assert!(served > 5_000, "only {served} were served: the stories are empty");
}

/// Those who are broken. What `spawn` does with the place of a key is what they differ in.
struct Broken {
    running: Arc<Mutex<HashMap<u64, Joined<u32>>>>,
    fault: Fault,
    count: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Everybody works by themselves.
    SharesNothing,
    /// What is done stays, and is the answer for ever.
    KeepsTheKey,
    /// A work that panics leaves its key behind.
    KeepsTheKeyOfWhatIsLost,
    /// There may be any number.
    KnowsNoBound,
    /// The work ends when it has gone on for long enough, or whoever began it has gone.
    StopsTheWork,
}

impl Broken {
    fn with(fault: Fault) -> Arc<dyn Joining> {
        Arc::new(Self {
            running: Arc::default(),
            fault,
            count: AtomicU32::new(0),
        })
    }
}

impl Joining for Broken {
    fn join(&self, key: u64, work: &mut dyn FnMut() -> Worked) -> Result<Joined<u32>, Full> {
        let mut running = self.running.lock().unwrap();
        if let Some(joined) = running.get(&key).filter(|_| self.fault != Fault::SharesNothing) {
            return Ok(joined.clone());
        }
        if running.len() >= MOST && self.fault != Fault::KnowsNoBound {
            return Err(Full);
        }
        let (sender, done) = watch::channel(None);
        let joined = Joined {
            since: Instant::now(),
            done,
        };
        running.insert(key, joined.clone());
        let (work, all, fault) = (work(), Arc::clone(&self.running), self.fault);
        let task = tokio::spawn(async move {
            let done = if fault == Fault::KeepsTheKeyOfWhatIsLost {
                work.await
            } else if let Ok(done) = tokio::spawn(work).await {
                done
            } else {
                all.lock().unwrap().remove(&key);
                return;
            };
            if fault != Fault::KeepsTheKey {
                all.lock().unwrap().remove(&key);
            }
            sender.send_replace(Some(done));
        });
        if fault == Fault::StopsTheWork && self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            task.abort();
        }
        Ok(joined)
    }

    fn is_idle(&self) -> bool {
        self.running.lock().unwrap().is_empty()
    }
}

/// A model that notices nothing proves nothing.
macro_rules! faults {
    ($($name:ident: $fault:ident;)+) => {$(
        #[test]
        #[should_panic]
        #[expect(clippy::should_panic_without_expect, reason = "which check notices first is left to the dice")]
        fn $name() {
            tell_all(|| Broken::with(Fault::$fault));
        }
    )+};
}

faults! {
    the_model_notices_when_nothing_is_shared: SharesNothing;
    the_model_notices_when_keys_are_kept: KeepsTheKey;
    the_model_notices_when_keys_of_what_is_lost_are_kept: KeepsTheKeyOfWhatIsLost;
    the_model_notices_when_there_is_no_bound: KnowsNoBound;
    the_model_notices_when_work_is_stopped: StopsTheWork;
}
