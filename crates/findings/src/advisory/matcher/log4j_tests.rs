//! The four Log4j advisories of December 2021 as two sources state them. They disagree, and both are kept.

use std::sync::Arc;

use crate::{
    Package, PackageKind, Severity,
    advisory::{
        Advisory, AdvisoryIndex, Conflict, Fix, Kev, Knowledge, SeverityFrom, State, VulnerabilityFinding,
        find_vulnerabilities,
        test_data::{shared, shared_path},
    },
};

const CORE: &str = "org.apache.logging.log4j:log4j-core";
const REMOVED: &str = "JndiLookup.class removed";

fn index() -> Option<AdvisoryIndex> {
    let mut advisories = Vec::new();
    for source in ["ghsa", "apache"] {
        for file in std::fs::read_dir(shared_path("log4j")?.join(source)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            advisories.push(Advisory::read(&bytes, source).unwrap());
        }
    }
    Some(AdvisoryIndex::build(advisories).unwrap())
}

fn findings(index: &AdvisoryIndex, package: Package) -> Vec<VulnerabilityFinding> {
    let knowledge = Knowledge {
        index,
        kev: None,
        epss: None,
    };
    find_vulnerabilities(&[package], None, &knowledge).findings
}

fn of_version(index: &AdvisoryIndex, version: &str) -> Vec<VulnerabilityFinding> {
    findings(index, Package::new(PackageKind::Java, CORE, version))
}

fn cve<'a>(findings: &'a [VulnerabilityFinding], id: &str) -> &'a VulnerabilityFinding {
    findings
        .iter()
        .find(|finding| finding.id.as_ref() == id)
        .unwrap_or_else(|| panic!("{id} is not there"))
}

/// (advisory, fix) of every source that says affected.
fn fixes(finding: &VulnerabilityFinding) -> Vec<(&str, &str)> {
    finding
        .sources
        .iter()
        .map(|source| (source.advisory.as_ref(), source.fix.version().unwrap()))
        .collect()
}

fn arcs<const N: usize>(ids: [&str; N]) -> Vec<Arc<str>> {
    ids.into_iter().map(Arc::from).collect()
}

#[test]
fn the_fix_is_that_of_the_line_that_runs() {
    let Some(index) = index() else { return };
    for (version, fix) in [
        ("2.0", "2.3.1"),
        ("2.3", "2.3.1"),
        ("2.4", "2.12.2"),
        ("2.12.1", "2.12.2"),
        ("2.13.3", "2.15.0"),
        ("2.14.1", "2.15.0"),
    ] {
        let all = of_version(&index, version);
        let log4shell = cve(&all, "CVE-2021-44228");
        assert_eq!(
            fixes(log4shell),
            [("APACHE-CVE-2021-44228", fix), ("GHSA-jfh8-c2jp-5v3q", fix)],
            "{version}"
        );
        assert_eq!(log4shell.fix, Fix::Version(fix.to_owned()));
        assert_eq!(log4shell.state, State::Affected);
        assert_eq!(log4shell.severity, Severity::Critical);
        assert_eq!(log4shell.conflicts, []);
        assert_eq!(all.len(), 4, "{version}");
    }
}

#[test]
fn a_version_that_only_one_source_calls_affected_is_affected_and_a_conflict() {
    let Some(index) = index() else { return };
    // 2.12.2 by GitHub, 2.12.3 by Apache.
    let all = of_version(&index, "2.12.2");
    let finding = cve(&all, "CVE-2021-45046");
    assert_eq!(fixes(finding), [("APACHE-CVE-2021-45046", "2.12.3")]);
    assert_eq!(
        finding.conflicts,
        [Conflict::Affected {
            by: arcs(["APACHE-CVE-2021-45046"]),
            not_by: arcs(["GHSA-7rjr-3q55-vv33"]),
        }]
    );
    assert!(all.iter().all(|finding| finding.id.as_ref() != "CVE-2021-44228"));
    // By Apache's file the first affected versions are betas; GitHub begins at the beginning.
    let all = of_version(&index, "2.0-alpha1");
    let finding = cve(&all, "CVE-2021-44228");
    assert_eq!(finding.sources[0].advisory.as_ref(), "GHSA-jfh8-c2jp-5v3q");
    assert_eq!(finding.denied_by[0].advisory.as_ref(), "APACHE-CVE-2021-44228");
    assert!(
        of_version(&index, "2.0-beta9")
            .iter()
            .any(|finding| finding.sources.len() == 2)
    );
    // Apache calls these fixed by 2.3.1, 2.12.3 and 2.17.0, GitHub by 2.3.2, 2.12.4 and 2.17.1.
    for version in ["2.3.1", "2.12.3", "2.17.0"] {
        let all = of_version(&index, version);
        let finding = cve(&all, "CVE-2021-44832");
        assert_eq!(finding.sources.len(), 1, "{version}");
        assert_eq!(finding.denied_by[0].advisory.as_ref(), "APACHE-CVE-2021-44832");
    }
    for version in ["2.3.2", "2.12.4", "2.17.1"] {
        let all = of_version(&index, version);
        assert!(
            all.iter().all(|finding| finding.id.as_ref() != "CVE-2021-44832"),
            "{version}"
        );
    }
    for version in ["2.12.4", "2.17.1"] {
        assert_eq!(of_version(&index, version), [], "{version}");
    }
}

