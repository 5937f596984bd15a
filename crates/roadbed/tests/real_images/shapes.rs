//! Fifty recipes for images, the commonest ones, on three kinds of base: how many can follow their base without a build, and
//! whether those work that do.
//!
//! `room` carries out steps in a root and cuts them into layers; `debs` has packages of Debian, `material` what applications copy.
//! `debian`, `distroless` and `alpine` make the bases and have the recipes. Everything is made once and kept below the target
//! directory.

mod alpine;
mod debian;
mod debs;
mod distroless;
mod material;
mod recipes;
mod room;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use findings::OsRelease;
use oci::{Algorithm, Digest};
use road::rebase::SafetyClass;

use super::{
    following::{Bases, Followed},
    tree::Tree,
};
use crate::{
    fetch,
    harness::{
        content::sha256_hex,
        unable::{self, Program, Unable, tool},
    },
};
use debs::Archive;
use room::{Step, run};

/// Of fifty, as the specification asks.
const MUST_FOLLOW: usize = 40;

/// What is expected of a recipe.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Class A or B, by what the new release happens to change.
    Follows,
    /// Class B: it installed packages.
    Merged,
    /// Class C, for one of these reasons and no other.
    Refused(&'static [&'static str]),
    /// Either, by what the new release happens to change.
    Open(&'static [&'static str]),
}

/// A recipe.
struct Shape {
    name: &'static str,
    steps: &'static [Step],
    /// What must work on the new base: a script, or the words of a command where there is no shell.
    check: &'static str,
    expected: Expected,
}

impl Shape {
    const fn with(
        name: &'static str,
        steps: &'static [Step],
        check: &'static str,
        expected: Expected,
    ) -> Self {
        Self {
            name,
            steps,
            check,
            expected,
        }
    }

    const fn follows(name: &'static str, steps: &'static [Step], check: &'static str) -> Self {
        Self::with(name, steps, check, Expected::Follows)
    }

    const fn merged(name: &'static str, steps: &'static [Step], check: &'static str) -> Self {
        Self::with(name, steps, check, Expected::Merged)
    }

    const fn refused(name: &'static str, steps: &'static [Step], why: &'static [&'static str]) -> Self {
        Self::with(name, steps, "", Expected::Refused(why))
    }

    const fn open(
        name: &'static str,
        steps: &'static [Step],
        check: &'static str,
        why: &'static [&'static str],
    ) -> Self {
        Self::with(name, steps, check, Expected::Open(why))
    }
}

/// A kind of base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Debian,
    Distroless,
    Alpine,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Debian, Self::Distroless, Self::Alpine];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::Distroless => "distroless",
            Self::Alpine => "alpine",
        }
    }

    fn shapes(self) -> &'static [Shape] {
        match self {
            Self::Debian => &recipes::DEBIAN,
            Self::Distroless => &recipes::DISTROLESS,
            Self::Alpine => &recipes::ALPINE,
        }
    }

    pub(super) fn systems(self) -> [OsRelease; 2] {
        let (id, versions) = match self {
            Self::Debian | Self::Distroless => ("debian", ["12", "12"]),
            Self::Alpine => ("alpine", ["3.20.1", "3.20.2"]),
        };
        versions.map(|version| OsRelease {
            id: id.to_owned(),
            version: version.to_owned(),
            ..OsRelease::default()
        })
    }
}

/// All of what makes the bases, so that those of other ways are not taken for them.
const BASES: [&str; 7] = [
    include_str!("shapes/alpine.rs"),
    include_str!("shapes/debian.rs"),
    include_str!("shapes/debs.rs"),
    include_str!("shapes/distroless.rs"),
    include_str!("shapes/material.rs"),
    include_str!("tree.rs"),
    include_str!("../../../../ci/apk/pack.go"),
];

/// What else makes the layers of a recipe.
const LAYERS: [&str; 1] = [include_str!("shapes/room.rs")];

