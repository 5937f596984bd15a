//! Which images have which of the vulnerabilities.

use std::collections::{BTreeMap, BTreeSet};

use findings::advisory::State as Said;
use road::{
    fleet::{Answer, ImageKey, Row, State},
    incident::Remedy,
    names::VulnerabilityId,
};

use super::{
    FleetService, Sought, counts,
    remedy::{Own, Remedies},
};

/// Images that are looked at before whoever changes the index has a turn.
const PAGE: usize = 300;

/// What an image has.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tags that name it.
    pub(super) tags: Vec<String>,
    /// By which vulnerabilities it is affected, in the order of the group; of each what makes it harmless, if that was seen.
    pub(super) affected_by: BTreeMap<VulnerabilityId, Option<String>>,
    /// What is to be done about what is not one's own.
    pub(super) remedies: BTreeSet<Remedy>,
    /// What helps one's own packages.
    pub(super) own: BTreeSet<Own>,
    /// Versions that fix one of the vulnerabilities or all of them.
    pub(super) fixes: BTreeSet<String>,
    /// Of these, those that are without all of them.
    pub(super) targets: BTreeSet<String>,
}

/// All that was found.
pub(super) struct AllFound {
    pub(super) images: BTreeMap<ImageKey, Found>,
    /// Vulnerabilities that no advisory knows any more: nothing can be said of them.
    pub(super) unknown: Vec<VulnerabilityId>,
    /// Images of which nobody can tell whether they have one of them.
    pub(super) uncertain: BTreeSet<ImageKey>,
}

pub(super) fn find(service: &FleetService, sought: &Sought) -> AllFound {
    let mut all = AllFound {
        images: BTreeMap::new(),
        unknown: Vec::new(),
        uncertain: BTreeSet::new(),
    };
    let mut affected = BTreeMap::new();
    for id in &sought.ids {
        match keys(service, sought, id, State::Affected) {
            Some(keys) => {
                affected.insert(id.clone(), keys);
            }
            None => all.unknown.push(id.clone()),
        }
        let uncertain = keys(service, sought, id, State::Uncertain);
        all.uncertain.extend(uncertain.unwrap_or_default());
    }
    let mut remedies = Remedies::of(sought, &affected);
    for id in affected.keys() {
        rows(service, sought, id, &mut remedies, &mut all.images);
    }
    all
}

/// The images that are in a state; `None`: no advisory knows the vulnerability.
fn keys(
    service: &FleetService,
    sought: &Sought,
    id: &VulnerabilityId,
    wanted: State,
) -> Option<BTreeSet<ImageKey>> {
    let state = service.read();
    let answer = ask(&state, sought, id)?.only(&[wanted]);
    // The lock is held: nothing can have changed since.
    let keys = state.fleet.keys(&answer).unwrap_or_default();
    Some(keys.into_iter().collect())
}

fn ask(state: &super::super::State, sought: &Sought, id: &VulnerabilityId) -> Option<Answer> {
    let scope = state.fleet.scope(|_| true, None);
    state
        .fleet
        .by_vulnerability(id.as_str(), &sought.facts.knowledge(), &scope)
}

/// Goes through the images of one vulnerability, some at a time; what changes meanwhile is asked for again.
fn rows(
    service: &FleetService,
    sought: &Sought,
    id: &VulnerabilityId,
    remedies: &mut Remedies<'_>,
    images: &mut BTreeMap<ImageKey, Found>,
) {
    let (mut answer, mut after): (Option<(u64, Answer)>, Option<ImageKey>) = (None, None);
    loop {
        let state = service.read();
        let epoch = state.fleet.epoch();
        let asked = match answer.take() {
            Some((of, known)) if of == epoch => Some(known),
            _ => ask(&state, sought, id).map(|answer| answer.only(&[State::Affected, State::Mitigated])),
        };
        let Some(asked) = asked else { return };
        let Ok(page) = state.fleet.page(&asked, after.as_ref(), PAGE) else {
            return;
        };
        for row in page.rows.iter().filter(|row| counts(row.state)) {
            let diff_ids = state.fleet.diff_ids_of(&row.key).unwrap_or_default();
            let image = images.entry(row.key.clone()).or_default();
            image.tags = row.tags.iter().map(|tag| (*tag).to_owned()).collect();
            image.affected_by.insert(id.clone(), mitigated_by(row));
            remedies.add(&state.fleet, row, &diff_ids, image);
        }
        let next = page.next;
        drop(state);
        match next {
            Some(next) => (answer, after) = (Some((epoch, asked)), Some(next)),
            None => return,
        }
    }
}

/// What was seen at every place that makes it harmless.
fn mitigated_by(row: &Row<'_>) -> Option<String> {
    if row.state != State::Mitigated {
        return None;
    }
    let findings = row.places.iter().filter_map(|place| place.finding);
    let seen: BTreeSet<String> = findings
        .filter_map(|finding| match &finding.state {
            Said::Mitigated(mitigation) => Some(format!("seen in the image: {}", mitigation.seen)),
            _ => None,
        })
        .collect();
    Some(seen.into_iter().collect::<Vec<_>>().join("; "))
}
