//! The recipes: what the commonest Dockerfiles do, and what must work afterwards.

use super::{
    Shape,
    room::Step::{Apk, Apt, Copy, Debs, Run, Text, Upgrade},
};

/// On Debian.
pub(super) const DEBIAN: [Shape; 31] = [
    Shape::merged(
        "apt curl",
        &[Apt(&["curl", "ca-certificates"])],
        "curl --version && test -s /etc/ssl/certs/ca-certificates.crt",
    ),
    Shape::merged(
        "python",
        &[
            Apt(&["python3-minimal"]),
            Text("app/main.py", 0o644, "print(6 * 7)\n"),
        ],
        "test \"$(python3 /app/main.py)\" = 42",
    ),
    Shape::follows(
        "user",
        &[Run(
            "useradd --system --home-dir /srv/app --create-home app && groupadd ops && usermod -aG ops app",
        )],
        "test \"$(id -nG app)\" = 'app ops' && test -d /srv/app",
    ),
    Shape::follows(
        "copy ldconfig",
        &[Run(
            "mkdir -p /app && echo hello > /app/hello && chmod 755 /app && ldconfig",
        )],
        "test \"$(cat /app/hello)\" = hello && ldconfig -p | grep -q libc.so.6",
    ),
    Shape::merged(
        "locale",
        &[
            Apt(&["locales"]),
            Run("echo 'de_DE.UTF-8 UTF-8' > /etc/locale.gen && locale-gen"),
        ],
        "locale -a | grep -q de_DE",
    ),
    Shape::follows(
        "time zone",
        &[Run(
            "ln -snf /usr/share/zoneinfo/Europe/Berlin /etc/localtime && echo Europe/Berlin > /etc/timezone",
        )],
        "date +%Z | grep -q CE",
    ),
    Shape::merged(
        "nginx",
        &[
            Apt(&["nginx"]),
            Text("usr/share/nginx/html/index.html", 0o644, "hello\n"),
            Run("ln -sf /dev/stdout /var/log/nginx/access.log"),
        ],
        "nginx -t && grep -q www-data /etc/passwd && cat /usr/share/nginx/html/index.html",
    ),
    Shape::merged(
        "sudo",
        &[
            Apt(&["sudo"]),
            Run(
                "useradd -m dev && usermod -aG sudo dev && echo 'dev ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/dev",
            ),
        ],
        "test \"$(sudo -u dev whoami)\" = dev",
    ),
    Shape::merged(
        "git",
        &[
            Apt(&["git", "openssh-client"]),
            Run("git config --system init.defaultBranch main"),
        ],
        "cd /tmp && git init x && ssh -V",
    ),
    Shape::merged(
        "venv",
        &[
            Apt(&["python3", "python3-venv"]),
            Copy("wheels", "tmp/wheels"),
            Run(
                "python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-index --find-links /tmp/wheels flask",
            ),
            Text(
                "app/main.py",
                0o644,
                "import flask; print(flask.Flask('x').name)\n",
            ),
        ],
        "test \"$(/opt/venv/bin/python /app/main.py)\" = x",
    ),
    Shape::merged(
        "pip",
        &[
            Apt(&["python3-pip"]),
            Copy("wheels", "wheels"),
            Run(
                "pip3 install --break-system-packages --no-cache-dir --no-index --find-links /wheels flask && rm -rf /wheels",
            ),
        ],
        "python3 -c 'import flask, markupsafe; print(flask.__name__)'",
    ),
    Shape::merged(
        "npm",
        &[Apt(&["nodejs"]), Copy("app", "app")],
        "cd /app && node main.js | grep -q 'hello from node'",
    ),
    Shape::merged(
        "java",
        &[
            Run("mkdir -p /usr/share/man/man1"),
            Apt(&["openjdk-17-jre-headless"]),
            Copy("app.jar", "app/app.jar"),
        ],
        "java -jar /app/app.jar | grep -q 'hello from java'",
    ),
    Shape::follows(
        "static go",
        &[Copy("hello-go", "usr/local/bin/hello")],
        "hello | grep -q 'hello from go'",
    ),
    Shape::follows(
        "own library",
        &[
            Copy("libgreeting.so.1", "usr/local/lib/libgreeting.so.1"),
            Copy("hello-c", "usr/local/bin/hello"),
            Run("ldconfig"),
        ],
        "hello | grep -q 'hello from a library'",
    ),
    Shape::follows(
        "dynamic c",
        &[Copy("tls", "app/tls"), Run("chmod +x /app/tls")],
        "ldd /app/tls",
    ),
    Shape::merged(
        "libssl",
        &[Apt(&["libssl3"]), Copy("tls", "app/tls")],
        "/app/tls | grep -q 'OpenSSL 3'",
    ),
    Shape::follows(
        "entry point",
        &[
            Text("docker-entrypoint.sh", 0o644, "#!/bin/sh\nset -e\nexec \"$@\"\n"),
            Run("chmod +x /docker-entrypoint.sh"),
            Run("mkdir -p /data && chown 1000:1000 /data"),
        ],
        "/docker-entrypoint.sh true && test \"$(stat -c %u /data)\" = 1000",
    ),
    Shape::open(
        "no setuid",
        &[Run("find / -xdev -perm /6000 -type f -exec chmod a-s {} +")],
        "test -z \"$(find / -xdev -perm /6000 -type f)\"",
        &["which the new base changes"],
    ),
    Shape::merged("upgrade", &[Upgrade], "dpkg --version"),
    Shape::merged(
        "dpkg -i",
        &[
            Copy("shop-tool.deb", "tmp/shop-tool.deb"),
            Run("dpkg -i /tmp/shop-tool.deb"),
        ],
        "dpkg -s shop-tool | grep -q '^Version: 1.2-3' && dpkg --verify shop-tool && test -s /etc/shop/tool.conf",
    ),
    Shape::merged(
        "gem",
        &[
            Apt(&["ruby"]),
            Run(
                "mkdir /gem && cd /gem && mkdir lib && echo 'puts \"hello from ruby\"' > lib/shop.rb && \
            echo 'Gem::Specification.new { |s| s.name = \"shop\"; s.version = \"1.0\"; s.summary = \"s\"; s.authors = [\"s\"]; s.files = [\"lib/shop.rb\"] }' > shop.gemspec && \
            gem build -q shop.gemspec && gem install --local --no-document shop-1.0.gem && rm -r /gem",
            ),
        ],
        "ruby -e 'require \"shop\"' | grep -q 'hello from ruby'",
    ),
    Shape::merged(
        "own authority",
        &[
            Apt(&["ca-certificates"]),
            Copy("shop.crt", "usr/local/share/ca-certificates/shop.crt"),
            Run("update-ca-certificates"),
        ],
        "test -e /etc/ssl/certs/shop.pem && test \"$(grep -c BEGIN /etc/ssl/certs/ca-certificates.crt)\" -gt 100",
    ),
    Shape::merged(
        "build tools that go again",
        &[
            Run("true"),
            Apt(&["tcc", "libc6-dev"]),
            Text("src/main.c", 0o644, "int main(void) { return 7; }\n"),
            Run(
                "tcc -o /usr/local/bin/seven /src/main.c && rm -r /src && apt-get purge --yes --auto-remove tcc libc6-dev",
            ),
        ],
        "seven || test $? = 7",
    ),
    Shape::open(
        "build tools that stay",
        &[Apt(&["tcc", "libc6-dev"])],
        "tcc -v",
        &["needs `libc6 (= "],
    ),
    Shape::refused(
        "no documentation",
        &[Run("rm -rf /usr/share/doc /usr/share/man")],
        &[
            "the application deletes `usr/share/doc`",
            "the application deletes `usr/share/man`",
        ],
    ),
    Shape::open(
        "umask",
        &[Run(
            "sed -i 's/^UMASK.*/UMASK 027/' /etc/login.defs && echo 'umask 027' >> /etc/profile",
        )],
        "grep -q '^UMASK 027' /etc/login.defs",
        &["`etc/login.defs`, which the new base changes"],
    ),
    Shape::merged(
        "cron",
        &[
            Apt(&["cron"]),
            Text("etc/cron.d/shop", 0o644, "0 5 * * * root true\n"),
            Run("crontab /etc/cron.d/shop"),
        ],
        "crontab -l | grep -q true && test \"$(stat -c %G /usr/bin/crontab)\" = crontab",
    ),
    Shape::merged(
        "sqlite",
        &[
            Apt(&["sqlite3"]),
            Run("mkdir /data && sqlite3 /data/shop.db 'create table t (x); insert into t values (42)'"),
        ],
        "test \"$(sqlite3 /data/shop.db 'select x from t')\" = 42",
    ),
    Shape::follows("only its configuration", &[], "true"),
    Shape::merged(
        "alternatives",
        &[
            Apt(&["vim-tiny", "tini"]),
            Run("update-alternatives --set editor /usr/bin/vim.tiny"),
        ],
        "update-alternatives --query editor | grep -q 'Value: /usr/bin/vim.tiny' && vim.tiny --version && tini --version",
    ),
];

