//! Made-up companies: departments of the agent `shell` with short graces and delays.

use std::sync::Arc;

use nexus_core::agent::AgentSpec;
use nexus_core::company::Company;
use nexus_core::department::{Department, Sandbox, SandboxLevel, StopPolicy};
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::restart::RestartPolicy;
use nexus_core::retry::{Backoff, RetryPolicy};
use nexus_core::units::Span;

/// A department of so many workers.
pub(crate) fn department(workers: u32) -> Department {
    let second = Span::from_secs(1);
    Department {
        workers,
        // Their agents write where the tests look.
        sandbox: Sandbox { level: Some(SandboxLevel::None), ..Sandbox::default() },
        stop: StopPolicy { interrupt_grace: second, terminate_grace: second },
        retry: RetryPolicy { backoff: Backoff { initial: second, ..Backoff::default() }, ..RetryPolicy::default() },
        ..Department::default()
    }
}

/// At most so many restarts a minute.
pub(crate) fn at_most(max_restarts: u32) -> RestartPolicy {
    RestartPolicy { max_restarts, ..RestartPolicy::default() }
}

/// A company of these departments; the first is the default.
pub(crate) fn company<const N: usize>(departments: [(&str, Department); N]) -> Company {
    let name = |text: &str| DepartmentName::new(text).unwrap();
    let shell = AgentName::new("shell").unwrap();
    // What is asked for here is a command, whether it names its agent or not.
    let spec = AgentSpec { commands: Some(false), ..AgentSpec::shell() };
    Company {
        name: "test".into(),
        default_department: name(departments[0].0),
        departments: departments.into_iter().map(|(text, department)| (name(text), Arc::new(department))).collect(),
        agents: [(shell, Arc::new(spec))].into(),
        budget: Default::default(),
        delegation: Default::default(),
        restart: RestartPolicy::default(),
        retention: Span::from_secs(3600),
        shutdown_grace: Span::from_secs(1),
    }
}
