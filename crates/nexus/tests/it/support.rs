//! Shared by the tests: a place for each with the program in it, and what the program answers.
#![expect(clippy::disallowed_types, reason = "the program under test is started as its user starts it")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock, mpsc};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) mod company;
pub(crate) mod guise;
pub(crate) mod processes;
pub(crate) mod server;
pub(crate) mod small_disk;
pub(crate) mod stand_in;
pub(crate) mod terminal;
pub(crate) mod tools;

pub(crate) use company::Company;
pub(crate) use guise::Guise;

/// Directories for one company: `config`, `data`, and `project`, where commands are run. Nothing that was started here
/// may outlive it.
pub(crate) struct Place {
    root: TempDir,
    /// As whom the program runs, where that isn't who runs the tests.
    guise: OnceLock<Guise>,
}

/// Two workers, and agents that are given little time to end.
pub(crate) const WORK: &str = r#"
workers = 2
workspace.mode = "scratch"
sandbox.level = "none"
stop = { interrupt_grace = "300ms", terminate_grace = "300ms" }
"#;

impl Place {
    /// With one department, `work`.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(&[("work", WORK)])
    }

    pub(crate) fn with(departments: &[(&str, &str)]) -> Arc<Self> {
        let place =
            Self { root: tempfile::Builder::new().prefix("nexus-it").tempdir().unwrap(), guise: OnceLock::new() };
        for dir in ["config/departments", "data", "project"] {
            std::fs::create_dir_all(place.path(dir)).unwrap();
        }
        place.write("config/nexus.toml", "shutdown_grace = \"500ms\"\n");
        departments.iter().for_each(|(name, text)| place.department(name, text));
        Arc::new(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// A path in words, for a shell.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file as an editor does: as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (path, part) = (self.path(name), self.path("part"));
        std::fs::write(&part, text).unwrap();
        std::fs::rename(part, path).unwrap();
    }

    /// The content of a file; nothing while it isn't there.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn department(&self, name: &str, text: &str) {
        self.write(&format!("config/departments/{name}.toml"), text);
    }

    /// The program, for this place's company.
    pub(crate) fn nexus(&self, args: &[&str]) -> Command {
        let mut command = self.nexus_anywhere(&["--config"]);
        command.arg(self.path("config")).args(args);
        command
    }

    /// The same, with whatever configuration it finds.
    pub(crate) fn nexus_anywhere(&self, args: &[&str]) -> Command {
        let mut command = Guise::command(self.guise.get());
        for name in ["NEXUS_DATA_DIR", "NEXUS_CONFIG", "XDG_CONFIG_HOME", "NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.path(""))
            // What tests ask for is a command, whether they name its agent or not.
            .env("NEXUS_AGENTS__SHELL__COMMANDS", "false")
            .env("XDG_DATA_HOME", self.guise.get().and_then(Guise::tools).unwrap_or(tools::home()))
            .current_dir(self.path("project"));
        command.arg("--data-dir").arg(self.path("data")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.nexus(args).output().unwrap().into()
    }

    /// With something to read on standard input.
    pub(crate) fn run_reading(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.nexus(args).stdin(Stdio::piped()).spawn().unwrap();
        // It may stop reading when it has enough.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap().into()
    }

    /// The answer of a command that has to succeed, as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<_> = ["-o", "json"].iter().chain(args).copied().collect();
        let said = self.run(&args).done();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?} printed no JSON: {error}\n{said}"))
    }

    /// Starts a command that is ended by the test, or by its own end.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running(Some(self.nexus(args).spawn().unwrap()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            processes::assert_none(&self.path(""));
        }
    }
}

/// A command that runs beside the test.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        processes::signal(self.0.as_ref().unwrap().id(), signal);
    }

    /// The first line that it says on standard error.
    pub(crate) fn says(&mut self) -> String {
        let stderr = self.0.as_mut().unwrap().stderr.as_mut().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        // Byte by byte: what follows is for `end`.
        while stderr.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn end(mut self) -> Ran {
        self.0.take().unwrap().wait_with_output().unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A command whose lines are read as they come.
pub(crate) struct Follow {
    running: Running,
    lines: mpsc::Receiver<String>,
}

impl Place {
    pub(crate) fn follow(&self, args: &[&str]) -> Follow {
        let mut child = self.nexus(args).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // A test reads a handful of lines; what it doesn't read waits in the pipe.
        let (sender, lines) = mpsc::sync_channel(16);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Follow { running: Running(Some(child)), lines }
    }
}

impl Follow {
    /// The next line.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(processes::PATIENCE).unwrap()
    }

    /// A line that has come already.
    pub(crate) fn line_at_hand(&mut self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// No line follows, and it succeeds.
    #[track_caller]
    pub(crate) fn ends(self) {
        assert_eq!(self.lines.recv_timeout(processes::PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
        self.running.end().done();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.running.signal(signal);
    }

    pub(crate) fn end(self) -> Ran {
        drop(self.lines);
        self.running.end()
    }
}

/// The end of a command and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    /// Standard output of a command that succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// A command that ended with this code, and said all of this on standard output.
    #[track_caller]
    pub(crate) fn fails_on_stdout(self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for words in said {
            assert!(self.stdout.contains(words), "not said: {words}\n{}", self.stdout);
        }
    }

    /// Standard error of a command that failed with this code, and said all of this there.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, said: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for words in said {
            assert!(self.stderr.contains(words), "not said: {words}\n{}", self.stderr);
        }
        self.stderr
    }
}

/// A task's answers, by path: `"task.result.exit_code"`.
#[track_caller]
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    value.pointer(&pointer).unwrap_or_else(|| panic!("no {path} in {value:#}"))
}

impl Deref for Company {
    type Target = Place;
    fn deref(&self) -> &Place {
        &self.place
    }
}

/// Runs git as a user would, and returns what it prints.
#[track_caller]
pub(crate) fn git(directory: &std::path::Path, args: &[&str]) -> String {
    let ran: Ran = Command::new("git").args(args).current_dir(directory).output().unwrap().into();
    ran.done()
}
