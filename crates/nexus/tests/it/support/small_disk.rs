//! A small disk for one test, with all its places on it, which may fill it: a tmpfs in a mount namespace that ends with
//! the test.
#![expect(clippy::disallowed_types, reason = "the test starts itself again, where it may mount")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the disk is mounted, once the test runs in its own namespace.
const PLACE: &str = "SMALL_DISK";

/// Runs the test called `name` (as the harness calls it) with a disk of some MiB of its own.
pub(crate) fn with(name: &str, mib: u32, test: impl FnOnce(PathBuf)) {
    if let Some(place) = std::env::var_os(PLACE) {
        return test(place.into());
    }
    let Some(unshare) = [&["-m"][..], &["-Urm"]].into_iter().find(|flags| unshare(flags, "true").is_some()) else {
        eprintln!("skipped: no small disk can be mounted here, neither as root nor in a user namespace");
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size={mib}m tmpfs \"${PLACE}\" && exec \"$0\" --exact {name} --nocapture");
    let mut command = Command::new("unshare");
    command
        .args(unshare)
        .args(["sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(PLACE, place.path())
        .env("TMPDIR", place.path());
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    eprintln!("{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"), "{name} failed on its own disk");
}

fn unshare(flags: &[&str], program: &str) -> Option<()> {
    Command::new("unshare").args(flags).arg(program).output().ok()?.status.success().then_some(())
}

/// Writes a file that leaves `spare` bytes (0: none at all); removing it makes room again.
pub(crate) fn fill(dir: &Path, spare: u64) -> PathBuf {
    use std::io::Write as _;
    let path = dir.join("filler");
    let stat = rustix::fs::statvfs(dir).unwrap();
    let size = (stat.f_bavail * stat.f_frsize).saturating_sub(spare);
    let mut file = std::fs::File::create(&path).unwrap();
    let block = [0; 4096];
    // The last block may already be somebody else's.
    let _ = (0..size.div_ceil(4096)).try_for_each(|_| file.write_all(&block));
    path
}
