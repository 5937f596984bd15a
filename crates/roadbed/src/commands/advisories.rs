//! `advisories …`: what is known to be wrong with which packages.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use store::{Actor, FeedHold, Importer, Store, StoreConfig};
use web::wire::{BegunImport, EndOfImport, ImportDocument, ImportDocuments, ImportResult, NewImport};

use crate::cli::ClientArgs;
use crate::client::Client;
use crate::commands::serve::ConfigFile;
use crate::config::{self, Config};
use crate::local::DataArgs;
use crate::{local, output, progress};

mod bundle;
mod held;
pub(crate) mod sources;
mod status;
mod sync;

pub(crate) use held::HeldImport;
use sources::Sources;

/// What to do with advisories.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A server fetches by itself what [feeds] of its configuration names; `sync` does it now, or on the data directory of a stopped \
server. A source that cannot be reached, or says what cannot be believed, leaves in force what it had said before.

What `import` reads is recognised by its content: OSV JSON, the KEV catalogue, EPSS's list, OpenVEX documents; in a directory, in \
zip archives (the layout of OSV's export has one per ecosystem), or packed with gzip.

Each import is a numbered generation that counts as a whole; images are judged by it at once, from what is known of \
their packages.

Examples:
  roadbed advisories sync
  roadbed advisories sync --source Maven --source kev
  roadbed advisories import osv-export/
  roadbed advisories import known_exploited_vulnerabilities.json
  roadbed advisories export osv kev.json epss.csv.gz --to advisories.bundle
  roadbed advisories import-bundle advisories.bundle --signature advisories.bundle.sig
  roadbed advisories status")]
pub(crate) enum AdvisoryCommand {
    /// Fetch what is new from the feeds that are configured
    Sync(sync::SyncArgs),
    /// Import a file or a directory
    Import(ImportArgs),
    /// Put advisories into one file, to be signed and carried to where nothing can be fetched
    Export(bundle::ExportArgs),
    /// Verify such a file and import it
    ImportBundle(bundle::BundleArgs),
    /// Show how the feeds stand and what was imported
    Status(status::StatusArgs),
}

/// Options of `advisories import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files and directories
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Import it also where it lifts so many refusals; one that lifts much is held, and says how many
    #[arg(long, value_name = "IMAGES")]
    accept_lifts: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    file: ConfigFile,
}

/// Carries out a command.
pub(crate) async fn run(client: &ClientArgs, command: AdvisoryCommand) -> Result<()> {
    match command {
        AdvisoryCommand::Sync(args) => sync::sync(client, args).await,
        AdvisoryCommand::Import(args) => import(client, args).await,
        AdvisoryCommand::Export(args) => bundle::export(client, &args),
        AdvisoryCommand::ImportBundle(args) => bundle::import(client, args).await,
        AdvisoryCommand::Status(args) => status::status(client, args).await,
    }
}

async fn import(client: &ClientArgs, args: ImportArgs) -> Result<()> {
    let sources = Sources::find(&args.paths)?;
    let bar = progress::of_bytes(sources.bytes());
    let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
    let origin = paths.join(", ");
    let end = EndOfImport {
        origin,
        accept_lifts: args.accept_lifts,
    };
    let mut again = vec!["import".to_owned()];
    again.extend(paths);
    again.extend(args.data.words());
    again.extend(args.file.words());
    let result = match &args.data.data {
        Some(data) => {
            let config = Config::load(&config::Sources::of_process(args.file.config, Vec::new()))?;
            let store = local::open_with(StoreConfig {
                limits: config.store_limits(),
                ..StoreConfig::at(data)
            })
            .await?;
            let done = locally(&store, &config, sources, end, &bar).await;
            local::close(store).await?;
            done
        }
        None => through_the_server(&Client::connect(client)?, sources, end, &bar).await,
    };
    bar.finish_and_clear();
    let result = result.map_err(|error| held::with_command(error, &again))?;
    output::show(client.output, &result, describe)
}

async fn locally(
    store: &Store,
    config: &Config,
    sources: Sources,
    end: EndOfImport,
    bar: &ProgressBar,
) -> Result<ImportResult> {
    let mut importer = Importer::begin(store).await?;
    let mut documents = sources.documents();
    while let Some(document) = documents.next() {
        let document = document?;
        importer.add(&document.name, document.text.as_bytes()).await?;
        bar.set_position(documents.read_bytes());
    }
    let judged = local::Judged::start(store, config);
    let actor = Actor::operator("import");
    let ended = web::end_import(store, Some(judged.judging()), importer, end, actor).await;
    ended.map_err(|problem| match problem.held.map(|held| *held) {
        Some(FeedHold::Lifts { lifts }) => HeldImport {
            said: problem.detail,
            lifts,
        }
        .into(),
        _ => anyhow!("{}", problem.detail),
    })
}

/// Sends documents in requests of a bounded size.
async fn through_the_server(
    client: &Client,
    sources: Sources,
    end: EndOfImport,
    bar: &ProgressBar,
) -> Result<ImportResult> {
    /// Bytes of documents in one request; JSON adds to it.
    const BATCH: usize = 4 << 20;
    let begun: BegunImport = client.post("/advisories/imports", &NewImport {}).await?;
    let path = format!("/advisories/imports/{}/documents", begun.id);
    let mut batch = ImportDocuments::default();
    let mut size = 0;
    let mut documents = sources.documents();
    while let Some(document) = documents.next() {
        let document = document?;
        if size + document.text.len() > BATCH && !batch.documents.is_empty() {
            client.post_streamed(&path, &std::mem::take(&mut batch)).await?;
            size = 0;
        }
        size += document.text.len();
        batch.documents.push(ImportDocument {
            name: document.name,
            text: document.text,
        });
        bar.set_position(documents.read_bytes());
    }
    if !batch.documents.is_empty() {
        client.post_streamed(&path, &batch).await?;
    }
    client
        .post(&format!("/advisories/imports/{}/finish", begun.id), &end)
        .await
}

fn describe(result: &ImportResult) -> String {
    let mut text = match result.generation {
        Some(generation) => format!("Generation {generation}: "),
        None => "Nothing has changed: ".to_owned(),
    };
    let (seen, changed, refused) = (result.seen, result.changed, result.refused);
    // Writing to memory does not fail.
    let _ = writeln!(
        text,
        "{seen} advisories read, {changed} new or changed, {refused} documents refused."
    );
    if result.lifted > 0 {
        let lifted = output::count(result.lifted, "image");
        let _ = writeln!(text, "{lifted} refused no more.");
    }
    if result.older > 0 {
        let older = output::count(result.older, "advisory");
        let _ = writeln!(text, "{older} passed over: what is known is newer.");
    }
    for refusal in &result.refusals {
        let _ = writeln!(text, "  refused: {refusal}");
    }
    let covers = result
        .covers
        .iter()
        .map(|(ecosystem, count)| [ecosystem.clone(), count.to_string()]);
    if !result.covers.is_empty() {
        text.push_str(&output::table(["ECOSYSTEM", "ADVISORIES"], covers));
    }
    text
}
