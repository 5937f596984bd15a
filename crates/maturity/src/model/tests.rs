use std::collections::BTreeSet;

use serde_json::Value as Json;
use time::Duration;

use super::*;
use crate::assessment::EntryKind;
use crate::evidence::Value;
use crate::rule::State;
use crate::signal::{Fact, Origin};
use crate::testing::{MODEL, World, day, id, model, placed};

fn errors(text: &str) -> String {
    Model::parse("m.yaml", text).unwrap_err().to_string()
}

/// The small model with one thing said otherwise, and what that is answered with.
fn wrong(from: &str, to: &str) -> String {
    assert!(MODEL.contains(from), "{from}");
    errors(&MODEL.replacen(from, to, 1))
}

#[test]
fn the_shipped_models_are_read() {
    let library = Library::shipped().unwrap();
    let cnmm = library.model(&"cnmm".parse().unwrap()).unwrap();
    assert_eq!(cnmm.criteria().len(), 137);
    let own = |one: &&Criterion| one.topic.category.as_str() != "roadbed";
    let core = cnmm.criteria().iter().filter(own).filter(|one| one.is_core());
    assert_eq!(core.count(), 91);
    assert_eq!(cnmm.level_name(5), Some("Adapt"));
    assert_eq!(cnmm.levels()[4].former_name.as_deref(), Some("Optimize"));
    assert_eq!(cnmm.rule_version().to_string(), "cnmm@4.0");
    let topics = cnmm
        .topics()
        .iter()
        .filter(|topic| topic.id.category.as_str() != "roadbed");
    assert_eq!(
        topics
            .filter(|topic| topic.id.category.as_str() != "business-outcomes")
            .count(),
        22
    );
    let platform = library.model(&"cncf-platform".parse().unwrap()).unwrap();
    assert_eq!((platform.topics().len(), platform.top_level()), (5, 4));
    for criterion in cnmm.criteria().iter().chain(platform.criteria()) {
        assert!(criterion.reference.starts_with("https://"), "{}", criterion.id);
        assert!(criterion.remedy.is_some(), "{}", criterion.id);
    }
}

#[test]
fn the_example_maps_criteria_to_controls() {
    let model = Model::cnmm()
        .unwrap()
        .extend("controls-example.yaml", CONTROLS)
        .unwrap();
    let criterion = model.criterion(&id("TE-SEC-3")).unwrap();
    let frameworks: BTreeSet<&str> = criterion
        .controls
        .iter()
        .map(|control| control.framework.as_str())
        .collect();
    assert_eq!(frameworks, BTreeSet::from(["PCI-DSS", "SSDF"]));
    assert_eq!(model.rule_version().to_string(), "cnmm@4.0+controls-example@1");
}

#[test]
fn a_model_survives_being_stored() {
    let model = model();
    let stored = serde_json::to_string(&model).unwrap();
    let read: Model = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, model);
    assert_eq!(read.fingerprint(), model.fingerprint());
    let other = Model::parse("m", &MODEL.replace("last: 1}", "last: 2}")).unwrap();
    assert_ne!(other.fingerprint(), model.fingerprint());
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_nearest_name() {
    let line = |text: &str| MODEL.lines().position(|line| line.contains(text)).unwrap() + 1;
    let told = wrong("weight: supporting", "wieght: supporting");
    assert_eq!(
        told,
        format!(
            "m.yaml:{}: a criterion has no key `wieght`, did you mean `weight`?",
            line("Base known")
        )
    );
    let told = wrong("fact: image-signed", "fact: image-signd");
    assert!(
        told.ends_with("there is no fact `image-signd`, did you mean `image-signed`?"),
        "{told}"
    );
    assert!(
        told.starts_with(&format!("m.yaml:{}:", line("image-signed"))),
        "{told}"
    );
    let told = wrong("topic: tech/owners, level: 1", "topic: tech/owner, level: 1");
    assert!(
        told.ends_with("there is no topic `tech/owner`, did you mean `tech/owners`?"),
        "{told}"
    );
    let told = wrong("requires: [I-1]", "requires: [I-11]");
    assert!(
        told.ends_with("there is no criterion `I-11`, did you mean `I-1`?"),
        "{told}"
    );
    let told = wrong("fact: chaos-run", "fact: \"evidence:cost-reprot\"");
    assert!(
        told.contains("`evidence:cost-reprot` is not declared under `facts`, did you mean `cost-report`?"),
        "{told}"
    );
}

