//! Warm layers: what commands such as `npm ci` have made on a prepared checkout, once, for every task that starts from it.
//!
//! A warm layer is kept beside its checkout. `tree` lies over the checkout's files, `home` below the agent's own home. It is
//! made in a directory that is locked for as long as the commands run: who is killed leaves one that nobody holds.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::Overlay;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::checkouts::{Checkouts, cleared, note_about};
use crate::clone::PrivateClone;
use crate::copy;
use crate::entry::{self, Kind, Over};
use crate::error::WorkspaceError;
use crate::git::Git;
use crate::layers::Layers;
use crate::paths::from_bytes;
use crate::plain;

/// Ends the name of one that is being made.
pub(crate) const WARMING: &str = "warming";
/// The directories of one that is being made, and of one that is ready.
const PARTS: [&str; 3] = ["upper", "work", "private"];
const KEPT: [&str; 2] = ["tree", "home"];
/// Between two looks whether somebody else has made it by now.
const LOOK: Duration = Duration::from_millis(100);

/// Where commands run that make a warm layer. Dropped, it is given up: they must have ended by then.
#[derive(Debug)]
pub struct Warming {
    /// The overlay that has to be mounted for them. What they write comes into the layer.
    pub overlay: Overlay,
    /// A directory for what is private to them: the agent's home is to be `home` in it.
    pub private: PathBuf,
    place: PathBuf,
    name: String,
    /// The commit of the checkout that it lies over.
    over: String,
    checkouts: Checkouts,
    layers: Layers,
    git: Git,
    lock: File,
}

/// The warm layer of a workspace.
#[derive(Debug)]
pub enum Warmth {
    /// It has one. With what was left in the home of the commands.
    Warm { home: Option<PathBuf> },
    /// It lies over no checkout, or an attempt has been at work in it.
    Never,
    /// Nobody has made it.
    ToBeMade(Box<Warming>),
}

