//! What people vouch for, until a day.

use ::maturity::assessment::Assessment;
use ::maturity::attestation::{self, Attestation, AttestationError, Claim, Record};
use ::maturity::facts::EntryKind;
use ::maturity::words::{CriterionId, Person, RecordId, Subject};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Actor, EventKind};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{CAUSE, Said, Sight, Voice, asked, keeper};
use crate::body::Body;
use crate::incidents::Placed;
use crate::moment::Moment;
use crate::page::{self, Page};
use crate::problem::{ApiError, Kind, Problem};
use crate::query::{Path, Query};
use crate::session::Session;
use crate::state::WebState;

/// Longest reason, in bytes.
const REASON_BYTES: usize = 2_000;

/// Which attestations.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AttestationsQuery {
    /// Only of this subject: `app:shop/checkout`.
    #[param(value_type = Option<String>)]
    subject: Option<Subject>,
    /// Only of this criterion.
    #[param(value_type = Option<String>)]
    criterion: Option<CriterionId>,
    /// The cursor that the page before gave as `next`.
    after: Option<String>,
    /// Items on the page: 1 to 1000, by default 100.
    limit: Option<usize>,
}

/// What somebody vouches for (`attestation`: id, subject, criterion, by, claim, link, note, from, until, renews), and who has `confirmed`
/// or `revoked` it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = Object)]
pub struct AttestationEntry(pub Record);

/// Something to vouch for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAttestation {
    /// For whom: `app:shop/checkout`, `team:payments`.
    #[schema(value_type = String)]
    pub subject: Subject,
    /// What.
    #[schema(value_type = String)]
    pub criterion: CriterionId,
    /// `holds`, which is the default, or `does-not-apply`, which a second person must always confirm.
    #[serde(default)]
    #[schema(value_type = String)]
    pub claim: Claim,
    /// Where it can be seen, https:// or http://.
    pub link: String,
    /// What else is to be said.
    #[serde(default)]
    pub note: String,
    /// From when on; by default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// Until when; by default as long as the criterion allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// To vouch on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Where it can be seen now.
    pub link: String,
    /// What else is to be said.
    #[serde(default)]
    pub note: String,
    /// Until when; by default as long as the criterion allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// Why nobody vouches for it any more.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Why.
    pub reason: String,
}

/// Nothing more is to be said.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {}

fn refused(error: AttestationError) -> ApiError {
    let kind = match error {
        AttestationError::NotAllowed { .. } | AttestationError::SamePerson(_) => Kind::Denied,
        AttestationError::NothingToConfirm
        | AttestationError::WaitedTooLong(_)
        | AttestationError::NotLive => Kind::Conflict,
        _ => Kind::Malformed,
    };
    ApiError::new(kind, error)
}

/// Whoever asks, with what they see and may vouch as.
struct Voucher {
    sight: Sight,
    voice: Voice,
    name: Person,
}

impl Voucher {
    async fn of(state: &WebState, session: Session) -> Result<Self, ApiError> {
        let session = session.signed_in()?;
        keeper(state)?;
        let sight = Sight::of(state, session).await?;
        let name = sight.session.caller.principal_name().parse();
        Ok(Self {
            voice: Voice::of(state, &sight).await?,
            name: name.map_err(ApiError::malformed)?,
            sight,
        })
    }

    /// The attestation of an id, if its subject is seen.
    async fn record(&self, state: &WebState, id: &RecordId) -> Result<Record, ApiError> {
        let wanted = id.clone();
        let found = asked(state, move |assessment| {
            assessment.facts().attestation(&wanted).cloned()
        });
        let found = found
            .await?
            .filter(|record| self.sight.sees(&record.attestation.subject));
        found.ok_or_else(|| ApiError::not_found("attestation", id))
    }

    async fn say(
        &self,
        state: &WebState,
        kind: EventKind,
        of: &Attestation,
        entry: EntryKind,
    ) -> Result<Body<AttestationEntry>, ApiError> {
        let said = Said {
            kind,
            subject: of.subject.to_string(),
            about: json!({
                "attestation": of.id, "criterion": of.criterion, "claim": of.claim, "link": of.link, "renews": of.renews,
            }),
            entries: vec![entry],
            record: None,
        };
        let actor = Actor::speaker(&self.sight.session.caller, CAUSE);
        keeper(state)?.say(actor, said).await?;
        self.record(state, &of.id).await.map(AttestationEntry).map(Body)
    }

