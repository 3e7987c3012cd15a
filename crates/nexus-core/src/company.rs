//! A company: its departments and agents, checked and ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::AgentSpec;
use crate::budget::Budget;
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
    /// The budget of all departments together for a day (UTC).
    pub budget: Budget,
    pub delegation: Delegation,
    /// The time for which a finished task stays readable.
    pub retention: Span,
    /// The time that running agents get to finish in when the company stops.
    pub shutdown_grace: Span,
}

impl Company {
    /// What is allowed and may not be meant, a sentence each: a type of task that several departments list.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut takers = BTreeMap::<&str, Vec<&str>>::new();
        for (name, department) in &self.departments {
            for task_type in &department.task_types {
                let names = takers.entry(task_type).or_default();
                if names.last() != Some(&name.as_str()) {
                    names.push(name.as_str());
                }
            }
        }
        let twice = takers.into_iter().filter(|(_, names)| names.len() > 1);
        let said = twice.map(|(task_type, names)| {
            let (all, first) = (names.join(" and "), names[0]);
            let way = "take it out of `task_types` in the others' files";
            format!("the type \"{task_type}\" is listed by {all}: {first} gets it, as the first by name; {way}")
        });
        said.collect()
    }
}

/// The bounds of the tasks that agents ask for: against one that asks for itself for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Tasks above a task, at most; 0: agents can't delegate.
    #[serde(default = "default_depth")]
    pub max_depth: u32,
    /// Tasks that one task may ask for.
    #[serde(default = "default_children")]
    pub max_children: u32,
    /// Tasks below a first one, all together.
    #[serde(default = "default_tree")]
    pub max_tree: u32,
}

const fn default_depth() -> u32 {
    4
}

const fn default_children() -> u32 {
    16
}

const fn default_tree() -> u32 {
    64
}

impl Default for Delegation {
    fn default() -> Self {
        Self { max_depth: default_depth(), max_children: default_children(), max_tree: default_tree() }
    }
}
