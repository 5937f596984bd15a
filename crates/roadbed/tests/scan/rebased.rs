//! What a rebase must not drop: types and compression of layers, variants, attestations, words that nobody here knows, images
//! without history; beside what crane makes of the same images, where it is right and where it is known not to be.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    images::{Image, Layer},
    rebase::until,
    world::World,
};
use crate::harness::{
    content::{Algorithm, Blob},
    manifest::{
        CONFIG, DOCKER_CONFIG, DOCKER_IMAGE, DOCKER_LAYER, Document, Draft, IMAGE, INDEX, LAYER_GZIP,
    },
    server::{ADMIN, ADMIN_PASSWORD},
    unable::{self, tool},
};

const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// In which words an image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Docker,
    Oci,
    Zstd,
}

impl Format {
    /// Types of the configuration and of a layer.
    fn types(self) -> [&'static str; 2] {
        match self {
            Self::Docker => [DOCKER_CONFIG, DOCKER_LAYER],
            Self::Oci => [CONFIG, LAYER_GZIP],
            Self::Zstd => [CONFIG, LAYER_ZSTD],
        }
    }
}

/// Zstandard that says everything as it is (RFC 8878, 3.1.1).
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(small(bytes.len()));
    let blocks = bytes.chunks(100_000).count();
    for (at, block) in bytes.chunks(100_000).enumerate() {
        let is_last = usize::from(at + 1 == blocks);
        frame.extend(&small(block.len() << 3 | is_last)[..3]);
        frame.extend(block);
    }
    frame
}

/// A layer of one file.
fn layer(format: Format, path: &str, text: &str) -> Layer {
    if format != Format::Zstd {
        return Layer::of_files(&[(path, text.as_bytes().to_vec())]);
    }
    let mut tar = tar::Builder::new(Vec::new());
    super::images::append(&mut tar, path, text.as_bytes());
    let tar = tar.into_inner().expect("memory can be written");
    let diff_id = Algorithm::Sha256.digest(&tar);
    Layer::packed(zstd(&tar), diff_id)
}

/// An image; `more` goes into its configuration. A step of history for each layer and an empty one behind, unless it has none.
fn image(format: Format, layers: &[Layer], has_history: bool, more: &Value) -> Image {
    let [config_type, layer_type] = format.types();
    let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let mut config = json!({
        "os": "linux", "architecture": "amd64", "created": "2026-01-01T00:00:00Z",
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    if has_history {
        let steps = ids.iter().map(|id| json!({ "created_by": format!("COPY {id}") }));
        let steps = steps.flat_map(|step| [step, json!({ "created_by": "ENV", "empty_layer": true })]);
        config["history"] = steps.collect();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    let config = Blob::new(Algorithm::Sha256, config.to_string());
    let described = layers.iter().map(|layer| layer.blob.descriptor(layer_type));
    let mut draft = Draft::image(config.descriptor(config_type), described.collect());
    if format == Format::Docker {
        draft = draft.media_type(DOCKER_IMAGE);
    } else {
        draft = draft.annotation("org.example.team", "shop");
    }
    let mut blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob.clone()).collect();
    blobs.push(config);
    Image {
        blobs,
        document: draft.finish(),
    }
}

/// Layers of the old base, of the new one, and of the application.
fn layers(format: Format) -> [Vec<Layer>; 3] {
    layers_for(format, "amd64")
}

/// The same for a kind of machine.
fn layers_for(format: Format, machine: &str) -> [Vec<Layer>; 3] {
    let os = "ID=debian\nVERSION_ID=\"12\"\n";
    let layer = |path, text: &str| layer(format, path, &format!("{text} {machine}"));
    let release = self::layer(format, "etc/os-release", os);
    [
        vec![release.clone(), layer("usr/lib/libfoo", "1")],
        vec![
            release,
            layer("usr/lib/libfoo", "2"),
            layer("usr/lib/libbar", "1"),
        ],
        vec![layer("app/one", "1"), layer("app/two", "2")],
    ]
}

/// A line of releases in the repository `base/NAME`, declared.
fn declare(world: &World, name: &str) -> Result<()> {
    world
        .roadbed(&[
            "base",
            "set",
            name,
            "--owner",
            "platform",
            "--repository",
            &format!("base/{name}"),
            "--supported-until",
            "2099-01-01",
            "--rebase-safe",
        ])
        .map(drop)
}

/// Waits until an image is known to stand on a base that has a newer release, and puts it on that.
async fn follow(world: &World, name: &str) -> Result<Value> {
    let reference = format!("team/{name}:v1");
    // All images of an index, once all of the release's are known.
    let is_ready = |said: &Value| {
        let mut images = said["images"].as_array().into_iter().flatten();
        said["class"] == "A" && images.all(|image| image["to"]["version"] == "2")
    };
    let plan = until(world, &["rebase", &reference], is_ready).await?;
    let again = until(world, &["rebase", &reference], is_ready).await?;
    ensure!(plan == again, "{plan:#}\n{again:#}");
    ensure!(plan["class"] == "A", "{plan:#}");
    let made = world.roadbed(&["rebase", &reference, "--apply", "--output", "json"])?;
    let made: Value = serde_json::from_str(&made)?;
    ensure!(
        made["moved"] == "v1-p1" && made["new"] == plan["new_digest"],
        "{made:#}"
    );
    Ok(plan)
}

/// Pushes two releases of a base and an image on the older one, and puts that on the newer one.
async fn rebase(world: &World, name: &str, [old, new, app]: [&Image; 3]) -> Result<()> {
    let (base, team) = (format!("base/{name}"), format!("team/{name}"));
    let admin = &world.admin;
    admin.push_image(&base, "1", &old.blobs, &old.document).await?;
    declare(world, name)?;
    admin.push_image(&team, "v1", &app.blobs, &app.document).await?;
    let on_base = |said: &Value| said["images"][0]["lineage"]["stack"][0]["base"] == name;
    until(world, &["lineage", &format!("{team}:v1")], on_base).await?;
    admin.push_image(&base, "2", &new.blobs, &new.document).await?;
    follow(world, name).await.map(drop)
}

/// The manifest of an image, what it is served as, and its configuration.
async fn documents(world: &World, repository: &str, reference: &str) -> Result<(Value, String, Value)> {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let answer = world.admin.get(path).send().await?.expect(&[200])?;
    let media_type = answer.require("content-type")?.to_owned();
    let manifest = answer.json()?;
    let config = match manifest["config"]["digest"].as_str() {
        Some(digest) => {
            let path = crate::harness::push::blob_path(repository, digest);
            world.admin.get(path).send().await?.expect(&[200])?.json()?
        }
        None => Value::Null,
    };
    Ok((manifest, media_type, config))
}

fn digests(manifest: &Value) -> Vec<&str> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| layer["digest"].as_str()).collect()
}

