//! Signals as they are written in a model.

use std::collections::BTreeMap;

use super::{
    Clause, Condition, Fact, FactInfo, MAX_CONDITIONS, MAX_WINDOW_DAYS, MAX_WINDOW_ITEMS, Nature, Signal,
    Test, Unit, Wanted, WhenNone, Window,
};
use crate::words::{Slug, SubjectKind, did_you_mean};
use crate::yaml::{Faults, Map, Node};

/// Reads a list of conditions, each of which may be a list of alternatives under `any`.
pub(crate) fn read_signal(
    nodes: Vec<Node>,
    scope: SubjectKind,
    own: &BTreeMap<Slug, FactInfo>,
    faults: &mut Faults,
) -> Signal {
    if let Some(first) = nodes.get(MAX_CONDITIONS) {
        faults.add(
            first.line,
            format!("a signal has more than {MAX_CONDITIONS} parts: split the criterion"),
        );
    }
    let mut clauses = Vec::new();
    for node in nodes {
        let line = node.line;
        let Some(mut map) = faults.map(node, "a signal") else {
            continue;
        };
        let alternatives = match map.take("any") {
            Some(any) => {
                map.end();
                let any = Faults::list(any).into_iter();
                any.filter_map(|node| read_condition(faults.map(node, "a condition")?, scope, own))
                    .collect()
            }
            None => read_condition(map, scope, own).into_iter().collect::<Vec<_>>(),
        };
        if alternatives.len() > MAX_CONDITIONS {
            faults.add(line, format!("`any` lists more than {MAX_CONDITIONS} conditions"));
        } else if !alternatives.is_empty() {
            clauses.push(Clause(alternatives));
        }
    }
    Signal(clauses)
}

fn read_condition(mut map: Map<'_>, scope: SubjectKind, own: &BTreeMap<Slug, FactInfo>) -> Option<Condition> {
    let node = map.need("fact")?;
    let line = node.line;
    let fact: Fact = map.faults.word(&node, "fact")?;
    let info = match &fact {
        Fact::Own(name) => own.get(name).copied(),
        known => known.built_in(),
    };
    let Some(info) = info else {
        let hint = match &fact {
            Fact::Own(name) => did_you_mean(name.as_str(), own.keys().map(Slug::as_str)),
            _ => String::new(),
        };
        map.faults
            .add(line, format!("`{fact}` is not declared under `facts`{hint}"));
        return None;
    };
    if info.scope != scope {
        let told = info.scope;
        map.faults.add(
            line,
            format!("`{fact}` is known of the {told}, not of the {scope}"),
        );
        return None;
    }
    let test = read_test(&mut map, &fact, info);
    let (window, wanted) = read_window(&mut map, &fact, info);
    let least = map.number("least", 1, i64::from(MAX_WINDOW_ITEMS));
    let answers = [
        ("unknown", WhenNone::Unknown),
        ("holds", WhenNone::Holds),
        ("fails", WhenNone::Fails),
    ];
    let without = map.one_of("none", &answers);
    map.end();
    Some(Condition {
        fact,
        info,
        test: test?,
        window,
        wanted,
        least: least.and_then(|least| u32::try_from(least).ok()).unwrap_or(1),
        none: without.unwrap_or_default(),
    })
}

fn read_test(map: &mut Map<'_>, fact: &Fact, info: FactInfo) -> Option<Test> {
    let is = map.flag("is");
    let at_least = map.number("at_least", i64::MIN, i64::MAX).map(Test::AtLeast);
    let at_most = map.number("at_most", i64::MIN, i64::MAX).map(Test::AtMost);
    let test = match (info.unit, is, at_least, at_most) {
        (Unit::Flag, is, None, None) => Some(if is == Some(false) { Test::No } else { Test::Yes }),
        (Unit::Flag, ..) => None,
        (_, None, Some(test), None) | (_, None, None, Some(test)) => Some(test),
        _ => None,
    };
    if test.is_none() {
        let wanted = match info.unit {
            Unit::Flag => "is true or false: write nothing, or `is: false`",
            _ => "is a number: write either `at_least` or `at_most`",
        };
        map.faults.add(map.line, format!("`{fact}` {wanted}"));
    }
    test
}

fn read_window(map: &mut Map<'_>, fact: &Fact, info: FactInfo) -> (Window, Wanted) {
    let last = map.number("last", 1, i64::from(MAX_WINDOW_ITEMS));
    let days = map.number("days", 1, i64::from(MAX_WINDOW_DAYS));
    let share = map.number("share", 1, 100);
    let hits = map.number("hits", 1, i64::from(MAX_WINDOW_ITEMS));
    let line = map.line;
    if info.nature == Nature::State && (last.is_some() || share.is_some() || hits.is_some()) {
        map.faults.add(
            line,
            format!("`{fact}` is a state: only `days` says how old it may be"),
        );
    }
    if last.is_some() && days.is_some() {
        map.faults.add(line, "write either `last` or `days`");
    }
    if share.is_some() && hits.is_some() {
        map.faults.add(line, "write either `share` or `hits`");
    }
    if info.nature == Nature::Happening && last.is_none() && days.is_none() {
        map.faults.add(
            line,
            format!("`{fact}` happens: say of how many with `last` or `days`"),
        );
    }
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    let window = match (number(last), number(days)) {
        (_, Some(days)) => Window::Days(days),
        (last, None) => Window::Newest(last.unwrap_or(1)),
    };
    let wanted = match (number(hits), share.and_then(|share| u8::try_from(share).ok())) {
        (Some(hits), _) => Wanted::Hits(hits),
        (None, share) => Wanted::Share(share.unwrap_or(100)),
    };
    (window, wanted)
}