#[test]
fn sources_with_different_fixes_are_both_kept() {
    let Some(index) = index() else { return };
    let all = of_version(&index, "2.12.1");
    let finding = cve(&all, "CVE-2021-45046");
    assert_eq!(
        fixes(finding),
        [
            ("APACHE-CVE-2021-45046", "2.12.3"),
            ("GHSA-7rjr-3q55-vv33", "2.12.2")
        ]
    );
    assert_eq!(finding.fix, Fix::Version("2.12.3".to_owned()));
    assert!(
        finding
            .conflicts
            .iter()
            .any(|conflict| matches!(conflict, Conflict::Fix(fixes) if fixes.len() == 2))
    );
    let finding = cve(&all, "CVE-2021-44832");
    assert_eq!(
        fixes(finding),
        [
            ("APACHE-CVE-2021-44832", "2.12.3"),
            ("GHSA-8489-44mv-ggj8", "2.12.4")
        ]
    );
    assert_eq!(finding.fix, Fix::Version("2.12.4".to_owned()));
}

#[test]
fn the_severity_of_each_source_stays_and_the_highest_is_shown() {
    let Some(index) = index() else { return };
    let all = of_version(&index, "2.14.1");
    let finding = cve(&all, "CVE-2021-45105");
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(
        finding.severity_from,
        SeverityFrom::Source("GHSA-p6xc-xr62-6r2g".to_owned())
    );
    let conflict = Conflict::Severity(vec![
        ("APACHE-CVE-2021-45105".into(), Severity::Medium),
        ("GHSA-p6xc-xr62-6r2g".into(), Severity::High),
    ]);
    assert_eq!(finding.conflicts, [conflict]);
    let apache: Vec<_> = finding.sources[0]
        .ratings
        .iter()
        .map(|rating| rating.tenths)
        .collect();
    assert_eq!(apache, [Some(59)]);
}

#[test]
fn removing_the_class_mitigates_what_needs_the_class() {
    let Some(index) = index() else { return };
    let mut package = Package::new(PackageKind::Java, CORE, "2.14.1");
    package.mitigations.push(REMOVED.to_owned());
    let all = findings(&index, package);
    let is_mitigated = |id| matches!(cve(&all, id).state, State::Mitigated(_));
    assert!(is_mitigated("CVE-2021-44228") && is_mitigated("CVE-2021-45046"));
    assert!(!is_mitigated("CVE-2021-45105") && !is_mitigated("CVE-2021-44832"));
    let mut other = Package::new(PackageKind::Java, CORE, "2.14.1");
    other.mitigations.push("something else".to_owned());
    assert_eq!(
        cve(&findings(&index, other), "CVE-2021-44228").state,
        State::Affected
    );
}

#[test]
fn other_artifacts_and_the_old_line_are_not_meant() {
    let Some(index) = index() else { return };
    for (name, version) in [
        ("org.apache.logging.log4j:log4j-api", "2.14.1"),
        ("org.apache.logging.log4j:log4j-to-slf4j", "2.14.1"),
        ("log4j:log4j", "1.2.17"),
        ("log4j-api", "2.14.1"),
    ] {
        assert_eq!(
            findings(&index, Package::new(PackageKind::Java, name, version)),
            [],
            "{name}"
        );
    }
}

#[test]
fn an_artifact_without_a_group_is_matched_with_less_confidence() {
    let Some(index) = index() else { return };
    let all = findings(&index, Package::new(PackageKind::Java, "log4j-core", "2.14.1"));
    assert_eq!(all.len(), 4);
    assert!(
        all.iter()
            .all(|finding| finding.confidence == crate::Confidence::Medium)
    );
}

#[test]
fn evidence_for_several_versions_is_judged_over_all_of_them() {
    let Some(index) = index() else { return };
    let between = |first: &str, last: &str| {
        let mut package = Package::new(PackageKind::Java, CORE, first);
        package.version_range = Some((first.to_owned(), last.to_owned()));
        findings(&index, package)
    };
    let all = between("2.13.0", "2.14.1");
    assert_eq!(cve(&all, "CVE-2021-44228").state, State::Affected);
    assert_eq!(cve(&all, "CVE-2021-44228").fix, Fix::Version("2.15.0".to_owned()));
    assert!(matches!(
        cve(&between("2.14.0", "2.16.0"), "CVE-2021-44228").state,
        State::Uncertain(_)
    ));
    // Both ends are fixed, but not what lies between.
    assert!(matches!(
        cve(&between("2.12.4", "2.17.1"), "CVE-2021-44228").state,
        State::Uncertain(_)
    ));
    assert_eq!(between("2.17.1", "2.20.0"), []);
    assert!(matches!(
        cve(&of_version(&index, ""), "CVE-2021-44228").state,
        State::Uncertain(_)
    ));
}

#[test]
fn what_is_known_to_be_exploited_is_marked() {
    let (Some(index), Some(kev)) = (index(), shared("kev/known_exploited_vulnerabilities.json")) else {
        return;
    };
    let kev = Kev::read(&kev).unwrap();
    let knowledge = Knowledge {
        index: &index,
        kev: Some(&kev),
        epss: None,
    };
    let packages = [Package::new(PackageKind::Java, CORE, "2.14.1")];
    let all = find_vulnerabilities(&packages, None, &knowledge).findings;
    let exploited: Vec<_> = all
        .iter()
        .filter(|finding| finding.kev.is_some())
        .map(|finding| finding.id.as_ref())
        .collect();
    assert_eq!(exploited, ["CVE-2021-44228", "CVE-2021-45046"]);
}
