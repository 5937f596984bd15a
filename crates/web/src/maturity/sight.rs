//! Who sees what of maturity, and who may speak for whom.
//!
//! Who may pull from a repository of an application sees the application; who sees one of a team's applications sees the team, with
//! the applications that they see and no others. What is about platforms and the organisation themselves is open to whoever is signed
//! in. Who may *speak* for an application (push evidence, set targets, vouch as one of its owners) holds a role on all of its
//! repositories: push for evidence, admin for the rest. For a team: the same on all of its applications. For platforms and the
//! organisation: administrators only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use access::Role;
use maturity::evidence::{MAX_PATTERNS, SubjectPattern};
use maturity::words::{Subject, SubjectKind, SubjectName};
use road::application::Application;
use road::names::OwnerKind;
use store::RoadEntries;

use crate::applications::Sight as OfRepositories;
use crate::problem::ApiError;
use crate::session::Session;
use crate::state::WebState;

/// What somebody sees, and for whom they may speak.
pub(crate) struct Sight {
    pub(crate) session: Session,
    pub(crate) is_administrator: bool,
    road: Arc<RoadEntries>,
    /// Applications that are seen; not looked at for administrators.
    apps: BTreeSet<SubjectName>,
}

/// The team that owns an application, by the name that it has in maturity. A person is no team.
fn team_of(application: &Application) -> Option<SubjectName> {
    let owner = application.owner.as_ref()?.value();
    if owner.kind() == OwnerKind::User {
        return None;
    }
    owner.name().parse().ok()
}

fn name_of(application: &Application) -> Option<SubjectName> {
    application.name.as_str().parse().ok()
}

impl Sight {
    /// Of whoever asks, who must be signed in.
    pub(crate) async fn of(state: &WebState, session: Session) -> Result<Self, ApiError> {
        let session = session.signed_in()?;
        let road = state.store.road().await?;
        let is_administrator = session.system().is_ok();
        let of_repositories = OfRepositories::of(&session);
        let seen = road.applications.iter().filter(|of| of_repositories.sees_any(of));
        Ok(Self {
            apps: seen.filter_map(name_of).collect(),
            road: Arc::clone(&road),
            is_administrator,
            session,
        })
    }

    /// Whether an application is shown and counted.
    pub(crate) fn sees_app(&self, app: &SubjectName) -> bool {
        self.is_administrator || self.apps.contains(app)
    }

    /// Whether anything of a subject is shown.
    pub(crate) fn sees(&self, subject: &Subject) -> bool {
        match subject.kind {
            _ if self.is_administrator => true,
            SubjectKind::App => self.apps.contains(&subject.name),
            SubjectKind::Team => {
                let mut teams = self.declared().filter(|(name, _)| self.apps.contains(name));
                teams.any(|(_, of)| team_of(of).as_ref() == Some(&subject.name))
            }
            SubjectKind::Platform | SubjectKind::Org => true,
        }
    }

    /// The subject, unless it is not for the caller to see: then it is none for them.
    pub(crate) fn demand(&self, subject: &Subject) -> Result<(), ApiError> {
        if self.sees(subject) {
            return Ok(());
        }
        Err(ApiError::not_found("subject", subject))
    }

    fn declared(&self) -> impl Iterator<Item = (SubjectName, &Application)> {
        let named = |of| name_of(of).map(|name| (name, of));
        self.road.applications.iter().filter_map(named)
    }

    /// Whether the caller holds a role on all repositories of an application; one without repositories is nobody's.
    fn holds(&self, role: Role, application: &Application) -> bool {
        let mut patterns = application.repositories.iter().map(|stated| &stated.value);
        !application.repositories.is_empty()
            && patterns.all(|pattern| self.session.book.holds_within(&self.session.caller, role, pattern))
    }

    /// Whether the caller may speak for a subject with a role.
    pub(crate) fn speaks_for(&self, role: Role, subject: &Subject) -> bool {
        if self.is_administrator {
            return true;
        }
        match subject.kind {
            SubjectKind::App => {
                let mut of_name = self.declared().filter(|(name, _)| *name == subject.name);
                of_name.any(|(_, of)| self.holds(role, of))
            }
            SubjectKind::Team => {
                let of_team = self.declared().filter(|(_, of)| team_of(of).as_ref() == Some(&subject.name));
                let of_team: Vec<_> = of_team.collect();
                !of_team.is_empty() && of_team.iter().all(|(_, of)| self.holds(role, of))
            }
            SubjectKind::Platform | SubjectKind::Org => false,
        }
    }

    /// For whom the caller may speak with a role, as far as one sender may speak for so many.
    pub(crate) fn voices(&self, role: Role) -> Vec<SubjectPattern> {
        if self.is_administrator {
            let everybody = SubjectKind::ALL.into_iter().map(|kind| format!("{kind}:*").parse());
            return everybody.filter_map(Result::ok).collect();
        }
        let mut teams: BTreeMap<SubjectName, bool> = BTreeMap::new();
        let mut voices = Vec::new();
        for (name, of) in self.declared() {
            let holds = self.holds(role, of);
            voices.extend(holds.then(|| Subject::app(name)));
            if let Some(team) = team_of(of) {
                *teams.entry(team).or_insert(true) &= holds;
            }
        }
        let teams = teams.into_iter().filter(|(_, holds)| *holds);
        voices.extend(teams.map(|(team, _)| Subject::team(team)));
        let patterns = voices.iter().filter_map(|subject| subject.to_string().parse().ok());
        patterns.take(MAX_PATTERNS).collect()
    }
}
