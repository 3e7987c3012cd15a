//! The programs that a confined agent finds on its `PATH`, with what each needs to run.
//!
//! Package managers link programs into one directory from where they are installed (`uv tool install`, pipx, npm), and version
//! managers put shims there that read which version is set (pyenv, rbenv, asdf, mise, volta). Both are followed to the parts
//! that programs consist of, and never to a whole directory of the user's, where credentials may lie.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::System;
use crate::beneath::{open_file, read_file};
use crate::program::plain;

/// The parts of an installed program, by the names that these have nearly everywhere.
const PARTS: [&str; 17] = [
    "bin",
    "lib",
    "lib64",
    "libexec",
    "share",
    "include",
    "shims",
    "versions",
    "plugins",
    "toolchains",
    "node_modules",
    "pyvenv.cfg",
    // Of version managers: what is set (pyenv and its kin), and what is installed (asdf, mise, volta).
    "version",
    "installs",
    "tools",
    "completions",
    "layout.v4",
];

/// Settings in the home that say which version a shim runs, by a part of the shim's path.
const SETTINGS: [(&str, &[&str]); 3] = [
    (".asdf/shims", &[".tool-versions", ".asdfrc"]),
    ("asdf/shims", &[".tool-versions", ".asdfrc"]),
    ("mise/shims", &[".tool-versions", ".config/mise/config.toml"]),
];

/// Links that are followed, one after the other. The kernel follows 40.
const HOPS: usize = 16;
/// Programs of one directory that are looked at, for a start of an agent that waits for it: beyond that links aren't followed,
/// which the log says.
const LOOKED_AT: usize = 4096;

/// Where version managers look for what they have installed, when the home is not the user's: a variable, the directory, and a
/// part of a path on the `PATH` that shows that it is in use.
const ROOTS: [(&str, &str, &str); 10] = [
    ("RUSTUP_HOME", ".rustup", ".cargo/bin"),
    ("PYENV_ROOT", ".pyenv", ".pyenv/shims"),
    ("RBENV_ROOT", ".rbenv", ".rbenv/shims"),
    ("NODENV_ROOT", ".nodenv", ".nodenv/shims"),
    ("GOENV_ROOT", ".goenv", ".goenv/shims"),
    ("ASDF_DATA_DIR", ".asdf", ".asdf/shims"),
    ("VOLTA_HOME", ".volta", ".volta/bin"),
    ("MISE_DATA_DIR", ".local/share/mise", "mise/shims"),
    ("MISE_CONFIG_DIR", ".config/mise", "mise/shims"),
    ("NVM_DIR", ".nvm", ".nvm"),
];

/// Where programs are looked for, and what of it may be read.
#[derive(Debug)]
pub struct Programs<'a> {
    pub system: &'a System,
    pub home: Option<&'a Path>,
    /// The company's directory and the workspace: never reached by way of a program.
    pub apart: &'a [&'a Path],
    /// Where agents may write: a link there leads wherever one has pointed it, and is not followed.
    pub writable: &'a [PathBuf],
    pub path: &'a OsStr,
}

