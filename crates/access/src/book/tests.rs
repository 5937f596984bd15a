use super::*;
use crate::permit::{Administer, Delete, Push};
use crate::principal::{PrincipalKind, SecretVerifier};
use crate::robot_secret::RobotSecret;
use crate::token::TokenSubject;

const NOW: i64 = 1_800_000_000_000_000;
const NOW_SECS: i64 = NOW / 1_000_000;

fn principal(id: i64, name: &str) -> Principal {
    Principal {
        id: PrincipalId(id),
        name: name.parse().unwrap(),
        kind: PrincipalKind::User,
        administrator: false,
        disabled: false,
        not_after: None,
    }
}

/// The secret number `id` of principal number `owner`.
fn secret(id: i64, owner: i64) -> SecretRecord {
    let digest = RobotSecret::generate([owner.to_le_bytes()[0]; 32]).digest();
    SecretRecord {
        id: SecretId(id),
        principal: PrincipalId(owner),
        verifier: SecretVerifier::Robot(digest),
        not_after: None,
    }
}

fn grant(subject: &str, pattern: &str, roles: &str) -> Grant {
    Grant {
        subject: subject.parse().unwrap(),
        pattern: pattern.parse().unwrap(),
        roles: roles.parse().unwrap(),
    }
}

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

/// `ann` (1) and `bob` (2) with grants, `root` (3) the administrator; secret 10 × id each.
fn people() -> (Vec<Principal>, Vec<SecretRecord>) {
    let root = Principal {
        administrator: true,
        ..principal(3, "root")
    };
    (
        vec![principal(1, "ann"), principal(2, "bob"), root],
        vec![secret(10, 1), secret(20, 2), secret(30, 3)],
    )
}

fn grants() -> Vec<Grant> {
    vec![
        grant("ann", "team-a/**", "push"),
        grant("ann", "shared/tool", "delete"),
        grant("ann", "shared/tool", "push"),
        grant("bob", "team-b/**", "admin"),
        grant("bob", "*/docs", "pull"),
        grant("authenticated", "library/*", "pull"),
        grant("anonymous", "public/**", "pull"),
        grant("nobody-with-this-name", "**", "admin"),
    ]
}

fn book() -> AccessBook {
    let (principals, secrets) = people();
    AccessBook::build(principals, secrets, grants(), 5)
}

fn caller(book: &AccessBook, id: i64) -> Caller {
    book.sign_in(PrincipalId(id), SecretId(id * 10), NOW).unwrap()
}

fn roles(book: &AccessBook, caller: &Caller, name: &str) -> String {
    let repo = repo(name);
    let roles = book.roles(caller, &repo);
    assert_eq!(roles.contains(Role::Pull), book.may::<Pull>(caller, &repo));
    assert_eq!(
        roles.contains(Role::Push),
        book.authorize::<Push>(caller, &repo).is_ok()
    );
    assert_eq!(
        roles.contains(Role::Delete),
        book.authorize::<Delete>(caller, &repo).is_ok()
    );
    assert_eq!(
        roles.contains(Role::Admin),
        book.authorize::<Administer>(caller, &repo).is_ok()
    );
    roles.to_string()
}

#[test]
fn grants_add_up_and_nothing_else_is_open() {
    let book = book();
    let (ann, bob, root) = (caller(&book, 1), caller(&book, 2), caller(&book, 3));
    let anonymous = Caller::anonymous();
    for (who, name, expected) in [
        (&ann, "team-a/app", "pull,push"),
        (&ann, "team-a/deep/er/app", "pull,push"),
        (&ann, "team-a", ""),
        (&ann, "team-ab/app", ""),
        (&ann, "team-b/app", ""),
        (&ann, "shared/tool", "pull,push,delete"),
        (&ann, "shared/tools", ""),
        (&ann, "library/alpine", "pull"),
        (&ann, "public/x", "pull"),
        (&bob, "team-b/app", "pull,push,delete,admin"),
        (&bob, "team-a/docs", "pull"),
        (&bob, "team-a/app", ""),
        (&anonymous, "public/x", "pull"),
        (&anonymous, "library/alpine", ""),
        (&anonymous, "team-a/app", ""),
        (&root, "team-a/app", "pull,push,delete,admin"),
        (&root, "any/thing", "pull,push,delete,admin"),
    ] {
        assert_eq!(
            roles(&book, who, name),
            expected,
            "{} on {name}",
            who.principal_name()
        );
    }
}

