//! What fetching needs, whatever is fetched.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outbound::{AddressGuard, Authorization, Client, Request, Settings, Url};
use tokio::sync::watch;
use web::wire::SyncProgress;

use super::FeedLimits;
use super::error::FeedError;
use crate::config;

/// Bytes of a file that the configuration names; a bundle of all authorities has a few hundred thousand.
const FILE_BYTES: u64 = 4 << 20;

/// What a person has said is right, whatever it looks like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Accepts {
    /// Sources that have lost much.
    pub(crate) removals: bool,
    /// So many refusals that are lifted.
    pub(crate) lifts: Option<u64>,
    /// Sources of which nobody knows any more why they wait: they are asked for by name.
    pub(crate) unreadable: bool,
}

/// What fetching needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fetcher {
    pub(crate) client: Client,
    pub(crate) limits: FeedLimits,
    /// Where archives lie while they come.
    pub(crate) directory: PathBuf,
    /// What is believed all the same.
    pub(crate) accepts: Accepts,
    authorization: Option<(Authorization, Url)>,
    progress: Arc<watch::Sender<SyncProgress>>,
    ended: Arc<AtomicBool>,
}

impl Fetcher {
    pub(crate) fn new(
        feeds: &config::Feeds,
        directory: PathBuf,
        accepts: Accepts,
        progress: Arc<watch::Sender<SyncProgress>>,
        ended: Arc<AtomicBool>,
    ) -> Result<Self, FeedError> {
        Ok(Self {
            client: Client::new(settings(feeds)?)?,
            limits: feeds.limits(),
            directory,
            accepts,
            authorization: authorization(feeds)?,
            progress,
            ended,
        })
    }

    /// A request that counts its bytes, and has credentials if its origin may see them.
    pub(crate) fn request(&self, url: Url, most_bytes: u64) -> Request {
        let authorization = self
            .authorization
            .as_ref()
            .filter(|(_, of)| of.origin() == url.origin());
        let authorization = authorization.map(|(authorization, _)| authorization.clone());
        let progress = Arc::clone(&self.progress);
        Request::new(url, most_bytes)
            .authorized(authorization)
            .counting(Arc::new(move |bytes| {
                progress.send_modify(|progress| progress.bytes += bytes);
            }))
    }

    /// Tells whoever looks that a source is being asked.
    pub(crate) fn begins(&self, source: &str) {
        self.progress
            .send_modify(|progress| source.clone_into(&mut progress.source));
    }

    /// Tells whoever looks that a source was asked; when it was the last one, what came is still to be taken in.
    pub(crate) fn ends(&self) {
        self.progress.send_modify(|progress| {
            progress.sources_done += 1;
            if progress.sources_done >= progress.sources {
                progress.source.clear();
            }
        });
    }

    /// Tells whoever looks that one more document was taken in.
    pub(crate) fn taken_in(&self) {
        self.progress.send_modify(|progress| progress.documents += 1);
    }

    /// An error once the sync is to end; long work without waiting asks now and then.
    pub(crate) fn go_on(&self) -> Result<(), FeedError> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(FeedError::Ended);
        }
        Ok(())
    }
}

fn settings(feeds: &config::Feeds) -> Result<Settings, FeedError> {
    let listed = feeds.allowed_private.clone();
    let authorities = match &feeds.ca_file {
        Some(path) => vec![read("feeds.ca_file", path)?],
        None => Vec::new(),
    };
    Ok(Settings {
        guard: AddressGuard::with_listed(move |address| {
            listed.iter().any(|network| network.contains(address))
        }),
        authorities,
        proxy: feeds.proxy.as_ref().map(|url| url.0.clone()),
        connect_timeout: feeds.connect_timeout.0,
        idle_timeout: feeds.idle_timeout.0,
        total_timeout: feeds.total_timeout.0,
        redirects: feeds.redirects,
        attempts: feeds.attempts,
        ..Settings::default()
    })
}

fn authorization(feeds: &config::Feeds) -> Result<Option<(Authorization, Url)>, FeedError> {
    let key = "feeds.authorization_file";
    let (Some(path), Some(osv)) = (&feeds.authorization_file, &feeds.osv) else {
        return Ok(None);
    };
    let wrong = || FeedError::File {
        key,
        path: path.clone(),
        source: None,
    };
    let text = String::from_utf8(read(key, path)?).map_err(|_| wrong())?;
    let authorization = Authorization::new(text.trim().to_owned()).ok_or_else(wrong)?;
    Ok(Some((authorization, osv.0.clone())))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, FeedError> {
    let failed = |source| FeedError::File {
        key,
        path: path.to_owned(),
        source: Some(source),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
