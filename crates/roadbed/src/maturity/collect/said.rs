//! What a decision says of its image.

use findings::FindingKind;
use policy::{Attached, Eased, Reason, Waived, WaivedAs};
use serde::Deserialize;

/// Statements of how something was built.
const PROVENANCE: &str = "https://slsa.dev/provenance/";

/// Who signs in what a hosted builder runs: nobody else gets a certificate of theirs.
const HOSTED: [&str; 4] = [
    "https://token.actions.githubusercontent.com",
    "https://gitlab.com",
    "https://agent.buildkite.com",
    "https://oidc.circleci.com",
];

/// The parts of a decision that are asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::maturity) struct Said {
    reasons: Vec<Reason>,
    more_reasons: usize,
    waived: Vec<Waived>,
    more_waived: usize,
    signatures: Vec<Attached>,
}

impl Said {
    /// Nothing of a text that cannot be read: whoever judges again writes another one.
    pub(in crate::maturity) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether a trusted signer has signed the image.
    pub(super) fn is_signed(&self) -> bool {
        let mut signatures = self.signatures.iter().filter(|one| one.predicate.is_none());
        signatures.any(|one| !one.signers.is_empty())
    }

    /// Whether somebody states how the image was built, trusted or not.
    pub(super) fn has_provenance(&self) -> bool {
        self.provenances().next().is_some()
    }

    /// Whether a hosted builder states it, and is trusted to.
    pub(super) fn is_hosted(&self) -> bool {
        self.verified_builders().any(|(_, issuer)| is_hosted(issuer))
    }

    /// Whether one of these builders states it, and is trusted to.
    pub(in crate::maturity) fn is_built_by<'b>(&self, mut builders: impl Iterator<Item = &'b str>) -> bool {
        builders.any(|builder| {
            self.verified_builders()
                .any(|(subject, _)| is_builder(subject, builder))
        })
    }

    fn provenances(&self) -> impl Iterator<Item = &Attached> {
        let is_one = |one: &&Attached| {
            let predicate = one.predicate.as_deref();
            predicate.is_some_and(|kind| kind.starts_with(PROVENANCE))
        };
        self.signatures.iter().filter(is_one)
    }

    /// Who stands in the certificates of trusted statements, and who let them in.
    fn verified_builders(&self) -> impl Iterator<Item = (&str, &str)> {
        let verified = self.provenances().filter(|one| !one.signers.is_empty());
        verified.filter_map(|one| one.certificate.as_deref()?.rsplit_once(" of "))
    }

    /// Whether no secret was found. `rules`: those that speak of secrets. `None`: nobody knows.
    pub(super) fn is_secret_free(&self, rules: &[String]) -> Option<bool> {
        let is_secret = |reason: &&Reason| {
            reason.kind == Some(FindingKind::Secret) && !matches!(reason.eased, Some(Eased::Example))
        };
        // What somebody bears is still in the image; whose kind is not told is taken for a secret where it can be one.
        let is_borne = |waived: &&Waived| {
            let id = waived.finding.as_deref().unwrap_or_default();
            waived.waived_as == WaivedAs::Accepted && rules.contains(&waived.rule) && !is_vulnerability(id)
        };
        if self.reasons.iter().any(|reason| is_secret(&reason))
            || self.waived.iter().any(|one| is_borne(&one))
        {
            return Some(false);
        }
        let is_whole = self.more_reasons == 0 && self.more_waived == 0;
        (is_whole && !rules.is_empty()).then_some(true)
    }
}

/// Some name the customer behind a slash.
fn is_hosted(issuer: &str) -> bool {
    let is_of = |host: &&str| {
        let rest = issuer.strip_prefix(*host);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    HOSTED.iter().any(is_of)
}

/// Whether a builder is who stands in a certificate: a workflow at any of its revisions, or the same word.
fn is_builder(subject: &str, builder: &str) -> bool {
    let of_builder = subject.strip_prefix(builder);
    of_builder.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

fn is_vulnerability(id: &str) -> bool {
    let upper = id.split_once('-').map_or("", |(source, _)| source);
    !upper.is_empty() && upper.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(body: &serde_json::Value) -> Said {
        Said::read(&body.to_string()).unwrap()
    }

    fn attached(predicate: Option<&str>, signers: &[&str], certificate: Option<&str>) -> serde_json::Value {
        let digest = oci::Digest::of(oci::Algorithm::Sha256, b"x");
        let mut attached = json!({ "form": "cosign", "artifact": digest, "signers": signers });
        if let Some(predicate) = predicate {
            attached["predicate"] = predicate.into();
        }
        if let Some(certificate) = certificate {
            attached["certificate"] = certificate.into();
        }
        attached
    }

    #[test]
    fn only_trusted_signers_sign_and_a_statement_is_no_signature() {
        let of = |attached: serde_json::Value| said(&json!({ "signatures": [attached] }));
        assert!(of(attached(None, &["ci"], None)).is_signed());
        assert!(!of(attached(None, &[], None)).is_signed());
        let slsa = Some("https://slsa.dev/provenance/v1");
        let stated = of(attached(slsa, &["ci"], None));
        assert!(!stated.is_signed() && stated.has_provenance() && !stated.is_hosted());
    }

    #[test]
    fn a_builder_counts_by_a_certificate_of_a_trusted_statement() {
        let workflow = "https://github.com/shop/app/.github/workflows/build.yml";
        let certificate =
            format!("{workflow}@refs/heads/main of https://token.actions.githubusercontent.com");
        let slsa = Some("https://slsa.dev/provenance/v1");
        let of =
            |signers: &[&str]| said(&json!({ "signatures": [attached(slsa, signers, Some(&certificate))] }));
        assert!(of(&["ci"]).is_hosted() && of(&["ci"]).is_built_by([workflow].into_iter()));
        assert!(!of(&["ci"]).is_built_by([&workflow[..workflow.len() - 1]].into_iter()));
        assert!(!of(&[]).is_hosted() && !of(&[]).is_built_by([workflow].into_iter()));
    }

    #[test]
    fn a_secret_is_found_borne_or_unknown() {
        let rules = ["secret".to_owned()];
        let reason = |kind: &str, eased: Option<&str>| {
            let mut reason = json!({
                "rule": "secret", "effect": "warn", "kind": kind, "message": "m", "severity": "high",
            });
            if let Some(why) = eased {
                reason["eased"] = json!({ "why": why });
            }
            said(&json!({ "reasons": [reason] }))
        };
        assert_eq!(reason("secret", None).is_secret_free(&rules), Some(false));
        assert_eq!(
            reason("secret", Some("example")).is_secret_free(&rules),
            Some(true)
        );
        assert_eq!(reason("vulnerability", None).is_secret_free(&rules), Some(true));
        assert_eq!(Said::default().is_secret_free(&[]), None);
        let waived = |finding: &str, right: &str| {
            said(&json!({ "waived": [{
                "finding": finding, "rule": "secret", "waived_as": right, "by": "b", "reason": "r",
            }] }))
        };
        assert_eq!(
            waived("aws-access-token", "accepted").is_secret_free(&rules),
            Some(false)
        );
        assert_eq!(
            waived("aws-access-token", "false-positive").is_secret_free(&rules),
            Some(true)
        );
        assert_eq!(
            waived("CVE-2021-44228", "accepted").is_secret_free(&rules),
            Some(true)
        );
        let cut = said(&json!({ "more_reasons": 3 }));
        assert_eq!(cut.is_secret_free(&rules), None);
    }
}
