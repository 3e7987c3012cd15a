//! This machine's means to limit and confine agents, found out once; and their use for each attempt.

use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::sync::Arc;

use nexus_core::department::{Department, Network, SandboxTier, WorkspaceMode};
use nexus_core::event::Protection;
use nexus_core::id::{NodeId, TaskId};
use nexus_core::protect::{Means, Plan};
use nexus_process::{Beneath, Command, Confinement, Space, Wardens};
use nexus_workspace::Prepared;

use crate::disk::{self, Found};
use crate::worker::Job;

mod home;
mod means;
#[cfg(target_os = "linux")]
mod spares;

pub(crate) use home::{CONTAINER_HOME, Home};
use means::describe;
pub use means::means;
#[cfg(target_os = "linux")]
use means::of;
#[cfg(target_os = "linux")]
pub use means::unreachable_programs;

/// The protection of a node's agents.
#[derive(Debug)]
pub(crate) struct Protector {
    pub(crate) wardens: Wardens,
    means: Means,
    /// A control group ends a tree at once.
    kills_at_once: bool,
    data_dir: PathBuf,
    #[cfg(target_os = "linux")]
    system: Arc<nexus_process::confinement::System>,
    #[cfg(target_os = "linux")]
    available: nexus_process::confinement::Available,
    #[cfg(target_os = "linux")]
    spares: Arc<spares::Spares>,
}

impl Protector {
    /// Finds out what there is.
    #[cfg(target_os = "linux")]
    pub(crate) fn look(data_dir: &Path, node: &NodeId) -> Self {
        use nexus_process::Groups;
        use nexus_process::confinement::{System, probe};

        let groups = Groups::probe(&format!("nexus-{node}"));
        let available = probe(&std::env::var_os("PATH").unwrap_or_default());
        let means = of(&groups, &available);
        let ended = groups.reconcile();
        if ended > 0 {
            tracing::warn!("ended {ended} processes that a former run had left in its control groups");
        }
        match means.tier() {
            Ok(tier) => tracing::debug!("agents can be confined: {tier:?}"),
            Err(why) => tracing::warn!("agents can't be confined on this machine: {why}"),
        }
        let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        Self {
            kills_at_once: groups.end.is_some(),
            wardens: Wardens::new(groups),
            means,
            spares: Arc::new(spares::Spares::new(&data_dir)),
            data_dir,
            system: Arc::new(System::look()),
            available,
        }
    }

