//! What is fetched from upstreams before somebody pulls it: lists of the configuration, and images by hand.
//!
//! Each upstream has one line (`line.rs`), which is worked off one image after the other: what is fetched ahead is never more than one
//! request's worth in the way of those who pull. A quarter of an upstream's budget of requests is left to them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use oci::{Platform, Reference, RepoName};
use registry::{Registry, proxy::PrefetchError};
use store::Store;
use tokio::task::JoinHandle;
use web::PrefetchRefused;
use web::wire::PrefetchEntry as Shown;

use super::background::Background;
use crate::config::{Config, PrefetchWhat};

mod line;
mod tags;

use line::{Line, Order, Turn};

/// Most tags of a repository that are looked at.
const MOST_TAGS: usize = 10_000;

/// Of an upstream's budget of requests, the part that is left to those who pull.
const KEPT_SHARE: u64 = 4;

/// How long it is waited for somebody to look into a chart whose images are to be fetched.
const CHART_WAIT: Duration = Duration::from_mins(5);

/// How often it is looked meanwhile.
const CHART_LOOK: Duration = Duration::from_millis(500);

/// What fetches ahead. Dropping it ends it; images on their way come to their end.
pub(super) struct Prefetching {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

/// The same for whoever asks how far it is.
#[derive(Clone)]
pub(super) struct Prefetcher(Arc<Inner>);

struct Inner {
    registry: Registry,
    store: Store,
    /// By the name of the upstream.
    lines: BTreeMap<Arc<str>, Line>,
    /// Budgets of requests, by the name of the upstream.
    budgets: BTreeMap<Arc<str>, NonZeroU32>,
    names: BTreeMap<String, String>,
}

/// What is fetched in one turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    what: What,
    platforms: Vec<Platform>,
    chart_images: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Image(RepoName, Reference),
    Tags {
        repository: RepoName,
        pattern: String,
        newest: usize,
    },
}

impl Prefetching {
    /// Begins with what the configuration names.
    pub(super) fn start(
        background: &Background,
        config: &Config,
        store: &Store,
        registry: &Registry,
    ) -> Self {
        let inner = Arc::new(Inner {
            lines: registry
                .upstreams()
                .into_iter()
                .map(|upstream| (upstream.name, Line::default()))
                .collect(),
            budgets: budgets(config),
            names: config.registry_config().namespaces,
            registry: registry.clone(),
            store: store.clone(),
        });
        for entry in &config.proxy.prefetch.0 {
            let wants: Vec<What> = match &entry.what {
                PrefetchWhat::Images(images) => images
                    .iter()
                    .map(|(repository, reference)| What::Image(repository.clone(), reference.clone()))
                    .collect(),
                PrefetchWhat::Tags {
                    repository,
                    pattern,
                    newest,
                } => vec![What::Tags {
                    repository: repository.clone(),
                    pattern: pattern.clone(),
                    newest: *newest,
                }],
            };
            for what in wants {
                let wanted = Wanted {
                    what,
                    platforms: entry.platforms.clone(),
                    chart_images: entry.chart_images,
                };
                inner.list(wanted, Order::Every(entry.every));
            }
        }
        let follow = |name: &Arc<str>| {
            let (inner, name) = (Arc::clone(&inner), Arc::clone(name));
            background
                .handle()
                .spawn(async move { inner.follow(&name).await })
        };
        let tasks = inner.lines.keys().map(follow).collect();
        Self { inner, tasks }
    }

    /// For whoever asks how far it is.
    pub(super) fn prefetcher(&self) -> Prefetcher {
        Prefetcher(Arc::clone(&self.inner))
    }
}

impl Drop for Prefetching {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn budgets(config: &Config) -> BTreeMap<Arc<str>, NonZeroU32> {
    let upstreams = config.proxy.upstreams.0.iter();
    let budgets =
        upstreams.filter_map(|upstream| Some((upstream.name.as_str().into(), upstream.requests_per_hour?)));
    budgets.collect()
}

impl Prefetcher {
    /// How far it is with what is fetched of an upstream.
    pub(super) fn shown(&self, upstream: &str) -> Vec<Shown> {
        let now = self.0.store.now();
        self.0
            .lines
            .get(upstream)
            .map(|line| line.shown(now))
            .unwrap_or_default()
    }

