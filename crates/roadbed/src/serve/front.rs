//! `/`: what this is, for whoever opens the address in a browser or asks it with curl.

use axum::{Router, routing::get};

const TEXT: &str = "\
This is Roadbed, a registry for container images (OCI). It has no pages yet.

  docker login HOST, push and pull    with any client; the protocol is under /v2/
  roadbed login URL, roadbed help     users, robots, grants, rules, audit log
  /api/v1/openapi.json                the JSON API, described
  /healthz, /readyz, /metrics         for whoever runs it

Documentation: README.md and docs/ of the source; every command explains itself with --help.
";

/// Everybody may read it: it says nothing about this registry that `/v2/` would not.
pub(super) fn router() -> Router {
    Router::new().route("/", get(|| async { TEXT }))
}
