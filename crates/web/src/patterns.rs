//! What grants and rules have in common: they stand for patterns, and whoever administers a pattern sees them.

use access::{Grant, Role};
use oci::RepoPattern;

use crate::page::{self, Page, PageQuery};
use crate::problem::ApiError;
use crate::session::Session;

/// Refuses whoever administers nothing.
pub(crate) fn demand_any(session: &Session, grants: &[Grant]) -> Result<(), ApiError> {
    let administers = |grant: &Grant| grant.roles.contains(Role::Admin) && session.may_see(&grant.pattern);
    if grants.iter().any(administers) {
        Ok(())
    } else {
        session.administers(&RepoPattern::everything()).map(drop)
    }
}

/// A page of those that the caller may see, in the order of their cursors.
pub(crate) fn page<T, E: From<T>>(
    session: &Session,
    query: &PageQuery,
    all: Vec<T>,
    pattern: impl Fn(&T) -> &RepoPattern,
    cursor: impl Fn(&T) -> String,
) -> Result<Page<E>, ApiError> {
    let (after, limit) = (page::cursor(query.after.as_deref())?, page::limit(query.limit)?);
    let seen = all.into_iter().filter(|entry| session.may_see(pattern(entry)));
    let mut seen: Vec<(String, T)> = seen.map(|entry| (cursor(&entry), entry)).collect();
    seen.sort_by(|(left, _), (right, _)| left.cmp(right));
    let key = |(key, _): &(String, T)| key.clone();
    Ok(Page::cut(seen, after, limit, key, |(_, entry)| entry.into()))
}
