//! A registry with 100,000 manifests, each with a tag, all in one repository: how soon it is there, and what tags cost.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::{
    bench::Bench,
    client::Client,
    content::{Blob, config, manifest},
    populate::in_parallel,
    report::{Bar, Judged, Section},
    server::{Server, Transport, Who},
    statistics::{Percentiles, Series},
};

const REPOSITORY: &str = "bench/many";

/// Tags on a page.
const PAGE: usize = 100;

/// Bars in milliseconds.
const READY_BAR: f64 = 500.0;
const TAG_BAR: f64 = 20.0;

#[derive(Deserialize)]
struct TagPage {
    tags: Vec<String>,
}

/// Measures it. Of the peer this is not asked: the bars are absolute, and to fill it takes many minutes.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let server = Server::start(Who::Ours, bench, directory.path(), Transport::Plain)?;
    let filled = Instant::now();
    fill(bench, &server)?;
    let seconds = filled.elapsed().as_secs_f64();
    eprintln!("   filled in {seconds:.0} s");
    let mut section = Section::new("Start and tags with 100,000 manifests");
    server.kill()?;
    let server = Server::start(Who::Ours, bench, directory.path(), Transport::Plain)?;
    ms_row(
        &mut section,
        "process start to ready, after SIGKILL at the end of the pushes",
        milliseconds(server.time_to_ready),
        READY_BAR,
    );
    server.stop()?;
    bench.settle()?;
    let mut starts = Series::default();
    for _ in 0..bench.scale.rounds.max(3) {
        let server = Server::start(Who::Ours, bench, directory.path(), Transport::Plain)?;
        starts.push(milliseconds(server.time_to_ready));
        server.stop()?;
    }
    ms_row(
        &mut section,
        "process start to ready, after SIGTERM",
        starts.median(),
        READY_BAR,
    );
    section.note(format!("starts after SIGTERM in ms: {}", starts.all(0)));
    #[expect(clippy::cast_precision_loss, reason = "100,000")]
    let per_second = bench.scale.manifests as f64 / seconds;
    tags(bench, directory.path(), &mut section)?;
    section.note(format!(
        "filled by PUT over 32 connections: {per_second:.0} manifests with tags per second, each durable"
    ));
    Ok(section)
}

fn fill(bench: &Bench, server: &Server) -> Result<()> {
    let (config, layer) = (config("many"), Blob::fresh(4096));
    let mut client = server.client()?;
    client.push_blob(REPOSITORY, &config)?;
    client.push_blob(REPOSITORY, &layer)?;
    in_parallel(server, bench.scale.manifests, |client, number| {
        let name = tag(number);
        client.push_manifest(
            REPOSITORY,
            &name,
            &manifest(&config.reference(), &[layer.reference()], &name),
        )
    })
}

/// Pages in the middle and deletions, spread evenly, right after a start: nothing is in any cache of the process.
fn tags(bench: &Bench, directory: &Path, section: &mut Section) -> Result<()> {
    let server = Server::start(Who::Ours, bench, directory, Transport::Plain)?;
    let mut client = Client::connect(&server.endpoint, server.bearer(REPOSITORY, "pull,delete")?)?;
    let quarter = bench.scale.manifests / 4;
    let requests = bench.scale.tag_requests;
    let middle = |index: usize| quarter + index * 2 * quarter / requests;
    let pages = timed(requests, |index| {
        let last = tag(middle(index));
        let body = client.get(&format!("/v2/{REPOSITORY}/tags/list?n={PAGE}&last={last}"))?;
        let page: TagPage = serde_json::from_slice(&body)?;
        ensure!(
            page.tags.len() == PAGE && page.tags[0] == tag(middle(index) + 1),
            "not the page after {last}"
        );
        Ok(())
    })?;
    let deletions = timed(requests, |index| {
        client.delete_tag(REPOSITORY, &tag(middle(index)))
    })?;
    for (name, latency) in [("a page of 100 tags", pages), ("deletion of a tag", deletions)] {
        ms_row(section, &format!("{name}: median"), latency.p50, TAG_BAR);
        ms_row(section, &format!("{name}: p99"), latency.p99, TAG_BAR);
        section.note(format!("{name}, {requests} times: {latency}"));
    }
    server.stop()
}

fn timed(count: usize, mut each: impl FnMut(usize) -> Result<()>) -> Result<Percentiles> {
    let mut durations = Vec::with_capacity(count);
    for index in 0..count {
        let started = Instant::now();
        each(index)?;
        durations.push(started.elapsed());
    }
    Ok(Percentiles::of(durations))
}

fn tag(number: usize) -> String {
    format!("v{number:06}")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn ms_row(section: &mut Section, name: &str, ours: f64, bar: f64) {
    let judged = Judged {
        value: ours,
        unit: " ms",
        bar: Some(Bar::AtMost(bar)),
    };
    section.row(name, format!("{ours:.1} ms"), "–", judged);
}
