//! Applications, and what is on the road, as files declare them.

use oci::RepoPattern;
use road::application::{Source, Statement};
use road::catalog::{CatalogErrors, CatalogLimits, PavedRoad, SourceFile, read_part_of_paved_road};
use road::names::{ApplicationName, Contact, Environment, Owner};
use serde::{Deserialize, de::IgnoredAny};

/// Where an entry stands that came by a file.
const ORIGIN: &str = "entry";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplicationDocument {
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    name: ApplicationName,
    #[serde(default)]
    repositories: Vec<RepoPattern>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    tier: Option<u8>,
    #[serde(default)]
    environments: Vec<Environment>,
    #[serde(default)]
    contacts: Vec<Contact>,
    #[serde(default)]
    system: Option<String>,
}

impl From<ApplicationDocument> for Statement {
    fn from(document: ApplicationDocument) -> Self {
        let ApplicationDocument {
            _kind,
            name,
            repositories,
            owner,
            tier,
            environments,
            contacts,
            system,
        } = document;
        Self {
            repositories,
            owner,
            tier,
            environments,
            contacts,
            system,
            ..Self::new(name, Source::Declared, ORIGIN)
        }
    }
}

/// A document of one of the kinds as `pavedroad.yaml` has it; complaints count its lines after those before it.
pub(super) fn entry(file: &str, lines_before: u64, document: &str) -> anyhow::Result<PavedRoad> {
    let source = SourceFile {
        name: file,
        text: document,
    };
    let limits = CatalogLimits {
        documents: 1,
        ..CatalogLimits::default()
    };
    // What takes its place may be declared in another document: that is asked of all together.
    read_part_of_paved_road(&[source], &limits).map_err(|errors| shifted(errors, lines_before).into())
}

fn shifted(mut errors: CatalogErrors, lines: u64) -> CatalogErrors {
    for error in &mut errors.errors {
        error.line += lines;
    }
    errors
}
