//! Each rule with an image that breaks it, and one that breaks none.

use time::macros::date;

use super::*;
use crate::{OsRelease, image_config::Step};

fn good() -> ImageConfig {
    ImageConfig {
        user: "1000".to_owned(),
        labels: [
            "org.opencontainers.image.source",
            "org.opencontainers.image.revision",
            "org.opencontainers.image.base.name",
        ]
        .map(|name| (name.to_owned(), "x".to_owned()))
        .into(),
        diff_ids: vec!["sha256:aa".to_owned()],
        ..ImageConfig::default()
    }
}

fn rules(config: &ImageConfig, os: Option<&OsRelease>) -> Vec<String> {
    let overlay = Overlay {
        os,
        ..Overlay::default()
    };
    let found = judge(&Subject {
        config: Some(config),
        annotations: &[],
        overlay: &overlay,
        diff_ids: &[Some("sha256:aa".to_owned())],
        caches: &[],
        today: date!(2026 - 11 - 27),
    });
    found.into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_good_image_breaks_no_rule() {
    assert!(rules(&good(), None).is_empty());
}

#[test]
fn root_by_any_name() {
    for user in ["", "root", "0", "0:0", "root:staff", "00"] {
        let config = ImageConfig {
            user: user.to_owned(),
            ..good()
        };
        assert_eq!(rules(&config, None), ["config.root-user"], "{user:?}");
    }
}

#[test]
fn each_rule() {
    let mut config = good();
    config.ports = vec!["22/tcp".to_owned()];
    config.diff_ids = vec!["sha256:bb".to_owned()];
    config.labels.clear();
    config.history = vec![
        Step {
            created_by: "RUN curl -fsSL https://example.org/x | sudo bash -".to_owned(),
            is_empty: false,
        },
        Step {
            created_by: "RUN curl -o x https://example.org/x && sha256sum -c x | tee log".to_owned(),
            is_empty: false,
        },
    ];
    let os = OsRelease {
        id: "debian".to_owned(),
        version: "10".to_owned(),
        ..OsRelease::default()
    };
    assert_eq!(
        rules(&config, Some(&os)),
        [
            "config.ssh",
            "config.pipe-to-shell",
            "config.diff-ids",
            "config.no-source",
            "config.no-revision",
            "config.no-base",
            "config.os-end-of-life",
        ]
    );
}

#[test]
fn ids_are_unique() {
    let mut ids: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
}
