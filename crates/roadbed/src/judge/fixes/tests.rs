//! A fix is known since the generation in which a source first named one for the version that is there.

use std::{sync::Arc, time::Duration};

use findings::{
    PackageKind,
    advisory::{Knowledge, find_vulnerabilities},
};
use serde_json::{Value, json};
use store::{Actor, Importer, ManualClock, StoreConfig, StoreLimits, Timestamp};

use super::*;

const DAY: Duration = Duration::from_hours(24);

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
}

fn advisory(summary: &str, events: &Value) -> Value {
    json!({
        "schema_version": "1.6.0", "id": "GHSA-jfh8-c2jp-5v3q", "aliases": ["CVE-2021-44228"],
        "published": "2021-12-10T00:40:56Z", "modified": "2022-03-25T20:56:18Z", "summary": summary,
        "affected": [{
            "package": { "ecosystem": "npm", "name": "left" },
            "ranges": [{ "type": "SEMVER", "events": events }],
        }],
    })
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::starting_at(Timestamp(1_795_336_380_000_000)));
        let config = StoreConfig {
            data_dir: dir.path().to_owned(),
            touches_blobs: false,
            limits: StoreLimits::default(),
        };
        let store = Store::open(config, Arc::clone(&clock) as Arc<dyn store::Clock>);
        Self {
            store: store.await.unwrap(),
            clock,
            _dir: dir,
        }
    }

    /// Imports an advisory, and a day goes by.
    async fn import(&self, advisory: &Value) -> Timestamp {
        let at = self.store.now();
        let mut importer = Importer::begin(&self.store).await.unwrap();
        let name = format!("osv/{}.json", advisory["id"].as_str().unwrap());
        importer
            .add(&name, advisory.to_string().as_bytes())
            .await
            .unwrap();
        importer.finish("test", &Actor::operator("test")).await.unwrap();
        self.clock.advance(DAY);
        at
    }

    async fn known_at(&self, version: &str) -> Option<OffsetDateTime> {
        let facts = super::super::read_facts(&self.store).await.unwrap();
        let package = Package::new(PackageKind::Npm, "left", version);
        let known = Knowledge {
            index: &facts.index,
            kev: None,
            epss: None,
        };
        let report = find_vulnerabilities(std::slice::from_ref(&package), None, &known);
        facts.fixes.known_at(&report.findings[0], &package, None)
    }
}

fn moment_of(at: Timestamp) -> Option<OffsetDateTime> {
    moment(at).ok()
}

#[tokio::test]
async fn the_first_generation_that_names_a_fix_counts() {
    let world = World::new().await;
    let open = json!([{ "introduced": "1.0.0" }]);
    let closed = json!([{ "introduced": "1.0.0" }, { "fixed": "1.5.0" }]);
    let other = json!({
        "schema_version": "1.6.0", "id": "GHSA-0000-0000-0001", "modified": "2022-03-25T20:56:18Z",
        "affected": [{ "package": { "ecosystem": "npm", "name": "right" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }] }],
    });
    world.import(&other).await;
    world.import(&advisory("a hole", &open)).await;
    assert_eq!(world.known_at("1.2.0").await, None, "nobody knows a fix");
    let fixed = world.import(&advisory("a hole", &closed)).await;
    world.import(&advisory("a hole, in other words", &closed)).await;
    let reopened = json!([
        { "introduced": "1.0.0" }, { "fixed": "1.5.0" }, { "introduced": "2.0.0" }, { "fixed": "2.1.0" },
    ]);
    let second = world.import(&advisory("a hole", &reopened)).await;
    assert_eq!(world.known_at("1.2.0").await, moment_of(fixed));
    assert_eq!(
        world.known_at("2.0.5").await,
        moment_of(second),
        "of the line that runs"
    );
}

#[tokio::test]
async fn what_was_never_changed_is_known_since_it_came() {
    let world = World::new().await;
    let closed = json!([{ "introduced": "1.0.0" }, { "fixed": "1.5.0" }]);
    let first = world.import(&advisory("a hole", &closed)).await;
    assert_eq!(world.known_at("1.2.0").await, moment_of(first));
    let mut later = advisory("another", &closed);
    later["id"] = json!("GHSA-0000-0000-0002");
    later["aliases"] = json!([]);
    later["affected"][0]["package"]["name"] = json!("right");
    let second = world.import(&later).await;
    let facts = super::super::read_facts(&world.store).await.unwrap();
    let package = Package::new(PackageKind::Npm, "right", "1.2.0");
    let named = facts.fixes.named_at("GHSA-0000-0000-0002", &package, None);
    assert_eq!(named, moment_of(second));
}

