//! From Backstage's entities to what is said of applications.

use std::collections::BTreeMap;

use oci::RepoPattern;
use policy::yaml::{self, one_line};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::annotations::{ROAD_PREFIX, Said, road_of};
use super::entity::{Entity, Envelope, Metadata, Spec, Text};
use super::graph::{Graph, Link};
use super::{CatalogErrors, CatalogLimits, Document, Errors, Problem, SourceFile, documents};
use crate::application::{ANNOTATION_PREFIX, MAX_LISTED, MAX_PATTERNS, MAX_TIER, Source, Statement};
use crate::names::{ApplicationName, Contact, NameError, Owner};
use crate::paving::RoadEntry;

/// Which annotation of a component names its repositories: patterns with commas or blanks between them.
pub const REPOSITORIES_ANNOTATION: &str = "roadbed.dev/repositories";

/// Longest text that is kept as it is (system, type, lifecycle), in bytes.
const MAX_TEXT_BYTES: usize = 200;

/// Annotations of others from which a repository can be guessed.
const GUESSES: [&str; 3] = [
    "github.com/project-slug",
    "gitlab.com/project-slug",
    "bitbucket.org/project-slug",
];

/// What a catalogue says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// About applications: one per component, in the order of the files.
    pub statements: Vec<Statement>,
    /// Where repositories may be of components that name none: to be shown to a person, never believed.
    pub hints: Vec<Hint>,
    /// What applications say about their road, in annotations; empty where files of both kinds were read, for it is among the other
    /// entries then.
    pub roads: Vec<RoadEntry>,
    /// How groups and users are reached.
    pub contacts: BTreeMap<Owner, Contact>,
    /// How many documents there are of kinds that say nothing here, by kind.
    pub ignored: BTreeMap<String, usize>,
}

/// A guess about an application without repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Which application.
    pub application: ApplicationName,
    /// Which repositories may be its.
    pub pattern: RepoPattern,
    /// By which annotation, or `metadata.name`.
    pub because: String,
}

