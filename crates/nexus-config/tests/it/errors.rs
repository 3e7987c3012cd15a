//! Broken configurations, and what people are told about them.

use nexus_config::{ConfigErrors, Source, load};

use crate::dir::{Dir, env};

/// The errors of a directory with these files and variables.
fn errors(files: &[(&str, &str)], variables: &[(&str, &str)]) -> ConfigErrors {
    let dir = Dir::new(files);
    load(&Source { env: env(variables), ..dir.source() }).unwrap_err()
}

fn qa(text: &str) -> String {
    errors(&[("departments/qa.toml", text)], &[]).to_string()
}

fn main_file(text: &str) -> String {
    errors(&[("nexus.toml", text)], &[]).to_string()
}

#[test]
fn a_value_in_a_command_is_quoted_or_refused_at_its_place() {
    let on = |agents: &str, description: &str, more: &str| {
        format!("agents = [{agents}]\n\n[[on]]\nsubject = \"ci.failed\"\n{more}description = '{description}'\n")
    };
    let shell = "agent = \"shell\"\n";
    let said = qa(&on("\"claude\", \"shell\"", "make -C {{ data.path }} docs", shell));
    assert_eq!(
        said,
        "departments/qa.toml:6: `{{ data.path }}` is not quoted, and whoever publishes it could add commands of their own \
         (write `{{ data.path | shell }}`: the filter quotes it for the shell)"
    );
    let said = qa(&on("\"claude\", \"shell\"", "make {{ data.path }}", "task_type = \"command\"\n"));
    assert!(said.contains("is not quoted"), "{said}");
    let said = qa(&on("\"shell\"", "make", ""));
    assert!(said.starts_with("departments/qa.toml:4: nobody would do this: "), "{said}");
    for (agents, description, more) in [
        ("\"claude\", \"shell\"", "make -C {{ data.path | shell }} docs", shell),
        ("\"claude\", \"shell\"", "Mend {{ data.path }}: {{ data.log }}", ""),
        ("\"shell\"", "make docs", shell),
    ] {
        let dir = Dir::new(&[("departments/qa.toml", &on(agents, description, more))]);
        load(&dir.source()).unwrap();
    }
}

#[test]
fn unknown_keys_at_every_level() {
    insta::assert_snapshot!(qa(
        "wrokers = 2\ntask_type = [\"x\"]\n\n[retry]\nmax_atempts = 2\nbackoff = { intial = \"2s\" }\n\n[zzz]\na = 1\n\n[[on]]\nsubjct = \"a.b\"\ndescription = \"x\"\n\n[environment.set]\nANY = \"fine\"\n"
    ));
}

#[test]
fn several_files_at_once() {
    let files = [
        ("nexus.toml", "retension = \"3d\"\n[web]\nlisten = \"0.0.0.0:8000\"\n[agents.x]\nkind = \"comand\"\n"),
        ("departments/qa.toml", "workers = \"two\"\n[restart]\nwithin = \"soon\"\n"),
        ("departments/ops.toml", "workers = 0\nagents = [\"shel\", \"x\"]\n"),
    ];
    insta::assert_snapshot!(errors(&files, &[]));
}

#[test]
fn departments_to_delegate_to_exist() {
    let files = [
        ("departments/qa.toml", ""),
        ("departments/ops.toml", "delegates_to = [\n  \"qa\",\n  \"qaa\",\n  \"Bad Name\",\n]\n"),
    ];
    insta::assert_snapshot!(errors(&files, &[]));
    let files = [files[0], ("departments/ops.toml", "delegates_to = [\n  \"qa\",\n  \"qaa\",\n]\n")];
    insta::assert_snapshot!(errors(&files, &[]));
}

#[test]
fn wrong_types_and_units() {
    insta::assert_snapshot!(qa(
        "workers = -1\ntask_types = \"x\"\nagents = [\"shell\", 7, \"Bad Name\"]\ndescription = 5\n[queue]\nmax_waiting = 1.5\n\n[limits]\nwall_time = 30\nidle_time = \"5 parsecs\"\noutput = \"64\"\n\n[sandbox]\nnetwork = \"half\"\n\n[workspace]\nmode = 1\n\n[restart]\nmax_restarts = 99999999999\nstrategy = \"one_for_all\"\n[retry.backoff]\ninitial = 0\n"
    ));
}

#[test]
fn wrong_elements_of_a_list_keep_their_lines() {
    insta::assert_snapshot!(qa(
        "[[on]]\nsubject = \"a\"\n\n[[on]]\nsubject = \"nexus.event.>\"\ndescription = \"x\"\npriority = 12\n\n[[on]]\ndescription = \"y\"\n\n[[on]]\nsubject = \"c d\"\ndescription = \"z\"\nagent = \"shall\"\n"
    ));
}

