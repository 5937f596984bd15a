//! One criterion, and one change of a criterion, as they are written.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::read::{SCOPES, read_date, read_level};
use super::{
    Attester, Basis, Control, Criterion, MAX_EXPIRES_DAYS, Needs, ProofKind, Remedy, TopicId, Weight,
};
use crate::signal::{FactInfo, Signal, read_signal};
use crate::words::{CriterionId, MAX_TEXT_BYTES, Slug, SubjectKind};
use crate::yaml::{Map, Node};

const WEIGHTS: [(&str, Weight); 2] = [("core", Weight::Core), ("supporting", Weight::Supporting)];

/// What an extension changes in a criterion; what is not said stays.
pub(super) struct CriterionChange {
    pub(super) line: u64,
    pub(super) id: CriterionId,
    pub(super) reason: String,
    /// The keys that were written.
    pub(super) what: String,
    pub(super) level: Option<u8>,
    pub(super) text: Option<String>,
    pub(super) weight: Option<Weight>,
    pub(super) attester: Option<Attester>,
    pub(super) enable_from: Option<OffsetDateTime>,
    pub(super) remedy: Option<Remedy>,
    /// Read when the scope of the criterion is known.
    pub(super) signal: Option<Vec<Node>>,
}

/// Reads one criterion, against facts that models declare.
pub(super) fn read_criterion(mut map: Map<'_>, facts: &BTreeMap<Slug, FactInfo>) -> Option<Criterion> {
    let kinds = [
        ("auto", ProofKind::Auto),
        ("hybrid", ProofKind::Hybrid),
        ("attestation", ProofKind::Attestation),
    ];
    let known_bases = [
        ("direct", Basis::Direct),
        ("interpreted", Basis::Interpreted),
        ("extension", Basis::Extension),
    ];
    let line = map.line;
    let id: Option<CriterionId> = map.need_word("id");
    let topic: Option<TopicId> = map.need_word("topic");
    let level = read_level(&mut map);
    let text = map.need_text("criterion", MAX_TEXT_BYTES);
    let scope = map.one_of("scope", &SCOPES).unwrap_or(SubjectKind::App);
    let weight = map.one_of("weight", &WEIGHTS).unwrap_or(Weight::Core);
    let kind = map.one_of("evidence", &kinds);
    let signal = read_conditions(&mut map, "signal", scope, facts);
    let applies_if = read_conditions(&mut map, "applies_if", scope, facts);
    let attester = read_attester(&mut map);
    let requires = map.words("requires");
    let basis = map.one_of("basis", &known_bases).unwrap_or_default();
    let reference = map.text("ref", MAX_TEXT_BYTES).unwrap_or_default();
    let controls = read_controls(&mut map);
    let remedy = read_remedy(&mut map);
    let enable_from = read_date(&mut map, "enable_from");
    if kind.is_none() {
        map.faults
            .add(line, "a criterion needs `evidence`: auto, hybrid or attestation");
    }
    if level.is_none() {
        map.faults.add(line, "a criterion needs `level`, a number from 1");
    }
    map.end();
    Some(Criterion {
        id: id?,
        topic: topic?,
        level: level?,
        text: text?,
        scope,
        weight,
        kind: kind?,
        signal,
        applies_if,
        attester,
        requires,
        basis,
        reference,
        controls,
        remedy,
        enable_from,
    })
}

fn read_conditions(
    map: &mut Map<'_>,
    key: &'static str,
    scope: SubjectKind,
    facts: &BTreeMap<Slug, FactInfo>,
) -> Signal {
    let nodes = map.list(key);
    read_signal(nodes, scope, facts, map.faults)
}

fn read_attester(map: &mut Map<'_>) -> Option<Attester> {
    let node = map.take("attester")?;
    let mut entry = map.faults.map(node, "an attester")?;
    let role = entry.need_word("role");
    let days = entry.number("expires_days", 1, MAX_EXPIRES_DAYS);
    if days.is_none() {
        entry.faults.add(
            entry.line,
            format!("an attester needs `expires_days`, 1 to {MAX_EXPIRES_DAYS}"),
        );
    }
    let second_person = entry.flag("second_person").unwrap_or_default();
    let needs = entry.one_of("needs", &[("both", Needs::Both), ("either", Needs::Either)]);
    entry.end();
    Some(Attester {
        role: role?,
        expires_days: u32::try_from(days?).ok()?,
        second_person,
        needs: needs.unwrap_or_default(),
    })
}

fn read_remedy(map: &mut Map<'_>) -> Option<Remedy> {
    let node = map.take("remedy")?;
    let mut entry = map.faults.map(node, "a remedy")?;
    let text = entry.need_text("do", MAX_TEXT_BYTES);
    let command = entry.text("command", MAX_TEXT_BYTES);
    let page = entry.text("page", MAX_TEXT_BYTES);
    if command.is_none() && page.is_none() {
        entry.faults.add(entry.line, "a remedy needs `command` or `page`");
    }
    entry.end();
    let text = text?;
    Some(Remedy { text, command, page })
}

/// Controls, each as `FRAMEWORK:ID`.
pub(super) fn read_controls(map: &mut Map<'_>) -> Vec<Control> {
    let mut controls = Vec::new();
    for node in map.list("controls") {
        let Some(text) = map.faults.text(&node, "controls", 200) else {
            continue;
        };
        match text.split_once(':') {
            Some((framework, id)) if !framework.trim().is_empty() && !id.trim().is_empty() => {
                controls.push(Control {
                    framework: framework.trim().to_owned(),
                    id: id.trim().to_owned(),
                });
            }
            _ => map
                .faults
                .add(node.line, "a control is FRAMEWORK:ID, such as SSDF:PS.2.1"),
        }
    }
    controls
}

/// Reads what is changed in one criterion.
pub(super) fn read_change(mut map: Map<'_>) -> Option<CriterionChange> {
    let line = map.line;
    let id = map.need_word("id");
    let reason = map.need_text("reason", MAX_TEXT_BYTES);
    let level = read_level(&mut map);
    let text = map.text("criterion", MAX_TEXT_BYTES);
    let weight = map.one_of("weight", &WEIGHTS);
    let attester = read_attester(&mut map);
    let enable_from = read_date(&mut map, "enable_from");
    let remedy = read_remedy(&mut map);
    let signal = map.take("signal").map(crate::yaml::Faults::list);
    map.end();
    let written = [
        ("level", level.is_some()),
        ("criterion", text.is_some()),
        ("weight", weight.is_some()),
        ("attester", attester.is_some()),
        ("enable_from", enable_from.is_some()),
        ("remedy", remedy.is_some()),
        ("signal", signal.is_some()),
    ];
    let what = written
        .iter()
        .filter(|(_, is_written)| *is_written)
        .map(|(key, _)| *key);
    Some(CriterionChange {
        line,
        id: id?,
        reason: reason?,
        what: what.collect::<Vec<_>>().join(", "),
        level,
        text,
        weight,
        attester,
        enable_from,
        remedy,
        signal,
    })
}
