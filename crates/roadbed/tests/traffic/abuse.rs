//! Somebody asks for all that there is: nodes are served all the while, and an administrator can throttle and ban.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use store::Timestamp;
use tokio::time::sleep;

use super::wire::{Wire, header, status};
use crate::harness::{
    admin::{USER_PASSWORD, create_user, grant},
    answer::Answer,
    client::Client,
    login::{Login, basic_header},
    manifest::small_image,
    server::{ADMIN, ADMIN_PASSWORD, Options, Server},
};

const REPOSITORY: &str = "abuse/app";
const MANIFEST: &str = "/v2/abuse/app/manifests/v1";
const NODE: &str = "containerd/v2.0.0";

/// Connections of whoever asks for all.
const HOSTILE: usize = 300;

/// Pulls of the node that must all be answered.
const PULLS: usize = 60;

/// From where somebody asks who is banned.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn administrator(server: &Server) -> Client {
    server.client(Login::basic(ADMIN, ADMIN_PASSWORD))
}

async fn api(server: &Server, method: &str, path: &str, body: &Value) -> Result<Answer> {
    let client = administrator(server);
    let request = client
        .request(method, format!("/api/v1{path}"))
        .header("content-type", "application/json");
    request.body(body.to_string()).send().await
}

/// A measure for ten minutes, or the seconds that are named.
async fn measure(server: &Server, who: &str, more: &Value, seconds: i64) -> Result<Answer> {
    let now = Timestamp::from(std::time::SystemTime::now());
    let until = Timestamp(now.micros() + seconds * 1_000_000).to_rfc3339();
    let mut body = json!({ "who": who, "kind": "ban", "until": until, "reason": "a test of abuse" });
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    api(server, "PUT", "/traffic/measures", &body).await
}

async fn lift(server: &Server, who: &str) -> Result<()> {
    let client = administrator(server);
    let request = client
        .request("DELETE", "/api/v1/traffic/measures")
        .query("who", who);
    request.send().await?.expect(&[204])?;
    Ok(())
}

async fn traffic(server: &Server) -> Result<Value> {
    let client = administrator(server);
    let answer = client.get("/api/v1/traffic?limit=100").send().await?;
    answer.expect(&[200])?.json()
}

fn use_of<'t>(traffic: &'t Value, list: &str, who: &str) -> Result<&'t Value> {
    let uses = traffic[list].as_array().context("no list")?;
    uses.iter()
        .find(|one| one["who"] == who)
        .with_context(|| format!("{who} is not in {traffic}"))
}

/// A server with an image, a robot that clusters pull with, and a user. Returns the headers of the two.
async fn world(options: Options) -> Result<(Server, String, String)> {
    let server = Server::start_with(options).await;
    let (blobs, image) = small_image("abuse");
    let admin = server.admin();
    admin.push_image(REPOSITORY, "v1", &blobs, &image).await?;
    let made = api(&server, "POST", "/robots", &json!({ "name": "cluster" })).await?;
    let secret = made.expect(&[201])?.json()?["secret"]
        .as_str()
        .context("the robot has no secret")?
        .to_owned();
    grant(&server, "cluster", "abuse/**", &["pull"]).await?;
    create_user(&server, "eve").await?;
    grant(&server, "eve", "abuse/**", &["pull"]).await?;
    let header = |user, password: &str| format!("Authorization: {}\r\n", basic_header(user, password));
    let (node, eve) = (header("cluster", &secret), header("eve", USER_PASSWORD));
    // Her password is looked at once, which is slow on purpose.
    ask(&server, Ipv4Addr::LOCALHOST, "/v2/", &eve).await?;
    // The policy has looked at it: nobody waits for that below.
    for _ in 0..200 {
        if ask(&server, Ipv4Addr::LOCALHOST, MANIFEST, &node).await?.0 == 200 {
            return Ok((server, node, eve));
        }
        sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the image is not served")
}

/// Asks on a connection of its own; answers the status and the head.
async fn ask(server: &Server, from: Ipv4Addr, path: &str, headers: &str) -> Result<(u16, String)> {
    let mut wire = Wire::open_from(server.address(), from).await?;
    get(&mut wire, path, headers).await
}

async fn get(wire: &mut Wire, path: &str, headers: &str) -> Result<(u16, String)> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: registry\r\n{headers}\r\n");
    ensure!(wire.send(head).await?, "the server closed before the request");
    let (head, _) = wire.answer().await?;
    Ok((status(&head), head))
}

