//! A small disk of its own for a data directory, that can be filled and freed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::error::HarnessError;

/// A tmpfs; unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

/// Room for a run's ledger, logs and history.
const SIZE: &str = "size=128m";

impl Disk {
    /// Mounts one on a directory, which is made; none where this user may not.
    pub(crate) fn mount(dir: &Path) -> Result<Option<Self>, HarnessError> {
        std::fs::create_dir_all(dir).map_err(HarnessError::io("a data directory"))?;
        let mounted = command("mount").args(["-t", "tmpfs", "-o", SIZE, "nexus-chaos"]).arg(dir).status();
        Ok(mounted.is_ok_and(|status| status.success()).then(|| Self(dir.to_owned())))
    }

    /// Leaves no room on it, what has been freed since the last time included.
    pub(crate) fn fill(&self) {
        let Ok(mut ballast) = File::options().create(true).append(true).open(self.ballast()) else { return };
        for chunk in [1024 * 1024, 4096] {
            while ballast.write_all(&vec![0; chunk]).is_ok() {}
        }
    }

    pub(crate) fn free(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = command("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[expect(clippy::disallowed_types, reason = "mounting is another program's trade")]
fn command(name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(name);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
