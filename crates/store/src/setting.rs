//! Settings: a few values that the store keeps for itself.

use sea_orm::ConnectionTrait;

use crate::StoreError;
use crate::Timestamp;
use crate::db::{Db, sql};

/// What is kept. The list is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// What tokens are signed with: 64 hex digits.
    TokenKey,
    /// How often principals, secrets, grants or rules have changed.
    AccessGeneration,
    /// Since when all images that were deleted are kept, in microseconds.
    GoneKnownSince,
    /// The last line of the audit log that was followed by whoever tells others of it.
    TellingCursor,
    /// What the registry signs with what it makes of images: PKCS #8 in hex digits.
    PatchKey,
    /// Who has stopped all rebases; empty: nobody.
    RebasesStopped,
    /// What a mirror hashes the credentials of its clients with: 64 hex digits. Only the data directory of a mirror has one.
    MirrorKey,
    /// Why nothing may be changed ([`crate::Maintenance`] as JSON); empty: it may.
    Maintenance,
    /// What was asked of upstreams within the last hour ([`crate::UpstreamUse`] as JSON).
    UpstreamUse,
}

impl Setting {
    fn key(self) -> &'static str {
        match self {
            Self::TokenKey => "token_key",
            Self::AccessGeneration => "access_generation",
            Self::GoneKnownSince => "gone_known_since",
            Self::TellingCursor => "telling_cursor",
            Self::PatchKey => "patch_key",
            Self::RebasesStopped => "rebases_stopped",
            Self::MirrorKey => "mirror_key",
            Self::Maintenance => "maintenance",
            Self::UpstreamUse => "upstream_use",
        }
    }
}

/// The value, if it was ever set.
pub(crate) async fn get(on: &impl ConnectionTrait, setting: Setting) -> Result<Option<String>, StoreError> {
    let found: Option<sql::Text> = sql::first(
        on,
        "SELECT value AS text FROM setting WHERE key = $1",
        [setting.key().into()],
    )
    .await?;
    Ok(found.map(|row| row.text))
}

/// Sets the value.
pub(crate) async fn set(
    on: &impl ConnectionTrait,
    setting: Setting,
    value: String,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO setting (key, value) VALUES ($1, $2) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    sql::execute(on, sql, [setting.key().into(), value.into()])
        .await
        .map(drop)
}

/// The generation of the access data.
pub(crate) async fn access_generation(on: &impl ConnectionTrait) -> Result<u64, StoreError> {
    Ok(get(on, Setting::AccessGeneration)
        .await?
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

/// The key of the token signer; made on the first start.
pub(crate) async fn token_key(db: &Db, now: Timestamp) -> Result<[u8; 32], StoreError> {
    if let Some(text) = get(db.read(), Setting::TokenKey).await? {
        return decode(&text).ok_or_else(|| StoreError::damaged("the token key is not 64 hex digits"));
    }
    let key: [u8; 32] = crate::entropy::bytes();
    let tx = db.begin(now).await?;
    set(tx.sql(), Setting::TokenKey, hex::encode(key)).await?;
    tx.commit().await.1?;
    Ok(key)
}

pub(crate) fn decode(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}
