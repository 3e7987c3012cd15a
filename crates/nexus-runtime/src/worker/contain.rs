//! An attempt as a container: what of the machine it sees there, and under which names.

use std::path::{Path, PathBuf};

use nexus_container::{ContainerSpec, Labels, Mount, Network as Way};
use nexus_core::department::Network;
use nexus_process::{Beneath, Limits, Stdin};
use nexus_workspace::Prepared;

use super::Job;
#[cfg(unix)]
use super::gateway::PORT;
use crate::node::Node;
use crate::protector::{CONTAINER_HOME as HOME, protected};

/// The program to run, apart from where.
pub(super) struct Program<'a> {
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Stdin,
    pub(super) limits: Limits,
    /// To be read at the same place: its prompt, its settings.
    pub(super) readable: &'a [PathBuf],
}

/// The container of an attempt.
///
/// # Errors
/// The part of it that can't be in a container, as a sentence.
pub(super) async fn spec(
    node: &Node,
    job: &Job,
    workspace: &Prepared,
    program: Program<'_>,
) -> Result<ContainerSpec, String> {
    let sandbox = &job.policy.sandbox;
    let image = job.agent.image.as_ref().or(sandbox.image.as_ref());
    let image = image.cloned().ok_or("its agent has no image (sandbox.image, or `image` of the agent)")?;
    let network = match sandbox.network {
        Network::Full => Way::Bridge,
        // The way to listed hosts is no network: see `by_relay`.
        Network::None | Network::Agent | Network::Hosts(_) => Way::None,
    };
    let Program { command, mut env, stdin, limits, readable } = program;
    env.push(("HOME".to_owned(), HOME.to_owned()));
    let entry = &job.claim.entry;
    let home = node.protector.private_place(entry.task.id, "home").await?;
    Ok(ContainerSpec {
        image,
        command,
        env,
        workdir: text(&workspace.path)?,
        mounts: mounts(job, workspace, &home, node.protector.data_dir(), readable)?,
        user: owner(workspace.root()),
        memory: limits.memory,
        processes: limits.processes,
        cpu_milli: limits.cpu_milli,
        open_files: limits.open_files,
        file_size: limits.file_size,
        network,
        labels: Labels {
            company: node.company.clone(),
            node: node.id.to_string(),
            run: node.holder.run.to_string(),
            task: entry.task.id.to_string(),
            attempt: entry.attempt,
        },
        stdin,
    })
}

/// A way from within the container, which has no network, to a proxy of ours: a warden becomes the agent, once it has left a
/// process behind that carries what comes to the proxy's port to a socket that lies outside.
///
/// # Errors
/// Why there can be none, as a sentence.
#[cfg(unix)]
pub(super) async fn by_relay(
    node: &Node,
    job: &Job,
    spec: &mut ContainerSpec,
) -> Result<std::os::unix::net::UnixListener, String> {
    let failed = |error: std::io::Error| format!("the way to its proxy (sandbox.network) can't be made: {error}");
    let warden = nexus_process::put_warden(&node.protector.tools()).map_err(failed)?;
    let place = node.protector.private_place(job.claim.entry.task.id, "proxy").await?;
    let socket = place.join("socket");
    match std::fs::remove_file(&socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&socket).map_err(failed)?;
    spec.mounts.push(mount(&warden, Path::new(RELAY), true)?);
    spec.mounts.push(mount(&place, Path::new(PROXY), true)?);
    let relay = [RELAY.to_owned(), "relay".to_owned(), PORT.to_string(), format!("{PROXY}/socket")];
    spec.command.splice(0..0, relay);
    Ok(listener)
}

/// Where these are in a container.
#[cfg(unix)]
const RELAY: &str = "/run/nexus/warden";
#[cfg(unix)]
const PROXY: &str = "/run/nexus/proxy";

/// Its variables: nothing of our own but what the department passes on, for the rest is the image's.
pub(super) fn environment(job: &Job) -> Vec<(String, String)> {
    let passed = job.policy.environment.pass.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    passed.collect()
}

fn mounts(
    job: &Job,
    workspace: &Prepared,
    home: &Path,
    data_dir: &Path,
    readable: &[PathBuf],
) -> Result<Vec<Mount>, String> {
    let sandbox = &job.policy.sandbox;
    let users = std::env::home_dir().unwrap_or_default();
    let expanded =
        |path: &String| path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |below| users.join(below));
    let named = sandbox.read.iter().chain(&sandbox.write).map(expanded);
    for path in named.chain([workspace.root().to_owned()]) {
        for (held, what) in [(users.as_path(), "the user's home"), (data_dir, "the company's data directory")] {
            if !held.as_os_str().is_empty() && held.starts_with(&path) {
                return Err(format!(
                    "a container can't have {}, which holds {what}: name less in sandbox.read and sandbox.write, or set \
                     workspace.mode to \"clone\", \"copy\" or \"scratch\"",
                    path.display()
                ));
            }
        }
    }
    let mut mounts = vec![mount(workspace.root(), workspace.root(), false)?, mount(home, Path::new(HOME), false)?];
    let mut add = |source: &Path, target: &Path, read_only: bool| -> Result<(), String> {
        // What isn't there can't be reached; an engine would refuse to start.
        if source.exists() {
            mounts.push(mount(source, target, read_only)?);
        }
        Ok(())
    };
    for path in protected(workspace).iter().chain(workspace.readable()).chain(readable) {
        add(path, path, true)?;
    }
    for path in &job.agent.home {
        let source = users.join(path.path());
        if source.exists() {
            make_room(home, path.path(), source.is_dir())?;
        }
        add(&source, &Path::new(HOME).join(path.path()), !path.is_writable())?;
    }
    for (paths, read_only) in [(&sandbox.read, true), (&sandbox.write, false)] {
        for path in paths.iter().map(expanded) {
            add(&path, &path, read_only)?;
        }
    }
    Ok(mounts)
}

/// Makes what is to be mounted over in its home: the engine would do so too, as root, and the company could not remove it.
fn make_room(home: &Path, below: &str, is_directory: bool) -> Result<(), String> {
    let target = home.join(below);
    // An attempt before this one may have left a link, for us to make directories where that leads.
    let planted = target.ancestors().take_while(|path| *path != home).find(|path| path.is_symlink());
    if let Some(planted) = planted {
        return Err(format!("{} is a link where an agent may write: remove it", planted.display()));
    }
    let below = Path::new(below);
    let made = Beneath::open(home).and_then(|home| match is_directory {
        true => home.make(below).map(drop),
        false => {
            home.make(below.parent().unwrap_or(Path::new("")))?;
            home.touch(below)
        }
    });
    made.map_err(|error| format!("{}: {error}", target.display()))
}

fn mount(source: &Path, target: &Path, read_only: bool) -> Result<Mount, String> {
    Ok(Mount { source: text(source)?, target: text(target)?, read_only })
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{} can't be in a container: its name is no UTF-8", path.display()))
}

/// The owner of the workspace, to whom the files that it writes belong.
#[cfg(unix)]
fn owner(path: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<(u32, u32)> {
    None
}
