//! `[feeds]`: where advisories are fetched from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use findings::Ecosystem;
use outbound::{Settings, Url};
use thiserror::Error;

use super::key::section;
use super::units::{Size, Span};
use crate::feeds::{BundleLimits, FeedLimits};
use access::Cidr;

const OSV: &str = "https://osv-vulnerabilities.storage.googleapis.com/";
const KEV: &str = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json";
const EPSS: &str = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz";

/// Ecosystems whose packages the scanner finds in images, and that OSV exports.
const ECOSYSTEMS: [&str; 19] = [
    "AlmaLinux",
    "Alpine",
    "Bitnami",
    "Chainguard",
    "crates.io",
    "Debian",
    "Go",
    "Maven",
    "npm",
    "NuGet",
    "openSUSE",
    "Packagist",
    "PyPI",
    "Red Hat",
    "Rocky Linux",
    "RubyGems",
    "SUSE",
    "Ubuntu",
    "Wolfi",
];

const SECOND: Span = Span::seconds(1);
const MINUTE: Span = Span::seconds(60);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const MONTH: Span = Span::seconds(30 * 24 * 60 * 60);
const YEAR: Span = Span::seconds(365 * 24 * 60 * 60);
const MIB: Size = Size(1 << 20);
const GIB: Size = Size(1 << 30);
const TIB: Size = Size(1 << 40);

fn client() -> Settings {
    Settings::default()
}

fn limits() -> FeedLimits {
    FeedLimits::default()
}

fn url(text: &str) -> Option<FeedUrl> {
    text.parse().ok()
}

fn ecosystems() -> Vec<EcosystemName> {
    ECOSYSTEMS.iter().filter_map(|name| name.parse().ok()).collect()
}

section! {
    /// Where advisories are fetched from.
    Feeds = "feeds" {
        /// Whether the server fetches them by itself; `roadbed advisories sync` does it at any time.
        enabled: bool = true;
        /// Where OSV's export lies, a folder per ecosystem; empty: it is not fetched.
        osv: Option<FeedUrl> = url(OSV);
        /// Ecosystems of OSV that are fetched, as OSV spells them.
        ecosystems: Vec<EcosystemName> = ecosystems();
        /// Where CISA's catalogue of exploited vulnerabilities lies; empty: it is not fetched.
        kev: Option<FeedUrl> = url(KEV);
        /// Where EPSS's scores lie, packed with gzip or not; empty: they are not fetched.
        epss: Option<FeedUrl> = url(EPSS);
        /// Time between two looks at a source; one that fails is tried again sooner, then less and less often.
        interval: Span = Span::seconds(2 * 60 * 60), MINUTE => MONTH;
        /// A source that was not reached for this long is shown as stale.
        stale_after: Span = Span(2 * DAY.0), MINUTE => YEAR;
        /// Networks that are no public ones and that may be connected to all the same, for a mirror inside.
        allowed_private: Vec<Cidr> = Vec::new();
        /// File of certificates (PEM) to trust besides the system's own.
        ca_file: Option<PathBuf> = None;
        /// HTTP proxy through which everything is fetched; those that the environment names are not used.
        proxy: Option<FeedUrl> = None;
        /// File with the value of the Authorization header for the origin of `osv`; no other one gets it.
        authorization_file: Option<PathBuf> = None;
        /// Longest time until a connection is there.
        connect_timeout: Span = Span(client().connect_timeout), SECOND => MINUTE;
        /// Longest silence of a source.
        idle_timeout: Span = Span(client().idle_timeout), SECOND => HOUR;
        /// Longest time for one file, with all tries.
        total_timeout: Span = Span(client().total_timeout), SECOND => DAY;
        /// Longest time for one source, whatever it is made of; the others do not wait for it.
        source_timeout: Span = Span(2 * HOUR.0), SECOND => DAY;
        /// Ecosystems that are fetched at the same time; KEV and EPSS are fetched beside them.
        concurrent_sources: usize = 2, 1 => 16;
        /// What came waits this long for other sources, so that they make one generation of advisories together.
        gather: Span = Span(HOUR.0 / 120), Span::seconds(0) => HOUR;
        /// Hundredths of a percent of all refusals: an import that would lift so many or more waits for a person; 10000: never.
        lift_share: u32 = 100, 0 => 10_000;
        /// Refusals that an import may lift however few there are.
        lift_floor: u64 = policy::LiftGuard::default().floor, 0 => 1_000_000;
        /// Files of public keys (PEM) that sign bundles of advisories; without one, only an administrator who says so brings in a bundle.
        bundle_keys: Vec<PathBuf> = Vec::new();
        /// Largest bundle of advisories.
        bundle_bytes: Size = Size(4 << 30), MIB => TIB;
        /// Bytes that it unpacks to.
        bundle_unpacked: Size = Size(64 << 30), MIB => TIB;
        /// Redirects that are followed, never to addresses that are not public and never from https to http.
        redirects: usize = client().redirects, 0 => 20;
        /// How often a file is tried.
        attempts: u32 = client().attempts, 1 => 20;
        /// Largest list of what an ecosystem has (`modified_id.csv`), unpacked.
        list_bytes: Size = Size(limits().list_bytes), MIB => Size(4 << 30);
        /// Lines of such a list.
        list_lines: usize = limits().list_lines, 1 => 100_000_000;
        /// Largest archive of an ecosystem (`all.zip`).
        archive_bytes: Size = Size(limits().archive_bytes), MIB => TIB;
        /// Bytes that it unpacks to.
        archive_unpacked: Size = Size(limits().archive_unpacked), MIB => TIB;
        /// Entries of it.
        archive_entries: u64 = limits().archive_entries, 1 => 100_000_000;
        /// When more advisories of an ecosystem have changed than this, its archive is fetched instead of each of them.
        changed_documents: usize = limits().changed_documents, 0 => 100_000;
        /// Bytes of such advisories; when there are more, the archive is fetched.
        changed_bytes: Size = Size(limits().changed_bytes), MIB => GIB;
        /// Advisories that are fetched at the same time.
        concurrent_documents: usize = limits().concurrent_documents, 1 => 64;
    }
}

