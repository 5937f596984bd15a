//! What is written follows the official schemas of its formats.
//!
//! The schemas come from the registries of packages that bring them; where these cannot be reached, a line says what was
//! skipped.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use findings::{
    ScanResult,
    output::{OutputForm, OutputOptions},
};

#[path = "../src/scan_result/tests/sample.rs"]
mod sample;

/// Seconds that a registry may take.
const FETCH_SECONDS: &str = "120";
const PYTHON_PACKAGES: [&str; 3] = [
    "cyclonedx-python-lib[json-validation]==11.12.0",
    "spdx-tools==0.8.5",
    "jsonschema==4.26.0",
];
const SARIF_PACKAGE: &str = "@microsoft/jest-sarif@1.0.0-beta.0";
const SARIF_MEMBER: &str = "package/lib/schemas/sarif-2.1.0-rtm.5.json";
const SPDX_PACKAGE: &str = "org.spdx:tools-java:1.1.8";
const SPDX_MEMBER: &str = "resources/spdx-schema-v2.3.json";

const HOSTILE: &str = "\u{1b}[31m\u{202e}\0\u{9b}\u{200b}\"<&>']]>\n\t\r--\\";

/// Runs a program in `directory`; what it printed if it did not end well.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("timeout")
        .arg(FETCH_SECONDS)
        .arg(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let texts = [output.stdout, output.stderr].concat();
    Err(format!("{program}: {}", String::from_utf8_lossy(&texts).trim()))
}

/// Says past the capture of the test runner that a test could not run as a whole here; `./test` counts these lines.
fn impossible(why: &str) {
    let thread = std::thread::current();
    let line = format!("NOT POSSIBLE: {}: {why}\n", thread.name().unwrap_or("a test"));
    // Not `eprintln!`: the runner would keep it to itself.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// The tools that check; `None` with a line that says so where they cannot be had.
    fn fetch() -> Option<Self> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemas-1");
        std::fs::create_dir_all(&directory).unwrap();
        let tools = Self { directory };
        let fetched = tools.once("python", || {
            run(&tools.directory, "python3", &["-m", "venv", "venv"])?;
            let mut arguments = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            arguments.extend(PYTHON_PACKAGES);
            run(&tools.directory, &tools.python(), &arguments)
        });
        fetched.then_some(tools)
    }

    fn python(&self) -> String {
        self.directory.join("venv/bin/python").display().to_string()
    }

    /// Does something that needs a registry, unless it was done.
    fn once(&self, what: &str, fetch: impl FnOnce() -> Result<(), String>) -> bool {
        let done = self.directory.join(format!("{what}.done"));
        if done.exists() {
            return true;
        }
        match fetch() {
            Ok(()) => {
                std::fs::write(done, "").unwrap();
                true
            }
            Err(why) => {
                impossible(&format!(
                    "{what} cannot be fetched: {}",
                    why.lines().next().unwrap_or_default()
                ));
                false
            }
        }
    }

    fn sarif_schema(&self) -> Option<PathBuf> {
        let fetched = self.once("sarif", || {
            run(&self.directory, "npm", &["pack", "--silent", SARIF_PACKAGE])?;
            let archive = "microsoft-jest-sarif-1.0.0-beta.0.tgz";
            run(&self.directory, "tar", &["xzf", archive, SARIF_MEMBER])
        });
        fetched.then(|| self.directory.join(SARIF_MEMBER))
    }

    fn spdx_schema(&self) -> Option<PathBuf> {
        let fetched = self.once("spdx", || {
            let artifact = format!("-Dartifact={SPDX_PACKAGE}");
            let arguments = ["-q", "dependency:copy", &artifact, "-DoutputDirectory=."];
            run(&self.directory, "mvn", &arguments)?;
            let arguments = ["-m", "zipfile", "-e", "tools-java-1.1.8.jar", "spdx"];
            run(&self.directory, &self.python(), &arguments)
        });
        fetched.then(|| self.directory.join("spdx").join(SPDX_MEMBER))
    }

    /// What is wrong with each of the documents.
    fn check(&self, documents: &[Document]) -> Vec<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/validate.py");
        let mut arguments = vec![script.to_owned()];
        for (number, document) in documents.iter().enumerate() {
            let path = self.directory.join(format!("{number}.spdx.json"));
            std::fs::write(&path, &document.text).unwrap();
            let schema = document.schema.as_ref();
            let schema = schema.map_or("-".to_owned(), |schema| schema.display().to_string());
            arguments.extend([document.format.to_owned(), schema, path.display().to_string()]);
        }
        let output = Command::new(self.python()).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), documents.len());
        lines
    }
}

struct Document {
    format: &'static str,
    schema: Option<PathBuf>,
    text: String,
}

/// The result in every form that has a schema that is there.
fn documents(tools: &Tools, result: &ScanResult) -> Vec<Document> {
    let options = OutputOptions {
        tool_version: "1.2.3".to_owned(),
        created: Some(time::macros::datetime!(2026-01-02 03:04:05.6 +2)),
        sbom_with_vulnerabilities: true,
        ..OutputOptions::default()
    };
    let document = |form: OutputForm, format: &'static str, schema: Option<PathBuf>| Document {
        format,
        schema,
        text: result.to_form(form, &options),
    };
    let mut documents = vec![document(OutputForm::CycloneDx, "cyclonedx", None)];
    let sarif = tools.sarif_schema();
    documents.extend(sarif.map(|schema| document(OutputForm::Sarif, "sarif", Some(schema))));
    let spdx = tools.spdx_schema();
    documents.extend(spdx.map(|schema| document(OutputForm::Spdx, "spdx", Some(schema))));
    documents
}

#[test]
fn documents_follow_the_official_schemas() {
    let Some(tools) = Tools::fetch() else {
        return;
    };
    let plain = sample::scanned();
    let results = [plain.clone(), sample::hostile(HOSTILE), ScanResult::default()];
    let mut all: Vec<Document> = results
        .iter()
        .flat_map(|result| documents(&tools, result))
        .collect();
    all.push(Document {
        format: "spdx-rules",
        schema: None,
        text: plain.to_form(OutputForm::Spdx, &OutputOptions::default()),
    });
    let valid = all.len();
    // What checks must be able to refuse.
    for mut document in documents(&tools, &plain) {
        document.text = document.text.replace("\"name\":", "\"nome\":");
        all.push(document);
    }
    for (number, line) in tools.check(&all).iter().enumerate() {
        let format = all[number].format;
        assert_eq!(line.ends_with(" valid"), number < valid, "{format}: {line}");
    }
}

#[test]
fn junit_is_well_formed() {
    let script = "import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])";
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if run(directory, "python3", &["--version"]).is_err() {
        impossible("there is no python3");
        return;
    }
    for (number, result) in [sample::scanned(), sample::hostile(HOSTILE)].iter().enumerate() {
        let path = directory.join(format!("junit-{number}.xml"));
        std::fs::write(
            &path,
            result.to_form(OutputForm::JUnit, &OutputOptions::default()),
        )
        .unwrap();
        run(directory, "python3", &["-c", script, &path.display().to_string()]).unwrap();
    }
}
