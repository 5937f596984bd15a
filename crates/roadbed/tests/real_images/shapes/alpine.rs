//! Images of Alpine's kind: musl, busybox and apk's databases, which apko's library writes.
//!
//! Alpine's own packages are not asked for. The programs in these packages are Debian's builds of musl and busybox, an older and a
//! newer one, and what this machine builds against musl; so what is in the images runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    super::debian::output,
    debs::{Archive, field, unpack},
    room::{Room, Step, run},
};

const ARCH: &str = "x86_64";
const BASE: [&str; 4] = [
    "alpine-baselayout-data",
    "busybox",
    "ca-certificates-bundle",
    "musl",
];

/// As programs call musl.
const LIBC: &str = "libc.musl-x86_64.so.1";

/// Where a file lies: Debian moves some between releases.
fn first_of(root: &Path, paths: &[&str]) -> Result<PathBuf> {
    let all = paths.iter().map(|path| root.join(path));
    all.into_iter()
        .find(|path| path.is_file())
        .context("the file is elsewhere")
}

/// The packages that are had at one time, and the program that installs them.
pub(super) struct Repository {
    directory: PathBuf,
    apk: PathBuf,
}

/// What a package says of itself besides its name and version, a line each, and its scripts.
struct Said {
    lines: String,
    scripts: Vec<(&'static str, &'static str)>,
}

fn said(depends: &[&str], provides: &[&str]) -> Said {
    let depends = depends.iter().map(|name| format!("depend = {name}\n"));
    let provides = provides.iter().map(|name| format!("provides = {name}\n"));
    Said {
        lines: depends.chain(provides).collect(),
        scripts: Vec::new(),
    }
}

/// Debian's version as apk writes one.
fn version(control: &str) -> String {
    let version = field(control, "Version");
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = version.split(['-', '+']).next().unwrap_or_default();
    format!("{upstream}-r0")
}

impl Repository {
    /// Makes packages of what a release of Debian has.
    pub(super) fn make(directory: PathBuf, apk: PathBuf, archive: &Archive, release: &str) -> Result<Self> {
        fs::create_dir_all(directory.join(ARCH))?;
        let repository = Self { directory, apk };
        repository.system(archive, release)?;
        repository.shop(archive)?;
        let mut index = Command::new(&repository.apk);
        output(index.arg("index").arg(&repository.directory).arg(ARCH))?;
        Ok(repository)
    }

    /// One that was made before.
    pub(super) fn known(directory: PathBuf, apk: PathBuf) -> Self {
        Self { directory, apk }
    }

    fn files(&self, name: &str) -> Result<PathBuf> {
        let files = self.directory.join("packages").join(name).join("files");
        fs::create_dir_all(&files)?;
        Ok(files)
    }

    fn pack(&self, name: &str, version: &str, said: &Said) -> Result<()> {
        let place = self.directory.join("packages").join(name);
        let info = place.join("PKGINFO");
        let lines = &said.lines;
        let text = format!(
            "pkgname = {name}\npkgver = {version}\npkgdesc = {name}\nurl = https://example.org\nbuilddate = 1700000000\n\
             packager = shop\nsize = 1\narch = {ARCH}\norigin = {name}\nlicense = MIT\n{lines}"
        );
        fs::write(&info, text)?;
        for (script, text) in &said.scripts {
            fs::write(place.join(script), text)?;
        }
        let file = self.directory.join(ARCH).join(format!("{name}-{version}.apk"));
        let mut pack = Command::new(&self.apk);
        output(pack.arg("pack").arg(place.join("files")).arg(info).arg(file)).map(drop)
    }

