//! `advisories export` and `advisories import-bundle`: advisories in one signed file, for where nothing can be fetched.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use signatures::{MAX_SIGNATURE_BYTES, signature_in};
use store::{Actor, Clock as _, FeedHold, SystemClock};
use web::wire::{BegunBundle, EndOfBundle, NewBundle, SyncReport};

use super::held::{self, HeldImport};
use super::sources::Sources;
use super::{status, sync};
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::commands::serve::ConfigFile;
use crate::config::{self, Config};
use crate::feeds::{BundleDocument, BundleRequest, Feeds, write_bundle};
use crate::local::DataArgs;
use crate::{output, progress};

/// Bytes that are sent at a time.
const PIECE: u64 = 8 << 20;

/// Options of `advisories export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Files and directories with advisories, as of `advisories import`; best with paths below the present directory
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The bundle to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Options of `advisories import-bundle`.
#[derive(Debug, Args)]
#[command(after_help = "\
The registry verifies it with the keys of feeds.bundle_keys before anything of it is read. What is not exactly what one of them \
signed, not whole, or older than the last one is refused, and what was known before stays in force.

Example:
  cosign sign-blob --key cosign.key --bundle a.bundle.sig --tlog-upload=false --use-signing-config=false a.bundle
  roadbed advisories import-bundle a.bundle --signature a.bundle.sig")]
pub(crate) struct BundleArgs {
    /// The bundle, as `advisories export` wrote it
    bundle: PathBuf,
    /// File with its signature, as `cosign sign-blob --key` wrote it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Take it although nobody has signed it; the audit log tells who said so
    #[arg(long, conflicts_with = "signature")]
    unsigned: bool,
    /// Take it although a newer one was taken in
    #[arg(long)]
    accept_older: bool,
    /// Import it also where it lifts so many refusals; one that lifts much is held, and says how many
    #[arg(long, value_name = "IMAGES")]
    accept_lifts: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Serialize)]
struct Exported {
    /// Documents that it holds.
    documents: u64,
    /// Its bytes.
    bytes: u64,
}

/// Writes a bundle. It is whole or not there.
pub(crate) fn export(client: &ClientArgs, args: &ExportArgs) -> Result<()> {
    let sources = Sources::find(&args.paths)?;
    let bar = progress::of_bytes(sources.bytes());
    let mut unfinished = args.to.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let cannot = || format!("cannot write {}", args.to.display());
    let file = File::create(&unfinished).with_context(cannot)?;
    let mut documents = sources.documents();
    let documents = std::iter::from_fn(|| {
        let document = documents.next()?;
        bar.set_position(documents.read_bytes());
        Some(document.map_err(io::Error::other).map(|document| BundleDocument {
            name: plain(&document.name),
            text: document.text,
        }))
    });
    let mut writer = BufWriter::new(file);
    let written = write_bundle(&mut writer, SystemClock.now(), documents);
    let finished = written.and_then(|count| {
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&unfinished, &args.to)?;
        Ok(count)
    });
    if finished.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    bar.finish_and_clear();
    let exported = Exported {
        documents: finished.with_context(cannot)?,
        bytes: fs::metadata(&args.to).with_context(cannot)?.len(),
    };
    output::show(client.output, &exported, |exported| {
        format!(
            "{}, {}. Sign it: cosign sign-blob --key cosign.key --tlog-upload=false --use-signing-config=false --bundle {to}.sig {to}\n",
            output::count(exported.documents, "document"),
            output::bytes(exported.bytes),
            to = args.to.display()
        )
    })
}

/// Without what is before the present directory, or above it: of a path the folder counts, which says whose a document is.
fn plain(name: &str) -> String {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join("/")
}

/// Brings a bundle in.
pub(crate) async fn import(client: &ClientArgs, args: BundleArgs) -> Result<()> {
    let signature = args.signature.as_deref().map(read_signature).transpose()?;
    let bar = progress::of_unknown();
    let again = again(&args);
    let report = if let Some(data) = &args.data.data {
        let sources = config::Sources::of_process(args.file.config.clone(), Vec::new());
        let request = BundleRequest {
            signature,
            unsigned: args.unsigned,
            accept_older: args.accept_older,
            accept_lifts: args.accept_lifts,
        };
        let (config, bundle) = (Config::load(&sources)?, args.bundle.clone());
        let begin = |feeds: &Feeds| Ok(feeds.begin_taking(bundle, request, Actor::operator("bundle")));
        sync::locally(data, &config, &bar, begin).await
    } else {
        let end = EndOfBundle {
            signature: signature.map(|signature| BASE64_STANDARD.encode(signature)),
            unsigned: args.unsigned,
            accept_older: args.accept_older,
            accept_lifts: args.accept_lifts,
        };
        through_the_server(&Client::connect(client)?, &args.bundle, &end, &bar).await
    };
    bar.finish_and_clear();
    let report = report?;
    let refused = report.sources.iter().find(|outcome| outcome.error.is_some());
    let Some(refused) = refused else {
        return output::show(client.output, &report, describe);
    };
    let error = refused.error.as_deref().unwrap_or_default();
    let said = format!(
        "{}; what was known before stays in force",
        output::printable(error)
    );
    match &refused.held {
        Some(FeedHold::Lifts { lifts }) => {
            let lifts = lifts.clone();
            Err(held::with_command(HeldImport { said, lifts }.into(), &again))
        }
        _ => bail!("{said}"),
    }
}

