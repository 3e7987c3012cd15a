//! A company that runs beside the test, as `nexus up`.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::{Arc, mpsc};

use rustix::process::Signal;
use serde_json::Value;

use super::processes::{PATIENCE, assert_none, signal, until};
use super::{Place, at};

pub(crate) struct Company {
    pub(crate) place: Arc<Place>,
    child: Child,
    /// The line it prints when it is ready.
    pub(crate) ready: String,
}

impl Company {
    /// With one department, `work`, of two workers.
    pub(crate) fn new() -> Self {
        Self::up(&Place::new())
    }

    pub(crate) fn with(departments: &[(&str, &str)]) -> Self {
        Self::up(&Place::with(departments))
    }

    pub(crate) fn up(place: &Arc<Place>) -> Self {
        Self::up_with(place, &[], &[])
    }

    pub(crate) fn up_with(place: &Arc<Place>, args: &[&str], env: &[(&str, &str)]) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(place.path("log")).unwrap();
        let args: Vec<_> = ["up", "--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
        let mut child = place.nexus(&args).envs(env.iter().copied()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || sender.send(lines.next()));
        let ready = receiver.recv_timeout(PATIENCE).ok().flatten();
        let mut company = Self { place: Arc::clone(place), child, ready: String::new() };
        company.ready = ready.unwrap_or_else(|| panic!("not ready: {}", place.read("log")));
        company
    }

    /// On a machine that has nothing better to confine agents with: `bwrap` or `landlock`.
    pub(crate) fn up_confined_by(place: &Arc<Place>, way: &str) -> Self {
        Self::up_with(place, &[], &[("NEXUS_SANDBOX_WAY", way)])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as its user does; nothing of it is left then.
    pub(crate) fn stop(self) -> Arc<Place> {
        let place = self.stop_only();
        assert_none(&place.path(""));
        place
    }

    /// Stops it while commands of the test go on.
    pub(crate) fn stop_only(mut self) -> Arc<Place> {
        signal(self.pid(), Signal::TERM);
        assert_eq!(self.wait(), Some(0), "{}", self.read("log"));
        Arc::clone(&self.place)
    }

    /// Kills it without a word.
    pub(crate) fn kill(mut self) -> Arc<Place> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.place)
    }

    /// The exit code, once it has ended.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until("the company's end", || self.child.try_wait().unwrap()).code()
    }

    /// The exit code, if it has ended.
    pub(crate) fn wait_now(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|status| status.code())
    }

    /// The company's word on one department.
    pub(crate) fn says_of(&self, department: &str) -> Option<Value> {
        let answer = self.json(&["departments"]);
        let all = at(&answer, "departments").as_array().unwrap();
        all.iter().find(|one| one["name"] == department).cloned()
    }

    /// Delegates and returns the task's id.
    #[track_caller]
    pub(crate) fn delegate(&self, args: &[&str]) -> String {
        let args: Vec<_> = ["delegate"].iter().chain(args).copied().collect();
        self.run(&args).done().trim().to_owned()
    }

    pub(crate) fn status(&self, task: &str) -> Value {
        self.json(&["status", task])
    }

    /// Waits until a task has this status.
    #[track_caller]
    pub(crate) fn becomes(&self, task: &str, status: &str) -> Value {
        until(&format!("{task} is {status}"), || {
            Some(self.status(task)).filter(|answer| at(answer, "task.status") == status)
        })
    }

    /// Waits until a task has ended, whichever way.
    #[track_caller]
    pub(crate) fn ended(&self, task: &str) -> Value {
        let is_over = |answer: &Value| !["queued", "running"].contains(&at(answer, "task.status").as_str().unwrap());
        until(&format!("the end of {task}"), || Some(self.status(task)).filter(is_over))
    }

    /// A task that holds a worker until the file `name` is written.
    pub(crate) fn gate(&self, name: &str) -> String {
        let id = self.delegate(&[&format!("until [ -e {} ]; do sleep 0.02; done", self.text(name))]);
        self.becomes(&id, "running");
        id
    }

    pub(crate) fn open(&self, gate: &str) {
        self.write(gate, "");
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        // A test that failed while it had stopped the company would wait for its end for ever.
        signal(self.child.id(), Signal::CONT);
        signal(self.child.id(), Signal::TERM);
        if std::thread::panicking() {
            eprintln!("--- the company said\n{}---", self.read("log"));
            // What a failed test left is ended too, whatever state it is in; a second signal hurries.
            signal(self.child.id(), Signal::TERM);
            let _ = self.child.wait();
            return;
        }
        assert_eq!(self.wait(), Some(0), "{}", self.read("log"));
        assert_none(&self.path(""));
    }
}
