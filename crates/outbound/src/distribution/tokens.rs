//! Tokens: got once for all who wait for one, kept until they end, sent to the upstream's own origin.
//!
//! Where tokens come from is the upstream's word (`realm`), and the login goes there. So nothing is sent to a realm that is
//! neither on the upstream's own host nor listed for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::header;
use oci::RepoName;
use reqwest::{RequestBuilder, Response, StatusCode, Url};

use super::challenge::{Bearer, Challenge};
use super::hosts::authority;
use super::issued::issued;
use super::pause::Kind;
use super::{Upstream, UpstreamError, UpstreamLogin};
use crate::Authorization;

/// Scopes for which tokens are kept; of more, the one that was not used for longest is forgotten.
const TOKENS: usize = 1_000;

/// Bytes of a token service's answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// `None`: for nothing but to see whether the login is taken.
    repo: Option<RepoName>,
    pushes: bool,
    /// Another repository, to pull from.
    from: Option<RepoName>,
}

impl Scope {
    /// Pulling from a repository.
    pub(super) fn pull(repo: &RepoName) -> Self {
        Self {
            repo: Some(repo.clone()),
            pushes: false,
            from: None,
        }
    }

    /// Nothing in particular, as `docker login` asks for it.
    pub(super) fn login() -> Self {
        Self {
            repo: None,
            pushes: false,
            from: None,
        }
    }

    /// Pushing to a repository, perhaps what another one has.
    pub(super) fn push(repo: &RepoName, from: Option<&RepoName>) -> Self {
        Self {
            repo: Some(repo.clone()),
            pushes: true,
            from: from.cloned(),
        }
    }

    /// As a token service is asked for it. Some registries call a repository otherwise than its path does; what they call it is
    /// taken as long as it is pulling from one repository.
    fn texts(&self, challenged: Option<&str>) -> Vec<String> {
        let Some(repo) = &self.repo else {
            return Vec::new();
        };
        let from = &self.from;
        if self.pushes {
            let mut texts = vec![format!("repository:{repo}:pull,push")];
            texts.extend(from.iter().map(|from| format!("repository:{from}:pull")));
            return texts;
        }
        let called = challenged.and_then(|text| {
            let name = text.strip_prefix("repository:")?.strip_suffix(":pull")?;
            name.parse::<RepoName>().ok()
        });
        vec![format!("repository:{}:pull", called.as_ref().unwrap_or(repo))]
    }
}

/// The tokens of an upstream.
#[derive(Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<Scope, Arc<Slot>>>,
    /// Counts uses, so that the oldest is known.
    uses: AtomicU64,
}

/// The token of a scope. Who holds `state` gets a new one, all others wait for it.
#[derive(Default)]
struct Slot {
    state: tokio::sync::Mutex<State>,
    /// How often a token was asked for.
    rounds: AtomicU64,
    used: AtomicU64,
}

#[derive(Default)]
struct State {
    /// How the registry wants to be answered.
    bearer: Option<Bearer>,
    token: Option<Token>,
    /// Why the last round brought none.
    failed: Option<UpstreamError>,
}

pub(super) struct Token {
    authorization: Authorization,
    until: Instant,
}

impl Tokens {
    fn find(&self, scope: &Scope) -> Option<Arc<Slot>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get(scope)?;
        self.touch(slot);
        Some(Arc::clone(slot))
    }

    fn find_or_make(&self, scope: &Scope) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TOKENS && !slots.contains_key(scope) {
            let oldest = slots
                .iter()
                .min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            if let Some(scope) = oldest.map(|(scope, _)| scope.clone()) {
                slots.remove(&scope);
            }
        }
        let slot = Arc::clone(slots.entry(scope.clone()).or_default());
        self.touch(&slot);
        slot
    }

    fn touch(&self, slot: &Slot) {
        let turn = self.uses.fetch_add(1, Ordering::Relaxed);
        slot.used.store(turn, Ordering::Relaxed);
    }
}

impl State {
    fn valid(&self, now: Instant) -> Option<Authorization> {
        let token = self.token.as_ref().filter(|token| now < token.until)?;
        Some(token.authorization.clone())
    }
}

impl Upstream {
    /// What goes along with a request, as far as is known before it is made.
    pub(super) async fn credentials(&self, scope: &Scope) -> Result<Option<Authorization>, UpstreamError> {
        if let Some(token) = self.inner.login.as_ref().and_then(UpstreamLogin::token) {
            return Ok(Some(token));
        }
        if self.inner.wants_basic.load(Ordering::Relaxed) {
            return Ok(self.basic());
        }
        let Some(slot) = self.inner.tokens.find(scope) else {
            return Ok(None);
        };
        let seen = slot.rounds.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        if let Some(authorization) = state.valid(self.now()) {
            return Ok(Some(authorization));
        }
        let Some(bearer) = state.bearer.clone() else {
            return Ok(None);
        };
        let renewed = self.renew(&slot, &mut state, seen, scope, &bearer).await?;
        Ok(Some(renewed))
    }

