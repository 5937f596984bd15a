use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{StreamExt as _, TryStreamExt as _};
use store::{StoreConfig, StoreLimits, SystemClock};

use super::*;

const ARCHIVE: &[u8] = b"an archive, as far as anybody here knows";

fn hex(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).hex()
}

fn index_of(entries: &str) -> String {
    format!("apiVersion: v1\nentries:\n{entries}generated: \"2026-11-01T00:00:00Z\"\n")
}

/// One chart with one version.
fn index(digest: &str) -> String {
    index_of(&format!(
        "  app:\n  - name: app\n    version: 1.2.3+build.1\n    appVersion: 1.10\n    apiVersion: v2\n    type: application\n    \
         created: 2026-11-01T00:00:00Z\n    digest: {digest}\n    urls:\n    - charts/app-1.2.3.tgz\n"
    ))
}

fn read(text: &str) -> Result<ChartIndex, IndexError> {
    ChartIndex::read(text.as_bytes(), &IndexLimits::default())
}

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

#[test]
fn an_index_is_read_as_helm_reads_it() {
    let index = read(&index(&hex(ARCHIVE))).unwrap();
    let version = &index.versions(&name("app"))[0];
    assert_eq!(version.tag.as_str(), "1.2.3_build.1");
    assert_eq!(version.digest, Some(Digest::of(Algorithm::Sha256, ARCHIVE)));
    let metadata: serde_json::Value = serde_json::from_str(&version.metadata).unwrap();
    assert_eq!(metadata["appVersion"], "1.10", "a number there is a text");
    assert!(metadata.get("urls").is_none() && metadata.get("digest").is_none());
    for empty in [
        "apiVersion: v1\n",
        "apiVersion: v1\nentries:\n",
        "apiVersion: v1\nentries: {}\n",
    ] {
        assert_eq!(read(empty).unwrap().len(), 0, "{empty}");
    }
    let json = r#"{"apiVersion":"v1","entries":{"a":[{"version":"1.0.0","urls":["a.tgz"]}]}}"#;
    assert_eq!(read(json).unwrap().len(), 1);
}

#[test]
fn what_can_be_nothing_here_is_passed_over() {
    let text = index_of(
        "  Upper:\n  - {version: 1.0.0, urls: [a.tgz]}\n  a/b:\n  - {version: 1.0.0, urls: [a.tgz]}\n  \
         good:\n  - {version: 1.0.0, urls: [a.tgz]}\n  - {version: 1.0.0, urls: [second.tgz]}\n  \
         - {version: \"\", urls: [a.tgz]}\n  - {version: 2.0.0, urls: []}\n  - {version: 3.0.0}\n  \
         - {version: 4.0.0, urls: [\"ftp://registry.example/good-4.0.0.tgz\"]}\n  \
         - {version: 5.0.0, digest: tomorrow, urls: [a.tgz]}\n  - null\n  none:\n",
    );
    let index = read(&text).unwrap();
    assert_eq!(index.names, [name("good")]);
    let versions = index.versions(&name("good"));
    assert_eq!((versions.len(), &*versions[0].url), (1, "a.tgz"));
    assert_eq!(index.passed_over, 8);
}

