//! Approved bases: lines of images that others are built on, with an owner, an end, and what the owner promises.

mod duration;

use std::collections::{BTreeMap, BTreeSet};

use findings::Severity;
use oci::{Digest, RepoName};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::app_road::LAST_YEAR;
use crate::ends::last_day;
use crate::names::{BaseName, Contact, Owner};

pub use duration::{MAX_DURATION, parse_duration};

/// Most bases.
pub const MAX_BASES: usize = 10_000;

/// Most channels of one base.
pub const MAX_CHANNELS: usize = 32;

/// What counts where a base promises nothing for a severity: the usual term for what is not urgent.
pub const DEFAULT_PROMISE: Duration = Duration::days(30);

/// Where a base stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// May change or go at any time; not on the road yet.
    Experimental,
    /// On the road.
    Supported,
    /// On the road until its end; another one takes its place.
    Deprecated,
    /// Off the road.
    Retired,
}

impl Lifecycle {
    /// All, with their spelling.
    pub const WORDS: [(&str, Self); 4] = [
        ("experimental", Self::Experimental),
        ("supported", Self::Supported),
        ("deprecated", Self::Deprecated),
        ("retired", Self::Retired),
    ];
}

/// Within which time a base's owner has patched it, by the severity of what is patched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Promise(BTreeMap<Severity, u64>);

impl Promise {
    /// From pairs; of what is not positive nothing is kept.
    pub fn new(pairs: impl IntoIterator<Item = (Severity, Duration)>) -> Self {
        let seconds = |duration: Duration| u64::try_from(duration.whole_seconds()).ok();
        let pairs = pairs
            .into_iter()
            .filter_map(|(severity, within)| Some((severity, seconds(within)?)));
        Self(pairs.collect())
    }

    /// What is promised for `severity` in so many words; a severity that nobody knows is promised nothing.
    pub fn said(&self, severity: Severity) -> Option<Duration> {
        let seconds = self.0.get(&severity)?;
        Some(Duration::seconds(i64::try_from(*seconds).unwrap_or(i64::MAX)))
    }

    /// What is promised for `severity`. Where nothing is said about it, the promise of the next more urgent severity is no
    /// promise for this one: [`DEFAULT_PROMISE`], or the longest that is said if that is longer. A severity that nobody knows
    /// counts as high: unknown is not harmless.
    pub fn within(&self, severity: Severity) -> Duration {
        let severity = match severity {
            Severity::Unknown => Severity::High,
            known => known,
        };
        let seconds = |seconds: &u64| Duration::seconds(i64::try_from(*seconds).unwrap_or(i64::MAX));
        let said = self.0.get(&severity).map(seconds);
        said.unwrap_or_else(|| {
            let longest = self.0.values().max().map_or(DEFAULT_PROMISE, seconds);
            longest.max(DEFAULT_PROMISE)
        })
    }
}

/// What the owner says about swapping the base without a rebuild.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebaseContract {
    /// Whether it may be done.
    pub safe: bool,
    /// What stays the same between releases: `glibc-2.36`.
    pub abi: Option<String>,
    /// For which architectures.
    pub arch: Vec<String>,
}

/// An approved base. None without owner and end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImage {
    /// Its name.
    pub name: BaseName,
    /// Who answers for it.
    pub owner: Owner,
    /// How they are reached.
    pub contact: Option<Contact>,
    /// Where its releases are pushed: a line, not a tag.
    pub repository: RepoName,
    /// What each channel points at.
    pub channels: BTreeMap<String, Digest>,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// Until when it is supported, not included.
    #[serde(with = "time::serde::rfc3339")]
    pub supported_until: OffsetDateTime,
    /// What takes its place.
    pub replaced_by: Option<BaseName>,
    /// Whether it may be swapped.
    pub rebase: Option<RebaseContract>,
    /// What its owner promises.
    pub patch_within: Promise,
    /// How many seconds after it was retired pushes of images on it are refused; nothing said: as the registry is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_notice: Option<u64>,
    /// The trusted signer by whose signature alone a release counts. None: every push does, and nothing follows by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

impl BaseImage {
    /// Whether what stands on it is on the road.
    pub fn is_supported(&self, now: OffsetDateTime) -> bool {
        let is_on = matches!(self.lifecycle, Lifecycle::Supported | Lifecycle::Deprecated);
        is_on && now < self.supported_until
    }

