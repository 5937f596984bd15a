//! The fixtures of December 2021 that are about images, made of the jars that were released, and what was to be said of each on the
//! day of the first advisory.

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tar::{Builder, Header};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{
    found::{argument, packages, scan},
    layout::{self, TAG},
};
use crate::{
    fetch,
    harness::unable::{self, Unable},
};

const GROUP: &str = "org.apache.logging.log4j";

const LOOKUP: &str = "org/apache/logging/log4j/core/lookup/JndiLookup.class";

/// What is said of a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// With the fix for the line that runs, and how sure the version is.
    Affected(&'static str, &'static str),
    Mitigated,
    Not,
}

use Verdict::{Affected, Mitigated, Not};

/// Directory and verdict on CVE-2021-44228 in the running image.
const TABLE: [(&str, Verdict); 10] = [
    ("o1", Affected("2.15.0", "high")),
    ("o2", Affected("2.15.0", "medium")),
    ("o3", Affected("2.12.2", "high")),
    ("o4", Affected("2.12.2", "low")),
    ("o5", Not),
    ("o6", Not),
    ("o7", Mitigated),
    ("o9", Not),
    ("o10", Affected("2.12.2", "high")),
    ("o11", Not),
];

type Files = Vec<(String, Vec<u8>)>;

/// The bytes of a jar of Maven Central.
fn jar(group: &str, artifact: &str, version: &str) -> Option<Vec<u8>> {
    let directory = fetch::jar(group, artifact, version)?;
    Some(fs::read(directory.join(format!("{artifact}-{version}.jar"))).unwrap())
}

fn unzip(bytes: &[u8]) -> Files {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Files::new();
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.push((entry.name().unwrap().into_owned(), content));
    }
    files.retain(|(name, _)| !name.ends_with('/'));
    files
}

fn zip(files: &Files) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive
            .start_file(name.as_str(), SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn zip_of(name: &str, content: Vec<u8>) -> Vec<u8> {
    zip(&vec![(name.to_owned(), content)])
}

fn without(jar: &[u8], is_left_out: impl Fn(&str) -> bool) -> Files {
    let mut files = unzip(jar);
    let before = files.len();
    files.retain(|(name, _)| !is_left_out(name));
    assert!(files.len() < before, "there was nothing to leave out");
    files
}

/// As a shading plugin does it: other packages, in the names of files and in the classes, and no coordinates.
fn relocated(jar: &[u8]) -> Vec<u8> {
    let mut files = without(jar, |name| name.starts_with("META-INF/"));
    for (name, content) in &mut files {
        *name = name.replace("org/apache/logging", "com/xshade/logging");
        for (from, to) in [
            (b"org/apache/logging", b"com/xshade/logging"),
            (b"org.apache.logging", b"com.xshade.logging"),
        ] {
            let places: Vec<usize> = content
                .windows(from.len())
                .enumerate()
                .filter_map(|(at, window)| (window == from).then_some(at))
                .collect();
            for at in places {
                content[at..at + to.len()].copy_from_slice(to);
            }
        }
    }
    assert!(files.iter().any(|(name, _)| name.contains("xshade")));
    zip(&files)
}

/// As agents keep classes from the class loader of the application.
fn hidden_in_an_agent(jar: &[u8]) -> Vec<u8> {
    let mut files = without(jar, |name| name.starts_with("META-INF/"));
    for (name, _) in &mut files {
        *name = format!("agent/{}", name.replace(".class", ".esclazz"));
    }
    zip(&files)
}

/// All files, in directories by the name of the fixture.
fn files() -> Option<Vec<(&'static str, Vec<u8>)>> {
    let core = |version| jar(GROUP, "log4j-core", version);
    let (plain, java7) = (core("2.14.1")?, core("2.12.1")?);
    let plugin = zip_of("lib/log4j-core-2.12.1.jar", java7.clone());
    // It needs log4j-core, and its pom says so.
    let binding = jar(GROUP, "log4j-slf4j-impl", "2.3")?;
    let is_pom = |name: &str| name.ends_with("/pom.xml");
    let (_, pom) = unzip(&binding).into_iter().find(|(name, _)| is_pom(name))?;
    assert!(String::from_utf8_lossy(&pom).contains("<artifactId>log4j-core</artifactId>"));
    let mitigated = zip(&without(&plain, |name| name == LOOKUP));
    Some(vec![
        ("o1/log4j-core-2.14.1.jar", plain.clone()),
        ("o2/agent.jar", relocated(&plain)),
        ("o3/shop.war", zip_of("WEB-INF/lib/plugin.jar", plugin)),
        ("o4/apm-agent.jar", hidden_in_an_agent(&java7)),
        ("o5/log4j-api-2.14.1.jar", jar(GROUP, "log4j-api", "2.14.1")?),
        (
            "o5/log4j-to-slf4j-2.14.1.jar",
            jar(GROUP, "log4j-to-slf4j", "2.14.1")?,
        ),
        ("o6/log4j-1.2.17.jar", jar("log4j", "log4j", "1.2.17")?),
        ("o7/log4j-core-2.14.1.jar", mitigated),
        ("o9/log4j-slf4j-impl-2.3.jar", binding),
        ("o9/pom.xml", pom),
        ("o10/log4j-core-2.11.1.jar", core("2.11.1")?),
        ("o11/log4j-core-2.14.1.jar", plain),
    ])
}

fn tar<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// What two sources said, of the data that lie beside this repository.
fn advisories() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let places = ["shared/data/log4j", "../shared/data/log4j"].map(|place| above.join(place));
    let found = places.into_iter().find(|place| place.is_dir());
    if found.is_none() {
        let why = "the data beside the repository are not here".to_owned();
        unable::report(&Unable::Impossible(why));
    }
    found
}

