use super::*;

fn said(result: Result<String, Vec<Obstacle>>) -> String {
    match result {
        Ok(text) => text,
        Err(obstacles) => crate::rebase::tests::listed(&obstacles),
    }
}

fn accounts(path: &str, old: &str, new: &str, app: &str) -> String {
    said(merge_accounts(path, old, new, app))
}

#[test]
fn accounts_of_base_and_application_stand_together() {
    let old = "root:x:0:0:root:/root:/bin/sh\ngames:x:5:60::/usr/games:/bin/false\n_apt:x:42:65534::/nonexistent:/bin/false\n";
    let new = "root:x:0:0:root:/root:/bin/bash\n_apt:x:42:65534::/nonexistent:/bin/false\nmessagebus:x:100:101::/:/bin/false\n";
    let app = format!("{old}app:x:1000:1000::/app:/bin/sh\n");
    assert_eq!(
        accounts("etc/passwd", old, new, &app),
        format!("{new}app:x:1000:1000::/app:/bin/sh\n")
    );
    let same_number = format!("{old}app:x:100:1000::/app:/bin/sh\n");
    assert_eq!(
        accounts("etc/passwd", old, new, &same_number),
        "! the application and the new base both change `100, the number of `app` and `messagebus`` in `etc/passwd`\n"
    );
    let own_root = old.replace("/bin/sh", "/bin/zsh");
    assert_eq!(
        accounts("etc/passwd", old, new, &own_root),
        "! the application and the new base both change `root` in `etc/passwd`\n"
    );
}

#[test]
fn members_of_groups_are_merged_and_days_of_passwords_ignored() {
    assert_eq!(
        accounts(
            "etc/group",
            "adm:x:4:\n",
            "adm:x:4:syslog\n",
            "adm:x:4:app\napp:x:1000:\n"
        ),
        "adm:x:4:syslog,app\napp:x:1000:\n"
    );
    assert_eq!(
        accounts(
            "etc/shadow",
            "root:*:19000:0:99999:7:::\n",
            "root:*:19500:0:99999:7:::\n",
            "root:!:19000:0:99999:7:::\n"
        ),
        "root:!:19000:0:99999:7:::\n"
    );
}

#[test]
fn sets_keep_what_each_side_did() {
    assert_eq!(
        said(merge_lines("x", "a\nb\n", "a\nb\nc\n", "b\nd\n")),
        "b\nc\nd\n"
    );
    assert_eq!(
        said(merge_diversions(
            "x",
            "1\n2\n3\n",
            "1\n2\n3\n4\n5\n6\n",
            "1\n2\n3\n7\n8\n9\n"
        )),
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
    );
    let pem = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n");
    let [old, gone, fresh, own] = ["old", "gone", "fresh", "own"].map(pem);
    let bundle = |all: &[&String]| all.iter().map(|pem| pem.as_str()).collect::<String>();
    assert_eq!(
        said(merge_certificates(
            "x",
            &bundle(&[&old, &gone]),
            &bundle(&[&old, &fresh]),
            &format!("{}\n# a comment\n{own}", bundle(&[&old, &gone]))
        )),
        bundle(&[&old, &fresh, &own])
    );
}

#[test]
fn what_is_too_long_is_refused() {
    let long = "x".repeat(MAX_TEXT_FILE_BYTES + 1);
    assert!(said(merge_lines("x", "", "", &long)).contains("has more than"));
    assert!(said(merge_accounts("x", "", "", &long)).contains("has more than"));
}
