//! Signing in and out.

use std::fs;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::cli::person::Person;
use crate::harness::authority::{Authority, Files};
use crate::harness::login::Login;
use crate::harness::server::{ADMIN_PASSWORD, Options, Server};

const CREDENTIALS: &str = ".config/roadbed/credentials.json";

#[tokio::test]
async fn a_person_signs_in_once() {
    let server = Server::start().await;
    let person = Person::new();
    person.run(["whoami"]).fails("no registry is named");
    person
        .run(["whoami", "--url", &server.url()])
        .fails("nobody is signed in");
    person
        .run_with_input(["login", &server.url(), "--password-stdin"], "wrong password\n")
        .fails("wrong");
    assert!(!person.home().join(CREDENTIALS).exists());

    let input = format!("{ADMIN_PASSWORD}\n");
    person
        .run_with_input(["login", &server.url(), "--password-stdin"], &input)
        .ok()
        .says("Signed in to");
    let file = person.home().join(CREDENTIALS);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let saved = fs::read_to_string(&file).unwrap();
    assert!(
        !saved.contains(ADMIN_PASSWORD) && saved.contains("token"),
        "{saved}"
    );
    person.run(["whoami"]).ok().says("administrator");
    let me = person.run(["whoami", "--output", "json"]).ok().json();
    assert_eq!(
        (&me["name"], &me["administrator"]),
        (&"admin".into(), &true.into())
    );

    fs::write(
        &file,
        saved.replace(&saved[saved.find("\"20").unwrap() + 1..][..4], "2001"),
    )
    .unwrap();
    person.run(["whoami"]).fails("ended at 2001");
    fs::write(&file, &saved).unwrap();
    person.run(["logout"]).ok();
    person.run(["whoami"]).fails("no registry is named");
    person.run(["logout"]).fails("nobody is signed in");
}

/// Lines of the access log for a path, once there are `count`: status and principal.
async fn logged(server: &Server, path: &str, count: usize) -> Vec<(u64, String)> {
    for _ in 0..500 {
        let log = server.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines
            .filter(|line| line["path"] == path)
            .map(|line| {
                let principal = line["principal"].as_str().unwrap().to_owned();
                (line["status"].as_u64().unwrap(), principal)
            })
            .collect();
        if lines.len() >= count {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} is not {count} times in\n{}", server.log());
}

#[tokio::test]
async fn the_access_log_names_who_asked() {
    let server = Server::start().await;
    let admin = Person::administrator(&server);
    admin.run(["whoami"]).ok();
    admin.run(["login", &server.url()]).ok();
    let admin = admin.with("ROADBED_PASSWORD", "mistyped");
    admin.run(["whoami"]).fails("wrong");
    let expected = [(200, "admin"), (201, "admin"), (401, "anonymous")];
    let expected = expected.map(|(status, name)| (status, name.to_owned()));
    assert_eq!(logged(&server, "/api/v1/session", 3).await, expected);

    let form = format!("grant_type=password&username=admin&password={ADMIN_PASSWORD}&service=x");
    let stranger = server.client(Login::Anonymous);
    let answer = stranger.post("/v2/token");
    let answer = answer.header("content-type", "application/x-www-form-urlencoded");
    let answer = answer.body(form.replace(' ', "+")).send().await.unwrap();
    answer.expect(&[200]).unwrap();
    let expected = [(200, "admin".to_owned())];
    assert_eq!(logged(&server, "/v2/token", 1).await, expected);
}

#[tokio::test]
async fn a_script_signs_in_by_its_environment() {
    let server = Server::start().await;
    Person::administrator(&server).run(["whoami"]).ok();
    Person::new()
        .at(&server)
        .with("ROADBED_USER", "admin")
        .run(["whoami"])
        .fails("without ROADBED_PASSWORD");
    let wrong = Person::new()
        .at(&server)
        .with("ROADBED_USER", "admin")
        .with("ROADBED_PASSWORD", "wrong");
    wrong.run(["whoami"]).fails("wrong");
    let with_password = server.url().replace("://", "://admin:secret@");
    Person::new()
        .run(["whoami", "--url", &with_password])
        .fails("leave user and password out");
}

#[tokio::test]
async fn tls_is_checked_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("cli");
    let files = Files::in_directory(directory.path());
    authority.issue(&[IpAddr::from([127, 0, 0, 1])], &files);
    let server = Server::start_with(authority.serve(Options::default(), &files)).await;
    assert!(server.url().starts_with("https://"));
    let person = Person::administrator(&server);
    person
        .run(["whoami"])
        .fails("cannot reach")
        .fails("name it with --ca-cert FILE");
    let stranger = Authority::new("cli");
    person.write("stranger.pem", stranger.pem());
    person
        .run(["whoami", "--ca-cert", "stranger.pem"])
        .fails("name it with --ca-cert FILE");
    let plain = server.url().replace("https://", "http://");
    person
        .run(["whoami", "--url", &plain])
        .fails("if it speaks TLS, write https://");
    person.write("notes", "no certificate\n");
    person
        .run(["whoami", "--ca-cert", "notes"])
        .fails("notes holds no certificates in PEM form");
    fs::copy(&files.key, person.home().join("tls.key")).unwrap();
    person
        .run(["whoami", "--ca-cert", "tls.key"])
        .fails("tls.key holds no certificates in PEM form");
    person.run(["whoami", "--insecure"]).ok();
    person.write("authority.pem", authority.pem());
    person.run(["whoami", "--ca-cert", "authority.pem"]).ok();
    person
        .run(["whoami", "--ca-cert", "/nonexistent"])
        .fails("cannot read /nonexistent");
}

