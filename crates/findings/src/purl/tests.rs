use super::*;
use crate::Source;

mod round_trip;

const MAX_LENGTH: usize = ParsedPurl::MAX_LENGTH;
const MAX_QUALIFIERS: usize = ParsedPurl::MAX_QUALIFIERS;

fn debian() -> OsRelease {
    os("debian", "12")
}

fn os(id: &str, version: &str) -> OsRelease {
    OsRelease {
        id: id.to_owned(),
        version: version.to_owned(),
        ..OsRelease::default()
    }
}

fn with_source(mut package: Package, arch: &str, name: &str, version: &str) -> Package {
    package.arch = Some(arch.to_owned());
    package.source = Some(Source {
        name: name.to_owned(),
        version: version.to_owned(),
    });
    package
}

#[test]
fn packages_of_distributions() {
    let libc = Package::new(PackageKind::Dpkg, "libc6", "2.36-9");
    assert_eq!(
        with_source(libc.clone(), "amd64", "glibc", "2.36-9")
            .purl(Some(&debian()))
            .as_str(),
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc"
    );
    assert_eq!(libc.purl(None).as_str(), "pkg:deb/libc6@2.36-9");
    let attr = Package::new(PackageKind::Dpkg, "libattr1", "1:2.5.1-4+b1");
    assert_eq!(
        with_source(attr, "amd64", "attr", "1:2.5.1-4")
            .purl(Some(&debian()))
            .as_str(),
        "pkg:deb/debian/libattr1@1:2.5.1-4%2Bb1?arch=amd64&distro=debian-12&upstream=attr%401:2.5.1-4"
    );
    let apk = Package::new(PackageKind::Apk, "libcrypto3", "3.1.4-r0");
    assert_eq!(
        with_source(apk, "x86_64", "openssl", "3.1.4-r0")
            .purl(Some(&os("alpine", "3.18.4")))
            .as_str(),
        "pkg:apk/alpine/libcrypto3@3.1.4-r0?arch=x86_64&distro=alpine-3.18.4&upstream=openssl"
    );
    let mut rpm = Package::new(PackageKind::Rpm, "nodejs-libs", "1:18.19.0-1.module+el8");
    rpm.modularity = Some("nodejs:18:8090020231212:a75119d5".to_owned());
    assert_eq!(
        with_source(rpm, "x86_64", "nodejs", "18.19.0-1.module+el8")
            .purl(Some(&os("rhel", "8.9")))
            .as_str(),
        "pkg:rpm/redhat/nodejs-libs@18.19.0-1.module%2Bel8?arch=x86_64&distro=rhel-8.9&epoch=1\
         &modularity=nodejs:18:8090020231212:a75119d5&upstream=nodejs-18.19.0-1.module%2Bel8.src.rpm"
    );
}

#[test]
fn packages_of_languages() {
    let cases = [
        (
            PackageKind::Java,
            "org.apache.logging.log4j:log4j-core",
            "2.14.1",
            "maven/org.apache.logging.log4j/log4j-core@2.14.1",
        ),
        (
            PackageKind::Java,
            "log4j-core",
            "2.14.1",
            "maven/log4j-core@2.14.1",
        ),
        (
            PackageKind::Npm,
            "@angular/animation",
            "12.3.1",
            "npm/%40angular/animation@12.3.1",
        ),
        (PackageKind::Npm, "lodash", "4.17.21", "npm/lodash@4.17.21"),
        (
            PackageKind::Go,
            "github.com/Azure/go-autorest/autorest",
            "v0.11.1",
            "golang/github.com/azure/go-autorest/autorest@v0.11.1",
        ),
        (PackageKind::Go, "stdlib", "1.21.3", "golang/stdlib@1.21.3"),
        (
            PackageKind::Go,
            "github.com/docker/docker",
            "v20.10.0+incompatible",
            "golang/github.com/docker/docker@v20.10.0%2Bincompatible",
        ),
        (
            PackageKind::Python,
            "Typing_Extensions",
            "4.8.0",
            "pypi/typing-extensions@4.8.0",
        ),
        (
            PackageKind::Composer,
            "Laravel/Framework",
            "10.0.0",
            "composer/laravel/framework@10.0.0",
        ),
        (PackageKind::Rust, "serde_json", "1.0.1", "cargo/serde_json@1.0.1"),
        (PackageKind::Gem, "nokogiri", "1.13.10", "gem/nokogiri@1.13.10"),
        (
            PackageKind::NuGet,
            "Newtonsoft.Json",
            "13.0.1",
            "nuget/Newtonsoft.Json@13.0.1",
        ),
        (PackageKind::Npm, "left-pad", "", "npm/left-pad"),
        (
            PackageKind::Npm,
            "a b?c#d%é",
            "1/2",
            "npm/a%20b%3Fc%23d%25%C3%A9@1%2F2",
        ),
    ];
    for (kind, name, version, expected) in cases {
        let purl = Package::new(kind, name, version).purl(Some(&debian()));
        assert_eq!(purl.as_str(), format!("pkg:{expected}"));
    }
}

