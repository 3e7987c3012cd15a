//! Which departments the tasks of one may ask: those in its list, or else those whose agents reach no more than its own. Else
//! a confined agent would have done by others what its sandbox keeps from it.

use crate::company::Company;
use crate::department::{Approval, Department, Network, Sandbox, SandboxLevel, SandboxTier, WorkspaceMode};
use crate::id::DepartmentName;
use crate::refusal::{Refusal, RefusalKind};

/// Refuses where tasks of the department `asker` may not ask for tasks of `asked`.
///
/// # Errors
/// Why not.
pub fn may_ask(company: &Company, asker: &DepartmentName, asked: &DepartmentName) -> Result<(), Refusal> {
    let refused = |why: &str, help: String| {
        let message = format!("the department {asker} can't ask {asked} for tasks: {why}");
        Err(Refusal::new(RefusalKind::Limit, message).with_help(help))
    };
    let (Some(own), Some(other)) = (company.departments.get(asker), company.departments.get(asked)) else {
        let help = "do the work in this task".to_owned();
        return refused("one of them is not in the configuration any more", help);
    };
    match &own.delegates_to {
        Some(listed) if listed.contains(asked) => Ok(()),
        Some(_) => {
            let help =
                format!("do the work in this task, or have {asked} added to delegates_to in departments/{asker}.toml");
            refused("its `delegates_to` doesn't list it", help)
        }
        None => match more(own, other) {
            None => Ok(()),
            Some(why) => {
                let help = format!(
                    "do the work in this task, have {asked} reach no more (departments/{asked}.toml), or allow it by \
                     `delegates_to` in departments/{asker}.toml"
                );
                refused(&why, help)
            }
        },
    }
}

/// The first thing that lets agents of `other` do or reach more than those of `own`.
fn more(own: &Department, other: &Department) -> Option<String> {
    more_by_sandbox(&own.sandbox, &other.sandbox)
        .or_else(|| more_by_workspace(own, other))
        .or_else(|| more_by_approval(own.approval, other.approval))
        .or_else(|| {
            let pass = &own.environment.pass;
            let name = other.environment.pass.iter().find(|name| !pass.contains(name))?;
            Some(format!("it is passed more of the environment (environment.pass has {name} there)"))
        })
}

/// Whose files an agent changes at once, the user's own last. Without a mode it is a clone, or the project where that is in no
/// repository.
const fn touch(department: &Department) -> u8 {
    match (department.workspace.mode, department.sandbox.level) {
        (Some(WorkspaceMode::Clone | WorkspaceMode::Copy | WorkspaceMode::Scratch), _) => 0,
        (Some(WorkspaceMode::Worktree), _) => 1,
        (None, Some(SandboxLevel::Confined | SandboxLevel::Container) | None) => 2,
        (Some(WorkspaceMode::InPlace), _) | (None, Some(SandboxLevel::None)) => 3,
    }
}

fn more_by_workspace(own: &Department, other: &Department) -> Option<String> {
    let said = |department: &Department| department.workspace.mode.map_or("absent", WorkspaceMode::as_str);
    let is_more = touch(other) > touch(own);
    is_more.then(|| {
        format!(
            "it works closer to the user's own files (workspace.mode is {} there, and {} here)",
            said(other),
            said(own)
        )
    })
}

fn more_by_approval(own: Approval, other: Approval) -> Option<String> {
    let rank = |approval| match approval {
        Approval::Reject => 0,
        Approval::Ask => 1,
        Approval::Allow => 2,
    };
    let said = |approval: Approval| serde_json::json!(approval);
    (rank(other) > rank(own))
        .then(|| format!("it may do more unasked (approval is {} there, and {} here)", said(other), said(own)))
}

