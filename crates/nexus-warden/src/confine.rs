//! Confinement: what becomes of a forked child before it is the agent.
//!
//! In namespaces there is an init between the warden and the agent: process 1 of the agent's PID namespace, with which all
//! of the namespace dies. It is this program again, started by bwrap or forked.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use crate::protocol::{Bind, Confinement, Fault, Maker, Network, Overlay, Stage, Start, Tier};
use crate::tree::{descriptors, fault, fork, signals};

mod bwrap;
mod calls;
mod control;
mod exact;
mod init;
mod loopback;
mod mounts;
mod paths;
mod planted;
mod probe;
pub(crate) mod spaces;
mod view;

pub use control::{Control, Inner};
pub use init::inside;
pub use probe::{Available, Ways, look};
use spaces::Spaces;

/// The work that a child has to do before it is the program, made ready before the fork: its overlays and its confinement.
#[derive(Debug)]
pub struct Plan {
    inside: Inside,
    way: Way,
    overlays: Vec<Overlay>,
    /// The namespaces that the child is made in.
    spaces: Spaces,
}

/// The child's way into its confinement. `theirs` is the init's end of the way between it and the warden, `ours` the warden's.
#[derive(Debug)]
enum Way {
    /// By itself: it is the program.
    Alone,
    /// It is the init of its namespaces.
    Init { theirs: OwnedFd, ours: OwnedFd, view: Option<Box<Confinement>> },
    /// It becomes bwrap, which starts the init.
    Bwrap { theirs: OwnedFd, ours: OwnedFd, files: bwrap::Files },
}

/// The program to be started within, and what it may reach, by the paths that are seen there.
#[derive(Debug, Serialize, Deserialize)]
struct Inside {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    read: Vec<CString>,
    write: Vec<CString>,
    /// Of those to write: no link on the way to these is followed.
    exact: Vec<CString>,
    /// Places and their identities, which have to be there, or something else was mounted than was meant.
    identities: Vec<(CString, exact::Identity)>,
    network: Network,
    /// None: it is not confined.
    walls: Option<Walls>,
}

/// The walls between an agent and the machine beside Landlock and seccomp.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Walls {
    /// Only what it may reach is there.
    files: bool,
    /// And what is there it may read, or the mounts keep it from that.
    all_readable: bool,
    /// Terminals and shared memory are its own.
    devices: bool,
    processes: bool,
    network: bool,
}

impl Plan {
    /// # Errors
    /// When the machine can't do what the tier says.
    pub fn new(start: &Start) -> Result<Self, Fault> {
        let overlays = start.overlays.clone();
        let (inside, way, flags) = match &start.confinement {
            Some(confinement) => confined(start, confinement)?,
            None => (Inside::new(start, None), Way::Alone, 0),
        };
        let flags = if !overlays.is_empty() { spaces::with_mounts(flags) } else { flags };
        Ok(Self { inside, way, overlays, spaces: Spaces::of_this_user(flags) })
    }

    /// The child is not the program itself, but the init of its namespace, or becomes who waits for that.
    #[must_use]
    pub fn has_init(&self) -> bool {
        !matches!(self.way, Way::Alone)
    }

    /// The namespaces that the child is to be made in.
    #[must_use]
    pub fn clone_flags(&self) -> u64 {
        self.spaces.flags
    }

    /// True if the child is made in a user namespace of its own.
    #[must_use]
    pub fn has_own_users(&self) -> bool {
        self.spaces.flags & spaces::NEWUSER != 0
    }

