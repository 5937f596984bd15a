//! What collectors stand on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use maturity::words::{EventId, Subject, SubjectName};
use oci::{Digest, RepoName, Tag};
use policy::Policy;
use road::{
    application::Application,
    cohort::{Verdict, of_image},
    lineage::Lineage,
    names::{ApplicationName, Owner, OwnerKind},
};
use store::{KnownRepository, RoadEntries, Rules, Store, Timestamp};
use time::{Duration, OffsetDateTime};

use super::Stacks;
use crate::maturity::collector::Asked;

/// How far back images are looked at that were pushed or pulled.
pub(super) const WINDOW: Duration = Duration::days(90);

/// How far back it is looked at what happened.
pub(super) const HISTORY: Duration = Duration::days(365);

/// A store with what is remembered of it between two questions.
pub(in crate::maturity) struct Ground {
    pub(super) store: Store,
    stacks: Arc<dyn Stacks>,
    /// As it was for the last line that was asked about: every subject is asked about with the same one.
    places: Mutex<Option<(EventId, Arc<Places>)>>,
    policy: Mutex<Option<(String, Arc<Policy>)>>,
}

/// Whose repositories are.
pub(in crate::maturity) struct Places {
    pub(in crate::maturity) road: Arc<RoadEntries>,
    by_app: BTreeMap<ApplicationName, Vec<KnownRepository>>,
    /// Applications of which somebody who is trusted says which repositories are theirs: only they have exemptions.
    vouched: BTreeSet<ApplicationName>,
}

impl Ground {
    pub(in crate::maturity) fn of(store: Store, stacks: Arc<dyn Stacks>) -> Arc<Self> {
        Arc::new(Self {
            store,
            stacks,
            places: Mutex::default(),
            policy: Mutex::default(),
        })
    }

    pub(in crate::maturity) fn store(&self) -> &Store {
        &self.store
    }

    pub(in crate::maturity) fn diff_ids(
        &self,
        repository: &RepoName,
        image: &Digest,
    ) -> Option<Vec<Option<Digest>>> {
        self.stacks.diff_ids(repository, image)
    }

    /// Whose repositories are, as it is told for one line to all who ask.
    pub(super) async fn places(&self, asked: Asked) -> Result<Arc<Places>> {
        if let Some((event, places)) = lock(&self.places).as_ref()
            && *event == asked.event
        {
            return Ok(Arc::clone(places));
        }
        let places = Arc::new(Places::read(&self.store).await?);
        *lock(&self.places) = Some((asked.event, Arc::clone(&places)));
        Ok(places)
    }

    /// The policy in force, and whether the organisation has set it.
    pub(super) async fn policy(&self) -> Result<(Arc<Policy>, bool)> {
        let stored = self.store.policy().await?;
        let digest = stored.as_ref().map_or("", |stored| stored.digest.as_str());
        if let Some((known, policy)) = lock(&self.policy).as_ref()
            && known == digest
        {
            return Ok((Arc::clone(policy), stored.is_some()));
        }
        let policy = match &stored {
            None => Policy::default_policy(),
            Some(stored) => {
                Policy::parse("policy", &stored.body).context("the policy in force cannot be read")?
            }
        };
        let policy = Arc::new(policy);
        *lock(&self.policy) = Some((digest.to_owned(), Arc::clone(&policy)));
        Ok((policy, stored.is_some()))
    }

    /// What an image stands on, and where that puts it. `None`: it was not looked into yet.
    pub(in crate::maturity) fn lineage(
        &self,
        places: &Places,
        app: &ApplicationName,
        (repository, image): (&RepoName, &Digest),
        now: OffsetDateTime,
    ) -> Option<(Lineage, Verdict)> {
        let diff_ids = self.stacks.diff_ids(repository, image)?;
        let road = &places.road;
        let exemption = road.paving.exemption(app, now).filter(|_| places.is_vouched(app));
        let lineage = road.releases.lineage(&diff_ids);
        let verdict = of_image(Some(&lineage), &road.bases, exemption, now);
        Some((lineage, verdict))
    }
}

