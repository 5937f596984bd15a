//! What a registry of an organisation sees: many repositories, some of them popular, all kinds of reads, TLS, tokens.

use std::collections::{HashMap, hash_map::Entry};

use anyhow::Result;

use crate::{
    bench::Bench,
    content::{Blob, BlobReference, MANIFEST_TYPE, config, digest_of, manifest},
    load::{LoadPlan, LoadResult, WARM_UP},
    populate::in_parallel,
    random::Random,
    report::{Bar, Judged, Section},
    schedule::{Zipf, open_loop},
    server::{Pair, Server, Transport},
    statistics::Series,
};

/// Requests per second that both can bear: CPU time per request is what counts.
const RATE: f64 = 800.0;

/// Requests per second for ours alone, to see whether the figure holds under load.
const HIGHER_RATE: f64 = 4_000.0;

/// Where the layers come from that all images share.
const SHARED: &str = "bench/shared";

/// Sizes of the two shared layers.
const LAYER_BYTES: [usize; 2] = [20_000, 1_000_000];

/// Of so many requests one is for a blob.
const BLOB_EVERY: usize = 10;

const TAG: &str = "latest";

/// What is in every repository, and the layers that all share.
struct Content {
    layers: [Blob; 2],
}

/// One request before it is written out.
struct Draw {
    repository: usize,
    method: &'static str,
    what: What,
}

enum What {
    Tag,
    Digest,
    Blob(usize),
}

/// What one server gave in all rounds.
#[derive(Default)]
struct Taken {
    per_cpu_second: Series,
    p99: Series,
    notes: Vec<String>,
}

/// Measures it.
pub(super) fn run(bench: &Bench) -> Result<Section> {
    let directory = bench.directory()?;
    let pair = Pair::start(bench, directory.path(), Transport::Tls)?;
    let content = Content {
        layers: LAYER_BYTES.map(Blob::fresh),
    };
    for server in pair.both() {
        let started = std::time::Instant::now();
        content.push_all(bench, server)?;
        eprintln!(
            "   {} filled in {:.0} s",
            server.who.name(),
            started.elapsed().as_secs_f64()
        );
    }
    bench.settle()?;
    let mut taken = [Taken::default(), Taken::default()];
    for round in 0..bench.scale.rounds as u64 {
        for (server, taken) in pair.both().into_iter().zip(&mut taken) {
            taken.add(server, &content.ask(bench, server, RATE, round)?);
        }
    }
    let mut higher = Taken::default();
    higher.add(&pair.ours, &content.ask(bench, &pair.ours, HIGHER_RATE, 0)?);
    Ok(report(&taken, &higher))
}

impl Taken {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand answers")]
    fn add(&mut self, server: &Server, result: &LoadResult) {
        let per_cpu_second = result.answered() as f64 / result.cpu_seconds;
        self.per_cpu_second.push(per_cpu_second);
        self.p99.push(result.latency().p99);
        let note = format!(
            "{}: {} answers for {:.2} CPU seconds; {}",
            server.who.name(),
            result.answered(),
            result.cpu_seconds,
            result.latency()
        );
        eprintln!("   {note}");
        self.notes.push(note);
    }
}

impl Content {
    /// Fills a registry.
    fn push_all(&self, bench: &Bench, server: &Server) -> Result<()> {
        let mut client = server.client()?;
        for layer in &self.layers {
            client.push_blob(SHARED, layer)?;
        }
        client.push_blob(SHARED, &config(SHARED))?;
        client.push_manifest(
            SHARED,
            TAG,
            &manifest(&config(SHARED).reference(), &self.layer_references(), SHARED),
        )?;
        self.fill(bench, server)?;
        // What is pulled was judged long before, as in earnest.
        in_parallel(server, bench.scale.repositories, |client, number| {
            client.pull_when_decided(&repository(number), TAG)
        })
    }

    fn fill(&self, bench: &Bench, server: &Server) -> Result<()> {
        in_parallel(server, bench.scale.repositories, |client, number| {
            let name = repository(number);
            for layer in &self.layers {
                client.mount_blob(&name, &layer.digest, SHARED)?;
            }
            client.push_blob(&name, &config(&name))?;
            client.push_manifest(&name, TAG, &self.manifest_of(&name))
        })
    }

