//! The home of a confined agent, from its making to its next use by another.
//!
//! Nothing must be left in it that tells of its task: names, times, modes and attributes are an agent's to choose.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use nexus_warden::protocol::Confinement;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, Timespec, Timestamps, UTIME_NOW,
    fchmod, flistxattr, futimens, openat, statx, unlinkat,
};
use rustix::io::Errno;

/// The two directories of a home, which only its owner enters.
pub const PARTS: [&str; 2] = ["home", "tmp"];
/// The places that a confinement makes within a home, each by its path from what is private to the task.
pub type Places = BTreeMap<PathBuf, Kind>;

/// The kind of a place, which is that of what is mounted over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
}

/// The size of a directory, in bytes, that has held many names: it keeps it, and is slower.
const LARGE: u64 = 64 * 1024;

/// The places that a confinement makes within what is private to a task, such as `home/.cargo/bin`, to mount something over them
/// or over what is in them; but for those that are called as the task is: its workspace's.
#[must_use]
pub fn places(task: &str, private: &Path, confinement: &Confinement) -> Places {
    let binds = || confinement.read.iter().chain(&confinement.write);
    let mut places = Places::new();
    for bind in binds() {
        let (source, root) = (path(&bind.source), path(&bind.target));
        let Ok(part) = source.strip_prefix(private) else { continue };
        for other in binds() {
            let Ok(below) = path(&other.target).strip_prefix(root) else { continue };
            let mut place = part.to_owned();
            for name in below.iter().take_while(|name| *name != task) {
                place.push(name);
                places.insert(place.clone(), Kind::Directory);
            }
            if place == part.join(below) && place != part && path(&other.source).is_file() {
                places.insert(place, Kind::File);
            }
        }
    }
    places
}

fn path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

/// Sets a task's home back to how it was made; false if there is more to it than that. Blocks.
///
/// # Errors
/// Something in it can't be looked at, or set back.
pub fn renew(private: &Path, places: &Places, task: &str) -> io::Result<bool> {
    let private = openat(CWD, private, DIRECTORY, Mode::empty())?;
    let renewal = Renewal { places, task, attributes: look(&private)?.stx_attributes };
    for name in names(&private)? {
        let part = PARTS.iter().map(Path::new).find(|part| part.as_os_str() == name);
        let Some(part) = part else { return Ok(false) };
        if !renewal.carry_out(&private, part, part, Mode::RWXU)? {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Renewal<'a> {
    places: &'a Places,
    task: &'a str,
    /// Marks that the file system gives to each directory, such as that it is encrypted.
    attributes: StatxAttributes,
}

impl Renewal<'_> {
    /// Sets back the directory of this name, which is `place` of the home; it was made with this mode.
    fn carry_out(&self, holder: impl AsFd, name: &Path, place: &Path, mode: Mode) -> io::Result<bool> {
        let directory = openat(holder, name, DIRECTORY, Mode::empty())?;
        let found = look(&directory)?;
        if found.stx_size > LARGE || !self.is_plain(&directory, &found)? {
            return Ok(false);
        }
        for name in names(&directory)? {
            if name == self.task {
                // The workspace was mounted over it. What is in it now is more than that, and this fails.
                unlinkat(&directory, &name, AtFlags::REMOVEDIR)?;
                continue;
            }
            let (place, name) = (place.join(&name), Path::new(&name));
            let is_new = match self.places.get(&place) {
                None => false,
                Some(Kind::File) => self.set_back(&directory, name)?,
                Some(Kind::Directory) => self.carry_out(&directory, name, &place, WITHIN)?,
            };
            if !is_new {
                return Ok(false);
            }
        }
        as_made(&directory, &found, mode)?;
        Ok(true)
    }

    /// The same for an empty file.
    fn set_back(&self, holder: &OwnedFd, name: &Path) -> io::Result<bool> {
        let file = openat(holder, name, FILE, Mode::empty())?;
        let found = look(&file)?;
        let is_empty = found.stx_size == 0 && found.stx_blocks == 0 && found.stx_nlink == 1;
        let is_file = FileType::from_raw_mode(u32::from(found.stx_mode)) == FileType::RegularFile;
        if !is_file || !is_empty || !self.is_plain(&file, &found)? {
            return Ok(false);
        }
        as_made(&file, &found, Mode::from_raw_mode(0o644))?;
        Ok(true)
    }

    /// True if it is the company's, and has no attributes of its own.
    fn is_plain(&self, place: &OwnedFd, found: &Statx) -> io::Result<bool> {
        let is_own = found.stx_uid == rustix::process::geteuid().as_raw();
        Ok(is_own && found.stx_attributes == self.attributes && !is_extended(place)?)
    }
}

fn as_made(place: &OwnedFd, found: &Statx, mode: Mode) -> io::Result<()> {
    if Mode::from_raw_mode(u32::from(found.stx_mode)) != mode {
        fchmod(place, mode)?;
    }
    Ok(futimens(place, &NOW)?)
}

/// A file, or whatever is there: nothing is waited for.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// A directory, and no link to one.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The mode of a directory that was made to mount something over it.
const WITHIN: Mode = Mode::from_raw_mode(0o755);
const NOW: Timestamps = {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
};

fn look(directory: &OwnedFd) -> io::Result<Statx> {
    Ok(statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?)
}

fn names(directory: &OwnedFd) -> io::Result<Vec<OsString>> {
    let names = Dir::read_from(directory)?.filter_map(|entry| {
        let entry = entry.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec()));
        entry.map(|name| (name != "." && name != "..").then_some(name)).transpose()
    });
    Ok(names.collect::<Result<_, _>>()?)
}

/// True if it has attributes beyond those that every file has; the label that SELinux gives to each is none.
fn is_extended(directory: &OwnedFd) -> io::Result<bool> {
    let mut names = [0_u8; 64];
    match flistxattr(directory, &mut names) {
        Ok(length) => Ok(!matches!(&names[..length], b"" | b"security.selinux\0")),
        Err(Errno::NOTSUP) => Ok(false),
        Err(Errno::RANGE) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