impl Places {
    pub(in crate::maturity) async fn read(store: &Store) -> Result<Self> {
        let road = store.road().await?;
        let (mut by_app, mut vouched) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for repository in store.known_repositories().await? {
            let whose = road.applications.owner_of(&repository.name);
            let Some(app) = whose.application() else { continue };
            if whose.vouched().is_some() {
                vouched.insert(app.name.clone());
            }
            // The repositories of bases are the road itself.
            if road.bases.released_to(&repository.name).is_none() {
                by_app.entry(app.name.clone()).or_default().push(repository);
            }
        }
        Ok(Self {
            road,
            by_app,
            vouched,
        })
    }

    /// The repositories of an application.
    pub(in crate::maturity) fn repositories(&self, app: &ApplicationName) -> &[KnownRepository] {
        self.by_app.get(app).map_or(&[], Vec::as_slice)
    }

    /// Whether exemptions of the application count: whoever pushes could move into one otherwise.
    pub(in crate::maturity) fn is_vouched(&self, app: &ApplicationName) -> bool {
        self.vouched.contains(app)
    }

    /// The application of a repository, with what is known of that.
    pub(in crate::maturity) fn app_of(
        &self,
        repository: &RepoName,
    ) -> Option<(&ApplicationName, &KnownRepository)> {
        let app = self.road.applications.owner_of(repository).application()?;
        let known = self.repositories(&app.name).iter();
        let known = { known }.find(|known| known.name == *repository)?;
        Some((&app.name, known))
    }

    /// All applications of the catalogue.
    pub(in crate::maturity) fn applications(&self) -> impl ExactSizeIterator<Item = &Application> {
        self.road.applications.iter()
    }
}

/// An application as a subject. `None`: it has a name that no subject can have.
pub(super) fn subject_of(app: &ApplicationName) -> Option<Subject> {
    app.as_str().parse().ok().map(Subject::app)
}

/// The application that a subject is.
pub(super) fn app_named(subject: &Subject) -> Option<ApplicationName> {
    subject.name.as_str().parse().ok()
}

/// The team of an owner. A person is none: nothing is told of people.
pub(super) fn team_of(owner: &Owner) -> Option<SubjectName> {
    let is_group = owner.kind() == OwnerKind::Group;
    is_group.then(|| owner.name().parse().ok()).flatten()
}

/// Whether a tag is one that the organisation releases by: one that its repository does not let anybody move, or where nothing is said
/// about that, one that looks like a version.
pub(in crate::maturity) fn is_release(rules: &Rules, tag: &Tag) -> bool {
    if rules.immutable_tags.is_some() {
        return rules.is_immutable(tag);
    }
    let text = tag.as_str().strip_prefix('v').unwrap_or(tag.as_str());
    text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('.')
}

/// `by` before a moment.
pub(super) fn before(at: OffsetDateTime, by: Duration) -> Timestamp {
    let at = at.checked_sub(by).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Timestamp::from(at)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_release_by_its_rule_or_else_by_its_look() {
        let tag = |text: &str| text.parse::<Tag>().unwrap();
        let bare = Rules::default();
        for (text, wanted) in [
            ("1.2", true),
            ("v1.2.3", true),
            ("latest", false),
            ("main", false),
            ("2024", false),
        ] {
            assert_eq!(is_release(&bare, &tag(text)), wanted, "{text}");
        }
        let ruled = Rules {
            immutable_tags: Some(store::ImmutableTags(vec!["release-*".to_owned()])),
            ..Rules::default()
        };
        assert!(is_release(&ruled, &tag("release-7")) && !is_release(&ruled, &tag("1.2")));
    }

    #[test]
    fn a_person_is_no_team() {
        assert_eq!(
            team_of(&"group:shop/java".parse().unwrap()).unwrap().as_str(),
            "shop/java"
        );
        assert_eq!(team_of(&"user:jane".parse().unwrap()), None);
    }
}
