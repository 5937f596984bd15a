//! Somebody at a terminal: a home directory, an environment, and what the last command said.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::server::{self, ADMIN, ADMIN_PASSWORD, Server};

/// Somebody who runs commands.
pub(crate) struct Person {
    home: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Person {
    /// Somebody who is signed in nowhere.
    pub(crate) fn new() -> Self {
        Self {
            home: TempDir::with_prefix("roadbed-cli-").unwrap(),
            environment: Vec::new(),
        }
    }

    /// The administrator of a server, as a script: credentials in the environment.
    pub(crate) fn administrator(server: &Server) -> Self {
        Self::new()
            .at(server)
            .with("ROADBED_USER", ADMIN)
            .with("ROADBED_PASSWORD", ADMIN_PASSWORD)
    }

    /// Asks this server.
    pub(crate) fn at(self, server: &Server) -> Self {
        let url = server.url();
        self.with("ROADBED_URL", &url)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file into the home directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn run<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// The same with as many arguments as there are.
    pub(crate) fn run_all(&self, arguments: &[&str]) -> Ran {
        finish(self.command().args(arguments), "")
    }

    /// Runs a command that reads `input` from standard input.
    pub(crate) fn run_with_input<const N: usize>(&self, arguments: [&str; N], input: &str) -> Ran {
        finish(self.command().args(arguments), input)
    }

    fn command(&self) -> Command {
        let mut command = server::command(self.home.path());
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn finish(command: &mut Command, input: &str) -> Ran {
    let mut child = command.spawn().unwrap();
    // A command that does not read has ended before it is all written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// It worked.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It failed and said so.
    #[track_caller]
    pub(crate) fn fails(self, reason: &str) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(
            self.err.starts_with("error: ") && self.err.contains(reason),
            "{reason}\n{self:?}"
        );
        self
    }

    /// Nothing of it is on standard error.
    #[track_caller]
    pub(crate) fn leaves_out(self, text: &str) -> Self {
        assert!(!self.err.contains(text), "{text}\n{self:?}");
        self
    }

    /// The command line was wrong.
    #[track_caller]
    pub(crate) fn misused(self, reason: &str) -> Self {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains(reason), "{reason}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{text}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }
}
