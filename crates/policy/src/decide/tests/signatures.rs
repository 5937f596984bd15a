//! Who signed: what rules may ask, and when it is asked again.

use super::*;
use crate::{Attached, MAX_SIGNATURES};

fn attached(signer: Option<&str>) -> Attached {
    Attached {
        form: "cosign signature".to_owned(),
        artifact: Subject::default().image.digest,
        index: None,
        signers: signer.map(str::to_owned).into_iter().collect(),
        predicate: None,
        certificate: None,
        problem: None,
    }
}

#[test]
fn a_rule_refuses_what_nobody_signed_whom_it_names() {
    let policy = policy(&["when: \"!('release' in image.signed_by)\", decide: refuse, running: refuse"]);
    let mut subject = subject(Vec::new());
    assert_eq!(pull(&policy, &[], &subject).outcome, Outcome::Refuse);
    subject.image.signed_by = vec!["ci".to_owned()];
    assert_eq!(pull(&policy, &[], &subject).outcome, Outcome::Refuse);
    subject.image.signed_by.push("release".to_owned());
    assert_eq!(pull(&policy, &[], &subject).outcome, Outcome::Allow);
}

#[test]
fn conditions_count_what_is_attached() {
    let policy = policy(&[
        "when: image.signatures == 3 && image.unverified_signatures == 2, decide: warn",
        "when: \"'ci https://slsa.dev/provenance/v1' in image.attestations\", decide: warn",
    ]);
    let mut subject = subject(Vec::new());
    assert_eq!(pull(&policy, &[], &subject).outcome, Outcome::Allow);
    subject.image.signatures = vec![attached(None), attached(Some("release")), attached(None)];
    subject.image.attestations = vec!["ci https://slsa.dev/provenance/v1".to_owned()];
    let decision = pull(&policy, &[], &subject);
    assert_eq!(decision.reasons.len(), 2);
    // What counts comes first.
    let names: Vec<usize> = decision
        .signatures
        .iter()
        .map(|attached| attached.signers.len())
        .collect();
    assert_eq!(names, [1, 0, 0]);
}

#[test]
fn a_decision_lists_so_many_signatures() {
    let mut subject = subject(Vec::new());
    subject.image.signatures = vec![attached(None); MAX_SIGNATURES];
    subject.image.signatures.push(attached(Some("release")));
    let decision = pull(&policy(&[]), &[], &subject);
    assert_eq!(decision.signatures.len(), MAX_SIGNATURES);
    assert_eq!(decision.signatures[0].signers, ["release"]);
}

#[test]
fn when_a_signer_ends_the_image_is_looked_at_again() {
    let mut subject = subject(Vec::new());
    let end = NOW + Duration::days(3);
    subject.image.signed_until = Some(end);
    let decision = pull(&policy(&[]), &[], &subject);
    assert_eq!(decision.review_at, Some(end + Duration::SECOND));
    subject.image.signed_until = Some(NOW - Duration::days(3));
    assert_eq!(pull(&policy(&[]), &[], &subject).review_at, None);
}