fn wait_of(head: &str) -> Result<u64> {
    let wait = header(head, "retry-after").context("no time to come again")?;
    Ok(wait.parse()?)
}

/// Asks on one connection as often as it can until it is told to stop; a new connection where the server has closed it.
async fn hammer(server: SocketAddr, login: String, stop: Arc<AtomicBool>, answers: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut wire) = Wire::open_from(server, Ipv4Addr::LOCALHOST).await else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) && get(&mut wire, MANIFEST, &login).await.is_ok() {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn nodes_are_served() -> Result<()> {
    let options = Options::default().environment("ROADBED_TRAFFIC__BEHIND", "1ms");
    let (server, node, eve) = world(options).await?;
    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let hostile: Vec<_> = (0..HOSTILE)
        .map(|_| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            tokio::spawn(hammer(server.address(), eve.clone(), stop, answers))
        })
        .collect();
    while answers.load(Ordering::Relaxed) < HOSTILE as u64 {
        sleep(Duration::from_millis(20)).await;
    }
    let node = format!("{node}User-Agent: {NODE}\r\n");
    let mut wire = Wire::open(&server).await?;
    for pull in 0..PULLS {
        let (status, head) = get(&mut wire, MANIFEST, &node).await?;
        ensure!(status == 200, "pull {pull}: {head}");
    }
    let seen = traffic(&server).await?;
    stop.store(true, Ordering::Relaxed);
    for one in hostile {
        one.await?;
    }
    let (cluster, eve) = (
        use_of(&seen, "principals", "cluster")?,
        use_of(&seen, "principals", "eve")?,
    );
    ensure!(cluster["class"] == "node" && eve["class"] == "ci", "{seen}");
    ensure!(
        cluster["shed"] == 0 && cluster["bytes"].as_u64() > Some(0),
        "{seen}"
    );
    ensure!(eve["requests"].as_u64() >= Some(HOSTILE as u64), "{seen}");
    Ok(())
}

#[tokio::test]
async fn a_node_is_served_while_somebody_asks_for_all_there_is() {
    nodes_are_served().await.unwrap();
}

async fn bans_of_addresses() -> Result<()> {
    let (mut server, node, _) = world(Options::default()).await?;
    // Whoever asks from here could not lift it.
    measure(&server, "127.0.0.0/30", &json!({}), 600)
        .await?
        .expect(&[400])?;
    measure(&server, "127.0.0.2", &json!({}), 600)
        .await?
        .expect(&[200])?;
    let (status, head) = ask(&server, ELSEWHERE, MANIFEST, &node).await?;
    ensure!(status == 429 && (500..=601).contains(&wait_of(&head)?), "{head}");
    let (status, head) = ask(&server, ELSEWHERE, "/api/v1/session", &node).await?;
    ensure!(status == 429, "{head}");
    for (path, wanted) in [(MANIFEST, 200), ("/api/v1/session", 200)] {
        let (status, head) = ask(&server, Ipv4Addr::LOCALHOST, path, &node).await?;
        ensure!(status == wanted, "another address: {head}");
    }
    let (status, _) = ask(&server, ELSEWHERE, "/healthz", "").await?;
    ensure!(status == 200, "probes are nobody's attack: {status}");
    ensure!(server.terminate().await.success(), "the server ends");
    server.start_again().await;
    let (status, _) = ask(&server, ELSEWHERE, MANIFEST, &node).await?;
    ensure!(status == 429, "it is forgotten by a restart: {status}");
    lift(&server, "127.0.0.2").await?;
    let (status, head) = ask(&server, ELSEWHERE, MANIFEST, &node).await?;
    ensure!(status == 200, "{head}");
    let events = administrator(&server)
        .get("/api/v1/events?subject=127.0.0.2/32")
        .send()
        .await?;
    let events = events.expect(&[200])?.json()?;
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .context("no items")?
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    ensure!(kinds == ["traffic.ban", "traffic.lift"], "{events}");
    Ok(())
}

#[tokio::test]
async fn a_banned_address_is_told_until_when_also_after_a_restart() {
    bans_of_addresses().await.unwrap();
}