    /// Answers the challenges of a registry that did not take what went along, which is `refused`.
    pub(super) async fn answer(
        &self,
        challenges: &[Challenge],
        scope: &Scope,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, UpstreamError> {
        if self
            .inner
            .login
            .as_ref()
            .is_some_and(|login| login.token().is_some())
        {
            return Err(self.denied("it does not take the token: it has ended, or is for something else"));
        }
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer(bearer) => Some(bearer),
            Challenge::Basic => None,
        });
        let Some(bearer) = bearer else {
            return self.answer_basic(challenges, refused).await;
        };
        self.inner.wants_basic.store(false, Ordering::Relaxed);
        let slot = self.inner.tokens.find_or_make(scope);
        let seen = slot.rounds.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        // Somebody else may have got one meanwhile.
        let current = state.valid(self.now());
        if let Some(current) = current.filter(|current| refused.is_none_or(|refused| !refused.is(current))) {
            return Ok(current);
        }
        state.bearer = Some(bearer.clone());
        self.renew(&slot, &mut state, seen, scope, bearer).await
    }

    async fn answer_basic(
        &self,
        challenges: &[Challenge],
        refused: Option<&Authorization>,
    ) -> Result<Authorization, UpstreamError> {
        if !challenges.contains(&Challenge::Basic) {
            return Err(self.denied("it says 401 and not what it wants to be told"));
        }
        if let Some(refused) = refused.filter(|_| self.inner.wants_basic.load(Ordering::Relaxed)) {
            let sent = self.secret();
            let is_old = self.basic().is_some_and(|basic| !basic.says_the_same_as(refused));
            if !is_old && !self.has_changed(sent).await {
                return Err(self.denied("it does not take the login: correct user and password"));
            }
        }
        let Some(basic) = self.basic() else {
            return Err(self.denied("it wants a user and a password: set a login for it"));
        };
        self.inner.wants_basic.store(true, Ordering::Relaxed);
        Ok(basic)
    }

    pub(super) fn basic(&self) -> Option<Authorization> {
        self.inner.login.as_ref()?.basic()
    }

    /// One request for all who wait; what it came to is told to all of them.
    async fn renew(
        &self,
        slot: &Slot,
        state: &mut State,
        seen: u64,
        scope: &Scope,
        bearer: &Bearer,
    ) -> Result<Authorization, UpstreamError> {
        if slot.rounds.load(Ordering::Acquire) > seen
            && let Some(failed) = &state.failed
        {
            return Err(failed.clone());
        }
        let fetched = self.fetch_token(scope, bearer).await;
        slot.rounds.fetch_add(1, Ordering::Release);
        match fetched {
            Ok(token) => {
                let authorization = token.authorization.clone();
                state.failed = None;
                state.token = Some(token);
                Ok(authorization)
            }
            Err(error) => {
                state.token = None;
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    pub(super) async fn fetch_token(&self, scope: &Scope, bearer: &Bearer) -> Result<Token, UpstreamError> {
        self.check_pause(Kind::Token)?;
        let url = self.realm(&bearer.realm)?;
        let checked = self.inner.client.check(&url).await;
        checked.map_err(|error| self.failed(&url, error))?;
        let asked_at = self.now();
        let sent = self.secret();
        let request = self.token_request(&url, scope, bearer);
        let mut response = self.answered(&url, request).await?;
        if refuses_login(response.status()) && self.has_changed(sent).await {
            let request = self.token_request(&url, scope, bearer);
            response = self.answered(&url, request).await?;
        }
        let response = self.token_status(response).await?;
        let body = match self.read(response, ANSWER_BYTES).await {
            Err(UpstreamError::TooLarge { .. }) => {
                return Err(self.broken("its token service does not stop talking"));
            }
            body => body?,
        };
        let nonsense = || self.broken("its token service answers no token");
        let issued = issued(&body).ok_or_else(nonsense)?;
        Ok(Token {
            authorization: Authorization::new(format!("Bearer {}", issued.token)).ok_or_else(nonsense)?,
            until: asked_at + issued.lasts,
        })
    }

    /// Where tokens come from, if they may.
    pub(super) fn realm(&self, realm: &str) -> Result<Url, UpstreamError> {
        let own = &self.inner.url;
        let url = own
            .join(realm)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| self.broken("it sends us for a token to what is no URL of a token service"))?;
        if own.scheme() == "https" && url.scheme() != "https" {
            return Err(
                self.broken("it sends us for a token to where everybody in between could read the login")
            );
        }
        let is_own = url.host() == own.host() && url.port_or_known_default() == own.port_or_known_default();
        if !is_own && !self.inner.realm_hosts.has(&url) {
            let realm = authority(&url);
            return Err(self.broken(format!(
                "it sends us for a token to {realm}, to which nothing is sent: list {realm} among its realm hosts if that is right"
            )));
        }
        Ok(url)
    }

    fn token_request(&self, url: &Url, scope: &Scope, bearer: &Bearer) -> RequestBuilder {
        let http = &self.inner.client.http;
        let scopes = scope.texts(bearer.scope.as_deref());
        let identity = self.inner.login.as_ref().and_then(UpstreamLogin::identity);
        let mut parameters: Vec<(&str, &str)> =
            scopes.iter().map(|scope| ("scope", scope.as_str())).collect();
        parameters.extend(bearer.service.as_deref().map(|service| ("service", service)));
        if let Some(identity) = &identity {
            parameters.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "roadbed"),
                ("refresh_token", identity.as_str()),
            ]);
            let mut form = url.clone();
            form.set_query(None);
            form.query_pairs_mut().extend_pairs(parameters);
            return http
                .post(url.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned());
        }
        let mut url = url.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        let request = http.get(url);
        match self.basic().and_then(|basic| basic.header()) {
            Some(basic) => request.header(header::AUTHORIZATION, basic),
            None => request,
        }
    }

    async fn token_status(&self, response: Response) -> Result<Response, UpstreamError> {
        match response.status() {
            StatusCode::OK => Ok(response),
            status if refuses_login(status) => Err(self.denied(match &self.inner.login {
                Some(_) => "its token service does not take the login, or does not let it have this",
                None => "its token service wants to know who asks: set a login for it",
            })),
            StatusCode::TOO_MANY_REQUESTS => Err(self.throttled(Kind::Token, &response)),
            status if status.is_server_error() => Err(self.busy(response).await),
            status => Err(self.broken(format!("its token service answers {status}"))),
        }
    }
}

