//! The git directory that an agent is given: a repository of its own that borrows the project's objects, written as files,
//! whose settings let its git see the files as they were checked out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::alternates::quoted;
use crate::error::WorkspaceError;
use crate::filters;
use crate::medium::Medium;
use crate::plain;
use crate::repository::Repository;
use crate::settings::Settings;

/// Exclusions and patterns of a repository, which are lists of lines.
const LIST: u64 = 16 << 20;
/// Settings that decide how files are checked out, and which the agent's git may not see otherwise: its home is its own.
const CARRIED: [&str; 6] = [
    "core.autocrlf",
    "core.eol",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.longpaths",
    "i18n.commitencoding",
];

/// A git directory to be made.
pub(crate) struct Seed<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) settings: &'a Settings,
    /// Where objects are borrowed from.
    pub(crate) objects: &'a [PathBuf],
    /// The branch's name, and the commit that it starts from. None: no branch is checked out.
    pub(crate) branch: Option<&'a str>,
    pub(crate) commit: &'a str,
    pub(crate) medium: Medium,
    /// The way from the git directory to the files, if these aren't around it.
    pub(crate) worktree: Option<String>,
}

impl Seed<'_> {
    /// Writes the git directory `git_dir`, without an index.
    pub(crate) async fn plant(&self, git_dir: &Path) -> Result<(), WorkspaceError> {
        let refs = self.refs().await?;
        self.write(git_dir, &refs).map_err(WorkspaceError::io("write", git_dir))
    }

    /// The same, where the refs are known.
    pub(crate) fn write(&self, git_dir: &Path, refs: &str) -> io::Result<()> {
        for directory in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            fs::create_dir_all(git_dir.join(directory))?;
        }
        if let Some(branch) = self.branch {
            fs::write(git_dir.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
            let reference = git_dir.join("refs/heads").join(branch);
            reference.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(reference, format!("{}\n", self.commit))?;
        } else {
            fs::write(git_dir.join("HEAD"), format!("{}\n", self.commit))?;
        }
        fs::write(git_dir.join("packed-refs"), refs)?;
        fs::write(git_dir.join("config"), self.config())?;
        let mut alternates = Vec::new();
        for objects in self.objects {
            alternates.extend(quoted(objects));
            alternates.push(b'\n');
        }
        fs::write(git_dir.join("objects/info/alternates"), alternates)?;
        let own = self.repository.own_git_dir();
        for (from, name) in [
            (&self.repository.common, "info/exclude"),
            (&own, "info/sparse-checkout"),
            (&self.repository.common, "shallow"),
        ] {
            if let Some(text) = plain::read(from, Path::new(name), LIST)? {
                fs::write(git_dir.join(name), text)?;
            }
        }
        Ok(())
    }

    /// The project's branches as those of a remote, and its tags; without tasks' branches, which are none of its business,
    /// and without what is broken.
    pub(crate) async fn refs(&self) -> Result<String, WorkspaceError> {
        let git = self.repository.git();
        let list =
            async |format| git.run("list its branches", ["for-each-ref", format, "refs/heads", "refs/tags"]).await;
        // Only where each object is there git tells of what kind they are.
        let printed = list("--format=%(objectname) %(refname) %(objecttype)").await?;
        if printed.success() {
            let text = String::from_utf8_lossy(&printed.stdout).into_owned();
            let refs = text.lines().filter_map(|line| line.rsplit_once(' ')?.0.split_once(' '));
            return Ok(packed(refs.filter(|(_, name)| is_theirs(name))));
        }
        // Broken refs are complained of, and left out.
        let printed = list("--format=%(objectname) %(refname)").await?;
        let text = String::from_utf8_lossy(&printed.stdout).into_owned();
        let listed: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(' ')).filter(|(_, name)| is_theirs(name)).collect();
        let ids: String = listed.iter().map(|(id, _)| format!("{id}\n")).collect();
        let args = ["cat-file", "--batch-check=%(objecttype)"];
        let kinds = git.fed("look for commits", args, ids.into_bytes()).await?;
        let there = listed.into_iter().zip(kinds.lines()).filter(|(_, kind)| !kind.ends_with("missing"));
        Ok(packed(there.map(|(listed, _)| listed)))
    }

    fn config(&self) -> String {
        let mut config = Config::default();
        let format = self.settings.object_format();
        let promisor = self.settings.promisor();
        let is_extended = format != "sha1" || promisor.is_some();
        config.set("core.repositoryformatversion", if is_extended { "1" } else { "0" });
        config.set("core.bare", "false");
        config.set("core.logallrefupdates", "true");
        for (key, value) in self.medium.settings() {
            config.set(&key, &value);
        }
        // Layers that are mounted anew give files other numbers and times of their own.
        config.set("core.checkStat", "minimal");
        config.set("core.trustctime", "false");
        if format != "sha1" {
            config.set("extensions.objectformat", format);
        }
        for key in CARRIED {
            if let Some(value) = self.settings.get(key) {
                config.set(key, value);
            }
        }
        let [name, email] = self.settings.identity();
        config.set("user.name", name);
        config.set("user.email", email);
        for (key, value) in filters::for_the_agent(self.settings) {
            config.set(&key, &value);
        }
        if let Some(worktree) = &self.worktree {
            config.set("core.worktree", worktree);
            // Of a submodule more may be fetched.
            if let Some(url) = self.settings.get("remote.origin.url") {
                config.set("remote.origin.url", &without_password(url));
            }
        }
        for (name, key, value, _) in self.settings.section("submodule") {
            let value = if key == "url" { without_password(value) } else { value.to_owned() };
            if ["url", "active"].contains(&key) {
                config.set(&format!("submodule.{name}.{key}"), &value);
            }
        }
        if let Some(remote) = promisor {
            config.set("extensions.partialclone", remote);
            config.set(&format!("remote.{remote}.promisor"), "true");
            let set = |last: &str| self.settings.get(&format!("remote.{remote}.{last}"));
            if let Some(filter) = set("partialclonefilter") {
                config.set(&format!("remote.{remote}.partialclonefilter"), filter);
            }
            if let Some(url) = set("url") {
                config.set(&format!("remote.{remote}.url"), &without_password(url));
            }
        }
        config.text
    }
}

