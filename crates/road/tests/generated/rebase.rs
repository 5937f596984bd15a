//! What must hold of a rebase for any input. Shared by the fuzz targets (`fuzz/` at the root of the repository) and by
//! `tests/generated.rs`.

use findings::ListingEntry;
use oci::{Algorithm, Digest, MediaType};
use road::rebase::{
    BaseChange, BaseNamed, Contract, FileContent, Files, Image, LayerPaths, Libraries, MAX_OBSTACLES, Merged,
    Side, Stored, TopLayer, assess, merge, write,
};
use road::work::Steps;
use serde_json::{Value, json};

const PACKAGES: [&str; 4] = [
    "var/lib/dpkg/status",
    "var/lib/apt/extended_states",
    "lib/apk/db/installed",
    "lib/apk/db/scripts.tar",
];
const ACCOUNTS: [&str; 6] = [
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "etc/gshadow",
    "etc/shells",
    "var/lib/dpkg/diversions",
];

/// Lists of packages.
pub(crate) fn packages(data: &[u8]) {
    one_of(&PACKAGES, data);
}

/// Accounts, and other lists of lines.
pub(crate) fn accounts(data: &[u8]) {
    one_of(&ACCOUNTS, data);
}

/// Certificates.
pub(crate) fn certificates(data: &[u8]) {
    lists("etc/ssl/certs/ca-certificates.crt", data);
}

/// The loader's cache.
pub(crate) fn loader_cache(data: &[u8]) {
    lists("etc/ld.so.cache", data);
}

fn one_of(paths: &[&str], data: &[u8]) {
    if let Some((first, rest)) = data.split_first() {
        lists(paths[usize::from(*first) % paths.len()], rest);
    }
}

/// What stands between three files of one input.
const BETWEEN: &[u8] = b"\xfe\xff";

/// A file as the old base, the new one and the application have it. It is merged, the same each time and to no more than all
/// three together hold, or refused with reasons of bounded number. What was merged is merged with the new base once more, and
/// stays.
fn lists(path: &str, data: &[u8]) {
    let mut rest = data;
    let mut next = || {
        let end = rest.windows(2).position(|pair| pair == BETWEEN);
        let part = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + BETWEEN.len()..]);
        part
    };
    let [old, new, app] = [next(), next(), next()];
    let Some(merged) = merged(path, [old, new, app]) else {
        return;
    };
    assert_eq!(Some(&merged), self::merged(path, [old, new, app]).as_ref());
    let Some(archive) = &merged.archive else {
        return;
    };
    let content = content(archive);
    let all = old.len() + new.len() + app.len();
    assert!(content.len() <= 4 * all + 4_096, "{} of {all}", content.len());
    if let Some(again) = self::merged(path, [new, new, content]) {
        let again = again.archive.as_deref().map_or(content, self::content);
        assert_eq!(
            String::from_utf8_lossy(again),
            String::from_utf8_lossy(content),
            "{path}"
        );
    }
}

/// The first file of an archive.
fn content(archive: &[u8]) -> &[u8] {
    let size = std::str::from_utf8(&archive[124..135]).expect("octal");
    let size = usize::from_str_radix(size, 8).expect("octal");
    &archive[512..512 + size]
}

/// A layer with one file.
fn layer(path: &str, bytes: &[u8]) -> LayerPaths {
    let entry = ListingEntry {
        path: path.to_owned(),
        kind: '0',
        mode: 0o644,
        size: bytes.len() as u64,
        content: Digest::of(Algorithm::Sha256, bytes).to_string(),
    };
    LayerPaths {
        entries: vec![entry],
        ..LayerPaths::default()
    }
}

/// What surrounds three images.
struct World {
    media_type: MediaType,
    contract: Contract,
    libraries: Libraries,
    change: BaseChange,
    layers: Vec<LayerPaths>,
}

impl World {
    fn new(old: LayerPaths, new: LayerPaths, app: LayerPaths) -> Self {
        Self {
            media_type: oci::media_type::OCI_IMAGE_MANIFEST.parse().expect("it is one"),
            contract: Contract {
                base: "base".to_owned(),
                is_safe: true,
                abi: None,
            },
            libraries: Libraries::default(),
            change: BaseChange::of(&[old], &[new]).expect("few paths"),
            layers: vec![app],
        }
    }

    fn image<'a>(&'a self, [app, old, new]: [&'a Documents; 3]) -> Image<'a> {
        let stored = |documents: &'a Documents| Stored {
            manifest: &documents.manifest,
            config: &documents.config,
            media_type: &self.media_type,
        };
        let side = |documents| Side {
            stored: stored(documents),
            os: None,
            contract: &self.contract,
            libraries: &self.libraries,
        };
        Image {
            app: stored(app),
            old: side(old),
            new: side(new),
            change: &self.change,
            layers: Ok(&self.layers),
            linkages: &[],
            has_source: true,
        }
    }
}

/// Manifest and configuration.
struct Documents {
    manifest: Vec<u8>,
    config: Vec<u8>,
}

fn digest(name: &str) -> String {
    Digest::of(Algorithm::Sha256, name.as_bytes()).to_string()
}

