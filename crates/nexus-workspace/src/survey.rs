//! A look through a workspace's files: which are new, which git ignores, and what is not looked into. git itself is not let
//! walk there: it opens what nested repositories name, and waits for pipes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use crate::entry::{self, Kind, Over};
use crate::error::WorkspaceError;
use crate::git::{Git, entries};
use crate::paths::{bytes, from_bytes, lines};
use crate::plain;

/// Directories of what tools make again at will. What is ignored in them is not kept for.
const CACHES: [&str; 10] = [
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
    "dist",
    "build",
    ".pytest_cache",
    ".mypy_cache",
    ".gradle",
    ".next",
];

/// Before a name that begins with a colon: git would take that for a pattern's magic. This command doesn't know literal ones.
const PLAIN: &[u8] = b"./";

/// Beyond this a look takes minutes, and what is there is no work.
const MANY: usize = 2_000_000;
/// Ignored files that are counted one by one.
const COUNTED: usize = 1000;

/// The contents of one directory.
#[derive(Debug, Default)]
struct Listing {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    gone: Vec<PathBuf>,
    opaque: Vec<PathBuf>,
    moved: Vec<(PathBuf, PathBuf)>,
    nested: Vec<PathBuf>,
    unread: Vec<PathBuf>,
}

/// Of a commit: mode and id of each path.
pub(crate) type Entries = BTreeMap<PathBuf, (String, String)>;

/// The findings of a survey.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The commit's entries of all that was found, where it wasn't listed before.
    pub(crate) entries: Entries,
    /// Files that are there and known to the commit.
    pub(crate) present: Vec<PathBuf>,
    pub(crate) new: Vec<PathBuf>,
    /// Paths that git ignores, outside of caches.
    pub(crate) ignored: Vec<PathBuf>,
    /// Repositories within: what lies in them is not looked into.
    pub(crate) nested: Vec<PathBuf>,
    /// Directories that can't be read, or lie too deep.
    pub(crate) unread: Vec<PathBuf>,
    /// Of a layer: names that it hides.
    pub(crate) gone: Vec<PathBuf>,
    /// Of a layer: directories that hide what is below.
    pub(crate) opaque: Vec<PathBuf>,
    /// Of a layer: directories whose lower part comes from elsewhere: to, from.
    pub(crate) moved: Vec<(PathBuf, PathBuf)>,
}

/// The sort that a path was found to be; a link is a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    File,
    Directory,
}

/// Who knows which paths a commit has.
pub(crate) enum Tracked<'a> {
    /// All of them: files, and the directories that hold some.
    Listed { files: &'a BTreeSet<PathBuf>, directories: &'a BTreeSet<PathBuf> },
    /// To be asked for.
    Commit(&'a str),
}

/// A directory of files, and git to ask about them.
pub(crate) struct Surveyor<'a> {
    pub(crate) root: &'a Path,
    pub(crate) git: &'a Git,
    pub(crate) tracked: Tracked<'a>,
    /// Submodules: not looked into either.
    pub(crate) submodules: &'a BTreeSet<PathBuf>,
}

