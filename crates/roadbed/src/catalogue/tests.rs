//! What a catalogue may say, and what is refused before it comes near the store.

use super::*;

fn config(speaks_of: &[&str], prune: bool) -> CatalogueConfig {
    CatalogueConfig {
        repository: "platform/catalog".parse().unwrap(),
        tag: "latest".parse().unwrap(),
        signers: vec!["platform".to_owned()],
        speaks_of: speaks_of.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        prune,
        signatures: SignatureLimits::default(),
    }
}

fn component(name: &str, repositories: &str) -> String {
    format!(
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n  annotations:\n    \
         roadbed.dev/repositories: {repositories}\nspec:\n  owner: team-{name}\n"
    )
}

fn base(name: &str, repository: &str, replaced_by: &str) -> String {
    format!(
        "apiVersion: road/v1\nkind: BaseImage\nmetadata: {{name: {name}, owner: platform}}\nspec:\n  repo: {repository}\n  \
         lifecycle: supported\n  supportedUntil: 2099-09-30\n{replaced_by}"
    )
}

fn said(files: &[(&str, &str)], config: &CatalogueConfig) -> Result<PushedEntries, String> {
    let files: Vec<(String, String)> = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    contents::entries(&files, config).map_err(|refused| refused.to_string())
}

fn refusal(text: &str, config: &CatalogueConfig) -> String {
    said(&[("catalog-info.yaml", text)], config).unwrap_err()
}

#[test]
fn both_kinds_of_files_are_read_together() {
    let all = config(&["**"], false);
    let (shop, java) = (component("shop", "shop/**"), base("java17", "base/java17", ""));
    let read = said(&[("a/catalog-info.yaml", &shop), ("pavedroad.yaml", &java)], &all).unwrap();
    assert_eq!(
        (read.applications.len(), read.bases.len(), read.prune),
        (1, 1, false)
    );
    assert_eq!(read.applications[0].origin, "a/catalog-info.yaml:1");
}

#[test]
fn it_speaks_of_what_it_may_and_never_takes_back_all() {
    let some = config(&["shop/**", "base/*"], true);
    assert!(said(&[("c.yaml", &component("shop", "shop/cart"))], &some).is_ok());
    let beyond = refusal(&component("shop", "'shop/**,pay/**'"), &some);
    assert!(
        beyond.contains("application shop names pay/**, which catalog.speaks_of"),
        "{beyond}"
    );
    let java = base("java17", "other/java17", "");
    let beyond = said(&[("pavedroad.yaml", &java)], &some).unwrap_err();
    assert!(beyond.contains("base java17 names other/java17"), "{beyond}");
    let empty = refusal("kind: Location\n", &some);
    assert!(empty.contains("rendered empty"), "{empty}");
}

#[test]
fn hostile_files_are_refused_with_their_place() {
    let all = config(&["**"], false);
    // Aliases of aliases: a billion words from a few lines.
    let mut lines = vec![
        "kind: Component".to_owned(),
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned(),
    ];
    lines.extend((1..12).map(|level| {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{before}]")
    }));
    let bomb = lines.join("\n");
    let started = std::time::Instant::now();
    let refused = refusal(&bomb, &all);
    assert!(refused.starts_with("catalog-info.yaml:"), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(5), "{refused}");

    let twice = format!(
        "{}---\n{}",
        component("shop", "shop/**"),
        component("shop", "other/**")
    );
    let refused = refusal(&twice, &all);
    assert!(
        refused.contains("component:shop") && refused.contains("is there already"),
        "{refused}"
    );
    let circle = "kind: Group\nmetadata: {name: a}\nspec: {parent: b}\n---\nkind: Group\nmetadata: {name: b}\nspec: {parent: a}\n";
    let refused = refusal(circle, &all);
    assert!(refused.contains("part of itself"), "{refused}");
    let refused = refusal("kind: [", &all);
    assert!(refused.starts_with("catalog-info.yaml:1: "), "{refused}");
}
