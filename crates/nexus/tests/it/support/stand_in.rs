//! The stand-in for the model's API, which decides what a real coding agent does: `tests/agents/fake_llm.py`.
#![expect(clippy::disallowed_types, reason = "a server beside the test, as the model's would be")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use super::processes::PATIENCE;

/// On a port that the system picked; ended with the test.
pub(crate) struct StandIn {
    child: Child,
    port: u16,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/agents/fake_llm.py");
        let mut command = Command::new("python3");
        // The repository is no place for what Python compiles.
        command.arg("-B").arg(script).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut started = Self { child, port: 0 };
        let line = lines.recv_timeout(PATIENCE).unwrap();
        started.port = line.strip_prefix("PORT ").unwrap().trim().parse().unwrap();
        started
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The number of requests of the model that this key has made.
    pub(crate) fn requests(&self, key: &str) -> u64 {
        self.count(key, "requests")
    }

    /// The number of them that were answered by an error.
    pub(crate) fn errors(&self, key: &str) -> u64 {
        self.count(key, "errors")
    }

    /// From now on no account is closed, whatever was said of how long.
    pub(crate) fn open(&self) {
        self.get("/open");
    }

    fn count(&self, key: &str, what: &str) -> u64 {
        self.get("/requests").get(key).map_or(0, |of| of[what].as_u64().unwrap())
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
