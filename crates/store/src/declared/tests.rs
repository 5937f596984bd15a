//! Reconciling access data with what is declared.

use access::{PrincipalKind, Role, RoleSet};

use super::*;
use crate::testing::{Kit, PASSWORD};
use crate::{EventFilter, EventKind, Rules, Timestamp};

fn declared(json: serde_json::Value) -> Declared {
    serde_json::from_value(json).unwrap()
}

async fn apply(kit: &Kit, what: &Declared, prune: bool) -> Applied {
    let plan = kit.store.plan_apply(what, prune, None).await.unwrap();
    // A plan survives being printed and read.
    let plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    kit.store.carry_out(&Kit::operator(), plan).await.unwrap()
}

fn example() -> Declared {
    let salt = [1; 16];
    let hash = access::password::hash(PASSWORD, salt).unwrap();
    declared(serde_json::json!({
        "users": [{ "name": "root", "administrator": true, "password_hash": hash.as_str() }, { "name": "ann" }],
        "robots": [{ "name": "ci", "not_after": "2999-01-01T00:00:00Z" }],
        "grants": [{ "subject": "ci", "pattern": "team/**", "roles": ["push"] }],
        "rules": [{ "pattern": "team/**", "quota_tags": 5 }],
    }))
}

#[tokio::test]
async fn what_is_declared_comes_to_be_once() {
    let kit = Kit::new().await;
    let applied = apply(&kit, &example(), false).await;
    assert_eq!((applied.steps, applied.secrets.len()), (5, 1));
    let from = "192.0.2.1".parse().unwrap();
    let root = kit
        .store
        .authenticate("root", &PASSWORD.into(), from)
        .await
        .unwrap();
    let ci = kit
        .store
        .authenticate("ci", &applied.secrets[0].1.secret, from)
        .await
        .unwrap();
    assert!(kit.store.access().authorize_system(&root).is_ok());
    assert!(
        kit.store
            .access()
            .may::<access::permit::Push>(&ci, &"team/app".parse().unwrap())
    );
    assert_eq!(kit.store.rules(&"team/app".parse().unwrap()).quota_tags, Some(5));

    let again = kit.store.plan_apply(&example(), true, None).await.unwrap();
    assert!(again.steps.is_empty(), "{again:?}");
    let generation = kit.store.access().generation();
    kit.store.carry_out(&Kit::operator(), again).await.unwrap();
    assert_eq!(kit.store.access().generation(), generation);
}

