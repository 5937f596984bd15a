//! Images: what was seen of each, and what that means for its application.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use access::{PrincipalKind, PrincipalName};
use anyhow::Result;
use findings::FindingKind;
use maturity::{facts::Entry, words::Subject};
use oci::{Algorithm, Digest, RepoName};
use policy::{JudgedFinding, Point, Policy};
use road::{golden_path::Toolchain, names::ApplicationName};
use store::{EventKind, KnownImage, KnownRepository, LogLine, OPERATOR, SYSTEM, Store, Timestamp};
use time::OffsetDateTime;

use super::ground::{Ground, Places, WINDOW, app_named, before, subject_of};
use super::image::{Shown, shows};
use super::newest;
use super::notes::Notes;
use super::said::Said;
use crate::maturity::collector::{Asked, Collected, Collector};

/// Bytes of reports of configurations that are read for one repository, unpacked. Default: the only value.
const LABEL_BYTES: u64 = 32 << 20;

/// What says where an image comes from.
const LABELS: [&str; 2] = [
    "org.opencontainers.image.source",
    "org.opencontainers.image.revision",
];

/// Tells of images.
pub(super) struct Images(pub(super) Arc<Ground>);

/// A repository with its images of late, the newest first.
pub(super) type Seen<'p> = (&'p KnownRepository, Vec<KnownImage>);

/// What is the same for all images that are asked about at a time.
pub(super) struct Standing {
    pub(super) places: Arc<Places>,
    pub(super) policy: Arc<Policy>,
    pub(super) is_own_policy: bool,
    pulls_since: Option<Timestamp>,
    pub(super) now: OffsetDateTime,
}

impl Collector for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn of_event<'a>(&'a self, asked: Asked, event: &'a LogLine) -> Collected<'a> {
        Box::pin(async move {
            let Some((repository, image)) = image_of(event) else {
                return Ok(Vec::new());
            };
            self.of_image(asked, event, &repository, &image).await
        })
    }

    fn of_subject<'a>(&'a self, asked: Asked, subject: &'a Subject) -> Collected<'a> {
        Box::pin(async move {
            match (subject.kind, app_named(subject)) {
                (maturity::words::SubjectKind::App, Some(app)) => self.of_app(asked, subject, &app).await,
                _ => Ok(Vec::new()),
            }
        })
    }
}

/// The image that a line of the audit log is about.
fn image_of(event: &LogLine) -> Option<(RepoName, Digest)> {
    let image = || {
        let (repository, image) = event.subject.split_once('@')?;
        Some((repository.parse().ok()?, image.parse().ok()?))
    };
    match EventKind::from_name(&event.kind)? {
        EventKind::ManifestPush | EventKind::Decide | EventKind::RebaseMake => image(),
        EventKind::TagSet | EventKind::TagDelete => {
            let (repository, _) = event.subject.rsplit_once(':')?;
            let image = event.body.get("digest")?.as_str()?;
            Some((repository.parse().ok()?, image.parse().ok()?))
        }
        _ => None,
    }
}

impl Images {
    async fn standing(&self, asked: Asked) -> Result<Standing> {
        let (policy, is_own_policy) = self.0.policy().await?;
        Ok(Standing {
            places: self.0.places(asked).await?,
            pulls_since: self.0.store.pulls_known_since().await?,
            policy,
            is_own_policy,
            now: asked.at,
        })
    }

    async fn of_image(
        &self,
        asked: Asked,
        event: &LogLine,
        repository: &RepoName,
        image: &Digest,
    ) -> Result<Vec<Entry>> {
        let places = self.0.places(asked).await?;
        let Some((app, known)) = places.app_of(repository) else {
            return Ok(Vec::new());
        };
        let (Some(subject), Some(found)) = (
            subject_of(app),
            self.0.store.known_image(repository, image).await?,
        ) else {
            return Ok(Vec::new());
        };
        let standing = self.standing(asked).await?;
        let mut notes = Notes::about(asked, subject);
        self.note(&mut notes, &standing, (app, known), &[found]).await?;
        // What is known of an image for the first time may be about the newest one.
        let is_first = event.body.get("previous").is_none_or(serde_json::Value::is_null);
        if event.kind == "image.decide" && is_first {
            let seen = self.seen(&standing, app).await?;
            newest::note(&self.0, &mut notes, &standing, (app, &seen), None).await?;
        }
        Ok(notes.into_entries())
    }

