//! Checks of `nexus.toml`.

use std::time::Duration;

use nexus_core::company::Delegation;
use nexus_core::id::DepartmentName;
use nexus_core::units::Span;

use super::{Check, Parsed, agent};
use crate::explain::unknown;
use crate::settings::{Nats, Tls};

/// Tasks that ask for tasks this deep are a loop.
const DEEPEST: u32 = 64;

/// The broker counts the age of what it keeps in nanoseconds, and 64 bits of them are 292 years.
const LONGEST_RETENTION: Span = Span::from_secs(100_000 * 24 * 60 * 60);

pub(super) fn check(check: &mut Check<'_>, parsed: &Parsed, whole: bool) {
    let file = &parsed.file;
    check.refuse_if(file.name.trim().is_empty(), &["name"], "a company needs a `name`");
    check.more_than_zero(Some(file.retention), &["retention"]);
    if file.retention > LONGEST_RETENTION {
        let message = format!("`retention` is {}, and must be at most {LONGEST_RETENTION}", file.retention);
        check.refuse(&["retention"], message);
    }
    check.restart(&file.restart, &[]);
    check.budget(&file.budget, &[]);
    let Delegation { max_depth, max_children, max_tree } = file.delegation;
    let at = |key: &'static str| ["delegation", key];
    let message = format!("`max_depth` is {max_depth}, and must be at most {DEEPEST}; 0: agents can't delegate");
    check.refuse_if(max_depth > DEEPEST, &at("max_depth"), &message);
    let none = "must be at least 1; max_depth = 0 is how agents can't delegate";
    check.refuse_if(max_children == 0, &at("max_children"), &format!("`max_children` {none}"));
    check.refuse_if(max_tree == 0, &at("max_tree"), &format!("`max_tree` {none}"));
    if whole {
        departments(check, parsed);
    }
    for (name, spec) in &file.agents {
        agent::check(check, name.as_str(), spec);
    }
    nats(check, &file.nats);
    let lease = file.bus.lease.get();
    if lease < Duration::from_secs(1) || lease > Duration::from_secs(600) {
        let message = format!("`lease` is {}, and must be from 1s to 10m", file.bus.lease);
        let help = "10s suits a local network; longer where the broker is far away".to_owned();
        check.refuse_with(&["bus", "lease"], message, Some(help));
    }
    if !file.web.listen.ip().is_loopback() {
        let message = format!(
            "`listen` is {}, which other machines can reach, and this version has no authentication",
            file.web.listen
        );
        check.refuse_with(&["web", "listen"], message, Some("listen on 127.0.0.1 or [::1]".to_owned()));
    }
    let scheme = file.history.url.as_ref().map(|url| url.scheme().unwrap_or_default());
    if scheme.is_some_and(|scheme| !matches!(&*scheme, "sqlite" | "postgres" | "postgresql")) {
        check.refuse(&["history", "url"], "`url` must begin with `sqlite:` or `postgres://`");
    }
}

fn departments(check: &mut Check<'_>, parsed: &Parsed) {
    let names: Vec<&str> = parsed.departments.keys().map(DepartmentName::as_str).collect();
    if names.is_empty() {
        let message = "there is no department: `departments/` holds no `.toml` file";
        check.refuse_with(&["departments"], message, Some("write departments/engineering.toml".to_owned()));
        return;
    }
    let Some(default) = &parsed.file.default_department else { return };
    if !parsed.departments.contains_key(default) {
        let (message, help) = unknown(&format!("there is no department `{default}`"), default.as_str(), &names, '`');
        check.refuse_with(&["default_department"], message, help);
    }
}

/// Keys that would be ignored, were they accepted.
fn nats(check: &mut Check<'_>, nats: &Nats) {
    let Nats { url, creds, user, password, token, tls } = nats;
    let set = [
        ("creds", creds.is_some()),
        ("user", user.is_some()),
        ("password", password.is_some()),
        ("token", token.is_some()),
        ("tls", *tls != Tls::default()),
    ];
    for (key, _) in set.iter().filter(|(_, is_set)| *is_set && url.is_none()) {
        let message = format!("`{key}` needs `url`: without it the company runs a private server of its own");
        check.refuse(&["nats", key], message);
    }
    let empty = url.as_ref().is_some_and(|url| url.expose().trim().is_empty());
    check.refuse_if(empty, &["nats", "url"], "`url` is empty; leave it out to run a private server");
    check.refuse_if(password.is_some() && user.is_none(), &["nats", "password"], "`password` needs `user`");
    check.refuse_if(user.is_some() && password.is_none(), &["nats", "user"], "`user` needs `password`");
    check.refuse_if(tls.cert.is_some() && tls.key.is_none(), &["nats", "tls", "cert"], "`cert` needs `key`");
    check.refuse_if(tls.key.is_some() && tls.cert.is_none(), &["nats", "tls", "key"], "`key` needs `cert`");
}

impl Check<'_> {
    /// The name of an environment variable.
    pub(super) fn variable(&mut self, name: &str, path: &[&str]) {
        let wrong = name.is_empty() || name.contains(['=', '\0']);
        self.refuse_if(wrong, path, &format!("`{name}` can't be the name of an environment variable"));
    }
}
