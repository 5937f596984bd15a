//! A disk that forgets.
//!
//! It keeps two states: what running programs see, and what is on the platter. Between them lie the writes and the
//! changes of names that were not synced. [`SimDisk::crash`] lets any part of these survive:
//!
//! - of written bytes: nothing, a prefix, or any set of 512-byte blocks, with holes of zeros or of garbage;
//! - of names: any set. A rename is two changes (the new name, the end of the old one); the second never survives
//!   without the first, as every journal guarantees, but the first may without the second.
//!
//! [`SimDisk::plan`] injects the crash, or an error, at a chosen operation. A failed sync does what Linux does: some
//! blocks are written, the others are forgotten *and count as clean*, so that the next sync succeeds without them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Entry};
use inode::Inode;
use names::{Names, Node, parent};
pub(crate) use rng::Rng;

mod inode;
mod names;
mod rng;

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    /// The operation (counted from the call of [`SimDisk::plan`]) before which the power fails.
    pub(crate) crash_at: Option<u64>,
    /// The operation that fails, with this error.
    pub(crate) error_at: Option<(u64, Fault)>,
    /// One operation in this many fails, in the mean. 0: none.
    pub(crate) error_one_in: u64,
}

/// An injected error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `ENOSPC`
    NoSpace,
    /// `EDQUOT`
    NoQuota,
    /// `EIO`
    Broken,
}

impl Fault {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Self::NoSpace => libc::ENOSPC,
            Self::NoQuota => libc::EDQUOT,
            Self::Broken => libc::EIO,
        })
    }
}

/// A sync that this disk only pretends to do, to show that the checks would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// `sync_data` does nothing.
    Data,
    /// `sync_dir` does nothing.
    Names,
}

/// The disk; clones share it.
#[derive(Clone)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// A change of one name that is not durable yet.
#[derive(Clone)]
struct Change {
    id: u64,
    dir: Arc<str>,
    path: Arc<str>,
    node: Option<Node>,
    /// The change without which this one never survives.
    needs: Option<u64>,
}

#[derive(Clone)]
struct State {
    rng: Rng,
    inodes: Vec<Inode>,
    seen: Names,
    durable: Names,
    changes: Vec<Change>,
    next_change: u64,
    plan: Plan,
    lie: Option<Lie>,
    operations: u64,
    crashed: bool,
    /// Files opened before the last crash are dead.
    epoch: u64,
}

/// A file of the simulated disk.
pub(crate) struct SimFile {
    state: Arc<Mutex<State>>,
    inode: usize,
    epoch: u64,
}

