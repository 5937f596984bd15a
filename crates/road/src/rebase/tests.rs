use std::collections::BTreeMap;

use findings::OsRelease;
use oci::media_type::{
    DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_IMAGE_MANIFEST, OCI_LAYER_GZIP, OCI_LAYER_ZSTD,
};
use oci::{Algorithm, Digest, MediaType};
use proptest::prelude::{Strategy as _, prop, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::tree::tests::layer;
use super::*;

mod limits;

/// What stands against it, a line each.
pub(super) fn listed(obstacles: &[Obstacle]) -> String {
    let mut lines: Vec<String> = obstacles.iter().map(|obstacle| format!("! {obstacle}")).collect();
    lines.push(String::new());
    lines.join("\n")
}

/// An image that a test makes: layers by name, so that the same name is the same layer.
#[derive(Debug, Clone)]
struct Made {
    manifest: Vec<u8>,
    media_type: MediaType,
    config: Vec<u8>,
}

fn digest(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
}

fn made(layers: &[&str], layer_type: &str, manifest_type: &str, settings: &Value, history: bool) -> Made {
    let descriptors: Vec<Value> = layers
        .iter()
        .map(|name| json!({"mediaType": layer_type, "digest": digest(&format!("{name}.gz")), "size": 100, "annotations": {"of": name}}))
        .collect();
    let diff_ids: Vec<String> = layers.iter().map(|name| digest(name)).collect();
    let mut config = json!({
        "architecture": "arm", "variant": "v7", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": settings,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "moby.buildkit.buildinfo.v1": "kept", "os.features": ["x"],
    });
    if history {
        let steps = layers
            .iter()
            .map(|name| json!({"created_by": format!("COPY {name}")}));
        let steps: Vec<Value> = steps
            .flat_map(|step| [step, json!({"created_by": "ENV", "empty_layer": true})])
            .collect();
        config["history"] = json!(steps);
    }
    let config = serde_json::to_vec(&config).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest("config"), "size": 1, "data": "e30="},
        "layers": descriptors, "annotations": {"team": "shop"},
    });
    Made {
        manifest: serde_json::to_vec(&manifest).unwrap(),
        media_type: manifest_type.parse().unwrap(),
        config,
    }
}

fn oci(layers: &[&str], settings: &Value) -> Made {
    made(layers, OCI_LAYER_GZIP, OCI_IMAGE_MANIFEST, settings, true)
}

impl Made {
    fn stored(&self) -> Stored<'_> {
        Stored {
            manifest: &self.manifest,
            media_type: &self.media_type,
            config: &self.config,
        }
    }

    fn after(&self, written: &Written) -> Self {
        Self {
            manifest: written.manifest.clone(),
            media_type: self.media_type.clone(),
            config: written.config.clone(),
        }
    }

    fn json(&self) -> [Value; 2] {
        [&self.manifest, &self.config].map(|bytes| serde_json::from_slice(bytes).unwrap())
    }

    fn layers(&self) -> Vec<String> {
        let [manifest, config] = self.json();
        let names = manifest["layers"].as_array().unwrap().iter();
        let names: Vec<String> = names
            .map(|layer| layer["annotations"]["of"].as_str().unwrap_or("top").to_owned())
            .collect();
        assert_eq!(
            config["rootfs"]["diff_ids"].as_array().unwrap().len(),
            names.len()
        );
        names
    }
}

/// Everything that surrounds three images in a test.
struct World {
    contract: Contract,
    libraries: Libraries,
    os: OsRelease,
    change: BaseChange,
    layers: Vec<LayerPaths>,
}

impl World {
    fn new(old: &[&str], new: &[&str], app: &[&str]) -> Self {
        Self {
            contract: Contract {
                base: "debian12".to_owned(),
                is_safe: true,
                abi: Some("glibc-2.36".to_owned()),
            },
            libraries: Libraries::default(),
            os: OsRelease {
                id: "debian".to_owned(),
                version: "12".to_owned(),
                ..OsRelease::default()
            },
            change: BaseChange::of(&[layer(old)], &[layer(new)]).unwrap(),
            layers: vec![layer(app)],
        }
    }

