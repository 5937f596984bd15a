use super::*;
use crate::OsRelease;

fn os(id: &str, version: &str, name: &str) -> OsRelease {
    OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        name: name.to_owned(),
        ..OsRelease::default()
    }
}

#[test]
fn each_is_read_as_it_is_written() {
    for ecosystem in Ecosystem::ALL {
        let text = ecosystem.to_string();
        assert_eq!(text.parse(), Ok(ecosystem));
        assert_eq!(text.to_uppercase().parse(), Ok(ecosystem));
        let json = serde_json::to_string(&ecosystem).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Ecosystem>(&json).unwrap(), ecosystem);
    }
}

#[test]
fn an_unknown_one_is_named() {
    let error = "GIT".parse::<Ecosystem>().unwrap_err();
    assert_eq!(error.to_string(), "`GIT` is no ecosystem that is known here");
    assert!(serde_json::from_str::<Ecosystem>("\"Haskell\"").is_err());
    let long = "x".repeat(100_000).parse::<Ecosystem>().unwrap_err();
    assert!(
        long.to_string().len() < 200,
        "an error does not carry what was sent"
    );
}

#[test]
fn the_release_stands_behind_the_first_colon() {
    let cases = [
        ("Debian:12", Ecosystem::Debian, Some("12")),
        ("Alpine:v3.18", Ecosystem::Alpine, Some("v3.18")),
        ("npm", Ecosystem::Npm, None),
        ("Wolfi:", Ecosystem::Wolfi, None),
        (
            "Red Hat:enterprise_linux:9::baseos",
            Ecosystem::RedHat,
            Some("enterprise_linux:9::baseos"),
        ),
        (
            "Packagist:https://packages.drupal.org/8",
            Ecosystem::Packagist,
            Some("https://packages.drupal.org/8"),
        ),
        ("Ubuntu:Pro:18.04:LTS", Ecosystem::Ubuntu, Some("Pro:18.04:LTS")),
        ("DHI", Ecosystem::DockerHardenedImages, None),
    ];
    for (text, ecosystem, release) in cases {
        assert_eq!(Ecosystem::parse_with_release(text), Ok((ecosystem, release)));
    }
    assert!(Ecosystem::parse_with_release("Slackware:15").is_err());
    assert!(Ecosystem::parse_with_release(":12").is_err());
}

#[test]
fn an_operating_system_has_the_release_that_advisories_name() {
    let cases = [
        (os("debian", "12", ""), "Debian:12"),
        (os("debian", "12.5", ""), "Debian:12"),
        (os("ubuntu", "22.04", ""), "Ubuntu:22.04"),
        (os("alpine", "3.18.4", ""), "Alpine:v3.18"),
        (
            os("alpine", "3.21.0_alpha20240923", "Alpine Linux edge"),
            "Alpine:edge",
        ),
        (os("almalinux", "9.3", ""), "AlmaLinux:9"),
        (os("rocky", "9.3", ""), "Rocky Linux:9"),
        (os("rhel", "9.3", ""), "Red Hat:enterprise_linux:9"),
        (
            os("centos", "7", "CentOS Linux 7 (Core)"),
            "Red Hat:enterprise_linux:7",
        ),
        (os("opensuse-leap", "15.5", ""), "openSUSE:Leap 15.5"),
        (os("opensuse-leap-micro", "5.5", ""), "openSUSE:Leap Micro 5.5"),
        (os("sles", "15.5", ""), "SUSE:Linux Enterprise Server 15 SP5"),
        (os("sles", "16.0", ""), "SUSE:Linux Enterprise Server 16.0"),
        (os("photon", "4.0", ""), "Photon OS:4.0"),
        (os("mariner", "2.0", ""), "Azure Linux:2"),
        (
            os("openEuler", "22.03", "openEuler 22.03 (LTS-SP1)"),
            "openEuler:22.03-LTS-SP1",
        ),
    ];
    for (os, expected) in cases {
        let (ecosystem, release) = Ecosystem::parse_with_release(expected).unwrap();
        let release = Release::Known(release.unwrap().to_owned());
        assert_eq!(Ecosystem::of_os(&os), Some((ecosystem, release)));
    }
    assert_eq!(
        Ecosystem::of_os(&os("wolfi", "20230201", "")),
        Some((Ecosystem::Wolfi, Release::Rolling))
    );
    assert_eq!(
        Ecosystem::of_os(&os("chainguard", "", "")),
        Some((Ecosystem::Chainguard, Release::Rolling))
    );
    assert_eq!(
        Ecosystem::of_os(&os("debian", "", "")),
        Some((Ecosystem::Debian, Release::Unknown))
    );
    assert_eq!(Ecosystem::of_os(&os("centos", "9", "CentOS Stream 9")), None);
    assert_eq!(Ecosystem::of_os(&os("fedora", "41", "")), None);
}

