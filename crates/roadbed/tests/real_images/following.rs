//! A layer as the registry knows it, and an image put on another base by the planner: its layers over the new base's, and the
//! layer of merged lists on top, unpacked into a directory.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use findings::{KEPT_FILE_BYTES, LayerReport, Linkage, OsRelease};
use inspect::{
    Limits,
    layer::{Analysers, NoSpool, inspect_layer},
};
use oci::{Algorithm, Digest, MediaType};
use road::rebase::{
    Assessment, BaseChange, BaseNamed, Contract, FileContent, Files, Image, LayerPaths, Libraries, Of,
    Stored, TopLayer, Tree as Paths, assess, merge, write,
};
use serde_json::json;

use super::debian::output;

/// A layer as it is known to the registry.
pub(super) struct Layer {
    archive: PathBuf,
    diff_id: Digest,
    report: LayerReport,
}

impl Layer {
    /// Looks into an archive as the registry does; of what is in it only what matters here is searched for.
    pub(super) fn of(archive: &Path) -> Result<Self> {
        let bytes = fs::read(archive).with_context(|| format!("{} is not there", archive.display()))?;
        let diff_id = Digest::of(Algorithm::Sha256, &bytes);
        let mut analysers = Analysers {
            version: "test",
            catalogers: &[],
            bytes: &mut [],
            hashes_files: true,
        };
        let limits = Limits::default();
        let report = inspect_layer(bytes.as_slice(), &diff_id, &mut NoSpool, &mut analysers, &limits);
        let name = archive.display();
        let missed = &report.not_scannable;
        ensure!(missed.is_empty(), "{name}: {missed:?}");
        ensure!(report.oddities.is_empty(), "{name}: {:?}", report.oddities);
        let facts = report.rebase.as_ref().context("there are no facts")?;
        ensure!(facts.more_linkages == 0, "{name}: some programs were not read");
        Ok(Self {
            archive: archive.to_owned(),
            diff_id,
            report,
        })
    }

    pub(super) fn paths(&self) -> LayerPaths {
        LayerPaths::of(&self.report).unwrap()
    }

    fn linkages(&self) -> &[Linkage] {
        &self.report.rebase.as_ref().unwrap().linkages
    }

    fn kept(&self, path: &str) -> Option<FileContent> {
        let facts = self.report.rebase.as_ref().unwrap();
        let file = facts.kept.iter().find(|file| file.path == path)?;
        Some(FileContent {
            bytes: file.content.bytes(KEPT_FILE_BYTES).unwrap(),
            mode: file.mode,
            owner: file.owner,
        })
    }
}

/// Manifest and configuration of an image of these layers.
fn documents(layers: &[&Layer]) -> (Vec<u8>, Vec<u8>) {
    let described = layers.iter().map(|layer| {
        json!({"mediaType": oci::media_type::OCI_LAYER, "digest": layer.diff_id.to_string(), "size": layer.report.bytes})
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_IMAGE_MANIFEST,
        "config": {"mediaType": oci::media_type::OCI_IMAGE_CONFIG, "digest": layers[0].diff_id.to_string(), "size": 2},
        "layers": described.collect::<Vec<_>>(),
    });
    let ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}});
    (
        serde_json::to_vec(&manifest).unwrap(),
        serde_json::to_vec(&config).unwrap(),
    )
}

/// Two releases of a base, looked into once for all images, with the newer one unpacked.
pub(super) struct Bases {
    old: Layer,
    new: Layer,
    systems: [OsRelease; 2],
    pub(super) change: BaseChange,
    libraries: [Libraries; 2],
    unpacked: tempfile::TempDir,
}

/// What came of an image.
pub(super) struct Followed {
    pub(super) assessment: Assessment,
    /// Its paths, all layers together.
    pub(super) paths: Paths,
    /// Packages of its own.
    pub(super) own_packages: Vec<String>,
    /// Where it lies on its new base, if it can follow.
    pub(super) root: Option<tempfile::TempDir>,
}

impl Bases {
    /// Looks into two releases of a system, of which the directory holds the archives `old.tar` and `NEW.tar`.
    pub(super) fn of(directory: &Path, new: &str, systems: [OsRelease; 2]) -> Result<Self> {
        let [old, new] = ["old", new].map(|name| Layer::of(&directory.join(format!("{name}.tar"))));
        let (old, new) = (old?, new?);
        let libraries = [&old, &new].map(|base| {
            let paths = Paths::of([&base.paths()]).unwrap();
            Libraries::of(&paths, base.linkages())
        });
        let unpacked = tempfile::tempdir_in(directory)?;
        unpack(unpacked.path(), &fs::read(&new.archive)?)?;
        Ok(Self {
            change: BaseChange::of(&[old.paths()], &[new.paths()])?,
            old,
            new,
            systems,
            libraries,
            unpacked,
        })
    }

    /// What is wanted to merge, as the layers had it when they were looked into.
    fn files(&self, assessment: &Assessment, layers: &[Layer]) -> Files {
        let own = |path: &str| layers.iter().rev().find_map(|layer| layer.kept(path));
        let wanted = assessment.wanted.iter().cloned();
        wanted
            .filter_map(|wanted| {
                let kept = match wanted.of {
                    Of::App => own(&wanted.path).or_else(|| self.old.kept(&wanted.path)),
                    Of::Old => self.old.kept(&wanted.path),
                    Of::New => self.new.kept(&wanted.path),
                };
                Some((wanted, kept?))
            })
            .collect()
    }

