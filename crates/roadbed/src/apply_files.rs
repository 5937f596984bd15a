//! Files of declared state: YAML documents, one thing each.
//!
//! `kind` says what a document declares; every other field is checked against that kind, and a complaint names file and
//! line. Number and size of files and documents are bounded before anything is parsed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ::road::application::Statement;
use anyhow::{Context as _, bail};
use policy::{Policy, PolicyErrors, yaml};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use signatures::SignerSpec;
use store::{Declared, DeclaredInUse, DeclaredRobot, DeclaredUser, Rule};
use thiserror::Error;

use documents::{GrantDocument, InUseDocument, RobotDocument, RuleDocument, UserDocument};
pub(crate) use sink::DeclaredSink;
pub(crate) use waiver::DeclaredWaiver;
use waiver::WaiverDocument;

mod documents;
mod road;
mod signer;
mod sink;
mod waiver;

use road::ApplicationDocument;
use signer::SignerDocument;
use sink::SinkDocument;

/// Largest file, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Most files.
const MAX_FILES: usize = 1_000;

/// How deep directories may be nested.
const MAX_DEPTH: usize = 8;

/// Most documents over all files.
const MAX_DOCUMENTS: usize = 100_000;

/// What the one policy is called; the space keeps it apart from users and robots.
const POLICY: &str = "the policy";

/// Why a file declares nothing.
#[derive(Debug, Error)]
#[error("{}:{line}: {reason}", path.display())]
pub(crate) struct DocumentError {
    path: PathBuf,
    /// Counted from 1.
    line: u64,
    reason: String,
}

/// What files declare.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// What the registry makes so in one transaction.
    pub(crate) declared: Declared,
    /// What is asked for.
    pub(crate) waivers: Vec<DeclaredWaiver>,
    /// Who should be told.
    pub(crate) sinks: Vec<DeclaredSink>,
}

impl Files {
    /// Whether they declare nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.declared == Declared::default() && self.waivers.is_empty() && self.sinks.is_empty()
    }
}

