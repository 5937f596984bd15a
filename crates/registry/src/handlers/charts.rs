//! Charts as classic repositories have them: an index, and archives.

use access::permit::Pull;
use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::StreamBody;
use oci::{ErrorCode, Manifest, Reference, RepoName, RepoPattern};

use super::proxied::warn;
use crate::{
    auth,
    error::ApiError,
    proxy::{AskedFor, Found, ProxiedCharts, tag_of},
    route::{ChartName, ChartPart},
    service::{Exchange, Registry},
};

impl Registry {
    /// `GET /helm/PREFIX/index.yaml`: the charts that the caller may pull.
    pub(crate) async fn chart_index(
        &self,
        exchange: &Exchange<'_>,
        prefix: &RepoName,
    ) -> Result<Response<Body>, ApiError> {
        if !matches!(*exchange.method, Method::GET | Method::HEAD) {
            return Err(ApiError::method_not_allowed("GET, HEAD"));
        }
        let found = self
            .proxy()
            .and_then(|proxy| Some((proxy, proxy.charts(prefix)?)));
        let Some((proxy, charts)) = found.filter(|_| self.may_see_below(exchange, prefix)) else {
            return Err(no_charts(exchange, prefix));
        };
        let answered = proxy.chart_index(&charts).await;
        // Of an index it is told as of a manifest.
        let reference = Reference::Tag(oci::Tag::latest());
        let (index, stale) = answered.map_err(|error| error.into_api(AskedFor::Manifest(&reference)))?;
        let names = self.visible(exchange, &charts, &index.names);
        let mut response = Response::new(if *exchange.method == Method::HEAD {
            Body::empty()
        } else {
            let pieces = index.answer(names);
            let frames = futures_util::StreamExt::map(pieces, |piece| piece.map(http_body::Frame::data));
            Body::new(StreamBody::new(frames))
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
        // It is another one for each caller.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(stale) = stale {
            warn(&mut response, &stale);
        }
        Ok(response)
    }

    /// `GET /helm/PREFIX/charts/CHART/CHART-VERSION.tgz` or `….tgz.prov`: a chart's archive or what is signed of it, by the same
    /// rules as its artifact.
    pub(crate) async fn chart_file(
        &self,
        exchange: &Exchange<'_>,
        repo: &RepoName,
        chart: &ChartName,
    ) -> Result<Response<Body>, ApiError> {
        if !matches!(*exchange.method, Method::GET | Method::HEAD) {
            return Err(ApiError::method_not_allowed("GET, HEAD"));
        }
        let permit = self.authenticator().permit::<Pull>(exchange.caller, repo)?;
        let through = self.pulled_through(&permit);
        let through = through.filter(|(_, ask)| ask.proxied.upstream.config.charts.is_some());
        let (Some((proxy, ask)), Some(tag)) = (through, tag_of(&chart.version)) else {
            return Err(ApiError::name_unknown(repo));
        };
        let reference = Reference::Tag(tag);
        let (found, passed) = self.found_manifest(exchange, proxy, &ask, &reference).await?;
        let manifest = found.manifest();
        let limits = &self.config().manifest_limits;
        let read = Manifest::parse(&manifest.bytes, Some(&manifest.media_type), limits).ok();
        let read = read.filter(|read| read.chart_archive().is_some());
        let read = read.ok_or_else(|| ApiError::manifest_unknown(&reference))?;
        let file = match chart.part {
            ChartPart::Archive => read.chart_archive(),
            ChartPart::Provenance => read.chart_provenance(),
        };
        let file = file.ok_or_else(|| unsigned(chart))?;
        if *exchange.method == Method::GET && chart.part == ChartPart::Archive {
            self.note_pull(exchange, repo, manifest, passed.is_use);
        }
        let mut response = self.get_proxied_blob(exchange, proxy, &ask, &file.digest).await?;
        if let Found::Held(_, Some(stale)) = &found {
            warn(&mut response, stale);
        }
        Ok(response)
    }

    /// Whether something below the prefix may be pulled: whoever may pull nothing need not know what is there.
    fn may_see_below(&self, exchange: &Exchange<'_>, prefix: &RepoName) -> bool {
        let any_below: Result<RepoPattern, _> = format!("{prefix}/**").parse();
        let book = self.store().access();
        any_below.is_ok_and(|below| {
            book.listable(exchange.caller)
                .iter()
                .any(|pattern| pattern.overlaps(&below))
        })
    }

    /// The charts that the caller may pull and the upstream's rules allow.
    fn visible(&self, exchange: &Exchange<'_>, charts: &ProxiedCharts, names: &[RepoName]) -> Vec<RepoName> {
        let book = self.store().access();
        let prefix = &charts.upstream.config.prefix;
        let is_visible = |name: &&RepoName| {
            let repo = format!("{prefix}/{name}").parse::<RepoName>();
            repo.is_ok_and(|repo| book.may::<Pull>(exchange.caller, &repo)) && charts.upstream.allows(name)
        };
        names.iter().filter(is_visible).cloned().collect()
    }
}

fn unsigned(chart: &ChartName) -> ApiError {
    let message = format!(
        "its repository has no provenance file of version {}: pull it without --verify",
        chart.version
    );
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, message)
}

fn no_charts(exchange: &Exchange<'_>, prefix: &RepoName) -> ApiError {
    if exchange.caller.is_anonymous() {
        return auth::unauthorized("sign in with user and password to read an index of charts");
    }
    let message = format!(
        "no repository of charts is kept at {prefix} that you may pull from; its operator can add one ([[proxy.upstreams]] with kind = \"helm\") or grant pull on {prefix}/**"
    );
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message)
}