/// On a base without a shell; what must work are the words of a command.
pub(super) const DISTROLESS: [Shape; 9] = [
    Shape::follows("static go", &[Copy("hello-go", "app")], "/app"),
    Shape::follows(
        "dynamic c with its library",
        &[
            Copy("libgreeting.so.1", "usr/lib/x86_64-linux-gnu/libgreeting.so.1"),
            Copy("hello-c", "app/hello"),
        ],
        "/app/hello",
    ),
    Shape::follows("c++", &[Copy("hello-cpp", "app/hello")], "/app/hello"),
    Shape::follows("libssl of the base", &[Copy("tls", "app/tls")], "/app/tls"),
    Shape::follows(
        "python of a stage",
        &[
            Debs(&[
                "libexpat1",
                "libpython3.11-minimal",
                "libpython3.11-stdlib",
                "python3.11-minimal",
            ]),
            Text("app/main.py", 0o644, "import json; print(json.dumps(6 * 7))\n"),
        ],
        "/usr/bin/python3.11 /app/main.py",
    ),
    Shape::follows(
        "curl of a stage",
        &[Debs(&[
            "curl",
            "libcurl4",
            "libnghttp2-14",
            "libidn2-0",
            "librtmp1",
            "libssh2-1",
            "libpsl5",
            "libgssapi-krb5-2",
            "libldap-2.5-0",
            "libzstd1",
            "libbrotli1",
            "libunistring2",
            "libgnutls30",
            "libhogweed6",
            "libnettle8",
            "libgmp10",
            "libkrb5-3",
            "libk5crypto3",
            "libcom-err2",
            "libkrb5support0",
            "libsasl2-2",
            "libp11-kit0",
            "libtasn1-6",
            "libkeyutils1",
            "libffi8",
        ])],
        "/usr/bin/curl --version",
    ),
    Shape::follows(
        "busybox for looking around",
        &[Debs(&["busybox-static"])],
        "/bin/busybox sh -c true",
    ),
    Shape::follows(
        "site with settings",
        &[
            Text("etc/localtime.name", 0o644, "Europe/Berlin\n"),
            Text("srv/www/index.html", 0o644, "hello\n"),
            Copy("hello-go", "usr/bin/serve"),
            Text("etc/ssl/certs/shop.pem", 0o644, "-----BEGIN CERTIFICATE-----\n"),
        ],
        "/usr/bin/serve",
    ),
    Shape::refused(
        "its own libcrypto",
        &[Copy(
            "own-libcrypto.so.3",
            "usr/lib/x86_64-linux-gnu/libcrypto.so.3",
        )],
        &[
            "the application has its own `usr/lib/x86_64-linux-gnu/libcrypto.so.3`, which the new base changes",
        ],
    ),
];

