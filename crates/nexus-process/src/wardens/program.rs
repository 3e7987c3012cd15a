//! The warden's program, which this one carries in itself.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

static PROGRAM: &[u8] = include_bytes!(env!("NEXUS_WARDEN"));

/// It lies in memory: nothing has to be installed, and it is the one that this program was built with.
static FILE: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);

/// The program as a file, for as long as the descriptor is held.
pub(crate) fn file() -> io::Result<(PathBuf, Arc<OwnedFd>)> {
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let fd = match &*file {
        Some(fd) => Arc::clone(fd),
        None => Arc::clone(file.insert(Arc::new(make()?))),
    };
    Ok((format!("/proc/self/fd/{}", fd.as_raw_fd()).into(), fd))
}

/// The program as a file that others can be given: written to a directory, if it isn't there already.
///
/// # Errors
/// When it can't be written.
pub fn put(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join("nexus-warden");
    if std::fs::read(&path).is_ok_and(|there| there == PROGRAM) {
        return Ok(path);
    }
    std::fs::create_dir_all(directory)?;
    let part = directory.join(format!("nexus-warden.{}", std::process::id()));
    std::fs::write(&part, PROGRAM)?;
    std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&part, &path)?;
    Ok(path)
}

fn make() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // A kernel before 6.3 doesn't know EXEC, and lets every such file be executed.
    let fd = memfd_create("nexus-warden", flags | MemfdFlags::EXEC).or_else(|_| memfd_create("nexus-warden", flags))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(PROGRAM)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}
