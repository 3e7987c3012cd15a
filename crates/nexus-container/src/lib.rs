//! An attempt in a container of its own, beside the company: started, heard, limited and ended through the Docker API.
//!
//! To the runtime it looks like any other tree. What is asked of the engine is what Docker's API has had since version
//! 1.41; Podman's own service speaks it too.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use nexus_process::OutputPolicy;

mod keep;
mod spec;
mod vitals;

pub use keep::Started;
pub use spec::{ContainerSpec, Labels, Mount, Network};

/// A container engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    version: String,
}

/// Why something can't be done with containers.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error("no container engine answers at {host}: {why}; start Docker or Podman, or set DOCKER_HOST for the company")]
    NoEngine { host: String, why: String },
    #[error("the image `{0}` isn't there: `docker pull {0}` gets it, `docker build` makes it")]
    NoImage(String),
    #[error("the container engine would not {doing}: {why}")]
    Refused { doing: &'static str, why: String },
}

impl ContainerError {
    /// True if the engine itself can't be had.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::NoEngine { .. })
    }
}

/// Where an engine listens when `DOCKER_HOST` doesn't say.
const DEFAULT: &str = if cfg!(windows) { "npipe:////./pipe/docker_engine" } else { "unix:///var/run/docker.sock" };

/// The text of an error, without the names of types around it.
fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => other.to_string(),
    }
}

fn refused(doing: &'static str) -> impl Fn(Error) -> ContainerError {
    move |error| ContainerError::Refused { doing, why: words(&error) }
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the usual one.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub async fn connect() -> Result<Self, ContainerError> {
        let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self::connect_to(host.as_deref().unwrap_or(DEFAULT)).await
    }

    /// # Errors
    /// When it doesn't answer.
    pub async fn connect_to(host: &str) -> Result<Self, ContainerError> {
        let absent = |error: Error| ContainerError::NoEngine { host: host.to_owned(), why: words(&error) };
        let docker = Docker::connect_with_host(host).map_err(absent)?.negotiate_version().await.map_err(absent)?;
        let version = docker.version().await.map_err(absent)?;
        let known = |part: Option<String>| part.unwrap_or_else(|| "?".to_owned());
        let version = format!("{}, API {}, {}", known(version.version), known(version.api_version), known(version.os));
        Ok(Self { docker, version })
    }

    /// Its version, that of its API, and its system.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts a container. Dropped before it is ready, it may leave one that never ran; [`Engine::reconcile`] removes it.
    ///
    /// # Errors
    /// When it can't be started as it was to be.
    pub async fn start(&self, spec: &ContainerSpec, output: &OutputPolicy) -> Result<Started, ContainerError> {
        keep::start(&self.docker, spec, output).await
    }

    /// Ends and removes every container of a node, known by its label alone; returns how many there were.
    ///
    /// # Errors
    /// When the engine doesn't do it.
    pub async fn reconcile(&self, node: &str) -> Result<usize, ContainerError> {
        let found = self.containers_of(node).await?;
        for id in &found {
            remove(&self.docker, id).await.map_err(refused("remove a container that was left behind"))?;
        }
        Ok(found.len())
    }

    async fn containers_of(&self, node: &str) -> Result<Vec<String>, ContainerError> {
        let filters = HashMap::from([("label", vec![format!("{}={node}", spec::NODE)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await.map_err(refused("list containers"))?;
        Ok(listed.into_iter().filter_map(|container| container.id).collect())
    }
}

/// Ends it too. That it is gone already is no error.
async fn remove(docker: &Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        // Not there, or being removed already.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}
