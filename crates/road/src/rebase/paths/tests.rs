use super::*;
use crate::rebase::tree::tests::layer;

fn seen(old: &[&str], new: &[&str], app: &[&[&str]]) -> (PathEvidence, Vec<String>) {
    let change = BaseChange::of(&[layer(old)], &[layer(new)]).unwrap();
    let layers: Vec<LayerPaths> = app.iter().map(|words| layer(words)).collect();
    let (evidence, obstacles, _) = compare(&change, &layers).unwrap();
    (evidence, obstacles.iter().map(ToString::to_string).collect())
}

const OLD: [&str; 8] = [
    "etc/",
    "etc/passwd=root",
    "etc/motd=hello",
    "lib>usr/lib",
    "usr/lib/libssl.so.3=old",
    "usr/bin/tool=1",
    "usr/share/zone=1",
    "var/lib/dpkg/status=old",
];
const NEW: [&str; 8] = [
    "etc/",
    "etc/passwd=root and more",
    "etc/motd=hello",
    "lib>usr/lib",
    "usr/lib/libssl.so.3=new",
    "usr/bin/tool=1",
    "usr/share/fresh=1",
    "var/lib/dpkg/status=new",
];

#[test]
fn own_paths_unchanged_ones_and_caches_are_no_obstacle() {
    let app = [
        "app/",
        "app/main",
        "etc/",
        "etc/motd=mine",
        "var/log/apt/history.log",
        "usr/bin/mine>../lib/libssl.so.3",
    ];
    let (evidence, obstacles) = seen(&OLD, &NEW, &[&app, &["-app/main", "-var/log/apt/history.log"]]);
    assert_eq!(obstacles, [""; 0]);
    assert_eq!((evidence.paths, evidence.unchanged, evidence.derived), (2, 1, 0));
    assert_eq!(evidence.unchanged_named, ["etc/motd"]);
}

#[test]
fn package_lists_and_accounts_are_merged() {
    let (evidence, obstacles) = seen(
        &OLD,
        &NEW,
        &[&["etc/passwd=root and app", "var/lib/dpkg/status=old and app"]],
    );
    assert_eq!(obstacles, [""; 0]);
    let merged: Vec<_> = evidence.merged.into_iter().collect();
    assert_eq!(
        merged,
        [
            ("etc/passwd".to_owned(), Strategy::Accounts),
            ("var/lib/dpkg/status".to_owned(), Strategy::DpkgStatus)
        ]
    );
    let (evidence, _) = seen(&OLD, &OLD, &[&["etc/passwd=mine", "var/lib/dpkg/status=mine"]]);
    assert_eq!(
        evidence.merged.len(),
        1,
        "accounts that the base leaves alone need no merging"
    );
}

#[test]
fn each_obstacle_is_named() {
    for (app, said) in [
        (
            "-usr/bin/tool",
            "the application deletes `usr/bin/tool` of the base",
        ),
        ("-usr", "the application deletes `usr` of the base"),
        (
            "usr/lib/libssl.so.3=mine",
            "the application has its own `usr/lib/libssl.so.3`, which the new base changes",
        ),
        (
            "usr/share/zone=2",
            "the application has its own `usr/share/zone`, which the new base no longer has",
        ),
        (
            "usr/share/fresh=2",
            "the application and the new base both bring `usr/share/fresh`, with other content",
        ),
        (
            "usr/share=file",
            "`usr/share` is a directory on one side and none on the other",
        ),
        (
            "usr/share/fresh/",
            "`usr/share/fresh` is a directory on one side and none on the other",
        ),
        (
            "app/zone>/usr/share/zone",
            "`app/zone` leads to `/usr/share/zone`, which the new base no longer has",
        ),
        (
            "var/lib/rpm/rpmdb.sqlite",
            "the application has installed rpm packages (`var/lib/rpm/rpmdb.sqlite`): their database cannot be merged",
        ),
    ] {
        assert_eq!(seen(&OLD, &NEW, &[&[app]]).1, [said], "{app}");
    }
    let mut hides = layer(&["usr/"]);
    hides.opaque.push("usr".to_owned());
    let change = BaseChange::of(&[layer(&OLD)], &[layer(&NEW)]).unwrap();
    let (_, obstacles, _) = compare(&change, &[hides]).unwrap();
    assert_eq!(obstacles.len(), 1);
}

#[test]
fn a_base_that_moves_its_directories_is_seen() {
    let (_, obstacles) = seen(
        &["lib/", "lib/x"],
        &["lib>usr/lib", "usr/lib/x"],
        &[&["lib/mine"]],
    );
    assert_eq!(
        obstacles,
        ["`lib/mine` lies below `lib`, which leads elsewhere in the new base"]
    );
    let (_, obstacles) = seen(&["lib>usr/lib"], &["lib>usr/lib"], &[&["lib/mine"]]);
    assert_eq!(obstacles, [""; 0]);
}

#[test]
fn what_the_new_base_brings_just_the_same_is_no_collision() {
    assert_eq!(
        seen(&OLD, &NEW, &[&["usr/share/fresh=1", "usr/lib/libssl.so.3=new"]]).1,
        [""; 0]
    );
}
