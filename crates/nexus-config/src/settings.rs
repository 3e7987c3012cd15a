//! The shape of `nexus.toml`. Doc comments and defaults here are the reference and the JSON schema.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nexus_core::agent::AgentSpec;
use nexus_core::budget::Budget;
use nexus_core::company::Delegation;
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::restart::RestartPolicy;
use nexus_core::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::{Address, Secret};

/// `nexus.toml`: what holds for the whole company. Every key can be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "nexus.toml")]
pub(crate) struct CompanyFile {
    /// The company's name, as events and pages show it.
    #[serde(default = "default_name")]
    pub(crate) name: String,
    /// Where work goes whose type no department lists. Default: `engineering` if there is one, else the first by name.
    pub(crate) default_department: Option<DepartmentName>,
    /// The time for which a finished task stays readable.
    #[serde(default = "default_retention")]
    pub(crate) retention: Span,
    /// The time that running agents get to finish in when the company stops.
    #[serde(default = "default_grace")]
    pub(crate) shutdown_grace: Span,
    /// Restarts of departments by the CEO.
    #[serde(default)]
    pub(crate) restart: RestartPolicy,
    /// The budget of all departments together for a day (UTC). When it is used up, no work is taken until the next.
    #[serde(default)]
    pub(crate) budget: Budget,
    /// The bounds of the tasks that agents ask for.
    #[serde(default)]
    pub(crate) delegation: Delegation,
    /// Agents by name, beside the built-in ones, which can be changed here: `claude`, `codex`, `gemini`, `copilot`, `qwen`,
    /// `opencode` and `shell`.
    #[serde(default)]
    pub(crate) agents: BTreeMap<AgentName, AgentSpec>,
    #[serde(default)]
    pub(crate) nats: Nats,
    #[serde(default)]
    pub(crate) bus: Bus,
    #[serde(default)]
    pub(crate) broker: Broker,
    #[serde(default)]
    pub(crate) history: History,
    #[serde(default)]
    pub(crate) web: Web,
    #[serde(default)]
    pub(crate) apply: Apply,
    #[serde(default)]
    pub(crate) workspaces: Workspaces,
}

fn default_name() -> String {
    "nexus".to_owned()
}

const fn default_retention() -> Span {
    Span::from_secs(30 * 24 * 60 * 60)
}

const fn default_grace() -> Span {
    Span::from_secs(10)
}

/// The settings of the runtime: everything in `nexus.toml` that is not the company itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub nats: Nats,
    pub bus: Bus,
    pub broker: Broker,
    pub history: History,
    pub web: Web,
    pub apply: Apply,
    pub workspaces: Workspaces,
}

/// The NATS cluster to use. Without `url` the company starts a private server of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// One or more servers, with commas between: `nats://host:4222`.
    pub url: Option<Address>,
    /// A credentials file (JWT and seed). Relative paths are relative to this file.
    pub creds: Option<PathBuf>,
    /// The user, for servers that ask for one with a password.
    pub user: Option<String>,
    /// Better given as `NEXUS_NATS__PASSWORD` than written here.
    pub password: Option<Secret>,
    /// Better given as `NEXUS_NATS__TOKEN` than written here.
    pub token: Option<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

/// TLS towards the NATS cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Refuse a connection without TLS, whatever the URL's scheme says.
    #[serde(default)]
    pub required: bool,
    /// Certificates of authorities to trust, in PEM, beside the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate, in PEM.
    pub cert: Option<PathBuf>,
    /// The client's private key, in PEM.
    pub key: Option<PathBuf>,
}

/// The keeping and the sharing of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// When acknowledged writes reach the disk of the private server.
    #[serde(default)]
    pub sync: SyncPolicy,
    /// The time for which a node that gives no sign of life keeps what it has in hand, from 1 s to 10 min: after that its tasks go
    /// to other nodes. A node that can't reach the broker ends its agents before that. The same on all nodes that share a broker;
    /// with a private server nothing is given up.
    #[serde(default = "default_lease")]
    pub lease: Span,
}

const fn default_lease() -> Span {
    Span::from_secs(10)
}

impl Default for Bus {
    fn default() -> Self {
        Self { sync: SyncPolicy::default(), lease: default_lease() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncPolicy {
    /// Every second: a power failure can lose the last one's writes; a crash of any program loses none.
    #[default]
    Interval,
    /// Before each is acknowledged: nothing acknowledged is lost, at about a seventh of the speed or less.
    Always,
}

/// The private NATS server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// The `nats-server` program to run, 2.12 or newer. Default: the installed one, else the first on `PATH`.
    pub server: Option<PathBuf>,
}

/// Where lists, search and finished tasks are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// `sqlite:PATH` or `postgres://...`. Default: a SQLite file in the data directory.
    pub url: Option<Address>,
}

/// The page, `/mcp`, metrics and health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address and port to listen on; only this machine's own. Port 0 picks a free one.
    #[serde(default = "default_listen", deserialize_with = "listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
}

const fn default_listen() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8000)
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: default_listen() }
    }
}

/// The way in which `nexus apply` brings a task's branch into the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The method where both have gone on; `nexus apply --merge` and `--rebase` override it.
    #[serde(default)]
    pub method: ApplyMethod,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApplyMethod {
    /// A merge commit.
    #[default]
    Merge,
    /// The task's commits are made anew on top of the current branch.
    Rebase,
}

/// Prepared checkouts, which are kept in the data directory for the next tasks. One that a workspace lies over always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workspaces {
    /// The most that they may take up, all together. The longest unused go first.
    #[serde(default = "default_cache_size")]
    pub cache_size: Size,
    /// The time for which one stays that no task uses.
    #[serde(default = "default_cache_age")]
    pub cache_age: Span,
}

const fn default_cache_size() -> Size {
    Size::from_bytes(20 << 30)
}

const fn default_cache_age() -> Span {
    Span::from_secs(14 * 24 * 60 * 60)
}

impl Default for Workspaces {
    fn default() -> Self {
        Self { cache_size: default_cache_size(), cache_age: default_cache_age() }
    }
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let message = format!("`{text}` is not an address with a port: write \"127.0.0.1:8000\" or \"[::1]:8000\"");
        serde::de::Error::custom(message)
    })
}