#[test]
fn an_empty_book_is_closed() {
    let book = AccessBook::default();
    assert_eq!(roles(&book, &Caller::anonymous(), "a"), "");
    assert!(!book.has_any_grant_for_anonymous());
    assert!(self::book().has_any_grant_for_anonymous());
    let no_roles = Grant {
        roles: RoleSet::EMPTY,
        ..grant("anonymous", "**", "pull")
    };
    assert!(!AccessBook::build(vec![], vec![], vec![no_roles], 1).has_any_grant_for_anonymous());
}

#[test]
fn a_denial_says_what_would_help() {
    let book = book();
    let scopes = Scope::parse_list(["repository:public/x:pull"]).unwrap();
    let denied = |caller: &Caller, name: &str| book.authorize::<Pull>(caller, &repo(name)).unwrap_err();

    let anonymous = denied(&Caller::anonymous(), "team-a/app");
    assert_eq!(
        anonymous,
        Denied {
            authenticated: false,
            insufficient_scope: false,
            needed: Needed::Grant
        }
    );
    assert!(anonymous.calls_for_credentials());

    let ann = caller(&book, 1);
    let signed_in = denied(&ann, "team-b/app");
    assert_eq!(
        signed_in,
        Denied {
            authenticated: true,
            insufficient_scope: false,
            needed: Needed::Grant
        }
    );
    assert!(!signed_in.calls_for_credentials());

    let narrow = denied(&ann.narrowed(&scopes), "team-a/app");
    assert_eq!(
        narrow,
        Denied {
            authenticated: true,
            insufficient_scope: true,
            needed: Needed::Grant
        }
    );
    assert!(narrow.calls_for_credentials());
    assert!(narrow.to_string().contains("scope"));

    let narrow = denied(&Caller::anonymous().narrowed(&scopes), "public/y");
    assert_eq!(
        narrow,
        Denied {
            authenticated: false,
            insufficient_scope: true,
            needed: Needed::Grant
        }
    );
}

#[test]
fn a_permit_says_who_and_where() {
    let book = book();
    let permit = book
        .authorize::<Push>(&caller(&book, 1), &repo("team-a/app"))
        .unwrap();
    assert_eq!(permit.repo().as_str(), "team-a/app");
    assert_eq!(permit.principal_name(), "ann");
    assert_eq!(permit.principal_id(), Some(PrincipalId(1)));
    assert_eq!(permit.caller().secret(), Some(SecretId(10)));
    assert_eq!(permit.as_pull().repo(), permit.repo());
    let open = book
        .authorize::<Pull>(&Caller::anonymous(), &repo("public/x"))
        .unwrap();
    assert_eq!((open.principal_name(), open.principal_id()), ("anonymous", None));
}

