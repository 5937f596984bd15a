//! What was decided of an image, and why.

use std::sync::Arc;

use access::Permit;
use access::permit::Pull;
use axum::extract::State;
use findings::DecisionText;
use oci::{Digest, Manifest, ManifestKind, ManifestLimits, Reference, RepoName};
use policy::{Attached, Reason, Waived};
use serde::{Deserialize, Serialize};
use store::{Decided, Outcome, Point, StoredManifest};
use utoipa::{IntoParams, ToSchema};

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::Session;
use crate::state::WebState;

/// What becomes of a manifest when it is pulled.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DecisionEntry {
    /// Where it lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// `allow`, `warn`, `refuse`, `not-applicable`, or `undecided`: it is still being looked into. An index fares as the best
    /// of its images.
    pub outcome: String,
    /// What was decided of it; of an index, of each image in it.
    pub images: Vec<ImageDecision>,
}

/// What was decided of an image.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImageDecision {
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// As in the decision.
    pub outcome: String,
    /// Why, the worst first: rule, effect, findings, message, fix, severity.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub reasons: Vec<Reason>,
    /// How many more reasons there are.
    #[serde(default)]
    pub more_reasons: u64,
    /// What could not be found out, in the words of the rules that say so.
    #[serde(default)]
    pub unknowns: Vec<String>,
    /// What does not count: by whose word and until when.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub waived: Vec<Waived>,
    /// How much more does not count.
    #[serde(default)]
    pub more_waived: u64,
    /// What is attached as a signature or attestation: form, signers, and why it does not count.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub signatures: Vec<Attached>,
    /// What would not count, had its waiver not ended.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub expired: Vec<Waived>,
    /// Digest of the policy; missing for what is undecided, as all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Generation of the advisories that confirmed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Since when outcome and reasons are these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Moment>,
    /// When it is looked at again although nothing happens: a grace or a waiver ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_at: Option<Moment>,
}

/// Names an image.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionKey {
    /// The repository, such as `team/app`.
    #[param(value_type = String)]
    pub(crate) repository: RepoName,
    /// Tag or digest.
    reference: String,
}

impl DecisionKey {
    /// Of what was named in another way.
    pub(crate) fn new(repository: RepoName, reference: String) -> Self {
        Self {
            repository,
            reference,
        }
    }

    /// What is meant.
    pub(crate) async fn manifest(
        &self,
        state: &WebState,
        permit: &Permit<Pull>,
    ) -> Result<Arc<StoredManifest>, ApiError> {
        let reference: Reference = self.reference.parse().map_err(ApiError::malformed)?;
        let found = state.store.manifest(permit, &reference).await?;
        let name = || format!("{} of {}", self.reference, self.repository);
        found.ok_or_else(|| ApiError::not_found("image", name()))
    }
}

/// The body of a decision as the store keeps it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    reasons: Vec<Reason>,
    more_reasons: u64,
    waived: Vec<Waived>,
    more_waived: u64,
    signatures: Vec<Attached>,
    expired: Vec<Waived>,
}

const UNDECIDED: &str = "undecided";

/// What was decided of an image, for whoever may pull it.
#[utoipa::path(get, path = "/decisions", tag = "policy", params(DecisionKey), responses(
    (status = OK, description = "What becomes of it when it is pulled, and why", body = DecisionEntry),
    (status = NOT_FOUND, description = "No such image", body = Problem),
))]
pub(crate) async fn get_decision(
    State(state): State<WebState>,
    session: Session,
    Query(key): Query<DecisionKey>,
) -> Result<Body<DecisionEntry>, ApiError> {
    let permit = session.permit::<Pull>(&key.repository)?;
    let manifest = key.manifest(&state, &permit).await?;
    decision_of(&state, &permit, &manifest).await.map(Body)
}

