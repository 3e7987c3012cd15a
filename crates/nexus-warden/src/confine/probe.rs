//! What of confinement this machine offers, found out by trying it.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What can be had, and why not what can't.
#[derive(Clone, Debug)]
pub struct Available {
    /// Namespaces by bwrap: its path.
    pub namespaces: Result<CString, String>,
    /// Landlock: the version of its interface.
    pub landlock: Result<u32, String>,
    /// Namespaces that a warden can make by itself.
    pub clone_flags: u64,
}

/// Tries. Takes some hundredths of a second; `path` is where bwrap is looked for.
#[must_use]
pub fn probe(path: &std::ffi::OsStr) -> Available {
    Available { namespaces: namespaces(path), landlock: landlock(), clone_flags: clone_flags() }
}

fn namespaces(path: &std::ffi::OsStr) -> Result<CString, String> {
    let bwrap = find(path).ok_or("bwrap is not installed (package bubblewrap)")?;
    let mut command = Command::new(&bwrap);
    command.args([
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-net",
        "--die-with-parent",
        "--as-pid-1",
    ]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--unshare-user");
    }
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"]);
    let output = command.env_clear().stdin(Stdio::null()).output().map_err(|error| format!("bwrap: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(format!("{} can't make namespaces here ({said}){}", bwrap.display(), hint()));
    }
    let text = bwrap.into_os_string().into_encoded_bytes();
    CString::new(text).map_err(|error| error.to_string())
}

/// What is known to forbid an ordinary user's namespaces, and how to allow them.
fn hint() -> &'static str {
    let says = |file: &str, value: &str| std::fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
    if says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "; allow them by `sysctl kernel.unprivileged_userns_clone=1`"
    } else if says("/proc/sys/user/max_user_namespaces", "0") {
        "; allow them by `sysctl user.max_user_namespaces=15000`"
    } else if says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "; AppArmor forbids them: install its profile for bwrap"
    } else {
        ""
    }
}

fn find(path: &std::ffi::OsStr) -> Option<PathBuf> {
    let mut candidates = std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join("bwrap"));
    candidates.find(|candidate| rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok())
}

fn landlock() -> Result<u32, String> {
    // landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
    #[expect(unsafe_code, reason = "the crate doesn't tell the version")]
    // SAFETY: it only reads its three numbers.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, 1u32) };
    match u32::try_from(version) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err("this kernel has no Landlock, or it is not among its `lsm`".to_owned()),
    }
}

/// `CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET`.
const ALL: u64 = 0x0002_0000 | 0x0800_0000 | 0x2000_0000 | 0x4000_0000;

fn clone_flags() -> u64 {
    // Only root makes namespaces without a user namespace, and a warden doesn't write user maps: bwrap is for that.
    let may = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN));
    let kernel_has = ["mnt", "ipc", "pid", "net"].iter().all(|name| Path::new("/proc/self/ns").join(name).exists());
    if may && kernel_has { ALL } else { 0 }
}