#[test]
fn an_old_caller_has_only_what_the_newest_book_gives() {
    let old = book();
    let (ann, root) = (caller(&old, 1), caller(&old, 3));
    let rebuilt = |change: fn(&mut Principal), revoke: fn(&SecretRecord) -> bool| {
        let (mut principals, mut secrets) = people();
        principals.iter_mut().for_each(change);
        secrets.retain(|secret| !revoke(secret));
        AccessBook::build(principals, secrets, grants(), 6)
    };
    for void in [
        AccessBook::build(vec![], people().1, grants(), 6),
        rebuilt(|principal| principal.disabled = true, |_| false),
        rebuilt(|principal| principal.id.0 += 100, |_| false),
        rebuilt(|_| (), |_| true),
    ] {
        assert!(!void.is_current(&ann, NOW));
        // Not even what is open to everybody: the client shall learn that its credentials are void.
        assert_eq!(roles(&void, &ann, "public/x"), "");
        assert_eq!(roles(&void, &root, "team-a/app"), "");
        assert_eq!(
            void.authorize_system(&root).unwrap_err(),
            Denied {
                authenticated: false,
                insufficient_scope: false,
                needed: Needed::Administrator
            }
        );
        assert!(
            void.may_administer_pattern(&root, &"**".parse().unwrap())
                .is_err()
        );
        assert!(void.allowed_scopes(&ann, &[Scope::Catalog]).is_empty());
        assert!(!void.may_list(&ann, &repo("public/x")));
    }
    let demoted = rebuilt(|principal| principal.administrator = false, |_| false);
    assert!(demoted.is_current(&root, NOW));
    assert_eq!(roles(&demoted, &root, "team-a/app"), "");
    assert!(demoted.authorize_system(&root).unwrap_err().authenticated);
    // Nobody is sent for a grant where none would help.
    let denied = demoted.authorize_system(&root).unwrap_err().to_string();
    assert!(
        denied.contains("administrators of the registry") && !denied.contains("no grant"),
        "{denied}"
    );
    let denied = demoted.may_administer_pattern(&root, &"**".parse().unwrap());
    assert_eq!(denied.unwrap_err().needed, Needed::PatternAdmin);
}

#[test]
fn sign_in_demands_a_valid_principal_and_secret() {
    let (mut principals, mut secrets) = people();
    principals[0].not_after = Some(NOW + 5);
    secrets[1].not_after = Some(NOW + 5);
    principals[2].disabled = true;
    let book = AccessBook::build(principals, secrets, vec![], 1);
    let signs_in = |id, secret, now| book.sign_in(PrincipalId(id), SecretId(secret), now).is_some();
    for id in [1, 2] {
        assert!(signs_in(id, id * 10, NOW + 5));
        assert!(!signs_in(id, id * 10, NOW + 6));
        let caller = caller(&book, id);
        assert!(book.is_current(&caller, NOW + 5) && !book.is_current(&caller, NOW + 6));
    }
    assert!(!signs_in(3, 30, NOW), "switched off");
    assert!(!signs_in(1, 20, NOW), "somebody else's secret");
    assert!(!signs_in(4, 10, NOW), "nobody");
}

#[test]
fn both_secrets_of_a_rotation_are_valid() {
    let book = AccessBook::build(
        vec![principal(1, "ci")],
        vec![secret(10, 1), secret(11, 1)],
        vec![],
        1,
    );
    assert_eq!(
        book.secrets_of(PrincipalId(1)).len(),
        crate::principal::MAX_ROBOT_SECRETS
    );
    for id in [10, 11] {
        assert!(book.sign_in(PrincipalId(1), SecretId(id), NOW).is_some());
    }
    assert!(book.secrets_of(PrincipalId(2)).is_empty());
    let presented = RobotSecret::generate([1; 32]);
    let record = &book.secrets_of(PrincipalId(1))[0];
    assert!(record.verifier.matches(presented.expose()) && !record.verifier.is_expensive());
    assert!(!record.verifier.matches(RobotSecret::generate([2; 32]).expose()));
    assert!(!record.verifier.matches("no secret"));
}

fn claims(audience: Audience, scopes: &str) -> Claims {
    Claims {
        id: [0; 16],
        audience,
        subject: Some(TokenSubject {
            name: "ann".parse().unwrap(),
            principal: PrincipalId(1),
            secret: SecretId(10),
        }),
        scopes: Scope::parse_list([scopes]).unwrap(),
        issued_at: NOW_SECS,
        expires_at: NOW_SECS + 60,
    }
}

