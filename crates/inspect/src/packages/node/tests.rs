//! Lists of every version of every package manager.

use super::{NodeLock, NodeModule};
use crate::Cataloger as _;
use crate::packages::testing::{is_malformed, names, packages};

#[test]
fn modules() {
    for (path, text, expected) in [
        (
            "app/node_modules/lodash/package.json",
            r#"{"name":"lodash","version":"4.17.4","license":"MIT"}"#,
            "lodash@4.17.4 MIT",
        ),
        (
            "usr/lib/node_modules/npm/node_modules/@npmcli/fs/package.json",
            r#"{"name":"@npmcli/fs","version":"2.1.0","license":{"type":"ISC","url":"x"}}"#,
            "@npmcli/fs@2.1.0 ISC",
        ),
        (
            "app/node_modules/.pnpm/a@1.0.0/node_modules/a/package.json",
            r#"{"name":"a","version":"1.0.0","licenses":[{"type":"MIT"},"Apache-2.0",7]}"#,
            "a@1.0.0 MIT,Apache-2.0",
        ),
        (
            "opt/yarn-v1.22.19/package.json",
            r#"{"name":"yarn","version":"1.22.19"}"#,
            "yarn@1.22.19 ",
        ),
        (
            "usr/share/nodejs/minimist/package.json",
            r#"{"name":"minimist","version":"1.2.7"}"#,
            "minimist@1.2.7 ",
        ),
        (
            "usr/share/nodejs/@types/node/package.json",
            r#"{"name":"@types/node","version":"18.11.18"}"#,
            "@types/node@18.11.18 ",
        ),
        (
            "usr/lib/x86_64-linux-gnu/nodejs/iconv/package.json",
            r#"{"name":"iconv","version":"3.0.1"}"#,
            "iconv@3.0.1 ",
        ),
        ("app-1/package.json", r#"{"name":"lodash","version":"1"}"#, ""),
        (
            "app/node_modules/a/package.json",
            r#"{"name":"a","version":7}"#,
            "",
        ),
        (
            "app/node_modules/a/package.json",
            r#"{"name":"a b","version":"1"}"#,
            "",
        ),
    ] {
        let found = packages(&NodeModule, path, text);
        let found: Vec<_> = found
            .iter()
            .map(|package| {
                format!(
                    "{}@{} {}",
                    package.name,
                    package.version,
                    package.licences.join(",")
                )
            })
            .collect();
        assert_eq!(found.concat(), expected, "{path} {text}");
    }
}

#[test]
fn what_is_no_module() {
    for path in [
        "app/package.json",
        "package.json",
        "app/node_modules/a/dist/esm/package.json",
        "app/node_modules/@scope/package.json",
        "app/node_modules/.package-lock.json",
        "usr/share/nodejs/package.json",
        "usr/share/nodejs/a/dist/package.json",
        "usr/lib/a/b/nodejs/c/package.json",
        "srv/share/nodejs/a/package.json",
    ] {
        assert!(!NodeModule.wants(path, b"{"), "{path}");
    }
    assert!(!NodeLock.wants("app/node_modules/a/yarn.lock", b""));
}

#[test]
fn package_lock_1() {
    let text = r#"{"name":"app","version":"1.0.0","lockfileVersion":1,"dependencies":{
        "a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0-rc.1"}}},
        "mine":{"version":"npm:@their/s@3.0.0"},
        "git":{"version":"git+ssh://git@example.com/x.git#abc"},"local":{"version":"file:../x"}}}"#;
    assert_eq!(
        names(&NodeLock, "app/package-lock.json", text),
        ["@their/s@3.0.0", "a@1.0.0", "b@2.0.0-rc.1"]
    );
    assert_eq!(names(&NodeLock, "npm-shrinkwrap.json", text).len(), 3);
}

