//! What images without end meet.

use super::*;
use crate::rebase::archive::{Member, members, write_members};

fn assessed(world: &World) -> Assessment {
    let settings = json!({});
    let (old, new) = (oci(&["b"], &settings), oci(&["n"], &settings));
    let app = oci(&["b", "app"], &settings);
    assess(&world.image(&app, &old, &new))
}

#[test]
fn no_more_obstacles_are_told_than_are_read() {
    let paths: Vec<String> = (0..MAX_OBSTACLES + 5)
        .map(|number| format!("usr/bin/tool{number}"))
        .collect();
    let base: Vec<&str> = paths.iter().map(String::as_str).collect();
    let gone: Vec<String> = paths.iter().map(|path| format!("-{path}")).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let assessment = assessed(&World::new(&base, &base, &gone));
    assert_eq!(assessment.class, SafetyClass::C);
    assert_eq!(
        (assessment.obstacles.len(), assessment.more_obstacles),
        (MAX_OBSTACLES, 5)
    );
}

#[test]
fn links_without_end_are_not_followed() {
    let links: Vec<String> = (0..=MAX_LINKS)
        .map(|number| format!("app/{number}>main"))
        .collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    let assessment = assessed(&World::new(&["etc/x=1"], &["etc/x=2"], &links[..MAX_LINKS]));
    assert_eq!(
        assessment.class,
        SafetyClass::A,
        "{}",
        listed(&assessment.obstacles)
    );
    let assessment = assessed(&World::new(&["etc/x=1"], &["etc/x=2"], &links));
    let told = listed(&assessment.obstacles);
    assert!(told.contains("more than 100000 links"), "{told}");
}

#[test]
fn archives_without_end_are_neither_read_nor_written() {
    let member = Member {
        path: "x".to_owned(),
        mode: 0o644,
        owner: (0, 0),
        bytes: Vec::new(),
    };
    let all = vec![member; MAX_MEMBERS + 1];
    assert!(write_members(&all, 0).is_err_and(|why| why.contains("more than 100000 files")));
    let most = write_members(&all[..MAX_MEMBERS], 0).unwrap();
    assert_eq!(members(&most).unwrap().len(), MAX_MEMBERS);
    let header = most[..512].to_vec();
    let one_more = [&header[..], &most[..]].concat();
    assert!(members(&one_more).is_err_and(|why| why.contains("more than 100000 files")));
}

#[test]
fn paths_without_end_are_not_stacked() {
    let lower = layer(&["a", "b", "c"]);
    let upper = layer(&["d", "-a"]);
    assert!(Tree::of_at_most([&lower], 3).is_ok());
    // What an upper layer takes away makes room.
    assert!(Tree::of_at_most([&lower, &upper], 3).is_ok());
    assert_eq!(Tree::of_at_most([&lower, &layer(&["d"])], 3), Err(TooManyPaths));
}
