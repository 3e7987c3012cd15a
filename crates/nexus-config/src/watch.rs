//! Watches the configuration's directory, and says when it means something else.
//!
//! The system's notifications only say *when* to look; what is told is decided by comparing whole configurations, so an
//! editor's temporary files, a changed comment or a notification too many are nobody's concern.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::errors::{ConfigError, ConfigErrors};
use crate::load::{Loaded, load_dir};
use crate::source::Source;

#[cfg(test)]
mod tests;

/// An editor's save is several events; so is a checkout of several files.
const QUIET: Duration = Duration::from_millis(100);
/// Events that never cease don't put off the look for ever.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two looks where the system can't notify (a network drive, a directory that is gone, no watches left).
const POLL: Duration = Duration::from_secs(2);

/// Tells each change since `current`: a configuration that differs from the one told before, or errors that do. A
/// configuration that is mended is told even when it is the last good one again. Ends when the receiver is dropped.
///
/// The directory stays the one that `current` came from; the built-in configuration never changes. Must be called within
/// a tokio runtime.
#[must_use]
pub fn watch(source: Source, current: &Loaded) -> mpsc::Receiver<Result<Loaded, ConfigErrors>> {
    // One suffices: while it waits, later edits become one look.
    let (tell, told) = mpsc::channel(1);
    tokio::spawn(follow(source, current.clone(), tell, true));
    told
}

async fn follow(source: Source, current: Loaded, tell: mpsc::Sender<Result<Loaded, ConfigErrors>>, notified: bool) {
    let Some(dir) = current.dir.clone() else { return tell.closed().await };
    // One suffices: any number of events is one reason to look.
    let (wake, mut woken) = mpsc::channel(1);
    let mut watcher = notified.then(|| watcher(wake)).flatten();
    let mut places = places(&source, &current);
    let has_departments = current.files.iter().any(|file| file.starts_with(dir.join("departments")));
    let mut last = Ok(current);
    loop {
        let armed = watcher.as_mut().is_some_and(|watcher| arm(watcher, &dir, &places));
        let (from, at) = (source.clone(), dir.clone());
        let Ok(now) = tokio::task::spawn_blocking(move || look(&from, at, has_departments)).await else { return };
        // What is wrong may be that a file is missing, in a place that isn't watched.
        let armed = armed && now.is_ok();
        let before = now.as_ref().ok().map(|now| std::mem::replace(&mut places, self::places(&source, now)));
        let has_moved = before.is_some_and(|before| before != places);
        if now != last {
            last = now.clone();
            if tell.send(now).await.is_err() {
                return;
            }
        }
        if has_moved {
            // Looked at once more when those are watched that it names now.
            continue;
        }
        tokio::select! {
            () = tell.closed() => return,
            Some(()) = woken.recv() => {}
            () = sleep(POLL), if !armed => {}
        }
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            let quiet = patience.min(Instant::now() + QUIET);
            match timeout_at(quiet, woken.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => break,
            }
        }
    }
}

fn watcher(wake: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let heard = move |event: notify::Result<notify::Event>| {
        // Looking opens files, which is an event too.
        let is_ours = event.as_ref().is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
        if !is_ours {
            // When it is full, the look that is due will see this one as well.
            let _ = wake.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(heard);
    watcher.inspect_err(|error| tracing::warn!(%error, "configuration is polled: it can't be watched")).ok()
}

/// Where the files are that the configuration names, and the notes of what is trusted.
fn places(source: &Source, loaded: &Loaded) -> BTreeSet<PathBuf> {
    let notes = loaded.dir.as_deref().and_then(|dir| source.needs_trust(dir)).map(|trust| trust.notes().to_owned());
    loaded.files.iter().filter_map(|file| file.parent().map(Path::to_owned)).chain(notes).collect()
}

/// Watches all directories (again: each may be another by now) and says whether that is enough to hear of any edit.
/// Not recursive: the configuration may stand at the top of a large project.
fn arm(watcher: &mut RecommendedWatcher, dir: &Path, places: &BTreeSet<PathBuf>) -> bool {
    let mut watch = |path: &Path| watcher.watch(path, RecursiveMode::NonRecursive);
    let is_missing = |error: &notify::Error| match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    };
    // Departments that aren't there yet are heard of from the directory above.
    let departments = dir.join("departments");
    let own = watch(dir).is_ok() && watch(&departments).map_or_else(|error| is_missing(&error), |()| true);
    let others = places.iter().filter(|place| **place != dir && **place != departments);
    others.fold(own, |armed, place| watch(place).is_ok() && armed)
}

fn look(source: &Source, dir: PathBuf, has_departments: bool) -> Result<Loaded, ConfigErrors> {
    // To start with no departments of one's own means the built-in ones; to lose them is an accident.
    if has_departments && !dir.join("departments").is_dir() {
        let error = ConfigError::about(Path::new("departments"), "the directory is gone");
        return Err(ConfigErrors::new(vec![error]));
    }
    load_dir(source, Some(dir))
}
