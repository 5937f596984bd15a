//! Re-evaluation at the size of large organisations, to be run by hand with `just measure-reevaluation` (docs/benchmarks.md). Nothing fails
//! here because a machine is busy.
//!
//! `plant` makes a store of images that nobody pushed (`road::synthetic`) and has all of them judged; the others measure on a copy of
//! it. `ROADBED_MEASURE_DIR`: where it lies; `ROADBED_MEASURE_IMAGES`: how many images.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use access::{Grant, Role, permit::Pull};
use findings::{FoundUnit, ImageConfig, LayerReport, advisory::Advisory};
use oci::{Algorithm, Digest, Reference, RepoName};
use road::{
    fleet::{ImageFacts, ImageKey, LayerFacts},
    synthetic::{Parameters, Synthetic},
};
use serde_json::json;
use store::{Actor, Importer, JobKind, NewUser, PlantedImage, Point, Store, StoreConfig, SystemClock};

use super::Reevaluator;
use crate::{
    fleet::FleetService,
    judge::{IMAGE_MEMORY, Judge, JudgeLimits, Knowledge, attach},
    serve::background::Background,
};

/// Reports and images in one transaction while they are planted.
const BATCH: usize = 2_000;

fn images() -> u32 {
    let given = std::env::var("ROADBED_MEASURE_IMAGES").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(22_000)
}

fn directory() -> PathBuf {
    let given = std::env::var_os("ROADBED_MEASURE_DIR").expect("ROADBED_MEASURE_DIR names a directory");
    PathBuf::from(given).join(images().to_string())
}

async fn open() -> Store {
    let config = StoreConfig {
        data_dir: directory(),
        touches_blobs: false,
        limits: store::StoreLimits::default(),
    };
    Store::open(config, Arc::new(SystemClock)).await.unwrap()
}

/// What a server runs beside requests.
struct Beside {
    store: Store,
    knowledge: Arc<Knowledge>,
    fleet: Arc<FleetService>,
    background: Background,
    _loops: tokio::task::JoinSet<()>,
    _following: crate::fleet::Following,
}

impl Beside {
    async fn start(store: &Store) -> Self {
        let background = Background::start().unwrap();
        let runtime = background.handle();
        let started = Instant::now();
        let knowledge = Knowledge::of(store.clone(), JudgeLimits::default());
        let fleet = FleetService::of(store.clone(), Arc::clone(&knowledge));
        let guard = runtime.enter();
        let sboms = attach::SbomConfig {
            attach: Vec::new(),
            format: crate::config::SbomFormat::CycloneDx,
            bytes: attach::BYTES,
            image_memory: IMAGE_MEMORY,
        };
        let loops = Judge::start(store.clone(), Arc::clone(&knowledge), sboms, "measure".to_owned());
        runtime.spawn(Arc::clone(&knowledge).follow());
        runtime.spawn(
            Reevaluator::new(
                store.clone(),
                Arc::clone(&knowledge),
                Arc::clone(&fleet),
                crate::reevaluate::Limits::default(),
            )
            .follow(),
        );
        let following = fleet.follow();
        drop(guard);
        assert!(fleet.caught_up(Duration::from_mins(20)).await.unwrap());
        say("index of the fleet stands after", started.elapsed());
        Self {
            store: store.clone(),
            knowledge,
            fleet,
            background,
            _loops: loops,
            _following: following,
        }
    }

