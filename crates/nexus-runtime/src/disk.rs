//! Room on the disk of the data directory. When the disk is short, the files that ended attempts left there are removed; the
//! biggest places are named, and an attempt that has filled the disk.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nexus_core::id::TaskId;
use nexus_process::{Beneath, Space};
use nexus_workspace::Workspaces;

/// A home is worth its session until it holds this much of a disk that is full.
const BIG_HOME: u64 = 16 << 20;
/// The least that an attempt has to hold to be at fault.
const LEAST_FAULT: u64 = 16 << 20;
/// Entries that are looked at in one place, or in all together: on a full disk somebody waits for the answer.
const LOOKED_AT: usize = 200_000;
/// Entries that are looked at in each of many places.
const LEAST_SHARE: usize = 100;
/// Places that are named, and the least that each of them holds.
const NAMED: usize = 3;
const WORTH_NAMING: u64 = 1 << 20;

/// Less is free than is kept for what runs already.
pub(crate) fn is_short(data_dir: &Path) -> bool {
    Space::of(data_dir).is_some_and(|space| !space.read_only && space.free < space.reserve())
}

/// Where what is private to a task lies.
pub(crate) fn private(data_dir: &Path, task: TaskId) -> PathBuf {
    data_dir.join("private").join(task.to_string())
}

/// The tasks that have something private here.
pub(crate) fn remembered(data_dir: &Path) -> Vec<TaskId> {
    let entries = std::fs::read_dir(data_dir.join("private")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The disk as an attempt has found it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) free: u64,
    pub(crate) at: SystemTime,
}

/// The place where an attempt has filled the disk: the disk is short, and the attempt holds most of the room that it has found.
/// None: others are at fault.
pub(crate) fn filled_by(data_dir: &Path, task: TaskId, found: Found) -> Option<String> {
    if is_short(data_dir) { most_held(data_dir, task, found) } else { None }
}

fn most_held(data_dir: &Path, task: TaskId, found: Found) -> Option<String> {
    let mut left = LOOKED_AT;
    let places = children(&private(data_dir, task)).chain(workspace(data_dir, task));
    let sizes: Vec<(u64, PathBuf)> = places.map(|place| (size(&place, &mut left), place)).collect();
    let sum: u64 = sizes.iter().map(|(size, _)| size).sum();
    let (most, place) = sizes.into_iter().max()?;
    (sum >= LEAST_FAULT.max(found.free / 2)).then(|| format!("{} ({})", place.display(), shown(most)))
}

/// Where a task's workspace lies, if it is one of its own.
fn workspace(data_dir: &Path, task: TaskId) -> [PathBuf; 2] {
    ["workspaces", "layers"].map(|part| data_dir.join(part).join(task.to_string()))
}

/// Removes what an attempt that has failed wrote into its workspace, the biggest files first, until the disk has room again, and
/// says what.
pub(crate) fn remove_written(data_dir: &Path, task: TaskId, found: Found) -> Option<String> {
    filled_by(data_dir, task, found)?;
    remove_since(workspace(data_dir, task).into(), found.at, || is_short(data_dir))
}

fn remove_since(places: Vec<PathBuf>, since: SystemTime, is_short: impl Fn() -> bool) -> Option<String> {
    let mut files: Vec<Written> = places.iter().flat_map(|place| written(place, since)).collect();
    files.sort_by_key(|written| std::cmp::Reverse(written.size));
    let mut removed: Vec<(u64, PathBuf)> = Vec::new();
    for Written { size, place, below } in files {
        if !is_short() {
            break;
        }
        let file = place.join(&below);
        // What is on the way there may have become a link.
        match Beneath::open(place).and_then(|place| place.remove(&below)) {
            Ok(()) => removed.push((size, file)),
            Err(error) => tracing::warn!(path = %file.display(), "could not be removed to make room: {error}"),
        }
    }
    let (biggest, file) = removed.first()?;
    let sum = shown(removed.iter().map(|(size, _)| size).sum());
    let others = match removed.len() - 1 {
        0 => String::new(),
        1 => format!(" and 1 smaller file of its workspace, {sum} in all"),
        count => format!(" and {count} smaller files of its workspace, {sum} in all"),
    };
    Some(format!("the disk was full: removed {} ({}){others}", file.display(), shown(*biggest)))
}

/// A file by the place that an agent may write to, and its path below that.
struct Written<'a> {
    size: u64,
    place: &'a Path,
    below: PathBuf,
}

/// Files that were written since then. What git keeps isn't looked at, and links aren't followed.
fn written(place: &Path, since: SystemTime) -> Vec<Written<'_>> {
    let mut files = Vec::new();
    let mut open = vec![place.to_owned()];
    let mut left = LOOKED_AT;
    while let Some(path) = open.pop().filter(|_| left > 0) {
        left -= 1;
        let Ok(found) = path.symlink_metadata() else { continue };
        if found.is_dir() && path.file_name().is_none_or(|name| name != ".git") {
            let room = left.saturating_sub(open.len());
            open.extend(children(&path).take(room));
        } else if found.is_file() && found.modified().is_ok_and(|at| at >= since) {
            let below = path.strip_prefix(place).unwrap_or(&path).to_owned();
            files.push(Written { size: taken(&found), place, below });
        }
    }
    files
}