    /// What is in the base.
    fn system(&self, archive: &Archive, release: &str) -> Result<()> {
        let layout = self.files("alpine-baselayout-data")?;
        fs::create_dir_all(layout.join("etc"))?;
        for (name, text) in [
            (
                "passwd",
                "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
            ),
            ("group", "root:x:0:root\nnobody:x:65534:\n"),
            ("shadow", "root:*::0:::::\nnobody:!::0:::::\n"),
            ("shells", "/bin/sh\n/bin/ash\n"),
            ("os-release", &format!("ID=alpine\nVERSION_ID={release}\n")),
            ("alpine-release", &format!("{release}\n")),
        ] {
            fs::write(layout.join("etc").join(name), text)?;
        }
        self.pack(
            "alpine-baselayout-data",
            &format!("{release}-r0"),
            &said(&[], &[]),
        )?;

        let debs = archive.files(&["musl", "busybox-static", "ca-certificates"])?;
        let unpacked = self.directory.join("unpacked");
        let control = unpack(&debs[0], &unpacked)?;
        let musl = self.files("musl")?.join("lib");
        fs::create_dir_all(&musl)?;
        let libc = first_of(
            &unpacked,
            &[
                "lib/x86_64-linux-musl/libc.so",
                "usr/lib/x86_64-linux-musl/libc.so",
            ],
        )?;
        fs::copy(libc, musl.join("ld-musl-x86_64.so.1"))?;
        symlink("ld-musl-x86_64.so.1", musl.join(LIBC))?;
        self.pack(
            "musl",
            &version(&control),
            &said(&[], &["so:libc.musl-x86_64.so.1=1"]),
        )?;

        let control = unpack(&debs[1], &unpacked)?;
        let busybox = self.files("busybox")?.join("bin");
        fs::create_dir_all(&busybox)?;
        fs::copy(
            first_of(&unpacked, &["bin/busybox", "usr/bin/busybox"])?,
            busybox.join("busybox"),
        )?;
        let version_of = version(&control);
        let mut about = said(&[], &[&format!("cmd:busybox={version_of}"), "/bin/sh"]);
        let install = "#!/bin/busybox sh\n/bin/busybox --install -s\n";
        about.scripts = vec![(".post-install", install), (".trigger", install)];
        about.lines += "triggers = /bin /usr/bin /sbin /usr/sbin\n";
        self.pack("busybox", &version_of, &about)?;

        let control = unpack(&debs[2], &unpacked)?;
        let bundle = self.files("ca-certificates-bundle")?.join("etc/ssl/certs");
        fs::create_dir_all(&bundle)?;
        let script = "cat \"$0\"/usr/share/ca-certificates/mozilla/*.crt > \"$1\"";
        let file = bundle.join("ca-certificates.crt");
        output(Command::new("sh").args(["-c", script]).arg(unpacked).arg(file))?;
        self.pack("ca-certificates-bundle", &version(&control), &said(&[], &[]))
    }

    /// What applications install.
    fn shop(&self, archive: &Archive) -> Result<()> {
        let debs = archive.files(&["musl-dev", "tzdata"])?;
        let development = self.files("musl-dev")?;
        let control = unpack(&debs[0], &development)?;
        fs::remove_dir_all(development.join("usr/share"))?;
        let musl = version(&control);
        self.pack("musl-dev", &musl, &said(&[&format!("musl={musl}")], &[]))?;

        let zones = self.files("tzdata")?;
        let control = unpack(&debs[1], &zones)?;
        fs::remove_dir_all(zones.join("usr/share/doc"))?;
        self.pack("tzdata", &version(&control), &said(&[], &[]))?;

        self.built(&development)?;
        let greeting = self.files("libgreeting")?.join("usr/lib");
        fs::create_dir_all(&greeting)?;
        fs::copy(
            self.directory.join("libgreeting.so.1"),
            greeting.join("libgreeting.so.1"),
        )?;
        let libc = "so:libc.musl-x86_64.so.1";
        self.pack(
            "libgreeting",
            "1.0-r0",
            &said(&[libc], &["so:libgreeting.so.1=1"]),
        )?;
        let hello = self.files("hello")?.join("usr/bin");
        fs::create_dir_all(&hello)?;
        fs::copy(self.directory.join("hello-musl"), hello.join("hello"))?;
        let depends = [libc, "so:libgreeting.so.1", "musl>=1.2", "!telnetd"];
        self.pack("hello", "2.1-r3", &said(&depends, &["cmd:hello=2.1-r3"]))?;

        let daemon = self.files("webd")?;
        fs::create_dir_all(daemon.join("etc"))?;
        fs::create_dir_all(daemon.join("var/www"))?;
        fs::write(daemon.join("etc/webd.conf"), "A:127.0.0.1\n")?;
        fs::write(daemon.join("var/www/index.html"), "hello\n")?;
        let mut about = said(&["busybox", "/bin/sh"], &[]);
        about.scripts = vec![(
            ".pre-install",
            "#!/bin/sh\naddgroup -S webd 2>/dev/null\nadduser -S -D -H -G webd webd 2>/dev/null\nexit 0\n",
        )];
        self.pack("webd", "0.3-r1", &about)
    }