    async fn of_app(&self, asked: Asked, subject: &Subject, app: &ApplicationName) -> Result<Vec<Entry>> {
        let standing = self.standing(asked).await?;
        let mut notes = Notes::about(asked, subject.clone());
        let seen = self.seen(&standing, app).await?;
        let mut ships_model = false;
        for (known, images) in &seen {
            let known = *known;
            self.note(&mut notes, &standing, (app, known), images).await?;
            ships_model |= newest::note_models(&self.0, &mut notes, known).await?;
        }
        newest::note(&self.0, &mut notes, &standing, (app, &seen), Some(ships_model)).await?;
        Ok(notes.into_entries())
    }

    /// The images of an application that were pushed or pulled lately, by repository.
    async fn seen<'p>(&self, standing: &'p Standing, app: &ApplicationName) -> Result<Vec<Seen<'p>>> {
        let since = before(standing.now, WINDOW);
        let mut seen = Vec::new();
        for known in standing.places.repositories(app) {
            seen.push((known, self.0.store.known_images(&known.name, since).await?));
        }
        Ok(seen)
    }

    /// Notes what images of a repository show.
    async fn note(
        &self,
        notes: &mut Notes,
        standing: &Standing,
        (app, known): (&ApplicationName, &KnownRepository),
        images: &[KnownImage],
    ) -> Result<()> {
        let store = &self.0.store;
        let said = read_said(store, images).await?;
        let labels = labels_of(store, images).await?;
        let rules = store.rules(&known.name);
        let toolchains: Vec<&Toolchain> = standing.places.road.paving.toolchains().collect();
        let live: Vec<&Toolchain> = toolchains
            .into_iter()
            .filter(|toolchain| standing.now < toolchain.supported_until)
            .collect();
        let secret_rules = rules_of_secrets(&standing.policy, &known.name, standing.now);
        for image in images {
            let lineage = self
                .0
                .lineage(&standing.places, app, (&known.name, &image.digest), standing.now);
            let base = lineage.as_ref().and_then(|(lineage, _)| lineage.base());
            let base = base.and_then(|base| standing.places.road.bases.get(&base.base));
            let shown = Shown {
                image,
                said: said.get(&image.digest),
                lineage: lineage.as_ref(),
                base_until: base.map(|base| base.supported_until),
                is_labelled: image.config.and_then(|config| labels.get(&config).copied()),
                is_by_robot: is_by_robot(store, &image.pushed_by),
                is_foreign: known.is_foreign,
                pulls_since: standing.pulls_since,
                rules: &rules,
                toolchains: &live,
                secret_rules: &secret_rules,
                now: standing.now,
            };
            let facts = shows(&shown);
            let mut page = notes
                .item(store, &image.digest.to_string(), image.pushed_at.to_utc())
                .await?;
            page.by([image.events.push, image.events.last_decision]);
            for (fact, is_so, until) in facts {
                page.flag_until(fact, is_so, until);
            }
        }
        Ok(())
    }
}