#[tokio::test]
async fn a_server_without_tls_is_named_as_one() {
    let server = Server::start().await;
    let address = server.url().replace("http://", "");
    Person::new()
        .with("ROADBED_PASSWORD", "x")
        .run(["login", &address])
        .fails("the server does not speak TLS: write http:// in front of its address");
}

#[test]
fn the_certificate_of_an_authority_is_named_as_one() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let person = Person::new();
    person.write("tls.crt", &certificate.pem());
    let url = shake_hands_once(certificate.der().clone(), &key);
    person
        .with("ROADBED_USER", "admin")
        .with("ROADBED_PASSWORD", "x")
        .run(["whoami", "--url", &url, "--ca-cert", "tls.crt"])
        .fails("is one of an authority (CA:TRUE)");
}

/// A server that does no more than a handshake; the harness would not believe its certificate either.
fn shake_hands_once(certificate: CertificateDer<'static>, key: &rcgen::KeyPair) -> String {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The client turns away, which is an error here.
        let _ = connection.complete_io(&mut stream);
    });
    format!("https://{address}")
}

#[test]
fn what_nobody_can_reach_is_named() {
    let person = Person::new()
        .with("ROADBED_USER", "admin")
        .with("ROADBED_PASSWORD", "x");
    person.run(["whoami", "--url", "http://127.0.0.1:1"]).fails(
        "cannot reach http://127.0.0.1:1/: nothing listens there: start the server, or correct the address",
    );
    person.run(["whoami", "--url", "ftp://x"]).fails("not a URL");
    person
        .with("ROADBED_URL", "")
        .run(["whoami"])
        .fails("no registry is named");
}

#[test]
fn the_command_line_explains_itself() {
    let person = Person::new();
    person.run(["--help"]).ok().says("Exit status");
    person
        .run(["serve", "--help"])
        .ok()
        .says("ROADBED_ADMIN_PASSWORD");
    person.run(["version"]).ok().says(env!("CARGO_PKG_VERSION"));
    let version = person.run(["version", "--output", "json"]).ok().json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    person.run(["completions", "bash"]).ok().says("_roadbed");
    person.run(["usr", "list"]).misused("user");
    person.run(["user", "create"]).misused("<NAME>");
    person
        .run(["grant", "add", "ann", "team/**", "write"])
        .misused("unknown role");
    person
        .run(["user", "create", "ann", "--not-after", "soon"])
        .misused("RFC 3339");
    // There is no option that takes a password: everybody could read it in the list of processes.
    person
        .run(["login", "x", "--password", "secret"])
        .misused("--password");
}
