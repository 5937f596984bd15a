//! What a report takes in memory, so that the cache of reports keeps to its bound whatever layers say.

use findings::{ByteFinding, ImageConfig, LayerReport, NotScannable, Oddity, Package};

/// What the allocator and the cache add to a report.
const OVERHEAD: usize = 1_024;

/// What the allocator adds to a text or list that is not empty.
const ALLOCATION: usize = 16;

/// Bytes that a report takes: every text and list with what is reserved for it.
pub(super) fn of(report: &LayerReport) -> usize {
    let units = report.units.iter().map(|unit| {
        let os = unit.unit.os.as_ref().map_or(0, |os| {
            texts([&os.id, &os.version, &os.codename, &os.name]) + list(&os.like)
        });
        text(&unit.path)
            + unit.owned_by.as_deref().map_or(0, of_text)
            + os
            + room(&unit.unit.packages)
            + unit.unit.packages.iter().map(package).sum::<usize>()
    });
    OVERHEAD
        + size_of::<LayerReport>()
        + text(&report.analysers)
        + report.listing.len()
        + room(&report.units)
        + units.sum::<usize>()
        + list(&report.whiteouts)
        + list(&report.opaque)
        + room(&report.findings)
        + report.findings.iter().map(finding).sum::<usize>()
        + room(&report.oddities)
        + report.oddities.iter().map(oddity).sum::<usize>()
        + room(&report.not_scannable)
        + report.not_scannable.iter().map(not_scannable).sum::<usize>()
        + report.config.as_deref().map_or(0, config)
}

fn package(package: &Package) -> usize {
    let source = package
        .source
        .as_ref()
        .map_or(0, |source| texts([&source.name, &source.version]));
    let range = package
        .version_range
        .as_ref()
        .map_or(0, |(from, to)| texts([from, to]));
    texts([&package.name, &package.version])
        + source
        + range
        + maybe(package.arch.as_ref())
        + maybe(package.modularity.as_ref())
        + list(&package.licences)
        + list(&package.inner_path)
        + list(&package.mitigations)
}

fn finding(finding: &ByteFinding) -> usize {
    texts([&finding.rule, &finding.title, &finding.path, &finding.pack])
        + list(&finding.inner_path)
        + maybe(finding.excerpt.as_ref())
        + maybe(finding.fingerprint.as_ref())
        + maybe(finding.fix.as_ref())
}

fn oddity(oddity: &Oddity) -> usize {
    texts([&oddity.path, &oddity.what])
}

fn not_scannable(missing: &NotScannable) -> usize {
    texts([&missing.limit, &missing.detail]) + maybe(missing.path.as_ref())
}

fn config(config: &ImageConfig) -> usize {
    let labels = config.labels.iter().map(|(name, value)| texts([name, value]));
    let steps = config.history.iter().map(|step| text(&step.created_by));
    size_of::<ImageConfig>()
        + texts([&config.architecture, &config.os, &config.user])
        + maybe(config.created.as_ref())
        + list(&config.env_names)
        + list(&config.ports)
        + list(&config.command)
        + list(&config.diff_ids)
        + room(&config.labels)
        + labels.sum::<usize>()
        + room(&config.history)
        + steps.sum::<usize>()
}

fn list(texts: &Vec<String>) -> usize {
    room(texts) + texts.iter().map(text).sum::<usize>()
}

fn texts<const N: usize>(texts: [&String; N]) -> usize {
    texts.into_iter().map(text).sum()
}

fn maybe(content: Option<&String>) -> usize {
    content.map_or(0, text)
}

fn text(content: &String) -> usize {
    match content.capacity() {
        0 => 0,
        bytes => bytes + ALLOCATION,
    }
}

fn of_text(content: &str) -> usize {
    content.len() + ALLOCATION
}

fn room<T>(items: &Vec<T>) -> usize {
    match items.capacity() {
        0 => 0,
        count => count * size_of::<T>() + ALLOCATION,
    }
}

#[cfg(test)]
mod tests {
    use findings::{FoundUnit, PackageKind, Unit, UnitKind};
    use oci::{Algorithm, Digest};

    use super::*;

    fn report(packages: Vec<Package>) -> LayerReport {
        let mut report = crate::worker::not_scannable(Digest::of(Algorithm::Sha256, b""), "x", "y");
        report.units.push(FoundUnit {
            path: "app/package-lock.json".to_owned(),
            unit: Unit::of_packages(UnitKind::NodeLock, packages),
            owned_by: None,
        });
        report
    }

    #[test]
    fn long_texts_and_many_of_them_weigh_what_they_take() {
        let mut long = Package::new(PackageKind::Npm, "n".repeat(1 << 20), "1");
        long.licences = vec!["l".repeat(1 << 20); 3];
        long.inner_path = vec!["p".repeat(1 << 20); 2];
        assert!(of(&report(vec![long])) > 6 << 20);
        let short = |number: usize| Package::new(PackageKind::Npm, format!("package-{number}"), "1.0.0");
        let many: Vec<Package> = (0..100_000).map(short).collect();
        assert!(of(&report(many)) > 100_000 * (size_of::<Package>() + 20));
    }

    #[test]
    fn everything_else_weighs_too() {
        let empty = of(&report(Vec::new()));
        let megabyte = || "x".repeat(1 << 20);
        let mut heavy = report(Vec::new());
        heavy.oddities.push(Oddity {
            path: megabyte(),
            what: megabyte(),
        });
        heavy.not_scannable[0].detail = megabyte();
        heavy.whiteouts.push(megabyte());
        heavy.config = Some(Box::new(ImageConfig {
            labels: vec![(megabyte(), megabyte())],
            ..ImageConfig::default()
        }));
        assert!(of(&heavy) - empty > 6 << 20);
    }
}