    /// Until a generation is taken in and no image waits. Answers when it was taken in, and when the last was judged.
    async fn quiet(&self, generation: u64) -> (Duration, Duration) {
        let began = Instant::now();
        let mut taken_in = None;
        loop {
            let known = self.store.reevaluation().await.unwrap();
            if known.confirmed >= generation && known.answered >= known.asked {
                let at = *taken_in.get_or_insert(began.elapsed());
                if !self.store.has_jobs(JobKind::Judge).await.unwrap() {
                    return (at, began.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn stop(self) {
        drop(self.background);
    }
}

#[expect(clippy::print_stdout, reason = "it is read by whoever measures")]
fn say(what: &str, figure: impl std::fmt::Debug) {
    println!("{what} {figure:.2?}");
}

fn report_of(layer: &LayerFacts) -> LayerReport {
    let mut report = crate::worker::not_scannable(*layer.blob(), "", "");
    report.not_scannable.clear();
    report.diff_id = layer.diff_id().copied();
    let units = layer.units().iter().map(|placed| FoundUnit {
        path: placed.path.clone(),
        unit: (*placed.unit).clone(),
        owned_by: placed.owned_by.clone(),
    });
    report.units = units.collect();
    report
}

fn digest(what: &str) -> Digest {
    Digest::of(Algorithm::Sha256, what.as_bytes())
}

/// The rows of an image: its manifest, and the report of its configuration.
fn rows_of(key: &ImageKey, facts: &ImageFacts) -> (PlantedImage, LayerReport) {
    let config = digest(&format!("config {}", key.digest));
    let mut report = crate::worker::not_scannable(config, "", "");
    report.not_scannable.clear();
    let diff_ids = facts.layers.iter().filter_map(|layer| layer.diff_id());
    report.config = Some(Box::new(ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        user: "1000".to_owned(),
        diff_ids: diff_ids.map(ToString::to_string).collect(),
        ..ImageConfig::default()
    }));
    let layer = |layer: &Arc<LayerFacts>| json!({ "mediaType": oci::media_type::OCI_LAYER, "digest": layer.blob(), "size": 9 });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": { "mediaType": oci::media_type::OCI_IMAGE_CONFIG, "digest": config, "size": 9 },
        "layers": facts.layers.iter().map(layer).collect::<Vec<_>>(),
    });
    let bytes = manifest.to_string().into_bytes();
    let blobs: HashSet<Digest> = facts
        .layers
        .iter()
        .map(|layer| *layer.blob())
        .chain([config])
        .collect();
    let image = PlantedImage {
        repo: key.repository.parse().unwrap(),
        digest: Digest::of(Algorithm::Sha256, &bytes),
        bytes,
        media_type: oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap(),
        blobs: blobs.into_iter().collect(),
    };
    (image, report)
}

/// What is planted and not written yet.
#[derive(Default)]
struct Seeds {
    images: Vec<PlantedImage>,
    reports: Vec<LayerReport>,
}

impl Seeds {
    /// `known`: digests of what was taken before.
    fn take(&mut self, key: &ImageKey, facts: &ImageFacts, known: &mut HashSet<Digest>) {
        for layer in &facts.layers {
            if known.insert(*layer.blob()) {
                self.reports.push(report_of(layer));
            }
        }
        let (image, report) = rows_of(key, facts);
        if known.insert(image.digest) {
            self.images.push(image);
            self.reports.push(report);
        }
    }

    async fn write(self, store: &Store) {
        store.plant_reports(self.reports).await.unwrap();
        store.plant_images(self.images).await.unwrap();
    }
}

async fn import(store: &Store, documents: &[(String, String)]) -> u64 {
    let mut importer = Importer::begin(store).await.unwrap();
    for (name, text) in documents {
        importer.add(name, text.as_bytes()).await.unwrap();
    }
    let summary = importer
        .finish("measure", &Actor::operator("measure"))
        .await
        .unwrap();
    assert_eq!(summary.refused, 0, "{summary:?}");
    summary.generation.expect("something is new")
}

/// As its source would publish it.
fn document(advisory: &Advisory) -> (String, String) {
    let affected: Vec<_> = advisory
        .affected
        .iter()
        .map(|affected| {
            let ranges: Vec<_> = affected
                .ranges
                .iter()
                .map(|range| {
                    let events: Vec<_> = range
                        .events
                        .iter()
                        .map(|event| match event {
                            findings::advisory::Event::Introduced(at) => json!({ "introduced": at }),
                            findings::advisory::Event::Fixed(at) => json!({ "fixed": at }),
                            findings::advisory::Event::LastAffected(at) => json!({ "last_affected": at }),
                            findings::advisory::Event::Limit(at) => json!({ "limit": at }),
                        })
                        .collect();
                    json!({ "type": "ECOSYSTEM", "events": events })
                })
                .collect();
            json!({ "package": { "ecosystem": affected.ecosystem, "name": affected.name }, "ranges": ranges })
        })
        .collect();
    let text = json!({
        "id": advisory.id, "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "summary": advisory.summary, "affected": affected,
        "database_specific": { "severity": "MODERATE" },
    });
    (format!("osv/NVD/{}.json", advisory.id), text.to_string())
}

fn corpus(count: u32) -> Vec<(String, String)> {
    let synthetic = Synthetic::new(Parameters::of(images()));
    synthetic.advisories(count).iter().map(document).collect()
}

/// A package of the distribution that every base of three systems has, and so more than 30 of 100 images.
fn common(number: u32, fixed: &str) -> (String, String) {
    let of = |ecosystem: &str| {
        json!({
            "package": { "ecosystem": ecosystem, "name": "source7" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
        })
    };
    let text = json!({
        "id": format!("CVE-2026-{number}"), "modified": "2026-02-01T00:00:00Z",
        "affected": [of("Debian:12"), of("Debian:11"), of("Ubuntu:22.04")],
        "database_specific": { "severity": "HIGH" },
    });
    (format!("osv/NVD/CVE-2026-{number}.json"), text.to_string())
}

#[ignore = "measures; to be run by hand"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plant() {
    std::fs::create_dir_all(directory()).unwrap();
    let store = open().await;
    let started = Instant::now();
    // Made beside the writing, and never all of it in memory.
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Seeds>(2);
    let making = std::thread::spawn(move || {
        let (mut seeds, mut known) = (Seeds::default(), HashSet::new());
        Synthetic::new(Parameters::of(images())).for_each(|key, facts, _| {
            seeds.take(key, facts, &mut known);
            if seeds.reports.len() >= BATCH {
                sender.blocking_send(std::mem::take(&mut seeds)).unwrap();
            }
        });
        sender.blocking_send(seeds).unwrap();
    });
    while let Some(seeds) = receiver.recv().await {
        seeds.write(&store).await;
    }
    making.join().unwrap();
    say("planted in", started.elapsed());
    let generation = import(&store, &corpus(4_000)).await;
    let beside = Beside::start(&store).await;
    let (_, judged) = beside.quiet(generation).await;
    say("all images judged for the first time in", judged);
    say("bytes of the database", store.database_bytes().await.unwrap());
    beside.stop();
    store.close().await.unwrap();
}

/// Pulls of what is remembered, on a thread of their own as express lanes are: manifest and decision, until told to stop.
async fn pulls(
    store: &Store,
    until: Arc<std::sync::atomic::AtomicBool>,
) -> std::thread::JoinHandle<Vec<Duration>> {
    let name: access::PrincipalName = format!("p{}", store.now().micros()).parse().unwrap();
    let user = NewUser {
        name: name.clone(),
        password: "a long enough password".into(),
        administrator: false,
        not_after: None,
    };
    let actor = Actor::operator("measure");
    let id = store.create_user(&actor, user).await.unwrap();
    let grant = Grant {
        subject: name.to_string().parse().unwrap(),
        pattern: "**".parse().unwrap(),
        roles: [Role::Pull].into_iter().collect(),
    };
    store.set_grant(&actor, &grant).await.unwrap();
    let book = store.access();
    let caller = book
        .sign_in(id, book.secrets_of(id)[0].id, store.now().micros())
        .unwrap();
    let images: Vec<(RepoName, Digest)> = store
        .images_after(0, 500)
        .await
        .unwrap()
        .into_iter()
        .map(|(_, repo, digest)| (repo, digest))
        .collect();
    let store = store.clone();
    std::thread::spawn(move || {
        let _ = registry::traffic::lanes::slice::shorten();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut took = Vec::new();
            for (repo, digest) in images.iter().cycle() {
                if until.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let started = Instant::now();
                let permit: access::Permit<Pull> = store.access().authorize(&caller, repo).unwrap();
                store
                    .manifest(&permit, &Reference::Digest(*digest))
                    .await
                    .unwrap();
                store.decision(repo, digest, Point::Pull).await.unwrap();
                took.push(started.elapsed());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            took
        })
    })
}

fn percentile(mut took: Vec<Duration>, what: &str) {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 1_000).min(took.len() - 1)];
    say(
        &format!("{what}: {} pulls; p50, p99, p99.9, slowest", took.len()),
        [at(500), at(990), at(999), at(1_000)],
    );
}

