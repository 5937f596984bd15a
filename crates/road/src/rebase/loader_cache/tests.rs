use super::*;

fn library(name: &str, path: &str) -> Library {
    Library {
        flags: 0x0303,
        name: name.as_bytes().to_vec(),
        path: path.as_bytes().to_vec(),
    }
}

fn cache(libraries: &[(&str, &str)]) -> Vec<u8> {
    let libraries = libraries.iter().map(|(name, path)| library(name, path)).collect();
    write(&Cache { libraries, order: 2 })
}

fn listed(bytes: &[u8]) -> Vec<String> {
    let cache = read(bytes).unwrap();
    let path = |library: Library| String::from_utf8(library.path).unwrap();
    cache.libraries.into_iter().map(path).collect()
}

#[test]
fn the_new_bases_libraries_and_the_own_ones_are_listed_in_the_loaders_order() {
    let old = cache(&[
        ("libssl.so.1.1", "/lib/libssl.so.1.1"),
        ("libc.so.6", "/lib/libc.so.6"),
    ]);
    let new = cache(&[
        ("libssl.so.3", "/lib/libssl.so.3"),
        ("libc.so.6", "/lib/libc.so.6"),
    ]);
    let app = cache(&[
        ("libssl.so.1.1", "/lib/libssl.so.1.1"),
        ("libfoo.so.10", "/opt/lib/libfoo.so.10"),
        ("libfoo.so.9", "/opt/lib/libfoo.so.9"),
        ("libgone.so", "/lib/libgone.so"),
        ("libc.so.6", "/lib/libc.so.6"),
    ]);
    let merged = merge_loader_cache(&old, &new, &app, |path| path != "lib/libgone.so").unwrap();
    assert_eq!(
        listed(&merged),
        [
            "/lib/libssl.so.3",
            "/opt/lib/libfoo.so.10",
            "/opt/lib/libfoo.so.9",
            "/lib/libc.so.6"
        ]
    );
    assert_eq!(
        merge_loader_cache(&old, &new, &app, |path| path != "lib/libgone.so").unwrap(),
        merged
    );
}

#[test]
fn the_tail_of_the_older_format_is_read() {
    let inner = cache(&[("libc.so.6", "/lib/libc.so.6")]);
    let mut bytes = OLD_MAGIC.to_vec();
    bytes.push(0);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0; 12]);
    bytes.resize(32, 0);
    bytes.extend(&inner);
    assert_eq!(listed(&bytes), ["/lib/libc.so.6"]);
}

#[test]
fn damaged_ones_are_refused() {
    let whole = cache(&[("libc.so.6", "/lib/libc.so.6")]);
    for cut in [1, 30, HEADER + 10, whole.len() - 1] {
        assert!(read(&whole[..cut]).is_err(), "{cut}");
    }
    let mut many = whole.clone();
    many[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&many).unwrap_err(), "it has too many libraries");
    let mut other = whole.clone();
    other[28] = 3;
    assert!(read(&other).is_err());
    let mut far = whole;
    far[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&far).unwrap_err(), "a name is cut off");
}

#[test]
fn entries_that_point_at_one_text_a_hundred_thousand_times_fill_no_memory() {
    let long = "x".repeat(4_000);
    let mut bytes = cache(&[(&long, "/lib/x")]);
    let entry = bytes[HEADER..HEADER + ENTRY].to_vec();
    let count = 5_000;
    let moved = u32::try_from((count - 1) * ENTRY).unwrap();
    let field = |at: usize| (u32::from_le_bytes(entry[at..at + 4].try_into().unwrap()) + moved).to_le_bytes();
    let mut shifted = entry.clone();
    shifted[4..8].copy_from_slice(&field(4));
    shifted[8..12].copy_from_slice(&field(8));
    bytes.splice(HEADER..HEADER + ENTRY, shifted.repeat(count));
    bytes[20..24].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
    assert_eq!(read(&bytes).unwrap_err(), "its names are too long together");
}

#[test]
fn what_this_machines_ldconfig_wrote_is_read_and_stands_in_the_same_order() {
    let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else {
        return;
    };
    let there = read(&bytes).unwrap();
    assert!(!there.libraries.is_empty());
    let mut sorted = there.libraries.clone();
    sorted.sort_by(|left, right| compare_names(&right.name, &left.name));
    let names = |libraries: &[Library]| {
        libraries
            .iter()
            .map(|library| library.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&sorted), names(&there.libraries));
}
