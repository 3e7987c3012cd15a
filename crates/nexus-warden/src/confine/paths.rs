//! Landlock: which files a process and all that it starts can open, and whom they can signal.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, make_bitflags, path_beneath_rules,
};

/// The newest that is known here; what an older kernel doesn't know is left out.
const NEWEST: ABI = ABI::V7;

/// Leaves this process what is named. `alone`: nothing else confines it, so a kernel that can't do it is an error.
pub(super) fn restrict(read: &[CString], write: &[CString], alone: bool) -> io::Result<()> {
    let reading: BitFlags<AccessFs> = AccessFs::from_read(NEWEST);
    let all: BitFlags<AccessFs> = AccessFs::from_all(NEWEST);
    // Devices that programs take for granted; a terminal of its own it has none.
    let devices = make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir | IoctlDev});
    let path = |path: &CString| OsStr::from_bytes(path.as_bytes()).to_owned();
    let status = (|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(read.iter().map(path), reading))?
            .add_rules(path_beneath_rules(write.iter().map(path), all))?
            .add_rules(path_beneath_rules(["/proc"], reading))?
            .add_rules(path_beneath_rules(DEVICES, devices))?
            // Without a /dev of its own it would share this with others.
            .add_rules(path_beneath_rules(["/dev/shm"].into_iter().filter(|_| !alone), all))?
            .restrict_self()
    })()
    .map_err(io::Error::other)?;
    if alone && status.ruleset == RulesetStatus::NotEnforced {
        return Err(io::Error::other("this kernel has no Landlock"));
    }
    Ok(())
}

const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
