//! Who sees what of maturity, and who may speak for whom.
//!
//! Who may pull from a repository of an application sees the application; who sees one of a team's applications sees the team, with
//! the applications that they see and no others. What is about platforms and the organisation themselves is open to whoever is signed
//! in. Who may *speak* for an application (push evidence, set targets, vouch as one of its owners) holds a role on all of its
//! repositories: push for evidence, admin for the rest. For a team: the same on all of its applications. For platforms and the
//! organisation: administrators only.

use std::collections::{BTreeMap, BTreeSet};

use ::maturity::evidence::{MAX_PATTERNS, SubjectPattern};
use ::maturity::words::{Subject, SubjectKind, SubjectName};
use access::Role;
use oci::RepoPattern;
use road::application::Application;
use road::names::OwnerKind;

use crate::applications::Sight as OfRepositories;
use crate::problem::ApiError;
use crate::session::Session;
use crate::state::WebState;

/// An application as it is declared.
struct Declared {
    is_seen: bool,
    team: Option<SubjectName>,
    repositories: Vec<RepoPattern>,
}

/// What somebody sees, and for whom they may speak.
pub(crate) struct Sight {
    pub(crate) session: Session,
    pub(crate) is_administrator: bool,
    applications: BTreeMap<SubjectName, Declared>,
    /// Teams of which an application is seen.
    teams: BTreeSet<SubjectName>,
}

/// The team that owns an application, by the name that it has in maturity. A person is no team.
fn team_of(application: &Application) -> Option<SubjectName> {
    let owner = application.owner.as_ref()?.value();
    if owner.kind() == OwnerKind::User {
        return None;
    }
    owner.name().parse().ok()
}

impl Sight {
    /// Of whoever asks, who must be signed in.
    pub(crate) async fn of(state: &WebState, session: Session) -> Result<Self, ApiError> {
        let session = session.signed_in()?;
        let road = state.store.road().await?;
        let is_administrator = session.system().is_ok();
        let of_repositories = OfRepositories::of(&session);
        let declared = road.applications.iter().filter_map(|application| {
            let declared = Declared {
                is_seen: of_repositories.sees_any(application),
                team: team_of(application),
                repositories: application
                    .repositories
                    .iter()
                    .map(|stated| stated.value.clone())
                    .collect(),
            };
            Some((application.name.as_str().parse().ok()?, declared))
        });
        let applications: BTreeMap<SubjectName, Declared> = declared.collect();
        let seen = applications.values().filter(|application| application.is_seen);
        Ok(Self {
            teams: seen.filter_map(|application| application.team.clone()).collect(),
            applications,
            is_administrator,
            session,
        })
    }

    /// Whether an application is shown and counted.
    pub(crate) fn sees_app(&self, app: &SubjectName) -> bool {
        self.is_administrator
            || self
                .applications
                .get(app)
                .is_some_and(|application| application.is_seen)
    }

    /// Whether anything of a subject is shown.
    pub(crate) fn sees(&self, subject: &Subject) -> bool {
        match subject.kind {
            SubjectKind::App => self.sees_app(&subject.name),
            SubjectKind::Team => self.is_administrator || self.teams.contains(&subject.name),
            SubjectKind::Platform | SubjectKind::Org => true,
        }
    }

    /// A subject that is not for the caller to see is none for them.
    pub(crate) fn demand(&self, subject: &Subject) -> Result<(), ApiError> {
        if self.sees(subject) {
            return Ok(());
        }
        Err(ApiError::not_found("subject", subject))
    }

    /// Whether the caller holds a role on all repositories of an application; one without repositories is nobody's.
    fn holds(&self, role: Role, application: &Declared) -> bool {
        let Session { book, caller } = &self.session;
        let mut repositories = application.repositories.iter();
        !application.repositories.is_empty()
            && repositories.all(|pattern| book.holds_within(caller, role, pattern))
    }

    /// Whether the caller may speak for a subject with a role.
    pub(crate) fn speaks_for(&self, role: Role, subject: &Subject) -> bool {
        if self.is_administrator {
            return true;
        }
        match subject.kind {
            SubjectKind::App => {
                let application = self.applications.get(&subject.name);
                application.is_some_and(|application| self.holds(role, application))
            }
            SubjectKind::Team => {
                let of_team = |of: &&Declared| of.team.as_ref() == Some(&subject.name);
                let mut theirs = self.applications.values().filter(of_team);
                self.teams.contains(&subject.name) && theirs.all(|application| self.holds(role, application))
            }
            SubjectKind::Platform | SubjectKind::Org => false,
        }
    }

    /// For whom the caller may speak with a role, as far as one sender may speak for so many.
    pub(crate) fn voices(&self, role: Role) -> Vec<SubjectPattern> {
        if self.is_administrator {
            let everybody = SubjectKind::ALL
                .into_iter()
                .map(|kind| format!("{kind}:*").parse());
            return everybody.filter_map(Result::ok).collect();
        }
        let apps = self.applications.keys().cloned().map(Subject::app);
        let teams = self.teams.iter().cloned().map(Subject::team);
        let voices = teams.chain(apps).filter(|subject| self.speaks_for(role, subject));
        let patterns = voices.filter_map(|subject| subject.to_string().parse().ok());
        patterns.take(MAX_PATTERNS).collect()
    }
}
