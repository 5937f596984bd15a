//! Programs of other people: how they are run and what they did.

use std::{
    fmt::Write as _,
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::harness::unable::PACKAGE_DIRECTORIES;

/// No client may take longer for one small image.
const RUN_DEADLINE: Duration = Duration::from_mins(2);

const POLL: Duration = Duration::from_millis(10);

/// What a program did.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// Program and arguments.
    command: String,
    /// Whether it ended with 0.
    pub(super) succeeded: bool,
    /// What it wrote to standard output.
    pub(super) output: String,
    /// What it wrote to standard error.
    pub(super) errors: String,
}

impl Outcome {
    /// Runs a program to its end, under a deadline. `scratch` holds what it writes.
    pub(super) fn of(command: &mut Command, scratch: &Path) -> Result<Self> {
        let shown = format!("{command:?}");
        let files = tempfile::tempdir_in(scratch)?;
        let (output, errors) = (files.path().join("output"), files.path().join("errors"));
        command
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?);
        let mut child = command.spawn().with_context(|| format!("cannot run {shown}"))?;
        let deadline = Instant::now() + RUN_DEADLINE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                bail!("no end after {RUN_DEADLINE:?}: {shown}\n{}", text_of(&errors));
            }
            std::thread::sleep(POLL);
        };
        Ok(Self {
            command: shown,
            succeeded: status.success(),
            output: text_of(&output),
            errors: text_of(&errors),
        })
    }

    /// It did what it was told.
    pub(super) fn expect_success(self) -> Result<Self> {
        if !self.succeeded {
            bail!("{self}");
        }
        Ok(self)
    }

    /// It refused, and told the user why with one of these words.
    pub(super) fn expect_refusal(self, words: &[&str]) -> Result<()> {
        let told = format!("{}{}", self.output, self.errors).to_lowercase();
        if self.succeeded {
            bail!("should have been refused: {self}");
        }
        if !words.iter().any(|word| told.contains(word)) {
            bail!("refused, but with none of {words:?}: {self}");
        }
        Ok(())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = if self.succeeded { "succeeded" } else { "failed" };
        write!(
            f,
            "{} {end}\n{}\n{}",
            self.command,
            self.output.trim_end(),
            self.errors.trim_end()
        )
    }
}

fn text_of(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned()
}

/// A command that sees nothing of the user's: not their login, not their storage, not their settings.
pub(super) fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", PACKAGE_DIRECTORIES.join(":"))
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("XDG_RUNTIME_DIR", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("share"))
        .current_dir(home);
    command
}

/// Puts a program into a mount namespace of its own, where it may bind over directories of the system, and where what it
/// leaves mounted goes with it. `binds` are pairs of a directory of the test's and the one of the system that it hides.
pub(super) fn in_mount_namespace(program: &Path, home: &Path, binds: &[(&Path, &str)]) -> Command {
    let mut script = String::from("set -e\n");
    for (source, target) in binds {
        let source = source.display();
        let _ = write!(script, "mkdir -p {target}\nmount --bind '{source}' {target}\n");
    }
    script.push_str("exec \"$0\" \"$@\"\n");
    let mut wrapped = command(Path::new("/usr/bin/unshare"), home);
    wrapped
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(program);
    wrapped
}
