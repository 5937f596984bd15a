//! What the processes below a server cost that look into blobs: each lives for one blob, and is gone before it can be asked.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::process::{cpu_seconds, peak_mib};

/// Between two looks: what a process costs after the last one is not counted.
const EVERY: Duration = Duration::from_millis(10);

/// Looks at them until it is told to stop.
#[derive(Debug)]
pub(crate) struct Watch {
    stops: Arc<AtomicBool>,
    looking: JoinHandle<HashMap<u32, Cost>>,
}

/// Of one process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// CPU time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Most resident memory, in MiB.
    pub(crate) peak_mib: f64,
}

impl Watch {
    /// Watches what `server` starts, and what that starts.
    pub(crate) fn start(server: u32) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stops);
        let looking = thread::spawn(move || {
            let mut costs = HashMap::new();
            while !told.load(Ordering::Relaxed) {
                for process in grandchildren(server) {
                    let (Ok(cpu_seconds), Ok(peak_mib)) = (cpu_seconds(process), peak_mib(process)) else {
                        continue;
                    };
                    costs.insert(
                        process,
                        Cost {
                            cpu_seconds,
                            peak_mib,
                        },
                    );
                }
                thread::sleep(EVERY);
            }
            costs
        });
        Self { stops, looking }
    }

    /// The one that took most time: which looked into the blob that is meant.
    pub(crate) fn costliest(self) -> Result<Cost> {
        self.stops.store(true, Ordering::Relaxed);
        let Ok(costs) = self.looking.join() else {
            bail!("the watch panicked");
        };
        let costs = costs.into_values();
        Ok(costs
            .max_by(|left, right| left.cpu_seconds.total_cmp(&right.cpu_seconds))
            .unwrap_or_default())
    }
}

fn grandchildren(server: u32) -> Vec<u32> {
    children(server).into_iter().flat_map(children).collect()
}

fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
