//! What runs in the nursery and in a child. The nursery compiles the rules and splits; a child locks itself in, waits for one blob,
//! answers with what it found, and ends.

use std::{
    fs::File,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{
    clamd::handout::HandsOut,
    engines::{Engines, Rules, Skips},
    lifeline::Lifeline,
    sandbox::{self, Walls},
    split::{self, Alone, Side},
    wire::{self, Task, Word},
};

/// Name of the command that nobody types.
pub(super) const COMMAND: &str = "inspect-blob";

/// Added to the nice value: pulls come first. A server starts them on threads that have a higher one than those of requests already.
const NICE: i32 = 5;

/// How the parent starts it.
#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    /// Bytes of address space.
    #[arg(long)]
    memory: u64,
    /// Bytes of one spooled file.
    #[arg(long)]
    spool: u64,
    /// Seconds of processor time for one blob.
    #[arg(long)]
    cpu: u64,
    /// Children at work at the same time.
    #[arg(long)]
    children: u64,
    /// YARA rules, a file or a directory.
    #[arg(long)]
    malware_rules: Vec<PathBuf>,
    /// Rules for secrets in gitleaks' form.
    #[arg(long)]
    secret_rules: Vec<PathBuf>,
    /// Looks for no malware.
    #[arg(long)]
    skip_malware: bool,
    /// Looks for no secrets.
    #[arg(long)]
    skip_secrets: bool,
}

/// Compiles the rules and splits whenever it is told to. The socket that tells is the standard input.
///
/// # Errors
/// The rules cannot be read; the system has no room; the server has gone.
pub(crate) fn run(args: &ChildArgs) -> Result<()> {
    let control = socket_of_input()?;
    // Of no consequence for what is found.
    let _ = rustix::process::nice(NICE);
    let engines = Engines::new(&Rules {
        secrets: &args.secret_rules,
        malware: &args.malware_rules,
        skips: Skips {
            secrets: args.skip_secrets,
            malware: args.skip_malware,
        },
    })?;
    let compiled = Word::Compiled {
        analysers: engines.version.clone(),
        refused: engines.refused.clone(),
    };
    wire::send(&control, &compiled)?;
    let alone = Alone::prove()?;
    loop {
        let Ok([socket, words]) = wire::receive_files(&control) else {
            // The server has gone, or wants no more.
            return Ok(());
        };
        match split::split(&alone)? {
            Side::Nursery(process) => wire::send_files(&control, &[process.as_fd()])?,
            Side::Child => {
                drop(control);
                return look_into_one(args, engines, socket, words);
            }
        }
    }
}

/// Looks into one blob. What the nursery talks through must not be there any more.
fn look_into_one(args: &ChildArgs, engines: Engines, socket: OwnedFd, words: OwnedFd) -> Result<()> {
    rustix::stdio::dup2_stdin(&socket)?;
    rustix::stdio::dup2_stderr(&words)?;
    drop(words);
    let socket = UnixStream::from(socket);
    let lifeline = Lifeline::of(&socket)?;
    let missing = sandbox::enter(Walls {
        memory: args.memory,
        spool: args.spool,
        cpu: args.cpu,
        children: args.children,
    })?;
    wire::send(&socket, &Word::Ready { missing })?;
    let task: Task = wire::receive(&socket, wire::TASK_BYTES)?;
    let [blob] = wire::receive_files(&socket)?;
    let hands_out = task.hand_out.map(|most| {
        let [files] = wire::receive_files(&socket)?;
        Ok::<_, std::io::Error>(HandsOut::new(UnixStream::from(files), most))
    });
    let hands_out = hands_out.transpose()?;
    lifeline.hold();
    let report = engines.look(File::from(blob), &task, hands_out);
    lifeline.let_go();
    wire::send(&socket, &Word::Report(Box::new(report)))?;
    Ok(())
}

fn socket_of_input() -> Result<UnixStream> {
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("there is no socket")?;
    Ok(UnixStream::from(input))
}
