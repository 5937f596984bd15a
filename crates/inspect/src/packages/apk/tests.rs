use proptest::prelude::*;

use super::Installed;
use crate::packages::harness::{exceeded, facts, mutate, names, read, read_with};
use crate::{Cataloger, Limits};

const PATH: &str = "lib/apk/db/installed";

const TWO: &str = "C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:ssl_client
V:1.36.1-r5
A:x86_64
S:4871
T:EXternal ssl_client for busybox wget
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Someone <someone@example.org>
D:so:libc.musl-x86_64.so.1 so:libssl.so.3
p:cmd:ssl_client=1.36.1-r5
r:busybox-initscripts
F:usr
F:usr/bin
R:ssl_client
a:0:0:755
Z:Q1kLjJ0aHSNCgGVHxrzPwGWTnHRsM=
F:
R:at-the-root

P:musl
V:1.2.4-r2
A:x86_64
L:MIT AND BSD-3-Clause
F:lib
R:ld-musl-x86_64.so.1
";

#[test]
fn packages_name_their_origin() {
    for path in [PATH, "usr/lib/apk/db/installed"] {
        let found = facts(&Installed, path, TWO.as_bytes());
        assert_eq!(names(&found), ["musl 1.2.4-r2", "ssl_client 1.36.1-r5"]);
        assert_eq!(found.packages[0].advised(), ("busybox", "1.36.1-r5"));
        assert_eq!(found.packages[1].advised(), ("musl", "1.2.4-r2"));
        assert_eq!(found.packages[0].arch.as_deref(), Some("x86_64"));
        assert_eq!(found.packages[1].licences, ["MIT AND BSD-3-Clause"]);
    }
    assert!(!Installed.wants("srv/lib/apk/db/installed", b""));
}

#[test]
fn files_belong_to_the_package_above_them() {
    let pair = |package: &str, path: &str| (package.to_owned(), path.to_owned());
    assert_eq!(
        facts(&Installed, PATH, TWO.as_bytes()).owned,
        [
            pair("ssl_client", "usr/bin/ssl_client"),
            pair("ssl_client", "at-the-root"),
            pair("musl", "usr/lib/ld-musl-x86_64.so.1"),
            pair("musl", "lib/ld-musl-x86_64.so.1")
        ]
    );
}

#[test]
fn an_entry_without_name_does_not_hide_the_next() {
    let (found, end) = read(&Installed, PATH, b"\n\nV:1\n\n\nP:a\nV:2\n\n\n\n");
    assert!(end.is_err());
    assert_eq!(names(&found), ["a 2"]);
}

#[test]
fn one_long_directory_told_of_many_files_is_bounded() {
    let limits = Limits {
        owned_bytes: 100_000,
        ..Limits::default()
    };
    let many = format!("P:a\nV:1\nF:{}\n{}", "d".repeat(4_000), "R:f\n".repeat(10_000));
    let (found, end) = read_with(limits, &Installed, PATH, format!("{many}\nP:b\nV:1\n").as_bytes());
    end.unwrap();
    assert!(found.owned.len() < 25);
    assert_eq!(found.skipped[0].limit, "report.owned_bytes");
    assert_eq!(names(&found), ["a 1", "b 1"]);
}

#[test]
fn packages_have_a_limit() {
    let limits = Limits {
        packages: 1,
        ..Limits::default()
    };
    assert_eq!(
        exceeded(read_with(limits, &Installed, PATH, TWO.as_bytes()).1),
        "report.packages"
    );
}

proptest! {
    #[test]
    fn damaged_ones_end(seed: u64) {
        let _ = read(&Installed, PATH, &mutate(TWO.as_bytes(), seed));
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&Installed, PATH, &bytes);
    }
}
