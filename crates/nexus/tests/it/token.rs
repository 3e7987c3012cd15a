//! The company's doors for programs: its port asks for the token, its socket is its user's alone, and neither is for
//! confined agents.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::support::{Company, Place, WORK, at};

/// Where the company listens, such as 127.0.0.1:1234.
fn address(company: &Company) -> String {
    let web = company.ready.split("web=http://").nth(1).unwrap();
    web.split('/').next().unwrap().to_owned()
}

fn token(company: &Company) -> String {
    company.run(&["token", "show"]).done().trim().to_owned()
}

/// The answer's head and body.
fn ask(mut stream: impl Read + Write, path: &str, headers: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_port_asks_for_the_token_but_for_health() {
    let company = Company::new();
    let (address, token) = (address(&company), token(&company));
    let ask = |path: &str, headers: &str| ask(TcpStream::connect(&address).unwrap(), path, headers);
    for path in ["/healthz", "/readyz"] {
        assert!(ask(path, "").starts_with("HTTP/1.1 200"), "{path}");
    }
    let wrong = "0".repeat(64);
    for path in ["/", "/mcp", "/nothing", "/healthz/x", "//healthz", "/.well-known/oauth-protected-resource"] {
        for headers in
            [String::new(), format!("Authorization: Bearer {wrong}\r\n"), format!("Cookie: token={token}\r\n")]
        {
            let answer = ask(path, &headers);
            assert!(answer.starts_with("HTTP/1.1 401"), "{path} {headers}: {answer}");
            assert!(answer.contains("nexus token show") && answer.contains("www-authenticate: "), "{answer}");
        }
    }
    let shown = format!("Authorization: Bearer {token}\r\n");
    assert!(ask("/", &shown).starts_with("HTTP/1.1 200"));
    assert!(ask("/nothing", &shown).starts_with("HTTP/1.1 404"));
    // Only looked at: for MCP that is the wrong method.
    assert!(ask("/mcp", &shown).starts_with("HTTP/1.1 405"));
    let log = company.read("log");
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn the_token_outlives_the_company_and_is_its_owner_s() {
    let company = Company::new();
    let before = token(&company);
    let mode = std::fs::metadata(company.path("data/token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let place = company.stop();
    let company = Company::up(&place);
    assert_eq!(token(&company), before);
    assert_eq!(at(&company.json(&["token", "show"]), "token"), &before);
}

#[test]
fn the_socket_asks_for_nothing_and_is_its_owner_s() {
    let company = Company::new();
    let socket = company.path("data/nexus.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ask(UnixStream::connect(&socket).unwrap(), "/", "").starts_with("HTTP/1.1 200"));
    // One that a killed company has left is replaced, and it goes with one that stops.
    let company = Company::up(&company.kill());
    assert!(ask(UnixStream::connect(&socket).unwrap(), "/readyz", "").starts_with("HTTP/1.1 200"));
    company.stop();
    assert!(!socket.exists());
}

/// What an agent does that has learnt the token.
const KNOCK: &str = r#"python3 - <<'EOF'
import http.client
door = http.client.HTTPConnection("{host}", {port}, timeout=60)
door.request("GET", "/nothing", headers={"Authorization": "Bearer {token}"})
print(door.getresponse().status)
EOF"#;

/// One that hides who holds the connection: until the answer has come, it lies in a message that nobody has received.
const HIDE: &str = r#"python3 - <<'EOF'
import socket
door = socket.create_connection(("{host}", {port}), timeout=60)
port, (ours, theirs) = door.getsockname()[1], socket.socketpair()
door.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n")
socket.send_fds(ours, [b"x"], [door.fileno()])
door.close()
def answered():
    for line in open("/proc/net/tcp").readlines()[1:]:
        local, state, queues = (line.split()[n] for n in (1, 3, 4))
        if local.endswith(":%04X" % port):
            return state != "01" or not queues.endswith(":00000000")
while not answered(): pass
door = socket.socket(fileno=socket.recv_fds(theirs, 1, 1)[1][0])
print(door.recv(100).decode().split()[1])
EOF"#;

fn knock(company: &Company, department: &str) -> String {
    learnt(company, department, KNOCK)
}

/// The last thing that an agent printed that had learnt where the company is and what its token is.
fn learnt(company: &Company, department: &str, does: &str) -> String {
    let address = address(company);
    let (host, port) = address.split_once(':').unwrap();
    let command = does.replace("{host}", host).replace("{port}", port).replace("{token}", &token(company));
    let id = company.delegate(&["--department", department, "--agent", "shell", &command]);
    let answer = company.ended(&id);
    at(&answer, "task.result.output").as_str().unwrap().trim().to_owned()
}

#[test]
fn a_confined_agent_is_refused_though_it_knows_the_token() {
    let confined = WORK.replace("sandbox.level = \"none\"\n", "sandbox.level = \"confined\"\n");
    let place = Place::with(&[("confined", &confined), ("free", WORK)]);
    let company = Company::up(&place);
    assert_eq!(knock(&company, "confined"), "403");
    assert_eq!(learnt(&company, "confined", HIDE), "403");
    // It is the confinement that is refused: others of the company's user may.
    assert_eq!(knock(&company, "free"), "404");
    company.stop();
    let company = Company::up_confined_by(&place, "landlock");
    assert_eq!(knock(&company, "confined"), "403");
    assert_eq!(learnt(&company, "confined", HIDE), "403");
    company.stop();
}

/// An ordinary user's company can't look into all of that user's processes, such as the init of the agent's own namespace.
#[test]
fn a_confined_agent_of_an_ordinary_user_is_refused_too() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can pretend to be another user");
        return;
    }
    let place = Place::with(&[("confined", &WORK.replace("\"none\"\n", "\"confined\"\n"))]);
    place.belongs_to_nobody();
    let company = Company::up(&place);
    assert_eq!(knock(&company, "confined"), "403");
    assert_eq!(learnt(&company, "confined", HIDE), "403");
    company.stop();
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let company = Company::new();
    let (address, token) = (address(&company), token(&company));
    let silent: Vec<_> = (0..400)
        .map(|n| {
            let mut stream = TcpStream::connect(&address).unwrap();
            // Some have said half of what they want.
            if n % 2 == 0 {
                stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").unwrap();
            }
            stream
        })
        .collect();
    let shown = format!("Authorization: Bearer {token}\r\n");
    assert!(ask(TcpStream::connect(&address).unwrap(), "/readyz", "").starts_with("HTTP/1.1 200"));
    assert!(ask(TcpStream::connect(&address).unwrap(), "/", &shown).starts_with("HTTP/1.1 200"));
    assert!(company.read("log").contains("connections wait without having shown the token"));
    drop(silent);
}

#[test]
fn the_socket_s_callers_keep_their_places() {
    let company = Company::new();
    let address = address(&company);
    let mut mine = UnixStream::connect(company.path("data/nexus.sock")).unwrap();
    mine.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").unwrap();
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(&address).unwrap()).collect();
    // All of them have been let in, or the last would have no answer.
    assert!(ask(TcpStream::connect(&address).unwrap(), "/healthz", "").starts_with("HTTP/1.1 200"));
    mine.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    mine.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(silent);
}

#[test]
fn what_a_client_is_given_is_right_as_it_is_pasted() {
    let company = Company::new();
    let token = token(&company);
    let url = format!("http://{}/mcp", address(&company));
    let by_http: serde_json::Value =
        serde_json::from_str(&company.run(&["mcp", "config", "claude", "--http"]).done()).unwrap();
    let server = &by_http["mcpServers"]["nexus"];
    assert_eq!(server["url"], url);
    assert_eq!(server["headers"]["Authorization"], format!("Bearer {token}"));
    let by_program: serde_json::Value =
        serde_json::from_str(&company.run(&["mcp", "config", "gemini"]).done()).unwrap();
    let server = &by_program["mcpServers"]["nexus"];
    assert!(std::path::Path::new(server["command"].as_str().unwrap()).is_absolute(), "{server}");
    assert_eq!(server["args"].as_array().unwrap()[..2], ["mcp", "--start"]);
}