async fn bans_of_users() -> Result<()> {
    let (server, node, eve) = world(Options::default()).await?;
    measure(&server, ADMIN, &json!({}), 600).await?.expect(&[400])?;
    measure(&server, "ghost", &json!({}), 600).await?.expect(&[404])?;
    measure(&server, "eve", &json!({}), 8).await?.expect(&[200])?;
    for path in [MANIFEST, "/api/v1/session"] {
        let (status, head) = ask(&server, Ipv4Addr::LOCALHOST, path, &eve).await?;
        ensure!(status == 429 && wait_of(&head)? <= 9, "{path}: {head}");
    }
    let (status, head) = ask(&server, Ipv4Addr::LOCALHOST, MANIFEST, &node).await?;
    ensure!(status == 200, "another user: {head}");
    let seen = traffic(&server).await?;
    ensure!(seen["measures"][0]["who"] == "eve", "{seen}");
    for _ in 0..20 {
        sleep(Duration::from_secs(1)).await;
        if ask(&server, Ipv4Addr::LOCALHOST, MANIFEST, &eve).await?.0 == 200 {
            return Ok(());
        }
    }
    anyhow::bail!("the ban does not end by itself")
}

#[tokio::test]
async fn a_banned_user_may_ask_again_when_the_time_is_over() {
    bans_of_users().await.unwrap();
}

/// How many of so many requests are answered 200; all others are told when to come again.
async fn passed(server: &Server, login: &str, requests: usize) -> Result<usize> {
    let asked = (0..requests).map(|_| ask(server, Ipv4Addr::LOCALHOST, MANIFEST, login));
    let mut passed = 0;
    for (status, head) in futures_util::future::try_join_all(asked).await? {
        ensure!(status == 200 || (status == 429 && wait_of(&head)? >= 1), "{head}");
        passed += usize::from(status == 200);
    }
    Ok(passed)
}

async fn throttles() -> Result<()> {
    let options = Options::default().environment("ROADBED_TRAFFIC__LIMITS", "cluster=3/s");
    let (server, node, eve) = world(options).await?;
    let rate = json!({ "kind": "throttle", "requests_per_second": 5 });
    measure(&server, "eve", &rate, 600).await?.expect(&[200])?;
    let passes = passed(&server, &eve, 40).await?;
    ensure!((5..35).contains(&passes), "{passes} of 40 passed at 5/s");
    lift(&server, "eve").await?;
    ensure!(passed(&server, &eve, 40).await? == 40, "it is lifted");
    // The configuration says it of the robot.
    sleep(Duration::from_secs(2)).await;
    let passes = passed(&server, &node, 40).await?;
    ensure!((3..35).contains(&passes), "{passes} of 40 passed at 3/s");
    let bytes = json!({ "kind": "throttle", "bytes_per_second": 1 });
    measure(&server, "eve", &bytes, 600).await?.expect(&[200])?;
    let first = passed(&server, &eve, 1).await?;
    sleep(Duration::from_millis(200)).await;
    let second = passed(&server, &eve, 1).await?;
    ensure!((first, second) == (1, 0), "{first} and {second} passed");
    Ok(())
}

#[tokio::test]
async fn who_is_throttled_gets_so_much_per_second() {
    throttles().await.unwrap();
}

async fn class_headers() -> Result<()> {
    let options = Options::default()
        .environment("ROADBED_TRAFFIC__CLASS_HEADER", "x-roadbed-class")
        .environment("ROADBED_SERVER__TRUSTED_PROXIES", "127.0.0.2/32");
    let (server, _, eve) = world(options).await?;
    let claims =
        format!("{eve}X-Roadbed-Class: node\r\nUser-Agent: {NODE}\r\nX-Forwarded-For: 203.0.113.5\r\n");
    let (status, head) = ask(&server, Ipv4Addr::LOCALHOST, MANIFEST, &claims).await?;
    ensure!(status == 200, "{head}");
    let seen = traffic(&server).await?;
    ensure!(
        use_of(&seen, "principals", "eve")?["class"] == "ci",
        "a stranger's word: {seen}"
    );
    ask(&server, ELSEWHERE, MANIFEST, &claims).await?;
    let seen = traffic(&server).await?;
    ensure!(
        use_of(&seen, "addresses", "203.0.113.5")?["class"] == "node",
        "{seen}"
    );
    Ok(())
}

#[tokio::test]
async fn only_a_trusted_proxy_names_a_class() {
    class_headers().await.unwrap();
}
