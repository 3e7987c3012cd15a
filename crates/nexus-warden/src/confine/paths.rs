//! Landlock: which files a process and all that it starts can open, and whom they can signal.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, make_bitflags, path_beneath_rules,
};

use rustix::io::Errno;

use super::{Inside, Walls};

/// The newest that is known here; what an older kernel doesn't know is left out.
const NEWEST: ABI = ABI::V7;

/// Leaves this process what is named, and tells which version of Landlock holds it to that. Where nothing else does, a kernel
/// without is an error.
pub(super) fn restrict(inside: &Inside, walls: Walls) -> io::Result<ABI> {
    let (exact, write): (Vec<&CString>, Vec<&CString>) =
        inside.write.iter().partition(|path| inside.exact.contains(path));
    let mut opened = Vec::new();
    for path in exact {
        match super::exact::open(path) {
            Ok(place) => opened.push(place),
            // What isn't there can't be reached.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let reading: BitFlags<AccessFs> = AccessFs::from_read(NEWEST);
    let all: BitFlags<AccessFs> = AccessFs::from_all(NEWEST);
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir | IoctlDev});
    let path = |path: &CString| OsStr::from_bytes(path.as_bytes()).to_owned();
    let everything = [c"/".to_owned(), c"/proc".to_owned()];
    let (read, processes) =
        if walls.all_readable { (&everything[..1], &[][..]) } else { (&inside.read[..], &everything[1..]) };
    let own = |paths: &'static [&'static str]| paths.iter().filter(|_| walls.devices);
    let status = (|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(read.iter().map(path), reading))?
            .add_rules(path_beneath_rules(write.into_iter().map(path), all))?
            .add_rules(opened.into_iter().map(|place| Ok::<_, RulesetError>(PathBeneath::new(place, all))))?
            .add_rules(path_beneath_rules(processes.iter().map(path), reading))?
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
pub(super) const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
