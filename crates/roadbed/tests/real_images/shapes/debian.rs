//! Debian: without its security updates, with them, and what recipes do on it.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, bail};

use super::{
    super::debian::output,
    Shape,
    debs::{Archive, sources},
    room::{Room, Step, mounted, run},
};

pub(super) const RELEASE: &str = "bookworm";

/// What the images' own list of sources says, the same in both releases.
const SOURCES: &str = "deb http://deb.debian.org/debian bookworm main\n";

/// A line per package: name, version.
const LISTED: [&str; 4] = [
    "dpkg-query",
    "--show",
    "--showformat",
    "${db:Status-Abbrev} ${Package} ${Version}\\n",
];

/// Makes a base.
pub(super) fn bootstrap(root: &Path, with_updates: bool) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--variant=minbase", "--format=directory"])
        .args(["doc", "locale", "man"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")))
        .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        .arg(RELEASE)
        .arg(root);
    command.args(sources(RELEASE, with_updates).lines());
    output(&mut command)?;
    Ok(fs::write(root.join("etc/apt/sources.list"), SOURCES)?)
}

/// apt of this machine, working on the root with what this machine can fetch.
fn apt(room: &Room<'_>, archive: &Archive, words: &[&str]) -> Result<()> {
    static FETCHING: Mutex<()> = Mutex::new(());
    let root = room.root.display().to_string();
    let script = format!(
        "mkdir -p {root}/var/cache/apt/archives\nmount --bind {} {root}/var/cache/apt/archives\nexec \"$@\"",
        archive.packages().display()
    );
    let settings = archive.settings();
    let mut all = vec!["sh", "-ec", &script, "sh", "apt-get", "--quiet", "--yes"];
    let place = [
        "--option".to_owned(),
        format!("Dir={root}"),
        "--option".to_owned(),
        format!("DPkg::Chroot-Directory={root}"),
    ];
    all.extend(place.iter().chain(&settings).map(String::as_str));
    let apt = |more: &[&str]| {
        let mut command = mounted(&room.root, &[&all, more, words].concat());
        command.env("DEBIAN_FRONTEND", "noninteractive");
        output(&mut command).map(drop)
    };
    {
        // Two that fetch one package into one place disturb each other.
        let _guard = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
        apt(&["--download-only"])?;
    }
    apt(&["--option", "APT::Keep-Downloaded-Packages=true"])?;
    fs::remove_dir_all(room.root.join("var/lib/apt/lists")).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    fs::create_dir_all(room.root.join("var/lib/apt/lists"))?;
    Ok(())
}

/// Carries out a step; `archives` are without and with the updates.
pub(super) fn carry_out(room: &Room<'_>, step: &Step, archives: &[Archive; 2]) -> Result<()> {
    match step {
        Step::Apt(packages) => apt(room, &archives[0], &[&["install"], *packages].concat()),
        Step::Upgrade => apt(room, &archives[1], &["upgrade"]),
        Step::Apk(_) | Step::Debs(_) => bail!("{step:?} is no step on Debian"),
        other => room.carry_out(other),
    }
}

/// What dpkg lists in a root.
pub(super) fn packages(root: &Path) -> Result<String> {
    run(root, &LISTED)
}

/// The commonest recipes, each with what must work afterwards.
pub(super) const SHAPES: [Shape; 31] = {
    use Step::{Apt, Copy, Run, Text, Upgrade};
    [
        Shape::merged("apt curl", &[Apt(&["curl", "ca-certificates"])],
            "curl --version && test -s /etc/ssl/certs/ca-certificates.crt"),
        Shape::merged("python", &[Apt(&["python3-minimal"]), Text("app/main.py", 0o644, "print(6 * 7)\n")],
            "test \"$(python3 /app/main.py)\" = 42"),
        Shape::follows("user", &[Run("useradd --system --home-dir /srv/app --create-home app && groupadd ops && usermod -aG ops app")],
            "test \"$(id -nG app)\" = 'app ops' && test -d /srv/app"),
        Shape::follows("copy ldconfig", &[Run("mkdir -p /app && echo hello > /app/hello && chmod 755 /app && ldconfig")],
            "test \"$(cat /app/hello)\" = hello && ldconfig -p | grep -q libc.so.6"),
        Shape::merged("locale", &[Apt(&["locales"]), Run("echo 'de_DE.UTF-8 UTF-8' > /etc/locale.gen && locale-gen")],
            "locale -a | grep -q de_DE"),
        Shape::follows("time zone", &[Run("ln -snf /usr/share/zoneinfo/Europe/Berlin /etc/localtime && echo Europe/Berlin > /etc/timezone")],
            "date +%Z | grep -q CE"),
        Shape::merged("nginx", &[Apt(&["nginx"]), Text("usr/share/nginx/html/index.html", 0o644, "hello\n"),
            Run("ln -sf /dev/stdout /var/log/nginx/access.log")],
            "nginx -t && grep -q www-data /etc/passwd && cat /usr/share/nginx/html/index.html"),
        Shape::merged("sudo", &[Apt(&["sudo"]), Run("useradd -m dev && usermod -aG sudo dev && echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev")],
            "test \"$(sudo -u dev whoami)\" = dev && visudo -c"),
        Shape::merged("git", &[Apt(&["git", "openssh-client"]), Run("git config --system init.defaultBranch main")],
            "cd /tmp && git init x && ssh -V"),
        Shape::merged("venv", &[Apt(&["python3", "python3-venv"]), Copy("wheels", "tmp/wheels"),
            Run("python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-index --find-links /tmp/wheels flask"),
            Text("app/main.py", 0o644, "import flask; print(flask.Flask('x').name)\n")],
            "test \"$(/opt/venv/bin/python /app/main.py)\" = x"),
        Shape::merged("pip", &[Apt(&["python3-pip"]), Copy("wheels", "wheels"),
            Run("pip3 install --break-system-packages --no-cache-dir --no-index --find-links /wheels flask && rm -rf /wheels")],
            "python3 -c 'import flask, markupsafe; print(flask.__name__)'"),
        Shape::merged("npm", &[Apt(&["nodejs"]), Copy("app", "app")], "cd /app && node main.js | grep -q 'hello from node'"),
        Shape::merged("java", &[Apt(&["openjdk-17-jre-headless"]), Copy("app.jar", "app/app.jar")],
            "java -jar /app/app.jar | grep -q 'hello from java'"),
        Shape::follows("static go", &[Copy("hello-go", "usr/local/bin/hello")], "hello | grep -q 'hello from go'"),
        Shape::follows("own library", &[Copy("libgreeting.so.1", "usr/local/lib/libgreeting.so.1"),
            Copy("hello-c", "usr/local/bin/hello"), Run("ldconfig")], "hello | grep -q 'hello from a library'"),
        Shape::follows("dynamic c", &[Copy("tls", "app/tls"), Run("chmod +x /app/tls")], "ldd /app/tls"),
        Shape::merged("libssl", &[Apt(&["libssl3"]), Copy("tls", "app/tls")], "/app/tls | grep -q 'OpenSSL 3'"),
        Shape::follows("entry point", &[Text("docker-entrypoint.sh", 0o644, "#!/bin/sh\nset -e\nexec \"$@\"\n"), Run("chmod +x /docker-entrypoint.sh"),
            Run("mkdir -p /data && chown 1000:1000 /data")], "/docker-entrypoint.sh true && test \"$(stat -c %u /data)\" = 1000"),
        Shape::open("no setuid", &[Run("find / -xdev -perm /6000 -type f -exec chmod a-s {} +")],
            "test -z \"$(find / -xdev -perm /6000 -type f)\"", &["which the new base changes"]),
        Shape::merged("upgrade", &[Upgrade], "dpkg --version"),
        Shape::merged("dpkg -i", &[Copy("shop-tool.deb", "tmp/shop-tool.deb"), Run("dpkg -i /tmp/shop-tool.deb")],
            "dpkg -s shop-tool | grep -q '^Version: 1.2-3' && dpkg --verify shop-tool && test -s /etc/shop/tool.conf"),
        Shape::merged("gem", &[Apt(&["ruby"]), Run("mkdir /gem && cd /gem && mkdir lib && echo 'puts \"hello from ruby\"' > lib/shop.rb && \
            echo 'Gem::Specification.new { |s| s.name = \"shop\"; s.version = \"1.0\"; s.summary = \"s\"; s.authors = [\"s\"]; s.files = [\"lib/shop.rb\"] }' > shop.gemspec && \
            gem build -q shop.gemspec && gem install --local --no-document shop-1.0.gem && rm -r /gem")],
            "ruby -e 'require \"shop\"' | grep -q 'hello from ruby'"),
        Shape::merged("own authority", &[Apt(&["ca-certificates"]), Copy("shop.crt", "usr/local/share/ca-certificates/shop.crt"), Run("update-ca-certificates")],
            "test -e /etc/ssl/certs/shop.pem && test \"$(grep -c BEGIN /etc/ssl/certs/ca-certificates.crt)\" -gt 100"),
        Shape::merged("build tools that go again", &[Run("true"), Apt(&["tcc", "libc6-dev"]), Text("src/main.c", 0o644, "int main(void) { return 7; }\n"),
            Run("tcc -o /usr/local/bin/seven /src/main.c && rm -r /src && apt-get purge --yes --auto-remove tcc libc6-dev")],
            "seven || test $? = 7"),
        Shape::open("build tools that stay", &[Apt(&["tcc", "libc6-dev"])], "tcc -v", &["needs `libc6 (= "]),
        Shape::refused("no documentation", &[Run("rm -rf /usr/share/doc /usr/share/man")], &["the application deletes `usr/share/doc"]),
        Shape::open("umask", &[Run("sed -i 's/^UMASK.*/UMASK 027/' /etc/login.defs && echo 'umask 027' >> /etc/profile")],
            "grep -q '^UMASK 027' /etc/login.defs", &["`etc/login.defs`, which the new base changes"]),
        Shape::merged("cron", &[Apt(&["cron"]), Text("etc/cron.d/shop", 0o644, "0 5 * * * root true\n"), Run("crontab /etc/cron.d/shop")],
            "crontab -l | grep -q true && test \"$(stat -c %G /usr/bin/crontab)\" = crontab"),
        Shape::merged("sqlite", &[Apt(&["sqlite3"]), Run("mkdir /data && sqlite3 /data/shop.db 'create table t (x); insert into t values (42)'")],
            "test \"$(sqlite3 /data/shop.db 'select x from t')\" = 42"),
        Shape::follows("only its configuration", &[], "true"),
        Shape::merged("alternatives", &[Apt(&["vim-tiny", "tini"]), Run("update-alternatives --set editor /usr/bin/vim.tiny")],
            "update-alternatives --query editor | grep -q 'Value: /usr/bin/vim.tiny' && vim.tiny --version && tini --version"),
    ]
};
