//! The company as a whole: the answer of `nexus.ceo.overview`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::DepartmentState;
use crate::id::{DepartmentName, NodeId};

/// Answer of `nexus.ceo.overview`, as the node knows it whose CEO answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    pub company: String,
    pub node: NodeId,
    pub process: ProcessInfo,
    pub departments: Vec<DepartmentLoad>,
    /// The company is stopping: it takes no more work.
    pub stopping: bool,
    /// Why the newest configuration is not the one that runs, if it isn't.
    pub config_error: Option<String>,
}

/// The process of a company, as it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessInfo {
    pub pid: u32,
    pub version: String,
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    pub data_dir: String,
    /// The directory of its configuration; none: the built-in departments.
    pub config_dir: Option<String>,
    /// The file that its log goes to; none: a terminal, a pipe, or a service manager's journal.
    pub log: Option<String>,
    /// The address of MCP over HTTP.
    pub mcp: Option<String>,
    /// The address of the web page.
    pub web: Option<String>,
    pub nats: String,
    /// The `PATH` that its agents' programs are looked for on.
    pub path: Option<String>,
}

/// The work of one department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DepartmentLoad {
    pub name: DepartmentName,
    pub state: DepartmentState,
    pub workers: u32,
    pub busy: u32,
    pub queued: u64,
    pub running: u64,
    /// Tasks that have failed since midnight, in the time zone of the node that answers.
    pub failed_today: u64,
}