    /// There is nothing on other systems.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn look(data_dir: &Path, _: &NodeId) -> Self {
        let means = means();
        Self { kills_at_once: false, wardens: Wardens::default(), means, data_dir: data_dir.to_owned() }
    }

    /// How an attempt of this department is limited and confined.
    ///
    /// # Errors
    /// The demand that the machine can't meet.
    pub(crate) fn plan(&self, policy: &Department) -> Result<Plan, String> {
        self.means.plan(&policy.sandbox, &policy.limits)
    }

    /// The directory that is a task's alone, with its home and its temporary files.
    pub(crate) fn private(&self, task: TaskId) -> PathBuf {
        disk::private(&self.data_dir, task)
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where programs lie that others are given.
    pub(crate) fn tools(&self) -> PathBuf {
        self.data_dir.join("tools")
    }

    /// Where the door of a task's attempt is: apart from what is private to it, part of which it may write to.
    pub(crate) fn door(&self, task: TaskId) -> PathBuf {
        self.data_dir.join("doors").join(task.to_string())
    }

    /// Takes away the doors that a former run has left open, as nobody is behind them, and the homes that it has kept.
    pub(crate) fn clear(&self) {
        let doors = self.data_dir.join("doors");
        if let Err(error) = std::fs::remove_dir_all(&doors)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %doors.display(), "doors of a former run are left: {error}");
        }
        #[cfg(target_os = "linux")]
        self.spares.clear();
    }

    /// A directory of a task's alone, made if it isn't there.
    ///
    /// # Errors
    /// When it can't be made, as a sentence.
    pub(crate) async fn private_place(&self, task: TaskId, part: &str) -> Result<PathBuf, String> {
        private_part(&self.private(task), part).await
    }

    /// Carries the plan out for one attempt: `command` gets what goes with it.
    ///
    /// # Errors
    /// Why this agent can't be confined in this workspace.
    #[cfg(target_os = "linux")]
    pub(crate) async fn confine(
        &self,
        plan: Plan,
        job: &Job,
        workspace: &Prepared,
        own: Own<'_>,
        command: &mut Command,
    ) -> Result<Option<Confinement>, String> {
        use nexus_process::confinement::Policy;
        use nexus_process::{Network as Way, Tier};

        let Some(tier) = plan.sandbox else { return Ok(None) };
        let tier = match (tier, self.available.namespaces()) {
            (SandboxTier::Namespaces, Ok(maker)) => Tier::Namespaces { maker: maker.clone() },
            _ => Tier::Landlock { clone_flags: self.available.clone_flags },
        };
        let sandbox = &job.policy.sandbox;
        // What an agent has in the user's home, such as its login, is for the agent alone.
        let is_of_task = matches!(own, Own::Task(_));
        let of_home: &[_] = if is_of_task { &job.agent.home } else { &[] };
        let of_home: Vec<(String, bool)> =
            of_home.iter().map(|path| (path.path().to_owned(), path.is_writable())).collect();
        let task = job.claim.entry.task.id;
        let (private, pipes, readable) = match own {
            Own::Task(readable) => (self.private(task), crate::worker::door_pipes(&self.door(task)), readable),
            Own::Apart(private) => (private.to_owned(), Vec::new(), [].as_slice()),
        };
        let is_whole = matches!(tier, Tier::Namespaces { .. });
        if !is_whole {
            make_home(&private).await?;
        }
        // As programs find them.
        let program = match workspace.overlay() {
            Some(overlay) => command.find_beside(&[overlay]),
            None => command.find(),
        };
        let program = program.map_err(|error| error.to_string())?;
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        // Certificates are files to read; a variable that names a place with everything in it opens nothing.
        let holds_much = |path: &PathBuf| {
            self.data_dir.starts_with(path) || home.as_ref().is_some_and(|home| home.starts_with(path))
        };
        let certificates = crate::outside::certificates().into_iter().filter(|path| !holds_much(path));
        let readable: Vec<PathBuf> = workspace.readable().iter().chain(readable).cloned().chain(certificates).collect();
        let path = command.variable("PATH").unwrap_or_default().to_owned();
        let network = match sandbox.network {
            Network::Full => Way::Full,
            Network::None => Way::None,
            Network::Agent | Network::Hosts(_) => Way::Proxy { port: crate::worker::PROXY_PORT },
        };
        let (root, protected, data_dir) = (workspace.root().to_owned(), protected(workspace), self.data_dir.clone());
        let (read, write, system) = (sandbox.read.clone(), sandbox.write.clone(), Arc::clone(&self.system));
        // A directory that somebody has kept open is another's by then: Landlock has to close that way.
        let spares = self.available.landlock.is_ok().then(|| Arc::clone(&self.spares));
        let spares = spares.filter(|_| is_whole && is_of_task);
        let home_of = private.clone();
        // Every program on the `PATH` is looked at, which may lie on a slow disk.
        let looking = tokio::task::spawn_blocking(move || {
            let policy = Policy {
                tier,
                network,
                workspace: &root,
                protected: &protected,
                readable: &readable,
                pipes: &pipes,
                private: &private,
                home: home.as_deref(),
                of_home: &of_home,
                read: &read,
                write: &write,
                data_dir: &data_dir,
                program: &program,
                path: &path,
            };
            let (confinement, env) = policy.confine(&system)?;
            let has_home = spares.is_some_and(|spares| spares.put(task, &private, &confinement));
            Ok::<_, String>((confinement, env, has_home))
        });
        let (confinement, env, has_home) = looking.await.map_err(|error| error.to_string())??;
        if is_whole && !has_home {
            make_home(&home_of).await?;
        }
        command.env.extend(env);
        Ok(Some(confinement))
    }

    /// Nothing can be confined here, and `plan` has said so.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_async, reason = "the same as where it can")]
    pub(crate) async fn confine(
        &self,
        _: Plan,
        _: &Job,
        _: &Prepared,
        _: Own<'_>,
        _: &mut Command,
    ) -> Result<Option<Confinement>, String> {
        Ok(None)
    }

    /// The name of an attempt's protection.
    pub(crate) fn describe(&self, plan: Plan, policy: &Department) -> Protection {
        #[cfg(target_os = "linux")]
        let has_init = self.available.clone_flags != 0;
        #[cfg(not(target_os = "linux"))]
        let has_init = false;
        describe(plan, policy, has_init, self.kills_at_once)
    }

    /// The tasks that have something private here.
    pub(crate) fn remembered(&self) -> Vec<TaskId> {
        disk::remembered(&self.data_dir)
    }

    /// True if the disk has less room than is kept for what runs already.
    pub(crate) fn is_short(&self) -> bool {
        disk::is_short(&self.data_dir)
    }

    /// The disk as it is now; none where that can't be told.
    pub(crate) fn disk(&self) -> Option<Found> {
        let space = Space::of(&self.data_dir)?;
        Some(Found { free: space.free, at: std::time::SystemTime::now() })
    }

    /// The place where an attempt has filled the disk, if it did.
    pub(crate) async fn filled_by(&self, task: TaskId, found: Found) -> Option<String> {
        let data_dir = self.data_dir.clone();
        tokio::task::spawn_blocking(move || disk::filled_by(&data_dir, task, found)).await.ok().flatten()
    }

    /// Makes room by what an attempt that has failed and filled the disk wrote into its workspace; says what was removed.
    pub(crate) async fn remove_written(&self, task: TaskId, found: Found) -> Option<String> {
        let data_dir = self.data_dir.clone();
        tokio::task::spawn_blocking(move || disk::remove_written(&data_dir, task, found)).await.ok().flatten()
    }

    /// Makes room on a full disk by what an attempt that has ended left behind; says what was removed.
    pub(crate) async fn make_room(&self, task: TaskId) -> Option<String> {
        let data_dir = self.data_dir.clone();
        tokio::task::spawn_blocking(move || disk::make_room(&data_dir, task)).await.ok().flatten()
    }

    /// True if something is a task's alone, to be removed when that is over.
    pub(crate) fn keeps(&self, task: TaskId) -> bool {
        self.private(task).exists()
    }

    /// Removes what was a task's alone, when it is over; its home may be kept for another, if that is as new.
    pub(crate) async fn forget(&self, task: TaskId) {
        if !self.keeps(task) {
            return;
        }
        let private = self.private(task);
        let directories = [self.below_home(task), private.clone()];
        #[cfg(target_os = "linux")]
        let spares = Arc::clone(&self.spares);
        let remove = move || {
            #[cfg(target_os = "linux")]
            spares.take(task, &directories[1]);
            directories.iter().try_for_each(|directory| nexus_workspace::remove_all(directory))
        };
        let removed = tokio::task::spawn_blocking(remove).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(path = %private.display(), "what was private to a task is kept: {error}");
        }
    }
}

