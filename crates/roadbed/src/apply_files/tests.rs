use store::ImmutableTags;

use super::*;

fn read_text(text: &str) -> anyhow::Result<Declared> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("access.yaml"), text).unwrap();
    read(directory.path()).map(|files| files.declared)
}

fn complaint(text: &str) -> String {
    format!("{:#}", read_text(text).unwrap_err())
}

#[test]
fn the_example_of_the_documentation_is_read() {
    let page = include_str!("../../../../docs/apply.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let declared = read_text(example).unwrap();
    assert!(!declared.users.is_empty() && !declared.robots.is_empty());
    assert!(!declared.grants.is_empty() && !declared.rules.is_empty());
    assert!(!declared.signers.is_empty());
    // Each kind and each field that the page names can be used.
    for field in [
        "password_hash",
        "administrator",
        "disabled",
        "not_after",
        "immutable_tags",
        "quota_bytes",
        "deletion",
        "repositories",
        "identity",
        "roots",
        "match_reference",
        "until",
        "products",
    ] {
        assert!(page.contains(field), "{field}");
    }
}

#[test]
fn every_field_arrives() {
    let declared = read_text(
        "kind: User\nname: ann\nadministrator: true\nnot_after: 2030-01-01T00:00:00Z\n---\n\
         kind: Robot\nname: ci\ndisabled: true\n---\n\
         kind: Grant\nsubject: ci\npattern: team/**\nroles: [push]\n---\n\
         kind: Rule\npattern: team/*\nimmutable_tags: [v*, '!v0*']\nquota_bytes: 50GiB\nquota_tags: 10\ndeletion: false\n",
    )
    .unwrap();
    let (ann, ci) = (&declared.users[0], &declared.robots[0]);
    assert_eq!(ann.not_after, Some("2030-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!((ann.administrator, ann.disabled), (Some(true), None));
    assert_eq!((ci.disabled, ci.not_after), (Some(true), None));
    assert_eq!(declared.grants[0].roles.to_string(), "pull,push");
    let rules = &declared.rules[0].rules;
    assert_eq!(
        (rules.quota_bytes, rules.quota_tags, rules.deletion),
        (Some(50 << 30), Some(10), false)
    );
    assert_eq!(
        rules.immutable_tags,
        Some(ImmutableTags(vec!["v*".into(), "!v0*".into()]))
    );
}

#[test]
fn directories_are_read_in_order_and_hidden_files_left_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("b/c")).unwrap();
    for (file, name) in [
        ("b/c/x.yml", "third"),
        ("a.yaml", "first"),
        ("b/a.yaml", "second"),
        (".h.yaml", "x"),
        ("n.txt", "x"),
    ] {
        fs::write(
            directory.path().join(file),
            format!("# about {name}\n---\nkind: User\nname: {name}\n...\n"),
        )
        .unwrap();
    }
    let declared = read(directory.path()).unwrap().declared;
    let names: Vec<&str> = declared.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third"]);
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    for (text, line, reason) in [
        ("kind: User\nname: ann\nadministrater: true\n", 3, "administrater"),
        (
            "kind: User\nname: ann\n---\nkind: Grant\nsubject: ann\npattern: team/***\nroles: [pull]\n",
            6,
            "team/***",
        ),
        (
            "kind: User\nname: ann\n---\nkind: Grant\nsubject: ann\npattern: team/**\nroles: [write]\n",
            7,
            "write",
        ),
        ("kind: Usr\nname: ann\n", 1, "Usr"),
        ("name: ann\n", 1, "kind"),
        ("kind: User\n", 1, "name"),
        ("kind: User\nname: ANN\n", 2, "ANN"),
        ("kind: User\nname: ann\nname: bob\n", 3, "name"),
        ("kind: Rule\npattern: a\nquota_bytes: 50GB\n", 3, "64MiB"),
        ("kind: User\nname: ann\nnot_after:\n", 3, "or never"),
        (
            "# a\n\n---\nkind: User\nname: \"x\nadministrator: true\n",
            6,
            "quoted",
        ),
    ] {
        let complaint = complaint(text);
        assert!(
            complaint.contains(&format!("access.yaml:{line}: ")),
            "{line}\n{text}\n{complaint}"
        );
        assert!(complaint.contains(reason), "{text}\n{complaint}");
    }
}

#[test]
fn what_is_declared_twice_is_named_with_both_places() {
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| fs::write(directory.path().join(file), text).unwrap();
    write(
        "a.yaml",
        "# people\nkind: User\nname: ann\n---\nkind: Grant\nsubject: ann\npattern: x\nroles: [pull]\n",
    );
    let shown = directory.path().join("a.yaml").display().to_string();
    for (text, says) in [
        (
            "kind: User\nname: ann\n",
            format!("b.yaml:1: user ann is declared already at {shown}:2"),
        ),
        (
            "---\n\nkind: Robot\nname: ann\n",
            format!("b.yaml:3: robot ann has the name of user ann, declared at {shown}:2"),
        ),
        (
            "kind: Grant\nsubject: ann\npattern: x\nroles: [push]\n",
            format!("b.yaml:1: grant ann x is declared already at {shown}:5"),
        ),
        (
            "kind: Rule\npattern: x\n---\nkind: Rule\npattern: x\n",
            "b.yaml:4: rule x is declared already at ".to_owned(),
        ),
    ] {
        write("b.yaml", text);
        let complaint = read(directory.path()).unwrap_err().to_string();
        assert!(complaint.contains(&says), "{says}\n{complaint}");
    }
}

#[test]
fn floods_are_refused() {
    assert!(complaint(&"#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1)).contains("split it"));
    let many = "kind: User\nname: a\n---\n".repeat(MAX_DOCUMENTS + 1);
    assert!(many.len() < usize::try_from(MAX_FILE_BYTES).unwrap());
    assert!(complaint(&many).contains("documents"));
    let bomb = "kind: User\na: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\nname: a\n";
    assert!(read_text(bomb).is_err());
    let directory = tempfile::tempdir().unwrap();
    for number in 0..=MAX_FILES {
        fs::write(directory.path().join(format!("{number}.yaml")), "").unwrap();
    }
    assert!(read(directory.path()).unwrap_err().to_string().contains("files"));
}

#[test]
fn a_policy_is_a_document_and_its_mistakes_have_the_lines_of_the_file() {
    let rules = "version: 1\nrules:\n  - {id: any, when: finding.kev, decide: refuse}\n";
    let user = "# People\nkind: User\nname: ann\n---\n";
    let declared = read_text(&format!("{user}# Rules\nkind: Policy\n{rules}")).unwrap();
    let text = declared.policy.unwrap();
    assert!(text.ends_with(rules) && !text.contains("kind:"), "{text}");
    let wrong = "kind: Policy\nversion: 1\nrules:\n  - {id: any}\n  - {id: B, when: 'true', decide: warn}\n";
    let told = complaint(&format!("{user}{wrong}"));
    assert!(
        told.contains("access.yaml:8: ") && told.contains("access.yaml:9: "),
        "{told}"
    );
    let twice = complaint(&format!("kind: Policy\n{rules}---\nkind: Policy\n{rules}"));
    assert!(twice.contains("the policy is declared already at"), "{twice}");
}

#[test]
fn a_waiver_that_nobody_could_approve_is_named_with_file_and_line() {
    let until = time::OffsetDateTime::now_utc().date() + time::Duration::days(30);
    let waiver =
        |more: &str| format!("kind: Waiver\nname: w\nrepositories: [team/app]\nreason: none\n{more}\n");
    let directory = tempfile::tempdir().unwrap();
    let good = waiver(&format!("findings: [CVE-1]\nuntil: {until}"));
    fs::write(directory.path().join("w.yaml"), &good).unwrap();
    let files = read(directory.path()).unwrap();
    assert_eq!(files.waivers[0].name, "w");
    assert!(!files.is_empty());
    for (text, says) in [
        (waiver("findings: [CVE-1]\nuntil: never"), "a waiver needs an end"),
        (waiver("findings: [CVE-1]\nuntil: 2090-01-01"), "access.yaml:1: "),
        (waiver(&format!("until: {until}")), "access.yaml:1: "),
        (
            waiver(&format!("findings: [CVE-1]\nuntil: {until}\napprover: me")),
            "approver",
        ),
        (format!("{good}---\n{good}"), "waiver w is declared already"),
    ] {
        let told = complaint(&text);
        assert!(told.contains(says), "{says}\n{told}");
    }
    // One that is over stays where it is until somebody takes it out.
    read_text(&waiver("findings: [CVE-1]\nuntil: 2020-01-01")).unwrap();
}

#[test]
fn every_field_of_a_signer_arrives() {
    let declared = read_text(
        "kind: Signer\nname: ci\nrepositories: [prod/**]\nidentity: {issuer: https://a, subject: 'b*'}\nroots: '{}'\n\
         match_reference: true\nuntil: 2030-01-31\nvex: true\nproducts: ['pkg:oci/app*']\n---\n\
         kind: Signer\nname: vendor\nrepositories: ['**']\nauthor: Example\nvex: true\nuntil: never\n",
    )
    .unwrap();
    let [ci, vendor] = &declared.signers[..] else {
        panic!("{declared:?}");
    };
    let identity = ci.identity.as_ref().unwrap();
    assert_eq!(
        (identity.issuer.as_str(), identity.subject.as_str()),
        ("https://a", "b*")
    );
    assert_eq!(
        (ci.roots.as_deref(), ci.match_reference, ci.vex),
        (Some("{}"), true, true)
    );
    assert_eq!(ci.products, ["pkg:oci/app*"]);
    assert_eq!(ci.until.unwrap().to_string(), "2030-01-31 23:59:59.0 +00:00:00");
    assert_eq!((vendor.author.as_deref(), vendor.until), (Some("Example"), None));
    let unknown = complaint("kind: Signer\nname: ci\nrepositories: [a]\nsubject: b\n");
    assert!(
        unknown.contains("access.yaml:4") && unknown.contains("subject"),
        "{unknown}"
    );
    let twice = "kind: Signer\nname: ci\nrepositories: [a]\n---\nkind: Signer\nname: ci\nrepositories: [b]\n";
    assert!(complaint(twice).contains("signer ci is declared already"));
}

#[test]
fn a_sink_is_declared_without_its_secret() {
    let directory = tempfile::tempdir().unwrap();
    let read_sinks = |text: &str| {
        fs::write(directory.path().join("sinks.yaml"), text).unwrap();
        read(directory.path()).map(|files| files.sinks)
    };
    let chat = "kind: Sink\nname: chat\ntype: slack\nsecret_env: NOT_SET_ANYWHERE\nat_least: high\n";
    let sinks = read_sinks(chat).unwrap();
    assert_eq!(sinks[0].spec.name.as_str(), "chat");
    assert!(
        sinks[0]
            .wanted()
            .unwrap_err()
            .to_string()
            .contains("NOT_SET_ANYWHERE")
    );
    let mut present = sinks[0].spec.clone();
    present.target = "https://hooks.slack.com".into();
    assert!(sinks[0].is(&present));
    present.enabled = false;
    assert!(!sinks[0].is(&present));
    for (text, says) in [
        ("kind: Sink\nname: a\n", "sinks.yaml:1: a sink needs a type"),
        ("kind: Sink\nname: a\ntype: slack\nsecret: x\n", "secret_file"),
        (
            "kind: Sink\nname: a\ntype: slack\nsecret_file: x\nsecret_env: HERE\n",
            "one of them",
        ),
        ("kind: Sink\nname: a\ntype: webhook\ntarget: x\n", "a URL such as"),
        ("kind: Sink\nname: a\ntype: slack\nwhatever: 1\n", "whatever"),
        (&format!("{chat}---\n{chat}"), "declared already"),
    ] {
        let error = format!("{:#}", read_sinks(text).unwrap_err());
        assert!(error.contains(says), "{text}: {error}");
    }
}
