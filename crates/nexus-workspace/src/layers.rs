//! The belongings of one task's workspace that lie outside of it: its layers, and what we have noted when it was made. The
//! agent sees the layers as one directory, and nothing else that is here.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;
use nexus_process::Overlay;

use crate::base::is_commit;
use crate::checkouts::Checkouts;
use crate::copy;
use crate::error::WorkspaceError;
use crate::index::Index;
use crate::plain;

#[cfg(unix)]
use nexus_process::overlay::make_removable;

#[cfg(not(unix))]
const fn make_removable(_: &Path) {}

/// The file that says that an agent was started.
const BEGUN: &str = "begun";

/// Begins the line of a warm layer in `origin`.
const WARM: &str = "warm ";

/// Ends the name of what is being removed.
const GONE: &str = "gone";

/// Does something that nobody waits for.
fn aside(work: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let work = move || {
        if let Err(error) = work() {
            tracing::warn!(%error, "a workspace's files are left");
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_) => work(),
    }
}

/// Removes a directory of ours aside.
pub(crate) fn remove_aside(directory: &Path) {
    let gone = directory.with_extension(GONE);
    match fs::rename(directory, &gone) {
        Ok(()) => aside(move || copy::remove(&gone)),
        Err(_) => drop(copy::remove(directory)),
    }
}

/// The directory of one task.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    root: PathBuf,
    working_index: PathBuf,
}

/// Of which checkout the files were made: noted by us, where no agent writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) commit: String,
    /// Names of prepared checkouts, the uppermost first. None: the files were all copied.
    pub(crate) lower: Vec<String>,
    /// The name of the warm layer over these.
    pub(crate) warm: Option<String>,
}

impl Layers {
    pub(crate) fn of(workspaces: &Path, task: TaskId) -> Self {
        let root = workspaces.with_file_name("layers").join(task.to_string());
        Self { working_index: root.join("compared"), root }
    }

    /// For a comparison beside the company's own.
    #[must_use]
    pub(crate) fn compared_at(mut self, index: &Path) -> Self {
        index.clone_into(&mut self.working_index);
        self
    }

    /// The prepared checkouts that workspaces are made of.
    pub(crate) fn used(workspaces: &Path) -> HashSet<String> {
        let entries = fs::read_dir(workspaces.with_file_name("layers")).into_iter().flatten().flatten();
        let layers = entries.map(|entry| Self { working_index: PathBuf::new(), root: entry.path() });
        layers
            .filter_map(|layers| layers.origin())
            .flat_map(|origin| origin.warm.into_iter().chain(origin.lower))
            .collect()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.root.join("upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where git compares the files by a copy of an index.
    pub(crate) fn working_index(&self) -> PathBuf {
        self.working_index.clone()
    }

    /// The index of files that were all copied, as it was when they had been.
    pub(crate) fn kept_index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Where a repository of ours may be, beside the agent's.
    pub(crate) fn facade(&self) -> PathBuf {
        self.root.join("facade")
    }

    /// The one that is there has an upper layer.
    pub(crate) fn is_layered(&self) -> bool {
        plain::is_directory(&self.upper())
    }

    /// The overlay to be mounted at `target` to see its files, if these are layers.
    pub(crate) fn overlay(&self, checkouts: &Checkouts, target: &Path) -> Option<Overlay> {
        let origin = self.origin().filter(|_| self.is_layered())?;
        Some(Overlay {
            lower: origin.warm.iter().chain(&origin.lower).map(|name| checkouts.tree(name)).collect(),
            upper: self.upper(),
            work: self.work(),
            target: target.to_owned(),
        })
    }

    /// Takes the layers for one mount that changes them, for as long as the file is open. None where there are no layers.
    pub(crate) fn claim(&self) -> Result<Option<File>, WorkspaceError> {
        if !self.is_layered() {
            return Ok(None);
        }
        let upper = self.upper();
        let file = File::open(&upper).map_err(WorkspaceError::io("open", &upper))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(WorkspaceError::InUse),
            Err(TryLockError::Error(error)) => Err(WorkspaceError::io("lock", &upper)(error)),
        }
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        let bytes = plain::read(&self.root, Path::new("origin"), 1 << 20).ok()??;
        let text = String::from_utf8(bytes).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        let commit = lines.next().filter(|id| is_commit(id))?;
        let (warm, lower): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with(WARM));
        let warm = warm.first().map(|line| line[WARM.len()..].to_owned());
        Some(Origin { commit, lower, warm })
    }

