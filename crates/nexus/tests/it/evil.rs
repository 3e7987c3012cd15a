//! Evil agents in a company, each a small program of `tests/evil`: what it tries, what stops it, and what the result says.
//! Whoever runs the company, and whatever the machine has to confine them with.
#![cfg(target_os = "linux")]

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, at, git};

/// One of them.
struct Evil {
    program: &'static str,
    text: &'static str,
    stopped_by: &'static str,
    /// The text in the result: the whole output of one that ends, or part of the error of one that is ended.
    says: Says,
}

enum Says {
    Output(&'static str),
    Error(&'static str),
}

macro_rules! evil {
    ($($program:literal: $stopped_by:literal => $says:expr,)*) => {
        [$(Evil {
            program: $program,
            text: include_str!(concat!("../evil/", $program, ".py")),
            stopped_by: $stopped_by,
            says: $says,
        }),*]
    };
}

const ALL: [Evil; 17] = evil! {
    "detach": "an attempt is over when the warden has no child left" => Says::Output("end\n"),
    "holder": "an attempt is over when the warden has no child left" => Says::Output("end\n"),
    "bomb": "limits.processes, or limits.memory where it is held by looking" => Says::Error("(limits."),
    "hog": "limits.memory" => Says::Error("limits.memory"),
    "flood": "limits.output" => Says::Error("limits.output"),
    "endless": "limits.output" => Says::Error("limits.output"),
    "garbage": "it is read as UTF-8; terminals are shown control characters, not sent them" => Says::Output("���( \0 \u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31mred�1m\r over\nend\n"),
    "silent": "limits.idle_time" => Says::Error("idle_time"),
    "closed": "limits.idle_time" => Says::Error("idle_time"),
    "fill": "limits.file_size" => Says::Error("limits.file_size"),
    "write": "only its own places can be written" => Says::Output("end\n"),
    "read": "what is not its own isn't there, or is refused" => Says::Output("end\n"),
    "kill": "a PID namespace, or Landlock's scope" => Says::Output("end\n"),
    "connect": "sandbox.network = \"none\"; sockets of files are refused or not there" => Says::Output("end\n"),
    "hook": "a private clone, fetched back with nothing of its in force" => Says::Output("end\n"),
    "private": "of what is private to its task only its home and its temporary files are its own" => Says::Output("end\n"),
    "leave": "opened directories, no links, no recursion" => Says::Output("end\n"),
};

const CANARY: &str = "canary-5ca1ab1e";

const LIMITS: &str = r#"
workers = 3
agents = ["python", "shell"]
retry.max_attempts = 1
stop = { interrupt_grace = "200ms", terminate_grace = "200ms" }
sandbox.network = "none"
sandbox.level = "confined"
[limits]
wall_time = "60s"
idle_time = "8s"
memory = "192MiB"
processes = 40
output = "8MiB"
file_size = "16MiB"
"#;

/// Which user's company, on which machine.
#[derive(Clone, Copy, Debug, Default)]
struct Case {
    nobody: bool,
    /// The best way to confine that there is; none: the best that the machine has.
    way: Option<&'static str>,
    no_groups: bool,
}

fn skipped(case: Case) -> bool {
    let needs_root = case.nobody || case.no_groups;
    let skipped = needs_root && !rustix::process::geteuid().is_root();
    if skipped {
        eprintln!("skipped: only root can pretend {case:?}");
    }
    skipped
}

fn place(case: Case) -> Arc<Place> {
    let scratch = format!("{LIMITS}\n[workspace]\nmode = \"scratch\"\n");
    // Who guards a secret isn't limited by what ends the others.
    let calm = scratch.replace("idle_time = \"8s\"", "idle_time = \"10m\"").replace("wall_time = \"60s\"", "");
    let place = Place::with(&[("evil", &scratch), ("code", LIMITS), ("calm", &calm)]);
    let python = "[agents.python]\nkind = \"command\"\ncommand = [\"python3\", \"-c\"]\n";
    place.write("config/nexus.toml", &format!("shutdown_grace = \"500ms\"\ndefault_department = \"evil\"\n{python}"));
    std::fs::create_dir_all(place.path(".ssh")).unwrap();
    place.write(".ssh/id", CANARY);
    let project = place.path("project");
    git(&project, &["init", "-q", "-b", "main"]);
    let who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
    git(&project, &[&who[..], &["commit", "-q", "--allow-empty", "-m", "first"]].concat());
    if case.nobody {
        place.belongs_to_nobody();
    }
    if case.no_groups {
        place.has_no_control_groups();
    }
    place
}

#[track_caller]
fn none_succeeds(case: Case) {
    if skipped(case) {
        return;
    }
    let place = place(case);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = UnixListener::bind(place.path("docker.sock")).unwrap();
    let company = case.way.map_or_else(|| Company::up(&place), |way| Company::up_confined_by(&place, way));

    let victim = company.delegate(&[
        "-d",
        "calm",
        "-a",
        "shell",
        &format!("echo {CANARY} > secret; echo ready; exec sleep 1000"),
    ]);
    until("the victim's secret", || {
        (!place.read(&format!("data/workspaces/{victim}/secret")).is_empty()).then_some(())
    });
    let alive = || marked(&format!("NEXUS_TASK_ID={victim}")).into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    let victims = alive();
    let files = [
        place.text(&format!("data/workspaces/{victim}/secret")),
        place.text(".ssh/id"),
        place.text("data/company.json"),
        place.text("data/broker/identity.json"),
        place.text("config/nexus.toml"),
    ];
    let before = files.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
    let pids: Vec<u32> = victims.iter().copied().chain([company.pid()]).collect();
    let password = serde_json::from_str::<Value>(&before[2]).unwrap()["password"].as_str().unwrap().to_owned();
    let context = json!({
        "canary": CANARY,
        "files": files,
        "pids": pids,
        "port": listener.local_addr().unwrap().port(),
        "sockets": [place.text("docker.sock")],
        "sign": place.text("sign"),
        "project": place.text("project"),
    });
    let ids = ALL.each_ref().map(|evil| {
        let department = if evil.program == "hook" { "code" } else { "evil" };
        // By its text what has forgotten its environment is found.
        let text = format!("{}\n# evil-{}-{}\n", evil.text, evil.program, std::process::id());
        company.delegate(&["-d", department, "-a", "python", "--context", &context.to_string(), &text])
    });
    println!("{case:?}");
    for (evil, id) in ALL.iter().zip(&ids) {
        let answer = company.ended(id);
        let name = evil.program;
        let (status, said) = match evil.says {
            Says::Output(said) => {
                assert_eq!(at(&answer, "task.result.output"), said, "{case:?}, {name}: {answer:#}");
                ("completed", said)
            }
            Says::Error(said) => {
                let error = at(&answer, "task.error").as_str().unwrap();
                assert!(error.contains(said), "{case:?}, {name}: {answer:#}");
                ("failed", said)
            }
        };
        assert_eq!(at(&answer, "task.status"), status, "{case:?}, {name}: {answer:#}");
        if case.way == Some("landlock") {
            assert_eq!(at(&answer, "task.result.protection.sandbox"), "landlock", "{case:?}, {name}");
        }
        if case.no_groups {
            assert_eq!(at(&answer, "task.result.protection.limits"), "sampled", "{case:?}, {name}");
        }
        let log = company.run(&["logs", id]).done();
        assert!(
            !log.lines().any(|line| line.starts_with("did ")) && !log.contains(CANARY) && !log.contains(&password),
            "{case:?}, {name}: {log}"
        );
        until(&format!("the end of {name}, {case:?}"), || {
            let left = [format!("NEXUS_TASK_ID={id}"), format!("evil-{name}-{}", std::process::id())];
            left.iter().all(|mark| marked(mark).is_empty()).then_some(())
        });
        println!("{name:8} {:62} {said:?}", evil.stopped_by);
    }
    assert_eq!(files.each_ref().map(|path| std::fs::read_to_string(path).unwrap()), before, "{case:?}");
    for asked in [
        listener.set_nonblocking(true).and_then(|()| listener.accept().map(drop)),
        socket.set_nonblocking(true).and_then(|()| socket.accept().map(drop)),
    ] {
        assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "{case:?}: somebody came");
    }
    git_runs_nothing(&place, &ids[14]);
    // Links led nowhere, and what lies however deep is removed.
    assert_eq!(std::fs::read_dir(place.path(".ssh")).unwrap().count(), 1, "{case:?}");
    until(&format!("the end of what is private, {case:?}"), || {
        ids.iter().all(|id| !place.path(&format!("data/private/{id}")).exists()).then_some(())
    });

    // The company and the others work on.
    assert_eq!(at(&company.status(&victim), "task.status"), "running", "{case:?}");
    assert_eq!(alive(), victims, "{case:?}");
    assert_eq!(company.run(&["run", "-a", "shell", "echo fine"]).done(), "fine\n");
    company.run(&["cancel", &victim]).done();
}

/// The user's next commands in his repository run nothing of the agent's.
fn git_runs_nothing(place: &Place, task: &str) {
    let project = place.path("project");
    let git = |args: &[&str]| {
        git(&project, &[&["-c", "safe.directory=*", "-c", "user.name=Ann", "-c", "user.email=a@b.c"], args].concat())
    };
    git(&["status"]);
    git(&["checkout", "-q", "-b", "mine"]);
    std::fs::write(project.join("file"), "mine\n").unwrap();
    git(&["add", "file"]);
    git(&["commit", "-q", "-m", "mine"]);
    let branch = format!("nexus/{task}");
    if git(&["branch", "--list", &branch]).contains(task) {
        git(&["merge", "-q", &branch]);
    }
    assert!(!place.path("sign").exists(), "git ran what an agent had planted");
}

#[test]
fn as_they_come() {
    none_succeeds(Case::default());
}

#[test]
fn with_bubblewrap() {
    none_succeeds(Case { way: Some("bwrap"), ..Case::default() });
}

#[test]
fn with_landlock_alone() {
    none_succeeds(Case { way: Some("landlock"), ..Case::default() });
}

#[test]
fn without_control_groups() {
    none_succeeds(Case { no_groups: true, ..Case::default() });
}

#[test]
fn without_either() {
    none_succeeds(Case { no_groups: true, way: Some("landlock"), ..Case::default() });
}

/// Who has no control groups: they are root's.
#[test]
fn of_an_ordinary_user() {
    none_succeeds(Case { nobody: true, ..Case::default() });
}

#[test]
fn of_an_ordinary_user_with_bubblewrap() {
    none_succeeds(Case { nobody: true, way: Some("bwrap"), ..Case::default() });
}

#[test]
fn of_an_ordinary_user_with_landlock_alone() {
    none_succeeds(Case { nobody: true, way: Some("landlock"), ..Case::default() });
}
