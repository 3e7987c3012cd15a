//! The messages between the runtime and its warden: frames on a Unix stream socket, the warden's standard input.
//!
//! A frame is the length of its payload (4 bytes, little endian) and the payload, in postcard. Descriptors travel with the
//! first byte of the frame that they belong to. Both ends are of one build: there are no versions.

use std::ffi::{CStr, CString};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub use crate::cgroup::Root as Groups;

/// Runtime to warden. `id` numbers the attempts of one warden: an order for one that is over is not carried out on the
/// next.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Move into control groups of this name; said once, before anything is started.
    #[cfg(target_os = "linux")]
    Enter { root: Groups, name: String },
    /// Start a program. With it come its standard output, its standard error, and, if `stdin` says so, its standard input.
    Start(Box<Start>),
    /// Signal the whole tree.
    Signal { id: u64, signal: Signal },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    pub id: u64,
    /// A path. It is looked up by the runtime, but within the confinement.
    pub program: CString,
    pub argv: Vec<CString>,
    /// `NAME=value`, the whole environment.
    pub env: Vec<CString>,
    pub cwd: CString,
    /// A descriptor for standard input comes too; else it is empty.
    pub stdin: bool,
    pub limits: Limits,
    /// Killed after this, whatever the runtime says or doesn't: its own deadline, the ladder, and a margin.
    pub kill_after_ms: Option<u64>,
    pub confinement: Option<Box<Confinement>>,
    /// Mounted for this tree alone, before anything else of it is looked at.
    pub overlays: Vec<Overlay>,
    /// The program gets a session of its own; else it stays in the warden's, and dies with the warden.
    pub own_session: bool,
}

/// An overlay mount: layers of directories that are seen as one. Every path is a directory that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Layers that are only read, the topmost first.
    pub lower: Vec<CString>,
    /// The layer that takes all changes.
    pub upper: CString,
    /// A directory of the kernel's own, on the file system of `upper`. None: the overlay is read-only, and `upper` is the
    /// topmost of the layers that are only read.
    pub work: Option<CString>,
    /// The directory where the layers are seen.
    pub target: CString,
}

/// The resources that one tree may use; none: no limit. Memory, processes and cpu hold for the whole tree where there are
/// control groups, the others for each process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    pub processes: Option<u32>,
    /// Thousandths of a processor.
    pub cpu_milli: Option<u32>,
    pub open_files: Option<u64>,
    /// Bytes.
    pub file_size: Option<u64>,
}

/// The reach of a program. Everything that is not named is out of its reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confinement {
    /// The strongest way that the machine was found to offer; the warden does not fall back to a weaker one by itself.
    pub tier: Tier,
    /// Paths that can be read and executed, files or directories. What doesn't exist is skipped.
    pub read: Vec<Bind>,
    /// Paths that can be written too.
    pub write: Vec<Bind>,
    /// Within writable ones: read-only all the same (with [`Tier::Namespaces`] only; the runtime refuses what needs it
    /// elsewhere).
    pub protected: Vec<CString>,
    /// Within readable ones: hidden, an empty file or directory stands there (likewise).
    pub hidden: Vec<CString>,
    pub network: Network,
}

/// A path of the machine and where it is seen; the same, but with [`Tier::Namespaces`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    pub source: CString,
    pub target: CString,
    /// The source is reached without any link, also not one that somebody puts there at the last moment.
    pub exact: bool,
}

/// The making of a confinement. `clone_flags` are the `CLONE_NEW*` namespaces that the warden can make by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Landlock and seccomp; and a PID namespace of its own, if `clone_flags` says that it can be had.
    Landlock { clone_flags: u64 },
    /// Mounts, PIDs, IPC of its own, and within them Landlock (if the kernel has it) and seccomp.
    Namespaces { maker: Maker },
}

/// The program that makes namespaces and mounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Maker {
    /// The warden itself. `clone_flags` are the namespaces, that of the network among them.
    Warden { clone_flags: u64 },
    /// bwrap, by its path: some systems allow it alone to make namespaces.
    Bwrap { path: CString },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    Full,
    None,
    /// A network of its own with nothing but a listener on 127.0.0.1, which is handed to the runtime with
    /// [`Report::Started`].
    Proxy {
        port: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// INT to the group of the program.
    Interrupt,
    /// TERM to all processes of the tree.
    Terminate,
    /// KILL to all processes of the tree, until none is left.
    Kill,
}

