//! Paths as git prints and reads them: bytes, with a zero byte at the end of each.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

#[cfg(unix)]
pub(crate) fn bytes(path: &Path) -> Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(path.as_os_str().as_bytes())
}

/// Elsewhere git has UTF-8 and slashes.
#[cfg(not(unix))]
pub(crate) fn bytes(path: &Path) -> Cow<'_, [u8]> {
    Cow::Owned(path.to_string_lossy().replace('\\', "/").into_bytes())
}

#[cfg(unix)]
pub(crate) fn from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(crate) fn from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// The paths as `-z --stdin` reads them.
pub(crate) fn lines<B: AsRef<[u8]>>(paths: impl IntoIterator<Item = B>) -> Vec<u8> {
    let mut lines = Vec::new();
    for path in paths {
        lines.extend_from_slice(path.as_ref());
        lines.push(0);
    }
    lines
}
