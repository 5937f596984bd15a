//! What was decided, with its reasons.

mod lines;

use findings::{FindingKind, Severity};
use oci::Digest;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Attached, Effect, Point, WaiverKind};

/// What becomes of the image. Ordered from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There is nothing to judge: a signature, a chart, a cache.
    NotApplicable,
    /// It is let through.
    Allow,
    /// It is let through, and the reasons are told.
    Warn,
    /// It is refused.
    Refuse,
}

impl Outcome {
    /// Whether it may be fetched.
    pub const fn is_served(self) -> bool {
        !matches!(self, Self::Refuse)
    }

    /// The spelling in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// Why a rule that refuses only warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Eased {
    /// The image is in use, and the rule keeps what runs.
    InUse,
    /// The days of grace are not over.
    Grace {
        /// When they are. `None`: they have not begun, because no fix is known.
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// The finding is known to be an example.
    Example,
    /// Too much of what is in use would be refused at once; a person decides.
    Brake,
}

/// One reason: what one rule says about findings that have one fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule.
    pub rule: String,
    /// What it does here.
    pub effect: Effect,
    /// Why that is less than the rule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eased: Option<Eased>,
    /// What kind of problem; `None` for what is about the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FindingKind>,
    /// The findings, the worst first; at most [`MAX_IDS_PER_REASON`](crate::MAX_IDS_PER_REASON).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_findings: usize,
    /// What is said, on one line.
    pub message: String,
    /// What fixes it, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The condition had no answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
}

/// By what right a finding does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaivedAs {
    /// Borne for a while.
    Accepted,
    /// Not true.
    FalsePositive,
    /// A trusted signer says that it does not apply.
    Vex,
}

impl From<WaiverKind> for WaivedAs {
    fn from(kind: WaiverKind) -> Self {
        match kind {
            WaiverKind::Accepted => Self::Accepted,
            WaiverKind::FalsePositive => Self::FalsePositive,
        }
    }
}

/// A finding that a rule speaks of and that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waived {
    /// The finding; `None` for what is about the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The rule.
    pub rule: String,
    /// By what right.
    pub waived_as: WaivedAs,
    /// Waiver, empty for VEX.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiver: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub requested_by: String,
    /// Who agreed, or signed.
    pub by: String,
    /// Until when.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub until: Option<OffsetDateTime>,
    /// Why.
    pub reason: String,
}

/// What was decided about one image at one point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What becomes of it.
    pub outcome: Outcome,
    /// At which point.
    pub point: Point,
    /// Why, the worst first; at most [`MAX_REASONS`](crate::MAX_REASONS).
    pub reasons: Vec<Reason>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_reasons: usize,
    /// What does not count, by whom and until when; at most [`MAX_WAIVED`](crate::MAX_WAIVED).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waived: Vec<Waived>,
    /// How much more does not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_waived: usize,
    /// What is attached as a signature or attestation; at most [`MAX_SIGNATURES`](crate::MAX_SIGNATURES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Attached>,
    /// What would not count, had its waiver not expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<Waived>,
    /// Which policy.
    pub policy_digest: Digest,
    /// Which facts.
    pub evidence_fingerprint: Digest,
    /// Which advisories.
    pub advisory_generation: u64,
    /// When it must be looked at again although nothing happened: a grace or waiver ends, a release gets no more fixes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub review_at: Option<OffsetDateTime>,
}

impl Decision {
    /// Whether a new row would say nothing new.
    pub fn same_outcome_and_reasons(&self, other: &Self) -> bool {
        self.outcome == other.outcome
            && self.reasons == other.reasons
            && self.more_reasons == other.more_reasons
            && self.waived == other.waived
            && self.more_waived == other.more_waived
            && self.expired == other.expired
            && self.signatures == other.signatures
    }

    /// The same, held at warn by the [`brake`](crate::brake()) until a person approves it.
    #[must_use]
    pub fn held_at_warn(mut self) -> Self {
        if self.outcome != Outcome::Refuse {
            return self;
        }
        self.outcome = Outcome::Warn;
        for reason in &mut self.reasons {
            if reason.effect == Effect::Refuse {
                reason.effect = Effect::Warn;
                reason.eased = Some(Eased::Brake);
            }
        }
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
