//! Whether somebody may pull something: by a permit that counts, or by asking the centre with what they brought.
//!
//! The centre is asked about the very thing that is wanted, so that nothing is asked twice. What it lets one client have is a permit
//! of that client for that repository and of nobody else, but for what it lets nobody in particular have: that is public.

use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use moka::sync::Cache;
use oci::{Digest, ErrorCode, Reference, RepoName};
use outbound::distribution::UpstreamError;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::answer::Refusal;
use super::centre::{Asker, Centre, CentreError, whole};
use super::lists::MAX_REFERRER_BYTES;
use super::permits::{Permits, Standing};
use super::refusals::Refusals;
use super::spaces::Space;
use super::who::{Brought, Fingerprint, Who};

/// Longest time that somebody waits for the centre who has a permit from before.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pairs of who and where that are asked about at the same time, or were a moment ago.
const TURNS: u64 = 10_000;

/// How long a no is remembered, so that a loop of tries does not reach the centre.
const NO_TIME: Duration = Duration::from_secs(2);

/// When it is worth asking again while the centre is away, in seconds.
const RETRY_SECONDS: u64 = 5;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    Manifest(Reference),
    Blob(Digest),
    Tags,
    Referrers(Digest),
}

/// What is wanted, and where.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) space: Arc<Space>,
    /// The repository as it is called here.
    pub(super) local: RepoName,
    /// The same at the centre.
    pub(super) there: RepoName,
    pub(super) what: What,
}

type Turn = (Fingerprint, RepoName);

/// Asks the centre who may pull what.
#[derive(Clone)]
pub(super) struct Admission(Arc<Inner>);

struct Inner {
    centre: Arc<Centre>,
    permits: Arc<Permits>,
    refusals: Arc<Refusals>,
    nobody: Who,
    turns: Cache<Turn, Arc<Mutex<()>>>,
    noes: Cache<(Turn, What), No>,
    runtime: Handle,
}

/// Why somebody may not have something.
#[derive(Debug, Clone)]
enum No {
    /// The centre has no such thing.
    Unknown,
    /// The centre does not let them.
    Denied(String),
    /// Nobody who could say so answers.
    Away(String),
    /// The centre is busy, or asks for patience.
    Later(String, Option<Duration>),
    /// Asking goes in a circle.
    Circle(String),
    /// The centre does not speak as a registry does.
    Broken(String),
}

