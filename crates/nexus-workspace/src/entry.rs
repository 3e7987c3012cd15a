//! The kinds of a directory's entries, also in the upper layer of an overlay, where some stand for what is hidden below.

use std::fs::{DirEntry, FileType};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use nexus_process::overlay::renames_directories;

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

/// The relation of a directory of an upper layer to the one below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Both are seen as one.
    Merged,
    /// The one below is hidden.
    Opaque,
    /// The one below comes from another place: of the same directory, or from the root if it begins with a slash.
    Moved(PathBuf),
}

/// Where the kernel keeps its notes. In another space an agent may have written what it likes.
#[cfg(target_os = "linux")]
fn space() -> &'static str {
    if renames_directories() { "trusted" } else { "user" }
}

#[cfg(target_os = "linux")]
pub(crate) fn over(directory: &Path) -> Over {
    use std::os::unix::ffi::OsStringExt as _;
    let space = space();
    let mut value = [0_u8; 4096];
    let mut attribute = |name: &str| {
        let length = rustix::fs::lgetxattr(directory, format!("{space}.overlay.{name}"), &mut value).ok()?;
        value.get(..length).map(<[u8]>::to_vec)
    };
    if let Some(to) = attribute("redirect") {
        let to = PathBuf::from(std::ffi::OsString::from_vec(to));
        return if is_within(&to) { Over::Moved(to) } else { Over::Opaque };
    }
    if attribute("opaque").is_some_and(|value| value == b"y") { Over::Opaque } else { Over::Merged }
}

/// Lets what is below a directory of a layer be seen.
#[cfg(target_os = "linux")]
pub(crate) fn merge(directory: &Path) -> std::io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::lremovexattr(directory, format!("{}.overlay.opaque", space())) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same as where there are layers")]
pub(crate) const fn merge(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// A name in the same directory, or a path from the root that doesn't leave it.
#[cfg(target_os = "linux")]
fn is_within(to: &Path) -> bool {
    use std::path::Component;
    match to.strip_prefix("/") {
        Ok(below) => below.components().all(|part| matches!(part, Component::Normal(_))),
        Err(_) => to.components().count() == 1 && to.file_name().is_some(),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn over(_: &Path) -> Over {
    Over::Merged
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_notes_of_the_kernel_count_and_none_leads_out_of_the_layers() {
        use rustix::fs::{XattrFlags, lsetxattr};
        let (own, other) = if renames_directories() { ("trusted", "user") } else { ("user", "trusted") };
        let over_of = |space: &str, to: &str| {
            let directory = tempfile::tempdir().unwrap();
            let set =
                lsetxattr(directory.path(), format!("{space}.overlay.redirect"), to.as_bytes(), XattrFlags::empty());
            set.ok().map(|()| over(directory.path()))
        };
        for (to, wanted) in [
            ("/a/b", Over::Moved("/a/b".into())),
            ("name", Over::Moved("name".into())),
            ("/../secret", Over::Opaque),
            ("/a/../../secret", Over::Opaque),
            ("../secret", Over::Opaque),
            ("..", Over::Opaque),
        ] {
            // Where no such notes can be kept there are no layers either.
            assert!(over_of(own, to).is_none_or(|found| found == wanted), "{to}");
            assert!(over_of(other, to).is_none_or(|found| found == Over::Merged), "{to}");
        }
    }
}