#[test]
fn others_spellings_are_read() {
    let cases = [
        (
            "pkg:npm/@angular/animation@12.3.1",
            "@angular/animation",
            "12.3.1",
        ),
        ("pkg:npm/@angular/animation", "@angular/animation", ""),
        (
            "PKG:NPM/%40angular/animation@12.3.1",
            "@angular/animation",
            "12.3.1",
        ),
        ("pkg://npm//lodash@1?", "lodash", "1"),
        ("pkg:pypi/Zope.Interface@5", "zope-interface", "5"),
        (
            "pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&epoch=2&distro=fedora-25",
            "curl",
            "2:7.50.3-1.fc25",
        ),
        (
            "pkg:rpm/fedora/curl@7.50.3-1.fc25?epoch=x",
            "curl",
            "7.50.3-1.fc25",
        ),
        (
            "pkg:deb/debian/attr@1%3A2.4.47-2?arch=source",
            "attr",
            "1:2.4.47-2",
        ),
        (
            "pkg:golang/google.golang.org/genproto@abc#/googleapis/../api/",
            "google.golang.org/genproto",
            "abc",
        ),
        ("pkg:maven/a.b/c@1?type=zip&classifier=dist", "a.b:c", "1"),
    ];
    for (text, name, version) in cases {
        let parsed = Purl::parse(text).unwrap();
        let (package, _) = parsed.to_package().unwrap();
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            (name, version),
            "{text}"
        );
    }
    let parsed = Purl::parse("pkg:golang/google.golang.org/genproto@abc#/googleapis/../api/").unwrap();
    assert_eq!(parsed.subpath.as_deref(), Some("googleapis/api"));
    let other = Purl::parse("pkg:GitHub/package-url/purl-spec@244fd47e").unwrap();
    assert_eq!((other.type_name.as_str(), other.kind), ("github", None));
    assert!(other.to_package().is_none());
}

#[test]
fn the_operating_system_is_read_from_the_distro() {
    let cases = [
        ("pkg:deb/debian/a@1?distro=debian-12", ("debian", "12", "")),
        ("pkg:deb/debian/a@1?distro=bookworm", ("debian", "", "bookworm")),
        ("pkg:deb/debian/a@1?distro=debian", ("debian", "", "")),
        ("pkg:deb/ubuntu/a@1", ("ubuntu", "", "")),
        (
            "pkg:rpm/opensuse/a@1?distro=opensuse-leap-15.5",
            ("opensuse-leap", "15.5", ""),
        ),
        (
            "pkg:rpm/opensuse/a@1?distro=opensuse-tumbleweed",
            ("opensuse-tumbleweed", "", ""),
        ),
        ("pkg:rpm/redhat/a@1", ("rhel", "", "")),
        (
            "pkg:rpm/openeuler/a@1?distro=openEuler-22.03-LTS",
            ("openEuler", "22.03-LTS", ""),
        ),
    ];
    for (text, (id, version, codename)) in cases {
        let (_, os) = Purl::parse(text).unwrap().to_package().unwrap();
        let os = os.unwrap();
        assert_eq!(
            (os.id.as_str(), os.version.as_str(), os.codename.as_str()),
            (id, version, codename)
        );
    }
    assert_eq!(Purl::parse("pkg:deb/a@1").unwrap().to_package().unwrap().1, None);
}

