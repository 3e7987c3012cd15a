//! Submodules: an agent gets those that the user has checked out, from the user's own objects and without a network.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::alternates;
use crate::error::WorkspaceError;
use crate::git::entries;
use crate::repository::{Found, Repository};
use crate::survey::SUBMODULE;

/// One that the user has checked out.
#[derive(Clone, Debug)]
pub(crate) struct Submodule {
    pub(crate) repository: Repository,
    /// Where it is, from the root of the outermost repository.
    pub(crate) path: PathBuf,
    /// Its git directory, from the outermost one.
    pub(crate) git_dir: PathBuf,
    /// The commit that the repository around it names.
    pub(crate) commit: String,
    /// Where its objects are borrowed from.
    pub(crate) objects: Vec<PathBuf>,
}

/// All of a commit, and those within them; and the paths of those that are left empty, with why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Submodules {
    pub(crate) filled: Vec<Submodule>,
    pub(crate) empty: Vec<(PathBuf, &'static str)>,
}

/// As deep as somebody would nest them.
const DEPTH: usize = 5;

impl Submodules {
    /// `listed` are the submodules of the outermost commit, if these are known.
    pub(crate) async fn of(repository: &Repository, commit: &str) -> Result<Self, WorkspaceError> {
        let mut submodules = Self::default();
        let mut pending = vec![(repository.clone(), commit.to_owned(), PathBuf::new(), PathBuf::new(), 0)];
        while let Some((repository, commit, path, git_dir, depth)) = pending.pop() {
            for (name, below, id) in links(&repository, &commit).await? {
                let Some(own) = checked_out(&repository, &below).await? else {
                    submodules.empty.push((path.join(&below), "it is not checked out in the project"));
                    continue;
                };
                let found = Submodule {
                    path: path.join(&below),
                    git_dir: git_dir.join("modules").join(&name),
                    commit: id,
                    objects: alternates::borrowed(&own.common),
                    repository: own,
                };
                if found.repository.resolve(&format!("{}^{{commit}}", found.commit)).await?.is_none() {
                    submodules.empty.push((found.path, "its commit is not in the project's own checkout of it"));
                    continue;
                }
                if depth < DEPTH {
                    let (path, git_dir) = (found.path.clone(), found.git_dir.clone());
                    pending.push((found.repository.clone(), found.commit.clone(), path, git_dir, depth + 1));
                }
                submodules.filled.push(found);
            }
        }
        Ok(submodules)
    }

    /// The notes on them.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.filled.is_empty() {
            let names: Vec<String> = self.filled.iter().map(|one| one.path.display().to_string()).collect();
            let none = if self.empty.is_empty() { "; no submodule is empty" } else { "" };
            notes.push(format!("submodules: {} from the project's own objects{none}", names.join(", ")));
        }
        let said = self.empty.iter().map(|(path, why)| format!("the submodule {} is empty: {why}", path.display()));
        notes.extend(said);
        notes
    }
}

/// The note on a worktree's submodules, which git doesn't check out.
pub(crate) async fn left_empty(repository: &Repository) -> Result<Option<String>, WorkspaceError> {
    let links = links(repository, &repository.head).await?;
    let names: Vec<String> = links.into_iter().map(|(_, path, _)| path.display().to_string()).collect();
    let names = Some(names).filter(|names| !names.is_empty()).map(|names| names.join(", "));
    Ok(names
        .map(|names| format!("submodules are empty in a worktree ({names}): workspace.mode = \"clone\" fills them")))
}

/// The submodules of a commit: their names, paths and commits.
async fn links(repository: &Repository, commit: &str) -> Result<Vec<(String, PathBuf, String)>, WorkspaceError> {
    let git = repository.git();
    let blob = format!("{commit}:.gitmodules");
    // Without that file there are none: what git calls a submodule all the same nobody can check out.
    if repository.resolve(&blob).await?.is_none() {
        return Ok(Vec::new());
    }
    let asked = ["config", "--blob", &blob, "-z", "--get-regexp", r"^submodule\..*\.path$"];
    let printed = git.run("read .gitmodules", asked).await?;
    let mut names = BTreeMap::new();
    for entry in entries(&printed.stdout) {
        let entry = String::from_utf8_lossy(&entry).into_owned();
        let Some((key, path)) = entry.split_once('\n') else { continue };
        let name = key.strip_prefix("submodule.").and_then(|key| key.strip_suffix(".path"));
        if let Some(name) = name.filter(|name| is_within(Path::new(name)) && is_within(Path::new(path))) {
            names.insert(PathBuf::from(path), name.to_owned());
        }
    }
    let paths: Vec<PathBuf> = names.keys().cloned().collect();
    let found = crate::survey::tree_entries(&git, commit, &paths).await?;
    let links = names.into_iter().filter_map(|(path, name)| {
        let (mode, id) = found.get(&path)?;
        (mode == SUBMODULE).then(|| (name, path, id.clone()))
    });
    Ok(links.collect())
}

fn is_within(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// The user's own checkout of a submodule.
async fn checked_out(repository: &Repository, below: &Path) -> Result<Option<Repository>, WorkspaceError> {
    let place = repository.top.join(below);
    if place.join(".git").symlink_metadata().is_err() {
        return Ok(None);
    }
    Ok(match Repository::look(&place).await {
        Ok(Found::Tracked(found)) if found.top == place => Some(found),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(path = %place.display(), %error, "a submodule is left empty");
            None
        }
    })
}

/// The text of a submodule's `.git` file: where its git directory is.
pub(crate) fn git_file(path: &Path, git_dir: &Path) -> String {
    format!("gitdir: {}.git/{}\n", up(path), git_dir.display())
}

/// The way from a submodule's git directory to its files.
pub(crate) fn worktree(path: &Path, git_dir: &Path) -> String {
    format!("../{}{}", up(git_dir), path.display())
}

fn up(path: &Path) -> String {
    "../".repeat(path.components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways() {
        let (path, git_dir) = (Path::new("vendor/lib"), Path::new("modules/lib"));
        assert_eq!(git_file(path, git_dir), "gitdir: ../../.git/modules/lib\n");
        assert_eq!(worktree(path, git_dir), "../../../vendor/lib");
        assert!(is_within(path) && !is_within(Path::new("../a")) && !is_within(Path::new("/a")));
    }
}
