//! Which repositories are an upstream's, and by which rules.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::Breaker;
use super::charts::ChartRepository;
use super::condition::{Answers, UpstreamKind};
use super::places::line;
use super::question::Paths;
use super::source::Source;
use crate::traffic::turnstile::Turnstile;
use oci::{PatternMap, RepoName, RepoPattern};

/// Most upstreams of one registry: each request for a repository is compared with the prefix of each.
pub const MAX_UPSTREAMS: usize = 64;

/// What happens to a pull of what is still undecided when it has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Undecided {
    /// It is told to come again.
    #[default]
    Hold,
    /// It is served, with a warning.
    Stream,
}

/// What happens to a tag that is here and that the upstream does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gone {
    /// It stays and is served, with a warning.
    #[default]
    Keep,
    /// It goes here too. What it named stays, by its digest.
    Drop,
}

/// How repositories of an upstream are proxied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamRule {
    /// How long a tag is taken as it was without asking again. Digests are what they are for ever.
    pub fresh: Duration,
    /// What happens to a pull of what is still undecided when it has waited.
    pub undecided: Undecided,
    /// What happens to a tag that the upstream does not have any more.
    pub gone: Gone,
}

/// An upstream as it is configured.
pub struct UpstreamConfig {
    /// What it is called in messages and metrics.
    pub name: Arc<str>,
    /// The path under which its repositories are kept here.
    pub prefix: RepoName,
    /// Where it is. What is known of tags counts only for the place that was asked.
    pub place: Arc<str>,
    /// Whether names of one component are in `library/` there (Docker Hub).
    pub library: bool,
    /// Names there that may be pulled; empty: all.
    pub allow: Vec<RepoPattern>,
    /// Names there that may not, whatever `allow` says.
    pub deny: Vec<RepoPattern>,
    /// The rule of names there that no pattern matches.
    pub rule: UpstreamRule,
    /// Rules by names there.
    pub rules: PatternMap<UpstreamRule>,
    /// Blobs that come from it at the same time; others wait.
    pub flights: usize,
    /// Manifests that are fetched from it at the same time; others wait. Each may be in memory twice while it is read.
    pub fetches: usize,
    /// How it is asked.
    pub source: Arc<dyn Source>,
    /// The same, where it is a classic repository of Helm charts.
    pub charts: Option<Arc<ChartRepository>>,
}

impl UpstreamConfig {
    pub(crate) fn kind(&self) -> UpstreamKind {
        match self.charts {
            None => UpstreamKind::Registry,
            Some(_) => UpstreamKind::Helm,
        }
    }
}

/// An upstream with what is known of it.
pub(crate) struct Upstream {
    pub(crate) config: UpstreamConfig,
    pub(crate) breaker: Breaker,
    /// What fails although it was reached.
    pub(crate) paths: Paths,
    pub(crate) answers: Answers,
    pub(crate) flights: Arc<Turnstile>,
    pub(crate) fetches: Arc<Turnstile>,
}

/// A repository here that is one of an upstream.
#[derive(Clone)]
pub(crate) struct Proxied {
    pub(crate) upstream: Arc<Upstream>,
    /// What it is called there.
    pub(crate) name: RepoName,
    pub(crate) rule: UpstreamRule,
}

/// All upstreams.
pub(crate) struct Upstreams {
    /// The longest prefix first.
    list: Vec<Arc<Upstream>>,
}

impl Upstream {
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether the rules let a name there be pulled.
    pub(crate) fn allows(&self, name: &RepoName) -> bool {
        let config = &self.config;
        let matches = |patterns: &[RepoPattern]| patterns.iter().any(|pattern| pattern.matches(name));
        !matches(&config.deny) && (config.allow.is_empty() || matches(&config.allow))
    }

    fn proxied(self: &Arc<Self>, rest: &str) -> Option<Proxied> {
        let name: RepoName = rest.parse().ok()?;
        let rule = *self.config.rules.get(&name).unwrap_or(&self.config.rule);
        Some(Proxied {
            upstream: Arc::clone(self),
            name,
            rule,
        })
    }
}

impl Proxied {
    /// Whether the rules let it be pulled.
    pub(crate) fn is_allowed(&self) -> bool {
        self.upstream.allows(&self.name)
    }
}

