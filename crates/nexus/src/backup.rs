//! The form of a backup: one tar archive, whose first entry says what follows. The copy of a stream lies there in the
//! server's own form, which is compressed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest form that this version reads, and the one that it writes.
pub(crate) const VERSION: u32 = 1;
/// The files of a data directory that a backup holds beside the streams. All else can be made anew, or belongs to work that
/// was not delivered.
pub(crate) const FILES: [&str; 4] = ["node", "home.json", "ledger.json", "token"];

const MANIFEST: &str = "manifest.json";
/// No file beside the streams is longer; what claims to be is no backup.
const LONGEST_FILE: u64 = 16 << 20;

/// The first entry of a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) v: u32,
    /// The version of the nexus that wrote it.
    pub(crate) nexus: String,
    pub(crate) made_at: Timestamp,
    /// The data directory that it was made of.
    pub(crate) data_dir: String,
    pub(crate) entries: Vec<Entry>,
}

/// One thing that follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// A part of a backup, known by the name of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A file of the data directory.
    File(&'a str),
    /// The description of a stream.
    About(&'a str),
    /// The messages of a stream.
    Messages(&'a str),
}

impl<'a> Part<'a> {
    /// None for a name that no backup has.
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        if FILES.contains(&name) {
            return Some(Self::File(name));
        }
        let (stream, file) = name.strip_prefix("streams/")?.split_once('/')?;
        if !nexus_bus::COPIED.contains(&stream) {
            return None;
        }
        match file {
            "stream.json" => Some(Self::About(stream)),
            "messages.s2" => Some(Self::Messages(stream)),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::File(name) => name.to_owned(),
            Self::About(stream) => format!("streams/{stream}/stream.json"),
            Self::Messages(stream) => format!("streams/{stream}/messages.s2"),
        }
    }
}

/// Writes the archive: the manifest, and each entry's bytes from the file of its name below `dir`.
pub(crate) fn write(manifest: &Manifest, dir: &Path, to: &mut impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    let time = u64::try_from(manifest.made_at.as_second()).unwrap_or(0);
    let mut add = |name: &str, bytes: u64, from: &mut dyn Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(time);
        archive.append_data(&mut header, name, from)
    };
    let text = serde_json::to_vec_pretty(manifest)?;
    add(MANIFEST, text.len() as u64, &mut text.as_slice())?;
    for Entry { name, bytes } in &manifest.entries {
        add(name, *bytes, &mut File::open(dir.join(name))?.take(*bytes))?;
    }
    archive.finish()
}

/// Why a file is not taken for a backup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnfitBackup {
    #[error("it is no backup of a company: {0}")]
    Foreign(String),
    #[error("it was written by a newer nexus ({nexus}; form {v}, and this one reads up to {VERSION})")]
    Newer { nexus: String, v: u32 },
    #[error("it is cut off or damaged: {0}")]
    CutOff(String),
}

/// Reads the manifest, which is the archive's first entry.
pub(crate) fn manifest<R: Read>(entries: &mut tar::Entries<'_, R>) -> Result<Manifest, UnfitBackup> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
        #[serde(default)]
        nexus: String,
    }
    let foreign = |why: &dyn std::fmt::Display| UnfitBackup::Foreign(why.to_string());
    let first = entries.next().ok_or_else(|| foreign(&"it is empty"))?;
    let first = first.map_err(|error| foreign(&error))?;
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() {
        return Err(foreign(&format!("it doesn't begin with {MANIFEST}")));
    }
    let mut text = Vec::new();
    first.take(LONGEST_FILE).read_to_end(&mut text).map_err(|error| foreign(&error))?;
    let Version { v, nexus } = serde_json::from_slice(&text).map_err(|error| foreign(&error))?;
    if v > VERSION {
        return Err(UnfitBackup::Newer { nexus, v });
    }
    serde_json::from_slice(&text).map_err(|error| foreign(&error))
}

/// Reads a short entry.
pub(crate) fn read_file(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    entry.take(LONGEST_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// The entry that the manifest names and that was not `seen`.
pub(crate) fn missing(manifest: &Manifest, seen: &[Entry]) -> Option<UnfitBackup> {
    let missing = manifest.entries.iter().find(|entry| !seen.contains(entry))?;
    let is_there = seen.iter().any(|entry| entry.name == missing.name);
    let how = if is_there { "has another length than it had" } else { "is missing" };
    Some(UnfitBackup::CutOff(format!("{} {how}", missing.name)))
}

#[cfg(test)]
mod tests;
