//! A Debian without its security updates below an application, and the one with them to go to: what comes of it is a system that
//! dpkg and apt are content with, in which the application runs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use findings::{KEPT_FILE_BYTES, LayerReport, Linkage};
use inspect::{
    Limits,
    layer::{Analysers, NoSpool, inspect_layer},
    packages::CATALOGERS,
};
use oci::{Algorithm, Digest, MediaType};
use road::rebase::{
    Assessment, BaseChange, BaseNamed, Contract, FileContent, Files, Image, LayerPaths, Libraries, Of,
    SafetyClass, Side, Stored, TopLayer, Tree as Paths, assess, merge, write,
};
use serde_json::json;

use super::{
    debian::{Root, output},
    tree::Tree,
};
use crate::{
    fetch,
    harness::{
        content::sha256_hex,
        unable::{self, Program, Unable},
    },
};

const RELEASE: &str = "bookworm";

const MMDEBSTRAP: Program = Program {
    name: "mmdebstrap",
    package: "mmdebstrap",
};

/// Where this machine has its packages from.
const SOURCES: &str = "/etc/apt/sources.list.d/debian.sources";

/// What the commonest recipes do to an image, each a layer of its own on the old base.
const RECIPES: [(&str, &[&[&str]]); 6] = [
    ("apt", &[&["apt", "curl", "ca-certificates"]]),
    (
        "python",
        &[
            &["apt", "python3-minimal"],
            &["sh", "mkdir /app && echo 'print(6*7)' > /app/main.py"],
        ],
    ),
    (
        "user",
        &[&[
            "sh",
            "useradd --system --home-dir /srv/app --create-home app && groupadd ops && usermod -aG ops app",
        ]],
    ),
    (
        "copy",
        &[&[
            "sh",
            "mkdir -p /app && echo hello > /app/hello && chmod 755 /app && ldconfig",
        ]],
    ),
    (
        "locale",
        &[
            &["apt", "locales"],
            &["sh", "echo 'de_DE.UTF-8 UTF-8' > /etc/locale.gen && locale-gen"],
        ],
    ),
    ("zone", &[&["sh", "echo Europe/Berlin > /etc/timezone"]]),
];

fn ready() -> Result<(), Unable> {
    MMDEBSTRAP.find()?;
    if !rustix::process::geteuid().is_root() {
        let why = "making an image with mmdebstrap and chroot needs root";
        return Err(Unable::Impossible(why.to_owned()));
    }
    Ok(())
}

/// The two bases and the layers of the applications, as archives. Made once.
fn archives() -> Option<PathBuf> {
    if let Err(unable) = ready() {
        unable::report(&unable);
        return None;
    }
    let name = format!(
        "rebase-{}",
        &sha256_hex(format!("{RECIPES:?} {RELEASE} 1").as_bytes())[..16]
    );
    fetch::kept(&name, |directory| match make(directory) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("the images could not be made: {error:#}");
            false
        }
    })
}

/// Where Debian and its security updates are had from.
fn mirrors() -> [String; 2] {
    let sources = fs::read_to_string(SOURCES).unwrap_or_default();
    let named: Vec<&str> = sources
        .lines()
        .filter_map(|line| line.strip_prefix("URIs: "))
        .collect();
    let is_security = |uri: &&&str| uri.contains("security");
    let security = named.iter().find(is_security).copied();
    let plain = named.iter().find(|uri| !is_security(uri)).copied();
    [
        plain.unwrap_or("http://deb.debian.org/debian").to_owned(),
        security
            .unwrap_or("http://deb.debian.org/debian-security")
            .to_owned(),
    ]
}

