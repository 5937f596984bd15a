//! Access data in memory: who exists, what they may do, which rules hold. Read whole whenever it has changed, so that
//! a question about it never asks the database.

use std::sync::Arc;

use access::{
    AccessBook, Grant, Principal, PrincipalId, PrincipalKind, RoleSet, SecretId, SecretRecord, SecretVerifier,
};
use oci::PatternMap;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::db::sql;
use crate::rule::Rules;
use crate::{Rule, StoreError, TrafficMeasure, setting};

pub(crate) mod follow;

/// One state of the access data.
pub(crate) struct Snapshot {
    pub(crate) book: Arc<AccessBook>,
    pub(crate) rules: PatternMap<Arc<Rules>>,
    pub(crate) default_rules: Arc<Rules>,
    /// Who is throttled or banned for a while.
    pub(crate) measures: Arc<[TrafficMeasure]>,
    /// The access data could not be read after it was changed, so the book allows nothing.
    pub(crate) is_closed: bool,
}

impl Snapshot {
    /// Reads everything. The generation is read first: what changes meanwhile is read again later.
    pub(crate) async fn load(on: &impl ConnectionTrait) -> Result<Self, StoreError> {
        let generation = setting::access_generation(on).await?;
        let principals = principals(on).await?;
        let secrets = secrets(on).await?;
        let grants = crate::grant::all(on).await?;
        let rules = crate::rule::all(on).await?;
        let rules = rules
            .into_iter()
            .map(|Rule { pattern, rules }| (pattern, Arc::new(rules)))
            .collect();
        let rules = PatternMap::build(rules).map_err(|tie| StoreError::damaged(tie.to_string()))?;
        let measures = crate::traffic::all(on).await?.into();
        let book = AccessBook::build(principals, secrets, grants, generation);
        Ok(Self {
            book: Arc::new(book),
            rules,
            default_rules: Arc::default(),
            measures,
            is_closed: false,
        })
    }

    /// What stands in for a state that cannot be read: nobody exists and nobody may do anything.
    fn closed(generation: u64) -> Self {
        let book = AccessBook::build(Vec::new(), Vec::new(), Vec::new(), generation);
        Self {
            book: Arc::new(book),
            rules: PatternMap::default(),
            default_rules: Arc::default(),
            measures: Arc::default(),
            is_closed: true,
        }
    }
}

#[derive(FromQueryResult)]
struct PrincipalRow {
    id: i64,
    name: String,
    kind: String,
    administrator: bool,
    disabled: bool,
    not_after: Option<i64>,
}

async fn principals(on: &impl ConnectionTrait) -> Result<Vec<Principal>, StoreError> {
    let sql = "SELECT id, name, kind, administrator, disabled, not_after FROM principal";
    let rows: Vec<PrincipalRow> = sql::all(on, sql, []).await?;
    rows.into_iter().map(PrincipalRow::into_principal).collect()
}

impl PrincipalRow {
    fn into_principal(self) -> Result<Principal, StoreError> {
        Ok(Principal {
            id: PrincipalId(self.id),
            name: self
                .name
                .parse()
                .map_err(|error| StoreError::damaged(format!("principal {}: {error}", self.id)))?,
            kind: kind_of(&self.kind)?,
            administrator: self.administrator,
            disabled: self.disabled,
            not_after: self.not_after,
        })
    }
}

/// Reads the kind of a principal from its column.
pub(crate) fn kind_of(text: &str) -> Result<PrincipalKind, StoreError> {
    [PrincipalKind::User, PrincipalKind::Robot]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| StoreError::damaged(format!("unknown kind of principal {text:?}")))
}

#[derive(FromQueryResult)]
struct SecretRow {
    id: i64,
    principal_id: i64,
    verifier: String,
    not_after: Option<i64>,
}

async fn secrets(on: &impl ConnectionTrait) -> Result<Vec<SecretRecord>, StoreError> {
    let rows: Vec<SecretRow> = sql::all(
        on,
        "SELECT id, principal_id, verifier, not_after FROM secret ORDER BY id",
        [],
    )
    .await?;
    rows.into_iter().map(SecretRow::into_record).collect()
}

impl SecretRow {
    fn into_record(self) -> Result<SecretRecord, StoreError> {
        Ok(SecretRecord {
            id: SecretId(self.id),
            principal: PrincipalId(self.principal_id),
            verifier: verifier_of(&self.verifier).ok_or_else(|| {
                StoreError::damaged(format!("secret {} is neither a hash nor a digest", self.id))
            })?,
            not_after: self.not_after,
        })
    }
}

/// Reads a verifier from its column: a PHC string begins with a dollar sign, a digest has 64 hex digits.
pub(crate) fn verifier_of(text: &str) -> Option<SecretVerifier> {
    if text.starts_with('$') {
        return text.parse().ok().map(SecretVerifier::Password);
    }
    let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
    Some(SecretVerifier::Robot(
        access::robot_secret::SecretDigest::from_bytes(bytes),
    ))
}

/// Writes the roles of a grant into its column and reads them back.
pub(crate) fn roles_of(text: &str) -> Result<RoleSet, StoreError> {
    text.parse()
        .map_err(|_| StoreError::damaged(format!("unknown roles {text:?}")))
}

/// For [`crate::grant::all`].
#[derive(FromQueryResult)]
pub(crate) struct GrantRow {
    pub(crate) subject: String,
    pub(crate) pattern: String,
    pub(crate) roles: String,
}

impl GrantRow {
    pub(crate) fn into_grant(self) -> Result<Grant, StoreError> {
        let damaged = |what: String| StoreError::damaged(format!("grant of {:?}: {what}", self.subject));
        Ok(Grant {
            subject: self
                .subject
                .parse()
                .map_err(|error: access::NameError| damaged(error.to_string()))?,
            pattern: self
                .pattern
                .parse()
                .map_err(|_| damaged(format!("pattern {:?}", self.pattern)))?,
            roles: roles_of(&self.roles)?,
        })
    }
}