    /// In the forked child: becomes the program, or its init. Returns only when that failed. `stdio` are standard input
    /// (none: empty), output, error.
    pub fn enter(self, stdio: [Option<BorrowedFd<'_>>; 3]) -> Fault {
        let confine = |error: io::Error| fault(Stage::Confine, &error);
        if let Err(error) = descriptors::redirect(stdio) {
            return fault(Stage::Fork, &error);
        }
        if let Err(error) = self.spaces.begin() {
            return confine(error);
        }
        if let Err(failed) = self.overlays.iter().try_for_each(crate::overlay::mount) {
            return failed;
        }
        match self.way {
            Way::Alone => self.inside.become_program(),
            Way::Init { theirs, view, .. } => init::become_init(&self.inside, &theirs, self.spaces, view.as_deref()),
            Way::Bwrap { theirs, files, .. } => {
                // It must not die of what is meant for its tree.
                signals::ignore_ends();
                let env: Vec<CString> = self.inside.env.into_iter().filter(is_mark).collect();
                fault(Stage::Confine, &files.become_bwrap(&theirs, &env))
            }
        }
    }

    /// In the warden, after the fork: the way to the tree's init. None where the child is the program itself.
    #[must_use]
    pub fn into_control(self) -> Option<Control> {
        match self.way {
            Way::Alone => None,
            Way::Init { ours, .. } => Some(Control::new(ours, None)),
            Way::Bwrap { ours, files, .. } => Some(Control::new(ours, Some(files.into_complaints()))),
        }
    }
}

/// The program that is started, the way to its confinement, and the namespaces that the warden makes for that.
fn confined(start: &Start, confinement: &Confinement) -> Result<(Inside, Way, u64), Fault> {
    let confine = |error: io::Error| fault(Stage::Confine, &error);
    let own_network = confinement.network != Network::Full;
    let of_network = |flags: u64| if own_network { flags } else { flags & !spaces::NEWNET };
    let (flags, walls) = match &confinement.tier {
        Tier::Namespaces { maker } => {
            let flags = match maker {
                Maker::Warden { clone_flags } => of_network(*clone_flags),
                Maker::Bwrap { .. } => 0,
            };
            let all_readable = matches!(maker, Maker::Warden { .. });
            (flags, Walls { files: true, all_readable, devices: true, processes: true, network: own_network })
        }
        Tier::Landlock { clone_flags } => {
            let flags = of_network(*clone_flags);
            let has = |flag| flags & flag != 0;
            let (devices, processes, network) = (has(spaces::NEWNS), has(spaces::NEWPID), has(spaces::NEWNET));
            (flags, Walls { files: false, all_readable: false, devices, processes, network })
        }
    };
    if matches!(confinement.network, Network::Proxy { .. }) && !walls.network {
        return Err(refused("a proxy needs a network namespace, which this user can't make"));
    }
    let is_kept = |paths: &[CString]| !paths.is_empty();
    if !walls.files && (is_kept(&confinement.protected) || is_kept(&confinement.hidden)) {
        return Err(refused("without namespaces nothing can be kept from it of what it can reach"));
    }
    let mut inside = Inside::new(start, Some((confinement, walls)));
    let way = match &confinement.tier {
        Tier::Namespaces { maker } => {
            planted::check(confinement)?;
            let (theirs, ours) = control::ways().map_err(confine)?;
            match maker {
                Maker::Warden { .. } => Way::Init { theirs, ours, view: Some(Box::new(confinement.clone())) },
                Maker::Bwrap { path } => {
                    inside.identities = identities(start, confinement)?;
                    Way::Bwrap { theirs, ours, files: bwrap::Files::new(path, confinement, &inside).map_err(confine)? }
                }
            }
        }
        Tier::Landlock { .. } if walls.processes => {
            let (theirs, ours) = control::ways().map_err(confine)?;
            Way::Init { theirs, ours, view: None }
        }
        Tier::Landlock { .. } => Way::Alone,
    };
    Ok((inside, way, flags))
}

/// The identities that have to be found at places that are reached without a link. A workspace of layers is something else by then.
fn identities(start: &Start, confinement: &Confinement) -> Result<Vec<(CString, exact::Identity)>, Fault> {
    let is_mounted = |bind: &&Bind| start.overlays.iter().any(|overlay| overlay.target == bind.source);
    let binds = confinement.read.iter().chain(&confinement.write).filter(|bind| bind.exact && !is_mounted(bind));
    let mut found = Vec::new();
    for bind in binds {
        match exact::open(&bind.source) {
            Ok(place) => found.push((bind.target.clone(), exact::Identity::of(place).map_err(|e| linked(e, bind))?)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(linked(error, bind)),
        }
    }
    Ok(found)
}

fn linked(error: rustix::io::Errno, bind: &Bind) -> Fault {
    refused(&exact::named(error, &bind.source).to_string())
}

impl Inside {
    fn new(start: &Start, confined: Option<(&Confinement, Walls)>) -> Self {
        let targets = |binds: &[Bind]| binds.iter().map(|bind| bind.target.clone()).collect();
        Self {
            program: start.program.clone(),
            argv: start.argv.clone(),
            env: start.env.clone(),
            cwd: start.cwd.clone(),
            read: confined.map_or_else(Vec::new, |(confinement, _)| targets(&confinement.read)),
            write: confined.map_or_else(Vec::new, |(confinement, _)| targets(&confinement.write)),
            exact: confined.map_or_else(Vec::new, |(confinement, walls)| {
                let exact = confinement.write.iter().filter(|bind| bind.exact && !walls.files);
                exact.map(|bind| bind.target.clone()).collect()
            }),
            identities: Vec::new(),
            network: confined.map_or(Network::Full, |(confinement, _)| confinement.network),
            walls: confined.map(|(_, walls)| walls),
        }
    }

    /// Gives up what is not the agent's, and becomes it; returns why not.
    fn become_program(&self) -> Fault {
        let confined = (|| {
            descriptors::close_others()?;
            let Some(walls) = self.walls else { return Ok(()) };
            drop_capabilities()?;
            let landlock = paths::restrict(self, walls)?;
            calls::restrict(walls, self.network, landlock)
        })();
        if let Err(error) = confined {
            return fault(Stage::Confine, &error);
        }
        if let Err(error) = std::env::set_current_dir(OsStr::from_bytes(self.cwd.as_bytes())) {
            return fault(Stage::Directory, &error);
        }
        fault(Stage::Exec, &fork::Image::new(&self.program, &self.argv, &self.env).execute())
    }
}

/// Gives up all that root may do beyond its files; others have nothing to give up.
fn drop_capabilities() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets, capability_is_in_bounding_set};
    // An init has done it for its agent already; this one is in every set that isn't cut.
    let is_cut = matches!(capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN), Ok(false));
    for capability in CapabilitySet::all().iter().filter(|_| !is_cut) {
        // Refused to those who can't gain any either.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// True for the mark, which tells whose a process is: bwrap carries it too, and nothing else of what the agent gets.
fn is_mark(pair: &CString) -> bool {
    pair.as_bytes().starts_with(b"NEXUS_")
}

fn refused(why: &str) -> Fault {
    Fault { stage: Stage::Confine, errno: 0, detail: why.to_owned() }
}
