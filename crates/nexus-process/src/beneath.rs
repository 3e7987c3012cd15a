//! Directories in which an agent may have put anything: opened once, and gone down without following a link.
//!
//! A name that an agent can replace leads where the agent likes, by the time that it is used. So the company holds such a
//! directory by a descriptor, goes one name at a time from there, and looks at what it has opened: a pipe would be waited for,
//! and a device does things.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Component, Path};
use std::time::SystemTime;

#[cfg(not(unix))]
mod looked_at;
#[cfg(unix)]
mod opened;
#[cfg(not(unix))]
use looked_at::Place;
#[cfg(unix)]
use opened::Place;

/// An open directory that an agent may write to.
#[derive(Debug)]
pub struct Beneath(Place);

/// A directory's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub is_directory: bool,
    /// A regular file, and no link to one.
    pub is_file: bool,
    pub modified: Option<SystemTime>,
}

impl Beneath {
    /// Opens a directory that nobody but the company or the user can replace: links on the way there are followed.
    ///
    /// # Errors
    /// It isn't there, or is no directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        Place::open(root).map(Self)
    }

    /// A directory below this one.
    ///
    /// # Errors
    /// It isn't there, or a part of the way is a link or a file.
    pub fn enter(&self, below: &Path) -> io::Result<Self> {
        self.go(below, Place::enter)
    }

    /// The same; what isn't there is made, for its owner only.
    ///
    /// # Errors
    /// A part of the way is a link or a file, or can't be made.
    pub fn make(&self, below: &Path) -> io::Result<Self> {
        self.go(below, |place, name| match place.enter(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match place.make(name) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                place.enter(name)
            }
            entered => entered,
        })
    }

    fn go(&self, below: &Path, step: impl Fn(&Place, &Path) -> io::Result<Place>) -> io::Result<Self> {
        let mut place = self.0.again()?;
        for name in names(below) {
            place = step(&place, name?)?;
        }
        Ok(Self(place))
    }

    /// Opens a regular file below this directory to be read.
    ///
    /// # Errors
    /// It isn't there, is no regular file, or lies behind a link.
    pub fn read(&self, below: &Path) -> io::Result<File> {
        let (directory, name) = self.directory_of(below)?;
        let file = directory.0.read(&name)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
    }

    /// Writes a file in this directory, for its owner only, in the place of whatever has that name.
    ///
    /// # Errors
    /// It can't be written, or its name is a directory's.
    pub fn replace(&self, name: &str, text: &[u8]) -> io::Result<()> {
        self.0.replace(Path::new(name), text)
    }

    /// Makes an empty file below this directory, unless a file is there.
    ///
    /// # Errors
    /// Something else is there, or it can't be made.
    pub fn touch(&self, below: &Path) -> io::Result<()> {
        let (directory, name) = self.directory_of(below)?;
        match directory.0.create(&name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.read(below).map(drop),
            made => made.map(drop),
        }
    }

    /// Removes a file below this directory, or a link: not what that leads to.
    ///
    /// # Errors
    /// It isn't there, is a directory, or lies behind a link.
    pub fn remove(&self, below: &Path) -> io::Result<()> {
        let (directory, name) = self.directory_of(below)?;
        directory.0.remove(&name)
    }

    /// Makes a link below this directory, unless something has its name.
    ///
    /// # Errors
    /// It can't be made.
    #[cfg(unix)]
    pub fn link(&self, below: &Path, target: &Path) -> io::Result<()> {
        let (directory, name) = self.directory_of(below)?;
        match directory.0.link(&name, target) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    /// Its entries, as far as they can be looked at, `most` at most.
    ///
    /// # Errors
    /// It can't be read.
    pub fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        self.0.entries(most)
    }

    fn directory_of(&self, below: &Path) -> io::Result<(Self, OsString)> {
        let name = below.file_name().ok_or_else(no_file)?.to_owned();
        let directory = self.enter(below.parent().unwrap_or(Path::new("")))?;
        Ok((directory, name))
    }
}

/// Opens a regular file by its path, or what a link to one leads to. A pipe, which would be waited for, or a device is refused.
///
/// # Errors
/// It isn't there, or is no regular file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = Place::file(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file()) }
}

/// The content of such a file, of `most` bytes at most.
///
/// # Errors
/// It isn't there, is no regular file, or is bigger.
pub fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// The names of a path that goes down, and nowhere else.
fn names(below: &Path) -> impl Iterator<Item = io::Result<&Path>> {
    below.components().filter(|part| *part != Component::CurDir).map(|part| match part {
        Component::Normal(name) => Ok(Path::new(name)),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is not below the directory")),
    })
}

