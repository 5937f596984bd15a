use super::*;

fn read(text: &str) -> String {
    match text.parse::<Question>() {
        Ok(Question::Vulnerability(id)) => format!("id {id}"),
        Ok(Question::Package(package)) => match &package.os {
            Some(os) => format!("package {package} on {} {}", os.id, os.version),
            None => format!("package {package}"),
        },
        Ok(Question::File(digest)) => format!("file {}", &digest.to_string()[..11]),
        Ok(Question::Class(class)) => format!("class {class}"),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn what_people_type_is_understood() {
    let hash = "ab".repeat(32);
    let table = [
        ("CVE-2021-44228", "id CVE-2021-44228"),
        (" cve-2021-44228\n", "id CVE-2021-44228"),
        ("ghsa-JFH8-c2jp-5v3q", "id GHSA-jfh8-c2jp-5v3q"),
        ("DSA-5020-1", "id DSA-5020-1"),
        ("GO-2022-0969", "id GO-2022-0969"),
        ("RHSA-2021:5132", "id RHSA-2021:5132"),
        ("openSUSE-SU-2021:4094-1", "id openSUSE-SU-2021:4094-1"),
        ("UBUNTU-CVE-2021-44228", "id UBUNTU-CVE-2021-44228"),
        ("log4j-core", "package log4j-core"),
        ("log4j-core@<2.15.0", "package log4j-core@<2.15.0"),
        ("log4j-core@2.14.1", "package log4j-core@==2.14.1"),
        ("log4j-core@ >=2.4, <2.12.2", "package log4j-core@>=2.4,<2.12.2"),
        (
            "maven:org.apache.logging.log4j:log4j-core@2.0-beta9..2.14.1",
            "package maven:org.apache.logging.log4j:log4j-core@>=2.0-beta9,<=2.14.1",
        ),
        ("org.example:a@1.0", "package maven:org.example:a@==1.0"),
        ("maven:junit:junit", "package maven:junit:junit"),
        ("deb:openssl@1:3.0.1-1", "package deb:openssl@==1:3.0.1-1"),
        ("npm:@babel/core@^7", "error"),
        ("@babel/core@<7", "package @babel/core@<7"),
        ("npm:@babel/core", "package npm:@babel/core"),
        ("pypi:Typing_Extensions", "package pypi:typing-extensions"),
        (
            "golang:golang.org/x/net@..v0.17.0",
            "package golang:golang.org/x/net@<=v0.17.0",
        ),
        ("Newtonsoft.Json", "package Newtonsoft.Json"),
        ("go-1.2", "package go-1.2"),
        (
            "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
            "package maven:org.apache.logging.log4j:log4j-core@==2.14.1",
        ),
        (
            "pkg:deb/debian/openssl@3.0.1?distro=debian-12",
            "package deb:openssl@==3.0.1 on debian 12",
        ),
        ("pkg:npm/%40babel/core", "package npm:@babel/core"),
        (
            "org.apache.logging.log4j.core.lookup.JndiLookup",
            "class org.apache.logging.log4j.core.lookup.JndiLookup",
        ),
        ("org/example/Name.class", "class org.example.Name"),
        ("class:a.B", "class a.B"),
    ];
    for (text, expected) in table {
        let got = read(text);
        if expected == "error" {
            assert!(got.starts_with("error"), "{text}: {got}");
        } else {
            assert_eq!(got, expected, "{text}");
        }
    }
    assert_eq!(read(&format!("sha256:{hash}")), "file sha256:abab");
}

#[test]
fn what_is_not_understood_says_what_to_write() {
    let hash = "ab".repeat(32);
    let long = "a".repeat(QUESTION_BYTES + 1);
    let table = [
        ("", "nothing is asked"),
        ("a\nb", "take out line breaks"),
        (long.as_str(), "the longest has 8192"),
        ("CVE-2021", "write it like CVE-2021-44228"),
        ("CVE-2021-44228-1", "write it like CVE-2021-44228"),
        ("GHSA-jfh8-c2jp", "write it like GHSA-jfh8-c2jp-5v3q"),
        (hash.as_str(), "write sha256:abab"),
        ("sha256:12", "sha256: and 64 digits"),
        ("sha512:12", "sha256: and 64 digits"),
        ("pkg:maven", "write a package URL like"),
        ("pkg:swift/a@1", "the types are deb, apk"),
        ("pkg:npm/a%0ab", "write a package URL like"),
        ("dep:openssl", "`dep` is no kind of package"),
        ("junit:junit", "write maven:GROUP:ARTIFACT"),
        ("log4j-core<2.15", "like log4j-core@<2.15"),
        ("log4j-core 2.14.1", "like log4j-core@2.14.1"),
        ("org.example:a:1.0", "like org.example:a@1.0"),
        ("@<2.15.0", "names no package"),
        ("log4j-core@", "is no range of versions"),
        ("log4j-core@..", "is no range of versions"),
        ("log4j-core@~1", "package"),
        ("log4j-core@<2.15,", "is no range of versions"),
        ("npm:a@<x", "`x` is no version of npm packages"),
        ("class:Name", "write it with its package"),
        ("class:a.1b", "write it with its package"),
    ];
    for (text, expected) in table {
        let got = read(text);
        assert!(got.contains(expected), "{text}: {got}");
    }
    let other = Digest::of(Algorithm::Sha512, b"x");
    assert!(read(&other.to_string()).contains("known by their SHA-256 only"));
}

#[test]
fn a_range_has_the_order_of_the_ecosystem() {
    use Membership::{Inside, Outside, Unknown};
    use findings::PackageKind::{Apk, Dpkg, Java, Npm, Rpm};
    let table = [
        ("2.0-beta9..2.14.1", Java, "2.0-alpha1", "2.0-alpha1", Outside),
        ("2.0-beta9..2.14.1", Java, "2.0-rc1", "2.0-rc1", Inside),
        ("2.0-beta9..2.14.1", Java, "2.14.1", "2.14.1", Inside),
        ("<2.15.0", Java, "2.9", "2.9", Inside),
        ("<3.0.2-1", Dpkg, "3.0.2-1~deb12u1", "3.0.2-1~deb12u1", Inside),
        ("<3.0.2-1", Dpkg, "1:1.0", "1:1.0", Outside),
        (">=1.2.3-r1", Apk, "1.2.3-r10", "1.2.3-r10", Inside),
        ("=1.0", Rpm, "1.0", "1.0", Inside),
        ("<2.0.0", Npm, "nightly", "nightly", Unknown),
        ("=nightly", Npm, "nightly", "nightly", Inside),
        ("<2.15.0", Java, "2.1", "2.3", Inside),
        ("<2.15.0", Java, "2.10", "2.16.0", Unknown),
        (">=2.17.0", Java, "2.10", "2.16.0", Outside),
        ("=2.12", Java, "2.10", "2.16.0", Unknown),
        ("=2.9", Java, "2.10", "2.16.0", Outside),
    ];
    for (range, kind, first, last, expected) in table {
        let range = VersionRange::parse(range).unwrap();
        assert_eq!(
            range.holds_between(kind, first, last),
            expected,
            "{range} {first} {last}"
        );
    }
}
