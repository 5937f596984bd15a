//! The overlay of the reports of an image's layers: what a container of the image would see.
//!
//! Layers are stacked lowest first. An upper layer hides a path of a lower one by a whiteout of the path or of a directory
//! above it, by an opaque directory above it, by putting anything but a directory at the path, or anything but a directory at a
//! directory above it (image-spec, layer.md, "Applying Changesets"). What is hidden is not in the running image, but whoever
//! has the image has it: so secrets stay, and say which layer hides them.

mod caches;

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ByteFinding, FoundUnit, LayerReport, ListingError, OsRelease, Package, UnitKind};

/// Uncompressed bytes of the listing of one layer.
const LISTING_BYTES: u64 = 1 << 30;

/// Bytes of all paths of one layer's listing, written out: a listing says of a path only where it differs from the one before.
const PATHS_BYTES: u64 = 8 << 30;

/// Files and units that the layers of one image hide, each as often as something hides it: as many as half a million packages in each
/// of a thousand layers.
const STEPS: u64 = 500_000_000;

/// The facts of one image: its layers, lowest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReport {
    /// The reports, lowest layer first.
    pub layers: Vec<Arc<LayerReport>>,
}

/// A unit of the running image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentUnit<'a> {
    /// Its layer, counted from 0 at the bottom.
    pub layer: usize,
    /// Where it is and what it says.
    pub found: &'a FoundUnit,
    /// The layer of each of its packages; none where all of them came with the unit itself.
    origins: Vec<usize>,
}

impl<'a> PresentUnit<'a> {
    /// Its packages with the layer that each came with: whoever installs one more writes the database of all again, and has brought
    /// only that one.
    pub fn packages(&self) -> impl Iterator<Item = (&'a Package, usize)> + '_ {
        let packages = self.found.unit.packages.iter().enumerate();
        packages.map(|(place, package)| (package, self.origins.get(place).copied().unwrap_or(self.layer)))
    }
}

/// A problem of a file of some layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentFinding<'a> {
    /// Its layer, counted from 0 at the bottom.
    pub layer: usize,
    /// The layer that hides the file from the running image.
    pub hidden_by: Option<usize>,
    /// What it is.
    pub finding: &'a ByteFinding,
}

/// What a container of the image would see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay<'a> {
    /// By path. What only says what somebody wanted to install is left out where something says what is installed.
    pub units: Vec<PresentUnit<'a>>,
    /// In the order of layers.
    pub findings: Vec<PresentFinding<'a>>,
    /// The operating system, if the image says which.
    pub os: Option<&'a OsRelease>,
}

/// Something at a path, and the layer that hides it.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    layer: usize,
    hidden_by: Option<usize>,
    what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
enum What<'a> {
    Unit(&'a FoundUnit),
    Finding(&'a ByteFinding),
}

/// All that was found so far, by path.
type Places<'a> = BTreeMap<&'a str, Vec<Place<'a>>>;

impl ImageReport {
    /// Stacks the layers.
    ///
    /// # Errors
    /// The listing of a layer is damaged, or it takes more than 500,000,000 steps (see [`ImageReport::overlay_within`]).
    pub fn overlay(&self) -> Result<Overlay<'_>, ListingError> {
        self.overlay_within(STEPS)
    }

    /// Stacks the layers of reports that a stranger sent: they name paths by the million in few bytes, and each may hide as
    /// many others. `steps` counts what is hidden, each file and unit as often as something hides it.
    ///
    /// # Errors
    /// The listing of a layer is damaged, or it takes more steps.
    pub fn overlay_within(&self, steps: u64) -> Result<Overlay<'_>, ListingError> {
        let mut places = Places::new();
        let mut steps = steps;
        for (layer, report) in self.layers.iter().enumerate() {
            hide(&mut places, layer, report, &mut steps)?;
            put(&mut places, layer, report);
        }
        Ok(overlay_of(&places))
    }
}

/// Hides what `report` takes from the layers below it.
fn hide(
    places: &mut Places<'_>,
    layer: usize,
    report: &LayerReport,
    steps: &mut u64,
) -> Result<(), ListingError> {
    if places.is_empty() {
        return Ok(());
    }
    for directory in &report.opaque {
        hide_below(places, layer, directory, steps);
    }
    for path in &report.whiteouts {
        hide_at(places, layer, path);
        hide_below(places, layer, path, steps);
    }
    let mut paths = PATHS_BYTES;
    report.listing.for_each(LISTING_BYTES, |path, kind| {
        paths = paths.saturating_sub(path.len() as u64);
        if kind != '5' && paths > 0 && may_hide(places, path) {
            hide_at(places, layer, path);
            hide_below(places, layer, path, steps);
        }
    })?;
    if *steps == 0 || paths == 0 {
        return Err(ListingError::TooMuchWork);
    }
    Ok(())
}

fn hide_at(places: &mut Places<'_>, layer: usize, path: &str) {
    for place in places.get_mut(path).into_iter().flatten() {
        place.hidden_by.get_or_insert(layer);
    }
}

/// Hides everything below a directory; the root is the empty path. Does nothing once there are no steps left.
fn hide_below(places: &mut Places<'_>, layer: usize, directory: &str, steps: &mut u64) {
    let prefix = if directory.is_empty() {
        String::new()
    } else {
        format!("{directory}/")
    };
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(&prefix), Bound::Unbounded);
    let below = places
        .range_mut::<str, _>(from)
        .take_while(|(path, _)| path.starts_with(&prefix));
    for place in below.flat_map(|(_, places)| places) {
        if *steps == 0 {
            return;
        }
        *steps -= 1;
        place.hidden_by.get_or_insert(layer);
    }
}

