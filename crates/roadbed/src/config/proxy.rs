//! `[proxy]`: registries whose images are pulled through, and how much that may cost.

use std::time::Duration;

use registry::proxy::{ChartLimits, FlightLimits, ImageLimits, IndexLimits, ProxyLimits};

use super::key::section;
use super::units::{Size, Span};

pub(crate) mod prefetch;
pub(crate) mod upstream;

pub(crate) use prefetch::{PrefetchList, PrefetchWhat};
pub(crate) use upstream::{SecretFrom, UpstreamEntry, UpstreamList};

const SECOND: Span = Span::seconds(1);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const MIB: Size = Size(1 << 20);

fn limits() -> ProxyLimits {
    ProxyLimits::default()
}

fn charts() -> ChartLimits {
    ChartLimits::default()
}

section! {
    /// Registries whose images are pulled through, and how much that may cost. docs/proxy.md has the keys of an upstream.
    Proxy = "proxy" {
        /// The upstreams, each a table `[[proxy.upstreams]]` of the file.
        upstreams: UpstreamList = UpstreamList::default();
        /// What is fetched from them before somebody pulls it, each a table `[[proxy.prefetch]]` of the file.
        prefetch: PrefetchList = PrefetchList::default();
        /// Blobs that are fetched from one upstream at the same time; others wait.
        flights: usize = 32, 1 => 4_096;
        /// Blobs that are fetched or wait for that, half of them for one user or robot, and for one of several upstreams.
        queued_blobs: usize = limits().flights.queued, 1 => 1_000_000;
        /// Bytes of all blobs that are fetched at the same time; those of unknown length are counted as they come.
        flight_bytes: Size = Size(limits().flights.bytes), MIB => Size(1 << 50);
        /// Longest time that a blob waits for its turn to be fetched; that of a manifest is `manifest_time`.
        blob_wait: Span = Span(limits().flights.wait), SECOND => HOUR;
        /// Longest time that a blob may take.
        blob_time: Span = Span(limits().flights.time), SECOND => DAY;
        /// Longest silence of an upstream while a blob is fetched.
        idle_timeout: Span = Span(limits().flights.idle), SECOND => HOUR;
        /// How often a blob that was cut is gone on with.
        resumes: u32 = limits().flights.resumes, 0 => 100;
        /// Images whose blobs are fetched at the same time.
        images: usize = limits().images.images, 1 => 100_000;
        /// Bytes of the manifests of these images.
        image_memory: Size = Size(limits().images.bytes), MIB => Size(1 << 40);
        /// Manifests that are fetched from one upstream at the same time; others wait.
        fetches: usize = 16, 1 => 10_000;
        /// Blobs of one image that are fetched at the same time when no client wants them.
        blobs_at_once: usize = limits().images.blobs_at_once, 1 => 64;
        /// Longest time until a connection to an upstream is there.
        connect_timeout: Span = Span::seconds(10), SECOND => HOUR;
        /// Longest time that an upstream may take for a manifest.
        manifest_time: Span = Span(limits().manifest_time), SECOND => HOUR;
        /// Longest time that a pull waits for an upstream while something is held; `gate.first_wait` where nothing is.
        revalidate_wait: Span = Span(limits().revalidate_wait), Span::seconds(0) => HOUR;
        /// Manifests that upstreams are asked for at the same time.
        questions: usize = limits().questions, 1 => 100_000;
        /// Clients that read what is being fetched at the same time.
        readers: usize = limits().readers, 1 => 1_000_000;
        /// Tags that are remembered.
        tags: u64 = limits().tags, 1 => 100_000_000;
        /// How long it is remembered that an upstream does not have something.
        absent: Span = Span(limits().absent), Span::seconds(0) => HOUR;
        /// Most names of an upstream that a new one is compared with.
        names: usize = limits().names, 0 => 1_000_000;
        /// Redirects of an upstream that are followed, never to addresses that are not public and never from https to http.
        redirects: usize = 5, 0 => 20;
        /// Largest index of a repository of charts.
        index_bytes: Size = Size(charts().index.bytes as u64), MIB => Size(1 << 30);
        /// Most versions of all charts of a repository.
        index_versions: usize = charts().index.versions, 1 => 1_000_000;
        /// Largest chart of a repository of charts.
        chart_bytes: Size = Size(charts().chart_bytes as u64), Size(1 << 10) => Size(1 << 30);
        /// Bytes of charts of one repository that are in memory between their fetch and their storing.
        chart_memory: Size = Size(charts().memory), MIB => Size(1 << 34);
    }
}

impl Proxy {
    /// Why what is to be fetched before somebody pulls it cannot be: it is no upstream's, or may not be asked for.
    pub(super) fn wrong_prefetches(&self) -> Vec<String> {
        let repositories = self
            .prefetch
            .0
            .iter()
            .flat_map(prefetch::PrefetchEntry::repositories);
        let wrong = repositories.filter_map(|repository| {
            let of = self
                .upstreams
                .0
                .iter()
                .filter(|upstream| upstream.has(repository));
            match of.max_by_key(|upstream| upstream.prefix.as_str().len()) {
                None => Some(format!(
                    "{repository} is below no upstream: name it by the path that it is pulled by"
                )),
                Some(upstream) if !upstream.allows(repository) => Some(format!(
                    "{repository} is not allowed at upstream {:?}: allow it there, or leave it out",
                    upstream.name
                )),
                Some(_) => None,
            }
        });
        wrong.collect()
    }

    /// What a repository of charts is bounded by.
    pub(crate) fn chart_limits(&self, fresh: Duration) -> ChartLimits {
        let size = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        ChartLimits {
            index: IndexLimits {
                bytes: size(self.index_bytes),
                versions: self.index_versions,
            },
            chart_bytes: size(self.chart_bytes),
            memory: self.chart_memory.0,
            fresh,
            ..charts()
        }
    }

    /// What pulling through is bounded by.
    pub(crate) fn limits(&self, first_wait: Span) -> ProxyLimits {
        ProxyLimits {
            flights: FlightLimits {
                queued: self.queued_blobs,
                bytes: self.flight_bytes.0,
                wait: self.blob_wait.0,
                time: self.blob_time.0,
                idle: self.idle_timeout.0,
                resumes: self.resumes,
                absent: self.absent.0,
            },
            images: ImageLimits {
                images: self.images,
                bytes: self.image_memory.0,
                blobs_at_once: self.blobs_at_once,
            },
            first_wait: first_wait.0,
            revalidate_wait: self.revalidate_wait.0,
            manifest_time: self.manifest_time.0,
            questions: self.questions,
            readers: self.readers,
            tags: self.tags,
            absent: self.absent.0,
            names: self.names,
        }
    }
}
