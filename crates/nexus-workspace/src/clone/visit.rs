//! A person in a clone: what keeps their git from what the agent has set, and how their commits come back.

use std::ffi::OsString;
use std::path::Path;

use super::{PrivateClone, Reason};
use crate::base::Bases;
use crate::error::WorkspaceError;
use crate::git::{Git, Shield, entries};
use crate::plain;

/// git's settings are a few lines. This is plenty.
const MAX_SETTINGS: u64 = 1 << 20;

/// What git in an agent's repository would run without being asked, and what it does instead where the person has not set it
/// for all repositories.
const RUN: [(&str, &str); 11] = [
    ("core.fsmonitor", "false"),
    ("core.hookspath", "/dev/null"),
    ("core.sshcommand", "ssh"),
    ("core.askpass", ""),
    ("core.gitproxy", ""),
    ("core.alternaterefscommand", "true"),
    ("diff.external", ""),
    ("interactive.difffilter", ""),
    ("gpg.program", "gpg"),
    ("gpg.ssh.program", "ssh-keygen"),
    ("gpg.x509.program", "gpgsm"),
];

/// Settings for the person's git, and what they can't keep it from.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    pub(crate) settings: Vec<(OsString, OsString)>,
    pub(crate) notes: Vec<String>,
}

impl PrivateClone {
    /// Settings that beat those that the agent has left in the clone.
    pub(crate) async fn guarded(&self) -> Result<Guarded, WorkspaceError> {
        let mut guarded = Guarded::default();
        let git = Git::at(Path::new("/")).env("GIT_DIR", "/dev/null");
        let own = git.list("read your settings", ["config", "--list", "-z", "--show-scope"]).await.unwrap_or_default();
        let is_users = |scope: &[u8]| scope == b"global" || scope == b"system";
        let mut all = own.chunks_exact(2).filter(|entry| is_users(&entry[0])).flatten().cloned().collect::<Vec<_>>();
        for (key, instead) in RUN {
            let name = [key.as_bytes(), b"\n"].concat();
            let own = all.chunks_exact(2).rev().find_map(|entry| entry[1].strip_prefix(name.as_slice()));
            let value = own.map_or_else(|| instead.into(), |own| crate::paths::from_bytes(own).into_os_string());
            guarded.settings.push((key.into(), value));
        }
        for file in ["config", "config.worktree"] {
            let theirs = match plain::read(&self.git_dir(), Path::new(file), MAX_SETTINGS) {
                Ok(theirs) => theirs.unwrap_or_default(),
                Err(odd) => {
                    guarded.notes.push(format!("its .git/{file} is not read ({odd}): run no git there"));
                    continue;
                }
            };
            if theirs.is_empty() {
                continue;
            }
            let listed = git.feed("read its settings", ["config", "--file", "-", "--list", "-z"], theirs).await?;
            for setting in entries(&listed.stdout) {
                if setting.starts_with(b"include.path") || setting.starts_with(b"includeif.") {
                    guarded.notes.push(format!("its .git/{file} includes other files: git may run what they name"));
                }
                guarded.settings.extend(answered(&setting));
                all.extend([b"local".to_vec(), setting]);
            }
        }
        guarded.settings.extend(Shield::of(&all).settings().iter().cloned());
        Ok(guarded)
    }

    /// Brings commits back that somebody has made here after the last attempt. Returns the branch and its new end, if it has
    /// one, or why they can't be brought back.
    pub(crate) async fn bring_back(&mut self, bases: &Bases) -> Result<Result<Option<String>, String>, WorkspaceError> {
        let before = self.branch.tip().await?;
        let mut reason = Reason::default();
        self.deliver(bases, &mut reason).await?;
        if let Some(why) = reason.first.filter(|_| reason.keeps) {
            return Ok(Err(why));
        }
        let after = self.branch.tip().await?;
        Ok(Ok(after.filter(|after| before.as_ref() != Some(after)).map(|_| self.branch.name.clone())))
    }
}

/// What is set in place of settings that have a name in them: programs of a diff, a remote, a tool, an alias.
fn answered(setting: &[u8]) -> Option<(OsString, OsString)> {
    let key = setting.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let section = key.split(|byte| *byte == b'.').next().unwrap_or_default();
    let name = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let by = |value: OsString| Some((crate::paths::from_bytes(key).into_os_string(), value));
    let replaced = |names: &[&str], usual: &str| {
        let own = names.iter().find_map(std::env::var_os).filter(|own| !own.is_empty());
        by(own.unwrap_or_else(|| usual.into()))
    };
    let instead = match (section, name) {
        (b"diff", b"command" | b"textconv") | (b"credential", b"helper") | (b"tar", b"command") => "",
        (b"remote", b"uploadpack") => "git-upload-pack",
        (b"remote", b"receivepack") => "git-receive-pack",
        (b"difftool" | b"mergetool" | b"browser" | b"man" | b"guitool", b"cmd" | b"path") => "false",
        (b"core", b"pager") | (b"pager", _) => return replaced(&["PAGER"], "less"),
        (b"core" | b"sequence", b"editor") => return replaced(&["VISUAL", "EDITOR"], "vi"),
        (b"alias", _) => "!echo 'this alias of the workspace is switched off' >&2; false",
        _ => return None,
    };
    by(instead.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_programs_are_replaced() {
        let answered = |setting: &str| answered(setting.as_bytes()).map(|(_, value)| value.into_string().unwrap());
        assert_eq!(answered("diff.x.textconv\n./evil").as_deref(), Some(""));
        assert_eq!(answered("remote.a.b.uploadpack\nevil").as_deref(), Some("git-upload-pack"));
        assert_eq!(answered("alias.st\n!evil").unwrap().rsplit(' ').next(), Some("false"));
        assert_eq!(answered("user.name\nA"), None);
    }
}
