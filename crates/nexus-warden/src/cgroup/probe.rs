//! Which control groups this process may use, found out by trying: a hierarchy that can't be used whole is not used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Place, Root, Version, write};

/// A mounted hierarchy, and where in it this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    mount: PathBuf,
    /// Of version 1: its controllers.
    controllers: Vec<String>,
    version: Version,
    own: String,
}

impl Root {
    /// Finds out what this process may use, and makes the company's groups, called `name`. Takes some milliseconds; doing it
    /// again changes nothing.
    #[must_use]
    pub fn probe(name: &str) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let hierarchies = hierarchies(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let mut root = Self::default();
        for hierarchy in &hierarchies {
            match hierarchy.version {
                Version::V2 => root.use_second(hierarchy, name),
                Version::V1 => root.use_first(hierarchy, name),
            }
        }
        root
    }

    fn use_second(&mut self, hierarchy: &Hierarchy, name: &str) {
        let usable = hierarchy.bases().into_iter().find_map(|base| {
            let path = base.join(name);
            let was_there = path.is_dir();
            let _ = fs::create_dir(&path);
            // What a group's own children may use it has to be given, by those above.
            for group in [&base, &path] {
                let given = fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
                for controller in given.split_whitespace().filter(|name| matches!(*name, "memory" | "pids" | "cpu")) {
                    let _ = write(&group.join("cgroup.subtree_control"), &format!("+{controller}"));
                }
            }
            let works = path.join("cgroup.kill").exists() && can_enter(&path);
            if !works && !was_there {
                let _ = fs::remove_dir(&path);
            }
            works.then_some(path)
        });
        let Some(path) = usable else { return };
        let given = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
        let place = |controller: &str| {
            let is_given = given.split_whitespace().any(|name| name == controller);
            is_given.then(|| Place { version: Version::V2, path: path.clone() })
        };
        self.memory = self.memory.take().or_else(|| place("memory"));
        self.pids = self.pids.take().or_else(|| place("pids"));
        self.cpu = self.cpu.take().or_else(|| place("cpu"));
        self.end = Some(path);
    }

    fn use_first(&mut self, hierarchy: &Hierarchy, name: &str) {
        let slots = [("memory", &mut self.memory), ("pids", &mut self.pids), ("cpu", &mut self.cpu)];
        let mut wanted: Vec<_> = slots
            .into_iter()
            .filter(|(controller, slot)| slot.is_none() && hierarchy.controllers.iter().any(|name| name == controller))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let usable = hierarchy.bases().into_iter().map(|base| base.join(name)).find(|path| {
            let was_there = path.is_dir();
            let _ = fs::create_dir(path);
            let works = can_enter(path);
            if !works && !was_there {
                let _ = fs::remove_dir(path);
            }
            works
        });
        if let Some(path) = usable {
            for (_, slot) in &mut wanted {
                **slot = Some(Place { version: Version::V1, path: path.clone() });
            }
        }
    }
}

impl Hierarchy {
    /// Where a group may be made: below the one that this process is in, so that what limits it limits its agents too;
    /// else at the top.
    fn bases(&self) -> Vec<PathBuf> {
        let own = self.mount.join(self.own.trim_start_matches('/'));
        let mut bases = vec![own];
        if bases[0] != self.mount {
            bases.push(self.mount.clone());
        }
        bases.retain(|base| base.is_dir());
        bases
    }
}

/// Has a process of its own move into a group below.
fn can_enter(path: &Path) -> bool {
    let trial = path.join("trial");
    let _ = fs::create_dir(&trial);
    let moved = Command::new("/bin/sh")
        .args(["-c", "echo 0 > \"$1/cgroup.procs\"", "sh"])
        .arg(&trial)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let works = moved.is_ok_and(|status| status.success());
    let _ = fs::remove_dir(&trial);
    works
}

/// The hierarchies of a list of mounts, and where in each a process is. Version 2 comes last: where both are there, its
/// controllers are those that version 1 doesn't have.
fn hierarchies(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let place = |controllers: &[String]| {
        let mut lines = own.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        });
        let is_same = |names: &str| match controllers {
            [] => names.is_empty(),
            controllers => names.split(',').any(|name| controllers.iter().any(|controller| controller == name)),
        };
        lines.find(|(names, _)| is_same(names)).map(|(_, path)| path.to_owned())
    };
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mount = PathBuf::from(left.split_whitespace().nth(4)?);
        let mut right = right.split_whitespace();
        let (kind, options) = (right.next()?, right.nth(1)?);
        let controllers: Vec<String> = match kind {
            "cgroup2" => Vec::new(),
            "cgroup" => options.split(',').filter(|option| *option != "rw").map(str::to_owned).collect(),
            _ => return None,
        };
        let version = if kind == "cgroup2" { Version::V2 } else { Version::V1 };
        let own = place(&controllers)?;
        Some(Hierarchy { mount, controllers, version, own })
    };
    let mut found: Vec<Hierarchy> = mounts.lines().filter_map(parse).collect();
    found.sort_by_key(|hierarchy| hierarchy.version);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_and_this_process_found_in_them() {
        let mounts = "25 1 0:22 / /proc rw - proc proc rw\n\
            30 25 0:26 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw\n\
            31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            32 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        let own = "4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user.slice\n";
        let found = hierarchies(mounts, own);
        let shown: Vec<_> = found.iter().map(|h| (h.mount.to_str().unwrap(), h.version, h.own.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("/sys/fs/cgroup/memory", Version::V1, "/a/b"),
                ("/sys/fs/cgroup/cpu", Version::V1, "/"),
                ("/sys/fs/cgroup/unified", Version::V2, "/user.slice")
            ]
        );
        assert_eq!(
            found[0].bases().len(),
            usize::from(Path::new("/sys/fs/cgroup/memory").is_dir())
                + usize::from(Path::new("/sys/fs/cgroup/memory/a/b").is_dir())
        );
    }
}
