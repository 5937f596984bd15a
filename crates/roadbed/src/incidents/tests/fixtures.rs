//! The images of the replay, and what each has of log4j. Jars are stand-ins with the names of the real ones' classes.

use std::io::{Cursor, Write as _};

use tar::{Builder, Header};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Which classes each release has: what moved copies are known by.
const RELEASES: &str = include_str!("../../../../inspect/src/packages/java/log4j_core.txt");

const CORE: [&str; 4] = [
    "LoggerContext",
    "lookup/Interpolator",
    "lookup/JndiLookup",
    "net/JndiManager",
];

/// A file of a layer.
pub(super) type File = (String, Vec<u8>);

/// A layer of these files.
pub(super) fn layer(files: &[File]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip(files: &[File]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        archive
            .start_file(path.as_str(), SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn coordinates(group: &str, artifact: &str, version: &str) -> File {
    let text = format!("version={version}\ngroupId={group}\nartifactId={artifact}\n");
    (
        format!("META-INF/maven/{group}/{artifact}/pom.properties"),
        text.into_bytes(),
    )
}

fn jar(group: &str, artifact: &str, version: &str, classes: &[&str]) -> Vec<u8> {
    let mut files = vec![coordinates(group, artifact, version)];
    files.extend(
        classes
            .iter()
            .map(|class| ((*class).to_owned(), b"\xca\xfe\xba\xbe".to_vec())),
    );
    zip(&files)
}

fn core_jar(version: &str, without: &str) -> Vec<u8> {
    let classes: Vec<String> = CORE
        .iter()
        .filter(|class| **class != without)
        .map(|class| format!("org/apache/logging/log4j/core/{class}.class"))
        .collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    jar("org.apache.logging.log4j", "log4j-core", version, &classes)
}

/// log4j-core as Maven has it.
pub(super) fn core(version: &str) -> File {
    (format!("app/lib/log4j-core-{version}.jar"), core_jar(version, ""))
}

/// The same with the class taken out that asks servers.
pub(super) fn core_without_lookup(version: &str) -> File {
    let jar = core_jar(version, "lookup/JndiLookup");
    (format!("app/lib/log4j-core-{version}.jar"), jar)
}

/// All classes that tell releases apart, at another place and without coordinates.
pub(super) fn moved(path: &str, prefix: &str, version: &str, suffix: &str) -> File {
    let is_it = |line: &&str| line.split(' ').next() == Some(version);
    let row = RELEASES.lines().find(is_it).unwrap();
    let present = row.rsplit(' ').next().unwrap();
    let telling = RELEASES.lines().filter_map(|line| line.strip_prefix("has "));
    let there = telling
        .zip(present.bytes())
        .filter(|(_, bit)| *bit == b'1')
        .map(|(class, _)| class);
    let classes = CORE.iter().copied().chain(there);
    let files: Vec<File> = classes
        .map(|class| (format!("{prefix}log4j/core/{class}.{suffix}"), b"moved".to_vec()))
        .collect();
    (path.to_owned(), zip(&files))
}

/// An application that Spring Boot has packed.
pub(super) fn spring(version: &str) -> File {
    let library = format!("BOOT-INF/lib/log4j-core-{version}.jar");
    let files = [
        coordinates("com.example", "shop", "1.0"),
        (
            "BOOT-INF/classes/com/example/Shop.class".to_owned(),
            b"x".to_vec(),
        ),
        (library, core_jar(version, "")),
    ];
    ("app/shop.jar".to_owned(), zip(&files))
}

/// A jar in a jar in a war.
pub(super) fn nested(version: &str) -> File {
    let plugin = zip(&[(format!("lib/log4j-core-{version}.jar"), core_jar(version, ""))]);
    let war = zip(&[("WEB-INF/lib/plugin.jar".to_owned(), plugin)]);
    ("app/shop.war".to_owned(), war)
}

/// The API and the bridge, which are not it.
pub(super) fn api_and_bridge() -> Vec<File> {
    ["log4j-api", "log4j-to-slf4j"]
        .map(|artifact| {
            let classes = ["org/apache/logging/log4j/Logger.class"];
            let jar = jar("org.apache.logging.log4j", artifact, "2.14.1", &classes);
            (format!("app/lib/{artifact}-2.14.1.jar"), jar)
        })
        .into()
}

/// Another library of the same name.
pub(super) fn first_log4j() -> File {
    let jar = jar(
        "log4j",
        "log4j",
        "1.2.17",
        &["org/apache/log4j/net/JMSAppender.class"],
    );
    ("app/lib/log4j-1.2.17.jar".to_owned(), jar)
}

/// A pom that wants it; nothing of it is there.
pub(super) fn pom() -> File {
    let text = "<project><groupId>com.example</groupId><artifactId>shop</artifactId><version>1</version><dependencies>\
        <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.3</version>\
        </dependency></dependencies></project>";
    ("app/pom.xml".to_owned(), text.as_bytes().to_vec())
}

/// What an image has beside that.
pub(super) fn own(name: &str) -> File {
    (format!("app/{name}.txt"), name.as_bytes().to_vec())
}

/// The mark that takes a file of a lower layer away.
pub(super) fn whiteout(path: &str) -> File {
    let (directory, name) = path.rsplit_once('/').unwrap();
    (format!("{directory}/.wh.{name}"), Vec::new())
}

/// A file that says it is an archive and cannot be read.
pub(super) fn unreadable() -> File {
    (
        "app/lib/broken.jar".to_owned(),
        b"PK\x03\x04 and nothing that follows".to_vec(),
    )
}