#[test]
fn a_registry_token_is_narrowed_and_an_api_token_is_not() {
    let book = book();
    let narrow = claims(
        Audience::Registry,
        "repository:team-a/app:pull repository:team-b/app:*",
    );
    let ann = book.caller_of(&narrow, NOW).unwrap();
    assert_eq!(roles(&book, &ann, "team-a/app"), "pull");
    assert_eq!(roles(&book, &ann, "team-b/app"), "");
    assert_eq!(roles(&book, &ann, "team-a/other"), "");
    assert_eq!(roles(&book, &ann, "public/x"), "");
    let bare = book.caller_of(&claims(Audience::Registry, ""), NOW).unwrap();
    assert_eq!(roles(&book, &bare, "team-a/app"), "");
    let api = book.caller_of(&claims(Audience::Api, ""), NOW).unwrap();
    assert_eq!(roles(&book, &api, "team-a/app"), "pull,push");
}

#[test]
fn a_token_ends_with_its_time_its_secret_and_its_owner() {
    let book = book();
    let good = claims(Audience::Registry, "repository:team-a/app:pull");
    let caller = book.caller_of(&good, NOW).unwrap();
    assert!(book.is_current(&caller, NOW + 59_999_999) && !book.is_current(&caller, NOW + 60_000_000));
    assert!(book.caller_of(&good, NOW + 60_000_000).is_none());
    let with = |name: &str, principal, secret| {
        let subject = TokenSubject {
            name: name.parse().unwrap(),
            principal: PrincipalId(principal),
            secret: SecretId(secret),
        };
        book.caller_of(
            &Claims {
                subject: Some(subject),
                ..good.clone()
            },
            NOW,
        )
    };
    assert!(with("ann", 1, 10).is_some());
    assert!(with("ann", 1, 11).is_none(), "revoked secret");
    assert!(with("ann", 9, 10).is_none(), "made anew under the same name");
    assert!(with("bob", 1, 10).is_none(), "another name");
    let anonymous = book
        .caller_of(
            &Claims {
                subject: None,
                ..good.clone()
            },
            NOW,
        )
        .unwrap();
    assert!(anonymous.is_anonymous() && book.is_current(&anonymous, NOW));
    assert!(!book.is_current(&anonymous, NOW + 60_000_000));
}

#[test]
fn the_token_service_gives_no_more_than_is_granted() {
    let book = book();
    let asked =
        "repository:team-a/app:* repository:team-b/app:pull registry:catalog:* repository:library/x:push";
    let asked = Scope::parse_list([asked]).unwrap();
    let allowed = |caller: &Caller| Scope::format_list(&book.allowed_scopes(caller, &asked));
    let ann = caller(&book, 1);
    assert_eq!(
        allowed(&ann),
        "repository:team-a/app:pull,push registry:catalog:* repository:library/x:pull"
    );
    assert_eq!(allowed(&Caller::anonymous()), "registry:catalog:*");
    let narrow = ann.narrowed(&Scope::parse_list(["repository:team-a/app:pull"]).unwrap());
    assert_eq!(allowed(&narrow), "repository:team-a/app:pull");
}

#[test]
fn the_catalogue_shows_what_may_be_pulled() {
    let book = book();
    let ann = caller(&book, 1);
    let scoped = |text: &str| ann.clone().narrowed(&Scope::parse_list([text]).unwrap());
    for (who, name, listed) in [
        (&ann, "team-a/app", true),
        (&ann, "team-b/app", false),
        (&scoped("registry:catalog:*"), "team-a/app", true),
        (&scoped("registry:catalog:*"), "team-b/app", false),
        (&scoped("repository:team-a/app:pull"), "team-a/app", true),
        (&scoped("repository:team-a/app:pull"), "team-a/other", false),
        (&Caller::anonymous(), "public/x", true),
    ] {
        assert_eq!(book.may_list(who, &repo(name)), listed, "{who:?} {name}");
    }
    assert!(
        !book.may::<Pull>(&scoped("registry:catalog:*"), &repo("team-a/app")),
        "listing is not pulling"
    );
}