/// A source that changes what it says of everything, again and again.
#[tokio::test]
async fn what_is_remembered_has_a_bound() {
    let world = World::new().await;
    let open = json!([{ "introduced": "1.0.0" }]);
    let closed = json!([{ "introduced": "1.0.0" }, { "fixed": "1.5.0" }]);
    let first = world.import(&advisory("a hole", &open)).await;
    let fixed = world.import(&advisory("a hole", &closed)).await;
    let package = Package::new(PackageKind::Npm, "left", "1.2.0");
    let id = "GHSA-jfh8-c2jp-5v3q";
    let all = FixLimits::default();
    for (limits, known_at) in [
        (all, fixed),
        (FixLimits { states: 0, ..all }, first),
        (FixLimits { bytes: 0, ..all }, first),
        (FixLimits { changes: 1, ..all }, first),
    ] {
        let read = Fixes::read_within(&world.store, limits, None).await.unwrap();
        assert_eq!(
            read.named_at(id, &package, None),
            moment_of(known_at),
            "{limits:?}"
        );
        assert!(read.held.0 <= limits.states.max(2), "{limits:?}");
        assert_eq!(
            read.left_out,
            usize::from(limits.states == 0 || limits.bytes == 0)
        );
    }
}

/// Whoever gives an advisory a new id does not make its fix new.
#[tokio::test]
async fn a_fix_is_as_old_under_another_id() {
    let world = World::new().await;
    let closed = json!([{ "introduced": "1.0.0" }, { "fixed": "1.5.0" }]);
    let old = advisory("a hole", &closed);
    let first = world.import(&old).await;
    let (mut taken_back, mut new) = (old.clone(), old);
    taken_back["withdrawn"] = json!("2022-04-01T00:00:00Z");
    taken_back["modified"] = json!("2022-04-01T00:00:00Z");
    new["id"] = json!("GHSA-0000-0000-0003");

    // Nothing of it counts yet.
    let mut importer = Importer::begin(&world.store).await.unwrap();
    for advisory in [&taken_back, &new] {
        let name = format!("osv/{}.json", advisory["id"].as_str().unwrap());
        let bytes = advisory.to_string();
        importer.add(&name, bytes.as_bytes()).await.unwrap();
    }
    let generation = importer.staged().await.unwrap().generation;
    let changed = ["GHSA-jfh8-c2jp-5v3q", "GHSA-0000-0000-0003"]
        .map(str::to_owned)
        .into();
    let before = Fixes::read(&world.store).await.unwrap();
    let updated = before
        .updated(&world.store, &changed, Some(generation))
        .await
        .unwrap();
    let whole = Fixes::staged(&world.store, generation).await.unwrap();
    let index = AdvisoryIndex::build([Advisory::read(new.to_string().as_bytes(), "test").unwrap()]).unwrap();
    let package = Package::new(PackageKind::Npm, "left", "1.2.0");
    let known = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let report = find_vulnerabilities(std::slice::from_ref(&package), None, &known);
    for fixes in [updated, whole] {
        let at = fixes.known_at(&report.findings[0], &package, None);
        assert_eq!(at, moment_of(first));
        let own = fixes.named_at("GHSA-0000-0000-0003", &package, None);
        assert_eq!(own, moment_of(world.store.now()), "it came with what is staged");
    }
    importer.finish("test", &Actor::operator("test")).await.unwrap();
    assert_eq!(world.known_at("1.2.0").await, moment_of(first));
}

