//! The part of `nexus doctor` about workspaces: layers on this machine, and the size of prepared checkouts.

use std::path::Path;

use nexus_config::Settings;
use nexus_workspace::Workspaces;

use super::Level;
use crate::show;

pub(super) fn workspaces(settings: &Settings, data_dir: &Path, say: &mut impl FnMut(Level, &'static str, String)) {
    // The trial makes directories: none where no company has been.
    if !data_dir.is_dir() {
        return;
    }
    let workspaces = Workspaces::new(data_dir.join("workspaces"));
    let stock = show::stock(workspaces.stock());
    let used = format!("{stock}, of {} at most", settings.workspaces.cache_size);
    match workspaces.overlays() {
        Ok(()) if nexus_process::overlay::renames_directories() => {
            say(Level::Ok, "workspaces", format!("clones are layers over prepared checkouts; {used}"));
        }
        Ok(()) => say(
            Level::Ok,
            "workspaces",
            format!(
                "confined clones are layers over prepared checkouts, in which renaming a directory of the project copies it \
                 (rename answers EXDEV to all but root); {used}"
            ),
        ),
        Err(why) => {
            let message =
                format!("clones can't be layers here, so each task copies its project's files: {why}; {used}");
            say(Level::Warn, "workspaces", message);
        }
    }
}
