//! An image that policy refuses for more reasons than a client shows, and what its output has to say.

use std::{
    fs,
    io::{Cursor, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{
    archive::{gzip, tar},
    layout::machine_architecture,
    machine::Outcome,
    world::World,
};
use crate::harness::{
    admin,
    client::Client,
    content::{Algorithm, Blob},
    manifest::{CONFIG, Draft, LAYER_GZIP},
    server::{ADMIN, ADMIN_PASSWORD},
};

/// How long a decision may take. A debug build compiles its rules for seconds before it looks into anything.
const PATIENCE: Duration = Duration::from_secs(90);

const PAUSE: Duration = Duration::from_millis(100);

const READER: &str = "reader";

const REPOSITORY: &str = "team/app";

/// A vulnerability that is known to be exploited, with a fix.
struct Exploited {
    id: &'static str,
    group: &'static str,
    artifact: &'static str,
    version: &'static str,
    fixed: &'static str,
    score: &'static str,
}

/// The worst first; the last one is the least.
const EXPLOITED: [Exploited; 4] = [
    Exploited {
        id: "CVE-2021-44228",
        group: "org.apache.logging.log4j",
        artifact: "log4j-core",
        version: "2.14.1",
        fixed: "2.15.0",
        score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
    },
    Exploited {
        id: "CVE-2017-5638",
        group: "org.apache.struts",
        artifact: "struts2-core",
        version: "2.5.10",
        fixed: "2.5.10.1",
        score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    },
    Exploited {
        id: "CVE-2022-22965",
        group: "org.springframework",
        artifact: "spring-beans",
        version: "5.3.17",
        fixed: "5.3.18",
        score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    },
    Exploited {
        id: "CVE-2016-3088",
        group: "org.apache.activemq",
        artifact: "activemq-fileserver",
        version: "5.13.0",
        fixed: "5.14.0",
        score: "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
    },
];

impl Exploited {
    fn advisory(&self) -> Value {
        let range = json!([{ "introduced": "0" }, { "fixed": self.fixed }]);
        json!({
            "schema_version": "1.6.0", "id": self.id, "summary": "remote code execution",
            "published": "2021-12-10T00:00:00Z", "modified": "2022-03-25T00:00:00Z",
            "severity": [{ "type": "CVSS_V3", "score": self.score }],
            "affected": [{
                "package": { "ecosystem": "Maven", "name": format!("{}:{}", self.group, self.artifact) },
                "ranges": [{ "type": "ECOSYSTEM", "events": range }],
            }],
        })
    }

    fn in_catalogue(&self) -> Value {
        json!({
            "cveID": self.id, "vendorProject": "Apache", "product": self.artifact, "vulnerabilityName": self.id,
            "dateAdded": "2021-12-10", "shortDescription": "Remote code execution.", "requiredAction": "Apply updates.",
            "dueDate": "2021-12-24", "knownRansomwareCampaignUse": "Known", "notes": "", "cwes": [],
        })
    }

    /// A jar as Maven makes it, without classes.
    fn jar(&self) -> Vec<u8> {
        let mut jar = ZipWriter::new(Cursor::new(Vec::new()));
        let path = format!("META-INF/maven/{}/{}/pom.properties", self.group, self.artifact);
        let text = format!(
            "version={}\ngroupId={}\nartifactId={}\n",
            self.version, self.group, self.artifact
        );
        jar.start_file(path, SimpleFileOptions::default())
            .expect("memory can be written");
        jar.write_all(text.as_bytes()).expect("memory can be written");
        jar.finish().expect("memory can be written").into_inner()
    }
}

/// Two images in a registry that knows what is exploited, and somebody who may only pull.
pub(super) struct Refused {
    image: String,
    harmless: String,
}

impl Refused {
    /// Pushes both and waits until they are decided.
    pub(super) async fn push(world: &World) -> Result<Self> {
        import(world)?;
        let refused = Self {
            image: format!("{REPOSITORY}:bad"),
            harmless: format!("{REPOSITORY}:good"),
        };
        let admin = world.server.admin();
        let jars = EXPLOITED.map(|one| (format!("app/lib/{}.jar", one.artifact), one.jar().into()));
        let motd = [("etc/motd".to_owned(), "hello\n".into())];
        let reader = admin::user(&world.server, READER, "team/*", &["pull"]).await?;
        for (tag, layer, status) in [("bad", tar(&jars), 403), ("good", tar(&motd), 200)] {
            push(&admin, tag, layer).await?;
            is_decided(&reader, tag, status).await?;
        }
        Ok(refused)
    }

    /// Name and password of whoever may only pull.
    pub(super) const LOGIN: (&str, &str) = (READER, admin::USER_PASSWORD);

    /// What is refused.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// What is served.
    pub(super) fn harmless(&self) -> &str {
        &self.harmless
    }

    /// The pull failed, and whoever did it reads the three worst reasons, what fixes each, and that there are more.
    pub(super) fn is_explained(&self, pull: &Outcome) -> Result<()> {
        ensure!(!pull.succeeded, "{} was pulled: {pull}", self.image);
        let told = format!("{}{}", pull.output, pull.errors);
        ensure!(told.contains("refused by policy"), "no word of policy: {pull}");
        let (least, worst) = EXPLOITED.split_last().expect("it is not empty");
        for one in worst {
            let fix = format!("update {}:{} to {}", one.group, one.artifact, one.fixed);
            for part in [one.id, one.version, &fix] {
                ensure!(told.contains(part), "no {part:?} in {pull}");
            }
        }
        ensure!(
            !told.contains(least.id),
            "{} is not one of three: {pull}",
            least.id
        );
        ensure!(told.contains("(and 1 more)"), "nothing of the fourth: {pull}");
        Ok(())
    }
}

fn import(world: &World) -> Result<()> {
    let directory = world.file("advisories");
    fs::create_dir_all(&directory)?;
    for one in &EXPLOITED {
        fs::write(
            directory.join(format!("{}.json", one.id)),
            one.advisory().to_string(),
        )?;
    }
    let listed: Vec<Value> = EXPLOITED.iter().map(Exploited::in_catalogue).collect();
    let catalogue = json!({
        "title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": "2025.08.25",
        "dateReleased": "2025-08-25T17:04:19.9796Z", "count": listed.len(), "vulnerabilities": listed,
    });
    fs::write(directory.join("kev.json"), catalogue.to_string())?;
    let mut import = world.server.command();
    import
        .args(["advisories", "import"])
        .arg(&directory)
        .env("ROADBED_URL", world.server.url())
        .env("ROADBED_USER", ADMIN)
        .env("ROADBED_PASSWORD", ADMIN_PASSWORD);
    let output = import.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "nothing was imported: {said}");
    Ok(())
}

async fn push(admin: &Client, tag: &str, layer: Vec<u8>) -> Result<()> {
    let config = json!({
        "architecture": machine_architecture(), "os": "linux",
        "config": { "Cmd": ["/bin/true"], "User": "1000" },
        "rootfs": { "type": "layers", "diff_ids": [Algorithm::Sha256.digest(&layer)] },
    });
    let blobs = [
        Blob::new(Algorithm::Sha256, gzip(&layer)),
        Blob::new(Algorithm::Sha256, config.to_string()),
    ];
    let image = Draft::image(blobs[1].descriptor(CONFIG), vec![blobs[0].descriptor(LAYER_GZIP)]);
    admin.push_image(REPOSITORY, tag, &blobs, &image.finish()).await
}

async fn is_decided(reader: &Client, tag: &str, status: u16) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
        let answer = reader.get(path).send().await?;
        if answer.status == status {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{tag}: {}", answer.summary());
        tokio::time::sleep(PAUSE).await;
    }
}
