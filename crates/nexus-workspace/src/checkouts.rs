//! Prepared checkouts: the files of a commit, made once, and shared by all tasks that start from it as the lower layer of
//! their workspaces.
//!
//! A checkout is a directory with the files in `tree` (and the index that goes with them in `tree/.git`), and beside it
//! `index`, by which they are compared. One that differs little from another has only the differing files, over that one.

mod over;
mod stock;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::copy;
use crate::error::WorkspaceError;
use crate::filters::Filters;
use crate::git::Git;
use crate::index::{self, Difference, Index, difference};
use crate::lfs;
use crate::medium::Medium;
use crate::paths::{bytes, lines};
use crate::plain;
use crate::racy::Measure;
use crate::repository::Repository;
use crate::settings::Settings;
use crate::submodules;

pub use stock::{Bounds, Stock};

/// A shelf's lock: who holds it makes checkouts there.
const LOCK: &str = "lock";
/// Ends the name of what is being made.
const PARTIAL: &str = "partial";
/// More differing files than this are not less work than all of them.
const FEW: usize = 5_000;
/// Whole checkouts that a new commit is compared with.
const NEAR: usize = 3;

/// All checkouts of a company.
#[derive(Clone, Debug)]
pub(crate) struct Checkouts {
    root: PathBuf,
}

/// One that is ready.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// Names below the directory of all, the uppermost first.
    pub(crate) lower: Vec<String>,
}

/// A repository's checkouts of one kind: made by the same filters, for the same part of the files.
struct Shelf<'a> {
    settings: &'a Settings,
    /// The repository's shared git directory.
    common: &'a Path,
    root: PathBuf,
    name: String,
    git: Git,
    spot: &'a Spot,
}

/// Where in a workspace the files of a checkout are, and its git directory: those of a submodule are elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    /// From the root; empty for the root itself.
    pub(crate) path: PathBuf,
    /// From the outermost `.git`; empty for that itself.
    pub(crate) git_dir: PathBuf,
}

impl Spot {
    fn index(&self, tree: &Path) -> PathBuf {
        tree.join(".git").join(&self.git_dir).join("index")
    }
}

impl Checkouts {
    /// Beside the directory of the workspaces.
    pub(crate) fn beside(workspaces: &Path) -> Self {
        Self { root: workspaces.with_file_name("checkouts") }
    }

    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The files of a checkout or a warm layer, to be mounted.
    pub(crate) fn tree(&self, name: &str) -> PathBuf {
        self.place(name).join("tree")
    }

    /// The home of the commands that made a warm layer, if they have left something in it.
    pub(crate) fn home(&self, name: &str) -> Option<PathBuf> {
        Some(self.place(name).join("home")).filter(|home| plain::is_directory(home))
    }

    /// The index that the files of a workspace are compared by.
    pub(crate) fn index(&self, name: &str, working: &Path, commit: &str) -> Index {
        Index::new(&self.root.join(name).join("index"), working, commit)
    }

    /// True if all of it is there.
    pub(crate) fn has(&self, names: &[String]) -> bool {
        !names.is_empty() && names.iter().all(|name| plain::is_directory(&self.tree(name)))
    }

    /// True if a warm layer is there, which then counts as used just now.
    pub(crate) fn use_warm(&self, name: &str) -> bool {
        self.has(&[name.to_owned()]) && touch(&self.place(name)).is_ok()
    }

    /// The checkout of a commit, made if it isn't there. `are_agents` says that an agent has had its files in hand.
    pub(crate) async fn get(
        &self,
        repository: &Repository,
        settings: &Settings,
        commit: &str,
        spot: &Spot,
        are_agents: bool,
    ) -> Result<Checkout, WorkspaceError> {
        let shelf = self.shelf(repository, settings, spot, are_agents)?;
        if let Some(found) = shelf.find(commit) {
            return Ok(found);
        }
        let _lock = shelf.lock().await?;
        // Somebody else may have made it meanwhile.
        if let Some(found) = shelf.find(commit) {
            return Ok(found);
        }
        shelf.make(commit).await
    }

