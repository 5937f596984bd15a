//! Tags that follow: a rebased image is decided like any other, and its tag moves unless that came out worse than the image before.

use std::time::Duration;

use access::{PrincipalName, Role};
use anyhow::{Context as _, Result};
use oci::{Digest, Manifest, ManifestKind, RepoName};
use store::{Blame, OPERATOR, Outcome, Point, RebaseError, SYSTEM, Store, WaitingRebase};

use crate::judge::stored_limits;

/// How often it looks without a decision, while anything is written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Rebases that are looked at at a time; more wait for the next look.
const AT_A_TIME: usize = 1_000;

/// Lets tags follow until its task is ended.
pub(crate) async fn follow(store: Store) {
    let (mut decided, mut writes) = (store.decisions(), store.writes());
    loop {
        decided.mark_unchanged();
        writes.mark_unchanged();
        let is_done = look(&store).await.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "tags could not follow rebases");
            false
        });
        if !is_done {
            writes.mark_changed();
        }
        tokio::time::sleep(PAUSE).await;
        let something_written = async {
            tokio::time::sleep(LOOK_EVERY).await;
            writes.changed().await
        };
        // A store that is gone ends the process.
        let _ = tokio::select! {
            told = decided.changed() => told,
            told = something_written => told,
        };
    }
}

/// `false`: something is to be tried again.
async fn look(store: &Store) -> Result<bool> {
    // Looked at before anything is decided about them: what is stopped waits, and is not refused.
    if store.rebases_stopped_by().await?.is_some() {
        return Ok(true);
    }
    let mut is_done = true;
    for rebase in store.waiting_rebases(AT_A_TIME).await? {
        if let Err(error) = settle(store, &rebase).await {
            let (id, error) = (rebase.id, format!("{error:#}"));
            tracing::warn!(%id, error, "a tag could not follow a rebase");
            is_done = false;
        }
    }
    Ok(is_done)
}

async fn settle(store: &Store, rebase: &WaitingRebase) -> Result<()> {
    if !may_still_push(store, rebase) {
        let (by, repo) = (&rebase.by, &rebase.repository);
        let reason = format!("{by}, who asked for it, may not push to {repo} any more");
        return Ok(store.refuse_rebase(rebase.id, Blame::Tag, &reason).await?);
    }
    let new = match worst(store, &rebase.repository, &rebase.new).await? {
        Standing::Decided(new) => new,
        Standing::Undecided => return Ok(()),
        Standing::Empty => {
            let reason = "nothing that runs is in the new image, so nobody decides about it";
            return Ok(store.refuse_rebase(rebase.id, Blame::Tag, reason).await?);
        }
        Standing::Gone => {
            let reason = "the new image was deleted before it was decided";
            return Ok(store.refuse_rebase(rebase.id, Blame::Tag, reason).await?);
        }
    };
    let old = match worst(store, &rebase.repository, &rebase.old).await? {
        Standing::Decided(old) => Some(old),
        // It cannot be said yet which of the two is worse.
        Standing::Undecided => return Ok(()),
        // The tag tells of an image that is gone.
        Standing::Gone | Standing::Empty => None,
    };
    if let Some(old) = old.filter(|old| rank(new.outcome) > rank(old.outcome)) {
        let reason = format!(
            "the new image comes out worse: {} instead of {}: {}",
            word(new.outcome),
            word(old.outcome),
            new.line
        );
        return Ok(store.refuse_rebase(rebase.id, Blame::Release, &reason).await?);
    }
    match store.move_rebase(rebase.id).await {
        // Or somebody has stopped it meanwhile; it goes on when it is resumed.
        Ok(_) | Err(RebaseError::Stopped { .. }) => Ok(()),
        // The journal says so; a failure of the store is tried again.
        Err(error) if error.is_of_store() => Err(error.into()),
        Err(error) => Ok(store
            .refuse_rebase(rebase.id, Blame::Tag, &error.to_string())
            .await?),
    }
}

/// Rights are asked again when they are used: the one who asked may have lost them while the image was looked into.
fn may_still_push(store: &Store, rebase: &WaitingRebase) -> bool {
    // The registry itself, and whoever has the data directory.
    if [SYSTEM, OPERATOR].contains(&rebase.by.as_str()) {
        return true;
    }
    let now = store.now().micros();
    let name = rebase.by.parse::<PrincipalName>();
    name.is_ok_and(|name| {
        store
            .access()
            .is_still_granted(&name, &rebase.repository, Role::Push, now)
    })
}

/// What became of the images of a manifest.
enum Standing {
    /// All of them are decided; the worst decision.
    Decided(Decided),
    /// One of them is not.
    Undecided,
    /// There is none that runs.
    Empty,
    /// The repository does not have it any more.
    Gone,
}

/// A decision, as far as it matters here.
struct Decided {
    outcome: Outcome,
    line: String,
}

async fn worst(store: &Store, repo: &RepoName, digest: &Digest) -> Result<Standing> {
    let Some(stored) = store.manifest_to_judge(repo, digest).await? else {
        return Ok(Standing::Gone);
    };
    let manifest = Manifest::parse(&stored.bytes, Some(&stored.media_type), &stored_limits())
        .context("a manifest that was stored cannot be read")?;
    let images: Vec<Digest> = match manifest.kind {
        ManifestKind::Image => vec![*digest],
        ManifestKind::Index => manifest.manifests.iter().map(|child| child.digest).collect(),
    };
    let mut worst: Option<Decided> = None;
    for image in images {
        if manifest.kind == ManifestKind::Index && !store.has_image(repo, &image).await? {
            continue;
        }
        let Some(judgement) = store.decision(repo, &image, Point::Pull).await? else {
            return Ok(Standing::Undecided);
        };
        if worst
            .as_ref()
            .is_none_or(|worst| rank(judgement.outcome) > rank(worst.outcome))
        {
            worst = Some(Decided {
                outcome: judgement.outcome,
                line: judgement.line.clone(),
            });
        }
    }
    Ok(worst.map_or(Standing::Empty, Standing::Decided))
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotApplicable => 0,
        Outcome::Allow => 1,
        Outcome::Warn => 2,
        Outcome::Refuse => 3,
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotApplicable => "not applicable",
        Outcome::Allow => "allowed",
        Outcome::Warn => "warned about",
        Outcome::Refuse => "refused",
    }
}