    pub(crate) fn note(&self, origin: &Origin) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        let warm = origin.warm.as_ref().map(|name| format!("{WARM}{name}"));
        let lines = std::iter::once(&origin.commit).chain(&origin.lower).chain(&warm);
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        plain::replace(&self.root.join("origin"), &text)
    }

    /// Notes that an agent is about to work in it.
    pub(crate) fn begin(&self) -> io::Result<()> {
        File::create(self.root.join(BEGUN)).map(drop)
    }

    /// True if an agent may have been at work in it.
    pub(crate) fn has_begun(&self) -> bool {
        self.root.join(BEGUN).symlink_metadata().is_ok()
    }

    /// Puts a warm layer over the checkouts. Nobody may have these mounted.
    pub(crate) fn warmed(&self, name: &str) -> io::Result<()> {
        let origin = self.origin().ok_or(io::ErrorKind::NotFound)?;
        self.note(&Origin { warm: Some(name.to_owned()), ..origin })
    }

    /// The index of files that were all copied, if it was kept.
    pub(crate) fn known(&self) -> Option<Index> {
        let origin = self.origin()?;
        let kept = self.kept_index();
        kept.is_file().then(|| Index::new(&kept, &self.working_index(), &origin.commit))
    }

    /// Removes the layers alone. They are gone at once, or not at all.
    pub(crate) fn drop_layers(&self) -> io::Result<()> {
        make_removable(&self.work());
        let gone = self.root.join("upper.gone");
        copy::remove(&gone)?;
        fs::rename(self.upper(), &gone)?;
        copy::remove(&gone)?;
        copy::remove(&self.work())
    }

    /// Removes all, with the files at `place`, where they are seen or are. Nobody finds a part of it: an attempt that is begun
    /// anew would take what is missing for deleted.
    pub(crate) fn remove(&self, place: &Path) -> io::Result<()> {
        match self.put_aside(place)? {
            Some(gone) => gone.destroy(),
            None => Ok(()),
        }
    }

    /// The same, but nobody waits: only the names are gone at once. Where each directory is a write to the disk (`discard`) the
    /// rest takes longer than all else of an attempt's end.
    pub(crate) fn remove_aside(&self, place: &Path) -> io::Result<()> {
        if let Some(gone) = self.put_aside(place)? {
            aside(move || gone.destroy());
        }
        Ok(())
    }

    /// Gives everything another name.
    fn put_aside(&self, place: &Path) -> io::Result<Option<Self>> {
        let gone = Self { working_index: PathBuf::new(), root: self.root.with_extension(GONE) };
        // One from before is in the way.
        gone.destroy()?;
        let is_there = match fs::rename(&self.root, &gone.root) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        // Usually an empty directory, where the layers were seen.
        match fs::remove_dir(place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                fs::create_dir_all(&gone.root)?;
                // It may be on another file system.
                fs::rename(place, gone.root.join("files")).or_else(|_| copy::remove(place))?;
                return Ok(Some(gone));
            }
        }
        Ok(is_there.then_some(gone))
    }

    fn destroy(&self) -> io::Result<()> {
        make_removable(&self.work());
        copy::remove(&self.root)
    }

    /// Removes what a killed company has left half removed.
    pub(crate) fn sweep(workspaces: &Path) {
        let entries = fs::read_dir(workspaces.with_file_name("layers")).into_iter().flatten().flatten();
        let gone = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == GONE));
        for layers in gone.map(|root| Self { working_index: PathBuf::new(), root }) {
            // Somebody may be at it just now. What is left is tried again.
            if let Err(error) = layers.destroy() {
                tracing::debug!(path = %layers.root.display(), %error, "a workspace's files are left");
            }
        }
    }
}
