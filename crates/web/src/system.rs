//! The registry itself.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::StoreMetrics;
use utoipa::ToSchema;

use crate::body::Body;
use crate::moment::Moment;
use crate::problem::{ApiError, Problem};
use crate::session::Administrator;
use crate::state::WebState;

/// The registry itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemStatus {
    /// Version of the program.
    pub version: String,
    /// Names the process that answers.
    pub instance: String,
    /// When it started.
    pub started_at: Moment,
    /// Its present time.
    pub now: Moment,
    /// Whether pushes are refused for now: for maintenance, or because the database cannot be written.
    pub read_only: bool,
    /// Counters since the start, and a few present values.
    pub counters: Counters,
}

/// Counters of the store.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Statements and transactions sent to the database.
    pub database_calls: u64,
    /// Manifests answered from memory.
    pub manifest_hits: u64,
    /// Manifests read from the database.
    pub manifest_misses: u64,
    /// Blob rows answered from memory.
    pub blob_hits: u64,
    /// Blob rows read from the database.
    pub blob_misses: u64,
    /// Bytes of manifests in memory now.
    pub manifest_cache_bytes: u64,
    /// Lines of the pull log that were dropped because too many waited.
    pub pull_notes_dropped: u64,
    /// Sign-ins that computed a password hash.
    pub password_hashes: u64,
    /// Sign-ins answered from memory.
    pub credential_hits: u64,
    /// Sign-ins turned away.
    pub logins_shed: u64,
    /// Uploads open now.
    pub uploads_open: u64,
    /// Bytes that they hold now.
    pub upload_bytes: u64,
}

impl From<StoreMetrics> for Counters {
    fn from(metrics: StoreMetrics) -> Self {
        Self {
            database_calls: metrics.database_calls,
            manifest_hits: metrics.manifest_hits,
            manifest_misses: metrics.manifest_misses,
            blob_hits: metrics.blob_hits,
            blob_misses: metrics.blob_misses,
            manifest_cache_bytes: metrics.manifest_cache_bytes,
            pull_notes_dropped: metrics.pull_notes_dropped,
            password_hashes: metrics.password_hashes,
            credential_hits: metrics.credential_hits,
            logins_shed: metrics.logins_shed,
            uploads_open: metrics.uploads_open,
            upload_bytes: metrics.upload_bytes,
        }
    }
}

/// Version, process, time and counters.
#[utoipa::path(get, path = "/system", tag = "system", responses(
    (status = OK, description = "The registry", body = SystemStatus),
    (status = FORBIDDEN, description = "Administrators only", body = Problem),
))]
pub(crate) async fn get_system(
    State(state): State<WebState>,
    Administrator(_): Administrator,
) -> Result<Body<SystemStatus>, ApiError> {
    let condition = state.store.condition();
    Ok(Body(SystemStatus {
        version: state.config.version.clone(),
        instance: state.config.instance.clone(),
        started_at: state.started_at.into(),
        now: state.store.now().into(),
        read_only: condition.maintenance.is_some() || condition.writes.is_some(),
        counters: state.store.metrics().into(),
    }))
}