const PROGRAMS: [Program; 7] = [
    Program {
        name: "mmdebstrap",
        package: "mmdebstrap",
    },
    Program {
        name: "unshare",
        package: "util-linux",
    },
    Program {
        name: "c++",
        package: "g++",
    },
    Program {
        name: "javac",
        package: "openjdk-17-jdk-headless",
    },
    Program {
        name: "npm",
        package: "npm",
    },
    Program {
        name: "openssl",
        package: "openssl",
    },
    Program {
        name: "go",
        package: "golang-go",
    },
];

/// Where apk's stand-in is.
fn ready() -> Result<PathBuf, Unable> {
    for program in PROGRAMS {
        program.find()?;
    }
    if !rustix::process::geteuid().is_root() {
        let why = "making an image with mmdebstrap and chroot needs root";
        return Err(Unable::Impossible(why.to_owned()));
    }
    tool("roadbed-apk")
}

/// What a directory is called that holds what was made in these ways.
fn named(what: &str, ways: &[&str]) -> String {
    format!("{what}-{}", &sha256_hex(ways.concat().as_bytes())[..16])
}

/// A directory of what was made before, or is made now.
fn kept(name: &str, make: impl Fn(&Path) -> Result<()>) -> Option<PathBuf> {
    fetch::kept(name, |directory| match make(directory) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{name} could not be made: {error:#}");
            false
        }
    })
}

/// Where the bases lie, by kind, with what the recipes need; and apk's stand-in. `None`, said aloud, where they cannot be made.
pub(super) fn bases() -> Option<(PathBuf, PathBuf)> {
    static MAKING: Mutex<()> = Mutex::new(());
    // A test that failed left nothing half done.
    let _guard = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    match ready() {
        Ok(apk) => Some((
            kept(&named("bases", &BASES), |directory| make(directory, &apk))?,
            apk,
        )),
        Err(unable) => {
            unable::report(&unable);
            None
        }
    }
}

/// Where the layers of a recipe lie, `0.tar` and so on, and the `list` of its packages.
pub(super) fn image(kind: Kind, name: &str) -> Option<PathBuf> {
    let (bases, apk) = bases()?;
    let shape = kind.shapes().iter().find(|shape| shape.name == name)?;
    made(&bases, &apk, kind, shape)
}

fn made(bases: &Path, apk: &Path, kind: Kind, shape: &Shape) -> Option<PathBuf> {
    let steps = format!("{:?} {:?}", shape.steps, bases.file_name());
    let what = format!("shape-{}-{}", kind.name(), shape.name.replace(' ', "-"));
    kept(&named(&what, &[&LAYERS[..], &[&steps]].concat()), |directory| {
        let base = bases.join(kind.name()).join("old");
        let archive = |name: &str| Archive::known(bases.join("apt").join(name));
        let archives = [archive("old"), archive("new")];
        let repository = alpine::Repository::known(bases.join("repository-old"), apk.to_owned());
        let material = bases.join("material");
        let root = room::layers(
            directory,
            &base,
            &material,
            shape.steps,
            |room, step| match kind {
                Kind::Debian => debian::carry_out(room, step, &archives),
                Kind::Distroless => distroless::carry_out(room, step, &archives[0]),
                Kind::Alpine => repository.carry_out(room, step),
            },
        )?;
        fs::write(directory.join("list"), listed(kind, apk, &root)?)?;
        Ok(fs::remove_dir_all(root)?)
    })
}

