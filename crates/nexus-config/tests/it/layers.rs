//! Which layer wins, and where the directory comes from.

use std::path::Path;

use nexus_config::{Override, Source, Workspaces, load, show};
use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::id::{AgentName, DepartmentName};
use nexus_core::units::Span;

use crate::dir::{Dir, env};

fn qa() -> DepartmentName {
    DepartmentName::new("qa").unwrap()
}

#[test]
fn layers_of_workspaces_are_bounded_and_switched_off() {
    let dir = Dir::new(&[
        ("nexus.toml", "[workspaces]\ncache_size = \"3GiB\"\ncache_age = \"2d\"\n"),
        ("departments/qa.toml", "workspace.layers = false\n"),
        ("departments/docs.toml", "workspace.commit = false\n"),
    ]);
    let loaded = load(&dir.source()).unwrap();
    let Workspaces { cache_size, cache_age } = loaded.settings.workspaces;
    assert_eq!((cache_size.bytes(), cache_age), (3 << 30, Span::from_secs(2 * 86_400)));
    let layers = |name: &str| loaded.company.departments[&DepartmentName::new(name).unwrap()].workspace.layers;
    assert_eq!((layers("qa"), layers("docs")), (false, true));
    let usual = load(&Dir::new(&[("departments/qa.toml", "")]).source()).unwrap().settings.workspaces;
    assert_eq!((usual.cache_size.bytes(), usual.cache_age), (20 << 30, Span::from_secs(14 * 86_400)));
}

#[test]
fn warm_is_for_layers_of_clones_and_says_so() {
    let of = |text: &str| load(&Dir::new(&[("departments/qa.toml", text)]).source());
    let loaded = of("workspace.warm = [\"npm ci\", \"make deps\"]\n").unwrap();
    assert_eq!(loaded.company.departments[&qa()].workspace.warm, ["npm ci", "make deps"]);
    of("[workspace]\nwarm = [\"npm ci\"]\nmode = \"clone\"\n").unwrap();
    for (text, said) in [
        ("[workspace]\nwarm = [\"true\", \"  \"]\n", "a command can't be empty"),
        ("[workspace]\nwarm = [\"true\"]\nmode = \"worktree\"\n", "it needs `mode = \"clone\"`, or none"),
        ("[workspace]\nwarm = [\"true\"]\nlayers = false\n", "and `layers = true`"),
        ("[workspace]\nwarm = \"npm ci\"\n", "warm"),
    ] {
        let errors = of(text).unwrap_err().to_string();
        assert!(errors.contains(said) && errors.contains("qa.toml"), "{errors}");
    }
}