    fn image<'a>(&'a self, app: &'a Made, old: &'a Made, new: &'a Made) -> Image<'a> {
        let side = |made: &'a Made| Side {
            stored: made.stored(),
            os: Some(&self.os),
            contract: &self.contract,
            libraries: &self.libraries,
        };
        Image {
            app: app.stored(),
            old: side(old),
            new: side(new),
            change: &self.change,
            layers: Ok(&self.layers),
            linkages: &[],
            has_source: true,
        }
    }
}

fn named() -> BaseNamed {
    BaseNamed {
        name: "base/debian12:stable".to_owned(),
        digest: Digest::of(Algorithm::Sha256, b"base"),
    }
}

#[test]
fn a_splice_keeps_all_that_is_the_applications() {
    let (old, new) = (
        oci(&["b1", "b2"], &json!({"Env": ["PATH=/bin"]})),
        oci(&["n1"], &json!({"Env": ["PATH=/bin", "V=2"]})),
    );
    let app = oci(
        &["b1", "b2", "app"],
        &json!({"Env": ["PATH=/bin"], "Cmd": ["run"]}),
    );
    let world = World::new(&["etc/x=1"], &["etc/x=2"], &["app/main"]);
    let image = world.image(&app, &old, &new);
    let assessment = assess(&image);
    assert_eq!(
        (assessment.class, assessment.obstacles.len()),
        (SafetyClass::A, 0)
    );
    let written = write(&image, None, &named()).unwrap();
    assert_eq!(written, write(&image, None, &named()).unwrap());
    let after = app.after(&written);
    assert_eq!(after.layers(), ["n1", "app"]);
    let [manifest, config] = after.json();
    assert_eq!(manifest["annotations"]["team"], "shop");
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.base.name"],
        "base/debian12:stable"
    );
    assert_eq!(manifest["config"]["digest"], written.config_digest.to_string());
    assert_eq!(manifest["config"].get("data"), None);
    assert_eq!(config["variant"], "v7");
    assert_eq!(config["os.features"], json!(["x"]));
    assert_eq!(config["moby.buildkit.buildinfo.v1"], "kept");
    assert_eq!(
        config["config"],
        json!({"Env": ["PATH=/bin", "V=2"], "Cmd": ["run"]})
    );
    let made_by: Vec<_> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["created_by"].as_str().unwrap())
        .collect();
    assert_eq!(made_by, ["COPY n1", "ENV", "COPY app", "ENV"]);
}

#[test]
fn without_history_no_layer_is_lost_and_none_is_made_up() {
    let settings = json!({});
    for (app_has, new_has) in [(false, true), (false, false), (true, false)] {
        let old = made(&["b"], OCI_LAYER_GZIP, OCI_IMAGE_MANIFEST, &settings, app_has);
        let new = made(
            &["n1", "n2"],
            OCI_LAYER_GZIP,
            OCI_IMAGE_MANIFEST,
            &settings,
            new_has,
        );
        let app = made(
            &["b", "a1", "a2"],
            OCI_LAYER_GZIP,
            OCI_IMAGE_MANIFEST,
            &settings,
            app_has,
        );
        let world = World::new(&[], &[], &[]);
        let written = write(&world.image(&app, &old, &new), None, &named()).unwrap();
        let after = app.after(&written);
        assert_eq!(after.layers(), ["n1", "n2", "a1", "a2"]);
        let steps = after.json()[1]
            .get("history")
            .map(|steps| steps.as_array().unwrap().len());
        assert_eq!(steps, app_has.then_some(2 + 4));
    }
}

