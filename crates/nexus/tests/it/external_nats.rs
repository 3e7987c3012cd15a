//! A NATS server that is there already: used, and left running.
#![expect(clippy::disallowed_types, reason = "the server that somebody else runs")]

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::processes::until;
use crate::support::{Company, Place, at, tools};

struct Server {
    child: Child,
    dir: TempDir,
    port: String,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("others-nats").tempdir().unwrap();
        let root = dir.path().display();
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{root}\"\njetstream {{ store_dir: \"{root}/store\" }}\n\
             authorization {{ user: ann, password: s3cret }}\n"
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
        let port = ports["nats"][0].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        Self { child, dir, port }
    }

    fn url(&self) -> String {
        format!("nats://ann:s3cret@127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_is_used_and_left_running() {
    let mut server = Server::start();
    let place = Place::new();
    let company = Company::up_with(&place, &["--nats", &server.url()], &[]);
    assert_eq!(company.run(&["run", "echo works"]).done(), "works\n");
    assert!(at(&company.json(&["broker", "status"]), "running").is_null());
    // Found by the server alone, too; from another data directory.
    let elsewhere = Place::new();
    let page = elsewhere.json(&["--nats", &server.url(), "list", "--all"]);
    assert_eq!(at(&page, "total"), 1);
    assert!(server.dir.path().join("store/jetstream").exists());
    let said = [company.ready.clone(), company.run(&["doctor"]).done(), company.read("log")].concat();
    assert!(!said.contains("s3cret"), "{said}");
    company.stop();
    assert!(server.child.try_wait().unwrap().is_none());
    TcpStream::connect(format!("127.0.0.1:{}", server.port)).unwrap();
    // The ledger is there, and so is what it says: for a company with an empty data directory as well.
    let company = Company::up_with(&elsewhere, &[], &[("NEXUS_NATS__URL", &server.url())]);
    assert_eq!(at(&company.json(&["list", "--all"]), "tasks.0.status"), "completed");
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let server = Server::start();
    let place = Place::new();
    let url = server.url().replace("s3cret", "wr0ng");
    let ran = place.run(&["up", "--listen", "127.0.0.1:0", "--nats", &url]);
    let said = ran.fails(5, &["refused the credentials", "--creds"]);
    assert!(!said.contains("wr0ng"), "{said}");
    place.run(&["--nats", &url, "list"]).fails(5, &["refused the credentials"]);
}