/// Reads any number of files together: entities of one may be named by another.
pub fn read(files: &[SourceFile<'_>], limits: &CatalogLimits) -> Result<Catalog, CatalogErrors> {
    let mut errors = Errors::new(limits);
    let mut reader = Reader {
        catalog: Catalog::default(),
        graph: Graph::default(),
        systems: BTreeMap::new(),
    };
    for document in documents(files, limits, &mut errors) {
        if let Err((line, problem)) = reader.take(&document) {
            errors.add(document.file, line, problem);
        }
    }
    for (file, line, problem) in reader.graph.problems() {
        errors.add(&file, line, problem);
    }
    let catalog = reader.finish();
    errors.into_result(catalog)
}

/// What is wrong at a line of the file.
type At = (u64, Problem);

struct Reader {
    catalog: Catalog,
    graph: Graph,
    /// Owners of systems, for components that name none.
    systems: BTreeMap<String, Owner>,
}

impl Reader {
    fn take(&mut self, document: &Document<'_>) -> Result<(), At> {
        let envelope: Envelope = parse(document)?;
        let kind = envelope
            .kind
            .ok_or_else(|| missing(document, "an entity", "kind"))?;
        match kind.value.as_str() {
            "Component" | "System" | "Domain" | "Group" | "User" => {
                self.take_entity(&kind.value.to_ascii_lowercase(), document)
            }
            other => {
                // Kinds of strangers are counted together once there are many.
                let name = one_line(other, 40);
                let ignored = &mut self.catalog.ignored;
                let is_room = ignored.contains_key(&name) || ignored.len() < 100;
                let name = if is_room { name } else { "others".to_owned() };
                *ignored.entry(name).or_default() += 1;
                Ok(())
            }
        }
    }

    fn take_entity(&mut self, kind: &str, document: &Document<'_>) -> Result<(), At> {
        let entity: Entity = parse(document)?;
        let metadata = entity
            .metadata
            .ok_or_else(|| missing(document, "an entity", "metadata"))?;
        let name = name_of(&metadata, document)?;
        let spec = entity.spec.unwrap_or_default();
        let place = (document.file, document.first_line());
        self.graph.add(kind, &name, place)?;
        for (target, link) in [
            (&spec.parent, "group"),
            (&spec.subcomponent_of, "component"),
            (&spec.subdomain_of, "domain"),
        ] {
            if let Some(target) = target.as_ref().filter(|_| link == kind) {
                let (from, line) = (name.clone(), document.line(line_of(target)));
                let target = reference("spec", target, document)?;
                self.graph.link(Link {
                    kind: link,
                    from,
                    target,
                    file: document.file.to_owned(),
                    line,
                });
            }
        }
        match kind {
            "component" => self.take_component(name, &metadata, &spec, document),
            "system" => {
                if let Some(owner) = owner_of(&spec, document)? {
                    self.systems.insert(name.to_string(), owner);
                }
                Ok(())
            }
            "group" | "user" => self.take_owner(kind, &name, &spec, document),
            _ => Ok(()),
        }
    }

    fn take_owner(
        &mut self,
        kind: &str,
        name: &ApplicationName,
        spec: &Spec,
        document: &Document<'_>,
    ) -> Result<(), At> {
        let email = spec.profile.as_ref().and_then(|profile| profile.email.as_ref());
        let Some(email) = email else { return Ok(()) };
        let owner: Owner = format!("{kind}:{name}")
            .parse()
            .map_err(named("metadata.name", document.first_line()))?;
        let at = document.line(line_of(email));
        let contact: Contact = email.value.parse().map_err(named("spec.profile.email", at))?;
        self.catalog.contacts.insert(owner, contact);
        Ok(())
    }

    fn take_component(
        &mut self,
        name: ApplicationName,
        metadata: &Metadata,
        spec: &Spec,
        document: &Document<'_>,
    ) -> Result<(), At> {
        let origin = format!("{}:{}", one_line(document.file, 200), document.first_line());
        let mut statement = Statement::new(name, Source::Catalog, origin);
        statement.owner = owner_of(spec, document)?;
        let text =
            |text: &Option<Spanned<String>>| text.as_ref().map(|text| one_line(&text.value, MAX_TEXT_BYTES));
        statement.kind = text(&spec.kind);
        statement.lifecycle = text(&spec.lifecycle);
        if let Some(system) = &spec.system {
            statement.system = Some(reference("spec.system", system, document)?.to_string());
        }
        let mut said = Vec::new();
        for (key, value) in metadata.annotations.iter().flatten() {
            let at = document.line(line_of(value));
            let text = value.value.to_text();
            if let Some(key) = key.strip_prefix(ROAD_PREFIX) {
                let key = key.to_owned();
                said.push(Said { key, text, line: at });
                continue;
            }
            match key.strip_prefix(ANNOTATION_PREFIX) {
                Some("repositories") => {
                    statement.repositories = patterns(&text).map_err(|problem| (at, problem))?;
                }
                Some("tier") => statement.tier = Some(tier(&text).map_err(|problem| (at, problem))?),
                Some("environments") => statement.environments = list("environments", &text, at)?,
                Some("contacts") => statement.contacts = list("contacts", &text, at)?,
                _ => {}
            }
        }
        let road = road_of(&statement.application, &said, document.first_line())?;
        self.catalog.roads.extend(road);
        if statement.repositories.is_empty() {
            self.catalog
                .hints
                .extend(guesses(&statement.application, metadata));
        }
        self.catalog.statements.push(statement);
        Ok(())
    }

    /// Fills in what other entities say: the owner of the system, the address of the owner.
    fn finish(mut self) -> Catalog {
        for statement in &mut self.catalog.statements {
            if statement.owner.is_none()
                && let Some(system) = &statement.system
                && let Some(owner) = self.systems.get(system)
            {
                statement.owner = Some(owner.clone());
                statement.origin = format!("{}, by its system {system}", statement.origin);
            }
            if statement.contacts.is_empty()
                && let Some(owner) = &statement.owner
            {
                statement
                    .contacts
                    .extend(self.catalog.contacts.get(owner).cloned());
            }
        }
        self.catalog
    }
}

fn parse<T: serde::de::DeserializeOwned>(document: &Document<'_>) -> Result<T, At> {
    yaml::parse(document.text).map_err(|fault| (document.line(fault.line), Problem::Yaml(fault.reason)))
}

fn missing(document: &Document<'_>, what: &'static str, key: &'static str) -> At {
    (document.first_line(), Problem::Missing { what, key })
}

fn named(key: &'static str, line: u64) -> impl Fn(NameError) -> At {
    move |error| (line, Problem::Name { key, error })
}

fn line_of<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line().max(1)
}

