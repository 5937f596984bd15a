//! The fixtures of the replay of December 2021 that are about what an archive is, and the traps of other scanners.

use findings::Confidence;

use super::builder::{CORE, Spec, Zip, log4j_core, log4j_core_without, properties};
use super::{names, packages};
use crate::packages::java::log4j::{NAME, REMOVED};

const CORE_AT: &str = "META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties";

/// A jar with all classes that tell releases apart, as the table has them for `version`, under `prefix`.
fn moved(prefix: &str, version: &str, suffix: &str) -> Vec<u8> {
    let table = include_str!("../log4j_core.txt");
    let row = table
        .lines()
        .find(|line| line.split(' ').next() == Some(version))
        .unwrap();
    let present = row.rsplit(' ').next().unwrap();
    let telling = table.lines().filter_map(|line| line.strip_prefix("has "));
    let mut classes: Vec<&str> = CORE.to_vec();
    classes.extend(
        telling
            .zip(present.bytes())
            .filter(|(_, bit)| *bit == b'1')
            .map(|(class, _)| class),
    );
    let mut zip = Zip::default();
    for class in classes {
        zip.add(&Spec::of(
            &format!("{prefix}log4j/core/{class}.{suffix}"),
            b"moved",
        ));
    }
    zip.finish()
}

#[test]
fn o1_a_plain_jar() {
    let found = packages("app/log4j-core-2.14.1.jar", &log4j_core("2.14.1"));
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.14.1"]);
    assert_eq!(found[0].confidence, Confidence::High);
    assert_eq!(found[0].inner_path, Vec::<String>::new());
    assert_eq!(found[0].mitigations, Vec::<String>::new());
}

#[test]
fn p2_a_spring_boot_jar() {
    let library = log4j_core("2.13.3");
    let own = properties("com.example", "shop", "1.0");
    let jar = Zip::of(&[
        ("META-INF/maven/com.example/shop/pom.properties", &own),
        ("BOOT-INF/classes/com/example/Shop.class", b"x"),
        ("BOOT-INF/lib/log4j-core-2.13.3.jar", &library),
    ]);
    let found = packages("app/shop.jar", &jar);
    assert_eq!(
        names(&found),
        [
            "com.example:shop@1.0",
            "org.apache.logging.log4j:log4j-core@2.13.3"
        ]
    );
    assert_eq!(found[1].inner_path, ["BOOT-INF/lib/log4j-core-2.13.3.jar"]);
}

#[test]
fn o2_moved_classes_without_coordinates() {
    let found = packages(
        "app/agent.jar",
        &moved("com/x/shaded/org/apache/logging/", "2.14.1", "class"),
    );
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.14.1"]);
    assert_eq!(found[0].confidence, Confidence::Medium);
    assert_eq!(found[0].version_range, None);
    assert_eq!(
        found[0].inner_path,
        ["com/x/shaded/org/apache/logging/log4j/core/lookup/JndiLookup.class"]
    );
    let found = packages("app/agent.jar", &moved("com/x/", "2.13.1", "class"));
    assert_eq!(found[0].version, "2.13.0");
    assert_eq!(
        found[0].version_range,
        Some(("2.13.0".to_owned(), "2.13.1".to_owned()))
    );
}

#[test]
fn o2_the_lookup_alone() {
    let found = packages(
        "app/agent.jar",
        &Zip::of(&[("com/x/log4j/core/lookup/JndiLookup.class", b"moved")]),
    );
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.0-beta9"]);
    assert_eq!(found[0].confidence, Confidence::Low);
    assert_eq!(found[0].version_range.as_ref().unwrap().0, "2.0-beta9");
}

#[test]
fn o3_a_jar_in_a_jar_in_a_war_in_a_zip() {
    let jar = Zip::of(&[("lib/log4j-core-2.12.1.jar", &log4j_core("2.12.1"))]);
    let war = Zip::of(&[("WEB-INF/lib/plugin.jar", &jar)]);
    let all = Zip::of(&[("shop.war", &war)]);
    let found = packages("opt/shop.zip", &all);
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.12.1"]);
    assert_eq!(
        found[0].inner_path,
        ["shop.war", "WEB-INF/lib/plugin.jar", "lib/log4j-core-2.12.1.jar"]
    );
}

