//! The JSON API of Roadbed: `/api/v1`.
//!
//! Everything that people and programs may ask of the registry besides pushing and pulling: who may do what, rules,
//! repositories, policy and waivers, the audit log, housekeeping. The command line is a client of it. The API stands on the
//! store; what it asks of whoever judges images is [`Judging`], which the program puts in. What it promises is additive
//! within a version and described in `OpenAPI` at `/api/v1/openapi.json`.
//!
//! How a request is answered: `Session` finds out who asks (Basic credentials, or a token of `POST /session`), and
//! hands out the permits that the store's functions demand; `Body` reads JSON under a cap; one module per
//! noun holds the wire types and the handlers; what goes wrong becomes an RFC 9457 problem in one place, `problem`.
//!
//! Names of repositories and patterns contain slashes, so they are query parameters and never parts of a path: proxies
//! disagree about `%2F`.
//!
//! **Cross-site requests.** The API knows no cookies. A browser may still send Basic credentials that somebody typed
//! once, so every POST must say `Content-Type: application/json`, which a foreign page cannot make a browser send
//! without asking first; the other changing methods are always asked for.
//!
//! Read first: `session.rs`, `problem.rs`, then `grants.rs` as the pattern of a noun.

mod admission;
mod advisories;
mod affected;
mod applications;
mod apply;
mod backup;
mod bases;
mod body;
mod bundles;
mod catalog;
mod charts;
mod decisions;
mod deliveries;
mod events;
mod feeds;
mod fsck;
mod gc;
mod grants;
mod held;
mod in_use;
mod incidents;
mod judging;
mod lineage;
mod maintenance;
mod manifests;
mod maturity;
mod mirror;
mod moment;
mod openapi;
mod page;
mod patterns;
mod policies;
mod previews;
mod principals;
mod problem;
mod pulls;
mod query;
mod rebases;
mod reports;
mod repositories;
mod road;
mod robots;
mod rules;
mod session;
mod sessions;
mod signers;
mod sinks;
mod state;
mod system;
mod traffic;
mod upstreams;
mod users;
mod waivers;
mod weighing;

pub mod wire;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::maturity::{Counted, Maturing, Maturity, MaturityError, ModelDocument, Said, SeesApp};
pub use self::road::adoption::{Survey, SurveyError, Surveyed, Surveying};
pub use admission::{REQUEST_TIMEOUT, SIGN_IN_TIMEOUT};
pub use advisories::end_import;
pub use affected::{AffectedQuestion, Answering, Asking, AskingError, MayPull};
pub use body::{MAX_APPLY_BYTES, MAX_BODY_BYTES, MAX_JUDGEMENT_BYTES, MAX_SESSION_BYTES};
pub use bundles::BundleRefused;
pub use feeds::{BundleAsked, RunningSync, SourcesAsked, SyncRefused, Syncing};
pub use incidents::{
    Following, IncidentChange, IncidentOpening, Incidents, IncidentsError, LineSelection, Sight,
};
pub use judging::{Asked, Judging, JudgingError};
pub use page::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS};
pub use rebases::images::images_to_plan;
pub use rebases::items::MAX_REPORTED;
pub use rebases::{MAX_PLATFORMS, Made, Place, PlanOf, Planned, Rebasing, RebasingError, Reported};
pub use reports::ReportOf;
pub use session::{PeerAddress, WhoAsked};
pub use sinks::{MAX_KEEP_SECONDS, NewSecretOfSink, Telling, TestAsked, check_events};
pub use state::{WebConfig, WebState};
pub use traffic::{TrafficSeen, Watching};
pub use upstreams::testing::{TestRefused, Tried};
pub use upstreams::{PrefetchRefused, Proxying};
pub use weighing::{Admitted, NotAdmitted, Weighed, admit};

/// The path under which all of it stands.
pub const PREFIX: &str = "/api/v1";

/// The router of the API. Whoever serves it inserts a [`PeerAddress`] and a [`WhoAsked`] into the extensions of each
/// request.
pub fn router(state: WebState) -> Router {
    let (routes, document) = documented(&state).split_for_parts();
    let document = openapi::route(&document);
    let routes = routes
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            admission::admit,
        ))
        .merge(document)
        .layer(axum::middleware::map_response(with_common_headers))
        .with_state(state);
    Router::new().nest(PREFIX, routes)
}