impl SimDisk {
    /// An empty disk whose whole future follows from `seed` and the calls.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            rng: Rng::new(seed),
            inodes: Vec::new(),
            seen: Names::default(),
            durable: Names::default(),
            changes: Vec::new(),
            next_change: 0,
            plan: Plan::default(),
            lie: None,
            operations: 0,
            crashed: false,
            epoch: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Another disk with the same content and another future.
    pub(crate) fn fork(&self, seed: u64) -> Self {
        let state = State {
            rng: Rng::new(seed),
            ..self.lock().clone()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Counts operations from now and injects what `plan` says.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut state = self.lock();
        (state.plan, state.operations) = (plan, 0);
    }

    /// Makes one kind of sync a lie.
    pub(crate) fn lie(&self, lie: Lie) {
        self.lock().lie = Some(lie);
    }

    /// Operations since the last [`SimDisk::plan`].
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Whether the planned crash has come: every operation fails until [`SimDisk::crash`].
    pub(crate) fn is_down(&self) -> bool {
        self.lock().crashed
    }

    /// The power fails and comes back: what was not synced survives in part. Ends the plan.
    pub(crate) fn crash(&self) {
        let mut state = self.lock();
        let State { rng, inodes, .. } = &mut *state;
        for inode in inodes {
            inode.crash(rng);
        }
        let survivors = state.survivors();
        state.persist(survivors);
        // Directories are never removed, so a name loses its home only where a new directory's own name is lost.
        if state.changes.iter().any(|change| change.node == Some(Node::Dir)) {
            state.durable.forget_homeless();
        }
        state.changes.clear();
        state.seen = state.durable.clone();
        state.plan = Plan::default();
        state.crashed = false;
        state.epoch += 1;
    }

    /// The files that programs see, in order; counts as no operation.
    pub(crate) fn files(&self) -> Vec<String> {
        self.lock().seen.files().map(str::to_owned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        let mut state = self.lock();
        state.operation()?;
        let Some(Node::File(inode)) = state.seen.get(text(path)) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        Ok(SimFile {
            state: Arc::clone(&self.state),
            inode,
            epoch: state.epoch,
        })
    }
}

impl State {
    /// Counts, then fails as planned.
    fn operation(&mut self) -> io::Result<()> {
        match self.fault()? {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    /// Counts; tells which error is due, where the caller has more to do than to return it.
    fn fault(&mut self) -> io::Result<Option<Fault>> {
        let at = self.operations;
        self.operations += 1;
        self.crashed |= self.plan.crash_at == Some(at);
        if self.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        if let Some((due, fault)) = self.plan.error_at
            && due == at
        {
            return Ok(Some(fault));
        }
        if self.plan.error_one_in > 0 && self.rng.one_in(self.plan.error_one_in) {
            let faults = [Fault::NoSpace, Fault::NoQuota, Fault::Broken];
            return Ok(faults.get(self.rng.below(3)).copied());
        }
        Ok(None)
    }

    fn change(&mut self, path: &str, node: Option<Node>, needs: Option<u64>) -> u64 {
        let (id, path) = (self.next_change, Arc::<str>::from(path));
        self.next_change += 1;
        let dir = Arc::from(parent(&path));
        self.seen.set(&path, node);
        self.changes.push(Change {
            id,
            dir,
            path,
            node,
            needs,
        });
        id
    }

    /// Makes the chosen changes durable, those that they need included, in the order in which they happened.
    fn persist(&mut self, mut chosen: BTreeSet<u64>) {
        for change in self.changes.iter().rev() {
            if let Some(needs) = change.needs.filter(|_| chosen.contains(&change.id)) {
                chosen.insert(needs);
            }
        }
        let mut last_of_path = BTreeMap::new();
        for change in self.changes.iter().filter(|change| chosen.contains(&change.id)) {
            self.durable.set(&change.path, change.node);
            last_of_path.insert(Arc::clone(&change.path), change.id);
        }
        // What an earlier change would have done to the same name is overtaken.
        self.changes.retain(|change| {
            last_of_path
                .get(&change.path)
                .is_none_or(|last| change.id > *last)
        });
    }

    /// The changes of names that outlive a crash.
    fn survivors(&mut self) -> BTreeSet<u64> {
        let Self { rng, changes, .. } = self;
        let ids = changes.iter().map(|change| change.id);
        match rng.below(4) {
            0 => BTreeSet::new(),
            1 => ids.collect(),
            2 => {
                let count = rng.below(changes.len() + 1);
                ids.take(count).collect()
            }
            _ => ids.filter(|_| rng.one_in(2)).collect(),
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create_new(&self, path: &Path) -> io::Result<SimFile> {
        let mut state = self.lock();
        state.operation()?;
        let path = text(path);
        if state.seen.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.seen.is_dir(parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(path, Some(Node::File(inode)), None);
        Ok(SimFile {
            state: Arc::clone(&self.state),
            inode,
            epoch: state.epoch,
        })
    }

    fn open_write(&self, path: &Path) -> io::Result<SimFile> {
        self.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<SimFile> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fault = state.fault()?;
        let (from, to) = (text(from), text(to));
        let Some(node) = state.seen.get(from) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if !state.seen.is_dir(parent(to)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Two names of one file: POSIX leaves both.
        let done = state.seen.get(to) == Some(node) || (fault.is_some() && state.rng.one_in(2));
        if !done {
            let new = state.change(to, Some(node), None);
            state.change(from, None, Some(new));
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operation()?;
        let path = text(path);
        if !matches!(state.seen.get(path), Some(Node::File(_))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(path, None, None);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.operation()?;
        let path = text(path);
        if state.seen.get(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(path, Some(Node::Dir), None);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fault = state.fault()?;
        let dir = text(path);
        let of_dir = state
            .changes
            .iter()
            .filter(|change| &*change.dir == dir)
            .map(|change| change.id);
        let mut chosen: BTreeSet<u64> = of_dir.collect();
        if fault.is_some() {
            let State { rng, .. } = &mut *state;
            chosen.retain(|_| rng.one_in(2));
        }
        if state.lie != Some(Lie::Names) {
            state.persist(chosen);
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.lock();
        state.operation()?;
        let entry = |(name, node)| {
            let len = match node {
                Node::Dir => 0,
                Node::File(inode) => state.inodes.get(inode).map_or(0, Inode::len),
            };
            Entry {
                name,
                is_dir: node == Node::Dir,
                len,
                changed_micros: 0,
            }
        };
        Ok(state.seen.children(text(dir)).into_iter().map(entry).collect())
    }
}

impl SimFile {
    /// Runs `work` on the inode unless the operation is planned to fail; the fault is handed in, so that half of the
    /// work may be done.
    fn with<T>(&self, work: impl FnOnce(&mut Inode, &mut Rng, Option<Fault>) -> T) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = state.fault()?;
        if state.epoch != self.epoch {
            return Err(io::Error::other("opened before the crash"));
        }
        let State { inodes, rng, .. } = &mut *state;
        let result = work(&mut inodes[self.inode], rng, fault);
        fault.map_or(Ok(result), |fault| Err(fault.error()))
    }
}

impl DiskFile for SimFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inode, rng, fault| {
            let part = fault.map_or(bytes.len(), |_| rng.below(bytes.len() + 1));
            inode.write(index(offset), &bytes[..part]);
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|inode, _, _| inode.read(index(offset), buffer))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inode, _, fault| {
            if fault.is_none() {
                inode.set_len(index(len));
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|inode, _, _| inode.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let lies = self.state.lock().unwrap_or_else(PoisonError::into_inner).lie == Some(Lie::Data);
        self.with(|inode, rng, fault| match fault {
            Some(_) => inode.sync_failed(rng),
            None if lies => {}
            None => inode.sync(),
        })
    }

    fn start_writeback(&self, _range: Range<u64>) -> io::Result<()> {
        self.with(|inode, rng, _| inode.write_back_some(rng))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of the store are ASCII")
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("simulated files are small")
}

#[cfg(test)]
mod tests;
