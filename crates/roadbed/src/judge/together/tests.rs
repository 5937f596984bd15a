//! Whether images are judged together or each by itself, the same comes of it.

use std::sync::Arc;

use findings::{FoundUnit, ImageConfig, LayerReport, Unit, UnitKind};
use oci::{Algorithm, Manifest, ManifestLimits, RepoName};
use policy::Policy;
use serde_json::json;
use store::{Timestamp, Verdicts};
use time::{OffsetDateTime, macros::datetime};

use super::*;
use crate::judge::{Gathered, SubjectOf, attached::Collected, matched, subject_of, tests::Chance};

const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

/// Rules that ask about what builds differ in, and rules that do not.
const RULES: [&str; 8] = [
    "when: 'finding.severity >= \"high\"', decide: refuse",
    "when: 'finding.severity >= \"low\"', decide: refuse, after: 7, running: refuse",
    "when: 'finding.fixed', decide: warn, message: '{finding.id} in {finding.path}: {finding.fix}'",
    "when: 'size(image.unknowns) > 0', decide: warn",
    "when: 'image.labels.team == \"x\"', decide: warn, on_error: refuse",
    "when: 'image.created > timestamp(\"2026-11-20T00:00:00Z\")', decide: warn, on: [push, pull]",
    "when: 'finding.kind == \"configuration\"', decide: warn, message: '{finding.id} of {image.digest}'",
    "when: 'image.size > 12', decide: warn",
];

fn report(what: &str) -> LayerReport {
    let mut report = crate::worker::not_scannable(Digest::of(Algorithm::Sha256, what.as_bytes()), "", "");
    report.not_scannable.clear();
    report.diff_id = Some(Digest::of(Algorithm::Sha256, format!("diff {what}").as_bytes()));
    report
}

/// Layers that images share, and those of which each has one.
fn layers(chance: &mut Chance) -> Vec<Arc<LayerReport>> {
    let layer = |number: usize| {
        let mut report = report(&format!("layer {number}"));
        for unit in 0..chance.below(3) {
            let packages = (0..=chance.below(3)).map(|_| matched::tests::package(chance));
            report.units.push(FoundUnit {
                path: format!("app/{unit}.jar"),
                unit: Unit::of_packages(UnitKind::JavaArchive, packages.collect()),
                owned_by: None,
            });
        }
        if chance.below(4) == 0 {
            report.whiteouts.push("app/0.jar".to_owned());
        }
        if chance.below(6) == 0 {
            report.oddities.push(findings::Oddity {
                path: "app".to_owned(),
                what: "two ends".to_owned(),
            });
        }
        Arc::new(report)
    };
    (0..6).map(layer).collect()
}

fn config(chance: &mut Chance, layers: &[Arc<LayerReport>]) -> LayerReport {
    let mut config = report(&format!("config {}", chance.below(1_000_000)));
    let team = ["x", "y"][chance.below(2)];
    let labels = [
        ("team", team),
        ("revision", if chance.below(2) == 0 { "a" } else { "b" }),
    ];
    config.config = Some(Box::new(ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        user: ["1000", ""][chance.below(5) / 4].to_owned(),
        created: Some(format!("2026-11-{:02}T00:00:00Z", 1 + chance.below(26))),
        labels: labels[chance.below(2)..]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        diff_ids: layers
            .iter()
            .filter_map(|layer| layer.diff_id.map(|id| id.to_string()))
            .collect(),
        ..ImageConfig::default()
    }));
    config
}

fn image(chance: &mut Chance, all: &[Arc<LayerReport>]) -> Ready {
    // A base, perhaps dependencies, and a layer without packages of its own.
    let code = Arc::new(report(&format!("code {}", chance.below(1_000_000))));
    let mut layers = vec![Arc::clone(&all[chance.below(2)])];
    layers.extend((chance.below(2) == 0).then(|| Arc::clone(&all[2 + chance.below(4)])));
    layers.push(code);
    let config = config(chance, &layers);
    let layer = |report: &Arc<LayerReport>| json!({ "mediaType": oci::media_type::OCI_LAYER, "digest": report.blob, "size": 5 });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": { "mediaType": oci::media_type::OCI_IMAGE_CONFIG, "digest": config.blob, "size": 9 },
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    let bytes = manifest.to_string();
    let manifest = Manifest::parse(bytes.as_bytes(), None, &ManifestLimits::default()).unwrap();
    let mut gathered = Gathered::default();
    gathered.set_config(manifest.config.as_ref().unwrap(), Some(Arc::new(config)));
    for (descriptor, report) in manifest.layers.iter().zip(layers) {
        gathered.push_layer(descriptor, Some(report));
    }
    let mut seen = Seen::default();
    if chance.below(3) == 0 {
        seen.note(0..3, Timestamp(i64::try_from(chance.below(3)).unwrap()));
    }
    let about = SubjectOf {
        repo: ["team/app", "team/other"][chance.below(2)].parse().unwrap(),
        digest: Digest::of(Algorithm::Sha256, bytes.as_bytes()),
        manifest,
        media_type: oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap(),
        pushed_by: [None, Some("ann".to_owned())][chance.below(2)].clone(),
        in_use: chance.below(3) == 0,
        attached: Collected::default(),
        now: NOW,
        lie: None,
        seen,
    };
    Ready {
        about,
        gathered,
        now: NOW,
    }
}

