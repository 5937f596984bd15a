//! A client's daemon: started for one test, in a mount namespace of its own, and ended with it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::unable::Unable;

/// A daemon that does not answer by then never will.
const START_DEADLINE: Duration = Duration::from_mins(1);

/// Between SIGTERM and SIGKILL.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(50);

/// Lines of the daemon's log that say why it did not start.
const SHOWN_LOG_LINES: usize = 3;

/// A running daemon.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` and waits until `answers` says yes. A daemon that ends or stays silent is one that this machine
    /// cannot run.
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        answers: impl Fn() -> bool,
    ) -> Result<Self, Unable> {
        let impossible = |why: &str| {
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join(" | ");
            Unable::Impossible(format!(
                "{name} {why}; it needs root with CAP_SYS_ADMIN. It said: {last}"
            ))
        };
        let out = File::create(log).expect("the home can be written");
        let errors = out.try_clone().expect("a file can be cloned");
        let spawned = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn();
        let child = spawned.map_err(|error| impossible(&format!("cannot be started ({error})")))?;
        let mut daemon = Self { child };
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Ok(Some(status)) = daemon.child.try_wait() {
                return Err(impossible(&format!("ended with {status}")));
            }
            if answers() {
                return Ok(daemon);
            }
            if Instant::now() > deadline {
                return Err(impossible("does not answer"));
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM first: a daemon has children of its own, which it ends.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
