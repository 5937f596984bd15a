//! The book against the definition: for random books, `authorize` answers what a walk over all grants answers.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use access::permit::{Administer, Delete, Pull, Push};
use access::{
    AccessBook, Caller, Grant, Principal, PrincipalId, PrincipalKind, Role, RoleSet, Scope, SecretId,
    SecretRecord, SecretVerifier, Subject,
};
use oci::{RepoName, RepoPattern};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const PEOPLE: [&str; 3] = ["ann", "bob", "ci"];
const NOW: i64 = 1_000;

/// Few different words, so that patterns and names meet often.
const PATTERNS: [&str; 19] = [
    "**", "*", "a", "b", "a/b", "a/b/c", "a/*", "a/**", "*/b", "**/b", "a/*/c", "a/**/c", "*/**", "a*",
    "a*/b", "*b/**", "a/b*", "ab/a", "ab/**",
];
const NAMES: [&str; 14] = [
    "a", "b", "ab", "a/b", "a/c", "ab/b", "ab/a", "b/a", "b/b", "a/b/c", "a/a/c", "a/b/b/c", "b/a/b",
    "ab/b/a",
];

#[derive(Debug, Clone)]
struct World {
    people: Vec<Principal>,
    /// (owner, still in force)
    secrets: Vec<(usize, bool)>,
    grants: Vec<Grant>,
}

fn roles() -> impl Strategy<Value = RoleSet> {
    vec(select(Role::ALL.to_vec()), 0..3).prop_map(|roles| roles.into_iter().collect())
}

fn grant() -> impl Strategy<Value = Grant> {
    let subjects = ["anonymous", "authenticated", "ann", "bob", "ci", "nobody"];
    (select(subjects.to_vec()), select(PATTERNS.to_vec()), roles()).prop_map(|(subject, pattern, roles)| {
        Grant {
            subject: subject.parse().unwrap(),
            pattern: pattern.parse().unwrap(),
            roles,
        }
    })
}

fn principal(number: usize) -> impl Strategy<Value = Principal> {
    (prop::bool::weighted(0.15), prop::bool::weighted(0.15)).prop_map(move |(administrator, disabled)| {
        Principal {
            id: PrincipalId(i64::try_from(number).unwrap()),
            name: PEOPLE[number].parse().unwrap(),
            kind: if PEOPLE[number] == "ci" {
                PrincipalKind::Robot
            } else {
                PrincipalKind::User
            },
            administrator,
            disabled,
            not_after: None,
        }
    })
}

fn world() -> impl Strategy<Value = World> {
    let people = (principal(0), principal(1), principal(2)).prop_map(|(a, b, c)| vec![a, b, c]);
    (
        people,
        vec((0..PEOPLE.len(), prop::bool::weighted(0.8)), 1..6),
        vec(grant(), 0..12),
    )
        .prop_map(|(people, secrets, grants)| World {
            people,
            secrets,
            grants,
        })
}

fn scopes() -> impl Strategy<Value = Option<Vec<Scope>>> {
    let scope = (
        select(NAMES.to_vec()),
        select(vec!["pull", "push", "delete", "*"]),
    )
        .prop_map(|(name, action)| format!("repository:{name}:{action}"));
    let text = prop_oneof![3 => scope, 1 => Just("registry:catalog:*".to_owned())];
    proptest::option::of(vec(text, 0..5))
        .prop_map(|texts| texts.map(|texts| Scope::parse_list(texts.iter().map(String::as_str)).unwrap()))
}

impl World {
    fn book(&self, with_void_secrets: bool) -> AccessBook {
        let in_force = |(id, (owner, valid)): (usize, &(usize, bool))| {
            (*valid || with_void_secrets).then(|| SecretRecord {
                id: secret_id(id),
                principal: self.people[*owner].id,
                verifier: SecretVerifier::Password(access::password::dummy().clone()),
                not_after: None,
            })
        };
        let secrets = self.secrets.iter().enumerate().filter_map(in_force).collect();
        AccessBook::build(self.people.clone(), secrets, self.grants.clone(), 1)
    }

    /// Signed in with secret number `secret` at a time when it, and its owner, were valid.
    fn caller(&self, secret: usize) -> Caller {
        let mut past = self.clone();
        for principal in &mut past.people {
            principal.disabled = false;
        }
        let owner = self.people[self.secrets[secret].0].id;
        past.book(true).sign_in(owner, secret_id(secret), NOW).unwrap()
    }

