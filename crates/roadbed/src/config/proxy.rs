//! `[proxy]`: registries whose images are pulled through, and how much that may cost.

use registry::proxy::{FlightLimits, ImageLimits, ProxyLimits};

use super::key::section;
use super::units::{Size, Span};

pub(crate) mod upstream;

pub(crate) use upstream::{SecretFrom, UpstreamEntry, UpstreamList};

const SECOND: Span = Span::seconds(1);
const HOUR: Span = Span::seconds(60 * 60);
const DAY: Span = Span::seconds(24 * 60 * 60);
const MIB: Size = Size(1 << 20);

fn limits() -> ProxyLimits {
    ProxyLimits::default()
}

section! {
    /// Registries whose images are pulled through, and how much that may cost. docs/proxy.md has the keys of an upstream.
    Proxy = "proxy" {
        /// The upstreams, each a table `[[proxy.upstreams]]` of the file.
        upstreams: UpstreamList = UpstreamList::default();
        /// Blobs that are fetched from one upstream at the same time; others wait.
        flights: usize = 32, 1 => 4_096;
        /// Blobs that are fetched or wait for that.
        queued_blobs: usize = limits().flights.queued, 1 => 1_000_000;
        /// Bytes of all blobs that are fetched at the same time.
        flight_bytes: Size = Size(limits().flights.bytes), MIB => Size(1 << 50);
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
    }
}

impl Proxy {
    /// What pulling through is bounded by.
    pub(crate) fn limits(&self, first_wait: Span) -> ProxyLimits {
        ProxyLimits {
            flights: FlightLimits {
                queued: self.queued_blobs,
                bytes: self.flight_bytes.0,
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
