//! Tests of patterns: tables, and an exhaustive comparison with brute force on short patterns and names.

use super::*;

fn pattern(text: &str) -> RepoPattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn name(text: &str) -> RepoName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn matching() {
    for (text, yes, no) in [
        (
            "team/app",
            &["team/app"][..],
            &["team/ap", "team/apps", "team", "team/app/x", "x/team/app"][..],
        ),
        (
            "team/*",
            &["team/app", "team/a"],
            &["team", "team/a/b", "teams/a"],
        ),
        (
            "team/**",
            &["team/app", "team/a/b", "team/a/b/c"],
            &["team", "teams/a", "a/team/b"],
        ),
        ("**", &["a", "a/b", "a/b/c/d"], &[]),
        ("*", &["a", "a-b"], &["a/b"]),
        ("*/**", &["a/b", "a/b/c"], &["a"]),
        (
            "**/app",
            &["app", "a/app", "a/b/app"],
            &["app/a", "xapp", "a/xapp"],
        ),
        (
            "a/**/b",
            &["a/b", "a/x/b", "a/x/y/b", "a/b/b"],
            &["a", "b", "a/x", "ab", "a/b/c"],
        ),
        ("a*", &["a", "ab", "a-b"], &["ba", "a/b"]),
        ("*-dev", &["x-dev", "a-b-dev"], &["dev", "x-dev-y"]),
        ("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "a", "b"]),
        (
            "**/x/**/y",
            &["x/y", "a/x/b/y", "x/x/y/y", "x/y/x/y"],
            &["x", "y/x", "x/y/z"],
        ),
        (
            "**/*-app/**",
            &["my-app/x", "a/my-app/x/y"],
            &["my-app", "a/my-app", "app/x"],
        ),
        ("a/*/c/**", &["a/b/c/d"], &["a/b/c", "a/b/b/c/d"]),
    ] {
        for candidate in yes {
            assert!(
                pattern(text).matches(&name(candidate)),
                "{text} should match {candidate}"
            );
        }
        for candidate in no {
            assert!(
                !pattern(text).matches(&name(candidate)),
                "{text} should not match {candidate}"
            );
        }
    }
}

#[test]
fn malformed_patterns() {
    for text in [
        "/a", "a/", "a//b", "/", "a**", "**a", "a/b**/c", "***", "A", "a b", "a\0", "é", "a?", "[a]",
        "**/**", "a/**/**",
    ] {
        let error = text.parse::<RepoPattern>().unwrap_err();
        assert!(matches!(error, PatternError::Malformed { .. }), "{text}: {error}");
    }
    for text in [
        "a..b", ".", "..", "../a", "a.", "-", "*..", "a___b", "*-_*", "a/.*",
    ] {
        let error = text.parse::<RepoPattern>().unwrap_err();
        assert!(
            matches!(error, PatternError::MatchesNothing { .. }),
            "{text}: {error}"
        );
    }
    assert_eq!("".parse::<RepoPattern>(), Err(PatternError::Empty));
}

#[test]
fn limits() {
    let long = "a".repeat(MAX_PATTERN_BYTES);
    assert_eq!(pattern(&long).exact(), Some(name(&long)));
    assert_eq!(
        format!("{long}a").parse::<RepoPattern>(),
        Err(PatternError::TooLong {
            bytes: MAX_PATTERN_BYTES + 1
        })
    );
    let stars = ["*"; MAX_WILDCARDS].join("/");
    assert!(stars.parse::<RepoPattern>().is_ok());
    let error = format!("{stars}/**").parse::<RepoPattern>().unwrap_err();
    assert_eq!(
        error,
        PatternError::TooManyWildcards {
            wildcards: MAX_WILDCARDS + 1
        }
    );
}

/// Overlap minds the length of names: a name that both of these match would have 401 bytes.
#[test]
fn names_too_long_to_exist_do_not_count() {
    let (left, right) = (
        format!("{}/**", "a".repeat(200)),
        format!("**/{}", "b".repeat(200)),
    );
    assert!(!pattern(&left).overlaps(&pattern(&right)));
    assert!(pattern(&left).overlaps(&pattern(&right[..200 / 4])));
}

#[test]
fn overlap_and_containment() {
    // (a, b, overlap, a contains b, b contains a)
    for (a, b, overlap, a_contains, b_contains) in [
        ("team/app", "team/app", true, true, true),
        ("team/app", "team/ap", false, false, false),
        ("team/*", "team/app", true, true, false),
        ("team/**", "team/*", true, true, false),
        ("team/**", "team", false, false, false),
        ("team/*", "*/app", true, false, false),
        ("**", "team/**", true, true, false),
        ("**", "**/*", true, true, true),
        ("a/**", "a/**/*", true, true, true),
        ("*/**", "**/*", true, false, true),
        ("a*", "*b", true, false, false),
        ("a*", "b*", false, false, false),
        ("a*", "a-*", true, true, false),
        ("*-*", "a-*", true, true, false),
        ("**/app", "app", true, true, false),
        ("**/app", "x/**", true, false, false),
        ("a/**/b", "a/b", true, true, false),
        ("a/**/b", "a/*/b", true, true, false),
        ("**/a/**", "a/**/a/**", true, true, false),
        ("**/a*/*/*", "**/*b/*", true, false, false),
    ] {
        let (a, b) = (pattern(a), pattern(b));
        assert_eq!(a.overlaps(&b), overlap, "{a} overlaps {b}");
        assert_eq!(b.overlaps(&a), overlap, "{b} overlaps {a}");
        assert_eq!(a.contains(&b), a_contains, "{a} contains {b}");
        assert_eq!(b.contains(&a), b_contains, "{b} contains {a}");
    }
}

/// Every string over `alphabet` of 1 to `longest` characters.
fn strings(alphabet: &[char], longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = all.len();
        for index in from..to {
            all.extend(
                alphabet
                    .iter()
                    .map(|c| format!("{}{c}", all[index]))
                    .collect::<Vec<_>>(),
            );
        }
        from = to;
    }
    all.split_off(1)
}

