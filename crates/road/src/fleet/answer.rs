//! Answers: which images, and why.

use std::collections::{BTreeSet, HashMap};

use findings::advisory::VulnerabilityFinding;
use roaring::RoaringBitmap;

use super::{Excuse, Fleet, NONE, class::ClassPath, posting::Bits, scope::Scope};

/// Whether an image has what was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The running image has it not: it lies in a lower layer, and something above hides it. Whoever has the image has it.
    Hidden,
    /// It may: a version that has no place in the order, evidence that allows several versions, sources that cannot tell,
    /// headers of a kernel.
    Uncertain,
    /// It has, but something that helps was seen.
    Mitigated,
    /// It has.
    Affected,
}

/// Why a version of a package counts.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) state: State,
    /// Of questions about a vulnerability.
    pub(super) finding: Option<Box<VulnerabilityFinding>>,
}

/// Which places of an image the answer is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Hits {
    /// By version and the number of the operating system; [`NONE`] for any.
    pub(super) versions: HashMap<(u32, u32), Option<Hit>>,
    /// What a package of the distribution owns is judged by the distribution's advisories.
    pub(super) skips_owned: bool,
    /// Places that hold this class, whatever their package.
    pub(super) class: Option<ClassPath>,
}

impl Hits {
    pub(super) fn get(&self, version: u32, os: u32) -> Option<&Hit> {
        let hit = |os| self.versions.get(&(version, os)).and_then(Option::as_ref);
        hit(NONE).or_else(|| hit(os))
    }
}

/// The images that have what was asked about, each in its worst state. It holds until the index changes.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) affected: RoaringBitmap,
    pub(super) mitigated: RoaringBitmap,
    pub(super) uncertain: RoaringBitmap,
    pub(super) hidden: RoaringBitmap,
    /// Images of the three sets above all whose findings a trusted signer takes away.
    pub(super) vex: RoaringBitmap,
    /// Images of them of which a waiver takes some away.
    pub(super) waived: RoaringBitmap,
    /// Images in which the class itself was seen. Of questions about a class.
    pub(super) seen: RoaringBitmap,
    pub(super) hits: Hits,
    pub(super) epoch: u64,
}

/// How many images an answer has, each counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images that have it.
    pub affected: u64,
    /// Images where something that helps was seen at every place.
    pub mitigated: u64,
    /// Images that may have it.
    pub uncertain: u64,
    /// Images that would be one of these, had a trusted signer not said that it does not matter there.
    pub not_affected: u64,
    /// Images that would be one of these, had it not been waived.
    pub waived: u64,
    /// Images that have it only where something above hides it.
    pub hidden: u64,
    /// Those of the affected ones in which the class itself was seen; the others have a package that has it. Of questions about a
    /// class.
    pub seen: u64,
}

/// Images by their state while they are found.
pub(super) struct Found {
    states: [Bits; 4],
    seen: Bits,
    pub(super) hits: Hits,
}

impl Found {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self {
            states: [(); 4].map(|()| Bits::below(fleet.images.end())),
            seen: Bits::below(fleet.images.end()),
            hits: Hits::default(),
        }
    }

    pub(super) fn put(&mut self, image: u32, state: State) {
        self.states[state as usize].insert(image);
    }

    /// It has the class, whatever its packages are called.
    pub(super) fn see(&mut self, image: u32) {
        self.put(image, State::Affected);
        self.seen.insert(image);
    }

    pub(super) fn into_answer(self, scope: &Scope) -> Answer {
        let seen = self.seen.into_bitmap() & &scope.images;
        let [hidden, uncertain, mitigated, affected] =
            self.states.map(|bits| bits.into_bitmap() & &scope.images);
        let mitigated = mitigated - &affected;
        let uncertain = uncertain - &affected - &mitigated;
        let hidden = hidden - &affected - &mitigated - &uncertain;
        Answer {
            affected,
            mitigated,
            uncertain,
            hidden,
            vex: RoaringBitmap::new(),
            waived: RoaringBitmap::new(),
            seen,
            hits: self.hits,
            epoch: scope.epoch,
        }
    }
}

/// Which versions and units a page has to look at: a bit for each.
pub(super) struct Marked {
    versions: Bits,
    units: Bits,
    /// Units that may hold the class that is asked about.
    classed: Bits,
}