/// What is written in place of what, and what that is answered with.
const WRONG: [(&str, &str, &str); 18] = [
    (
        "fact: image-signed, last: 1",
        "fact: image-signed, last: 1001",
        "`last` is 1001: write 1 to 1000",
    ),
    ("id: I-2s", "id: I-2", "criterion `I-2` is there already"),
    (
        "level: 3, criterion: Few",
        "level: 4, criterion: Few",
        "`I-3` is of level 4: the levels are 1 to 3",
    ),
    (
        "level: 3, name: Three",
        "level: 4, name: Three",
        "levels count from 1 without a gap",
    ),
    (
        ", evidence: attestation",
        ", evidence: auto",
        "`O-2` is proven by evidence",
    ),
    (
        "evidence: hybrid,\n     signal: {fact: needs",
        "evidence: auto,\n     signal: {fact: needs",
        "leave out `attester`",
    ),
    (
        "attester: {role: team-lead, expires_days: 100, second_person: true}",
        "ref: x",
        "say `attester` with",
    ),
    (
        "role: team-lead, expires_days: 100",
        "role: team-lead",
        "an attester needs `expires_days`",
    ),
    (
        "expires_days: 100",
        "expires_days: 731",
        "`expires_days` is 731: write 1 to 730",
    ),
    (
        "fact: no-anonymous",
        "fact: owner-known",
        "`owner-known` is known of the app, not of the org",
    ),
    (
        "fact: exemptions-live, at_most: 1",
        "fact: exemptions-live",
        "write either `at_least` or `at_most`",
    ),
    (
        "fact: owner-known, days: 30",
        "fact: owner-known, last: 3",
        "is a state: only `days` says",
    ),
    (
        "fact: chaos-run, days: 90, hits: 1",
        "fact: chaos-run",
        "happens: say of how many",
    ),
    (
        "share: 80, days: 90",
        "share: 80, hits: 2, days: 90",
        "write either `share` or `hits`",
    ),
    (
        "days: 90}, remedy",
        "days: 731}, remedy",
        "`days` is 731: write 1 to 730",
    ),
    (
        "apiVersion: maturity/v1",
        "apiVersion: maturity/v2",
        "write `maturity/v1`",
    ),
    ("kind: Model", "kind: Modle", "did you mean `Model`?"),
    (
        "remedy: {do: Sign it., command: \"sign {app}\"}}\n  - {id: I-2,",
        "remedy: {do: Sign it.}}\n  - {id: I-2,",
        "a remedy needs `command` or `page`",
    ),
];

#[test]
fn models_that_make_no_sense_are_refused() {
    for (from, to, expected) in WRONG {
        let told = wrong(from, to);
        assert!(told.contains(expected), "{to}: {told}");
    }
}

#[test]
fn criteria_that_require_each_other_are_refused() {
    let told = wrong(
        "level: 1, criterion: Signed.,",
        "level: 1, requires: [I-3], criterion: Signed.,",
    );
    assert!(
        told.contains("requires itself, through I-1, I-3: break the circle"),
        "{told}"
    );
    let told = wrong("scope: org,", "scope: org, requires: [O-1],");
    assert!(
        told.contains("`O-3` requires `O-1`, which is about something smaller"),
        "{told}"
    );
}

#[test]
fn a_long_chain_of_requirements_is_no_burden() {
    let mut parts = model().parts().clone();
    let first = parts.criteria[0].clone();
    parts.criteria = (0..MAX_CRITERIA)
        .map(|number| Criterion {
            id: id(&format!("C-{number}")),
            requires: (number > 0)
                .then(|| id(&format!("C-{}", number - 1)))
                .into_iter()
                .collect(),
            ..first.clone()
        })
        .collect();
    let model = Model::try_from(parts.clone()).unwrap();
    assert_eq!(model.index().dependents(0).len(), MAX_CRITERIA - 1);
    parts.criteria.push(first);
    assert!(
        Model::try_from(parts)
            .unwrap_err()
            .to_string()
            .contains("at most 1000 are allowed")
    );
}