#[test]
fn the_stronger_layer_wins_key_by_key() {
    let dir = Dir::new(&[
        ("nexus.toml", "retention = \"7d\"\nname = \"acme\"\n[web]\nlisten = \"127.0.0.1:9000\"\n"),
        ("departments/qa.toml", "workers = 2\n[retry]\nmax_attempts = 4\nbackoff = { initial = \"1s\" }\n"),
    ]);
    let variables = [
        ("NEXUS_NAME", "007"),
        ("NEXUS_WEB__LISTEN", "127.0.0.1:9001"),
        ("NEXUS_DEPARTMENTS__QA__WORKERS", "5"),
        ("NEXUS_DEPARTMENTS__QA__TASK_TYPES", "[a, b]"),
        ("NEXUS_DEPARTMENTS__QA__RETRY__BACKOFF__FACTOR", "3"),
        ("NEXUS_DEPARTMENTS__QA__ENVIRONMENT__SET__RUST_LOG", "debug"),
        ("NEXUS_NATS__URL", "nats://h:4222"),
        ("NEXUS_NATS__USER", "u"),
        ("NEXUS_NATS__PASSWORD", "[12345"),
        ("NEXUS_NATS__TLS__REQUIRED", "true"),
    ];
    let listen =
        Override { key: "web.listen".to_owned(), value: "127.0.0.1:0".to_owned(), flag: "--listen".to_owned() };
    let source = Source { env: env(&variables), overrides: vec![listen], ..dir.source() };
    let loaded = load(&source).unwrap();
    assert_eq!((loaded.company.name.as_str(), loaded.company.retention), ("007", Span::from_secs(7 * 86_400)));
    assert_eq!(loaded.settings.web.listen.port(), 0);
    let department = &loaded.company.departments[&qa()];
    assert_eq!((department.workers, &department.task_types[..]), (5, &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!((department.retry.max_attempts, department.retry.backoff.factor), (4, 3.0));
    assert_eq!(department.retry.backoff.initial, Span::from_secs(1));
    assert_eq!(department.environment.set["RUST_LOG"], "debug");
    assert_eq!(loaded.settings.nats.password.as_ref().map(|secret| secret.expose()), Some("[12345"));
    assert!(loaded.settings.nats.tls.required);
    assert_eq!(loaded.company.default_department, qa());
    insta::assert_snapshot!(show(&loaded));
}

#[test]
fn an_agent_can_be_declared_and_the_built_in_one_changed() {
    let dir = Dir::new(&[
        ("nexus.toml", "[agents.shell]\nenv = { A = \"1\" }\n[agents.claude]\nkind = \"command\"\ncommand = [\"x\"]\n"),
        ("departments/qa.toml", "agents = [\"claude\", \"shell\"]\n"),
    ]);
    let company = load(&dir.source()).unwrap().company;
    let shell = &company.agents[&AgentName::new("shell").unwrap()];
    assert_eq!((shell.command[0].as_str(), shell.env["A"].as_str()), ("sh", "1"));
    assert_eq!(company.agents.len(), 7);
}

#[test]
fn coding_agents_are_there_and_keep_their_kind_when_they_are_changed() {
    let dir = Dir::new(&[
        (
            "nexus.toml",
            "[agents.codex]\nmodel = \"m\"\nargs = [\"--search\"]\n[agents.fast]\nkind = \"claude\"\nmodel = \"haiku\"\naccount = \"claude\"\n",
        ),
        ("departments/qa.toml", "agents = [\"claude\", \"codex\", \"fast\", \"shell\"]\n"),
    ]);
    let loaded = load(&Source { env: env(&[("NEXUS_AGENTS__QWEN__MODEL", "q")]), ..dir.source() }).unwrap();
    let agents = &loaded.company.agents;
    let names: Vec<_> = agents.keys().map(AgentName::as_str).collect();
    assert_eq!(names, ["claude", "codex", "copilot", "fast", "gemini", "opencode", "qwen", "shell"]);
    let of = |name: &str| agents[&AgentName::new(name).unwrap()].as_ref().clone();
    assert_eq!(of("claude"), AgentSpec::of(AgentKind::Claude));
    let codex = of("codex");
    assert_eq!((codex.kind, codex.model.as_deref(), codex.args.len()), (AgentKind::Codex, Some("m"), 1));
    assert_eq!((of("qwen").kind, of("qwen").model.as_deref()), (AgentKind::Qwen, Some("q")));
    assert_eq!(of("fast").kind, AgentKind::Claude);
    let shown = show(&loaded);
    assert!(shown.contains("[agents.claude]\nkind = \"claude\"  # default"), "{shown}");
    assert!(shown.contains("model = \"m\"  # nexus.toml:2"), "{shown}");
    assert!(!shown.contains("[agents.gemini]"), "{shown}");
}

#[test]
fn a_role_comes_from_the_department_or_from_a_file() {
    let dir = Dir::new(&[
        ("nexus.toml", ""),
        ("departments/ops.toml", "role = \"Be {{ department }}.\"\n"),
        ("departments/qa.toml", "role_file = \"roles/qa.md\"\n"),
        ("roles/qa.md", "Test.\nOn {{ branch }}.\n"),
    ]);
    let loaded = load(&dir.source()).unwrap();
    let role = |name: &str| loaded.company.departments[&DepartmentName::new(name).unwrap()].role.clone().unwrap();
    assert_eq!((role("ops").as_str(), role("qa").as_str()), ("Be {{ department }}.", "Test.\nOn {{ branch }}.\n"));
    assert!(loaded.files.contains(&dir.path().join("roles/qa.md")));
    let shown = show(&loaded);
    assert!(shown.contains("Test.\nOn {{ branch }}.") && shown.contains("  # roles/qa.md"), "{shown}");
    assert!(!shown.contains("role_file"), "{shown}");
}

#[test]
fn built_in_departments_keep_their_roles_beside_settings_of_ones_own() {
    let dir = Dir::new(&[("nexus.toml", "name = \"acme\"\n")]);
    let loaded = load(&dir.source()).unwrap();
    assert!(loaded.company.departments[&qa()].role.as_deref().unwrap().starts_with("You are a tester"));
    assert_eq!(loaded.files, [dir.path().join("nexus.toml")]);
}

#[test]
fn paths_in_a_file_are_relative_to_it() {
    let dir = Dir::new(&[("nexus.toml", "[nats]\nurl = \"nats://h\"\ncreds = \"my.creds\"\n")]);
    let source = Source { env: env(&[("NEXUS_NATS__TLS__CA", "ca.pem")]), ..dir.source() };
    let nats = load(&source).unwrap().settings.nats;
    assert_eq!(nats.creds, Some(dir.path().join("my.creds")));
    assert_eq!(nats.tls.ca.as_deref(), Some(Path::new("ca.pem")));
}

#[test]
fn the_first_directory_that_has_something_is_used() {
    let (cwd, platform) = (Dir::new(&[("nexus.toml", "")]), Dir::new(&[("nexus.toml", "name = \"home\"\n")]));
    let here = nexus_config::Here::LookedAt;
    let source = Source { cwd: Some(cwd.path()), here, platform: Some(platform.path()), ..Source::default() };
    let loaded = load(&source).unwrap();
    assert_eq!((loaded.dir, loaded.company.departments.len()), (Some(platform.path()), 3));
    cwd.write("departments/qa.toml", "");
    let loaded = load(&source).unwrap();
    assert_eq!((&loaded.dir, loaded.company.departments.len()), (&Some(cwd.path()), 1));
    assert_eq!(loaded.files, [cwd.path().join("nexus.toml"), cwd.path().join("departments/qa.toml")]);
    assert_eq!(load(&Source::default()).unwrap().dir, None);
}

#[test]
fn a_directory_where_one_stands_counts_when_it_is_trusted_as_it_is() {
    let (cwd, platform) = (Dir::new(&[("departments/qa.toml", "")]), Dir::new(&[("nexus.toml", "name = \"home\"\n")]));
    let notes = tempfile::tempdir().unwrap();
    let trust = nexus_config::Trust::in_dir(notes.path().join("trusted"));
    let here = nexus_config::Here::Trusted(trust.clone());
    let source = Source { cwd: Some(cwd.path()), here, platform: Some(platform.path()), ..Source::default() };
    let loaded = load(&source).unwrap();
    let untrusted = loaded.untrusted.unwrap();
    assert_eq!((loaded.dir, untrusted.changed), (Some(platform.path()), false));
    assert!(untrusted.to_string().contains(&format!("nexus trust {}", cwd.path().display())), "{untrusted}");
    trust.give(&cwd.path()).unwrap();
    let loaded = load(&source).unwrap();
    assert_eq!((loaded.dir, loaded.untrusted), (Some(cwd.path()), None));
    cwd.write("departments/evil.toml", "agents = [\"shell\"]\n");
    let loaded = load(&source).unwrap();
    assert_eq!((loaded.dir, loaded.untrusted.unwrap().changed), (Some(platform.path()), true));
    // What is named is trusted; where nobody is to be asked, it doesn't count.
    let named = Source { dir: Some(cwd.path()), ..source.clone() };
    assert_eq!(load(&named).unwrap().dir, Some(cwd.path()));
    let ignoring = Source { here: nexus_config::Here::Ignored, ..source };
    assert_eq!(load(&ignoring).unwrap().untrusted, None);
}

#[test]
fn what_editors_leave_behind_is_ignored_and_windows_files_are_read() {
    let dir = Dir::new(&[
        ("departments/qa.toml", "\u{feff}workers = 2\r\ndescription = \"x\"\r\n"),
        ("departments/.qa.toml", "broken"),
        ("departments/qa.toml~", "broken"),
        ("departments/README.md", "broken"),
    ]);
    let company = load(&dir.source()).unwrap().company;
    assert_eq!((company.departments.len(), company.departments[&qa()].workers), (1, 2));
}
