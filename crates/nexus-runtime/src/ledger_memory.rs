//! A data directory's memory of its ledger, in `ledger.json`: so one that is lost is never silently begun anew, and
//! one that has lost something is not taken for whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nexus_bus::{Bus, LedgerExtent};
use serde::{Deserialize, Serialize};

/// Why a company doesn't begin on the ledger it finds.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(
        "the ledger is gone: {} belongs to the ledger {known} with {last} records, and the broker has none; nothing was \
         begun in its place", dir.display()
    )]
    Gone { dir: PathBuf, known: String, last: u64 },
    #[error(
        "the ledger is another one: {} belongs to the ledger {known}, and the broker has {found}; nothing was changed",
        dir.display()
    )]
    Another { dir: PathBuf, known: String, found: String },
    #[error("{} can't be written: {source}; make room, or see who may write there", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The ledger's identity.
    ledger: String,
    /// The newest sequence that was seen.
    last: u64,
    /// Messages that it held when the company last stopped in order; a company that runs may purge some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// The loss that was found, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
}

/// The memory of one data directory.
#[derive(Clone, Debug)]
pub(crate) struct LedgerMemory {
    dir: PathBuf,
    known: Option<Memory>,
}

/// The message of `nexus doctor` about the ledger of a data directory: the records that were found missing.
#[must_use]
pub fn lost_records(data_dir: &Path) -> Option<String> {
    LedgerMemory::read(data_dir).known?.lost
}

/// Lets a data directory know the ledger that was made for it of a copy: another one for the broker, with the same records.
///
/// # Errors
/// When it can't be written down.
pub fn take_over(data_dir: &Path, found: &LedgerExtent) -> Result<(), LedgerError> {
    let mut memory = LedgerMemory::read(data_dir);
    let lost = memory.known.take().and_then(|known| known.lost);
    let (ledger, last, records) = (found.identity.clone(), found.last, Some(found.records));
    memory.known = Some(Memory { ledger, last, records, lost });
    memory.write()
}

