//! An attempt's door: where its agent, from within its sandbox, comes to the company's tools.
//!
//! It is a directory of the attempt's own that holds a socket and, in a file, a token, which whoever comes says first. The
//! agent starts a bridge that does so; that it can read the file is what shows whose it is. With the attempt the door goes.

use std::path::{Path, PathBuf};

use nexus_agents::ToolServer;
#[cfg(target_os = "linux")]
use nexus_core::department::SandboxTier;
use nexus_core::protect::Plan;

use super::Job;
use crate::node::Node;

#[cfg(unix)]
mod desk;
#[cfg(target_os = "linux")]
pub(crate) mod pipes;

/// A door that is open; it is closed, with all connections, when this is dropped.
#[derive(Debug)]
pub(super) struct Door {
    place: PathBuf,
    bridge: PathBuf,
    #[cfg(unix)]
    _keepers: Vec<tokio_util::task::AbortOnDropHandle<()>>,
}

/// The company's tools by the name under which agents know them.
const NAME: &str = "nexus";
/// By which a plain program finds its bridge: a JSON list of words.
const VARIABLE: &str = "NEXUS_MCP_COMMAND";

impl Door {
    /// The door of an attempt whose agent takes the company's tools; none: it doesn't, or nobody is there to answer.
    ///
    /// # Errors
    /// Why it has none, as a sentence.
    #[cfg(unix)]
    pub(super) async fn open(node: &Node, job: &Job, plan: Plan) -> Result<Option<Self>, String> {
        use nexus_core::tree;
        use std::sync::Arc;

        use crate::reception::Caller;
        let Some(receptionist) = node.receptionist.as_ref().filter(|_| job.agent.takes_company_tools()) else {
            return Ok(None);
        };
        let task = &job.claim.entry.task;
        let caller = Caller {
            task_id: task.id,
            root: tree::root(task),
            department: task.department.clone(),
            project: PathBuf::from(&task.project_path),
            attempt: job.claim.entry.attempt,
        };
        let failed = |error: std::io::Error| format!("the company's tools can't be had: {error}");
        let place = node.protector.door(task.id);
        let bridge = bridge(node).map_err(failed)?;
        let desk = desk::Desk::new(caller, Arc::clone(receptionist));
        let keepers = build(&place, plan, &desk).map_err(failed)?;
        Ok(Some(Self { place, bridge, _keepers: keepers }))
    }

    /// There are no such sockets.
    #[cfg(not(unix))]
    #[expect(clippy::unused_async, reason = "the same as where there are")]
    pub(super) async fn open(node: &Node, job: &Job, _: Plan) -> Result<Option<Self>, String> {
        match node.receptionist.is_some() && job.agent.takes_company_tools() {
            true => Err("agents don't get the company's tools on this system".to_owned()),
            false => Ok(None),
        }
    }

    /// The command that the agent starts as its MCP server.
    pub(super) fn tool_server(&self) -> ToolServer {
        let [command, args @ ..] = self.command();
        ToolServer { name: NAME.to_owned(), command, args: args.into() }
    }

    /// The variable that tells a plain program the same: no secret is in it.
    pub(super) fn variable(&self) -> (String, String) {
        (VARIABLE.to_owned(), serde_json::json!(self.command()).to_string())
    }

    /// The paths that its sandbox or its container has to let it read, at the same places.
    pub(super) fn readable(&self) -> Vec<PathBuf> {
        vec![self.place.clone(), self.bridge.clone()]
    }

    fn command(&self) -> [String; 3] {
        let text = |path: &Path| path.display().to_string();
        [text(&self.bridge), "bridge".to_owned(), text(&self.place)]
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.place) {
            tracing::debug!(path = %self.place.display(), "a door was not removed: {error}");
        }
    }
}

/// A program that any sandbox can be given.
#[cfg(target_os = "linux")]
fn bridge(node: &Node) -> std::io::Result<PathBuf> {
    nexus_process::put_warden(&node.protector.tools())
}

/// There are no sandboxes: this very program.
#[cfg(all(unix, not(target_os = "linux")))]
fn bridge(_: &Node) -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(unix)]
fn build(place: &Path, plan: Plan, desk: &desk::Desk) -> std::io::Result<Vec<tokio_util::task::AbortOnDropHandle<()>>> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    match std::fs::remove_dir_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(place)?;
    let private = |name: &str, text: &str| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place.join(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
    };
    private(nexus_process::bridge::TOKEN, desk.token())?;
    let listener = desk::listen(place)?;
    std::fs::set_permissions(place.join(nexus_process::bridge::SOCKET), std::fs::Permissions::from_mode(0o600))?;
    #[cfg_attr(not(target_os = "linux"), expect(unused_mut, reason = "only Linux has more"))]
    let mut keepers = vec![desk.clone().attend(listener)];
    #[cfg(target_os = "linux")]
    // In namespaces an agent can make no sockets where the kernel is an older one.
    if matches!(plan.sandbox, Some(SandboxTier::Landlock | SandboxTier::Namespaces)) {
        keepers.extend(pipes::lay(place, desk)?);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = plan;
    Ok(keepers)
}
