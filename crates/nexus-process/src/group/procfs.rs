//! Reads `/proc/<pid>/stat`: which process is in which group, and whether it is alive.

use std::fs::File;
use std::io::Read;

/// The part of `/proc/<pid>/stat` that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) alive: bool,
    /// Processor time in ticks, with that of the children that it has waited for.
    pub(crate) ticks: u64,
    /// Resident memory, in pages.
    pub(crate) pages: u64,
}

/// The living processes of a group; none when `/proc` can't be read.
pub(super) fn living(group: u32, known: Vec<u32>) -> Option<Vec<u32>> {
    let is_member = |stat: &Stat| stat.group == group && stat.alive;
    let known: Vec<u32> = known.into_iter().filter(|pid| stat(*pid).as_ref().is_some_and(is_member)).collect();
    if !known.is_empty() {
        return Some(known);
    }
    Some(all()?.filter(is_member).map(|stat| stat.pid).collect())
}

/// Every process; none when `/proc` can't be read.
pub(crate) fn all() -> Option<impl Iterator<Item = Stat>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.filter_map(|entry| stat(entry.ok()?.file_name().to_str()?.parse().ok()?)))
}

fn stat(pid: u32) -> Option<Stat> {
    // The line has about 300 bytes, and what is needed stands in its first half.
    let mut buffer = [0; 512];
    let read = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
    parse(pid, &buffer[..read])
}

/// `pid (name) state ppid pgrp ...`: the name may hold anything, so the fields are counted from its end.
fn parse(pid: u32, line: &[u8]) -> Option<Stat> {
    let name_end = memchr::memrchr(b')', line)?;
    let fields = std::str::from_utf8(&line[name_end + 1..]).ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().take(22).collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let state = *fields.first()?;
    // The first thread of a process may end before the others: then a "zombie" has more than one.
    let alive = !matches!(state, "Z" | "X" | "x") || number(17)? > 1;
    let ticks = (11..=14).filter_map(number).sum();
    let [parent, group] = [1, 2].map(|at| fields.get(at).and_then(|field| field.parse().ok()));
    Some(Stat { pid, parent: parent?, group: group?, alive, ticks, pages: number(21).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, group: u32, alive: bool) {
        let stat = parse(7, line.as_bytes()).unwrap();
        assert_eq!(stat, Stat { pid: 7, parent: 1, group, alive, ticks: 10, pages: 99 });
    }

    #[test]
    fn reads_group_and_life() {
        let rest = "0 -1 4194560 85 0 0 0 1 2 3 4 20 0";
        check(&format!("7 (sh) S 1 5 5 {rest} 1 0 1 2000 99 1"), 5, true);
        check(&format!("7 (a) b) ( c) R 1 6 5 {rest} 1 0 1 2000 99 1"), 6, true);
        check(&format!("7 (sh) Z 1 5 5 {rest} 1 0 1 2000 99 1"), 5, false);
        check(&format!("7 (java) Z 1 5 5 {rest} 12 0 1 2000 99 1"), 5, true);
    }

    #[test]
    fn reads_its_own_line() {
        let own = stat(std::process::id()).unwrap();
        assert!(own.alive && own.pages > 0);
        assert!(all().unwrap().any(|stat| (stat.pid, stat.parent) == (own.pid, own.parent)));
    }
}
