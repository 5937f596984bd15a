//! Every advisory of the export that lies beside the workspace.

use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path, sync::OnceLock};

use crate::advisory::{Advisory, test_data::shared_path};

/// What was read of the export, once for all tests that need it.
pub(crate) struct Export {
    pub(crate) advisories: Vec<Advisory>,
    refused: Vec<String>,
}

/// The export; `None` with a line that says so where it is absent.
pub(crate) fn export() -> Option<&'static Export> {
    static EXPORT: OnceLock<Option<Export>> = OnceLock::new();
    EXPORT
        .get_or_init(|| shared_path("osv").map(|path| read_export(&path)))
        .as_ref()
}

fn read_export(path: &Path) -> Export {
    let mut feeds: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    feeds.sort();
    let mut export = Export {
        advisories: Vec::new(),
        refused: Vec::new(),
    };
    let mut bytes = Vec::new();
    for feed in feeds.iter().filter(|feed| feed.is_dir()) {
        let home = feed.file_name().unwrap().to_str().unwrap();
        let mut archive = zip::ZipArchive::new(File::open(feed.join("all.zip")).unwrap()).unwrap();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).unwrap();
            bytes.clear();
            file.read_to_end(&mut bytes).unwrap();
            match Advisory::read(&bytes, home) {
                Ok(advisory) => export.advisories.push(advisory),
                Err(error) => export
                    .refused
                    .push(format!("{home}/{}: {error}", file.name().unwrap())),
            }
        }
    }
    export
}

#[test]
fn every_advisory_of_the_export_is_read() {
    let Some(Export { advisories, refused }) = export() else {
        return;
    };
    let mut databases: BTreeMap<&str, usize> = BTreeMap::new();
    for advisory in advisories {
        *databases.entry(advisory.database.as_str()).or_default() += 1;
    }
    println!(
        "{} read, {} refused, {databases:?}",
        advisories.len(),
        refused.len()
    );
    // These two speak of no version at all.
    assert_eq!(
        *refused,
        ["CVE-2019-16760", "GHSA-2r7g-8hpc-rpq9"].map(|id| format!(
            "DHI/{id}.json: {id}: affected[0].ranges[0].events: no event says where it is introduced"
        ))
    );
    assert_eq!(advisories.len(), 43_829 - refused.len());
    assert_eq!(databases["DHI"], 653);
    assert_eq!(databases["DSA"], 2_191);
}
