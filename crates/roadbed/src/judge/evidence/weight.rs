//! What a report takes in memory, so that the cache of reports keeps to its bound whatever layers say.

use findings::{
    ByteFinding, ChartFacts, ChartImage, ChartUnknown, FoundUnit, ImageConfig, KeptFile, LayerReport,
    Linkage, NotScannable, Oddity, Package, RebaseFacts,
};

/// What the allocator and the cache add to a report.
const OVERHEAD: usize = 1_024;

/// What the allocator adds to a text or list that is not empty.
const ALLOCATION: usize = 16;

/// Bytes that a report takes: every text and list with what is reserved for it.
pub(super) fn of(report: &LayerReport) -> usize {
    // Named one by one: a new member must not weigh nothing.
    let LayerReport {
        schema: _,
        analysers,
        blob: _,
        diff_id: _,
        compression: _,
        bytes: _,
        entries: _,
        config,
        units,
        whiteouts,
        opaque,
        findings,
        oddities,
        not_scannable: missing,
        listing,
        tables,
        rebase,
        chart,
    } = report;
    OVERHEAD
        + size_of::<LayerReport>()
        + text(analysers)
        + listing.len()
        + room(units)
        + units.iter().map(unit).sum::<usize>()
        + list(whiteouts)
        + list(opaque)
        + room(findings)
        + findings.iter().map(finding).sum::<usize>()
        + room(oddities)
        + oddities.iter().map(oddity).sum::<usize>()
        + room(missing)
        + missing.iter().map(not_scannable).sum::<usize>()
        + config.as_deref().map_or(0, of_config)
        + tables.as_ref().map_or(0, room)
        + rebase.as_deref().map_or(0, of_rebase)
        + chart.as_deref().map_or(0, of_chart)
}

fn of_chart(facts: &ChartFacts) -> usize {
    let image = |image: &ChartImage| texts([&image.reference, &image.path, &image.place]);
    let unknown = |unknown: &ChartUnknown| texts([&unknown.path, &unknown.why]);
    size_of::<ChartFacts>()
        + texts([&facts.name, &facts.version])
        + facts.app_version.as_deref().map_or(0, of_text)
        + room(&facts.images)
        + facts.images.iter().map(image).sum::<usize>()
        + room(&facts.unknown)
        + facts.unknown.iter().map(unknown).sum::<usize>()
}

fn unit(found: &FoundUnit) -> usize {
    let os = found.unit.os.as_ref().map_or(0, |os| {
        texts([&os.id, &os.version, &os.codename, &os.name]) + list(&os.like)
    });
    text(&found.path)
        + found.owned_by.as_deref().map_or(0, of_text)
        + os
        + room(&found.unit.packages)
        + found.unit.packages.iter().map(package).sum::<usize>()
}

fn of_rebase(facts: &RebaseFacts) -> usize {
    let kept = |file: &KeptFile| text(&file.path) + file.content.len() + ALLOCATION;
    size_of::<RebaseFacts>()
        + room(&facts.linkages)
        + facts.linkages.iter().map(linkage).sum::<usize>()
        + room(&facts.kept)
        + facts.kept.iter().map(kept).sum::<usize>()
}

fn linkage(linkage: &Linkage) -> usize {
    let wants = linkage
        .wants
        .iter()
        .map(|(library, version)| texts([library, version]));
    text(&linkage.path)
        + maybe(linkage.soname.as_ref())
        + list(&linkage.needed)
        + maybe(linkage.interpreter.as_ref())
        + room(&linkage.wants)
        + wants.sum::<usize>()
        + list(&linkage.offers)
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

fn of_config(config: &ImageConfig) -> usize {
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
    use findings::{Deflated, PackageKind, Unit, UnitKind};
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
        let light = of(&heavy);
        let mut noise = vec![0; 1 << 20];
        getrandom::fill(&mut noise).unwrap();
        heavy.rebase = Some(Box::new(RebaseFacts {
            linkages: vec![Linkage {
                path: megabyte(),
                machine: (62, 64),
                soname: None,
                needed: Vec::new(),
                interpreter: None,
                wants: vec![(megabyte(), megabyte())],
                offers: Vec::new(),
            }],
            kept: vec![KeptFile {
                path: megabyte(),
                mode: 0,
                owner: (0, 0),
                content: Deflated::of(&noise),
            }],
            ..RebaseFacts::default()
        }));
        assert!(of(&heavy) - light > 5 << 20);
    }
}
