//! Under which names and versions the advisories of an ecosystem know a package.

use std::borrow::Cow;

use crate::{
    Confidence, Ecosystem, OsRelease, Package, PackageKind, Release,
    advisory::{
        index::{AdvisoryIndex, Entry, canonical_name},
        record::Modularity,
    },
};

/// Groups that are looked at for an artifact whose group is not known.
const GROUPS: usize = 64;

/// One name to look up.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    pub(super) ecosystem: Ecosystem,
    /// Of distributions only.
    pub(super) release: Option<Release>,
    pub(super) name: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    pub(super) confidence: Confidence,
}

impl Lookup<'_> {
    /// Whether what an advisory says of `release` is meant for this one.
    pub(super) fn means_release(&self, release: Option<&str>) -> bool {
        match &self.release {
            Some(own) => self.ecosystem.release_matches(release, own),
            None => true,
        }
    }

    /// Leaves of what one advisory says of the package what is said of the updates that the image gets.
    ///
    /// Ubuntu's advisories speak of a release with the updates that everybody gets and again with those of a contract (`Pro:`), whose
    /// fixes are others. A version that was built for the contract says so (`+esm1`); for any other what is said to everybody holds.
    pub(super) fn keep_own_updates(&self, entries: &mut Vec<&Entry>) {
        if self.ecosystem != Ecosystem::Ubuntu {
            return;
        }
        let is_of_contract = |entry: &&Entry| {
            entry
                .release
                .as_deref()
                .is_some_and(|own| own.starts_with("Pro:"))
        };
        let has_contract = self.version.contains("esm");
        if entries.iter().any(|entry| is_of_contract(entry) == has_contract) {
            entries.retain(|entry| is_of_contract(entry) == has_contract);
        }
    }

    /// The version that a fix must be later than.
    pub(super) fn latest_possible<'b>(&'b self, package: &'b Package) -> &'b str {
        package
            .version_range
            .as_ref()
            .map_or(&self.version, |(_, last)| last)
    }
}

/// What to look up for a package; none if no known group has the artifact.
///
/// # Errors
/// In words, why it is not known where to look.
pub(super) fn lookups<'a>(
    package: &'a Package,
    os: Option<&OsRelease>,
    index: &'a AdvisoryIndex,
) -> Result<Vec<Lookup<'a>>, String> {
    match package.kind.language_ecosystem() {
        None => of_distribution(package, os).map(|lookup| vec![lookup]),
        Some(Ecosystem::Maven) if !package.name.contains(':') => Ok(of_artifact(package, index)),
        Some(ecosystem) => Ok(vec![Lookup {
            ecosystem,
            release: None,
            name: canonical_name(ecosystem, &package.name),
            version: running_version(ecosystem, &package.version),
            confidence: package.confidence,
        }]),
    }
}

fn of_distribution<'a>(package: &'a Package, os: Option<&OsRelease>) -> Result<Lookup<'a>, String> {
    let os = os.ok_or("the image does not say which distribution it runs")?;
    let (ecosystem, release) = Ecosystem::of_os(os)
        .ok_or_else(|| format!("no advisories are known for the distribution `{}`", os.id))?;
    if !installs(package.kind, ecosystem) {
        return Err(format!(
            "{ecosystem} does not install packages with {}",
            package.kind.purl_type()
        ));
    }
    if release == Release::Unknown {
        return Err(format!(
            "the image does not say which release of {ecosystem} it runs"
        ));
    }
    let (name, version) = if package.kind == PackageKind::Rpm {
        // The name may be the source's, but only the package's own version has its epoch.
        let is_by_source = !matches!(ecosystem, Ecosystem::AlmaLinux | Ecosystem::RedHat);
        let source = package.source.as_ref().filter(|_| is_by_source);
        (
            source.map_or(package.name.as_str(), |source| &source.name),
            package.version.as_str(),
        )
    } else {
        package.advised()
    };
    Ok(Lookup {
        ecosystem,
        release: Some(release),
        name: canonical_name(ecosystem, name),
        version: Cow::Borrowed(version),
        confidence: package.confidence,
    })
}

const fn installs(kind: PackageKind, ecosystem: Ecosystem) -> bool {
    let is_dpkg = matches!(ecosystem, Ecosystem::Debian | Ecosystem::Ubuntu | Ecosystem::Echo);
    let is_apk = matches!(
        ecosystem,
        Ecosystem::Alpine
            | Ecosystem::Alpaquita
            | Ecosystem::BellSoft
            | Ecosystem::Chainguard
            | Ecosystem::CleanStart
            | Ecosystem::MinimOs
            | Ecosystem::Wolfi
    );
    match kind {
        PackageKind::Dpkg => is_dpkg,
        PackageKind::Apk => is_apk,
        _ => !is_dpkg && !is_apk,
    }
}

/// A jar that does not say its group may be any group's.
fn of_artifact<'a>(package: &'a Package, index: &'a AdvisoryIndex) -> Vec<Lookup<'a>> {
    let names = index.names_of_artifact(&package.name).iter().take(GROUPS);
    names
        .map(|name| Lookup {
            ecosystem: Ecosystem::Maven,
            release: None,
            name: Cow::Borrowed(name.as_ref()),
            version: Cow::Borrowed(package.version.as_str()),
            confidence: package.confidence.min(Confidence::Medium),
        })
        .collect()
}

/// The version without what is not part of it.
fn running_version(ecosystem: Ecosystem, version: &str) -> Cow<'_, str> {
    const PLATFORMS: [&str; 11] = [
        "x86",
        "x64",
        "amd64",
        "i386",
        "i686",
        "aarch64",
        "arm",
        "java",
        "jruby",
        "universal",
        "ruby",
    ];
    if ecosystem == Ecosystem::RubyGems
        && let Some((number, platform)) = version.split_once('-')
        && PLATFORMS.iter().any(|known| platform.starts_with(known))
    {
        return Cow::Borrowed(number);
    }
    Cow::Borrowed(version)
}

/// Whether an entry means packages that were built in the module that this one was built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// Both are of modules, but the entry does not say of which.
    Perhaps,
}

pub(super) fn module_fits(entry: Option<&Modularity>, package: &Package) -> Fit {
    let label = package.modularity.as_deref().filter(|label| !label.is_empty());
    match (entry.unwrap_or(&Modularity::None), label) {
        (Modularity::None, None) => Fit::Yes,
        (Modularity::None, Some(_)) | (Modularity::Streams(_) | Modularity::Unnamed, None) => Fit::No,
        (Modularity::Unnamed, Some(_)) => Fit::Perhaps,
        (Modularity::Streams(streams), Some(label)) => {
            let mut parts = label.splitn(3, ':');
            let stream = [parts.next(), parts.next()]
                .map(Option::unwrap_or_default)
                .join(":");
            if streams.contains(&stream) {
                Fit::Yes
            } else {
                Fit::No
            }
        }
    }
}

/// Headers of the kernel are listed under the kernel's source, but nothing of them runs.
pub(super) fn is_kernel_headers(package: &Package) -> bool {
    match package.kind {
        PackageKind::Dpkg => ["linux-libc-dev", "linux-headers-", "linux-kbuild-"]
            .iter()
            .any(|name| package.name.starts_with(name)),
        PackageKind::Apk => package.name == "linux-headers",
        PackageKind::Rpm => {
            ["kernel-headers", "kernel-devel", "kernel-abi-stablelists"].contains(&package.name.as_str())
        }
        _ => false,
    }
}
