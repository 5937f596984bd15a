//! Models and extensions as they are written.

use std::collections::BTreeMap;

use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime, Time, UtcOffset};

use super::check::{Errors, Places};
use super::read_criterion::{CriterionChange, read_change, read_controls, read_criterion};
use super::{
    Category, Control, Criterion, Level, MAX_DOCUMENT_BYTES, MAX_LEVEL, ModelErrors, Obligation, Parts,
    Problem, Scope, Topic, TopicId,
};
use crate::signal::{FactInfo, Nature, Origin, Unit};
use crate::words::{CriterionId, MAX_TEXT_BYTES, RuleVersion, Slug, SubjectKind, one_line};
use crate::yaml::{Faults, Map, Node, parse};

/// The only version of the format.
pub(super) const VERSION: &str = "maturity/v1";

/// Words of kinds of subjects.
pub(super) const SCOPES: [(&str, SubjectKind); 4] = [
    ("app", SubjectKind::App),
    ("team", SubjectKind::Team),
    ("platform", SubjectKind::Platform),
    ("org", SubjectKind::Org),
];

/// What one document declares.
pub(super) enum Document {
    Model(Box<Parts>),
    Extension(Box<Extension>),
}

/// What an extension says.
pub(super) struct Extension {
    pub(super) line: u64,
    pub(super) id: Slug,
    pub(super) version: String,
    pub(super) extends: Slug,
    pub(super) categories: Vec<Category>,
    pub(super) topics: Vec<Topic>,
    pub(super) facts: BTreeMap<Slug, FactInfo>,
    pub(super) add: Vec<Criterion>,
    pub(super) retire: Vec<(u64, CriterionId, String)>,
    pub(super) change: Vec<CriterionChange>,
    pub(super) controls: Vec<(u64, CriterionId, Vec<Control>)>,
    pub(super) obligations: Vec<Obligation>,
}

/// Reads one document.
pub(super) fn read(file: &str, text: &str) -> Result<(Document, Places), ModelErrors> {
    read_with(file, text, &BTreeMap::new())
}

/// Reads one document that may use facts of what it extends.
pub(super) fn read_with(
    file: &str,
    text: &str,
    facts: &BTreeMap<Slug, FactInfo>,
) -> Result<(Document, Places), ModelErrors> {
    let mut places = Places {
        file: file.to_owned(),
        ..Places::default()
    };
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(places.error(1, Problem::Bytes(text.len())));
    }
    let node = parse(text).map_err(|fault| places.error(fault.line, Problem::Written(fault.reason)))?;
    let mut faults = Faults::default();
    let document = match faults.map(node, "the document") {
        Some(map) => read_document(map, facts, &mut places),
        None => None,
    };
    match document {
        Some(document) if faults.0.is_empty() => Ok((document, places)),
        _ => {
            let mut errors = Errors::of(&places);
            for fault in faults.0 {
                errors.add(fault.line, Problem::Written(fault.reason));
            }
            if errors.is_empty() {
                errors.add(1, Problem::Written("the document is empty".to_owned()));
            }
            Err(errors.into_errors())
        }
    }
}

/// Reads only the id of a document and the id of what it extends.
pub(super) fn read_head(text: &str) -> Option<(Slug, Option<Slug>)> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return None;
    }
    let mut faults = Faults::default();
    let mut map = faults.map(parse(text).ok()?, "the document")?;
    Some((map.need_word("id")?, map.word("extends")))
}

/// What both kinds of documents have.
struct Head {
    line: u64,
    id: Option<Slug>,
    version: Option<String>,
    about: String,
    categories: Vec<Category>,
    topics: Vec<Topic>,
    /// Facts that it declares.
    own: BTreeMap<Slug, FactInfo>,
    /// Those, and those of what it extends.
    facts: BTreeMap<Slug, FactInfo>,
    obligations: Vec<Obligation>,
}

