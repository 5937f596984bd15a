use super::*;

fn repo(name: &str) -> RepoName {
    name.parse().unwrap()
}

fn statement(source: Source, name: &str, patterns: &[&str], owner: Option<&str>) -> Statement {
    let mut statement = Statement::new(
        name.parse().unwrap(),
        source,
        format!("{}:{name}", source.as_str()),
    );
    statement.repositories = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    statement.owner = owner.map(|owner| owner.parse().unwrap());
    statement
}

fn application(applications: &Applications, name: &str) -> Option<String> {
    let found = applications.owner_of(&repo(name)).application();
    found.map(|application| application.name.to_string())
}

#[test]
fn the_most_specific_pattern_wins() {
    let applications = Applications::build(vec![
        statement(Source::Declared, "shop", &["shop/**"], Some("shop")),
        statement(
            Source::Declared,
            "checkout",
            &["shop/checkout/**", "shop/checkout"],
            Some("checkout"),
        ),
        statement(Source::Declared, "nobodys", &["old/*"], None),
    ])
    .unwrap();
    for (name, wanted) in [
        ("shop/cart", Some("shop")),
        ("shop/checkout", Some("checkout")),
        ("shop/checkout/worker", Some("checkout")),
        ("old/thing", Some("nobodys")),
        ("elsewhere", None),
    ] {
        assert_eq!(application(&applications, name).as_deref(), wanted, "{name}");
    }
    let names = ["shop/cart", "old/thing", "elsewhere", "x"].map(repo);
    let counts = applications.count(&names);
    assert_eq!((counts.owned, counts.ownerless, counts.unknown), (1, 1, 2));
    assert_eq!(counts.without_owner(), 3);
}

#[test]
fn a_tie_names_both() {
    let error = Applications::build(vec![
        statement(Source::Declared, "one", &["team/*-api"], None),
        statement(Source::Declared, "two", &["team/api-*"], None),
    ])
    .unwrap_err()
    .to_string();
    for part in ["team/*-api", "team/api-*", "`one`", "`two`"] {
        assert!(error.contains(part), "{error}");
    }
    let same = Applications::build(vec![
        statement(Source::Catalog, "one", &["team/api"], None),
        statement(Source::Catalog, "two", &["team/api"], None),
    ]);
    let error = same.unwrap_err().to_string();
    assert!(error.contains("`one`") && error.contains("`two`"), "{error}");
}

#[test]
fn a_better_word_stands_and_the_other_is_shown() {
    let applications = Applications::build(vec![
        statement(Source::Catalog, "checkout", &["shop/checkout"], Some("team-b")),
        statement(Source::Declared, "checkout", &["shop/checkout"], Some("team-a")),
        statement(Source::Catalog, "cart", &["shop/**"], Some("team-c")),
        statement(Source::Declared, "all", &["shop/*"], Some("team-d")),
    ])
    .unwrap();
    let checkout = applications.get(&"checkout".parse().unwrap()).unwrap();
    let owner = checkout.owner.as_ref().unwrap();
    assert_eq!(
        (owner.value().to_string().as_str(), owner.stated.source),
        ("group:team-a", Source::Declared)
    );
    assert_eq!(owner.others[0].value.to_string(), "group:team-b");
    assert!(matches!(
        applications.conflicts(),
        [Conflict::Field { field: "owner", .. }]
    ));
    // However specific, the less trusted source does not win.
    assert_eq!(application(&applications, "shop/cart").as_deref(), Some("all"));
}

#[test]
fn sources_that_name_one_repository_differently_are_a_conflict() {
    let applications = Applications::build(vec![
        statement(Source::Catalog, "theirs", &["shop/api"], None),
        statement(Source::Declared, "ours", &["shop/api"], None),
    ])
    .unwrap();
    assert_eq!(application(&applications, "shop/api").as_deref(), Some("ours"));
    assert!(matches!(
        applications.conflicts(),
        [Conflict::Repository { believed, other, .. }] if believed.as_str() == "ours" && other.as_str() == "theirs"
    ));
}

