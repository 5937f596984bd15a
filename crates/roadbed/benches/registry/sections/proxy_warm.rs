//! What was pulled through once, beside the same content that was pushed.

use std::time::Instant;

use anyhow::Result;

use crate::{
    bench::Bench,
    content::{Blob, MANIFEST_TYPE, config, manifest},
    process::cpu_seconds,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::Series,
    upstream::{PREFIX, Upstream},
    wrk,
};

const REPOSITORY: &str = "bench/warm";
const TAG: &str = "latest";

/// As fast, give or take what two runs of the same differ by.
const AS_FAST: f64 = 0.95;

/// What one of the two gave in all rounds.
#[derive(Default)]
struct Taken {
    per_second: Series,
    cpu_per_request: Series,
    gb_per_second: Series,
    cpu_per_gb: Series,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let upstream = Upstream::start()?;
    let setting = upstream.setting();
    let settings = [("ROADBED_PROXY__UPSTREAMS", setting.as_str())];
    let server = Server::start_with(Who::Ours, bench, directory.path(), Transport::Plain, &settings)?;
    let proxied = format!("{PREFIX}/{REPOSITORY}");
    let blob = Blob::fresh(bench.scale.pulled_bytes);
    fill(&server, &upstream, &proxied, &blob)?;
    let mut taken = [Taken::default(), Taken::default()];
    for _ in 0..bench.scale.rounds {
        for (repository, taken) in [proxied.as_str(), REPOSITORY].into_iter().zip(&mut taken) {
            bench.settle()?;
            manifests(bench, &server, repository, taken)?;
            blobs(bench, &server, repository, &blob, taken)?;
        }
    }
    Ok(report(&taken))
}

/// The same image here and there, and pulled through once.
fn fill(server: &Server, upstream: &Upstream, proxied: &str, blob: &Blob) -> Result<()> {
    let config = config("warm");
    let manifest = manifest(&config.reference(), &[blob.reference()], "warm");
    for part in [&config, blob] {
        upstream.add_blob(part);
    }
    upstream.add_manifest(TAG, &manifest);
    let mut client = server.client()?;
    client.push_blob(REPOSITORY, &config)?;
    client.push_blob(REPOSITORY, blob)?;
    client.push_manifest(REPOSITORY, TAG, &manifest)?;
    client.pull_when_decided(REPOSITORY, TAG)?;
    client.pull_blob(proxied, &blob.digest)?;
    client.pull_when_decided(proxied, TAG)
}

fn manifests(bench: &Bench, server: &Server, repository: &str, taken: &mut Taken) -> Result<()> {
    let login = server.basic().unwrap_or_default();
    let headers = [("Authorization", login.as_str()), ("Accept", MANIFEST_TYPE)];
    let path = format!("/v2/{repository}/manifests/{TAG}");
    let result = wrk::run(
        &server.endpoint,
        server.pid(),
        &path,
        &headers,
        bench.scale.closed_loop,
    )?;
    taken.per_second.push(result.per_second);
    taken.cpu_per_request.push(result.cpu_microseconds);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
fn blobs(bench: &Bench, server: &Server, repository: &str, blob: &Blob, taken: &mut Taken) -> Result<()> {
    let mut client = server.client()?;
    let (started, before) = (Instant::now(), cpu_seconds(server.pid())?);
    let mut bytes = 0;
    for _ in 0..bench.scale.pulls {
        bytes += client.pull_blob(repository, &blob.digest)?;
    }
    let gb = bytes as f64 / 1e9;
    taken.gb_per_second.push(gb / started.elapsed().as_secs_f64());
    taken.cpu_per_gb.push((cpu_seconds(server.pid())? - before) / gb);
    Ok(())
}

fn report([proxied, local]: &[Taken; 2]) -> Section {
    let mut section = Section::beside("Pulled through and warm, beside the same image pushed", "pushed");
    let per_second = |taken: &Taken| format!("{:.0}/s", taken.per_second.median());
    section.row(
        "manifest GET by tag, `wrk -t2 -c64`",
        per_second(proxied),
        per_second(local),
        Judged::ratio(
            proxied.per_second.median() / local.per_second.median(),
            Bar::AtLeast(AS_FAST),
        ),
    );
    let cpu = |taken: &Taken| format!("{:.1} µs", taken.cpu_per_request.median());
    section.row(
        "CPU per manifest",
        cpu(proxied),
        cpu(local),
        Judged::told(proxied.cpu_per_request.median() / local.cpu_per_request.median()),
    );
    let speed = |taken: &Taken| format!("{:.2} GB/s", taken.gb_per_second.median());
    section.row(
        "blob of 200 MB, 1 connection",
        speed(proxied),
        speed(local),
        Judged::ratio(
            proxied.gb_per_second.median() / local.gb_per_second.median(),
            Bar::AtLeast(AS_FAST),
        ),
    );
    let per_gb = |taken: &Taken| format!("{:.2} s", taken.cpu_per_gb.median());
    section.row(
        "CPU per GB",
        per_gb(proxied),
        per_gb(local),
        Judged::ratio(
            proxied.cpu_per_gb.median() / local.cpu_per_gb.median(),
            Bar::AtMost(super::proxy_cold::COSTS),
        ),
    );
    for (name, taken) in [("pulled through", proxied), ("pushed", local)] {
        section.note(format!(
            "{name}, rounds: {} manifests/s; {} GB/s",
            taken.per_second.all(0),
            taken.gb_per_second.all(2)
        ));
    }
    section
}
