//! Which files are read.

/// First bytes of what holds no secrets that could be read as text.
const NOT_TEXT: &[(&[u8], &str)] = &[
    (
        b"\x7fELF",
        "programs and libraries: their strings are words, and their data looks like keys",
    ),
    (b"MZ", "programs of Windows"),
    (b"\xca\xfe\xba\xbe", "Java classes"),
    (b"PK\x03\x04", "zip: what is in it is looked into by itself"),
    (b"\x1f\x8b", "gzip, such as manual pages"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"!<arch>\n", "static libraries and Debian packages"),
    (b"\x89PNG", "pictures"),
    (b"\xff\xd8\xff", "pictures"),
    (b"GIF8", "pictures"),
    (b"%PDF", "documents, compressed inside"),
    (b"wOF", "fonts"),
    (b"OTTO", "fonts"),
    (b"\x00\x01\x00\x00", "fonts"),
    (b"\xde\x12\x04\x95", "message catalogues"),
    (b"TZif", "time zones"),
];

/// Folders of what a distribution ships as text and nobody writes secrets to: they are large and many.
const NOT_WRITTEN: &[(&str, &str)] = &[
    ("usr/share/man/", "manual pages"),
    ("usr/share/info/", "manuals"),
    ("usr/share/locale/", "message catalogues"),
    ("usr/share/i18n/", "sources of locales"),
    ("usr/share/zoneinfo/", "time zones"),
    ("usr/share/fonts/", "fonts"),
    ("usr/share/icons/", "pictures"),
    ("usr/share/mime/", "types of files"),
    ("usr/include/", "declarations"),
    ("var/lib/dpkg/info/", "lists of files and checksums"),
];

/// How far text is told from other bytes.
const HEAD: usize = 1024;

/// Whether a file may hold secrets as text, by its path and first bytes.
pub(super) fn may_hold_secrets(path: &str, head: &[u8]) -> bool {
    let head = &head[..head.len().min(HEAD)];
    !head.contains(&0)
        && !NOT_TEXT.iter().any(|(magic, _)| head.starts_with(magic))
        && !NOT_WRITTEN.iter().any(|(folder, _)| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::may_hold_secrets;

    #[test]
    fn text_is_read_and_what_is_no_text_is_not() {
        assert!(may_hold_secrets("app/settings.py", b"KEY = 1"));
        assert!(!may_hold_secrets("bin/sh", b"\x7fELF\x02\x01"));
        assert!(!may_hold_secrets("data", b"ab\0c"));
        assert!(!may_hold_secrets("usr/share/man/man1/ls.1", b".TH"));
    }
}
