//! `nexus run`: delegate and wait, with the log on standard error and the result on standard output.

use std::time::Duration;

use nexus_bus::Client;
use nexus_core::api::{CancelRequest, TaskStatus};
use nexus_core::id::TaskId;
use nexus_core::task::Submission;
use nexus_core::uncommitted::LOOK_LIMIT;
use nexus_core::view::Status;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::tasks::{known, say_note, say_uncommitted, submission};
use super::up::Signals;
use crate::cli::{Output, PlaceArgs, RunArgs};
use crate::company::{Company, Extras};
use crate::exit::{Code, Exit};
use crate::looking::{look, stopped, waits};
use crate::show::{Live, Screen};
use crate::{place, show};

mod live;

pub(super) async fn run(place: &PlaceArgs, output: Output, args: RunArgs) -> Result<Code, Exit> {
    let mut signals = Signals::new()?;
    let RunArgs { task: args, quiet } = args;
    // A key that was made for this run is nobody else's.
    let whose = if args.idempotency_key.is_some() { Whose::Unknown } else { Whose::Ours };
    let submission = submission(args)?;
    let heard = Instant::now();
    let mut run = Run {
        place,
        output,
        quiet,
        submission: &submission,
        whose,
        accepted: false,
        lasting: false,
        next: 1,
        looked: false,
        heard,
    };
    loop {
        match run.once(&mut signals).await {
            // Another run had started a company and has ended it, or is only just starting it, or a company has crashed and
            // may be started again. The task is known by its key: asked for again it is the same task, wherever it has
            // come to.
            Err(exit) if exit.code == Code::Unreachable && run.may_come_back() => {}
            Err(exit) if exit.is_locked() && run.heard.elapsed() < PATIENCE => {}
            ended => return ended,
        }
        sleep(PAUSE).await;
    }
}

/// The time for which a run looks for a company, when the one it had found went away.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// Who delegated the task of this run's key. Only what is ours is cancelled with the run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours,
    Others,
    /// The key was given, and no company has answered yet.
    Unknown,
}

/// One task to be run, by whichever company.
struct Run<'a> {
    place: &'a PlaceArgs,
    output: Output,
    /// Only the result is shown.
    quiet: bool,
    submission: &'a Submission,
    whose: Whose,
    /// A company has it.
    accepted: bool,
    /// That company is a `nexus up`, not another run's: when it goes, somebody has stopped it, and nobody takes its place.
    lasting: bool,
    /// The line of the log that is to be shown next.
    next: u64,
    /// Uncommitted changes of the project were looked at.
    looked: bool,
    /// When a company was last known to be there.
    heard: Instant,
}

/// The longest wait of its task's end for a look at uncommitted changes that goes on.
const LAST_LOOK: Duration = Duration::from_millis(500);

async fn look_at_changes(client: Client, task: TaskId) {
    say_uncommitted(client.uncommitted(task, LOOK_LIMIT).await);
}