impl Programs<'_> {
    /// The paths that are needed by the programs on the `PATH`, and by `own`, the agent's.
    #[must_use]
    pub fn reach(&self, own: Option<&Path>) -> BTreeSet<PathBuf> {
        let mut reach = BTreeSet::new();
        if let Some(own) = own {
            self.own(own, &mut reach);
        }
        let is_opened = |bin: &PathBuf| self.is_small(bin) && !self.is_writable(bin);
        let directories: Vec<PathBuf> = self.directories().filter(is_opened).collect();
        for bin in &directories {
            add(&mut reach, bin.clone());
            self.installation(bin).into_iter().for_each(|part| add(&mut reach, part));
            self.beside(bin, &mut reach);
        }
        for program in directories.iter().flat_map(|bin| entries(bin)) {
            self.follow(&program, &mut reach);
        }
        reach
    }

    /// Programs on the `PATH` that run outside and can't be run by a confined agent.
    #[must_use]
    pub fn unreachable(&self) -> Vec<PathBuf> {
        let reach = self.reach(None);
        let is_reached = |path: &Path| self.is_covered(path) || path.ancestors().any(|part| reach.contains(part));
        let leads_out = |program: &PathBuf| {
            let interpreter = interpreter(program).is_some_and(|path| path.exists() && !is_reached(&path));
            interpreter || !is_reached(program) || program.canonicalize().is_ok_and(|real| !is_reached(&real))
        };
        self.directories().flat_map(|bin| entries(&bin)).filter(|path| is_program(path)).filter(leads_out).collect()
    }

    /// Settings in the home that shims read.
    #[must_use]
    pub fn settings(&self) -> Vec<&'static str> {
        let used = |shims: &str| self.directories().any(|bin| bin.ends_with(shims));
        let named = SETTINGS.iter().filter(|(shims, _)| used(shims)).flat_map(|(_, names)| names.iter().copied());
        let is_there = |name: &&str| {
            let path = self.home.map(|home| home.join(name)).filter(|path| path.is_file());
            path.is_some_and(|path| !sets_variables(&path))
        };
        let found: BTreeSet<&str> = named.filter(is_there).collect();
        found.into_iter().collect()
    }

    /// Variables that name the directories of version managers, for an agent whose home is another.
    #[must_use]
    pub fn roots(&self) -> Vec<(&'static str, PathBuf)> {
        let Some(home) = self.home else { return Vec::new() };
        let used = |sign: &str| self.directories().any(|bin| bin.ends_with(sign) || bin.starts_with(home.join(sign)));
        let roots = ROOTS.iter().filter(|(_, _, sign)| used(sign));
        roots.map(|(name, root, _)| (*name, home.join(root))).filter(|(_, root)| root.is_dir()).collect()
    }

    /// The directories of the `PATH` that are not the system's.
    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        std::env::split_paths(self.path).filter(|bin| bin.is_absolute() && !self.is_covered(bin) && bin.is_dir())
    }

    /// The agent's program, wherever it was put.
    fn own(&self, program: &Path, reach: &mut BTreeSet<PathBuf>) {
        if self.is_writable(program) {
            return;
        }
        let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        for program in [program, &real].into_iter().filter(|path| !self.is_covered(path)) {
            // Nothing can be put where a link is; who starts the program follows it first.
            if !program.is_symlink() {
                add(reach, program.to_owned());
            }
            // What lies beside a program that was put anywhere, in the home say, is none of its business.
            let parts = program.parent().map(|bin| self.installation(bin)).unwrap_or_default();
            parts.into_iter().for_each(|part| add(reach, part));
        }
        self.packages(&real, reach);
        self.follow(program, reach);
    }

    /// npm's links lead to a file of a package, which needs the rest of it and the packages around.
    fn packages(&self, real: &Path, reach: &mut BTreeSet<PathBuf>) {
        let packages = real.ancestors().filter(|path| path.ends_with("node_modules")).last();
        if let Some(packages) = packages.filter(|packages| !self.is_covered(packages) && self.is_small(packages)) {
            add(reach, packages.to_owned());
        }
    }

    /// Adds the places that lie elsewhere and go with a directory of programs.
    fn beside(&self, bin: &Path, reach: &mut BTreeSet<PathBuf>) {
        // rustup keeps the programs beside those on the PATH, and cargo its credentials there.
        if bin.ends_with(".cargo/bin")
            && let Some(home) = bin.ancestors().nth(2)
        {
            add(reach, home.join(".rustup"));
        }
        // `pip install --user` puts a program's modules here.
        if bin.ends_with(".local/bin")
            && let Some(lib) = bin.parent().map(|local| local.join("lib"))
        {
            let is_code = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"python"));
            entries(&lib).filter(is_code).for_each(|part| add(reach, part));
        }
    }

    /// Follows the links of a program, and its interpreter's, to the installations that they lead to.
    fn follow(&self, program: &Path, reach: &mut BTreeSet<PathBuf>) {
        let mut next = vec![program.to_owned()];
        for _ in 0..HOPS {
            let Some(path) = next.pop() else { return };
            if self.is_writable(&path) {
                continue;
            }
            if self.is_covered(&path) {
                next.extend(interpreter(&path));
                continue;
            }
            if path != program && !path.ancestors().any(|part| reach.contains(part)) {
                let is_apart = self.apart.iter().any(|apart| path.starts_with(apart));
                if is_apart || !is_program(&path) || !path.parent().is_some_and(|bin| self.is_small(bin)) {
                    continue;
                }
                self.installed(&path, reach);
                // Nothing can be put where a link is, but where the link's own directory was opened.
                if !path.is_symlink() {
                    add(reach, path.clone());
                }
                // Python's own environments link to the interpreter that they were made with.
                next.extend(path.parent().map(|bin| bin.join("python")).filter(|python| python.is_symlink()));
            }
            if let Some(target) = path.read_link().ok().and_then(|target| Some(plain(&path.parent()?.join(target)))) {
                next.push(target);
            } else if let Ok(real) = path.canonicalize()
                && real != path
            {
                // A directory on the way is a link.
                next.push(real);
            } else {
                next.extend(interpreter(&path));
            }
        }
    }

    /// The parts of the installation that a link has led to: of what lies there, only what programs are made of.
    fn installed(&self, program: &Path, reach: &mut BTreeSet<PathBuf>) {
        self.packages(program, reach);
        let Some(bin) = program.parent().filter(|bin| is_named(bin, &["bin", "shims"])) else { return };
        let Some(whole) = bin.parent().filter(|whole| self.is_installation(whole)) else { return };
        PARTS.iter().for_each(|part| add(reach, whole.join(part)));
    }

    /// The installation that a directory of programs came with: all of `x` for `x/bin`, where that holds nothing else. Right
    /// below the home tools keep their credentials beside it (`~/.docker`, `~/.pulumi`): there only what programs are made of.
    fn installation(&self, bin: &Path) -> Vec<PathBuf> {
        let Some(whole) = bin.parent() else { return Vec::new() };
        if !is_named(bin, &["bin", "shims"]) || !self.is_installation(whole) {
            Vec::new()
        } else if whole.parent() == self.home {
            PARTS.iter().map(|part| whole.join(part)).collect()
        } else {
            vec![whole.to_owned()]
        }
    }

    fn is_installation(&self, whole: &Path) -> bool {
        !is_named(whole, &[".local", ".cargo"]) && self.is_small(whole)
    }

    fn is_covered(&self, path: &Path) -> bool {
        self.system.readable.iter().any(|root| path.starts_with(root))
    }

    /// An agent may have put this there, or what it leads to.
    fn is_writable(&self, path: &Path) -> bool {
        let holder = path.parent().and_then(|parent| parent.canonicalize().ok());
        let places = [Some(path.to_owned()), holder, path.canonicalize().ok()];
        places.into_iter().flatten().any(|place| self.writable.iter().any(|root| place.starts_with(root)))
    }

    /// Holds neither the home nor anything of the company.
    fn is_small(&self, path: &Path) -> bool {
        let holds = |other: &&Path| other.starts_with(path);
        path.parent().is_some() && !self.home.iter().any(holds) && !self.apart.iter().any(holds)
    }
}

