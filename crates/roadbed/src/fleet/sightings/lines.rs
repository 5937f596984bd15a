//! From images to the lines of an incident: tags, and images without one that are in use.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oci::{Digest, Reference, RepoName};
use road::{
    cohort::{Cohort, of_application, of_image},
    fleet::{ImageKey, Named},
    incident::{
        Incident, Line, LineKey, MAX_FIXES, MAX_RELIEFS, MAX_REMEDIES, ReliefKind, Remedy, SeenRelief,
        Sighting,
    },
    names::VulnerabilityId,
};

use super::{
    FleetService, Seen, Sought, found::AllFound, found::Found, newer, newer::Newer, remedy, versions,
    withdrawn,
};

/// Why nobody knows what a tag has.
const NOT_SCANNABLE: &str = "the image could not be looked into";
const UNCERTAIN: &str = "nobody can tell from what is in the image";

pub(super) fn of_images(service: &FleetService, sought: &Sought, all: &AllFound) -> Seen {
    let mut by_line: BTreeMap<LineKey, Vec<(ImageKey, &Found)>> = BTreeMap::new();
    for (key, found) in &all.images {
        for line in lines_of(sought, key, found) {
            by_line.entry(line).or_default().push((key.clone(), found));
        }
    }
    let mut seen = Seen {
        sightings: Vec::with_capacity(by_line.len()),
        missing: Vec::new(),
        targets: Vec::new(),
        images: BTreeMap::new(),
        followed: BTreeMap::new(),
        newer: BTreeMap::new(),
    };
    let named = by_line.values().flatten();
    let targets: BTreeSet<&String> = named.flat_map(|(_, found)| &found.targets).collect();
    seen.targets = remedy::by_number(targets.into_iter().take(MAX_FIXES).cloned());
    let followers = Followers::of(service, all, by_line.keys());
    for (line, images) in by_line {
        let mut sighting = affected(service, sought, &line, &images);
        let without = followers.without(&line, &sighting.affected_by);
        if !without.is_empty() {
            seen.followed.insert(line.clone(), without);
        }
        let newer = followers.newer(&line, &sighting.affected_by);
        if !newer.is_empty() {
            seen.newer.insert(line.clone(), newer);
        }
        keep_unknown(sought, &all.unknown, &mut sighting);
        let digests: Vec<_> = images.iter().map(|(key, _)| key.digest).collect();
        sighting.withdrawal = withdrawn::of_line(sought, &sighting, &digests, &all.unknown);
        seen.sightings.push(sighting);
        let keys = images.into_iter().map(|(key, _)| key).collect();
        seen.images.insert(line, keys);
    }
    if let Some(incident) = &sought.incident {
        others(service, sought, incident, all, &mut seen);
    }
    seen
}

/// Tags of repositories that are versions, all of which was looked into.
struct Followers(BTreeMap<RepoName, BTreeMap<String, OfTag>>);

/// What a tag names, and by what that is affected.
#[derive(Default)]
struct OfTag {
    images: Vec<Digest>,
    has: BTreeSet<VulnerabilityId>,
}

impl Followers {
    /// Of the repositories of these lines.
    fn of<'l>(service: &FleetService, all: &AllFound, lines: impl Iterator<Item = &'l LineKey>) -> Self {
        let mut known = BTreeMap::new();
        for LineKey { repository, .. } in lines {
            if !known.contains_key(repository) {
                known.insert(repository.clone(), versions_of(service, all, repository));
            }
        }
        Self(known)
    }

    /// What a later version of a line is without, of what the line has.
    fn without(&self, line: &LineKey, has: &[VulnerabilityId]) -> BTreeSet<VulnerabilityId> {
        let (Reference::Tag(tag), Some(known)) = (&line.reference, self.0.get(&line.repository)) else {
            return BTreeSet::new();
        };
        let is_without = |id: &&VulnerabilityId| {
            let clean = known.iter().filter(|(_, of_tag)| !of_tag.has.contains(id));
            versions::has_follower(tag, clean.map(|(tag, _)| tag.as_str()))
        };
        has.iter().filter(is_without).cloned().collect()
    }

    /// The newest tags of the same line that are without all that the line has, the newest first.
    fn newer(&self, line: &LineKey, has: &[VulnerabilityId]) -> Vec<Newer> {
        let (Reference::Tag(tag), Some(known)) = (&line.reference, self.0.get(&line.repository)) else {
            return Vec::new();
        };
        let is_clean = |of_tag: &OfTag| !has.iter().any(|id| of_tag.has.contains(id));
        let clean = known.iter().filter(|(_, of_tag)| is_clean(of_tag));
        let latest = versions::latest_first(tag, clean.map(|(tag, _)| tag.as_str()));
        let newer = latest.into_iter().take(newer::LOOKED_AT).filter_map(|tag| {
            Some(Newer {
                tag: tag.to_owned(),
                images: known.get(tag)?.images.clone(),
            })
        });
        newer.collect()
    }
}

