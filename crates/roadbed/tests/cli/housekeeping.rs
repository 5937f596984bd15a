//! Collection, check, backup and restore, with the server running and stopped.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::cli::access::push;
use crate::cli::person::Person;
use crate::harness::server::{Options, Server};

#[tokio::test]
async fn a_running_server_is_checked_collected_and_backed_up() {
    let server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    let admin = Person::administrator(&server);
    admin.run(["gc"]).ok().says("Every blob that is left is named");
    admin
        .run(["fsck"])
        .ok()
        .says("2 blobs")
        .says("1 manifest checked: 0 damaged, 0 orphaned files");
    admin.run(["fsck", "--quick"]).ok().says("2 blobs (sizes only)");
    let report = admin.run(["fsck", "--quick", "--output", "json"]).ok().json();
    assert_eq!(report["damaged"], 0);
    admin.run(["backup", "-o", "copy.tar"]).ok();
    assert!(!admin.home().join("copy.tar.partial").exists());
    let first = fs::metadata(admin.home().join("copy.tar")).unwrap().ino();
    admin
        .run(["backup", "-o", "copy.tar"])
        .fails("copy.tar exists already: name another file, or overwrite it with --force\n");
    assert_eq!(fs::metadata(admin.home().join("copy.tar")).unwrap().ino(), first);
    admin.run(["backup", "-o", "copy.tar", "--force"]).ok();
    let streamed = admin.home().join("streamed.tar");
    let script = format!(
        "{} backup -o - > {}",
        env!("CARGO_BIN_EXE_roadbed"),
        streamed.display()
    );
    assert!(shell(&admin, &server, &script));

    for backup in ["copy.tar", "streamed.tar"] {
        let target = format!("restored-from-{backup}");
        admin
            .run(["restore", "--from", backup, "--data", &target])
            .ok()
            .says("2 blobs");
        admin
            .run(["restore", "--from", backup, "--data", &target])
            .fails("not empty");
        let restored = Server::start_with(Options::default().data(&admin.home().join(&target))).await;
        let again = Person::administrator(&restored);
        again.run(["tag", "list", "team/app"]).ok().says("v1");
        again.run(["fsck"]).ok().says("0 damaged");
    }
    let torn = fs::read(admin.home().join("copy.tar")).unwrap();
    fs::write(admin.home().join("torn.tar"), &torn[..torn.len() / 2]).unwrap();
    admin
        .run(["restore", "--from", "torn.tar", "--data", "torn"])
        .fails("torn was not restored");
    admin.write("notes", &"root:x:0:0:\u{1b}]0;pwned\u{7}:/root\n".repeat(50));
    let refused = admin
        .run(["restore", "--from", "notes", "--data", "fresh"])
        .fails("fresh was not restored from notes: it is not a backup of Roadbed")
        .fails("unpack it first if it is compressed");
    assert!(!refused.err.trim_end().contains(char::is_control), "{refused:?}");
    assert!(!admin.home().join("fresh").exists());
}

fn shell(person: &Person, server: &Server, script: &str) -> bool {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script])
        .env_clear()
        .env("HOME", person.home())
        .env("ROADBED_URL", server.url());
    command
        .env("ROADBED_USER", "admin")
        .env("ROADBED_PASSWORD", crate::harness::server::ADMIN_PASSWORD);
    command.status().unwrap().success()
}

#[tokio::test]
async fn a_stopped_server_is_collected_with_its_own_grace_time() {
    let mut server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    let admin = Person::administrator(&server);
    let shown = admin
        .run(["tag", "show", "team/app", "v1", "--output", "json"])
        .ok()
        .json();
    let digest = shown["digest"].as_str().unwrap();
    admin.run(["manifest", "delete", "team/app", digest]).ok();
    admin
        .run(["gc"])
        .ok()
        .says("2 blobs (1100 B) that no manifest names are younger than the grace time (1d) and stay");
    server.terminate().await;
    let data = server.data();
    let data = data.to_str().unwrap();
    admin.write("roadbed.toml", "[storage]\ncollect_grace = \"90m\"\n");
    admin
        .run(["gc", "--data", data, "--config", "roadbed.toml"])
        .ok()
        .says("the grace time (90m)");
    let report = admin
        .with("ROADBED_STORAGE__COLLECT_GRACE", "2h")
        .run(["gc", "--data", data, "--output", "json"])
        .ok()
        .json();
    assert_eq!(report["kept"]["grace_seconds"], 2 * 60 * 60);
}

#[tokio::test]
async fn damage_is_found_and_put_away() {
    let mut server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    let admin = Person::administrator(&server);
    corrupt_one(&server.data().join("blobs"));
    let found = admin.run(["fsck"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(
        found.out.contains("corrupt") && found.out.contains("1 damaged") && found.out.contains("team/app:v1"),
        "{found:?}"
    );
    server.terminate().await;

    let data = server.data();
    let data = data.to_str().unwrap();
    let found = admin.run(["fsck", "--data", data, "--quarantine", "--output", "json"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!(found.json()["damages"][0]["quarantined"], true);
    // It stays reported until somebody pushes it again, but not as something new.
    let later = admin.run(["fsck", "--data", data]);
    assert_eq!(later.code, Some(1), "{later:?}");
    later
        .says("push it again  team/app:v1")
        .says("0 damaged, 1 missing since earlier (push again)");
    server.start_again().await;
    let admin = Person::administrator(&server);
    push(&server, "team/app", "v1").await.unwrap();
    admin.run(["fsck"]).ok().says("0 damaged");
}

/// Changes one byte of one blob file without changing its length.
fn corrupt_one(blobs: &Path) {
    let mut directories = vec![blobs.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            // Blob files are read-only.
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("there is no blob to corrupt");
}
