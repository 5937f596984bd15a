//! What a cluster's node notices of somebody who asks for all there is.

use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::latency::{PATH, push_image};
use crate::{
    bench::Bench,
    content::MANIFEST_TYPE,
    load::{LoadPlan, LoadResult, WARM_UP},
    random::Random,
    report::{Bar, Judged, Section},
    schedule::open_loop,
    server::{Pair, Server, Transport, Who},
    statistics::Series,
};

/// Manifest GETs of the node per second.
const RATE: f64 = 500.0;

/// For the peer, which does not answer more while it is attacked.
const PEER_RATE: f64 = 100.0;

/// Connections of the attacker, each of which asks as soon as it has its answer.
const HOSTILE: usize = 2_000;

/// The attack starts so much earlier than the requests and ends so much later.
const AROUND: Duration = Duration::from_secs(1);

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    quiet: Series,
    attacked: Series,
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
    for server in pair.both() {
        push_image(server)?;
    }
    let mut taken = [Taken::default(), Taken::default()];
    for round in 1..=bench.scale.rounds {
        for ((server, logins), taken) in pair.both().into_iter().zip(&logins).zip(&mut taken) {
            bench.settle()?;
            let quiet = plan(bench, server, logins).start(bench)?.finish()?;
            let attacked = attacked(bench, server, logins)?;
            taken.notes.push(format!(
                "{}, round {round}: quiet {}; attacked {}, of which the generator was late by {}",
                server.who.name(),
                quiet.latency(),
                attacked.latency(),
                attacked.lateness()
            ));
            taken.quiet.push(quiet.latency().p99);
            taken.attacked.push(attacked.latency().p99);
        }
    }
    Ok(report(&taken))
}

/// A robot that may pull; answers the value of its Authorization header.
fn robot(server: &Server, name: &str) -> Result<String> {
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

fn plan(bench: &Bench, server: &Server, logins: &Logins) -> LoadPlan {
    let mut headers = vec![("Accept", MANIFEST_TYPE), ("User-Agent", "containerd/v2.0.0")];
    headers.extend(logins.node.as_deref().map(|login| ("Authorization", login)));
    let rate = match server.who {
        Who::Ours => RATE,
        Who::Peer => PEER_RATE,
    };
    let length = WARM_UP + bench.scale.open_loop;
    LoadPlan {
        endpoint: server.endpoint.clone(),
        server_pid: server.pid(),
        requests: vec![server.endpoint.head("GET", PATH, &headers)],
        arrivals: open_loop(&mut Random::seeded(1), rate, length, |_| 0),
    }
}

/// All answers to the node are 200, or it is an error.
fn attacked(bench: &Bench, server: &Server, logins: &Logins) -> Result<LoadResult> {
    let mut attack = Attack::start(bench, server, logins)?;
    sleep(AROUND);
    let result = plan(bench, server, logins).start(bench)?.finish()?;
    attack.end()?;
    Ok(result)
}

/// wrk with many connections. Ends with the value.
struct Attack(Child);

impl Attack {
    fn start(bench: &Bench, server: &Server, logins: &Logins) -> Result<Self> {
        let length = WARM_UP + bench.scale.open_loop + 2 * AROUND;
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
    let mut section = Section::new("p99 of a node's manifest GET at 500/s while 2,000 connections attack");
    section.row(
        "p99, quiet",
        format!("{:.2} ms", ours.quiet.median()),
        format!("{:.2} ms at {PEER_RATE}/s", peer.quiet.median()),
        Judged::told(ours.quiet.median() / peer.quiet.median()),
    );
    section.row(
        "p99, attacked",
        format!("{:.2} ms", ours.attacked.median()),
        format!("{:.2} ms at {PEER_RATE}/s", peer.attacked.median()),
        Judged::told(ours.attacked.median() / peer.attacked.median()),
    );
    section.row(
        "p99 attacked, to its own quiet one",
        format!("{:.2} ×", ours.attacked.median() / ours.quiet.median()),
        format!("{:.2} ×", peer.attacked.median() / peer.quiet.median()),
        Judged::ratio(ours.attacked.median() / ours.quiet.median(), Bar::AtMost(2.0)),
    );
    for note in ours.notes.iter().chain(&peer.notes) {
        section.note(note);
    }
    section
}
