//! Which release of an ecosystem an image runs, and whether an advisory speaks of it.

use super::Ecosystem;
use crate::OsRelease;

/// The release of an ecosystem that an image runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Release {
    /// As OSV writes it behind the colon: `12`, `v3.18`, `enterprise_linux:9`.
    Known(String),
    /// There are none: advisories speak of the ecosystem as a whole.
    Rolling,
    /// There are some, but the image does not say which one it runs.
    Unknown,
}

impl Release {
    fn of(text: String) -> Self {
        if text.is_empty() {
            Self::Unknown
        } else {
            Self::Known(text)
        }
    }
}

impl Ecosystem {
    /// The ecosystem and release of an operating system; `None` where OSV has no advisories for it.
    pub fn of_os(os: &OsRelease) -> Option<(Self, Release)> {
        let id = os.id.to_ascii_lowercase();
        let version = os.version.as_str();
        Some(match id.as_str() {
            "debian" => (Self::Debian, Release::of(major(version))),
            "ubuntu" => (Self::Ubuntu, Release::of(first_parts(version, 2))),
            "alpine" => (Self::Alpine, alpine_release(os)),
            "alpaquita" => (Self::Alpaquita, Release::of(version.to_owned())),
            "almalinux" => (Self::AlmaLinux, Release::of(major(version))),
            "rocky" => (Self::RockyLinux, Release::of(major(version))),
            // Its updates are not those of the release that it is named after.
            "centos" if os.name.contains("Stream") => return None,
            "rhel" | "redhat" | "centos" => (Self::RedHat, red_hat_release(version)),
            "wolfi" => (Self::Wolfi, Release::Rolling),
            "chainguard" => (Self::Chainguard, Release::Rolling),
            "minimos" => (Self::MinimOs, Release::Rolling),
            "echo" => (Self::Echo, Release::Rolling),
            "cleanstart" => (Self::CleanStart, Release::Rolling),
            "opensuse-leap" => (Self::OpenSuse, prefixed("Leap ", version)),
            "opensuse-leap-micro" => (Self::OpenSuse, prefixed("Leap Micro ", version)),
            "opensuse-tumbleweed" => (Self::OpenSuse, Release::Known("Tumbleweed".to_owned())),
            "sles" | "sles_sap" | "sled" | "sle_hpc" => (Self::Suse, enterprise_release(version)),
            "sle-micro" => (Self::Suse, prefixed("Linux Enterprise Micro ", version)),
            "sl-micro" => (Self::Suse, prefixed("Linux Micro ", version)),
            "photon" => (Self::PhotonOs, Release::of(first_parts(version, 2))),
            "azurelinux" | "mariner" => (Self::AzureLinux, Release::of(major(version))),
            "mageia" => (Self::Mageia, Release::of(major(version))),
            "openeuler" => (Self::OpenEuler, open_euler_release(os)),
            _ => return None,
        })
    }

    /// Whether what an advisory says of one release is meant for the release that an image runs.
    ///
    /// `advisory` is what the advisory has behind the colon. Without one it speaks of every release. What an image of unknown
    /// release runs is never matched: the answer is unknown, and the caller has to say so.
    pub fn release_matches(self, advisory: Option<&str>, os: &Release) -> bool {
        let Some(advisory) = advisory else {
            return true;
        };
        let Release::Known(release) = os else {
            return false;
        };
        match self {
            Self::Ubuntu => is_ubuntu(advisory, release),
            Self::RedHat => is_red_hat(advisory, release),
            Self::Suse => is_enterprise(advisory, release),
            _ => advisory.eq_ignore_ascii_case(release),
        }
    }
}

fn first_parts(version: &str, count: usize) -> String {
    version.split('.').take(count).collect::<Vec<_>>().join(".")
}

fn major(version: &str) -> String {
    first_parts(version, 1)
}

fn prefixed(prefix: &str, version: &str) -> Release {
    if version.is_empty() {
        Release::Unknown
    } else {
        Release::Known(format!("{prefix}{version}"))
    }
}

/// A development snapshot (`3.21.0_alpha20240923`) has the packages of edge.
fn alpine_release(os: &OsRelease) -> Release {
    if os.version.contains('_') || os.name.ends_with("edge") {
        Release::Known("edge".to_owned())
    } else {
        prefixed("v", &first_parts(&os.version, 2))
    }
}

fn red_hat_release(version: &str) -> Release {
    prefixed("enterprise_linux:", &major(version))
}

/// `15.5` is `15 SP5`; from 16 on there are no service packs, and `16.0` is `16.0`.
fn enterprise_release(version: &str) -> Release {
    if major(version).parse().is_ok_and(|major: u32| major >= 16) {
        return prefixed("Linux Enterprise Server ", version);
    }
    match version.split_once('.') {
        Some((major, pack)) if pack != "0" => {
            prefixed("Linux Enterprise Server ", &format!("{major} SP{pack}"))
        }
        Some((major, _)) => prefixed("Linux Enterprise Server ", major),
        None => prefixed("Linux Enterprise Server ", version),
    }
}

/// The service pack stands in brackets in the pretty name: `openEuler 22.03 (LTS-SP1)`.
fn open_euler_release(os: &OsRelease) -> Release {
    let pack = os.name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    match pack {
        Some((pack, _)) if !os.version.is_empty() => Release::Known(format!("{}-{pack}", os.version)),
        _ => Release::of(os.version.clone()),
    }
}

/// `22.04:LTS`, `Pro:22.04:LTS`; but packages that were certified (FIPS) or are built for real time have fixes of their own.
fn is_ubuntu(advisory: &str, release: &str) -> bool {
    let is_flavour = |part: &str| part.starts_with("FIPS") || part.starts_with("Realtime");
    advisory.split(':').any(|part| part == release) && !advisory.split(':').any(is_flavour)
}

/// `enterprise_linux:9::baseos`, `enterprise_linux:10.0`. Extended support (`rhel_eus:9.2`) is another stream of updates.
fn is_red_hat(advisory: &str, release: &str) -> bool {
    let mut parts = advisory.split(':');
    let [product, version] = [parts.next(), parts.next()].map(Option::unwrap_or_default);
    release.split_once(':') == Some((product, &major(version)))
}

/// One service pack has many products and modules: `Linux Enterprise Module for Basesystem 15 SP5`,
/// `Linux Enterprise Server 15 SP5-LTSS`.
fn is_enterprise(advisory: &str, release: &str) -> bool {
    const SERVER: &str = "Linux Enterprise Server ";
    let Some(pack) = release.strip_prefix(SERVER) else {
        return advisory == release;
    };
    let is_product = advisory.starts_with("Linux Enterprise ") && !advisory.contains(" Micro ");
    let (_, version) = advisory.split_at(advisory.find(|first: char| first.is_ascii_digit()).unwrap_or(0));
    let version = version
        .split_once('-')
        .map_or(version, |(version, _support)| version);
    is_product && version == pack
}
