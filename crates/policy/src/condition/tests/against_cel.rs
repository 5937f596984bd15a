//! Where we evaluate ourselves, the answer is that of the `cel` crate's own interpreter.

use cel::{Context, Program, Value};
use proptest::prelude::*;

use super::super::*;
use super::{NOW, compile, finding, subject};

fn theirs(source: &str) -> Option<bool> {
    let (subject, finding) = (subject(), finding());
    let mut context = Context::default();
    let strings = |texts: &[String]| texts.iter().cloned().map(Value::from).collect::<Vec<_>>();
    let record: std::collections::HashMap<&str, Value> = [
        ("id", finding.id.clone().into()),
        ("package", finding.package.clone().into()),
        ("kev", finding.kev.into()),
        ("layer", i64::from(finding.layer.unwrap()).into()),
        ("epss", finding.epss.unwrap().into()),
        ("aliases", strings(&finding.aliases).into()),
    ]
    .into();
    context.add_variable_from_value("finding", record);
    let image: std::collections::HashMap<&str, Value> = [
        (
            "labels",
            subject
                .image
                .labels
                .clone()
                .into_iter()
                .collect::<std::collections::HashMap<_, _>>()
                .into(),
        ),
        ("signed_by", strings(&subject.image.signed_by).into()),
    ]
    .into();
    context.add_variable_from_value("image", image);
    match Program::compile(source).unwrap().execute(&context) {
        Ok(Value::Bool(answer)) => Some(answer),
        _ => None,
    }
}

fn ours(source: &str) -> Option<bool> {
    let (subject, finding) = (subject(), finding());
    let facts = Facts {
        subject: &subject,
        finding: Some(&finding),
        now: NOW,
        unknowns: &[],
    };
    compile(source)
        .ok()
        .map(|condition| condition.holds(&facts).ok())
        .unwrap()
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("finding.layer".to_owned()),
        (-3_i64..5).prop_map(|n| format!("({n})")),
        Just("9223372036854775807".to_owned()),
        Just("size(finding.aliases)".to_owned()),
        Just("size(finding.id)".to_owned()),
    ];
    leaf.prop_recursive(2, 8, 2, |inner| {
        (
            inner.clone(),
            prop::sample::select(&["+", "-", "*", "/", "%"][..]),
            inner,
        )
            .prop_map(|(left, op, right)| format!("({left} {op} {right})"))
    })
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(
        &[
            "finding.id",
            "finding.package",
            "'CVE-2021-44228'",
            "''",
            "'log4j'",
            "image.labels.team",
            "image.labels.absent",
            "finding.aliases[0]",
            "finding.aliases[3]",
            "'shop'",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn truth() -> impl Strategy<Value = String> {
    let order = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let leaf = prop_oneof![
        Just("finding.kev".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("finding.epss > 0.5".to_owned()),
        (number(), order.clone(), number()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
        (text(), order, text()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
        (
            text(),
            prop::sample::select(&["startsWith", "endsWith", "contains"][..]),
            text()
        )
            .prop_map(|(l, f, r)| format!("{l}.{f}({r})")),
        text().prop_map(|t| format!("({t} in image.signed_by)")),
        text().prop_map(|t| format!("({t} in image.labels)")),
        text().prop_map(|t| format!("({t} in ['shop', 'log4j'])")),
        Just("has(image.labels.team)".to_owned()),
        Just("has(image.labels.absent)".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|x| format!("!({x})")),
            (
                inner.clone(),
                prop::sample::select(&["&&", "||"][..]),
                inner.clone()
            )
                .prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, y, n)| format!("({c} ? {y} : {n})")),
            (
                prop::sample::select(&["exists", "all", "exists_one"][..]),
                inner.clone(),
                text()
            )
                .prop_map(|(q, x, t)| format!("image.signed_by.{q}(element, element == {t} || {x})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn answers_are_the_same(source in truth()) {
        prop_assume!(compile(&source).is_ok());
        prop_assert_eq!(ours(&source), theirs(&source), "{}", source);
    }
}