    /// Plans for an image of these layers, and puts what comes of it into a directory.
    pub(super) fn follow(&self, layers: &[PathBuf]) -> Result<Followed> {
        let layers: Result<Vec<Layer>> = layers.iter().map(|archive| Layer::of(archive)).collect();
        let layers = layers?;
        let app: Vec<&Layer> = std::iter::once(&self.old).chain(&layers).collect();
        let all = [documents(&app), documents(&[&self.old]), documents(&[&self.new])];
        let media_type: MediaType = oci::media_type::OCI_IMAGE_MANIFEST.parse()?;
        let [app, old, new] = [&all[0], &all[1], &all[2]].map(|(manifest, config)| Stored {
            manifest,
            config,
            media_type: &media_type,
        });
        let contract = Contract {
            base: "base".to_owned(),
            is_safe: true,
            abi: None,
        };
        let side = |stored, at: usize| road::rebase::Side {
            stored,
            os: Some(&self.systems[at]),
            contract: &contract,
            libraries: &self.libraries[at],
        };
        let paths: Vec<LayerPaths> = layers.iter().map(Layer::paths).collect();
        let linkages = linkages(&layers);
        let image = Image {
            app,
            old: side(old, 0),
            new: side(new, 1),
            change: &self.change,
            layers: Ok(&paths),
            linkages: &linkages,
            has_source: true,
        };
        self.carry_out(&image, &layers)
    }

    fn carry_out(&self, image: &Image<'_>, layers: &[Layer]) -> Result<Followed> {
        let mut followed = Followed {
            assessment: assess(image),
            paths: Paths::of(image.layers.unwrap_or_default())?,
            own_packages: Vec::new(),
            root: None,
        };
        if !followed.assessment.class.can_follow() {
            return Ok(followed);
        }
        let files = self.files(&followed.assessment, layers);
        let merged = match merge(image, &followed.assessment, &files, 1_700_000_000) {
            Ok(merged) => merged,
            Err(refused) => {
                followed.assessment = *refused;
                return Ok(followed);
            }
        };
        let top = merged.archive.as_ref().map(|archive| TopLayer {
            digest: Digest::of(Algorithm::Sha256, archive),
            size: archive.len() as u64,
            diff_id: Digest::of(Algorithm::Sha256, archive),
        });
        let named = BaseNamed {
            name: "base".to_owned(),
            digest: self.new.diff_id,
        };
        write(image, top.as_ref(), &named)?;
        let root = self.linked()?;
        for layer in layers {
            unpack(root.path(), &fs::read(&layer.archive)?)?;
        }
        if let Some(archive) = &merged.archive {
            ensure!(archive.len() < 4 << 20, "the layer on top is a small one");
            unpack(root.path(), archive)?;
        }
        followed.own_packages = merged.own;
        followed.root = Some(root);
        Ok(followed)
    }

    /// The newer release again, as links to its files: what is unpacked over it replaces them.
    fn linked(&self) -> Result<tempfile::TempDir> {
        let beside = self.unpacked.path().parent().context("it has a place")?;
        let root = tempfile::tempdir_in(beside)?;
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--link", "--no-target-directory"]);
        output(copy.arg(self.unpacked.path()).arg(root.path()))?;
        // A lock that is one file in two roots is held in both.
        for lock in ["var/lib/dpkg/lock", "var/lib/dpkg/lock-frontend"] {
            let lock = root.path().join(lock);
            if lock.exists() {
                fs::remove_file(&lock)?;
                fs::write(lock, "")?;
            }
        }
        // What runtimes mount over, so that no layer has it.
        for fleeting in ["run", "tmp"] {
            fs::create_dir_all(root.path().join(fleeting))?;
        }
        Ok(root)
    }
}

/// Of two layers with a file at one path the upper one counts.
fn linkages(layers: &[Layer]) -> Vec<Linkage> {
    let all = layers.iter().flat_map(Layer::linkages);
    let by_path: BTreeMap<&str, &Linkage> = all.map(|linkage| (linkage.path.as_str(), linkage)).collect();
    by_path.into_values().cloned().collect()
}

/// Unpacks a layer over what is there.
pub(super) fn unpack(root: &Path, archive: &[u8]) -> Result<()> {
    use std::io::Write as _;
    take_away(root, archive)?;
    let mut tar = Command::new("tar")
        .args(["--extract", "--preserve-permissions", "--numeric-owner"])
        .args(["--exclude=.wh.*", "--keep-directory-symlink", "--directory"])
        .arg(root)
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    tar.stdin.take().context("tar has no input")?.write_all(archive)?;
    ensure!(tar.wait()?.success(), "the layer could not be unpacked");
    Ok(())
}

/// Whiteouts are of what lies below, so they come before everything else of their layer.
fn take_away(root: &Path, archive: &[u8]) -> Result<()> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let path = entry?.path()?.into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_prefix(".wh.") else {
            continue;
        };
        let gone = root.join(path.with_file_name(name));
        drop(fs::remove_file(&gone).or_else(|_| fs::remove_dir_all(&gone)));
    }
    Ok(())
}
