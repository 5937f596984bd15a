//! The server's side: takes what a child hands out and asks clamd about it.

use std::{
    fs::File,
    io::Write as _,
    os::unix::{fs::FileExt as _, net::UnixStream},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use findings::{ByteFinding, ByteFindingKind, LayerReport, NotScannable, Severity};
use oci::{Algorithm, Digest};

use super::{Clamd, ClamdError, NO_CLAMD, handout::Offer};
use crate::worker::wire;

/// Bytes of an offer: a path.
const OFFER_BYTES: u64 = 128 << 10;

/// Longest path that is believed.
const PATH_BYTES: usize = 64 << 10;

/// Files of one blob that are named; more are counted.
const FOUND: usize = 1_000;

/// After the report came, until what was found must be known.
const END: Duration = Duration::from_secs(5);

/// Pack that findings of clamd are of.
const PACK: &str = "clamd";

/// What clamd said of a blob.
#[derive(Debug, Default)]
struct Looked {
    findings: Vec<ByteFinding>,
    more: u64,
    /// Why it did not look at all that it was to look at.
    missing: Option<String>,
    /// Files that were too large for it, by their paths.
    too_large: Vec<NotScannable>,
}

/// What clamd says of a blob, as soon as all of it is known.
pub(in crate::worker) struct Looking(Receiver<Looked>);

impl Looking {
    /// Asks about what comes through `socket`, on a thread of its own, until the child has nothing more or is gone.
    pub(in crate::worker) fn begin(clamd: Arc<Clamd>, socket: UnixStream) -> Self {
        let (sender, receiver) = sync_channel(1);
        std::thread::spawn(move || sender.send(look(&clamd, &socket)));
        Self(receiver)
    }

    /// Adds it to the report of the blob.
    pub(in crate::worker) fn add_to(self, report: &mut LayerReport) {
        let looked = match self.0.recv_timeout(END) {
            Ok(looked) => looked,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Looked {
                missing: Some("it was not done when everything else was".to_owned()),
                ..Looked::default()
            },
        };
        report.findings.extend(looked.findings);
        report.not_scannable.extend(looked.too_large);
        if looked.more > 0 {
            let detail = format!("{} files more are malware", looked.more);
            report.not_scannable.push(not_looked("clamd.findings", detail));
        }
        if let Some(why) = looked.missing {
            let detail = format!("not looked at by clamd: {why}");
            report.not_scannable.push(not_looked(NO_CLAMD, detail));
        }
    }
}

fn not_looked(limit: &str, detail: String) -> NotScannable {
    NotScannable {
        limit: limit.to_owned(),
        detail,
        path: None,
    }
}

fn look(clamd: &Clamd, socket: &UnixStream) -> Looked {
    let mut looked = Looked::default();
    let until = Instant::now() + clamd.config().blob_time;
    let mut reader = socket;
    loop {
        let offer: Offer = match wire::receive_or_end(&mut reader, OFFER_BYTES) {
            Ok(Some(offer)) => offer,
            Ok(None) => return looked,
            Err(error) => {
                looked
                    .missing
                    .get_or_insert(format!("the files ended early: {error}"));
                return looked;
            }
        };
        let taken = wire::receive_files(socket).map(|[file]| File::from(file));
        // The rest is given back at once: what is missing already is missing.
        if looked.missing.is_none() {
            match taken {
                Ok(_) if Instant::now() >= until => {
                    let most = clamd.config().blob_time;
                    looked.missing = Some(format!("its files took longer than {most:?}"));
                }
                Ok(file) => look_at(clamd, &offer.path, &file, &mut looked),
                Err(error) => looked.missing = Some(error.to_string()),
            }
        }
        let _ = (&mut &*socket).write_all(&[0]);
    }
}

fn look_at(clamd: &Clamd, path: &str, file: &File, looked: &mut Looked) {
    // The child may have been taken over: only a plain file of a plain name is read, and no more than was agreed.
    let size = match file.metadata() {
        Ok(metadata) if metadata.is_file() && metadata.len() <= clamd.config().file_bytes => metadata.len(),
        _ => {
            looked.missing = Some("what was handed out is no file".to_owned());
            return;
        }
    };
    if path.len() > PATH_BYTES || path.contains('\0') {
        looked.missing = Some("a file has an impossible name".to_owned());
        return;
    }
    match clamd.ask(file, size) {
        Ok(None) => {}
        Ok(Some(_)) if looked.findings.len() >= FOUND => looked.more += 1,
        Ok(Some(signature)) => looked
            .findings
            .push(finding(path, signature, digest_of(file, size))),
        Err(error @ ClamdError::TooLarge(_)) => looked.too_large.push(NotScannable {
            limit: "clamd.bytes".to_owned(),
            detail: error.to_string(),
            path: Some(path.to_owned()),
        }),
        Err(error) => looked.missing = Some(error.to_string()),
    }
}

/// Stands for the file: a false positive ends when it is another one.
fn digest_of(file: &File, size: u64) -> Option<String> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(Digest::of(Algorithm::Sha256, &bytes).hex())
}

fn finding(path: &str, signature: String, fingerprint: Option<String>) -> ByteFinding {
    ByteFinding {
        kind: ByteFindingKind::Malware,
        title: format!("clamd knows it as {signature}"),
        rule: signature,
        severity: Severity::Critical,
        path: path.to_owned(),
        inner_path: Vec::new(),
        line: None,
        excerpt: None,
        fingerprint,
        fix: Some("remove the file and find out how it came there".to_owned()),
        is_example: false,
        pack: PACK.to_owned(),
    }
}