fn read_document(
    mut map: Map<'_>,
    inherited: &BTreeMap<Slug, FactInfo>,
    places: &mut Places,
) -> Option<Document> {
    let line = map.line;
    let version = map.need_text("apiVersion", 40);
    if version.as_deref().is_some_and(|version| version != VERSION) {
        map.faults
            .add(line, format!("`apiVersion` is not known: write `{VERSION}`"));
    }
    let kind = map.need("kind");
    let kinds = [("Model", true), ("Extension", false)];
    let is_model = kind.and_then(|kind| map.faults.one_of(&kind, "kind", &kinds))?;
    let (categories, topics) = read_categories(&mut map);
    let own = read_facts(&mut map);
    let mut facts = inherited.clone();
    facts.extend(own.clone());
    let head = Head {
        line,
        id: map.need_word("id"),
        version: map.need_text("version", 40),
        about: map.text("about", MAX_TEXT_BYTES).unwrap_or_default(),
        categories,
        topics,
        own,
        facts,
        obligations: read_obligations(&mut map),
    };
    let document = if is_model {
        read_model(&mut map, head, places)
    } else {
        read_extension(&mut map, head, places)
    };
    map.end();
    document
}

fn read_model(map: &mut Map<'_>, head: Head, places: &mut Places) -> Option<Document> {
    let source = map.text("source", MAX_TEXT_BYTES).unwrap_or_default();
    let levels = read_levels(map);
    let criteria = read_criteria(map, "criteria", &head.facts, places);
    let (id, version) = (head.id?, head.version?);
    Some(Document::Model(Box::new(Parts {
        rule_version: RuleVersion(format!("{id}@{}", one_line(&version, 40)).into()),
        id,
        about: head.about,
        source,
        levels,
        categories: head.categories,
        topics: head.topics,
        criteria,
        facts: head.own,
        obligations: head.obligations,
        amendments: Vec::new(),
    })))
}

fn read_extension(map: &mut Map<'_>, head: Head, places: &mut Places) -> Option<Document> {
    let extends = map.need_word("extends");
    let add = read_criteria(map, "add", &head.facts, places);
    let retire = read_retired(map);
    let change = map.list("change").into_iter();
    let change = change.filter_map(|node| read_change(map.faults.map(node, "a change")?));
    let change = change.collect();
    let controls = read_mapping(map);
    Some(Document::Extension(Box::new(Extension {
        line: head.line,
        id: head.id?,
        version: head.version?,
        extends: extends?,
        categories: head.categories,
        topics: head.topics,
        facts: head.own,
        add,
        retire,
        change,
        controls,
        obligations: head.obligations,
    })))
}

fn read_levels(map: &mut Map<'_>) -> Vec<Level> {
    let nodes = map.list("levels").into_iter();
    let mut read = |node: Node| {
        let mut level = map.faults.map(node, "a level")?;
        let number = level
            .need("level")
            .and_then(|node| level.faults.number(&node, "level"));
        let name = level.need_text("name", 80);
        let former_name = level.text("former_name", 80);
        let about = level.text("about", MAX_TEXT_BYTES).unwrap_or_default();
        level.end();
        Some(Level {
            level: u8::try_from(number?).unwrap_or(u8::MAX),
            name: name?,
            former_name,
            about,
        })
    };
    nodes.filter_map(&mut read).collect()
}

fn read_categories(map: &mut Map<'_>) -> (Vec<Category>, Vec<Topic>) {
    let (mut categories, mut topics) = (Vec::new(), Vec::new());
    for node in map.list("categories") {
        let Some(mut category) = map.faults.map(node, "a category") else {
            continue;
        };
        let id: Option<Slug> = category.need_word("id");
        let name = category.need_text("name", 80);
        for node in category.list("topics") {
            let Some(mut topic) = category.faults.map(node, "a topic") else {
                continue;
            };
            let (of, name) = (topic.need_word("id"), topic.need_text("name", 80));
            topic.end();
            if let (Some(category), Some(topic), Some(name)) = (id.clone(), of, name) {
                let id = TopicId { category, topic };
                topics.push(Topic { id, name });
            }
        }
        category.end();
        if let (Some(id), Some(name)) = (id, name) {
            categories.push(Category { id, name });
        }
    }
    (categories, topics)
}

