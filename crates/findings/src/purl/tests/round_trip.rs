//! What an SBOM says of an image is what was found in it: package, package URL, package.

use proptest::{option, prelude::*};

use super::*;

fn name(kind: PackageKind) -> BoxedStrategy<String> {
    match kind {
        PackageKind::Java => "[a-zA-Z][a-zA-Z0-9._-]{0,8}:[a-zA-Z0-9._-]{1,8}".boxed(),
        PackageKind::Npm => "(@[a-zA-Z0-9._~-]{1,6}/)?[a-zA-Z0-9._~][a-zA-Z0-9._~@-]{0,6}".boxed(),
        PackageKind::Python => "[a-z0-9]{1,4}(-[a-z0-9]{1,3}){0,2}".boxed(),
        PackageKind::Go => "[a-z.]{1,6}(/[a-z0-9._~!-]{1,6}){0,3}".boxed(),
        PackageKind::Composer => "[a-z0-9]{1,6}/[a-z0-9_.-]{1,6}".boxed(),
        PackageKind::Dpkg | PackageKind::Apk => "[a-z0-9][a-z0-9+._-]{0,8}".boxed(),
        _ => "[a-zA-Z0-9é +?#%&=@_.-]{1,10}".boxed(),
    }
}

fn version(kind: PackageKind) -> BoxedStrategy<String> {
    match kind {
        PackageKind::Rpm => "([0-3]:)?[0-9a-z.+~^]{1,6}-[0-9a-z.+~]{1,6}".boxed(),
        PackageKind::Dpkg => "([0-3]:)?[0-9a-z.+~-]{1,9}".boxed(),
        _ => "[ -~é]{0,12}".boxed(),
    }
}

fn system(kind: PackageKind) -> BoxedStrategy<OsRelease> {
    let ids = match kind {
        PackageKind::Dpkg => vec!["debian", "ubuntu"],
        PackageKind::Apk => vec!["alpine", "wolfi", "chainguard"],
        _ => vec!["rhel", "almalinux", "opensuse-leap", "sles", "sle-micro"],
    };
    (prop::sample::select(ids), "([1-9][0-9.]{0,4})?")
        .prop_map(|(id, version)| os(id, &version))
        .boxed()
}

fn package() -> impl Strategy<Value = (Package, OsRelease)> {
    prop::sample::select(PackageKind::ALL.to_vec())
        .prop_flat_map(|kind| {
            let source = option::of(("[a-z0-9][a-z0-9+.-]{0,8}", version(kind)));
            let module = option::of("[a-z]{1,5}:[a-z0-9&=]{1,5}");
            (
                Just(kind),
                name(kind),
                version(kind),
                source,
                option::of("[a-z0-9_]{1,6}"),
                module,
                system(kind),
            )
        })
        .prop_map(|(kind, name, version, source, arch, modularity, os)| {
            let mut package = Package::new(kind, name, version);
            if kind.is_os() {
                package.source = source.map(|(name, version)| Source { name, version });
                package.arch = arch;
                package.modularity = modularity.filter(|_| kind == PackageKind::Rpm);
            }
            (package, os)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_package_comes_back((package, os) in package()) {
        let purl = package.purl(Some(&os));
        let (back, os_back) = Purl::parse(purl.as_str()).unwrap().to_package().unwrap();
        prop_assert_eq!(&back, &package, "{}", purl);
        prop_assert_eq!(os_back, package.kind.is_os().then_some(os), "{}", purl);
        prop_assert_eq!(back.purl(Purl::parse(purl.as_str()).unwrap().to_package().unwrap().1.as_ref()), purl);
    }

    #[test]
    fn no_text_panics(text in "(pkg:)?[a-z/@:?#&=%0-9é.\\PC]{0,40}") {
        if let Ok(parsed) = Purl::parse(&text) {
            let _ = parsed.to_package();
        }
    }
}
