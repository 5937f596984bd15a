//! How long an ordinary image takes against the whole export.

use std::time::Instant;

use crate::{OsRelease, Package, PackageKind, advisory::index::AdvisoryIndex};

/// An image on Debian 12 with 250 packages of the distribution and 60 of languages.
fn packages() -> Vec<Package> {
    const DEBIAN: [&str; 10] = [
        "linux", "openssl", "curl", "apache2", "binutils", "glibc", "zlib", "perl", "systemd", "chromium",
    ];
    const LANGUAGES: [(PackageKind, &str, &str); 6] = [
        (PackageKind::Java, "org.apache.logging.log4j:log4j-core", "2.14.1"),
        (PackageKind::Npm, "lodash", "4.17.15"),
        (PackageKind::Python, "django", "3.2.1"),
        (PackageKind::Go, "stdlib", "go1.20.1"),
        (PackageKind::Rust, "openssl", "0.8.0"),
        (PackageKind::Gem, "rails", "5.0.0"),
    ];
    let debian = (0..250).map(|number| {
        let name = DEBIAN
            .get(number)
            .map_or_else(|| format!("package-{number}"), |name| (*name).to_owned());
        Package::new(PackageKind::Dpkg, name, "999:1.0-1")
    });
    let languages = (0..60).map(|number| {
        let (kind, name, version) = LANGUAGES[number % LANGUAGES.len()];
        Package::new(kind, name, version)
    });
    debian.chain(languages).collect()
}

/// Unoptimised code takes about ten times as long as a release build, where 5 ms are allowed, and the machine may be busy.
pub(crate) fn assert_fast(index: &AdvisoryIndex) {
    let os = OsRelease {
        id: "debian".to_owned(),
        version: "12".to_owned(),
        ..OsRelease::default()
    };
    let packages = packages();
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            let found = super::match_packages(&packages, Some(&os), index);
            assert!(found.matches.len() > 100);
            assert!(found.coverage.iter().all(super::Coverage::is_covered));
            start.elapsed()
        })
        .min()
        .unwrap();
    println!("310 packages matched in {best:?}");
    assert!(best.as_millis() < 500, "{best:?}");
}