impl Surveyor<'_> {
    pub(crate) async fn survey(&self) -> Result<Survey, WorkspaceError> {
        let mut survey = Survey::default();
        let mut level = vec![PathBuf::new()];
        let mut seen = 0;
        while !level.is_empty() {
            let listing = self.list(level).await?;
            seen += listing.files.len() + listing.directories.len();
            if seen > MANY {
                return Err(WorkspaceError::TooMany { root: self.root.to_owned(), files: MANY });
            }
            survey.nested.extend(listing.nested);
            survey.unread.extend(listing.unread);
            survey.gone.extend(listing.gone);
            survey.opaque.extend(listing.opaque);
            survey.moved.extend(listing.moved);
            let entries = self.entries(listing.files.iter().chain(&listing.directories)).await?;
            let (present, unknown) = self.known(listing.files, Sort::File, &entries, &mut survey);
            let (tracked, untracked) = self.known(listing.directories, Sort::Directory, &entries, &mut survey);
            survey.present.extend(present);
            survey.entries.extend(entries);
            let ignored = self.ignored(unknown.iter().chain(&untracked)).await?;
            let (ignored_files, new) = unknown.into_iter().partition(|path| ignored.contains(path));
            survey.new.extend::<Vec<PathBuf>>(new);
            let kept = ignored_files.into_iter().filter(|path: &PathBuf| !path.ancestors().skip(1).any(is_cache));
            survey.ignored.extend(kept);
            let (closed, open): (Vec<PathBuf>, Vec<PathBuf>) =
                untracked.into_iter().partition(|path| ignored.contains(path));
            for directory in closed {
                self.look_into_ignored(directory, &mut survey).await?;
            }
            level = tracked;
            level.extend(open);
        }
        survey.ignored.sort();
        survey.nested.sort();
        Ok(survey)
    }

    async fn list(&self, directories: Vec<PathBuf>) -> Result<Listing, WorkspaceError> {
        let root = self.root.to_owned();
        let submodules = self.submodules.clone();
        let listed = spawn_blocking(move || {
            let mut listing = Listing::default();
            for directory in directories {
                list(&root, &directory, &submodules, &mut listing);
            }
            listing
        });
        listed.await.map_err(|_| WorkspaceError::ShutDown)
    }

    /// The commit's entries of these paths; nothing where it was listed before.
    async fn entries(&self, paths: impl Iterator<Item = &PathBuf>) -> Result<Entries, WorkspaceError> {
        match &self.tracked {
            Tracked::Listed { .. } => Ok(Entries::new()),
            Tracked::Commit(commit) => tree_entries(self.git, commit, paths).await,
        }
    }

    /// Parts paths into those that the commit has, and the others.
    fn known(
        &self,
        paths: Vec<PathBuf>,
        sort: Sort,
        entries: &Entries,
        survey: &mut Survey,
    ) -> (Vec<PathBuf>, Vec<PathBuf>) {
        match &self.tracked {
            Tracked::Listed { files, directories } => {
                // What stands where the commit has the other sort is new.
                let known = if sort == Sort::File { files } else { directories };
                paths.into_iter().partition(|path| known.contains(path))
            }
            Tracked::Commit(_) => {
                let is_link = |path: &PathBuf| entries.get(path).is_some_and(|(mode, _)| mode == SUBMODULE);
                let (links, paths): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_link);
                // A file or a link may stand for one.
                let (directories, files): (Vec<_>, Vec<_>) =
                    links.into_iter().partition(|path| plain::is_directory(&self.root.join(path)));
                survey.nested.extend(directories.into_iter().filter(|path| is_filled(&self.root.join(path))));
                let (mut present, unknown): (Vec<_>, Vec<_>) =
                    paths.into_iter().partition(|path| entries.contains_key(path));
                present.extend(files);
                (present, unknown)
            }
        }
    }

    pub(crate) async fn ignored<'p>(
        &self,
        paths: impl Iterator<Item = &'p PathBuf>,
    ) -> Result<BTreeSet<PathBuf>, WorkspaceError> {
        let input = lines(paths.map(|path| [PLAIN, &bytes(path)].concat()));
        if input.is_empty() {
            return Ok(BTreeSet::new());
        }
        let doing = "look for ignored files";
        let found = self.git.feed(doing, ["check-ignore", "-z", "--stdin"], input).await?;
        // With 1 it says that none is.
        match found.status {
            nexus_core::attempt::ExitStatus::Code(0 | 1) => {
                let paths = entries(&found.stdout);
                Ok(paths.iter().map(|path| from_bytes(path.strip_prefix(PLAIN).unwrap_or(path))).collect())
            }
            _ => Err(self.git.refused(doing, &found)),
        }
    }

    /// Caches are made again; of others it is said what they hold.
    async fn look_into_ignored(&self, directory: PathBuf, survey: &mut Survey) -> Result<(), WorkspaceError> {
        let mut level = vec![directory];
        while !level.is_empty() && survey.ignored.len() < COUNTED {
            level.retain(|path| !is_cache(path));
            let listing = self.list(level).await?;
            survey.ignored.extend(listing.files);
            survey.nested.extend(listing.nested);
            survey.unread.extend(listing.unread);
            level = listing.directories;
        }
        Ok(())
    }
}

