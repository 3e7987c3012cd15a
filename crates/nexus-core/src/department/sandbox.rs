//! The reach of an attempt: files, network, and how strictly both are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reach of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// Absent: `confined` where the machine can do it, else `none`, which is shown as such.
    pub level: Option<SandboxLevel>,
    #[serde(default)]
    pub network: Network,
    /// With `level = "container"`: the image that an agent runs in, unless it names one itself.
    pub image: Option<String>,
    /// The weakest confinement of a confined agent that will do: on a machine that can't do that, tasks are refused.
    pub minimum: Option<SandboxTier>,
    /// More paths that a confined agent may read and execute, such as `~/.cargo`. `~/` is the user's home.
    #[serde(default)]
    pub read: Vec<String>,
    /// More paths that it may write.
    #[serde(default)]
    pub write: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxLevel {
    /// Everything that the user who runs the company can reach.
    None,
    /// Its workspace, a private home and a private /tmp; the system's programs to read; nothing else of the machine.
    Confined,
    /// A container of its own beside the company, through the Docker API.
    Container,
}

/// The way in which an agent is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxTier {
    /// By Landlock and seccomp alone: what it must not reach it sees, and is refused.
    Landlock,
    /// In mount, PID and IPC namespaces of its own too: what it must not reach isn't there.
    Namespaces,
    /// In a container: with the programs of its image too.
    Container,
}

impl SandboxTier {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landlock => "landlock",
            Self::Namespaces => "namespaces",
            Self::Container => "container",
        }
    }
}

/// Which hosts an attempt can reach: `"full"`, `"agent"` (its model API only), `"none"`, or a list of `"host:port"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
#[schemars(with = "NetworkForm")]
pub enum Network {
    #[default]
    Full,
    Agent,
    None,
    Hosts(Vec<String>),
}

/// The two written forms of [`Network`], for its schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape for the JSON schema, never a value")]
enum NetworkForm {
    Named(NetworkName),
    Hosts(Vec<String>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "a shape for the JSON schema, never a value")]
enum NetworkName {
    Full,
    Agent,
    None,
}

impl TryFrom<serde_json::Value> for Network {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        match value {
            serde_json::Value::String(name) => match name.as_str() {
                "full" => Ok(Self::Full),
                "agent" => Ok(Self::Agent),
                "none" => Ok(Self::None),
                other => Err(format!(
                    "`{other}` is not a network: use \"full\", \"agent\", \"none\" or a list of \"host:port\""
                )),
            },
            list => serde_json::from_value(list)
                .map(Self::Hosts)
                .map_err(|_| "a network is \"full\", \"agent\", \"none\" or a list of \"host:port\"".to_owned()),
        }
    }
}

impl From<Network> for serde_json::Value {
    fn from(network: Network) -> Self {
        match network {
            Network::Full => "full".into(),
            Network::Agent => "agent".into(),
            Network::None => "none".into(),
            Network::Hosts(hosts) => hosts.into(),
        }
    }
}
