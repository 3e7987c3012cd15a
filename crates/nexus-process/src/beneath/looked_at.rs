//! A directory by its path, where there are no descriptors of directories: each part is looked at before it is used. No agent is
//! confined on such systems.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Entry;

#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        directory(root.canonicalize()?)
    }

    pub(super) fn file(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub(super) fn enter(&self, name: &Path) -> io::Result<Self> {
        directory(self.0.join(name))
    }

    pub(super) fn make(&self, name: &Path) -> io::Result<()> {
        std::fs::create_dir(self.0.join(name))
    }

    pub(super) fn read(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        if path.symlink_metadata()?.is_file() { File::open(path) } else { Err(super::no_file()) }
    }

    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(self.0.join(name))
    }

    pub(super) fn replace(&self, name: &Path, text: &[u8]) -> io::Result<()> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        io::Write::write_all(&mut self.create(name.as_os_str())?, text)
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    pub(super) fn entries(&self, most: usize) -> io::Result<Vec<Entry>> {
        let entries = std::fs::read_dir(&self.0)?.flatten().take(most).filter_map(|entry| {
            let (kind, modified) = (entry.file_type().ok()?, entry.metadata().and_then(|found| found.modified()).ok());
            let (is_directory, is_file) = (kind.is_dir(), kind.is_file());
            Some(Entry { name: entry.file_name(), is_directory, is_file, modified })
        });
        Ok(entries.collect())
    }
}

fn directory(path: PathBuf) -> io::Result<Place> {
    if path.symlink_metadata()?.is_dir() { Ok(Place(path)) } else { Err(ErrorKind::NotADirectory.into()) }
}
