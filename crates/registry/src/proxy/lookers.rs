//! Who looks into the store for what memory does not have: of all who want the same, one at a time.
//!
//! A cold image that a whole cluster pulls is one look and one question to its upstream. Until the first has looked, nobody knows that
//! its question is to be asked; all others wait for that here, without a place at the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::Class;
use oci::{Reference, RepoName};
use tokio::sync::OwnedMutexGuard;

use super::places::Payer;

/// What is wanted, by whom, and how urgently: nobody waits for the look of somebody who has to wait longer for it.
type Key = (RepoName, Reference, Payer, Class);

type Line = Arc<tokio::sync::Mutex<()>>;

/// The lines of those who look.
#[derive(Default)]
pub(crate) struct Lookers(Mutex<HashMap<Key, Line>>);

/// Whose turn it is to look; over when dropped.
pub(crate) struct Looking<'l> {
    of: &'l Lookers,
    key: Key,
    line: Line,
    turn: Option<OwnedMutexGuard<()>>,
    /// Whether somebody else looked before.
    pub(crate) has_waited: bool,
}

impl Lookers {
    /// When all who came before have looked.
    pub(crate) async fn enter(&self, key: Key) -> Looking<'_> {
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lines.entry(key.clone()).or_default())
        };
        let mut looking = Looking {
            of: self,
            key,
            line,
            turn: None,
            has_waited: false,
        };
        let turn = Arc::clone(&looking.line).try_lock_owned();
        looking.has_waited = turn.is_err();
        looking.turn = Some(match turn {
            Ok(turn) => turn,
            Err(_) => Arc::clone(&looking.line).lock_owned().await,
        });
        looking
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        drop(self.turn.take());
        let mut lines = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The list has one, and this is the other.
        if Arc::strong_count(&self.line) == 2 {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn key(tag: &str) -> Key {
        (
            "hub/app".parse().unwrap(),
            tag.parse().unwrap(),
            None,
            Class::Node,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn one_looks_at_a_time_and_nothing_is_left() {
        let lookers = Lookers::default();
        let looks = (0..20).map(|_| async {
            let looking = lookers.enter(key("1")).await;
            sleep(Duration::from_secs(1)).await;
            looking.has_waited
        });
        let other = async {
            let looking = lookers.enter(key("2")).await;
            looking.has_waited
        };
        let began = tokio::time::Instant::now();
        let (waited, other) = tokio::join!(join_all(looks), other);
        assert_eq!(waited.iter().filter(|waited| !**waited).count(), 1);
        assert_eq!(began.elapsed(), Duration::from_secs(20));
        assert!(!other, "something else");
        assert!(lookers.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_is_not_waited_for() {
        let lookers = Lookers::default();
        let first = lookers.enter(key("1")).await;
        let gone = timeout(Duration::from_secs(1), lookers.enter(key("1"))).await;
        assert!(gone.is_err());
        drop(first);
        assert!(lookers.0.lock().unwrap().is_empty());
        assert!(!lookers.enter(key("1")).await.has_waited);
    }
}