impl PrivateClone {
    /// Looks for the layer that `recipe` makes, and puts it into the workspace if it is there. Waits while somebody makes it.
    pub(crate) async fn warm(&self, recipe: &[String]) -> Result<Warmth, WorkspaceError> {
        let Some(origin) = self.layers.origin().filter(|_| self.layers.is_layered()) else { return Ok(Warmth::Never) };
        if let Some(name) = &origin.warm {
            return Ok(Warmth::Warm { home: self.checkouts.home(name) });
        }
        if self.layers.has_begun() {
            return Ok(Warmth::Never);
        }
        let prefix = self.branch.repository.prefix.to_string_lossy().into_owned();
        let name = name(&origin.lower, &prefix, recipe);
        let place = self.checkouts.place(&name);
        let partial = place.with_added_extension(WARMING);
        let lock = loop {
            if self.checkouts.use_warm(&name) {
                self.layers.warmed(&name).map_err(WorkspaceError::io("write", self.layers.root()))?;
                return Ok(Warmth::Warm { home: self.checkouts.home(&name) });
            }
            match locked(&partial).map_err(WorkspaceError::io("create", &partial))? {
                Some(lock) if !plain::is_directory(&place.join("tree")) => break lock,
                // It was made just now.
                Some(_) => drop(fs::remove_dir(&partial)),
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let [upper, work, private] = PARTS.map(|part| partial.join(part));
        // From a maker that was killed.
        for part in PARTS.into_iter().chain(KEPT) {
            cleared(&partial.join(part)).await?;
        }
        for part in [&upper, &work, &private] {
            fs::create_dir(part).map_err(WorkspaceError::io("create", part))?;
        }
        let seen = self.overlay().ok_or_else(|| WorkspaceError::io("read", self.layers.root())(gone()))?;
        // Its repository is the task's own, which nobody has changed yet.
        let lower = [vec![seen.upper], seen.lower].concat();
        let index = self.checkouts.index(&origin.lower[0], Path::new(""), &origin.commit).kept;
        Ok(Warmth::ToBeMade(Box::new(Warming {
            overlay: Overlay { lower, upper, work, target: seen.target },
            private,
            place: partial,
            name,
            over: origin.commit,
            checkouts: self.checkouts.clone(),
            layers: self.layers.clone(),
            git: self.branch.repository.git().index(&index),
            lock,
        })))
    }
}

impl Warming {
    /// Keeps what the commands have made, and puts it into the workspace. Returns what was left in their home.
    pub async fn keep(self) -> Result<Option<PathBuf>, WorkspaceError> {
        let tracked = self.git.list("list the files", ["ls-files", "-z"]).await?;
        let tracked: BTreeSet<PathBuf> = tracked.iter().map(|path| from_bytes(path)).collect();
        // The lock goes along: whoever gives up waiting doesn't give it up.
        let kept = spawn_blocking(move || {
            self.put_in_place(&tracked).map_err(WorkspaceError::io("keep", &self.place))?;
            Ok(self.checkouts.home(&self.name))
        });
        kept.await.map_err(|_| WorkspaceError::ShutDown)?
    }

    fn put_in_place(&self, tracked: &BTreeSet<PathBuf>) -> io::Result<()> {
        let (from, to) = (&self.place, self.checkouts.place(&self.name));
        let upper = from.join("upper");
        strip(&upper, tracked)?;
        let home = from.join("private/home");
        if plain::is_directory(&home) && fs::read_dir(&home)?.next().is_some() {
            fs::rename(&home, from.join("home"))?;
        }
        for part in ["private", "work"] {
            copy::remove(&from.join(part))?;
        }
        fs::rename(&upper, from.join("tree"))?;
        note_about(from, size(from), Some(&self.over))?;
        fs::rename(from, &to)?;
        self.layers.warmed(&self.name)
    }
}

impl Drop for Warming {
    fn drop(&mut self) {
        // Kept, it has another name by now, and somebody else may have its place.
        if is_at(&self.lock, &self.place) {
            crate::layers::remove_aside(&self.place);
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Beside the checkout, named by all that it is made of.
fn name(lower: &[String], prefix: &str, recipe: &[String]) -> String {
    let mut hash = Sha256::new();
    for list in [lower, &[prefix.to_owned()], recipe] {
        hash.update(list.len().to_le_bytes());
        for part in list {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", lower[0])
}

/// Makes a directory that is ours alone until the file is closed. None: it is somebody else's.
pub(crate) fn locked(place: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(place)?;
    let Ok(file) = File::open(place) else { return Ok(None) };
    match file.try_lock() {
        // Who held it before has given it up, or made something else of it.
        Ok(()) => Ok(is_at(&file, place).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(unix)]
fn is_at(file: &File, place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (held, found) = (file.metadata().map(id), place.symlink_metadata().map(id));
    held.is_ok_and(|held| found.is_ok_and(|found| held == found))
}

#[cfg(not(unix))]
const fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Takes out of a layer what is the checkout's own: its repository, and each tracked file, which is then seen as it was
/// committed. What is neither a file, a link nor a directory goes too.
fn strip(layer: &Path, tracked: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut places = vec![PathBuf::new()];
    while let Some(place) = places.pop() {
        make_ours(&layer.join(&place))?;
        for entry in fs::read_dir(layer.join(&place))? {
            let entry = entry?;
            let (path, at) = (place.join(entry.file_name()), entry.path());
            let is_own = path == Path::new(".git") || tracked.contains(&path);
            // Of a directory that is tracked nothing can be hidden, and none can be moved.
            match entry::kind(&entry) {
                Some(Kind::Directory) if is_own || matches!(entry::over(&at), Over::Moved(_)) => copy::remove(&at)?,
                Some(Kind::Directory) => {
                    if entry::over(&at) == Over::Opaque {
                        make_ours(&at)?;
                        entry::merge(&at)?;
                    }
                    places.push(path);
                }
                Some(Kind::File | Kind::Link) if !is_own && !holds_any(tracked, &path) => {}
                Some(_) => fs::remove_file(&at)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Some tracked file lies below it.
fn holds_any(tracked: &BTreeSet<PathBuf>, path: &Path) -> bool {
    tracked.range(path.to_owned()..).find(|found| *found != path).is_some_and(|found| found.starts_with(path))
}

/// Lets the owner look into a directory and change it, which he needn't be allowed to.
#[cfg(unix)]
fn make_ours(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = directory.symlink_metadata()?.permissions().mode();
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(mode & 0o7777 | 0o700))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where there are permissions")]
const fn make_ours(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The bytes that all files below take, as far as they can be looked at.
fn size(directory: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(taken(&metadata));
            if metadata.is_dir() {
                places.push(entry.path());
            }
        }
    }
    bytes
}

/// A file with holes takes less than it is long.
#[cfg(unix)]
fn taken(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.blocks().saturating_mul(512)
}

#[cfg(not(unix))]
fn taken(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