#[test]
fn syntax() {
    insta::assert_snapshot!(qa("workers = 2\nagents = [\"shell\"\n\n[retry\nmax_attempts = = 2\nworkers = 3\n"));
    insta::assert_snapshot!(qa("workers = 0\nworkers = 3\n\n[retry]\nmax_attempts = = 2\nmax_atempts = 2\n[[on]\n"));
}

#[test]
fn a_broken_file_raises_no_further_errors_elsewhere() {
    let files = [
        ("nexus.toml", "[agents.mine]\nkind = \"command\"\ncommand = [\"x\"\n"),
        ("departments/qa.toml", "agents = [\"mine\"]\nworkers = 0\n"),
    ];
    insta::assert_snapshot!(errors(&files, &[]));
}

#[test]
fn agents() {
    let files = [
        (
            "nexus.toml",
            "[agents.mine]\nkind = \"command\"\n[agents.Loud]\nkind = \"command\"\ncommand = [\"x\"]\n[agents.none]\nprompt = \"stdin\"\n",
        ),
        ("departments/qa.toml", "agents = [\"claude\", \"mien\", \"shell\", \"aider\"]\n"),
    ];
    insta::assert_snapshot!(errors(&files, &[]));
}

#[test]
fn settings_of_agents() {
    let agents = "[agents.codex]\ncommand = [\"\"]\n[agents.mine]\nkind = \"command\"\ncommand = [\"x\"]\nargs = [\"-q\"]\nmodel = \"m\"\n[agents.other]\nkind = \"acp\"\n[agents.clade]\nmodel = \"m\"\n";
    insta::assert_snapshot!(errors(
        &[("nexus.toml", agents), ("departments/qa.toml", "agents = [\"claud\", \"codex\"]\n")],
        &[]
    ));
}

#[test]
fn budgets_and_delegation() {
    let company = "[budget]\ntokens = 0\ncost = -1.0\n[delegation]\nmax_depth = 65\nmax_children = 0\nmax_tree = 0\n";
    let department = "[budget]\nturns = 0\ncost = 0\nwall_time = \"0s\"\n[limits]\ntokens = 0\nturns = 0\ncost = 0.0\nfirst_event = \"0s\"\n";
    insta::assert_snapshot!(errors(&[("nexus.toml", company), ("departments/qa.toml", department)], &[]));
}

#[test]
fn roles() {
    let long = format!("role = \"{}\"\n", "x".repeat(32 * 1024 + 1));
    let files = [
        ("departments/a.toml", "role = \"\"\"\nBe brief.\nWork on {{ brunch }}.\n\"\"\"\n"),
        ("departments/b.toml", "role = \"x\"\nrole_file = \"roles/good.md\"\n"),
        ("departments/c.toml", "workers = 1\nrole_file = \"roles/absent.md\"\n"),
        ("departments/d.toml", "role_file = \"roles/bad.md\"\n"),
        ("departments/e.toml", "role_file = \"roles\"\n"),
        ("departments/f.toml", "role_file = \"roles/good.md\"\n"),
        ("departments/g.toml", "role_file = \"roles/latin.md\"\n"),
        ("departments/h.toml", &long),
        ("roles/good.md", "Good.\n"),
        ("roles/bad.md", "Fine.\n\n{% for x in y %}\n"),
    ];
    let dir = Dir::new(&files);
    std::fs::write(dir.path().join("roles/latin.md"), b"caf\xe9\n").unwrap();
    insta::assert_snapshot!(load(&dir.source()).unwrap_err());
}

#[test]
fn limits_and_paths_of_a_sandbox_are_checked() {
    insta::assert_snapshot!(qa(
        "[limits]\nmemory = \"2KiB\"\nprocesses = 0\ncpu = 0.0\nwall_time = \"0s\"\nopen_files = 3\nfile_size = \"0B\"\n[sandbox]\nlevel = \"none\"\nminimum = \"landlock\"\nnetwork = \"none\"\nread = [\"~\", \"etc\", \"/opt/../root\", \"~/.cargo\"]\n"
    ));
}

#[test]
fn hosts_and_what_is_set_by_a_proxy_are_checked() {
    let agent = "[agents.mine]\nkind = \"command\"\ncommand = [\"x\"]\nhosts = [\"api.example.com\", \"*.example.com:*\", \"a:b\"]\n[agents.mine.secrets]\nA-1 = { env = \"A\", inject = { to = \"api.example.com\", header = \"x key\", value = \"Bearer\" } }\nB = { env = \"B\", inject = { to = \"https://api.example.com\", header = \"x-key\" } }\n";
    let network = "[sandbox]\nnetwork = [\"api.example.com:443\", \"https://x.test/\", \"*\"]\n";
    insta::assert_snapshot!(errors(&[("nexus.toml", agent), ("departments/qa.toml", network)], &[]));
}

