//! Names from manifests and file names.

use findings::Confidence;

use super::builder::Zip;
use super::{names, packages};
use crate::packages::java::evidence::{by_file_name, pom_properties};
use crate::packages::java::pom;

/// Path, manifest, class, what it is taken for, and how sure that is.
type Row<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Confidence);

const MANIFESTS: &[Row<'_>] = &[
    (
        "lib/spring-core-5.3.17.jar",
        "Implementation-Title: spring-core\nImplementation-Version: 5.3.17\n",
        "org/springframework/core/A.class",
        Some("org.springframework:spring-core@5.3.17"),
        Confidence::High,
    ),
    (
        "lib/log4j-core.jar",
        "Implementation-Title: Apache Log4j Core\nImplementation-Vendor-Id: org.apache.logging.log4j\nImplementation-Version: 2.14.1\nBundle-SymbolicName: org.apache.logging.log4j.core\n",
        "org/apache/logging/log4j/core/A.class",
        Some("org.apache.logging.log4j:log4j-core@2.14.1"),
        Confidence::High,
    ),
    (
        "lib/jackson-databind-2.9.8.jar",
        "Bundle-SymbolicName: com.fasterxml.jackson.core.jackson-\n databind;singleton:=true\nBundle-Version: 2.9.8\n",
        "com/fasterxml/jackson/databind/A.class",
        Some("com.fasterxml.jackson.core:jackson-databind@2.9.8"),
        Confidence::High,
    ),
    (
        "lib/thing.jar",
        "Bundle-SymbolicName: com.example.thing\nBundle-Version: 1.2\n",
        "com/example/A.class",
        Some("com.example:thing@1.2"),
        Confidence::High,
    ),
    (
        "lib/thing-2.jar",
        "Implementation-Title: A Thing\nImplementation-Version: 1.2\n",
        "com/example/A.class",
        Some("thing@1.2"),
        Confidence::Medium,
    ),
    (
        "lib/thing-2.0.jar",
        "Manifest-Version: 1.0\n\nName: other\nImplementation-Version: 9\n",
        "com/example/A.class",
        Some("thing@2.0"),
        Confidence::Medium,
    ),
    (
        "lib/guava-31.0.jar",
        "Manifest-Version: 1.0\n",
        "org/evil/A.class",
        Some("guava@31.0"),
        Confidence::Medium,
    ),
    (
        "lib/app.jar",
        "Bundle-SymbolicName: com.example.thing\nBundle-Version: 1.2\n",
        "com/example/A.class",
        Some("com.example:thing@1.2"),
        Confidence::Low,
    ),
    (
        "lib/rt.jar",
        "Implementation-Title: Java Runtime Environment\nImplementation-Version: 1.8.0_292\n",
        "java/lang/A.class",
        None,
        Confidence::High,
    ),
    (
        "lib/thing-1.0-sources.jar",
        "Implementation-Title: thing\nImplementation-Version: 1.0\n",
        "a/A.class",
        None,
        Confidence::High,
    ),
    (
        "lib/thing.jar",
        "Implementation-Title: thing\nImplementation-Version: ${version}\n",
        "a/A.class",
        None,
        Confidence::High,
    ),
];

#[test]
fn manifests() {
    for (path, manifest, class, expected, confidence) in MANIFESTS {
        let jar = Zip::of(&[("META-INF/MANIFEST.MF", manifest.as_bytes()), (class, b"x")]);
        let found = packages(path, &jar);
        assert_eq!(
            names(&found),
            expected.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "{path}: {manifest}"
        );
        assert!(
            found.iter().all(|package| package.confidence == *confidence),
            "{path}: {manifest}"
        );
    }
}

#[test]
fn file_names() {
    for (path, expected) in [
        ("log4j-core-2.8.jar", Some(("log4j-core", "2.8"))),
        (
            "a/b/netty-all-4.1.9.Final.jar",
            Some(("netty-all", "4.1.9.Final")),
        ),
        ("jul-to-slf4j-1.7.30.JAR", Some(("jul-to-slf4j", "1.7.30"))),
        ("log4j-1.2-api-2.14.1.jar", Some(("log4j-1.2-api", "2.14.1"))),
        ("rt.jar", None),
        ("x-1.0-sources.jar", None),
        ("x-1.0.txt", None),
        ("-1.jar", None),
    ] {
        let found = by_file_name(path).map(|found| (found.artifact, found.version));
        assert_eq!(
            found,
            expected.map(|(name, version)| (name.to_owned(), version.to_owned())),
            "{path}"
        );
    }
}

#[test]
fn properties() {
    let found = pom_properties("#x\r\ngroupId = a.b\r\nartifactId:c\r\nversion=1.0\\:2\r\n").unwrap();
    assert_eq!(
        (found.name(), found.version.as_str()),
        ("a.b:c".to_owned(), "1.0:2")
    );
    assert_eq!(pom_properties("groupId=a\nartifactId=b\n"), None);
    assert_eq!(pom_properties("groupId=a\nartifactId=b\nversion=${v}\n"), None);
}

#[test]
fn poms() {
    let name = |text: &str| pom::coordinates(text).map(|found| format!("{}@{}", found.name(), found.version));
    assert_eq!(
        name("<project><groupId>a</groupId><artifactId> b </artifactId><version>1</version><x/></project>")
            .as_deref(),
        Some("a:b@1")
    );
    assert_eq!(
        name("<project><groupId>a</groupId><artifactId>b</artifactId></project>"),
        None
    );
    assert_eq!(name("<project><!-- "), None);
    assert_eq!(name(&"<a>".repeat(100_000)), None);
    assert_eq!(name("<><></>"), None);
}
