use std::collections::BTreeSet;

use super::layers::MAX_FILE_BYTES;
use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roadbed.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::load(&Sources {
        file: Some(path),
        environment,
        flags: Vec::new(),
    })
}

fn complaint(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment).unwrap_err().to_string()
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(Config::load(&Sources::default()).unwrap(), Config::default());
    assert_eq!(
        load("", &[("ROADBED_URL", "x"), ("ROADBED_USER", "y"), ("PATH", "z")]).unwrap(),
        Config::default()
    );
}

#[test]
fn the_printed_defaults_read_back_as_the_defaults() {
    assert_eq!(load(&defaults_toml(), &[]).unwrap(), Config::default());
}

#[test]
fn every_key_is_printed_once_and_can_be_set_by_its_variable() {
    let printed = defaults_toml();
    let mut seen = BTreeSet::new();
    for key in all_sections().into_iter().flat_map(|section| section.keys) {
        assert!(seen.insert(key.name), "{} twice", key.name);
        assert!(
            !key.help.is_empty() && key.help.ends_with('.'),
            "{}: {}",
            key.name,
            key.help
        );
        assert!(printed.contains(&format!(
            "\n{} = {}\n",
            key.name.split_once('.').unwrap().1,
            key.default
        )));
        let value = key
            .default
            .trim_matches(['"', '[', ']', '{', '}'])
            .replace("\", \"", ",");
        let loaded = load("", &[(&layers::variable_of(key.name), &value)]).unwrap();
        assert_eq!(loaded, Config::default(), "{}", key.name);
    }
    let effective: BTreeSet<&str> = Config::default().effective().iter().map(|key| key.name).collect();
    assert_eq!(effective, seen);
}

#[test]
fn defaults_are_those_of_the_crates_that_enforce_them() {
    let config = Config::default();
    assert_eq!(
        format!("{:?}", config.store_limits()),
        format!("{:?}", StoreLimits::default())
    );
    assert_eq!(
        format!("{:?}", config.connection_limits()),
        format!("{:?}", ConnectionLimits::default())
    );
    assert_eq!(
        format!("{:?}", config.registry_config()),
        format!("{:?}", RegistryConfig::default())
    );
    assert_eq!(
        format!("{:?}", config.web_config()),
        format!("{:?}", WebConfig::default())
    );
}

#[test]
fn later_layers_win() {
    let file = "[server]\nlisten = \"0.0.0.0:80\"\n[log]\nlevel = \"debug\"\n";
    let environment = [("ROADBED_SERVER__LISTEN", "0.0.0.0:81")];
    let config = load(file, &environment).unwrap();
    assert_eq!(config.server.listen.port(), 81);
    assert_eq!(config.log.level.as_str(), "debug");

    let flags = vec![Flag {
        option: "--listen",
        key: "server.listen",
        value: "0.0.0.0:82".into(),
    }];
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let (config, layers) = Config::load_with_origins(&Sources {
        file: None,
        environment,
        flags,
    })
    .unwrap();
    assert_eq!(config.server.listen.port(), 82);
    assert_eq!(
        layers.origin("server.listen").to_string(),
        "command line --listen"
    );
}

#[test]
fn lists_and_tables_are_read_from_file_and_environment() {
    let file = "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
                [registry.namespaces]\n\"docker.io\" = \"mirror/hub\"\n\"r.example:5000\" = \"mirror/r\"\n";
    let config = load(file, &[]).unwrap();
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.registry.namespaces.0["docker.io"], "mirror/hub");
    assert_eq!(config.registry.namespaces.0["r.example:5000"], "mirror/r");

    let environment = [
        ("ROADBED_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        (
            "ROADBED_REGISTRY__NAMESPACES",
            "docker.io=mirror/hub,r.example:5000=mirror/r",
        ),
    ];
    assert_eq!(load("", &environment).unwrap(), config);
}

#[test]
fn a_namespace_that_is_there_twice_is_refused() {
    let variable = "ROADBED_REGISTRY__NAMESPACES";
    let text = complaint("", &[(variable, "docker.io=hub,quay.io=quay, docker.io = other")]);
    let wanted = "registry.namespaces: \"docker.io\" is there twice, with \"hub\" and with \"other\"";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains(variable), "{text}");
    let text = complaint(
        "[registry.namespaces]\n\"docker.io\" = \"hub\"\n\"docker.io\" = \"other\"\n",
        &[],
    );
    assert!(text.contains("roadbed.toml:3: not TOML"), "{text}");
}