fn name_of(metadata: &Metadata, document: &Document<'_>) -> Result<ApplicationName, At> {
    let name = metadata
        .name
        .as_ref()
        .ok_or_else(|| missing(document, "an entity", "metadata.name"))?;
    let at = document.line(line_of(name));
    let text = match &metadata.namespace {
        Some(namespace) => format!("{}/{}", namespace.value, name.value),
        None => name.value.clone(),
    };
    text.parse().map_err(named("metadata.name", at))
}

/// `[kind:][namespace/]name`; the kind follows from the key.
fn reference(
    key: &'static str,
    text: &Spanned<String>,
    document: &Document<'_>,
) -> Result<ApplicationName, At> {
    let name = text.value.rsplit(':').next().unwrap_or(&text.value);
    name.parse().map_err(named(key, document.line(line_of(text))))
}

fn owner_of(spec: &Spec, document: &Document<'_>) -> Result<Option<Owner>, At> {
    let Some(owner) = &spec.owner else { return Ok(None) };
    let at = document.line(line_of(owner));
    owner.value.parse().map(Some).map_err(named("spec.owner", at))
}

fn patterns(text: &str) -> Result<Vec<RepoPattern>, Problem> {
    let parts: Vec<&str> = text
        .split([',', ' ', '\n', '\t'])
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > MAX_PATTERNS {
        return Err(Problem::Long {
            key: REPOSITORIES_ANNOTATION,
            count: parts.len(),
            limit: MAX_PATTERNS,
        });
    }
    let mut patterns = Vec::new();
    for part in parts {
        let pattern: RepoPattern = part.parse()?;
        let is_everybodys = pattern.exact().is_none() && !pattern.literal_prefix().contains('/');
        if is_everybodys {
            return Err(Problem::TooWide(pattern.to_string()));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

fn tier(text: &str) -> Result<u8, Problem> {
    let tier = text.trim().parse().ok().filter(|tier| *tier <= MAX_TIER);
    tier.ok_or_else(|| Problem::Value {
        key: "roadbed.dev/tier",
        text: one_line(text, 80),
        wanted: "no tier: write 0 to 9",
    })
}

fn list<T: std::str::FromStr<Err = NameError>>(key: &'static str, text: &str, at: u64) -> Result<Vec<T>, At> {
    let parts: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() > MAX_LISTED {
        let (count, limit) = (parts.len(), MAX_LISTED);
        return Err((at, Problem::Long { key, count, limit }));
    }
    parts
        .iter()
        .map(|part| part.parse().map_err(named(key, at)))
        .collect()
}

/// Where the repositories of a component may be, by what other tools keep there.
fn guesses(application: &ApplicationName, metadata: &Metadata) -> Vec<Hint> {
    let hint = |text: &str, because: &str| {
        Some(Hint {
            application: application.clone(),
            pattern: text.to_ascii_lowercase().parse().ok()?,
            because: because.to_owned(),
        })
    };
    let annotation = |key: &str| {
        metadata
            .annotations
            .as_ref()?
            .get(key)
            .map(|text: &Spanned<Text>| text.value.to_text())
    };
    let mut hints: Vec<Hint> = GUESSES
        .iter()
        .filter_map(|key| hint(&annotation(key)?, key))
        .collect();
    let name = application.as_str();
    hints.extend(hint(
        &format!("**/{}", name.rsplit('/').next().unwrap_or(name)),
        "metadata.name",
    ));
    hints
}
