//! Whose images are affected, and what each owner has to do.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use oci::RepoName;
use road::fleet::{Answer, Fleet, Row, Stale, State};
use store::RoadEntries;
use web::wire::AffectedOwner;

use super::ask::Known;

/// Owners that an answer lists.
const OWNERS: usize = 500;

/// Repositories that are listed of each.
const REPOSITORIES: usize = 20;

/// Actions that are listed of each.
const ACTIONS: usize = 5;

/// Images that are looked at for what is to be done. What owners of further ones have to do is said in general.
const ACTION_IMAGES: usize = 1_000;

/// Whose a repository is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whose {
    /// Which application.
    pub(crate) application: String,
    /// Whose it is; an application may have no owner.
    pub(crate) owner: Option<String>,
}

impl Whose {
    /// Of a repository, if anybody says.
    pub(super) fn of(repo: &RepoName, road: &RoadEntries) -> Option<Self> {
        let ownership = road.applications.owner_of(repo);
        Some(Self {
            application: ownership.application()?.name.to_string(),
            owner: ownership.owner().map(ToString::to_string),
        })
    }
}

/// Owners, those with the most images first.
pub(super) struct Groups {
    pub(super) listed: Vec<AffectedOwner>,
    pub(super) more: u64,
}

/// What is gathered of one owner and application.
#[derive(Default)]
struct Group {
    images: u64,
    repositories: BTreeSet<String>,
    /// How many images each action helps.
    actions: BTreeMap<String, u64>,
}

pub(super) fn has_owner(whose: Option<&Whose>) -> bool {
    whose.is_some_and(|whose| whose.owner.is_some())
}

/// Groups an answer.
pub(super) fn groups(
    fleet: &Fleet,
    answer: &Answer,
    known: &Known,
    is_vulnerability: bool,
) -> Result<Groups, Stale> {
    let mut groups: BTreeMap<Option<&Whose>, Group> = BTreeMap::new();
    for (repository, images) in fleet.by_repository(answer)? {
        let whose = known.get(repository).and_then(Option::as_ref);
        let group = groups.entry(whose).or_default();
        group.images += images;
        group.repositories.insert(repository.to_owned());
    }
    let page = fleet.page(answer, None, ACTION_IMAGES)?;
    for row in page.rows.iter().filter(|row| is_open(row)) {
        let whose = known.get(&row.key.repository).and_then(Option::as_ref);
        if let Some(group) = groups.get_mut(&whose) {
            for action in actions(row, is_vulnerability) {
                *group.actions.entry(action).or_default() += 1;
            }
        }
    }
    let in_general = in_general(answer, is_vulnerability);
    let mut listed: Vec<(Option<&Whose>, Group)> = groups.into_iter().collect();
    listed.sort_by_key(|(whose, group)| (Reverse(group.images), *whose));
    let more = listed.len().saturating_sub(OWNERS) as u64;
    listed.truncate(OWNERS);
    let listed = listed
        .into_iter()
        .map(|(whose, group)| told(whose, group, &in_general));
    Ok(Groups {
        listed: listed.collect(),
        more,
    })
}

/// Whether somebody has to do something about it.
fn is_open(row: &Row<'_>) -> bool {
    row.excuse.is_none() && row.state != State::Hidden
}

fn told(whose: Option<&Whose>, group: Group, in_general: &str) -> AffectedOwner {
    let mut actions: Vec<(String, u64)> = group.actions.into_iter().collect();
    actions.sort_by(|left, right| (Reverse(left.1), &left.0).cmp(&(Reverse(right.1), &right.0)));
    let mut actions: Vec<String> = actions
        .into_iter()
        .take(ACTIONS)
        .map(|(action, images)| format!("{action} ({images} image{})", if images == 1 { "" } else { "s" }))
        .collect();
    if actions.is_empty() && !in_general.is_empty() {
        actions.push(in_general.to_owned());
    }
    AffectedOwner {
        owner: whose.and_then(|whose| whose.owner.clone()),
        application: whose.map(|whose| whose.application.clone()),
        images: group.images,
        more_repositories: group.repositories.len().saturating_sub(REPOSITORIES) as u64,
        repositories: group.repositories.into_iter().take(REPOSITORIES).collect(),
        actions,
    }
}

/// What is to be done about one image.
fn actions(row: &Row<'_>, is_vulnerability: bool) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for place in &row.places {
        let Some(finding) = place.finding else {
            continue;
        };
        let name = place.name;
        actions.insert(match (finding.fix.version(), place.state) {
            (_, State::Uncertain) => format!("find out whether {name} {} is affected", place.version),
            (Some(fix), _) if place.is_from_base => format!("rebuild on a base that has {name} {fix}"),
            (Some(fix), _) => format!("update {name} to {fix} and push again"),
            (None, State::Mitigated) => format!("keep what mitigates {name}: there is no fix"),
            (None, _) => format!("{name}: no fix is known; mitigate it, take it out, or ask for a waiver"),
        });
    }
    if actions.is_empty() && !row.is_scannable && is_vulnerability {
        actions.insert("look into it by hand: not all of it could be looked into".to_owned());
    }
    actions
}

/// What is said to owners none of whose images were looked at one by one.
fn in_general(answer: &Answer, is_vulnerability: bool) -> String {
    let fixes: Vec<&str> = answer.fixes().into_iter().take(ACTIONS).collect();
    if fixes.is_empty() {
        return if is_vulnerability {
            "no fix is known; mitigate it, or ask for a waiver".to_owned()
        } else {
            String::new()
        };
    }
    format!("update to the fix of your line: {}", fixes.join(", "))
}

#[cfg(test)]
mod tests;