/// Runs something for each of a list, on two threads; all that failed.
fn on_two<T: Sync>(all: &[T], run: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run(one) {
                        failures.lock().unwrap().push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

fn make(directory: &Path, apk: &Path) -> Result<()> {
    on_two(&[true, false], |is_material| {
        if *is_material {
            material::make(&directory.join("material"))
        } else {
            make_bases(directory, &directory.join("apt"), apk)
        }
    })?;
    for name in ["apt/next", "repository-new"] {
        fs::remove_dir_all(directory.join(name))?;
    }
    Ok(())
}

/// Both releases of each kind: `old.tar` with its root, `new.tar`, and what each has, in lists.
fn make_bases(directory: &Path, apt: &Path, apk: &Path) -> Result<()> {
    let archives = [
        Archive::of(apt.join("old"), debian::RELEASE, false)?,
        Archive::of(apt.join("new"), debian::RELEASE, true)?,
    ];
    let next = Archive::of(apt.join("next"), "trixie", false)?;
    for (at, name) in ["old", "new"].into_iter().enumerate() {
        for kind in Kind::ALL {
            let place = directory.join(kind.name());
            fs::create_dir_all(&place)?;
            let root = place.join(name);
            match kind {
                Kind::Debian => debian::bootstrap(&root, at == 1)?,
                Kind::Distroless => distroless::bootstrap(&root, &archives[at])?,
                Kind::Alpine => {
                    let archive = [&archives[0], &next][at];
                    let release = &kind.systems()[at].version;
                    let place = directory.join(format!("repository-{name}"));
                    alpine::Repository::make(place, apk.to_owned(), archive, release)?.bootstrap(&root)?;
                }
            }
            fs::write(place.join(format!("{name}.list")), listed(kind, apk, &root)?)?;
            fs::write(place.join(format!("{name}.tar")), Tree::new(&root).layer()?)?;
            if at == 1 {
                fs::remove_dir_all(root)?;
            }
        }
    }
    let lacking = directory.join("distroless/lacking");
    distroless::bootstrap_without(&lacking, &archives[1], "libstdc++6")?;
    fs::write(
        directory.join("distroless/lacking.tar"),
        Tree::new(&lacking).layer()?,
    )?;
    Ok(fs::remove_dir_all(lacking)?)
}

/// State, name and version of each package, a line each.
fn listed(kind: Kind, apk: &Path, root: &Path) -> Result<String> {
    match kind {
        Kind::Debian => debian::packages(root),
        Kind::Distroless => distroless::listed(root),
        Kind::Alpine => alpine::listed(apk, root),
    }
}

/// Versions by package, of those that are installed.
fn installed(listed: &str) -> BTreeMap<&str, &str> {
    let lines = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_there = words.next()?.ends_with('i');
        is_there.then_some((words.next()?, words.next()?))
    });
    lines.collect()
}

/// A base and where its things lie.
struct Stage<'a> {
    kind: Kind,
    directory: &'a Path,
    bases: Bases,
    apk: &'a Path,
}