impl Admission {
    /// Asks on `runtime`, whoever waits for the answer.
    pub(super) fn new(
        centre: Arc<Centre>,
        permits: Arc<Permits>,
        refusals: Arc<Refusals>,
        nobody: Who,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Inner {
            centre,
            permits,
            refusals,
            nobody,
            turns: Cache::builder()
                .max_capacity(TURNS)
                .time_to_idle(Duration::from_mins(1))
                .build(),
            noes: Cache::builder().max_capacity(TURNS).time_to_live(NO_TIME).build(),
            runtime,
        }))
    }

    /// Lets somebody have what they want, or says why not.
    pub(super) async fn admit(&self, who: &Who, wanted: &Wanted) -> Result<(), Refusal> {
        let inner = &*self.0;
        let standing = self.standing(who, &wanted.local);
        if standing == Standing::Fresh {
            self.lend(who, wanted);
            return Ok(());
        }
        let asking = {
            let (this, who, wanted) = (self.clone(), who.clone(), wanted.clone());
            inner.runtime.spawn(async move { this.ask(&who, &wanted).await })
        };
        let no = if standing == Standing::Kept {
            match tokio::time::timeout(PATIENCE, asking).await {
                Ok(Ok(Ok(()))) => return Ok(()),
                Ok(Ok(Err(no @ (No::Denied(_) | No::Broken(_))))) => no,
                // Nothing is said against it.
                _ => {
                    self.lend(who, wanted);
                    return Ok(());
                }
            }
        } else {
            match asking.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(no)) => no,
                Err(_) => No::Away("asking it was stopped".to_owned()),
            }
        };
        Err(self.explain(&no, who, wanted))
    }

    /// What is public is everybody's.
    fn standing(&self, who: &Who, local: &RepoName) -> Standing {
        let (permits, nobody) = (&self.0.permits, &self.0.nobody);
        let of_nobody = permits.standing(nobody, local);
        if of_nobody == Standing::Fresh || who.fingerprint == nobody.fingerprint {
            return of_nobody;
        }
        match permits.standing(who, local) {
            Standing::None => of_nobody,
            own => own,
        }
    }

    /// What is not here is fetched with the credentials of somebody who may have it.
    fn lend(&self, who: &Who, wanted: &Wanted) {
        let centre = &self.0.centre;
        if !centre.has_taken(&wanted.local) && self.0.permits.standing(who, &wanted.local) != Standing::None {
            centre.takes(&wanted.local, &centre.asker(who, &wanted.space));
        }
    }

    /// Asks the centre, one after the other for one client and one repository.
    async fn ask(&self, who: &Who, wanted: &Wanted) -> Result<(), No> {
        let inner = &*self.0;
        let turn = (who.fingerprint, wanted.local.clone());
        let gate = inner.turns.get_with(turn.clone(), Arc::default);
        let _turn = gate.lock().await;
        if self.standing(who, &wanted.local) == Standing::Fresh {
            return Ok(());
        }
        let key = (turn, wanted.what.clone());
        if let Some(no) = inner.noes.get(&key) {
            return Err(no);
        }
        let asker = inner.centre.asker(who, &wanted.space);
        let answer = inner.centre.ask(self.question(&asker, wanted)).await;
        match Self::heard(answer) {
            Ok(()) => {
                inner.permits.grant(who, &wanted.local).await;
                inner.centre.takes(&wanted.local, &asker);
                Ok(())
            }
            Err(no) => {
                if matches!(no, No::Denied(_)) {
                    inner.permits.withdraw(who.fingerprint, &wanted.local).await;
                    inner.centre.refuses(&wanted.local, who.fingerprint);
                }
                inner.noes.insert(key, no.clone());
                Err(no)
            }
        }
    }

    async fn question(&self, asker: &Asker, wanted: &Wanted) -> Result<(), UpstreamError> {
        let (upstream, there) = (&asker.upstream, &wanted.there);
        let reference = match &wanted.what {
            What::Blob(digest) => return upstream.head_blob(there, digest).await,
            What::Tags => return upstream.tags(there, 1).await.map(drop),
            What::Referrers(digest) => {
                let listed = upstream.referrers(there, digest, MAX_REFERRER_BYTES);
                return listed.await.map(drop);
            }
            What::Manifest(reference) => reference,
        };
        let head = upstream.head_manifest(there, reference).await?;
        // What is said against it may be a refusal: only the whole question tells.
        let Some(digest) = head.digest.filter(|_| head.warned) else {
            return Ok(());
        };
        match upstream.check_manifest(there, &digest).await {
            Err(UpstreamError::Refused { message, detail, .. }) => {
                self.0
                    .refusals
                    .note(&wanted.local, &digest, message, &detail)
                    .await;
            }
            Ok(()) => self.0.refusals.lift(&wanted.local, &digest).await,
            Err(_) => {}
        }
        Ok(())
    }

    fn heard(answer: Result<(), CentreError>) -> Result<(), No> {
        let error = match answer {
            Ok(()) => return Ok(()),
            Err(CentreError::Away { why, .. }) => return Err(No::Away(why)),
            Err(CentreError::Said(error)) => error,
        };
        let retry_after = error.retry_after();
        Err(match &error {
            // Whoever is told reasons may pull there.
            UpstreamError::Refused { .. } => return Ok(()),
            UpstreamError::NotFound => No::Unknown,
            UpstreamError::Denied { reason, .. } => No::Denied(reason.clone()),
            UpstreamError::Circle { .. } => No::Circle(whole(&error)),
            UpstreamError::Unreachable(_)
            | UpstreamError::Throttled { .. }
            | UpstreamError::OverBudget { .. } => No::Later(whole(&error), retry_after),
            UpstreamError::Broken { .. } | UpstreamError::TooLarge { .. } => No::Broken(whole(&error)),
        })
    }

    fn explain(&self, no: &No, who: &Who, wanted: &Wanted) -> Refusal {
        let host = self.0.centre.host();
        let name = format!("{}/{}", wanted.space.name, wanted.there);
        match no {
            No::Unknown => {
                let (code, what) = match &wanted.what {
                    What::Manifest(reference) => (ErrorCode::ManifestUnknown, reference.to_string()),
                    What::Blob(digest) => (ErrorCode::BlobUnknown, digest.to_string()),
                    What::Tags | What::Referrers(_) => (ErrorCode::NameUnknown, "such list".to_owned()),
                };
                let message = format!("the registry {host} has no {what} in {name}");
                Refusal::new(StatusCode::NOT_FOUND, code, message)
            }
            No::Denied(reason) if matches!(who.brought, Brought::Nothing | Brought::Token) => {
                Refusal::log_in(format!(
                    "the registry {host} does not let you pull {name}: {reason}"
                ))
            }
            No::Denied(reason) => {
                let whom = match who.brought {
                    Brought::Robot => "this mirror's robot",
                    _ => "these credentials",
                };
                let message = format!("the registry {host} does not let {whom} pull {name}: {reason}");
                Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
            }
            No::Away(why) => Refusal::later(
                format!(
                    "the registry {host} cannot be reached, and this mirror does not know that you may pull {name}: {why}"
                ),
                RETRY_SECONDS,
            ),
            No::Later(why, retry_after) => {
                let seconds = retry_after.map_or(RETRY_SECONDS, |wait| wait.as_secs());
                Refusal::later(format!("the registry {host} is busy: {why}"), seconds)
            }
            No::Circle(why) => {
                let message = format!(
                    "mirror.centre must name a registry, and {host} is a mirror, or this one itself ({why}): other mirrors are peers"
                );
                Refusal::new(StatusCode::LOOP_DETECTED, ErrorCode::Unsupported, message)
            }
            No::Broken(why) => {
                let message = format!("the registry {host} was asked for {name} in vain: {why}");
                Refusal::new(StatusCode::BAD_GATEWAY, ErrorCode::Unknown, message)
                    .header(header::RETRY_AFTER, "5")
            }
        }
    }
}
