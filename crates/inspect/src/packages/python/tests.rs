//! Metadata of installers and lists of package managers.

use super::{PythonInstalled, PythonLock, package};
use crate::Cataloger as _;
use crate::packages::testing::{is_malformed, names, packages};

const DJANGO: &str = "usr/lib/python3/dist-packages/Django-2.2.dist-info/METADATA";

#[test]
fn normalised_names() {
    for (name, normalised) in [
        ("Django", "django"),
        ("ruamel.yaml", "ruamel-yaml"),
        ("a_-._b", "a-b"),
    ] {
        assert_eq!(package(name, "1").name, normalised);
    }
}

#[test]
fn metadata() {
    let text = "Metadata-Version: 2.1\nName: Django\nVersion: 2.2\nLicense: BSD\nClassifier: License :: OSI Approved :: BSD License\n\nName: other\nVersion: 9\n";
    let found = packages(&PythonInstalled, DJANGO, text);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].name.as_str(), found[0].version.as_str()),
        ("django", "2.2")
    );
    assert_eq!(found[0].licences, ["BSD"]);
    for (headers, expected) in [
        (
            "License: UNKNOWN\nClassifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: MIT License\n",
            "MIT License",
        ),
        (
            "License: x\nLicense-Expression: MIT OR Apache-2.0\n",
            "MIT OR Apache-2.0",
        ),
        ("", ""),
    ] {
        let text = format!("Name: a\nVersion: 1\n{headers}");
        assert_eq!(
            packages(&PythonInstalled, DJANGO, &text)[0].licences.concat(),
            expected
        );
    }
}

#[test]
fn the_kinds_of_metadata() {
    let text = "Name: PyYAML\r\nVersion: 5.3\r\n\r\n";
    for path in [
        "lib/python3.8/site-packages/PyYAML-5.3.egg-info",
        "lib/python3.8/site-packages/PyYAML-5.3-py3.8.egg-info/PKG-INFO",
        "lib/python3.8/site-packages/PyYAML-5.3.egg/EGG-INFO/PKG-INFO",
        "lib/python3.8/site-packages/PyYAML-5.3.dist-info/METADATA",
    ] {
        assert_eq!(names(&PythonInstalled, path, text), ["pyyaml@5.3"], "{path}");
    }
    assert!(!PythonInstalled.wants("a.egg-info/requires.txt", b""));
    assert_eq!(
        names(&PythonInstalled, DJANGO, "nothing here\n"),
        Vec::<String>::new()
    );
}

#[test]
fn conda() {
    let path = "opt/conda/conda-meta/numpy-1.19.json";
    let text = r#"{"name":"numpy","version":"1.19.1","license":"BSD-3-Clause","files":["lib/python3.8/site-packages/numpy/__init__.py"]}"#;
    assert_eq!(names(&PythonInstalled, path, text), ["numpy@1.19.1"]);
    let text = r#"{"name":"openssl","version":"1.1.1","files":["lib/libssl.so"]}"#;
    assert_eq!(names(&PythonInstalled, path, text), Vec::<String>::new());
    assert!(is_malformed(&PythonInstalled, path, "{"));
}

#[test]
fn locks() {
    for (path, text) in [
        (
            "poetry.lock",
            "[[package]]\nname = \"Django\"\nversion = \"2.2\"\n[package.dependencies]\npytz = \"*\"\n[metadata]\npython-versions = \"*\"\n",
        ),
        (
            "uv.lock",
            "version = 1\n[[package]]\nname = \"django\"\nversion = \"2.2\"\nsource = { registry = \"https://x\" }\n[[package]]\nname = \"app\"\nversion = \"1\"\nsource = { editable = \".\" }\n",
        ),
        ("pdm.lock", "[[package]]\nname = \"django\"\nversion = \"2.2\"\n"),
        (
            "pylock.toml",
            "lock-version = '1.0'\n[[packages]]\nname = 'django'\nversion = '2.2'\n[[packages]]\nname = 'local'\n",
        ),
        (
            "pylock.prod.toml",
            "[[packages]]\nname = 'django'\nversion = '2.2'\n",
        ),
        (
            "Pipfile.lock",
            r#"{"_meta":{},"default":{"django":{"version":"==2.2"},"x":{"git":"y"}},"develop":{}}"#,
        ),
        (
            "requirements-dev.txt",
            "# x\n-r other.txt\nDjango[argon2]==2.2 ; python_version > '3' --hash=sha256:x\nflask>=1\nb==1.*\nc==1,!=2\n-e .\nhttps://x/y==1\n",
        ),
        ("requirements.txt", "django===2.2 \\\n    --hash=sha256:abc\n"),
    ] {
        assert_eq!(names(&PythonLock, path, text), ["django@2.2"], "{path}");
    }
}

#[test]
fn deep_and_wrong_lists_are_refused() {
    assert!(is_malformed(
        &PythonLock,
        "uv.lock",
        &format!("a = {}", "[".repeat(100_000))
    ));
    assert!(is_malformed(&PythonLock, "poetry.lock", "[[package"));
    assert!(is_malformed(
        &PythonLock,
        "Pipfile.lock",
        &"{\"a\":".repeat(100_000)
    ));
}
