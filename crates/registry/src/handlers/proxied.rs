//! Pulls of what is an upstream's: what is here goes out as everything else does, what is not is fetched.

use access::{Permit, permit::Pull};
use axum::body::Body;
use futures_util::TryStreamExt as _;
use http::{Method, Response, StatusCode, header};
use http_body_util::StreamBody;
use oci::{Digest, ErrorCode, Reference, RepoName};
use store::Incoming;
use tokio::time::{Instant, timeout_at};

use super::blobs::{blob_answer, blob_body};
use crate::{
    error::ApiError,
    gate::{self, Verdict},
    proxy::{Ask, AskedFor, Found, Proxy, ProxyError, Stage, Undecided},
    service::{Exchange, Registry},
};

impl Registry {
    /// What somebody pulls through, where the repository is an upstream's.
    pub(crate) fn pulled_through(&self, permit: &Permit<Pull>) -> Option<(&Proxy, Ask)> {
        let proxy = self.proxy()?;
        let proxied = proxy.of(permit.repo())?;
        let ask = Ask {
            proxied,
            permit: permit.clone(),
            caller: permit.caller().clone(),
        };
        Some((proxy, ask))
    }

    /// What is an upstream's comes from there and from nobody else.
    pub(super) fn refuse_push_to_upstream(&self, repo: &RepoName) -> Result<(), ApiError> {
        let Some(proxied) = self.proxy().and_then(|proxy| proxy.of(repo)) else {
            return Ok(());
        };
        let (name, prefix) = (proxied.upstream.name(), &proxied.upstream.config.prefix);
        let message = format!("what is below {prefix}/ comes from upstream {name}: push to another path");
        Err(ApiError::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message))
    }

    pub(super) async fn get_proxied_manifest(
        &self,
        exchange: &Exchange<'_>,
        proxy: &Proxy,
        ask: &Ask,
        reference: &Reference,
    ) -> Result<Response<Body>, ApiError> {
        let (found, passed) = self.found_manifest(exchange, proxy, ask, reference).await?;
        let mut response = self.manifest_answer(exchange, ask.repo(), found.manifest(), passed);
        if let Found::Held(_, Some(stale)) = &found {
            warn(&mut response, stale);
        }
        let access = self.store().access();
        let may_see = |name: &RepoName| access.may::<Pull>(exchange.caller, name);
        if let Some(like) = proxy.looks_like(ask.repo(), may_see) {
            let name = ask.repo();
            warn(
                &mut response,
                &format!("{name} is nearly called like {like}: is it what you mean?"),
            );
        }
        Ok(response)
    }

    /// A manifest that may be pulled, and how it passed.
    pub(super) async fn found_manifest(
        &self,
        exchange: &Exchange<'_>,
        proxy: &Proxy,
        ask: &Ask,
        reference: &Reference,
    ) -> Result<(Found, gate::Passed), ApiError> {
        let tell = |error: ProxyError| error.into_api(AskedFor::Manifest(reference));
        ask.allow().map_err(tell)?;
        let deadline = Instant::now() + proxy.limits().first_wait;
        let found = if let Some(found) = proxy.remembered(ask, reference).await {
            found
        } else {
            self.looked_for(exchange, proxy, ask, reference, deadline).await?
        };
        let verdict = self.manifest_verdict(exchange, ask, &found, deadline);
        let passed = gate::pass(exchange.method, verdict.await.map_err(tell)?)?;
        Ok((found, passed))
    }

    /// A manifest that memory does not have, by the deadline. Only one of all who want it takes a place at the database: the others
    /// wait until it has looked, and then for what its upstream is asked.
    async fn looked_for(
        &self,
        exchange: &Exchange<'_>,
        proxy: &Proxy,
        ask: &Ask,
        reference: &Reference,
        deadline: Instant,
    ) -> Result<Found, ApiError> {
        let tell = |error: ProxyError| error.into_api(AskedFor::Manifest(reference));
        let mut looking = None;
        if !proxy.is_asking(ask, reference) {
            let alone = timeout_at(deadline, proxy.look_alone(ask, reference, exchange.class)).await;
            let alone = alone.map_err(|_| tell(on_its_way(ask)))?;
            // What the one before has found is in memory.
            if alone.has_waited
                && let Some(found) = proxy.remembered(ask, reference).await
            {
                return Ok(found);
            }
            looking = Some(alone);
        }
        let place = if looking.is_none() || proxy.is_asking(ask, reference) {
            None
        } else {
            Some(self.lookup_place(exchange).await?)
        };
        let seen = proxy.look(ask, reference).await.map_err(tell)?;
        drop((place, looking));
        proxy.manifest(ask, reference, seen, deadline).await.map_err(tell)
    }

    /// Whether a manifest may be pulled: what is decided by the deadline. What is on its way is decided when it is here.
    async fn manifest_verdict(
        &self,
        exchange: &Exchange<'_>,
        ask: &Ask,
        found: &Found,
        deadline: Instant,
    ) -> Result<Verdict, ProxyError> {
        let (pull, manifest) = (exchange.pull(ask.repo()), found.manifest());
        let at_once = gate::Pull { waits: false, ..pull };
        if let Found::Coming(coming) = found {
            let now = self.gate().manifest(at_once, manifest).await;
            if *exchange.method == Method::HEAD || !is_undecided(&now) {
                return Ok(now);
            }
            match timeout_at(deadline, coming.arrived()).await {
                Ok(arrived) => arrived?,
                Err(_) => return Ok(unless_streamed(ask, now)),
            }
        }
        let verdict = match timeout_at(deadline, self.gate().manifest(pull, manifest)).await {
            Ok(verdict) => verdict,
            Err(_) => self.gate().manifest(at_once, manifest).await,
        };
        Ok(unless_streamed(ask, verdict))
    }

    pub(super) async fn get_proxied_blob(
        &self,
        exchange: &Exchange<'_>,
        proxy: &Proxy,
        ask: &Ask,
        digest: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        let tell = |error: ProxyError| error.into_api(AskedFor::Blob(digest));
        ask.allow().map_err(tell)?;
        let deadline = Instant::now() + proxy.limits().first_wait;
        let wanted = WantedBlob {
            proxy,
            ask,
            digest,
            deadline,
        };
        if !proxy.is_coming(ask, digest)
            && let Some(answer) = self.answer_blob_here(exchange, wanted).await?
        {
            return Ok(answer);
        }
        let verdict = self.blob_verdict(exchange, wanted).await.map_err(tell)?;
        let passed = gate::pass(exchange.method, verdict)?;
        let size = proxy.naming(ask.repo(), digest).map(|(_, size)| size);
        let mut flight = proxy.board(ask, *digest, size).map_err(tell)?;
        loop {
            let stage = flight.borrow_and_update().clone();
            match stage {
                // Nothing of an empty one could be held back until its digest is known.
                Stage::Coming(incoming) if incoming.size().is_some_and(|size| size > 0) => {
                    return along(exchange, proxy, ask, &incoming, passed).map_err(|error| match error {
                        Along::Proxy(error) => tell(error),
                        Along::Api(error) => error,
                    });
                }
                Stage::Failed(error) => return Err(tell(error)),
                Stage::Landed => break,
                Stage::New | Stage::Asked | Stage::Coming(_) => {}
            }
            match timeout_at(deadline, flight.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(tell(ProxyError::Lost)),
                Err(_) => return Err(tell(on_its_way(ask))),
            }
        }
        let answer = self.answer_blob_here(exchange, wanted).await?;
        answer.ok_or_else(|| tell(ProxyError::Lost))
    }

    async fn answer_blob_here(
        &self,
        exchange: &Exchange<'_>,
        wanted: WantedBlob<'_>,
    ) -> Result<Option<Response<Body>>, ApiError> {
        let digest = wanted.digest;
        let Some(blob) = self.blob_here(exchange, &wanted.ask.permit, digest).await? else {
            return Ok(None);
        };
        let verdict = self.blob_verdict(exchange, wanted).await;
        let verdict = verdict.map_err(|error| error.into_api(AskedFor::Blob(digest)))?;
        let passed = gate::pass(exchange.method, verdict)?;
        blob_answer(exchange, digest, blob.size(), passed, |range| {
            blob_body(&blob, range)
        })
        .map(Some)
    }

    /// Whether a blob may be pulled: by a manifest that names it and may be, one that is here or one on its way. What no manifest
    /// names belongs to an image that was refused, or that nobody has asked for and looked into.
    async fn blob_verdict(
        &self,
        exchange: &Exchange<'_>,
        wanted: WantedBlob<'_>,
    ) -> Result<Verdict, ProxyError> {
        let WantedBlob {
            proxy,
            ask,
            digest,
            deadline,
        } = wanted;
        let mut pull = exchange.pull(ask.repo());
        let at_once = gate::Pull { waits: false, ..pull };
        let now = unless_streamed(ask, self.gate().blob(at_once, digest).await);
        if now.is_served() {
            return Ok(now);
        }
        // Before it is looked what is on its way: what is asked for now is either still, or was begun.
        let is_asking = proxy.is_asking_in(ask.repo());
        if let Some(verdict) = self.coming_verdict(exchange, wanted, &now).await? {
            return Ok(verdict);
        }
        pull.waits &= ask.proxied.rule.undecided == Undecided::Hold;
        let verdict = match timeout_at(deadline, self.gate().blob(pull, digest)).await {
            Ok(verdict) => verdict,
            Err(_) => self.gate().blob(at_once, digest).await,
        };
        match unless_streamed(ask, verdict) {
            Verdict::Unnamed if is_asking => Err(on_its_way(ask)),
            Verdict::Unnamed => Err(ProxyError::Unnamed),
            verdict => Ok(verdict),
        }
    }

    /// What an image on its way says of a blob that it names. Where undecided images are held, the blob waits with it. `None`: it is
    /// said by what is here.
    async fn coming_verdict(
        &self,
        exchange: &Exchange<'_>,
        wanted: WantedBlob<'_>,
        now: &Verdict,
    ) -> Result<Option<Verdict>, ProxyError> {
        let ask = wanted.ask;
        let Some((coming, _)) = wanted.proxy.naming(ask.repo(), wanted.digest) else {
            return Ok(None);
        };
        let at_once = gate::Pull {
            waits: false,
            ..exchange.pull(ask.repo())
        };
        let verdict = self.gate().manifest(at_once, &coming.manifest).await;
        if verdict.is_served() {
            return Ok(Some(verdict));
        }
        // Where something else names it, that one is waited for as well.
        let is_alone = *now == Verdict::Unnamed;
        if !is_undecided(&verdict) {
            return Ok(is_alone.then_some(verdict));
        }
        if let Some(refused @ ProxyError::Refused { .. }) = coming.failure() {
            return if is_alone { Err(refused) } else { Ok(None) };
        }
        if ask.proxied.rule.undecided == Undecided::Stream || *exchange.method == Method::HEAD {
            return Ok(Some(unless_streamed(ask, verdict)));
        }
        match timeout_at(wanted.deadline, coming.arrived()).await {
            Ok(Err(error)) if is_alone => Err(error),
            Ok(_) => Ok(None),
            Err(_) => Err(on_its_way(ask)),
        }
    }
}

