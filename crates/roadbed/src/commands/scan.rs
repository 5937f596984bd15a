//! `scan TARGET`: what is in an image, a directory or an SBOM, and what is known to be wrong with it.
//!
//! The command reads manifests and indexes itself, within the limits of the registry's own parser. Layers and configurations
//! are looked into by children that have nothing but the blob, as the server does it.
//!
//! - `scan/target.rs`: what was named. `scan/layout.rs`, `scan/archive.rs`, `scan/directory.rs`, `scan/registry.rs`: where
//!   images lie. `scan/blobs.rs`: one face for all of them.
//! - `scan/resolve.rs`: from what was named to one image, with `scan/index.rs`, `scan/docker.rs` and `scan/platform.rs`.
//! - `scan/examine.rs`: the reports of the blobs. `scan/known.rs`: advisories and policy.
//! - `scan/result.rs`: both together. `scan/failing.rs`: what makes the command fail.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use findings::output::{OutputForm, OutputOptions};
use findings::{ScanResult, Severity};
use oci::RepoName;
use time::OffsetDateTime;

use crate::cli::{ClientArgs, Format};
use crate::output;

mod archive;
mod blobs;
mod directory;
mod docker;
mod examine;
mod failing;
mod index;
mod known;
mod layout;
mod platform;
mod registry;
mod resolve;
mod result;
mod spool;
mod target;

use failing::FailOn;
use known::KnownArgs;
use platform::Wanted;
use target::Target;

const HELP: &str = "\
TARGET is recognised by what it is:
  a directory with an OCI layout, also as DIR:TAG or DIR@DIGEST
  an archive of `docker save` or of an OCI layout, also packed with gzip, also as FILE:TAG
  an SBOM in JSON: CycloneDX 1.2 to 1.6, SPDX 2.2 or 2.3
  any other directory, taken for the root of a file system
  an image of the registry of --url: [HOST/]REPOSITORY[:TAG] or REPOSITORY@DIGEST

Without --data and --advisories no advisory is asked, and the headline says so.

Examples:
  roadbed scan ./layout --advisories osv-export/
  docker save app -o app.tar && roadbed scan app.tar --data /srv/roadbed --fail-on high,kev
  roadbed scan ./layout:v1 --format cyclonedx -o app.cdx.json
  roadbed scan app.cdx.json --advisories osv-export/
  roadbed scan . --policy policy.yaml --fail-on refuse --format sarif -o scan.sarif
  roadbed --url https://registry.example scan team/app:v1 --platform linux/arm64

Exit status: 0 nothing of --fail-on was found, 1 something was, 2 the scan failed.";

/// Options of `scan`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ScanArgs {
    /// What to scan
    target: String,
    #[command(flatten)]
    known: KnownArgs,
    /// Judge by the default policy, or by that of the data directory
    #[arg(long)]
    judge: bool,
    /// Repository as which the policy judges
    #[arg(long, value_name = "NAME")]
    repository: Option<RepoName>,
    /// table, json, sarif, cyclonedx, spdx or junit [default: table, or that of --output]
    #[arg(long, value_name = "FORM")]
    format: Option<OutputForm>,
    /// File to write; `-` is standard output
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    to: Option<PathBuf>,
    /// Show only what is at least this bad; SBOMs list every package
    #[arg(long, value_name = "SEVERITY", value_parser = failing::severity)]
    severity: Option<Severity>,
    /// Exit with 1 where there is a vulnerability of at least this severity, or `kev`, `refuse`, `secret`, `malware`
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Which image of an index, as os/architecture[/variant] [default: linux on this machine's architecture]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Wanted>,
    /// Write vulnerabilities into the SBOM too, where its format has them
    #[arg(long)]
    with_vulnerabilities: bool,
}

/// Carries out the command. It has a status of its own for errors: 1 means that something was found.
pub(crate) async fn run(client: &ClientArgs, args: ScanArgs) -> ExitCode {
    match scan(client, &args).await {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(1),
        Err(error) => {
            output::failed(&error);
            ExitCode::from(2)
        }
    }
}

/// Whether something was found that shall fail.
async fn scan(client: &ClientArgs, args: &ScanArgs) -> Result<bool> {
    let is_judged = args.judge || args.known.policy.is_some() || args.fail_on.contains(&FailOn::Refuse);
    let target = Target::recognise(&args.target)?;
    let known = args.known.load().await?;
    let now = OffsetDateTime::now_utc();
    let asked = result::Asked {
        known,
        is_judged,
        repository: args.repository.clone(),
        now,
    };
    let mut result = match target {
        Target::Sbom(file) => result::of_sbom(&args.target, &file, &asked)?,
        target => {
            let image = resolve::image(target, client, args.platform.as_ref()).await?;
            let gathered = examine::examine(&image).await?;
            tokio::task::spawn_blocking(move || result::of_image(&image, &gathered, &asked))
                .await
                .context("the scan was lost")??
        }
    };
    let found = failing::found(&args.fail_on, &result);
    if let Some(least) = args.severity {
        failing::keep(&mut result, least);
    }
    write(client, args, &result, now)?;
    for what in &found {
        output::note(format!("failed on {what}"));
    }
    Ok(!found.is_empty())
}

fn write(client: &ClientArgs, args: &ScanArgs, result: &ScanResult, now: OffsetDateTime) -> Result<()> {
    let form = args.format.unwrap_or(match client.output {
        Format::Table => OutputForm::Table,
        Format::Json => OutputForm::Json,
    });
    let file = args.to.as_deref().filter(|file| *file != Path::new("-"));
    let fail_at = args.fail_on.iter().find_map(|what| what.severity());
    let options = OutputOptions {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        created: Some(now),
        has_colour: file.is_none() && has_colour(),
        fail_at: fail_at.or(args.severity).unwrap_or(Severity::High),
        sbom_with_vulnerabilities: args.with_vulnerabilities,
        ..OutputOptions::default()
    };
    let text = result.to_form(form, &options);
    match file {
        None => output::text(&text),
        Some(file) => std::fs::File::create(file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", file.display())),
    }
}

/// Somebody looks, and has not asked for none (no-color.org).
fn has_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
