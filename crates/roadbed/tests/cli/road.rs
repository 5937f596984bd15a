//! Applications, catalogues and bases, by command and by file.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::person::Person;
use crate::harness::server::Server;

const SHOP: &str = "\
kind: Component
metadata:
  name: checkout
  annotations: {roadbed.dev/repositories: 'shop/checkout/**'}
spec: {type: service, lifecycle: production, owner: team-checkout, system: storefront}
---
kind: Component
metadata: {name: cart, annotations: {github.com/project-slug: shop/cart}}
spec: {type: service, owner: team-cart}
---
kind: Template
metadata: {name: x}
";

const BASE: &str = "\
apiVersion: road/v1
kind: BaseImage
metadata: {name: java17, owner: group:platform-java, contact: '#java-platform'}
spec:
  repo: base/java17
  lifecycle: supported
  supportedUntil: 2099-09-30
  patchWithin: {critical: 24h, high: 7d}
";

#[tokio::test]
async fn a_directory_of_catalogues_is_imported_and_pruned() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.write("teams/shop/catalog-info.yaml", SHOP);
    admin.write("teams/platform/pavedroad.yaml", BASE);
    // Neither of them is looked at.
    admin.write("teams/shop/.git/catalog-info.yaml", "{");
    admin.write("teams/shop/values.yaml", "{");
    let dry = admin.run(["catalog", "import", "teams", "--dry-run"]).ok();
    dry.says("+ application checkout")
        .says("+ base java17: repository base/java17, owner group:platform-java")
        .says("? application cart names no repositories")
        .says("1 of kind Template")
        .says("3 changes would be made");
    let none = admin.run(["app", "list", "--output", "json"]).ok().json();
    assert_eq!(none[0], json!([]));
    admin
        .run(["catalog", "import", "teams"])
        .ok()
        .says("3 changes made");
    admin
        .run(["catalog", "import", "teams"])
        .ok()
        .says("0 changes made, 2 as before");
    admin
        .run(["app", "show", "checkout"])
        .ok()
        .says("group:team-checkout (catalog, teams/shop/catalog-info.yaml:1)")
        .says("storefront");
    admin
        .run(["base", "list"])
        .ok()
        .says("java17  group:platform-java  base/java17  supported  2099-09-30");
    // What is declared counts more, and the other word stays to be seen.
    let set = [
        "app",
        "set",
        "checkout",
        "--owner",
        "team-new",
        "--repository",
        "shop/checkout/**",
    ];
    admin.run(set).ok().says("checkout is declared");
    admin
        .run(["app", "show", "checkout"])
        .ok()
        .says("group:team-new (declared")
        .says("says group:team-checkout");
    admin.run(["app", "list"]).ok().says("sources do not agree");
    admin.run(["app", "remove", "checkout"]).ok();
    admin
        .run(["app", "show", "checkout"])
        .ok()
        .says("group:team-checkout (catalog");
    admin.write("teams/shop/catalog-info.yaml", SHOP.split("---").next().unwrap());
    admin
        .run(["catalog", "import", "teams", "--prune"])
        .ok()
        .says("- application cart");
    admin.run(["base", "remove", "java17"]).ok();
    admin.run(["base", "show", "java17"]).fails("java17");
}

