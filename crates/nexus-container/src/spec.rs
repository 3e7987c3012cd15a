//! The specification of a container: pure, from the needs of an attempt to a request of the API.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as ApiMount, MountType, ResourcesUlimits,
};
use nexus_process::Stdin;

/// The label by which a node knows its own.
pub(crate) const NODE: &str = "nexus.node";

/// The program to run, and its container.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Has to be there already.
    pub image: String,
    /// A program of the image, and its arguments; the image's own entry point isn't used.
    pub command: Vec<String>,
    /// Beside those of the image. Whoever may use the engine can see them.
    pub env: Vec<(String, String)>,
    pub workdir: String,
    pub mounts: Vec<Mount>,
    /// The user and group of its processes; none: those of the image.
    pub user: Option<(u32, u32)>,
    /// Bytes; swap included.
    pub memory: Option<u64>,
    pub processes: Option<u32>,
    /// Thousandths of a processor.
    pub cpu_milli: Option<u32>,
    pub open_files: Option<u64>,
    /// Bytes.
    pub file_size: Option<u64>,
    pub network: Network,
    pub labels: Labels,
    pub stdin: Stdin,
}

/// Whose a container is.
#[derive(Clone, Debug)]
pub struct Labels {
    pub company: String,
    pub node: String,
    pub run: String,
    pub task: String,
    pub attempt: u32,
}

/// A place of the engine's machine within the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The engine's bridge: everything that the machine reaches, and its other containers.
    Bridge,
    None,
}

/// The options of a container's temporary directory, with the most that it may keep there: it is memory.
const TMP: &str = "rw,nosuid,nodev,exec,size=1g,mode=1777";

impl ContainerSpec {
    /// For the API. Of what Docker gives by itself nothing is left but its seccomp profile.
    pub(crate) fn body(&self) -> ContainerCreateBody {
        let reads = !matches!(self.stdin, Stdin::Closed);
        let limit = |name: &str, value: Option<u64>| {
            value.map(signed).map(|value| ResourcesUlimits {
                name: Some(name.to_owned()),
                soft: Some(value),
                hard: Some(value),
            })
        };
        let ulimits = [limit("nofile", self.open_files), limit("fsize", self.file_size), limit("core", Some(0))];
        let host = HostConfig {
            mounts: Some(self.mounts.iter().map(Mount::body).collect()),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), TMP.to_owned())])),
            memory: self.memory.map(signed),
            memory_swap: self.memory.map(signed),
            pids_limit: self.processes.map(i64::from),
            nano_cpus: self.cpu_milli.map(|milli| i64::from(milli) * 1_000_000),
            ulimits: Some(ulimits.into_iter().flatten().collect()),
            network_mode: Some(match self.network {
                Network::Bridge => "bridge".to_owned(),
                Network::None => "none".to_owned(),
            }),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            readonly_rootfs: Some(true),
            ipc_mode: Some("private".to_owned()),
            // Reaps what the agent leaves, and passes signals on.
            init: Some(true),
            // It is heard by attaching; what it prints is the company's to keep.
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: Some(self.command.clone()),
            cmd: Some(Vec::new()),
            env: Some(self.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(self.workdir.clone()),
            user: self.user.map(|(user, group)| format!("{user}:{group}")),
            labels: Some(self.labels.body()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            attach_stdin: Some(reads),
            open_stdin: Some(reads),
            stdin_once: Some(reads),
            tty: Some(false),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }

    /// Nothing else is called so: the same attempt may be begun anew, beside what is left of it.
    pub(crate) fn name(&self) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        format!("nexus-{}-{}-{:x}", self.labels.task, self.labels.attempt, now.as_nanos())
    }
}

impl Labels {
    fn body(&self) -> HashMap<String, String> {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        HashMap::from([
            label("nexus.company", &self.company),
            label(NODE, &self.node),
            label("nexus.run", &self.run),
            label("nexus.task", &self.task),
            label("nexus.attempt", &self.attempt.to_string()),
        ])
    }
}

impl Mount {
    fn body(&self) -> ApiMount {
        ApiMount {
            typ: Some(MountType::BIND),
            source: Some(self.source.clone()),
            target: Some(self.target.clone()),
            read_only: Some(self.read_only),
            ..ApiMount::default()
        }
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
