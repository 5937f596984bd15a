//! An SBOM judged by itself. It tells of packages and of nothing else, and nobody knows whether it tells of all of them: what it does
//! not say is unknown, never clean.

use findings::sbom::Sbom;
use findings::{DecisionText, Package, ScanResult, ScanTarget};
use oci::{Digest, RepoName};
use policy::{Subject, Unknown, UnknownKind};
use time::OffsetDateTime;

use super::{Facts, Vex, add_vulnerabilities_of, ask, decision_of};

/// What it does not tell of.
const UNTOLD: &str = "secrets, malware, configuration and signatures";

/// What an SBOM is judged as.
pub(crate) struct SbomOf {
    /// The repository that its image would be pushed to.
    pub(crate) repo: RepoName,
    /// Of its bytes.
    pub(crate) digest: Digest,
    /// Who would push it.
    pub(crate) pushed_by: Option<String>,
    pub(crate) now: OffsetDateTime,
}

/// What it says, and what advisories say about it; nothing was decided yet.
pub(crate) fn result_of_sbom(name: String, sbom: Sbom, facts: &Facts) -> ScanResult {
    let target = ScanTarget {
        name,
        ..ScanTarget::default()
    };
    let mut result = ScanResult::of_sbom(target, sbom);
    result
        .unknowns
        .push(format!("an SBOM tells of packages alone: {UNTOLD} are unknown"));
    ask(&mut result, facts);
    result
}

/// What the policy makes of it.
pub(crate) fn decision_of_sbom(result: &ScanResult, of: SbomOf, facts: &Facts) -> DecisionText {
    let mut subject = Subject::new(of.repo, of.digest);
    subject.advisory_generation = facts.generation;
    subject.pushed_by = of.pushed_by;
    subject.image.unknowns.push(Unknown {
        kind: UnknownKind::OnlyPackages,
        detail: UNTOLD.to_owned(),
    });
    let placed: Vec<(&Package, Option<usize>, &str)> = result
        .packages
        .iter()
        .filter(|placed| placed.owned_by.is_none())
        .map(|placed| (&placed.package, placed.layer, placed.path.as_str()))
        .collect();
    add_vulnerabilities_of(&mut subject, &placed, result.os.as_ref(), facts, &Vex::default());
    decision_of(&subject, facts, of.now)
}