/// A blob that somebody pulls through.
#[derive(Clone, Copy)]
struct WantedBlob<'a> {
    proxy: &'a Proxy,
    ask: &'a Ask,
    digest: &'a Digest,
    /// Until when it is waited for.
    deadline: Instant,
}

/// Why a blob that comes was not read along.
enum Along {
    Proxy(ProxyError),
    Api(ApiError),
}

/// The answer with a blob that is on its way.
fn along(
    exchange: &Exchange<'_>,
    proxy: &Proxy,
    ask: &Ask,
    incoming: &Incoming,
    passed: gate::Passed,
) -> Result<Response<Body>, Along> {
    let place = proxy.reader(ask).map_err(Along::Proxy)?;
    let size = incoming.size().unwrap_or_default();
    let body = |range| {
        let stream = incoming.stream(range).map_ok(move |bytes| {
            let _held = &place;
            http_body::Frame::data(bytes)
        });
        Body::new(StreamBody::new(stream))
    };
    blob_answer(exchange, &incoming.digest(), size, passed, body).map_err(Along::Api)
}

fn on_its_way(ask: &Ask) -> ProxyError {
    ProxyError::OnItsWay {
        upstream: std::sync::Arc::clone(&ask.proxied.upstream.config.name),
    }
}

fn is_undecided(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Undecided { .. })
}

/// What is undecided is served with a warning where the rule says so.
fn unless_streamed(ask: &Ask, verdict: Verdict) -> Verdict {
    if is_undecided(&verdict) && ask.proxied.rule.undecided == Undecided::Stream {
        return Verdict::Warn(gate::UNDECIDED.to_owned());
    }
    verdict
}

pub(super) fn warn(response: &mut Response<Body>, text: &str) {
    if let Some(value) = gate::warning(text) {
        response.headers_mut().append(header::WARNING, value);
    }
}
