//! Files as old as the index that knows them. git compares times by whole seconds: a file of the index's own second may have
//! changed since, so git reads it anew each time. Of a checkout made in a second that is every file, and an agent's commit
//! would store them all once more.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// So many are read in no time.
const FEW: usize = 200;
/// The kernel's time of a file is a little late.
const LATE: Duration = Duration::from_millis(20);

/// The contents of a directory, measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// The bytes of all files.
    pub(crate) bytes: u64,
    /// Files of the index's second, or later.
    racy: usize,
    /// The latest second of a file.
    latest: u64,
}

impl Measure {
    /// Looks at all files below `directory`, which are compared by `index`. Blocks.
    pub(crate) fn of(directory: &Path, index: &Path) -> io::Result<Self> {
        let second = seconds(fs::metadata(index)?.modified()?);
        let mut measure = Self::default();
        let mut pending = vec![directory.to_owned()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    pending.push(entry.path());
                    continue;
                }
                let found = entry.metadata()?;
                let time = seconds(found.modified()?);
                measure.bytes += found.len();
                measure.racy += usize::from(time >= second);
                measure.latest = measure.latest.max(time);
            }
        }
        Ok(measure)
    }

    /// Makes the index newer than the files, once that is true of whatever is changed from now on. The files themselves
    /// change no more.
    pub(crate) async fn settle(self, index: &Path) -> io::Result<()> {
        if self.racy <= FEW {
            return Ok(());
        }
        let over = UNIX_EPOCH + Duration::from_secs(self.latest + 1) + LATE;
        if let Ok(rest) = over.duration_since(SystemTime::now()) {
            // Files from the future stay as they are.
            tokio::time::sleep(rest.min(Duration::from_secs(1) + LATE)).await;
        }
        File::options().append(true).open(index)?.set_times(FileTimes::new().set_modified(SystemTime::now()))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, time: SystemTime) {
        fs::write(path, "file\n").unwrap();
        File::options().append(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    }

    async fn racy(files: usize) -> usize {
        let directory = tempfile::tempdir().unwrap();
        let (tree, index) = (directory.path().join("tree"), directory.path().join("index"));
        fs::create_dir_all(tree.join("some")).unwrap();
        // All of one second that is over.
        let time = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        (0..files).for_each(|number| write(&tree.join("some").join(number.to_string()), time));
        write(&index, time + Duration::from_millis(400));
        let measure = Measure::of(&tree, &index).unwrap();
        assert_eq!((measure.racy, measure.bytes), (files, files as u64 * 5));
        measure.settle(&index).await.unwrap();
        Measure::of(&tree, &index).unwrap().racy
    }

    #[tokio::test]
    async fn an_index_is_newer_than_many_files() {
        assert_eq!(racy(FEW + 1).await, 0);
        // A few are not waited for.
        assert_eq!(racy(FEW).await, FEW);
    }
}
