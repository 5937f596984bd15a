//! Parts of a measurement that run in a process of their own, so that they can be held to one core and do not share an
//! allocator or a scheduler queue with anything. A plan goes in on standard input, a result comes out on standard output.

use std::{
    io::{Read as _, Write as _},
    marker::PhantomData,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::nice,
    thread::{CpuSet, sched_setaffinity},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{load::LoadPlan, nodes::NodesPlan, pull::PullPlan, push::PushPlan};

/// How much later than others a part in the background gets the processor.
const BACKGROUND: i32 = 19;

/// What a part does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Requests on a fixed schedule.
    Load(LoadPlan),
    /// Pushes one after the other, per client.
    Push(PushPlan),
    /// Pulls one after the other, per client.
    Pull(PullPlan),
    /// One pull of an image by each of very many.
    Nodes(NodesPlan),
}

/// Where and how a part runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// The core that it is held to.
    pub(crate) core: Option<usize>,
    /// Whether it yields to what else wants that core.
    pub(crate) in_background: bool,
    /// What it does.
    pub(crate) work: Work,
}

/// A part that runs, and its result to come.
#[derive(Debug)]
pub(crate) struct Running<T> {
    child: Child,
    result: PhantomData<T>,
}

impl Part {
    /// Starts a process for it. `T` is the result of the kind of work.
    pub(crate) fn start<T: DeserializeOwned>(&self) -> Result<Running<T>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--part")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a part of the measurement")?;
        let mut input = child.stdin.take().context("no standard input")?;
        let mut running = Running {
            child,
            result: PhantomData,
        };
        if let Err(error) = serde_json::to_writer(&mut input, self) {
            running.end();
            return Err(error.into());
        }
        Ok(running)
    }
}

impl<T: DeserializeOwned> Running<T> {
    /// Waits for its result.
    pub(crate) fn finish(mut self) -> Result<T> {
        let mut text = String::new();
        self.child
            .stdout
            .take()
            .context("no standard output")?
            .read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a part of the measurement ended with {status}");
        serde_json::from_str(&text).context("a part of the measurement gave no result")
    }
}

impl<T> Running<T> {
    fn end(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The main function of a part.
pub(crate) fn carry_out() -> Result<bool> {
    let part: Part = serde_json::from_reader(std::io::stdin().lock()).context("no plan")?;
    if let Some(core) = part.core {
        let mut cores = CpuSet::new();
        cores.set(core);
        sched_setaffinity(None, &cores).context("cannot hold a part to one core")?;
    }
    if part.in_background {
        nice(BACKGROUND)?;
    }
    // Threads inherit both.
    let result = match part.work {
        Work::Load(plan) => serde_json::to_vec(&plan.carry_out()?)?,
        Work::Push(plan) => serde_json::to_vec(&plan.carry_out()?)?,
        Work::Pull(plan) => serde_json::to_vec(&plan.carry_out()?)?,
        Work::Nodes(plan) => serde_json::to_vec(&plan.carry_out()?)?,
    };
    std::io::stdout().write_all(&result)?;
    Ok(true)
}
