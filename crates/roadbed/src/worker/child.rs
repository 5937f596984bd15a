//! What runs in a child: it locks itself in, waits for one blob, answers with what it found, and ends.

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    clamd::handout::HandsOut,
    engines::{Engines, Rules},
    lifeline::Lifeline,
    sandbox::{self, Walls},
    wire::{self, Task, Word},
};

/// Name of the command that nobody types.
pub(super) const COMMAND: &str = "inspect-blob";

/// Added to the nice value: pulls come first.
const NICE: i32 = 10;

/// How the parent starts it.
#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    /// Bytes of address space.
    #[arg(long)]
    memory: u64,
    /// Bytes of one spooled file.
    #[arg(long)]
    spool: u64,
    /// YARA rules, a file or a directory.
    #[arg(long)]
    malware_rules: Vec<PathBuf>,
    /// Rules for secrets in gitleaks' form.
    #[arg(long)]
    secret_rules: Vec<PathBuf>,
}

/// Looks into one blob. The socket is the standard input.
pub(crate) fn run(args: &ChildArgs) -> Result<()> {
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("there is no socket")?;
    let socket = UnixStream::from(socket);
    // Of no consequence for what is found.
    let _ = rustix::process::nice(NICE);
    let engines = Engines::new(&Rules {
        secrets: &args.secret_rules,
        malware: &args.malware_rules,
    })?;
    let lifeline = Lifeline::of(&socket)?;
    let mut missing = sandbox::enter(Walls {
        memory: args.memory,
        spool: args.spool,
    })?;
    missing.extend(engines.refused.iter().cloned());
    wire::send(&socket, &Word::Ready { missing })?;
    let task: Task = wire::receive(&socket, wire::TASK_BYTES)?;
    let blob = File::from(wire::receive_file(&socket)?);
    let hands_out = task.hand_out.map(|most| {
        let files = wire::receive_file(&socket).map(UnixStream::from)?;
        Ok::<_, std::io::Error>(HandsOut::new(files, most))
    });
    let hands_out = hands_out.transpose()?;
    lifeline.hold();
    let report = engines.look(blob, &task, hands_out);
    lifeline.let_go();
    wire::send(&socket, &Word::Report(Box::new(report)))?;
    Ok(())
}
