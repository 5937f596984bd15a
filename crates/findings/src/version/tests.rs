use super::*;

mod differential;
mod laws;
mod tables;

/// One for each rule.
const RULES: [Ecosystem; 10] = [
    Ecosystem::Alpine,
    Ecosystem::Debian,
    Ecosystem::Go,
    Ecosystem::Maven,
    Ecosystem::Npm,
    Ecosystem::NuGet,
    Ecosystem::Packagist,
    Ecosystem::PyPi,
    Ecosystem::Rpm,
    Ecosystem::RubyGems,
];

fn order(ecosystem: Ecosystem, left: &str, right: &str) -> Ordering {
    compare(ecosystem, left, right).unwrap()
}

/// Versions from old to new.
fn assert_ascending(ecosystem: Ecosystem, versions: &[&str]) {
    for (at, left) in versions.iter().enumerate() {
        for right in &versions[at + 1..] {
            assert_eq!(
                order(ecosystem, left, right),
                Ordering::Less,
                "{ecosystem}: {left} < {right}"
            );
            assert_eq!(
                order(ecosystem, right, left),
                Ordering::Greater,
                "{ecosystem}: {right} > {left}"
            );
        }
    }
}

fn assert_equal(ecosystem: Ecosystem, versions: &[&str]) {
    for left in versions {
        for right in versions {
            assert_eq!(
                order(ecosystem, left, right),
                Ordering::Equal,
                "{ecosystem}: {left} = {right}"
            );
        }
    }
}

#[test]
fn each_rule_is_asked() {
    for ecosystem in Ecosystem::ALL {
        assert!(
            RULES.iter().any(|asked| Rule::of(*asked) == Rule::of(ecosystem)),
            "{ecosystem}"
        );
    }
}

#[test]
fn what_is_no_version_has_no_order() {
    for ecosystem in Ecosystem::ALL {
        assert!(compare(ecosystem, "", "1.0").is_err());
        assert!(compare(ecosystem, "1.0", " ").is_err());
        assert!(!is_valid(ecosystem, ""));
    }
    let error = compare(Ecosystem::Go, "v1.2.3", "(devel)").unwrap_err();
    assert_eq!(error.to_string(), "`(devel)` is no version of Go");
    assert!(compare(Ecosystem::Npm, "latest", "1.0.0").is_err());
}

#[test]
fn what_the_ecosystems_tool_takes_is_valid() {
    let cases = [
        (
            Ecosystem::Debian,
            &["1:2.36-9+deb12u1", "0", "1.0~rc1"][..],
            &["a1", "1.0-", "1_0", "1:2:3é", "1.0-1_2"][..],
        ),
        (
            Ecosystem::Alpine,
            &["1.2.3-r4", "1.2a_pre1_p2~0af-r1"],
            &["1.2.3-4", "6.6.2p1", "1-r", "1..2", "1.2_foo"],
        ),
        (
            Ecosystem::Rpm,
            &["1:2.3^git1-4.el9", "1~rc1"],
            &["1-2-3", "1 2", "1/2"],
        ),
        (
            Ecosystem::RubyGems,
            &["1.0.a1", "1.0-1", "1.0-x86_64-linux"],
            &["a.1", "1..0", "1.0_2"],
        ),
        (
            Ecosystem::PyPi,
            &["1!1.0rc1.post2.dev3+ubuntu.1", "v1.0"],
            &["1.0-foo", "1.0+", "1.0+a..b", "1..0"],
        ),
        (
            Ecosystem::Packagist,
            &["1.0.0-beta1", "dev-main", "1.x-dev"],
            &["main"],
        ),
        (
            Ecosystem::Go,
            &["v1.2.3", "go1.21rc1", "1.2"],
            &["(devel)", "vnext"],
        ),
        (Ecosystem::Npm, &["1.2.3-rc.1+build", "v1"], &["latest", "vv1"]),
        (Ecosystem::Maven, &["1.0-SNAPSHOT", "anything"], &[]),
    ];
    for (ecosystem, valid, invalid) in cases {
        for version in valid {
            assert!(is_valid(ecosystem, version), "{ecosystem} {version}");
        }
        for version in invalid {
            assert!(!is_valid(ecosystem, version), "{ecosystem} {version}");
        }
    }
}

