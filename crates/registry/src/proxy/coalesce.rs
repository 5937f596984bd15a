//! One piece of work for all who want the same at the same time, done by a task of its own: whoever goes away stops nobody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

/// Work under way, by what it is about.
pub(crate) struct Coalesce<K, V> {
    running: Mutex<HashMap<K, Begun<V>>>,
    most: usize,
}

/// One piece of work that is under way. Who waits for it is counted by its channel.
struct Begun<V> {
    since: Instant,
    done: Arc<watch::Sender<Option<V>>>,
}

impl<V> Begun<V> {
    fn joined(&self) -> Joined<V> {
        Joined {
            since: self.since,
            done: self.done.subscribe(),
        }
    }
}

/// More is under way than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<K, V> Coalesce<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `most` at the same time.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            running: Mutex::default(),
            most,
        })
    }

    /// Whether work about `key` is under way.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.contains_key(key)
    }

    /// The work about `key`, if it is under way.
    pub(crate) fn under_way(&self, key: &K) -> Option<Joined<V>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(key).map(Begun::joined)
    }

    /// Whether nobody waits for the work about `key` any more, for the work itself to ask before it begins. Then it is under way no
    /// more, and whoever wants the same begins anew.
    pub(crate) fn give_up(&self, key: &K) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_left = running
            .get(key)
            .is_none_or(|begun| begun.done.receiver_count() == 0);
        if is_left {
            running.remove(key);
        }
        is_left
    }

    /// Whether work about anything of this kind is under way.
    pub(crate) fn is_any_under_way(&self, is_one: impl Fn(&K) -> bool) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.keys().any(is_one)
    }

    /// The work about `key` that is under way, or `work`, begun now.
    pub(crate) fn join<F>(
        self: &Arc<Self>,
        on: &Handle,
        key: K,
        work: impl FnOnce() -> F,
    ) -> Result<Joined<V>, Full>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.len();
        let entry = match running.entry(key.clone()) {
            Entry::Occupied(entry) => return Ok(entry.get().joined()),
            Entry::Vacant(_) if count >= self.most => return Err(Full),
            Entry::Vacant(entry) => entry,
        };
        let sender = Arc::new(watch::Sender::new(None));
        let begun = Begun {
            since: Instant::now(),
            done: Arc::clone(&sender),
        };
        let joined = begun.joined();
        entry.insert(begun);
        drop(running);
        let place = Running {
            of: Arc::clone(self),
            key,
            done: Arc::clone(&sender),
        };
        let work = work();
        on.spawn(async move {
            let done = work.await;
            // Whoever comes from now on begins anew, and finds what was done.
            drop(place);
            sender.send_replace(Some(done));
        });
        Ok(joined)
    }
}

/// Gives the key back, also where the work panicked.
struct Running<K: Hash + Eq, V> {
    of: Arc<Coalesce<K, V>>,
    key: K,
    done: Arc<watch::Sender<Option<V>>>,
}

impl<K: Hash + Eq, V> Drop for Running<K, V> {
    fn drop(&mut self) {
        let mut running = self.of.running.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = running.get(&self.key);
        // What was given up is perhaps another one's by now.
        if begun.is_some_and(|begun| Arc::ptr_eq(&begun.done, &self.done)) {
            running.remove(&self.key);
        }
    }
}

/// A share in the work.
#[derive(Clone)]
pub(crate) struct Joined<V> {
    /// When it was begun.
    pub(crate) since: Instant,
    done: watch::Receiver<Option<V>>,
}

impl<V: Clone> Joined<V> {
    /// What came of it; `None`: it was lost.
    pub(crate) async fn done(mut self) -> Option<V> {
        let done = self.done.wait_for(Option::is_some).await.ok()?;
        done.clone()
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    async fn slow(times: Arc<AtomicU32>) -> u32 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        times.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_want_the_same_share_one_and_who_goes_away_stops_nobody() {
        let (work, times) = (Coalesce::new(8), Arc::new(AtomicU32::new(0)));
        let on = Handle::current();
        let join = |key: &'static str| work.join(&on, key, || slow(Arc::clone(&times))).unwrap();
        let (first, second, other) = (join("a"), join("a"), join("b"));
        drop(first);
        assert!(work.is_under_way(&"a") && !work.is_under_way(&"c"));
        let (second, other) = tokio::join!(second.done(), other.done());
        assert_eq!(times.load(Ordering::SeqCst), 2);
        assert!(second.is_some() && other.is_some());
        assert_eq!(join("a").done().await, Some(3), "what is over is begun anew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_is_given_up_and_begun_anew() {
        let (work, times) = (Coalesce::new(8), Arc::new(AtomicU32::new(0)));
        let on = Handle::current();
        let join = || work.join(&on, "a", || slow(Arc::clone(&times))).unwrap();
        let first = join();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!work.give_up(&"a"), "somebody waits");
        assert!(work.under_way(&"a").is_some());
        drop(first);
        assert!(work.give_up(&"a"));
        assert!(work.under_way(&"a").is_none());
        let second = join();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(
            work.is_under_way(&"a"),
            "the end of the first is not that of the second"
        );
        assert_eq!(second.done().await, Some(2));
    }

    async fn lost() -> u32 {
        panic!("lost")
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_no_more_than_may_be_and_what_is_lost_is_over() {
        let work: Arc<Coalesce<u8, u32>> = Coalesce::new(2);
        let on = Handle::current();
        let never = std::future::pending::<u32>;
        let _held = [
            work.join(&on, 1, never).unwrap(),
            work.join(&on, 2, never).unwrap(),
        ];
        assert_eq!(work.join(&on, 3, never).err(), Some(Full));
        assert!(work.join(&on, 1, never).is_ok(), "it is under way already");
        let work: Arc<Coalesce<u8, u32>> = Coalesce::new(1);
        let lost = work.join(&on, 1, lost).unwrap();
        assert_eq!(lost.done().await, None);
        assert_eq!(work.join(&on, 1, || async { 7 }).unwrap().done().await, Some(7));
    }
}