/// Reads one file, or every `*.yaml` and `*.yml` below a directory, in the order of their paths.
pub(crate) fn read(path: &Path) -> anyhow::Result<Files> {
    let mut files = Vec::new();
    if path.is_dir() {
        gather(path, 0, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    if files.is_empty() {
        bail!("{} holds no file that ends in .yaml or .yml", path.display());
    }
    files.sort();
    let mut read = Files::default();
    let mut places = Places::default();
    let mut documents = 0;
    for file in files {
        let text = read_file(&file)?;
        let parts = yaml::documents(&text);
        documents += parts.len();
        if documents > MAX_DOCUMENTS {
            bail!("there are over {MAX_DOCUMENTS} documents: declare less");
        }
        for (line, document) in parts {
            let known = read.waivers.len();
            let thing = add(&mut read, (&file, line), document)?;
            let is_policy = thing.key == POLICY;
            let first = line + yaml::first_line(document);
            places.take(thing, &file, first)?;
            if is_policy {
                check_policy(&file, line, document)?;
            }
            if let Some(waiver) = read.waivers.get(known) {
                check_waiver(&file, first, waiver)?;
            }
        }
    }
    Ok(read)
}

fn gather(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > MAX_DEPTH {
        bail!(
            "{} is nested deeper than {MAX_DEPTH} directories",
            directory.display()
        );
    }
    let cannot_read = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(cannot_read)? {
        let path = entry.with_context(cannot_read)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            gather(&path, depth + 1, files)?;
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            bail!("there are over {MAX_FILES} files: put more documents into each");
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let cannot_read = || format!("cannot read {}", path.display());
    let bytes = fs::metadata(path).with_context(cannot_read)?.len();
    if bytes > MAX_FILE_BYTES {
        bail!(
            "{} has {bytes} bytes: at most {MAX_FILE_BYTES} are read, split it",
            path.display()
        );
    }
    fs::read_to_string(path).with_context(cannot_read)
}

/// What a document is, before its fields are looked at.
#[derive(Deserialize)]
struct Head {
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    User,
    Robot,
    Grant,
    Rule,
    Signer,
    Sink,
    Application,
    BaseImage,
    Toolchain,
    GoldenPath,
    AppRoad,
    Exemption,
    Policy,
    Waiver,
    InUse,
}

/// What a document declares.
struct Thing {
    /// Two things of the same key cannot both be.
    key: String,
    /// How it is called in messages.
    name: String,
}

impl Thing {
    fn named(kind: &str, name: &access::PrincipalName) -> Self {
        Self {
            // Users and robots share their names.
            key: name.to_string(),
            name: format!("{kind} {name}"),
        }
    }

    /// The name has a space, so it is no key of a user or robot.
    fn called(name: String) -> Self {
        Self {
            key: name.clone(),
            name,
        }
    }
}

/// Where each thing is declared: by its key, its name and its place.
#[derive(Default)]
struct Places(HashMap<String, (String, String)>);

impl Places {
    fn take(&mut self, thing: Thing, path: &Path, line: u64) -> Result<(), DocumentError> {
        let Thing { key, name } = thing;
        let reason = match self.0.get(&key) {
            None => {
                let place = format!("{}:{line}", path.display());
                self.0.insert(key, (name, place));
                return Ok(());
            }
            Some((first, place)) if *first == name => format!("{name} is declared already at {place}"),
            Some((first, place)) => {
                format!(
                    "{name} has the name of {first}, declared at {place}: users and robots share their names"
                )
            }
        };
        Err(DocumentError {
            path: path.to_owned(),
            line,
            reason,
        })
    }
}

/// File, and lines before the document.
type Place<'a> = (&'a Path, u64);

fn add(files: &mut Files, at: Place<'_>, document: &str) -> anyhow::Result<Thing> {
    let Files {
        declared,
        waivers,
        sinks,
    } = files;
    Ok(match parse::<Head>(at, document)?.kind {
        Kind::User => {
            let user: DeclaredUser = parse::<UserDocument>(at, document)?.into();
            let thing = Thing::named("user", &user.name);
            declared.users.push(user);
            thing
        }
        Kind::Robot => {
            let robot: DeclaredRobot = parse::<RobotDocument>(at, document)?.into();
            let thing = Thing::named("robot", &robot.name);
            declared.robots.push(robot);
            thing
        }
        Kind::Grant => {
            let grant: access::Grant = parse::<GrantDocument>(at, document)?.into();
            let thing = Thing::called(format!("grant {} {}", grant.subject, grant.pattern));
            declared.grants.push(grant);
            thing
        }
        Kind::Rule => {
            let rule: Rule = parse::<RuleDocument>(at, document)?.into();
            let thing = Thing::called(format!("rule {}", rule.pattern));
            declared.rules.push(rule);
            thing
        }
        Kind::InUse => {
            let image: DeclaredInUse = parse::<InUseDocument>(at, document)?.into();
            let thing = Thing::called(format!("image in use {} {}", image.repository, image.reference));
            declared.in_use.push(image);
            thing
        }
        Kind::Signer => {
            let signer: SignerSpec = parse::<SignerDocument>(at, document)?.into();
            let thing = Thing::called(format!("signer {}", signer.name));
            declared.signers.push(signer);
            thing
        }
        Kind::Sink => {
            let sink = sink_of(at, document)?;
            let thing = Thing::called(format!("sink {}", sink.spec.name));
            sinks.push(sink);
            thing
        }
        kind @ (Kind::Application
        | Kind::BaseImage
        | Kind::Toolchain
        | Kind::GoldenPath
        | Kind::AppRoad
        | Kind::Exemption) => add_road(declared, kind, at, document)?,
        Kind::Policy => {
            declared.policy = Some(rules_of(document));
            Thing::called(POLICY.to_owned())
        }
        Kind::Waiver => {
            let waiver: DeclaredWaiver = parse::<WaiverDocument>(at, document)?.into();
            let thing = Thing::called(format!("waiver {}", waiver.name));
            waivers.push(waiver);
            thing
        }
    })
}

/// Whose repositories are, or what images may stand on.
fn add_road(declared: &mut Declared, kind: Kind, at: Place<'_>, document: &str) -> anyhow::Result<Thing> {
    if kind == Kind::Application {
        let entry: Statement = parse::<ApplicationDocument>(at, document)?.into();
        let thing = Thing::called(format!("application {}", entry.application));
        declared.applications.push(entry);
        Ok(thing)
    } else {
        let road = road::entry(&at.0.display().to_string(), at.1, document)?;
        let bases = road.bases.iter().map(|base| format!("base {}", base.name));
        let entries = road
            .entries
            .iter()
            .map(|entry| format!("{} {}", entry.kind(), entry.name()));
        let name = bases.chain(entries).collect();
        declared.bases.extend(road.bases);
        declared.road.extend(road.entries);
        Ok(Thing::called(name))
    }
}

fn sink_of(at: Place<'_>, document: &str) -> anyhow::Result<DeclaredSink> {
    let sink = DeclaredSink::try_from(parse::<SinkDocument>(at, document)?);
    let complaint = |reason| DocumentError {
        path: at.0.to_owned(),
        line: at.1 + yaml::first_line(document),
        reason,
    };
    Ok(sink.map_err(complaint)?)
}

/// The rules without what makes a document of them, every line in its place.
fn rules_of(document: &str) -> String {
    let is_kind = |line: &&str| !line.starts_with("kind:");
    let lines = document
        .lines()
        .map(|line| Some(line).filter(is_kind).unwrap_or("#"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// All that is wrong with a policy, with the lines of its file.
fn check_policy(path: &Path, lines_before: u64, document: &str) -> anyhow::Result<()> {
    let parsed = Policy::parse(&path.display().to_string(), &rules_of(document));
    let Err(PolicyErrors(mut errors)) = parsed else {
        return Ok(());
    };
    for error in &mut errors {
        error.line += lines_before;
    }
    Err(PolicyErrors(errors).into())
}

/// What nobody could approve is said before anything is asked for.
fn check_waiver(path: &Path, line: u64, waiver: &DeclaredWaiver) -> Result<(), DocumentError> {
    waiver.check().map_err(|reason| DocumentError {
        path: path.to_owned(),
        line,
        reason,
    })
}

fn parse<T: DeserializeOwned>((path, lines_before): Place<'_>, document: &str) -> Result<T, DocumentError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000 },
    };
    serde_saphyr::from_str_with_options(document, options).map_err(|error| at(path, lines_before, &error))
}

fn at(path: &Path, lines_before: u64, error: &serde_saphyr::Error) -> DocumentError {
    let line = error.location().map_or(1, |location| location.line()) + lines_before;
    let text = error.without_snippet().to_string();
    // The library counts lines from the start of the document.
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DocumentError {
        path: path.to_owned(),
        line,
        reason,
    }
}

#[cfg(test)]
mod tests;