impl Upstreams {
    pub(crate) fn new(configs: Vec<UpstreamConfig>) -> Self {
        let upstream = |config: UpstreamConfig| {
            Arc::new(Upstream {
                flights: line(config.flights),
                fetches: line(config.fetches),
                answers: Answers::of(&config.name, &config.place),
                config,
                breaker: Breaker::default(),
                paths: Paths::default(),
            })
        };
        let mut list: Vec<_> = configs.into_iter().map(upstream).collect();
        list.sort_by_key(|upstream| std::cmp::Reverse(upstream.config.prefix.as_str().len()));
        Self { list }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.list.iter()
    }

    /// The upstream's repository that a repository here is. `None`: it is a local one.
    pub(crate) fn of(&self, repo: &RepoName) -> Option<Proxied> {
        let (upstream, rest) = self.below(repo)?;
        upstream.proxied(rest)
    }

    /// The one name here of what can be called two ways there: `hub/alpine` is `hub/library/alpine`.
    pub(crate) fn canonical(&self, repo: &RepoName) -> Option<RepoName> {
        let (upstream, rest) = self.below(repo)?;
        if !upstream.config.library || rest.contains('/') {
            return None;
        }
        format!("{}/library/{rest}", upstream.config.prefix).parse().ok()
    }

    fn below<'r>(&self, repo: &'r RepoName) -> Option<(&Arc<Upstream>, &'r str)> {
        self.list.iter().find_map(|upstream| {
            let rest = repo.as_str().strip_prefix(upstream.config.prefix.as_str())?;
            Some((upstream, rest.strip_prefix('/')?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::fake::{Fake, upstream};

    fn upstreams() -> Upstreams {
        let fake = Fake::new();
        let mut hub = upstream("hub", &fake);
        hub.library = true;
        hub.allow = vec!["library/**".parse().unwrap(), "grafana/*".parse().unwrap()];
        hub.deny = vec!["library/evil".parse().unwrap()];
        let stream = UpstreamRule {
            undecided: Undecided::Stream,
            ..hub.rule
        };
        hub.rules = PatternMap::build(vec![("library/busy*".parse().unwrap(), stream)]).unwrap();
        Upstreams::new(vec![hub, upstream("hub/inner", &fake), upstream("quay", &fake)])
    }

    #[test]
    fn a_prefix_is_whole_components_and_the_longest_wins() {
        let upstreams = upstreams();
        let of = |repo: &str| {
            let found = upstreams.of(&repo.parse().unwrap())?;
            Some((found.upstream.name().to_owned(), found.name.to_string()))
        };
        let named = |upstream: &str, name: &str| Some((upstream.to_owned(), name.to_owned()));
        assert_eq!(of("hub/grafana/loki"), named("hub", "grafana/loki"));
        assert_eq!(of("hub/inner/app"), named("hub/inner", "app"));
        assert_eq!(of("hub/innermost"), named("hub", "innermost"));
        for local in ["hub", "hubs/app", "team/hub/app", "quay"] {
            assert_eq!(of(local), None, "{local}");
        }
    }

    #[test]
    fn what_has_two_names_there_has_one_here() {
        let upstreams = upstreams();
        let canonical = |repo: &str| {
            upstreams
                .canonical(&repo.parse().unwrap())
                .map(|name| name.to_string())
        };
        assert_eq!(canonical("hub/alpine").as_deref(), Some("hub/library/alpine"));
        assert_eq!(canonical("hub/library/alpine"), None);
        assert_eq!(canonical("quay/app"), None);
        assert_eq!(canonical("local"), None);
    }

    #[test]
    fn rules_go_by_the_name_there() {
        let upstreams = upstreams();
        let of = |repo: &str| upstreams.of(&repo.parse().unwrap()).unwrap();
        assert!(of("hub/library/alpine").is_allowed());
        assert!(of("hub/grafana/loki").is_allowed());
        assert!(!of("hub/library/evil").is_allowed());
        assert!(!of("hub/stranger/app").is_allowed());
        assert!(of("quay/anything").is_allowed());
        assert_eq!(of("hub/library/busybox").rule.undecided, Undecided::Stream);
        assert_eq!(of("hub/library/alpine").rule.undecided, Undecided::Hold);
    }
}
