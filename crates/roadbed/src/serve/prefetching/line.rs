//! The line of one upstream: what is to be fetched, in turn, and what became of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use registry::proxy::PrefetchError;
use store::{Store, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;
use web::wire::{PrefetchEntry as Shown, PrefetchState};

use super::Wanted;

/// What may be listed for one upstream; one more is refused.
const MOST: usize = 2_000;

/// What was fetched once and stays listed when it is done, so that whoever asked for it sees what became of it.
const KEPT: usize = 200;

/// Longest time until the first turn: not all of it at once after a start.
const FIRST: Duration = Duration::from_secs(10);

/// Shortest time until something is tried again that failed.
const AGAIN: Duration = Duration::from_mins(5);

/// When something has its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Again and again.
    Every(Duration),
    /// Once, as soon as may be.
    Once,
}

/// What one turn came to.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) here: u64,
    pub(super) error: Option<String>,
    retry_after: Option<Duration>,
}

impl Turn {
    /// The first of what goes wrong is told.
    pub(super) fn fail(&mut self, error: &PrefetchError) {
        if self.error.is_none() {
            self.error = Some(error.message.clone());
        }
        self.retry_after = self.retry_after.max(error.retry_after);
    }
}

#[derive(Debug)]
struct Item {
    number: u64,
    wanted: Wanted,
    order: Order,
    state: PrefetchState,
    at: Option<Timestamp>,
    here: u64,
    error: Option<String>,
    /// `None`: it has no more turn.
    next: Option<Instant>,
}

/// What is to be fetched from one upstream.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    numbers: u64,
}

