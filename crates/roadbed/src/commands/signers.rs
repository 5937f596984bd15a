//! `signer …`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{ArgGroup, Args, Subcommand};
use oci::{Algorithm, Digest, RepoPattern};
use signatures::Identity;
use web::wire::{SetSigner, SignerEntry};

use crate::client::{Client, segment};
use crate::moment::MomentArg;
use crate::output;

/// Most signers that a list shows.
const MOST: usize = 1_000;

/// What to do with signers.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A signature counts once a trusted signer is found to have made it, and rules can ask for it:
`\"release\" in image.signed_by`. Setting a signer replaces the one of its name.

Examples:
  roadbed signer add release --repository 'prod/**' --key cosign.pub
  roadbed signer add ci --repository 'prod/**' --roots trusted_root.json \\
      --issuer https://token.actions.githubusercontent.com --subject 'https://github.com/example/*'
  roadbed signer add security --repository '**' --key vex.pub --vex --product 'pkg:oci/app*'
  roadbed signer add distributor --repository '**' --author 'Example Linux' --vex --product 'pkg:deb/example/*'")]
pub(crate) enum SignerCommand {
    /// Trust a signer, in place of the one of its name
    Add(Box<AddArgs>),
    /// List the trusted signers
    List,
    /// Show a signer with its key and roots
    Show {
        /// Name of the signer
        name: String,
    },
    /// Trust a signer no more
    Remove {
        /// Name of the signer
        name: String,
    },
}

/// Options of `signer add`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("who").required(true)))]
pub(crate) struct AddArgs {
    /// Name of the signer, such as release
    name: String,
    /// Where it is trusted: repositories or patterns
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', required = true)]
    repository: Vec<RepoPattern>,
    /// File of its public key (PEM), such as cosign.pub
    #[arg(long, value_name = "FILE", group = "who")]
    key: Option<PathBuf>,
    /// Who stands in its certificate: an address or URI; `*` stands for any text
    #[arg(long, value_name = "TEXT", group = "who", requires_all = ["issuer", "roots"])]
    subject: Option<String>,
    /// Who signed in the subject, such as <https://token.actions.githubusercontent.com>
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<String>,
    /// Author of VEX documents that administrators import
    #[arg(long, value_name = "NAME", group = "who", requires = "vex")]
    author: Option<String>,
    /// File of Sigstore's `trusted_root.json`: for --subject; with --key, the log must know its signatures
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Its signatures must name the repository that they lie in
    #[arg(long)]
    match_reference: bool,
    /// Until when: a date that still counts, a moment, or a span such as 90d
    #[arg(long, value_name = "DATE")]
    until: Option<MomentArg>,
    /// Its VEX statements count
    #[arg(long)]
    vex: bool,
    /// Products that they may be about: package URLs or digests, `*` stands for any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', requires = "vex")]
    product: Vec<String>,
}

/// Carries out a command.
pub(crate) async fn run(client: &Client, command: SignerCommand) -> Result<()> {
    match command {
        SignerCommand::Add(args) => {
            let set: SetSigner = client.put("/signers", &entry(*args)?).await?;
            output::show(client.format(), &set, |set| {
                let name = &set.signer.name;
                let places = names(&set.signer.repositories);
                let instead = set.was.as_ref().map_or("", |_| ", in place of who had this name");
                format!("{name} is trusted for {places}{instead}.\n")
            })
        }
        SignerCommand::List => {
            let signers: Vec<SignerEntry> = client.list("/signers", &[], MOST).await?;
            output::show(client.format(), &signers, |signers| table(signers))
        }
        SignerCommand::Show { name } => {
            let path = format!("/signers/{}", segment(&name));
            let signer: SignerEntry = client.get(&path, &[]).await?;
            output::show(client.format(), &signer, describe)
        }
        SignerCommand::Remove { name } => {
            client
                .delete(&format!("/signers/{}", segment(&name)), &[])
                .await?;
            output::done(client.format(), format!("{name} is not trusted any more."))
        }
    }
}

fn entry(args: AddArgs) -> Result<SignerEntry> {
    let identity = args.subject.zip(args.issuer);
    Ok(SignerEntry {
        name: args.name,
        repositories: args.repository,
        key: args.key.as_deref().map(read).transpose()?,
        identity: identity.map(|(subject, issuer)| Identity { issuer, subject }),
        author: args.author,
        roots: args.roots.as_deref().map(read).transpose()?,
        match_reference: args.match_reference,
        until: args.until.map(MomentArg::ahead),
        vex: args.vex,
        products: args.product,
        partial: false,
    })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn table(signers: &[SignerEntry]) -> String {
    let rows = signers.iter().map(|signer| {
        [
            signer.name.clone(),
            names(&signer.repositories),
            output::printable(&who(signer)),
            signer
                .until
                .map(|until| output::moment(until.0))
                .unwrap_or_default(),
            products(signer),
        ]
    });
    output::table(["NAME", "REPOSITORIES", "WHO", "UNTIL", "VEX"], rows)
}

/// How it is known.
fn who(signer: &SignerEntry) -> String {
    let digest = |text: &String| Digest::of(Algorithm::Sha256, text.trim().as_bytes());
    let log = if signer.roots.is_some() { ", logged" } else { "" };
    match (&signer.key, &signer.identity, &signer.author) {
        (Some(key), _, _) => format!("key {:.19}…{log}", digest(key).to_string()),
        (None, Some(identity), _) => format!("{} of {}", identity.subject, identity.issuer),
        (None, None, author) => format!("author {}", author.as_deref().unwrap_or_default()),
    }
}

fn products(signer: &SignerEntry) -> String {
    match (signer.vex, signer.products.is_empty()) {
        (false, _) => String::new(),
        (true, true) => "everything there".to_owned(),
        (true, false) => output::printable(&signer.products.join(",")),
    }
}

fn describe(signer: &SignerEntry) -> String {
    let mut lines = vec![format!(
        "{} is trusted for {}",
        signer.name,
        names(&signer.repositories)
    )];
    lines.push(format!("  who        {}", output::printable(&who(signer))));
    if signer.match_reference {
        lines.push("  reference  its signatures must name the repository that they lie in".to_owned());
    }
    if let Some(until) = signer.until {
        lines.push(format!("  until      {}", output::moment(until.0)));
    }
    if signer.vex {
        lines.push(format!("  VEX        of {}", products(signer)));
    }
    for text in [&signer.key, &signer.roots].into_iter().flatten() {
        lines.push(String::new());
        lines.extend(text.trim_end().lines().map(output::printable));
    }
    output::lines(lines)
}

fn names(patterns: &[RepoPattern]) -> String {
    let names: Vec<&str> = patterns.iter().map(RepoPattern::as_str).collect();
    names.join(",")
}
