//! What became of tags and images that are followed and that the index does not have.

use std::collections::BTreeMap;

use anyhow::Result;
use oci::{Digest, Reference, RepoName};
use road::{
    fleet::ImageKey,
    incident::{EventKind, Incident, LineKey},
};
use store::FleetMark;

use super::IncidentService;

/// Why a tag is there no more.
const NO_IMAGE: &str = "no image is called so any more: the tag or its repository was deleted";
const OTHER: &str = "the tag names something that is no image";
const NO_DIGEST: &str = "the image was deleted";
const TAGGED: &str = "the image has a tag by now, which is followed in its place";

/// What is known of lines that are missing.
#[derive(Default)]
pub(super) struct Missing {
    /// What is there no more.
    pub(super) gone: Vec<EventKind>,
    /// Something is still being looked into, or the index is behind: it is to be asked again.
    pub(super) is_unsure: bool,
}

impl IncidentService {
    /// Asks the store: it knows what is there now, the index what was looked into.
    pub(super) async fn missing(&self, incident: &Incident, lines: &[LineKey]) -> Result<Missing> {
        let mut missing = Missing::default();
        let is_affected = |key: &&LineKey| {
            let line = incident.line(key);
            line.is_some_and(|line| !incident.affected_by(line).is_empty())
        };
        let mut by_repository: BTreeMap<&RepoName, Vec<&LineKey>> = BTreeMap::new();
        for key in lines.iter().filter(is_affected) {
            by_repository.entry(&key.repository).or_default().push(key);
        }
        let mark = self.store.fleet_mark().await?;
        for (repo, lines) in by_repository {
            let mut tags: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
            for (digest, tag) in self.store.image_tags(repo).await? {
                tags.entry(tag.to_string()).or_default().push(digest);
            }
            let digests = self.store.image_digests(repo).await?;
            for line in lines {
                let reason = match &line.reference {
                    Reference::Tag(tag) => match tags.get(tag.as_str()) {
                        None => Some(NO_IMAGE),
                        Some(images) => self.why_unknown(repo, images, mark),
                    },
                    Reference::Digest(digest) if !digests.contains(digest) => Some(NO_DIGEST),
                    Reference::Digest(digest) => {
                        let is_tagged = tags.values().flatten().any(|tagged| tagged == digest);
                        is_tagged.then_some(TAGGED)
                    }
                };
                match reason {
                    None => missing.is_unsure = true,
                    Some(reason) => missing.gone.push(EventKind::Gone {
                        line: line.clone(),
                        reason: reason.to_owned(),
                    }),
                }
            }
        }
        Ok(missing)
    }

    /// Why the images behind a tag are not in the index; `None`: they may still come.
    fn why_unknown(&self, repo: &RepoName, images: &[Digest], mark: FleetMark) -> Option<&'static str> {
        // What is read after all that had happened when the tag was read.
        let stand = self.fleet.stand();
        let is_current = stand.event >= mark.event && stand.report >= mark.report;
        let may_come = images.iter().any(|digest| {
            let key = ImageKey {
                repository: repo.to_string(),
                digest: *digest,
            };
            self.fleet.waits(&key) || self.fleet.has(&key)
        });
        (is_current && !may_come).then_some(OTHER)
    }
}
