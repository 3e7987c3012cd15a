//! The words of git when it refuses, made into what its user can do.

use std::path::{Path, PathBuf};

/// More of a message than this helps nobody.
const MAX_SAID: usize = 4096;

/// Why git refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// This lock file is there.
    Locked(PathBuf),
    /// The repository is another user's. These are all the paths that git has to be told of.
    Ownership(Vec<PathBuf>),
    /// The whole message, without the progress of a checkout.
    Other(String),
}

/// Reads what git has said on its standard error, run at `place`.
pub(crate) fn complaint(said: &[u8], place: &Path) -> Complaint {
    let text = String::from_utf8_lossy(said);
    if let Some(path) = between(&text, "detected dubious ownership in repository at '", "'\n") {
        return Complaint::Ownership(both_paths(Path::new(path)));
    }
    let lock = between(&text, "nable to create '", "': File exists").filter(|path| path.ends_with(".lock"));
    if let Some(path) = lock {
        return Complaint::Locked(place.join(path));
    }
    if let Some(path) = between(&text, "could not lock config file ", ": File exists") {
        return Complaint::Locked(place.join(format!("{path}.lock")));
    }
    Complaint::Other(whole(&text))
}

/// Somebody else's git is at work in the repository, for a moment.
pub(crate) fn is_locked(said: &[u8]) -> bool {
    matches!(complaint(said, Path::new("")), Complaint::Locked(_))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// git checks the checkout at one time and the repository in it at another: it has to be told of both.
fn both_paths(named: &Path) -> Vec<PathBuf> {
    let named = named.to_owned();
    match named.file_name().is_some_and(|name| name == ".git") {
        true => named.parent().map(Path::to_owned).into_iter().chain([named.clone()]).collect(),
        false if named.join(".git").symlink_metadata().is_ok() => vec![named.clone(), named.join(".git")],
        false => vec![named],
    }
}

/// The message in one line, without progress. Of a very long one the beginning and the end.
fn whole(text: &str) -> String {
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty() && !is_progress(line));
    let whole = lines.map(unquoted).collect::<Vec<_>>().join("; ");
    if whole.len() <= MAX_SAID {
        return whole;
    }
    let head = whole.floor_char_boundary(MAX_SAID / 4);
    let tail = whole.ceil_char_boundary(whole.len() - MAX_SAID * 3 / 4 + 8);
    format!("{} ... {}", &whole[..head], &whole[tail..])
}

/// Complaints behind which git quotes what it has read. Where a file of its own is a link, that is a line of anything.
const QUOTING: [&str; 5] =
    ["unexpected line in ", "bad shallow line", "invalid shallow line", "invalid object name", "bad ref line"];

fn unquoted(line: &str) -> &str {
    let Some((at, said)) = QUOTING.iter().find_map(|said| Some((line.find(said)?, said))) else { return line };
    let rest = &line[at + said.len()..];
    rest.find(": ").map_or(line, |colon| &line[..at + said.len() + colon])
}

/// `Updating files:  12% (3/25)`, and the same with `remote: ` before it.
fn is_progress(line: &str) -> bool {
    let is_share = |rest: &str| rest.split_once('%').is_some_and(|(share, _)| share.trim().parse::<u8>().is_ok());
    line.rsplit_once(": ").is_some_and(|(_, rest)| is_share(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_named() {
        let table = [
            ("fatal: Unable to create '/p/.git/index.lock': File exists.\n\nAnother git", Some("/p/.git/index.lock")),
            ("error: could not lock config file .git/config: File exists", Some("/place/.git/config.lock")),
            (
                "fatal: cannot lock ref 'HEAD': Unable to create '/p/.git/HEAD.lock': File exists.\n\nAnother",
                Some("/p/.git/HEAD.lock"),
            ),
            ("fatal: cannot lock ref 'refs/heads/a': is at 1 but expected 2", None),
            ("fatal: Unable to create '/p/.git/index.lock': Permission denied", None),
        ];
        for (said, lock) in table {
            let found = match complaint(said.as_bytes(), Path::new("/place")) {
                Complaint::Locked(path) => Some(path),
                _ => None,
            };
            assert_eq!(found.as_deref(), lock.map(Path::new), "{said}");
            assert_eq!(is_locked(said.as_bytes()), lock.is_some(), "{said}");
        }
    }

    #[test]
    fn both_paths_of_another_user_s_repository() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        std::fs::create_dir(top.join(".git")).unwrap();
        for named in [top.to_owned(), top.join(".git")] {
            let said = format!("fatal: detected dubious ownership in repository at '{}'\nTo add", named.display());
            let expected = Complaint::Ownership(vec![top.to_owned(), top.join(".git")]);
            assert_eq!(complaint(said.as_bytes(), top), expected);
        }
    }

    #[test]
    fn what_git_has_read_is_not_said() {
        let table = [
            (
                "fatal: unexpected line in .git/packed-refs: https://u:secret@h",
                "fatal: unexpected line in .git/packed-refs",
            ),
            ("fatal: bad shallow line: secret", "fatal: bad shallow line"),
            ("fatal: invalid object name: secret", "fatal: invalid object name"),
            ("fatal: invalid object name 'main'.", "fatal: invalid object name 'main'."),
        ];
        for (said, expected) in table {
            assert_eq!(complaint(said.as_bytes(), Path::new("/")), Complaint::Other(expected.to_owned()));
        }
    }

    #[test]
    fn all_is_said_but_progress() {
        let said = "Updating files:  12% (3/25)\rUpdating files: 100% (25/25), done.\nremote: Counting objects: 50% (1/2)\r\n\
                    error: one\nhint: two\n\n\tthree\nfatal: four: 5";
        let expected = "error: one; hint: two; three; fatal: four: 5";
        assert_eq!(complaint(said.as_bytes(), Path::new("/")), Complaint::Other(expected.to_owned()));
        let long = format!("begin {} end", "\u{e4}".repeat(9000));
        let Complaint::Other(cut) = complaint(long.as_bytes(), Path::new("/")) else { panic!() };
        assert!(cut.len() <= MAX_SAID && cut.starts_with("begin") && cut.ends_with("end"), "{}", cut.len());
    }
}
