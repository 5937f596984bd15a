//! `mirror …`: a mirror of a registry on a node or in a rack.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};

use super::serve::ConfigFile;
use crate::cli::Format;
use crate::config::mirror::NamespaceName;
use crate::config::{Config, Flag, Sources};
use crate::mirror::install::{self, Fallback, Install};
use crate::mirror::pins::{self, Pin};
use crate::output;

/// What shows that a mirror was started in a directory.
const DATABASE: &str = "roadbed.db";

/// What to do about a mirror.
#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    /// Run a mirror: what nodes pull through it they can pull when the registry is gone
    Serve(ServeMirrorArgs),
    /// Tell containerd to ask the mirror first
    Install(InstallArgs),
    /// Keep images when the disk is full
    Pin(PinArgs),
    /// Let images go again when the disk is full
    Unpin(PinArgs),
    /// Show which images are kept
    Pins(PinsArgs),
}

/// Options of `mirror pin` and `mirror unpin`.
#[derive(Debug, Args)]
#[command(after_help = "\
An image is named with its registry, as pods name it: by a tag (whatever that is here at the time), by a digest, or a repository with all \
that is in it. What is not here yet is kept once somebody pulls it. It works on the data directory of this machine, whether the mirror runs \
or not. Patterns are pinned by mirror.pinned of the configuration.

Examples:
  roadbed mirror pin docker.io/library/alpine:3 registry.k8s.io/pause --config /etc/roadbed/mirror.toml
  roadbed mirror unpin docker.io/library/alpine:3 --data /var/lib/roadbed-mirror")]
pub(crate) struct PinArgs {
    /// Images with their registry, or digests
    #[arg(value_name = "IMAGE|DIGEST", required = true)]
    images: Vec<Pin>,
    #[command(flatten)]
    place: MirrorPlace,
}

/// Options of `mirror pins`.
#[derive(Debug, Args)]
pub(crate) struct PinsArgs {
    #[command(flatten)]
    place: MirrorPlace,
}

/// Where a mirror of this machine keeps what it holds.
#[derive(Debug, Args)]
struct MirrorPlace {
    /// Directory of what it holds [default: that of the configuration, or the user's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
}

impl MirrorPlace {
    fn directory(self) -> Result<PathBuf> {
        let data = match self.data {
            Some(data) => Some(data),
            None => Config::load(&Sources::of_process(self.file.config, Vec::new()))?.mirror_data_dir(),
        };
        let data = data.context("no data directory: name that of the mirror, --data DIR")?;
        ensure!(
            data.join(DATABASE).exists(),
            "{} holds no mirror: name the directory that it was started with, --data DIR",
            data.display()
        );
        Ok(data)
    }
}

/// Options of `mirror serve`; each wins over the environment, which wins over the file.
#[derive(Debug, Args)]
#[command(after_help = "\
The mirror is configured by [mirror] of the file, or in the environment as ROADBED_MIRROR__KEY; `roadbed config show --defaults` \
lists the keys. It keeps what it holds in a directory of its own, which must never be that of a registry.

Examples:
  roadbed mirror serve --centre https://registry.example --namespace docker.io --namespace quay.io
  roadbed mirror serve --config /etc/roadbed/mirror.toml")]