impl Line {
    /// Adds something, or has what is listed already fetched anew. Fails with how many are listed where there are too many.
    pub(super) fn add(&self, wanted: Wanted, order: Order) -> Result<(), usize> {
        let mut state = self.lock();
        let now = Instant::now();
        if order == Order::Once
            && let Some(item) = state
                .items
                .iter_mut()
                .find(|item| item.wanted.what == wanted.what)
        {
            if item.state != PrefetchState::Running {
                item.state = PrefetchState::Waiting;
                item.next = Some(now);
                item.error = None;
            }
        } else {
            state.make_room();
            if state.items.len() >= MOST {
                return Err(state.items.len());
            }
            state.numbers += 1;
            let next = match order {
                Order::Once => now,
                Order::Every(every) => now + part_of(FIRST.min(every / 10)),
            };
            let item = Item {
                number: state.numbers,
                wanted,
                order,
                state: PrefetchState::Waiting,
                at: None,
                here: 0,
                error: None,
                next: Some(next),
            };
            state.items.push(item);
        }
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    /// Waits for the next turn.
    pub(super) async fn next(&self, store: &Store) -> (u64, Wanted) {
        loop {
            let due = {
                let mut state = self.lock();
                let waiting = state.items.iter_mut().filter(|item| item.next.is_some());
                match waiting.min_by_key(|item| item.next) {
                    Some(item) if item.next.is_some_and(|next| next <= Instant::now()) => {
                        item.state = PrefetchState::Running;
                        item.at = Some(store.now());
                        item.next = None;
                        return (item.number, item.wanted.clone());
                    }
                    item => item.and_then(|item| item.next),
                }
            };
            match due {
                None => self.news.notified().await,
                Some(due) => {
                    let _ = tokio::time::timeout_at(due, self.news.notified()).await;
                }
            }
        }
    }

    /// Notes what a turn came to.
    pub(super) fn done(&self, number: u64, turn: Turn, now: Timestamp) {
        let mut state = self.lock();
        let Some(item) = state.items.iter_mut().find(|item| item.number == number) else {
            return;
        };
        item.state = if turn.error.is_none() {
            PrefetchState::Done
        } else {
            PrefetchState::Failed
        };
        item.at = Some(now);
        item.here = turn.here;
        item.next = match item.order {
            Order::Once => None,
            Order::Every(every) => {
                let wait = match &turn.error {
                    None => every,
                    Some(_) => turn.retry_after.unwrap_or(AGAIN).max(AGAIN).min(every),
                };
                Some(Instant::now() + wait + part_of(wait / 10))
            }
        };
        item.error = turn.error;
        state.make_room();
    }

    /// How far it is.
    pub(super) fn shown(&self, now: Timestamp) -> Vec<Shown> {
        let state = self.lock();
        let here = Instant::now();
        let shown = state.items.iter().map(|item| Shown {
            images: item.wanted.name(),
            state: item.state,
            at: item.at.map(Into::into),
            here: item.here,
            error: item.error.clone(),
            next_at: match item.order {
                Order::Once => None,
                Order::Every(_) => item
                    .next
                    .map(|next| now.plus(next.saturating_duration_since(here)).into()),
            },
        });
        shown.collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the oldest off the list that have had their only turn.
    fn make_room(&mut self) {
        let is_over = |item: &Item| {
            item.order == Order::Once && item.next.is_none() && item.state != PrefetchState::Running
        };
        let mut over = self.items.iter().filter(|item| is_over(item)).count();
        self.items.retain(|item| {
            let goes = over > KEPT && is_over(item);
            over -= usize::from(goes);
            !goes
        });
    }
}

/// A part of a time, so that many who begin together do not stay together.
fn part_of(most: Duration) -> Duration {
    let mut byte = [0];
    // Without it nobody waits.
    let _ = getrandom::fill(&mut byte);
    most.mul_f64(f64::from(byte[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{StoreConfig, StoreLimits, SystemClock};

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn image(number: usize) -> Wanted {
        Wanted::image(format!("hub/app{number}").parse().unwrap(), "1".parse().unwrap())
    }

    async fn store(directory: &std::path::Path) -> Store {
        let config = StoreConfig {
            data_dir: directory.to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        Store::open(config, Arc::new(SystemClock)).await.unwrap()
    }

    fn failed(retry_after: Option<Duration>) -> Turn {
        let mut turn = Turn::default();
        turn.fail(&PrefetchError {
            message: "no".to_owned(),
            retry_after,
        });
        turn
    }

    #[tokio::test]
    async fn each_has_its_turn_and_what_is_fetched_once_has_one() {
        let directory = tempfile::tempdir().unwrap();
        let (store, line) = (store(directory.path()).await, Line::default());
        line.add(image(1), Order::Once).unwrap();
        line.add(image(2), Order::Once).unwrap();
        line.add(image(1), Order::Once).unwrap();
        let now = store.now();
        assert_eq!(line.shown(now).len(), 2, "the same is listed once");
        let (first, wanted) = line.next(&store).await;
        assert_eq!(wanted, image(2), "the one that waits longest");
        line.done(
            first,
            Turn {
                here: 1,
                ..Turn::default()
            },
            now,
        );
        let (second, _) = line.next(&store).await;
        line.done(second, failed(None), now);
        let shown = line.shown(now);
        let states: Vec<PrefetchState> = shown.iter().map(|entry| entry.state).collect();
        assert_eq!(states, [PrefetchState::Failed, PrefetchState::Done]);
        assert_eq!((shown[0].error.as_deref(), shown[0].next_at), (Some("no"), None));
        let none = tokio::time::timeout(Duration::from_millis(50), line.next(&store)).await;
        assert!(none.is_err());
    }

    #[tokio::test]
    async fn what_is_fetched_again_and_again_comes_sooner_where_it_failed() {
        let directory = tempfile::tempdir().unwrap();
        let (store, line) = (store(directory.path()).await, Line::default());
        line.add(image(1), Order::Every(Duration::from_millis(1)))
            .unwrap();
        let (number, _) = line.next(&store).await;
        line.lock().items[0].order = Order::Every(HOUR);
        for (turn, least, most) in [
            (Turn::default(), HOUR, HOUR * 2),
            (failed(None), AGAIN, AGAIN * 2),
            (failed(Some(AGAIN * 3)), AGAIN * 3, AGAIN * 6),
            (failed(Some(HOUR * 9)), HOUR, HOUR * 2),
        ] {
            line.done(number, turn, store.now());
            let next = line.lock().items[0].next.unwrap();
            let wait = next.saturating_duration_since(Instant::now());
            assert!(wait + Duration::from_secs(5) >= least && wait <= most, "{wait:?}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let line = Line::default();
        for number in 0..MOST {
            line.add(image(number), Order::Once).unwrap();
        }
        assert_eq!(line.add(image(MOST), Order::Once), Err(MOST));
        for item in &mut line.lock().items {
            item.next = None;
            item.state = PrefetchState::Done;
        }
        line.add(image(MOST), Order::Once).unwrap();
        assert_eq!(line.lock().items.len(), KEPT + 1, "the oldest go");
    }
}