/// Whether a token service says by it that it does not know who asks, or does not let them.
fn refuses_login(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::issued::TOKEN_BYTES;
    use super::*;

    fn scope(name: &str) -> Scope {
        Scope::pull(&name.parse().unwrap())
    }

    fn lifetime(json: &str) -> Option<Duration> {
        Some(issued(json.as_bytes())?.lasts)
    }

    #[test]
    fn tokens_end_a_little_before_they_do() {
        for (json, seconds) in [
            (r#"{"token":"a"}"#, 45),
            (r#"{"access_token":"a","expires_in":300}"#, 270),
            (r#"{"token":"a","expires_in":4}"#, 3),
            (r#"{"token":"a","expires_in":0}"#, 45),
            (r#"{"token":"a","expires_in":-5}"#, 45),
            (r#"{"token":"a","expires_in":"soon"}"#, 45),
            (r#"{"token":"a","expires_in":99999999999}"#, 24 * 3_600 - 30),
            (r#"{"token":"","access_token":"a"}"#, 45),
        ] {
            assert_eq!(lifetime(json), Some(Duration::from_secs(seconds)), "{json}");
        }
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(TOKEN_BYTES + 1));
        for json in ["{}", r#"{"token":""}"#, r#"{"token":"a\r\nb"}"#, "[]", &long] {
            assert_eq!(lifetime(json), None);
        }
    }

    #[test]
    fn no_more_is_asked_for_than_is_needed() {
        let scope = scope("team/app");
        for (challenged, text) in [
            (None, "repository:team/app:pull"),
            (
                Some("repository:remote/team/app:pull"),
                "repository:remote/team/app:pull",
            ),
            (Some("repository:team/app:pull,push"), "repository:team/app:pull"),
            (Some("repository:*:*"), "repository:team/app:pull"),
            (
                Some("repository:a:pull repository:b:pull"),
                "repository:team/app:pull",
            ),
            (Some("registry:catalog:*"), "repository:team/app:pull"),
            (Some(""), "repository:team/app:pull"),
        ] {
            assert_eq!(scope.texts(challenged), [text], "{challenged:?}");
        }
        let (to, from) = ("team/app".parse().unwrap(), "other".parse().unwrap());
        assert_eq!(
            Scope::push(&to, Some(&from)).texts(Some("repository:x:pull")),
            ["repository:team/app:pull,push", "repository:other:pull"]
        );
    }

    #[test]
    fn of_too_many_scopes_the_one_that_was_not_used_for_longest_is_forgotten() {
        let tokens = Tokens::default();
        for number in 0..TOKENS {
            tokens.find_or_make(&scope(&format!("r{number}")));
        }
        assert!(tokens.find(&scope("r0")).is_some());
        tokens.find_or_make(&scope("one-more"));
        assert_eq!(tokens.slots.lock().unwrap().len(), TOKENS);
        assert!(tokens.find(&scope("r0")).is_some());
        assert!(tokens.find(&scope("r1")).is_none());
        tokens.find_or_make(&scope("r2"));
        assert!(tokens.find(&scope("r3")).is_some());
    }
}