fn expected(layers: [&[Layer]; 2]) -> Vec<&str> {
    let all = layers.into_iter().flatten();
    all.map(|layer| layer.blob.digest.as_str()).collect()
}

/// crane with a login of its own.
struct Crane {
    program: PathBuf,
    home: tempfile::TempDir,
    registry: String,
}

impl Crane {
    fn new(world: &World) -> Result<Option<Self>> {
        let program = match tool("crane") {
            Ok(program) => program,
            Err(unable) => {
                unable::report(&unable);
                return Ok(None);
            }
        };
        let crane = Self {
            program,
            home: tempfile::tempdir()?,
            registry: world.server.address().to_string(),
        };
        crane.run(&[
            "auth",
            "login",
            &crane.registry,
            "-u",
            ADMIN,
            "-p",
            ADMIN_PASSWORD,
        ])?;
        Ok(Some(crane))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("DOCKER_CONFIG", self.home.path());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{arguments:?} failed: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Puts the image of a name from the older release of its base on the newer one, under the tag `crane`.
    fn rebase(&self, name: &str) -> Result<String> {
        let base = |tag: &str| format!("{}/base/{name}:{tag}", self.registry);
        let team = |tag: &str| format!("{}/team/{name}:{tag}", self.registry);
        self.run(&[
            "rebase",
            &team("v1"),
            "--old_base",
            &base("1"),
            "--new_base",
            &base("2"),
            "--tag",
            &team("crane"),
        ])
    }
}

fn settings(variable: &str) -> Value {
    json!({ "config": { "Env": ["PATH=/bin", variable], "Cmd": ["/app/one"], "User": "1000" } })
}

#[tokio::test]
async fn where_crane_is_right_the_same_comes_of_it() -> Result<()> {
    let world = World::start(&[]).await?;
    let Some(crane) = Crane::new(&world)? else {
        return Ok(());
    };
    let [old, new, app] = layers(Format::Docker);
    let all = [old.clone(), app.clone()].concat();
    let make = |layers: &[Layer]| image(Format::Docker, layers, true, &settings("V=1"));
    rebase(&world, "plain", [&make(&old), &make(&new), &make(&all)]).await?;
    crane.rebase("plain")?;
    let (ours, ours_type, our_config) = documents(&world, "team/plain", "v1-p1").await?;
    let (theirs, their_type, their_config) = documents(&world, "team/plain", "crane").await?;
    ensure!(digests(&ours) == expected([&new, &app]), "{ours:#}");
    ensure!(
        ours_type == their_type && ours["layers"] == theirs["layers"],
        "{ours:#}\n{theirs:#}"
    );
    for part in ["architecture", "os", "rootfs", "config"] {
        let (ours, theirs) = (&our_config[part], &their_config[part]);
        ensure!(ours == theirs, "{part}: {ours:#}\n{theirs:#}");
    }
    // crane writes a moment into steps that have none.
    let steps = |config: &Value| -> Vec<(Value, bool)> {
        let steps = config["history"].as_array().into_iter().flatten();
        steps
            .map(|step| (step["created_by"].clone(), step["empty_layer"] == true))
            .collect()
    };
    ensure!(
        steps(&our_config) == steps(&their_config),
        "{our_config:#}\n{their_config:#}"
    );
    Ok(())
}

#[tokio::test]
async fn where_crane_drops_something_nothing_is_dropped() -> Result<()> {
    let world = World::start(&[]).await?;
    let Some(crane) = Crane::new(&world)? else {
        return Ok(());
    };
    // No history: its count of steps is its count of layers, and the first one of the application goes.
    let [old, new, app] = layers(Format::Docker);
    let all = [old.clone(), app.clone()].concat();
    let make = |layers: &[Layer], variable| image(Format::Docker, layers, false, &settings(variable));
    rebase(
        &world,
        "silent",
        [&make(&old, "V=1"), &make(&new, "V=2"), &make(&all, "V=1")],
    )
    .await?;
    let (ours, _, config) = documents(&world, "team/silent", "v1-p1").await?;
    ensure!(digests(&ours) == expected([&new, &app]), "{ours:#}");
    ensure!(config.get("history").is_none(), "none is made up");
    // What the new base changes of the environment comes along.
    ensure!(
        config["config"]["Env"] == json!(["PATH=/bin", "V=2"]),
        "{config:#}"
    );
    crane.rebase("silent")?;
    let (theirs, _, config) = documents(&world, "team/silent", "crane").await?;
    ensure!(
        digests(&theirs) != digests(&ours),
        "crane has learned to count: say so"
    );
    ensure!(
        config["config"]["Env"] == json!(["PATH=/bin", "V=1"]),
        "{config:#}"
    );
    Ok(())
}

#[tokio::test]
async fn where_crane_forgets_types_and_words_of_others_they_are_kept() -> Result<()> {
    let world = World::start(&[]).await?;
    let Some(crane) = Crane::new(&world)? else {
        return Ok(());
    };
    let [old, new, app] = layers(Format::Oci);
    let all = [old.clone(), app.clone()].concat();
    let words = json!({ "architecture": "arm", "variant": "v7", "os.features": ["x"], "org.example": { "kept": true } });
    let make = |layers: &[Layer]| image(Format::Oci, layers, true, &words);
    rebase(&world, "wordy", [&make(&old), &make(&new), &make(&all)]).await?;
    let (ours, media_type, config) = documents(&world, "team/wordy", "v1-p1").await?;
    ensure!(media_type == IMAGE && ours["mediaType"] == IMAGE, "{media_type}");
    ensure!(ours["annotations"]["org.example.team"] == "shop", "{ours:#}");
    for (name, value) in words.as_object().into_iter().flatten() {
        ensure!(&config[name] == value, "{name}: {config:#}");
    }
    crane.rebase("wordy")?;
    let (theirs, media_type, config) = documents(&world, "team/wordy", "crane").await?;
    ensure!(media_type == DOCKER_IMAGE, "{media_type}");
    ensure!(
        theirs["annotations"].get("org.example.team").is_none(),
        "{theirs:#}"
    );
    ensure!(config.get("org.example").is_none(), "{config:#}");
    Ok(())
}

/// An index of images for two platforms, each with its statement beside it.
fn index(images: &[(Image, Value)]) -> (Vec<Document>, Document) {
    let (mut children, mut entries) = (Vec::new(), Vec::new());
    for (image, platform) in images {
        let mut entry = image.document.descriptor();
        entry["platform"] = platform.clone();
        entry["annotations"] = json!({ "org.example.child": platform["architecture"] });
        entries.push(entry);
        children.push(image.document.clone());
        let empty = Blob::new(Algorithm::Sha256, "{}");
        let attestation = Draft::image(
            empty.descriptor(CONFIG),
            vec![empty.descriptor("application/vnd.in-toto+json")],
        )
        .annotation("about", &image.document.digest)
        .finish();
        let mut entry = attestation.descriptor();
        entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.document.digest,
        });
        entries.push(entry);
        children.push(attestation);
    }
    let index = Draft::index(entries)
        .annotation("org.example.team", "shop")
        .finish();
    (children, index)
}

