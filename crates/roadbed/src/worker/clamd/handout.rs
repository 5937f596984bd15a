//! The child's side: files that may be malware are handed out, so many at a time, and no more is looked for than that.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
};

use findings::ByteFinding;
use inspect::{Exceeded, FileError, layer::ByteAnalyser, malware::may_be_code};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::worker::wire;

/// Files that were handed out and not yet given back. Each of them is memory.
pub(in crate::worker) const OUTSTANDING: usize = 4;

/// First bytes of documents that carry code.
const DOCUMENTS: [&[u8]; 3] = [b"%PDF", b"\xd0\xcf\x11\xe0", b"{\\rtf"];

/// What is said of a file; the file itself comes beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Where it lies in the layer.
    pub(super) path: String,
}

/// Hands out files.
pub(in crate::worker) struct HandsOut {
    /// `None`: nobody takes any more.
    socket: Option<UnixStream>,
    file_bytes: u64,
    outstanding: usize,
}

impl HandsOut {
    /// To whoever is at the other end, files of at most so many bytes.
    pub(in crate::worker) fn new(socket: UnixStream, file_bytes: u64) -> Self {
        Self {
            socket: Some(socket),
            file_bytes,
            outstanding: 0,
        }
    }

    fn hand_out(&mut self, file: &mut inspect::File<'_>) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Ok(());
        };
        let mut copy = File::from(memfd_create("file", MemfdFlags::CLOEXEC)?);
        io::copy(&mut file.content, &mut copy)?;
        let path = file.path.to_owned();
        wire::send(socket, &Offer { path })?;
        wire::send_files(socket, &[copy.as_fd()])?;
        self.outstanding += 1;
        if self.outstanding >= OUTSTANDING {
            self.take_back()?;
        }
        Ok(())
    }

    /// Waits until one of the files was looked at.
    fn take_back(&mut self) -> io::Result<()> {
        if let Some(socket) = &mut self.socket {
            socket.read_exact(&mut [0])?;
        }
        self.outstanding -= 1;
        Ok(())
    }
}

impl ByteAnalyser for HandsOut {
    fn wants(&self, path: &str, head: &[u8], size: u64, mode: u32) -> bool {
        let is_document = DOCUMENTS.iter().any(|magic| head.starts_with(magic));
        size > 0 && (is_document || may_be_code(path, head, mode))
    }

    fn look(&mut self, file: &mut inspect::File<'_>, _: &mut Vec<ByteFinding>) -> Result<(), FileError> {
        if file.size > self.file_bytes {
            let detail = format!(
                "the file has {} bytes, of which clamd is given {}",
                file.size, self.file_bytes
            );
            return Err(FileError::Exceeded(Exceeded {
                limit: "clamd.bytes",
                detail,
            }));
        }
        if self.hand_out(file).is_err() {
            // Whoever took them knows that some are missing.
            self.socket = None;
        }
        Ok(())
    }
}

impl Drop for HandsOut {
    /// What was found is known before the report is sent.
    fn drop(&mut self) {
        while self.socket.is_some() && self.outstanding > 0 {
            if self.take_back().is_err() {
                return;
            }
        }
        if let Some(socket) = &mut self.socket {
            // Tells the end of the files from a child that died.
            let _ = socket.write_all(&0_u64.to_le_bytes());
        }
    }
}