#[test]
fn toolchains_of_go() {
    assert_ascending(
        Ecosystem::Go,
        &[
            "go1.20.5",
            "go1.21beta1",
            "1.21.0-rc.2",
            "go1.21rc10",
            "go1.21",
            "go1.21.3",
            "v1.22.0",
        ],
    );
    assert_equal(
        Ecosystem::Go,
        &[
            "go1.21.3",
            "1.21.3",
            "v1.21.3",
            "go1.21.3 X:boringcrypto",
            "1.21.3+incompatible",
        ],
    );
    assert_equal(Ecosystem::Go, &["go1.21rc2", "1.21.0-rc.2"]);
}

#[test]
fn composer() {
    assert_ascending(
        Ecosystem::Packagist,
        &[
            "dev-main",
            "1.0.0-dev",
            "1.0.0-alpha1",
            "1.0.0-beta1",
            "1.0.0-beta2",
            "1.0.0-RC1",
            "1.0.0",
            "1.0.0-p1",
            "1.0.0-p2",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "1.x-dev",
            "2.0",
        ],
    );
    assert_equal(
        Ecosystem::Packagist,
        &["1.0", "v1.0.0.0", "1.0.0-stable", "1.0.0+build"],
    );
    assert_equal(Ecosystem::Packagist, &["1.0.0-beta.1", "1.0.0b1", "1.0-BETA1"]);
}

#[test]
fn nuget() {
    assert_ascending(
        Ecosystem::NuGet,
        &["1.0.0-alpha", "1.0.0-BETA", "1.0.0", "1.0.0.1", "1.0.1"],
    );
    assert_equal(Ecosystem::NuGet, &["1.0.0-Beta", "1.0-beta", "1.0.0.0-BETA+meta"]);
}

#[test]
fn what_advisories_of_npm_hold() {
    assert_ascending(
        Ecosystem::Npm,
        &[
            "1.0RC2",
            "1.0.0-beta.2",
            "1.0.0.beta.3",
            "1.0",
            "1.5.1.2",
            "1.5.1.10",
            "1.9.0b1",
            "1.9.0",
        ],
    );
}

#[test]
fn platforms_of_gems_say_nothing() {
    assert_equal(
        Ecosystem::RubyGems,
        &[
            "1.13.10",
            "1.13.10-x86_64-linux",
            "1.13.10-java",
            "1.13.10-x64-mingw-ucrt",
        ],
    );
    assert_ascending(Ecosystem::RubyGems, &["1.0.0-1", "1.0.0", "1.0.0.1"]);
}

#[test]
fn numbers_have_any_length() {
    let [nine, ten] = ["9".repeat(10_000), format!("1{}", "0".repeat(10_000))];
    for ecosystem in Ecosystem::ALL {
        for [before, behind] in [["", ""], ["1.", ".1"], ["1.0", ""]] {
            let [left, right] = [&nine, &ten].map(|number| format!("{before}{number}{behind}"));
            if before == "1.0" && Rule::of(ecosystem) == Rule::Apk {
                continue; // a fraction there
            }
            assert_ascending(ecosystem, &[&left, &right]);
        }
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let patterns = [
        "1.", "-", "0.", "a1", "~", "^", "_p", "-r", ".0-", "+", ":", "é", "1-0.", "_",
    ];
    for ecosystem in RULES {
        for pattern in patterns {
            let left = format!("1{}", pattern.repeat(20_000));
            let right = format!("{left}1");
            let _ = compare(ecosystem, &left, &right);
            let _ = is_valid(ecosystem, &left);
        }
    }
}
