//! `copy SRC DST`: images from registry to registry, and to and from a directory that can be carried where no network goes.
//!
//! - `copy/place.rs`: what was named. `copy/reach.rs`: who is told there who asks.
//! - `copy/source.rs`, `copy/destination.rs`: where images come from and where they go. Directories: `copy/layout.rs` to copy
//!   from, `copy/shelf.rs` to copy to, by way of `inside.rs` so that nothing is written through a link.
//! - `copy/plan.rs`: everything that belongs to an image, before anything is sent. `copy/carry.rs`: sending it.
//!
//! Bytes are compared with their digests on the way (`copy/verified.rs`). A copy that broke off is begun again: what has
//! arrived is not sent twice.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use oci::{Reference, Tag};
use serde::Serialize;

use crate::cli::ClientArgs;
use crate::judge::Wanted;
use crate::output;

mod carry;
mod destination;
mod layout;
mod patience;
mod place;
mod plan;
mod reach;
mod shelf;
mod source;
mod verified;

use carry::{Carrier, Tally};
use place::Place;
use plan::{PlanLimits, Planner};
use reach::ReachArgs;
use source::Source;

/// Tags that are copied at once.
const TAGS: usize = 10_000;

/// Options of `copy`.
#[derive(Debug, Args)]
#[command(after_help = "\
SRC and DST are docker://HOST/REPOSITORY[:TAG or @DIGEST] or oci:DIRECTORY[:TAG]. Without a tag, what is copied keeps its own; a
source in a registry is then `latest`, in a directory the only image there is. Of an index all platforms are copied. What the
destination has is not sent again.

Credentials come from --src-user and --dst-user with the environment variables ROADBED_SRC_PASSWORD and ROADBED_DST_PASSWORD, for
the registry of --url from ROADBED_USER and ROADBED_PASSWORD, else from what docker or podman keep.

Examples:
  roadbed copy docker://docker.io/alpine:3 docker://registry.example/mirror/alpine
  roadbed copy docker://registry.example/team/app:v1 oci:/media/stick/app --referrers
  roadbed copy oci:/media/stick/app:v1 docker://registry.example/team/app
  roadbed copy docker://quay.io/team/app docker://registry.example/team/app --all-tags
  roadbed copy docker://docker.io/alpine:3 oci:alpine:3 --platform linux/arm64")]
