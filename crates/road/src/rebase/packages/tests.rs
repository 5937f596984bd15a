use super::*;

fn deb(name: &str, version: &str, more: &str) -> String {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!("\n{more}")
    };
    format!(
        "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}{more}\nDescription: x\n y\n .\n z\n\n"
    )
}

fn all(stanzas: &[String]) -> String {
    stanzas.concat()
}

fn said(result: Result<MergedPackages, Vec<Obstacle>>) -> String {
    match result {
        Ok(merged) => merged.text,
        Err(obstacles) => crate::rebase::tests::listed(&obstacles),
    }
}

fn dpkg() -> String {
    deb("dpkg", "1.21.22", "")
}

#[test]
fn the_bases_packages_come_from_the_new_base_and_the_own_ones_stay() {
    let old = all(&[
        deb("openssl", "3.0.11-1~deb12u1", ""),
        dpkg(),
        deb("libc6", "2.36-9+deb12u3", ""),
    ]);
    let new = all(&[
        deb("openssl", "3.0.14-1~deb12u2", ""),
        dpkg(),
        deb("libc6", "2.36-9+deb12u8", ""),
        deb("tzdata", "2024a", ""),
    ]);
    let curl = deb(
        "curl",
        "7.88.1",
        "Depends: libc6 (>= 2.34), openssl | libssl (>= 4), zlib1g:any",
    );
    let zlib = deb("zlib1g", "1:1.2.13", "Multi-Arch: same");
    let app = all(&[curl.clone(), old.clone(), zlib.clone()]);
    let merged = merge_dpkg(&old, &new, &app).unwrap();
    let expected = all(&[
        curl,
        dpkg(),
        deb("libc6", "2.36-9+deb12u8", ""),
        deb("openssl", "3.0.14-1~deb12u2", ""),
        deb("tzdata", "2024a", ""),
        zlib,
    ]);
    assert_eq!(merged.text, expected);
    assert_eq!(merged.own, ["curl", "zlib1g"]);
    let changed: Vec<_> = merged
        .changes
        .iter()
        .map(|change| change.package.as_str())
        .collect();
    assert_eq!(changed, ["libc6", "openssl", "tzdata"]);
}

#[test]
fn what_the_own_packages_need_must_still_be_there() {
    let old = all(&[dpkg(), deb("libfoo1", "1.5-1", "Provides: libfoo-abi (= 1), foo")]);
    let app = |depends: &str| all(&[old.clone(), deb("app", "1", depends)]);
    let new = all(&[dpkg(), deb("libfoo1", "2.0-1", "Provides: libfoo-abi (= 2), foo")]);
    for (depends, expected) in [
        (
            "Depends: libfoo1 (<< 2)",
            "! package `app` of the application needs `libfoo1 (<< 2)`, which nothing provides on the new base\n",
        ),
        (
            "Depends: libfoo-abi (= 1)",
            "! package `app` of the application needs `libfoo-abi (= 1)`, which nothing provides on the new base\n",
        ),
        (
            "Pre-Depends: libfoo1 (= 1.5-1) | gone",
            "! package `app` of the application needs `libfoo1 (= 1.5-1) | gone`, which nothing provides on the new base\n",
        ),
        (
            "Breaks: libfoo1 (>= 2)",
            "! package `app` breaks with `libfoo1` on the new base (`libfoo1 (>= 2)`)\n",
        ),
    ] {
        assert_eq!(said(merge_dpkg(&old, &new, &app(depends))), expected, "{depends}");
    }
    for depends in [
        "Depends: libfoo1, foo",
        "Depends: never-was-there",
        "Conflicts: app, libfoo1 (<< 1)",
    ] {
        assert!(merge_dpkg(&old, &new, &app(depends)).is_ok(), "{depends}");
    }
    let breaking = all(&[dpkg(), deb("libfoo1", "1.5-1", "Breaks: app (<< 2)")]);
    assert_eq!(
        said(merge_dpkg(&old, &breaking, &app(""))),
        "! package `libfoo1` breaks with `app` on the new base (`app (<< 2)`)\n"
    );
}

#[test]
fn a_package_of_the_base_that_was_replaced_is_an_obstacle() {
    let old = all(&[dpkg(), deb("libssl3", "3.0.11", ""), deb("tar", "1.34", "")]);
    let new = all(&[dpkg(), deb("libssl3", "3.0.14", ""), deb("tar", "1.34", "")]);
    let upgraded = all(&[dpkg(), deb("libssl3", "3.0.13", ""), deb("tar", "1.34", "")]);
    assert_eq!(
        said(merge_dpkg(&old, &new, &upgraded)),
        "! the application has its own version 3.0.13 of package `libssl3` of the base, which has 3.0.11\n"
    );
    let removed = all(&[dpkg(), deb("libssl3", "3.0.11", "")]);
    assert_eq!(
        said(merge_dpkg(&old, &new, &removed)),
        "! the application has removed package `tar` of the base, which has 1.34\n"
    );
    let same = all(&[dpkg(), deb("libssl3", "3.0.14", ""), deb("tar", "1.34", "")]);
    assert_eq!(merge_dpkg(&old, &new, &same).unwrap().text, new);
}

#[test]
fn a_package_that_both_bring_must_be_one() {
    let old = dpkg();
    let new = all(&[dpkg(), deb("tzdata", "2024b", "")]);
    let app = all(&[dpkg(), deb("tzdata", "2024a", "")]);
    assert_eq!(
        said(merge_dpkg(&old, &new, &app)),
        "! package `tzdata` comes with the new base as 2024b and with the application as 2024a\n"
    );
    assert_eq!(merge_dpkg(&old, &new, &new).unwrap().text, new);
}