/// What was typed, without what accepts that refusals are lifted.
fn again(args: &BundleArgs) -> Vec<String> {
    let mut words = vec!["import-bundle".to_owned(), args.bundle.display().to_string()];
    if let Some(signature) = &args.signature {
        words.extend(["--signature".to_owned(), signature.display().to_string()]);
    }
    words.extend(args.unsigned.then(|| "--unsigned".to_owned()));
    words.extend(args.accept_older.then(|| "--accept-older".to_owned()));
    words.extend(args.data.words());
    words.extend(args.file.words());
    words
}

/// What came of each source, in which generation and by whose signature.
fn describe(report: &SyncReport) -> String {
    let bundle = report
        .bundle
        .as_ref()
        .map_or_else(|| "bundle".to_owned(), status::of_bundle);
    let bytes = output::bytes(report.bytes);
    let mut text = match report.generation {
        Some(generation) => format!("Generation {generation}: {bundle}, {bytes}.\n"),
        None => format!("Nothing is new: {bundle}, {bytes}.\n"),
    };
    let number = |number: u64| number.to_string();
    let rows = report.sources.iter().map(|outcome| {
        let added = outcome.added.unwrap_or_default();
        let changed = outcome.changed.saturating_sub(added + outcome.gone);
        [
            outcome.source.clone(),
            number(outcome.entries.unwrap_or_default()),
            number(added),
            number(changed),
            number(outcome.gone),
        ]
    });
    text.push_str(&output::table(
        ["SOURCE", "ENTRIES", "NEW", "CHANGED", "REMOVED"],
        rows,
    ));
    text + &sync::passed_over(report)
}

fn read_signature(path: &Path) -> Result<Vec<u8>> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut text = String::new();
    let file = File::open(path).with_context(unreadable)?;
    let limit = MAX_SIGNATURE_BYTES as u64 + 1;
    file.take(limit)
        .read_to_string(&mut text)
        .with_context(unreadable)?;
    signature_in(&text).with_context(|| {
        format!(
            "{} holds no signature: give the file that `cosign sign-blob` wrote with --bundle or --output-signature",
            path.display()
        )
    })
}

async fn through_the_server(
    client: &Client,
    bundle: &Path,
    end: &EndOfBundle,
    bar: &ProgressBar,
) -> Result<SyncReport> {
    let unreadable = || format!("cannot read {}", bundle.display());
    let mut file = File::open(bundle).with_context(unreadable)?;
    let begun: BegunBundle = client.post("/advisories/bundles", &NewBundle {}).await?;
    let path = format!("/advisories/bundles/{}", begun.id);
    let mut offset = 0;
    loop {
        let mut piece = Vec::new();
        let read = io::Read::by_ref(&mut file)
            .take(PIECE)
            .read_to_end(&mut piece)
            .with_context(unreadable)?;
        if read == 0 {
            break;
        }
        let query = [("offset", offset.to_string())];
        client.put_bytes(&format!("{path}/pieces"), &query, piece).await?;
        offset += read as u64;
        bar.set_position(offset);
    }
    ensure!(offset > 0, "{} is empty", bundle.display());
    let response = client.post_streamed(&format!("{path}/finish"), end).await?;
    sync::report_of(response, bar).await
}

#[cfg(test)]
mod tests {
    use store::Timestamp;
    use web::wire::{BundleOrigin, Moment, SourceOutcome};

    use super::*;

    #[test]
    fn a_report_says_what_came_of_each_source_and_by_whom() {
        let outcome = |source: &str, entries, added, changed, gone| SourceOutcome {
            source: source.to_owned(),
            entries: Some(entries),
            added: Some(added),
            changed,
            gone,
            ..SourceOutcome::default()
        };
        let report = SyncReport {
            generation: Some(12),
            bytes: 20_480,
            bundle: Some(BundleOrigin {
                digest: "sha256:0".to_owned(),
                made_at: Moment(Timestamp::from_rfc3339("2026-11-27T04:41:00Z").unwrap()),
                signed_by: Some("/etc/roadbed/cosign.pub".to_owned()),
            }),
            sources: vec![outcome("Maven", 5_912, 7, 12, 1), outcome("kev", 1_500, 0, 0, 0)],
            refused: 1,
            refusals: vec!["X is odd\u{1b}".to_owned()],
            ..SyncReport::default()
        };
        assert_eq!(
            describe(&report),
            "Generation 12: bundle of 2026-11-27T04:41:00Z, signed by /etc/roadbed/cosign.pub, 20 KiB.\n\
             SOURCE  ENTRIES  NEW  CHANGED  REMOVED\n\
             Maven   5912     7    4        1\n\
             kev     1500     0    0        0\n\
             1 document not taken:\n  X is odd\\u{1b}\n"
        );
    }

    #[test]
    fn names_are_below_the_present_directory() {
        for (name, kept) in [
            ("osv/npm/all.zip/A-1.json", "osv/npm/all.zip/A-1.json"),
            ("./osv//A-1.json", "osv/A-1.json"),
            ("/srv/../osv/A-1.json", "srv/osv/A-1.json"),
        ] {
            assert_eq!(plain(name), kept);
        }
    }
}