/// What is asked for before it is imported counts as what it would be once it is.
#[tokio::test]
async fn what_is_foreseen_is_as_old_as_it_would_be() {
    let world = World::new().await;
    let open = json!([{ "introduced": "1.0.0" }]);
    let closed = json!([{ "introduced": "1.0.0" }, { "fixed": "1.5.0" }]);
    let read = |advisory: &Value| Advisory::read(advisory.to_string().as_bytes(), "test").unwrap();
    let package = Package::new(PackageKind::Npm, "left", "1.2.0");
    let id = "GHSA-jfh8-c2jp-5v3q";
    let (before, mended) = (advisory("a hole", &open), advisory("a hole", &closed));
    let mut new = mended.clone();
    new["id"] = json!("GHSA-0000-0000-0004");
    new["aliases"] = json!([]);
    let mut taken_back = mended.clone();
    taken_back["withdrawn"] = json!("2022-04-01T00:00:00Z");
    world.import(&before).await;
    let fixes = Fixes::read(&world.store).await.unwrap();
    let now = moment(world.store.now()).unwrap();
    let named = |changed: &[Changed], of: &str, limits: FixLimits| {
        let foreseen = fixes.foreseen_within(changed, now, limits).unwrap();
        foreseen.named_at(of, &package, None)
    };
    let changed = |before: Option<&Value>, after: &Value| Changed {
        before: before.map(read),
        after: read(after),
    };
    let all = FixLimits::default();
    assert_eq!(named(&[changed(Some(&before), &mended)], id, all), Some(now));
    let unknown = [changed(None, &new)];
    assert_eq!(named(&unknown, "GHSA-0000-0000-0004", all), Some(now));
    // Where there is no room, grace ends early.
    let full = FixLimits { states: 0, ..all };
    let first = fixes.moments.values().next().copied();
    assert_eq!(named(&[changed(Some(&before), &mended)], id, full), first);

    // Under a new id it is as old as under the one that is taken back with it.
    let at = world.import(&mended).await;
    let fixes = Fixes::read(&world.store).await.unwrap();
    new["aliases"] = json!(["CVE-2021-44228"]);
    let both = [changed(Some(&mended), &taken_back), changed(None, &new)];
    let foreseen = fixes.foreseen(&both, moment(world.store.now()).unwrap()).unwrap();
    let index = AdvisoryIndex::build([read(&new)]).unwrap();
    let known = Knowledge {
        index: &index,
        kev: None,
        epss: None,
    };
    let report = find_vulnerabilities(std::slice::from_ref(&package), None, &known);
    assert_eq!(
        foreseen.known_at(&report.findings[0], &package, None),
        moment_of(at)
    );
}

/// The rpm distributions name what they fix under `related`, and there may be much of it.
#[tokio::test]
async fn a_fix_is_as_old_under_another_id_where_it_is_only_related() {
    let world = World::new().await;
    let mut related: Vec<String> = (0..200).map(|number| format!("CVE-2021-1{number:03}")).collect();
    related.push("CVE-2021-44228".to_owned());
    let rpm = |id: &str, fixed: &str| {
        json!({
            "schema_version": "1.6.0", "id": id, "related": related,
            "published": "2021-12-10T00:40:56Z", "modified": "2022-03-25T20:56:18Z",
            "affected": [{
                "package": { "ecosystem": "AlmaLinux:9", "name": "left" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
            }],
        })
    };
    let old = rpm("ALSA-2021:0001", "1.5.0-1.el9");
    let first = world.import(&old).await;
    let mut taken_back = old.clone();
    taken_back["withdrawn"] = json!("2022-04-01T00:00:00Z");
    taken_back["modified"] = json!("2022-04-01T00:00:00Z");
    world.import(&taken_back).await;
    world.import(&rpm("ALSA-2021:0002", "1.5.0-1.el9")).await;
    let facts = super::super::read_facts(&world.store).await.unwrap();
    let os = OsRelease {
        id: "almalinux".to_owned(),
        version: "9.5".to_owned(),
        ..OsRelease::default()
    };
    let package = Package::new(PackageKind::Rpm, "left", "1.2.0-1.el9");
    let known = Knowledge {
        index: &facts.index,
        kev: None,
        epss: None,
    };
    let report = find_vulnerabilities(std::slice::from_ref(&package), Some(&os), &known);
    let is_it = |finding: &&VulnerabilityFinding| finding.id.as_ref() == "CVE-2021-44228";
    let finding = report.findings.iter().find(is_it).unwrap();
    assert_eq!(
        facts.fixes.known_at(finding, &package, Some(&os)),
        moment_of(first)
    );
}
