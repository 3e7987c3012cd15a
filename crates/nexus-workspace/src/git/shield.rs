//! The shield that keeps git from running anything that a repository names. A project's `.git` may have been written by
//! anybody: by an agent that worked in place, or by whoever handed the directory over.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nexus_process::user_environment;

use super::path_of;

/// The objects of a repository that is borrowed from, which git asks this command for. Without one git asks the repository
/// itself, and a ref of it that names a missing object would fail the fetch.
const ALTERNATE_REFS: &str = concat!(
    "core.alternateRefsCommand=f() { git --git-dir=\"$1\" for-each-ref --format=\"%(objectname)\" 2>/dev/null | ",
    "git --git-dir=\"$1\" cat-file --batch-check=\"%(objectname) %(objecttype)\" | ",
    "while read -r id kind; do if [ \"$kind\" = commit ]; then echo \"$id\"; fi; done; }; f",
);

/// These beat whatever a repository's own configuration says.
pub(super) const SETTINGS: [&str; 22] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.quotePath=true",
    ALTERNATE_REFS,
    "credential.helper=",
    "protocol.allow=never",
    "protocol.file.allow=always",
    // A directory of an agent's may have the form of a bare repository.
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "merge.verifySignatures=false",
    "diff.external=",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // Not another program's messages, nor another language's.
    "advice.detachedHead=false",
    // Locks of refs that others hold are waited for (milliseconds): git gives up after a tenth of a second.
    "core.filesRefLockTimeout=10000",
    "core.packedRefsTimeout=10000",
    "i18n.logOutputEncoding=UTF-8",
    "core.editor=false",
];

/// The environment beats the configuration too. No other `GIT_*` is passed on.
const ENVIRONMENT: [(&str, &str); 16] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C"),
    // A missing object would be fetched from wherever the repository says, by the command that it says.
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "file"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_SSH", "false"),
    ("GIT_PROXY_COMMAND", "false"),
    ("GIT_ASKPASS", "false"),
    ("SSH_ASKPASS", "false"),
    ("GIT_EDITOR", "false"),
    ("GIT_PAGER", "cat"),
    ("GIT_TRACE2", "0"),
    ("GIT_TRACE2_EVENT", "0"),
    ("GIT_TRACE2_PERF", "0"),
    // A new repository has refs in files, whatever the user's git makes by default.
    ("GIT_DEFAULT_REF_FORMAT", "files"),
];

/// git's environment: the user's, without directories in `PATH` that are relative to where git runs.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    let own = user_environment(&[]).into_iter().map(|(name, value)| match name == *"PATH" {
        true => (name, absolute(&value)),
        false => (name, value),
    });
    own.chain(ENVIRONMENT.map(|(name, value)| (name.into(), value.into())))
}

fn absolute(path: &OsStr) -> OsString {
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    std::env::join_paths(entries).unwrap_or_default()
}

/// git itself, looked up once: later an agent may have put another one where `PATH` leads.
pub(super) fn program() -> OsString {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    if let Some(known) = PROGRAM.get() {
        return known.clone().into();
    }
    let path = user_environment(&[]).into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| path);
    let entries = path.as_deref().map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let found = entries.iter().filter(|entry| entry.is_absolute()).map(|entry| entry.join("git"));
    match found.into_iter().find(|program| is_executable(program)) {
        Some(program) => PROGRAM.get_or_init(|| program).clone().into(),
        // Looked up again each time, so that the error says where it was looked for.
        None => "git".into(),
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    false
}

/// A name that nobody could have written into a configuration.
pub(super) fn unforeseen() -> String {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("nexus-{:016x}{:016x}", random(), random())
}

/// Settings that switch off what a repository's own configuration could run or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shield(Vec<(OsString, OsString)>);

impl Shield {
    /// `listed` is what `git config --list -z --show-scope` prints: the scope and the setting in turn.
    pub(crate) fn of(listed: &[Vec<u8>]) -> Self {
        let entries = || listed.chunks_exact(2).map(|entry| (entry[0].as_slice(), split(&entry[1])));
        // What the user has set, for all repositories, stays in force.
        let users = |wanted: &[u8]| {
            let is_users = |scope: &[u8]| scope == b"global" || scope == b"system";
            let mut found = entries().filter(|(scope, (key, _))| is_users(scope) && *key == wanted);
            found.next_back().map_or("/dev/null".into(), |(_, (_, value))| path_of(value).into_os_string())
        };
        let mut off: BTreeSet<_> = entries().flat_map(|(_, (key, value))| without_network(key, value)).collect();
        for (_, (key, value)) in entries().filter(|(scope, _)| matches!(*scope, b"local" | b"worktree")) {
            off.extend(answers(key, value, &users));
        }
        Self(off.into_iter().collect())
    }