    fn shelf<'a>(
        &self,
        repository: &'a Repository,
        settings: &'a Settings,
        spot: &'a Spot,
        are_agents: bool,
    ) -> Result<Shelf<'a>, WorkspaceError> {
        fs::create_dir_all(&self.root).map_err(WorkspaceError::io("create", &self.root))?;
        let filters = if are_agents { Filters::for_agents_files(settings) } else { Filters::for_own_files(settings) };
        let mut set = filters.settings();
        set.extend(Medium::of(&self.root).settings());
        let mut hash = Sha256::new();
        let mut take = |bytes: &[u8]| {
            hash.update(bytes);
            hash.update([0]);
        };
        take(&bytes(&repository.common));
        take(&bytes(&spot.path));
        take(&bytes(&spot.git_dir));
        set.iter().for_each(|(key, value)| take(format!("{key}={value}").as_bytes()));
        for key in
            ["core.autocrlf", "core.eol", "core.attributesfile", "core.sparsecheckout", "core.sparsecheckoutcone"]
        {
            take(settings.get(key).unwrap_or("-").as_bytes());
        }
        settings.section("filter").for_each(|(name, key, value, _)| take(format!("{name}.{key}={value}").as_bytes()));
        let own = repository.own_git_dir();
        if settings.is_set("core.sparsecheckout") {
            take(&plain::content(&own.join("info/sparse-checkout")));
        }
        take(&plain::content(&repository.common.join("info/attributes")));
        let name: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let root = self.root.join(&name);
        fs::create_dir_all(&root).map_err(WorkspaceError::io("create", &root))?;
        let git = repository.git().env("GIT_DIR", own).settings(&set);
        Ok(Shelf { settings, common: &repository.common, root, name, git, spot })
    }
}

/// The notes of a checkout, in its file `about`, whose time is that of its last use.
struct About {
    bytes: u64,
    /// The commit of the checkout that it lies over.
    over: Option<String>,
    used: SystemTime,
}

impl About {
    fn read(place: &Path) -> Option<Self> {
        let path = place.join("about");
        let text = fs::read_to_string(&path).ok()?;
        let mut lines = text.lines();
        let bytes = lines.next()?.parse().ok()?;
        let over = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
        Some(Self { bytes, over, used: path.metadata().ok()?.modified().ok()? })
    }
}