    /// The repository here that a name at a registry is pulled as.
    pub(super) fn repository(&self, registry: &str, name: &str) -> Option<RepoName> {
        self.0.repository(registry, name)
    }

    /// Has images fetched, as soon as it is their turn.
    pub(super) fn fetch(&self, images: Vec<(RepoName, Reference)>) -> Result<Vec<String>, PrefetchRefused> {
        let mut wants = Vec::with_capacity(images.len());
        for (repository, reference) in images {
            let of = self.0.registry.upstream_of(&repository);
            let of = of.ok_or_else(|| PrefetchRefused::NoUpstream(repository.clone()))?;
            if !of.is_allowed {
                return Err(PrefetchRefused::NotAllowed {
                    upstream: of.upstream.to_string(),
                    repository: of.repo,
                });
            }
            wants.push((of.upstream, Wanted::image(of.repo, reference)));
        }
        let mut names = Vec::with_capacity(wants.len());
        for (upstream, wanted) in wants {
            let name = wanted.name();
            if let Some(line) = self.0.lines.get(&upstream) {
                line.add(wanted, Order::Once).map_err(PrefetchRefused::TooMany)?;
            }
            names.push(name);
        }
        Ok(names)
    }
}

impl Wanted {
    /// An image for whoever asks by hand: of an index, the platform that most nodes have.
    fn image(repository: RepoName, reference: Reference) -> Self {
        Self {
            what: What::Image(repository, reference),
            platforms: vec![Platform {
                os: "linux".to_owned(),
                architecture: "amd64".to_owned(),
                ..Platform::default()
            }],
            chart_images: false,
        }
    }

    /// As it is listed.
    fn name(&self) -> String {
        match &self.what {
            What::Image(repository, Reference::Tag(tag)) => format!("{repository}:{tag}"),
            What::Image(repository, Reference::Digest(digest)) => format!("{repository}@{digest}"),
            What::Tags {
                repository,
                pattern,
                newest,
            } => format!("{repository}:{pattern} (newest {newest})"),
        }
    }

    fn repository(&self) -> &RepoName {
        match &self.what {
            What::Image(repository, _) | What::Tags { repository, .. } => repository,
        }
    }
}

impl Inner {
    /// Puts something into the line of its upstream.
    fn list(&self, mut wanted: Wanted, order: Order) {
        let Some(of) = self.registry.upstream_of(wanted.repository()) else {
            return;
        };
        match &mut wanted.what {
            What::Image(repository, _) | What::Tags { repository, .. } => *repository = of.repo,
        }
        let Some(line) = self.lines.get(&of.upstream) else {
            return;
        };
        if let Err(waiting) = line.add(wanted, order) {
            tracing::warn!(upstream = %of.upstream, waiting, "too much is to be fetched ahead; something was left out");
        }
    }

    /// Works off the line of an upstream.
    async fn follow(&self, upstream: &Arc<str>) {
        let Some(line) = self.lines.get(upstream) else {
            return;
        };
        loop {
            let (number, wanted) = line.next(&self.store).await;
            let turn = self.turn(upstream, &wanted).await;
            if let Some(error) = &turn.error {
                tracing::warn!(%upstream, images = wanted.name(), error, "what was to be fetched ahead is not all here");
            }
            line.done(number, turn, self.store.now());
        }
    }