pub(crate) struct CopyArgs {
    #[arg(value_name = "SRC", help = "Where images come from")]
    from: Place,
    #[arg(value_name = "DST", help = "Where they go")]
    to: Place,
    /// Only the image for this platform, as os/architecture[/variant]; the tag then names it and no index
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Wanted>,
    /// Every tag that the source has
    #[arg(long)]
    all_tags: bool,
    /// Also what refers to the images: signatures, SBOMs, attestations
    #[arg(long)]
    referrers: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Copied {
    images: Vec<Image>,
    #[serde(flatten)]
    tally: Tally,
}

#[derive(Debug, Serialize)]
struct Image {
    source: String,
    destination: String,
    digest: String,
}

/// Carries out the command.
pub(crate) async fn run(client: &ClientArgs, args: CopyArgs) -> Result<()> {
    check(&args)?;
    let source = args.reach.source(client, &args.from).await?;
    let to = args.reach.destination(client, &args.to, &args.from).await?;
    let carrier = Carrier::new(source, to);
    let mut images = Vec::new();
    for reference in wanted(carrier.source(), &args).await? {
        images.push(copy(&carrier, &args, &reference).await?);
    }
    let copied = Copied {
        images,
        tally: carrier.finish(),
    };
    output::show(client.output, &copied, table)
}

fn check(args: &CopyArgs) -> Result<()> {
    if args.all_tags {
        ensure!(
            args.from.reference().is_none() && args.to.reference().is_none(),
            "--all-tags copies every tag under its own name: leave out :TAG and @DIGEST"
        );
    }
    if let Some(Reference::Digest(digest)) = args.to.reference() {
        bail!(
            "{} cannot be given the digest {digest}: name a tag, or nothing",
            args.to
        );
    }
    Ok(())
}

/// What is to be copied, by its names at the source.
async fn wanted(source: &Source, args: &CopyArgs) -> Result<Vec<Reference>> {
    if args.all_tags {
        return all_tags(source, &args.from, TAGS).await;
    }
    match args.from.reference() {
        Some(reference) => Ok(vec![reference.clone()]),
        None => Ok(vec![source.usual()?]),
    }
}

/// All tags, which are fewer than `most`.
async fn all_tags(source: &Source, from: &Place, most: usize) -> Result<Vec<Reference>> {
    let tags = source.tags(most).await?;
    ensure!(!tags.is_empty(), "{from} has no tags");
    ensure!(
        tags.len() < most,
        "{from} has {most} tags or more: copy those that are needed"
    );
    Ok(tags.into_iter().map(Reference::Tag).collect())
}

async fn copy(carrier: &Carrier, args: &CopyArgs, reference: &Reference) -> Result<Image> {
    let source = args.from.with(reference);
    let not_copied = || format!("cannot copy {source}");
    let root = carrier.source().find(reference).await.with_context(not_copied)?;
    let root = root.with_context(|| format!("there is no {source}"))?;
    let planner = Planner::new(carrier.source(), args.referrers, PlanLimits::default());
    let root = planner
        .choose(root, args.platform.as_ref())
        .await
        .with_context(not_copied)?;
    let digest = root.digest;
    let under = under(args.to.reference(), reference, digest);
    let plan = planner.plan(root, under.clone()).await.with_context(not_copied)?;
    carrier.carry(plan).await.with_context(not_copied)?;
    Ok(Image {
        source,
        destination: args.to.with(&under),
        digest: digest.to_string(),
    })
}

/// The name at the destination: the one that was said, else that of the source.
fn under(said: Option<&Reference>, at_source: &Reference, digest: oci::Digest) -> Reference {
    let tag: Option<&Tag> = said.or(Some(at_source)).and_then(Reference::tag);
    tag.cloned().map_or(Reference::Digest(digest), Reference::Tag)
}

fn table(copied: &Copied) -> String {
    let tally = &copied.tally;
    let mut text = output::lines(
        copied
            .images
            .iter()
            .map(|image| format!("{} -> {} ({})", image.source, image.destination, image.digest)),
    );
    let _ = writeln!(
        text,
        "{} sent ({}), {} there already, {} linked, {} written",
        output::count(tally.blobs_sent, "blob"),
        output::bytes(tally.bytes_sent),
        tally.blobs_there,
        tally.blobs_linked,
        output::count(tally.manifests, "manifest"),
    );
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use oci::{Algorithm, Digest};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_copied_keeps_its_name_unless_another_is_said() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        let tag = |text: &str| text.parse::<Reference>().unwrap();
        assert_eq!(under(None, &tag("v1"), digest), tag("v1"));
        assert_eq!(under(Some(&tag("v2")), &tag("v1"), digest), tag("v2"));
        assert_eq!(under(None, &digest.into(), digest), digest.into());
        assert_eq!(under(Some(&tag("v2")), &digest.into(), digest), tag("v2"));
    }

    #[tokio::test]
    async fn tags_that_are_too_many_are_not_copied_in_part() {
        let root = tempfile::tempdir().unwrap();
        let image = |tag: &str| {
            let digest = Digest::of(Algorithm::Sha256, tag.as_bytes());
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2,
                "annotations": { "org.opencontainers.image.ref.name": tag },
            })
        };
        let images = ["a", "b", "c"].map(image);
        let index = json!({ "schemaVersion": 2, "manifests": images });
        fs::write(root.path().join("index.json"), index.to_string()).unwrap();
        let source = Source::Layout(Box::new(layout::Directory::open(root.path()).unwrap()));
        let from: Place = "oci:dir".parse().unwrap();
        assert_eq!(all_tags(&source, &from, 4).await.unwrap().len(), 3);
        let error = all_tags(&source, &from, 3).await.unwrap_err().to_string();
        assert!(error.contains("3 tags or more"), "{error}");
    }
}