fn read_facts(map: &mut Map<'_>) -> BTreeMap<Slug, FactInfo> {
    let natures = [
        ("state", Nature::State),
        ("image", Nature::Image),
        ("happening", Nature::Happening),
    ];
    let units = [
        ("flag", Unit::Flag),
        ("count", Unit::Count),
        ("percent", Unit::Percent),
        ("minutes", Unit::Minutes),
        ("days", Unit::Days),
    ];
    let mut facts = BTreeMap::new();
    for node in map.list("facts") {
        let Some(mut fact) = map.faults.map(node, "a fact") else {
            continue;
        };
        let line = fact.line;
        let name: Option<Slug> = fact.need_word("name");
        let nature = fact.one_of("nature", &natures).unwrap_or(Nature::State);
        let unit = fact.one_of("unit", &units).unwrap_or(Unit::Flag);
        let scope = fact.one_of("scope", &SCOPES).unwrap_or(SubjectKind::App);
        fact.text("about", MAX_TEXT_BYTES);
        fact.end();
        // What a model invents is pushed: the registry knows nothing of it.
        let origin = Origin::Elsewhere;
        let info = FactInfo {
            nature,
            unit,
            scope,
            origin,
        };
        let Some(name) = name else { continue };
        if facts.insert(name.clone(), info).is_some() {
            map.faults.add(line, format!("fact `{name}` is there already"));
        }
    }
    facts
}

fn read_criteria(
    map: &mut Map<'_>,
    key: &'static str,
    facts: &BTreeMap<Slug, FactInfo>,
    places: &mut Places,
) -> Vec<Criterion> {
    let mut criteria = Vec::new();
    for node in map.list(key) {
        let line = node.line;
        let Some(entry) = map.faults.map(node, "a criterion") else {
            continue;
        };
        if let Some(criterion) = read_criterion(entry, facts) {
            places.lines.insert(criterion.id.clone(), line);
            criteria.push(criterion);
        }
    }
    criteria
}

fn read_retired(map: &mut Map<'_>) -> Vec<(u64, CriterionId, String)> {
    let nodes = map.list("retire").into_iter();
    let mut read = |node: Node| {
        let mut entry = map.faults.map(node, "a retirement")?;
        let (line, id) = (entry.line, entry.need_word("id"));
        let reason = entry.need_text("reason", MAX_TEXT_BYTES);
        entry.end();
        Some((line, id?, reason?))
    };
    nodes.filter_map(&mut read).collect()
}

fn read_mapping(map: &mut Map<'_>) -> Vec<(u64, CriterionId, Vec<Control>)> {
    let nodes = map.list("controls").into_iter();
    let mut read = |node: Node| {
        let mut entry = map.faults.map(node, "a mapping to controls")?;
        let (line, id) = (entry.line, entry.need_word("criterion"));
        let controls = read_controls(&mut entry);
        entry.end();
        Some((line, id?, controls))
    };
    nodes.filter_map(&mut read).collect()
}

fn read_obligations(map: &mut Map<'_>) -> Vec<Obligation> {
    let nodes = map.list("obligations").into_iter();
    let mut read = |node: Node| {
        let mut entry = map.faults.map(node, "an obligation")?;
        let id = entry.need_word("id");
        let criteria = entry.words("criteria");
        let tiers = entry.list("tiers");
        let tiers = tiers.iter().filter_map(|node| entry.faults.number(node, "tiers"));
        let tiers = tiers.filter_map(|tier| u8::try_from(tier).ok()).collect();
        let scope = Scope {
            tiers,
            teams: entry.words("teams"),
            apps: entry.words("apps"),
        };
        let from = read_date(&mut entry, "from");
        let reason = entry.need_text("reason", MAX_TEXT_BYTES);
        if from.is_none() {
            entry
                .faults
                .add(entry.line, "an obligation needs `from`, a day such as 2027-01-01");
        }
        entry.end();
        Some(Obligation {
            id: id?,
            criteria,
            scope,
            from: from?,
            reason: reason?,
        })
    };
    nodes.filter_map(&mut read).collect()
}

/// The beginning of a day in UTC.
pub(super) fn read_date(map: &mut Map<'_>, key: &'static str) -> Option<OffsetDateTime> {
    let node = map.take(key)?;
    let text = map.faults.text(&node, key, 40)?;
    if let Ok(date) = Date::parse(&text, &Iso8601::DATE) {
        return Some(date.with_time(Time::MIDNIGHT).assume_offset(UtcOffset::UTC));
    }
    let text = one_line(&text, 40);
    map.faults.add(
        node.line,
        format!("`{key}`: `{text}` is no day: write one such as 2027-01-01"),
    );
    None
}

/// A level as a number that may be out of range, which is told with the levels of the model.
pub(super) fn read_level(map: &mut Map<'_>) -> Option<u8> {
    let level = map.number("level", 1, i64::from(MAX_LEVEL))?;
    u8::try_from(level).ok()
}
