//! The whole catalogue of the road: bases, toolchains, golden paths, what applications say, exemptions; held together.

use std::collections::BTreeMap;
use std::fmt;

use policy::yaml::one_line;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::app_road::{AppRoad, FreezeError, FreezeWindow, LAST_YEAR, MAX_FREEZES, MAX_LEVEL, MAX_TARGETS};
use crate::application::{MAX_APPLICATIONS, MAX_TIER};
use crate::base::Bases;
use crate::exemption::{Exemption, ExemptionError, MAX_EXEMPTIONS};
use crate::golden_path::{GoldenPath, MAX_LINE_BYTES, MAX_LISTED, MAX_PATHS, MAX_SLSA_LEVEL, Toolchain};
use crate::names::{ApplicationName, BaseName, GoldenPathId, RuleId, ToolchainName};

mod entry;

/// One entry of the catalogue that is no base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "entry")]
pub enum RoadEntry {
    /// Who may have built.
    Toolchain(Toolchain),
    /// A template with all that comes with it.
    GoldenPath(GoldenPath),
    /// What an application says.
    AppRoad(AppRoad),
    /// What an application need not do.
    Exemption(Exemption),
}

/// What an entry is, in the words of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoadKind {
    /// [`crate::base::BaseImage`], which is kept apart.
    BaseImage,
    /// [`Toolchain`].
    Toolchain,
    /// [`GoldenPath`].
    GoldenPath,
    /// [`AppRoad`].
    AppRoad,
    /// [`Exemption`].
    Exemption,
}

impl RoadKind {
    /// All, those first that others name.
    pub const ALL: [Self; 5] = [
        Self::BaseImage,
        Self::Toolchain,
        Self::GoldenPath,
        Self::AppRoad,
        Self::Exemption,
    ];