impl Shelf<'_> {
    fn place(&self, commit: &str) -> PathBuf {
        self.root.join(commit)
    }

    fn find(&self, commit: &str) -> Option<Checkout> {
        let about = About::read(&self.place(commit))?;
        plain::is_directory(&self.place(commit).join("tree")).then_some(())?;
        let mut lower = vec![format!("{}/{commit}", self.name)];
        for commit in std::iter::once(commit).chain(about.over.as_deref()) {
            touch(&self.place(commit)).ok()?;
        }
        if let Some(over) = about.over {
            plain::is_directory(&self.place(&over).join("tree")).then_some(())?;
            lower.push(format!("{}/{over}", self.name));
        }
        Some(Checkout { lower })
    }

    /// One maker at a time; a process that is killed gives it up.
    async fn lock(&self) -> Result<File, WorkspaceError> {
        let path = self.root.join(LOCK);
        let locked = spawn_blocking(move || {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            file.and_then(|file| file.lock().map(|()| file)).map_err(WorkspaceError::io("lock", &path))
        });
        locked.await.map_err(|_| WorkspaceError::ShutDown)?
    }

    async fn make(&self, commit: &str) -> Result<Checkout, WorkspaceError> {
        let partial = self.root.join(format!("{commit}.{PARTIAL}"));
        let io = |doing| WorkspaceError::io(doing, &partial);
        cleared(&partial).await?;
        fs::create_dir_all(partial.join("tree")).map_err(io("create"))?;
        let made = async {
            let over = match self.nearest(commit).await? {
                Some((over, changed)) => self.over(&partial, &over, commit, &changed).await?.then_some(over),
                None => None,
            };
            if over.is_none() {
                self.whole(&partial, commit).await?;
            }
            let root = partial.join("tree").join(&self.spot.path);
            lfs::fill(&self.at(&partial), self.settings, self.common, &root, commit).await?;
            let bytes = self.settle(&partial).await.map_err(io("read"))?;
            self.keep_index(&partial).await?;
            Ok((over, bytes))
        };
        let made = match made.await {
            Ok((over, bytes)) => {
                // Somebody may have deleted a part of the one before.
                cleared(&self.place(commit)).await?;
                note_about(&partial, bytes, over.as_deref())
                    .map_err(io("write"))
                    .and_then(|()| fs::rename(&partial, self.place(commit)).map_err(io("rename")))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            let _ = cleared(&partial).await;
            return Err(error);
        }
        self.find(commit).ok_or_else(|| WorkspaceError::io("read", &self.place(commit))(io::ErrorKind::NotFound.into()))
    }

    fn at(&self, partial: &Path) -> Git {
        let tree = partial.join("tree");
        self.git.clone().env("GIT_WORK_TREE", tree.join(&self.spot.path)).index(&self.spot.index(&tree))
    }

    /// The directories that files and index come into.
    fn begin(&self, tree: &Path) -> Result<(), WorkspaceError> {
        let made = || {
            fs::create_dir_all(tree.join(".git").join(&self.spot.git_dir))?;
            let files = tree.join(&self.spot.path);
            fs::create_dir_all(&files)?;
            if self.spot.path.as_os_str().is_empty() {
                return Ok(());
            }
            fs::write(files.join(".git"), submodules::git_file(&self.spot.path, &self.spot.git_dir))
        };
        made().map_err(WorkspaceError::io("create", tree))
    }

    /// All files.
    async fn whole(&self, partial: &Path, commit: &str) -> Result<(), WorkspaceError> {
        let tree = partial.join("tree");
        cleared(&tree).await?;
        self.begin(&tree)?;
        let git = self.at(partial);
        // By merging it with nothing the user's sparse patterns count.
        git.text("check out the files", ["read-tree", "-m", "-u", commit]).await.map(drop)
    }

    /// The whole checkout that differs least, and in what.
    async fn nearest(&self, commit: &str) -> Result<Option<(String, Vec<Difference>)>, WorkspaceError> {
        let mut whole: Vec<(SystemTime, String)> = fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let about = About::read(&entry.path()).filter(|_| plain::is_directory(&entry.path().join("tree")))?;
                about.over.is_none().then(|| (about.used, entry.file_name().to_string_lossy().into_owned()))
            })
            .filter(|(_, name)| crate::base::is_commit(name))
            .collect();
        whole.sort();
        let mut nearest: Option<(String, Vec<Difference>)> = None;
        for (_, other) in whole.into_iter().rev().take(NEAR) {
            // Its commit may have been pruned.
            let Ok(changed) = difference(&self.git, &other, commit).await else { continue };
            if changed.len() <= FEW && nearest.as_ref().is_none_or(|(_, found)| changed.len() < found.len()) {
                nearest = Some((other, changed));
            }
        }
        Ok(nearest)
    }

    /// Makes the index newer than the files. Returns the bytes of all.
    async fn settle(&self, partial: &Path) -> io::Result<u64> {
        let tree = partial.join("tree");
        let index = self.spot.index(&tree);
        let looked = {
            let index = index.clone();
            spawn_blocking(move || Measure::of(&tree, &index))
        };
        let measure = looked.await.map_err(io::Error::other)??;
        measure.settle(&index).await?;
        Ok(measure.bytes)
    }

    /// The index by which the files of workspaces are compared. These have no `.gitignore` but those that an agent has
    /// touched; git reads the others from the index where it is told that they are left out.
    async fn keep_index(&self, partial: &Path) -> Result<(), WorkspaceError> {
        let from = self.spot.index(&partial.join("tree"));
        let to = partial.join("index");
        index::copy(&from, &to).map_err(WorkspaceError::io("copy", &from))?;
        let git = self.at(partial).index(&to);
        let ignoring = ["ls-files", "-z", "--", ":(top,glob)**/.gitignore"];
        let ignoring = git.list("look for .gitignore", ignoring).await?;
        if ignoring.is_empty() {
            return Ok(());
        }
        let args = ["update-index", "--skip-worktree", "-z", "--stdin"];
        git.fed("mark .gitignore", args, lines(ignoring)).await.map(drop)
    }
}

/// Removes a directory, which may have any number of files.
pub(crate) async fn cleared(directory: &Path) -> Result<(), WorkspaceError> {
    let path = directory.to_owned();
    let removed = spawn_blocking(move || copy::remove(&path)).await.map_err(|_| WorkspaceError::ShutDown)?;
    removed.map_err(WorkspaceError::io("remove", directory))
}

/// Notes that one was used.
fn touch(place: &Path) -> io::Result<()> {
    let now = fs::FileTimes::new().set_modified(SystemTime::now());
    File::options().append(true).open(place.join("about"))?.set_times(now)
}

pub(crate) fn note_about(partial: &Path, bytes: u64, over: Option<&str>) -> io::Result<()> {
    fs::write(partial.join("about"), format!("{bytes}\n{}\n", over.unwrap_or_default()))
}