/// Matching by trying everything: the definition, not the algorithm.
fn matches_by_trying(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        (["**"], _) => !name.is_empty(),
        (["**", rest @ ..], _) => (0..=name.len()).any(|skip| matches_by_trying(rest, &name[skip..])),
        ([first, rest @ ..], [component, more @ ..]) => {
            component_by_trying(first.as_bytes(), component.as_bytes()) && matches_by_trying(rest, more)
        }
        ([], []) => true,
        _ => false,
    }
}

fn component_by_trying(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| component_by_trying(rest, &text[skip..])),
        ([wanted, rest @ ..], [found, more @ ..]) => wanted == found && component_by_trying(rest, more),
        ([], []) => true,
        _ => false,
    }
}

/// On all patterns of up to four characters over `a - * /`, and some longer ones: matching, overlap,
/// containment and specificity agree with what trying all short names says. `b` stands for every letter that
/// no pattern mentions.
#[test]
fn agrees_with_brute_force() {
    let names: Vec<RepoName> = strings(&['a', 'b', '-', '/'], 7)
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let longer = [
        "**/a", "a/**/a", "**/a/**", "**/a*", "**/*-a", "*/**/a", "**/a*/*", "a-*/**", "**/*a*", "*a*a*",
        "a/*/**",
    ];
    let patterns: Vec<RepoPattern> = strings(&['a', '-', '*', '/'], 4)
        .iter()
        .filter_map(|text| text.parse().ok())
        .chain(longer.map(pattern))
        .collect();
    let sets: Vec<Vec<bool>> = patterns
        .iter()
        .map(|pattern| {
            let parts: Vec<&str> = pattern.as_str().split('/').collect();
            names
                .iter()
                .map(|name| {
                    let tried = matches_by_trying(&parts, &name.components().collect::<Vec<_>>());
                    assert_eq!(pattern.matches(name), tried, "{pattern} on {name}");
                    tried
                })
                .collect()
        })
        .collect();
    for (a, in_a) in patterns.iter().zip(&sets) {
        for (b, in_b) in patterns.iter().zip(&sets) {
            let both = || in_a.iter().zip(in_b);
            assert_eq!(a.overlaps(b), both().any(|(a, b)| *a && *b), "{a} overlaps {b}");
            let contains = a.contains(b);
            assert_eq!(contains, both().all(|(a, b)| *a || !*b), "{a} contains {b}");
            if contains && b.contains(a) {
                assert_eq!(a.specificity(), b.specificity(), "{a} is {b}");
            } else if contains {
                assert!(a.specificity() < b.specificity(), "{a} contains {b}");
            }
        }
    }
}

/// The costliest pairs that the limits let through are answered in time that an administrator does not
/// notice.
#[test]
fn containment_of_the_worst_patterns_is_bounded() {
    let deep = pattern(&format!("**/a*{}", "/*".repeat(MAX_WILDCARDS - 2)));
    let mixed = pattern(&format!("**/*b{}", "/*".repeat(MAX_WILDCARDS - 2)));
    assert!(!deep.contains(&mixed));
    assert!(deep.overlaps(&mixed));
    assert!(deep.contains(&deep));
    let stars = pattern(&"*ab".repeat(MAX_WILDCARDS));
    let shifted = pattern(&"*ba".repeat(MAX_WILDCARDS));
    assert!(!stars.contains(&shifted));
    let long = pattern(&format!("**/{}", ["a*"; 6].join("/b/c/d/")));
    assert!(!long.contains(&deep));
    assert!(!long.contains(&pattern("**")));
}

