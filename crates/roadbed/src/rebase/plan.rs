//! The plan of one image.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use findings::{KEPT_FILE_BYTES, KeptFile, LayerReport, Linkage};
use flate2::{Compression, GzBuilder};
use oci::{Algorithm, Digest};
use road::base::BaseImage;
use road::rebase::{
    Assessment, BaseNamed, Contract, FileContent, Files, Image, Merged, Obstacle, Of, SafetyClass, Side,
    TopLayer, WantedFile, Written, assess, merge, write,
};
use road::work::Steps;
use web::wire::{FindingsChange, ImagePlan, ObstacleEntry, ReleaseEntry};

use super::{Bytes, Follows, change::Change, load::Loaded};

/// A release of a base with all that is known of it.
pub(super) struct BaseRelease {
    pub(super) base: BaseImage,
    pub(super) release: road::lineage::Release,
    pub(super) named: BaseNamed,
    pub(super) image: Arc<Loaded>,
}

impl BaseRelease {
    fn entry(&self) -> ReleaseEntry {
        ReleaseEntry {
            digest: self.release.digest,
            version: self.release.version.clone(),
        }
    }

    fn contract(&self) -> Contract {
        let rebase = self.base.rebase.as_ref();
        let arch = self.image.platform.split('/').nth(1).unwrap_or_default();
        let is_for = |arches: &Vec<String>| arches.is_empty() || arches.iter().any(|known| known == arch);
        Contract {
            base: self.base.name.to_string(),
            is_safe: rebase.is_some_and(|rebase| rebase.safe && is_for(&rebase.arch)),
            abi: rebase.and_then(|rebase| rebase.abi.clone()),
        }
    }
}

/// Works out what would become of an image. `to`: where it is to go, and what that changes; none if it is there already.
pub(super) fn plan(
    app: &Loaded,
    from: &BaseRelease,
    to: Option<(&BaseRelease, &Arc<Change>)>,
) -> Result<Follows> {
    let mut entry = ImagePlan {
        digest: app.digest,
        platform: app.platform.clone(),
        base: from.base.name.clone(),
        from: from.entry(),
        to: None,
        class: None,
        obstacles: Vec::new(),
        more_obstacles: 0,
        evidence: road::rebase::PathEvidence::default(),
        packages: Vec::new(),
        more_packages: 0,
        own_packages: Vec::new(),
        more_own_packages: 0,
        merged: Vec::new(),
        conflicts: Vec::new(),
        findings: FindingsChange::default(),
        remains: Vec::new(),
        new_digest: None,
    };
    let Some((to, change)) = to else {
        return Ok(Follows { entry, written: None });
    };
    entry.to = Some(to.entry());
    let first = from.image.layers.len();
    let layers = app.paths(first);
    let linkages = linkages(&app.layers[first.min(app.layers.len())..]);
    let contracts = [from.contract(), to.contract()];
    let image = Image {
        app: app.stored(),
        old: side(&from.image, &contracts[0], &change.old),
        new: side(&to.image, &contracts[1], &change.new),
        change: &change.paths,
        layers: layers.as_deref().map_err(|(layer, why)| (*layer, why.as_str())),
        linkages: &linkages,
        has_source: app.has_source,
    };
    let assessment = assess(&image);
    let written = if assessment.class.can_follow() {
        follow(&image, assessment, [app, &from.image, &to.image], &to.named)?
    } else {
        Err(Box::new(assessment))
    };
    match written {
        Ok((merged, written, bytes, assessment)) => {
            tell(&mut entry, assessment, (app, first));
            (entry.packages, entry.more_packages) = capped(merged.changes);
            (entry.own_packages, entry.more_own_packages) = capped(merged.own);
            entry.merged = merged.paths;
            entry.conflicts = written.conflicts;
            entry.new_digest = Some(written.digest);
            Ok(Follows {
                entry,
                written: Some(bytes),
            })
        }
        Err(assessment) => {
            tell(&mut entry, *assessment, (app, first));
            Ok(Follows { entry, written: None })
        }
    }
}

/// Packages that a plan names; the rest is counted. Plans are kept in the journal.
const MAX_PACKAGES_NAMED: usize = 1_000;