    /// One turn of what is wanted.
    async fn turn(&self, upstream: &Arc<str>, wanted: &Wanted) -> Turn {
        let mut turn = Turn::default();
        let images = match &wanted.what {
            What::Image(_, reference) => Ok(vec![reference.clone()]),
            What::Tags {
                repository,
                pattern,
                newest,
            } => self.tags(upstream, repository, pattern, *newest).await,
        };
        let images = match images {
            Ok(images) => images,
            Err(error) => {
                turn.fail(&error);
                return turn;
            }
        };
        let repository = wanted.repository();
        for reference in images {
            if let Err(error) = self.leave_some(upstream) {
                turn.fail(&error);
                break;
            }
            match self
                .registry
                .prefetch(repository, &reference, &wanted.platforms)
                .await
            {
                Ok(brought) => {
                    turn.here += 1;
                    if let Some(archive) = brought.chart.filter(|_| wanted.chart_images) {
                        self.list_images_of(&archive, wanted).await;
                    }
                }
                Err(error) => {
                    turn.fail(&error);
                    // Whoever asks to be left alone is.
                    if error.retry_after.is_some() {
                        break;
                    }
                }
            }
        }
        turn
    }

    async fn tags(
        &self,
        upstream: &Arc<str>,
        repository: &RepoName,
        pattern: &str,
        newest: usize,
    ) -> Result<Vec<Reference>, PrefetchError> {
        self.leave_some(upstream)?;
        let tags = self.registry.tags_at_upstream(repository, MOST_TAGS).await?;
        let newest = tags::newest(tags, pattern, newest);
        if newest.is_empty() {
            return Err(PrefetchError {
                message: format!("no tag of {repository} matches {pattern}"),
                retry_after: None,
            });
        }
        Ok(newest.into_iter().map(Reference::Tag).collect())
    }

    /// Fails where what is left of the budget is for those who pull.
    fn leave_some(&self, upstream: &Arc<str>) -> Result<(), PrefetchError> {
        let Some(budget) = self.budgets.get(upstream) else {
            return Ok(());
        };
        let upstreams = self.registry.upstreams();
        let left = upstreams
            .iter()
            .find(|one| one.name == *upstream)
            .and_then(|one| one.budget.requests);
        if left.is_none_or(|left| left > u64::from(budget.get()) / KEPT_SHARE) {
            return Ok(());
        }
        Err(PrefetchError {
            message: "what is left of its requests per hour is kept for those who pull".to_owned(),
            retry_after: Some(Duration::from_mins(10)),
        })
    }

    /// Puts the images of a chart into the lines of their upstreams, when somebody has looked into it.
    async fn list_images_of(&self, archive: &oci::Digest, wanted: &Wanted) {
        let looked = tokio::time::timeout(CHART_WAIT, self.facts(archive)).await;
        let Ok(Some(facts)) = looked else {
            tracing::warn!(
                chart = wanted.name(),
                "its images are not fetched: nobody has looked into it, or it cannot be read"
            );
            return;
        };
        for image in &facts.images {
            let Some((repository, reference)) = self.here(&image.reference) else {
                continue;
            };
            let image = Wanted {
                what: What::Image(repository, reference),
                platforms: wanted.platforms.clone(),
                chart_images: false,
            };
            let is_allowed = self
                .registry
                .upstream_of(image.repository())
                .is_some_and(|of| of.is_allowed);
            if is_allowed {
                self.list(image, Order::Once);
            }
        }
    }

    async fn facts(&self, archive: &oci::Digest) -> Option<findings::ChartFacts> {
        loop {
            match self.store.layer_report(archive).await {
                Ok(Some(report)) => return report.chart.map(|facts| *facts),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "it is not known what is in a chart"),
            }
            tokio::time::sleep(CHART_LOOK).await;
        }
    }

    /// What an image is here, by its whole reference.
    fn here(&self, image: &str) -> Option<(RepoName, Reference)> {
        let (registry, rest) = image.split_once('/')?;
        let (name, reference) = rest.split_once('@').or_else(|| rest.rsplit_once(':'))?;
        Some((self.repository(registry, name)?, reference.parse().ok()?))
    }

    fn repository(&self, registry: &str, name: &str) -> Option<RepoName> {
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            registry => registry,
        };
        let prefix = self.names.get(registry)?;
        let repository: RepoName = format!("{prefix}/{name}").parse().ok()?;
        let of = self.registry.upstream_of(&repository);
        Some(of.map_or(repository, |of| of.repo))
    }
}
