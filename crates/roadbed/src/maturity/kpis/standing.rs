//! Where what is published last stands on the road, how old it is, and how much of it is known.

use std::collections::BTreeMap;

use anyhow::Result;
use maturity::kpi::{
    Part,
    adoption::{Application, Base, Image},
    event::App,
    freshness::{BaseLine, Running, Unapplied},
};
use oci::{Digest, RepoName};
use road::{
    app_road::AutoRebase,
    cohort::{Because, Verdict},
    golden_path::Toolchain,
    lineage::Lineage,
    names::ApplicationName,
};
use store::{KnownImage, Store, Timestamp};
use time::OffsetDateTime;

use super::{Of, exposed::severity, named};
use crate::maturity::collect::{Ground, Places, Said};

/// Bytes of reports of configurations that are read of one image.
const LABEL_BYTES: u64 = 1 << 20;

/// Which commit an image was built from.
const REVISION: &str = "org.opencontainers.image.revision";

/// What was found.
pub(super) struct Standing {
    pub(super) workloads: Vec<Of<Vec<Part>>>,
    pub(super) applications: Vec<Application>,
    pub(super) running: Vec<Of<Running>>,
}

/// Of the newest image of each repository. Those of bases are the road itself and do not count.
pub(super) async fn read(ground: &Ground, places: &Places, now: OffsetDateTime) -> Result<Standing> {
    let store = ground.store();
    let mut by_app: BTreeMap<App, Application> = BTreeMap::new();
    for app in places.applications() {
        if let Some(name) = named(&app.name) {
            let application = unseen(places, &app.name, name.clone(), now);
            by_app.insert(name, application);
        }
    }
    let toolchains = toolchains(places, now);
    let (mut workloads, mut running) = (Vec::new(), Vec::new());
    for (repository, digest) in store.newest_images(Timestamp::from(now)).await? {
        if places.road.bases.released_to(&repository).is_some() {
            continue;
        }
        let Some(image) = store.known_image(&repository, &digest).await? else {
            continue;
        };
        let whose = places.app_of(&repository).map(|(name, _)| name);
        let app = whose.and_then(named);
        let workload = workload(store, places, &repository, &image).await?;
        workloads.push((app.clone(), workload));
        let Some(name) = whose else { continue };
        let found = ground.lineage(places, name, (&repository, &digest), now);
        running.push((app.clone(), fresh(places, digest, found.as_ref())));
        if let Some(app) = app
            && let Some(application) = by_app.get_mut(&app)
        {
            let base = base(found.as_ref());
            let approved_toolchain = built(store, &toolchains, &image).await?;
            application.images.push(Image {
                base,
                approved_toolchain,
                automatic_updates: Some(follows(places, name, now)),
                replica_hours: 0,
            });
        }
    }
    Ok(Standing {
        workloads,
        applications: by_app.into_values().collect(),
        running,
    })
}

fn unseen(places: &Places, name: &ApplicationName, app: App, now: OffsetDateTime) -> Application {
    let exemption = places
        .road
        .paving
        .exemption(name, now)
        .filter(|_| places.is_vouched(name));
    Application {
        app,
        images: Vec::new(),
        exempt_until: exemption.map(|exemption| exemption.until),
    }
}

/// Whether what is published is known: whose it is, what is in it, and what it was built from.
async fn workload(
    store: &Store,
    places: &Places,
    repository: &RepoName,
    image: &KnownImage,
) -> Result<Vec<Part>> {
    let whose = places.road.applications.owner_of(repository);
    let looked = image.looked;
    let configs: Vec<Digest> = image.config.into_iter().collect();
    let reports = store.small_layer_reports(&configs, LABEL_BYTES).await?;
    let has_revision = reports.iter().any(|(_, report)| {
        let labels = report.config.as_ref().map(|config| &config.labels);
        labels.is_some_and(|labels| labels.iter().any(|(label, _)| label == REVISION))
    });
    let is_looked_into = looked.blobs > 0 && looked.reported == looked.blobs;
    let known = [
        (Part::App, whose.application().is_some()),
        (Part::Owner, whose.owner().is_some()),
        (Part::Sbom, is_looked_into),
        (Part::Revision, has_revision),
    ];
    let known = known.into_iter().filter(|(_, is_known)| *is_known);
    Ok(known.map(|(part, _)| part).collect())
}

fn base(found: Option<&(Lineage, Verdict)>) -> Base {
    let Some((lineage, verdict)) = found else {
        return Base::Unknown;
    };
    let superseded_at = lineage
        .base()
        .and_then(|base| base.superseded)
        .map(|superseded| superseded.at);
    match &verdict.because {
        Because::Current { .. } | Because::WithinPromise { .. } | Because::PromiseOver { .. } => {
            Base::Approved {
                supported: true,
                superseded_at,
            }
        }
        Because::SupportEnded { .. } => Base::Approved {
            supported: false,
            superseded_at,
        },
        Because::Experimental { .. }
        | Because::NotDeclared { .. }
        | Because::NotSigned { .. }
        | Because::NoBase => Base::NotApproved,
        Because::LayersUnknown | Because::NoImages => Base::Unknown,
    }
}

fn fresh(places: &Places, digest: Digest, found: Option<&(Lineage, Verdict)>) -> Running {
    let standing = found.and_then(|(lineage, _)| lineage.base());
    let declared = standing.and_then(|standing| places.road.bases.get(&standing.base));
    let superseded = standing.and_then(|standing| standing.superseded);
    let unapplied = superseded.map(|superseded| Unapplied {
        severity: severity(superseded.worst_fixed),
        released_at: superseded.at,
    });
    Running {
        digest,
        line: declared.map(|base| BaseLine {
            first_newer_at: superseded.map(|superseded| superseded.at),
            end_of_life: Some(base.last_day()),
        }),
        unapplied: unapplied.into_iter().collect(),
    }
}

fn toolchains(places: &Places, now: OffsetDateTime) -> Vec<&Toolchain> {
    let all = places.road.paving.toolchains();
    all.filter(|toolchain| now < toolchain.supported_until).collect()
}

/// Whether an approved toolchain built it. Where none is declared, none is asked for.
async fn built(store: &Store, toolchains: &[&Toolchain], image: &KnownImage) -> Result<Option<bool>> {
    if toolchains.is_empty() {
        return Ok(Some(true));
    }
    let Some(decision) = &image.decision else {
        return Ok(None);
    };
    let text = if decision.is_text {
        Some(decision.said.clone())
    } else {
        store
            .decision_texts(&[&decision.said])
            .await?
            .into_values()
            .next()
    };
    let said = text.and_then(|text| Said::read(&text));
    Ok(said.map(|said| {
        let builders = toolchains.iter().flat_map(|toolchain| &toolchain.builders);
        said.is_built_by(builders.map(String::as_str))
    }))
}

/// Whether tags of an application follow their base without anybody being asked.
fn follows(places: &Places, name: &ApplicationName, now: OffsetDateTime) -> bool {
    let road = places.road.paving.app_road(name, now);
    road.is_some_and(|road| road.auto_rebase == AutoRebase::Auto)
}
