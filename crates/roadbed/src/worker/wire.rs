//! What passes between the server and a child: frames, and open files beside them.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use findings::LayerReport;
use inspect::Limits;
use oci::Digest;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Bytes of a frame that goes to a child.
pub(super) const TASK_BYTES: u64 = 1 << 20;

/// What a child is to do. The blob comes beside it, as an open file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// What the blob is called.
    pub(super) digest: Digest,
    /// What it may cost.
    pub(super) limits: Limits,
    /// Largest file that is handed out, in bytes. A socket for them comes behind the blob. `None`: nobody wants any.
    #[serde(default)]
    pub(super) hand_out: Option<u64>,
}

/// What a child says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// It has compiled its rules and can split.
    Compiled {
        /// Version of the analysers and their rules.
        analysers: String,
        /// Rules that cannot be used, and why.
        refused: Vec<String>,
    },
    /// It is locked in and waits for its task.
    Ready {
        /// Walls that the system does not have.
        missing: Vec<String>,
    },
    /// What it found.
    Report(Box<LayerReport>),
}

/// Sends a value: its length as eight bytes, little end first, and its JSON.
pub(super) fn send(mut to: impl Write, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    to.write_all(&(json.len() as u64).to_le_bytes())?;
    to.write_all(&json)?;
    to.flush()
}

/// Receives a value of at most `cap` bytes.
pub(super) fn receive<T: DeserializeOwned>(from: impl Read, cap: u64) -> io::Result<T> {
    Ok(serde_json::from_slice(&receive_frame(from, cap)?)?)
}

/// The same of a child that may have been taken over: what takes more than `memory` bytes once it is read is not read.
pub(super) fn receive_word(from: impl Read, cap: u64, memory: u64) -> io::Result<Word> {
    let json = receive_frame(from, cap)?;
    let expanded = findings::memory_of_json(&json);
    if expanded > memory {
        let message = format!(
            "a frame of {} bytes may take {expanded} bytes of memory, more than the {memory} of scan.report_memory",
            json.len()
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(serde_json::from_slice(&json)?)
}

fn receive_frame(mut from: impl Read, cap: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > cap {
        let message = format!("a frame of {length} bytes is more than the {cap} that are allowed");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut json = Vec::new();
    from.take(length).read_to_end(&mut json)?;
    if json.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(json)
}

/// The same as [`receive`], where a frame of no bytes is the end.
pub(super) fn receive_or_end<T: DeserializeOwned>(mut from: impl Read, cap: u64) -> io::Result<Option<T>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    if length == [0; 8] {
        return Ok(None);
    }
    receive(length.as_slice().chain(from), cap).map(Some)
}

/// Most open files that go together.
const FILES: usize = 2;

/// Sends open files, [`FILES`] at most.
pub(super) fn send_files(to: &UnixStream, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many files"));
    }
    sendmsg(
        to.as_fd(),
        &[IoSlice::new(b"f")],
        &mut beside,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Receives as many open files as were sent together.
pub(super) fn receive_files<const COUNT: usize>(from: &UnixStream) -> io::Result<[OwnedFd; COUNT]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    recvmsg(
        from.as_fd(),
        &mut [IoSliceMut::new(&mut mark)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let files = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files: Vec<OwnedFd> = files.flatten().collect();
    files
        .try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "not as many files came as should"))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom};

    use super::*;

    #[test]
    fn values_and_files_arrive() {
        let (left, right) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        send(&left, &vec![1, 2]).unwrap();
        send_files(&left, &[file.as_fd()]).unwrap();
        assert_eq!(receive::<Vec<u32>>(&right, 100).unwrap(), [1, 2]);
        let [received] = receive_files(&right).unwrap();
        let mut received = std::fs::File::from(received);
        received.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bytes");
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        let huge = u64::MAX.to_le_bytes();
        let refused = receive::<Vec<u32>>(huge.as_slice(), 100).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        let torn = [9, 0, 0, 0, 0, 0, 0, 0, b'['];
        let refused = receive::<Vec<u32>>(torn.as_slice(), 100).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_word_that_takes_far_more_memory_than_bytes_is_refused_before_it_is_read() {
        let missing = vec![""; 1 << 20];
        let mut frame = Vec::new();
        send(
            &mut frame,
            &serde_json::json!({ "Ready": { "missing": missing } }),
        )
        .unwrap();
        let refused = receive_word(frame.as_slice(), 4 << 20, 8 << 20).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert!(refused.to_string().contains("scan.report_memory"), "{refused}");
        receive_word(frame.as_slice(), 4 << 20, 1 << 30).unwrap();
    }
}
