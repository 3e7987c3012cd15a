//! git's filters: programs that files pass on their way into a checkout and back. Whose they are decides whether they run.

use std::collections::BTreeSet;

use crate::settings::Settings;

/// Drivers whose program is found by `PATH`, and that files can't lead elsewhere. Any other may be a script among the
/// agent's files, and would be run outside of its confinement.
const HARMLESS: [&str; 1] = ["git-lfs"];

const KEYS: [&str; 3] = ["clean", "smudge", "process"];

/// Filters that are switched off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    off: BTreeSet<String>,
}

impl Filters {
    /// For the user's own files: what the user has set up runs, what only the repository says does not.
    pub(crate) fn for_own_files(settings: &Settings) -> Self {
        Self::switched_off(settings, |_, is_trusted| is_trusted)
    }

    /// For files that an agent has had in hand: none runs that these could lead elsewhere.
    pub(crate) fn for_agents_files(settings: &Settings) -> Self {
        Self::switched_off(settings, |value, is_trusted| is_trusted && is_harmless(value))
    }

    fn switched_off(settings: &Settings, may_run: impl Fn(&str, bool) -> bool) -> Self {
        let filters = settings.section("filter").filter(|(_, key, ..)| KEYS.contains(key));
        let off = filters.filter(|(_, _, value, is_trusted)| !may_run(value, *is_trusted)).map(|found| found.0);
        Self { off: off.map(str::to_owned).collect() }
    }

    pub(crate) fn is_off(&self, name: &str) -> bool {
        self.off.contains(name)
    }

    pub(crate) fn are_all_on(&self) -> bool {
        self.off.is_empty()
    }

    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let off = self.off.iter().flat_map(|name| {
            let keys = KEYS.map(|key| (format!("filter.{name}.{key}"), String::new()));
            keys.into_iter().chain([(format!("filter.{name}.required"), "false".to_owned())])
        });
        // Objects of git-lfs that are not there are not asked for: the files stay pointers to them.
        off.chain([("lfs.fetchexclude".to_owned(), "*".to_owned())]).collect()
    }
}

/// True if the user has git-lfs set up, for all repositories.
pub(crate) fn has_lfs(settings: &Settings) -> bool {
    let mut filters = settings.section("filter").filter(|(_, key, ..)| KEYS.contains(key));
    filters.any(|(_, _, value, is_trusted)| is_trusted && value.starts_with(HARMLESS[0]) && is_harmless(value))
}

/// The filters that run for the user's own files, as settings of the agent's repository: its git sees the files by them.
pub(crate) fn for_the_agent(settings: &Settings) -> Vec<(String, String)> {
    let off = Filters::for_own_files(settings);
    let on = settings.section("filter").filter(|(name, _, _, is_trusted)| *is_trusted && !off.is_off(name));
    on.map(|(name, key, value, _)| (format!("filter.{name}.{key}"), value.to_owned())).collect()
}

/// One program with plain arguments: a shell would make nothing else of it.
fn is_harmless(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    let is_plain = command.chars().all(|char| char.is_ascii_alphanumeric() || " -_%.".contains(char));
    command.is_empty() || HARMLESS.contains(&program) && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let table = [
            ("git-lfs clean -- %f", true),
            ("git-lfs filter-process", true),
            ("", true),
            ("git-lfs; rm x", false),
            ("./git-lfs clean", false),
            ("nbstripout", false),
        ];
        for (command, wanted) in table {
            assert_eq!(is_harmless(command), wanted, "{command}");
        }
    }
}