/// On a base of Alpine's kind. Debian's busybox has no `adduser`: what that writes is written.
pub(super) const ALPINE: [Shape; 10] = [
    Shape::merged(
        "apk add",
        &[Apk(&["hello"])],
        "hello | grep -q 'hello from a library'",
    ),
    Shape::follows(
        "user",
        &[Run(
            "mkdir /srv && mkdir /srv/shop && echo 'shop:x:101:' >> /etc/group && echo 'shop:x:100:101::/srv/shop:/sbin/nologin' >> /etc/passwd && \
            echo 'shop:!::0:::::' >> /etc/shadow && chown -R shop:shop /srv/shop",
        )],
        "test \"$(id -un shop)\" = shop && test \"$(id -gn shop)\" = shop",
    ),
    Shape::follows(
        "static go",
        &[Copy("hello-go", "usr/local/bin/hello")],
        "hello | grep -q 'hello from go'",
    ),
    Shape::follows(
        "dynamic c",
        &[Copy("hello-musl", "usr/local/bin/hello")],
        "hello | grep -q 'hello from a library'",
    ),
    Shape::follows(
        "own authority",
        &[
            Copy("shop.crt", "usr/local/share/ca-certificates/shop.crt"),
            Run("cat /usr/local/share/ca-certificates/shop.crt >> /etc/ssl/certs/ca-certificates.crt"),
        ],
        "test \"$(grep -c BEGIN /etc/ssl/certs/ca-certificates.crt)\" -gt 100 && grep -qF \"$(sed -n 2p /usr/local/share/ca-certificates/shop.crt)\" /etc/ssl/certs/ca-certificates.crt",
    ),
    Shape::merged(
        "time zone",
        &[
            Apk(&["tzdata"]),
            Run("cp /usr/share/zoneinfo/Europe/Berlin /etc/localtime && echo Europe/Berlin > /etc/timezone"),
        ],
        "date +%Z | grep -q CE",
    ),
    Shape::follows(
        "entry point",
        &[
            Text("docker-entrypoint.sh", 0o644, "#!/bin/sh\nset -e\nexec \"$@\"\n"),
            Run("chmod 755 /docker-entrypoint.sh && mkdir /data && chown 1000:1000 /data"),
        ],
        "/docker-entrypoint.sh true && test \"$(stat -c %u /data)\" = 1000",
    ),
    Shape::follows(
        "cron and a site",
        &[
            Run(
                "mkdir -p /var/spool/cron/crontabs /srv/www && echo '0 5 * * * true' > /var/spool/cron/crontabs/root",
            ),
            Text("srv/www/index.html", 0o644, "hello\n"),
        ],
        "grep -q 5 /var/spool/cron/crontabs/root && test \"$(cat /srv/www/index.html)\" = hello",
    ),
    Shape::merged(
        "a service with its user",
        &[
            Apk(&["webd"]),
            Run(
                "echo 'webd:x:102:' >> /etc/group && echo 'webd:x:102:102::/:/sbin/nologin' >> /etc/passwd && chown -R webd:webd /var/www",
            ),
        ],
        "test \"$(stat -c %U /var/www/index.html)\" = webd",
    ),
    Shape::refused(
        "headers of the libc",
        &[Apk(&["musl-dev"])],
        &["package `musl-dev` of the application needs `musl="],
    ),
];
