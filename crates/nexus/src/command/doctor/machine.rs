//! The part of `nexus doctor` about the machine: room on the disk, open files, and what the ledger has lost.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use nexus_core::company::Company;
use nexus_process::{ENOUGH, Space, open_files};

use super::Level;

/// Less than this free on a disk (or a tenth of a small one) is worth a word: logs of agents may fill it in an hour.
const LITTLE: u64 = 1 << 30;
/// The files that a running agent keeps open: three pipes and a process handle.
const AN_AGENT: u64 = 4;
/// The files that a company keeps open besides: connections, the history, the listener.
const THE_COMPANY: u64 = 256;

pub(super) fn disk(data_dir: &Path, say: &mut impl FnMut(Level, &'static str, String)) {
    let dir = data_dir.display();
    if !data_dir.is_dir() {
        return say(Level::Ok, "disk", format!("{dir} is not there yet; `nexus up` makes it"));
    }
    if let Err(error) = trial(data_dir) {
        let big = nexus_runtime::biggest(data_dir).map(|big| format!("; most of it is in {big}")).unwrap_or_default();
        let message = format!("{dir} can't be written: {error}; make room, or see who may write{big}");
        return say(Level::Fail, "disk", message);
    }
    let Some(space) = Space::of(data_dir) else { return };
    let mib = |bytes: u64| bytes >> 20;
    let (free, little) = (mib(space.free), LITTLE.min(space.total / 10));
    let reserve = mib(space.reserve());
    let (level, rest) = if space.free < space.reserve() {
        (Level::Fail, format!("new work is refused below {reserve} MiB: make room"))
    } else if space.free < little {
        (Level::Warn, format!("that is little (below {} MiB); new work is refused below {reserve} MiB", mib(little)))
    } else {
        (Level::Ok, format!("new work is refused below {reserve} MiB"))
    };
    let big = (level != Level::Ok).then(|| nexus_runtime::biggest(data_dir)).flatten();
    let big = big.map(|big| format!("; most of it is in {big}")).unwrap_or_default();
    say(level, "disk", format!("{free} MiB free at {dir}; {rest}{big}"));
}

/// Makes a file of a block there.
fn trial(dir: &Path) -> std::io::Result<()> {
    let path = dir.join("doctor.part");
    let written =
        fs::File::create(&path).and_then(|mut file| file.write_all(&[0; 4096]).and_then(|()| file.sync_all()));
    let removed = fs::remove_file(path);
    written.and(removed)
}

pub(super) fn files(company: &Company, say: &mut impl FnMut(Level, &'static str, String)) {
    let workers: u64 = company.departments.values().map(|department| u64::from(department.workers)).sum();
    let needed = workers * AN_AGENT + THE_COMPANY;
    let had = open_files().hard.map_or(ENOUGH, |hard| hard.min(ENOUGH));
    if open_files().soft.is_some() && had < needed {
        let message = format!(
            "{had} open files are allowed, and {workers} workers may need {needed}: agents would wait for one another; raise \
             the hard limit (`ulimit -Hn`, LimitNOFILE=)"
        );
        return say(Level::Warn, "files", message);
    }
    say(Level::Ok, "files", format!("{had} open files are allowed; {workers} workers need {needed} at most"));
}

pub(super) fn ledger(data_dir: &Path, say: &mut impl FnMut(Level, &'static str, String)) {
    if let Some(lost) = nexus_runtime::lost_records(data_dir) {
        let way_out = "put a copy of the data directory back; or accept it: `nexus up --new-ledger` forgets this";
        say(Level::Warn, "ledger", format!("{lost}; {way_out}"));
    }
}

/// The proxies by which this machine reaches the network.
pub(super) fn network(say: &mut impl FnMut(Level, &'static str, String)) {
    let (used, errors) = nexus_runtime::proxies();
    for line in used {
        say(Level::Ok, "network", line);
    }
    for error in errors {
        say(Level::Warn, "network", error);
    }
}
