//! Commands that only look: configuration, broker, doctor, health.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Company, Place, Ran, at};

#[test]
fn configuration() {
    let place = Place::new();
    let ok = place.run(&["config", "check"]).done();
    assert_eq!(ok, format!("ok  {}: departments work\n", place.text("config")));
    assert_eq!(at(&place.json(&["config", "check"]), "ok"), true);
    let shown = place.run(&["config", "show"]).done();
    for words in ["shutdown_grace = \"500ms\"", "mode = \"scratch\"", "# default", "workers = 2"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let schemas = place.json(&["config", "schema"]);
    assert!(schemas.as_object().unwrap().len() >= 2, "{schemas:#}");
    assert_eq!(place.json(&["config", "schema", "department"]), schemas["department.json"]);
    assert_eq!(place.json(&["config", "schema", "nexus"])["title"], "nexus.toml");
    let set = place.nexus(&["config", "show"]).env("NEXUS_SHUTDOWN_GRACE", "7s").output().unwrap();
    let shown = String::from_utf8(set.stdout).unwrap();
    assert!(shown.contains("shutdown_grace = \"7s\"  # NEXUS_SHUTDOWN_GRACE"), "{shown}");
}

#[test]
fn broker() {
    let place = Place::new();
    let status = place.json(&["broker", "status"]);
    assert_eq!(at(&status, "chosen.origin"), "tools");
    assert!(at(&status, "running").is_null());
    let company = Company::up(&place);
    let status = company.json(&["broker", "status"]);
    assert!(at(&status, "running.pid").as_u64().unwrap() > 0);
    let port = at(&status, "running.port").to_string();
    assert!(company.ready.ends_with(&format!("nats=nats://127.0.0.1:{port}")), "{}", company.ready);
    assert!(company.run(&["broker", "install"]).done().starts_with("found  nats-server 2."));
}

/// Coding agents that say their version, hang with their standard input closed or not, fail, or aren't there.
#[test]
fn doctor_looks_at_agents() {
    let place = Place::with(&[
        ("code", "agents = [\"claude\", \"codex\", \"gemini\", \"qwen\", \"shell\"]\n"),
        ("plan", "agents = [\"copilot\"]\n"),
    ]);
    std::fs::create_dir_all(place.path("bin")).unwrap();
    for (name, script) in [
        ("claude", "echo '99.1.0 (Claude Code)'"),
        ("codex", "echo 'needs another machine' >&2; exit 1"),
        ("gemini", "exec /bin/sleep 600"),
    ] {
        place.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(place.path(&format!("bin/{name}")), mode).unwrap();
    }
    let doctor = |args: &[&str]| {
        let mut command = place.nexus(args);
        // The machine may have some of them.
        command.env("PATH", place.path("bin")).env("ANTHROPIC_API_KEY", "a key").env_remove("OPENAI_API_KEY");
        Ran::from(command.output().unwrap())
    };
    let said = doctor(&["doctor"]).done();
    for words in [
        "ok    agents      claude: 99.1.0, signed in;",
        "warn  agents      codex: installed, and doesn't work: `codex --version`: needs another machine",
        "warn  agents      gemini: installed, and doesn't work: `gemini` did not end within 10 s",
        "-     agents      qwen: not installed; to get it: ",
        "warn  agents      copilot: not installed; to get it: ",
        "warn  agents      plan has no agent that can work",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("opencode") && !said.contains("a key"), "{said}");
    let said = doctor(&["doctor", "-o", "json"]).done();
    let findings: serde_json::Value = serde_json::from_str(&said).unwrap();
    let agents: Vec<_> = findings.as_array().unwrap().iter().filter_map(|finding| finding.get("agent")).collect();
    let names: Vec<_> = agents.iter().map(|agent| agent["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["claude", "codex", "copilot", "gemini", "opencode", "qwen"]);
    assert_eq!(agents[0]["version"], "99.1.0");
}

/// A program that says a version, as a coding agent does.
fn put_claude(place: &Place) {
    std::fs::create_dir_all(place.path("bin")).unwrap();
    place.write("bin/claude", "#!/bin/sh\necho '99.1.0 (Claude Code)'\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("bin/claude"), mode).unwrap();
}

#[test]
fn the_running_company_is_what_is_spoken_of() {
    let place = Place::with(&[("code", "agents = [\"claude\"]\nsandbox.level = \"none\"\n")]);
    put_claude(&place);
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", place.text("bin"));
    let looks = |args: &[&str]| {
        let mut command = place.nexus_anywhere(args);
        Ran::from(command.env("PATH", "/usr/bin:/bin").output().unwrap()).done()
    };
    let shown = looks(&["config", "show"]);
    assert!(shown.starts_with("# no company is up; this is what `nexus up` would use here\n"), "{shown}");
    assert!(shown.contains("departments/engineering.toml"), "{shown}");
    let said = looks(&["doctor"]);
    assert!(said.contains("3 departments; no company is up; this is what `nexus up` would use here"), "{said}");
    let company = Company::up_with(&place, &[], &[("PATH", &path)]);
    let uses = format!("the company that is up (pid {}) uses {}", company.pid(), place.text("config"));
    let shown = looks(&["config", "show"]);
    assert!(shown.starts_with(&format!("# {uses}\n")) && shown.contains("departments/code.toml"), "{shown}");
    let said = looks(&["doctor"]);
    for words in [
        format!("1 department; {uses}"),
        "claude: not here, but on the PATH of the company that is up".to_owned(),
        format!("running (pid {}, log {})", company.pid(), place.text("log")),
    ] {
        assert!(said.contains(&words), "{words}\n{said}");
    }
    assert!(!said.contains("no coding agent can work"), "{said}");
    let other = Place::new();
    let named = place.nexus_anywhere(&["config", "show", "--config", &other.text("config")]).output().unwrap();
    let said = Ran::from(named).done();
    assert!(said.contains("doesn't use this, but ") && said.contains("departments/work.toml"), "{said}");
}

#[test]
fn that_no_coding_agent_can_work_is_said() {
    let place = Place::with(&[("code", "agents = [\"claude\", \"shell\"]\n")]);
    let doctor = |path: &str| {
        let mut command = place.nexus(&["doctor"]);
        Ran::from(command.env("PATH", path).env("ANTHROPIC_API_KEY", "a key").output().unwrap()).done()
    };
    let nobody = "warn  agents      no coding agent can work: install one";
    assert!(doctor("/usr/bin:/bin").contains(nobody));
    put_claude(&place);
    let said = doctor(&format!("{}:/usr/bin:/bin", place.text("bin")));
    assert!(!said.contains(nobody), "{said}");
}

#[test]
fn doctor_and_health() {
    let place = Place::new();
    let said = place.run(&["doctor"]).done();
    assert!(said.contains("not running at") && said.contains("nats-server 2."), "{said}");
    let company = Company::up(&place);
    let said = company.run(&["doctor"]).done();
    assert!(said.contains("ok    departments work: 0 of 2 workers busy, 0 tasks wait"), "{said}");
    let findings = company.json(&["doctor"]);
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["level"] != "fail"), "{findings:#}");
    assert_eq!(at(&company.json(&["health"]), "status"), "ok");
}

#[test]
fn ready_means_ready() {
    let company = Company::new();
    let mut words = company.ready.split(' ');
    assert_eq!((words.next(), words.next()), (Some("nexus"), Some("ready")));
    let [mcp, web, nats] = words.collect::<Vec<_>>()[..] else { panic!("{}", company.ready) };
    let address = web.strip_prefix("web=http://").unwrap().strip_suffix('/').unwrap();
    assert_eq!(mcp, format!("mcp=http://{address}/mcp"));
    assert!(nats.starts_with("nats=nats://127.0.0.1:"), "{nats}");
    for path in ["/healthz", "/readyz"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    }
}

#[test]
fn secrets_are_their_owner_s() {
    use std::os::unix::fs::PermissionsExt as _;

    let company = Company::new();
    let mode = std::fs::metadata(company.path("data/company.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let address: serde_json::Value = serde_json::from_str(&company.read("data/company.json")).unwrap();
    let password = address["password"].as_str().unwrap();
    assert!(password.len() >= 16);
    assert!(!company.read("log").contains(password));
    // Not in an argument, where every user of the machine could read it.
    for (pid, command) in crate::support::processes::marked(&company.text("data")) {
        assert!(!command.contains(password), "{pid}: {command}");
    }
}
