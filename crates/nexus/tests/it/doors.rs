//! Agents that call each other: each comes to the company's tools by its door, speaks MCP there, and can do what its task may.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::processes::{marked, until};
use crate::support::{Company, Place, at};

/// The beginning of these tests' agents: a client of MCP, which is lines of JSON.
const CLIENT: &str = r#"
import json, os, subprocess, sys, time
class Tools:
    def __init__(self, command=None):
        self.command = command or json.loads(os.environ["NEXUS_MCP_COMMAND"])
        self.bridge = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asked = 0
        about = {"name": "caller", "version": "1"}
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=about)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    def send(self, message):
        self.bridge.stdin.write(json.dumps(message) + "\n")
        self.bridge.stdin.flush()
    def ask(self, method, **params):
        self.asked += 1
        self.send({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params})
        while True:
            line = self.bridge.stdout.readline()
            if not line: raise EOFError("the bridge has ended")
            answer = json.loads(line)
            if answer.get("id") == self.asked: return answer
    def call(self, tool, **arguments):
        answer = self.ask("tools/call", name=tool, arguments=arguments)
        return answer["error"] if "error" in answer else json.loads(answer["result"]["content"][0]["text"])
    def close(self):
        self.bridge.stdin.close()
        return self.bridge.wait()
"#;

/// A task of such an agent, which may ask for others by `asking(script)`.
fn script(text: &str) -> String {
    let client = json!(CLIENT);
    format!(
        "CLIENT={client}\nexec(CLIENT)\ndef asking(text): return f'CLIENT={{CLIENT!r}}\\nexec(CLIENT)\\n{{text}}'\n{text}"
    )
}

const AGENTS: &str = r#"
shutdown_grace = "500ms"
default_department = "product"
[delegation]
max_children = 3
[agents.caller]
kind = "command"
company_tools = true
command = ["python3", "-c"]
commands = false
[agents.plain]
kind = "command"
command = ["python3", "-c"]
"#;

const DEPARTMENT: &str = r#"
workers = 2
agents = ["caller", "plain", "shell"]
workspace.mode = "scratch"
retry.max_attempts = 1
stop = { interrupt_grace = "300ms", terminate_grace = "300ms" }
"#;

fn place(sandbox: &str) -> Arc<Place> {
    let department = format!("{DEPARTMENT}{sandbox}\n");
    let names = ["product", "engineering", "qa"];
    let place = Place::with(&names.map(|name| (name, department.as_str())));
    place.write("config/nexus.toml", AGENTS);
    place
}

const CONFINED: &str = "sandbox.level = \"confined\"\nsandbox.network = \"none\"";
const UNCONFINED: &str = "sandbox.level = \"none\"";

fn output(answer: &Value) -> &str {
    assert_eq!(at(answer, "task.status"), "completed", "{answer:#}");
    at(answer, "task.result.output").as_str().unwrap()
}

/// Each department's agent asks the next one, waits for it, and says what it has heard.
fn a_tree_completes(company: &Company, sandbox: &str) {
    let ask_qa = r#"
heard = Tools().call("cde_runTask", task_description="echo tested", department="qa", preferred_agent="shell")
print("built and", heard["result"]["output"].strip())
"#;
    let ask_engineering = format!(
        "tools = Tools()\nheard = tools.call('cde_runTask', task_description=asking({}), department='engineering')\n\
         print(heard['depth'], heard['result']['output'].strip())",
        json!(format!("def asking(text): return text\n{ask_qa}"))
    );
    let root = company.delegate(&["--department", "product", &script(&ask_engineering)]);
    let answer = company.ended(&root);
    assert_eq!(output(&answer), "1 built and tested\n");
    assert_eq!(at(&answer, "task.result.protection.sandbox"), sandbox, "{answer:#}");
    let tree = company.json(&["status", "--tree", &root]);
    let shown: Vec<_> = tree
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (at(task, "department").as_str().unwrap(), at(task, "status").as_str().unwrap()))
        .collect();
    assert_eq!(shown, [("product", "completed"), ("engineering", "completed"), ("qa", "completed")]);
    let text = company.run(&["status", "--tree", &root]).done();
    let indents: Vec<_> = text.lines().map(|line| line.len() - line.trim_start().len()).collect();
    assert_eq!(indents, [0, 2, 4], "{text}");
    let children = company.json(&["list", "--all", "--parent", &root]);
    assert_eq!((at(&children, "total"), at(&children, "tasks.0.department")), (&json!(1), &json!("engineering")));
}

#[test]
fn product_asks_engineering_and_engineering_asks_qa() {
    let company = Company::up(&place(UNCONFINED));
    a_tree_completes(&company, "none");
}

