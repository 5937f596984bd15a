use super::*;
use std::fmt::Write as _;

mod paved;

fn limits() -> CatalogLimits {
    CatalogLimits::default()
}

fn read_text(text: &str) -> Result<Catalog, CatalogErrors> {
    let name = "catalog-info.yaml";
    read(&[SourceFile { name, text }], &limits())
}

/// The only error, as text.
fn complaint(text: &str) -> String {
    read_text(text).unwrap_err().to_string()
}

const SHOP: &str = r#"
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Checkout
  namespace: shop
  labels: {a: b}
  annotations:
    roadbed.dev/repositories: "shop/checkout, shop/checkout/**"
    roadbed.dev/tier: 1
    roadbed.dev/environments: production, staging
    backstage.io/techdocs-ref: dir:.
    odd/list: [1, {a: b}]
spec:
  type: service
  lifecycle: production
  owner: group:default/team-checkout
  system: shop/storefront
  providesApis: [a, b]
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: cart, annotations: {github.com/project-slug: Shop/Cart}}
spec: {type: service, system: system:shop/storefront}
--- # another one
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: storefront, namespace: shop}
spec: {owner: team-shop}
---
kind: Group
metadata: {name: team-checkout}
spec: {type: team, profile: {email: checkout@shop.example}, parent: everybody, children: []}
---
kind: Location
spec: {targets: [./a.yaml]}
---
kind: Template
"#;

#[test]
fn entities_become_statements() {
    let catalog = read_text(SHOP).unwrap();
    let [checkout, cart] = &catalog.statements[..] else {
        panic!("{:?}", catalog.statements);
    };
    assert_eq!(checkout.application.as_str(), "shop/checkout");
    assert_eq!(
        checkout.owner.as_ref().unwrap().to_string(),
        "group:team-checkout"
    );
    assert_eq!(
        (
            checkout.tier,
            checkout.environments.len(),
            checkout.repositories.len()
        ),
        (Some(1), 2, 2)
    );
    assert_eq!(checkout.contacts[0].email(), Some("checkout@shop.example"));
    assert_eq!(checkout.kind.as_deref(), Some("service"));
    assert_eq!(checkout.origin, "catalog-info.yaml:2");
    // By its system, and said so.
    assert_eq!(cart.owner.as_ref().unwrap().to_string(), "group:team-shop");
    assert!(
        cart.origin.contains("by its system shop/storefront"),
        "{}",
        cart.origin
    );
    // Guessed, and only shown.
    assert!(cart.repositories.is_empty());
    let hints: Vec<&str> = catalog.hints.iter().map(|hint| hint.pattern.as_str()).collect();
    assert_eq!(hints, ["shop/cart", "**/cart"]);
    assert_eq!(
        catalog
            .ignored
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
            .collect::<Vec<_>>(),
        [("Location", 1), ("Template", 1)]
    );
}