#[test]
fn o4_a_renamed_suffix() {
    let found = packages(
        "opt/apm.jar",
        &moved("agent/org/apache/logging/", "2.12.1", "esclazz"),
    );
    assert_eq!(found[0].name, NAME);
    assert_eq!(found[0].confidence, Confidence::Low);
    assert_eq!(
        found[0].version_range,
        Some(("2.12.1".to_owned(), "2.12.2".to_owned()))
    );
}

#[test]
fn o5_the_api_and_the_bridge_are_not_core() {
    for artifact in ["log4j-api", "log4j-to-slf4j"] {
        let text = properties("org.apache.logging.log4j", artifact, "2.14.1");
        let jar = Zip::of(&[
            (&format!("META-INF/maven/org.apache.logging.log4j/{artifact}/pom.properties"), &text),
            ("META-INF/maven/org.apache.logging.log4j/log4j-api/pom.xml", b"<project><dependencies><dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.14.1</version></dependency></dependencies></project>"),
            ("org/apache/logging/log4j/Logger.class", b"x"),
        ]);
        let found = packages(&format!("app/{artifact}-2.14.1.jar"), &jar);
        assert_eq!(
            names(&found),
            [format!("org.apache.logging.log4j:{artifact}@2.14.1")]
        );
    }
}

#[test]
fn o6_the_first_log4j_is_another_library() {
    let text = properties("log4j", "log4j", "1.2.17");
    let jar = Zip::of(&[
        ("META-INF/maven/log4j/log4j/pom.properties", &text),
        ("org/apache/log4j/net/JMSAppender.class", b"x"),
    ]);
    assert_eq!(
        names(&packages("app/log4j-1.2.17.jar", &jar)),
        ["log4j:log4j@1.2.17"]
    );
    let bare = Zip::of(&[("org/apache/log4j/net/JMSAppender.class", b"x")]);
    assert_eq!(
        names(&packages("app/log4j-1.2.17.jar", &bare)),
        ["log4j:log4j@1.2.17"]
    );
}

#[test]
fn o7_a_removed_lookup_is_a_mitigation() {
    let found = packages(
        "app/log4j-core-2.14.1.jar",
        &log4j_core_without("2.14.1", "lookup/JndiLookup"),
    );
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.14.1"]);
    assert_eq!(found[0].mitigations, [REMOVED]);
    // The first betas never had it.
    let found = packages(
        "app/log4j-core-2.0-beta8.jar",
        &log4j_core_without("2.0-beta8", "lookup/JndiLookup"),
    );
    assert_eq!(found[0].mitigations, Vec::<String>::new());
}

#[test]
fn o9_a_pom_that_names_core_is_no_evidence_of_it() {
    let pom = b"<?xml version=\"1.0\"?><!-- <artifactId>log4j-core</artifactId> --><project xmlns=\"x\"><parent><groupId>com.example</groupId><artifactId>parent</artifactId><version>3</version></parent><artifactId>shop</artifactId><dependencies><dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.3</version></dependency></dependencies></project>";
    let jar = Zip::of(&[
        ("META-INF/maven/com.example/shop/pom.xml", pom),
        ("com/example/Shop.class", b"x"),
    ]);
    assert_eq!(names(&packages("app/shop.jar", &jar)), ["com.example:shop@3"]);
    let jar = Zip::of(&[(&CORE_AT.replace("properties", "xml"), pom)]);
    assert_eq!(
        names(&packages("app/log4j-core-2.3.jar", &jar)),
        Vec::<String>::new()
    );
}

#[test]
fn o10_and_o11_are_found_where_they_lie() {
    // Whether a layer above deletes it is not the cataloger's question.
    let found = packages(
        "usr/share/vendor/lib/log4j-core-2.11.1.jar",
        &log4j_core("2.11.1"),
    );
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.11.1"]);
}