/// Makes room on a full disk by what an attempt that has ended left in its temporary directory, and then by its home, if that is
/// big. Says what was removed; none: there was room, or nothing to remove.
pub(crate) fn make_room(data_dir: &Path, task: TaskId) -> Option<String> {
    remove_left(&private(data_dir, task), || is_short(data_dir))
}

fn remove_left(private: &Path, is_short: impl Fn() -> bool) -> Option<String> {
    let mut removed = Vec::new();
    for (part, least) in [("tmp", 1), ("home", BIG_HOME)] {
        if !is_short() {
            break;
        }
        let place = private.join(part);
        // The directory itself is there again with the next attempt.
        let mut left = LOOKED_AT;
        let size: u64 = children(&place).map(|child| size(&child, &mut left)).sum();
        if size < least {
            continue;
        }
        match nexus_workspace::remove_all(&place) {
            Ok(()) => removed.push(format!("{} ({})", place.display(), shown(size))),
            Err(error) => tracing::warn!(path = %place.display(), "could not be removed to make room: {error}"),
        }
    }
    let removed = (!removed.is_empty()).then(|| removed.join(" and "))?;
    Some(format!("the disk was full: removed what the attempt had left in {removed}"))
}

/// Makes room before a company starts, when no attempt runs, and says what was removed.
#[must_use]
pub fn make_room_to_start(data_dir: &Path) -> Vec<String> {
    if !is_short(data_dir) {
        return Vec::new();
    }
    remembered(data_dir).into_iter().filter_map(|task| make_room(data_dir, task)).collect()
}

/// The places that hold most of a data directory, as a text such as `private/0198.../home (3.2 GiB)`; none: nothing is big.
#[must_use]
pub fn biggest(data_dir: &Path) -> Option<String> {
    biggest_of(data_dir, LOOKED_AT)
}

fn biggest_of(data_dir: &Path, mut left: usize) -> Option<String> {
    let mut places: Vec<(u64, PathBuf)> = Vec::new();
    let mut unknown: Vec<PathBuf> = Vec::new();
    for part in children(data_dir) {
        match part.file_name().and_then(|name| name.to_str()) {
            Some("private") => unknown.extend(children(&part).flat_map(|task| children(&task))),
            Some("workspaces" | "layers") => unknown.extend(children(&part)),
            Some("checkouts") => {
                places.push((Workspaces::new(data_dir.join("workspaces")).stock().bytes, part));
            }
            _ => unknown.push(part),
        }
    }
    let count = unknown.len();
    for (n, place) in unknown.into_iter().enumerate() {
        // What a small place leaves of its share is for those that follow.
        let share = (left / (count - n)).max(LEAST_SHARE);
        let mut rest = share;
        places.push((size(&place, &mut rest), place));
        left = left.saturating_sub(share - rest);
    }
    places.retain(|(size, _)| *size >= WORTH_NAMING);
    places.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let named = places.iter().take(NAMED).map(|(size, place)| {
        let below = place.strip_prefix(data_dir).unwrap_or(place);
        format!("{} ({})", below.display(), shown(*size))
    });
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// A directory's entries, as many as are looked at.
fn children(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).take(LOOKED_AT)
}

/// Bytes that a file or a directory takes on the disk, as far as `left` entries show it; links are not followed.
fn size(path: &Path, left: &mut usize) -> u64 {
    let mut sum = 0_u64;
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Some(fewer) = left.checked_sub(1) else { break };
        *left = fewer;
        let Ok(found) = path.symlink_metadata() else { continue };
        sum = sum.saturating_add(taken(&found));
        if found.is_dir() {
            // More of them are never looked at.
            let room = left.saturating_sub(open.len());
            open.extend(children(&path).take(room));
        }
    }
    sum
}

#[cfg(unix)]
fn taken(found: &std::fs::Metadata) -> u64 {
    // POSIX counts in blocks of 512 bytes, whatever the file system's own are.
    std::os::unix::fs::MetadataExt::blocks(found).saturating_mul(512)
}

#[cfg(not(unix))]
fn taken(found: &std::fs::Metadata) -> u64 {
    found.len()
}