#[test]
fn complaints_name_file_and_line() {
    let component = |rest: &str| {
        format!("kind: Group\nmetadata: {{name: a}}\n---\nkind: Component\nmetadata:\n  name: x\n{rest}")
    };
    let annotated = |annotation: &str| component(&format!("  annotations:\n    roadbed.dev/{annotation}\n"));
    for (text, wanted) in [
        (
            component("spec: {owner: 'robot:x'}"),
            "catalog-info.yaml:7: `spec.owner`: `robot:x` is no owner",
        ),
        (component("spec: {owner: \"a\\nb\"}"), "`a?b` is no owner"),
        (
            annotated("repositories: '**'"),
            "catalog-info.yaml:8: `roadbed.dev/repositories`: `**` takes repositories of everybody",
        ),
        (
            annotated("repositories: sh*/x"),
            "takes repositories of everybody",
        ),
        (annotated("repositories: Not/Good"), "malformed"),
        (annotated("tier: 10"), "no tier"),
        (component("spec: ["), "catalog-info.yaml:"),
        (
            "metadata: {name: a}".to_owned(),
            "catalog-info.yaml:1: an entity needs `kind`",
        ),
        ("kind: Component".to_owned(), "needs `metadata`"),
        (
            "kind: Component\nmetadata: {}".to_owned(),
            "needs `metadata.name`",
        ),
        (
            "\n\nkind: Component\nmetadata: {name: 'a/b/c'}".to_owned(),
            "catalog-info.yaml:4: `metadata.name`",
        ),
        ("just text".to_owned(), "catalog-info.yaml:1"),
    ] {
        let complaint = complaint(&text);
        assert!(complaint.contains(wanted), "{complaint}\nfor\n{text}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn what_is_there_twice_names_both_places() {
    let one = "kind: Component\nmetadata: {name: a}\nspec: {owner: x}\n";
    let other = "# moved\nkind: Component\nmetadata: {name: A, namespace: default}\nspec: {owner: y}\n";
    let files = [
        SourceFile {
            name: "one.yaml",
            text: one,
        },
        SourceFile {
            name: "two.yaml",
            text: other,
        },
    ];
    let errors = read(&files, &limits()).unwrap_err().to_string();
    assert_eq!(
        errors,
        "two.yaml:2: `component:a` is there already, at one.yaml:1: remove one of them"
    );
}

#[test]
fn circles_are_found() {
    let group = |name: &str, parent: &str| {
        format!("kind: Group\nmetadata: {{name: {name}}}\nspec: {{parent: {parent}}}\n---\n")
    };
    let text = group("a", "b")
        + &group("b", "group:default/c")
        + &group("c", "a")
        + &group("d", "a")
        + &group("e", "none");
    let complaint = complaint(&text);
    assert!(
        complaint.contains("part of itself, through b, c, a"),
        "{complaint}"
    );
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    let own = "kind: Component\nmetadata: {name: a}\nspec: {subcomponentOf: a}\n";
    assert!(read_text(own).unwrap_err().to_string().contains("part of itself"));
    // A long way without a circle is walked once.
    let way: Vec<String> = (0..3_000)
        .map(|n| group(&format!("g{n}"), &format!("g{}", n + 1)))
        .collect();
    let way = way.concat();
    assert!(read_text(&way).is_ok());
}

#[test]
fn bombs_do_not_go_off() {
    let mut bomb = String::from("kind: Component\nmetadata: {name: a}\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        let aliases = [alias.as_str(); 10].join(",");
        let _ = writeln!(bomb, "a{level}: &a{level} [{aliases}]");
    }
    let deep = format!(
        "kind: Component\nmetadata: {{name: a}}\nspec: {}{}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let wide = format!(
        "kind: Component\nmetadata: {{name: a}}\nspec: [{}]",
        "x,".repeat(150_000)
    );
    let anchors: Vec<String> = (0..2_000).map(|n| format!("k{n}: &n{n} x\n")).collect();
    let anchors = anchors.concat();
    for text in [bomb, deep, wide, format!("kind: Component\n{anchors}")] {
        let started = std::time::Instant::now();
        let complaint = complaint(&text);
        assert!(complaint.starts_with("catalog-info.yaml:"), "{complaint}");
        assert!(
            started.elapsed() < std::time::Duration::from_secs(5),
            "{complaint}"
        );
    }
}

#[test]
fn sizes_are_bounded() {
    let text = "kind: Location\n---\nkind: Location\n";
    let file = SourceFile { name: "a.yaml", text };
    let errors = |limits: CatalogLimits| read(&[file, file], &limits).unwrap_err().to_string();
    let small = |change: &dyn Fn(&mut CatalogLimits)| {
        let mut limits = limits();
        change(&mut limits);
        errors(limits)
    };
    assert!(small(&|limits| limits.files = 1).contains("there are 2 files: at most 1"));
    assert!(small(&|limits| limits.file_bytes = 8).contains("at most 8 are read, split it"));
    assert!(small(&|limits| limits.bytes = 50).contains("the files have 68 bytes: at most 50"));
    assert!(small(&|limits| limits.documents = 3).contains("more than 3 documents"));
    let wrong = "kind: Component\n---\n".repeat(150);
    let errors = read_text(&wrong).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (100, 50));
    assert!(errors.to_string().ends_with("and 50 more"));
    let many = vec!["a/b"; 101].join(",");
    let text = format!(
        "kind: Component\nmetadata: {{name: x, annotations: {{roadbed.dev/repositories: '{many}'}}}}"
    );
    assert!(complaint(&text).contains("lists 101: at most 100"));
    let kinds: Vec<String> = (0..300).map(|n| format!("kind: K{n}\n---\n")).collect();
    let kinds = kinds.concat();
    let catalog = read_text(&kinds).unwrap();
    assert_eq!((catalog.ignored.len(), catalog.ignored["others"]), (101, 200));
}

#[test]
fn control_characters_do_not_get_through() {
    let text = "kind: Component\nmetadata: {name: x}\nspec: {type: \"a\\u202eb\\nc\\e[31m\", lifecycle: \"<script>\"}\n";
    let catalog = read(
        &[SourceFile {
            name: "a\nb.yaml",
            text,
        }],
        &limits(),
    )
    .unwrap();
    let statement = &catalog.statements[0];
    assert_eq!(statement.kind.as_deref(), Some("a?b?c?[31m"));
    assert_eq!(statement.origin, "a?b.yaml:1");
}

#[test]
fn annotations_say_how_an_application_wants_to_be_served() {
    let component = |annotations: &str| {
        format!(
            "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: checkout\n  annotations:\n{annotations}\
             spec: {{owner: shop}}\n"
        )
    };
    let said = component(
        "    road/ring: early\n    road/auto-rebase: true\n    road/tier: 1\n    road/until: 2027-12-31\n    \
         road/freeze: 2026-12-20/2027-01-03\n",
    );
    let ours = "apiVersion: road/v1\nkind: AppRoad\nmetadata: {name: checkout}\nspec: {ring: late, until: 2027-01-01}\n";
    let file = |name, text| SourceFile { name, text };
    let road = |files: &[SourceFile<'_>]| {
        let entries = read_files(files, &limits()).unwrap().road.entries;
        assert_eq!(entries.len(), 1);
        match entries.into_iter().next() {
            Some(RoadEntry::AppRoad(road)) => road,
            other => panic!("{other:?}"),
        }
    };
    let annotated = road(&[file("catalog-info.yaml", &said)]);
    assert_eq!(annotated.application.as_str(), "checkout");
    assert_eq!((annotated.ring.as_str(), annotated.tier), ("early", Some(1)));
    assert_eq!(annotated.auto_rebase, crate::app_road::AutoRebase::Auto);
    assert_eq!((annotated.freezes.len(), annotated.until.is_some()), (1, true));
    let both = [file("catalog-info.yaml", &said), file("pavedroad.yaml", ours)];
    assert_eq!(road(&both).ring.as_str(), "late", "our own file counts more");
    for (annotation, what) in [
        (
            "road/ring: first",
            "catalog-info.yaml:6: `road/ring`: `first` is no ring",
        ),
        ("road/rnig: early", "`road/rnig` is no annotation of the road"),
        ("road/until: soon", "`road/until`: `soon` is no date"),
    ] {
        let said = complaint(&component(&format!("    {annotation}\n")));
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn all_that_is_wrong_with_a_document_is_told_at_once() {
    let text = "apiVersion: road/v1\nkind: BaseImage\nmetadata: {owner: 'a b'}\nspec:\n  repo: base/java:1\n  \
                lifecycle: old\n  supportedUntil: soon\n  patchWithin: {critical: fast}\n";
    let name = "pavedroad.yaml";
    let errors = read_paved_road(&[SourceFile { name, text }], &limits()).unwrap_err();
    let told = errors.to_string();
    assert_eq!(errors.errors.len(), 6, "{told}");
    for key in [
        "metadata.name",
        "metadata.owner",
        "spec.repo",
        "spec.lifecycle",
        "spec.supportedUntil",
        "spec.patchWithin",
    ] {
        assert!(told.contains(key), "{key} in {told}");
    }
    let text = "apiVersion: road/v1\nkind: Exemption\nspec: {app: video, rule: TE-CON-2, createdAt: soon, expiresAt: later}\n";
    let errors = read_paved_road(&[SourceFile { name, text }], &limits()).unwrap_err();
    assert_eq!(
        errors.errors.len(),
        5,
        "reason, approvedBy, owner and both dates: {errors}"
    );
}
