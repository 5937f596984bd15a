//! A registry with one caller of each kind and the repository `team/app`, which has the tag `v1`.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use access::permit::Push;
use access::token::{Audience, Claims, TokenSubject};
use access::{Caller, Grant};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use oci::{Algorithm, Digest, Manifest, ManifestLimits};
use serde_json::{Value, json};
use store::{
    Actor, Declared, DeclaredRobot, DeclaredUser, ManualClock, PutManifest, Store, StoreConfig, Timestamp,
};
use tempfile::TempDir;
use tower::ServiceExt as _;
use web::{Asking, Incidents, Judging, Maturing, PREFIX, PeerAddress, Surveying, WebConfig, WebState};

/// The password of every user.
pub(crate) const PASSWORD: &str = "a long enough password";

/// Hashing is slow on purpose, and every world has the same users.
static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| {
    access::password::hash(PASSWORD, [7; 16])
        .unwrap()
        .as_str()
        .to_owned()
});

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
        Self::with(WebConfig::default()).await
    }

    pub(crate) async fn with(config: WebConfig) -> Self {
        Self::made(config, |state| state).await
    }

    /// One in which somebody judges images.
    pub(crate) async fn judged_by(judging: Arc<dyn Judging>) -> Self {
        Self::made(WebConfig::default(), |state| state.judged_by(Some(judging))).await
    }

    /// One in which somebody knows all images.
    pub(crate) async fn answered_by(asking: Arc<dyn Asking>) -> Self {
        Self::made(WebConfig::default(), |state| state.answered_by(Some(asking))).await
    }

    /// One in which somebody knows where images stand.
    pub(crate) async fn surveyed_by(surveying: Arc<dyn Surveying>) -> Self {
        Self::made(WebConfig::default(), |state| state.surveyed_by(Some(surveying))).await
    }

    /// One in which somebody keeps incidents.
    pub(crate) async fn kept_by(incidents: Arc<dyn Incidents>) -> Self {
        Self::made(WebConfig::default(), |state| state.followed_by(Some(incidents))).await
    }

    /// One in which somebody keeps an assessment of maturity.
    pub(crate) async fn assessed_by(maturing: Arc<dyn Maturing>) -> Self {
        Self::made(WebConfig::default(), |state| state.assessed_by(Some(maturing))).await
    }

    async fn made(config: WebConfig, with: impl FnOnce(WebState) -> WebState) -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::starting_at(START));
        let store = Store::open(StoreConfig::at(directory.path().join("data")), clock.clone())
            .await
            .unwrap();
        let robot_secret = populate(&store).await;
        let config = WebConfig {
            version: "1.2.3".into(),
            instance: "here".into(),
            ..config
        };
        let router = web::router(with(WebState::new(store.clone(), config)));
        let everybody = Who::ALL.into_iter().filter(|who| *who != Who::Anonymous);
        let tokens = everybody
            .map(|who| (who, token_of(&store, who, Audience::Api)))
            .collect();
        Self {
            _directory: directory,
            clock,
            store,
            router,
            tokens,
            robot_secret,
        }
    }

    pub(crate) fn token(&self, who: Who) -> Option<&str> {
        self.tokens
            .iter()
            .find(|(other, _)| *other == who)
            .map(|(_, token)| token.as_str())
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
        request
            .extensions_mut()
            .insert(PeerAddress(IpAddr::from([192, 0, 2, 1])));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// A token as signing in gives it, without the price of a password.
pub(crate) fn token_of(store: &Store, who: Who, audience: Audience) -> String {
    let caller = caller_of(store, who);
    let principal = caller.principal().unwrap();
    let now = store.now().seconds();
    let secret = caller.secret().unwrap();
    let claims = Claims {
        id: [7; 16],
        audience,
        subject: Some(TokenSubject {
            name: principal.name.clone(),
            principal: principal.id,
            secret,
        }),
        scopes: Vec::new(),
        issued_at: now,
        expires_at: now + 12 * 60 * 60,
    };
    store.signer().issue(&claims).unwrap()
}

fn caller_of(store: &Store, who: Who) -> Caller {
    let book = store.access();
    let id = book.principal(&who.name().parse().unwrap()).unwrap().id;
    book.sign_in(id, book.secrets_of(id)[0].id, store.now().micros())
        .unwrap()
}

async fn populate(store: &Store) -> String {
    let users = Who::ALL
        .into_iter()
        .filter(|who| !matches!(who, Who::Anonymous | Who::Robot));
    let declared = Declared {
        users: users.map(declare_user).collect(),
        robots: vec![DeclaredRobot {
            name: Who::Robot.name().parse().unwrap(),
            disabled: None,
            not_after: None,
        }],
        grants: Who::ALL.into_iter().filter_map(declare_grant).collect(),
        rules: Vec::new(),
        signers: Vec::new(),
        applications: Vec::new(),
        bases: Vec::new(),
        policy: None,
        in_use: Vec::new(),
        ..Declared::default()
    };
    let plan = store.plan_apply(&declared, false, None).await.unwrap();
    let applied = store.carry_out(&Actor::operator("test"), plan).await.unwrap();
    push(store).await;
    applied.secrets[0].1.secret.expose().to_owned()
}

fn declare_user(who: Who) -> DeclaredUser {
    DeclaredUser {
        name: who.name().parse().unwrap(),
        password_hash: Some(PASSWORD_HASH.clone()),
        administrator: Some(who == Who::Administrator),
        disabled: None,
        not_after: None,
    }
}

fn declare_grant(who: Who) -> Option<Grant> {
    Some(Grant {
        subject: who.name().parse().unwrap(),
        pattern: "team/**".parse().unwrap(),
        roles: who.roles()?.parse().unwrap(),
    })
}

/// Pushes an image with a config and one layer as `team/app:v1`.
async fn push(store: &Store) {
    let permit = store
        .access()
        .authorize::<Push>(&caller_of(store, Who::Pusher), &"team/app".parse().unwrap())
        .unwrap();
    let mut descriptors = Vec::new();
    for bytes in [Bytes::from_static(b"{}"), Bytes::from_static(b"layer")] {
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        descriptors
            .push(json!({ "mediaType": "application/octet-stream", "digest": digest, "size": bytes.len() }));
        store
            .push_blob(&permit, &digest, stream::iter([Ok(bytes)]))
            .await
            .unwrap();
    }
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": descriptors[0], "layers": [descriptors[1]],
    });
    let bytes = Bytes::from(manifest.to_string());
    let manifest = Manifest::parse(
        &bytes,
        Some(&media_type.parse().unwrap()),
        &ManifestLimits::default(),
    )
    .unwrap();
    let put = PutManifest {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        bytes,
        manifest,
        tags: vec!["v1".parse().unwrap()],
        is_refused: false,
    };
    store.put_manifest(&permit, put, &|_| false).await.unwrap();
}