/// What was decided of images, as far as it can be read. Of many images it is the same, and read once.
async fn read_said(store: &Store, images: &[KnownImage]) -> Result<HashMap<Digest, Said>> {
    /// Texts at a time: each can be long.
    const AT_ONCE: usize = 20;
    let mut read = HashMap::new();
    let decided = |image: &KnownImage| Some((image.digest, image.decision.clone()?));
    let decided: Vec<_> = images.iter().filter_map(decided).collect();
    for chunk in decided.chunks(AT_ONCE) {
        let said = chunk.iter().filter(|(_, decision)| !decision.is_text);
        let said: Vec<&str> = said.map(|(_, decision)| decision.said.as_str()).collect();
        let texts: BTreeMap<String, String> = store.decision_texts(&said).await?;
        for (image, decision) in chunk {
            let text = if decision.is_text {
                Some(&decision.said)
            } else {
                texts.get(&decision.said)
            };
            if let Some(said) = text.and_then(|text| Said::read(text)) {
                read.insert(*image, said);
            }
        }
    }
    Ok(read)
}

/// Which configurations name source and revision, by their reports.
async fn labels_of(store: &Store, images: &[KnownImage]) -> Result<HashMap<Digest, bool>> {
    let mut configs: Vec<Digest> = images.iter().filter_map(|image| image.config).collect();
    configs.sort_unstable();
    configs.dedup();
    let reports = store.small_layer_reports(&configs, LABEL_BYTES).await?;
    let named = reports.into_iter().filter_map(|(_, report)| {
        let labels = &report.config.as_ref()?.labels;
        let names = |wanted: &&str| {
            let mut labels = labels.iter();
            labels.any(|(label, value)| label == wanted && !value.trim().is_empty())
        };
        Some((report.blob, LABELS.iter().all(names)))
    });
    Ok(named.collect())
}

/// Whether a program pushed something: a robot, or the registry itself. `None`: whoever it was is known no more.
pub(super) fn is_by_robot(store: &Store, pushed_by: &str) -> Option<bool> {
    match pushed_by {
        SYSTEM => Some(true),
        OPERATOR => Some(false),
        name => {
            let name: PrincipalName = name.parse().ok()?;
            let book = store.access();
            Some(book.principal(&name)?.kind == PrincipalKind::Robot)
        }
    }
}

/// The rules that speak of a secret in images of a repository: they are asked about one.
fn rules_of_secrets(policy: &Policy, repository: &RepoName, now: OffsetDateTime) -> Vec<String> {
    let digest = Digest::of(Algorithm::Sha256, b"");
    let mut subject = policy::Subject::new(repository.clone(), digest);
    let mut secret = JudgedFinding::new(FindingKind::Secret, "secret", findings::Severity::High);
    "secret".clone_into(&mut secret.path);
    subject.findings.push(secret);
    let decision = policy::decide(policy, &[], &subject, Point::Pull, now);
    let of_secrets = decision
        .reasons
        .into_iter()
        .filter(|reason| reason.kind == Some(FindingKind::Secret));
    of_secrets.map(|reason| reason.rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_speak_of_secrets_are_found_by_asking() {
        let repository = "shop/app".parse().unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let of = |policy: &Policy| rules_of_secrets(policy, &repository, now);
        assert_eq!(of(&Policy::default_policy()), ["secret"]);
        let none =
            "version: 1\nrules:\n- id: malware\n  when: finding.kind == \"malware\"\n  decide: refuse\n";
        assert!(of(&Policy::parse("p", none).unwrap()).is_empty());
    }

    #[test]
    fn lines_about_images_name_them() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let line = |kind: &str, subject: String, body: serde_json::Value| LogLine {
            seq: 1,
            at: Timestamp(0),
            kind: kind.to_owned(),
            subject,
            actor: "ci".to_owned(),
            cause: "request".to_owned(),
            body,
        };
        let none = serde_json::json!({});
        let wanted = Some(("shop/app".parse().unwrap(), digest));
        let push = line("manifest.push", format!("shop/app@{digest}"), none.clone());
        assert_eq!(image_of(&push), wanted);
        let tag = line(
            "tag.set",
            "shop/app:1".to_owned(),
            serde_json::json!({ "digest": digest }),
        );
        assert_eq!(image_of(&tag), wanted);
        assert_eq!(image_of(&line("user.create", "ann".to_owned(), none)), None);
    }
}