fn capped<T>(mut all: Vec<T>) -> (Vec<T>, u64) {
    let more = all.len().saturating_sub(MAX_PACKAGES_NAMED) as u64;
    all.truncate(MAX_PACKAGES_NAMED);
    (all, more)
}

fn tell(entry: &mut ImagePlan, assessment: Assessment, (app, first): (&Loaded, usize)) {
    entry.class = Some(assessment.class);
    entry.more_obstacles = assessment.more_obstacles as u64;
    entry.evidence = assessment.evidence;
    let mut steps = steps(app, first, &assessment.obstacles).into_iter();
    let entries = assessment.obstacles.into_iter().map(|what| ObstacleEntry {
        text: findings::harmless(&what.to_string()).into_owned(),
        step: steps.next().flatten(),
        what,
    });
    entry.obstacles = entries.collect();
}

/// Obstacles of which it is looked for the step that they stem from.
const MAX_STEPS: usize = 10;

/// Where the lists of packages lie.
const DATABASES: [&str; 2] = ["var/lib/dpkg/status", "lib/apk/db/installed"];

/// The steps of the Dockerfile that the first obstacles stem from, as far as the history of the image tells.
fn steps(app: &Loaded, first: usize, obstacles: &[Obstacle]) -> Vec<Option<String>> {
    let Some(steps) = Steps::of(&app.config, app.layers.len()) else {
        return Vec::new();
    };
    let of_each: Vec<Vec<&str>> = obstacles.iter().take(MAX_STEPS).map(paths_of).collect();
    let layers = layers_of(&app.layers, first, of_each.iter().flatten().copied());
    let step = |paths: &Vec<&str>| {
        let layer = paths.iter().find_map(|path| layers.get(path))?;
        Some(findings::harmless(&steps.step(*layer)?).into_owned())
    };
    of_each.iter().map(step).collect()
}

/// Where an obstacle lies, the likeliest first.
fn paths_of(what: &Obstacle) -> Vec<&str> {
    let of_packages = DATABASES.iter().filter(|_| what.is_of_packages()).copied();
    what.path().into_iter().chain(of_packages).collect()
}

/// The topmost layer of the application that has a path or takes it away, of each path where there is one. A listing is read once.
fn layers_of<'p>(
    layers: &[Option<Arc<LayerReport>>],
    first: usize,
    paths: impl Iterator<Item = &'p str>,
) -> HashMap<&'p str, usize> {
    let (mut found, mut left) = (HashMap::new(), paths.collect::<HashSet<&str>>());
    for (layer, report) in layers.iter().enumerate().skip(first).rev() {
        if left.is_empty() {
            break;
        }
        let Some(report) = report else { continue };
        let mut here: HashSet<&str> = HashSet::new();
        let listed = report.listing.for_each(1 << 30, |listed, _| {
            here.extend(left.get(listed).copied());
        });
        if listed.is_err() {
            here.clear();
        }
        let is_taken =
            |path: &&str| is_gone(report, path) || report.opaque.iter().any(|hidden| hidden == path);
        here.extend(left.iter().copied().filter(is_taken));
        left.retain(|path| !here.contains(path));
        found.extend(here.into_iter().map(|path| (path, layer)));
    }
    found
}

fn side<'a>(image: &'a Loaded, contract: &'a Contract, libraries: &'a road::rebase::Libraries) -> Side<'a> {
    Side {
        stored: image.stored(),
        os: image.os.as_ref(),
        contract,
        libraries,
    }
}

fn linkages(layers: &[Option<Arc<LayerReport>>]) -> Vec<Linkage> {
    let facts = layers
        .iter()
        .flatten()
        .filter_map(|report| report.rebase.as_deref());
    let all = facts.flat_map(|facts| &facts.linkages);
    // Of two layers with a file at one path the upper one counts.
    let by_path: BTreeMap<&str, &Linkage> = all.map(|linkage| (linkage.path.as_str(), linkage)).collect();
    by_path.into_values().cloned().collect()
}

type Followed = Result<(Merged, Written, Bytes, Assessment), Box<Assessment>>;