fn more_by_sandbox(own: &Sandbox, other: &Sandbox) -> Option<String> {
    if tier(other) < tier(own) {
        let said = |sandbox| tier(sandbox).map_or("not at all", |tier| tier.as_str());
        return Some(format!(
            "it is confined less (sandbox.level and sandbox.minimum hold it by {} at least, and that one: {})",
            said(own),
            said(other)
        ));
    }
    let within = match (&own.network, &other.network) {
        (Network::Full, _) | (_, Network::None) | (Network::Agent | Network::Hosts(_), Network::Agent) => true,
        (Network::Hosts(own), Network::Hosts(other)) => other.iter().all(|host| own.contains(host)),
        (Network::None | Network::Agent | Network::Hosts(_), _) => false,
    };
    if !within {
        let said = |network: &Network| serde_json::Value::from(network.clone()).to_string();
        return Some(format!(
            "it reaches more hosts (sandbox.network is {} there, and {} here)",
            said(&other.network),
            said(&own.network)
        ));
    }
    // Who isn't confined reaches all of them.
    if matches!(own.level, Some(SandboxLevel::None)) {
        return None;
    }
    let written = other.write.iter().find(|path| !own.write.contains(path)).map(|path| ("write", path));
    let read = || other.read.iter().find(|path| !own.read.contains(path) && !own.write.contains(path));
    let (key, path) = written.or_else(|| Some(("read", read()?)))?;
    Some(format!("it reaches more files (sandbox.{key} has {path} there)"))
}

