//! The first administrator's password: printed once, by the start that serves; and what the address says of itself.

use std::net::TcpListener;

use crate::cli::person::Person;
use crate::harness::login::Login;
use crate::harness::server::{ADMIN, Options, Server};

/// The line that holds nothing but the password, behind the one that announces it.
fn printed_password(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("first start: administrator `admin` with password")?;
    rest.lines().map(str::trim).find(|line| !line.is_empty())
}

#[tokio::test]
async fn a_failed_first_start_keeps_the_password_for_the_next_one() {
    let person = Person::new();
    let data = person.home().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = person
        .run(["serve", "--listen", &address, "--data", data.to_str().unwrap()])
        .fails(&format!("cannot listen on {address}"));
    assert_eq!(printed_password(&failed.out), None, "{failed:?}");

    let generated = Options::default()
        .data(&data)
        .environment("ROADBED_ADMIN_PASSWORD", "");
    let mut server = Server::start_with(generated).await;
    let log = server.log();
    let password = printed_password(&log).expect("the first start that serves prints it");
    let client = server.client(Login::basic(ADMIN, password));
    client.get("/v2/").send().await.unwrap().expect(&[200]).unwrap();

    server.kill();
    server.start_again().await;
    let (_, second) = server.log().split_once("--- start 1 ---").map_or_else(
        || panic!("{}", server.log()),
        |(first, second)| (first.to_owned(), second.to_owned()),
    );
    assert_eq!(printed_password(&second), None, "{second}");
}

#[tokio::test]
async fn whoever_opens_the_address_learns_what_it_is() {
    let server = Server::start().await;
    let stranger = server.client(Login::Anonymous);
    let page = stranger.get("/").send().await.unwrap().expect(&[200]).unwrap();
    assert_eq!(page.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    for word in ["Roadbed", "docker login", "/api/v1/openapi.json", "docs/"] {
        assert!(text.contains(word), "{word}\n{text}");
    }
    let described = stranger.get("/api/v1/openapi.json").send().await.unwrap();
    described.expect(&[200]).unwrap();
}