pub(crate) struct ServeMirrorArgs {
    /// The registry that is mirrored
    #[arg(long, value_name = "URL")]
    centre: Option<String>,
    /// Another registry whose images the centre has, as they are called; may be given again
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Directory of what it holds [default: the user's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:5080]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Bytes of blobs that are held [default: 20GiB]
    #[arg(long, value_name = "SIZE")]
    disk: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

impl ServeMirrorArgs {
    fn into_sources(self) -> Sources {
        let namespaces = (!self.namespaces.is_empty()).then(|| self.namespaces.join(","));
        let flags = [
            ("--centre", "mirror.centre", self.centre),
            ("--namespace", "mirror.namespaces", namespaces),
            (
                "--data",
                "mirror.data_dir",
                self.data.map(|path| path.to_string_lossy().into_owned()),
            ),
            ("--listen", "mirror.listen", self.listen),
            ("--disk", "mirror.disk", self.disk),
        ];
        Sources::of_process(self.file.config, Flag::given(flags))
    }
}

/// Options of `mirror install`.
#[derive(Debug, Args)]
#[command(after_help = "\
For each registry it writes DIR/NAME/hosts.toml: the mirror first, then the centre itself. What somebody else has written is shown \
and left alone. containerd reads the files before each pull and need not be restarted, once its config_path names DIR.

A node never goes past the centre to the registry that an image is named after, where what the centre refuses could be had, \
unless --fallback-upstream says so.

Examples:
  roadbed mirror install --mirror http://127.0.0.1:5080 --centre https://registry.example --namespace docker.io --dry-run
  roadbed mirror install --config /etc/roadbed/mirror.toml
  roadbed mirror install --config /etc/roadbed/mirror.toml --uninstall")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags of a command line, each for itself"
)]
pub(crate) struct InstallArgs {
    /// Where containerd looks for hosts.toml
    #[arg(long, value_name = "DIR", default_value = "/etc/containerd/certs.d")]
    containerd_dir: PathBuf,
    /// containerd's own configuration, which is only looked at
    #[arg(long, value_name = "FILE", default_value = "/etc/containerd/config.toml")]
    containerd_config: PathBuf,
    /// The mirror as the node reaches it [default: as it is configured]
    #[arg(long, value_name = "URL", value_parser = origin)]
    mirror: Option<String>,
    /// Certificates (PEM) to trust of the mirror
    #[arg(long, value_name = "FILE")]
    mirror_ca: Option<PathBuf>,
    /// A registry whose images are asked for at the mirror; may be given again [default: as it is configured]
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<NamespaceName>,
    /// The centre, which a node asks when the mirror does not answer [default: as it is configured]
    #[arg(long, value_name = "URL", value_parser = origin, conflicts_with = "mirror_only")]
    centre: Option<String>,
    /// Certificates (PEM) to trust of the centre
    #[arg(long, value_name = "FILE", conflicts_with = "mirror_only")]
    centre_ca: Option<PathBuf>,
    /// Ask nobody when the mirror does not answer
    #[arg(long)]
    mirror_only: bool,
    /// Ask the registry that an image is named after when neither has it
    #[arg(long)]
    fallback_upstream: bool,
    /// Replace what somebody else has written, and keep it beside
    #[arg(long, conflicts_with = "uninstall")]
    force: bool,
    /// Take away what was written, and put back what was there before
    #[arg(long)]
    uninstall: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    file: ConfigFile,
}

/// `http(s)://host[:port]`, as it is written into a file that containerd reads.
fn origin(text: &str) -> Result<String, String> {
    let url: crate::config::PublicUrl = text.parse().map_err(|error| format!("{error}"))?;
    Ok(url.as_str().to_owned())
}

impl InstallArgs {
    fn into_install(self) -> Result<Install> {
        let config = Config::load(&Sources::of_process(self.file.config.clone(), Vec::new()))?;
        let configured = config.mirror.centre.as_ref().map(|url| url.as_str().to_owned());
        let centre = self
            .centre
            .or_else(|| configured.clone())
            .filter(|_| !self.mirror_only);
        if centre.is_none() && !self.mirror_only && !self.uninstall {
            bail!(
                "say whom nodes ask when the mirror does not answer: --centre URL, or nobody with --mirror-only"
            );
        }
        let namespaces = if self.namespaces.is_empty() {
            let own = configured.as_deref().and_then(|url| url.split_once("://"));
            let own = own.map(|(_, host)| host.to_ascii_lowercase().parse());
            let own = own
                .transpose()
                .context("mirror.centre is no name of a registry")?;
            let mut all: Vec<NamespaceName> =
                own.into_iter().chain(config.mirror.namespaces.clone()).collect();
            all.sort();
            all.dedup();
            all
        } else {
            self.namespaces
        };
        Ok(Install {
            directory: self.containerd_dir,
            containerd_config: self.containerd_config,
            mirror: self.mirror.unwrap_or_else(|| crate::mirror::own_url(&config)),
            mirror_ca: self.mirror_ca,
            fallback: Fallback {
                centre: centre.map(|centre| (centre, self.centre_ca)),
                upstream: self.fallback_upstream,
            },
            namespaces,
            force: self.force,
            uninstall: self.uninstall,
            dry_run: self.dry_run,
        })
    }
}

/// Carries out a command.
pub(crate) async fn run(format: Format, command: MirrorCommand) -> Result<()> {
    match command {
        MirrorCommand::Serve(args) => {
            crate::serve::copying::choose_well();
            // It is large.
            Box::pin(crate::mirror::run(Config::load(&args.into_sources())?)).await
        }
        MirrorCommand::Install(args) => {
            let done = install::run(&args.into_install()?)?;
            output::show(format, &done, install::Done::to_text)
        }
        MirrorCommand::Pin(args) => {
            let pins = pins::change(&args.place.directory()?, &args.images, &[])?;
            show_pins(format, &pins)
        }
        MirrorCommand::Unpin(args) => {
            let pins = pins::change(&args.place.directory()?, &[], &args.images)?;
            show_pins(format, &pins)
        }
        MirrorCommand::Pins(args) => show_pins(format, &pins::pins(&args.place.directory()?)?),
    }
}

/// All that is pinned now.
fn show_pins(format: Format, pins: &[Pin]) -> Result<()> {
    let names: Vec<String> = pins.iter().map(ToString::to_string).collect();
    output::show(format, &names, |names| {
        if names.is_empty() {
            return "Nothing is pinned but what mirror.pinned names.\n".to_owned();
        }
        output::lines(names.iter())
    })
}
