//! Checks that types can't make: names that must exist, numbers that must make sense, and keys whose time has not come.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_core::budget::Budget;
use nexus_core::department::Department;
use nexus_core::id::DepartmentName;
use nexus_core::restart::RestartPolicy;
use nexus_core::units::Span;

use crate::decode::Decoder;
use crate::errors::ConfigError;
use crate::layer::Layers;
use crate::settings::CompanyFile;

mod agent;
mod company;
mod department;
mod subject;

/// Everything decoded, not yet checked.
pub(crate) struct Parsed {
    pub(crate) file: CompanyFile,
    pub(crate) departments: BTreeMap<DepartmentName, Department>,
}

/// All errors of meaning. `whole` is false when a file could not be read or parsed: then names that may stand in it are
/// not reported as unknown.
pub(crate) fn all(parsed: &Parsed, layers: &Layers, decoder: &Decoder<'_>, whole: bool) -> Vec<ConfigError> {
    let agents = layers.names_under("agents");
    let departments = parsed.departments.keys().cloned().collect();
    let (agents, departments) = (whole.then_some(agents), whole.then_some(departments));
    let mut check = Check { decoder, agents, departments, errors: Vec::new() };
    company::check(&mut check, parsed, whole);
    let specs = parsed.file.agents.iter().map(|(name, spec)| (name.clone(), Arc::new(spec.clone()))).collect();
    for (name, department) in &parsed.departments {
        department::check(&mut check, name, department, &specs);
    }
    check.errors
}

struct Check<'a> {
    decoder: &'a Decoder<'a>,
    /// Names of declared agents, when all of them are known.
    agents: Option<Vec<String>>,
    /// Names of all departments, when all of them are known.
    departments: Option<Vec<DepartmentName>>,
    errors: Vec<ConfigError>,
}

impl Check<'_> {
    /// The value at a key is wrong.
    fn refuse(&mut self, path: &[&str], message: impl Into<String>) {
        self.refuse_with(path, message, None);
    }

    fn refuse_with(&mut self, path: &[&str], message: impl Into<String>, help: Option<String>) {
        let path: Vec<String> = path.iter().map(|&segment| segment.to_owned()).collect();
        let path = self.decoder.written(&[], &path);
        let error = ConfigError::new(message).with_help(help).with_key(&path);
        self.errors.push(self.decoder.place(error, &path, true));
    }

    fn refuse_if(&mut self, wrong: bool, path: &[&str], message: &str) {
        if wrong {
            self.refuse(path, message);
        }
    }

    fn more_than_zero(&mut self, span: Option<Span>, path: &[&str]) {
        let zero = span.is_some_and(|span| span.get().is_zero());
        let key = path.last().copied().unwrap_or_default();
        self.refuse_if(zero, path, &format!("`{key}` must be more than zero"));
    }

    fn budget(&mut self, budget: &Budget, table: &[&str]) {
        let Budget { tokens, turns, cost, wall_time } = *budget;
        let at = |key: &'static str| [table, &["budget", key]].concat();
        self.refuse_if(tokens == Some(0), &at("tokens"), "`tokens` must be more than zero");
        self.refuse_if(turns == Some(0), &at("turns"), "`turns` must be more than zero");
        self.refuse_if(cost.is_some_and(|cost| cost.micros() == 0), &at("cost"), "`cost` must be more than zero");
        self.more_than_zero(wall_time, &at("wall_time"));
    }

    fn restart(&mut self, policy: &RestartPolicy, table: &[&str]) {
        self.more_than_zero(Some(policy.within), &[table, &["restart", "within"]].concat());
    }
}
