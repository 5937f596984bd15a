//! `scan TARGET`: what is in an image, a directory or an SBOM, and what is known to be wrong with it.
//!
//! The command reads manifests and indexes itself, within the limits of the registry's own parser. Layers and configurations
//! are looked into by children that have nothing but the blob, as the server does it.
//!
//! - `scan/target.rs`: what was named. `scan/layout.rs`, `scan/archive.rs`, `scan/directory.rs`, `scan/registry.rs`: where
//!   images lie. `scan/blobs.rs`: one face for all of them.
//! - `scan/resolve.rs`: from what was named to one image, with `scan/index.rs` and `scan/docker.rs`.
//! - `scan/examine.rs`: the reports of the blobs. `scan/known.rs`: advisories and policy.
//! - `scan/result.rs`: both together. `scan/server.rs`: what a registry says in their place, with
//!   `scan/attached.rs`. `scan/failing.rs`: what makes the
//!   command fail.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use findings::output::{OutputForm, OutputOptions};
use findings::{ScanResult, Severity};
use time::OffsetDateTime;

use crate::cli::{ClientArgs, Format};
use crate::client::Client;
use crate::judge::Wanted;
use crate::output;

mod archive;
mod attached;
mod blobs;
mod directory;
mod docker;
mod examine;
mod failing;
mod index;
mod known;
mod layout;
mod registry;
mod resolve;
mod result;
mod server;
mod spool;
mod target;

pub(crate) use layout::Layout;
pub(crate) use server::known;
pub(crate) use target::Remote;

use examine::LookArgs;
use failing::FailOn;
use known::KnownArgs;
use server::As;
use target::Target;

const HELP: &str = "\
TARGET is recognised by what it is:
  a directory with an OCI layout, also as DIR:TAG or DIR@DIGEST
  an archive of `docker save` or of an OCI layout, also packed with gzip, also as FILE:TAG
  an SBOM in JSON: CycloneDX 1.2 to 1.6, SPDX 2.2 or 2.3
  any other directory, taken for the root of a file system
  an image in a registry: [HOST/]REPOSITORY[:TAG] or REPOSITORY@DIGEST, without HOST in that of --url

A Roadbed registry answers with what it knows of its images, and what it decided; with --advisories, --data or --policy the
image is fetched and looked into here, as it is with --skip or rules of your own. Everything else is looked into here, and judged by what --advisories, --data and --policy
name, or by the registry of --server, which gets what was found and no file. Without any of them no advisory is asked, and the
headline says so.

Examples:
  roadbed scan ./layout --advisories osv-export/
  docker save app -o app.tar && roadbed scan app.tar --data /srv/roadbed --fail-on high,kev
  roadbed scan ./layout:v1 --format cyclonedx -o app.cdx.json
  roadbed scan app.cdx.json --advisories osv-export/
  roadbed scan . --policy policy.yaml --fail-on refuse --format sarif -o scan.sarif
  roadbed scan ./layout:v1 --server https://registry.example --as team/app:v1 --fail-on refuse
  roadbed scan app.cdx.json --server https://registry.example --as team/app:v1 --fail-on refuse
  roadbed scan registry.example/team/app:v1 --platform linux/arm64
  roadbed scan ./layout:v1 --skip secrets,malware --format cyclonedx

Exit status: 0 nothing of --fail-on was found, 1 something was, 2 the scan failed.";

/// Options of `scan`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ScanArgs {
    /// What to scan
    target: String,
    #[command(flatten)]
    known: KnownArgs,
    #[command(flatten)]
    look: LookArgs,
    /// Judge by the default policy, or by that of the data directory
    #[arg(long)]
    judge: bool,
    /// Have the registry at this address judge what was found, by its policy, advisories and waivers; nothing is pushed
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "advisories", "policy", "judge"])]
    server: Option<String>,
    #[arg(
        long = "as",
        value_name = "IMAGE",
        help = "As what the policy judges it: REPOSITORY[:TAG]"
    )]
    judged_as: Option<As>,
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
    let now = OffsetDateTime::now_utc();
    let mut result = result(client, args, now).await?;
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

async fn result(client: &ClientArgs, args: &ScanArgs, now: OffsetDateTime) -> Result<ScanResult> {
    let target = Target::recognise(&args.target)?;
    let registry = match &target {
        Target::Registry(remote) => {
            let client = Client::of_image(client, remote.host.as_deref());
            let nowhere = || {
                format!(
                    "{:?} is no file or directory here, so it is an image in a registry",
                    args.target
                )
            };
            Some(client.with_context(nowhere)?)
        }
        _ => None,
    };
    let wanted = args.platform.as_ref();
    if let Some(server) = &args.server {
        let judge = server::Judge::connect(client, server, args.judged_as.as_ref(), &target)?;
        if let Target::Sbom(file) = &target {
            return judge.judge_sbom(result::read_sbom(file)?).await;
        }
        let image = resolve::image(target, registry.as_ref(), wanted).await?;
        let gathered = examine::examine(&image, &args.look).await?;
        let mut judged = judge.judge(&image, &gathered).await?;
        args.look.tell_skipped(&mut judged);
        return Ok(judged);
    }
    if let (Some(registry), Target::Registry(remote)) = (&registry, &target)
        && !args.known.is_named()
        && !args.look.is_named()
    {
        if let Some(known) = server::known(registry, remote, wanted).await? {
            return Ok(known);
        }
        output::note(format!(
            "{} knows nothing of its images: this one is fetched and looked into here",
            registry.base()
        ));
    }
    let asked = result::Asked {
        known: args.known.load().await?,
        is_judged: args.judge || args.known.policy.is_some() || args.fail_on.contains(&FailOn::Refuse),
        repository: args
            .judged_as
            .as_ref()
            .map(|judged_as| judged_as.repository.clone()),
        now,
    };
    if let Target::Sbom(file) = &target {
        return result::of_sbom(&args.target, file, &asked);
    }
    let image = resolve::image(target, registry.as_ref(), wanted).await?;
    let gathered = examine::examine(&image, &args.look).await?;
    let looked = tokio::task::spawn_blocking(move || result::of_image(&image, &gathered, &asked)).await;
    let mut result = looked.context("the scan was lost")??;
    args.look.tell_skipped(&mut result);
    Ok(result)
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