#[test]
fn layers_of_the_other_format_are_renamed_or_refused() {
    let settings = json!({});
    let docker = |layers: &[&str]| made(layers, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, &settings, true);
    let (old, app) = (docker(&["b"]), docker(&["b", "app"]));
    let new = oci(&["n"], &settings);
    let world = World::new(&[], &[], &[]);
    let written = write(&world.image(&app, &old, &new), None, &named()).unwrap();
    let [manifest, _] = app.after(&written).json();
    assert_eq!(manifest["layers"][0]["mediaType"], DOCKER_LAYER_GZIP);
    assert_eq!(manifest["mediaType"], DOCKER_MANIFEST);
    let zstd = made(&["n"], OCI_LAYER_ZSTD, OCI_IMAGE_MANIFEST, &settings, true);
    let said = assess(&world.image(&app, &old, &zstd)).obstacles;
    assert_eq!(serde_json::to_value(&said).unwrap()[0]["obstacle"], "document");
    assert!(
        said[0].to_string().contains("no name for a layer of type"),
        "{said:?}"
    );
}

#[test]
fn a_merge_puts_one_layer_on_top() {
    let settings = json!({});
    let (old, new, app) = (
        oci(&["b"], &settings),
        oci(&["n"], &settings),
        oci(&["b", "app"], &settings),
    );
    let world = World::new(&["etc/group=1"], &["etc/group=2"], &["etc/group=3", "app/main"]);
    let image = world.image(&app, &old, &new);
    let assessment = assess(&image);
    assert_eq!(assessment.class, SafetyClass::B);
    let content = |text: &str| FileContent {
        bytes: text.as_bytes().to_vec(),
        mode: 0o644,
        owner: (0, 42),
    };
    let texts = ["adm:x:4:\n", "adm:x:4:\nssh:x:9:\n", "adm:x:4:\napp:x:1000:\n"];
    let files: Files = assessment
        .wanted
        .iter()
        .cloned()
        .zip(texts.map(content))
        .collect();
    assert_eq!(files.len(), 3);
    let merged = merge(&image, &assessment, &files, 1_700_000_000).unwrap();
    let archive = merged.archive.unwrap();
    assert_eq!(merged.paths, ["etc/group"]);
    let members = archive::members(&archive).unwrap();
    assert_eq!(members[0].bytes, b"adm:x:4:\nssh:x:9:\napp:x:1000:\n");
    assert_eq!(members[0].owner, (0, 42));
    let top = TopLayer {
        digest: Digest::of(Algorithm::Sha256, b"gz"),
        size: 2,
        diff_id: Digest::of(Algorithm::Sha256, &archive),
    };
    let after = app.after(&write(&image, Some(&top), &named()).unwrap());
    assert_eq!(after.layers(), ["n", "app", "top"]);
    let clash = ["adm:x:4:\n", "adm:x:5:\n", "adm:x:6:\n"];
    let files: Files = assessment
        .wanted
        .iter()
        .cloned()
        .zip(clash.map(content))
        .collect();
    let refused = merge(&image, &assessment, &files, 0).unwrap_err();
    assert_eq!(refused.class, SafetyClass::C);
    assert_eq!(
        refused.obstacles[0].to_string(),
        "the application and the new base both change `adm` in `etc/group`"
    );
}