#[test]
fn package_lock_2_and_3() {
    let text = r#"{"lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"},
        "node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/@s/b":{"version":"2.0.0"},
        "node_modules/mine":{"name":"theirs","version":"3.0.0"},
        "packages/own":{"name":"own","version":"9.0.0"},"node_modules/own":{"resolved":"packages/own","link":true}},
        "dependencies":{"a":{"version":"0.0.1"}}}"#;
    assert_eq!(
        names(&NodeLock, "package-lock.json", text),
        ["@s/b@2.0.0", "a@1.0.0", "theirs@3.0.0"]
    );
}

#[test]
fn yarn() {
    let first = "# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1.0\":\n  version \"1.1.0\"\n  resolved \"x\"\n  dependencies:\n    version \"^9\"\n\nb@^2.0.0:\n  version \"2.0.1\"\n\"mine@npm:theirs@^3\":\n  version \"3.0.0\"\nlocal@file:./x:\n  version \"1.0.0\"\n";
    assert_eq!(
        names(&NodeLock, "yarn.lock", first),
        ["@s/a@1.1.0", "b@2.0.1", "theirs@3.0.0"]
    );
    let berry = "__metadata:\n  version: 6\n\n\"@s/a@npm:^1.0.0, @s/a@npm:^1.1.0\":\n  version: 1.1.0\n  resolution: \"@s/a@npm:1.1.0\"\n  checksum: x\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n\n\"typescript@patch:typescript@^4.5.0#builtin\":\n  version: 4.5.4\n  resolution: \"typescript@patch:typescript@npm%3A4.5.4#builtin::version=4.5.4\"\n";
    assert_eq!(
        names(&NodeLock, "yarn.lock", berry),
        ["@s/a@1.1.0", "typescript@4.5.4"]
    );
}

#[test]
fn pnpm() {
    for (version, keys) in [
        ("5.4", ["/a/1.0.0", "/@s/b/2.0.0_peer@1.0.0"]),
        ("'6.0'", ["/a@1.0.0", "/@s/b@2.0.0(peer@1.0.0)(x@2)"]),
        ("'9.0'", ["a@1.0.0", "'@s/b@2.0.0'"]),
    ] {
        let text = format!(
            "lockfileVersion: {version}\npackages:\n\n  {}:\n    resolution: {{integrity: sha512-x}}\n    dev: true\n\n  {}:\n    engines: {{node: '>=4'}}\n\n  github.com/x/y/abc:\n    name: y\n    version: 4.0.0\n",
            keys[0], keys[1]
        );
        assert_eq!(
            names(&NodeLock, "pnpm-lock.yaml", &text),
            ["@s/b@2.0.0", "a@1.0.0", "y@4.0.0"],
            "{text}"
        );
    }
}

#[test]
fn bun() {
    let text = "{\n  \"lockfileVersion\": 1, // one\n  \"workspaces\": {\"\": {\"name\": \"app\",},},\n  \"packages\": {\n    \"a\": [\"a@1.0.0\", \"\", {\"x\": \",}\\\"]\"}, \"sha\"],\n    \"@s/b\": [\"@s/b@2.0.0\", \"\", {}, \"sha\",],\n    \"own\": [\"own@workspace:packages/own\"],\n  }, /* end */\n}\n";
    assert_eq!(names(&NodeLock, "bun.lock", text), ["@s/b@2.0.0", "a@1.0.0"]);
}

#[test]
fn deep_and_wrong_lists_are_refused() {
    let deep = format!(
        "{{\"dependencies\":{}",
        "{\"a\":{\"dependencies\":".repeat(50_000)
    );
    for (path, text) in [
        ("package-lock.json", deep.as_str()),
        ("package-lock.json", "{"),
        ("bun.lock", "{\"packages\":{\"a\":[\"a"),
        ("pnpm-lock.yaml", "packages: [\n"),
    ] {
        assert!(is_malformed(&NodeLock, path, text), "{path}");
    }
    assert!(is_malformed(&NodeLock, "pnpm-lock.yaml", &"[".repeat(100_000)));
    assert!(is_malformed(
        &NodeLock,
        "pnpm-lock.yaml",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\npackages: {}\n"
    ));
    assert!(is_malformed(
        &NodeModule,
        "node_modules/a/package.json",
        &"[".repeat(100_000)
    ));
}