    pub(crate) fn settings(&self) -> &[(OsString, OsString)] {
        &self.0
    }
}

/// git-lfs asks no server, which the files may name: its files stay pointers. An empty process is no way to switch that off:
/// git then runs no other of its programs either.
fn without_network(key: &[u8], value: &[u8]) -> Vec<(OsString, OsString)> {
    let filter = key.strip_prefix(b"filter.").and_then(|key| key.strip_suffix(b".smudge"));
    let Some(name) = filter.filter(|_| is_git_lfs(value)) else { return Vec::new() };
    let set = |last: &str, value: &str| {
        let mut key = path_of(b"filter.").into_os_string();
        key.push(path_of(name));
        key.push(last);
        (key, value.into())
    };
    vec![
        set(".process", "git-lfs filter-process --skip"),
        set(".required", "false"),
        set(".smudge", "git-lfs smudge --skip -- %f"),
    ]
}

/// The text merge that git does itself, as a driver: an empty one would take one side as the result.
const TEXT_MERGE: &str = "git merge-file --quiet --marker-size=%L %A %O %B";

/// The settings that are set in place of one setting of a repository's own.
fn answers(key: &[u8], value: &[u8], users: &dyn Fn(&[u8]) -> OsString) -> Vec<(OsString, OsString)> {
    let set = |key: &[u8], value: &OsStr| (path_of(key).into_os_string(), value.to_owned());
    let name = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match (key.split(|byte| *byte == b'.').next().unwrap_or_default(), name) {
        (b"filter", b"clean" | b"smudge" | b"process") if !is_git_lfs(value) => {
            let mut required = key[..key.len() - name.len()].to_vec();
            required.extend(b"required");
            vec![set(key, "".as_ref()), set(&required, "false".as_ref())]
        }
        (b"merge", b"driver") => vec![set(key, TEXT_MERGE.as_ref())],
        (b"lfs", b"clean" | b"smudge") | (b"branch", b"mergeoptions") => vec![set(key, "".as_ref())],
        // git quotes lines of such files when it doesn't understand them.
        (_, b"skiplist") | (b"core", b"attributesfile" | b"excludesfile") => vec![set(key, &users(key))],
        _ => Vec::new(),
    }
}

/// git-lfs as it sets itself up, for all repositories or for one.
fn is_git_lfs(command: &[u8]) -> bool {
    let plain = command.iter().all(|byte| byte.is_ascii_alphanumeric() || b" -%".contains(byte));
    plain && (command == b"git-lfs" || command.starts_with(b"git-lfs "))
}

fn split(setting: &[u8]) -> (&[u8], &[u8]) {
    let end = setting.iter().position(|byte| *byte == b'\n').unwrap_or(setting.len());
    (&setting[..end], setting.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_repository_s_own_settings_nothing_is_run() {
        let listed: Vec<Vec<u8>> = [
            ("global", "filter.mine.clean\nmine"),
            ("global", "core.attributesfile\n/home/u/attributes"),
            ("local", "filter.a.b.smudge\n./evil"),
            ("local", "filter.lfs.process\ngit-lfs filter-process"),
            ("global", "filter.lfs.smudge\ngit-lfs smudge -- %f"),
            ("local", "lfs.extension.x.smudge\nevil"),
            ("local", "filter.lfs2.clean\ngit-lfs; evil"),
            ("worktree", "merge.x.driver\nevil"),
            ("local", "core.attributesfile\n/home/u/.ssh/id"),
            ("local", "fetch.fsck.skiplist\n/home/u/.ssh/id"),
            ("local", "user.name\nU"),
        ]
        .into_iter()
        .flat_map(|(scope, setting)| [scope.into(), setting.into()])
        .collect();
        let expected = [
            ("core.attributesfile", "/home/u/attributes"),
            ("fetch.fsck.skiplist", "/dev/null"),
            ("filter.a.b.required", "false"),
            ("filter.a.b.smudge", ""),
            ("filter.lfs.process", "git-lfs filter-process --skip"),
            ("filter.lfs.required", "false"),
            ("filter.lfs.smudge", "git-lfs smudge --skip -- %f"),
            ("filter.lfs2.clean", ""),
            ("filter.lfs2.required", "false"),
            ("lfs.extension.x.smudge", ""),
            ("merge.x.driver", TEXT_MERGE),
        ];
        let expected = expected.map(|(key, value)| (key.into(), value.into()));
        assert_eq!(Shield::of(&listed).settings(), expected);
    }

    #[test]
    fn only_absolute_directories_are_searched() {
        let path = std::env::join_paths(["", "/usr/bin", "bin", "./x", "/bin"]).unwrap();
        assert_eq!(absolute(&path), *"/usr/bin:/bin");
        assert!(Path::new(&program()).is_absolute());
        assert_ne!(unforeseen(), unforeseen());
    }
}
