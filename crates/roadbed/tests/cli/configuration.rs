//! `config`, and what a server says to a bad configuration.

use serde_json::json;

use crate::cli::person::Person;

#[test]
fn defaults_are_a_file_that_is_good() {
    let person = Person::new();
    let defaults = person.run(["config", "show", "--defaults"]).ok();
    person.write("roadbed.toml", &defaults.out);
    person
        .run(["config", "check", "--config", "roadbed.toml"])
        .ok()
        .says("good");
}

#[test]
fn each_value_is_shown_with_its_source() {
    let person = Person::new()
        .with("ROADBED_LOG__LEVEL", "debug")
        .with("ROADBED_CONFIG", "roadbed.toml");
    person.write("roadbed.toml", "[server]\n# where\nlisten = \"0.0.0.0:80\"\n");
    let shown = person.run(["config", "show"]).ok();
    for line in [
        "listen = \"0.0.0.0:80\"  # roadbed.toml:3",
        "level = \"debug\"  # environment ROADBED_LOG__LEVEL",
        "public_url = \"\"  # default",
    ] {
        assert!(shown.out.contains(line), "{line}\n{}", shown.out);
    }
    let keys = person.run(["config", "show", "--output", "json"]).ok().json();
    let key = |name: &str| {
        let keys = keys.as_array().unwrap();
        keys.iter().find(|key| key["key"] == name).unwrap().clone()
    };
    assert_eq!(
        key("server.listen"),
        json!({ "key": "server.listen", "value": "0.0.0.0:80", "source": "roadbed.toml:3" })
    );
    assert_eq!(key("metrics.public")["value"], false);
    assert_eq!(key("server.trusted_proxies")["value"], json!([]));
    let defaults = person.run(["config", "show", "--defaults", "--output", "json"]);
    let defaults = defaults.ok().json();
    assert_eq!(defaults[0]["variable"], "ROADBED_SERVER__LISTEN");
    assert_eq!(defaults[0]["default"], "127.0.0.1:5000");
}

#[test]
fn variables_and_values_that_mean_something_else_are_named() {
    let check = ["config", "check"];
    Person::new()
        .with("ROADBED_SERVER_LISTEN", "0.0.0.0:1")
        .with("ROADBED_DATA_DIR", "/srv")
        .run(check)
        .fails("environment ROADBED_SERVER_LISTEN: sets nothing: did you mean ROADBED_SERVER__LISTEN?")
        .fails("environment ROADBED_DATA_DIR: sets nothing: did you mean ROADBED_SERVER__DATA_DIR?")
        .fails("2 problems");
    Person::new()
        .with("ROADBED_SERVICE_HOST", "192.0.2.1")
        .with("ROADBED_PORT", "tcp://192.0.2.1:5000")
        .run(check)
        .ok();
    Person::new()
        .with("ROADBED_SERVER__LISTEN", "localhost:5000")
        .run(check)
        .fails("\"localhost:5000\" is not an IP address and port")
        .fails("1 problem\n");
    let home = Person::new();
    home.run(["serve", "--data", "~/x"])
        .fails("command line --data: server.data_dir: \"~/x\" begins with `~`: write the whole path");
    home.write("file", "");
    home.run(["serve", "--data", "file"])
        .fails("command line --data: server.data_dir: is a file: name a directory");
}

#[test]
fn mistakes_are_named_and_nothing_starts() {
    let person = Person::new();
    person.write(
        "roadbed.toml",
        "[server]\nlistne = \"0.0.0.0:80\"\n[storage]\nblob_bytes = \"1TB\"\n",
    );
    for command in [
        ["config", "check", "--config", "roadbed.toml"],
        ["serve", "--listen", "127.0.0.1:0", "--config=roadbed.toml"],
    ] {
        person
            .run(command)
            .fails("roadbed.toml:2: unknown key `server.listne`: did you mean `server.listen`?")
            .fails("roadbed.toml:4: storage.blob_bytes: `1TB` is not a size");
    }
    person
        .run(["config", "check", "--config", "missing.toml"])
        .fails("cannot read missing.toml");
    person.write(
        "tls.toml",
        "[server]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n",
    );
    person
        .run(["config", "check", "--config", "tls.toml"])
        .fails("cannot read cert.pem");
    person
        .run(["serve", "--tls-cert", "cert.pem"])
        .misused("--tls-key");
}
