//! `sbom IMAGE`: the SBOM of an image in the registry.

use anyhow::{Result, bail};
use clap::Args;

use super::scan::{self, Remote};
use crate::cli::ClientArgs;
use crate::client::Client;
use crate::config::SbomFormat;
use crate::judge::{Wanted, attach};
use crate::output;

/// Options of `sbom`.
#[derive(Debug, Args)]
#[command(after_help = "\
The registry makes it from what it found in the image; nothing is fetched. It also attaches one to each image (sbom.attach), as an
artifact that refers to it: ask for /v2/REPOSITORY/referrers/DIGEST, or `oras discover`.

Examples:
  roadbed sbom team/app:1.4 > app.cdx.json
  roadbed sbom registry.example/team/app@sha256:0ab1… --format spdx --platform linux/arm64")]
pub(crate) struct SbomArgs {
    #[arg(value_parser = Remote::read, help = "Image: [HOST/]REPOSITORY[:TAG] or REPOSITORY@DIGEST")]
    image: Remote,
    /// cyclonedx or spdx
    #[arg(long, value_name = "FORM", default_value_t = SbomFormat::CycloneDx)]
    format: SbomFormat,
    /// Which image of an index, as os/architecture[/variant] [default: linux on this machine's architecture]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Wanted>,
}

/// Carries out the command.
pub(crate) async fn run(args: &ClientArgs, sbom: &SbomArgs) -> Result<()> {
    let client = Client::of_image(args, sbom.image.host())?;
    let Some(mut result) = scan::known(&client, &sbom.image, sbom.platform.as_ref()).await? else {
        bail!(
            "{} has no reports of its images: use `roadbed scan IMAGE --format {}`, which fetches it",
            client.base(),
            sbom.format
        );
    };
    result.keep_contents();
    // As the attached one says, which knows of no tag.
    sbom.image
        .repository()
        .as_str()
        .clone_into(&mut result.target.name);
    output::text(&result.to_form(sbom.format.form(), &attach::options()))
}
