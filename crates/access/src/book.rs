//! The book of access: who exists, what they sign in with, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;

use oci::{RepoName, RepoPattern};

use crate::caller::Caller;
use crate::class::Class;
use crate::grant::{Grant, Subject};
use crate::permit::{Act, Pull};
use crate::principal::{Principal, PrincipalId, PrincipalKind, PrincipalName, SecretId, SecretRecord};
use crate::role::{Role, RoleSet};
use crate::scope::{self, Scope};
use crate::token::{Audience, Claims};

mod denied;
mod held;
pub(crate) mod permits;

pub use denied::{Denied, Needed};
use held::HeldRoles;
use permits::{PatternPermit, Permit, SystemPermit};

/// An immutable snapshot of all principals, secrets in force and grants, and the only maker of permits.
///
/// Grants are sorted by subject and pattern when the book is built, so that [`AccessBook::authorize`] looks at few
/// of them and allocates nothing. A caller may be older than the book: everything about it that can change
/// (existence, switched off, administrator, secret, grants) is read here, not from the caller.
#[derive(Debug, Default)]
pub struct AccessBook {
    generation: u64,
    pages: HashMap<PrincipalId, Page>,
    ids: HashMap<PrincipalName, PrincipalId>,
    anonymous: HeldRoles,
    authenticated: HeldRoles,
}

/// All about one principal.
#[derive(Debug)]
struct Page {
    principal: Arc<Principal>,
    secrets: Vec<SecretRecord>,
    held: HeldRoles,
}

/// What a caller has besides the grants that are for everybody.
#[derive(Clone, Copy)]
enum Standing<'a> {
    Anonymous,
    SignedIn(&'a Page),
    /// Signed in with credentials that no longer hold.
    Void,
}

impl AccessBook {
    /// Builds a book.
    ///
    /// `generation` is the number of the state that was read. Names and ids are unique (the schema of the store
    /// sees to it); secrets and grants of principals that do not exist have no effect.
    pub fn build(
        principals: Vec<Principal>,
        secrets: Vec<SecretRecord>,
        grants: Vec<Grant>,
        generation: u64,
    ) -> AccessBook {
        let mut book = AccessBook {
            generation,
            ..AccessBook::default()
        };
        for principal in principals {
            book.ids.insert(principal.name.clone(), principal.id);
            let page = Page {
                principal: Arc::new(principal),
                secrets: Vec::new(),
                held: HeldRoles::default(),
            };
            book.pages.insert(page.principal.id, page);
        }
        for secret in secrets {
            if let Some(page) = book.pages.get_mut(&secret.principal) {
                page.secrets.push(secret);
            }
        }
        for Grant {
            subject,
            pattern,
            roles,
        } in grants
        {
            if let Some(held) = book.held_by(&subject) {
                held.add(pattern, roles);
            }
        }
        book
    }

    fn held_by(&mut self, subject: &Subject) -> Option<&mut HeldRoles> {
        match subject {
            Subject::Anonymous => Some(&mut self.anonymous),
            Subject::Authenticated => Some(&mut self.authenticated),
            Subject::Principal(name) => Some(&mut self.pages.get_mut(self.ids.get(name)?)?.held),
        }
    }

    /// The number of the state that the book was built from.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The principal of this name.
    pub fn principal(&self, name: &PrincipalName) -> Option<&Arc<Principal>> {
        self.principal_by_id(*self.ids.get(name)?)
    }

    /// The principal of this id.
    pub fn principal_by_id(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.pages.get(&id).map(|page| &page.principal)
    }

    /// The secrets in force of a principal, valid ones and ones past their end.
    pub fn secrets_of(&self, id: PrincipalId) -> &[SecretRecord] {
        self.pages.get(&id).map_or(&[], |page| &page.secrets)
    }