#[test]
fn specificity_orders_as_documented() {
    let ordered = [
        "team/app", "team/ap*", "team/*", "team/**", "*/app", "te*", "**/a", "*", "**",
    ];
    for pair in ordered.windows(2) {
        let (narrow, wide) = (pattern(pair[0]), pattern(pair[1]));
        assert!(narrow.specificity() > wide.specificity(), "{narrow} over {wide}");
    }
}

#[test]
fn from_a_name() {
    let name = name("a/b-c");
    let from = RepoPattern::from(&name);
    assert_eq!(from, pattern("a/b-c"));
    assert!(from.matches(&name) && pattern("a/b-c").contains(&from));
    assert_eq!(from.exact(), Some(name));
    assert_eq!(pattern("a/*").exact(), None);
}

mod map {
    use super::*;

    #[test]
    fn the_most_specific_wins() {
        let map = PatternMap::build(
            [
                "**",
                "team/**",
                "team/app",
                "team/*",
                "*/app",
                "**/app",
                "team/*-dev",
            ]
            .map(|text| (pattern(text), text))
            .to_vec(),
        )
        .unwrap();
        for (candidate, winner) in [
            ("x", "**"),
            ("team", "**"),
            ("app", "**/app"),
            ("team/x", "team/*"),
            ("team/app", "team/app"),
            ("team/x-dev", "team/*-dev"),
            ("team/x/y", "team/**"),
            ("other/app", "*/app"),
            ("other/x/app", "**/app"),
            ("team/x/app", "team/**"),
        ] {
            assert_eq!(map.get(&name(candidate)), Some(&winner), "{candidate}");
            assert_eq!(map.get_entry(&name(candidate)).unwrap().0, &pattern(winner));
        }
        assert_eq!(map.len(), 7);
        assert!(
            map.iter()
                .map(|(pattern, _)| pattern.specificity())
                .rev_is_sorted()
        );
        assert_eq!(PatternMap::<()>::default().get(&name("a")), None);
    }

    trait RevIsSorted {
        fn rev_is_sorted(self) -> bool;
    }

    impl<I: Iterator<Item = Specificity>> RevIsSorted for I {
        fn rev_is_sorted(self) -> bool {
            self.map(Reverse).is_sorted()
        }
    }

    #[test]
    fn ties_are_refused() {
        for (a, b) in [
            ("a*", "*a"),
            ("a/*", "*/a"),
            ("a/b", "a/b"),
            ("**", "**/*"),
            ("x/a*", "x/*a"),
        ] {
            let tie =
                PatternMap::build(vec![(pattern(a), 1), (pattern("zz/**"), 2), (pattern(b), 3)]).unwrap_err();
            let mut found = [tie.a.as_str(), tie.b.as_str()];
            found.sort_unstable();
            let mut wanted = [a, b];
            wanted.sort_unstable();
            assert_eq!(found, wanted);
        }
        for (a, b) in [
            ("a/*", "b/*"),
            ("a*", "b*"),
            ("*a", "*b"),
            ("a/**", "*/ab"),
            ("ab", "ac"),
        ] {
            assert!(
                PatternMap::build(vec![(pattern(a), ()), (pattern(b), ())]).is_ok(),
                "{a} {b}"
            );
        }
    }

    /// Ten thousand teams with a rule each still build and answer at once.
    #[test]
    fn many_entries() {
        let entries = (0..10_000)
            .map(|n| (pattern(&format!("team{n:05}/**")), n))
            .collect();
        let map = PatternMap::build(entries).unwrap();
        assert_eq!(map.get(&name("team01234/app")), Some(&1234));
        assert_eq!(map.get(&name("team/app")), None);
    }
}

#[test]
fn every_match_begins_with_the_literal_prefix() {
    for (pattern, prefix) in [
        ("team/app", "team/app"),
        ("team/**", "team/"),
        ("team/app-*/x", "team/app-"),
        ("**/app", ""),
        ("*", ""),
    ] {
        let pattern: RepoPattern = pattern.parse().unwrap();
        assert_eq!(pattern.literal_prefix(), prefix);
    }
}

#[test]
fn everything_is_what_two_stars_are() {
    let parsed: RepoPattern = "**".parse().unwrap();
    assert_eq!(RepoPattern::everything().segments, parsed.segments);
    assert_eq!(RepoPattern::everything(), parsed);
}
