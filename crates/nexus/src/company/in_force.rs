//! The configuration that a question about "the" configuration means: that of the company that is up, else the one that
//! `nexus up` would use here.

use std::path::PathBuf;

use nexus_bus::Client;
use nexus_config::Source;
use nexus_core::overview::ProcessInfo;

use super::source;
use crate::cli::PlaceArgs;
use crate::place;

/// A configuration, and whose it is.
pub(crate) struct InForce {
    pub(crate) source: Source,
    /// Whose it is, as a sentence.
    pub(crate) whose: String,
    /// The company that is up and uses it.
    pub(crate) company: Option<Client>,
}

/// The configuration that is meant.
pub(crate) async fn in_force(place: &PlaceArgs) -> InForce {
    let mut source = source(place, None);
    // One that can't be asked says nothing of what it uses.
    let company = place::find(place).await.ok().flatten();
    let process = company.as_ref().and_then(|_| place::process(place));
    let Some(ProcessInfo { pid, config_dir, .. }) = process else {
        let whose = "no company is up; this is what `nexus up` would use here".to_owned();
        return InForce { source, whose, company: None };
    };
    let theirs = config_dir.map(PathBuf::from);
    let named =
        |dir: &Option<PathBuf>| dir.as_ref().map_or("its built-in departments".into(), |dir| dir.display().to_string());
    if source.dir.as_ref().is_some_and(|asked| !is_same(Some(asked), theirs.as_ref())) {
        let whose = format!("the company that is up (pid {pid}) doesn't use this, but {}", named(&theirs));
        return InForce { source, whose, company: None };
    }
    let broken = match &company {
        Some(client) => client.overview().await.ok().and_then(|overview| overview.config_error),
        None => None,
    };
    // What the files say by now is in force only if it can be.
    let but = if broken.is_some() { ", as it was before its last changes, which are not in force" } else { "" };
    let whose = format!("the company that is up (pid {pid}) uses {}{but}", named(&theirs));
    (source.dir, source.cwd, source.platform) = (theirs, None, None);
    InForce { source, whose, company }
}

fn is_same(one: Option<&PathBuf>, other: Option<&PathBuf>) -> bool {
    let real = |dir: &PathBuf| std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
    one.map(real) == other.map(real)
}
