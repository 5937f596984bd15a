//! What a scan is judged by: advisories and policy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use findings::advisory::{Advisory, AdvisoryIndex, DocumentKind, Epss, Kev, recognise};
use policy::Policy;
use store::{Store, StoreConfig, SystemClock};

use crate::commands::advisories::sources::{Document, Sources};
use crate::judge::{self, Facts};
use crate::{local, output, progress};

/// Documents that cannot be used and are named.
const NAMED: usize = 5;

/// Where advisories and policy come from.
#[derive(Debug, Args)]
pub(super) struct KnownArgs {
    /// Data directory of a stopped server, with its advisories, policy and waivers
    #[arg(long, value_name = "DIR", conflicts_with = "advisories")]
    data: Option<PathBuf>,
    /// Advisories: files and directories as `advisories import` takes them
    #[arg(long, value_name = "PATH", num_args = 1..)]
    advisories: Vec<PathBuf>,
    /// Judge by the policy in this file
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
}

/// What was found of both.
pub(super) struct Known {
    /// To ask. Without advisories, they answer that nothing is covered.
    pub(super) facts: Facts,
    /// Whether there were any advisories to read.
    pub(super) has_advisories: bool,
}

impl KnownArgs {
    /// Whether any of it was named.
    pub(super) fn is_named(&self) -> bool {
        self.data.is_some() || self.policy.is_some() || !self.advisories.is_empty()
    }

    /// Reads it.
    pub(super) async fn load(&self) -> Result<Known> {
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        let mut facts = if let Some(data) = &self.data {
            read_data(data).await?
        } else {
            let paths = self.advisories.clone();
            tokio::task::spawn_blocking(move || read_files(&paths))
                .await
                .context("the advisories were lost")??
        };
        if let Some(policy) = policy {
            facts.policy = policy;
        }
        Ok(Known {
            has_advisories: self.data.is_some() || !self.advisories.is_empty(),
            facts,
        })
    }
}

async fn read_data(data: &Path) -> Result<Facts> {
    local::expect_registry(data)?;
    let opened = Store::open(StoreConfig::at(data), Arc::new(SystemClock)).await;
    let instead = "name advisories with --advisories";
    let store = local::explain(opened.map_err(anyhow::Error::from), instead)?;
    let facts = judge::read_facts(&store).await;
    local::close(store).await?;
    facts
}

fn read_policy(file: &Path) -> Result<Policy> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Policy::parse(&file.display().to_string(), &text)?)
}

/// Advisories as they are gathered.
#[derive(Default)]
struct Gathering {
    advisories: Vec<Advisory>,
    kev: Option<Kev>,
    epss: Option<Epss>,
    refused: Vec<String>,
}

fn read_files(paths: &[PathBuf]) -> Result<Facts> {
    let mut gathering = Gathering::default();
    if !paths.is_empty() {
        let sources = Sources::find(paths)?;
        let bar = progress::of_bytes(sources.bytes());
        let mut documents = sources.documents();
        while let Some(document) = documents.next() {
            gathering.take(&document?);
            bar.set_position(documents.read_bytes());
        }
        bar.finish_and_clear();
    }
    gathering.tell_refused();
    Ok(Facts {
        index: AdvisoryIndex::build(gathering.advisories)?.into(),
        kev: gathering.kev,
        epss: gathering.epss,
        ..Facts::nothing()
    })
}

impl Gathering {
    /// One that cannot be used is one less: the others still count.
    fn take(&mut self, document: &Document) {
        let bytes = document.text.as_bytes();
        let taken = match recognise(&document.name, bytes) {
            Some(DocumentKind::Osv) => Advisory::read(bytes, store::home_of(&document.name))
                .map(|advisory| self.advisories.push(advisory))
                .map_err(|error| error.to_string()),
            Some(DocumentKind::Kev) => Kev::read(bytes)
                .map(|kev| self.kev = Some(kev))
                .map_err(|error| error.to_string()),
            Some(DocumentKind::Epss) => Epss::read(bytes)
                .map(|epss| self.epss = Some(epss))
                .map_err(|error| error.to_string()),
            Some(DocumentKind::OpenVex) => Err("VEX counts only once it is imported".to_owned()),
            Some(DocumentKind::Zip | DocumentKind::Gzip) => {
                Err("an archive in an archive: unpack it first".to_owned())
            }
            None => Err("no OSV advisory, KEV catalogue or EPSS list".to_owned()),
        };
        if let Err(why) = taken {
            self.refused.push(format!("{}: {why}", document.name));
        }
    }

    fn tell_refused(&self) {
        for refused in self.refused.iter().take(NAMED) {
            output::note(format!("not used: {}", findings::harmless(refused)));
        }
        if let Some(more) = self.refused.len().checked_sub(NAMED).filter(|more| *more > 0) {
            output::note(format!("not used: {more} more documents"));
        }
    }
}