#[test]
fn signals_have_a_largest_size() {
    let many = ["{fact: owner-known}"; crate::signal::MAX_CONDITIONS + 1].join(", ");
    let told = wrong(
        "signal: {fact: owner-known, days: 30}",
        &format!("signal: [{many}]"),
    );
    assert!(told.contains("a signal has more than 8 parts"), "{told}");
    let told = wrong(
        "signal: {fact: owner-known, days: 30}",
        &format!("signal: {{any: [{many}]}}"),
    );
    assert!(told.contains("`any` lists more than 8 conditions"), "{told}");
}

#[test]
fn obligations_and_errors_have_a_largest_number() {
    let mut parts = model().extend("acme.yaml", EXTENSION).unwrap().parts().clone();
    let obligation = parts.obligations[0].clone();
    parts.obligations = (0..=MAX_OBLIGATIONS)
        .map(|number| Obligation {
            id: format!("o-{number}").parse().unwrap(),
            ..obligation.clone()
        })
        .collect();
    assert!(
        Model::try_from(parts)
            .unwrap_err()
            .to_string()
            .contains("at most 200 are allowed")
    );
    let wrong = ["  - {id: X}"; MAX_ERRORS].join("\n");
    let errors = Model::parse(
        "m.yaml",
        &MODEL.replace("criteria:\n", &format!("criteria:\n{wrong}\n")),
    )
    .unwrap_err();
    assert_eq!(errors.errors.len(), MAX_ERRORS);
    assert!(
        errors.to_string().ends_with(&format!("and {} more", errors.more)),
        "{errors}"
    );
}

#[test]
fn documents_and_lists_have_a_largest_size() {
    let told = errors(&format!("{MODEL}{}", "#".repeat(MAX_DOCUMENT_BYTES)));
    assert!(told.contains("at most 1048576 are read"), "{told}");
    let mut parts = model().parts().clone();
    let topic = parts.topics[0].clone();
    for number in 0..=MAX_TOPICS {
        let id = TopicId {
            category: topic.id.category.clone(),
            topic: format!("t{number}").parse().unwrap(),
        };
        parts.topics.push(Topic { id, ..topic.clone() });
    }
    assert!(
        Model::try_from(parts)
            .unwrap_err()
            .to_string()
            .contains("at most 200 are allowed")
    );
    let mut parts = model().parts().clone();
    let control = Control {
        framework: "F".to_owned(),
        id: "1".to_owned(),
    };
    parts.criteria[0].controls = vec![control; MAX_LINKS + 1];
    assert!(
        Model::try_from(parts)
            .unwrap_err()
            .to_string()
            .contains("at most 50 are allowed")
    );
    let levels: Vec<String> = (1..=u32::from(MAX_LEVEL) + 1)
        .map(|level| format!("  - {{level: {level}, name: L}}"))
        .collect();
    let told = wrong(
        "  - {level: 1, name: One}\n  - {level: 2, name: Two}\n  - {level: 3, name: Three}",
        &levels.join("\n"),
    );
    assert!(told.contains("levels count from 1"), "{told}");
}

const EXTENSION: &str = r#"
apiVersion: maturity/v1
kind: Extension
id: acme
version: "2"
extends: small
categories:
  - {id: tech, name: Technology, topics: [{id: money, name: Money}]}
add:
  - {id: M-1, topic: tech/money, level: 1, criterion: Cost is explained., evidence: auto,
     signal: {fact: "evidence:cost-report", at_least: 90, days: 90}, enable_from: 2024-12-01}
retire:
  - {id: I-2s, reason: nobody needs it}
change:
  - {id: I-2, reason: we can do better, signal: {fact: image-scanned, share: 100, days: 90}, weight: core}
controls:
  - {criterion: I-1, controls: ["SSDF:PS.2.1"]}
obligations:
  - {id: signed, criteria: [I-1], tiers: [1], from: 2024-11-01, reason: agreed in June}