    /// The definition, as a walk over everything.
    fn expected(&self, secret: Option<usize>, scopes: Option<&[Scope]>, repo: &RepoName) -> RoleSet {
        let granted =
            match secret.map(|secret| (&self.people[self.secrets[secret].0], self.secrets[secret].1)) {
                Some((principal, valid)) if principal.disabled || !valid => RoleSet::EMPTY,
                Some((principal, _)) if principal.administrator => RoleSet::ALL,
                signed_in => self
                    .grants
                    .iter()
                    .filter(|grant| match (&grant.subject, signed_in) {
                        (Subject::Anonymous, _) | (Subject::Authenticated, Some(_)) => true,
                        (Subject::Principal(name), Some((principal, _))) => *name == principal.name,
                        (_, None) => false,
                    })
                    .filter(|grant| grant.pattern.matches(repo))
                    .flat_map(|grant| grant.roles.iter())
                    .collect(),
            };
        let allows = |scope: &Scope, role| match scope {
            Scope::Repository { repo: named, actions } => named == repo && actions.contains(role),
            Scope::Catalog => false,
        };
        let in_scope = |role: &Role| match scopes {
            None => true,
            Some(scopes) => scopes.iter().any(|scope| allows(scope, *role)),
        };
        granted.iter().filter(in_scope).collect()
    }
}

fn secret_id(number: usize) -> SecretId {
    SecretId(i64::try_from(number).unwrap() + 100)
}

/// What the book permits, asked in each way that there is.
fn permitted(book: &AccessBook, caller: &Caller, repo: &RepoName) -> RoleSet {
    let mut by_permit: RoleSet = [
        book.authorize::<Pull>(caller, repo).is_ok().then_some(Role::Pull),
        book.authorize::<Push>(caller, repo).is_ok().then_some(Role::Push),
        book.authorize::<Delete>(caller, repo)
            .is_ok()
            .then_some(Role::Delete),
        book.authorize::<Administer>(caller, repo)
            .is_ok()
            .then_some(Role::Admin),
    ]
    .into_iter()
    .flatten()
    .collect();
    // No permit is given for it: the gate asks, whatever the scope of a token says.
    if book.roles(caller, repo).contains(Role::Inspect) {
        assert!(book.may_inspect(caller, repo));
        by_permit = by_permit.with(Role::Inspect);
    }
    assert_eq!(book.roles(caller, repo), by_permit);
    assert_eq!(book.may::<Pull>(caller, repo), by_permit.contains(Role::Pull));
    by_permit
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_book_answers_as_defined(world in world(), secret in proptest::option::of(0_usize..6), scopes in scopes()) {
        let book = world.book(false);
        let secret = secret.map(|secret| secret % world.secrets.len());
        let caller = secret.map_or_else(Caller::anonymous, |secret| world.caller(secret));
        let caller = match &scopes {
            None => caller,
            Some(scopes) => caller.narrowed(scopes),
        };
        for name in NAMES {
            let repo: RepoName = name.parse().unwrap();
            let expected = world.expected(secret, scopes.as_deref(), &repo);
            prop_assert_eq!(permitted(&book, &caller, &repo), expected, "{}", name);
            let unscoped = world.expected(secret, None, &repo);
            if let Err(denied) = book.authorize::<Push>(&caller, &repo) {
                prop_assert_eq!(denied.insufficient_scope, unscoped.contains(Role::Push));
            }
            prop_assert_eq!(unscoped.intersection(expected), expected, "scopes only narrow");
            let is_found = book.listable(&caller).iter().any(|pattern| pattern.matches(&repo));
            prop_assert!(is_found || !book.may_list(&caller, &repo), "{} is not looked for", name);
        }
    }

    #[test]
    fn whoever_administers_a_pattern_administers_every_name_in_it(
        world in world(), secret in 0_usize..6, pattern in select(PATTERNS.to_vec()),
    ) {
        let book = world.book(false);
        let caller = world.caller(secret % world.secrets.len());
        let pattern: RepoPattern = pattern.parse().unwrap();
        if book.may_administer_pattern(&caller, &pattern).is_ok() {
            for repo in NAMES.map(|name| name.parse::<RepoName>().unwrap()) {
                prop_assert!(!pattern.matches(&repo) || book.may::<Administer>(&caller, &repo), "{}", repo);
            }
        }
    }

    #[test]
    fn tokens_carry_no_more_than_is_granted(world in world(), secret in 0_usize..6, asked in scopes()) {
        let book = world.book(false);
        let caller = world.caller(secret % world.secrets.len());
        let allowed = book.allowed_scopes(&caller, &asked.unwrap_or_default());
        for repo in NAMES.map(|name| name.parse::<RepoName>().unwrap()) {
            let with_token = permitted(&book, &caller.clone().narrowed(&allowed), &repo);
            let without = permitted(&book, &caller, &repo);
            prop_assert_eq!(with_token.intersection(without), with_token);
        }
    }
}
