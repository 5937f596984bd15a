//! The bytes of one simulated file: what programs see, what is on the platter, and the changes between.

use super::Rng;

/// What a disk writes whole or not at all.
const BLOCK: usize = 512;

/// One file.
#[derive(Debug, Clone, Default)]
pub(super) struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let rest = self.seen.get(at..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        len
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        write(&mut self.seen, at, bytes);
        self.dirty.push(Change::Write {
            at,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.seen.resize(len, 0);
        self.dirty.push(Change::SetLen(len));
    }

    /// Writes what is dirty. What a failed sync lost is clean and stays lost.
    pub(super) fn sync(&mut self) {
        for change in self.dirty.drain(..) {
            match change {
                Change::SetLen(len) => self.durable.resize(len, 0),
                Change::Write { at, bytes } => write(&mut self.durable, at, &bytes),
            }
        }
    }

    /// Some of it is written, the rest is lost and counts as clean; who reads may see either, as the kernel pleases.
    pub(super) fn sync_failed(&mut self, rng: &mut Rng) {
        self.write_back(rng);
        self.dirty.clear();
        if rng.one_in(2) {
            self.seen.clone_from(&self.durable);
        }
    }

    /// The kernel writes some pages when it likes; they stay dirty for us, which changes nothing.
    pub(super) fn write_back_some(&mut self, rng: &mut Rng) {
        self.write_back(rng);
    }

    /// What a crash leaves.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.write_back(rng);
        self.dirty.clear();
        self.seen.clone_from(&self.durable);
    }

    /// Brings any part of the changes to the platter.
    fn write_back(&mut self, rng: &mut Rng) {
        let whole_prefix = rng.one_in(3).then(|| rng.below(self.dirty.len() + 1));
        for (index, change) in self.dirty.iter().enumerate() {
            if whole_prefix.is_some_and(|count| index >= count) {
                break;
            }
            match change {
                Change::SetLen(len) if whole_prefix.is_some() || rng.one_in(2) => {
                    self.durable.resize(*len, 0);
                }
                Change::SetLen(_) => {}
                Change::Write { at, bytes } if whole_prefix.is_some() => write(&mut self.durable, *at, bytes),
                Change::Write { at, bytes } => write_blocks(&mut self.durable, *at, bytes, rng),
            }
        }
    }
}

/// Writes any set of the blocks that `bytes` touches; a hole before a later block holds zeros or garbage.
fn write_blocks(file: &mut Vec<u8>, at: usize, bytes: &[u8], rng: &mut Rng) {
    let garbage = rng.one_in(2);
    let mut done = 0;
    while done < bytes.len() {
        let here = at + done;
        let len = (BLOCK - here % BLOCK).min(bytes.len() - done);
        if rng.one_in(2) {
            let end = file.len();
            write(file, here, &bytes[done..done + len]);
            if garbage && end < here {
                let noise = rng.bytes(here - end);
                file[end..here].copy_from_slice(&noise);
            }
        }
        done += len;
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}