async fn push_index(
    world: &World,
    repository: &str,
    tag: &str,
    images: &[(Image, Value)],
) -> Result<Document> {
    let (children, index) = index(images);
    let admin = &world.admin;
    let empty = Blob::new(Algorithm::Sha256, "{}");
    for blob in images.iter().flat_map(|(image, _)| &image.blobs).chain([&empty]) {
        admin.push_blob(repository, blob).await?;
    }
    for child in &children {
        admin
            .push_manifest(repository, &child.digest, child)
            .await?
            .expect(&[201])?;
    }
    admin
        .push_manifest(repository, tag, &index)
        .await?
        .expect(&[201])?;
    Ok(index)
}

/// An image of an index on the new base, with all that its platform says.
async fn check_child(
    world: &World,
    digest: &str,
    [_, new, app]: &[Vec<Layer>; 3],
    platform: &Value,
) -> Result<()> {
    let (manifest, media_type, config) = documents(world, "team/many", digest).await?;
    let is_whole = media_type == IMAGE && digests(&manifest) == expected([new, app]);
    ensure!(is_whole, "{manifest:#}");
    let mut layers = manifest["layers"].as_array().into_iter().flatten();
    ensure!(
        layers.all(|layer| layer["mediaType"] == LAYER_ZSTD),
        "{manifest:#}"
    );
    for (name, value) in platform.as_object().into_iter().flatten() {
        ensure!(&config[name] == value, "{name}: {config:#}");
    }
    ensure!(config.get("history").is_none(), "none is made up");
    Ok(())
}

