//! Who is affected, asked of a server over HTTP with a password: `cargo bench -p roadbed --bench fleet -- [IMAGES]`.
//!
//! The database gets rows of images that nobody pushed (`store::SyntheticImage`), with decisions of a usual size, and the server the
//! index of the same images, as it would have written it. Then one client asks one question after the other, each with its counts,
//! owners and the first page of 100 images, as somebody who may pull everything by a grant. Nothing else runs.

mod fill;
#[path = "../shared/process.rs"]
mod process;
mod server;

use std::{
    fmt::Display,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use road::synthetic::Parameters;
use serde_json::Value;

use server::Server;

/// Rows of a page.
const PAGE: &str = "100";

/// Advisories that the vulnerabilities of the questions are taken from.
const ADVISORIES: u32 = 4_000;

/// Questions of each kind.
const QUESTIONS: u32 = 250;

/// How long the index may take to stand.
const PATIENCE: Duration = Duration::from_mins(3);

fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[tokio::main]
async fn main() -> Result<()> {
    // The one of the whole tree.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut arguments = std::env::args().filter_map(|argument| argument.parse().ok());
    bench(Parameters::of(arguments.next().unwrap_or(22_000))).await
}

async fn bench(parameters: Parameters) -> Result<()> {
    say(format_args!("{parameters:?}"));
    let directory = tempfile::tempdir()?;
    let first = Server::start(directory.path()).await?;
    first.make_reader().await?;
    first.import(&fill::advisories(parameters, ADVISORIES))?;
    first.stop()?;
    let start = Instant::now();
    fill::fill(directory.path(), parameters).await?;
    say(format_args!("filled in {:.1?}", start.elapsed()));
    let start = Instant::now();
    let server = Server::start(directory.path()).await?;
    say(format_args!("ready after {:.2?}", start.elapsed()));
    until_it_stands(&server, u64::from(parameters.images)).await?;
    say(format_args!(
        "the index stands after {:.2?}; {} MiB in memory",
        start.elapsed(),
        server.resident_mib()?
    ));
    ask(&server).await?;
    server.stop()
}

/// An index that is not believed would be built from reports that are not there.
async fn until_it_stands(server: &Server, images: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = server.ask("log4j-core", PAGE).await?.1;
        let coverage = &report["coverage"];
        if coverage["indexed_percent"] == 100 {
            ensure!(coverage["images"] == images, "another index: {coverage}");
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{coverage}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(server: &Server) -> Result<()> {
    let vulnerability = |number: u32| format!("CVE-2021-{}", 40_000 + number * 13 % ADVISORIES);
    let range = |number: u32| match number % 5 {
        3 => "deb:openssl@<1.0.2-1".to_owned(),
        _ => format!("{}@>=2.1.0,<2.9.0", package(number)),
    };
    let class = |number: u32| match number % 2 {
        0 => "org.apache.logging.log4j.core.lookup.JndiLookup".to_owned(),
        _ => format!("org.example.group{number}.inner.Name"),
    };
    let kinds: [(&str, &dyn Fn(u32) -> String); 4] = [
        ("vulnerability", &vulnerability),
        ("package", &package),
        ("range", &range),
        ("class", &class),
    ];
    let mut all = Vec::new();
    for (what, question) in kinds {
        let mut times = Vec::new();
        let mut most = 0;
        for number in 0..QUESTIONS {
            let (took, report) = server.ask(&question(number), PAGE).await?;
            times.push(took);
            most = most.max(found(&report).with_context(|| format!("{report:#}"))?);
        }
        all.extend(times.iter().copied());
        tell(format_args!("{what} (up to {most} images)"), &mut times);
    }
    tell("all of them", &mut all);
    Ok(())
}

fn found(report: &Value) -> Option<u64> {
    let counts = &report["counts"];
    let of = |name: &str| counts[name].as_u64();
    Some(of("affected")? + of("mitigated")? + of("uncertain")?)
}

fn package(number: u32) -> String {
    match number % 5 {
        0 => "log4j-core".to_owned(),
        1 => format!(
            "maven:org.example.group{}:artifact{}",
            number / 5,
            number / 5 * 5 + 1
        ),
        2 => format!("npm:module{}", number * 7 + 1),
        3 => "deb:openssl".to_owned(),
        _ => format!("pypi:distribution{number}"),
    }
}

fn tell(what: impl Display, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    say(format_args!(
        "{what}: p50 {:.2?}, p99 {:.2?}, slowest {:.2?}",
        at(50),
        at(99),
        at(100)
    ));
}