#[test]
fn they_do_so_from_within_namespaces_without_a_network() {
    let company = Company::up(&place(CONFINED));
    let answer = company.ended(&company.delegate(&["--agent", "shell", "true"]));
    if at(&answer, "task.result.protection.sandbox") != "namespaces" {
        return eprintln!("skipped: there is no bubblewrap here");
    }
    a_tree_completes(&company, "namespaces");
    evil_agents_find_no_other_door(&company);
}

#[test]
fn they_do_so_held_by_landlock_alone() {
    let company = Company::up_confined_by(&place(CONFINED), "landlock");
    a_tree_completes(&company, "landlock");
    evil_agents_find_no_other_door(&company);
    // More at a time than there are pipes for.
    let many = "tools = []\ntry:\n    while True: tools.append(Tools())\nexcept EOFError: print(len(tools))";
    assert_eq!(output(&company.ended(&company.delegate(&[&script(many)]))), "8\n");
}

fn evil_agents_find_no_other_door(company: &Company) {
    let other = company.delegate(&[&script("tools = Tools()\nprint('ready', flush=True)\ntime.sleep(1000)")]);
    until("an open door", || company.run(&["logs", &other]).done().contains("ready").then_some(()));
    let door = company.path("data/doors").join(&other);
    assert!(door.join("token").exists() && door.join("socket").exists());
    let evil = format!(
        "door = {door:?}\nown = json.loads(os.environ['NEXUS_MCP_COMMAND'])\n{}",
        r#"
import socket
tries = {
    "token": lambda: open(door + "/token").read(),
    "list": lambda: os.listdir(os.path.dirname(door)).index(os.path.basename(door)),
    "link": lambda: os.link(door + "/token", "token"),
    "pipe": lambda: os.open(door + "/0.up", os.O_WRONLY | os.O_NONBLOCK),
    "socket": lambda: socket.socket(socket.AF_UNIX).connect(door + "/socket"),
    "bridge": lambda: Tools([own[0], "bridge", door]),
    "write": lambda: open(own[2] + "/x", "w"),
    "change": lambda: open(own[2] + "/token", "w"),
}
for name, attempt in tries.items():
    try: print("could", name, attempt())
    except (OSError, EOFError, ValueError): pass
print("end")
"#
    );
    assert_eq!(output(&company.ended(&company.delegate(&[&script(&evil)]))), "end\n");
    company.run(&["cancel", &other]).done();
    assert!(!door.exists());
}

#[test]
fn a_door_is_its_tasks_alone_and_goes_with_it() {
    let company = Company::up(&place(UNCONFINED));
    let look = r#"
tools = Tools()
door = tools.command[2]
token = open(door + "/token").read()
modes = [oct(os.stat(door + below).st_mode & 0o777) for below in ["", "/token", "/socket"]]
seen = open("/proc/self/environ").read() + open(f"/proc/{tools.bridge.pid}/environ").read()
seen += open(f"/proc/{tools.bridge.pid}/cmdline").read()
print(len(token), token in seen, *modes)
os.chmod(door + "/token", 0o600)
open(door + "/token", "w").write("f" * 64)
try: Tools()
except EOFError: print("refused")
print(tools.call("cde_listDepartments")["company"], tools.close(), token)
"#;
    let id = company.delegate(&[&script(look)]);
    let answer = company.ended(&id);
    let said: Vec<_> = output(&answer).lines().collect();
    assert_eq!(said[..2], ["64 False 0o700 0o600 0o600", "refused"], "{said:?}");
    assert!(!company.path("data/doors").join(&id).exists());
    let token = said[2].rsplit(' ').next().unwrap();
    assert!(!company.read("log").contains(token));
    // Who isn't given the tools has no door.
    let none = "import os; print('NEXUS_MCP_COMMAND' in os.environ)";
    assert_eq!(output(&company.ended(&company.delegate(&["--agent", "plain", none]))), "False\n");
}