fn versions_of(service: &FleetService, all: &AllFound, repository: &RepoName) -> BTreeMap<String, OfTag> {
    let state = service.read();
    let mut known: BTreeMap<String, OfTag> = BTreeMap::new();
    let mut unsure = BTreeSet::new();
    for image in state.fleet.named(repository.as_str()) {
        let key = ImageKey {
            repository: repository.to_string(),
            digest: image.digest,
        };
        let has = all.images.get(&key).map(|found| &found.affected_by);
        let is_sure = image.is_scannable && !all.uncertain.contains(&key);
        for tag in image.tags.iter().filter(|tag| versions::may_follow(tag)) {
            // Of an index each image counts.
            let of_tag = known.entry((*tag).to_owned()).or_default();
            of_tag.images.push(image.digest);
            of_tag
                .has
                .extend(has.into_iter().flat_map(BTreeMap::keys).cloned());
            if !is_sure {
                unsure.insert((*tag).to_owned());
            }
        }
    }
    known.retain(|tag, _| !unsure.contains(tag));
    known
}

/// What an image counts as: each of its tags, or itself if it has none and is in use.
fn lines_of(sought: &Sought, key: &ImageKey, found: &Found) -> Vec<LineKey> {
    let Ok(repository) = key.repository.parse::<RepoName>() else {
        return Vec::new();
    };
    let line = |reference| LineKey {
        application: application(sought, &repository),
        repository: repository.clone(),
        reference,
    };
    if found.tags.is_empty() {
        let line = line(Reference::Digest(key.digest));
        let is_followed = sought
            .incident
            .as_ref()
            .is_some_and(|incident| incident.line(&line).is_some());
        let is_in_use = sought.by_word.contains(&(repository.clone(), key.digest));
        return (is_in_use || is_followed).then_some(line).into_iter().collect();
    }
    let tags = found.tags.iter().filter_map(|tag| tag.parse().ok());
    tags.map(|tag| line(Reference::Tag(tag))).collect()
}

fn application(sought: &Sought, repository: &RepoName) -> Option<road::names::ApplicationName> {
    let ownership = sought.road.applications.owner_of(repository);
    ownership
        .application()
        .map(|application| application.name.clone())
}

/// A line with what its images have, all together. What helps one of them alone does not help the line.
fn affected(
    service: &FleetService,
    sought: &Sought,
    line: &LineKey,
    images: &[(ImageKey, &Found)],
) -> Sighting {
    let mut affected_by: BTreeMap<&VulnerabilityId, Vec<Option<&String>>> = BTreeMap::new();
    for (id, mitigation) in images.iter().flat_map(|(_, found)| &found.affected_by) {
        affected_by.entry(id).or_default().push(mitigation.as_ref());
    }
    let mut remedies: BTreeSet<Remedy> = remedy::of_own(images.iter().flat_map(|(_, found)| &found.own))
        .into_iter()
        .collect();
    remedies.extend(
        images
            .iter()
            .flat_map(|(_, found)| found.remedies.iter().cloned()),
    );
    let fixes: BTreeSet<&String> = images.iter().flat_map(|(_, found)| &found.fixes).collect();
    let cohorts = images.iter().map(|(key, _)| cohort(service, sought, key));
    let verdict = of_application(cohorts);
    let mut reliefs: BTreeMap<String, Vec<VulnerabilityId>> = BTreeMap::new();
    for (id, mitigations) in &affected_by {
        let all: Option<BTreeSet<&String>> = mitigations.iter().copied().collect();
        if let Some(all) = all {
            let reason: Vec<&str> = all.into_iter().map(String::as_str).collect();
            reliefs.entry(reason.join("; ")).or_default().push((*id).clone());
        }
    }
    let reliefs = reliefs.into_iter().map(|(reason, covers)| SeenRelief {
        kind: ReliefKind::Mitigation,
        covers,
        until: None,
        reason,
    });
    Sighting {
        digest: images.first().map_or_else(empty, |(key, _)| key.digest),
        affected_by: affected_by.into_keys().cloned().collect(),
        remedies: remedies.into_iter().take(MAX_REMEDIES).collect(),
        fixes: fixes.into_iter().take(MAX_FIXES).cloned().collect(),
        reliefs: reliefs.take(MAX_RELIEFS).collect(),
        ..of_owner(sought, line.clone(), verdict.cohort)
    }
}

/// Never stands: every line has an image.
fn empty() -> oci::Digest {
    oci::Digest::of(oci::Algorithm::Sha256, b"")
}

