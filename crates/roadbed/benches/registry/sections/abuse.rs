//! What a cluster's node notices of somebody who asks for all there is.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::latency::{PATH, REPOSITORY, push_image_of};
use crate::{
    bench::Bench,
    content::{Blob, MANIFEST_TYPE},
    load::{LoadPlan, LoadResult, WARM_UP},
    process::anonymous_mib,
    random::Random,
    report::{Bar, Judged, Section},
    schedule::open_loop,
    server::{Pair, Server, Transport, Who},
    statistics::Series,
};

/// Requests of the node per second.
const RATE: f64 = 500.0;

/// For the peer, which does not answer more while it is attacked.
const PEER_RATE: f64 = 100.0;

/// Connections of the attacker, each of which asks as soon as it has its answer.
const HOSTILE: usize = 2_000;

/// One request of the node in so many is for a blob.
const BLOBS: usize = 5;

/// Of that blob.
const BLOB_BYTES: usize = 64 << 10;

/// Which request of the plan is which.
const MANIFEST: usize = 0;
const BLOB: usize = 1;

/// Anonymous memory of ours while it is attacked, in MiB: what it may have under any load.
const MEMORY: f64 = 160.0;

/// Between two looks at it.
const INTERVAL: Duration = Duration::from_millis(200);

/// The attack starts so much earlier than the requests and ends so much later.
const AROUND: Duration = Duration::from_secs(1);

/// The p99 of one kind of request in all rounds, in milliseconds.
#[derive(Default)]
struct Kind {
    quiet: Series,
    attacked: Series,
}

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    manifests: Kind,
    blobs: Kind,
    memory: Series,
    notes: Vec<String>,
}

/// The logins of the node and of the attacker; none for the peer.
#[derive(Default)]
struct Logins {
    node: Option<String>,
    hostile: Option<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Plain)?;
    let logins = [
        Logins {
            node: Some(robot(&pair.ours, "cluster")?),
            hostile: Some(robot(&pair.ours, "hostile")?),
        },
        Logins::default(),
    ];
    let layer = Blob::fresh(BLOB_BYTES);
    for server in pair.both() {
        push_image_of(server, &layer)?;
    }
    let mut taken = [Taken::default(), Taken::default()];
    for round in 1..=bench.scale.rounds {
        for ((server, logins), taken) in pair.both().into_iter().zip(&logins).zip(&mut taken) {
            bench.settle()?;
            let asked = |length| plan(server, logins, &layer, length);
            let quiet = asked(bench.scale.open_loop).start(bench)?.finish()?;
            let (attacked, memory) = attacked(bench, server, logins, asked(bench.scale.attack))?;
            taken.add(server.who, round, &quiet, &attacked);
            taken.memory.push(memory);
        }
    }
    Ok(report(&taken))
}

impl Taken {
    fn add(&mut self, who: Who, round: usize, quiet: &LoadResult, attacked: &LoadResult) {
        for (kind, request) in [(&mut self.manifests, MANIFEST), (&mut self.blobs, BLOB)] {
            kind.quiet.push(quiet.latency_of(request).p99);
            kind.attacked.push(attacked.latency_of(request).p99);
        }
        self.notes.push(format!(
            "{}, round {round}: manifests quiet {}, attacked {}; blobs quiet {}, attacked {}; the generator was late by {}",
            who.name(),
            quiet.latency_of(MANIFEST),
            attacked.latency_of(MANIFEST),
            quiet.latency_of(BLOB),
            attacked.latency_of(BLOB),
            attacked.lateness()
        ));
    }
}