    async fn vouch(
        &self,
        state: &WebState,
        new: NewAttestation,
        renews: Option<RecordId>,
    ) -> Result<Body<AttestationEntry>, ApiError> {
        self.sight.demand(&new.subject)?;
        let roles = self.voice.roles(&self.sight, &new.subject);
        let (by, now) = (self.name.clone(), state.store.now().to_utc());
        let checked = asked(state, move |assessment| {
            let attestation = attestation(assessment, new, renews, by, now)?;
            let criterion = assessment.model().criterion(&attestation.criterion);
            let criterion =
                criterion.ok_or_else(|| ApiError::not_found("criterion", &attestation.criterion))?;
            attestation::check(&attestation, criterion, &roles, now).map_err(refused)?;
            Ok::<_, ApiError>(attestation)
        });
        let attestation = checked.await??;
        let entry = EntryKind::Attested(Box::new(attestation.clone()));
        self.say(state, EventKind::MaturityAttest, &attestation, entry)
            .await
    }
}

fn attestation(
    assessment: &Assessment,
    new: NewAttestation,
    renews: Option<RecordId>,
    by: Person,
    now: OffsetDateTime,
) -> Result<Attestation, ApiError> {
    if !assessment.knows(&new.subject) {
        return Err(ApiError::not_found("subject", &new.subject));
    }
    let criterion = assessment.model().criterion(&new.criterion).ok_or_else(|| {
        let hint = assessment.model().nearest_criterion(new.criterion.as_str());
        ApiError::not_found("criterion", format!("{}{hint}", new.criterion))
    })?;
    let from = new.from.map_or(now, |from| from.0.to_utc());
    let days = criterion
        .attester
        .as_ref()
        .map_or(0, |attester| attester.expires_days);
    let longest = from.checked_add(Duration::days(i64::from(days)));
    Ok(Attestation {
        id: Uuid::now_v7().to_string().parse().map_err(ApiError::malformed)?,
        subject: new.subject,
        criterion: new.criterion,
        by,
        claim: new.claim,
        link: new.link,
        note: new.note,
        from,
        until: new
            .until
            .map_or(longest.unwrap_or(from), |until| until.0.to_utc()),
        renews,
    })
}

/// List what people vouch for, of subjects that the caller sees.
#[utoipa::path(get, path = "/maturity/attestations", tag = "maturity", params(AttestationsQuery), responses(
    (status = OK, description = "A page of attestations, the oldest first", body = Page<AttestationEntry>),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read", body = Problem),
))]
pub(crate) async fn list_attestations(
    State(state): State<WebState>,
    placed: Placed,
    Query(query): Query<AttestationsQuery>,
) -> Result<Body<Page<AttestationEntry>>, ApiError> {
    keeper(&state)?;
    let (after, limit) = (
        page::cursor(query.after.as_deref())?.map(str::to_owned),
        page::limit(query.limit)?,
    );
    let sight = Sight::of(&state, placed.session).await?;
    let page = asked(&state, move |assessment| {
        let (model, facts) = (assessment.model(), assessment.facts());
        let subjects = facts.subjects().into_iter();
        let subjects: Vec<Subject> = subjects
            .filter(|subject| query.subject.as_ref().is_none_or(|wanted| wanted == subject))
            .filter(|subject| sight.sees(subject))
            .collect();
        let criteria = model.criteria().iter().map(|criterion| &criterion.id);
        let criteria: Vec<&CriterionId> = criteria
            .filter(|id| query.criterion.as_ref().is_none_or(|wanted| wanted == *id))
            .collect();
        let of_subject = |subject| criteria.iter().flat_map(move |id| facts.attested(subject, id));
        let mut records: Vec<&Record> = subjects.iter().flat_map(of_subject).collect();
        records.sort_by(|a, b| a.attestation.id.cmp(&b.attestation.id));
        let id = |record: &&Record| record.attestation.id.to_string();
        Page::cut(records, after.as_deref(), limit, id, |record| {
            AttestationEntry(record.clone())
        })
    });
    Ok(Body(page.await?))
}

/// Vouch for a criterion, until a day. Who may is said by the criterion's role; where it says so, a second person must confirm it before it
/// counts.
#[utoipa::path(post, path = "/maturity/attestations", tag = "maturity", request_body = NewAttestation, responses(
    (status = OK, description = "Kept", body = AttestationEntry),
    (status = BAD_REQUEST, description = "It has no link, no sensible end, or is about something else", body = Problem),
    (status = FORBIDDEN, description = "The caller does not have the role", body = Problem),
    (status = NOT_FOUND, description = "No such subject or criterion, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn attest(
    State(state): State<WebState>,
    session: Session,
    Body(new): Body<NewAttestation>,
) -> Result<Body<AttestationEntry>, ApiError> {
    Voucher::of(&state, session).await?.vouch(&state, new, None).await
}