#[test]
fn what_stands_against_it_is_named_with_the_class() {
    let settings = json!({});
    let (old, new, app) = (
        oci(&["b"], &settings),
        oci(&["n"], &settings),
        oci(&["b", "app"], &settings),
    );
    let world = World::new(&["etc/x=1"], &["etc/x=2"], &["etc/x=3"]);
    let image = world.image(&app, &old, &new);
    assert_eq!(assess(&image).class, SafetyClass::C);
    let vendor = Image {
        has_source: false,
        ..image
    };
    assert_eq!(assess(&vendor).class, SafetyClass::D);
    let elsewhere = oci(&["other", "app"], &settings);
    let calm = World::new(&[], &[], &["app/main"]);
    let said = |image: &Image<'_>| {
        assess(image)
            .obstacles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said(&calm.image(&elsewhere, &old, &new)),
        ["the image does not stand on that release of the base"]
    );
    let not_read = Image {
        layers: Err((2, "layer.codec")),
        ..calm.image(&app, &old, &new)
    };
    assert_eq!(
        said(&not_read),
        ["layer 2 could not be looked into as a whole: layer.codec"]
    );
    let mut changed = World::new(&[], &[], &[]);
    changed.contract.is_safe = false;
    assert!(said(&changed.image(&app, &old, &new))[0].contains("does not promise"));
    let told = serde_json::to_value(&assess(&changed.image(&app, &old, &new)).obstacles).unwrap();
    assert_eq!(told[0], json!({"obstacle": "no-contract", "base": "debian12"}));
    let newer = OsRelease {
        version: "13".to_owned(),
        ..calm.os.clone()
    };
    let mut image = calm.image(&app, &old, &new);
    image.new.os = Some(&newer);
    assert_eq!(
        said(&image),
        ["the base goes from debian 12 to debian 13: packages of one do not run on the other"]
    );
    let mut amd = new.clone();
    amd.config = String::from_utf8(amd.config)
        .unwrap()
        .replace("\"arm\"", "\"amd64\"")
        .into_bytes();
    assert_eq!(
        said(&calm.image(&app, &old, &amd)),
        ["the image is for linux/arm/v7 and the new base for linux/amd64/v7"]
    );
}

#[test]
fn configurations_without_end_are_refused() {
    let many: Vec<String> = (0..=MAX_SETTINGS).map(|number| format!("V{number}=x")).collect();
    let plain = json!({});
    let (old, new) = (oci(&["b"], &plain), oci(&["n"], &plain));
    let app = oci(&["b", "app"], &json!({ "Env": many }));
    let world = World::new(&[], &[], &[]);
    let said = assess(&world.image(&app, &old, &new)).obstacles;
    assert_eq!(
        said[0].to_string(),
        "`Env` of the configuration has more than 10000 entries"
    );
}

#[test]
fn an_index_keeps_what_is_not_replaced() {
    let index = json!({"schemaVersion": 2, "annotations": {"a": "b"}, "manifests": [
        {"digest": digest("amd64"), "size": 5, "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {"c": "d"}},
        {"digest": digest("attestation"), "size": 6, "annotations": {"vnd.docker.reference.digest": digest("amd64")}},
    ]});
    let replaced = Replaced {
        old: digest("amd64").parse().unwrap(),
        new: digest("rebased").parse().unwrap(),
        size: 7,
    };
    let written = write_index(&serde_json::to_vec(&index).unwrap(), &[replaced]).unwrap();
    let mut expected = index;
    expected["manifests"][0]["digest"] = json!(digest("rebased"));
    expected["manifests"][0]["size"] = json!(7);
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), expected);
    assert!(write_index(b"[]", &[]).is_err());
    assert!(write_index(b"{}", &[]).is_err());
}

fn settings() -> impl proptest::strategy::Strategy<Value = Value> {
    let variables = prop::collection::btree_map("[A-C]", "[x-z]{0,2}", 0..3);
    let labels = prop::collection::btree_map("[a-c]", "[x-z]{0,2}", 0..3);
    (variables, labels, prop::option::of("[u-w]")).prop_map(
        |(env, labels, user): (BTreeMap<_, _>, BTreeMap<_, _>, _)| {
            let env: Vec<String> = env
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let mut settings = json!({"Env": env, "Labels": labels});
            if let Some(user) = user {
                settings["User"] = json!(user);
            }
            settings
        },
    )
}