#[test]
fn a_container_needs_an_image_and_an_image_a_container() {
    insta::assert_snapshot!(qa("agents = [\"shell\"]\n[sandbox]\nlevel = \"container\"\n"));
    insta::assert_snapshot!(qa("[sandbox]\nimage = \"x\"\nminimum = \"container\"\n"));
}

#[test]
fn limits_and_sandboxes_are_accepted() {
    let text = "[limits]\nmemory = \"2GiB\"\nprocesses = 256\ncpu = 2.0\nopen_files = 1024\nfile_size = \"1GiB\"\nminimum = \"cgroup\"\n[workspace]\nmode = \"clone\"\n[sandbox]\nlevel = \"confined\"\nnetwork = \"none\"\nminimum = \"namespaces\"\nread = [\"~/.cargo\", \"/srv/models\"]\n";
    let dir = Dir::new(&[("departments/qa.toml", text)]);
    assert!(load(&dir.source()).is_ok());
}

#[test]
fn what_asks_for_nothing_is_accepted() {
    let dir = Dir::new(&[("departments/qa.toml", "[sandbox]\nlevel = \"none\"\nnetwork = \"full\"\n")]);
    assert!(load(&dir.source()).is_ok());
}

#[test]
fn values_out_of_range() {
    insta::assert_snapshot!(qa(
        "workers = 10001\nagents = []\n[retry]\nmax_attempts = 0\n[retry.backoff]\nfactor = 0.5\njitter = 2\n[restart]\nwithin = \"0s\"\n[queue]\nmax_waiting = 0\n"
    ));
}

#[test]
fn company() {
    insta::assert_snapshot!(main_file(
        "name = \"\"\ndefault_department = \"enginering\"\nretention = \"0d\"\n[departments.x]\n[nats]\ncreds = \"x\"\npassword = 12345\n[history]\nurl = \"mysql://u:hush@h/db\"\n[web]\nlisten = \"localhost\"\n[bus]\nsync = \"allways\"\n"
    ));
}

#[test]
fn variables_and_flags() {
    let dir = Dir::new(&[("departments/qa.toml", "")]);
    let variables = [
        ("NEXUS_DEPARTMENTS__QUA__WORKERS", "5"),
        ("NEXUS_DEPARTMENTS__QA__WROKERS", "5"),
        ("NEXUS_DEPARTMENTS__QA__WORKERS", "many"),
        ("NEXUS_BUS__SYNC", "1"),
        ("NEXUS_NATS__URL", ""),
        ("NEXUS_HISTORY__URI", "sqlite:x"),
        ("NEXUS_RETENTOIN", "3d"),
        ("NEXUS_DATA_DIR", "/elsewhere"),
        ("NEXUS_USERNAME", "of another product"),
        ("NEXUS_VERSION", "3"),
    ];
    let listen = nexus_config::Override {
        key: "web.listen".to_owned(),
        value: "192.168.1.1:80".to_owned(),
        flag: "--listen".to_owned(),
    };
    let source = Source { env: env(&variables), overrides: vec![listen], ..dir.source() };
    insta::assert_snapshot!(load(&source).unwrap_err());
}

#[test]
fn files_that_cannot_be_read() {
    let dir = Dir::new(&[("departments/Loud.toml", "")]);
    std::fs::write(dir.path().join("departments/latin.toml"), b"description = \"caf\xe9\"\n").unwrap();
    std::fs::create_dir(dir.path().join("departments/dir.toml")).unwrap();
    dir.write("departments/huge.toml", &" ".repeat((1 << 20) + 1));
    insta::assert_snapshot!(load(&dir.source()).unwrap_err());
}

#[test]
fn nothing_there() {
    let dir = Dir::new(&[]);
    let message = load(&dir.source()).unwrap_err().to_string();
    assert!(message.ends_with("there is neither a `nexus.toml` nor a `departments` directory here"), "{message}");
    std::fs::create_dir(dir.path().join("departments")).unwrap();
    insta::assert_snapshot!(load(&dir.source()).unwrap_err());
}

#[test]
fn on_a_terminal() {
    let files = [
        (
            "nexus.toml",
            "[nats]\nurl = \"nats://u:hush@h\"\npassword = \"hush\"\nusr = \"hush\"\npasswd = \"hush\"\nuser = \"u\"\n",
        ),
        ("departments/qa.toml", "workers = 2\nagents = [\"clode\"]\n"),
    ];
    let report = errors(&files, &[]).into_report();
    let mut text = String::new();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    miette::GraphicalReportHandler::new_themed(theme).render_report(&mut text, &report).unwrap();
    assert!(!text.contains("hush"), "{text}");
    insta::assert_snapshot!(text);
}
