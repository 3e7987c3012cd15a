//! Objects of git-lfs that an agent's git has stored in its own repository: a commit that names one is whole only with it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::plain;

/// Copies those that the project doesn't have. Each is checked: its name is the hash of its content.
pub(crate) fn bring(git_dir: &Path, common: &Path) -> io::Result<()> {
    let from = git_dir.join("lfs/objects");
    if !plain::is_directory(&git_dir.join("lfs")) || !plain::is_directory(&from) {
        return Ok(());
    }
    for first in directories(&from)? {
        for second in directories(&first)? {
            for object in fs::read_dir(&second)? {
                let object = object?;
                let name = object.file_name().to_string_lossy().into_owned();
                let Some((one, two)) = name.get(..2).zip(name.get(2..4)) else { continue };
                let target = common.join("lfs/objects").join(one).join(two);
                if object.file_type()?.is_file() && !target.join(&name).exists() && hash(&object.path())? == name {
                    fs::create_dir_all(&target)?;
                    let partial = target.join(format!("{name}.nexus"));
                    fs::copy(object.path(), &partial)?;
                    fs::rename(&partial, target.join(&name))?;
                }
            }
        }
    }
    Ok(())
}

fn directories(directory: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| plain::is_directory(path)).collect())
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            read => hash.update(&bytes[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