#[test]
fn each_component_of_a_shaded_jar() {
    let own = properties("com.example", "shop", "1.0");
    let core = properties("org.apache.logging.log4j", "log4j-core", "2.14.1");
    let mut entries: Vec<(String, &[u8])> = vec![
        ("META-INF/maven/com.example/shop/pom.properties".to_owned(), &own),
        (CORE_AT.to_owned(), &core),
    ];
    entries.extend(
        CORE.iter()
            .map(|class| (format!("org/apache/logging/log4j/core/{class}.class"), &b"x"[..])),
    );
    let entries: Vec<(&str, &[u8])> = entries
        .iter()
        .map(|(name, content)| (name.as_str(), *content))
        .collect();
    let found = packages("app/shop-1.0-all.jar", &Zip::of(&entries));
    assert_eq!(
        names(&found),
        [
            "com.example:shop@1.0",
            "org.apache.logging.log4j:log4j-core@2.14.1"
        ]
    );
    assert_eq!(found[0].inner_path, Vec::<String>::new());
    assert_eq!(found[1].inner_path, [CORE_AT]);
}

#[test]
fn a_moved_copy_beside_one_with_coordinates() {
    let own = properties("org.apache.logging.log4j", "log4j-core", "2.17.1");
    let classes: Vec<String> = ["org/apache/logging/", "shaded/"]
        .iter()
        .flat_map(|prefix| {
            CORE.iter()
                .map(move |class| format!("{prefix}log4j/core/{class}.class"))
        })
        .collect();
    let mut entries: Vec<(&str, &[u8])> = vec![(CORE_AT, &own)];
    entries.extend(classes.iter().map(|name| (name.as_str(), &b"x"[..])));
    let found = packages("app/log4j-core-2.17.1.jar", &Zip::of(&entries));
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .any(|package| package.inner_path == ["shaded/log4j/core/lookup/JndiLookup.class"])
    );
}

/// The checksums are those of 2.14.1, so the coordinates are not the whole truth.
#[test]
fn classes_of_another_release_than_the_coordinates_say() {
    let own = properties("org.apache.logging.log4j", "log4j-core", "2.17.1");
    let mut zip = Zip::default();
    zip.add(&Spec::of(CORE_AT, &own));
    for (class, crc) in [
        ("LoggerContext", 0x5619_04c3),
        ("lookup/Interpolator", 0x675e_3e51),
        ("lookup/JndiLookup", 0x23a3_5f29),
    ] {
        let path = format!("org/apache/logging/log4j/core/{class}.class");
        zip.add(&Spec {
            crc: Some(crc),
            ..Spec::of(&path, b"x")
        });
    }
    let found = packages("app/log4j-core-2.17.1.jar", &zip.finish());
    assert_eq!(
        names(&found),
        [format!("{NAME}@2.14.1"), format!("{NAME}@2.17.1")]
    );
}

#[test]
fn a_jar_without_coordinates_by_its_name_and_classes() {
    let classes: Vec<String> = CORE
        .iter()
        .map(|class| format!("org/apache/logging/log4j/core/{class}.class"))
        .collect();
    let entries: Vec<(&str, &[u8])> = classes.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let found = packages("node_modules/local-dynamo/log4j-core-2.8.jar", &Zip::of(&entries));
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.8"]);
    assert_eq!(found[0].confidence, Confidence::Medium);
}

#[test]
fn classes_unpacked_into_the_image() {
    let path = "app/WEB-INF/classes/org/apache/logging/log4j/core/lookup/JndiLookup.class";
    let found = packages(path, b"rebuilt");
    assert_eq!(found[0].name, NAME);
    assert_eq!(found[0].confidence, Confidence::Low);
    let path = format!("app/{CORE_AT}");
    let found = packages(
        &path,
        &properties("org.apache.logging.log4j", "log4j-core", "2.14.1"),
    );
    assert_eq!(names(&found), ["org.apache.logging.log4j:log4j-core@2.14.1"]);
}