/// Every route together with its documentation; the two cannot part.
fn documented(state: &WebState) -> OpenApiRouter<WebState> {
    OpenApiRouter::with_openapi(openapi::head(&state.config.version))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(sessions::create_session, sessions::get_session))
                .layer(DefaultBodyLimit::max(MAX_SESSION_BYTES)),
        )
        .routes(routes!(sessions::change_own_password))
        .merge(of_principals())
        .merge(of_the_road())
        .merge(of_incidents())
        .merge(of_maturity())
        .merge(of_advisories())
        .routes(routes!(
            grants::list_grants,
            grants::set_grant,
            grants::remove_grant
        ))
        .routes(routes!(rules::list_rules, rules::set_rule, rules::remove_rule))
        .routes(routes!(repositories::list_repositories))
        .routes(routes!(
            repositories::get_repository,
            repositories::delete_repository
        ))
        .routes(routes!(repositories::list_tags))
        .routes(routes!(repositories::get_tag, repositories::delete_tag))
        .routes(routes!(manifests::list_manifests))
        .routes(routes!(manifests::delete_manifest))
        .routes(routes!(events::list_events))
        .routes(routes!(pulls::list_pulls))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(apply::apply))
                .routes(routes!(advisories::add_documents))
                .routes(routes!(bundles::add_piece))
                .routes(routes!(previews::preview_advisories))
                .routes(routes!(catalog::import_catalog, catalog::get_catalog))
                .routes(routes!(catalog::allow_catalog))
                .layer(DefaultBodyLimit::max(MAX_APPLY_BYTES)),
        )
        .routes(routes!(policies::get_policy, policies::set_policy))
        .routes(routes!(policies::list_policies))
        .routes(routes!(previews::preview_policy))
        .routes(routes!(held::list_held))
        .routes(routes!(held::approve_held))
        .routes(routes!(
            in_use::list_in_use,
            in_use::set_in_use,
            in_use::remove_in_use
        ))
        .routes(routes!(waivers::list_waivers))
        .routes(routes!(waivers::request_waiver, waivers::remove_waiver))
        .routes(routes!(waivers::approve_waiver))
        .routes(routes!(signers::list_signers, signers::set_signer))
        .routes(routes!(signers::get_signer, signers::remove_signer))
        .merge(of_telling())
        .merge(of_traffic())
        .routes(routes!(affected::get_affected))
        .routes(routes!(decisions::get_decision))
        .routes(routes!(charts::get_chart_images))
        .routes(routes!(reports::get_report))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(reports::judge_unpushed))
                .routes(routes!(reports::judge_sbom))
                .layer(DefaultBodyLimit::max(MAX_JUDGEMENT_BYTES)),
        )
        .merge(of_housekeeping())
}

/// The registry itself.
fn of_housekeeping() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(gc::collect, gc::get_collection))
        .routes(routes!(fsck::check))
        .routes(routes!(backup::create_backup))
        .routes(routes!(system::get_system))
        .routes(routes!(
            maintenance::get_maintenance,
            maintenance::set_maintenance,
            maintenance::end_maintenance
        ))
}

/// What is known to be wrong with which packages.
fn of_advisories() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(advisories::get_advisories))
        .routes(routes!(feeds::sync_advisories))
        .routes(routes!(bundles::begin_bundle))
        .routes(routes!(bundles::finish_bundle))
        .routes(routes!(advisories::begin_import))
        .routes(routes!(advisories::finish_import))
}