"#;

#[test]
fn an_extension_adds_retires_changes_and_maps() {
    let model = model().extend("acme.yaml", EXTENSION).unwrap();
    assert_eq!(model.rule_version().to_string(), "small@1+acme@2");
    assert!(model.criterion(&id("I-2s")).is_none());
    let changed = model.criterion(&id("I-2")).unwrap();
    assert_eq!(
        changed.signal.conditions().next().unwrap().wanted,
        crate::signal::Wanted::Share(100)
    );
    assert_eq!(
        model.criterion(&id("M-1")).unwrap().topic.to_string(),
        "tech/money"
    );
    let amendments: Vec<(&str, &str)> = model
        .parts()
        .amendments
        .iter()
        .map(|one| (one.what.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(
        amendments,
        [
            ("weight, signal", "we can do better"),
            ("retired", "nobody needs it")
        ]
    );
    assert_eq!(model.obligations().len(), 1);
}

#[test]
fn an_extension_of_what_is_not_there_is_refused() {
    let extend = |from: &str, to: &str| {
        assert!(EXTENSION.contains(from), "{from}");
        model()
            .extend("acme.yaml", &EXTENSION.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    };
    let told = extend("extends: small", "extends: smal");
    assert!(told.contains("this extends `smal`, not `small`"), "{told}");
    for (from, to) in [
        ("id: I-2s,", "id: I-9s,"),
        ("{id: I-2,", "{id: I-9s,"),
        ("criterion: I-1", "criterion: I-9s"),
    ] {
        let told = extend(from, to);
        assert!(
            told.contains("there is no criterion `I-9s`, did you mean `I-"),
            "{told}"
        );
    }
    let told = extend("  - {id: I-2s, reason: nobody needs it}", "  - {id: I-2s}");
    assert!(told.contains("a retirement needs `reason`"), "{told}");
    assert!(
        model()
            .extend("m", MODEL)
            .unwrap_err()
            .to_string()
            .contains("write `kind: Extension`")
    );
    assert!(
        errors(EXTENSION).contains("this is an extension"),
        "{}",
        errors(EXTENSION)
    );
}

#[test]
fn extensions_that_extend_each_other_are_refused() {
    let mut library = Library::default();
    library
        .add("a.yaml", &EXTENSION.replace("extends: small", "extends: other"))
        .unwrap();
    let other = EXTENSION
        .replace("id: acme", "id: other")
        .replace("extends: small", "extends: acme");
    library.add("b.yaml", &other).unwrap();
    let told = library.model(&"acme".parse().unwrap()).unwrap_err().to_string();
    assert!(
        told.contains("`acme` extends itself, through acme, other: break the circle"),
        "{told}"
    );
    let told = library.model(&"acne".parse().unwrap()).unwrap_err().to_string();
    assert!(
        told.contains("there is no model `acne`, did you mean `acme`?"),
        "{told}"
    );
    assert!(
        library
            .add("c.yaml", EXTENSION)
            .unwrap_err()
            .to_string()
            .contains("model `acme` is there already")
    );
    let many = (0..library::MAX_DOCUMENTS)
        .map(|number| EXTENSION.replace("id: acme", &format!("id: acme-{number}")));
    let refused = many.filter(|text| library.add("d.yaml", text).is_err()).count();
    assert_eq!(refused, 2);
}

#[test]
fn what_a_model_would_move_is_told_before_it_is_applied() {
    let mut world = World::new();
    world.takes(0, placed("a", None, 1));
    world.sees(0, "app:a", &Fact::ImageSigned, Value::Flag(true));
    for scanned in [true, true, true, true, false] {
        world.sees(0, "app:a", &Fact::ImageScanned, Value::Flag(scanned));
    }
    world.sees(0, "app:a", &Fact::ExemptionsLive, Value::Number(0));
    assert_eq!(world.level("a", "tech/images"), Some(3));
    let (old, new) = (model(), model().extend("acme.yaml", EXTENSION).unwrap());
    let comparison = compare(&old, &new, world.assessment.facts(), day(1));
    assert_eq!(comparison.added, [id("M-1")]);
    assert_eq!(comparison.retired, [id("I-2s")]);
    let keys: Vec<_> = comparison
        .changed
        .iter()
        .map(|one| (one.criterion.as_str(), one.keys.join(", ")))
        .collect();
    assert_eq!(
        keys,
        [("I-1", "controls".to_owned()), ("I-2", "signal".to_owned())]
    );
    assert_eq!(comparison.states.len(), 1);
    assert_eq!(
        (comparison.states[0].from, comparison.states[0].to),
        (State::Met, State::NotMet)
    );
    let moved: Vec<_> = comparison
        .levels
        .iter()
        .map(|one| (one.topic.to_string(), one.from, one.to))
        .collect();
    // Until its criterion counts, nothing of the new topic applies.
    let expected = [
        ("tech/images".to_owned(), Some(3), Some(1)),
        ("tech/money".to_owned(), Some(0), None),
    ];
    assert_eq!(moved, expected);
    assert_eq!(comparison.levels[0].because, [id("I-2")]);
    assert_eq!(comparison.later, new.criterion(&id("M-1")).unwrap().enable_from);
    let later: Vec<_> = comparison
        .levels_later
        .iter()
        .map(|one| one.topic.to_string())
        .collect();
    assert_eq!(
        later,
        ["tech/images"],
        "an unknown criterion of a new topic is level 0, as before"
    );
    // And then it is applied.
    world.takes(1, EntryKind::Judged(Box::new(new)));
    assert_eq!(world.level("a", "tech/images"), Some(1));
    assert_eq!(world.state("app:a", "I-2"), State::NotMet);
}

#[test]
fn a_criterion_counts_from_its_day_on() {
    let new = model().extend("acme.yaml", EXTENSION).unwrap();
    let from = new.criterion(&id("M-1")).unwrap().enable_from.unwrap();
    let mut world = World::of(new);
    world.takes(0, placed("a", None, 1));
    assert!(from > day(0));
    assert_eq!(world.level("a", "tech/money"), None);
    let changes = world.assessment.advance(from + Duration::days(1));
    assert_eq!(world.level("a", "tech/money"), Some(0));
    assert!(changes.iter().all(|change| change.at == from), "{changes:?}");
}

#[test]
fn the_schemas_name_every_fact_and_every_key() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    let facts = schema["$defs"]["Condition"]["properties"]["fact"]["anyOf"][0]["enum"]
        .as_array()
        .unwrap();
    let named: BTreeSet<&str> = facts.iter().filter_map(Json::as_str).collect();
    let known: Vec<String> = Fact::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(named, known.iter().map(String::as_str).collect());
    let schema: Json = serde_json::from_str(crate::evidence::PUSH_SCHEMA).unwrap();
    let facts = schema["$defs"]["Evidence"]["properties"]["fact"]["anyOf"][0]["oneOf"]
        .as_array()
        .unwrap();
    let named: BTreeSet<String> = facts
        .iter()
        .filter_map(|fact| fact["const"].as_str())
        .map(str::to_owned)
        .collect();
    let told = Fact::ALL
        .iter()
        .filter(|fact| fact.built_in().unwrap().origin == Origin::Elsewhere);
    assert_eq!(named, told.map(ToString::to_string).collect());
}

/// Every key of the schema's criterion is one that the reader takes, and no other is.
#[test]
fn the_schema_has_the_keys_of_the_reader() {
    let schema: Json = serde_json::from_str(SCHEMA).unwrap();
    for (definition, probe) in [
        ("Criterion", "id: I-1, topic"),
        ("Attester", "role: team-lead"),
        ("Remedy", "do: Scan it."),
        ("Condition", "fact: owner-known"),
    ] {
        for key in schema["$defs"][definition]["properties"]
            .as_object()
            .unwrap()
            .keys()
        {
            let text = MODEL.replacen(probe, &format!("{key}zz: 1, {probe}"), 1);
            let told = errors(&text);
            assert!(
                told.contains(&format!("has no key `{key}zz`, did you mean `{key}`?")),
                "{definition}: {told}"
            );
        }
    }
}