fn cohort(service: &FleetService, sought: &Sought, key: &ImageKey) -> road::cohort::Verdict {
    let diff_ids = service.read().fleet.diff_ids_of(key);
    let lineage = diff_ids.map(|diff_ids| sought.road.releases.lineage(&diff_ids));
    let repository = key.repository.parse().ok();
    let exemption = repository.and_then(|repository| {
        let whose = sought.road.applications.owner_of(&repository).vouched()?;
        sought.road.paving.exemption(&whose.name, sought.now)
    });
    of_image(lineage.as_ref(), &sought.road.bases, exemption, sought.now)
}

/// A line with whose it is, affected by nothing.
fn of_owner(sought: &Sought, line: LineKey, cohort: Cohort) -> Sighting {
    let ownership = sought.road.applications.owner_of(&line.repository);
    let application = ownership.application();
    let contacts = application.and_then(|application| application.contacts.as_ref());
    Sighting {
        owner: ownership.owner().cloned(),
        contacts: contacts.map_or_else(Vec::new, |contacts| contacts.value().clone()),
        line: LineKey {
            application: application.map(|application| application.name.clone()),
            ..line
        },
        digest: empty(),
        affected_by: Vec::new(),
        cohort,
        remedies: Vec::new(),
        reliefs: Vec::new(),
        fixes: Vec::new(),
        withdrawal: None,
    }
}

/// What nobody says anything of any more stays as it was, unless it was withdrawn.
fn keep_unknown(sought: &Sought, unknown: &[VulnerabilityId], sighting: &mut Sighting) {
    let Some((incident, line)) = sought
        .incident
        .as_ref()
        .and_then(|incident| Some((incident, incident.line(&sighting.line)?)))
    else {
        return;
    };
    let was = incident.affected_by(line);
    let is_kept = |id: &VulnerabilityId| unknown.contains(id) && !sought.withdrawn.contains_key(id);
    for id in was.into_iter().filter(is_kept) {
        if !sighting.affected_by.contains(&id) {
            sighting.affected_by.push(id);
        }
    }
}

/// Lines that are followed and that nothing was found of.
fn others(service: &FleetService, sought: &Sought, incident: &Incident, all: &AllFound, seen: &mut Seen) {
    let mut by_repository: BTreeMap<&RepoName, Vec<&Line>> = BTreeMap::new();
    for line in incident.lines() {
        if !seen.images.contains_key(&line.key) {
            by_repository.entry(&line.key.repository).or_default().push(line);
        }
    }
    for (repository, lines) in by_repository {
        let state = service.read();
        let images = state.fleet.named(repository.as_str());
        let mut by_tag: HashMap<&str, Vec<&Named<'_>>> = HashMap::new();
        for (tag, image) in images
            .iter()
            .flat_map(|image| image.tags.iter().map(move |tag| (*tag, image)))
        {
            by_tag.entry(tag).or_default().push(image);
        }
        for line in lines {
            let of_line: Vec<&Named<'_>> = match &line.key.reference {
                Reference::Tag(tag) => by_tag.get(tag.as_str()).cloned().unwrap_or_default(),
                Reference::Digest(digest) => {
                    let is_it = |image: &&Named<'_>| image.digest == *digest && image.tags.is_empty();
                    images.iter().filter(is_it).collect()
                }
            };
            if of_line.is_empty() {
                seen.missing.push(line.key.clone());
                continue;
            }
            let mut sighting = unaffected(sought, incident, line, (&of_line, all));
            keep_unknown(sought, &all.unknown, &mut sighting);
            let digests: Vec<_> = of_line.iter().map(|image| image.digest).collect();
            sighting.withdrawal = withdrawn::of_line(sought, &sighting, &digests, &all.unknown);
            seen.sightings.push(sighting);
        }
    }
}

/// A line that is followed and has nothing any more, unless nobody knows.
fn unaffected(
    sought: &Sought,
    incident: &Incident,
    line: &Line,
    (images, all): (&[&Named<'_>], &AllFound),
) -> Sighting {
    let base = of_owner(sought, line.key.clone(), line.cohort);
    let digest = images.first().map_or(line.digest, |image| image.digest);
    let why = images.iter().find_map(|image| {
        let key = ImageKey {
            repository: line.key.repository.to_string(),
            digest: image.digest,
        };
        let is_uncertain = all.uncertain.contains(&key);
        let why = if is_uncertain { UNCERTAIN } else { NOT_SCANNABLE };
        (is_uncertain || !image.is_scannable).then_some(why)
    });
    let was = incident.affected_by(line);
    match why {
        Some(why) if !was.is_empty() => Sighting {
            digest,
            affected_by: was,
            remedies: vec![Remedy::Investigate {
                reason: why.to_owned(),
            }],
            ..base
        },
        _ => Sighting { digest, ..base },
    }
}
