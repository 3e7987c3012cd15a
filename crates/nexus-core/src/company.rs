//! What a company is: its departments and agents, checked and ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::AgentSpec;
use crate::department::Department;
use crate::id::{AgentName, DepartmentName};
use crate::restart::RestartPolicy;
use crate::units::Span;

/// A checked company. Every agent that a department lists is in `agents`; `default_department` is in `departments`.
#[derive(Clone, Debug, PartialEq)]
pub struct Company {
    pub name: String,
    /// Where work goes whose type no department lists.
    pub default_department: DepartmentName,
    pub departments: BTreeMap<DepartmentName, Arc<Department>>,
    pub agents: BTreeMap<AgentName, Arc<AgentSpec>>,
    /// Restarts of departments by the CEO.
    pub restart: RestartPolicy,
    /// How long a finished task stays readable.
    pub retention: Span,
    /// What running agents get to finish in when the company stops.
    pub shutdown_grace: Span,
}
