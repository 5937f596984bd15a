//! Each limit of a plan is met by an image that exceeds it by one.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use oci::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::layout::Directory;
use super::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout that grows.
struct World {
    root: TempDir,
    listed: Vec<Value>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("blobs/sha256")).unwrap();
        Self {
            root,
            listed: Vec::new(),
        }
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let path: &Path = self.root.path();
        fs::write(path.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// An image; its mark makes it another one.
    fn image(&self, mark: usize, subject: Option<&Value>) -> Value {
        let config = self.blob("application/vnd.oci.image.config.v1+json", b"{}");
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
            "annotations": { "mark": mark.to_string() },
        });
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    fn index(&self, children: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children });
        self.blob(INDEX, index.to_string().as_bytes())
    }

    fn source(&self) -> Source {
        let index = json!({ "schemaVersion": 2, "manifests": self.listed });
        fs::write(self.root.path().join("index.json"), index.to_string()).unwrap();
        Source::Layout(Box::new(Directory::open(self.root.path()).unwrap()))
    }
}

fn digest_of(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

/// Manifests of the plan for an image.
async fn planned(source: &Source, image: &Value, limits: PlanLimits) -> Result<usize> {
    let root = source.named(digest_of(image)).await?;
    let under = Reference::Digest(root.digest);
    let plan = Planner::new(source, true, limits).plan(root, under).await?;
    Ok(plan.steps.len())
}

fn limits() -> PlanLimits {
    PlanLimits::default()
}

#[tokio::test]
async fn indexes_are_nested_so_deep_and_no_deeper() {
    let world = World::new();
    let mut nested = world.image(0, None);
    let source = world.source();
    for depth in 1..=limits().depth {
        assert_eq!(planned(&source, &nested, limits()).await.unwrap(), depth);
        nested = world.index(&[nested]);
    }
    let error = planned(&source, &nested, limits()).await.unwrap_err().to_string();
    assert!(error.contains("more than 4 deep"), "{error}");
    let platform = "linux/amd64".parse().unwrap();
    let root = source.named(digest_of(&nested)).await.unwrap();
    let planner = Planner::new(&source, false, limits());
    assert!(planner.choose(root, Some(&platform)).await.is_err());
}

#[tokio::test]
async fn an_image_has_so_many_manifests_and_no_more() {
    let world = World::new();
    let children: Vec<Value> = (0..5).map(|mark| world.image(mark, None)).collect();
    let index = world.index(&children);
    let source = world.source();
    let with = |manifests| PlanLimits {
        manifests,
        ..limits()
    };
    assert_eq!(planned(&source, &index, with(6)).await.unwrap(), 6);
    let error = planned(&source, &index, with(5)).await.unwrap_err().to_string();
    assert!(error.contains("at most 5 manifests"), "{error}");
}

#[tokio::test]
async fn what_refers_to_an_image_is_counted_with_it() {
    let mut world = World::new();
    let image = world.image(0, None);
    // Each refers to the one before.
    let mut last = image.clone();
    for mark in 1..=5 {
        last = world.image(mark, Some(&last));
        world.listed.push(last.clone());
    }
    let source = world.source();
    let with = |manifests| PlanLimits {
        manifests,
        ..limits()
    };
    // The image itself is written last and was counted first.
    assert_eq!(planned(&source, &image, with(6)).await.unwrap(), 6);
    let error = planned(&source, &image, with(4)).await.unwrap_err().to_string();
    assert!(error.contains("at most 4 manifests"), "{error}");
}

#[tokio::test]
async fn manifests_have_so_many_bytes_together_and_no_more() {
    let world = World::new();
    let children: Vec<Value> = (0..3).map(|mark| world.image(mark, None)).collect();
    let index = world.index(&children);
    let source = world.source();
    let size = |descriptor: &Value| usize::try_from(descriptor["size"].as_u64().unwrap()).unwrap();
    let all = children.iter().map(size).sum::<usize>() + size(&index);
    let with = |bytes| PlanLimits { bytes, ..limits() };
    assert_eq!(planned(&source, &index, with(all)).await.unwrap(), 4);
    let error = planned(&source, &index, with(all - 1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("bytes together"), "{error}");
}

#[tokio::test]
async fn a_manifest_has_so_many_bytes_and_no_more() {
    let world = World::new();
    let source = world.source();
    let most = super::super::source::MANIFEST_BYTES;
    let large = Bytes::from(vec![b' '; most + 1]);
    let large = world.blob(MANIFEST, &large);
    let error = source.named(digest_of(&large)).await.err().unwrap();
    assert!(format!("{error:#}").contains("it is no manifest"), "{error:#}");
}