    /// As files write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BaseImage => "BaseImage",
            Self::Toolchain => "Toolchain",
            Self::GoldenPath => "GoldenPath",
            Self::AppRoad => "AppRoad",
            Self::Exemption => "Exemption",
        }
    }

    /// The kind of this spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for RoadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl RoadEntry {
    /// What it is.
    pub const fn kind(&self) -> RoadKind {
        match self {
            Self::Toolchain(_) => RoadKind::Toolchain,
            Self::GoldenPath(_) => RoadKind::GoldenPath,
            Self::AppRoad(_) => RoadKind::AppRoad,
            Self::Exemption(_) => RoadKind::Exemption,
        }
    }

    /// What tells it from others of its kind: its name; of an exemption `application:rule`.
    pub fn name(&self) -> String {
        match self {
            Self::Toolchain(toolchain) => toolchain.name.to_string(),
            Self::GoldenPath(path) => path.id.to_string(),
            Self::AppRoad(road) => road.application.to_string(),
            Self::Exemption(exemption) => format!("{}:{}", exemption.application, exemption.rule),
        }
    }

    /// What types do not check: lengths, numbers and times.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PavingError> {
        let wrong = |fault: Fault| PavingError::Entry {
            kind: self.kind(),
            name: self.name(),
            fault,
        };
        match self {
            Self::Toolchain(toolchain) => check_toolchain(toolchain).map_err(wrong),
            Self::GoldenPath(path) => check_path(path).map_err(wrong),
            Self::AppRoad(road) => check_app_road(road).map_err(wrong),
            Self::Exemption(exemption) => exemption.check().map_err(|fault| wrong(fault.into())),
        }
    }
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// A list without end.
    #[error("`{key}` lists {count}: at most {limit} are allowed")]
    Long {
        /// Which.
        key: &'static str,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A list with nothing.
    #[error("`{0}` lists nothing: name one at least")]
    Empty(&'static str),
    /// A text that is no line.
    #[error("`{key}` must be one line of 1 to {limit} bytes", limit = MAX_LINE_BYTES)]
    Line {
        /// Which.
        key: &'static str,
    },
    /// A number that is too high.
    #[error("`{key}` is {number}: at most {limit} is allowed")]
    Number {
        /// Which.
        key: &'static str,
        /// Which number.
        number: u8,
        /// The highest.
        limit: u8,
    },
    /// An end that is none.
    #[error("`{0}` is after {LAST_YEAR}: that is no end")]
    Endless(&'static str),
    /// A window that makes no sense.
    #[error("`freeze` has {0}")]
    Freeze(#[from] FreezeError),
    /// Likewise.
    #[error(transparent)]
    Exemption(#[from] ExemptionError),
    /// An entry that would never end.
    #[error("it has no end: name `until`, or a golden path in `path`, whose end then counts")]
    NoEnd,
    /// It names what is not there.
    #[error("it names {kind} `{name}`, which is not declared{hint}")]
    Missing {
        /// What.
        kind: RoadKind,
        /// Which.
        name: String,
        /// The nearest one.
        hint: String,
    },
}

impl Fault {
    /// The key of the file that it is about.
    pub const fn key(&self) -> Option<&'static str> {
        match self {
            Self::Long { key, .. }
            | Self::Empty(key)
            | Self::Line { key }
            | Self::Number { key, .. }
            | Self::Endless(key) => Some(key),
            Self::Freeze(_) => Some("freeze"),
            Self::Exemption(fault) => Some(match fault {
                ExemptionError::Backwards | ExemptionError::Long | ExemptionError::Endless => "expiresAt",
                ExemptionError::NotApproved | ExemptionError::Approvers(_) => "approvedBy",
                ExemptionError::Renewals(_) => "maxRenewals",
                ExemptionError::Text(key) => key,
            }),
            Self::NoEnd | Self::Missing { .. } => None,
        }
    }
}

/// Why entries are no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PavingError {
    /// Too many of a kind.
    #[error("there are {count} entries of kind {kind}: at most {limit} are allowed")]
    TooMany {
        /// Which kind.
        kind: RoadKind,
        /// How many.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// One name, two entries.
    #[error("{kind} `{name}` is declared twice: remove one of the entries")]
    Twice {
        /// Which kind.
        kind: RoadKind,
        /// Which name.
        name: String,
    },
    /// Something is wrong with one.
    #[error("{kind} `{name}`: {fault}")]
    Entry {
        /// Which kind.
        kind: RoadKind,
        /// Which name.
        name: String,
        /// What.
        #[source]
        fault: Fault,
    },
}

impl PavingError {
    /// Which entry it is about, where it is about one.
    pub fn entry(&self) -> Option<(RoadKind, &str)> {
        match self {
            Self::Twice { kind, name } | Self::Entry { kind, name, .. } => Some((*kind, name)),
            Self::TooMany { .. } => None,
        }
    }
}

/// All entries that are no bases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paving {
    toolchains: BTreeMap<ToolchainName, Toolchain>,
    paths: BTreeMap<GoldenPathId, GoldenPath>,
    app_roads: BTreeMap<ApplicationName, AppRoad>,
    exemptions: BTreeMap<ApplicationName, BTreeMap<RuleId, Exemption>>,
}

impl Paving {
    /// From entries in any order, which go together with these bases.
    ///
    /// # Errors
    /// What is wrong with one of them, or with all together.
    pub fn build(bases: &Bases, entries: Vec<RoadEntry>) -> Result<Self, PavingError> {
        let mut paving = Self::default();
        for entry in entries {
            entry.check()?;
            paving.add(entry)?;
        }
        paving.check_counts()?;
        for path in paving.paths.values() {
            paving.check_named(bases, path)?;
        }
        for road in paving.app_roads.values() {
            paving.check_road(road)?;
        }
        Ok(paving)
    }

    fn add(&mut self, entry: RoadEntry) -> Result<(), PavingError> {
        let twice = PavingError::Twice {
            kind: entry.kind(),
            name: entry.name(),
        };
        let is_there = match entry {
            RoadEntry::Toolchain(toolchain) => self
                .toolchains
                .insert(toolchain.name.clone(), toolchain)
                .is_some(),
            RoadEntry::GoldenPath(path) => self.paths.insert(path.id.clone(), path).is_some(),
            RoadEntry::AppRoad(road) => self.app_roads.insert(road.application.clone(), road).is_some(),
            RoadEntry::Exemption(of) => {
                let others = self.exemptions.entry(of.application.clone()).or_default();
                others.insert(of.rule.clone(), of).is_some()
            }
        };
        if is_there { Err(twice) } else { Ok(()) }
    }

    fn check_counts(&self) -> Result<(), PavingError> {
        let counts = [
            (RoadKind::Toolchain, self.toolchains.len(), MAX_PATHS),
            (RoadKind::GoldenPath, self.paths.len(), MAX_PATHS),
            (RoadKind::AppRoad, self.app_roads.len(), MAX_APPLICATIONS),
            (RoadKind::Exemption, self.exemptions().count(), MAX_EXEMPTIONS),
        ];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((kind, count, limit)) => Err(PavingError::TooMany { kind, count, limit }),
            None => Ok(()),
        }
    }

    fn check_named(&self, bases: &Bases, path: &GoldenPath) -> Result<(), PavingError> {
        let fault = |kind, name: &str, known: Vec<&str>| PavingError::Entry {
            kind: RoadKind::GoldenPath,
            name: path.id.to_string(),
            fault: missing(kind, name, known),
        };
        if let Some(base) = path.bases.iter().find(|base| bases.get(base).is_none()) {
            let known = bases.iter().map(|base| base.name.as_str()).collect();
            return Err(fault(RoadKind::BaseImage, base.as_str(), known));
        }
        let unknown = path
            .toolchains
            .iter()
            .find(|name| !self.toolchains.contains_key(*name));
        if let Some(name) = unknown {
            let known = self.toolchains.keys().map(ToolchainName::as_str).collect();
            return Err(fault(RoadKind::Toolchain, name.as_str(), known));
        }
        Ok(())
    }

    fn check_road(&self, road: &AppRoad) -> Result<(), PavingError> {
        let fault = |fault| PavingError::Entry {
            kind: RoadKind::AppRoad,
            name: road.application.to_string(),
            fault,
        };
        match &road.path {
            Some(path) if !self.paths.contains_key(path) => {
                let known = self.paths.keys().map(GoldenPathId::as_str).collect();
                Err(fault(missing(RoadKind::GoldenPath, path.as_str(), known)))
            }
            None if road.until.is_none() => Err(fault(Fault::NoEnd)),
            _ => Ok(()),
        }
    }

    /// What an application says about the road; nothing once that has ended.
    pub fn app_road<'a>(&'a self, application: &ApplicationName, now: OffsetDateTime) -> Option<&'a AppRoad> {
        let road = self.app_roads.get(application)?;
        self.end_of(road).is_none_or(|end| now < end).then_some(road)
    }

    /// Until when that counts: its own end, or that of its golden path.
    pub fn end_of(&self, road: &AppRoad) -> Option<OffsetDateTime> {
        road.until.or_else(|| self.end_of_path(road.path.as_ref()?))
    }

    /// Until when a golden path counts, if it is there.
    pub fn end_of_path(&self, path: &GoldenPathId) -> Option<OffsetDateTime> {
        self.paths.get(path).map(|path| path.supported_until)
    }

    /// The live exemption of an application, of several the one that lasts longest.
    pub fn exemption(&self, application: &ApplicationName, now: OffsetDateTime) -> Option<&Exemption> {
        let live = self.exemptions_of(application).filter(|of| of.is_live(now));
        live.max_by_key(|of| of.until)
    }

    /// All exemptions of an application, live or not.
    pub fn exemptions_of<'a>(
        &'a self,
        application: &ApplicationName,
    ) -> impl Iterator<Item = &'a Exemption> + use<'a> {
        self.exemptions
            .get(application)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// Toolchains, by name.
    pub fn toolchains(&self) -> impl ExactSizeIterator<Item = &Toolchain> {
        self.toolchains.values()
    }

    /// Golden paths, by name and version.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &GoldenPath> {
        self.paths.values()
    }

    /// What applications say, by name; also what has ended.
    pub fn app_roads(&self) -> impl ExactSizeIterator<Item = &AppRoad> {
        self.app_roads.values()
    }

    /// Exemptions, by application and rule; also what has ended.
    pub fn exemptions(&self) -> impl Iterator<Item = &Exemption> {
        self.exemptions.values().flat_map(BTreeMap::values)
    }

    /// The golden paths that stand on a base.
    pub fn paths_on<'a>(&'a self, base: &'a BaseName) -> impl Iterator<Item = &'a GoldenPath> {
        self.paths().filter(move |path| path.bases.contains(base))
    }
}

