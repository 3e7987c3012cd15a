//! The needs of programs, remembered for a moment: to find them out takes a look at each program on the `PATH`, which is most of
//! what a confined start would cost.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Programs;

/// Anything that is installed elsewhere than on the `PATH` itself counts as late as this.
const AGE: Duration = Duration::from_secs(10);
/// Agents with a program or a `PATH` of their own.
const MANY: usize = 32;

/// The answers of a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Vec<Answer>>>);

#[derive(Debug)]
struct Answer {
    question: Question,
    found: Instant,
    reach: BTreeSet<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
struct Question {
    own: Option<PathBuf>,
    path: OsString,
    home: Option<PathBuf>,
    apart: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    /// When something was last added to, or taken out of, each directory on the `PATH`.
    times: Vec<Option<SystemTime>>,
}

impl Known {
    /// [`Programs::reach`], as it was a moment ago if nothing has changed on the `PATH` since.
    pub(super) fn reach(&self, programs: &Programs<'_>, own: Option<&Path>) -> BTreeSet<PathBuf> {
        let question = Question::of(programs, own);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut known = known();
            known.retain(|answer| answer.found.elapsed() < AGE);
            if let Some(answer) = known.iter().find(|answer| answer.question == question) {
                return answer.reach.clone();
            }
        }
        let found = Instant::now();
        let reach = programs.reach(own);
        let mut known = known();
        if known.len() == MANY {
            known.remove(0);
        }
        known.push(Answer { question, found, reach: reach.clone() });
        reach
    }
}

impl Question {
    fn of(programs: &Programs<'_>, own: Option<&Path>) -> Self {
        let directories = std::env::split_paths(programs.path);
        let time = |directory: PathBuf| directory.metadata().and_then(|found| found.modified()).ok();
        // A workspace within the company's directory is as far apart as that is, unless programs lie there too.
        let named: Vec<PathBuf> = std::env::split_paths(programs.path).chain(own.map(Path::to_owned)).collect();
        let is_covered = |path: &Path| {
            let around = |other: &Path| path != other && path.starts_with(other);
            let holds_programs = |other: &Path| named.iter().any(|named| named.starts_with(other));
            programs.apart.iter().any(|other| around(other) && !holds_programs(other))
        };
        Self {
            own: own.map(Path::to_owned),
            path: programs.path.to_owned(),
            home: programs.home.map(Path::to_owned),
            apart: programs.apart.iter().filter(|path| !is_covered(path)).map(|path| (*path).to_owned()).collect(),
            writable: programs.writable.iter().filter(|path| !is_covered(path)).cloned().collect(),
            times: directories.map(time).collect(),
        }
    }
}