    /// Whether ends and spans are such that they come.
    ///
    /// # Errors
    /// The first of them that does not.
    pub fn check_times(&self) -> Result<(), TimesError> {
        if self.supported_until.year() > LAST_YEAR {
            return Err(TimesError::Endless);
        }
        let is_long = |seconds: u64| seconds > MAX_DURATION.whole_seconds().unsigned_abs();
        if self.retire_notice.is_some_and(is_long) {
            return Err(TimesError::Long("retireNotice"));
        }
        if self.patch_within.0.values().any(|seconds| is_long(*seconds)) {
            return Err(TimesError::Long("patchWithin"));
        }
        Ok(())
    }

    /// The last day on which it is supported, if only for a part of it.
    pub fn last_day(&self) -> time::Date {
        last_day(self.supported_until)
    }
}

/// Why times of a base are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TimesError {
    /// [`LAST_YEAR`].
    #[error("`supportedUntil` is after {LAST_YEAR}: that is no end")]
    Endless,
    /// [`MAX_DURATION`].
    #[error("`{0}` is longer than {days} days: name a span within which somebody still answers for it", days = MAX_DURATION.whole_days())]
    Long(&'static str),
}

/// Why entries are no set of bases.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BaseError {
    /// [`MAX_BASES`].
    #[error("there are {0} bases: at most {MAX_BASES} are allowed")]
    TooMany(usize),
    /// [`MAX_CHANNELS`].
    #[error("base `{base}` has {count} channels: at most {MAX_CHANNELS} are allowed")]
    Channels {
        /// Which base.
        base: BaseName,
        /// How many.
        count: usize,
    },
    /// One name, two entries.
    #[error("base `{0}` is declared twice: remove one of the entries")]
    Twice(BaseName),
    /// One repository, two bases.
    #[error(
        "bases `{first}` and `{second}` are both released to `{repository}`: give each its own repository"
    )]
    Shared {
        /// Which repository.
        repository: RepoName,
        /// One.
        first: BaseName,
        /// The other.
        second: BaseName,
    },
    /// Replaced by what is not there.
    #[error("base `{base}` is replaced by `{by}`, which is not declared")]
    NoReplacement {
        /// Which base.
        base: BaseName,
        /// By what.
        by: BaseName,
    },
    /// Replaced by itself in the end.
    #[error("base `{0}` is replaced by itself, through {1}: one of them must stay")]
    Cycle(BaseName, String),
}

/// All approved bases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bases {
    by_name: BTreeMap<BaseName, BaseImage>,
    by_repository: BTreeMap<RepoName, BaseName>,
}

impl Bases {
    /// From entries in any order.
    pub fn build(entries: Vec<BaseImage>) -> Result<Self, BaseError> {
        if entries.len() > MAX_BASES {
            return Err(BaseError::TooMany(entries.len()));
        }
        let mut bases = Self::default();
        for entry in entries {
            let (base, count) = (entry.name.clone(), entry.channels.len());
            if count > MAX_CHANNELS {
                return Err(BaseError::Channels { base, count });
            }
            let repository = entry.repository.clone();
            if let Some(first) = bases.by_repository.insert(repository.clone(), base.clone())
                && first != base
            {
                return Err(BaseError::Shared {
                    repository,
                    first,
                    second: base,
                });
            }
            if bases.by_name.insert(base.clone(), entry).is_some() {
                return Err(BaseError::Twice(base));
            }
        }
        for base in bases.by_name.values() {
            bases.check_replacements(base)?;
        }
        Ok(bases)
    }

    fn check_replacements(&self, start: &BaseImage) -> Result<(), BaseError> {
        let mut seen = BTreeSet::from([&start.name]);
        let mut base = start;
        while let Some(by) = &base.replaced_by {
            let Some(next) = self.by_name.get(by) else {
                return Err(BaseError::NoReplacement {
                    base: base.name.clone(),
                    by: by.clone(),
                });
            };
            if !seen.insert(&next.name) {
                let names: Vec<&str> = seen.iter().take(10).map(|name| name.as_str()).collect();
                return Err(BaseError::Cycle(next.name.clone(), names.join(", ")));
            }
            base = next;
        }
        Ok(())
    }

    /// The base of that name.
    pub fn get(&self, name: &BaseName) -> Option<&BaseImage> {
        self.by_name.get(name)
    }

    /// The base that is released to `repository`.
    pub fn released_to(&self, repository: &RepoName) -> Option<&BaseImage> {
        self.by_repository
            .get(repository)
            .and_then(|name| self.by_name.get(name))
    }

    /// All, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BaseImage> {
        self.by_name.values()
    }
}

#[cfg(test)]
pub(crate) mod tests;
