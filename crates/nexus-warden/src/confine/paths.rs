//! Landlock: which files a process and all that it starts can open, and whom they can signal.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, make_bitflags, path_beneath_rules,
};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::{Inside, Walls, exact};

/// The newest that is known here; what an older kernel doesn't know is left out.
const NEWEST: ABI = ABI::V7;

/// Leaves this process what is named, and tells which version of Landlock holds it to that. Where nothing else does, a kernel
/// without is an error.
pub(super) fn restrict(inside: &Inside, walls: Walls) -> io::Result<ABI> {
    let writable: Vec<&CStr> = inside.write.iter().map(CString::as_c_str).collect();
    // Without a link that an agent may have left. None: all links on the way are the user's.
    let opened = |path: &CString| match inside.exact.contains(path) {
        true => Some(exact::open(path)),
        false => exact::open_below(path, &writable),
    };
    let reading: BitFlags<AccessFs> = AccessFs::from_read(NEWEST);
    let all: BitFlags<AccessFs> = AccessFs::from_all(NEWEST);
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir | IoctlDev});
    let path = |path: &CString| OsStr::from_bytes(path.as_bytes()).to_owned();
    let everything = [c"/".to_owned(), c"/proc".to_owned()];
    let (read, processes) =
        if walls.all_readable { (&everything[..1], &[][..]) } else { (&inside.read[..], &everything[1..]) };
    let (read, opened_to_read) = apart(read, opened)?;
    let (write, opened_to_write) = apart(&inside.write, opened)?;
    let own = |paths: &'static [&'static str]| paths.iter().filter(|_| walls.devices);
    let status = (|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?
            .create()?
            .add_rules(path_beneath_rules(read.into_iter().map(path), reading))?
            .add_rules(path_beneath_rules(write.into_iter().map(path), all))?
            .add_rules(opened_to_read.into_iter().map(|place| rule(place, reading)))?
            .add_rules(opened_to_write.into_iter().map(|place| rule(place, all)))?
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

/// Those paths that are to be opened by path, and the others, opened.
fn apart(
    paths: &[CString],
    open: impl Fn(&CString) -> Option<rustix::io::Result<OwnedFd>>,
) -> io::Result<(Vec<&CString>, Vec<OwnedFd>)> {
    let (mut by_path, mut opened) = (Vec::new(), Vec::new());
    for path in paths {
        match open(path) {
            None => by_path.push(path),
            Some(Ok(place)) => opened.push(place),
            // What isn't there can't be reached.
            Some(Err(Errno::NOENT | Errno::NOTDIR)) => {}
            Some(Err(error)) => return Err(exact::named(error, path)),
        }
    }
    Ok((by_path, opened))
}

/// Files have rights of their own, beside which those of directories are refused.
fn rule(place: OwnedFd, rights: BitFlags<AccessFs>) -> Result<PathBeneath<OwnedFd>, RulesetError> {
    let is_dir =
        rustix::fs::fstat(&place).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    Ok(PathBeneath::new(place, if is_dir { rights } else { rights & AccessFs::from_file(NEWEST) }))
}

/// Devices that programs take for granted.
pub(super) const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
