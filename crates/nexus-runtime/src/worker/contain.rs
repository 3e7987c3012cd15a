//! An attempt as a container: what of the machine it sees there, and under which names.

use std::path::{Path, PathBuf};

use nexus_container::{ContainerSpec, Labels, Mount, Network as Way};
use nexus_core::department::Network;
use nexus_process::{Limits, Stdin};
use nexus_workspace::Prepared;

use super::Job;
use crate::node::Node;
use crate::protector::protected;

/// Where its home lies: images have no place for a user they don't know.
const HOME: &str = "/home/agent";

/// What is to run, apart from where.
pub(super) struct Program<'a> {
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Stdin,
    pub(super) limits: Limits,
    pub(super) prompt: Option<&'a Path>,
}

/// The container of an attempt.
///
/// # Errors
/// What of it can't be in a container, as a sentence.
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
        Network::None => Way::None,
        Network::Agent | Network::Hosts(_) => {
            return Err("a container's network is \"full\" or \"none\" (sandbox.network): lists are for level = \
                        \"confined\""
                .to_owned());
        }
    };
    let Program { command, mut env, stdin, limits, prompt } = program;
    env.push(("HOME".to_owned(), HOME.to_owned()));
    let entry = &job.claim.entry;
    let home = node.protector.private_place(entry.task.id, "home").await?;
    Ok(ContainerSpec {
        image,
        command,
        env,
        workdir: text(&workspace.path)?,
        mounts: mounts(job, workspace, &home, prompt)?,
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
        stdin: match stdin {
            Stdin::Closed => None,
            Stdin::Bytes(bytes) => Some(bytes),
        },
    })
}

/// Its variables: nothing of our own but what the department passes on, for the rest is the image's.
pub(super) fn environment(job: &Job) -> Vec<(String, String)> {
    let passed = job.policy.environment.pass.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    passed.collect()
}

fn mounts(job: &Job, workspace: &Prepared, home: &Path, prompt: Option<&Path>) -> Result<Vec<Mount>, String> {
    let sandbox = &job.policy.sandbox;
    let users = std::env::home_dir().unwrap_or_default();
    let expanded =
        |path: &String| path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |below| users.join(below));
    let mut mounts = vec![mount(workspace.root(), workspace.root(), false)?, mount(home, Path::new(HOME), false)?];
    let mut add = |source: &Path, target: &Path, read_only: bool| -> Result<(), String> {
        // What isn't there can't be reached; an engine would refuse to start.
        if source.exists() {
            mounts.push(mount(source, target, read_only)?);
        }
        Ok(())
    };
    for path in protected(workspace).iter().chain(workspace.readable()) {
        add(path, path, true)?;
    }
    if let Some(prompt) = prompt {
        add(prompt, prompt, true)?;
    }
    for path in &job.agent.home {
        add(&users.join(path.path()), &Path::new(HOME).join(path.path()), !path.is_writable())?;
    }
    for (paths, read_only) in [(&sandbox.read, true), (&sandbox.write, false)] {
        for path in paths.iter().map(expanded) {
            add(&path, &path, read_only)?;
        }
    }
    Ok(mounts)
}

fn mount(source: &Path, target: &Path, read_only: bool) -> Result<Mount, String> {
    Ok(Mount { source: text(source)?, target: text(target)?, read_only })
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{} can't be in a container: its name is no UTF-8", path.display()))
}

/// What it writes belongs to whom the workspace belongs.
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
