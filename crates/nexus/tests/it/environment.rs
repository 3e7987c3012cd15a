//! What an agent is given: little of our own environment, its task's marks, and its prompt.

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
