//! VEX and waivers of the policy that take a finding away.

use std::collections::BTreeMap;

use anyhow::Result;
use policy::{Waived, WaivedAs};
use road::incident::{MAX_RELIEFS, ReliefKind, SeenRelief, Sighting};
use road::names::VulnerabilityId;
use store::{Point, Store};
use time::OffsetDateTime;

use super::super::rows;
use super::{Seen, Sought};

/// Longest reason that is kept, in bytes.
const REASON_BYTES: usize = 500;

/// Adds what was decided of the images behind each line. A line counts as relieved of what none of its images has without relief.
pub(super) async fn add(store: &Store, sought: &Sought, seen: &mut Seen) -> Result<()> {
    for sighting in &mut seen.sightings {
        let Some(images) = seen.images.get(&sighting.line) else {
            continue;
        };
        let mut common: Option<Vec<SeenRelief>> = None;
        for image in images {
            let place = (&sighting.line.repository, &image.digest);
            let waived = match store.decision(place.0, place.1, Point::Pull).await? {
                Some(decided) => rows::kept_waived(store, place, &decided).await?,
                None => Vec::new(),
            };
            let reliefs = reliefs(sought, &sighting.affected_by, &waived);
            common = Some(match common.take() {
                None => reliefs,
                Some(others) => both(others, &reliefs),
            });
            if common.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        append(sighting, common.unwrap_or_default());
    }
    Ok(())
}

fn append(sighting: &mut Sighting, reliefs: Vec<SeenRelief>) {
    sighting.reliefs.extend(reliefs);
    sighting.reliefs.truncate(MAX_RELIEFS);
}

/// One relief for each word, with all that it covers.
fn reliefs(sought: &Sought, affected_by: &[VulnerabilityId], waived: &[Waived]) -> Vec<SeenRelief> {
    let mut by_word: BTreeMap<(bool, Option<OffsetDateTime>, String), Vec<VulnerabilityId>> = BTreeMap::new();
    for id in affected_by {
        let known = sought.facts.index.vulnerability(id.as_str());
        let aliases: Vec<String> = match known {
            Some(known) => known.ids.iter().map(ToString::to_string).collect(),
            None => vec![id.to_string()],
        };
        let meant = waived.iter().filter(|waived| rows::is_about(waived, &aliases));
        for waived in meant {
            let is_vex = waived.waived_as == WaivedAs::Vex;
            let reason = policy::yaml::one_line(&rows::waived_words(waived), REASON_BYTES);
            let covers = by_word.entry((is_vex, waived.until, reason)).or_default();
            if !covers.contains(id) {
                covers.push(id.clone());
            }
        }
    }
    let of_word = |((is_vex, until, reason), covers)| SeenRelief {
        kind: if is_vex {
            ReliefKind::Mitigation
        } else {
            ReliefKind::Waiver
        },
        covers,
        until,
        reason,
    };
    by_word.into_iter().map(of_word).collect()
}

fn both(some: Vec<SeenRelief>, others: &[SeenRelief]) -> Vec<SeenRelief> {
    some.into_iter()
        .filter(|relief| others.contains(relief))
        .collect()
}