/// Not one of the tasks'.
fn is_theirs(name: &str) -> bool {
    !name.starts_with("refs/heads/nexus/") && !name.starts_with("refs/heads/nexus-")
}

/// The file of these refs, ids and names, in which branches are a remote's.
fn packed<'a>(refs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let named = |(id, name): (&str, &str)| match name.strip_prefix("refs/heads/") {
        Some(branch) => (format!("refs/remotes/origin/{branch}"), id.to_owned()),
        None => (name.to_owned(), id.to_owned()),
    };
    let mut refs: Vec<(String, String)> = refs.map(named).collect();
    refs.sort();
    let lines = refs.into_iter().map(|(name, id)| format!("{id} {name}\n"));
    std::iter::once("# pack-refs with: sorted \n".to_owned()).chain(lines).collect()
}

/// The part of `https://name:word@host` before the host is nobody's business.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            // A name alone is a secret too, but for ssh, which takes none in a URL.
            let user = if scheme.contains("ssh") { user.split(':').next().unwrap_or_default() } else { "" };
            let at = if user.is_empty() { "" } else { "@" };
            format!("{scheme}://{user}{at}{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// A file of settings.
#[derive(Default)]
struct Config {
    text: String,
}

impl Config {
    fn set(&mut self, key: &str, value: &str) {
        let Some((section, last)) = key.rsplit_once('.') else { return };
        let section = match section.split_once('.') {
            Some((name, middle)) => format!("[{name} \"{}\"]", escaped(middle)),
            None => format!("[{section}]"),
        };
        self.text.push_str(&format!("{section}\n\t{last} = \"{}\"\n", escaped(value)));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_git_reads_them() {
        let mut config = Config::default();
        config.set("core.bare", "false");
        config.set("filter.a.b.clean", "x \"y\" \\");
        assert_eq!(config.text, "[core]\n\tbare = \"false\"\n[filter \"a.b\"]\n\tclean = \"x \\\"y\\\" \\\\\"\n");
    }

    #[test]
    fn passwords_stay_here() {
        let table = [
            ("https://me:word@host/a@b", "https://host/a@b"),
            ("ssh://git:word@host/a", "ssh://git@host/a"),
            ("file:///a/b", "file:///a/b"),
            ("../up", "../up"),
        ];
        for (url, wanted) in table {
            assert_eq!(without_password(url), wanted, "{url}");
        }
    }
}