async fn measured_pulls(store: &Store, what: &str, during: impl Future<Output = ()>) {
    let until = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let pulling = pulls(store, Arc::clone(&until)).await;
    during.await;
    until.store(true, std::sync::atomic::Ordering::Relaxed);
    percentile(pulling.join().unwrap(), what);
}

#[ignore = "measures; to be run by hand"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advisory() {
    let store = open().await;
    let beside = Beside::start(&store).await;
    let generation = store.advisory_generation().await.unwrap();
    beside.quiet(generation).await;
    measured_pulls(&store, "quiet", tokio::time::sleep(Duration::from_secs(8))).await;
    let number = 10_000 + u32::try_from(generation).unwrap();
    measured_pulls(&store, "during re-evaluation", async {
        let imported = Instant::now();
        let generation = import(&store, &[common(number, "1.9.9-1")]).await;
        say("import took", imported.elapsed());
        let asked = Instant::now();
        let facts = beside.knowledge.facts().await;
        let id = format!("CVE-2026-{number}");
        let affected = beside.fleet.look(|fleet| {
            let known = findings::advisory::Knowledge {
                index: &facts.index,
                kev: None,
                epss: None,
            };
            let all = fleet.scope(|_| true, None);
            let answer = fleet.by_vulnerability(&id, &known, &all);
            answer.map(|answer| answer.counts().affected)
        });
        say("first answer after", (asked.elapsed(), affected));
        let (taken_in, judged) = beside.quiet(generation).await;
        say(
            "taken in, all decisions rewritten, after the answer",
            (taken_in, judged),
        );
    })
    .await;
    let mut outcomes: HashMap<String, u64> = HashMap::new();
    for (_, repo, digest) in store.images_after(0, 2_000).await.unwrap() {
        let decision = store
            .decision_with_text(&repo, &digest, Point::Pull)
            .await
            .unwrap();
        let told = decision.is_some_and(|(_, text)| text.contains(&format!("CVE-2026-{number}")));
        *outcomes.entry(format!("named: {told}")).or_default() += 1;
    }
    say("of the first 2,000 images", outcomes);
    beside.stop();
    store.close().await.unwrap();
}