#[test]
fn nobody_pushes_themselves_into_another_application() {
    let mut claim = statement(Source::Annotation, "video", &["evil/miner"], Some("evil"));
    claim.tier = Some(0);
    let inside = statement(Source::Annotation, "video", &["video/player"], Some("player"));
    let known = statement(Source::Declared, "video", &["video/**"], Some("team-video"));
    let applications = Applications::build(vec![claim, inside, known]).unwrap();
    assert_eq!(applications.owner_of(&repo("evil/miner")), Ownership::Unknown);
    let video = applications.get(&"video".parse().unwrap()).unwrap();
    assert_eq!(
        video.owner.as_ref().unwrap().value().to_string(),
        "group:team-video"
    );
    assert_eq!(video.tier, None);
    let claims = applications
        .conflicts()
        .iter()
        .filter(|conflict| matches!(conflict, Conflict::Claim { .. }));
    assert_eq!(claims.count(), 1);
}

#[test]
fn the_newest_annotation_counts() {
    let applications = Applications::build(vec![
        statement(Source::Annotation, "older", &["a/b"], Some("one")),
        statement(Source::Annotation, "newer", &["a/b"], Some("two")),
        statement(Source::Annotation, "newer", &["a/b"], Some("three")),
    ])
    .unwrap();
    let owner = applications
        .owner_of(&repo("a/b"))
        .owner()
        .map(ToString::to_string);
    assert_eq!(owner.as_deref(), Some("group:three"));
    assert_eq!(applications.conflicts().len(), 2);
}

#[test]
fn annotations_are_read_and_bounded() {
    let long = "x".repeat(MAX_ANNOTATION_BYTES + 1);
    let many = vec!["e"; MAX_LISTED + 1].join(",");
    let (words, problems) = ImageWords::read([
        ("roadbed.dev/application", "shop/checkout"),
        ("roadbed.dev/owner", "team\nx"),
        ("roadbed.dev/tier", "12"),
        ("roadbed.dev/environments", many.as_str()),
        ("roadbed.dev/contacts", "#shop, jane@shop.example"),
        ("org.opencontainers.image.base.digest", "sha256:zz"),
        ("org.opencontainers.image.source", long.as_str()),
        ("org.opencontainers.image.vendor", "Shop\u{202e}\n"),
        ("com.example/other", long.as_str()),
    ]);
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert_eq!(words.vendor.as_deref(), Some("Shop??"));
    let statement = words.statement(&repo("shop/checkout"), "image").unwrap();
    assert_eq!(
        (statement.application.as_str(), statement.contacts.len()),
        ("shop/checkout", 2)
    );
    let alone = ImageWords::read([("roadbed.dev/owner", "shop")]).0;
    assert_eq!(
        alone
            .statement(&repo("a/b"), "image")
            .unwrap()
            .application
            .as_str(),
        "a.b"
    );
    assert_eq!(ImageWords::default().statement(&repo("a/b"), "image"), None);
}

#[test]
fn limits_are_kept() {
    let patterns: Vec<String> = (0..=MAX_PATTERNS).map(|n| format!("a/b{n}")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let long = statement(Source::Declared, "a", &patterns, None);
    assert!(matches!(
        Applications::build(vec![long]),
        Err(ApplicationError::Long { .. })
    ));
    let mut low = statement(Source::Declared, "a", &[], None);
    low.tier = Some(MAX_TIER + 1);
    assert!(matches!(
        Applications::build(vec![low]),
        Err(ApplicationError::Tier { .. })
    ));
    let one = || statement(Source::Catalog, "a", &[], None);
    assert!(matches!(
        Applications::build(vec![one(), one()]),
        Err(ApplicationError::Twice { .. })
    ));
    let many = (0..=MAX_APPLICATIONS).map(|n| statement(Source::Declared, &format!("a{n}"), &[], None));
    assert!(matches!(
        Applications::build(many.collect()),
        Err(ApplicationError::TooMany(_))
    ));
    let others = (0..40).map(|n| statement(Source::Annotation, "a", &["x/y"], Some(&format!("t{n}"))));
    let applications = Applications::build(others.collect()).unwrap();
    let owner = applications.iter().next().unwrap().owner.as_ref().unwrap();
    assert_eq!(owner.others.len(), MAX_OTHERS);
}