#[test]
fn a_version_in_a_registry_is_named_by_its_tag() {
    for (urls, url) in [
        (r#"["oci://r.example/a/good"]"#, "oci://r.example/a/good:1.0.0_b"),
        (r#"["oci://r.example/a/good:7"]"#, "oci://r.example/a/good:7"),
        (
            r#"["oci://r.example:5000/good"]"#,
            "oci://r.example:5000/good:1.0.0_b",
        ),
        (r#"["oci://r.example/good", "good.tgz"]"#, "good.tgz"),
    ] {
        let text = index_of(&format!("  good:\n  - {{version: 1.0.0+b, urls: {urls}}}\n"));
        let index = read(&text).unwrap();
        assert_eq!(&*index.versions(&name("good"))[0].url, url);
    }
}

#[test]
fn an_index_that_costs_too_much_is_refused() {
    let few = IndexLimits {
        bytes: 1 << 20,
        versions: 3,
    };
    let versions = |count: usize| {
        let one = |number: usize| format!("  - {{version: {number}.0.0, urls: [a.tgz]}}\n");
        index_of(&format!("  app:\n{}", (0..count).map(one).collect::<String>()))
    };
    assert_eq!(ChartIndex::read(versions(3).as_bytes(), &few).unwrap().len(), 3);
    let error = ChartIndex::read(versions(4).as_bytes(), &few).unwrap_err();
    assert!(error.to_string().contains("proxy.index_versions"), "{error}");
    let error = ChartIndex::read(&vec![b' '; (1 << 20) + 1], &few).unwrap_err();
    assert_eq!(error, IndexError::TooLarge { limit: 1 << 20 });
    assert!(error.to_string().contains("proxy.index_bytes"), "{error}");

    // A list of nine of a list of nine of …
    let mut bomb = "apiVersion: v1\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (one, other) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let line =
            format!("{other}: &{other} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n");
        bomb.push_str(&line);
    }
    assert!(matches!(read(&bomb), Err(IndexError::Malformed { .. })));
    let deep = format!(
        "apiVersion: v1\nentries: {}{}\n",
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(matches!(read(&deep), Err(IndexError::Malformed { .. })));
    let nodes = format!("apiVersion: v1\nkeywords: [{}]\n", "x,".repeat(200_000));
    assert!(matches!(
        ChartIndex::read(nodes.as_bytes(), &few),
        Err(IndexError::Malformed { .. })
    ));
}

#[test]
fn what_is_no_index_is_told() {
    for text in [
        "<html><body>Sign in</body></html>",
        "entries: {}\n",
        "",
        "- a\n",
        "apiVersion: v1\nentries: {a: 1}\n",
    ] {
        assert!(matches!(read(text), Err(IndexError::Malformed { .. })), "{text}");
    }
    let error = ChartIndex::read(b"apiVersion: v1\n\xff", &IndexLimits::default()).unwrap_err();
    assert_eq!(error, IndexError::NotText);
}

/// A repository that answers what it is told and counts.
struct Fake {
    index: Mutex<Result<String, SourceError>>,
    archive: Mutex<Bytes>,
    provenance: Mutex<Result<Bytes, SourceError>>,
    indexes: AtomicU32,
    archives: AtomicU32,
}

impl Fake {
    fn new(index: String) -> Arc<Self> {
        Arc::new(Self {
            index: Mutex::new(Ok(index)),
            archive: Mutex::new(Bytes::from_static(ARCHIVE)),
            provenance: Mutex::new(Err(SourceError::NotFound)),
            indexes: AtomicU32::new(0),
            archives: AtomicU32::new(0),
        })
    }

    fn asked(&self) -> (u32, u32) {
        (
            self.indexes.load(Ordering::SeqCst),
            self.archives.load(Ordering::SeqCst),
        )
    }
}

impl ChartFiles for Fake {
    fn index<'a>(&'a self, known: Option<&'a str>, _: usize) -> Asked<'a, Option<ChartFile>> {
        self.indexes.fetch_add(1, Ordering::SeqCst);
        let answer = self.index.lock().unwrap().clone();
        Box::pin(async move {
            let text = answer?;
            let etag = hex(text.as_bytes());
            if known == Some(&etag) {
                return Ok(None);
            }
            Ok(Some(ChartFile {
                bytes: text.into(),
                etag: Some(etag),
            }))
        })
    }

    fn archive<'a>(&'a self, url: &'a str, _: usize) -> Asked<'a, ChartFile> {
        self.archives.fetch_add(1, Ordering::SeqCst);
        assert_eq!(url, "charts/app-1.2.3.tgz");
        let bytes = self.archive.lock().unwrap().clone();
        Box::pin(async move { Ok(ChartFile { bytes, etag: None }) })
    }

    fn provenance<'a>(&'a self, url: &'a str, _: usize) -> Asked<'a, ChartFile> {
        assert_eq!(url, "charts/app-1.2.3.tgz");
        let answer = self.provenance.lock().unwrap().clone();
        Box::pin(async move {
            let bytes = answer?;
            Ok(ChartFile { bytes, etag: None })
        })
    }

    fn budget_left(&self) -> SourceBudget {
        SourceBudget::default()
    }
}

struct World {
    files: Arc<Fake>,
    store: Store,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new(index: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            data_dir: directory.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        Self {
            files: Fake::new(index),
            store: Store::open(config, Arc::new(SystemClock)).await.unwrap(),
            _directory: directory,
        }
    }

    fn repository(&self, fresh: Duration) -> ChartRepository {
        let limits = ChartLimits {
            fresh,
            ..ChartLimits::default()
        };
        let files = Arc::clone(&self.files) as Arc<dyn ChartFiles>;
        ChartRepository::new(
            files,
            self.store.clone(),
            "https://charts.example/".into(),
            limits,
        )
    }
}

fn tagged() -> Reference {
    "1.2.3_build.1".parse().unwrap()
}

async fn all(blob: SourceBlob) -> Vec<u8> {
    let pieces: Vec<Bytes> = blob.body.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn a_version_is_an_artifact_and_always_the_same_one() {
    let world = World::new(index(&hex(ARCHIVE))).await;
    let (app, repository) = (name("app"), world.repository(Duration::from_mins(5)));
    let head = repository.head_manifest(&app, &tagged()).await.unwrap();
    assert_eq!(head.digest, None, "nobody has fetched it");
    let manifest = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
    let parsed = oci::Manifest::parse(&manifest.bytes, None, &oci::ManifestLimits::default()).unwrap();
    let archive = parsed.chart_archive().unwrap().digest;
    let blob = repository.blob(&app, &archive, 0).await.unwrap();
    assert_eq!(blob.size, Some(ARCHIVE.len() as u64));
    assert_eq!(all(blob).await, ARCHIVE);
    let rest = repository.blob(&app, &archive, 3).await.unwrap();
    assert_eq!((rest.from, all(rest).await), (3, ARCHIVE[3..].to_vec()));
    let config = parsed.config.unwrap().digest;
    let config = all(repository.blob(&app, &config, 0).await.unwrap()).await;
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        (&config["name"], &config["version"]),
        (&"app".into(), &"1.2.3+build.1".into())
    );
    assert_eq!(world.files.asked(), (1, 1), "one question each");
    let head = repository.head_manifest(&app, &tagged()).await.unwrap();
    assert_eq!(head.digest, Some(manifest.digest));
    let by_digest = Reference::Digest(manifest.digest);
    let same = repository.manifest(&app, &by_digest, 1 << 20).await.unwrap();
    assert_eq!(same.bytes, manifest.bytes);
    let again = world
        .repository(Duration::ZERO)
        .manifest(&app, &tagged(), 1 << 20)
        .await
        .unwrap();
    assert_eq!(again.bytes, manifest.bytes, "also after a start");
    for (repo, reference) in [("app", "2.0.0"), ("other", "1.2.3_build.1")] {
        let error = repository
            .manifest(&name(repo), &reference.parse().unwrap(), 1 << 20)
            .await
            .unwrap_err();
        assert_eq!(error, SourceError::NotFound);
    }
}

#[tokio::test]
async fn what_is_signed_of_a_chart_comes_with_it() {
    let world = World::new(index(&hex(ARCHIVE))).await;
    let (app, repository) = (name("app"), world.repository(Duration::from_mins(5)));
    let away = SourceError::Unreachable("no route".into());
    *world.files.provenance.lock().unwrap() = Err(away);
    let without = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
    // It was not known: it is asked for again.
    *world.files.provenance.lock().unwrap() = Ok(Bytes::from_static(b"signed"));
    let head = repository.head_manifest(&app, &tagged()).await.unwrap();
    assert_eq!(head.digest, None);
    let manifest = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
    assert_ne!(manifest.digest, without.digest);
    let parsed = oci::Manifest::parse(&manifest.bytes, None, &oci::ManifestLimits::default()).unwrap();
    let signed = parsed.chart_provenance().unwrap().digest;
    assert!(parsed.chart_archive().is_some());
    for is_forgotten in [false, true] {
        if is_forgotten {
            repository.bytes.invalidate_all();
        }
        let blob = repository.blob(&app, &signed, 0).await.unwrap();
        assert_eq!(all(blob).await, b"signed", "{is_forgotten}");
    }
    // What is too large or a page is none, and is not asked for again.
    for none in [
        SourceError::TooLarge { most: 1 },
        SourceError::Broken("a page".into()),
    ] {
        *world.files.provenance.lock().unwrap() = Err(none);
        let repository = world.repository(Duration::from_mins(5));
        let manifest = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
        assert_eq!(manifest.digest, without.digest);
        let head = repository.head_manifest(&app, &tagged()).await.unwrap();
        assert_eq!(head.digest, Some(without.digest));
    }
}

#[tokio::test]
async fn an_archive_that_is_another_one_than_the_index_says_is_none() {
    let world = World::new(index(&hex(b"what it should be"))).await;
    let repository = world.repository(Duration::from_mins(5));
    let error = repository
        .manifest(&name("app"), &tagged(), 1 << 20)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("as its index says"), "{error}");
}

#[tokio::test]
async fn an_index_that_has_not_changed_is_not_read_again_and_one_that_has_is() {
    let world = World::new(index(&hex(ARCHIVE))).await;
    let (app, repository) = (name("app"), world.repository(Duration::ZERO));
    let before = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
    let head = repository.head_manifest(&app, &tagged()).await.unwrap();
    assert_eq!(head.digest, Some(before.digest));
    assert_eq!(
        world.files.asked(),
        (2, 1),
        "asked, and answered that nothing has changed"
    );
    *world.files.archive.lock().unwrap() = Bytes::from_static(b"another one");
    *world.files.index.lock().unwrap() = Ok(index(&hex(b"another one")));
    let head = repository.head_manifest(&app, &tagged()).await.unwrap();
    assert_eq!(head.digest, None, "it is to be fetched");
    let after = repository.manifest(&app, &tagged(), 1 << 20).await.unwrap();
    assert_ne!(after.digest, before.digest);
}

#[tokio::test]
async fn an_index_outlives_a_restart_without_its_repository() {
    let world = World::new(index("")).await;
    world.repository(Duration::ZERO).index().await.unwrap();
    let gone = SourceError::Unreachable("no route".into());
    *world.files.index.lock().unwrap() = Err(gone.clone());
    let repository = world.repository(Duration::ZERO);
    assert!(repository.last().is_none());
    repository.recall().await;
    let (index, is_fresh) = repository.last().unwrap();
    assert_eq!((index.len(), is_fresh), (1, false));
    assert_eq!(repository.index().await.unwrap_err(), gone);
}

#[tokio::test]
async fn callers_get_the_charts_that_are_theirs() {
    let text = index_of(
        "  a:\n  - {version: 1.0.0, urls: [a.tgz], created: \"x\\\"y\"}\n  b:\n  - {version: 1.0.0, urls: [b.tgz]}\n",
    );
    let index = Arc::new(read(&text).unwrap());
    let answer = |names: Vec<RepoName>| {
        let index = Arc::clone(&index);
        async move {
            let pieces: Vec<Bytes> = index.answer(names).map(Result::unwrap).collect().await;
            String::from_utf8(pieces.concat()).unwrap()
        }
    };
    let both = answer(index.names.clone()).await;
    let parsed: serde_json::Value = serde_json::from_str(&both).unwrap();
    assert_eq!(parsed["entries"]["a"][0]["urls"][0], "charts/a/a-1.0.0.tgz");
    assert_eq!(parsed["entries"]["a"][0]["created"], "x\"y");
    assert_eq!(read(&both).unwrap().len(), 2, "what is answered can be read");
    let one = answer(vec![name("b")]).await;
    assert!(!one.contains("a-1.0.0") && one.contains("b-1.0.0"), "{one}");
    assert_eq!(read(&answer(Vec::new()).await).unwrap().len(), 0);
}
