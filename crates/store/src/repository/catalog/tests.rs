//! The catalogue of callers who see little among much: what they get, and what it costs.

use std::collections::BTreeSet;

use super::*;
use crate::testing::Kit;

const TEAMS: usize = 1_000;
const APPS: usize = 100;

/// A store with 100,000 repositories: `team-000/app-00` to `team-999/app-99`.
async fn crowded() -> Kit {
    let kit = Kit::new().await;
    let sql = "INSERT INTO repository (name, bytes, tags, manifests, blobs, created_at, changed_at) \
               WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
               SELECT printf('team-%03d/app-%02d', i / 100, i % 100), 0, 0, 0, 0, 0, 0 FROM n";
    let insert = kit.store.write(move |tx| {
        Box::pin(async move { sql::execute(tx.sql(), sql, [sql::to_db((TEAMS * APPS) as u64).into()]).await })
    });
    let inserted: Result<u64, StoreError> = insert.await;
    assert_eq!(inserted.unwrap(), (TEAMS * APPS) as u64);
    kit
}

fn patterns(texts: &[&str]) -> Vec<RepoPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

struct Cost {
    rows: usize,
    statements: u64,
}

/// Reads all pages; answers the names and the dearest page.
async fn read(kit: &Kit, within: &[RepoPattern], limit: usize) -> (Vec<RepoName>, Cost) {
    let visible = |name: &RepoName| within.iter().any(|pattern| pattern.matches(name));
    let (mut names, mut after) = (Vec::new(), None::<String>);
    let mut cost = Cost {
        rows: 0,
        statements: 0,
    };
    loop {
        let before = kit.store.inner.db.calls();
        let mut search = Search::new(&kit.store, &visible, limit + 1);
        search.run(within, after.as_deref()).await.unwrap();
        cost.rows = cost.rows.max(search.rows);
        cost.statements = cost.statements.max(kit.store.inner.db.calls() - before);
        let page = Page::cut(search.names, limit);
        names.extend(page.items);
        if !page.more {
            return (names, cost);
        }
        after = names.last().map(ToString::to_string);
    }
}

/// Patterns, names per page, names that there are; rows and statements that one page may cost.
type Case<'c> = (&'c [&'c str], usize, usize, (usize, u64));

#[tokio::test]
async fn whoever_sees_little_reads_little_of_100_000_names() {
    let kit = crowded().await;
    let many: Vec<String> = (0..1_500)
        .map(|number| format!("team-{number:03}/app-7{}", number % 10))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let teams: Vec<String> = (0..500)
        .map(|number| format!("team-{:03}/app-1*", number * 2))
        .collect();
    let teams: Vec<&str> = teams.iter().map(String::as_str).collect();
    let cases: [Case<'_>; 12] = [
        (&["team-500/**"], 1_000, 100, (100, 1)),
        (&["team-500/**"], 10, 100, (64, 1)),
        (
            &["team-500/app-0*", "nobody/**", "team-999/app-99"],
            100,
            11,
            (14, 3),
        ),
        (&["nothing/**"], 100, 0, (0, 1)),
        (&[], 100, 0, (0, 0)),
        (&["**/app-42"], 100, 1_000, (101, 1)),
        (&["**/app-42", "team-500/**"], 1_000, 1_099, (1_101, 3)),
        (&["*"], 100, 0, (0, 1)),
        (&["*-5*/app-*3"], 1_000, 1_000, (1_001, 1)),
        (&["**"], 1_000, TEAMS * APPS, (1_001, 1)),
        (&many, 1_000, TEAMS, (1_200, 8)),
        (&teams, 100, 5_000, (1_000, 20)),
    ];
    for (texts, limit, count, (rows, statements)) in cases {
        let within = patterns(texts);
        let (names, cost) = read(&kit, &within, limit).await;
        let shown = &texts[..texts.len().min(3)];
        assert_eq!(names.len(), count, "{shown:?}");
        assert!(names.is_sorted_by(|left, right| left < right), "{shown:?}");
        assert!(cost.rows <= rows, "{shown:?}: {} rows", cost.rows);
        assert!(
            cost.statements <= statements,
            "{shown:?}: {} statements",
            cost.statements
        );
    }
}

/// xorshift: the same story each time.
struct Dice(u64);

impl Dice {
    fn pick<'t>(&mut self, among: &[&'t str]) -> &'t str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        among[usize::try_from(self.0 % among.len() as u64).unwrap()]
    }
}

#[tokio::test]
async fn whatever_the_patterns_the_pages_are_what_matches_in_order() {
    const NAMES: [&str; 16] = [
        "a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/b_c", "a_b/c", "ab", "ab/c", "b", "b/a", "b/a/b",
        "b/b", "c/a/b/c", "c/b",
    ];
    const PATTERNS: [&str; 20] = [
        "**", "*", "a", "a/b", "b/b", "none", "a/*", "a/**", "*/b", "**/b", "a/*/c", "a/**/c", "*/**", "a*",
        "a*/c", "*b/**", "a/b*", "c/**/c", "**/a/**", "a_*/*",
    ];
    let kit = Kit::new().await;
    let ci = kit.all("ci").await;
    for name in NAMES {
        kit.push_blob(&ci, name, b"x").await.unwrap();
    }
    let mut dice = Dice(0x9E37_79B9);
    for round in 0..150 {
        let texts: BTreeSet<&str> = (0..round % 5).map(|_| dice.pick(&PATTERNS)).collect();
        let within = patterns(&texts.iter().copied().collect::<Vec<_>>());
        let expected: BTreeSet<&str> = NAMES
            .into_iter()
            .filter(|name| {
                within
                    .iter()
                    .any(|pattern| pattern.matches(&name.parse().unwrap()))
            })
            .collect();
        let (names, _) = read(&kit, &within, 1 + round % 4).await;
        let names: Vec<&str> = names.iter().map(RepoName::as_str).collect();
        assert_eq!(names, expected.into_iter().collect::<Vec<_>>(), "{texts:?}");
    }
}
