use super::*;

fn disk_with_dir(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    for dir in ["a", "b"] {
        disk.create_dir(Path::new(dir)).unwrap();
    }
    disk.sync_dir(Path::new("")).unwrap();
    disk
}

fn content(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open_read(Path::new(path)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

/// What every seed leaves, for many of them.
fn outcomes<T: Ord>(live: impl Fn(&SimDisk), look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    (0..300)
        .map(|seed| {
            let disk = disk_with_dir(seed);
            live(&disk);
            disk.crash();
            look(&disk)
        })
        .collect()
}

#[test]
fn synced_bytes_under_a_synced_name_always_survive() {
    let live = |disk: &SimDisk| {
        let file = disk.create_new(Path::new("a/x")).unwrap();
        file.write_all_at(&[7; 2000], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
    };
    assert_eq!(
        outcomes(live, |disk| content(disk, "a/x")),
        BTreeSet::from([Some(vec![7; 2000])])
    );
}

#[test]
fn unsynced_bytes_survive_in_any_part() {
    let live = |disk: &SimDisk| {
        let file = disk.create_new(Path::new("a/x")).unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
        file.write_all_at(&[7; 1024], 0).unwrap();
    };
    let found = outcomes(live, |disk| content(disk, "a/x").unwrap());
    assert!(
        found.contains(&vec![]) && found.contains(&vec![7; 1024]),
        "none and all"
    );
    assert!(found.contains(&vec![7; 512]), "a prefix");
    assert!(
        found
            .iter()
            .any(|bytes| bytes.len() == 1024 && bytes[..512] != [7; 512]),
        "the second block alone"
    );
}

#[test]
fn an_unsynced_name_may_vanish_with_synced_bytes() {
    let live = |disk: &SimDisk| {
        let file = disk.create_new(Path::new("a/x")).unwrap();
        file.write_all_at(b"x", 0).unwrap();
        file.sync_data().unwrap();
    };
    assert_eq!(outcomes(live, |disk| content(disk, "a/x").is_some()).len(), 2);
}

#[test]
fn a_rename_leaves_the_old_name_the_new_one_or_both_and_never_none() {
    let live = |disk: &SimDisk| {
        disk.create_new(Path::new("a/x")).unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
        disk.rename(Path::new("a/x"), Path::new("b/y")).unwrap();
    };
    let found = outcomes(live, |disk| {
        (content(disk, "a/x").is_some(), content(disk, "b/y").is_some())
    });
    assert_eq!(
        found,
        BTreeSet::from([(true, false), (false, true), (true, true)])
    );
    let synced = |disk: &SimDisk| {
        live(disk);
        disk.sync_dir(Path::new("a")).unwrap();
    };
    let found = outcomes(synced, |disk| {
        (content(disk, "a/x").is_some(), content(disk, "b/y").is_some())
    });
    assert_eq!(
        found,
        BTreeSet::from([(false, true)]),
        "the end of the old name brings the new one along"
    );
}

#[test]
fn a_failed_sync_is_not_mended_by_a_second_one() {
    let live = |disk: &SimDisk| {
        let file = disk.create_new(Path::new("a/x")).unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
        file.write_all_at(&[7; 1024], 0).unwrap();
        disk.plan(Plan {
            error_at: Some((0, Fault::Broken)),
            ..Plan::default()
        });
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
    };
    assert!(outcomes(live, |disk| content(disk, "a/x").unwrap()).len() > 1);
}

#[test]
fn a_planned_crash_stops_everything_until_it_is_over() {
    let disk = disk_with_dir(1);
    let file = disk.create_new(Path::new("a/x")).unwrap();
    disk.plan(Plan {
        crash_at: Some(1),
        ..Plan::default()
    });
    file.write_all_at(b"x", 0).unwrap();
    assert!(file.write_all_at(b"y", 1).is_err() && disk.list(Path::new("a")).is_err());
    assert!(disk.is_down());
    disk.crash();
    assert!(file.sync_data().is_err(), "opened before the crash");
    disk.list(Path::new("a")).unwrap();
}