/// Findings of a vulnerability below a directory.
fn findings<'a>(result: &'a Value, id: &str, directory: &str) -> Vec<&'a Value> {
    let all = packages_in(result, directory);
    let findings = result["vulnerabilities"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["id"] == id)
        .filter(|finding| all.contains(&finding["package"].as_u64().unwrap()))
        .collect()
}

fn packages_in(result: &Value, directory: &str) -> Vec<u64> {
    let paths = result["packages"].as_array().unwrap().iter();
    (0..)
        .zip(paths)
        .filter(|(_, package)| {
            package["path"]
                .as_str()
                .unwrap()
                .starts_with(&format!("{directory}/"))
        })
        .map(|(number, _)| number)
        .collect()
}

fn is_mitigated(finding: &Value) -> bool {
    finding["state"]["mitigated"]["seen"] == "JndiLookup.class removed"
}

fn is_judged(result: &Value, directory: &str, verdict: Verdict) {
    let found = findings(result, "CVE-2021-44228", directory);
    match verdict {
        Not => assert!(found.is_empty(), "{directory}: {found:#?}"),
        Mitigated => {
            assert_eq!(found.len(), 1, "{directory}: {found:#?}");
            assert!(is_mitigated(found[0]), "{directory}: {found:#?}");
        }
        Affected(fix, confidence) => {
            assert_eq!(found.len(), 1, "{directory}: {found:#?}");
            assert_eq!(found[0]["state"], "affected", "{directory}: {found:#?}");
            assert_eq!(found[0]["fix"]["version"], fix, "{directory}: {found:#?}");
            assert_eq!(found[0]["confidence"], confidence, "{directory}: {found:#?}");
        }
    }
}

#[test]
fn each_image_of_that_day_is_judged_as_the_table_says() {
    let (Some(advisories), Some(files)) = (advisories(), files()) else {
        return;
    };
    let named = || files.iter().map(|(path, content)| (*path, content.as_slice()));
    let lower = tar(named());
    let upper = tar([("o11/.wh.log4j-core-2.14.1.jar", &b""[..])]);
    let directory = tempfile::tempdir().unwrap();
    let judged = |name: &str, layers: &[Vec<u8>]| {
        let layout = directory.path().join(name);
        layout::write(&layout, layers);
        let target = format!("{}:{TAG}", argument(&layout));
        scan(&[&target, "--advisories", &argument(&advisories)])
    };
    let running = judged("running", &[lower.clone(), upper]);
    for (fixture, verdict) in TABLE {
        is_judged(&running, fixture, verdict);
    }
    // Removing the class stays enough when the first fix turns out not to be.
    let later = findings(&running, "CVE-2021-45046", "o7");
    assert!(later.iter().all(|finding| is_mitigated(finding)) && later.len() == 1);
    // Where it is, to whoever has to take it out.
    let war = packages(&running, "java")
        .into_iter()
        .filter(|found| found.path == "o3/shop.war");
    assert_eq!(war.count(), 1);
    // The layer has what the running image has not.
    is_judged(&judged("blob", &[lower]), "o11", Affected("2.15.0", "high"));
}