/// What is a confined process's own beside its workspace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Own<'a> {
    /// The task's home, its temporary files and its door, and what was written for the attempt.
    Task(&'a [PathBuf]),
    /// A home and temporary files in this directory.
    Apart(&'a Path),
}

/// The paths of a workspace that an agent must not write: a hook or a setting that it plants there is run later, by the user.
pub(crate) fn protected(workspace: &Prepared) -> Vec<PathBuf> {
    let repository = workspace.root().join(".git");
    let shared = matches!(workspace.mode, WorkspaceMode::InPlace | WorkspaceMode::Worktree);
    if shared && repository.exists() { vec![repository] } else { Vec::new() }
}

/// Makes the home of what is private to an agent, and its temporary files.
#[cfg(target_os = "linux")]
async fn make_home(private: &Path) -> Result<(), String> {
    for part in nexus_process::confinement::home::PARTS {
        private_part(private, part).await?;
    }
    Ok(())
}

/// A directory in one that is private, made if it isn't there. A link isn't taken for it.
async fn private_part(private: &Path, part: &str) -> Result<PathBuf, String> {
    let path = private.join(part);
    let (holder, below) = (private.to_owned(), PathBuf::from(part));
    let make = async {
        make_private(private).await?;
        let made = tokio::task::spawn_blocking(move || Beneath::open(&holder)?.make(&below).map(drop));
        made.await.map_err(std::io::Error::other)?
    };
    make.await.map_err(|error: std::io::Error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Makes a directory that only its owner can enter.
async fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = tokio::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).await
}