/// A URL of `http` or `https` with a host and without a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedUrl(pub(crate) Url);

/// An ecosystem as OSV's export spells its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcosystemName(pub(crate) String);

/// Why a text is no source.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FeedError {
    /// No URL that can be fetched from.
    #[error("write http:// or https://, a host and a path")]
    Url,
    /// A user or password in the URL.
    #[error("leave user and password out of it: feeds.authorization_file is for them")]
    Credentials,
    /// The scanner finds no packages of it.
    #[error("write one of OSV's ecosystems, such as Maven or Debian")]
    Ecosystem,
}

impl FromStr for FeedUrl {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        let url = Url::parse(text).map_err(|_| FeedError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.fragment().is_some() {
            return Err(FeedError::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FeedError::Credentials);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EcosystemName {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        match text.parse().map_err(|_| FeedError::Ecosystem)? {
            // Rules that have no folder.
            Ecosystem::Rpm | Ecosystem::SemVer => Err(FeedError::Ecosystem),
            // Two spellings are in use.
            Ecosystem::DockerHardenedImages => Ok(Self(text.to_owned())),
            ecosystem => Ok(Self(ecosystem.as_str().to_owned())),
        }
    }
}

impl fmt::Display for EcosystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Feeds {
    /// How long a source may stay unreached.
    pub(crate) fn stale_after(&self) -> Duration {
        self.stale_after.0
    }

    /// How much is read of a bundle.
    pub(crate) fn bundle_limits(&self) -> BundleLimits {
        BundleLimits {
            bytes: self.bundle_bytes.0,
            unpacked: self.bundle_unpacked.0,
        }
    }

    /// How much is read of a source.
    pub(crate) fn limits(&self) -> FeedLimits {
        FeedLimits {
            list_bytes: self.list_bytes.0,
            list_lines: self.list_lines,
            archive_bytes: self.archive_bytes.0,
            archive_unpacked: self.archive_unpacked.0,
            archive_entries: self.archive_entries,
            changed_documents: self.changed_documents,
            changed_bytes: self.changed_bytes.0,
            concurrent_documents: self.concurrent_documents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_source() {
        assert_eq!(ecosystems().len(), ECOSYSTEMS.len());
        let feeds = Feeds::default();
        assert!(feeds.osv.is_some() && feeds.kev.is_some() && feeds.epss.is_some());
    }

    #[test]
    fn urls_say_where_and_nothing_more() {
        for (text, error) in [
            ("feeds.example", FeedError::Url),
            ("ftp://feeds.example/", FeedError::Url),
            ("file:///srv/osv", FeedError::Url),
            ("https://feeds.example/#part", FeedError::Url),
            ("https://ann@feeds.example/", FeedError::Credentials),
            ("https://ann:secret@feeds.example/", FeedError::Credentials),
        ] {
            assert_eq!(text.parse::<FeedUrl>(), Err(error), "{text}");
        }
        assert!("http://127.0.0.1:8080/osv".parse::<FeedUrl>().is_ok());
    }

    #[test]
    fn ecosystems_are_spelt_as_their_folders() {
        let spelt = |text: &str| text.parse::<EcosystemName>().map(|name| name.0);
        assert_eq!(spelt("maven"), Ok("Maven".to_owned()));
        assert_eq!(spelt("DHI"), Ok("DHI".to_owned()));
        for text in ["", "rpm", "SemVer", "Linux", "../Maven", "Debian:12"] {
            assert_eq!(spelt(text), Err(FeedError::Ecosystem), "{text}");
        }
    }
}