    /// The caller that has just proved to hold `secret`, if both it and its principal are valid at `now`
    /// (microseconds since the Unix epoch). Checking the presented secret comes before, and is the caller's duty.
    pub fn sign_in(&self, principal: PrincipalId, secret: SecretId, now: i64) -> Option<Caller> {
        let page = self.pages.get(&principal)?;
        page.holds(secret, now)
            .then(|| Caller::signed_in(Arc::clone(&page.principal), secret))
    }

    /// The caller that a verified token speaks for; `None` if its principal or secret is no longer valid at `now`
    /// (microseconds since the Unix epoch) or the token is past its end.
    pub fn caller_of(&self, claims: &Claims, now: i64) -> Option<Caller> {
        let caller = match &claims.subject {
            None => Caller::anonymous(),
            Some(subject) => {
                let page = self.pages.get(&subject.principal)?;
                if page.principal.name != subject.name {
                    return None;
                }
                self.sign_in(subject.principal, subject.secret, now)?
            }
        };
        let last = claims.expires_at.saturating_mul(1_000_000).saturating_sub(1);
        let caller = match claims.audience {
            Audience::Registry => caller.narrowed(&claims.scopes),
            Audience::Api => caller,
        };
        (now <= last).then(|| caller.until(last))
    }

    /// Whether what a caller signed in with still holds at `now` (microseconds since the Unix epoch): its principal
    /// exists, is neither switched off nor past its end, its secret is neither revoked nor past its end, and its
    /// token is not over. To be asked before a remembered caller is used; [`AccessBook::authorize`] has no `now`
    /// and checks everything except the ends.
    pub fn is_current(&self, caller: &Caller, now: i64) -> bool {
        let signed_in = match (caller.principal_id(), caller.secret()) {
            (Some(id), Some(secret)) => self.pages.get(&id).is_some_and(|page| page.holds(secret, now)),
            _ => true,
        };
        signed_in && caller.not_after().is_none_or(|last| now <= last)
    }

    /// A permit for one act on one repository, or why not.
    ///
    /// Allowed is what any matching grant allows: for everybody, for everybody who signed in, or for the principal
    /// itself; an administrator may everything. The scopes of the caller's token then narrow that.
    pub fn authorize<A: Act>(&self, caller: &Caller, repo: &RepoName) -> Result<Permit<A>, Denied> {
        match self.denial(caller, repo, A::ROLE) {
            None => Ok(Permit::new(repo.clone(), caller.clone())),
            Some(denied) => Err(denied),
        }
    }

    /// The permit of the server itself, to bring in what its configuration or an administrator names of another registry.
    /// Nobody gets anything by that: whoever pulls it needs a permit of their own.
    pub fn for_prefetch(&self, repo: &RepoName) -> Permit<Pull> {
        Permit::new(repo.clone(), Caller::anonymous())
    }

    /// Whether [`AccessBook::authorize`] would give a permit.
    pub fn may<A: Act>(&self, caller: &Caller, repo: &RepoName) -> bool {
        self.denial(caller, repo, A::ROLE).is_none()
    }

    /// Whether the caller may pull also what policy refuses: it may pull, and [`Role::Inspect`] is granted to it by name.
    /// The scope of a token says nothing about it, and being an administrator is not enough: an administrator's pull is
    /// most often that of a machine with his login.
    pub fn may_inspect(&self, caller: &Caller, repo: &RepoName) -> bool {
        let granted = self
            .held(self.standing(caller))
            .any(|held| held.holds(Role::Inspect, repo));
        granted && self.may::<Pull>(caller, repo)
    }

    /// What the caller's pulls are, by what is granted to it by name: a robot that may pull and nothing else is what
    /// clusters pull with, one that may look into refused images is a scanner. Nobody's word is asked for it.
    pub fn class_of(&self, caller: &Caller) -> Class {
        let Standing::SignedIn(page) = self.standing(caller) else {
            return Class::Scan;
        };
        let gives = |role| page.held.gives(role);
        let changes = [Role::Push, Role::Delete, Role::Admin].into_iter().any(gives);
        match page.principal.kind {
            PrincipalKind::Robot if gives(Role::Inspect) => Class::Scan,
            PrincipalKind::Robot if gives(Role::Pull) && !changes => Class::Node,
            PrincipalKind::Robot | PrincipalKind::User => Class::Ci,
        }
    }

