//! The object stores that a repository borrows from. An agent is let read them, so only what has the form of one is taken:
//! whoever can write the repository can write any path into its `info/alternates`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::git::path_of;
use crate::plain;

/// git itself follows five.
const MANY: usize = 16;

/// The repository's objects, and those that it borrows itself.
pub(crate) fn borrowed(common: &Path) -> Vec<PathBuf> {
    let mut found = vec![common.join("objects")];
    let mut next = 0;
    while let Some(objects) = found.get(next).cloned() {
        next += 1;
        let text = plain::content(&objects.join("info/alternates"));
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
            let named = objects.join(path_of(&unquoted(line)));
            let Some(path) = store(&named) else {
                tracing::warn!(path = %named.display(), "this is no object store: nothing is borrowed from it");
                continue;
            };
            if !found.contains(&path) && found.len() < MANY {
                found.push(path);
            }
        }
    }
    found
}

/// A path as git takes it in `info/alternates`, and between colons in `GIT_ALTERNATE_OBJECT_DIRECTORIES`.
pub(crate) fn quoted(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'\n' | b':' | b'"' | b'#' | b'\\')) {
        return bytes.to_vec();
    }
    let escaped = bytes.iter().flat_map(|byte| match byte {
        b'\n' => b"\\n".to_vec(),
        b'"' | b'\\' => vec![b'\\', *byte],
        _ => vec![*byte],
    });
    [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
}

/// The path that git makes of a line of `info/alternates`.
fn unquoted(line: &[u8]) -> Vec<u8> {
    let Some(mut rest) = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")) else {
        return line.to_vec();
    };
    let mut path = Vec::new();
    while let [first, more @ ..] = rest {
        (rest, _) = match (first, more) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..]) => {
                (more, path.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')))
            }
            (b'\\', [escape, more @ ..]) => {
                let names = b"abfnrtv".iter().position(|name| name == escape);
                (more, path.push(names.map_or(*escape, |at| b"\x07\x08\x0c\n\r\t\x0b"[at])))
            }
            _ => (more, path.push(*first)),
        };
    }
    path
}

/// True if a repository's objects are its own, or those of another repository. A link to anything else would be let read.
pub(crate) fn are_objects(objects: &Path) -> bool {
    is_directory(objects) || store(objects).is_some()
}

/// The path without links, if there is an object store of a repository.
fn store(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let repository = path.parent()?;
    let is_store = path.file_name().is_some_and(|name| name == "objects")
        && is_directory(&path.join("pack"))
        && is_directory(&path.join("info"))
        && repository.join("HEAD").symlink_metadata().is_ok()
        && is_directory(&repository.join("refs"))
        && fs::read_dir(&path).ok()?.flatten().all(|entry| is_of_store(&entry.file_name().to_string_lossy()));
    is_store.then_some(path)
}

/// Names in an object store: two hexadecimal digits, and git's own.
fn is_of_store(name: &str) -> bool {
    let is_fan = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_fan
        || ["pack", "info", "maintenance.lock"].contains(&name)
        || ["tmp_", "incoming-", "bulk-fsync-"].iter().any(|own| name.starts_with(own))
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(path: &Path) {
        for part in ["objects/pack", "objects/info", "objects/1a", "refs"] {
            fs::create_dir_all(path.join(part)).unwrap();
        }
        fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    #[test]
    fn odd_paths() {
        for path in ["/plain", "/a b", "/with\nline end", "/co:lon", "/quo\"te", "/back\\slash", "#hash"] {
            let quoted = quoted(Path::new(path));
            assert!(!quoted.contains(&b'\n'));
            assert_eq!(unquoted(&quoted), path.as_bytes(), "{path}");
        }
        assert_eq!(unquoted(br#""/a\303\244\t""#), "/\u{61}\u{e4}\t".as_bytes());
    }

    #[test]
    fn only_object_stores_are_borrowed_from() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let [own, one, two, home] = ["own", "one", "two", "home"].map(|name| root.join(name));
        for path in [&own, &one, &two] {
            repository(path);
        }
        repository(&home);
        fs::write(home.join("objects/id_rsa"), "secret").unwrap();
        let ssh = root.join(".ssh");
        fs::create_dir(&ssh).unwrap();
        let text = format!(
            "# comment\n{}\n{}\n{}\n{}\n../../one/objects\n",
            ssh.display(),
            root.display(),
            home.join("objects").display(),
            own.join("objects/pack").display(),
        );
        fs::write(own.join("objects/info/alternates"), text).unwrap();
        fs::write(one.join("objects/info/alternates"), format!("{}\n", two.join("objects").display())).unwrap();
        assert_eq!(borrowed(&own), [&own, &one, &two].map(|path| path.join("objects")));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_the_list_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        repository(directory.path());
        let list = directory.path().join("objects/info/alternates");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &list, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(borrowed(directory.path()), [directory.path().join("objects")]);
    }
}
