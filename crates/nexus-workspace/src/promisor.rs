//! Objects that a partial repository has left with a remote.

use std::ffi::OsString;
use std::path::Path;

use crate::error::WorkspaceError;
use crate::git::Git;
use crate::settings::Settings;

/// Brings what the history of `HEAD` misses into the repository of `git`, where the remote is a repository on this machine: an
/// agent can't reach that. From any other the agent's own git fetches, as far as its network goes.
pub(crate) async fn bring(git: &Git, settings: &Settings) -> Result<(), WorkspaceError> {
    let Some(url) = settings.promisor().and_then(|remote| settings.get(&format!("remote.{remote}.url"))) else {
        return Ok(());
    };
    let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
    if !path.is_absolute() {
        return Ok(());
    }
    let git = git.clone().brief();
    let asked = ["rev-list", "--objects", "--missing=print", "HEAD"];
    let listed = git.run("look for missing objects", asked).await?;
    let lines = listed.stdout.split(|byte| *byte == b'\n');
    let missing: Vec<u8> = lines.filter_map(|line| line.strip_prefix(b"?")).flat_map(line).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (git, remote) = git.settings(&[("fetch.negotiationAlgorithm", "noop")]).remote(path);
    let args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="];
    let more = ["--no-auto-maintenance", "--filter=blob:none", "--upload-pack=git-upload-pack", "--stdin"];
    let args = args.iter().chain(&more).map(OsString::from).chain([remote]);
    let fetched = git.feed("fetch missing objects", args, missing).await?;
    if !fetched.success() {
        // The agent can work without them, as long as it doesn't look at them.
        let said = git.refused("fetch missing objects", &fetched);
        tracing::warn!(%said, "a clone of a partial repository misses objects");
    }
    Ok(())
}

fn line(id: &[u8]) -> Vec<u8> {
    id.iter().copied().chain([b'\n']).collect()
}