fn no_file() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is no regular file")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn text(file: io::Result<File>) -> io::Result<String> {
        let mut text = String::new();
        file?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// A directory with something outside of it, and links that lead there.
    fn place() -> (tempfile::TempDir, Beneath) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("own/sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(dir.path().join("own/sub/file"), "text").unwrap();
        symlink("../secret", dir.path().join("own/link")).unwrap();
        symlink("..", dir.path().join("own/up")).unwrap();
        symlink("sub", dir.path().join("own/within")).unwrap();
        let beneath = Beneath::open(&dir.path().join("own")).unwrap();
        (dir, beneath)
    }

    #[test]
    fn no_link_is_followed_and_nothing_goes_up() {
        let (dir, own) = place();
        assert_eq!(text(own.read(Path::new("sub/file"))).unwrap(), "text");
        assert_eq!(text(own.read(Path::new("./sub/./file"))).unwrap(), "text");
        for path in ["link", "up/secret", "within/file", "../secret", "sub/../../secret", "/etc/passwd", "sub", "", "."]
        {
            assert!(own.read(Path::new(path)).is_err(), "{path} was read");
        }
        for path in ["up", "within", "up/new", "../new", "link", "link/new"] {
            assert!(own.enter(Path::new(path)).is_err(), "{path} was entered");
            assert!(own.make(Path::new(path)).is_err(), "{path} was made");
        }
        for path in ["link", "up/made", "within/made"] {
            assert!(own.touch(Path::new(path)).is_err(), "{path} was made");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let (dir, own) = place();
        own.make(Path::new("new/deep")).unwrap().replace("file", b"made").unwrap();
        own.touch(Path::new("new/empty")).unwrap();
        own.touch(Path::new("new/empty")).unwrap();
        own.link(Path::new("new/link"), Path::new("/nowhere")).unwrap();
        own.link(Path::new("new/link"), Path::new("/elsewhere")).unwrap();
        let made = |path: &str| dir.path().join("own/new").join(path);
        assert_eq!(std::fs::read_to_string(made("deep/file")).unwrap(), "made");
        assert_eq!(std::fs::read_link(made("link")).unwrap(), Path::new("/nowhere"));
        for (path, mode) in [("deep", 0o700), ("deep/file", 0o600)] {
            assert_eq!(made(path).metadata().unwrap().permissions().mode() & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_a_link_and_not_that_of_what_it_leads_to() {
        let (dir, own) = place();
        own.replace("link", b"settings").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
        assert_eq!(std::fs::read_to_string(dir.path().join("own/link")).unwrap(), "settings");
        own.replace("link", b"new").unwrap();
        assert_eq!(text(own.read(Path::new("link"))).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path().join("own")).unwrap().count(), 4, "nothing else is left");
    }

    #[test]
    fn a_pipe_is_no_file_and_is_not_waited_for() {
        let (dir, own) = place();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let path = dir.path().join("own/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(own.read(Path::new("pipe")).is_err());
        assert!(own.touch(Path::new("pipe")).is_err());
        assert!(read_file(&path, 9).is_err() && open_file(Path::new("/dev/null")).is_err());
        own.replace("pipe", b"file").unwrap();
        assert_eq!(text(own.read(Path::new("pipe"))).unwrap(), "file");
        assert_eq!(read_file(&path, 4).unwrap(), b"file");
        assert!(read_file(&path, 3).is_err());
    }

    #[test]
    fn it_is_the_directory_that_was_opened_whatever_has_its_name_by_now() {
        let (dir, own) = place();
        std::fs::rename(dir.path().join("own"), dir.path().join("old")).unwrap();
        symlink("/etc", dir.path().join("own")).unwrap();
        assert!(own.read(Path::new("passwd")).is_err());
        assert_eq!(text(own.read(Path::new("sub/file"))).unwrap(), "text");
    }

    #[test]
    fn entries_say_what_they_are() {
        let (_dir, own) = place();
        let mut entries = own.entries(100).unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let kinds: Vec<_> =
            entries.iter().map(|entry| (entry.name.to_str().unwrap(), entry.is_directory, entry.is_file)).collect();
        let link = |name| (name, false, false);
        assert_eq!(kinds, [link("link"), ("sub", true, false), link("up"), link("within")]);
        assert_eq!(own.entries(2).unwrap().len(), 2);
        assert!(own.enter(Path::new("sub")).unwrap().entries(9).unwrap()[0].is_file);
    }
}