/// A path that isn't there can't be reached.
fn add(reach: &mut BTreeSet<PathBuf>, path: PathBuf) {
    if path.exists() {
        reach.insert(path);
    }
}

fn is_named(path: &Path, names: &[&str]) -> bool {
    path.file_name().is_some_and(|name| names.iter().any(|known| name == *known))
}

/// True if it can be run: a key that a link leads to can't be.
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Settings of mise may set variables too, which may be secrets: by `env` or `vars` in whatever place and form of TOML, by tasks
/// too. One that can't be read may do so.
fn sets_variables(settings: &Path) -> bool {
    let may_set = |text: String| text.contains("env") || text.contains("vars") || text.contains("\\u");
    let read = || String::from_utf8(read_file(settings, LOOKED_INTO).ok()?).ok();
    settings.extension().is_some_and(|extension| extension == "toml") && read().is_none_or(may_set)
}

/// Bytes of settings that are looked at: more than anybody writes.
const LOOKED_INTO: u64 = 1 << 20;

/// The program that `#!` names, but for one that looks for another program.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let mut start = [0; 256];
    let file = open_file(Some(script).filter(|script| is_program(script))?).ok()?;
    let read = file.take(256).read(&mut start).ok()?;
    let line = start.get(..read)?.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    Some(PathBuf::from(OsStr::from_bytes(name))).filter(|path| path.is_absolute())
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    if found.len() > LOOKED_AT {
        let directory = directory.display();
        tracing::warn!("{directory} holds {} files: links of only {LOOKED_AT} are followed", found.len());
        // The same ones each time.
        found.sort();
        found.truncate(LOOKED_AT);
    }
    found.into_iter()
}

#[cfg(test)]
mod tests;
