//! A file system of a few megabytes that only the server and this test see.
//!
//! A process that does nothing keeps a mount namespace alive in which a small `tmpfs` is mounted. The server is started
//! inside of it, again and again on the same files; when the process ends, all is gone, whatever became of the test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::harness::{
    server::Options,
    unable::{Program, Unable},
};

const UNSHARE: Program = Program {
    name: "unshare",
    package: "util-linux",
};
const NSENTER: Program = Program {
    name: "nsenter",
    package: "util-linux",
};

/// Longest life of the file system, in case that the test cannot end it.
const LIFE_SECONDS: &str = "600";

/// A mounted file system. Ends with the value.
pub(super) struct SmallDisk {
    keeper: Child,
    nsenter: PathBuf,
    mount_point: TempDir,
}

impl SmallDisk {
    /// Mounts one of this size.
    pub(super) fn mount(mebibytes: u32) -> Result<Self, Unable> {
        let (unshare, nsenter) = (UNSHARE.find()?, NSENTER.find()?);
        let mount_point =
            TempDir::with_prefix("roadbed-small-disk-").expect("a temporary directory can be made");
        let script = format!(
            "mount -t tmpfs -o size={mebibytes}m none \"$0\" && echo mounted && exec sleep {LIFE_SECONDS}"
        );
        let mut keeper = Command::new(unshare)
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .arg(mount_point.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Unable::Impossible(format!("unshare cannot be started: {error}")))?;
        let mut line = String::new();
        let output = keeper.stdout.take().expect("it was asked for");
        let _ = BufReader::new(output).read_line(&mut line);
        let disk = Self {
            keeper,
            nsenter,
            mount_point,
        };
        if line.trim() == "mounted" {
            Ok(disk)
        } else {
            Err(Unable::Impossible(
                "a small file system cannot be mounted; it needs root with CAP_SYS_ADMIN".to_owned(),
            ))
        }
    }

    /// The options of a server whose data lies on it.
    pub(super) fn serve(&self) -> Options {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.keeper.id());
        let nsenter = self.nsenter.display().to_string();
        Options::default()
            .data(&self.mount_point.path().join("data"))
            .environment("ROADBED_STORAGE__RESERVE", "64MiB")
            .wrapped_in(&[&nsenter, &namespace, "--"])
    }

    /// The data of the server, as this process reaches it.
    pub(super) fn data(&self) -> PathBuf {
        self.outside().join("data")
    }

    /// A file beside the data that takes space away.
    fn ballast(&self) -> PathBuf {
        self.outside().join("ballast")
    }

    fn outside(&self) -> PathBuf {
        let point = self
            .mount_point
            .path()
            .strip_prefix("/")
            .unwrap_or(self.mount_point.path());
        Path::new("/proc")
            .join(self.keeper.id().to_string())
            .join("root")
            .join(point)
    }

    /// Takes so many bytes, or all that is left.
    pub(super) fn take(&self, bytes: usize) {
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.ballast())
            .expect("a file can be made");
        let block = [0xa5; 4096];
        for _ in 0..bytes.div_ceil(block.len()) {
            if file.write_all(&block).is_err() {
                break;
            }
        }
    }

    /// Gives the space back.
    pub(super) fn free(&self) {
        fs::remove_file(self.ballast()).expect("the space was taken before");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
