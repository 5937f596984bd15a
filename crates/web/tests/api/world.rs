//! A registry with one caller of each kind and the repository `team/app`, which has the tag `v1`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use access::permit::Push;
use access::{Grant, SecretString};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use oci::{Algorithm, Digest, Manifest, ManifestLimits};
use serde_json::{Value, json};
use store::{Actor, ManualClock, NewRobot, NewUser, PutManifest, Store, StoreConfig, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt as _;
use web::{PREFIX, PeerAddress, WebConfig, WebState};

/// The password of every user.
pub(crate) const PASSWORD: &str = "a long enough password";

/// When the world begins.
const START: Timestamp = Timestamp(1_795_336_380_000_000);

/// Who asks. The names are also those of the principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Anonymous,
    /// Signed in, without a grant.
    Nobody,
    Puller,
    Pusher,
    Deleter,
    /// Administers `team/**`.
    Owner,
    /// May push.
    Robot,
    Administrator,
}

impl Who {
    pub(crate) const ALL: [Self; 8] = [
        Self::Anonymous,
        Self::Nobody,
        Self::Puller,
        Self::Pusher,
        Self::Deleter,
        Self::Owner,
        Self::Robot,
        Self::Administrator,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Nobody => "nobody",
            Self::Puller => "puller",
            Self::Pusher => "pusher",
            Self::Deleter => "deleter",
            Self::Owner => "owner",
            Self::Robot => "robot",
            Self::Administrator => "admin",
        }
    }

    fn roles(self) -> Option<&'static str> {
        match self {
            Self::Puller => Some("pull"),
            Self::Pusher | Self::Robot => Some("push"),
            Self::Deleter => Some("delete"),
            Self::Owner => Some("admin"),
            Self::Anonymous | Self::Nobody | Self::Administrator => None,
        }
    }
}

/// A registry, its API and the tokens of everybody.
pub(crate) struct World {
    _directory: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    router: Router,
    tokens: Vec<(Who, String)>,
    pub(crate) robot_secret: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails with what came back.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::starting_at(START));
        let store = Store::open(StoreConfig::at(directory.path().join("data")), clock.clone()).await.unwrap();
        let password = SecretString::from(PASSWORD);
        store.ensure_administrator(Some(&password)).await.unwrap();
        let robot_secret = populate(&store).await;
        let config = WebConfig { version: "1.2.3".into(), instance: "here".into(), ..WebConfig::default() };
        let router = web::router(WebState::new(store.clone(), config));
        let mut world = Self { _directory: directory, clock, store, router, tokens: Vec::new(), robot_secret };
        for who in Who::ALL.into_iter().filter(|who| *who != Who::Anonymous) {
            let token = world.sign_in(who).await;
            world.tokens.push((who, token));
        }
        world
    }

    async fn sign_in(&self, who: Who) -> String {
        let password = if who == Who::Robot { &self.robot_secret } else { PASSWORD };
        let body = json!({ "user": who.name(), "password": password });
        let answer = self.ask(Who::Anonymous, "POST", "/session", Some(&body)).await.expect(201);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn token(&self, who: Who) -> Option<&str> {
        self.tokens.iter().find(|(other, _)| *other == who).map(|(_, token)| token.as_str())
    }

    /// Asks with the caller's token and a JSON body. `path` is below the prefix.
    pub(crate) async fn ask(&self, who: Who, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{PREFIX}{path}"));
        if let Some(token) = self.token(who) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            None => Body::empty(),
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(PeerAddress(IpAddr::from([192, 0, 2, 1])));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

async fn populate(store: &Store) -> String {
    let actor = Actor::operator("test");
    for who in [Who::Nobody, Who::Puller, Who::Pusher, Who::Deleter, Who::Owner] {
        let name = who.name().parse().unwrap();
        let user = NewUser { name, password: PASSWORD.into(), administrator: false, not_after: None };
        store.create_user(&actor, user).await.unwrap();
    }
    let robot = NewRobot { name: Who::Robot.name().parse().unwrap(), not_after: None, secret_not_after: None };
    let secret = store.create_robot(&actor, robot).await.unwrap().secret;
    for who in Who::ALL {
        let Some(roles) = who.roles() else { continue };
        let grant = Grant {
            subject: who.name().parse().unwrap(),
            pattern: "team/**".parse().unwrap(),
            roles: roles.parse().unwrap(),
        };
        store.set_grant(&actor, &grant).await.unwrap();
    }
    push(store).await;
    secret.expose().to_owned()
}

/// Pushes an image with a config and one layer as `team/app:v1`.
async fn push(store: &Store) {
    let from = IpAddr::from([192, 0, 2, 1]);
    let caller = store.authenticate(Who::Pusher.name(), &PASSWORD.into(), from).await.unwrap();
    let permit = store.access().authorize::<Push>(&caller, &"team/app".parse().unwrap()).unwrap();
    let mut descriptors = Vec::new();
    for bytes in [Bytes::from_static(b"{}"), Bytes::from_static(b"layer")] {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        descriptors.push(json!({ "mediaType": "application/octet-stream", "digest": digest, "size": bytes.len() }));
        store.push_blob(&permit, &digest, stream::iter([Ok(bytes)])).await.unwrap();
    }
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": descriptors[0], "layers": [descriptors[1]],
    });
    let bytes = Bytes::from(manifest.to_string());
    let manifest =
        Manifest::parse(&bytes, Some(&media_type.parse().unwrap()), &ManifestLimits::default()).unwrap();
    let put = PutManifest {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        bytes,
        manifest,
        tags: vec!["v1".parse().unwrap()],
    };
    store.put_manifest(&permit, put, &|_| false).await.unwrap();
}
