//! Where git finds a repository from a project's directory.

use std::path::PathBuf;

use nexus_process::Captured;

use crate::error::WorkspaceError;
use crate::git::{Git, path_of};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// git's own directory of this checkout.
    pub(super) own: PathBuf,
    /// The directory that all the checkouts share.
    pub(super) common: PathBuf,
    /// The root of the checkout.
    pub(super) top: PathBuf,
    /// From there to the project.
    pub(super) prefix: PathBuf,
    /// `sha1` or `sha256`.
    pub(super) format: String,
}

const PATHS: [&str; 4] = ["--absolute-git-dir", "--git-common-dir", "--show-toplevel", "--show-prefix"];

impl Place {
    /// The answer of git about it, or its refusal.
    pub(super) async fn ask(git: &Git, doing: &'static str) -> Result<Result<Self, Captured>, WorkspaceError> {
        let asked = ["rev-parse", "--path-format=absolute", "--show-object-format"];
        let captured = git.run(doing, asked.into_iter().chain(PATHS)).await?;
        if !captured.success() {
            return Ok(Err(captured));
        }
        let printed = captured.stdout.strip_suffix(b"\n").unwrap_or(&captured.stdout);
        let lines: Vec<&[u8]> = printed.split(|byte| *byte == b'\n').collect();
        let mut paths = Vec::new();
        if let [_, found @ ..] = lines.as_slice()
            && found.len() == PATHS.len()
        {
            paths.extend(found.iter().map(|line| path_of(line)));
        } else {
            // One of the paths has a line end in it.
            for path in PATHS {
                paths.push(git.path(doing, ["rev-parse", "--path-format=absolute", path]).await?);
            }
        }
        let [own, common, top, prefix] = <[PathBuf; 4]>::try_from(paths).unwrap_or_default();
        let format = lines.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        Ok(Ok(Self { own, common, top, prefix, format }))
    }
}
