//! Looking into what is pushed, judging it, and holding pulls until that is done.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use registry::gate::{Gate, OpenGate};
use store::Store;
use tokio::task::{JoinHandle, JoinSet};
use web::{Asking, Incidents, Judging, Maturing, Rebasing, Surveying};

use super::background::Background;
use crate::{
    config::Config,
    fleet::{FleetService, Following, Questions},
    gate::{
        PolicyGate,
        glass::{self, Glass},
    },
    incidents::{self, IncidentService},
    judge::{self, Asked, AtPush, Judge, Knowledge, attach::Attacher},
    maturity::{self, MaturityService},
    paving::{self, RoadService},
    rebase::{self, Mass, Rebases},
    reevaluate::{FleetHolders, Reevaluator},
    telling::{Messages, NoIncidents},
    worker::{Broker, Pool, PoolError, check_rules},
};

/// How often it is looked for decisions whose time has come, at least: decisions that are made meanwhile may have an earlier one.
const REVIEW_EVERY: Duration = Duration::from_secs(10);

/// Between two such looks.
const REVIEW_PAUSE: Duration = Duration::from_millis(200);

/// What runs beside the requests. Dropping it ends it: whatever was being done is done again by the next start.
pub(super) struct Looking {
    loops: Vec<JoinSet<()>>,
    tasks: Vec<JoinHandle<()>>,
    judging: Arc<dyn Judging>,
    rebasing: Arc<dyn Rebasing>,
    asking: Arc<dyn Asking>,
    surveying: Arc<dyn Surveying>,
    incidents: Arc<dyn Incidents>,
    messages: Arc<dyn Messages>,
    maturing: Arc<dyn Maturing>,
    /// Until it is told to stop.
    following: Option<Following>,
    pool: Pool,
}

/// The API with what it asks of whoever looks into images; without, nobody answers.
pub(super) fn serving(looking: Option<&Looking>, state: web::WebState) -> web::WebState {
    state
        .judged_by(looking.map(|looking| Arc::clone(&looking.judging)))
        .surveyed_by(looking.map(|looking| Arc::clone(&looking.surveying)))
        .rebased_by(looking.map(|looking| Arc::clone(&looking.rebasing)))
        .answered_by(looking.map(|looking| Arc::clone(&looking.asking)))
        .followed_by(looking.map(|looking| Arc::clone(&looking.incidents)))
        .assessed_by(looking.map(|looking| Arc::clone(&looking.maturing)))
}

/// Who judges on demand; nobody where no images are looked into.
pub(super) fn judging(looking: Option<&Looking>) -> Option<Arc<dyn Judging>> {
    looking.map(|looking| Arc::clone(&looking.judging))
}

/// Who knows what owners must do about incidents; nobody where no images are looked into.
pub(super) fn messages(looking: Option<&Looking>) -> Arc<dyn Messages> {
    looking.map_or_else(
        || Arc::new(NoIncidents) as Arc<dyn Messages>,
        |looking| Arc::clone(&looking.messages),
    )
}

/// Ends it; what is to be kept for the next start is written down first.
pub(super) async fn stop(looking: Option<Looking>) {
    if let Some(following) = looking.and_then(|mut looking| looking.following.take()) {
        following.stop().await;
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.loops.iter_mut().for_each(JoinSet::abort_all);
        // The threads that wait for children would hold up the end of the process.
        self.pool.close();
    }
}

/// Starts it, unless it is switched off, on threads of its own: pulls come first.
pub(super) async fn start(
    background: &Background,
    config: &Config,
    store: &Store,
    knowledge: Arc<Knowledge>,
    instance: &str,
) -> Result<Option<Looking>> {
    if !config.scan.enabled {
        return Ok(None);
    }
    let (secrets, malware) = (
        config.scan.secret_rules.clone(),
        config.scan.malware_rules.clone(),
    );
    tokio::task::spawn_blocking(move || check_rules(&secrets, &malware))
        .await
        .context("the rules could not be checked")?
        .context("scan.secret_rules or scan.malware_rules names what cannot be used")?;
    store.release_jobs().await?;
    let (config, store, instance) = (config.clone(), store.clone(), instance.to_owned());
    let started = background
        .handle()
        .spawn(async move { start_there(&config, &store, &knowledge, &instance) });
    let looking = started
        .await
        .context("looking into what is pushed did not start")?;
    Ok(Some(looking))
}