impl Stage<'_> {
    fn list(&self, name: &str) -> Result<String> {
        let path = self.directory.join(self.kind.name()).join(format!("{name}.list"));
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Puts the image of a recipe on the new base and tries it; a line of the table.
    fn try_out(&self, shape: &Shape) -> Result<(SafetyClass, String)> {
        let image = made(self.directory, self.apk, self.kind, shape).context("it could not be made")?;
        let archives = (0..shape.steps.len()).map(|at| image.join(format!("{at}.tar")));
        let archives: Vec<PathBuf> = archives.collect();
        let followed = self.bases.follow(&archives)?;
        let class = followed.assessment.class;
        let mut line = String::new();
        write!(line, "{class:?}  {:10}  {}", self.kind.name(), shape.name)?;
        if let Some(root) = &followed.root {
            ensure!(
                !matches!(shape.expected, Expected::Refused(_)),
                "it must be refused"
            );
            let is_merged = class == SafetyClass::B;
            ensure!(
                is_merged || !matches!(shape.expected, Expected::Merged),
                "it must be merged"
            );
            self.check(shape, &image, &followed, root.path())?;
            let merged: Vec<&String> = followed.assessment.evidence.merged.keys().collect();
            if !merged.is_empty() {
                write!(line, ": merged {merged:?}")?;
            }
            return Ok((class, line));
        }
        let obstacles = &followed.assessment.obstacles;
        let (Expected::Refused(reasons) | Expected::Open(reasons)) = shape.expected else {
            anyhow::bail!("it must follow: {obstacles:#?}");
        };
        for obstacle in obstacles {
            let text = obstacle.to_string();
            ensure!(
                reasons.iter().any(|reason| text.contains(reason)),
                "unexpected: {text}"
            );
        }
        write!(line, ": {} ({} in all)", obstacles[0], obstacles.len())?;
        Ok((class, line))
    }

    fn check(&self, shape: &Shape, image: &Path, followed: &Followed, root: &Path) -> Result<()> {
        let now = listed(self.kind, self.apk, root)?;
        let [old, new, own] = [
            self.list("old")?,
            self.list("new")?,
            fs::read_to_string(image.join("list"))?,
        ];
        let [now, old, new, own] = [&now, &old, &new, &own].map(|list| installed(list));
        for (package, version) in &new {
            ensure!(
                now.get(package) == Some(version),
                "{package} of the base is {:?}",
                now.get(package)
            );
        }
        let own = own.iter().filter(|(package, _)| !old.contains_key(*package));
        for (package, version) in own.clone() {
            ensure!(
                now.get(package) == Some(version),
                "{package} of the application is {:?}",
                now.get(package)
            );
        }
        ensure!(now.len() == new.len() + own.filter(|(package, _)| !new.contains_key(*package)).count());
        unchanged(followed, root)?;
        if self.kind == Kind::Debian {
            let audit = run(root, &["dpkg", "--audit"])?;
            ensure!(audit.is_empty(), "dpkg says {audit}");
            run(root, &["apt-get", "check"])?;
        }
        let words: Vec<&str> = match self.kind {
            Kind::Distroless => shape.check.split(' ').collect(),
            _ => vec!["sh", "-ec", shape.check],
        };
        run(root, &words).map(drop)
    }
}

/// Every file of the application that was not merged is there as it was. Listings keep the first half of a hash.
fn unchanged(followed: &Followed, root: &Path) -> Result<()> {
    let merged = &followed.assessment.evidence.merged;
    for (path, node) in followed.paths.iter() {
        if node.kind != '0' || merged.contains_key(path) {
            continue;
        }
        let bytes = fs::read(root.join(path)).with_context(|| path.to_owned())?;
        let digest = Digest::of(Algorithm::Sha256, &bytes).to_string();
        ensure!(
            digest.starts_with(&format!("sha256:{}", node.content)),
            "`{path}` is another one: {} {digest}",
            node.content
        );
    }
    Ok(())
}

#[test]
fn of_fifty_recipes_four_in_five_follow_their_base_and_work() {
    let Some((directory, apk)) = bases() else { return };
    let stages: Vec<Stage<'_>> = Kind::ALL
        .into_iter()
        .map(|kind| Stage {
            kind,
            directory: &directory,
            bases: Bases::of(&directory.join(kind.name()), "new", kind.systems()).unwrap(),
            apk: &apk,
        })
        .collect();
    for stage in &stages {
        assert!(
            stage.bases.change.old != stage.bases.change.new,
            "there is something new"
        );
    }
    let all: Vec<(&Stage<'_>, &Shape)> = stages
        .iter()
        .flat_map(|stage| stage.kind.shapes().iter().map(move |shape| (stage, shape)))
        .collect();
    assert_eq!(all.len(), 50);
    let table = Mutex::new(Vec::new());
    let tried = on_two(&all, |(stage, shape)| {
        let tried = stage.try_out(shape);
        let (class, line) = tried.with_context(|| format!("{} {}", stage.kind.name(), shape.name))?;
        table.lock().unwrap().push((class, line));
        Ok(())
    });
    let mut table = table.into_inner().unwrap();
    table.sort();
    for (_, line) in &table {
        println!("{line}");
    }
    tried.unwrap();
    let follow = table.iter().filter(|(class, _)| class.can_follow()).count();
    println!("{follow} of {} follow", table.len());
    assert!(follow >= MUST_FOLLOW, "only {follow} follow");
}