#[test]
fn holds_leftovers_and_foreign_architectures_are_kept() {
    let old = all(&[dpkg(), deb("nginx", "1.22", "")]);
    let new = all(&[dpkg(), deb("nginx", "1.24", "")]);
    let held = deb("nginx", "1.22", "").replace("install ok", "hold ok");
    let left = deb("vim", "9", "").replace("install ok installed", "deinstall ok config-files");
    let foreign = deb("nginx", "1.22", "").replace("amd64", "i386");
    let merged = merge_dpkg(&old, &new, &all(&[dpkg(), held, left.clone(), foreign.clone()])).unwrap();
    let expected = deb("nginx", "1.24", "").replace("install ok", "hold ok");
    assert_eq!(merged.text, all(&[dpkg(), expected, foreign, left]));
}

#[test]
fn databases_that_cannot_be_read_are_refused() {
    for (text, why) in [
        ("Package: x\n", "a package has no status"),
        ("Status: install ok installed\n", "a package has no name"),
        (
            "Package: a\nStatus: install ok installed\n\nPackage: a\nStatus: install ok installed\n",
            "package `a` is there twice",
        ),
    ] {
        assert_eq!(
            said(merge_dpkg("", "", text)),
            format!("! `var/lib/dpkg/status` cannot be merged: {why}\n")
        );
    }
    let crowd: Vec<String> = (0..=MAX_PROVIDERS)
        .map(|number| format!("Package: p{number}\nStatus: install ok installed\nProvides: all\n\n"))
        .collect();
    assert!(said(merge_dpkg("", "", &crowd.concat())).contains("more than 1000 packages provide `all`"));
    let crowd: Vec<String> = (0..MAX_PROVIDERS)
        .map(|number| format!("Package: p{number}\nStatus: install ok installed\nProvides: x (= 1)\n\n"))
        .collect();
    let asks: Vec<String> = (0..600)
        .map(|number| {
            format!(
                "Package: a{number}\nStatus: install ok installed\nDepends: {}\n\n",
                "x (= 2),".repeat(10)
            )
        })
        .collect();
    let hungry = crowd.concat() + &asks.concat();
    assert!(said(merge_dpkg("", "", &hungry)).contains("more than 5000000 comparisons"));
    let many = format!(
        "Package: a\nStatus: install ok installed\nDepends: {}\n",
        "x,".repeat(MAX_RELATIONS + 1)
    );
    assert!(said(merge_dpkg("", "", &many)).contains("more than 10000 dependencies"));
    assert!(said(merge_dpkg("", "", &"x".repeat(MAX_DATABASE_BYTES + 1))).contains("bytes"));
}

#[test]
fn who_was_installed_by_itself_is_the_applications_word() {
    let state =
        |name: &str, word: &str| format!("Package: {name}\nArchitecture: amd64\nAuto-Installed: {word}\n\n");
    let old = state("b", "1");
    let new = state("b", "1") + &state("c", "1");
    let app = state("a", "1") + &state("b", "0");
    let expected = state("a", "1") + &state("b", "0") + &state("c", "1");
    assert_eq!(merge_apt_states(&old, &new, &app).unwrap(), expected);
}

fn apk(name: &str, version: &str, more: &str) -> String {
    format!("C:Q1x=\nP:{name}\nV:{version}\nA:x86_64\n{more}F:usr\nR:{name}\n\n")
}

#[test]
fn apk_packages_are_merged_by_the_same_rule() {
    let path = "lib/apk/db/installed";
    let musl = |version| apk("musl", version, "p:so:libc.musl-x86_64.so.1=1\n");
    let old = musl("1.2.4-r2") + &apk("busybox", "1.36.1-r15", "p:cmd:sh=1.36.1-r15\n");
    let new = musl("1.2.5-r0") + &apk("busybox", "1.36.1-r29", "p:cmd:sh=1.36.1-r29\n");
    let curl = |depends: &str| apk("curl", "8.5.0-r0", &format!("D:{depends}\n"));
    let fine = curl("so:libc.musl-x86_64.so.1 busybox>=1.36 musl~1.2 cmd:sh !telnet");
    let merged = merge_apk(path, &old, &new, &(old.clone() + &fine)).unwrap();
    assert_eq!(merged.text, new.clone() + &fine);
    assert_eq!(merged.own, ["curl"]);
    let app = old.clone() + &curl("musl=1.2.4-r2");
    assert_eq!(
        said(merge_apk(path, &old, &new, &app)),
        "! package `curl` of the application needs `musl=1.2.4-r2`, which nothing provides on the new base\n"
    );
    let app = old.clone() + &curl("!musl>1.2.4-r9");
    assert_eq!(
        said(merge_apk(path, &old, &new, &app)),
        "! package `curl` breaks with `musl` on the new base (`!musl>1.2.4-r9`)\n"
    );
}

#[test]
fn scripts_of_apk_packages_are_those_of_the_new_base_and_the_own_ones() {
    use crate::rebase::archive::{Member, members, write_members};
    let archive = |names: &[&str]| {
        let member = |name: &&str| Member {
            path: (*name).to_owned(),
            mode: 0o755,
            owner: (0, 0),
            bytes: name.as_bytes().to_vec(),
        };
        let all: Vec<Member> = names.iter().map(member).collect();
        write_members(&all, 5).unwrap()
    };
    let merged = merge_apk_scripts(
        "x",
        &archive(&["a-1", "b-1"]),
        &archive(&["a-2"]),
        &archive(&["a-1", "b-1", "c-1"]),
    );
    let names: Vec<String> = members(&merged.unwrap())
        .unwrap()
        .into_iter()
        .map(|member| member.path)
        .collect();
    assert_eq!(names, ["a-2", "c-1"]);
    assert!(merge_apk_scripts("x", b"", b"", &[b'x'; 600]).is_err());
}
