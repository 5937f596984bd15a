//! Telling as a value: what it needs, and its loop.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use outbound::Client;
use road::sink::SinkSpec;
use store::{DeliveryCounts, SinkSecrets, Store};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use web::{NewSecretOfSink, Telling, TestAsked};

use super::channel::Channel;
use super::dispatch::Busy;
use super::{Messages, SetupError, TellingLimits, TellingMetrics, sample, secret, setup};
use crate::config::{Cidr, Config};

/// Between two looks at what is kept and counted.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Between two looks whether somebody has set a sink, where there is none: whoever sets one here says so. A registry that tells
/// nobody hardly asks its database.
const WITHOUT_SINKS: Duration = Duration::from_secs(30);

/// Tells sinks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TellingService {
    pub(super) store: Store,
    pub(super) limits: TellingLimits,
    pub(super) http: Client,
    /// What this registry is called in events.
    pub(super) source: String,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) metrics: TellingMetrics,
    pub(super) busy: Busy,
    /// Networks that sinks may lie in although they are not public.
    listed: Arc<[Cidr]>,
    wake: Arc<Notify>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// What a look leaves for the next one.
#[derive(Default)]
struct Seen {
    /// When it was last looked for sinks that are told; `None`: there was one.
    without_sinks: Option<Instant>,
    reminded: Option<Instant>,
    kept: Option<Instant>,
    failures: u32,
}

impl TellingService {
    /// As the configuration says.
    pub(crate) fn new(
        config: &Config,
        store: Store,
        messages: Arc<dyn Messages>,
        metrics: TellingMetrics,
    ) -> Result<Self, SetupError> {
        let listed = config.telling.allowed_private.clone().into();
        let service = Self::with(
            store,
            config.telling.limits(),
            Client::new(setup::settings(&config.telling)?)?,
            setup::source(config),
            messages,
            metrics,
        );
        Ok(Self { listed, ..service })
    }

    pub(super) fn with(
        store: Store,
        limits: TellingLimits,
        http: Client,
        source: String,
        messages: Arc<dyn Messages>,
        metrics: TellingMetrics,
    ) -> Self {
        Self {
            store,
            limits,
            http,
            source,
            messages,
            metrics,
            busy: Busy::default(),
            listed: Arc::default(),
            wake: Arc::default(),
            tasks: Arc::default(),
        }
    }

    fn is_listed(&self, address: IpAddr) -> bool {
        self.listed.iter().any(|network| network.contains(address))
    }

    /// Looks for something to tell, again and again.
    pub(crate) async fn run(self) {
        let mut seen = Seen::default();
        loop {
            if let Err(error) = self.look(&mut seen).await {
                let error: &dyn std::error::Error = error.as_ref();
                tracing::warn!(error, "what is to be told cannot be looked up at the moment");
            }
            let woken = tokio::time::timeout(self.limits.look_every, self.wake.notified()).await;
            if woken.is_ok() {
                seen.without_sinks = None;
            }
        }
    }

    async fn look(&self, seen: &mut Seen) -> anyhow::Result<()> {
        let is_due = |at: Option<Instant>, every| at.is_none_or(|at| at.elapsed() >= every);
        if !is_due(seen.without_sinks, WITHOUT_SINKS) {
            return Ok(());
        }
        let sinks = self.store.sinks().await?;
        if sinks.is_empty() {
            self.metrics.show(&DeliveryCounts::default());
            seen.without_sinks = Some(Instant::now());
            return Ok(());
        }
        seen.without_sinks = None;
        self.follow(&sinks, &mut seen.failures).await?;
        if is_due(seen.reminded, self.limits.remind_every) {
            self.remind(&sinks).await?;
            seen.reminded = Some(Instant::now());
        }
        self.dispatch(&sinks).await?;
        if is_due(seen.kept, HOUSEKEEPING) {
            self.metrics.show(&self.store.delivery_counts(None).await?);
            let (age, most) = (self.limits.kept_for, self.limits.kept);
            self.store.forget_deliveries(age, most).await?;
            self.store.forget_told(store::MAX_TOLD).await?;
            seen.kept = Some(Instant::now());
        }
        Ok(())
    }

    /// Runs something until it ends or all of this does.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until nothing is being told.
    #[cfg(test)]
    pub(super) async fn settle(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    /// Ends what is being told. Whatever was not noted as told is told again by the next start.
    pub(crate) fn end(&self) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }

    /// How a sink is spoken to.
    pub(super) fn channel<'s>(&'s self, spec: &'s SinkSpec, secrets: &'s SinkSecrets) -> Channel<'s> {
        Channel {
            service: self,
            spec,
            secrets,
        }
    }
}

impl Telling for TellingService {
    fn test<'a>(&'a self, sink: &'a str) -> TestAsked<'a> {
        Box::pin(async move {
            let Some(found) = self.store.sink(sink).await? else {
                return Ok(None);
            };
            let secrets = self.store.sink_secrets(sink).await?;
            let said = self.channel(&found.spec, &secrets).test().await?;
            Ok(Some(sample::report(said)))
        })
    }

    fn wake(&self) {
        self.wake.notify_one();
    }

    fn secret(
        &self,
        spec: &SinkSpec,
        given: Option<access::SecretString>,
    ) -> Result<NewSecretOfSink, String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| "the system has no random bytes".to_owned())?;
        let is_listed = |address| self.is_listed(address);
        secret::of_sink(spec, given, random, &is_listed)
    }
}
