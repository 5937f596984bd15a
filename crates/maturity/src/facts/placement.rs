//! Where an application belongs, and what it stands on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::model::{Model, TopicId};
use crate::words::{Slug, Subject, SubjectKind, SubjectName};

/// The organisation, of which there is one.
pub const ORGANISATION: &str = "organisation";

/// The platform of applications that name none: this registry and what is connected to it.
pub const DEFAULT_PLATFORM: &str = "default";

/// The levels that an application aims at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Targets {
    /// By topic.
    pub topics: BTreeMap<TopicId, u8>,
    /// By category, for topics without one of their own.
    pub categories: BTreeMap<Slug, u8>,
}

impl Targets {
    /// What is aimed at in a topic.
    pub fn of(&self, topic: &TopicId) -> Option<u8> {
        self.topics
            .get(topic)
            .or_else(|| self.categories.get(&topic.category))
            .copied()
    }

    /// Targets in topics and categories that the model does not have, and levels that it does not have.
    pub fn unknown(&self, model: &Model) -> Vec<String> {
        let top = model.top_level();
        let topics = self
            .topics
            .iter()
            .filter(|(id, level)| model.index().topic(id).is_none() || **level > top);
        let is_category = |id: &Slug| model.categories().iter().any(|category| category.id == *id);
        let categories = self
            .categories
            .iter()
            .filter(|(id, level)| !is_category(id) || **level > top);
        let topics = topics.map(|(id, level)| format!("{id}: {level}"));
        topics
            .chain(categories.map(|(id, level)| format!("{id}: {level}")))
            .collect()
    }
}

/// Where an application belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Which.
    pub app: SubjectName,
    /// Whose; none: not known.
    pub team: Option<SubjectName>,
    /// What it runs on; none: [`DEFAULT_PLATFORM`].
    pub platform: Option<SubjectName>,
    /// How important it is, 1 the most; none: not known.
    pub tier: Option<u8>,
    /// What it aims at.
    #[serde(default)]
    pub targets: Targets,
}

impl Placement {
    /// The application as a subject.
    pub fn subject(&self) -> Subject {
        Subject::app(self.app.clone())
    }

    pub(crate) fn platform_name(&self) -> &str {
        self.platform
            .as_ref()
            .map_or(DEFAULT_PLATFORM, SubjectName::as_str)
    }
}

/// A subject and what it stands on: criteria of each scope are asked of one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    app: Option<Subject>,
    team: Option<Subject>,
    platform: Option<Subject>,
    org: Option<Subject>,
}

impl Chain {
    /// Of a subject as it belongs now.
    pub fn of(facts: &Facts, subject: &Subject) -> Self {
        let mut chain = Self {
            app: None,
            team: None,
            platform: None,
            org: Some(organisation()),
        };
        match subject.kind {
            SubjectKind::App => {
                let placement = facts.placement(&subject.name);
                let team = placement
                    .and_then(|placement| placement.team.clone())
                    .map(Subject::team);
                chain.team = team.filter(|team| !facts.is_gone(team));
                let on = platform(placement.and_then(|placement| placement.platform.clone()));
                chain.platform = Some(on).filter(|platform| !facts.is_gone(platform));
                chain.app = Some(subject.clone());
            }
            SubjectKind::Team => {
                chain.team = Some(subject.clone());
                chain.platform = Some(platform(None));
            }
            SubjectKind::Platform => chain.platform = Some(subject.clone()),
            SubjectKind::Org => {}
        }
        chain
    }

    /// Of whom a criterion of this scope is asked.
    pub fn subject(&self, scope: SubjectKind) -> Option<&Subject> {
        match scope {
            SubjectKind::App => self.app.as_ref(),
            SubjectKind::Team => self.team.as_ref(),
            SubjectKind::Platform => self.platform.as_ref(),
            SubjectKind::Org => self.org.as_ref(),
        }
    }

    /// All of them, the smallest first.
    pub fn all(&self) -> impl Iterator<Item = &Subject> {
        SubjectKind::ALL
            .into_iter()
            .filter_map(|scope| self.subject(scope))
    }
}

/// The organisation as a subject.
pub fn organisation() -> Subject {
    let (kind, name) = (SubjectKind::Org, SubjectName::of_constant(ORGANISATION));
    Subject { kind, name }
}

/// A platform as a subject; that of applications that name none.
pub fn platform(name: Option<SubjectName>) -> Subject {
    let name = name.unwrap_or_else(|| SubjectName::of_constant(DEFAULT_PLATFORM));
    let kind = SubjectKind::Platform;
    Subject { kind, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_names_are_names() {
        for subject in [organisation(), platform(None)] {
            assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
        }
    }
}
