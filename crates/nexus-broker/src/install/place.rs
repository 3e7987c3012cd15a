//! Comparing digests, and putting a program in place whole or not at all.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use semver::Version;
use sha2::{Digest as _, Sha256};

use crate::tools::file_name;

/// Compares bytes with their pinned digest.
pub(super) fn verify(what: &str, bytes: &[u8], sha256: &str) -> io::Result<()> {
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == sha256 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{what} is not the one expected (sha256 {found}, expected {sha256}); it was not installed"
    )))
}

/// Reads all of a stream that is known to be no longer than `most`.
pub(super) fn read_bounded(stream: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("it is larger than the {most} bytes expected; it was not installed")))
}

/// Writes the program under its final name by way of another one, so that nobody ever runs half a program.
pub(super) fn place(dir: &Path, version: &Version, program: &[u8]) -> io::Result<PathBuf> {
    let path = dir.join(file_name(version));
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
    temporary.write_all(program)?;
    make_executable(temporary.as_file())?;
    temporary.as_file().sync_all()?;
    // The file is closed first: a program that is open for writing can't be run.
    temporary.into_temp_path().persist(&path).map_err(|error| error.error)?;
    sync_dir(dir)?;
    Ok(path)
}

#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn make_executable(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}