fn policy(chance: &mut Chance) -> Policy {
    let rules: Vec<String> = (0..chance.below(4))
        .map(|place| format!("  - {{id: r{place}, {}}}\n", RULES[chance.below(RULES.len())]))
        .collect();
    if rules.is_empty() {
        return Policy::default_policy();
    }
    Policy::parse("test.yaml", &format!("version: 1\nrules:\n{}", rules.concat())).unwrap()
}

fn waiver(chance: &mut Chance, images: &[Ready]) -> policy::Waiver {
    let mut form = json!({
        "id": "w", "findings": ["CVE-2026-1"], "repositories": ["team/app"], "reason": "behind a wall",
        "requester": "eve", "approver": "ann", "from": "2026-11-01", "until": "2026-12-31",
    });
    if chance.below(2) == 0 {
        form["digest"] = json!(images[chance.below(images.len())].about.digest);
    }
    serde_json::from_value(form).unwrap()
}

fn compared(verdicts: &Verdicts) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        verdicts.judgements.clone(),
        verdicts.held.clone(),
        verdicts.seen.clone(),
    )
}

#[test]
fn together_and_alone_are_the_same() {
    let mut chance = Chance::of(3);
    let (mut shared, mut images_in_all) = (0, 0);
    for _ in 0..80 {
        let layers = layers(&mut chance);
        let images: Vec<Ready> = (0..24).map(|_| image(&mut chance, &layers)).collect();
        let mut facts = matched::tests::facts(&mut chance);
        facts.policy = policy(&mut chance);
        facts.waivers = (0..chance.below(2))
            .map(|_| waiver(&mut chance, &images))
            .collect();
        let mut decided = Decided::by(&facts);
        for ready in &images {
            let (together, _) = decided.verdicts(ready).unwrap();
            let (alone, _) = alone(ready, &facts).unwrap();
            // What stands for findings is what the subject says by itself.
            let subject = subject_of(&ready.about, &ready.gathered, &facts).unwrap();
            let fingerprint = subject.fingerprint().to_string();
            assert!(
                alone
                    .judgements
                    .iter()
                    .all(|(_, judgement)| judgement.evidence == fingerprint)
            );
            assert_eq!(compared(&together), compared(&alone));
        }
        shared += images.len() - decided.known.values().map(Vec::len).sum::<usize>();
        images_in_all += images.len();
    }
    // Otherwise nothing was tried.
    assert!(shared * 20 > images_in_all, "{shared} of {images_in_all}");
}

/// Builds of an application that differ in what no rule of the default policy asks about are decided once.
#[test]
fn builds_with_the_same_packages_are_decided_once() {
    let mut chance = Chance::of(4);
    let layers = layers(&mut chance);
    let facts = matched::tests::facts(&mut chance);
    let mut builds: Vec<Ready> = (0..40).map(|_| image(&mut chance, &layers)).collect();
    let repo: RepoName = "team/app".parse().unwrap();
    for (number, build) in builds.iter_mut().enumerate() {
        build.about.repo = repo.clone();
        (build.about.in_use, build.about.pushed_by) = (false, None);
        build.gathered.image.layers.truncate(1);
        build.gathered.image.layers[0] = Arc::clone(&layers[0]);
        build.gathered.diff_ids.truncate(1);
        build.gathered.unknowns.clear();
        build.about.manifest.layers.truncate(1);
        build.about.seen.note([number as u64], Timestamp(1));
        if let Some(config) = &mut build.gathered.config {
            config.user = "1000".to_owned();
            config.diff_ids = layers[0].diff_id.iter().map(ToString::to_string).collect();
        }
    }
    let mut decided = Decided::by(&facts);
    let evidence: std::collections::HashSet<String> = builds
        .iter()
        .map(|build| {
            decided.verdicts(build).unwrap().0.judgements[0]
                .1
                .evidence
                .clone()
        })
        .collect();
    // Rules about how an image is made may tell some of them apart.
    let made = decided.known.values().map(Vec::len).sum::<usize>();
    assert!(made <= 2, "{made} of {}", builds.len());
    assert_eq!(evidence.len(), builds.len());
}