/// What settings say, by name; the order of variables and what is empty say nothing.
fn said(settings: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let variables = settings["Env"].as_array().into_iter().flatten().map(|entry| {
        let entry = text(entry);
        let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
        (format!("Env {name}"), value.to_owned())
    });
    let labels = settings["Labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| (format!("Label {name}"), text(value)));
    let user = [("User".to_owned(), text(&settings["User"]))];
    let all = variables.chain(labels).chain(user);
    all.filter(|(_, value)| !value.is_empty()).collect()
}

proptest! {
    /// Any image forth and back has the same layers and an equal configuration.
    #[test]
    fn forth_and_back_is_where_it_was(
        old_settings in settings(), new_settings in settings(), app_settings in settings(),
        old_layers in 1..4_usize, new_layers in 1..4_usize, app_layers in 0..4_usize, history: bool,
    ) {
        let names = |prefix: &str, count: usize| (0..count).map(|at| format!("{prefix}{at}")).collect::<Vec<_>>();
        let image = |names: &[String], settings: &Value| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            made(&names, OCI_LAYER_GZIP, OCI_IMAGE_MANIFEST, settings, history)
        };
        let (b, n) = (names("b", old_layers), names("n", new_layers));
        let all: Vec<String> = b.iter().cloned().chain(names("a", app_layers)).collect();
        let (old, new, app) = (image(&b, &old_settings), image(&n, &new_settings), image(&all, &app_settings));
        let world = World::new(&[], &[], &[]);
        let forth = write(&world.image(&app, &old, &new), None, &named()).unwrap();
        let there = app.after(&forth);
        let back = write(&world.image(&there, &new, &old), None, &named()).unwrap();
        let here = app.after(&back);
        prop_assert_eq!(here.layers(), app.layers());
        let history_of = |made: &Made| made.json()[1].get("history").cloned();
        prop_assert_eq!(history_of(&here), history_of(&app));
        // Once the application's own word is the new base's, nobody can tell any more whose it was.
        let [old, new, own] = [&old_settings, &new_settings, &app_settings].map(said);
        let is_taken = own.keys().chain(old.keys()).any(|key| own.get(key) != old.get(key) && own.get(key) == new.get(key));
        if !is_taken {
            prop_assert_eq!(said(&here.json()[1]["config"]), own);
        }
    }
}

/// Words that the files of strangers are made of, so that rubbish gets further than the first line.
const WORDS: [&str; 18] = [
    "Package: a\n",
    "Status: install ok installed\n",
    "Version: 1\n",
    "Depends: b (>= ",
    "Provides: x (= 1), ,|(\n",
    "\n\n",
    "P:a\n",
    "V:1-r0\n",
    "D:!so:x>=1 ~\n",
    "root:x:0:0\n",
    ":",
    ",",
    "-----BEGIN ",
    "-----END ",
    "ld.so-1.7.0\0",
    "glibc-ld.so.cache1.1",
    "ä\u{202e}",
    "\0\0\0\u{1}",
];

proptest! {
    /// Whatever a layer has where package managers keep their lists, merging ends, with a file or with a reason.
    #[test]
    fn rubbish_in_lists_is_merged_or_refused(
        pieces in prop::collection::vec(prop::collection::vec(0..WORDS.len(), 0..12), 3),
        noise in prop::collection::vec(proptest::num::u8::ANY, 0..200),
    ) {
        let texts: Vec<String> = pieces.iter().map(|words| words.iter().map(|word| WORDS[*word]).collect()).collect();
        let [old, new, app] = [&texts[0], &texts[1], &texts[2]].map(String::as_str);
        let _ = packages::merge_dpkg(old, new, app);
        let _ = packages::merge_apt_states(old, new, app);
        let _ = packages::merge_apk("lib/apk/db/installed", old, new, app);
        for path in ["etc/passwd", "etc/group", "etc/shadow"] {
            let _ = lines::merge_accounts(path, old, new, app);
        }
        let _ = lines::merge_lines("x", old, new, app);
        let _ = lines::merge_diversions("x", old, new, app);
        let _ = lines::merge_certificates("x", old, new, app);
        for bytes in [noise.clone(), [app.as_bytes(), &noise].concat()] {
            let _ = loader_cache::merge_loader_cache(old.as_bytes(), new.as_bytes(), &bytes, |_| true);
            let _ = packages::merge_apk_scripts("x", &bytes, old.as_bytes(), &bytes);
            let plain = oci(&["b"], &json!({}));
            let stored = Stored { manifest: &bytes, media_type: &plain.media_type, config: &bytes };
            let is_read = document::Document::read(stored).is_ok();
            prop_assert_eq!(is_read, false);
            let _ = write_index(&bytes, &[]);
        }
    }
}