#[test]
fn sources_are_read_as_others_write_them() {
    let cases = [
        (
            "pkg:rpm/redhat/a@1-2?upstream=open-ssl-1.1.1k-9.el8.src.rpm",
            ("open-ssl", "1.1.1k-9.el8"),
        ),
        (
            "pkg:rpm/redhat/a@1-2?upstream=odd.src.rpm",
            ("odd.src.rpm", "1-2"),
        ),
        ("pkg:deb/debian/a@1-2?upstream=b", ("b", "1-2")),
        ("pkg:deb/debian/a@1-2?upstream=b%401:3", ("b", "1:3")),
    ];
    for (text, (name, version)) in cases {
        let source = Purl::parse(text).unwrap().to_package().unwrap().0.source.unwrap();
        assert_eq!((source.name.as_str(), source.version.as_str()), (name, version));
    }
    let module = Purl::parse("pkg:rpm/redhat/a@1?rpmmod=nodejs:18")
        .unwrap()
        .to_package()
        .unwrap()
        .0;
    assert_eq!(module.modularity.as_deref(), Some("nodejs:18"));
}

#[test]
fn capitals_come_from_the_name_that_an_sbom_states() {
    let named = |purl: &str, name: &str| Purl::parse(purl).unwrap().to_package_named(name).unwrap().0.name;
    let lower = "pkg:golang/github.com/azure/go-autorest@v1.0.0";
    assert_eq!(
        named(lower, "github.com/Azure/go-autorest"),
        "github.com/Azure/go-autorest"
    );
    assert_eq!(named(lower, "go-autorest"), "github.com/azure/go-autorest");
    assert_eq!(named("pkg:pypi/django@4", "Django"), "django");
}

#[test]
fn what_is_none_is_refused() {
    let cases = [
        ("", PurlError::NoScheme),
        ("npm/lodash", PurlError::NoScheme),
        ("http://example.com/a", PurlError::NoScheme),
        ("pkg:lodash", PurlError::NoName),
        ("pkg:npm/", PurlError::NoName),
        ("pkg:npm///", PurlError::NoName),
        ("pkg:n_pm/a", PurlError::Type),
        ("pkg:/a", PurlError::NoName),
        ("pkg:3/a", PurlError::Type),
        ("pkg:npm/a%2", PurlError::Encoding),
        ("pkg:npm/a%zz", PurlError::Encoding),
        ("pkg:npm/a%ff", PurlError::Encoding),
        ("pkg:npm/a%0Ab", PurlError::ControlCharacter),
        ("pkg:npm/a@1\u{1b}[31m", PurlError::ControlCharacter),
        ("pkg:npm/a?b", PurlError::Qualifier),
        ("pkg:npm/a?=b", PurlError::Qualifier),
        ("pkg:npm/a?b%20=c", PurlError::Qualifier),
        ("pkg:npm/a?b=c&B=d", PurlError::Qualifier),
    ];
    for (text, error) in cases {
        assert_eq!(Purl::parse(text), Err(error), "{text}");
    }
}

#[test]
fn the_limits_hold() {
    let name = "a".repeat(MAX_LENGTH - "pkg:npm/".len());
    assert!(Purl::parse(&format!("pkg:npm/{name}")).is_ok());
    assert_eq!(
        Purl::parse(&format!("pkg:npm/{name}a")),
        Err(PurlError::TooLong {
            bytes: MAX_LENGTH + 1
        })
    );
    let qualifiers = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|number| format!("k{number}=v")).collect();
        Purl::parse(&format!("pkg:npm/a?{}", pairs.join("&")))
    };
    assert_eq!(
        qualifiers(MAX_QUALIFIERS).unwrap().qualifiers.len(),
        MAX_QUALIFIERS
    );
    assert_eq!(qualifiers(MAX_QUALIFIERS + 1), Err(PurlError::TooManyQualifiers));
}
