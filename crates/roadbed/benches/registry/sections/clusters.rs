//! Forty clusters whose nodes start again at once, each with a login and behind an address of its own, while builds pull too.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

use super::abuse::robot;
use crate::{
    bench::Bench,
    content::{Blob, config, manifest},
    nodes::{Group, GroupResult, NodesPlan},
    part::{Part, Running, Work},
    report::{Bar, Judged, Section},
    server::{Pair, Server, Transport, Who},
    statistics::Series,
};

/// Where the image is; what the robots may pull.
const REPOSITORY: &str = "bench/clusters";
const TAG: &str = "latest";

/// Layers of the image.
const LAYERS: usize = 8;

/// The last node may have its image after so many times what bandwidth allows.
const LAST: f64 = 1.5;

/// Who tells what bandwidth allows: so many connections, each pulling the image over and over.
const CONNECTIONS: usize = 16;

/// Builds that pull beside the clusters: one for ten nodes.
const NODES_OF_A_BUILD: usize = 10;

/// How nodes and builds call themselves.
const NODE: &str = "containerd/v2.0.0";
const BUILD: &str = "docker/28.0.0";

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    /// The last node, to what bandwidth allows.
    last: Series,
    seconds: Series,
    ideal: Series,
    /// The last node, to the last build.
    order: Series,
    notes: Vec<String>,
}

/// The logins of the clusters and of the builds; none for the peer.
struct Logins {
    clusters: Vec<Option<String>>,
    builds: Option<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Plain)?;
    let layers: Vec<Blob> = (0..LAYERS)
        .map(|_| Blob::fresh(bench.scale.layer_bytes))
        .collect();
    let mut taken = [Taken::default(), Taken::default()];
    let mut plans = Vec::new();
    for server in pair.both() {
        push_image(server, &layers)?;
        plans.push((paths(&layers), logins(bench, server)?));
    }
    for round in 1..=bench.scale.rounds {
        for ((server, (paths, logins)), taken) in pair.both().into_iter().zip(&plans).zip(&mut taken) {
            bench.settle()?;
            let bandwidth = bandwidth(bench, server, paths, logins)?;
            let groups = groups(bench, logins);
            let results = carry_out(server, paths, groups)?;
            taken.add(server.who, round, &results, bandwidth)?;
        }
    }
    Ok(report(bench, &taken))
}

fn push_image(server: &Server, layers: &[Blob]) -> Result<()> {
    let config = config("clusters");
    let references: Vec<_> = layers.iter().map(Blob::reference).collect();
    let mut client = server.client()?;
    for blob in layers.iter().chain([&config]) {
        client.push_blob(REPOSITORY, blob)?;
    }
    let manifest = manifest(&config.reference(), &references, "clusters");
    client.push_manifest(REPOSITORY, TAG, &manifest)?;
    client.pull_when_decided(REPOSITORY, TAG)
}

fn paths(layers: &[Blob]) -> Vec<String> {
    let blobs = layers
        .iter()
        .map(|layer| format!("/v2/{REPOSITORY}/blobs/{}", layer.digest));
    let manifest = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    std::iter::once(manifest).chain(blobs).collect()
}

fn logins(bench: &Bench, server: &Server) -> Result<Logins> {
    let login = |name: &str| match server.who {
        Who::Ours => robot(server, name).map(Some),
        Who::Peer => Ok(None),
    };
    let clusters = (0..bench.scale.clusters).map(|number| login(&format!("cluster-{number}")));
    Ok(Logins {
        clusters: clusters.collect::<Result<_>>()?,
        builds: login("builds")?,
    })
}

/// The clusters, and behind them the builds.
fn groups(bench: &Bench, logins: &Logins) -> Vec<Group> {
    let address = |number: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).unwrap_or(u8::MAX));
    let clusters = logins.clusters.iter().enumerate();
    let mut groups: Vec<Group> = clusters
        .map(|(number, login)| Group {
            authorization: login.clone(),
            agent: NODE.to_owned(),
            from: address(number),
            nodes: bench.scale.nodes,
            times: 1,
        })
        .collect();
    groups.push(Group {
        authorization: logins.builds.clone(),
        agent: BUILD.to_owned(),
        from: address(groups.len()),
        nodes: (bench.scale.clusters * bench.scale.nodes).div_ceil(NODES_OF_A_BUILD),
        times: 1,
    });
    groups
}

