//! The roles that one subject holds, sorted for quick answers.

use std::collections::HashMap;

use oci::{RepoName, RepoPattern};

use crate::role::{Role, RoleSet};

const EVERYTHING: &str = "**";

/// Grants of one subject by the shape of their pattern, so that the usual robot with one pattern per team or per
/// repository costs one or two look-ups, however many it has.
#[derive(Debug, Default)]
pub(super) struct HeldRoles {
    /// Held on `**`.
    everywhere: RoleSet,
    /// Patterns without a wildcard.
    exact: HashMap<RepoName, RoleSet>,
    /// Patterns with a wildcard, by their first path component if that has none.
    by_head: HashMap<RepoName, Vec<(RepoPattern, RoleSet)>>,
    /// Patterns with a wildcard in their first path component.
    floating: Vec<(RepoPattern, RoleSet)>,
    /// Every pattern with [`Role::Admin`].
    administered: Vec<RepoPattern>,
}

impl HeldRoles {
    pub(super) fn add(&mut self, pattern: RepoPattern, roles: RoleSet) {
        if roles.is_empty() {
            return;
        }
        if roles.contains(Role::Admin) {
            self.administered.push(pattern.clone());
        }
        let head = pattern.as_str().split('/').next().unwrap_or_default();
        if pattern.as_str() == EVERYTHING {
            self.everywhere = self.everywhere.union(roles);
        } else if let Some(name) = pattern.exact() {
            let exact = self.exact.entry(name).or_default();
            *exact = exact.union(roles);
        } else if let Ok(head) = head.parse::<RepoName>() {
            // A name has no wildcard, so a component that parses as one is free of them.
            self.by_head.entry(head).or_default().push((pattern, roles));
        } else {
            self.floating.push((pattern, roles));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.everywhere.is_empty()
            && self.exact.is_empty()
            && self.by_head.is_empty()
            && self.floating.is_empty()
    }

    /// Whether any pattern that matches `repo` gives `role`.
    pub(super) fn holds(&self, role: Role, repo: &RepoName) -> bool {
        self.everywhere.contains(role)
            || self.exact_on(repo).contains(role)
            || self
                .candidates(repo)
                .any(|(pattern, roles)| roles.contains(role) && pattern.matches(repo))
    }

    /// Whether any pattern gives `role`.
    pub(super) fn gives(&self, role: Role) -> bool {
        self.holds_everywhere(role) || self.patterns(role).next().is_some()
    }

    /// Whether `**` gives `role`.
    pub(super) fn holds_everywhere(&self, role: Role) -> bool {
        self.everywhere.contains(role)
    }

    /// The patterns other than `**` that give `role`.
    pub(super) fn patterns(&self, role: Role) -> impl Iterator<Item = RepoPattern> {
        let gives = move |roles: &RoleSet| roles.contains(role);
        let exact = self.exact.iter().filter(move |(_, roles)| gives(roles));
        let globs = self.by_head.values().flatten().chain(&self.floating);
        let globs = globs.filter(move |(_, roles)| gives(roles));
        exact
            .map(|(name, _)| RepoPattern::from(name))
            .chain(globs.map(|(pattern, _)| pattern.clone()))
    }

    /// The union over all patterns that match `repo`.
    pub(super) fn roles_on(&self, repo: &RepoName) -> RoleSet {
        self.candidates(repo)
            .filter(|(pattern, _)| pattern.matches(repo))
            .fold(self.everywhere.union(self.exact_on(repo)), |union, (_, roles)| {
                union.union(*roles)
            })
    }

    /// Whether one pattern with [`Role::Admin`] contains `pattern`.
    pub(super) fn administers(&self, pattern: &RepoPattern) -> bool {
        self.administered
            .iter()
            .any(|administered| administered.contains(pattern))
    }

    fn exact_on(&self, repo: &RepoName) -> RoleSet {
        if self.exact.is_empty() {
            RoleSet::EMPTY
        } else {
            self.exact.get(repo).copied().unwrap_or_default()
        }
    }

    fn candidates(&self, repo: &RepoName) -> impl Iterator<Item = &(RepoPattern, RoleSet)> {
        let head = repo.as_str().split('/').next().unwrap_or_default();
        let by_head = if self.by_head.is_empty() {
            None
        } else {
            self.by_head.get(head)
        };
        by_head.into_iter().flatten().chain(&self.floating)
    }
}
