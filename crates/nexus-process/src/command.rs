//! A command to start: a program, its arguments, its directory, its whole environment, and what it reads.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use bytes::Bytes;
use tokio::io::AsyncWrite;

/// A program to start. Nothing of our own environment is inherited.
#[derive(Clone)]
pub struct Command {
    /// A name that is looked up in the `PATH` of `env`, or a path; a relative path is taken from `cwd`.
    pub program: OsString,
    pub args: Vec<OsString>,
    pub cwd: PathBuf,
    /// Complete: what is not here the program does not see. See [`crate::user_environment`] for a base.
    pub env: Vec<(OsString, OsString)>,
    pub stdin: Stdin,
}

/// The program's standard input.
#[derive(Clone, Default)]
pub enum Stdin {
    /// Nothing: an immediate end of file.
    #[default]
    Closed,
    /// These bytes, then the end of file. A program that doesn't read them all is no error.
    Bytes(Bytes),
    /// All that is written to the [`StdinWriter`] that comes with the tree.
    Piped,
}

/// The writing end of a tree's standard input: dropped, it is the end of file. What is written once the tree doesn't read any
/// more is a `BrokenPipe`; who holds this doesn't keep the tree from ending.
pub struct StdinWriter(Pin<Box<dyn AsyncWrite + Send>>);

impl StdinWriter {
    /// A writer to somebody else's tree, such as a container's.
    pub fn new(writer: impl AsyncWrite + Send + 'static) -> Self {
        Self(Box::pin(writer))
    }
}

impl AsyncWrite for StdinWriter {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(context)
    }
}

impl fmt::Debug for StdinWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StdinWriter")
    }
}

impl Command {
    /// A program without arguments, with an empty environment and closed standard input.
    pub fn new(program: impl Into<OsString>, cwd: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), cwd: cwd.into(), env: Vec::new(), stdin: Stdin::Closed }
    }

    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds variables; of two with one name the later wins.
    #[must_use]
    pub fn env<K: Into<OsString>, V: Into<OsString>>(mut self, env: impl IntoIterator<Item = (K, V)>) -> Self {
        self.env.extend(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// The program that would be started.
    ///
    /// # Errors
    /// When there is none, or it can't be executed.
    pub fn find(&self) -> Result<PathBuf, crate::error::SpawnError> {
        crate::program::find(self, &[])
    }

    /// The same for a program that runs in overlays, which show their files to that program alone.
    ///
    /// # Errors
    /// When there is none, or it can't be executed.
    pub fn find_beside(&self, overlays: &[crate::Overlay]) -> Result<PathBuf, crate::error::SpawnError> {
        crate::program::find(self, overlays)
    }

    /// The value that a variable of its environment has.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }
}

/// Names of variables only, and no input: the values may be secrets.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("cwd", &self.cwd)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("stdin", &self.stdin)
            .finish()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Closed"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Piped => f.write_str("Piped"),
        }
    }
}