fn carry_out(server: &Server, paths: &[String], groups: Vec<Group>) -> Result<Vec<GroupResult>> {
    let plan = NodesPlan {
        endpoint: server.endpoint.clone(),
        paths: paths.to_vec(),
        groups,
    };
    let part = Part {
        core: None,
        in_background: false,
        work: Work::Nodes(plan),
    };
    let running: Running<Vec<GroupResult>> = part.start()?;
    running.finish()
}

/// Bytes per second that the same generator gets over few connections, each of which is never idle.
#[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
fn bandwidth(bench: &Bench, server: &Server, paths: &[String], logins: &Logins) -> Result<f64> {
    let nodes = bench.scale.clusters * bench.scale.nodes;
    let group = Group {
        authorization: logins.clusters.first().cloned().flatten(),
        agent: NODE.to_owned(),
        from: Ipv4Addr::LOCALHOST,
        nodes: CONNECTIONS,
        times: (nodes / CONNECTIONS / 2).max(1),
    };
    let results = carry_out(server, paths, vec![group])?;
    let all = results.first().context("one group")?;
    Ok(all.bytes as f64 / last_of(&all.ends))
}

fn last_of(ends: &[f64]) -> f64 {
    ends.iter().copied().fold(0.0, f64::max)
}

impl Taken {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a few seconds")]
    fn add(&mut self, who: Who, round: usize, results: &[GroupResult], bandwidth: f64) -> Result<()> {
        let (builds, clusters) = results.split_last().context("no groups")?;
        let bytes: u64 = clusters.iter().map(|cluster| cluster.bytes).sum();
        let ends: Vec<f64> = clusters.iter().map(|cluster| last_of(&cluster.ends)).collect();
        let (last, last_build) = (last_of(&ends), last_of(&builds.ends));
        let first = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let ideal = bytes as f64 / bandwidth;
        let told: u64 = clusters.iter().map(|cluster| cluster.told).sum();
        self.last.push(last / ideal);
        self.seconds.push(last);
        self.ideal.push(ideal);
        self.order.push(last / last_build);
        self.notes.push(format!(
            "{}, round {round}: {:.1} GB to nodes at {:.2} GB/s of possible {:.2}; the first cluster was whole after {first:.1} s, \
             the last after {last:.1} s, the last build after {last_build:.1} s; nodes were told {told} times to come again, builds {}",
            who.name(),
            bytes as f64 / 1e9,
            bytes as f64 / 1e9 / last,
            bandwidth / 1e9,
            builds.told
        ));
        Ok(())
    }
}

fn report(bench: &Bench, [ours, peer]: &[Taken; 2]) -> Section {
    let mut section = Section::new("40 clusters of 50 nodes start again at once, while 200 builds pull");
    let seconds = |taken: &Taken| format!("{:.1} s of {:.1} s", taken.seconds.median(), taken.ideal.median());
    section.row(
        "the last node has its image, to what bandwidth allows",
        seconds(ours),
        seconds(peer),
        Judged::ratio(ours.last.median(), Bar::AtMost(LAST)),
    );
    let order = |taken: &Taken| format!("{:.2} ×", taken.order.median());
    section.row(
        "the last node, to the last build",
        order(ours),
        order(peer),
        Judged::ratio(ours.order.median(), Bar::AtMost(1.0)),
    );
    section.note(format!(
        "{} clusters of {} nodes, {LAYERS} layers of {} KiB each; a request that was neither answered 200 nor told when to come again \
         would be an error",
        bench.scale.clusters,
        bench.scale.nodes,
        bench.scale.layer_bytes >> 10
    ));
    for note in ours.notes.iter().chain(&peer.notes) {
        section.note(note);
    }
    section
}
