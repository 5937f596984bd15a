//! The one small layer on top: what application and base both wrote, made one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::archive::{Member, write_members};
use super::assess::{Assessment, Image, Of, WantedFile};
use super::known::Strategy;
use super::loader_cache::merge_loader_cache;
use super::obstacle::Obstacle;
use super::packages::{
    MergedPackages, PackageChange, merge_apk, merge_apk_scripts, merge_apt_states, merge_dpkg,
};
use super::{Tree, lines};

/// A file as an image has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileContent {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

/// The files that were wanted; those that are not there are left out.
pub type Files = BTreeMap<WantedFile, FileContent>;

/// What came of merging.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// An archive without compression; `None`: nothing comes on top.
    #[serde(skip)]
    pub archive: Option<Vec<u8>>,
    /// Files in it.
    pub paths: Vec<String>,
    /// Packages of the base that change below the application.
    pub changes: Vec<PackageChange>,
    /// Packages of the application, which stay.
    pub own: Vec<String>,
}

/// One file of the three images.
struct Three<'a> {
    path: &'a str,
    old: &'a [u8],
    new: &'a [u8],
    app: &'a [u8],
}

impl Three<'_> {
    fn texts(&self) -> Result<[&str; 3], Vec<Obstacle>> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| self.unreadable("it is not UTF-8"));
        Ok([text(self.old)?, text(self.new)?, text(self.app)?])
    }

    fn unreadable(&self, why: &str) -> Vec<Obstacle> {
        vec![Obstacle::Unreadable {
            path: self.path.to_owned(),
            why: why.to_owned(),
        }]
    }

    fn packages(
        &self,
        merge: impl Fn(&str, &str, &str) -> Result<MergedPackages, Vec<Obstacle>>,
        into: &mut Merged,
    ) -> Bytes {
        let [old, new, app] = self.texts()?;
        let merged = merge(old, new, app)?;
        into.changes.extend(merged.changes);
        into.own.extend(merged.own);
        Ok(merged.text.into_bytes())
    }

    fn merge(&self, strategy: Strategy, is_there: impl Fn(&str) -> bool, into: &mut Merged) -> Bytes {
        let path = self.path;
        match strategy {
            Strategy::DpkgStatus => self.packages(merge_dpkg, into),
            Strategy::ApkInstalled => self.packages(|old, new, app| merge_apk(path, old, new, app), into),
            Strategy::ApkScripts => merge_apk_scripts(path, self.old, self.new, self.app),
            Strategy::LoaderCache => {
                merge_loader_cache(self.old, self.new, self.app, is_there).map_err(|why| self.unreadable(why))
            }
            text => {
                let [old, new, app] = self.texts()?;
                let merged = match text {
                    Strategy::AptStates => merge_apt_states(old, new, app),
                    Strategy::Accounts => lines::merge_accounts(path, old, new, app),
                    Strategy::Diversions => lines::merge_diversions(path, old, new, app),
                    Strategy::Certificates => lines::merge_certificates(path, old, new, app),
                    _ => lines::merge_lines(path, old, new, app),
                };
                merged.map(String::into_bytes)
            }
        }
    }
}

type Bytes = Result<Vec<u8>, Vec<Obstacle>>;

/// Merges what must be merged. `changed_at`, in seconds since 1970, is the time that the archive's files get.
///
/// # Errors
/// All that stands against it, as another assessment.
pub fn merge(
    image: &Image<'_>,
    assessment: &Assessment,
    files: &Files,
    changed_at: u64,
) -> Result<Merged, Box<Assessment>> {
    let refuse = |obstacles: BTreeSet<Obstacle>| {
        Box::new(Assessment::of(
            obstacles,
            assessment.evidence.clone(),
            image.has_source,
        ))
    };
    let app = Tree::of(image.layers.unwrap_or_default()).map_err(|error| {
        refuse(BTreeSet::from([Obstacle::Document {
            why: error.to_string(),
        }]))
    })?;
    let is_there = |path: &str| app.resolves(path) || image.change.new.resolves(path);
    let (mut merged, mut members, mut obstacles) = (Merged::default(), Vec::new(), BTreeSet::new());
    for (path, strategy) in &assessment.evidence.merged {
        let of = |of| {
            files.get(&WantedFile {
                of,
                path: path.clone(),
            })
        };
        let [old, new, own] = [of(Of::Old), of(Of::New), of(Of::App)];
        let bytes = |file: Option<&'_ FileContent>| -> Vec<u8> {
            file.map(|file| file.bytes.clone()).unwrap_or_default()
        };
        let (old, new_bytes, own_bytes) = (bytes(old), bytes(new), bytes(own));
        let three = Three {
            path,
            old: &old,
            new: &new_bytes,
            app: &own_bytes,
        };
        match three.merge(*strategy, is_there, &mut merged) {
            // The application's own file is on top already.
            Ok(bytes) if bytes == own_bytes => {}
            Ok(bytes) => {
                let shape = own.or(new).cloned().unwrap_or_default();
                members.push(Member {
                    path: path.clone(),
                    mode: shape.mode,
                    owner: shape.owner,
                    bytes,
                });
            }
            Err(found) => obstacles.extend(found),
        }
    }
    if !obstacles.is_empty() {
        return Err(refuse(obstacles));
    }
    merged.paths = members.iter().map(|member| member.path.clone()).collect();
    if !members.is_empty() {
        let archive = write_members(&members, changed_at);
        let archive = archive.map_err(|why| refuse(BTreeSet::from([Obstacle::Document { why }])))?;
        merged.archive = Some(archive);
    }
    Ok(merged)
}