/// A robot that may pull; answers the value of its Authorization header.
pub(super) fn robot(server: &Server, name: &str) -> Result<String> {
    let made = post(server, "/api/v1/robots", &json!({ "name": name }))?;
    let grant = json!({ "subject": name, "pattern": "bench/**", "roles": ["pull"] });
    post(server, "/api/v1/grants", &grant)?;
    let secret = made["secret"].as_str().context("no secret of the robot")?;
    Ok(format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
}

fn post(server: &Server, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let basic = server.basic().context("ours has a login")?;
    let headers = [
        ("Authorization", basic.as_str()),
        ("Content-Type", "application/json"),
        ("Content-Length", &body.len().to_string()),
    ];
    let mut connection = server.endpoint.dialer()?.connect()?;
    let head = server.endpoint.head("POST", path, &headers);
    let answer = connection.exchange(&head, &[body.as_bytes()])?;
    let text = connection.body(&answer)?;
    ensure!(
        matches!(answer.status, 200 | 201),
        "{path}: {} {}",
        answer.status,
        String::from_utf8_lossy(&text)
    );
    Ok(serde_json::from_slice(&text)?)
}

fn plan(server: &Server, logins: &Logins, layer: &Blob, length: Duration) -> LoadPlan {
    let mut headers = vec![("Accept", MANIFEST_TYPE), ("User-Agent", "containerd/v2.0.0")];
    headers.extend(logins.node.as_deref().map(|login| ("Authorization", login)));
    let rate = match server.who {
        Who::Ours => RATE,
        Who::Peer => PEER_RATE,
    };
    let blob = format!("/v2/{REPOSITORY}/blobs/{}", layer.digest);
    let draw = |random: &mut Random| if random.below(BLOBS) == 0 { BLOB } else { MANIFEST };
    LoadPlan {
        endpoint: server.endpoint.clone(),
        server_pid: server.pid(),
        requests: [PATH, &blob]
            .map(|path| server.endpoint.head("GET", path, &headers))
            .to_vec(),
        arrivals: open_loop(&mut Random::seeded(1), rate, WARM_UP + length, draw),
    }
}

/// All answers to the node are 200, or it is an error. Answers the most memory, too.
fn attacked(bench: &Bench, server: &Server, logins: &Logins, plan: LoadPlan) -> Result<(LoadResult, f64)> {
    let mut attack = Attack::start(bench, server, logins)?;
    sleep(AROUND);
    let running = plan.start(bench)?;
    let is_over = AtomicBool::new(false);
    let (result, memory) = thread::scope(|scope| {
        let watching = scope.spawn(|| -> Result<f64> {
            let mut samples = Series::default();
            while !is_over.load(Ordering::Relaxed) {
                samples.push(anonymous_mib(server.pid())?);
                sleep(INTERVAL);
            }
            Ok(samples.maximum())
        });
        let result = running.finish();
        is_over.store(true, Ordering::Relaxed);
        let memory = watching.join().map_err(|_| anyhow!("who watches panicked"))??;
        anyhow::Ok((result?, memory))
    })?;
    attack.end()?;
    Ok((result, memory))
}

/// wrk with many connections. Ends with the value.
struct Attack(Child);

impl Attack {
    fn start(bench: &Bench, server: &Server, logins: &Logins) -> Result<Self> {
        let length = WARM_UP + bench.scale.attack + 2 * AROUND;
        let mut command = Command::new("wrk");
        command.args([
            "-t2",
            &format!("-c{HOSTILE}"),
            &format!("-d{}s", length.as_secs()),
            "--timeout",
            "60s",
        ]);
        if let Some(login) = &logins.hostile {
            command.arg("-H").arg(format!("Authorization: {login}"));
        }
        let child = command
            .arg(server.endpoint.url(PATH))
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run wrk")?;
        Ok(Self(child))
    }

    fn end(&mut self) -> Result<()> {
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // It has ended, or the measurement failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn report([ours, peer]: &[Taken; 2]) -> Section {
    let mut section = Section::new("p99 of a node's requests at 500/s while 2,000 connections attack");
    for (name, ours, peer) in [
        ("manifests", &ours.manifests, &peer.manifests),
        ("blobs of 64 KiB", &ours.blobs, &peer.blobs),
    ] {
        let (quiet, attacked) = (ours.quiet.median(), ours.attacked.median());
        let (peer_quiet, peer_attacked) = (peer.quiet.median(), peer.attacked.median());
        section.row(
            format!("{name}: quiet"),
            format!("{quiet:.2} ms"),
            format!("{peer_quiet:.2} ms at {PEER_RATE}/s"),
            Judged::told(quiet / peer_quiet),
        );
        section.row(
            format!("{name}: attacked"),
            format!("{attacked:.2} ms"),
            format!("{peer_attacked:.2} ms at {PEER_RATE}/s"),
            Judged::told(attacked / peer_attacked),
        );
        section.row(
            format!("{name}: attacked, to its own quiet one"),
            format!("{:.2} ×", attacked / quiet),
            format!("{:.2} ×", peer_attacked / peer_quiet),
            Judged::ratio(attacked / quiet, Bar::AtMost(2.0)),
        );
    }
    let (memory, peer_memory) = (ours.memory.maximum(), peer.memory.maximum());
    section.row(
        "anonymous memory, most",
        format!("{memory:.0} MiB"),
        format!("{peer_memory:.0} MiB"),
        Judged::of(memory, " MiB", Bar::AtMost(MEMORY)),
    );
    section.note("every request of the node was answered 200");
    for note in ours.notes.iter().chain(&peer.notes) {
        section.note(note);
    }
    section
}