/// An image of these layers; `config` is its configuration but for what names them.
fn documents(layers: &[&str], mut config: Value) -> Documents {
    let described = layers.iter().map(|name| {
        json!({"mediaType": oci::media_type::OCI_LAYER_GZIP, "digest": digest(&format!("{name}.gz")), "size": 10})
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": {"mediaType": oci::media_type::OCI_IMAGE_CONFIG, "digest": digest("config"), "size": 2},
        "layers": described.collect::<Vec<_>>(),
    });
    let ids: Vec<String> = layers.iter().map(|name| digest(name)).collect();
    if let Some(config) = config.as_object_mut() {
        config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": ids}));
        for (name, value) in [("os", "linux"), ("architecture", "amd64")] {
            config.insert(name.to_owned(), json!(value));
        }
    }
    Documents {
        manifest: serde_json::to_vec(&manifest).expect("a value is JSON"),
        config: serde_json::to_vec(&config).expect("a value is JSON"),
    }
}

fn merged(path: &str, [old, new, app]: [&[u8]; 3]) -> Option<Merged> {
    let world = World::new(layer(path, old), layer(path, new), layer(path, app));
    let plain = || json!({});
    let all = [
        &documents(&["old", "app"], plain()),
        &documents(&["old"], plain()),
        &documents(&["new"], plain()),
    ];
    let image = world.image(all);
    let assessment = assess(&image);
    let texts = [old, new, app].map(|bytes| FileContent {
        bytes: bytes.to_vec(),
        mode: 0o644,
        owner: (0, 0),
    });
    // As they are wanted: of the old base, the new one and the application.
    let files: Files = assessment.wanted.iter().cloned().zip(texts).collect();
    match merge(&image, &assessment, &files, 0) {
        Ok(merged) => Some(merged),
        Err(refused) => {
            assert!(!refused.obstacles.is_empty() && refused.obstacles.len() <= MAX_OBSTACLES);
            None
        }
    }
}

/// Steps of a history are one short line each, and none of them brings the build arguments that builders write in front.
fn steps(config: &[u8]) {
    for layers in 0..4 {
        let Some(steps) = Steps::of(config, layers) else {
            continue;
        };
        for step in (0..=layers).filter_map(|layer| steps.step(layer)) {
            assert!(step.len() <= 400 && !step.contains('\n'), "{step:?}");
            assert!(!step.starts_with('|') && !step.starts_with("RUN |"), "{step:?}");
        }
    }
}

/// Configurations of the application and of the new base: they are merged, the same each time, and so that nothing of the layers
/// is lost, there and on the way back; or refused with a reason.
pub(crate) fn config(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == BETWEEN);
    let (app, new) = data.split_at(end.unwrap_or(data.len()));
    let new = new.get(BETWEEN.len()..).unwrap_or_default();
    steps(app);
    let read = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    let world = World::new(
        LayerPaths::default(),
        LayerPaths::default(),
        LayerPaths::default(),
    );
    let old = documents(&["old"], json!({"config": {"Env": ["PATH=/bin"], "User": "1"}}));
    // As it stands, which hardly ever is an image, and as one.
    let raw = Documents {
        manifest: app.to_vec(),
        config: new.to_vec(),
    };
    drop(write(&world.image([&raw, &old, &old]), None, &named()));
    let (Some(app), Some(new)) = (read(app), read(new)) else {
        return;
    };
    let (app, new) = (documents(&["old", "app"], app), documents(&["new"], new));
    for top in [None, Some(&top())] {
        let image = world.image([&app, &old, &new]);
        let written = write(&image, top, &named());
        assert_eq!(written, write(&image, top, &named()));
        let Ok(written) = written else { return };
        let there = Documents {
            manifest: written.manifest,
            config: written.config,
        };
        assert_eq!(diff_ids(&there), {
            let mut all = vec![digest("new"), digest("app")];
            all.extend(top.map(|top| top.diff_id.to_string()));
            all
        });
        let back =
            write(&world.image([&there, &new, &old]), None, &named()).expect("what was written is read");
        let back = Documents {
            manifest: back.manifest,
            config: back.config,
        };
        assert_eq!(diff_ids(&back)[..2], diff_ids(&app)[..]);
    }
}

fn named() -> BaseNamed {
    BaseNamed {
        name: "base".to_owned(),
        digest: Digest::of(Algorithm::Sha256, b"base"),
    }
}

fn top() -> TopLayer {
    TopLayer {
        digest: Digest::of(Algorithm::Sha256, b"top.gz"),
        size: 3,
        diff_id: Digest::of(Algorithm::Sha256, b"top"),
    }
}

/// Of the configuration, as many as the manifest has layers.
fn diff_ids(documents: &Documents) -> Vec<String> {
    let [manifest, config] = [&documents.manifest, &documents.config]
        .map(|bytes| serde_json::from_slice::<Value>(bytes).expect("it was written"));
    let ids = config["rootfs"]["diff_ids"].as_array().expect("it has some");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(ids.len()));
    ids.iter()
        .map(|id| id.as_str().unwrap_or_default().to_owned())
        .collect()
}