/// Starts it on the threads that this is called on.
fn start_there(config: &Config, store: &Store, knowledge: &Arc<Knowledge>, instance: &str) -> Looking {
    let pool = Pool::new(config.pool_config());
    let broker = Broker::start(
        store.clone(),
        pool.clone(),
        config.broker_config(),
        format!("serve {instance}"),
    );
    let judge = Judge::start(
        store.clone(),
        Arc::clone(knowledge),
        config.sbom_config(),
        format!("judge {instance}"),
    );
    let fleet = FleetService::of(store.clone(), Arc::clone(knowledge));
    let incidents = IncidentService::of(
        store.clone(),
        Arc::clone(&fleet),
        Arc::clone(knowledge),
        config.incident_deadlines(),
    );
    let judging = Asked::new(
        store.clone(),
        Arc::clone(knowledge),
        Box::new(FleetHolders(Arc::clone(&fleet))),
        config.lift_guard(),
    );
    let paving = RoadService::of(
        store.clone(),
        Arc::clone(&fleet),
        Arc::clone(knowledge),
        Arc::clone(&judging) as _,
    );
    let rebases = Rebases::new(store.clone(), knowledge);
    let mass = Mass::new(
        store.clone(),
        Arc::clone(&rebases),
        Arc::clone(&fleet),
        Arc::clone(&incidents),
        config.mass_settings(),
    );
    let maturing = maturing(store, &fleet);
    let attacher = Attacher::start(store.clone(), config.sbom_config(), format!("sbom {instance}"));
    Looking {
        loops: vec![broker, judge, attacher],
        tasks: vec![
            tokio::spawn(review(store.clone())),
            tokio::spawn(Arc::clone(knowledge).follow()),
            tokio::spawn(reevaluator(config, store, knowledge, &fleet).follow()),
            tokio::spawn(glass::audit::follow(store.clone())),
            tokio::spawn(look_again(store.clone(), pool.clone())),
            tokio::spawn(judge::brake::follow(store.clone(), config.brake())),
            tokio::spawn(rebase::follow(store.clone())),
            tokio::spawn(mass.follow()),
            tokio::spawn(incidents::follow(Arc::clone(&incidents))),
            tokio::spawn(paving::follow(Arc::clone(&paving))),
            tokio::spawn(maturity::follow(Arc::clone(&maturing))),
        ],
        following: Some(fleet.follow()),
        rebasing: rebases,
        judging,
        surveying: paving,
        asking: Arc::new(Questions(fleet)),
        messages: Arc::clone(&incidents) as Arc<dyn Messages>,
        incidents,
        maturing,
        pool,
    }
}

fn maturing(store: &Store, fleet: &Arc<FleetService>) -> Arc<MaturityService> {
    MaturityService::of(
        store.clone(),
        maturity::collectors(store.clone(), Arc::clone(fleet)),
        Some(maturity::figures(store.clone(), Arc::clone(fleet))),
    )
}

/// Judges again what an import may have changed.
fn reevaluator(
    config: &Config,
    store: &Store,
    knowledge: &Arc<Knowledge>,
    fleet: &Arc<FleetService>,
) -> Reevaluator {
    Reevaluator::new(
        store.clone(),
        Arc::clone(knowledge),
        Arc::clone(fleet),
        config.reevaluation_limits(),
    )
}

async fn review(store: Store) {
    loop {
        let next = judge::until_next_review(&store, REVIEW_EVERY).await;
        tokio::time::sleep(next.unwrap_or(REVIEW_EVERY).max(REVIEW_PAUSE)).await;
        if let Err(error) = judge::review(&store).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "decisions could not be looked at again"
            );
        }
    }
}

/// What images are judged by; nothing yet.
pub(super) fn knowledge(config: &Config, store: &Store) -> Arc<Knowledge> {
    Knowledge::of(store.clone(), config.judge_limits())
}

/// What pulls and pushes have to pass.
pub(super) fn gate(config: &Config, store: &Store, knowledge: &Arc<Knowledge>) -> Arc<dyn Gate> {
    if !config.scan.enabled || !config.gate.enabled {
        return Arc::new(OpenGate);
    }
    let pushes = AtPush::new(store.clone(), Arc::clone(knowledge), config.road.at_push());
    let glass = Glass::of(store.data_dir());
    PolicyGate::new(store.clone(), config.gate_config(), glass, pushes)
}

/// Compiles the rules before somebody waits for it, and has blobs looked into again that other analysers or rules have
/// looked into.
async fn look_again(store: Store, pool: Pool) {
    let analysers = match pool.analysers().await {
        Ok(analysers) => analysers,
        Err(PoolError::Stopping) => return,
        Err(error) => {
            tracing::warn!(%error, "the rules could not be compiled; it is tried again with the next blob");
            return;
        }
    };
    match store.request_outdated_scans(&analysers).await {
        Ok(0) => {}
        Ok(blobs) => tracing::info!(
            blobs,
            analysers,
            "blobs are looked into again: analysers or rules have changed"
        ),
        Err(error) => tracing::warn!(%error, "it is not known which blobs have to be looked into again"),
    }
}