    /// Whether the repository may be named to the caller in the catalogue: it may pull there, and its token, if it
    /// brought one, has the scope of the catalogue or of this repository.
    pub fn may_list(&self, caller: &Caller, repo: &RepoName) -> bool {
        let has_catalog = caller
            .scopes()
            .is_some_and(|scopes| scopes.contains(&Scope::Catalog));
        if has_catalog {
            self.is_granted(self.standing(caller), repo, Pull::ROLE)
        } else {
            self.may::<Pull>(caller, repo)
        }
    }

    /// Patterns that together match every repository of which [`AccessBook::may_list`] is true, and maybe more: where to
    /// look for them.
    pub fn listable(&self, caller: &Caller) -> Vec<RepoPattern> {
        match caller.scopes() {
            Some(scopes) if !scopes.contains(&Scope::Catalog) => scopes
                .iter()
                .filter_map(|scope| match scope {
                    Scope::Repository { repo, .. } => Some(RepoPattern::from(repo)),
                    Scope::Catalog => None,
                })
                .collect(),
            _ => self.granted_patterns(self.standing(caller), Pull::ROLE),
        }
    }

    /// All that the caller may on one repository.
    pub fn roles(&self, caller: &Caller, repo: &RepoName) -> RoleSet {
        let granted = self.granted(self.standing(caller), repo);
        match caller.scopes() {
            None => granted,
            Some(scopes) => granted.intersection(scope::roles_on(scopes, repo)),
        }
    }

    /// Whether a principal of this name may still do something to a repository by its grants: for what it asked for earlier and is
    /// carried out now. `now`: microseconds since the Unix epoch.
    pub fn is_still_granted(&self, name: &PrincipalName, repo: &RepoName, role: Role, now: i64) -> bool {
        let page = self.ids.get(name).and_then(|id| self.pages.get(id));
        let page = page.filter(|page| page.principal.is_valid_at(now));
        page.is_some_and(|page| self.is_granted(Standing::SignedIn(page), repo, role))
    }

    /// What is left of the scopes that a caller asks a token for. The ones of which nothing is left are missing.
    pub fn allowed_scopes(&self, caller: &Caller, asked: &[Scope]) -> Vec<Scope> {
        let allowed = |scope: &Scope| match scope {
            Scope::Catalog => {
                let narrowed_away = caller
                    .scopes()
                    .is_some_and(|scopes| !scopes.contains(&Scope::Catalog));
                (!narrowed_away && !matches!(self.standing(caller), Standing::Void)).then_some(Scope::Catalog)
            }
            Scope::Repository { repo, actions } => {
                let actions = actions.intersection(self.roles(caller, repo));
                (!actions.is_empty()).then(|| Scope::repository(repo.clone(), actions))
            }
        };
        asked.iter().filter_map(allowed).collect()
    }

    /// A permit for what only administrators may: principals, settings, housekeeping. A narrowed caller never may.
    pub fn authorize_system(&self, caller: &Caller) -> Result<SystemPermit, Denied> {
        let standing = self.standing(caller);
        if caller.scopes().is_none() && standing.is_administrator() {
            return Ok(SystemPermit::new(caller.clone()));
        }
        Err(standing.denied(standing.is_administrator(), Needed::Administrator))
    }

    /// A permit to manage grants and rules of `pattern`: for administrators, and for whoever holds [`Role::Admin`]
    /// on one pattern that contains it. Several patterns that only together contain it are not enough. A narrowed
    /// caller never may.
    pub fn may_administer_pattern(
        &self,
        caller: &Caller,
        pattern: &RepoPattern,
    ) -> Result<PatternPermit, Denied> {
        let standing = self.standing(caller);
        let granted =
            standing.is_administrator() || self.held(standing).any(|held| held.administers(pattern));
        if granted && caller.scopes().is_none() {
            return Ok(PatternPermit::new(pattern.clone(), caller.clone()));
        }
        Err(standing.denied(granted, Needed::PatternAdmin))
    }

