//! An agent's spec, completed with the needs of its kind: settings, its API's hosts, its key.

use nexus_core::agent::{AgentSpec, HomePath, HomeTable, SecretSource};

use crate::adapter::adapter;

/// The spec, and what its kind needs beside it; what the spec says itself stays as it is. `variable` reads the company's
/// environment: of secrets only the names are kept.
#[must_use]
pub fn complete(spec: &AgentSpec, variable: &dyn Fn(&str) -> Option<String>) -> AgentSpec {
    let Some(needs) = adapter(spec.kind).map(|adapter| adapter.needs()) else { return spec.clone() };
    let mut whole = spec.clone();
    for (path, write) in needs.home {
        if !spec.home.iter().any(|named| named.path() == *path) {
            whole.home.push(HomePath::Table(HomeTable { path: (*path).to_owned(), write: *write }));
        }
    }
    for host in needs.hosts {
        if !spec.hosts.iter().any(|named| named == host) {
            whole.hosts.push((*host).to_owned());
        }
    }
    let is_named = |name: &str| spec.env.contains_key(name) || spec.secrets.contains_key(name);
    for name in needs.secrets.iter().filter(|name| !is_named(name)) {
        if variable(name).is_some_and(|value| !value.is_empty()) {
            let source = SecretSource { env: Some((*name).to_owned()), ..SecretSource::default() };
            whole.secrets.insert((*name).to_owned(), source);
        }
    }
    for name in needs.pass.iter().filter(|name| !is_named(name)) {
        if let Some(value) = variable(name) {
            whole.env.insert((*name).to_owned(), value);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_core::agent::AgentKind;

    #[test]
    fn a_plain_command_needs_nothing() {
        let shell = AgentSpec::shell();
        assert_eq!(complete(&shell, &|_| Some("x".to_owned())), shell);
    }

    #[test]
    fn what_is_said_stays_and_what_is_needed_comes_with_it() {
        let kinds = AgentKind::ALL.into_iter().filter_map(|kind| Some((kind, adapter(kind)?.needs())));
        for (kind, needs) in kinds {
            let mut spec = AgentSpec::of(kind);
            let own = SecretSource { file: Some("~/key".into()), ..SecretSource::default() };
            spec.secrets.extend(needs.secrets.first().map(|name| ((*name).to_owned(), own.clone())));
            let whole = complete(&spec, &|_| Some("value".to_owned()));
            assert_eq!(needs.secrets.first().map(|name| &whole.secrets[*name]), needs.secrets.first().map(|_| &own));
            assert_eq!(whole.secrets.len(), needs.secrets.len(), "{kind:?}");
            assert_eq!((whole.home.len(), whole.hosts.len()), (needs.home.len(), needs.hosts.len()), "{kind:?}");
            assert!(needs.secrets.iter().all(|name| !whole.env.contains_key(*name)), "{kind:?}: no secret in clear");
            assert!(complete(&AgentSpec::of(kind), &|_| None).secrets.is_empty(), "{kind:?}");
        }
    }
}
