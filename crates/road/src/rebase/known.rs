//! Paths whose meaning is known: what is merged rather than compared, and what is derived from the rest.

use serde::{Deserialize, Serialize};

/// How a file that application and base both have is made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// dpkg's list of what is installed, by package.
    DpkgStatus,
    /// apt's list of what was installed by itself, by package.
    AptStates,
    /// apk's list of what is installed, by package.
    ApkInstalled,
    /// apk's archive of the scripts of packages, by member.
    ApkScripts,
    /// Users, groups and their secrets, by name.
    Accounts,
    /// One entry per line, in any order.
    Lines,
    /// Three lines per entry.
    Diversions,
    /// Certificates, one after the other.
    Certificates,
    /// What the loader finds libraries by: made again.
    LoaderCache,
}

/// dpkg's list.
pub(super) const DPKG_STATUS: &str = "var/lib/dpkg/status";
/// The loader's cache.
pub(super) const LOADER_CACHE: &str = "etc/ld.so.cache";
/// Where apk keeps its list, before and after Alpine merged its directories.
pub(super) const APK_INSTALLED: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

const STRATEGIES: [(&str, Strategy); 22] = [
    (DPKG_STATUS, Strategy::DpkgStatus),
    ("var/lib/apt/extended_states", Strategy::AptStates),
    ("var/lib/dpkg/diversions", Strategy::Diversions),
    ("var/lib/dpkg/statoverride", Strategy::Lines),
    ("var/lib/dpkg/triggers/File", Strategy::Lines),
    ("var/lib/dpkg/triggers/Unincorp", Strategy::Lines),
    (APK_INSTALLED[0], Strategy::ApkInstalled),
    (APK_INSTALLED[1], Strategy::ApkInstalled),
    ("lib/apk/db/scripts.tar", Strategy::ApkScripts),
    ("usr/lib/apk/db/scripts.tar", Strategy::ApkScripts),
    ("lib/apk/db/triggers", Strategy::Lines),
    ("usr/lib/apk/db/triggers", Strategy::Lines),
    ("etc/apk/world", Strategy::Lines),
    ("etc/passwd", Strategy::Accounts),
    ("etc/group", Strategy::Accounts),
    ("etc/shadow", Strategy::Accounts),
    ("etc/gshadow", Strategy::Accounts),
    ("etc/subuid", Strategy::Accounts),
    ("etc/subgid", Strategy::Accounts),
    ("etc/shells", Strategy::Lines),
    ("etc/ssl/certs/ca-certificates.crt", Strategy::Certificates),
    (LOADER_CACHE, Strategy::LoaderCache),
];

/// How `path` is merged, if it is.
pub(super) fn strategy(path: &str) -> Option<Strategy> {
    let found = STRATEGIES.iter().find(|(known, _)| *known == path);
    found.map(|(_, strategy)| *strategy)
}

impl Strategy {
    /// Lists of packages hold versions: they are merged even where the base's own file is unchanged, to see that all fits.
    pub(super) fn is_package_list(self) -> bool {
        matches!(self, Self::DpkgStatus | Self::ApkInstalled)
    }
}

/// Directories of what nobody misses when it is old: logs, caches, lists that are fetched again.
const DERIVED_BELOW: [&str; 9] = [
    "dev/",
    "proc/",
    "root/.cache/",
    "run/",
    "sys/",
    "tmp/",
    "var/cache/",
    "var/lib/apt/lists/",
    "var/log/",
];

/// Copies that tools keep of what they changed, locks, and what a runtime mounts over.
const DERIVED: [&str; 24] = [
    ".dockerenv",
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/passwd-",
    "etc/resolv.conf",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "lib/apk/db/lock",
    "usr/lib/apk/db/lock",
    "var/lib/apt/daily_lock",
    "var/lib/dpkg/available",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/triggers/Lock",
    "var/tmp",
];

/// Whether `path` is derived from the rest, so that neither side's word about it matters.
pub(super) fn is_derived(path: &str) -> bool {
    DERIVED.contains(&path)
        || DERIVED_BELOW
            .iter()
            .any(|directory| path.starts_with(directory) || directory.trim_end_matches('/') == path)
}

/// Whether `path` is a database of rpm.
pub(super) fn is_rpm(path: &str) -> bool {
    let directory = path.strip_prefix("usr/lib/sysimage/rpm/");
    let name = directory.or_else(|| path.strip_prefix("var/lib/rpm/"));
    name.is_some_and(|name| matches!(name, "rpmdb.sqlite" | "Packages" | "Packages.db"))
}