fn missing(kind: RoadKind, name: &str, known: Vec<&str>) -> Fault {
    let hint = policy::yaml::did_you_mean(name, known);
    Fault::Missing {
        kind,
        name: name.to_owned(),
        hint,
    }
}

fn check_toolchain(toolchain: &Toolchain) -> Result<(), Fault> {
    check_end("supportedUntil", toolchain.supported_until)?;
    check_lines("builders", &toolchain.builders)?;
    if toolchain.builders.is_empty() {
        return Err(Fault::Empty("builders"));
    }
    check_number("slsaLevel", toolchain.slsa_level, MAX_SLSA_LEVEL)
}

fn check_path(path: &GoldenPath) -> Result<(), Fault> {
    check_end("supportedUntil", path.supported_until)?;
    check_count("bases", path.bases.len(), MAX_LISTED)?;
    check_count("toolchains", path.toolchains.len(), MAX_LISTED)?;
    check_lines("policies", &path.policies)?;
    check_lines("gives", &path.gives)?;
    check_lines("template", path.template.as_slice())?;
    if path.bases.is_empty() {
        return Err(Fault::Empty("bases"));
    }
    Ok(())
}

fn check_app_road(road: &AppRoad) -> Result<(), Fault> {
    if let Some(until) = road.until {
        check_end("until", until)?;
    }
    check_count("freeze", road.freezes.len(), MAX_FREEZES)?;
    road.freezes.iter().try_for_each(FreezeWindow::check)?;
    let mut freezes = road.freezes.iter();
    freezes.try_for_each(|freeze| check_end("freeze", freeze.until))?;
    check_count("targetLevels", road.target_levels.len(), MAX_TARGETS)?;
    let mut levels = road.target_levels.values();
    levels.try_for_each(|level| check_number("targetLevels", *level, MAX_LEVEL))?;
    road.tier
        .map_or(Ok(()), |tier| check_number("tier", tier, MAX_TIER))
}

fn check_end(key: &'static str, end: OffsetDateTime) -> Result<(), Fault> {
    if end.year() > LAST_YEAR {
        Err(Fault::Endless(key))
    } else {
        Ok(())
    }
}

fn check_count(key: &'static str, count: usize, limit: usize) -> Result<(), Fault> {
    if count > limit {
        Err(Fault::Long { key, count, limit })
    } else {
        Ok(())
    }
}

fn check_lines(key: &'static str, lines: &[String]) -> Result<(), Fault> {
    check_count(key, lines.len(), MAX_LISTED)?;
    let is_line = |text: &&String| !text.is_empty() && one_line(text, MAX_LINE_BYTES) == **text;
    if lines.iter().all(|text| is_line(&text)) {
        Ok(())
    } else {
        Err(Fault::Line { key })
    }
}

fn check_number(key: &'static str, number: u8, limit: u8) -> Result<(), Fault> {
    if number > limit {
        Err(Fault::Number { key, number, limit })
    } else {
        Ok(())
    }
}
