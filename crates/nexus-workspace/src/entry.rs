//! What a directory's entries are, also in the upper layer of an overlay, where some stand for what is hidden below.

use std::fs::{DirEntry, FileType};
use std::path::{Path, PathBuf};

/// One entry. Links are never followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Link,
    Directory,
    /// In a layer: what the layers below have under this name is gone.
    Gone,
    /// A pipe, a socket or a device, which git has nothing to do with.
    Special,
}

pub(crate) fn kind(entry: &DirEntry) -> Option<Kind> {
    Some(of(entry.file_type().ok()?, &entry.path()))
}

fn of(kind: FileType, path: &Path) -> Kind {
    if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Link
    } else if kind.is_file() {
        Kind::File
    } else if is_gone(kind, path) {
        Kind::Gone
    } else {
        Kind::Special
    }
}

#[cfg(target_os = "linux")]
fn is_gone(kind: FileType, path: &Path) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    kind.is_char_device() && path.symlink_metadata().is_ok_and(|metadata| metadata.rdev() == 0)
}

#[cfg(not(target_os = "linux"))]
const fn is_gone(_: FileType, _: &Path) -> bool {
    false
}

/// What a directory of an upper layer makes of the one below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Both are seen as one.
    Merged,
    /// What is below is hidden.
    Opaque,
    /// What is below comes from another place: of the same directory, or from the root if it begins with a slash.
    Moved(PathBuf),
}

#[cfg(target_os = "linux")]
pub(crate) fn over(directory: &Path) -> Over {
    use std::os::unix::ffi::OsStringExt as _;
    let mut value = [0_u8; 4096];
    for space in ["trusted", "user"] {
        let mut attribute = |name: &str| {
            let length = rustix::fs::lgetxattr(directory, format!("{space}.overlay.{name}"), &mut value).ok()?;
            value.get(..length).map(<[u8]>::to_vec)
        };
        if let Some(to) = attribute("redirect") {
            return Over::Moved(PathBuf::from(std::ffi::OsString::from_vec(to)));
        }
        if attribute("opaque").is_some_and(|value| value == b"y") {
            return Over::Opaque;
        }
    }
    Over::Merged
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn over(_: &Path) -> Over {
    Over::Merged
}
