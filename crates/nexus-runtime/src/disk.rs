//! Room on the disk of the data directory: what ended attempts have left there goes when it is short, and what is big is named.

use std::path::{Path, PathBuf};

use nexus_core::id::TaskId;
use nexus_process::Space;

/// A home is worth its session until it holds this much of a disk that is full.
const BIG_HOME: u64 = 16 << 20;
/// Entries that are looked at for what is big: on a full disk somebody waits for the answer.
const LOOKED_AT: usize = 200_000;
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

/// Makes room on a full disk by what an attempt that has ended left in its temporary directory, and then by its home, if that is
/// big. Says what was removed; none: there was room, or nothing to remove.
pub(crate) fn make_room(data_dir: &Path, task: TaskId) -> Option<String> {
    let private = private(data_dir, task);
    let mut removed = Vec::new();
    for (part, least) in [("tmp", 1), ("home", BIG_HOME)] {
        if !is_short(data_dir) {
            break;
        }
        let place = private.join(part);
        let size = size(&place, &mut LOOKED_AT.clone());
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

/// What holds most of a data directory, as a text such as `private/0198.../home (3.2 GiB)`; none: nothing is big.
#[must_use]
pub fn biggest(data_dir: &Path) -> Option<String> {
    let mut left = LOOKED_AT;
    let mut places: Vec<(u64, PathBuf)> = Vec::new();
    for part in children(data_dir) {
        match part.file_name().and_then(|name| name.to_str()) {
            Some("private") => {
                let parts = children(&part).into_iter().flat_map(|task| children(&task));
                places.extend(parts.map(|place| (size(&place, &mut left), place)));
            }
            Some("workspaces") => {
                places.extend(children(&part).into_iter().map(|place| (size(&place, &mut left), place)));
            }
            _ => places.push((size(&part, &mut left), part)),
        }
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

fn children(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
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
            open.extend(children(&path));
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
        assert_eq!(remembered(dir.path()), [task]);
        // There is room: everything stays.
        assert_eq!(make_room(dir.path(), task), None);
        assert!(private(dir.path(), task).join("tmp/big").exists());
    }
}
