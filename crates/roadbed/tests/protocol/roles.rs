//! Every route × method × role of the protocol: who may what, and what everybody else is told.

use anyhow::{Result, ensure};

use crate::harness::{
    admin::{USER_PASSWORD, create_user, grant},
    client::Client,
    login::Login,
    manifest::small_image,
    server::{ADMIN, ADMIN_PASSWORD, Server},
    tally::Tally,
};

const REPOSITORY: &str = "roles/app";

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"];

/// What a caller needs for a request to get past the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// To be signed in.
    Name,
    Pull,
    Push,
    Delete,
}

/// A path, and per method what it needs and what answers whoever has it. Other methods are 405 for everybody.
type Row = (&'static str, &'static [(&'static str, Needs, u16)]);

/// `{blob}` is a blob that is there, `{absent}` a digest of nothing.
const TABLE: [Row; 10] = [
    ("/v2/", &[("GET", Needs::Name, 200), ("HEAD", Needs::Name, 200)]),
    (
        "/v2/_catalog",
        &[("GET", Needs::Name, 200), ("HEAD", Needs::Name, 200)],
    ),
    (
        "/v2/roles/app/tags/list",
        &[("GET", Needs::Pull, 200), ("HEAD", Needs::Pull, 200)],
    ),
    (
        "/v2/roles/app/manifests/v1",
        &[
            ("GET", Needs::Pull, 200),
            ("HEAD", Needs::Pull, 200),
            ("PUT", Needs::Push, 400),
        ],
    ),
    (
        "/v2/roles/app/manifests/absent",
        &[
            ("GET", Needs::Pull, 404),
            ("HEAD", Needs::Pull, 404),
            ("PUT", Needs::Push, 400),
            ("DELETE", Needs::Delete, 404),
        ],
    ),
    (
        "/v2/roles/app/blobs/{blob}",
        &[("GET", Needs::Pull, 200), ("HEAD", Needs::Pull, 200)],
    ),
    (
        "/v2/roles/app/blobs/{absent}",
        &[
            ("GET", Needs::Pull, 404),
            ("HEAD", Needs::Pull, 404),
            ("DELETE", Needs::Delete, 404),
        ],
    ),
    ("/v2/roles/app/blobs/uploads/", &[("POST", Needs::Push, 202)]),
    (
        "/v2/roles/app/blobs/uploads/00000000-0000-4000-8000-000000000000?digest={absent}",
        &[
            ("GET", Needs::Push, 404),
            ("PATCH", Needs::Push, 404),
            ("PUT", Needs::Push, 404),
            ("DELETE", Needs::Push, 404),
        ],
    ),
    (
        "/v2/roles/app/referrers/{absent}",
        &[("GET", Needs::Pull, 200), ("HEAD", Needs::Pull, 200)],
    ),
];

/// Deleting what is there would change the table for the next caller; what is absent stands for it.
const UNTRIED: [(&str, &str); 2] = [
    ("DELETE", "/v2/roles/app/manifests/v1"),
    ("DELETE", "/v2/roles/app/blobs/{blob}"),
];

/// A caller's name and what it has.
type Role = (&'static str, &'static [Needs]);

const ROLES: [Role; 7] = [
    ("anonymous", &[]),
    ("stranger", &[Needs::Name]),
    ("puller", &[Needs::Name, Needs::Pull]),
    ("pusher", &[Needs::Name, Needs::Pull, Needs::Push]),
    ("deleter", &[Needs::Name, Needs::Pull, Needs::Delete]),
    ("owner", &[Needs::Name, Needs::Pull, Needs::Push, Needs::Delete]),
    (ADMIN, &[Needs::Name, Needs::Pull, Needs::Push, Needs::Delete]),
];

fn wanted(method: &str, (_, methods): Row, (name, has): Role) -> u16 {
    match methods.iter().find(|(own, _, _)| *own == method) {
        None => 405,
        Some((_, needs, status)) if has.contains(needs) => *status,
        Some(_) if name == "anonymous" => 401,
        Some(_) => 403,
    }
}

async fn ask(client: &Client, method: &str, path: &str, status: u16) -> Result<()> {
    let answer = client.request(method, path).send().await?;
    ensure!(
        answer.status == status,
        "wanted {status}, got {}",
        answer.summary()
    );
    Ok(())
}

async fn clients(server: &Server) -> Result<Vec<(Role, Client)>> {
    for (name, roles) in [
        ("stranger", &[][..]),
        ("puller", &["pull"]),
        ("pusher", &["push"]),
        ("deleter", &["delete"]),
        ("owner", &["admin"]),
    ] {
        create_user(server, name).await?;
        if !roles.is_empty() {
            grant(server, name, "roles/*", roles).await?;
        }
    }
    let login = |name: &str| match name {
        "anonymous" => Login::Anonymous,
        ADMIN => Login::basic(ADMIN, ADMIN_PASSWORD),
        name => Login::basic(name, USER_PASSWORD),
    };
    Ok(ROLES
        .iter()
        .map(|role| (*role, server.client(login(role.0))))
        .collect())
}

#[tokio::test]
async fn every_route_method_and_role() {
    let server = Server::start().await;
    let mut tally = Tally::new("roles");
    let (blobs, document) = small_image("roles");
    let absent = format!("sha256:{}", "0".repeat(64));
    tally.record(
        "push",
        server
            .admin()
            .push_image(REPOSITORY, "v1", &blobs, &document)
            .await,
    );
    let clients = clients(&server).await.expect("users and grants can be made");
    for row in TABLE {
        let path = row
            .0
            .replace("{blob}", &blobs[0].digest)
            .replace("{absent}", &absent);
        for method in METHODS
            .iter()
            .filter(|method| !UNTRIED.contains(&(**method, row.0)))
        {
            for (role, client) in &clients {
                let outcome = ask(client, method, &path, wanted(method, row, *role)).await;
                tally.record(format!("{method} {path} as {}", role.0), outcome);
            }
        }
    }
    tally.finish(&server);
}
