//! What readers notice of images that are looked into.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::{
    latency::plan_for,
    scan_decision::{Image, decide, decide_by, new_layers, push_layers, start},
};
use crate::{
    bench::Bench,
    layers::Layer,
    report::{Bar, Judged, Section},
    server::Server,
    statistics::{Percentiles, Series},
};

/// Images that are pushed at once.
const AT_ONCE: usize = 200;

/// New images that keep the workers busy while others read.
const BACKLOG: usize = 12;

/// Manifest GETs per second.
const RATE: f64 = 2_000.0;

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let layers = new_layers()?;
    let directory = bench.directory()?;
    let server = start(bench, directory.path())?;
    let mut section = Section::beside("Readers beside images that are looked into", "–");
    let image = push_layers(&server, &layers)?;
    decide(&server, &image, "known")?;
    at_once(bench, &server, &image, &mut section)?;
    beside_scans(bench, &server, &layers, &mut section)?;
    Ok(section)
}

fn at_once(bench: &Bench, server: &Server, image: &Image, section: &mut Section) -> Result<()> {
    let (mut quiet, mut busy, mut decided) = (Series::default(), Series::default(), Series::default());
    for round in 0..bench.scale.rounds {
        let measured = plan_for(server, RATE, bench.scale.open_loop)?
            .start(bench)?
            .finish()?;
        quiet.push(measured.latency().p99);
        let reading = plan_for(server, RATE, bench.scale.open_loop)?.start(bench)?;
        thread::sleep(Duration::from_secs(3));
        let times = Percentiles::of(push_at_once(server, image, round)?);
        let measured = reading.finish()?.latency();
        busy.push(measured.p99);
        decided.push(times.p99 / 1e3);
        section.note(format!(
            "200 at once, round {round}: decided {times}; readers {measured}"
        ));
    }
    section.row(
        "200 images of known layers at once: p99",
        format!("{:.2} s", decided.median()),
        "–",
        Judged::of(decided.median(), " s", Bar::AtMost(60.0)),
    );
    section.row(
        "p99 of manifest GETs at 2,000/s meanwhile, to the quiet one",
        format!("{:.2} ms", busy.median()),
        format!("quiet {:.2} ms", quiet.median()),
        Judged::ratio(busy.median() / quiet.median(), Bar::AtMost(2.0)),
    );
    section.note(format!(
        "readers beside 200 at once, p99 in ms: {} quiet, {} busy",
        quiet.all(2),
        busy.all(2)
    ));
    Ok(())
}

fn push_at_once(server: &Server, image: &Image, round: usize) -> Result<Vec<Duration>> {
    thread::scope(|scope| {
        let pushes: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let tag = format!("at-once-{round}-{number}");
                scope.spawn(move || decide_by(&mut server.client()?, image, &tag))
            })
            .collect();
        let times = pushes.into_iter().map(|push| match push.join() {
            Ok(time) => time,
            Err(_) => bail!("a pushing client panicked"),
        });
        times.collect()
    })
}

/// Readers while layers are looked into; nobody pushes any more.
fn beside_scans(bench: &Bench, server: &Server, layers: &[Layer], section: &mut Section) -> Result<()> {
    let (mut quiet, mut busy) = (Series::default(), Series::default());
    for round in 0..bench.scale.rounds {
        let measured = plan_for(server, RATE, bench.scale.open_loop)?
            .start(bench)?
            .finish()?;
        quiet.push(measured.latency().p99);
        let mut last = None;
        for _ in 0..BACKLOG {
            last = Some(push_layers(server, layers)?);
        }
        bench.settle()?;
        let measured = plan_for(server, RATE, bench.scale.open_loop)?
            .start(bench)?
            .finish()?;
        busy.push(measured.latency().p99);
        let waited = decide(server, &last.context("no image")?, &format!("behind-{round}"))?;
        section.note(format!(
            "beside scans, round {round}: {}; the last layer was looked into {:.1} s after the end of the measurement",
            measured.latency(),
            waited.as_secs_f64()
        ));
    }
    section.row(
        "p99 of manifest GETs at 2,000/s while layers are looked into, to the quiet one",
        format!("{:.2} ms", busy.median()),
        format!("quiet {:.2} ms", quiet.median()),
        Judged::ratio(busy.median() / quiet.median(), Bar::AtMost(2.0)),
    );
    section.note(format!(
        "readers beside scans, p99 in ms: {} quiet, {} busy",
        quiet.all(2),
        busy.all(2)
    ));
    Ok(())
}
