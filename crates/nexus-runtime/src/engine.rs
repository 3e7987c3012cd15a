//! The container engine, if departments use one: asked for when it is needed, and at the start for what was left behind.

use std::path::{Path, PathBuf};

use nexus_container::{ContainerError, Engine};
use nexus_core::id::NodeId;

/// The engine of a node.
#[derive(Debug)]
pub(crate) struct Engines {
    /// Says that there may be containers of this node.
    used: PathBuf,
}

impl Engines {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { used: data_dir.join("containers") }
    }

    /// # Errors
    /// When none answers.
    pub(crate) async fn get(&self) -> Result<Engine, ContainerError> {
        let engine = Engine::connect().await?;
        if !self.used.exists()
            && let Err(error) =
                std::fs::write(&self.used, "There may be containers of this company: see docs/containers.md\n")
        {
            tracing::warn!(path = %self.used.display(), "that containers are used can't be remembered: {error}");
        }
        Ok(engine)
    }

    /// Ends what an earlier run of this node has left in containers.
    pub(crate) async fn reconcile(&self, node: &NodeId) {
        if !self.used.exists() {
            return;
        }
        let ended = match Engine::connect().await {
            Ok(engine) => engine.reconcile(node.as_str()).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(0) => {}
            Ok(ended) => tracing::warn!("ended {ended} containers that the company had left behind"),
            Err(error) => tracing::warn!("containers that the company may have left behind can't be ended: {error}"),
        }
    }
}

/// The version of the container engine that would be used, for whoever asks without running a company.
///
/// # Errors
/// Why there is none, as a sentence.
pub async fn container_engine() -> Result<String, String> {
    let engine = Engine::connect().await.map_err(|error| error.to_string())?;
    Ok(engine.version().to_owned())
}
