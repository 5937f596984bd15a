//! Configurations as builders write them, and as strangers do.

use super::*;

#[test]
fn what_is_judged_is_read_and_values_are_not_kept() {
    let json = br#"{"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z",
        "config":{"User":"1000:1000","Env":["PATH=/bin","TOKEN=s3cret"],"ExposedPorts":{"22/tcp":{}},
        "Labels":{"a":"b","n":null},"Cmd":["sh"],"Entrypoint":["/init"],"Healthcheck":null},
        "rootfs":{"type":"layers","diff_ids":["sha256:aa"]},
        "history":[{"created_by":"ADD x"},{"created_by":"ENV y","empty_layer":true},{"created_by":"RUN z"}]}"#;
    let read = ReadConfig::parse(json).unwrap();
    let config = &read.config;
    assert_eq!(config.user, "1000:1000");
    assert_eq!(config.env_names, ["PATH", "TOKEN"]);
    assert_eq!(config.ports, ["22/tcp"]);
    assert_eq!(config.label("a"), Some("b"));
    assert_eq!(config.command, ["/init", "sh"]);
    assert!(!config.has_health_check);
    assert_eq!(config.step_of(1).as_deref(), Some("RUN z"));
    assert!(!serde_json::to_string(config).unwrap().contains("s3cret"));
    assert!(
        read.texts
            .contains(&("env TOKEN".to_owned(), "TOKEN=s3cret".to_owned()))
    );
}

#[test]
fn a_step_is_told_without_the_values_of_build_arguments() {
    for (created_by, told) in [
        ("RUN make all # buildkit", Some("RUN make all # buildkit")),
        ("|1 TOKEN=s3cret /bin/sh -c make all", Some("/bin/sh -c make all")),
        (
            "RUN |2 A=/bin/sh -c s3cret TOKEN=s3cret x /bin/sh -c make all # buildkit",
            Some("RUN /bin/sh -c make all # buildkit"),
        ),
        ("RUN |1 TOKEN=s3cret /bin/bash -c make all", None),
        ("|1 TOKEN=s3cret", None),
        ("ARG TOKEN=s3cret", Some("ARG TOKEN")),
        ("/bin/sh -c #(nop)  ARG TOKEN=s3cret", Some("ARG TOKEN")),
        ("COPY app /srv", Some("COPY app /srv")),
    ] {
        assert_eq!(without_arguments(created_by).as_deref(), told, "{created_by}");
        let json = serde_json::json!({ "history": [{ "created_by": created_by }] });
        let read = ReadConfig::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(read.config.step_of(0).as_deref(), told);
        // They are looked for as secrets all the same.
        assert!(
            read.texts
                .contains(&("history 0".to_owned(), created_by.to_owned()))
        );
    }
}

#[test]
fn an_empty_one_is_read_and_a_foreign_one_is_not() {
    assert_eq!(ReadConfig::parse(b"{}").unwrap().config, ImageConfig::default());
    let nulls = br#"{"config":null,"rootfs":null,"history":null,"os":null}"#;
    assert_eq!(ReadConfig::parse(nulls).unwrap().config, ImageConfig::default());
    assert!(ReadConfig::parse(b"[]").is_err());
    assert!(ReadConfig::parse(br#"{"config":{"Env":"x"}}"#).is_err());
}

#[test]
fn limits_are_kept() {
    let many = format!(
        r#"{{"config":{{"Env":[{}]}}}}"#,
        vec![r#""a=b""#; ITEMS + 1].join(",")
    );
    assert!(matches!(
        ReadConfig::parse(many.as_bytes()),
        Err(ImageConfigError::TooMany { .. })
    ));
    let large = vec![b' '; CONFIG_BYTES + 1];
    assert!(matches!(
        ReadConfig::parse(&large),
        Err(ImageConfigError::TooLarge(_))
    ));
    let deep = format!("{}{}", r#"{"x":"#.repeat(10_000), "}".repeat(10_000));
    assert!(ReadConfig::parse(deep.as_bytes()).is_err());
}