/// Whose repositories are, and what images may stand on.
fn of_the_road() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(
            applications::list_applications,
            applications::set_application
        ))
        .routes(routes!(
            applications::get_application,
            applications::remove_application
        ))
        .routes(routes!(applications::get_saved))
        .routes(routes!(bases::list_bases, bases::set_base))
        .routes(routes!(bases::get_base, bases::remove_base))
        .routes(routes!(lineage::get_lineage))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(road::change_road, road::get_road))
                .layer(DefaultBodyLimit::max(MAX_APPLY_BYTES)),
        )
        .routes(routes!(road::get_history))
        .routes(routes!(road::get_promises))
        .routes(routes!(road::adoption::get_adoption))
        .routes(routes!(road::work::get_work))
        .routes(routes!(rebases::get_plan))
        .routes(routes!(rebases::make_rebase, rebases::list_rebases))
        .routes(routes!(rebases::items::get_patch_key))
        .routes(routes!(rebases::items::get_rebase_report))
        .routes(routes!(rebases::items::stop_rebases))
        .routes(routes!(rebases::items::resume_rebases))
        .routes(routes!(rebases::items::approve_rebase))
        .routes(routes!(rebases::items::reject_rebase))
        .routes(routes!(rebases::get_rebase))
        .routes(routes!(rebases::undo_rebase))
}

/// Who uses what, who is throttled or banned, and what is pulled through.
fn of_traffic() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(traffic::get_traffic))
        .routes(routes!(
            traffic::list_measures,
            traffic::set_measure,
            traffic::lift_measure
        ))
        .routes(routes!(upstreams::list_upstreams))
        .routes(routes!(upstreams::prefetch))
        .routes(routes!(upstreams::testing::test_upstream))
}

/// Who is told what.
fn of_telling() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(sinks::list_sinks, sinks::set_sink))
        .routes(routes!(sinks::get_sink, sinks::remove_sink))
        .routes(routes!(sinks::test_sink))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::retry_deliveries))
        .routes(routes!(deliveries::get_delivery))
        .routes(routes!(deliveries::retry_delivery))
}

/// What is followed until nobody is affected any more.
fn of_incidents() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(incidents::list_incidents, incidents::open_incident))
        .routes(routes!(incidents::get_incident))
        .routes(routes!(incidents::list_lines))
        .routes(routes!(incidents::get_incident_report))
        .routes(routes!(incidents::add_vulnerabilities))
        .routes(routes!(incidents::mitigate))
        .routes(routes!(incidents::end_mitigations))
        .routes(routes!(incidents::waive))
        .routes(routes!(incidents::end_waivers))
        .routes(routes!(incidents::close_incident))
}

/// Where applications, teams and the organisation stand.
fn of_maturity() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(maturity::get_model))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(maturity::apply_model))
                .layer(DefaultBodyLimit::max(MAX_APPLY_BYTES)),
        )
        .routes(routes!(maturity::get_scorecard))
        .routes(routes!(maturity::get_why))
        .routes(routes!(maturity::get_next))
        .routes(routes!(maturity::get_maturity_history))
        .routes(routes!(maturity::get_organisation))
        .routes(routes!(maturity::get_team))
        .routes(routes!(maturity::get_heat_map))
        .routes(routes!(maturity::push_evidence))
        .routes(routes!(maturity::list_attestations, maturity::attest))
        .routes(routes!(maturity::renew_attestation))
        .routes(routes!(maturity::confirm_attestation))
        .routes(routes!(maturity::revoke_attestation))
        .routes(routes!(maturity::get_inbox))
        .routes(routes!(maturity::set_targets))
        .routes(routes!(maturity::list_campaigns, maturity::set_campaign))
        .routes(routes!(maturity::remove_campaign))
        .routes(routes!(maturity::get_kpis))
        .routes(routes!(maturity::set_baseline))
        .routes(routes!(maturity::list_roles))
        .routes(routes!(maturity::set_role))
}

/// Users and robots.
fn of_principals() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(users::list_users, users::create_user))
        .routes(routes!(users::get_user, users::change_user, users::delete_user))
        .routes(routes!(users::set_password))
        .routes(routes!(robots::list_robots, robots::create_robot))
        .routes(routes!(
            robots::get_robot,
            robots::change_robot,
            robots::delete_robot
        ))
        .routes(routes!(robots::list_secrets, robots::add_secret))
        .routes(routes!(robots::revoke_secret))
}

/// Answers hold names and secrets: nobody keeps them, nobody guesses their type.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
