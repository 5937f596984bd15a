use findings::OsRelease;
use proptest::prelude::*;

use super::{ApkRepositories, OsReleaseFile, ReleaseFile, unquote};
use crate::Limits;
use crate::packages::harness::{exceeded, facts, read, read_with};

fn of_os_release(text: &str) -> OsRelease {
    facts(&OsReleaseFile, "etc/os-release", text.as_bytes())
        .os
        .unwrap()
}

fn of_line(path: &str, line: &str) -> OsRelease {
    facts(&ReleaseFile, path, line.as_bytes()).os.unwrap()
}

#[test]
fn values_are_read_as_a_shell_would() {
    for (value, read) in [
        ("debian", "debian"),
        ("\"a b\"", "a b"),
        ("'a \"b\" $c'", "a \"b\" $c"),
        (r#""a \"b\" \$c \\ \` \n""#, r#"a "b" $c \ ` \n"#),
        (r"a\ b", "a b"),
        ("a b", "a"),
        ("12 # comment", "12"),
        ("\"12\" # comment", "12"),
        ("'it'\"'\"'s'", "it's"),
        ("\"never closed", "never closed"),
        ("\"ends in \\", "ends in "),
        ("", ""),
    ] {
        assert_eq!(unquote(value), read, "{value}");
    }
}

#[test]
fn fields_of_os_release() {
    let release = of_os_release(
        "# comment\n\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\nVERSION_ID=\"22.04\"\r\nVERSION_CODENAME=jammy\nID=ubuntu\n\
         ID_LIKE='debian other'\nNAME=x\n",
    );
    assert_eq!(release.id, "ubuntu");
    assert_eq!(release.version, "22.04");
    assert_eq!(release.codename, "jammy");
    assert_eq!(release.name, "Ubuntu 22.04.4 LTS");
    assert_eq!(release.like, ["debian", "other"]);
}

#[test]
fn the_last_of_two_assignments_counts() {
    assert_eq!(of_os_release("ID=a\nID=b\n").id, "b");
}

#[test]
fn distroless_is_debian() {
    let release = of_os_release(
        "PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"12\"\n",
    );
    assert_eq!((release.id.as_str(), release.version.as_str()), ("debian", "12"));
    assert_eq!(release.name, "Distroless");
}

#[test]
fn sid_has_a_codename_and_no_version() {
    let release =
        of_os_release("PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nVERSION_CODENAME=forky\nID=debian\n");
    assert_eq!(
        (release.version.as_str(), release.codename.as_str()),
        ("", "forky")
    );
    let release = of_line("etc/debian_version", "forky/sid\n");
    assert_eq!(
        (release.version.as_str(), release.codename.as_str()),
        ("", "forky")
    );
}

/// Path, its line, and the id and version that it says.
const LINES: &[(&str, &str, &str, &str)] = &[
    ("etc/alpine-release", "3.18.4\n", "alpine", "3.18.4"),
    (
        "etc/alpine-release",
        "3.19_alpha20230901",
        "alpine",
        "3.19_alpha20230901",
    ),
    ("etc/debian_version", "12.5\n", "debian", "12"),
    ("etc/debian_version", "8", "debian", "8"),
    (
        "etc/redhat-release",
        "CentOS Linux release 7.9.2009 (Core)\n",
        "centos",
        "7.9.2009",
    ),
    (
        "etc/centos-release",
        "CentOS release 6.10 (Final)\n",
        "centos",
        "6.10",
    ),
    (
        "etc/redhat-release",
        "Red Hat Enterprise Linux release 8.8 (Ootpa)",
        "rhel",
        "8.8",
    ),
    (
        "etc/redhat-release",
        "Red Hat Enterprise Linux Server release 7.9 (Maipo)",
        "rhel",
        "7.9",
    ),
    (
        "etc/rocky-release",
        "Rocky Linux release 9.3 (Blue Onyx)",
        "rocky",
        "9.3",
    ),
    (
        "etc/almalinux-release",
        "AlmaLinux release 9.3 (Shamrock Pampas Gazelle)",
        "almalinux",
        "9.3",
    ),
    (
        "etc/oracle-release",
        "Oracle Linux Server release 8.9",
        "ol",
        "8.9",
    ),
    (
        "etc/fedora-release",
        "Fedora release 39 (Thirty Nine)",
        "fedora",
        "39",
    ),
];

#[test]
fn one_line_files() {
    for &(path, line, id, version) in LINES {
        let release = of_line(path, line);
        assert_eq!(
            (release.id.as_str(), release.version.as_str()),
            (id, version),
            "{line}"
        );
    }
    assert_eq!(
        of_line("etc/centos-release", "CentOS release 6.10 (Final)").like,
        ["rhel", "fedora"]
    );
}

#[test]
fn edge_is_known_by_its_repositories() {
    let branch = |text: &str| {
        facts(&ApkRepositories, "etc/apk/repositories", text.as_bytes())
            .os
            .map(|release| release.version)
    };
    let edge = "https://dl-cdn.alpinelinux.org/alpine/edge/main\nhttps://dl-cdn.alpinelinux.org/alpine/edge/community\n";
    assert_eq!(branch(edge).as_deref(), Some("edge"));
    let tagged =
        "http://a/alpine/v3.18/main/\n@edge http://a/alpine/edge/main\n# http://a/alpine/edge/main\n";
    assert_eq!(branch(tagged).as_deref(), Some("3.18"));
    let mixed = "http://a/alpine/v3.18/main\nhttp://a/alpine/edge/main\n";
    assert_eq!(branch(mixed).as_deref(), Some("edge"));
    assert_eq!(
        branch("http://a/alpine/v3.18/main\nhttp://a/alpine/edge/testing\n").as_deref(),
        Some("3.18")
    );
    assert_eq!(branch("https://packages.wolfi.dev/os\n"), None);
    assert_eq!(branch(""), None);
}

#[test]
fn what_names_nothing_is_malformed() {
    assert!(
        read(&OsReleaseFile, "usr/lib/os-release", b"\xff\xfe\n")
            .1
            .is_err()
    );
    assert!(read(&ReleaseFile, "etc/debian_version", b"\n").1.is_err());
    assert!(read(&ReleaseFile, "etc/alpine-release", b"edge").1.is_err());
    assert!(read(&ReleaseFile, "etc/redhat-release", b"release 9").1.is_err());
}

#[test]
fn values_longer_than_any_real_one_are_left_out() {
    let long = "9".repeat(super::MAX_VALUE + 1);
    assert_eq!(of_os_release(&format!("ID=a\nVERSION_ID={long}\n")).version, "");
    assert!(
        read(&ReleaseFile, "etc/debian_version", long.as_bytes())
            .1
            .is_err()
    );
    let branch = format!("http://a/alpine/v{long}/main\n");
    assert!(
        facts(&ApkRepositories, "etc/apk/repositories", branch.as_bytes())
            .os
            .is_none()
    );
}

#[test]
fn a_file_too_large_for_memory_is_not_scannable() {
    let mut spool = crate::packages::harness::Spool(std::io::Cursor::new(b"ID=a".to_vec()));
    let (_, end) = crate::packages::harness::read_spooled(&OsReleaseFile, "etc/os-release", &mut spool);
    assert_eq!(exceeded(end), "file.memory");
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for path in ["etc/alpine-release", "etc/debian_version", "etc/redhat-release"] {
            let _ = read(&ReleaseFile, path, &bytes);
        }
        let _ = read(&OsReleaseFile, "etc/os-release", &bytes);
        let _ = read_with(Limits::default(), &ApkRepositories, "etc/apk/repositories", &bytes);
    }

    #[test]
    fn what_is_quoted_comes_back(text in "[ -~]{0,40}") {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            if matches!(c, '"' | '$' | '\\' | '`') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        quoted.push('"');
        prop_assert_eq!(unquote(&quoted), text);
    }
}
