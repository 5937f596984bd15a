//! What could not be found out about an image, told by itself or by its facts.

use crate::limits::{MAX_FACT_LIST, MAX_FACT_TEXT_BYTES};
use crate::{JudgedFinding, Subject, UnknownKind};

/// The kinds, in order and each once.
pub(super) fn of(subject: &Subject) -> Vec<UnknownKind> {
    let mut kinds: Vec<UnknownKind> = subject
        .image
        .unknowns
        .iter()
        .map(|unknown| unknown.kind)
        .collect();
    if has_too_long_facts(subject) {
        kinds.push(UnknownKind::FactsTooLong);
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

pub(super) fn texts(kinds: &[UnknownKind]) -> Vec<&'static str> {
    kinds.iter().map(|kind| kind.as_str()).collect()
}

/// Conditions look at the beginning of texts and lists only; that something was cut off must not pass for clean.
pub(super) fn has_too_long_facts(subject: &Subject) -> bool {
    let image = &subject.image;
    let texts = [
        Some(&image.user),
        image.os.as_ref(),
        image.base.as_ref(),
        subject.repo.team.as_ref(),
    ];
    let workload = subject
        .workload
        .iter()
        .flat_map(|workload| [&workload.namespace, &workload.cluster]);
    let maps = [&image.labels, &image.annotations];
    texts
        .into_iter()
        .flatten()
        .chain(workload)
        .chain(&image.signed_by)
        .chain(&image.attestations)
        .any(is_too_long)
        || image.signed_by.len() > MAX_FACT_LIST
        || image.attestations.len() > MAX_FACT_LIST
        || maps.into_iter().any(|map| {
            map.len() > MAX_FACT_LIST
                || map
                    .iter()
                    .any(|(key, value)| is_too_long(key) || is_too_long(value))
        })
        || subject.findings.iter().any(has_too_long_texts)
}

fn has_too_long_texts(finding: &JudgedFinding) -> bool {
    let texts = [
        &finding.id,
        &finding.package,
        &finding.version,
        &finding.ecosystem,
        &finding.path,
        &finding.source,
        &finding.rule,
        &finding.pack,
    ];
    finding.aliases.len() > MAX_FACT_LIST
        || texts
            .into_iter()
            .chain(&finding.fix)
            .chain(&finding.aliases)
            .any(is_too_long)
}

fn is_too_long(text: impl AsRef<str>) -> bool {
    text.as_ref().len() > MAX_FACT_TEXT_BYTES
}
