//! Links that an agent may have left to lead the next confinement astray: they would be followed, with the user's rights.

use std::path::{Path, PathBuf};

use super::mounts::path;
use super::refused;
use crate::protocol::{Bind, Confinement, Fault};

/// Looks at every place below something that an agent can write: what is mounted from there, and what is mounted there.
pub(super) fn check(confinement: &Confinement) -> Result<(), Fault> {
    let binds = || confinement.read.iter().chain(&confinement.write);
    let own = || confinement.protected.iter().chain(&confinement.hidden);
    let sources = binds().map(|bind| &bind.source).chain(own()).map(|source| path(source));
    let targets = binds().map(|bind| &bind.target).chain(own()).map(|target| path(target));
    let of_sources = sources.filter_map(|source| link(source, &confinement.write, |bind| path(&bind.source)));
    let of_targets = targets.filter_map(|target| link(target, &confinement.write, |bind| path(&bind.target)));
    match of_sources.chain(of_targets).next() {
        None => Ok(()),
        Some(link) => Err(refused(&format!("{} is a link where an agent may write: remove it", link.display()))),
    }
}

/// The first link on the way from the innermost of `writable` that holds `place` to that place.
fn link<'a>(place: &Path, writable: &'a [Bind], seen_at: impl Fn(&'a Bind) -> &'a Path) -> Option<PathBuf> {
    let holds = |bind: &&'a Bind| place != seen_at(bind) && place.starts_with(seen_at(bind));
    let holder = writable.iter().filter(holds).max_by_key(|bind| seen_at(bind).as_os_str().len())?;
    let mut at = path(&holder.source).to_owned();
    for part in place.strip_prefix(seen_at(holder)).ok()? {
        at.push(part);
        if at.is_symlink() {
            return Some(at);
        }
    }
    None
}
