//! The environment of an agent: little of our own, its task's marks, and its prompt.

use crate::support::{Company, Place, WORK, at};

#[test]
fn nothing_is_inherited_but_what_is_allowed() {
    let place = Place::with(&[(
        "work",
        &format!("{WORK}\n[environment]\npass = [\"PASSED\"]\nset = {{ SET = \"by the department\" }}\n"),
    )]);
    let env = [("SECRET", "s3cret"), ("PASSED", "along"), ("NEXUS_HISTORY__URL", "sqlite::memory:")];
    let company = Company::up_with(&place, &[], &env[..2]);
    let id = company.delegate(&["--context", r#"{"ticket": 7}"#, "env; echo cwd=$(pwd -P)"]);
    let answer = company.ended(&id);
    let output = at(&answer, "task.result.output").as_str().unwrap();
    let has = |line: &str| output.lines().any(|printed| printed == line);
    for line in [
        "PASSED=along",
        "SET=by the department",
        "NEXUS_ATTEMPT=1",
        "NEXUS_DEPARTMENT=work",
        r#"NEXUS_CONTEXT={"ticket":7}"#,
        &format!("NEXUS_TASK_ID={id}"),
        &format!("NEXUS_WORKSPACE={}", company.text(&format!("data/workspaces/{id}"))),
        &format!("cwd={}", company.text(&format!("data/workspaces/{id}"))),
    ] {
        assert!(has(line), "{line}: {output}");
    }
    for name in ["SECRET", "XDG_DATA_HOME", "CARGO"] {
        assert!(!output.contains(&format!("{name}=")), "{name}: {output}");
    }
}

#[test]
fn standard_input_is_closed() {
    let company = Company::new();
    assert_eq!(company.run(&["run", "cat; echo end"]).done(), "end\n");
}

#[test]
fn a_prompt_comes_as_it_is_declared() {
    let place = Place::with(&[("work", &format!("{WORK}\nagents = [\"shell\", \"reader\", \"filer\", \"arger\"]\n"))]);
    place.write(
        "config/nexus.toml",
        r#"
        [agents.reader]
        kind = "command"
        command = ["sh", "-c", "echo read; cat; echo $FLAVOUR"]
        prompt = "stdin"
        env = { FLAVOUR = "sweet" }
        [agents.filer]
        kind = "command"
        command = ["sh", "-c", "echo file; cat \"$NEXUS_PROMPT_FILE\"; stat -c %a \"$NEXUS_PROMPT_FILE\""]
        prompt = "file"
        [agents.arger]
        kind = "command"
        command = ["echo", "arg"]
        "#,
    );
    let company = Company::up(&place);
    assert_eq!(company.run(&["run", "-a", "reader", "say $HOME\n"]).done(), "read\nsay $HOME\nsweet\n");
    assert_eq!(company.run(&["run", "-a", "filer", "say $HOME\n"]).done(), "file\nsay $HOME\n600\n");
    assert_eq!(company.run(&["run", "-a", "arger", "say $HOME"]).done(), "arg say $HOME\n");
    // A prompt is nobody's business once the attempt is over.
    let left = std::fs::read_dir(company.path("data/prompts")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[test]
fn a_secret_is_handed_over_and_seen_nowhere_else() {
    let place = Place::with(&[("work", &format!("{WORK}\nagents = [\"keyed\", \"shell\"]\n"))]);
    place.write("key", "from-the-file-4711\n");
    std::fs::set_permissions(place.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    place.write(
        "config/nexus.toml",
        r#"
        [agents.keyed]
        kind = "command"
        command = ["sh", "-c"]
        [agents.keyed.secrets]
        FILE_KEY = { file = "~/key" }
        ENV_KEY = { env = "COMPANY_KEY" }
        TOOL_KEY = { command = ["printf", "from-the-tool-%s", "0815"] }
        "#,
    );
    let company = Company::up_with(&place, &[], &[("COMPANY_KEY", "from-outside-1234")]);
    // In pieces, as an unbuffered program writes.
    let script = "echo ${#FILE_KEY} ${#ENV_KEY} ${#TOOL_KEY}; echo file=$FILE_KEY env=$ENV_KEY; printf from-the-; \
                  sleep 0.3; echo tool-0815; echo $FILE_KEY >&2; exit 1";
    let id = company.delegate(&["-a", "keyed", "--max-attempts", "1", script]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.result.output"), "18 17 18\nfile=*** env=***\n***\n", "{answer:#}");
    assert_eq!(at(&answer, "task.result.error_output"), "***\n");
    // Others of the department don't have it.
    assert_eq!(company.run(&["run", "-a", "shell", "echo .$FILE_KEY$ENV_KEY$TOOL_KEY"]).done(), ".\n");
    let shown = company.run(&["config", "show"]).done();
    assert!(shown.contains("TOOL_KEY") && !shown.contains("0815"), "{shown}");
    // Nor is it anywhere in what the company keeps.
    let place = company.stop();
    let mut pending = vec![place.path("data")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("file-4711") && !text.contains("outside-1234"), "{}", path.display());
        }
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_named_and_not_shown() {
    let place = Place::with(&[("work", &format!("{WORK}\nagents = [\"keyed\"]\nretry.max_attempts = 1\n"))]);
    place.write("key", "hush-hush\n");
    std::fs::set_permissions(place.path("key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let agent = "[agents.keyed]\nkind = \"command\"\ncommand = [\"true\"]\n[agents.keyed.secrets]\nKEY = { file = \"~/key\" }\n";
    place.write("config/nexus.toml", agent);
    let company = Company::up(&place);
    let answer = company.ended(&company.delegate(&["x"]));
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("KEY") && error.contains("chmod 600") && !error.contains("hush"), "{error}");
}

#[test]
fn the_way_out_of_this_machine_is_an_agents_too() {
    let place = Place::with(&[
        ("work", WORK),
        ("boxed", "workspace.mode = \"scratch\"\nagents = [\"shell\"]\n"),
        ("listed", "workspace.mode = \"scratch\"\nagents = [\"shell\"]\nsandbox.network = [\"a.test\"]\n"),
    ]);
    place.write("certificates.pem", "a certificate\n");
    let certificates = place.text("certificates.pem");
    let proxy = "http://me:hush-hush@proxy.test:3128";
    let env = [
        ("HTTPS_PROXY", proxy),
        ("ALL_PROXY", "socks5h://me:whisper@proxy.test:1080"),
        ("NO_PROXY", "near.test"),
        ("NODE_EXTRA_CA_CERTS", certificates.as_str()),
        ("CURL_CA_BUNDLE", "/nowhere/at/all.pem"),
    ];
    let company = Company::up_with(&place, &[], &env);
    let script = "echo $HTTPS_PROXY $ALL_PROXY; echo $NO_PROXY; cat $NODE_EXTRA_CA_CERTS; echo $CURL_CA_BUNDLE";
    let expected = "http://me:***@proxy.test:3128 socks5h://me:***@proxy.test:1080\nnear.test\na certificate\n/nowhere/at/all.pem\n";
    for department in ["work", "boxed"] {
        let answer = company.ended(&company.delegate(&["--department", department, script]));
        assert_eq!(at(&answer, "task.result.output"), expected, "{department}: {answer:#}");
    }
    if company.run(&["doctor"]).stdout.contains("agents can't be confined") {
        return eprintln!("skipped the rest: this machine can't confine");
    }
    let answer = company.ended(&company.delegate(&["--department", "listed", script]));
    let expected = "http://127.0.0.1:3128 http://127.0.0.1:3128\n\na certificate\n/nowhere/at/all.pem\n";
    assert_eq!(at(&answer, "task.result.output"), expected, "{answer:#}");
}
