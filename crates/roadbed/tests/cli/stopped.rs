//! Commands on the data directory of a stopped server, and that they leave a running one alone.

use crate::cli::access::push;
use crate::cli::person::Person;
use crate::harness::server::Server;

#[tokio::test]
async fn the_directory_of_a_running_server_is_left_alone() {
    let server = Server::start().await;
    let data = server.data();
    let data = data.to_str().unwrap();
    let person = Person::new();
    let hint = "a server runs on this directory: stop it, or leave out --data and use --url to ask it\n";
    person.run(["gc", "--data", data]).fails(hint);
    person.run(["fsck", "--data", data]).fails(hint);
    person
        .run(["backup", "--data", data, "-o", "copy.tar"])
        .fails(hint);
    person
        .run(["admin", "reset-password", "--data", data])
        .fails("a server runs on this directory: stop it, or let an administrator run `roadbed user password admin`\n");
    assert!(!person.home().join("copy.tar.partial").exists());
    for command in ["gc", "fsck"] {
        person
            .run([command, "--data", "mistyped"])
            .fails("mistyped does not exist");
    }
    person
        .run(["admin", "reset-password", "--data", "mistyped"])
        .fails("mistyped does not exist");
}

#[test]
fn a_directory_that_holds_no_registry_is_refused_and_stays_as_it_is() {
    let person = Person::new();
    person.write("plain/file", "of somebody else");
    let refused = "plain holds no registry: name the directory that the server was started with";
    person.run(["fsck", "--data", "plain"]).fails(refused);
    person.run(["gc", "--data", "plain"]).fails(refused);
    person
        .run(["backup", "--data", "plain", "-o", "copy.tar"])
        .fails(refused);
    person
        .run(["admin", "reset-password", "--data", "plain"])
        .fails(refused);
    person
        .run(["fsck", "--data", "plain/file"])
        .fails("plain/file is not a directory");
    assert_eq!(std::fs::read_dir(person.home().join("plain")).unwrap().count(), 1);
    assert!(!person.home().join("copy.tar").exists());
}

#[tokio::test]
async fn a_stopped_server_is_collected_and_backed_up() {
    let mut server = Server::start().await;
    push(&server, "team/app", "v1").await.unwrap();
    server.terminate().await;
    let data = server.data();
    let data = data.to_str().unwrap();
    // The address of a server in the environment does not matter where a directory is named.
    let person = Person::new().at(&server);
    person.run(["gc", "--data", data]).ok();
    person.run(["backup", "--data", data, "-o", "copy.tar"]).ok();
    person
        .run(["restore", "--from", "copy.tar", "--data", "restored"])
        .ok()
        .says("2 blobs");
}

#[tokio::test]
async fn a_forgotten_password_is_reset() {
    let mut server = Server::start().await;
    server.terminate().await;
    let data = server.data();
    let data = data.to_str().unwrap();
    let person = Person::new();
    let generated = person.run(["admin", "reset-password", "--data", data]).ok();
    assert_eq!(generated.out.lines().count(), 1, "{generated:?}");
    let generated = person
        .run(["admin", "reset-password", "--data", data, "--output", "json"])
        .ok()
        .json();
    assert_eq!(generated["user"], "admin");
    person
        .run_with_input(
            ["admin", "reset-password", "--data", data, "--password-stdin"],
            "short\n",
        )
        .fails("12");

    server.start_again().await;
    let admin = |password: &str| {
        Person::new()
            .at(&server)
            .with("ROADBED_USER", "admin")
            .with("ROADBED_PASSWORD", password)
    };
    admin(generated["password"].as_str().unwrap())
        .run(["whoami"])
        .ok();
    admin(crate::harness::server::ADMIN_PASSWORD)
        .run(["whoami"])
        .fails("wrong");
    server.terminate().await;

    let chosen = "a password of my own";
    person
        .run_with_input(
            ["admin", "reset-password", "--data", data, "--password-stdin"],
            chosen,
        )
        .ok();
    server.start_again().await;
    Person::new()
        .at(&server)
        .with("ROADBED_USER", "admin")
        .with("ROADBED_PASSWORD", chosen)
        .run(["whoami"])
        .ok();
}