impl LedgerMemory {
    /// Nothing is known where there is no file, or none that can be read.
    pub(crate) fn read(dir: &Path) -> Self {
        let known = match fs::read(path(dir)) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}; which ledger it was is not known", path(dir).display());
                Some(Memory::default())
            }),
            Err(_) => None,
        };
        Self { dir: dir.to_owned(), known }
    }

    /// Forgets: what is found is the ledger from now on.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }

    /// The history has come so far with this ledger. It is asked, too, which one it was, when the file can't tell.
    pub(crate) fn folded(&mut self, ledger: &str, position: u64) {
        if position > 0 && self.known.as_ref().is_none_or(|known| known.ledger.is_empty()) {
            self.known = Some(Memory { ledger: ledger.to_owned(), ..Memory::default() });
        }
        if let Some(known) = self.known.as_mut().filter(|known| known.ledger == ledger) {
            known.last = known.last.max(position);
        }
    }

    /// Refuses a ledger that isn't the one that is known, or is none.
    pub(crate) fn check(&self, found: Option<&LedgerExtent>) -> Result<(), LedgerError> {
        let Some(known) = &self.known else { return Ok(()) };
        let dir = self.dir.clone();
        match found {
            None => Err(LedgerError::Gone { dir, known: known.ledger.clone(), last: known.last }),
            Some(found) if known.ledger.is_empty() || known.ledger == found.identity => Ok(()),
            Some(found) => {
                Err(LedgerError::Another { dir, known: known.ledger.clone(), found: found.identity.clone() })
            }
        }
    }

    /// Keeps what the company begins with, and says so when something of it is missing.
    pub(crate) fn begin(&mut self, found: &LedgerExtent, now: Timestamp) -> Result<(), LedgerError> {
        let known = self.known.take().unwrap_or_default();
        let missing = match known.records {
            _ if found.last < known.last => Some(format!("it ends at {}, and had come to {}", found.last, known.last)),
            Some(records) if found.records < records => Some(format!("{} of {records} are left", found.records)),
            _ => None,
        };
        let lost = missing.map(|missing| format!("records of the ledger were lost: {missing} (found at {now:.0})"));
        if let Some(lost) = &lost {
            tracing::error!(
                target: "nexus_ledger",
                "{lost}; tasks may be missing, or be run again. The broker's log says more; if there is a copy of the data \
                 directory, stop the company and put it back"
            );
        }
        self.known =
            Some(Memory { ledger: found.identity.clone(), last: found.last, records: None, lost: lost.or(known.lost) });
        self.write()
    }

    /// Keeps what the company ends with; `alone`: nobody else adds to the ledger or purges it from now on.
    pub(crate) async fn end(&self, bus: &Bus, alone: bool) {
        let mut ended = self.clone();
        if let (Some(known), Ok(Some(found))) = (&mut ended.known, bus.ledger().await)
            && known.ledger == found.identity
        {
            known.last = found.last;
            known.records = alone.then_some(found.records);
            if let Err(error) = ended.write() {
                tracing::warn!(target: "nexus_ledger", "{error}");
            }
        }
    }

    fn write(&self) -> Result<(), LedgerError> {
        let path = path(&self.dir);
        let part = path.with_extension("part");
        let written = serde_json::to_vec_pretty(&self.known).map_err(io::Error::from).and_then(|text| {
            fs::write(&part, text)?;
            fs::File::open(&part)?.sync_all()?;
            fs::rename(&part, &path)
        });
        written.map_err(|source| LedgerError::Write { path, source })
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("ledger.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(identity: &str, last: u64, records: u64) -> LedgerExtent {
        LedgerExtent { identity: identity.to_owned(), bytes: 0, last, records }
    }

    #[test]
    fn a_ledger_made_of_a_copy_is_known_from_then_on_and_a_loss_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = LedgerMemory::read(dir.path());
        first.begin(&extent("a", 20, 20), Timestamp::UNIX_EPOCH).unwrap();
        LedgerMemory::read(dir.path()).begin(&extent("a", 12, 9), Timestamp::UNIX_EPOCH).unwrap();
        take_over(dir.path(), &extent("b", 12, 9)).unwrap();
        let again = LedgerMemory::read(dir.path());
        assert!(again.check(None).is_err() && again.check(Some(&extent("a", 12, 9))).is_err());
        again.check(Some(&extent("b", 12, 9))).unwrap();
        assert!(lost_records(dir.path()).unwrap().contains("it ends at 12"));
    }

    #[test]
    fn only_the_known_ledger_is_taken_and_what_is_missing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = LedgerMemory::read(dir.path());
        assert!(first.check(None).is_ok());
        first.begin(&extent("a", 0, 0), Timestamp::UNIX_EPOCH).unwrap();
        for (position, found, lost) in [(0, extent("a", 9, 9), false), (20, extent("a", 12, 9), true)] {
            let mut again = LedgerMemory::read(dir.path());
            assert!(matches!(again.check(None), Err(LedgerError::Gone { .. })));
            assert!(matches!(again.check(Some(&extent("b", 9, 9))), Err(LedgerError::Another { .. })));
            again.check(Some(&found)).unwrap();
            again.folded("a", position);
            again.begin(&found, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(lost_records(dir.path()).is_some(), lost);
        }
        let mut whole = LedgerMemory { known: None, ..first.clone() };
        whole.begin(&extent("a", 9, 9), Timestamp::UNIX_EPOCH).unwrap();
        whole.known.as_mut().unwrap().records = Some(9);
        whole.begin(&extent("a", 9, 8), Timestamp::UNIX_EPOCH).unwrap();
        assert!(lost_records(dir.path()).unwrap().contains("8 of 9"));
        let mut other = LedgerMemory::read(dir.path());
        other.forget();
        other.begin(&extent("b", 0, 0), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(lost_records(dir.path()), None);
        fs::write(path(dir.path()), "{garb").unwrap();
        let garbled = LedgerMemory::read(dir.path());
        assert!(garbled.check(None).is_err() && garbled.check(Some(&extent("c", 1, 1))).is_ok());
    }
}