#[ignore = "measures; to be run by hand"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_corpus() {
    let store = open().await;
    let beside = Beside::start(&store).await;
    beside.quiet(store.advisory_generation().await.unwrap()).await;
    let documents = corpus(44_000);
    let started = Instant::now();
    let generation = import(&store, &documents).await;
    say("44,000 advisories imported in", started.elapsed());
    beside.quiet(generation).await;
    say("import with re-evaluation took", started.elapsed());
    say("bytes of the database", store.database_bytes().await.unwrap());
    beside.stop();
    store.close().await.unwrap();
}

/// Two years of daily imports, in each of which some advisories are new and some read otherwise. Nobody judges meanwhile: what grows is
/// what is kept of each generation.
#[ignore = "measures; to be run by hand"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_years() {
    let (days, new, changed) = (730_u32, 60_u32, 120_u32);
    let store = open().await;
    say(
        "bytes of the database before",
        store.database_bytes().await.unwrap(),
    );
    let started = Instant::now();
    for day in 0..days {
        let fixed = format!("1.9.9-{day}");
        let date = time::macros::date!(2024 - 01 - 01) + time::Duration::days(i64::from(day));
        let fresh = (0..new).map(|number| common(100_000 + day * new + number, &fixed));
        let again =
            (0..changed).map(|number| common(100_000 + (day * 37 + number * 7) % ((day + 1) * new), &fixed));
        let documents: Vec<_> = fresh
            .chain(again)
            .map(|(name, text)| (name, text.replace("2026-02-01", &date.to_string())))
            .collect();
        import(&store, &documents).await;
    }
    say("730 imports took", started.elapsed());
    say(
        "bytes of the database after",
        store.database_bytes().await.unwrap(),
    );
    let read = Instant::now();
    let facts = crate::judge::read_facts(&store).await.unwrap();
    say(
        "advisories read, and how long that took",
        (facts.index.stats().advisories, read.elapsed()),
    );
    store.close().await.unwrap();
}