/// The answers of each tool about the agent's own child, its own task, a stranger's, and none.
#[test]
fn an_agent_can_see_to_what_is_below_its_task_and_to_nothing_else() {
    let company = Company::up(&place(UNCONFINED));
    let stranger = company.delegate(&["--agent", "shell", "--department", "qa", "echo secret; exit 3"]);
    company.ended(&stranger);
    let table = format!(
        "stranger, project = {stranger:?}, {:?}\n{}",
        company.text("project"),
        r#"
tools = Tools()
own = os.environ["NEXUS_TASK_ID"]
ask = dict(department="qa", preferred_agent="shell")
child = tools.call("cde_delegateTask", task_description="exit 1", **ask)["task_id"]
while tools.call("cde_getTaskStatus", task_id=child)["status"] != "failed": time.sleep(0.02)
words = lambda text: text.replace(child, "CHILD").replace(own, "OWN").replace(stranger, "STRANGER")
for tool in ["cde_getTaskStatus", "cde_getTaskLog", "cde_cancelTask", "cde_retryTask"]:
    said = {name: tools.call(tool, task_id=id) for name, id in
        dict(child=child, own=own, stranger=stranger, prefix=stranger[:8], none="01230123-0123-0123-0123-012301230123").items()}
    same = {name: json.dumps({**answer, "task_id": ""}) for name, answer in said.items() if name != "child"}
    print(tool, len(set(same.values())), said["own"]["message"].split(".")[0], said["child"]["status"], said["child"].get("kind"))
found = tools.call("cde_listTasks")
print([words(task["task_id"]) for task in found["tasks"]], found["total_tasks"])
found = tools.call("cde_listTasks", department="product")["tasks"] + tools.call("cde_listActiveTasks", department="product")["tasks"]
print(found, tools.call("cde_listTasks", cursor="0" * 48)["kind"])
print("resource", [("result" in tools.ask("resources/read", uri=f"nexus://tasks/{id}/log")) for id in [child, own, stranger]])
print(tools.call("cde_getWorkerStats")["message"])
print(sorted(tool["name"][4:] for tool in tools.ask("tools/list")["result"]["tools"]))
status = tools.call("cde_getTaskStatus", task_id=child)
print(words(status["parent_task_id"]), status["depth"], status["project_path"] == project)
print(tools.call("cde_delegateTask", task_description="true", parent_task_id=stranger, **ask)["argument"])
for _ in range(2): tools.call("cde_delegateTask", task_description="true", **ask)
print(tools.call("cde_delegateTask", task_description="true", **ask)["message"])
"#
    );
    let answer = company.ended(&company.delegate(&[&script(&table)]));
    let said = output(&answer);
    let expected = "\
cde_getTaskStatus 1 Task not found failed None
cde_getTaskLog 1 Task not found success None
cde_cancelTask 1 Task not found error conflict
cde_retryTask 1 Task not found success None
['CHILD'] 1
[] invalid_input
";
    assert!(said.starts_with(expected), "{said}");
    for line in [
        "resource [True, False, False]",
        "Unknown tool: cde_getWorkerStats",
        "['cancelTask', 'delegateTask', 'getTaskLog', 'getTaskStatus', 'listActiveTasks', 'listDepartments', \
         'listTasks', 'readMessages', 'retryTask', 'runTask', 'sendMessage']",
        "OWN 1 True",
        "parent_task_id",
    ] {
        assert!(said.lines().any(|said| said == line), "not said: {line}\n{said}");
    }
    let last = said.lines().last().unwrap();
    assert!(last.contains("[delegation] max_children is 3") && last.contains("nexus.toml"), "{last}");
    assert_eq!(at(&company.status(&stranger), "task.status"), "failed");
}

/// An agent that is confined to its project has others begin in it too, and nowhere else.
#[test]
fn what_an_agent_asks_for_is_about_its_own_project_or_a_part_of_it() {
    let place = place(CONFINED);
    for directory in ["project/part", "secrets"] {
        std::fs::create_dir(place.path(directory)).unwrap();
    }
    place.write("project/part/x", "");
    place.write("secrets/key", "");
    std::os::unix::fs::symlink(place.path("secrets"), place.path("project/link")).unwrap();
    std::os::unix::fs::symlink("part", place.path("project/near")).unwrap();
    let company = Company::up(&place);
    let ask = format!(
        "project, secrets = {:?}, {:?}\n{}",
        company.text("project"),
        company.text("secrets"),
        r#"
tools = Tools()
ask = dict(task_description="true", department="qa", preferred_agent="shell")
said = [tools.call("cde_delegateTask", project_path=path, **ask)
    for path in [secrets, "..", project + "/../secrets", "link", "link/key", secrets + "/none", "part/x", "/"]]
print(len(set(json.dumps(answer).count("no directory at or below " + project) for answer in said)),
    *set(answer["kind"] for answer in said))
for path in [".", "near"]:
    child = tools.call("cde_delegateTask", project_path=path, **ask)
    print(tools.call("cde_getTaskStatus", task_id=child["task_id"])["project_path"][len(project):])
"#
    );
    let answer = company.ended(&company.delegate(&[&script(&ask)]));
    assert_eq!(output(&answer), "1 invalid_input\n\n/part\n", "{answer:#}");
}

