//! `roadbed traffic`: who uses what, and measures.

use crate::cli::person::Person;
use crate::harness::{admin::create_user, server::Server};

#[tokio::test]
async fn measures_are_taken_listed_and_lifted() {
    let server = Server::start().await;
    create_user(&server, "eve").await.unwrap();
    let admin = Person::administrator(&server);
    let throttle = [
        "traffic",
        "throttle",
        "eve",
        "--rate",
        "50/s 20MiB/s",
        "--for",
        "2h",
        "--reason",
        "floods",
    ];
    admin
        .run(throttle)
        .ok()
        .says("eve: 50 requests and 20 MiB per second until 2");
    let ban = [
        "traffic",
        "ban",
        "198.51.100.0/24",
        "--for",
        "10m",
        "--reason",
        "guesses names",
    ];
    admin.run(ban).ok().says("198.51.100.0/24: banned until 2");
    admin
        .run(["traffic", "list"])
        .ok()
        .says("WHO")
        .says("guesses names");
    admin
        .run(["traffic"])
        .ok()
        .says("processor")
        .says("USER OR ROBOT")
        .says("admin")
        .says("198.51.100.0/24");
    let shown = admin
        .run(["traffic", "--limit", "1", "--output", "json"])
        .ok()
        .json();
    assert_eq!(shown["principals"].as_array().unwrap().len(), 1, "{shown}");
    admin
        .run(["traffic", "lift", "198.51.100.0/24"])
        .ok()
        .says("may ask again");
    admin
        .run(["traffic", "lift", "198.51.100.0/24"])
        .fails("there is no measure against 198.51.100.0/24");
    admin
        .run(["audit", "--kind", "traffic.throttle"])
        .ok()
        .says("eve");
}

#[tokio::test]
async fn nobody_shuts_themselves_out_and_every_measure_ends() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin
        .run(["traffic", "ban", "admin", "--for", "10m", "--reason", "x"])
        .fails("roadbed user demote admin");
    admin
        .run(["traffic", "ban", "127.0.0.1", "--for", "10m", "--reason", "x"])
        .fails("ban a narrower network");
    admin
        .run(["traffic", "ban", "198.51.100.1", "--for", "90d", "--reason", "x"])
        .fails("at most 30 days");
    admin
        .run(["traffic", "ban", "198.51.100.1", "--reason", "x"])
        .misused("--for");
    admin
        .run([
            "traffic",
            "throttle",
            "198.51.100.1",
            "--rate",
            "fast",
            "--for",
            "1h",
            "--reason",
            "x",
        ])
        .misused("50/s 20MiB/s");
}