#[tokio::test]
async fn changes_are_found_and_prune_removes_the_rest() {
    let kit = Kit::new().await;
    apply(&kit, &example(), false).await;
    kit.robot("stray", &[Role::Pull], "stray").await;
    kit.rule(
        "stray",
        Rules {
            deletion: false,
            ..Rules::default()
        },
    )
    .await;
    let mut next = example();
    next.users[1].disabled = Some(true);
    next.grants[0].roles = RoleSet::of(Role::Pull);
    next.rules[0].rules.quota_tags = None;
    let plan = kit.store.plan_apply(&next, false, None).await.unwrap();
    assert_eq!(plan.steps.len(), 3, "{plan:?}");
    let expected = serde_json::json!([
        { "step": "update_user", "name": "ann", "administrator": false, "disabled": true, "not_after": "never",
            "was": { "name": "ann", "administrator": false, "disabled": false, "not_after": "never" } },
        { "step": "set_grant", "subject": "ci", "pattern": "team/**", "roles": ["pull"],
            "was": { "subject": "ci", "pattern": "team/**", "roles": ["pull", "push"] } },
        { "step": "set_rule", "pattern": "team/**", "deletion": true,
            "was": { "pattern": "team/**", "quota_tags": 5, "deletion": true } },
    ]);
    assert_eq!(serde_json::to_value(&plan.steps).unwrap(), expected);
    apply(&kit, &next, true).await;
    assert!(kit.store.access().principal(&"stray".parse().unwrap()).is_none());
    assert!(
        kit.store
            .access()
            .principal(&"ann".parse().unwrap())
            .unwrap()
            .disabled
    );
    assert_eq!(kit.store.grants().await.unwrap(), next.grants);
    assert_eq!(kit.store.all_rules().await.unwrap(), next.rules);
    assert_eq!(
        kit.store
            .principals(Some(PrincipalKind::User), None, 9)
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

#[tokio::test]
async fn what_is_not_declared_of_somebody_stays_as_it_is() {
    let kit = Kit::new().await;
    let first = serde_json::json!({
        "users": [{ "name": "ann", "administrator": true, "disabled": true, "not_after": "2999-01-01T00:00:00Z" }],
        "robots": [{ "name": "ci", "disabled": true, "not_after": "2999-01-01T00:00:00Z" }],
    });
    apply(&kit, &declared(first), false).await;
    let names = declared(serde_json::json!({ "users": [{ "name": "ann" }], "robots": [{ "name": "ci" }] }));
    let plan = kit.store.plan_apply(&names, true, None).await.unwrap();
    assert!(plan.steps.is_empty(), "{plan:?}");

    let said = declared(serde_json::json!({
        "users": [{ "name": "ann", "not_after": "never" }],
        "robots": [{ "name": "ci", "disabled": false }],
    }));
    apply(&kit, &said, false).await;
    let book = kit.store.access();
    let end = Timestamp::from_rfc3339("2999-01-01T00:00:00Z").map(Timestamp::micros);
    let ann = book.principal(&"ann".parse().unwrap()).unwrap();
    assert_eq!(
        (ann.administrator, ann.disabled, ann.not_after),
        (true, true, None)
    );
    let ci = book.principal(&"ci".parse().unwrap()).unwrap();
    assert_eq!((ci.disabled, ci.not_after), (false, end));
}

#[tokio::test]
async fn only_what_changes_is_an_event() {
    let kit = Kit::new().await;
    let root = kit.administrator("root").await;
    let ann = |disabled: bool| {
        let ann = serde_json::json!({ "name": "ann", "administrator": true, "disabled": disabled });
        declared(serde_json::json!({ "users": [ann] }))
    };
    apply(&kit, &ann(false), false).await;
    apply(&kit, &ann(true), false).await;
    let about_ann = EventFilter {
        subject: Some("ann".to_owned()),
        ..EventFilter::default()
    };
    let events = kit.store.events(&root, &about_ann, None, 9).await.unwrap();
    let events: Vec<_> = events
        .items
        .into_iter()
        .map(|event| (event.kind, event.body))
        .collect();
    let made = serde_json::json!({ "administrator": true, "not_after": null });
    let expected = [
        (EventKind::UserCreate, made),
        (EventKind::UserUpdate, serde_json::json!({ "disabled": true })),
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn nobody_shuts_themselves_out() {
    let kit = Kit::new().await;
    let own: PrincipalName = "root".parse().unwrap();
    let other: PrincipalName = "other".parse().unwrap();
    kit.administrator("root").await;
    kit.administrator("other").await;
    for (field, value) in [
        ("administrator", serde_json::json!(false)),
        ("disabled", serde_json::json!(true)),
        ("not_after", serde_json::json!("2001-01-01T00:00:00Z")),
    ] {
        let what = declared(serde_json::json!({ "users": [{ "name": "root", field: value }] }));
        let refused = kit.store.plan_apply(&what, false, Some(&own)).await;
        match refused {
            Err(AdminError::Invalid { reason }) => {
                assert!(
                    reason.contains(field) && reason.contains("shut out root"),
                    "{reason}"
                );
            }
            other => panic!("{field}: {other:?}"),
        }
        let by_another = kit.store.plan_apply(&what, false, Some(&other)).await.unwrap();
        assert_eq!(by_another.steps.len(), 1, "{field}");
    }
}

#[tokio::test]
async fn a_plan_tells_of_a_new_password_and_of_no_old_one() {
    let kit = Kit::new().await;
    apply(&kit, &example(), false).await;
    let mut next = example();
    next.users[0].disabled = Some(true);
    let hash_in = |plan: &ApplyPlan| match plan.steps.first() {
        Some(Step::UpdateUser(user)) => (
            user.to.password_hash.clone(),
            user.was.clone().unwrap().password_hash,
        ),
        other => panic!("{other:?}"),
    };
    let plan = kit.store.plan_apply(&next, false, None).await.unwrap();
    assert_eq!(hash_in(&plan), (None, None), "the password stays");
    let other = access::password::hash(PASSWORD, [2; 16]).unwrap();
    next.users[0].password_hash = Some(other.as_str().to_owned());
    let plan = kit.store.plan_apply(&next, false, None).await.unwrap();
    assert_eq!(hash_in(&plan), (next.users[0].password_hash.clone(), None));
}

#[tokio::test]
async fn prune_spares_the_caller_and_the_last_administrator() {
    let kit = Kit::new().await;
    let root = kit.administrator("root").await;
    kit.robot("ci", &[Role::Pull], "x").await;
    let nothing = Declared::default();
    let keep: PrincipalName = "ci".parse().unwrap();
    let plan = kit.store.plan_apply(&nothing, true, Some(&keep)).await.unwrap();
    assert_eq!(
        plan.steps.len(),
        1,
        "the grant goes, root stays for want of another: {plan:?}"
    );
    kit.store
        .carry_out(&Actor::administrator(&root, "apply"), plan)
        .await
        .unwrap();
    assert!(kit.store.access().principal(&keep).is_some());
    // With another administrator declared, root goes.
    let plan = kit
        .store
        .plan_apply(
            &Declared {
                users: vec![],
                ..example()
            },
            true,
            None,
        )
        .await
        .unwrap();
    let delete_root = Step::DeletePrincipal {
        kind: PrincipalKind::User,
        name: "root".parse().unwrap(),
    };
    assert!(!plan.steps.contains(&delete_root));
    let mut other = example();
    other.users[0].name = "boss".parse().unwrap();
    let plan = kit.store.plan_apply(&other, true, None).await.unwrap();
    assert!(plan.steps.contains(&delete_root));
    kit.store.carry_out(&Kit::operator(), plan).await.unwrap();
}

#[tokio::test]
async fn a_plan_for_a_state_that_is_gone_is_refused_and_changes_nothing() {
    let kit = Kit::new().await;
    let plan = kit.store.plan_apply(&example(), false, None).await.unwrap();
    kit.grant("authenticated", &[Role::Pull], "x").await;
    let refused = kit.store.carry_out(&Kit::operator(), plan).await.unwrap_err();
    assert!(matches!(refused, AdminError::Invalid { .. }), "{refused}");
    assert!(
        kit.store
            .principals(None, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn half_a_plan_is_no_plan() {
    let kit = Kit::new().await;
    let mut plan = kit.store.plan_apply(&example(), false, None).await.unwrap();
    plan.steps.push(Step::DeletePrincipal {
        kind: PrincipalKind::Robot,
        name: "nobody".parse().unwrap(),
    });
    assert!(matches!(
        kit.store.carry_out(&Kit::operator(), plan).await,
        Err(AdminError::NotFound { .. })
    ));
    assert!(
        kit.store
            .principals(None, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(kit.store.all_rules().await.unwrap().is_empty());
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_is_compared() {
    let kit = Kit::new().await;
    kit.robot("bot", &[Role::Pull], "x").await;
    let user = |extra: serde_json::Value| {
        let mut user = serde_json::json!({ "name": "ann" });
        user.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        serde_json::json!({ "users": [user] })
    };
    let grant = serde_json::json!({ "subject": "a", "pattern": "x", "roles": ["pull"] });
    for (bad, named) in [
        (
            serde_json::json!({ "users": [{ "name": "a" }], "robots": [{ "name": "a" }] }),
            "a is declared twice",
        ),
        (serde_json::json!({ "users": [{ "name": "bot" }] }), "bot"),
        (user(serde_json::json!({ "password_hash": "secret" })), "user ann"),
        (serde_json::json!({ "grants": [grant, grant] }), "grant of a on x"),
        (
            serde_json::json!({ "rules": [{ "pattern": "a" }, { "pattern": "a" }] }),
            "rule of a",
        ),
        (
            serde_json::json!({ "rules": [{ "pattern": "a", "immutable_tags": vec!["v*"; crate::IMMUTABLE_TAG_PATTERNS + 1] }] }),
            "rule of a: 33 patterns of immutable tags are too many; use at most 32",
        ),
    ] {
        let refused = kit.store.plan_apply(&declared(bad.clone()), false, None).await;
        match refused {
            Err(AdminError::Invalid { reason }) => assert!(reason.contains(named), "{bad}: {reason}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    for unreadable in [
        serde_json::json!({ "users": [{ "name": "a", "password": "x" }] }),
        user(serde_json::json!({ "not_after": "tomorrow" })),
        user(serde_json::json!({ "not_after": null })),
    ] {
        let read = serde_json::from_value::<Declared>(unreadable.clone());
        assert!(read.is_err(), "{unreadable}");
    }
}

#[tokio::test]
async fn a_plan_that_leads_over_a_cap_is_refused_before_anything_is_done() {
    let kit = Kit::with(|limits| {
        limits.principals = 3;
        limits.grants = 2;
        limits.rules = 1;
    })
    .await;
    apply(&kit, &example(), false).await;
    let more = |json: serde_json::Value| {
        let mut what = example();
        let more = declared(json);
        what.users.extend(more.users);
        what.grants.extend(more.grants);
        what.rules.extend(more.rules);
        what
    };
    let grant =
        |pattern: &str| serde_json::json!({ "subject": "ann", "pattern": pattern, "roles": ["pull"] });
    for (what, kind, limit) in [
        (
            more(serde_json::json!({ "users": [{ "name": "eve" }] })),
            "principal",
            3,
        ),
        (
            more(serde_json::json!({ "grants": [grant("a"), grant("b")] })),
            "grant",
            2,
        ),
        (
            more(serde_json::json!({ "rules": [{ "pattern": "other/**" }] })),
            "rule",
            1,
        ),
    ] {
        let refused = kit.store.plan_apply(&what, false, None).await.unwrap_err();
        assert!(
            matches!(refused, AdminError::TooMany { kind: k, limit: l } if (k, l) == (kind, limit)),
            "{kind}: {refused}"
        );
    }
    // What is removed makes room, and what adds nothing is no matter of caps.
    let other = declared(serde_json::json!({
        "users": [example().users[0]],
        "robots": [{ "name": "cd" }, { "name": "ce" }],
    }));
    apply(&kit, &other, true).await;
    assert!(
        kit.store
            .plan_apply(&other, true, None)
            .await
            .unwrap()
            .steps
            .is_empty()
    );
}

#[tokio::test]
async fn a_policy_is_declared_once_and_stays_where_none_is() {
    let kit = Kit::new().await;
    let text = "version: 1\nrules:\n  - {id: any, when: finding.kev, decide: refuse}\n";
    let wanted = declared(serde_json::json!({ "policy": text }));
    let plan = kit.store.plan_apply(&wanted, false, None).await.unwrap();
    assert!(matches!(
        &plan.steps[..],
        [Step::SetPolicy(Becoming { was: None, .. })]
    ));
    kit.store.carry_out(&Kit::operator(), plan).await.unwrap();
    assert_eq!(kit.store.policy().await.unwrap().unwrap().body, text);
    for again in [wanted, Declared::default()] {
        let plan = kit.store.plan_apply(&again, true, None).await.unwrap();
        assert!(plan.steps.is_empty(), "{plan:?}");
    }
    let wrong = declared(serde_json::json!({ "policy": "version: 1\nrules:\n  - {id: any}\n" }));
    let error = kit.store.plan_apply(&wrong, false, None).await.unwrap_err();
    assert!(error.to_string().contains("policy:3: "), "{error}");
}

#[tokio::test]
async fn what_is_in_use_is_declared_with_its_end() {
    let kit = Kit::new().await;
    let in_days = |days: u64| {
        let end = kit.store.now().plus(std::time::Duration::from_hours(24 * days));
        end.to_rfc3339()
    };
    let of = |until: &str| {
        declared(serde_json::json!({
            "in_use": [
                { "repository": "team/app", "reference": "v1", "until": until, "reason": "inventory" },
                { "repository": "team/app", "reference": "v2", "until": in_days(0), "reason": "is over" },
            ],
        }))
    };
    let known = async || {
        let page = kit.store.in_use_by_word(None, 10).await.unwrap();
        page.items.len()
    };
    assert_eq!(apply(&kit, &of(&in_days(30)), false).await.steps, 1);
    assert_eq!(apply(&kit, &of(&in_days(30)), true).await.steps, 0, "once");
    assert_eq!(apply(&kit, &of(&in_days(40)), true).await.steps, 1, "another end");
    assert_eq!(known().await, 1);
    for wrong in ["never", &in_days(400)] {
        assert!(
            kit.store.plan_apply(&of(wrong), false, None).await.is_err(),
            "{wrong}"
        );
    }
    let mut twice = of(&in_days(30));
    twice.in_use.push(twice.in_use[0].clone());
    assert!(kit.store.plan_apply(&twice, false, None).await.is_err());
    apply(&kit, &Declared::default(), false).await;
    assert_eq!(known().await, 1, "without prune it stays");
    assert_eq!(apply(&kit, &Declared::default(), true).await.steps, 1);
    assert_eq!(known().await, 0);
}

#[tokio::test]
async fn signers_are_declared_once_and_pruned() {
    let kit = Kit::new().await;
    let signer =
        |name: &str, key: &str| serde_json::json!({ "name": name, "repositories": ["prod/**"], "key": key });
    let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
               -----END PUBLIC KEY-----\n";
    let wanted = declared(serde_json::json!({ "signers": [signer("release", key)] }));
    assert_eq!(apply(&kit, &wanted, false).await.steps, 1);
    assert_eq!(apply(&kit, &wanted, true).await.steps, 0);
    assert_eq!(kit.store.trusted_signers().await.unwrap(), wanted.signers);
    // Without `prune` nothing goes.
    assert_eq!(apply(&kit, &Declared::default(), false).await.steps, 0);
    let plan = kit
        .store
        .plan_apply(&Declared::default(), true, None)
        .await
        .unwrap();
    assert!(matches!(&plan.steps[..], [Step::RemoveSigner(signer)] if signer.name == "release"));
    kit.store.carry_out(&Kit::operator(), plan).await.unwrap();
    assert!(kit.store.trusted_signers().await.unwrap().is_empty());
    for (bad, told) in [
        (serde_json::json!([signer("release", "no key")]), "no public key"),
        (
            serde_json::json!([signer("a", key), signer("a", key)]),
            "the signer a is declared twice",
        ),
    ] {
        let bad = declared(serde_json::json!({ "signers": bad }));
        let error = kit.store.plan_apply(&bad, false, None).await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
