//! The reach of a confined agent: a list of what it needs; everything else of the machine is out of its reach.
//!
//! One list for both tiers. With namespaces only what is named is there, and the private home lies where the user's own
//! does; with Landlock alone the rest is there and refused, and `HOME` and `TMPDIR` point to the private places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nexus_warden::protocol::{Bind, Confinement, Network, Tier};

use crate::Beneath;

pub mod home;
mod known;
mod programs;
mod system;

pub use nexus_warden::confine::{Available, Ways};
pub use programs::Programs;
pub use system::System;

/// A variable that names the best way to confine that is to be used, for trying out the others: `bwrap` or `landlock`.
const WAY: &str = "NEXUS_SANDBOX_WAY";

/// The ways of confinement that this machine offers, found out by trying them, which takes some hundredths of a second; `path`
/// is where bwrap is looked for.
#[must_use]
pub fn probe(path: &OsStr) -> Available {
    let word = std::env::var_os(WAY).filter(|word| !word.is_empty());
    let ways = word.as_deref().map(Ways::weaker);
    if let (Some(word), Some(None)) = (&word, ways) {
        tracing::warn!("{WAY} is {word:?}, which is none of `bwrap` and `landlock`: the best way is used");
    }
    probe_ways(path, ways.flatten().unwrap_or(Ways::Best))
}

/// The same for these ways.
#[must_use]
pub fn probe_ways(path: &OsStr, ways: Ways) -> Available {
    let look = || -> std::io::Result<Available> {
        let (program, _held) = crate::wardens::program()?;
        let mut command = std::process::Command::new(program);
        command.arg0("nexus-warden").arg("look").arg(path).arg(ways.as_str()).env_clear();
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        nexus_warden::protocol::read(&output.stdout).map_err(std::io::Error::other)
    };
    look().unwrap_or_else(|error| Available::nothing(&format!("a warden could not look: {error}")))
}

/// The reach of one attempt beyond what every program needs.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    pub tier: Tier,
    pub network: Network,
    /// Where it works, and may write.
    pub workspace: &'a Path,
    /// Of the workspace: not to be written or replaced.
    pub protected: &'a [PathBuf],
    /// Read beside it: the objects of the repository that it borrows from.
    pub readable: &'a [PathBuf],
    /// Pipes that it writes to.
    pub pipes: &'a [PathBuf],
    /// Its own directory, with `home` and `tmp` in it.
    pub private: &'a Path,
    /// The user's home, and what the agent needs of it: a path below it, and whether it may write there.
    pub home: Option<&'a Path>,
    pub of_home: &'a [(String, bool)],
    /// From the settings; `~/` is the home.
    pub read: &'a [String],
    pub write: &'a [String],
    /// The company's: never reached, but for the workspace and the private directory.
    pub data_dir: &'a Path,
    /// The agent's program, and where it looks for others.
    pub program: &'a Path,
    pub path: &'a OsStr,
}

/// A confinement, and the variables that go with it.
pub type Confined = (Confinement, Vec<(OsString, OsString)>);

