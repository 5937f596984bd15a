//! Roadbed beside Debian's `docker-registry` (Distribution) on one machine, in one run.
//!
//! `cargo bench -p roadbed --bench registry` measures everything, `-- push latency` two sections, `-- --quick` tries the
//! harness in a few seconds per section, `-- --write` puts the figures into `docs/benchmarks.md`. That page says what is
//! measured, how, and what the figures do not say.
//!
//! Every section is a file below `sections/`. Both servers run side by side and are measured in turns (ours, theirs,
//! ours, …), medians count. Ours authenticates every request and writes its access log; theirs does no authentication.
//! This is a benchmark, not a test: it prints by how much a bar is met or missed and never fails for time.
//!
//! The sections whose names begin with `scan` measure what looks into images; their peers are other ones.
//!
//! To read: [`server`] starts and ends both, [`http`] is the client that both are measured with, [`part`] runs load in a
//! process of its own ([`load`], [`push`], [`pull`], [`nodes`]), [`report`] makes the tables, [`page`] writes them.

mod bench;
mod client;
mod commands;
mod content;
mod files;
mod http;
mod layers;
mod load;
mod machine;
mod nodes;
mod options;
mod page;
mod part;
mod populate;
mod process;
mod pull;
mod push;
mod random;
mod report;
mod schedule;
mod sections;
mod server;
mod statistics;
mod tls;
mod tokens;
mod upstream;
mod watch;
mod wrk;

use std::{io::Write as _, process::ExitCode, time::Instant};

use anyhow::{Result, ensure};
use clap::Parser as _;

use crate::{bench::Bench, machine::Machine, options::Options, page::Figures};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.part {
        part::carry_out()
    } else if options.bench {
        run(&options)
    } else {
        eprintln!("a benchmark is not a test: run it by `cargo bench -p roadbed --bench registry`");
        Ok(true)
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the chosen sections one after the other, printing each as soon as it is measured; false if one could not be.
fn run(options: &Options) -> Result<bool> {
    let bench = Bench::prepare(options)?;
    ensure!(
        !(options.write && bench.quick),
        "figures of --quick mean nothing: leave out --write or --quick"
    );
    if bench.quick {
        eprintln!("small amounts: the figures mean nothing, whatever the headings say");
    }
    let mut figures = Figures::new(&Machine::describe(&bench)?);
    print(figures.last())?;
    let mut complete = true;
    for name in options.chosen() {
        eprintln!("== {name}");
        let started = Instant::now();
        match sections::run(name, &bench) {
            Ok(section) => {
                eprintln!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
                print(figures.add(name, &section))?;
            }
            Err(error) => {
                eprintln!("== {name}: not measured: {error:#}");
                complete = false;
            }
        }
    }
    if options.write {
        figures.write_into_page()?;
    }
    Ok(complete)
}

fn print(markdown: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(markdown.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