#[tokio::test]
async fn an_index_with_statements_variants_and_zstd_loses_nothing() -> Result<()> {
    let world = World::start(&[]).await?;
    let platforms = [
        json!({ "os": "linux", "architecture": "amd64" }),
        json!({ "os": "linux", "architecture": "arm", "variant": "v7", "os.features": ["x"] }),
    ];
    let of = ["amd64", "arm"].map(|machine| layers_for(Format::Zstd, machine));
    let images = |pick: &dyn Fn(&[Vec<Layer>; 3]) -> Vec<Layer>| {
        let both = of.iter().zip(&platforms);
        let both = both.map(|(layers, platform)| {
            (
                image(Format::Zstd, &pick(layers), false, platform),
                platform.clone(),
            )
        });
        both.collect::<Vec<_>>()
    };
    push_index(&world, "base/many", "1", &images(&|[old, _, _]| old.clone())).await?;
    declare(&world, "many")?;
    let before = push_index(
        &world,
        "team/many",
        "v1",
        &images(&|[old, _, app]| [old.clone(), app.clone()].concat()),
    )
    .await?;
    let on_base = |said: &Value| {
        let images = said["images"].as_array().into_iter().flatten();
        images
            .filter(|image| image["lineage"]["stack"][0]["base"] == "many")
            .count()
            == 2
    };
    until(&world, &["lineage", "team/many:v1"], on_base).await?;
    push_index(&world, "base/many", "2", &images(&|[_, new, _]| new.clone())).await?;
    follow(&world, "many").await?;

    let (after, media_type, _) = documents(&world, "team/many", "v1-p1").await?;
    ensure!(media_type == INDEX, "{media_type}");
    let mut wanted: Value = serde_json::from_slice(&before.bytes)?;
    for at in [0, 2] {
        let child = after["manifests"][at]["digest"]
            .as_str()
            .context("a child has a digest")?;
        ensure!(wanted["manifests"][at]["digest"] != child, "it follows");
        check_child(&world, child, &of[at / 2], &platforms[at / 2]).await?;
        wanted["manifests"][at]["digest"] = json!(child);
        wanted["manifests"][at]["size"] = after["manifests"][at]["size"].clone();
    }
    ensure!(after == wanted, "all else is as it was: {after:#}\n{wanted:#}");
    for at in [1, 3] {
        let statement = after["manifests"][at]["digest"]
            .as_str()
            .context("a child has a digest")?;
        documents(&world, "team/many", statement).await?;
    }
    Ok(())
}