#[tokio::test]
async fn hostile_files_are_refused_with_their_place_and_change_nothing() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let mut bomb =
        "kind: Component\nmetadata: {name: x}\nspec:\n  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        let _ = writeln!(bomb, "  a{level}: &a{level} [{below}]");
    }
    let twice =
        "kind: Component\nmetadata: {name: a}\nspec: {owner: b}\n---\nkind: Component\nmetadata: {name: A}\n";
    let circle = "kind: Group\nmetadata: {name: a}\nspec: {parent: b}\n---\nkind: Group\nmetadata: {name: b}\nspec: {parent: a}\n";
    let wide = "kind: Component\nmetadata:\n  name: a\n  annotations: {roadbed.dev/repositories: '**'}\n";
    let large = format!("# {}\n", "x".repeat(1 << 20));
    for (text, complaint) in [
        (bomb.as_str(), "bad.yaml:"),
        (twice, "is there already"),
        (circle, "is part of itself"),
        (wide, "takes repositories of everybody"),
        (large.as_str(), "bytes: at most"),
        (
            "kind: Component\nmetadata: {name: a}\nspec: {owner: 'a\u{202e}b'}\n",
            "is no owner",
        ),
        ("apiVersion: road/v1\nkind: BaseImge\n", "BaseImage"),
        (
            "apiVersion: road/v1\nkind: BaseImage\nmetadata: {name: x}\nspec: {}\n",
            "bad.yaml:",
        ),
    ] {
        admin.write("bad.yaml", text);
        admin.run(["catalog", "import", "bad.yaml"]).fails(complaint);
    }
    admin.write("empty/x.yaml", "a: b");
    admin
        .run(["catalog", "import", "empty"])
        .fails("catalog-info.yaml");
    let status = admin.run(["app", "list", "--output", "json"]).ok().json();
    assert_eq!(status[0], json!([]));
    // Two teams that claim the same repositories.
    let claim = |name: &str| {
        format!(
            "kind: Component\nmetadata:\n  name: {name}\n  annotations: {{roadbed.dev/repositories: 'a/**'}}\n"
        )
    };
    admin.write("bad.yaml", &format!("{}---\n{}", claim("one"), claim("two")));
    admin.run(["catalog", "import", "bad.yaml"]).fails("a/**");
    let base = |name: &str| BASE.replace("java17,", &format!("{name},"));
    admin.write("bad.yaml", &format!("{}---\n{}", base("one"), base("two")));
    admin
        .run(["catalog", "import", "bad.yaml"])
        .fails("give each its own repository");
    assert_eq!(
        admin.run(["base", "list", "--output", "json"]).ok().json(),
        json!([])
    );
}

#[tokio::test]
async fn files_declare_applications_and_bases() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    let application = "kind: Application\nname: shop\nrepositories: [shop/**]\nowner: team-shop\ntier: 1\n";
    admin.write("road/shop.yaml", application);
    let replaced = BASE.replace(
        "  lifecycle: supported\n",
        "  lifecycle: deprecated\n  replacedBy: java21\n",
    );
    let newer = BASE.replace("java17", "java21");
    admin.write("road/bases.yaml", &format!("{replaced}---\n{newer}"));
    let apply = ["apply", "-f", "road", "--output", "json"];
    admin
        .run(["apply", "-f", "road", "--dry-run"])
        .ok()
        .says("+ application shop: repositories shop/**, owner group:team-shop, tier 1")
        .says("+ base java17: repository base/java17");
    assert_eq!(admin.run(apply).ok().json()["steps"].as_array().unwrap().len(), 3);
    assert_eq!(admin.run(apply).ok().json()["steps"], json!([]));
    admin.write("road/shop.yaml", &application.replace("team-shop", "team-b"));
    admin
        .run(["apply", "-f", "road"])
        .ok()
        .says("~ application shop: owner group:team-shop -> group:team-b");
    // The one that takes its place must be there.
    admin.write("road/bases.yaml", &replaced);
    admin.run(["apply", "-f", "road", "--prune"]).fails("java21");
    admin.write("road/bases.yaml", "kind: User\nname: ann\n");
    let pruned = admin.run(["apply", "-f", "road", "--prune"]).ok();
    pruned.says("- base java17").says("- base java21");
    admin.write("road/bases.yaml", "kind: BaseImage\nname: x\n");
    admin.run(["apply", "-f", "road"]).fails("apiVersion");
    let events = admin.run(["audit", "--output", "json"]).ok().json().to_string();
    for kind in ["application.set", "base.set", "base.remove"] {
        assert!(events.contains(kind), "{kind}: {events}");
    }
}
