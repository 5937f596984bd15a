//! Rules: which one holds, and which are refused.

use super::*;
use crate::testing::Kit;

fn glob(pattern: &str, text: &str) -> bool {
    access::glob(pattern.as_bytes(), text.as_bytes())
}

#[test]
fn globs_match_as_they_read() {
    let matches = [
        ("*", ""),
        ("*", "x"),
        ("v*", "v1"),
        ("*-rc*", "1-rc.2"),
        ("a*b*c", "axbxbc"),
        ("v1", "v1"),
    ];
    for (pattern, text) in matches {
        assert!(glob(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("v*", "1"), ("v1", "v10"), ("a*b", "ac"), ("", "x"), ("*a", "b")] {
        assert!(!glob(pattern, text), "{pattern} {text}");
    }
    // The one that takes exponential time where it is done badly.
    let (pattern, text) = ("*a".repeat(60), "a".repeat(127) + "b");
    assert!(!glob(&pattern, &text));
}

#[test]
fn a_rule_reads_as_it_is_written() {
    let text = r#"{"pattern":"team/**","immutable_tags":["v*"],"quota_bytes":10,"deletion":false}"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    assert_eq!(rule.rules.quota_bytes, Some(10));
    assert_eq!(serde_json::to_string(&rule).unwrap(), text);
    assert!(
        serde_json::from_str::<Rules>(r#"{"quota":1}"#).is_err(),
        "unknown keys are errors"
    );
    assert_eq!(serde_json::from_str::<Rules>("{}").unwrap(), Rules::default());
}

#[tokio::test]
async fn the_most_specific_pattern_holds_alone() {
    let kit = Kit::new().await;
    kit.rule(
        "**",
        Rules {
            deletion: false,
            ..Rules::default()
        },
    )
    .await;
    kit.rule(
        "team/*",
        Rules {
            quota_tags: Some(3),
            ..Rules::default()
        },
    )
    .await;
    let rules = kit.store.rules(&"team/app".parse().unwrap());
    assert_eq!((rules.deletion, rules.quota_tags), (true, Some(3)));
    assert!(!kit.store.rules(&"other".parse().unwrap()).deletion);
    kit.store
        .remove_rule(&Kit::operator(), &"team/*".parse().unwrap())
        .await
        .unwrap();
    assert!(!kit.store.rules(&"team/app".parse().unwrap()).deletion);
    let gone = kit
        .store
        .remove_rule(&Kit::operator(), &"team/*".parse().unwrap())
        .await;
    assert!(matches!(gone, Err(AdminError::NotFound { kind: "rule", .. })));
}

#[tokio::test]
async fn ties_nonsense_and_too_many_are_refused() {
    let kit = Kit::with(|limits| limits.rules = 2).await;
    let set = async |pattern: &str, rules: Rules| {
        let rule = Rule {
            pattern: pattern.parse().unwrap(),
            rules,
        };
        kit.store.set_rule(&Kit::operator(), &rule).await
    };
    set("a/*", Rules::default()).await.unwrap();
    assert!(
        matches!(
            set("*/b", Rules::default()).await,
            Err(AdminError::Invalid { .. })
        ),
        "both match a/b"
    );
    let nonsense = |tags: Vec<String>| Rules {
        immutable_tags: Some(ImmutableTags(tags)),
        ..Rules::default()
    };
    for tags in [
        vec![String::new()],
        vec!["a b".into()],
        vec!["!".into()],
        vec!["*".into(); 33],
    ] {
        assert!(matches!(
            set("a/*", nonsense(tags)).await,
            Err(AdminError::Invalid { .. })
        ));
    }
    set("b/*", Rules::default()).await.unwrap();
    assert!(matches!(
        set("c/*", Rules::default()).await,
        Err(AdminError::TooMany {
            kind: "rule",
            limit: 2
        })
    ));
    set(
        "b/*",
        Rules {
            deletion: false,
            ..Rules::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(kit.store.all_rules().await.unwrap().len(), 2);
}