impl Run<'_> {
    async fn once(&mut self, signals: &mut Signals) -> Result<Code, Exit> {
        let (client, own) = tokio::select! {
            company = self.company() => company?,
            // Getting a broker or starting a company can take long; what was begun ends with this process.
            () = signals.next() => {
                if self.accepted {
                    show::note("kept", "the task waits for the next company");
                }
                return Ok(Code::Interrupted);
            }
        };
        let before = self.heard;
        let (place, lasting) = (self.place, self.lasting);
        let ended = tokio::select! {
            ended = self.follow(&client) => {
                // It was there until now, unless it never answered.
                if self.heard != before {
                    self.heard = Instant::now();
                }
                ended
            }
            () = signals.next() => {
                tokio::select! {
                    () = self.give_up(&client) => {}
                    () = signals.next() => self.leave(),
                }
                Ok(Code::Interrupted)
            }
            () = stopped(place), if lasting => {
                client.closing();
                return self.left().await;
            }
        };
        if let Some(company) = own {
            company.stop(signals.next()).await;
        }
        ended
    }

    /// True if somebody may be there again soon. A `nexus up` that was stopped in order has taken its address away.
    fn may_come_back(&self) -> bool {
        (!self.lasting || place::has_company(self.place)) && self.heard.elapsed() < PATIENCE
    }

    /// The company that runs, or one of our own.
    async fn company(&mut self) -> Result<(Client, Option<Company>), Exit> {
        if let Some(client) = place::find(self.place).await? {
            self.lasting = place::is_lasting(self.place);
            return Ok((client, None));
        }
        if self.lasting {
            // It crashed: whoever runs it starts it again, and needs its place free.
            return Err(Exit::new(Code::Unreachable, "the company is away; the task is kept".to_owned()));
        }
        let company = Company::start(self.place, Extras::default()).await?;
        if self.quiet {
            return Ok((company.client.clone(), Some(company)));
        }
        let staff = company.charter.departments.iter().map(|(name, policy)| format!("{name} {}", policy.workers));
        show::note("company", &format!("started for this run: {}", staff.collect::<Vec<_>>().join(", ")));
        Ok((company.client.clone(), Some(company)))
    }

    /// The company was stopped, by somebody who knows why. What its task has come to stands in the data directory.
    async fn left(&self) -> Result<Code, Exit> {
        let Some(id) = self.submission.keyed_id().filter(|_| self.accepted) else {
            return Err(Exit::new(Code::Unreachable, "the company has stopped before it took the task"));
        };
        let id = id.to_string();
        let known = look(self.place, async |client, _| Ok(client.status(&id).await?)).await?;
        if known.task.status.is_terminal() { self.finish(&known) } else { Err(waits(&Screen::stderr().named(&id))) }
    }

    async fn follow(&mut self, client: &Client) -> Result<Code, Exit> {
        let accepted = client.submit(self.submission).await?;
        (self.accepted, self.heard) = (true, Instant::now());
        if self.whose == Whose::Unknown {
            self.whose = if accepted.duplicate { Whose::Others } else { Whose::Ours };
        }
        let id = accepted.task_id.to_string();
        match self.whose {
            _ if self.quiet => {}
            Whose::Others => known(&accepted),
            Whose::Ours | Whose::Unknown => {
                show::note("task", &format!("{id}  {}", accepted.department));
                say_note(&accepted);
            }
        }
        let looking = match self.whose == Whose::Ours && !self.quiet && !std::mem::replace(&mut self.looked, true) {
            true => Some(AbortOnDropHandle::new(tokio::spawn(look_at_changes(client.clone(), accepted.task_id)))),
            false => None,
        };
        let screen = Screen::stderr();
        let live = match self.quiet {
            true => None,
            false => Some(AbortOnDropHandle::new(tokio::spawn(live::keep(client.clone(), id.clone(), Live::begin())))),
        };
        let mut lines = client.follow_log(&id, self.next).await?;
        while let Some(line) = lines.recv().await {
            let line = line?;
            self.next = line.seq + 1;
            if !self.quiet {
                show::log_line(&line, screen);
            }
        }
        let ended = client.wait(&id, None).await?;
        if let Some(live) = live {
            live.abort();
            let _ = live.await;
        }
        if let Some(looking) = looking {
            let _ = tokio::time::timeout(LAST_LOOK, looking).await;
        }
        self.finish(&ended)
    }

    /// Interrupted: what was delegated is cancelled. Its id is found by its key, as every run has one.
    async fn give_up(&self, client: &Client) {
        let Some(key) = &self.submission.idempotency_key else { return };
        let task_id = TaskId::from_idempotency_key(key).to_string();
        if self.whose != Whose::Ours {
            let why = "goes on, if it runs: it may be another's, by its key";
            show::note("kept", &format!("{task_id} {why}; `nexus cancel {task_id}` ends it"));
            return;
        }
        show::note("", "cancelling … (Ctrl-C again: don't wait for its end)");
        let reason = Some("`nexus run` was interrupted".to_owned());
        match client.cancel(&CancelRequest { task_id: task_id.clone(), reason }).await {
            Ok(done) => {
                let took = show::seconds(done.took_ms);
                show::note("cancelled", &format!("no process of it is left; it took {took:.1} s"));
            }
            Err(refusal) => show::note("not cancelled", &format!("{task_id}: {refusal}")),
        }
    }

    /// Interrupted again: what was begun goes on without us.
    fn leave(&self) {
        if let Some(id) = self.submission.keyed_id() {
            let id = Screen::stderr().id(id);
            show::note("left", &format!("its processes are being ended: nexus status {id}"));
        }
    }

    fn finish(&self, ended: &TaskStatus) -> Result<Code, Exit> {
        let task = &ended.task;
        let screen = Screen::stderr();
        if !self.quiet || task.status != Status::Completed {
            show::note(task.status.as_str(), &show::outcome(task, screen));
        }
        if !self.quiet {
            show::note("next", &show::next_commands(task, screen));
        }
        if self.output.is_json() {
            show::json(ended, self.output);
        } else if let Some(result) = &task.result
            // Where both come to the same place, the log has shown it already.
            && (self.quiet || !Screen::stdout().is_terminal() && !show::is_one_file())
        {
            show::raw(&result.output);
        }
        Ok(match task.status {
            Status::Completed => Code::Done,
            _ => Code::TaskFailed,
        })
    }
}