#[test]
fn an_advisory_speaks_of_the_release_in_every_spelling() {
    let cases = [
        ("ubuntu", "22.04", "Ubuntu:22.04:LTS", true),
        ("ubuntu", "22.04", "Ubuntu:Pro:22.04:LTS", true),
        ("ubuntu", "22.04", "Ubuntu:22.04", true),
        ("ubuntu", "22.04", "Ubuntu:20.04:LTS", false),
        ("ubuntu", "22.04", "Ubuntu:Pro:FIPS-updates:22.04:LTS", false),
        ("debian", "12", "Debian:12", true),
        ("debian", "12", "Debian:1", false),
        ("debian", "12", "Debian", true),
        ("debian", "", "Debian:12", false),
        ("alpine", "3.18.4", "Alpine:v3.18", true),
        ("alpine", "3.18.4", "Alpine:v3.1", false),
        ("rhel", "9.3", "Red Hat:enterprise_linux:9::baseos", true),
        ("rhel", "10.1", "Red Hat:enterprise_linux:10.0", true),
        ("rhel", "9.3", "Red Hat:enterprise_linux:8::appstream", false),
        ("rhel", "9.2", "Red Hat:rhel_eus:9.2::baseos", false),
        (
            "sles",
            "15.5",
            "SUSE:Linux Enterprise Module for Basesystem 15 SP5",
            true,
        ),
        ("sles", "15.5", "SUSE:Linux Enterprise Server 15 SP5-LTSS", true),
        ("sles", "15.5", "SUSE:Linux Enterprise Server 15 SP4", false),
        ("sles", "15.0", "SUSE:Linux Enterprise Server 15", true),
        ("sles", "15.0", "SUSE:Linux Enterprise Server 15 SP1", false),
        ("sles", "16.0", "SUSE:Linux Enterprise Server 16.0", true),
        (
            "sles",
            "16.0",
            "SUSE:Linux Enterprise Server for SAP applications 16.0",
            true,
        ),
        ("sles", "16.0", "SUSE:Linux Enterprise Server 15 SP6", false),
        ("sle-micro", "5.5", "SUSE:Linux Enterprise Micro 5.5", true),
        ("opensuse-leap", "15.6", "openSUSE:Leap 15.6", true),
        ("opensuse-leap", "15.6", "openSUSE:Leap 15.5", false),
        ("opensuse-leap", "15.5", "openSUSE:Leap Micro 5.5", false),
        ("opensuse-tumbleweed", "20260101", "openSUSE:Tumbleweed", true),
        ("rocky", "9.3", "Rocky Linux:9", true),
        ("rocky", "9.3", "Rocky Linux:8", false),
        ("almalinux", "9.3", "AlmaLinux:9", true),
        ("almalinux", "10.0", "AlmaLinux:1", false),
        ("ubuntu", "22.04", "Ubuntu:Pro:Realtime:22.04:LTS", false),
        ("ubuntu", "25.04", "Ubuntu:25.04", true),
        ("wolfi", "20230201", "Wolfi", true),
    ];
    for (id, version, advisory, expected) in cases {
        let (ecosystem, release) = Ecosystem::of_os(&os(id, version, "")).unwrap();
        let (named, advised) = Ecosystem::parse_with_release(advisory).unwrap();
        assert_eq!(named, ecosystem);
        assert_eq!(
            ecosystem.release_matches(advised, &release),
            expected,
            "{id} {version}, {advisory}"
        );
    }
}

#[test]
fn texts_of_any_kind_have_an_answer() {
    for text in ["", ":", "::", "é", "Linux Enterprise ", "15", "\u{0}"] {
        for ecosystem in Ecosystem::ALL {
            let _ = ecosystem.release_matches(Some(text), &Release::Known(text.to_owned()));
        }
    }
}

#[test]
fn spellings_of_one_name_are_the_same() {
    let cases = [
        (Ecosystem::PyPi, "Zope..Interface_x", "zope-interface-x"),
        (Ecosystem::NuGet, "Newtonsoft.Json", "newtonsoft.json"),
        (Ecosystem::Packagist, "Laravel/Framework", "laravel/framework"),
        (
            Ecosystem::Go,
            "github.com/Masterminds/goutils",
            "github.com/masterminds/goutils",
        ),
        (Ecosystem::Npm, "JSONStream", "JSONStream"),
        (Ecosystem::Debian, "libc6", "libc6"),
    ];
    for (ecosystem, name, expected) in cases {
        assert_eq!(ecosystem.comparable_name(name), expected);
    }
}

#[test]
fn the_feeds_that_are_read_are_known() {
    let Some(list) = crate::advisory::test_data::shared("osv/ecosystems.txt") else {
        return;
    };
    let list = String::from_utf8(list).unwrap();
    for name in list.lines().filter(|line| !line.is_empty()) {
        assert!(name.parse::<Ecosystem>().is_ok(), "{name}");
    }
}
