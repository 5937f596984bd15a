//! Every advisory of the export that lies beside the workspace.

use std::{collections::BTreeMap, fs::File, io::Read as _};

use crate::advisory::{Advisory, test_data::shared_path};

/// Calls `each` with the feed's name and the bytes of each document.
pub(crate) fn for_each_document(mut each: impl FnMut(&str, &str, &[u8])) -> bool {
    let Some(export) = shared_path("osv") else {
        return false;
    };
    let mut feeds: Vec<_> = std::fs::read_dir(export)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    feeds.sort();
    let mut bytes = Vec::new();
    for feed in feeds.iter().filter(|feed| feed.is_dir()) {
        let home = feed.file_name().unwrap().to_str().unwrap();
        let mut archive = zip::ZipArchive::new(File::open(feed.join("all.zip")).unwrap()).unwrap();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).unwrap();
            bytes.clear();
            file.read_to_end(&mut bytes).unwrap();
            let name = file.name().unwrap().into_owned();
            each(home, &name, &bytes);
        }
    }
    true
}

#[test]
fn every_advisory_of_the_export_is_read() {
    let (mut read, mut refused) = (0, Vec::new());
    let mut databases: BTreeMap<String, usize> = BTreeMap::new();
    let found = for_each_document(|home, name, bytes| match Advisory::read(bytes, home) {
        Ok(advisory) => {
            read += 1;
            *databases.entry(advisory.database.to_string()).or_default() += 1;
        }
        Err(error) => refused.push(format!("{home}/{name}: {error}")),
    });
    if !found {
        return;
    }
    println!("{read} read, {} refused, {databases:?}", refused.len());
    // These two speak of no version at all.
    assert_eq!(
        refused,
        ["CVE-2019-16760", "GHSA-2r7g-8hpc-rpq9"].map(|id| format!(
            "DHI/{id}.json: {id}: affected[0].ranges[0].events: no event says where it is introduced"
        ))
    );
    assert_eq!(read, 43_829 - refused.len());
    assert_eq!(databases["DHI"], 653);
    assert_eq!(databases["DSA"], 2_191);
}
