//! Agents in containers, in a company: `tests/containers` runs these, where there is an engine.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use rustix::process::Signal;

use crate::network::mirror;
use crate::support::processes::{signal, until};
use crate::support::{Company, Place, WORK, at, git};

fn department(more: &str) -> String {
    let image = std::env::var("NEXUS_TEST_IMAGE").unwrap_or_else(|_| "debian:bookworm-slim".to_owned());
    let work = WORK
        .replace("sandbox.level = \"none\"", &format!("sandbox.level = \"container\"\nsandbox.image = \"{image}\""));
    format!("{work}\nretry.max_attempts = 1\n{more}")
}

fn place(more: &str) -> Arc<Place> {
    Place::with(&[("work", &department(more))])
}

/// Containers of this place's company.
fn containers(company: &Place) -> String {
    let node = company.read("data/node");
    let label = format!("label=nexus.node={}", node.trim());
    #[expect(clippy::disallowed_types, reason = "a look from outside")]
    let ran = std::process::Command::new("docker").args(["ps", "-aq", "--filter", &label]).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn an_agent_works_in_a_container() {
    let place = place(
        "agents = [\"keyed\"]\n[environment]\npass = [\"PASSED\"]\nset = { SET = \"set\" }\n[limits]\nmemory = \"256MiB\"\nprocesses = 50\n",
    );
    place.write(
        "config/nexus.toml",
        "[agents.keyed]\nkind = \"command\"\ncommand = [\"sh\", \"-c\"]\ncommands = false\nhome = [\".settings\"]\n[agents.keyed.secrets]\nKEY = { env = \"COMPANY_KEY\" }\n",
    );
    place.write(".settings", "as the user likes it\n");
    let company =
        Company::up_with(&place, &[], &[("COMPANY_KEY", "hush-hush-1"), ("PASSED", "along"), ("OTHER", "not")]);
    let script = "echo $PASSED $SET $OTHER $KEY $HOME; cat ~/.settings; echo mine > file; touch ~/kept; pwd; grep CapEff /proc/self/status
                  ls -A /root/.ssh /var/run/docker.sock 2>/dev/null; touch /usr/x 2>/dev/null && echo did; echo trouble >&2";
    let id = company.delegate(&[script]);
    let answer = company.ended(&id);
    assert_eq!(at(&answer, "task.status"), "completed", "{answer:#}");
    let expected = format!(
        "along set *** /home/agent\nas the user likes it\n{}\nCapEff:\t0000000000000000\n",
        company.text(&format!("data/workspaces/{id}"))
    );
    assert_eq!(at(&answer, "task.result.output"), &expected);
    assert_eq!(at(&answer, "task.result.error_output"), "trouble\n");
    let protection = at(&answer, "task.result.protection");
    let of = |key: &str| protection[key].as_str().unwrap().to_owned();
    assert_eq!([of("sandbox"), of("limits"), of("tree"), of("network")], ["container", "cgroup", "container", "full"]);
    assert_eq!(containers(&company), "");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn a_commit_comes_back_from_a_container() {
    let place = place("agents = [\"shell\"]\n");
    place.department("work", &department("").replace("workspace.mode = \"scratch\"\n", ""));
    let project = place.path("project");
    git(&project, &["init", "-q", "-b", "main"]);
    git(&project, &["-c", "user.name=Ann", "-c", "user.email=a@b.c", "commit", "-q", "--allow-empty", "-m", "first"]);
    let company = Company::up(&place);
    // The image has no git: what the agent leaves is committed by the company.
    let answer = company.ended(&company.delegate(&["echo new > file"]));
    let workspace = at(&answer, "task.result.workspace");
    assert_eq!((&workspace["mode"], &workspace["kept"]), (&"clone".into(), &false.into()), "{answer:#}");
    let branch = workspace["branch"].as_str().unwrap();
    assert_eq!(git(&project, &["show", &format!("{branch}:file")]), "new\n");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn a_cancel_and_a_limit_end_a_container() {
    let company = Company::up(&place("[limits]\nmemory = \"32MiB\"\nidle_time = \"30s\"\n"));
    let deaf = company.delegate(&["trap '' INT TERM; while :; do sleep 1; done"]);
    until("its container", || (!containers(&company).is_empty()).then_some(()));
    until("its container's worker", || {
        let workers = company.json(&["workers"]).to_string();
        workers.contains("\"sandbox\":\"container\"").then_some(())
    });
    company.run(&["cancel", &deaf]).done();
    assert_eq!(at(&company.status(&deaf), "task.status"), "cancelled");
    assert_eq!(containers(&company), "");
    let hog = company.ended(&company.delegate(&["x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"]));
    assert!(at(&hog, "task.error").as_str().unwrap().contains("limits.memory"), "{hog:#}");
    assert_eq!(containers(&company), "");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn what_a_killed_company_left_in_containers_is_ended() {
    let place = place("");
    let company = Company::up(&place);
    let id = company.delegate(&["echo run >> runs; while :; do sleep 1; done"]);
    until("its container", || (!containers(&company).is_empty()).then_some(()));
    let before = containers(&company);
    signal(company.pid(), Signal::KILL);
    let place = company.kill();
    let company = Company::up(&place);
    assert!(!containers(&company).contains(before.trim()), "{before}");
    company.becomes(&id, "running");
    company.run(&["cancel", &id]).done();
    assert_eq!(containers(&company), "");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn a_container_reaches_what_is_listed_and_nothing_else() {
    let (listed, other) = (mirror(), mirror());
    let place = place(&format!("sandbox.network = [\"{listed}\"]\nagents = [\"bash\"]\n"));
    place.write(
        "config/nexus.toml",
        "[agents.bash]\nkind = \"command\"\ncommand = [\"bash\", \"-c\"]\ncommands = false\n",
    );
    let company = Company::up(&place);
    let script = format!(
        "ask() {{ exec 3<>/dev/tcp/127.0.0.1/3128; printf 'GET http://%s/it HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' $1 >&3
                    head -1 <&3; exec 3<&-; }}
         echo $HTTPS_PROXY; ask {listed}; ask {other}; ask {listed}; (exec 3<>/dev/tcp/{ip}/{port}) 2>/dev/null && echo did; ls /sys/class/net; exit 5",
        ip = listed.ip(),
        port = listed.port(),
    );
    let id = company.delegate(&[&script]);
    let answer = company.ended(&id);
    let output = at(&answer, "task.result.output").as_str().unwrap().replace('\r', "");
    let expected = "http://127.0.0.1:3128\nHTTP/1.1 200 OK\nHTTP/1.1 403 Forbidden\nHTTP/1.1 200 OK\nlo\n";
    assert_eq!(output, expected, "{answer:#}");
    assert_eq!(at(&answer, "task.result.exit_code"), 5);
    assert_eq!(at(&answer, "task.result.protection.network"), "proxy");
    assert!(company.run(&["logs", &id]).done().contains(&format!("network: refused {other}: ")));
    assert_eq!(containers(&company), "");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn no_image_is_said_to_be_none() {
    let place =
        Place::with(&[("work", &department("").replace("sandbox.image = ", "sandbox.image = \"no-such-image:1\" # "))]);
    let company = Company::up(&place);
    let answer = company.ended(&company.delegate(&["true"]));
    assert!(at(&answer, "task.error").as_str().unwrap().contains("docker pull no-such-image:1"), "{answer:#}");
}

#[test]
#[ignore = "needs a container engine: tests/containers"]
fn a_link_in_its_home_leads_nowhere() {
    let once = department("agents = [\"keyed\"]\nretry.backoff.initial = \"1ms\"\n");
    let place = Place::with(&[("work", &once.replace("max_attempts = 1", "max_attempts = 2"))]);
    let agent = "[agents.keyed]\nkind = \"command\"\ncommand = [\"sh\", \"-c\"]\ncommands = false\nhome = [\".settings/deep\"]\n";
    place.write("config/nexus.toml", agent);
    std::fs::create_dir_all(place.path(".settings/deep")).unwrap();
    let company = Company::up(&place);
    // What is mounted over can't be moved away; what lies beside it can.
    let script = format!("echo run; mv ~/.settings ~/aside; ln -s {} ~/.settings; exit 1", place.text("project"));
    let answer = company.ended(&company.delegate(&[&script]));
    assert!(at(&answer, "task.error").as_str().unwrap().contains("is a link"), "{answer:#}");
    assert_eq!(std::fs::read_dir(place.path("project")).unwrap().count(), 0);
}

#[test]
fn what_holds_the_company_is_not_mounted() {
    let place = Place::with(&[("work", &department("").replace("mode = \"scratch\"", "mode = \"in_place\""))]);
    let company = Company::up(&place);
    let refused = company.run(&["delegate", "--project", &place.text(""), "cat data/company.json"]);
    refused.fails(4, &["no agent works there"]);
}

#[test]
fn without_an_engine_nothing_runs_unprotected() {
    let place = place("");
    let nowhere = format!("unix://{}", place.text("no.sock"));
    let company = Company::up_with(&place, &[], &[("DOCKER_HOST", &nowhere)]);
    let answer = company.ended(&company.delegate(&["touch ran"]));
    assert_eq!(at(&answer, "task.status"), "failed", "{answer:#}");
    assert!(at(&answer, "task.error").as_str().unwrap().contains("DOCKER_HOST"), "{answer:#}");
}