/// An agent can't get around its sandbox by one that is confined less, unless its department's file says so.
#[test]
fn a_confined_agent_asks_no_department_that_reaches_more() {
    let place = place(CONFINED);
    place.department("qa", &format!("{DEPARTMENT}{UNCONFINED}\n"));
    let company = Company::up(&place);
    let ask = script(
        r#"
tools = Tools()
for department in ["qa", "engineering"]:
    answer = tools.call("cde_runTask", task_description="echo done", department=department, preferred_agent="shell")
    print(answer.get("kind"), answer["result"]["output"].strip() if "result" in answer else answer["message"])
"#,
    );
    let said = output(&company.ended(&company.delegate(&[&ask]))).to_owned();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("limit the department product can't ask qa for tasks: it is confined less"), "{said}");
    assert!(lines[0].contains("departments/product.toml"), "{said}");
    assert_eq!(lines[1..], ["None done"]);
    place.department("product", &format!("delegates_to = [\"qa\"]\n{DEPARTMENT}{CONFINED}\n"));
    let said = until("the list", || {
        let said = output(&company.ended(&company.delegate(&[&ask]))).to_owned();
        (!said.starts_with("limit")).then_some(said)
    });
    assert!(said.starts_with("None done\nlimit "), "{said}");
}

#[test]
fn cancelling_the_first_ends_every_process_of_the_tree() {
    let company = Company::up(&place(UNCONFINED));
    let below = "Tools().call('cde_runTask', task_description='setsid sleep 1000 & exec sleep 1000', \
                 department='qa', preferred_agent='shell')";
    let ask = format!(
        "Tools().call('cde_runTask', task_description=asking({}), department='engineering')",
        json!(format!("def asking(text): return text\n{below}"))
    );
    let root = company.delegate(&[&script(&ask)]);
    let tree = || company.json(&["status", "--tree", &root]).as_array().unwrap().clone();
    let running = |tree: &[Value]| tree.iter().filter(|task| task["status"] == "running").count();
    let tree_of_three = until("three that run", || Some(tree()).filter(|tree| running(tree) == 3));
    let ids: Vec<_> = tree_of_three.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect();
    until("its processes", || (marked(&format!("NEXUS_TASK_ID={}", ids[2])).len() >= 2).then_some(()));
    company.run(&["cancel", "--reason", "enough", &root]).done();
    for id in &ids {
        assert_eq!(marked(&format!("NEXUS_TASK_ID={id}")), []);
    }
    let reasons: Vec<_> = tree().iter().map(|task| (task["status"].clone(), task["error"].clone())).collect();
    let of_parent = |parent: usize| json!(format!("its parent {} was cancelled", ids[parent]));
    let cancelled = json!("cancelled");
    let expected = [json!("enough"), of_parent(0), of_parent(1)].map(|reason| (cancelled.clone(), reason));
    assert_eq!(reasons, expected);
}

#[test]
fn messages_reach_a_department_from_agents_and_from_people() {
    let company = Company::up(&place(UNCONFINED));
    company.run(&["message", "qa", "from a person"]).done();
    let leave = r#"
tools = Tools()
print(tools.call("cde_sendMessage", department="qa", text="from an agent")["department"])
print(tools.call("cde_readMessages", department="qa")["message"])
print([tools.call("cde_readMessages", **own)["department"] for own in [{}, dict(department="product")]])
print(tools.call("cde_sendMessage", department="qaa", text="x")["message"])
print(tools.call("cde_readMessages", limit=101)["argument"])
left = [tools.call("cde_sendMessage", department=to, text="more") for to in ["qa", "product", "qa", "qa", "product"]]
print([answer.get("kind") for answer in left])
"#;
    let id = company.delegate(&[&script(leave)]);
    let said = output(&company.ended(&id)).to_owned();
    assert_eq!(
        said,
        "qa\nan agent can read the messages of its own department, which is product, and no others'\n\
         ['product', 'product']\nthere is no department \"qaa\"; did you mean qa? \
         (departments: engineering, product, qa)\nlimit\n\
         [None, None, None, None, 'limit']\n"
    );
    let messages = company.json(&["messages", "qa"]);
    assert_eq!((at(&messages, "1.from.task_id"), at(&messages, "1.from.department")), (&json!(id), &json!("product")));
    assert!(at(&messages, "0").get("from").is_none());
    company.run(&["messages", "nobody"]).fails(3, &["there is no department \"nobody\""]);
    company.run(&["message", "qa", " "]).fails(2, &["the message is empty"]);
}
