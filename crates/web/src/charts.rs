//! The images of a Helm chart: which are held here, and what was decided of them.

use std::collections::BTreeMap;

use access::permit::Pull;
use axum::Extension;
use axum::extract::State;
use findings::{ChartFacts, ChartImage};
use oci::{Digest, Manifest, ManifestLimits, Reference, RepoName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Body;
use crate::decisions::{DecisionKey, decision_of};
use crate::problem::{ApiError, Problem};
use crate::query::Query;
use crate::session::{PeerAddress, Session};
use crate::state::WebState;

/// How far it is with looking into a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChartState {
    /// It was looked into.
    Read,
    /// Nobody has looked into it yet.
    Waiting,
    /// It could not be read as a chart: which images it names is not known.
    Unreadable,
}

/// What a chart says about images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartReport {
    /// Where the chart lies.
    #[schema(value_type = String)]
    pub repository: RepoName,
    /// Which it is.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// How far it is.
    pub state: ChartState,
    /// Its name, by its `Chart.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version, by its `Chart.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The images that it names, by reference.
    pub images: Vec<ChartImageEntry>,
    /// How many more it names.
    pub more_images: u64,
    /// Where it may name others: what needs rendering is not known, nor what could not be read.
    pub unknown: Vec<ChartUnknownEntry>,
    /// How many more such places there are.
    pub more_unknown: u64,
}

/// An image that a chart names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartImageEntry {
    /// With its registry, and tag or digest.
    pub image: String,
    /// Where in the chart.
    pub places: Vec<ChartPlaceEntry>,
    /// The repository here that it is pulled as; missing: its registry is none of the upstreams, or who asks may not pull it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What it is here; missing: it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
    /// What was decided of it, as in a decision; missing: it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A place in a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartPlaceEntry {
    /// The file.
    pub path: String,
    /// Where in the file.
    pub place: String,
    /// Whether the tag is the chart's `appVersion`, because nothing else is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_tag_assumed: bool,
}

/// A place of which it is not known what images it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartUnknownEntry {
    /// The file.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The images that a chart names, which of them are held here, and what was decided of them; for whoever may pull the chart. Of images
/// that they may not pull nothing is told.
#[utoipa::path(get, path = "/charts/images", tag = "upstreams", params(DecisionKey), responses(
    (status = OK, description = "What the chart says about images", body = ChartReport),
    (status = BAD_REQUEST, description = "It is no chart", body = Problem),
    (status = NOT_FOUND, description = "No such chart", body = Problem),
))]
pub(crate) async fn get_chart_images(
    State(state): State<WebState>,
    peer: Option<Extension<PeerAddress>>,
    session: Session,
    Query(key): Query<DecisionKey>,
) -> Result<Body<ChartReport>, ApiError> {
    let permit = session.permit::<Pull>(&key.repository)?;
    let manifest = key.manifest(&state, &permit).await?;
    let parsed = Manifest::parse(
        &manifest.bytes,
        Some(&manifest.media_type),
        &ManifestLimits::default(),
    );
    let archive = parsed
        .ok()
        .and_then(|manifest| Some(manifest.chart_archive()?.digest));
    let archive = archive.ok_or_else(|| {
        ApiError::malformed(
            "this is no Helm chart: charts have a config of type application/vnd.cncf.helm.config.v1+json",
        )
    })?;
    let _place = state.place_for_report(peer.map(|Extension(peer)| peer))?;
    let report = state.store.layer_report(&archive).await?;
    let state_of_it = match &report {
        None => ChartState::Waiting,
        Some(report) if report.chart.is_none() => ChartState::Unreadable,
        Some(_) => ChartState::Read,
    };
    let facts = report.and_then(|report| report.chart);
    let mut answer = ChartReport {
        repository: key.repository,
        digest: manifest.digest,
        state: state_of_it,
        name: None,
        version: None,
        images: Vec::new(),
        more_images: 0,
        unknown: Vec::new(),
        more_unknown: 0,
    };
    if let Some(facts) = facts {
        fill(&state, &session, &mut answer, *facts).await?;
    }
    Ok(Body(answer))
}

async fn fill(
    state: &WebState,
    session: &Session,
    answer: &mut ChartReport,
    facts: ChartFacts,
) -> Result<(), ApiError> {
    answer.name = Some(facts.name);
    answer.version = Some(facts.version);
    answer.more_images = facts.more_images;
    answer.more_unknown = facts.more_unknown;
    let unknown = facts.unknown.into_iter();
    answer.unknown = unknown
        .map(|unknown| ChartUnknownEntry {
            path: unknown.path,
            why: unknown.why,
        })
        .collect();
    let mut places: BTreeMap<String, Vec<ChartPlaceEntry>> = BTreeMap::new();
    for image in facts.images {
        let ChartImage {
            reference,
            path,
            place,
            is_tag_assumed,
        } = image;
        let entry = ChartPlaceEntry {
            path,
            place,
            is_tag_assumed,
        };
        places.entry(reference).or_default().push(entry);
    }
    for (image, places) in places {
        answer.images.push(of_image(state, session, image, places).await?);
    }
    Ok(())
}

async fn of_image(
    state: &WebState,
    session: &Session,
    image: String,
    places: Vec<ChartPlaceEntry>,
) -> Result<ChartImageEntry, ApiError> {
    let mut entry = ChartImageEntry {
        places,
        repository: None,
        digest: None,
        outcome: None,
        unknown: None,
        image,
    };
    let Some((registry, name, reference)) = taken_apart(&entry.image) else {
        entry.unknown = Some("it cannot be taken apart".to_owned());
        return Ok(entry);
    };
    let here = state
        .proxying
        .as_ref()
        .and_then(|proxying| proxying.repository(registry, name));
    let Some(repository) = here else {
        entry.unknown = Some(format!("{registry} is no upstream of this registry"));
        return Ok(entry);
    };
    // Whoever may not pull it learns nothing that the chart does not say.
    let Ok(permit) = session.permit::<Pull>(&repository) else {
        entry.unknown = Some("you may not pull it".to_owned());
        return Ok(entry);
    };
    entry.repository = Some(repository.to_string());
    match state.store.manifest(&permit, &reference).await? {
        None => entry.unknown = Some("not held".to_owned()),
        Some(manifest) => {
            entry.digest = Some(manifest.digest);
            entry.outcome = Some(decision_of(state, &permit, &manifest).await?.outcome);
        }
    }
    Ok(entry)
}

/// Registry, repository there, and tag or digest, of a reference that is whole.
fn taken_apart(image: &str) -> Option<(&str, &str, Reference)> {
    let (registry, rest) = image.split_once('/')?;
    let (name, reference) = rest.split_once('@').or_else(|| rest.rsplit_once(':'))?;
    Some((registry, name, reference.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_references_are_taken_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (image, registry, name, reference) in [
            (
                "docker.io/library/nginx:1.27",
                "docker.io",
                "library/nginx",
                "1.27",
            ),
            ("r.example:5000/app:1", "r.example:5000", "app", "1"),
            (
                &format!("quay.io/a/b@{digest}"),
                "quay.io",
                "a/b",
                digest.as_str(),
            ),
        ] {
            let (of, found, is) = taken_apart(image).unwrap();
            assert_eq!((of, found, is.to_string().as_str()), (registry, name, reference));
        }
        assert!(taken_apart("nginx").is_none());
    }
}
