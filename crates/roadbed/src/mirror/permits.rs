//! What the centre has let whom pull, for how long that counts, and what outlives a restart.

use std::time::Duration;

use moka::sync::Cache;
use oci::RepoName;
use store::{MirrorPermit, Store, Timestamp};

use super::who::{Brought, Fingerprint, Who};

/// How long a permit counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct PermitTimes {
    /// Without asking again.
    pub(super) fresh: Duration,
    /// While the centre cannot be asked.
    pub(super) kept: Duration,
}

/// How a permit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It counts.
    Fresh,
    /// It counts as long as the centre cannot be asked.
    Kept,
    /// There is none.
    None,
}

/// All permits. One is of one fingerprint and one repository, and says nothing of any other.
pub(super) struct Permits {
    store: Store,
    times: PermitTimes,
    known: Cache<(Fingerprint, RepoName), Timestamp>,
}

impl Permits {
    /// With those from before the last start, at most `most`.
    pub(super) async fn load(store: Store, times: PermitTimes, most: u64) -> Result<Self, store::StoreError> {
        let known = Cache::new(most);
        for permit in store.mirror_permits(most).await? {
            known.insert((permit.who, permit.repo), permit.at);
        }
        Ok(Self { store, times, known })
    }

    /// How long permits are kept at most.
    pub(super) fn kept(&self) -> Duration {
        self.times.kept
    }

    /// Whether somebody may pull from a repository here, as far as is known.
    pub(super) fn standing(&self, who: &Who, repo: &RepoName) -> Standing {
        let Some(at) = self.known.get(&(who.fingerprint, repo.clone())) else {
            return Standing::None;
        };
        standing(self.store.now(), at, self.times, who.brought)
    }

    /// The centre has let somebody pull there, just now.
    pub(super) async fn grant(&self, who: &Who, repo: &RepoName) {
        let at = self.store.now();
        self.known.insert((who.fingerprint, repo.clone()), at);
        // A token has ended by the next start.
        if who.brought == Brought::Token {
            return;
        }
        let permit = MirrorPermit {
            who: who.fingerprint,
            repo: repo.clone(),
            at,
        };
        if let Err(error) = self.store.note_mirror_permits(vec![permit]).await {
            tracing::warn!(%error, repository = %repo, "a permit was not written down: it ends with this process");
        }
    }

    /// The centre does not let them any more.
    pub(super) async fn withdraw(&self, who: Fingerprint, repo: &RepoName) {
        self.known.invalidate(&(who, repo.clone()));
        if let Err(error) = self.store.drop_mirror_permit(who, repo).await {
            tracing::error!(%error, repository = %repo, "a permit that was withdrawn is still written down");
        }
    }
}

fn standing(now: Timestamp, at: Timestamp, times: PermitTimes, brought: Brought) -> Standing {
    let age = now.micros().saturating_sub(at.micros());
    // One from the future says that the clock was changed, not that it counts for ever.
    let Ok(age) = u64::try_from(age) else {
        return Standing::Kept;
    };
    let age = Duration::from_micros(age);
    if age < times.fresh {
        Standing::Fresh
    } else if age < times.kept && brought != Brought::Token {
        Standing::Kept
    } else {
        Standing::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: PermitTimes = PermitTimes {
        fresh: Duration::from_mins(1),
        kept: Duration::from_hours(1),
    };

    fn after(seconds: i64, brought: Brought) -> Standing {
        standing(Timestamp(seconds * 1_000_000), Timestamp(0), TIMES, brought)
    }

    #[test]
    fn a_permit_is_fresh_then_kept_then_over() {
        for (seconds, wanted) in [
            (0, Standing::Fresh),
            (59, Standing::Fresh),
            (60, Standing::Kept),
            (3_599, Standing::Kept),
            (3_600, Standing::None),
            (-1, Standing::Kept),
        ] {
            assert_eq!(after(seconds, Brought::Password), wanted, "{seconds}");
            assert_eq!(after(seconds, Brought::Nothing), wanted, "{seconds}");
        }
    }

    #[test]
    fn a_token_is_not_kept_for_longer_than_it_is_fresh() {
        assert_eq!(after(59, Brought::Token), Standing::Fresh);
        assert_eq!(after(60, Brought::Token), Standing::None);
    }
}