/// The weakest confinement of a department's agents. What isn't said is what the machine can do, which is the same for all that
/// don't say it.
const fn tier(sandbox: &Sandbox) -> Option<SandboxTier> {
    match (sandbox.level, sandbox.minimum) {
        (Some(SandboxLevel::None), _) => None,
        (Some(SandboxLevel::Container), _) => Some(SandboxTier::Container),
        (Some(SandboxLevel::Confined) | None, Some(minimum)) => Some(minimum),
        (Some(SandboxLevel::Confined) | None, None) => Some(SandboxTier::Landlock),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::budget::Budget;
    use crate::company::Delegation;
    use crate::restart::RestartPolicy;
    use crate::units::Span;

    fn name(name: &str) -> DepartmentName {
        DepartmentName::new(name).unwrap()
    }

    fn company(own: &str, other: &str) -> Company {
        let department = |text: &str| Arc::new(serde_json::from_str::<Department>(text).unwrap());
        Company {
            name: "c".to_owned(),
            default_department: name("qa"),
            departments: BTreeMap::from([(name("product"), department(own)), (name("qa"), department(other))]),
            agents: BTreeMap::new(),
            restart: RestartPolicy::default(),
            budget: Budget::default(),
            delegation: Delegation::default(),
            retention: Span::from_secs(1),
            shutdown_grace: Span::from_secs(1),
        }
    }

    /// The answer to a department with the one file that asks another with the other.
    fn asks(own: &str, other: &str) -> Result<(), Refusal> {
        may_ask(&company(own, other), &name("product"), &name("qa"))
    }

    #[test]
    fn nobody_has_done_by_others_what_its_own_sandbox_keeps_from_it() {
        let sandbox = |text: &str| format!(r#"{{"sandbox":{{{text}}}}}"#);
        let [none, absent, confined, namespaces, container] =
            [r#""level":"none""#, "", r#""level":"confined""#, r#""minimum":"namespaces""#, r#""level":"container""#];
        let [no_network, agent, one, two] = [
            r#""network":"none""#,
            r#""network":"agent""#,
            r#""network":["a.example:443"]"#,
            r#""network":["a.example:443","b.example:443"]"#,
        ];
        let ranks = [none, absent, namespaces, container];
        for (own, own_file) in ranks.iter().enumerate() {
            for (other, other_file) in ranks.iter().enumerate() {
                let asked = asks(&sandbox(own_file), &sandbox(other_file));
                assert_eq!(asked.is_ok(), other >= own, "{own_file} {other_file}: {asked:?}");
            }
        }
        for (own, other, may) in [
            (absent, confined, true),
            (confined, absent, true),
            (confined, none, false),
            (absent, no_network, true),
            (no_network, absent, false),
            (no_network, one, false),
            (no_network, agent, false),
            (no_network, no_network, true),
            (one, agent, true),
            (agent, one, false),
            (agent, agent, true),
            (agent, absent, false),
            (one, absent, false),
            (one, two, false),
            (two, one, true),
            (two, no_network, true),
        ] {
            let asked = asks(&sandbox(own), &sandbox(other));
            assert_eq!(asked.is_ok(), may, "{own} {other}: {asked:?}");
        }
    }

    #[test]
    fn nor_what_its_workspace_its_approval_and_its_files_keep_from_it() {
        let mode = |mode: &str| format!(r#"{{"workspace":{{"mode":"{mode}"}}}}"#);
        let ranks = [mode("clone"), mode("worktree"), "{}".to_owned(), mode("in_place")];
        for (own, own_file) in ranks.iter().enumerate() {
            for (other, other_file) in ranks.iter().enumerate() {
                let asked = asks(own_file, other_file);
                assert_eq!(asked.is_ok(), other <= own, "{own_file} {other_file}: {asked:?}");
            }
        }
        let approvals = ["reject", "ask", "allow"].map(|answer| format!(r#"{{"approval":"{answer}"}}"#));
        for (own, own_file) in approvals.iter().enumerate() {
            for (other, other_file) in approvals.iter().enumerate() {
                let asked = asks(own_file, other_file);
                assert_eq!(asked.is_ok(), other <= own, "{own_file} {other_file}: {asked:?}");
            }
        }
        let [none, read, write] = ["{}", r#"{"sandbox":{"read":["~/a"]}}"#, r#"{"sandbox":{"write":["~/a"]}}"#];
        let passing = r#"{"environment":{"pass":["TOKEN"]}}"#;
        let open = r#"{"sandbox":{"level":"none"},"workspace":{"mode":"clone"}}"#;
        let open_beside = r#"{"sandbox":{"level":"none","read":["~/a"]},"workspace":{"mode":"copy"}}"#;
        for (own, other, may) in [
            (&mode("copy")[..], &mode("scratch")[..], true),
            (&mode("in_place"), open, false),
            (open, &mode("clone"), true),
            (open, r#"{"sandbox":{"level":"none"}}"#, false),
            (open, open_beside, true),
            (none, read, false),
            (read, none, true),
            (read, read, true),
            (read, write, false),
            (write, read, true),
            (none, passing, false),
            (passing, none, true),
        ] {
            let asked = asks(own, other);
            assert_eq!(asked.is_ok(), may, "{own} {other}: {asked:?}");
        }
        let said = asks(r#"{"approval":"reject"}"#, "{}").unwrap_err().message;
        assert!(said.contains(r#"approval is "allow" there, and "reject" here"#), "{said}");
    }

    #[test]
    fn a_list_is_all_that_counts_where_there_is_one() {
        for (own, other, what) in [
            (r#"{"delegates_to":["qa"],"sandbox":{"network":"none"}}"#, r#"{"sandbox":{"level":"none"}}"#, None),
            (r#"{"delegates_to":["product"]}"#, "{}", Some("`delegates_to` doesn't list it")),
            (r#"{"delegates_to":[]}"#, "{}", Some("`delegates_to` doesn't list it")),
            ("{}", r#"{"sandbox":{"level":"none"}}"#, Some("by landlock at least, and that one: not at all")),
            (
                r#"{"sandbox":{"network":"none"}}"#,
                r#"{"sandbox":{"network":["a:1"]}}"#,
                Some(r#"sandbox.network is ["a:1"] there, and "none" here"#),
            ),
        ] {
            let Some(what) = what else { return assert!(asks(own, other).is_ok(), "{own} {other}") };
            let refusal = asks(own, other).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::Limit);
            assert!(refusal.message.contains(what), "{refusal}");
            assert!(refusal.help.unwrap().contains("departments/product.toml"));
        }
        let gone = may_ask(&company("{}", "{}"), &name("gone"), &name("qa")).unwrap_err();
        assert!(gone.message.contains("not in the configuration any more"), "{gone}");
    }
}