impl Policy<'_> {
    /// # Errors
    /// Why the workspace can't be one of a confined agent, as a sentence that names the way out.
    pub fn confine(&self, system: &System) -> Result<Confined, String> {
        let whole = matches!(self.tier, Tier::Namespaces { .. });
        let mut hidden = self.check(whole)?;
        let mut reach = Reach::default();
        for path in &system.readable {
            reach.read(path);
        }
        if whole {
            reach.read(Path::new("/etc"));
            hidden.extend(system.secret.iter().cloned());
        } else {
            system.open.iter().for_each(|path| reach.read(path));
        }
        let apart = [self.data_dir, self.workspace];
        let writable = self.writable();
        let programs = Programs { system, home: self.home, apart: &apart, writable: &writable, path: self.path };
        reach.read.extend(system.known.reach(&programs, Some(self.program)));
        self.readable.iter().for_each(|path| reach.read(path));
        self.read.iter().for_each(|path| reach.read(&self.expanded(path)));
        self.write.iter().for_each(|path| reach.write(&self.expanded(path)));
        self.pipes.iter().for_each(|pipe| reach.write_exactly(pipe));
        reach.write_exactly(self.workspace);
        let settings = programs.settings().into_iter().map(|name| (name.to_owned(), false));
        let of_home: Vec<(String, bool)> = self.of_home.iter().cloned().chain(settings).collect();
        let mut env = self.private_places(whole, &of_home, &mut reach)?;
        if !whole {
            env.extend(programs.roots().into_iter().map(|(name, root)| (OsString::from(name), root.into_os_string())));
        }
        reach.settle();
        let confinement = Confinement {
            tier: self.tier.clone(),
            read: reach.read.into_iter().map(|path| same(path, false)).collect(),
            write: reach.write.into_iter().map(|(path, exact)| same(path, exact)).chain(reach.elsewhere).collect(),
            protected: self.protected.iter().map(|path| c_path(path)).collect(),
            hidden: hidden.iter().map(|path| c_path(path)).collect(),
            network: self.network,
        };
        Ok((confinement, env))
    }

    /// The paths that are to be hidden of the workspace.
    fn check(&self, whole: bool) -> Result<Vec<PathBuf>, String> {
        let workspace = self.workspace.display();
        let way_out =
            "run it for a project's own directory, or set workspace.mode to \"scratch\", \"copy\" or \"clone\"";
        if self.workspace.parent().is_none() {
            return Err(format!("a confined agent can't have all of the machine as its workspace: {way_out}"));
        }
        if self.home.is_some_and(|home| home.starts_with(self.workspace)) {
            return Err(format!("a confined agent can't work in {workspace}, which holds the user's home: {way_out}"));
        }
        if !whole && !self.protected.is_empty() {
            return Err(format!(
                "without namespaces the repository in {workspace} can't be kept from a confined agent: set workspace.mode \
                 to \"clone\" or \"copy\", make namespaces possible (`nexus doctor` says how), or set sandbox.level to \"none\""
            ));
        }
        let settings = self.read.iter().chain(self.write).map(|path| self.expanded(path));
        if let Some(path) = settings.clone().find(|path| self.home.is_some_and(|home| home.starts_with(path))) {
            let path = path.display();
            return Err(format!(
                "sandbox.read or sandbox.write names {path}, which holds the user's home: name what is needed of it"
            ));
        }
        let holder = settings.chain([self.workspace.to_owned()]).find(|path| self.data_dir.starts_with(path));
        match (holder, whole) {
            (None, _) => Ok(Vec::new()),
            (Some(_), true) => Ok(vec![self.data_dir.to_owned()]),
            (Some(holder), false) => Err(format!(
                "without namespaces the company's data directory can't be hidden in {}: {way_out}; name less in sandbox.read \
                 and sandbox.write; or make namespaces possible",
                holder.display()
            )),
        }
    }

    /// All places that agents may write to, with the ends of links that lead there.
    fn writable(&self) -> Vec<PathBuf> {
        let of_home = self.of_home.iter().filter(|(_, writable)| *writable);
        let of_home = of_home.filter_map(|(path, _)| Some(self.home?.join(path)));
        let settings = self.write.iter().map(|path| self.expanded(path));
        let named: Vec<PathBuf> =
            [self.workspace, self.private].map(Path::to_owned).into_iter().chain(settings).chain(of_home).collect();
        let real: Vec<PathBuf> = named.iter().filter_map(|path| path.canonicalize().ok()).collect();
        named.into_iter().chain(real).collect()
    }

    fn expanded(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(path),
        }
    }

    /// The private home and temporary directories, and what of the user's home lies in the former.
    fn private_places(
        &self,
        whole: bool,
        of_home: &[(String, bool)],
        reach: &mut Reach,
    ) -> Result<Vec<(OsString, OsString)>, String> {
        let (own_home, own_tmp) = (self.private.join("home"), self.private.join("tmp"));
        for (path, writable) in of_home {
            let Some(home) = self.home else { break };
            let real = home.join(path);
            if *writable {
                reach.write(&real);
            } else {
                reach.read(&real);
            }
            // What lies below another part is seen there already.
            let holds = |other: &str| other != path && Path::new(path).starts_with(other);
            let is_seen = of_home.iter().any(|(other, _)| holds(other));
            if !whole && !is_seen && real.exists() {
                let link = own_home.join(path);
                // An attempt before this one may have left a link, for us to make directories where that leads.
                let parents = link.ancestors().skip(1).take_while(|parent| *parent != own_home);
                if let Some(planted) = parents.into_iter().find(|parent| parent.is_symlink()) {
                    return Err(format!("{} is a link where an agent may write: remove it", planted.display()));
                }
                let below = Path::new("home").join(path);
                let made = Beneath::open(self.private).and_then(|private| {
                    private.make(below.parent().unwrap_or(Path::new("")))?;
                    private.link(&below, &real)
                });
                made.map_err(|error| format!("{}: {error}", link.display()))?;
            }
        }
        let variable = |name: &str, value: &Path| (OsString::from(name), value.as_os_str().to_owned());
        if !whole {
            // Not all that is private to it: what the company writes there is read by it alone.
            reach.write_exactly(&own_home);
            reach.write_exactly(&own_tmp);
            return Ok(vec![variable("HOME", &own_home), variable("TMPDIR", &own_tmp)]);
        }
        let mut at = |source: &Path, target: &Path| {
            reach.elsewhere.push(Bind { source: c_path(source), target: c_path(target), exact: true });
        };
        let home = self.home.unwrap_or(Path::new("/home/agent"));
        at(&own_home, home);
        at(&own_tmp, Path::new("/tmp"));
        at(&own_tmp, Path::new("/var/tmp"));
        Ok(vec![variable("HOME", home), variable("TMPDIR", Path::new("/tmp"))])
    }
}

/// Paths, each once.
#[derive(Default)]
struct Reach {
    read: BTreeSet<PathBuf>,
    /// True: no link on the way there is followed.
    write: BTreeMap<PathBuf, bool>,
    elsewhere: Vec<Bind>,
}

impl Reach {
    /// A path that isn't there can't be reached, and a link leads to what can.
    fn read(&mut self, path: &Path) {
        if path.exists() {
            self.read.insert(path.to_owned());
        }
    }

    fn write(&mut self, path: &Path) {
        if path.exists() {
            self.write.entry(path.to_owned()).or_default();
        }
    }

    /// The same for a path with no link in it: what the company made, or has looked at. An agent may put a link there.
    fn write_exactly(&mut self, path: &Path) {
        if path.exists() {
            self.write.insert(path.to_owned(), true);
        }
    }

    /// Leaves out what another part shows already by a link of its own: nothing can be put where a link is.
    fn settle(&mut self) {
        let all = self.read.clone();
        // Most lie in the same few directories.
        let mut seen: HashMap<&Path, bool> = HashMap::new();
        self.read.retain(|path| {
            let Some(path) = all.get(path) else { return true };
            let mut links = path.ancestors().filter(|part| *seen.entry(part).or_insert_with(|| part.is_symlink()));
            !links.any(|link| link.ancestors().skip(1).any(|part| all.contains(part) || self.write.contains_key(part)))
        });
    }
}

fn same(path: PathBuf, exact: bool) -> Bind {
    let path = c_path(&path);
    Bind { source: path.clone(), target: path, exact }
}

/// A path of the system holds no zero byte.
fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
