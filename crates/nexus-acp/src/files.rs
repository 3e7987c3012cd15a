//! Files of the workspace, as an agent asks its client for them: nothing outside of it is read or written for anybody, and
//! nothing in it that isn't the agent's to write.
//!
//! It is done by the company itself, which no sandbox confines: so the workspace is opened once, and a path is followed by the
//! system, beneath it (`openat2`), where the system can do that.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

#[cfg(target_os = "linux")]
mod beneath;
mod root;
mod walk;
#[cfg(target_os = "linux")]
use beneath as way;
#[cfg(not(target_os = "linux"))]
use walk as way;

use root::Root;

#[cfg(test)]
mod tests;

/// The server of an agent's files. Called where it may block.
pub trait Files: Send + Sync + 'static {
    /// Text of a file: from a line (the first is 1), so many lines.
    ///
    /// # Errors
    /// Why not, for the agent.
    fn read(&self, path: &Path, line: Option<u32>, limit: Option<u32>) -> Result<String, FileError>;

    /// Replaces a file's text, or makes it.
    ///
    /// # Errors
    /// Why not, for the agent.
    fn write(&self, path: &Path, text: &str) -> Result<(), FileError>;

    /// True if it writes at all.
    fn writes(&self) -> bool;
}

/// Why a file isn't read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    NotFound(PathBuf),
    /// It is not to be.
    Refused(String),
    Failed(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(path) => write!(f, "{} isn't there", path.display()),
            Self::Refused(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FileError {}

/// The files of one workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceFiles {
    root: Root,
    /// The same directory as the agent sees it: another one in a container.
    seen: PathBuf,
    /// True if the agent may write by us at all.
    writes: bool,
    /// Of the workspace, as the company sees it: what is not to be written. `.git` never is.
    protected: Vec<PathBuf>,
}

/// The most that is read at once, or written, in bytes: a message to the agent is kept in memory while it is sent.
const MOST: u64 = 8 * 1024 * 1024;

impl WorkspaceFiles {
    /// The files in `below`, a part of the directory `holder`, which `seen` is to the agent. A link in `below` isn't followed, as
    /// an agent may have put it there. `protected` is not written, and neither is anything unless it `writes`.
    ///
    /// # Errors
    /// The directory isn't there, or a link is in its place.
    pub fn open(
        (holder, below): (&Path, &Path),
        seen: PathBuf,
        writes: bool,
        protected: Vec<PathBuf>,
    ) -> std::io::Result<Self> {
        Ok(Self { root: Root::open(holder, below)?, seen, writes, protected })
    }

    /// The path below the workspace; nothing of it says `..`.
    fn below(&self, path: &Path) -> Result<PathBuf, FileError> {
        let outside = || {
            let (path, seen) = (path.display(), self.seen.display());
            FileError::Refused(format!("{path} is not in the workspace, {seen}"))
        };
        let below = if path.is_absolute() || path.has_root() {
            let inside = path.strip_prefix(&self.seen).ok();
            // By its real name, where `seen` is a link's.
            inside.or_else(|| self.root.strip(path)).ok_or_else(outside)?.to_owned()
        } else {
            path.to_owned()
        };
        let plain = below.components().filter(|part| *part != Component::CurDir);
        let below: PathBuf = plain.clone().collect();
        if plain.clone().all(|part| matches!(part, Component::Normal(_))) && plain.count() > 0 {
            Ok(below)
        } else {
            Err(outside())
        }
    }

    /// `place`: where it really is, below the workspace.
    fn may_be_written(&self, place: &Path) -> Result<(), FileError> {
        let refused = |why: &str| Err(FileError::Refused(format!("{} {why}", place.display())));
        if !self.writes {
            return refused("is not to be written: this task only reads");
        }
        // Whatever a file system makes of its letters.
        if place.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git")) {
            return refused("is the repository's own: use git");
        }
        let protected = |path: &PathBuf| self.root.strip(path).is_some_and(|below| place.starts_with(below));
        if self.protected.iter().any(protected) { refused("is not to be written") } else { Ok(()) }
    }
}

impl Files for WorkspaceFiles {
    fn read(&self, path: &Path, line: Option<u32>, limit: Option<u32>) -> Result<String, FileError> {
        let below = self.below(path)?;
        let file = way::open(&self.root, &below).map_err(|error| meaning(path, &error))?;
        let mut reader = BufReader::new(file);
        let mut skipped = 0;
        for _ in 1..line.unwrap_or(1) {
            skipped += skip_line(&mut reader).map_err(|error| meaning(path, &error))?;
            if skipped > 16 * MOST {
                return Err(too_big(path));
            }
        }
        let mut text = Vec::new();
        let mut reader = reader.take(MOST + 1);
        let mut lines = limit.unwrap_or(u32::MAX);
        while lines > 0 && reader.read_until(b'\n', &mut text).map_err(|error| meaning(path, &error))? > 0 {
            lines -= 1;
        }
        if text.len() as u64 > MOST {
            return Err(too_big(path));
        }
        String::from_utf8(text).map_err(|_| FileError::Refused(format!("{} is no text in UTF-8", path.display())))
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), FileError> {
        let below = self.below(path)?;
        self.may_be_written(&below)?;
        if text.len() as u64 > MOST {
            return Err(too_big(path));
        }
        let may = |place: &Path| self.may_be_written(place);
        let mut file = way::create(&self.root, &below, &may).map_err(|refusal| match refusal {
            Refusal::Not(error) => error,
            Refusal::System(error) => meaning(path, &error),
        })?;
        let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|error| meaning(path, &error))
    }

    fn writes(&self) -> bool {
        self.writes
    }
}

/// The check of a place below the workspace that is to be written.
type May<'a> = dyn Fn(&Path) -> Result<(), FileError> + 'a;

/// Why no file was opened to be written.
enum Refusal {
    Not(FileError),
    System(std::io::Error),
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

/// Only a file is opened: a pipe would be waited for, and a device does things.
fn plain(file: std::fs::File) -> std::io::Result<std::fs::File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no file"))
    }
}

fn meaning(path: &Path, error: &std::io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound => FileError::NotFound(path.to_owned()),
        // What a path that leaves the workspace is told.
        ErrorKind::CrossesDevices => FileError::Refused(format!("{} leads out of the workspace", path.display())),
        _ => FileError::Failed(format!("{}: {error}", path.display())),
    }
}

fn too_big(path: &Path) -> FileError {
    FileError::Refused(format!(
        "{} is too big: at most {MOST} bytes at once; ask for some of its lines",
        path.display()
    ))
}

/// Without keeping it, as a line may be the whole file.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(buffer.len());
        let is_over = end.is_some() || buffer.is_empty();
        reader.consume(used);
        skipped += used as u64;
        if is_over {
            return Ok(skipped);
        }
    }
}
