//! Landlock: which files a process and all that it starts can open, and whom they can signal.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    make_bitflags, path_beneath_rules,
};

use super::Walls;

/// The newest that is known here; what an older kernel doesn't know is left out.
const NEWEST: ABI = ABI::V7;

/// Leaves this process what is named, and tells which version of Landlock holds it to that. Where nothing else does, a kernel
/// without is an error.
pub(super) fn restrict(read: &[CString], write: &[CString], walls: Walls) -> io::Result<ABI> {
    let reading: BitFlags<AccessFs> = AccessFs::from_read(NEWEST);
    let all: BitFlags<AccessFs> = AccessFs::from_all(NEWEST);
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir | IoctlDev});
    let path = |path: &CString| OsStr::from_bytes(path.as_bytes()).to_owned();
    let own = |paths: &'static [&'static str]| paths.iter().filter(|_| walls.devices);
    let status = (|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(read.iter().map(path), reading))?
            .add_rules(path_beneath_rules(write.iter().map(path), all))?
            .add_rules(path_beneath_rules(["/proc"], reading))?
            .add_rules(path_beneath_rules(DEVICES, device))?
            .add_rules(path_beneath_rules(own(&["/dev/ptmx", "/dev/pts"]), device))?
            .add_rules(path_beneath_rules(own(&["/dev/shm"]), all))?
            .restrict_self()
    })()
    .map_err(io::Error::other)?;
    match ABI::from(status.landlock) {
        ABI::Unsupported if !walls.files => Err(io::Error::other("this kernel has no Landlock")),
        version => Ok(version),
    }
}

/// Devices that programs take for granted.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
