//! What one image has and another one has not.

use std::collections::{BTreeMap, BTreeSet};

use findings::{PackageKind, ScanResult, Severity};

/// A package that both images have, at other versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPackage {
    /// Who installed it.
    pub kind: PackageKind,
    /// Its name.
    pub name: String,
    /// Versions that only the first image has.
    pub from: BTreeSet<String>,
    /// Versions that only the second one has.
    pub to: BTreeSet<String>,
}

/// A package that only one of them has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LonePackage {
    /// Who installed it.
    pub kind: PackageKind,
    /// Its name.
    pub name: String,
    /// Its versions.
    pub versions: BTreeSet<String>,
}

/// A problem, once for each package or rule that has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The CVE, or the rule.
    pub id: String,
    /// The package with its kind (`maven org.example:a`), or the path of the file.
    pub subject: String,
}

/// What is said of a problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// How bad.
    pub severity: Severity,
    /// What fixes it.
    pub fix: Option<String>,
}

/// From one image to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Packages that only the second image has.
    pub gained_packages: Vec<LonePackage>,
    /// Packages that only the first one has.
    pub lost_packages: Vec<LonePackage>,
    /// Packages at other versions.
    pub changed_packages: Vec<ChangedPackage>,
    /// Problems that only the second image has.
    pub gained_findings: BTreeMap<Problem, Told>,
    /// Problems that only the first one has.
    pub lost_findings: BTreeMap<Problem, Told>,
    /// Problems of both of which other things are said, before and after.
    pub changed_findings: BTreeMap<Problem, (Told, Told)>,
    /// What could not be found out of either: what is lost may only be hidden.
    pub unknowns: BTreeSet<String>,
}

impl Diff {
    /// Compares two images. Both should have been judged by the same advisories: else the difference is also theirs.
    pub fn between(from: &ScanResult, to: &ScanResult) -> Self {
        let mut diff = Self {
            unknowns: from.unknowns.iter().chain(&to.unknowns).cloned().collect(),
            ..Self::default()
        };
        diff.compare_packages(packages(from), packages(to));
        diff.compare_findings(problems(from), problems(to));
        diff
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.gained_packages.is_empty()
            && self.lost_packages.is_empty()
            && self.changed_packages.is_empty()
            && self.gained_findings.is_empty()
            && self.lost_findings.is_empty()
            && self.changed_findings.is_empty()
    }

    fn compare_packages(&mut self, from: Packages, mut to: Packages) {
        for ((kind, name), versions) in from {
            let Some(others) = to.remove(&(kind, name.clone())) else {
                self.lost_packages.push(LonePackage { kind, name, versions });
                continue;
            };
            if versions != others {
                self.changed_packages.push(ChangedPackage {
                    kind,
                    name,
                    from: &versions - &others,
                    to: &others - &versions,
                });
            }
        }
        let gained = to.into_iter();
        self.gained_packages
            .extend(gained.map(|((kind, name), versions)| LonePackage { kind, name, versions }));
    }

    fn compare_findings(&mut self, from: Problems, mut to: Problems) {
        for (problem, told) in from {
            match to.remove(&problem) {
                None => {
                    self.lost_findings.insert(problem, told);
                }
                Some(other) if other != told => {
                    self.changed_findings.insert(problem, (told, other));
                }
                Some(_) => {}
            }
        }
        self.gained_findings = to;
    }
}

type Packages = BTreeMap<(PackageKind, String), BTreeSet<String>>;
type Problems = BTreeMap<Problem, Told>;

fn packages(result: &ScanResult) -> Packages {
    let mut packages = Packages::new();
    for placed in &result.packages {
        let package = &placed.package;
        packages
            .entry((package.kind, package.name.clone()))
            .or_default()
            .insert(package.version.clone());
    }
    packages
}

/// Of a package at several versions, the worst.
fn problems(result: &ScanResult) -> Problems {
    let mut problems = Problems::new();
    let mut put = |problem, told: Told| {
        let known = problems.entry(problem).or_insert_with(|| told.clone());
        if told > *known {
            *known = told;
        }
    };
    for finding in result
        .vulnerabilities
        .iter()
        .filter(|finding| !finding.is_suppressed())
    {
        let Some(placed) = result.package_of(finding) else {
            continue;
        };
        let kind = placed.package.kind.purl_type();
        put(
            Problem {
                id: finding.id.to_string(),
                subject: format!("{kind} {}", placed.package.name),
            },
            Told {
                severity: finding.severity,
                fix: finding.fix.version().map(str::to_owned),
            },
        );
    }
    for placed in &result.files {
        put(
            Problem {
                id: placed.finding.rule.clone(),
                subject: placed.full_path(),
            },
            Told {
                severity: placed.finding.severity,
                fix: placed.finding.fix.clone(),
            },
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use findings::{Package, PlacedPackage};

    use super::*;

    fn result(packages: &[(&str, &str)]) -> ScanResult {
        let placed = |(name, version): &(&str, &str)| PlacedPackage {
            package: Package::new(PackageKind::Npm, *name, *version),
            layer: Some(0),
            path: String::new(),
            owned_by: None,
            coverage: None,
        };
        ScanResult {
            packages: packages.iter().map(placed).collect(),
            ..ScanResult::default()
        }
    }

    #[test]
    fn packages_come_go_and_change() {
        let from = result(&[("a", "1"), ("b", "1"), ("c", "1"), ("c", "2")]);
        let to = result(&[("b", "1"), ("c", "2"), ("c", "3"), ("d", "1")]);
        let diff = Diff::between(&from, &to);
        let names = |packages: &[LonePackage]| packages.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&diff.lost_packages), ["a"]);
        assert_eq!(names(&diff.gained_packages), ["d"]);
        assert_eq!(diff.changed_packages.len(), 1);
        assert_eq!(diff.changed_packages[0].from, BTreeSet::from(["1".to_owned()]));
        assert_eq!(diff.changed_packages[0].to, BTreeSet::from(["3".to_owned()]));
        assert!(Diff::between(&from, &from).is_empty());
    }
}