fn bootstrap(root: &Path, with_updates: bool) -> Result<()> {
    let [plain, security] = mirrors();
    let mut command = Command::new(MMDEBSTRAP.name);
    command
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .args(["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
        .arg(RELEASE)
        .arg(root)
        .arg(format!("deb {plain} {RELEASE} main"));
    if with_updates {
        command.arg(format!("deb {plain} {RELEASE}-updates main"));
        command.arg(format!("deb {security} {RELEASE}-security main"));
    }
    output(&mut command).map(drop)
}

/// apt of this machine, working on the root.
fn apt(root: &Path, words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(["--quiet", "--yes", "--option"])
        .arg(format!("Dir={}", root.display()))
        .arg("--option")
        .arg(format!("DPkg::Chroot-Directory={}", root.display()))
        .args([
            "--option",
            "APT::Sandbox::User=root",
            "--option",
            "APT::Install-Recommends=false",
        ])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive");
    output(&mut command).map(drop)
}

fn make(directory: &Path) -> Result<()> {
    let old = directory.join("old");
    bootstrap(&old, false)?;
    fs::write(directory.join("old.tar"), Tree::new(&old).layer()?)?;
    for (name, steps) in RECIPES {
        let root = Root(directory.join(name));
        output(Command::new("cp").args(["--archive"]).arg(&old).arg(&root.0))?;
        let mut tree = Tree::new(&root.0);
        tree.layer()?;
        for step in steps {
            match step {
                ["apt", packages @ ..] => {
                    apt(&root.0, &["update"])?;
                    apt(&root.0, &[&["install"], packages].concat())?;
                    root.run(&["sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin"])?;
                }
                [_, script] => drop(root.run(&["sh", "-c", script])?),
                _ => {}
            }
        }
        fs::write(directory.join(format!("{name}.tar")), tree.layer()?)?;
        fs::remove_dir_all(&root.0)?;
    }
    let new = Root(directory.join("new"));
    bootstrap(&new.0, true)?;
    let format = "${Package} ${Version}\\n";
    let listed = new.run(&["dpkg-query", "--show", "--showformat", format])?;
    fs::write(directory.join("new.list"), listed)?;
    fs::write(directory.join("new.tar"), Tree::new(&new.0).layer()?)?;
    fs::remove_dir_all(old)?;
    fs::remove_dir_all(new.0)?;
    Ok(())
}

/// A layer as it is known to the registry.
struct Layer {
    diff_id: Digest,
    report: LayerReport,
}

fn look(directory: &Path, name: &str) -> Layer {
    let archive = fs::read(directory.join(format!("{name}.tar"))).unwrap();
    let diff_id = Digest::of(Algorithm::Sha256, &archive);
    let mut analysers = Analysers {
        version: "test",
        catalogers: CATALOGERS,
        bytes: &mut [],
        hashes_files: true,
    };
    let report = inspect_layer(
        archive.as_slice(),
        &diff_id,
        &mut NoSpool,
        &mut analysers,
        &Limits::default(),
    );
    assert!(report.not_scannable.is_empty(), "{:?}", report.not_scannable);
    Layer { diff_id, report }
}

impl Layer {
    fn paths(&self) -> LayerPaths {
        LayerPaths::of(&self.report).unwrap()
    }

    fn linkages(&self) -> &[Linkage] {
        let facts = self.report.rebase.as_ref().unwrap();
        assert_eq!(facts.more_linkages, 0);
        &facts.linkages
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

/// The bases, looked into once for all recipes.
struct Bases {
    directory: PathBuf,
    old: Layer,
    new: Layer,
    change: BaseChange,
    libraries: [Libraries; 2],
}

impl Bases {
    fn of(directory: PathBuf) -> Self {
        let [old, new] = ["old", "new"].map(|name| look(&directory, name));
        let libraries =
            [&old, &new].map(|base| Libraries::of(&Paths::of([&base.paths()]).unwrap(), base.linkages()));
        Self {
            change: BaseChange::of(&[old.paths()], &[new.paths()]).unwrap(),
            directory,
            old,
            new,
            libraries,
        }
    }

    /// What is wanted to merge, as the layers had it when they were looked into.
    fn files(&self, assessment: &Assessment, app: &Layer) -> Files {
        let wanted = assessment.wanted.iter().cloned();
        wanted
            .filter_map(|wanted| {
                let kept = match wanted.of {
                    Of::App => app.kept(&wanted.path).or_else(|| self.old.kept(&wanted.path)),
                    Of::Old => self.old.kept(&wanted.path),
                    Of::New => self.new.kept(&wanted.path),
                };
                Some((wanted, kept?))
            })
            .collect()
    }

    /// Plans, and puts what comes of it into a directory.
    fn follow(&self, name: &str) -> (Assessment, Option<tempfile::TempDir>) {
        let app = look(&self.directory, name);
        let media_type: MediaType = oci::media_type::OCI_IMAGE_MANIFEST.parse().unwrap();
        let all = [
            documents(&[&self.old, &app]),
            documents(&[&self.old]),
            documents(&[&self.new]),
        ];
        let stored = [&all[0], &all[1], &all[2]].map(|(manifest, config)| Stored {
            manifest,
            config,
            media_type: &media_type,
        });
        let contract = Contract {
            base: "debian12".to_owned(),
            is_safe: true,
            abi: None,
        };
        let side = |stored, libraries| Side {
            stored,
            os: None,
            contract: &contract,
            libraries,
        };
        let layers = [app.paths()];
        let image = Image {
            app: stored[0],
            old: side(stored[1], &self.libraries[0]),
            new: side(stored[2], &self.libraries[1]),
            change: &self.change,
            layers: Ok(&layers),
            linkages: app.linkages(),
            has_source: true,
        };
        let assessment = assess(&image);
        if !assessment.class.can_follow() {
            return (assessment, None);
        }
        let files = self.files(&assessment, &app);
        let merged = match merge(&image, &assessment, &files, 1_700_000_000) {
            Ok(merged) => merged,
            Err(refused) => return (*refused, None),
        };
        let top = merged.archive.as_ref().map(|archive| TopLayer {
            digest: Digest::of(Algorithm::Sha256, archive),
            size: archive.len() as u64,
            diff_id: Digest::of(Algorithm::Sha256, archive),
        });
        let named = BaseNamed {
            name: "debian12".to_owned(),
            digest: self.new.diff_id,
        };
        write(&image, top.as_ref(), &named).unwrap();
        let root = tempfile::tempdir_in(&self.directory).unwrap();
        for layer in ["new", name] {
            unpack(
                root.path(),
                &fs::read(self.directory.join(format!("{layer}.tar"))).unwrap(),
            )
            .unwrap();
        }
        if let Some(archive) = &merged.archive {
            unpack(root.path(), archive).unwrap();
        }
        (assessment, Some(root))
    }
}

/// Unpacks a layer over what is there.
fn unpack(root: &Path, archive: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut tar = Command::new("tar")
        .args([
            "--extract",
            "--preserve-permissions",
            "--numeric-owner",
            "--overwrite",
            "--directory",
        ])
        .arg(root)
        .stdin(std::process::Stdio::piped())
        .spawn()?;
    tar.stdin.take().context("tar has no input")?.write_all(archive)?;
    ensure!(tar.wait()?.success(), "the layer could not be unpacked");
    let whiteouts = output(Command::new("find").arg(root).args(["-name", ".wh.*"]))?;
    for whiteout in whiteouts.lines().map(Path::new) {
        let name = whiteout.file_name().unwrap_or_default().to_string_lossy();
        let gone = whiteout.with_file_name(name.trim_start_matches(".wh."));
        fs::remove_file(whiteout)?;
        drop(fs::remove_file(&gone).or_else(|_| fs::remove_dir_all(&gone)));
    }
    Ok(())
}

fn installed(listed: &str) -> BTreeMap<String, String> {
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

#[test]
fn what_is_built_on_an_old_debian_runs_on_the_new_one() {
    let Some(directory) = archives() else { return };
    let listed = installed(&fs::read_to_string(directory.join("new.list")).unwrap());
    let bases = Arc::new(Bases::of(directory));
    assert!(bases.change.old != bases.change.new, "there are security updates");
    for (name, expected, check) in [
        (
            "apt",
            SafetyClass::B,
            "curl --version && test -s /etc/ssl/certs/ca-certificates.crt",
        ),
        ("python", SafetyClass::B, "test \"$(python3 /app/main.py)\" = 42"),
        (
            "user",
            SafetyClass::A,
            "test \"$(id -nG app)\" = 'app ops' && test -d /srv/app",
        ),
        (
            "copy",
            SafetyClass::B,
            "test \"$(cat /app/hello)\" = hello && ldconfig -p | grep -q libc.so.6",
        ),
        ("locale", SafetyClass::B, "locale -a | grep -q de_DE"),
        (
            "zone",
            SafetyClass::A,
            "test \"$(cat /etc/timezone)\" = Europe/Berlin",
        ),
    ] {
        let (assessment, root) = bases.follow(name);
        assert_eq!(
            assessment.class, expected,
            "{name}: {:#?} {:?}",
            assessment.obstacles, assessment.evidence.merged
        );
        let root_directory = root.unwrap();
        let root = Root(root_directory.path().to_owned());
        assert_eq!(root.run(&["dpkg", "--audit"]).unwrap(), "", "{name}");
        root.run(&["apt-get", "check"]).unwrap();
        let now = installed(
            &root
                .run(&["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n"])
                .unwrap(),
        );
        for (package, version) in &listed {
            assert_eq!(now.get(package), Some(version), "{name}: {package}");
        }
        root.run(&["sh", "-c", check])
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
}
