//! Units: what one file says is installed, wherever the file lies.

use findings::UnitKind;

use super::{
    Fleet, NONE,
    facts::PlacedUnit,
    slots::{Keyed, at},
};

/// A unit by the digest of its content.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) id: [u8; 32],
    pub(super) kind: UnitKind,
    pub(super) packages: Packages,
}

/// Packages of a unit. Most units have one; those with hundreds are databases, whose packages lie nowhere inside.
#[derive(Debug, Clone)]
pub(super) enum Packages {
    One(Stated),
    Plain(Box<[u32]>),
    Inside(Box<[Stated]>),
}

impl Packages {
    pub(super) fn of(stated: Vec<Stated>) -> Self {
        match stated.as_slice() {
            [one] => Self::One(*one),
            all if all.iter().all(|stated| stated.inner_path == NONE) => {
                Self::Plain(all.iter().map(|stated| stated.version).collect())
            }
            _ => Self::Inside(stated.into()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Plain(versions) => versions.len(),
            Self::Inside(stated) => stated.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Stated> {
        (0..self.len()).filter_map(|at| match self {
            Self::One(stated) => Some(*stated),
            Self::Plain(versions) => versions.get(at).map(|version| Stated {
                version: *version,
                inner_path: NONE,
            }),
            Self::Inside(stated) => stated.get(at).copied(),
        })
    }

    /// Bytes beside the value itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Plain(versions) => size_of_val(&**versions) + 16,
            Self::Inside(stated) => size_of_val(&**stated) + 16,
        }
    }
}

/// Where a unit lies, sorted.
#[derive(Debug, Clone, Default)]
pub(super) enum Spots {
    #[default]
    None,
    One(Spot),
    Many(Vec<Spot>),
}

impl Spots {
    pub(super) fn as_slice(&self) -> &[Spot] {
        match self {
            Self::None => &[],
            Self::One(spot) => std::slice::from_ref(spot),
            Self::Many(spots) => spots,
        }
    }

    pub(super) fn insert(&mut self, spot: Spot) {
        match self {
            Self::None => *self = Self::One(spot),
            Self::One(one) if *one == spot => {}
            Self::One(one) => *self = Self::Many(vec![spot.min(*one), spot.max(*one)]),
            Self::Many(spots) => {
                if let Err(at) = spots.binary_search(&spot) {
                    spots.insert(at, spot);
                }
            }
        }
    }

    /// Takes out those in a layer.
    pub(super) fn leave(&mut self, layer: u32) {
        let left: &[Spot] = match self {
            Self::Many(spots) => {
                let from = spots.partition_point(|spot| spot.layer < layer);
                let to = spots.partition_point(|spot| spot.layer <= layer);
                spots.drain(from..to);
                spots
            }
            Self::One(spot) if spot.layer == layer => &[],
            Self::None | Self::One(_) => return,
        };
        match left {
            [] => *self = Self::None,
            [one] => *self = Self::One(*one),
            _ => {}
        }
    }

    pub(super) fn shrink(&mut self) {
        if let Self::Many(spots) = self {
            spots.shrink_to_fit();
        }
    }

    /// Bytes beside the value itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Many(spots) => spots.capacity() * size_of::<Spot>() + 16,
        }
    }
}

/// A package that a unit states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) version: u32,
    /// A list: where it lies inside the file.
    pub(super) inner_path: u32,
}

/// Where a unit lies: the place of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) layer: u32,
    pub(super) place: u32,
}

impl Keyed for Unit {
    type Key = [u8; 32];

    fn key(&self) -> [u8; 32] {
        self.id
    }
}

impl Fleet {
    pub(super) fn intern_unit(&mut self, placed: &PlacedUnit) -> u32 {
        // Whoever makes another digest than a SHA-256 of it gives up that the same units are one.
        let id = placed.id.bytes().first_chunk().copied().unwrap_or_default();
        if let Some(number) = self.units.find(&id) {
            return number;
        }
        let stated = placed.unit.packages.iter().map(|package| Stated {
            version: self.intern_version(package),
            inner_path: self.strings.intern_list(&package.inner_path),
        });
        let packages = Packages::of(stated.collect());
        self.put_unit(Unit {
            id,
            kind: placed.unit.kind,
            packages,
        })
    }

    pub(super) fn put_unit(&mut self, unit: Unit) -> u32 {
        let versions: Vec<u32> = unit.packages.iter().map(|stated| stated.version).collect();
        let classes = self.classes_of(&unit);
        let number = self.units.insert(unit);
        for class in classes {
            let class = self.strings.intern(&class);
            self.classes.entry(class).or_default().insert(number);
        }
        *at(&mut self.unit_spots, number) = Spots::None;
        for version in versions {
            at(&mut self.version_units, version).insert(number);
        }
        number
    }

    /// Forgets a unit that no layer has, and the versions that no other one states.
    pub(super) fn drop_unit(&mut self, number: u32) {
        let Some(unit) = self.units.remove(number) else {
            return;
        };
        for class in self.classes_of(&unit) {
            let Some(class) = self.strings.find(&class) else {
                continue;
            };
            let Some(units) = self.classes.get_mut(&class) else {
                continue;
            };
            units.remove(number);
            if units.is_empty() {
                self.classes.remove(&class);
            }
        }
        for stated in unit.packages.iter() {
            let units = at(&mut self.version_units, stated.version);
            units.remove(number);
            if units.is_empty() {
                self.drop_version(stated.version);
            }
        }
    }

    /// Simple names of the classes that packages of an archive lie at.
    fn classes_of(&self, unit: &Unit) -> Vec<String> {
        if unit.kind != UnitKind::JavaArchive {
            return Vec::new();
        }
        let lying = unit.packages.iter().filter(|stated| stated.inner_path != NONE);
        let last = lying.filter_map(|stated| self.strings.list(stated.inner_path).pop());
        last.filter_map(|path| simple_name(&path)).collect()
    }
}

/// The name of a class by its path; `None` for an archive or a directory.
fn simple_name(path: &str) -> Option<String> {
    const ARCHIVES: [&str; 9] = ["jar", "war", "ear", "zip", "aar", "par", "sar", "hpi", "jpi"];
    let (_, file) = path.rsplit_once('/')?;
    let (name, suffix) = file.split_once('.')?;
    let is_class = !name.is_empty() && !suffix.is_empty() && !ARCHIVES.contains(&suffix);
    is_class.then(|| name.to_owned())
}