impl Marked {
    pub(super) fn of(fleet: &Fleet, answer: &Answer) -> Self {
        let mut marked = Self {
            versions: Bits::below(fleet.versions.end()),
            units: Bits::below(fleet.units.end()),
            classed: Bits::below(fleet.units.end()),
        };
        let hits = answer.hits.versions.iter().filter(|(_, hit)| hit.is_some());
        for ((version, _), _) in hits {
            marked.versions.insert(*version);
            if let Some(units) = fleet.version_units.get(*version as usize) {
                units.for_each(|unit| marked.units.insert(unit));
            }
        }
        if let Some(class) = &answer.hits.class {
            fleet.units_with_class(class).for_each(|unit| {
                marked.units.insert(unit);
                marked.classed.insert(unit);
            });
        }
        marked
    }

    pub(super) fn has_unit(&self, unit: u32) -> bool {
        self.units.contains(unit)
    }

    pub(super) fn may_have_class(&self, unit: u32) -> bool {
        self.classed.contains(unit)
    }

    pub(super) fn has_version(&self, version: u32) -> bool {
        self.versions.contains(version)
    }
}

impl Answer {
    /// How many images there are of each state.
    pub fn counts(&self) -> Counts {
        let excused = &self.vex | &self.waived;
        let open = |images: &RoaringBitmap| images.len() - images.intersection_len(&excused);
        let all = self.images();
        Counts {
            affected: open(&self.affected),
            mitigated: open(&self.mitigated),
            uncertain: open(&self.uncertain),
            not_affected: self.vex.intersection_len(&all),
            waived: self.waived.intersection_len(&all),
            hidden: self.hidden.len(),
            seen: self.seen.intersection_len(&self.affected),
        }
    }

    /// The same without images of other states (`&[State::Affected]`).
    #[must_use]
    pub fn only(mut self, states: &[State]) -> Self {
        let sets = [
            (State::Affected, &mut self.affected),
            (State::Mitigated, &mut self.mitigated),
            (State::Uncertain, &mut self.uncertain),
            (State::Hidden, &mut self.hidden),
        ];
        for (state, set) in sets {
            if !states.contains(&state) {
                set.clear();
            }
        }
        self
    }

    /// The findings that the answer rests on, one for each version of a package and operating system that was met in the fleet,
    /// whether or not the scope has it.
    pub fn findings(&self) -> impl Iterator<Item = &VulnerabilityFinding> {
        let hits = self.hits.versions.values().flatten();
        hits.filter_map(|hit| hit.finding.as_deref())
    }

    /// Versions that would fix it, each once: those of the findings.
    pub fn fixes(&self) -> BTreeSet<&str> {
        self.findings()
            .filter_map(|finding| finding.fix.version())
            .collect()
    }

    /// No image of a scope.
    pub(super) fn nothing(scope: &Scope) -> Self {
        Self {
            affected: RoaringBitmap::new(),
            mitigated: RoaringBitmap::new(),
            uncertain: RoaringBitmap::new(),
            hidden: RoaringBitmap::new(),
            vex: RoaringBitmap::new(),
            waived: RoaringBitmap::new(),
            seen: RoaringBitmap::new(),
            hits: Hits::default(),
            epoch: scope.epoch,
        }
    }

    /// Whether or not somebody's word takes it away.
    pub(super) fn images(&self) -> RoaringBitmap {
        &(&self.affected | &self.mitigated) | &self.uncertain
    }

    /// Those of which somebody has to do something.
    pub(super) fn open(&self) -> RoaringBitmap {
        &(&self.images() - &self.vex) - &self.waived
    }

    /// Those that have a row.
    pub(super) fn listed(&self) -> RoaringBitmap {
        &self.images() | &self.hidden
    }

    pub(super) fn excuse_of(&self, image: u32) -> Option<Excuse> {
        let sets = [(Excuse::Vex, &self.vex), (Excuse::Waiver, &self.waived)];
        let found = sets.into_iter().find(|(_, set)| set.contains(image));
        found.map(|(excuse, _)| excuse)
    }

    pub(super) fn state_of(&self, image: u32) -> Option<State> {
        let sets = [
            (State::Affected, &self.affected),
            (State::Mitigated, &self.mitigated),
            (State::Uncertain, &self.uncertain),
            (State::Hidden, &self.hidden),
        ];
        let found = sets.into_iter().find(|(_, set)| set.contains(image));
        found.map(|(state, _)| state)
    }
}