    /// Whether one grant gives the caller a role on every repository of `pattern`: for administrators, and for whoever holds it on one
    /// pattern that contains it. A narrowed caller never has it.
    pub fn holds_within(&self, caller: &Caller, role: Role, pattern: &RepoPattern) -> bool {
        let held = self.granted_patterns(self.standing(caller), role);
        caller.scopes().is_none() && held.iter().any(|held| held.contains(pattern))
    }

    /// Whether anything at all is open to callers without credentials. If not, each of them can be refused at once.
    pub fn has_any_grant_for_anonymous(&self) -> bool {
        !self.anonymous.is_empty()
    }

    fn denial(&self, caller: &Caller, repo: &RepoName, role: Role) -> Option<Denied> {
        let standing = self.standing(caller);
        let granted = self.is_granted(standing, repo, role);
        let in_scope = caller
            .scopes()
            .is_none_or(|scopes| scope::roles_on(scopes, repo).contains(role));
        (!granted || !in_scope).then(|| standing.denied(granted, Needed::Grant))
    }

    fn standing(&self, caller: &Caller) -> Standing<'_> {
        let (Some(id), Some(secret)) = (caller.principal_id(), caller.secret()) else {
            return Standing::Anonymous;
        };
        match self.pages.get(&id) {
            Some(page) if !page.principal.disabled && page.has(secret) => Standing::SignedIn(page),
            _ => Standing::Void,
        }
    }

    /// The lists of grants that apply, the caller's own first.
    fn held<'a>(&'a self, standing: Standing<'a>) -> impl Iterator<Item = &'a HeldRoles> {
        let lists = match standing {
            Standing::Void => [None, None, None],
            Standing::Anonymous => [None, None, Some(&self.anonymous)],
            Standing::SignedIn(page) => [Some(&page.held), Some(&self.authenticated), Some(&self.anonymous)],
        };
        lists.into_iter().flatten()
    }

    fn is_granted(&self, standing: Standing<'_>, repo: &RepoName, role: Role) -> bool {
        standing.is_administrator() || self.held(standing).any(|held| held.holds(role, repo))
    }

    fn granted_patterns(&self, standing: Standing<'_>, role: Role) -> Vec<RepoPattern> {
        let everywhere =
            standing.is_administrator() || self.held(standing).any(|held| held.holds_everywhere(role));
        if everywhere {
            return vec![RepoPattern::everything()];
        }
        self.held(standing).flat_map(|held| held.patterns(role)).collect()
    }

    fn granted(&self, standing: Standing<'_>, repo: &RepoName) -> RoleSet {
        if standing.is_administrator() {
            return RoleSet::ALL;
        }
        self.held(standing)
            .fold(RoleSet::EMPTY, |roles, held| roles.union(held.roles_on(repo)))
    }
}

impl Page {
    fn has(&self, secret: SecretId) -> bool {
        self.secrets.iter().any(|record| record.id == secret)
    }

    fn holds(&self, secret: SecretId, now: i64) -> bool {
        self.principal.is_valid_at(now)
            && self
                .secrets
                .iter()
                .any(|record| record.id == secret && record.is_valid_at(now))
    }
}

impl Standing<'_> {
    fn is_administrator(self) -> bool {
        matches!(self, Standing::SignedIn(page) if page.principal.administrator)
    }

    fn denied(self, granted: bool, needed: Needed) -> Denied {
        Denied {
            authenticated: matches!(self, Standing::SignedIn(_)),
            insufficient_scope: granted,
            needed,
        }
    }
}

#[cfg(test)]
#[path = "book/tests.rs"]
mod tests;