    fn layer_references(&self) -> Vec<BlobReference> {
        self.layers.iter().map(Blob::reference).collect()
    }

    fn manifest_of(&self, repository: &str) -> Vec<u8> {
        manifest(
            &config(repository).reference(),
            &self.layer_references(),
            repository,
        )
    }

    fn ask(&self, bench: &Bench, server: &Server, rate: f64, seed: u64) -> Result<LoadResult> {
        let zipf = Zipf::over(bench.scale.repositories);
        let mut draws = Vec::new();
        let arrivals = open_loop(
            &mut Random::seeded(seed),
            rate,
            WARM_UP + bench.scale.open_loop,
            |random| {
                draws.push(draw(&zipf, random));
                draws.len() - 1
            },
        );
        let plan = LoadPlan {
            endpoint: server.endpoint.clone(),
            server_pid: server.pid(),
            requests: self.written_out(server, &draws)?,
            arrivals,
        };
        plan.start(bench)?.finish()
    }

    /// The heads of the requests. As clients do it, each repository has a token of its own, got before.
    fn written_out(&self, server: &Server, draws: &[Draw]) -> Result<Vec<String>> {
        let mut desk = server.token_desk()?;
        let mut tokens: HashMap<usize, Option<String>> = HashMap::new();
        let mut requests = Vec::with_capacity(draws.len());
        for draw in draws {
            let name = repository(draw.repository);
            let token = match tokens.entry(draw.repository) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(desk.as_mut().map(|desk| desk.token(&name, "pull")).transpose()?)
                }
            };
            let path = match draw.what {
                What::Tag => format!("/v2/{name}/manifests/{TAG}"),
                What::Digest => format!("/v2/{name}/manifests/{}", digest_of(&self.manifest_of(&name))),
                What::Blob(number) => {
                    let digest = self
                        .layers
                        .get(number)
                        .map_or_else(|| config(&name).digest, |layer| layer.digest.clone());
                    format!("/v2/{name}/blobs/{digest}")
                }
            };
            let mut headers = vec![("Accept", MANIFEST_TYPE)];
            headers.extend(token.as_deref().map(|token| ("Authorization", token)));
            requests.push(server.endpoint.head(draw.method, &path, &headers));
        }
        Ok(requests)
    }
}

fn repository(number: usize) -> String {
    format!("bench/team-{}/service-{number}", number % 100)
}

/// One blob in ten: config, small layer, large layer alike. The others: HEAD and GET, tag and digest alike.
fn draw(zipf: &Zipf, random: &mut Random) -> Draw {
    let repository = zipf.draw(random);
    if random.below(BLOB_EVERY) == 0 {
        return Draw {
            repository,
            method: "GET",
            what: What::Blob(random.below(LAYER_BYTES.len() + 1)),
        };
    }
    let method = if random.below(2) == 0 { "HEAD" } else { "GET" };
    let what = if random.below(2) == 0 {
        What::Tag
    } else {
        What::Digest
    };
    Draw {
        repository,
        method,
        what,
    }
}

fn report([ours, peer]: &[Taken; 2], higher: &Taken) -> Section {
    let mut section = Section::new("Mixed reads of 10,000 repositories, open loop, TLS");
    let (our_rate, peer_rate) = (ours.per_cpu_second.median(), peer.per_cpu_second.median());
    section.row(
        format!("requests per CPU second, at {RATE}/s"),
        format!("{our_rate:.0}"),
        format!("{peer_rate:.0}"),
        Judged::ratio(our_rate / peer_rate, Bar::AtLeast(15.0)),
    );
    section.row(
        format!("p99, at {RATE}/s"),
        format!("{:.2} ms", ours.p99.median()),
        format!("{:.2} ms", peer.p99.median()),
        Judged::told(ours.p99.median() / peer.p99.median()),
    );
    section.row(
        format!("requests per CPU second, ours at {HIGHER_RATE}/s"),
        format!("{:.0}", higher.per_cpu_second.median()),
        format!("{peer_rate:.0} (at {RATE}/s)"),
        Judged::told(higher.per_cpu_second.median() / peer_rate),
    );
    for note in ours.notes.iter().chain(&peer.notes) {
        section.note(note);
    }
    for note in &higher.notes {
        section.note(format!("at {HIGHER_RATE}/s, {note}"));
    }
    section
}