fn is_cache(path: &Path) -> bool {
    path.file_name().is_some_and(|name| CACHES.iter().any(|cache| name == *cache))
}

fn list(root: &Path, directory: &Path, submodules: &BTreeSet<PathBuf>, listing: &mut Listing) {
    let place = root.join(directory);
    let is_root = directory.as_os_str().is_empty();
    if !is_root && place.join(".git").symlink_metadata().is_ok() || submodules.contains(directory) {
        if is_filled(&place) {
            listing.nested.push(directory.to_owned());
        }
        return;
    }
    match entry::over(&place) {
        Over::Opaque => listing.opaque.push(directory.to_owned()),
        Over::Moved(from) => {
            let from = match from.strip_prefix("/") {
                Ok(from) => from.to_owned(),
                Err(_) => directory.parent().unwrap_or(Path::new("")).join(from),
            };
            listing.moved.push((directory.to_owned(), from));
        }
        Over::Merged => {}
    }
    let entries = match fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                listing.unread.push(directory.to_owned());
            }
            return;
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_root && name == OsStr::new(".git") {
            continue;
        }
        let path = directory.join(name);
        match entry::kind(&entry) {
            Some(Kind::Directory) => listing.directories.push(path),
            Some(Kind::File | Kind::Link) => listing.files.push(path),
            Some(Kind::Gone) => listing.gone.push(path),
            Some(Kind::Special) | None => {}
        }
    }
}

fn is_filled(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut dir| dir.next().is_some())
}

/// The mode of an entry that is a submodule.
pub(crate) const SUBMODULE: &str = "160000";

/// The mode of an entry that is a directory.
pub(crate) const TREE: &str = "040000";

/// git that takes each path as it is.
fn literal(git: &Git) -> Git {
    git.clone().env("GIT_LITERAL_PATHSPECS", "1")
}

/// A commit's entries at each of `paths`: mode and id. A path that it doesn't have is left out.
pub(crate) async fn tree_entries(
    git: &Git,
    commit: &str,
    paths: impl IntoIterator<Item = &PathBuf>,
) -> Result<Entries, WorkspaceError> {
    let mut found = Entries::new();
    let mut levels: BTreeMap<usize, Vec<&PathBuf>> = BTreeMap::new();
    for path in paths {
        levels.entry(path.components().count()).or_default().push(path);
    }
    // A directory isn't told of where something within is asked for too. So many fit on a command line, whatever their length.
    for some in levels.values().flat_map(|level| level.chunks(400)) {
        let args = ["ls-tree", "-z", "--full-tree", commit, "--"].map(std::ffi::OsString::from);
        let args = args.into_iter().chain(some.iter().map(|path| path.as_os_str().to_owned()));
        let printed = literal(git).list("look into the commit", args).await?;
        found.extend(printed.iter().filter_map(|line| tree_line(line)));
    }
    Ok(found)
}

/// All files of a commit below a directory, with mode and id.
pub(crate) async fn tree_below(git: &Git, commit: &str, directory: &Path) -> Result<Entries, WorkspaceError> {
    let args = ["ls-tree", "-r", "-z", "--full-tree", commit, "--"].map(std::ffi::OsString::from);
    let printed =
        literal(git).list("look into the commit", args.into_iter().chain([directory.as_os_str().to_owned()])).await?;
    Ok(printed.iter().filter_map(|line| tree_line(line)).collect())
}

/// Reads `<mode> <kind> <id>\t<path>`.
fn tree_line(line: &[u8]) -> Option<(PathBuf, (String, String))> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(line.get(..tab)?).ok()?;
    let mut parts = head.split(' ');
    let (mode, _, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some((from_bytes(line.get(tab + 1..)?), (mode.to_owned(), id.to_owned())))
}