fn shown(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes.div_ceil(1024)),
        mib @ 1..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_big_is_named_by_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let task = TaskId::from_idempotency_key("big");
        for (name, size) in [("tmp/big", 3 << 20), ("home/little", 10), ("home/more", 2 << 20)] {
            let path = private(dir.path(), task).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![1; size]).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("workspaces/x")).unwrap();
        std::fs::write(dir.path().join("history.db"), vec![1; 1 << 20]).unwrap();
        let said = biggest(dir.path()).unwrap();
        let expected = format!("private/{task}/tmp (3 MiB), private/{task}/home (2 MiB), history.db (1 MiB)");
        assert_eq!(said, expected);
        // A task's layers are its own, and what checkouts use is known.
        for (name, bytes) in [("layers/a/upper/big", 5 << 20), ("layers/b/upper/big", 4 << 20)] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![1; bytes]).unwrap();
        }
        let checkout = dir.path().join("checkouts/shelf/commit");
        std::fs::create_dir_all(&checkout).unwrap();
        std::fs::write(checkout.join("about"), format!("{}\n\n", 9_u64 << 20)).unwrap();
        assert_eq!(biggest(dir.path()).unwrap(), "checkouts (9 MiB), layers/a (5 MiB), layers/b (4 MiB)");
        assert_eq!(remembered(dir.path()), [task]);
        // There is room: everything stays.
        assert_eq!(make_room(dir.path(), task), None);
        assert!(private(dir.path(), task).join("tmp/big").exists());
    }

    #[test]
    fn who_holds_most_of_the_room_is_at_fault_and_loses_its_biggest_files() {
        let dir = tempfile::tempdir().unwrap();
        let task = TaskId::from_idempotency_key("greedy");
        let [workspace, layers] = workspace(dir.path(), task);
        let write = |path: PathBuf, size: usize| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, vec![1; size]).unwrap();
            path
        };
        let earlier = write(workspace.join("earlier"), 17 << 20);
        let late = SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::File::options().write(true).open(&earlier).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let began = SystemTime::now() - std::time::Duration::from_secs(60);
        let small = write(workspace.join("small"), 1 << 20);
        let git = write(workspace.join(".git/objects/pack"), 17 << 20);
        let big = write(workspace.join("a/big"), 18 << 20);
        let upper = write(layers.join("upper/bigger"), 20 << 20);
        let found = |free, at| Found { free, at };
        let said = most_held(dir.path(), task, found(100 << 20, began)).unwrap();
        assert_eq!(said, format!("{} (53 MiB)", workspace.display()));
        assert_eq!(most_held(dir.path(), task, found(200 << 20, began)), None, "there was more room: others took it");
        assert_eq!(filled_by(dir.path(), task, found(0, began)), None, "the disk has room");

        let places = || vec![workspace.clone(), layers.clone()];
        assert_eq!(remove_since(places(), late, || true), None, "nothing of the attempt's own");
        let said = remove_since(places(), began, || upper.exists()).unwrap();
        assert!(said.ends_with(&format!("removed {} (20 MiB)", upper.display())) && big.exists(), "{said}");
        let said = remove_since(places(), began, || true).unwrap();
        assert!(said.ends_with("big (18 MiB) and 1 smaller file of its workspace, 19 MiB in all"), "{said}");
        assert!(![big, small].iter().any(|path| path.exists()) && [earlier, git].iter().all(|path| path.exists()));
    }

    #[test]
    fn one_place_with_many_entries_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        // Whichever comes first, one is behind a place that would use up all.
        for many in ["a", "c"].map(|name| dir.path().join("workspaces").join(name)) {
            std::fs::create_dir_all(&many).unwrap();
            (0..300).for_each(|n| std::fs::write(many.join(n.to_string()), "").unwrap());
            let mut left = 50;
            size(&many, &mut left);
            assert_eq!(left, 0, "not all are looked at");
        }
        std::fs::write(dir.path().join("workspaces/b"), vec![1; 2 << 20]).unwrap();
        std::fs::write(dir.path().join("workspaces/d"), vec![1; 1 << 20]).unwrap();
        assert_eq!(biggest_of(dir.path(), 250).unwrap(), "workspaces/b (2 MiB), workspaces/d (1 MiB)");
    }

    #[test]
    fn on_a_full_disk_go_temporary_files_and_big_homes() {
        let dir = tempfile::tempdir().unwrap();
        let (tmp, home) = (dir.path().join("tmp"), dir.path().join("home"));
        std::fs::create_dir(&tmp).unwrap();
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("session"), vec![1; 1 << 20]).unwrap();
        assert_eq!(remove_left(dir.path(), || true), None, "an empty directory is nothing to remove");
        std::fs::write(tmp.join("file"), vec![1; 1 << 20]).unwrap();
        let said = remove_left(dir.path(), || true).unwrap();
        assert!(said.ends_with(&format!("{} (1 MiB)", tmp.display())), "{said}");
        assert!(!tmp.exists() && home.join("session").exists());
        std::fs::write(home.join("cache"), vec![1; 17 << 20]).unwrap();
        let said = remove_left(dir.path(), || true).unwrap();
        assert!(said.ends_with(&format!("{} (18 MiB)", home.display())) && !home.exists(), "{said}");
    }
}
