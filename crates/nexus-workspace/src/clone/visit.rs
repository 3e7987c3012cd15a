//! A person in a clone: what keeps their git from what the agent has set, and how their commits come back.

use std::ffi::OsString;
use std::path::Path;

use super::{PrivateClone, Reason};
use crate::base::Bases;
use crate::error::WorkspaceError;
use crate::git::{Git, Shield, entries};
use crate::lock::Locks;
use crate::paths::from_bytes;
use crate::plain;

/// git's settings are a few lines. This is plenty.
const MAX_SETTINGS: u64 = 1 << 20;

/// The settings that are always set, where the person has not set them for all repositories: hooks are run without any setting.
const ALWAYS: [(&str, &str); 2] = [("core.fsmonitor", "false"), ("core.hookspath", "/dev/null")];

/// A diff, in place of a program that the agent has named for it.
const DIFF: &str = r#"f() { diff -u --label "a/$1" --label "b/$1" "$2" "$5"; :; }; f"#;

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
        let own: Vec<Vec<u8>> = all.chunks_exact(2).map(|entry| entry[1].clone()).collect();
        let set = |key: &[u8], instead: OsString| {
            let name = [key, b"\n"].concat();
            let own = own.iter().rev().find_map(|setting| setting.strip_prefix(name.as_slice()));
            let value = own.map_or(instead, |own| from_bytes(own).into_os_string());
            (from_bytes(key).into_os_string(), value)
        };
        guarded.settings.extend(ALWAYS.map(|(key, instead)| set(key.as_bytes(), instead.into())));
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
                let key = setting.split(|byte| *byte == b'\n').next().unwrap_or_default();
                guarded.settings.extend(instead(key).map(|instead| set(key, instead)));
                all.extend([b"local".to_vec(), setting]);
            }
        }
        guarded.settings.extend(Shield::of(&all).settings().iter().cloned());
        Ok(guarded)
    }

    /// Brings commits back that somebody has made here after the last attempt. Returns the branch and its new end, if it has
    /// one, or why they can't be brought back.
    pub(crate) async fn bring_back(
        &mut self,
        bases: &Bases,
        locks: &Locks,
    ) -> Result<Result<Option<String>, String>, WorkspaceError> {
        let before = self.branch.tip().await?;
        let mut reason = Reason::default();
        self.deliver(bases, locks, &mut reason).await?;
        if let Some(why) = reason.first.filter(|_| reason.keeps) {
            return Ok(Err(why));
        }
        let after = self.branch.tip().await?;
        Ok(Ok(after.filter(|after| before.as_ref() != Some(after)).map(|_| self.branch.name.clone())))
    }
}

/// The value that is set in place of a setting by which an agent could have a program run.
fn instead(key: &[u8]) -> Option<OsString> {
    let section = key.split(|byte| *byte == b'.').next().unwrap_or_default();
    let name = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let own = |names: &[&str], usual: &str| {
        let own = names.iter().find_map(std::env::var_os).filter(|own| !own.is_empty());
        Some(own.unwrap_or_else(|| usual.into()))
    };
    let instead = match (section, name) {
        (b"core", b"pager") | (b"pager", _) => return own(&["PAGER"], "less"),
        (b"core" | b"sequence", b"editor") => return own(&["VISUAL", "EDITOR"], "vi"),
        (b"core", b"sshcommand") => "ssh",
        (b"core", b"alternaterefscommand") => "true",
        (b"core", b"askpass" | b"gitproxy") | (b"credential", b"helper") => "",
        (b"diff", b"external" | b"command") => DIFF,
        (b"diff", b"textconv") | (b"interactive", b"difffilter") | (b"tar", b"command") => "cat",
        (b"gpg", b"program") if key == b"gpg.ssh.program" => "ssh-keygen",
        (b"gpg", b"program") if key == b"gpg.x509.program" => "gpgsm",
        (b"gpg", b"program") => "gpg",
        (b"gpg", b"defaultkeycommand") => "false",
        (b"remote", b"uploadpack") => "git-upload-pack",
        (b"remote", b"receivepack") => "git-receive-pack",
        (b"remote", b"vcs") => "none",
        (b"difftool" | b"mergetool" | b"browser" | b"man" | b"guitool", b"cmd" | b"path") => "false",
        (b"trailer", b"command" | b"cmd") | (b"sendemail", _) | (b"instaweb", _) => "false",
        (b"submodule", b"update") => "checkout",
        (b"alias", _) => "!echo 'an alias that the agent has set is switched off' >&2; false",
        _ => return None,
    };
    Some(instead.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_named_are_replaced() {
        let instead = |key: &str| instead(key.as_bytes()).map(|value| value.into_string().unwrap());
        assert_eq!(instead("diff.x.textconv").as_deref(), Some("cat"));
        assert_eq!(instead("remote.a.b.uploadpack").as_deref(), Some("git-upload-pack"));
        assert_eq!(instead("gpg.ssh.program").as_deref(), Some("ssh-keygen"));
        assert_eq!(instead("alias.st").unwrap().rsplit(' ').next(), Some("false"));
        assert_eq!(instead("user.name"), None);
    }
}
