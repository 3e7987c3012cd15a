//! A private Postgres server: a temporary directory, a Unix socket, no port. It ends with the test.
#![expect(clippy::disallowed_types, reason = "the server that somebody else runs")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Server {
    directory: TempDir,
    child: Child,
}

/// Postgres refuses to run as root.
const NOBODY: u32 = 65534;

impl Server {
    /// None where Postgres isn't installed.
    pub(crate) fn start() -> Option<Self> {
        let bin = installed()?;
        let directory = tempfile::Builder::new().prefix("nexus-pg").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = directory.path().join("data");
        let made = unprivileged(&bin.join("initdb"))
            .args(["--username=nexus", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let child = spawn(&bin, directory.path());
        Some(Self { directory, child })
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://nexus@localhost/{database}?host={}", self.directory.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // An immediate shutdown: it ends its own children.
        rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
        self.child.wait().unwrap();
    }
}

fn spawn(bin: &Path, directory: &Path) -> Child {
    let mut child = unprivileged(&bin.join("postgres"))
        .arg("-D")
        .arg(directory.join("data"))
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=32MB", "-k"])
        .arg(directory)
        .current_dir(directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.find(|line| line.contains("ready to accept connections"));
    assert!(ready.is_some(), "postgres ended before it was ready");
    // It must not block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// Runs as somebody who isn't root, and gets SIGQUIT should the test be killed.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=QUIT");
    if rustix::process::geteuid().is_root() {
        command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
    }
    command.arg("--").arg(program).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    places.extend(std::env::split_paths(&path));
    places.into_iter().find(|bin| ["initdb", "postgres"].iter().all(|program| bin.join(program).is_file()))
}
