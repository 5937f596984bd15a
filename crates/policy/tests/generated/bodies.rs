//! What must hold for whatever people write, one function per format.
//!
//! Shared by the fuzz targets (`fuzz/` at the root of the repository) and by `tests/generated.rs`.

use oci::{Algorithm, Digest};
use policy::{JudgedFinding, KeptWaiver, Point, Policy, Subject};
use time::OffsetDateTime;

/// The rules of a policy: refused with lines that are there, or the same each time they are asked.
pub(crate) fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = match Policy::parse("policy.yaml", text) {
        Ok(read) => read,
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    assert!(!read.rules().is_empty() || Policy::parse("again.yaml", text).is_ok());
    let digest = Digest::of(Algorithm::Sha256, data);
    let mut subject = Subject::new("team/app".parse().expect("it is a name"), digest);
    subject.findings.push(JudgedFinding::new(
        findings::FindingKind::Vulnerability,
        "CVE-2021-44228",
        findings::Severity::Critical,
    ));
    for point in [Point::Push, Point::Pull, Point::Admit] {
        let decided = policy::decide(&read, &[], &subject, point, OffsetDateTime::UNIX_EPOCH);
        let again = policy::decide(&read, &[], &subject, point, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(decided, again);
        assert!(decided.refusal_text().len() < 64 << 10);
    }
}

/// A waiver as it is kept.
pub(crate) fn waiver(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(waiver) = KeptWaiver::from_json(text) else {
        return;
    };
    let kept = waiver.to_json().expect("it was read");
    assert_eq!(KeptWaiver::from_json(&kept).expect("it was written"), waiver);
    match &waiver {
        KeptWaiver::Requested(request) => drop(request.check()),
        KeptWaiver::Approved(waiver) => {
            waiver.state(OffsetDateTime::UNIX_EPOCH);
        }
    }
}
