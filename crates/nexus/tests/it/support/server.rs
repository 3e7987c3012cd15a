//! A nats-server that is not a company's own, for those tests that share one.
#![expect(clippy::disallowed_types, reason = "the server that somebody else runs")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::processes::until;
use super::tools;

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) dir: TempDir,
    pub(crate) port: String,
    monitoring: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("jetstream { store_dir: \"ROOT/store\" }\nauthorization { user: ann, password: s3cret }\n")
    }

    /// With this in its configuration, in which `ROOT` is a directory of its own.
    pub(crate) fn with(settings: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("others-nats").tempdir().unwrap();
        let root = dir.path().display();
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nports_file_dir: \"{root}\"\n{}",
            settings.replace("ROOT", &root.to_string())
        );
        std::fs::write(dir.path().join("conf"), config).unwrap();
        let server = tools::server(tools::home()).unwrap();
        let child = Command::new(server).arg("-c").arg(dir.path().join("conf")).stderr(Stdio::null()).spawn().unwrap();
        let ports = dir.path().join(format!(
            "{}_{}.ports",
            tools::server(tools::home()).unwrap().file_name().unwrap().to_str().unwrap(),
            child.id()
        ));
        let ports: serde_json::Value =
            until("the server's ports", || serde_json::from_str(&std::fs::read_to_string(&ports).ok()?).ok());
        let port = |of: &str| ports[of][0].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        Self { child, dir, port: port("nats"), monitoring: port("monitoring") }
    }

    /// The answer of its monitoring port: `varz`, `jsz`.
    pub(crate) fn monitor(&self, what: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.monitoring)).unwrap();
        // By 1.0 the answer is whole, and ends with the connection.
        write!(stream, "GET /{what} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://ann:s3cret@127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
