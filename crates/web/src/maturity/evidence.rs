//! Facts from elsewhere: what robots tell of builds, tests, deployments, costs and incidents.

use ::maturity::evidence::{Evidence, EvidenceLimits, PushFault, Sender, read_pushed};
use ::maturity::facts::EntryKind;
use access::Role;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use store::{Actor, EventKind};
use utoipa::ToSchema;

use super::{Said, Sight, asked, keeper};
use crate::body::Body;
use crate::problem::{ApiError, Kind, Problem};
use crate::session::Session;
use crate::state::WebState;

/// Errors of one push that are told; more are counted.
const ERRORS_TOLD: usize = 100;

/// Subjects of one push that the audit log names.
const SUBJECTS_NAMED: usize = 20;

/// What was told.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PushedEvidence {
    /// The event of the audit log with which it counts.
    pub event: u64,
    /// How many facts were told. What was told before under the same id counts once.
    pub entries: u64,
}

/// Tell facts about applications, teams, platforms or the organisation: all of a push, or nothing of it. For an application may speak who
/// may push to all of its repositories, for a team who may for all of its applications, for platforms and the organisation an
/// administrator. What the registry or a connected cluster knows by itself is not taken. At most 1,000 facts and 1 MiB at once.
#[utoipa::path(post, path = "/evidence", tag = "maturity", request_body = Object, responses(
    (status = OK, description = "It counts", body = PushedEvidence),
    (status = BAD_REQUEST, description = "Something of it cannot be: `errors` has each entry", body = Problem),
    (status = FORBIDDEN, description = "The caller may speak for none of these", body = Problem),
    (status = PAYLOAD_TOO_LARGE, description = "More than 1 MiB", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn push_evidence(
    State(state): State<WebState>,
    session: Session,
    Body(push): Body<Value>,
) -> Result<Body<PushedEvidence>, ApiError> {
    let session = session.signed_in()?;
    let keeper = keeper(&state)?;
    let sight = Sight::of(&state, session).await?;
    let name = sight.session.caller.principal_name().to_owned();
    let sender = Sender {
        name: name.parse().map_err(ApiError::malformed)?,
        subjects: sight.voices(Role::Push),
    };
    let now = state.store.now().to_utc();
    let read = asked(&state, move |assessment| {
        let limits = EvidenceLimits::default();
        read_pushed(
            push.to_string().as_bytes(),
            &sender,
            assessment.model(),
            now,
            &limits,
        )
    });
    let evidence = read.await?.map_err(|errors| refused(&errors))?;
    if evidence.is_empty() {
        return Err(ApiError::malformed(
            "the push has no entries: write at least one under `evidence`",
        ));
    }
    let entries = evidence.len() as u64;
    let said = Said {
        kind: EventKind::EvidencePush,
        subject: name,
        about: about(&evidence),
        entries: evidence
            .into_iter()
            .map(|one| EntryKind::Seen(Box::new(one)))
            .collect(),
        record: None,
    };
    let actor = Actor::speaker(&sight.session.caller, "evidence");
    let event = keeper.say(actor, said).await?.0;
    Ok(Body(PushedEvidence { event, entries }))
}

fn about(evidence: &[Evidence]) -> Value {
    let subjects: BTreeSet<String> = evidence.iter().map(|one| one.subject.to_string()).collect();
    let more = subjects.len().saturating_sub(SUBJECTS_NAMED);
    let named: Vec<_> = subjects.into_iter().take(SUBJECTS_NAMED).collect();
    json!({ "entries": evidence.len(), "subjects": named, "more_subjects": more })
}

fn refused(errors: &[::maturity::evidence::PushError]) -> ApiError {
    let is_others = |fault: &PushFault| matches!(fault, PushFault::NotTheirs { .. });
    let is_large = |fault: &PushFault| matches!(fault, PushFault::Bytes { .. });
    let kind = if errors.iter().any(|error| is_large(&error.fault)) {
        Kind::TooLarge
    } else if errors.iter().all(|error| is_others(&error.fault)) {
        Kind::Denied
    } else {
        Kind::Malformed
    };
    let more = errors.len().saturating_sub(ERRORS_TOLD);
    let mut told: Vec<String> = errors.iter().take(ERRORS_TOLD).map(ToString::to_string).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    let detail = format!(
        "nothing of the push was taken: {} of its entries cannot be",
        errors.len()
    );
    ApiError::new(kind, detail).with_errors(told)
}