/// Whether a path or something below it may be there. Of most paths of a layer nothing is, and the first path from there on tells.
fn may_hide(places: &Places<'_>, path: &str) -> bool {
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(path), Bound::Unbounded);
    let first = places.range::<str, _>(from).next();
    first.is_some_and(|(first, _)| first.starts_with(path))
}

fn put<'a>(places: &mut Places<'a>, layer: usize, report: &'a LayerReport) {
    let units = report
        .units
        .iter()
        .map(|unit| (unit.path.as_str(), What::Unit(unit)));
    let findings = report
        .findings
        .iter()
        .map(|finding| (finding.path.as_str(), What::Finding(finding)));
    for (path, what) in units.chain(findings) {
        places.entry(path).or_default().push(Place {
            layer,
            hidden_by: None,
            what,
        });
    }
}

fn overlay_of<'a>(places: &Places<'a>) -> Overlay<'a> {
    let mut overlay = Overlay::default();
    for (place, beneath) in places.values().flat_map(|places| with_those_beneath(places)) {
        match place.what {
            What::Unit(found) if place.hidden_by.is_none() => overlay.units.push(PresentUnit {
                layer: place.layer,
                origins: origins(place.layer, found, beneath),
                found,
            }),
            What::Unit(_) => {}
            What::Finding(finding) => overlay.findings.push(PresentFinding {
                layer: place.layer,
                hidden_by: place.hidden_by,
                finding,
            }),
        }
    }
    overlay.findings.sort_by_key(|found| found.layer);
    overlay.os = os_of(&overlay.units);
    // What the distribution brought tells nothing of what an application installed.
    let installed: Vec<UnitKind> = overlay
        .units
        .iter()
        .filter(|unit| unit.found.owned_by.is_none())
        .map(|unit| unit.found.unit.kind)
        .collect();
    overlay
        .units
        .retain(|unit| !is_idle_wish(unit.found.unit.kind, &installed));
    overlay
}

/// Each thing at a path, with what lower layers had there.
fn with_those_beneath<'p, 'a>(
    places: &'p [Place<'a>],
) -> impl Iterator<Item = (&'p Place<'a>, &'p [Place<'a>])> {
    let each = places.iter().enumerate();
    each.map(|(at, place)| (place, &places[..at]))
}

/// In which layers the packages of a unit came: the lowest from which on each was always there.
fn origins<'a>(layer: usize, found: &'a FoundUnit, beneath: &[Place<'a>]) -> Vec<usize> {
    if !found.unit.kind.is_database() {
        return Vec::new();
    }
    // What else is known of a package, such as its licence, may lie in files of one of the layers alone.
    let key = |package: &'a Package| (package.kind, &package.name, &package.version, &package.arch);
    let units = beneath.iter().rev().filter_map(|place| match place.what {
        What::Unit(unit) if unit.unit.kind == found.unit.kind => Some((place.layer, unit)),
        What::Unit(_) | What::Finding(_) => None,
    });
    let mut origins = Vec::new();
    let packages = &found.unit.packages;
    // Those that were there in every layer so far, by their places.
    let mut still: Vec<usize> = (0..packages.len()).collect();
    for (lower, unit) in units {
        let had: HashSet<_> = unit.unit.packages.iter().map(key).collect();
        still.retain(|place| had.contains(&key(&packages[*place])));
        if still.is_empty() {
            break;
        }
        if origins.is_empty() {
            origins = vec![layer; packages.len()];
        }
        for place in &still {
            origins[*place] = lower;
        }
    }
    origins
}

/// Whether the unit is a wish beside which something tells what was installed.
fn is_idle_wish(kind: UnitKind, installed: &[UnitKind]) -> bool {
    let truth = match kind {
        UnitKind::NodeLock => UnitKind::NodeModule,
        UnitKind::PythonLock => UnitKind::PythonInstalled,
        UnitKind::GemLock => UnitKind::GemSpec,
        _ => return false,
    };
    installed.contains(&truth)
}

/// Where apk is told what to install from.
const APK_REPOSITORIES: &str = "etc/apk/repositories";

/// `etc/os-release` overrides `usr/lib/os-release` (os-release(5)); older files say less.
fn os_of<'a>(units: &[PresentUnit<'a>]) -> Option<&'a OsRelease> {
    const BY_RANK: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
    let rank = |path: &str| {
        BY_RANK
            .iter()
            .position(|known| *known == path)
            .unwrap_or(BY_RANK.len())
    };
    let found = || {
        units
            .iter()
            .filter_map(|unit| Some((unit.found.path.as_str(), unit.found.unit.os.as_ref()?)))
    };
    let (_, os) = found().min_by_key(|(path, _)| rank(path))?;
    // Edge has no release of its own: its `os-release` names the last one.
    let is_edge = |(path, of): &(&str, &OsRelease)| *path == APK_REPOSITORIES && of.version == "edge";
    let edge = found().find(is_edge).filter(|_| os.id == "alpine");
    Some(edge.map_or(os, |(_, edge)| edge))
}

#[cfg(test)]
mod tests;