/// What becomes of a manifest when it is pulled, and why.
pub(crate) async fn decision_of(
    state: &WebState,
    permit: &Permit<Pull>,
    manifest: &StoredManifest,
) -> Result<DecisionEntry, ApiError> {
    let repository = permit.repo().clone();
    let mut images = Vec::new();
    for digest in judged(manifest) {
        let is_alone = manifest.kind != ManifestKind::Index;
        if is_alone || state.store.has_image(&repository, &digest).await? {
            images.push(of_image(state, &repository, digest).await?);
        }
    }
    Ok(DecisionEntry {
        outcome: together(&images),
        digest: manifest.digest,
        repository,
        images,
    })
}

/// The manifests that are judged for this one: itself, or those that it names.
pub(crate) fn judged(manifest: &StoredManifest) -> Vec<Digest> {
    if manifest.kind != ManifestKind::Index {
        return vec![manifest.digest];
    }
    let limits = ManifestLimits::default();
    // It was checked when it was pushed.
    let parsed = Manifest::parse(&manifest.bytes, Some(&manifest.media_type), &limits);
    parsed.map_or_else(
        |_| Vec::new(),
        |index| index.manifests.iter().map(|child| child.digest).collect(),
    )
}

async fn of_image(state: &WebState, repo: &RepoName, digest: Digest) -> Result<ImageDecision, ApiError> {
    let found = state.store.decision_with_text(repo, &digest, Point::Pull).await?;
    let confirmed_by = match &found {
        Some((judgement, _)) => {
            let image = format!("{repo}@{digest}");
            state.store.confirmed_by(&image, judgement.generation).await?
        }
        None => 0,
    };
    Ok(found.map_or_else(
        || ImageDecision {
            digest,
            outcome: UNDECIDED.to_owned(),
            reasons: Vec::new(),
            more_reasons: 0,
            unknowns: Vec::new(),
            waived: Vec::new(),
            more_waived: 0,
            signatures: Vec::new(),
            expired: Vec::new(),
            policy: None,
            generation: None,
            decided_at: None,
            review_at: None,
        },
        |(decided, text)| ImageDecision {
            generation: Some(confirmed_by),
            ..told(digest, (&decided, &text))
        },
    ))
}

fn told(digest: Digest, (decided, text): (&Decided, &str)) -> ImageDecision {
    let kept: Kept = serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(%digest, %error, "a decision that was stored cannot be read");
        Kept::default()
    });
    let is_unknown =
        |reason: &&Reason| reason.kind.is_none() && reason.severity == findings::Severity::Unknown;
    ImageDecision {
        digest,
        outcome: word(decided.outcome).to_owned(),
        unknowns: kept
            .reasons
            .iter()
            .filter(is_unknown)
            .map(|reason| reason.message.clone())
            .collect(),
        reasons: kept.reasons,
        more_reasons: kept.more_reasons,
        waived: kept.waived,
        more_waived: kept.more_waived,
        signatures: kept.signatures,
        expired: kept.expired,
        policy: Some(decided.policy.clone()),
        generation: Some(decided.generation),
        decided_at: Some(decided.decided_at.into()),
        review_at: decided.review_at.map(Moment::from),
    }
}

/// A decision as reports show it.
pub(crate) fn in_words(digest: Digest, decided: (&Decided, &str)) -> DecisionText {
    let told = told(digest, decided);
    let mut reasons: Vec<String> = told
        .reasons
        .iter()
        .map(|reason| format!("{}: {}", reason.rule, reason.message))
        .collect();
    if told.more_reasons > 0 {
        reasons.push(format!("and {} more", told.more_reasons));
    }
    DecisionText {
        outcome: told.outcome,
        reasons,
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Warn => "warn",
        Outcome::Refuse => "refuse",
        Outcome::NotApplicable => "not-applicable",
    }
}

/// As the gate does it: served if one of the images is, held while that may still be.
fn together(images: &[ImageDecision]) -> String {
    let order = ["allow", "warn", UNDECIDED, "refuse"];
    let found = order
        .into_iter()
        .find(|outcome| images.iter().any(|image| image.outcome == *outcome));
    found.unwrap_or("not-applicable").to_owned()
}