#[test]
fn only_administrators_get_the_system() {
    let book = book();
    let root = caller(&book, 3);
    assert_eq!(book.authorize_system(&root).unwrap().principal_name(), "root");
    let narrow = root.narrowed(&Scope::parse_list(["repository:a:*", "registry:catalog:*"]).unwrap());
    assert!(book.authorize_system(&narrow).unwrap_err().insufficient_scope);
    assert!(
        book.authorize_system(&caller(&book, 2))
            .unwrap_err()
            .authenticated
    );
    assert!(
        !book
            .authorize_system(&Caller::anonymous())
            .unwrap_err()
            .authenticated
    );
}

#[test]
fn a_role_within_a_pattern_comes_from_one_grant_that_contains_it() {
    let book = book();
    let holds =
        |caller: &Caller, role, pattern: &str| book.holds_within(caller, role, &pattern.parse().unwrap());
    let (bob, root) = (caller(&book, 2), caller(&book, 3));
    assert!(holds(&bob, Role::Push, "team-b/app-*") && holds(&bob, Role::Push, "team-b/**"));
    assert!(!holds(&bob, Role::Push, "**") && !holds(&bob, Role::Push, "other/app"));
    assert!(holds(&root, Role::Push, "**"));
    assert!(!holds(&Caller::anonymous(), Role::Push, "team-b/app"));
}

#[test]
fn an_admin_of_a_pattern_administers_what_is_within() {
    let book = book();
    let administers = |caller: &Caller, pattern: &str| {
        let pattern = pattern.parse().unwrap();
        book.may_administer_pattern(caller, &pattern)
            .map(|permit| assert_eq!(permit.pattern(), &pattern))
    };
    let (ann, bob, root) = (caller(&book, 1), caller(&book, 2), caller(&book, 3));
    for inside in [
        "team-b/**",
        "team-b/*",
        "team-b/app",
        "team-b/x/**",
        "team-b/app-*",
    ] {
        assert_eq!(administers(&bob, inside), Ok(()), "{inside}");
        assert_eq!(administers(&root, inside), Ok(()), "{inside}");
        assert!(administers(&ann, inside).is_err(), "{inside}");
        assert!(administers(&Caller::anonymous(), inside).is_err(), "{inside}");
    }
    for outside in [
        "**",
        "*/**",
        "team-b",
        "team-*/**",
        "team-a/**",
        "*/docs",
        "team-bc/**",
    ] {
        assert!(administers(&bob, outside).is_err(), "{outside}");
        assert_eq!(administers(&root, outside), Ok(()), "{outside}");
    }
    let narrow = bob.narrowed(&Scope::parse_list(["repository:team-b/app:*"]).unwrap());
    assert!(administers(&narrow, "team-b/app").is_err());
    assert_eq!(roles(&book, &narrow, "team-b/app"), "pull,push,delete");
}

#[test]
fn look_ups_by_name_and_number_agree() {
    let book = book();
    let ann = book.principal(&"ann".parse().unwrap()).unwrap();
    assert_eq!(book.principal_by_id(ann.id), Some(ann));
    assert_eq!(book.principal(&"zoe".parse().unwrap()), None);
    assert_eq!(book.generation(), 5);
}

#[test]
fn what_pulls_are_is_read_from_grants_and_not_from_claims() {
    let robot = |id, name: &str| Principal {
        kind: PrincipalKind::Robot,
        ..principal(id, name)
    };
    let (mut principals, mut secrets) = people();
    let robots = [
        ("cluster", "pull"),
        ("build", "push"),
        ("scanner", "inspect"),
        ("idle", ""),
    ];
    let mut grants = grants();
    for (id, (name, roles)) in (4..).zip(robots) {
        principals.push(robot(id, name));
        secrets.push(secret(id * 10, id));
        if !roles.is_empty() {
            grants.push(grant(name, "team-a/**", roles));
        }
    }
    let book = AccessBook::build(principals, secrets, grants, 5);
    let class = |id| book.class_of(&caller(&book, id));
    assert_eq!(
        [1, 3, 4, 5, 6, 7].map(class),
        [
            Class::Ci,
            Class::Ci,
            Class::Node,
            Class::Ci,
            Class::Scan,
            Class::Ci
        ]
    );
    assert_eq!(book.class_of(&Caller::anonymous()), Class::Scan);
}