    /// A library and a program that need musl and nothing else of this machine.
    fn built(&self, musl: &Path) -> Result<()> {
        let place = musl.join("usr/lib/x86_64-linux-musl");
        let include = musl.join("usr/include/x86_64-linux-musl");
        let libc = self.files("musl")?.join("lib");
        fs::write(
            self.directory.join("greeting.c"),
            "const char *greeting(void) { return \"hello from a library\"; }\n",
        )?;
        let program = "#include <stdio.h>\nconst char *greeting(void);\nint main(void) { puts(greeting()); return 0; }\n";
        fs::write(self.directory.join("main.c"), program)?;
        let script = "cc -nostdinc -isystem \"$1\" -fPIC -fno-stack-protector -c greeting.c main.c\n\
            ld -shared -soname libgreeting.so.1 -o libgreeting.so.1 greeting.o\n\
            ld -dynamic-linker /lib/ld-musl-x86_64.so.1 -o hello-musl \"$0/crt1.o\" \"$0/crti.o\" main.o libgreeting.so.1 -L\"$2\" -l:libc.musl-x86_64.so.1 \"$0/crtn.o\"";
        let mut cc = Command::new("sh");
        cc.args(["-ec", script]).arg(place).arg(include).arg(libc);
        output(cc.current_dir(&self.directory)).map(drop)
    }

    fn add(&self, root: &Path, names: &[&str]) -> Result<()> {
        let mut add = Command::new(&self.apk);
        output(
            add.arg("add")
                .arg(root)
                .arg(&self.directory)
                .arg(ARCH)
                .args(names),
        )
        .map(drop)
    }

    /// Makes a base.
    pub(super) fn bootstrap(&self, root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        self.add(root, &BASE)?;
        for directory in ["bin", "sbin", "usr/bin", "usr/sbin", "root"] {
            fs::create_dir_all(root.join(directory))?;
        }
        // Which repositories there are is the same in both releases.
        fs::write(root.join("etc/apk/repositories"), "https://example.org/alpine\n")?;
        run(root, &["/bin/busybox", "--install", "-s"]).map(drop)
    }

    /// Carries out a step. What a package's script does before its files come is done here: the library runs none.
    pub(super) fn carry_out(&self, room: &Room<'_>, step: &Step) -> Result<()> {
        match step {
            Step::Apk(names) => {
                let repositories = room.root.join("etc/apk/repositories");
                let was = fs::read(&repositories)?;
                self.add(&room.root, names)?;
                fs::write(repositories, was)?;
                for name in *names {
                    let script = self.directory.join("packages").join(name).join(".pre-install");
                    if let Ok(script) = fs::read_to_string(script) {
                        run(&room.root, &["sh", "-c", &script])?;
                    }
                }
                Ok(())
            }
            Step::Apt(_) | Step::Upgrade | Step::Debs(_) => bail!("{step:?} is no step on Alpine"),
            Step::Copy("hello-musl", to) => {
                let to = room.root.join(to);
                fs::create_dir_all(to.parent().context("it lies somewhere")?)?;
                for name in ["hello-musl", "libgreeting.so.1"] {
                    let to = if name == "hello-musl" {
                        to.clone()
                    } else {
                        room.root.join("usr/lib").join(name)
                    };
                    fs::copy(self.directory.join(name), to)?;
                }
                Ok(())
            }
            other => room.carry_out(other),
        }
    }
}

/// What apk's list has.
pub(super) fn listed(apk: &Path, root: &Path) -> Result<String> {
    let listed = output(Command::new(apk).arg("list").arg(root))?;
    Ok(listed
        .lines()
        .fold(String::new(), |all, line| all + "ii " + line + "\n"))
}