fn follow(
    image: &Image<'_>,
    mut assessment: Assessment,
    all: [&Loaded; 3],
    named: &BaseNamed,
) -> Result<Followed> {
    let [app, old, new] = all;
    let mut files = Files::new();
    for wanted in std::mem::take(&mut assessment.wanted) {
        let of = match wanted.of {
            Of::App => app,
            Of::Old => old,
            Of::New => new,
        };
        match kept(of, &wanted) {
            Kept::There(content) => drop(files.insert(wanted, content)),
            Kept::Absent => {}
            Kept::Missing => {
                let why = format!(
                    "its bytes are not known: it has more than {KEPT_FILE_BYTES}, or is no plain file"
                );
                let path = wanted.path;
                assessment.obstacles.push(Obstacle::Unreadable { path, why });
                assessment.class = if image.has_source {
                    SafetyClass::C
                } else {
                    SafetyClass::D
                };
                return Ok(Err(Box::new(assessment)));
            }
        }
    }
    let merged = match merge(image, &assessment, &files, changed_at(all)) {
        Ok(merged) => merged,
        Err(refused) => return Ok(Err(refused)),
    };
    let top = merged.archive.as_deref().map(compress).transpose()?;
    let described = top
        .as_ref()
        .zip(merged.archive.as_ref())
        .map(|(stored, archive)| TopLayer {
            digest: Digest::of(Algorithm::Sha256, stored),
            size: stored.len() as u64,
            diff_id: Digest::of(Algorithm::Sha256, archive),
        });
    let written = write(image, described.as_ref(), named).context("the image cannot be written")?;
    let bytes = Bytes {
        media_type: app.manifest.0.clone(),
        manifest: written.manifest.clone(),
        config: written.config.clone(),
        top,
    };
    Ok(Ok((merged, written, bytes, assessment)))
}

enum Kept {
    There(FileContent),
    /// The image has no such file.
    Absent,
    /// It has, and its bytes were not kept.
    Missing,
}

/// A file as the topmost layer that has it has it.
fn kept(image: &Loaded, wanted: &WantedFile) -> Kept {
    for report in image.layers.iter().rev().flatten() {
        let facts = report.rebase.as_deref();
        let found = facts.and_then(|facts| facts.kept.iter().find(|file| file.path == wanted.path));
        if let Some(file) = found {
            return content(file).map_or(Kept::Missing, Kept::There);
        }
        if is_gone(report, &wanted.path) {
            return Kept::Absent;
        }
        match is_listed(report, &wanted.path) {
            Some(false) => {}
            Some(true) | None => return Kept::Missing,
        }
    }
    Kept::Absent
}

fn content(file: &KeptFile) -> Option<FileContent> {
    Some(FileContent {
        bytes: file.content.bytes(KEPT_FILE_BYTES)?,
        mode: file.mode,
        owner: file.owner,
    })
}

fn is_gone(report: &LayerReport, path: &str) -> bool {
    let is_above = |above: &String| {
        path == above
            || path
                .strip_prefix(above.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    };
    report.whiteouts.iter().any(is_above)
        || report
            .opaque
            .iter()
            .any(|above| above != path && (above.is_empty() || is_above(above)))
}

/// `None`: the listing is damaged.
fn is_listed(report: &LayerReport, path: &str) -> Option<bool> {
    let mut found = false;
    let listed = report
        .listing
        .for_each(1 << 30, |listed, _| found |= listed == path);
    listed.ok().map(|_| found)
}

/// The same bytes each time: no name, no time.
fn compress(archive: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    encoder.write_all(archive)?;
    Ok(encoder.finish()?)
}

/// The time that merged files get: that of the later of image and release, in seconds since 1970.
fn changed_at(all: [&Loaded; 3]) -> u64 {
    #[derive(serde::Deserialize)]
    struct Created {
        created: Option<String>,
    }
    let created = all.iter().filter_map(|image| {
        let created: Created = serde_json::from_slice(&image.config).ok()?;
        let format = &time::format_description::well_known::Rfc3339;
        let at = time::OffsetDateTime::parse(&created.created?, format).ok()?;
        u64::try_from(at.unix_timestamp()).ok()
    });
    // As much as a header of an archive holds.
    created.max().unwrap_or(0).min(0o77_777_777_777)
}