/// Vouch on: another attestation of the same, with what can be seen now.
#[utoipa::path(post, path = "/maturity/attestations/{id}/renew", tag = "maturity",
    params(("id" = String, Path, description = "Which one")), request_body = Renewal, responses(
    (status = OK, description = "The new one", body = AttestationEntry),
    (status = BAD_REQUEST, description = "It has no link or no sensible end", body = Problem),
    (status = FORBIDDEN, description = "The caller does not have the role", body = Problem),
    (status = NOT_FOUND, description = "No such attestation, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn renew_attestation(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<RecordId>,
    Body(renewal): Body<Renewal>,
) -> Result<Body<AttestationEntry>, ApiError> {
    let voucher = Voucher::of(&state, session).await?;
    let known = voucher.record(&state, &id).await?.attestation;
    let new = NewAttestation {
        subject: known.subject,
        criterion: known.criterion,
        claim: known.claim,
        link: renewal.link,
        note: renewal.note,
        from: None,
        until: renewal.until,
    };
    voucher.vouch(&state, new, Some(id)).await
}

/// Confirm, as a second person in the same role, what somebody vouches for.
#[utoipa::path(post, path = "/maturity/attestations/{id}/confirm", tag = "maturity",
    params(("id" = String, Path, description = "Which one")), request_body = Confirmation, responses(
    (status = OK, description = "It counts", body = AttestationEntry),
    (status = FORBIDDEN, description = "The caller does not have the role, or vouched for it", body = Problem),
    (status = NOT_FOUND, description = "No such attestation, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "There is nothing to confirm", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn confirm_attestation(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<RecordId>,
    Body(Confirmation {}): Body<Confirmation>,
) -> Result<Body<AttestationEntry>, ApiError> {
    let voucher = Voucher::of(&state, session).await?;
    let record = voucher.record(&state, &id).await?;
    let roles = voucher.voice.roles(&voucher.sight, &record.attestation.subject);
    let (by, now) = (voucher.name.clone(), state.store.now().to_utc());
    let attestation = record.attestation.clone();
    let checked = asked(&state, move |assessment| {
        let name = &record.attestation.criterion;
        let criterion = assessment.model().criterion(name);
        let criterion = criterion.ok_or_else(|| ApiError::not_found("criterion", name))?;
        attestation::check_confirmation(&record, criterion, &by, &roles, now).map_err(refused)
    });
    checked.await??;
    let entry = EntryKind::Confirmed {
        attestation: id,
        by: voucher.name.clone(),
    };
    voucher
        .say(&state, EventKind::MaturityConfirm, &attestation, entry)
        .await
}

/// Take back what was vouched for: by whoever did, or by somebody in the same role.
#[utoipa::path(post, path = "/maturity/attestations/{id}/revoke", tag = "maturity",
    params(("id" = String, Path, description = "Which one")), request_body = Revocation, responses(
    (status = OK, description = "It counts no more", body = AttestationEntry),
    (status = BAD_REQUEST, description = "It has no reason", body = Problem),
    (status = FORBIDDEN, description = "The caller does not have the role", body = Problem),
    (status = NOT_FOUND, description = "No such attestation, or none of the caller's", body = Problem),
    (status = CONFLICT, description = "No images are looked into", body = Problem),
    (status = SERVICE_UNAVAILABLE, description = "What is known is being read, or it counts later", body = Problem),
))]
pub(crate) async fn revoke_attestation(
    State(state): State<WebState>,
    session: Session,
    Path(id): Path<RecordId>,
    Body(Revocation { reason }): Body<Revocation>,
) -> Result<Body<AttestationEntry>, ApiError> {
    if reason.trim().is_empty() || reason.len() > REASON_BYTES {
        let detail = format!("say why, in at most {REASON_BYTES} bytes");
        return Err(ApiError::malformed(detail));
    }
    let voucher = Voucher::of(&state, session).await?;
    let attestation = voucher.record(&state, &id).await?.attestation;
    let roles = voucher.voice.roles(&voucher.sight, &attestation.subject);
    let (name, is_theirs) = (attestation.criterion.clone(), attestation.by == voucher.name);
    let may = asked(&state, move |assessment| {
        let criterion = assessment.model().criterion(&name);
        let attester = criterion.and_then(|criterion| criterion.attester.as_ref());
        is_theirs || attester.is_some_and(|attester| roles.0.contains(&attester.role))
    });
    if !may.await? && !voucher.sight.is_administrator {
        let detail = format!(
            "{} was vouched for by somebody else, and you do not have its role",
            attestation.id
        );
        return Err(ApiError::new(Kind::Denied, detail));
    }
    let entry = EntryKind::Revoked {
        attestation: id,
        by: voucher.name.clone(),
        reason,
    };
    voucher
        .say(&state, EventKind::MaturityRevoke, &attestation, entry)
        .await
}
