//! Checks of `[agents.NAME]`.

use nexus_core::agent::{AgentKind, AgentSpec, Inject, SecretSource};
use nexus_core::network::{Entry, Origin};

use super::Check;

pub(super) fn check(check: &mut Check<'_>, name: &str, spec: &AgentSpec) {
    let agent = ["agents", name];
    let at = |keys: &[&'static str]| [&agent[..], keys].concat();
    let needs_command = matches!(spec.kind, AgentKind::Command | AgentKind::Acp);
    if needs_command && spec.command.first().is_none_or(String::is_empty) {
        let message = format!("agent `{name}` is of kind \"{}\" and has no `command`", spec.kind.as_str());
        let help = "write the program and its arguments: command = [\"my-agent\", \"--quiet\"]".to_owned();
        check.refuse_with(&at(&["command"]), message, Some(help));
    }
    let empty = !needs_command && spec.command.first().is_some_and(String::is_empty);
    check.refuse_if(empty, &at(&["command"]), "`command` names a program; leave it out for the agent's own");
    if spec.kind == AgentKind::Command {
        let message = "`args` are for coding agents; a command has its arguments in `command`";
        check.refuse_if(!spec.args.is_empty(), &at(&["args"]), message);
        let message = "`model` is for coding agents; a command has it in `command`, where it has one";
        check.refuse_if(spec.model.is_some(), &at(&["model"]), message);
    }
    for variable in spec.env.keys() {
        check.variable(variable, &[&agent[..], &["env", variable]].concat());
    }
    for (name, source) in &spec.secrets {
        secret(check, &[&agent[..], &["secrets", name]].concat(), name, source);
    }
    for (index, path) in spec.home.iter().enumerate() {
        let path = path.path();
        let below =
            !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
        let message = format!("`{path}` must be a path below the user's home, such as \".claude\"");
        check.refuse_if(!below, &[&agent[..], &["home", &index.to_string()]].concat(), &message);
    }
    check.hosts(&spec.hosts, &at(&["hosts"]));
}

fn secret(check: &mut Check<'_>, at: &[&str], name: &str, source: &SecretSource) {
    let SecretSource { file, env, command, inject } = source;
    let named = [file.is_some(), env.is_some(), command.is_some()];
    let is_one = named.into_iter().filter(|is_named| *is_named).count() == 1;
    let message = format!("the secret `{name}` needs one source: `file`, `env` or `command`");
    check.refuse_if(!is_one, at, &message);
    let is_empty = command.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty));
    check.refuse_if(is_empty, at, "`command` names the program that prints the secret");
    let Some(Inject { to, header, value }) = inject else {
        // It is handed over by this name.
        check.variable(name, at);
        return;
    };
    let at = |key: &'static str| [at, &["inject", key]].concat();
    if let Err(error) = to.parse::<Origin>() {
        check.refuse(&at("to"), error.to_string());
    }
    let is_token =
        !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    check.refuse_if(!is_token, &at("header"), "`header` is the name of one, such as \"authorization\"");
    let is_filled = value.matches("{}").count() == 1;
    check.refuse_if(!is_filled, &at("value"), "`value` must hold `{}` once, where the secret is put: \"Bearer {}\"");
}

impl Check<'_> {
    /// A list of what of the network may be reached.
    pub(super) fn hosts(&mut self, entries: &[String], path: &[&str]) {
        for (index, entry) in entries.iter().enumerate() {
            if let Err(error) = entry.parse::<Entry>() {
                self.refuse(&[path, &[&index.to_string()]].concat(), error.to_string());
            }
        }
    }
}