/// Warden to runtime.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// It runs. `listener`: a descriptor comes too.
    Started { id: u64, pid: u32, listener: bool },
    /// Nothing runs.
    NotStarted { id: u64, fault: Fault },
    /// A limit was hit; what becomes of the tree is for the runtime to say.
    LimitHit { id: u64, limit: Limit },
    /// The program has ended; others of its tree live.
    LeaderExited { id: u64, exit: Exit },
    /// No process of the tree is alive.
    Gone { id: u64, end: End },
}

/// Where a start failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub stage: Stage,
    pub errno: i32,
    /// More, where there is more to say; never an argument or a value of a variable.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Fork,
    Cgroup,
    Limits,
    Overlay,
    Confine,
    Directory,
    Exec,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    Memory,
    Processes,
    /// `kill_after_ms` has passed.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// The end of a tree, and what it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub exit: Exit,
    /// Bytes, of the tree where there are control groups, else of its biggest process.
    pub peak_memory: Option<u64>,
    pub cpu_us: u64,
    /// The limit that ended it, or got in its way.
    pub limit: Option<Limit>,
}

/// Longest payload: a description of 128 KiB, a context, an environment. A frame that says more is no frame.
pub const MAX_PAYLOAD: usize = 16 * 1024 * 1024;
const HEAD: usize = 4;

/// A message as a frame.
///
/// # Errors
/// When it is longer than [`MAX_PAYLOAD`].
pub fn frame<T: Serialize>(message: &T) -> Result<Vec<u8>, postcard::Error> {
    let mut frame = postcard::to_extend(message, vec![0; HEAD])?;
    let length = frame.len() - HEAD;
    if length > MAX_PAYLOAD {
        return Err(postcard::Error::SerializeBufferFull);
    }
    let length = u32::try_from(length).map_err(|_| postcard::Error::SerializeBufferFull)?;
    frame[..HEAD].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// A message that came without a frame.
///
/// # Errors
/// When it is none.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}

/// A message as an argument of a program, which holds no zero byte.
///
/// # Errors
/// When it can't be written.
pub fn word<T: Serialize>(message: &T) -> Result<CString, postcard::Error> {
    let mut word = Vec::new();
    for byte in postcard::to_extend(message, Vec::new())? {
        match byte {
            0 | ESCAPE => word.extend([ESCAPE, byte + 1]),
            byte => word.push(byte),
        }
    }
    CString::new(word).map_err(|_| postcard::Error::SerializeBufferFull)
}

/// A message that came as an argument.
///
/// # Errors
/// When it is none.
pub fn of_word<T: DeserializeOwned>(word: &CStr) -> Result<T, postcard::Error> {
    let mut bytes = Vec::with_capacity(word.count_bytes());
    let mut rest = word.to_bytes().iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            ESCAPE => rest.next().ok_or(postcard::Error::DeserializeUnexpectedEnd)?.wrapping_sub(1),
            byte => byte,
        });
    }
    postcard::from_bytes(&bytes)
}

/// The byte that follows it in an argument stands for one less.
const ESCAPE: u8 = 1;

/// Takes the first message off `buffer`, if it is whole.
///
/// # Errors
/// When what is there can't be a frame: nothing after it can be read either.
pub fn take<T: DeserializeOwned>(buffer: &mut Vec<u8>) -> Result<Option<T>, postcard::Error> {
    let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Err(postcard::Error::DeserializeBadEncoding);
    }
    let Some(payload) = buffer.get(HEAD..HEAD + length) else { return Ok(None) };
    let message = postcard::from_bytes(payload)?;
    buffer.drain(..HEAD + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_one_by_one_however_they_arrive() {
        let orders =
            [Order::Signal { id: 7, signal: Signal::Kill }, Order::Signal { id: 8, signal: Signal::Interrupt }];
        let bytes: Vec<u8> = orders.iter().flat_map(|order| frame(order).unwrap()).collect();
        let (mut buffer, mut seen) = (Vec::new(), Vec::new());
        for byte in bytes {
            buffer.push(byte);
            while let Some(order) = take::<Order>(&mut buffer).unwrap() {
                seen.push(order);
            }
        }
        assert!(buffer.is_empty());
        assert!(matches!(
            seen[..],
            [Order::Signal { id: 7, signal: Signal::Kill }, Order::Signal { id: 8, signal: Signal::Interrupt }]
        ));
    }

    #[test]
    fn an_argument_holds_any_message() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        assert_eq!(of_word::<Vec<u8>>(&word(&bytes).unwrap()).unwrap(), bytes);
        assert!(of_word::<Vec<u8>>(c"\x05abc").is_err());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(take::<Order>(&mut vec![0xff; 8]).is_err());
        assert!(take::<Order>(&mut vec![1, 0, 0, 0, 0xee]).is_err());
    }
}