#[test]
fn an_unknown_key_names_the_nearest_one_with_file_and_line() {
    let text = complaint("[server]\n\nlistn = \"0.0.0.0:80\"\n", &[]);
    assert!(
        text.contains("roadbed.toml:3: unknown key `server.listn`: did you mean `server.listen`?"),
        "{text}"
    );
    let text = complaint("[sever]\nlisten = \"0.0.0.0:80\"\n", &[]);
    assert!(
        text.contains("roadbed.toml:2: unknown key `sever.listen`: did you mean `server.listen`?"),
        "{text}"
    );
    let text = complaint("listen = \"0.0.0.0:80\"\n", &[]);
    assert!(
        text.contains("unknown key `listen`: did you mean `server.listen`?"),
        "{text}"
    );
    let text = complaint("", &[("ROADBED_SERVER__LISTN", "x")]);
    assert!(
        text.contains("environment ROADBED_SERVER__LISTN: unknown key"),
        "{text}"
    );
    assert!(text.contains("ROADBED_SERVER__LISTEN"), "{text}");
}

#[test]
fn everything_wrong_is_said_at_once() {
    let file = "[server]\nlisten = \"localhost\"\ntls_cert = \"a.pem\"\ntrusted_proxies = [\"ten\"]\n\
                [connections]\ntotal = 0\nidle_timeout = 30\nrate_window = \"2d\"\nheaders = \"many\"\n\
                [storage]\nblob_bytes = \"1TB\"\n[registry.namespaces]\n\"docker.io\" = \"UPPER\"\n";
    let text = complaint(file, &[("ROADBED_LOG__LEVEL", "loud")]);
    for expected in [
        ":2: server.listen: \"localhost\" is not an IP address and port",
        ":3: server.tls_cert: a certificate needs its key",
        ":4: server.trusted_proxies: \"ten\" is not a network",
        ":6: connections.total: 0 is out of range: write 1 to 1000000",
        ":7: connections.idle_timeout: `30` is not a duration",
        ":8: connections.rate_window: 2d is out of range: write 1s to 1h",
        ":9: connections.headers: expected a whole number, found \"many\"",
        ":11: storage.blob_bytes: `1TB` is not a size",
        "registry.namespaces: \"UPPER\" is not a path prefix",
        "environment ROADBED_LOG__LEVEL: log.level: \"loud\" is not",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn every_bound_is_checked() {
    let mut bounds = 0;
    for key in all_sections().into_iter().flat_map(|section| section.keys) {
        let Some((_, most)) = &key.range else { continue };
        let unit = most.find(|c: char| !c.is_ascii_digit()).unwrap_or(most.len());
        let (number, unit) = most.split_at(unit);
        let above = format!("{}{unit}", number.parse::<u64>().unwrap() + 1);
        let text = complaint("", &[(&layers::variable_of(key.name), &above)]);
        let expected = format!("{}: {above} is out of range: write ", key.name);
        assert!(text.contains(&expected), "{expected}\n{text}");
        bounds += 1;
    }
    assert!(bounds > 60, "{bounds}");
}

#[test]
fn every_key_may_be_at_its_smallest_and_at_its_largest() {
    let keys: Vec<_> = all_sections()
        .into_iter()
        .flat_map(|section| section.keys)
        .filter_map(|key| Some((layers::variable_of(key.name), key.range?)))
        .collect();
    for largest in [false, true] {
        let values = keys.iter().map(|(variable, (least, most))| {
            let value = if largest { most } else { least };
            (variable.as_str(), value.as_str())
        });
        load("", &values.collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn the_largest_manifest_must_find_room() {
    let text = complaint(
        "[registry]\nmanifest_memory = \"2MiB\"\nanswer_memory = \"7MiB\"\n",
        &[],
    );
    assert!(
        text.contains(":2: registry.manifest_memory: less than registry.manifest_bytes"),
        "{text}"
    );
    assert!(
        text.contains(":3: registry.answer_memory: less than twice registry.manifest_bytes"),
        "{text}"
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let text = complaint("[server]\nlisten = \n", &[]);
    assert!(text.contains("roadbed.toml:2: not TOML"), "{text}");
    let text = complaint(&"#".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1), &[]);
    assert!(text.contains("at most 1048576"), "{text}");
    let missing = Sources {
        file: Some("/nonexistent/roadbed.toml".into()),
        ..Sources::default()
    };
    assert!(
        Config::load(&missing)
            .unwrap_err()
            .to_string()
            .contains("cannot read /nonexistent/roadbed.toml")
    );
}

#[test]
fn the_page_in_docs_is_the_generated_one() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let written = std::fs::read_to_string(page).unwrap_or_default();
    assert!(
        written == defaults_page(),
        "docs/configuration.md is out of date: write the output of `roadbed config show --defaults --markdown` to it"
    );
}
