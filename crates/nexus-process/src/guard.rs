//! The guard: a small process beside a company that ends all its agents when the company can't do so itself, because it
//! was killed, or because it was stopped for longer than others wait before they give its work to somebody else.
//!
//! The company holds the guard by a pipe (its lifeline) and tells it how long it may go without a word. The guard knows
//! agents by the mark in their environment ([`crate::end_marked`]), so it needs to be told of none of them, and it finds
//! what has left its process group too. Linux only: elsewhere no guard is started, and what a killed company leaves
//! behind lives until its next start.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::since_boot;

#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
pub use watch::watch;

/// The program that is the guard: it calls [`watch`].
#[derive(Clone, Debug)]
pub struct GuardSpec {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

/// A company's end of its guard. When it is dropped, or its process dies, the guard ends every agent.
#[derive(Debug)]
pub struct Guard {
    requests: mpsc::Sender<Request>,
    keeper: JoinHandle<()>,
}

#[derive(Debug)]
struct Request {
    within: Option<Duration>,
    held: oneshot::Sender<io::Result<()>>,
}

/// Words to the guard that wait: one company says one thing at a time.
const REQUESTS: usize = 4;
/// Longer than a guard takes to end what it can, which it does before it answers: one that takes longer is stuck itself.
const ANSWER: Duration = Duration::from_secs(15);
/// Wait before a guard is started again that ended by itself.
const AGAIN: Duration = Duration::from_millis(200);

impl Guard {
    /// Starts the guard; returns when it watches.
    ///
    /// # Errors
    /// When its program can't be started, or doesn't answer.
    pub async fn start(spec: GuardSpec) -> io::Result<Self> {
        let mut live = Live::start(&spec)?;
        live.held(None).await?;
        let (requests, receiver) = mpsc::channel(REQUESTS);
        Ok(Self { requests, keeper: tokio::spawn(keep(spec, live, receiver)) })
    }

    /// All is well: the guard waits, and for at most `within` from now, if that is given. An answer means that it ends
    /// nothing at this moment.
    ///
    /// # Errors
    /// When there is no guard and none can be started.
    pub async fn hold(&self, within: Option<Duration>) -> io::Result<()> {
        let (held, answer) = oneshot::channel();
        let gone = || io::Error::other("the guard is not kept any more");
        self.requests.send(Request { within, held }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Lets the guard go, and returns when it has ended whatever was left and itself.
    pub async fn close(self) {
        drop(self.requests);
        let _ = self.keeper.await;
    }
}

/// Passes words on, and replaces a guard that has ended.
async fn keep(spec: GuardSpec, first: Live, mut requests: mpsc::Receiver<Request>) {
    let mut live = Some(first);
    // By `since_boot`: a guard that takes another's place goes by the last word that was said to that one.
    let mut until = None;
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(Request { within, held }) => {
                    until = within.map(|within| since_boot() + within);
                    let result = match &mut live {
                        Some(live) => live.held(within).await,
                        None => Err(io::Error::other("there is no guard at the moment")),
                    };
                    // Whoever asked may have stopped waiting; the guard has been told all the same.
                    let _ = held.send(result);
                }
                None => break,
            },
            how = ended(&mut live) => {
                live = None;
                tracing::warn!("the guard has ended ({how}) and is started again");
                tokio::time::sleep(AGAIN).await;
                match Live::start(&spec) {
                    Ok(mut next) => {
                        let left = until.map(|until| until.saturating_sub(since_boot()));
                        if next.held(left).await.is_ok() {
                            live = Some(next);
                        }
                    }
                    Err(error) => tracing::error!("the guard could not be started: {error}"),
                }
            }
        }
    }
    if let Some(Live { mut child, stdin, .. }) = live {
        drop(stdin);
        if timeout(ANSWER, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

async fn ended(live: &mut Option<Live>) -> String {
    match live {
        Some(live) => live.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string()),
        None => "it could not be started".to_owned(),
    }
}

/// A guard that runs.
struct Live {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Live {
    fn start(spec: &GuardSpec) -> io::Result<Self> {
        let mut command = Command::new(&spec.program);
        // No environment: the guard must not carry the mark that it looks for.
        command.args(&spec.args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // What a terminal sends to the company's group is not for the guard.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| io::Error::other("it was started without its pipes"))?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// One that doesn't answer is ended, and another one takes its place.
    async fn held(&mut self, within: Option<Duration>) -> io::Result<()> {
        let held = timeout(ANSWER, self.hold(within)).await;
        let held =
            held.unwrap_or_else(|_| Err(io::Error::other(format!("the guard did not answer within {ANSWER:?}"))));
        if held.is_err() {
            let _ = self.child.start_kill();
        }
        held
    }

    async fn hold(&mut self, within: Option<Duration>) -> io::Result<()> {
        let millis = within.map_or_else(|| "-".to_owned(), |within| within.as_millis().to_string());
        self.stdin.write_all(format!("{millis}\n").as_bytes()).await?;
        let mut answer = String::new();
        match self.stdout.read_line(&mut answer).await? {
            0 => Err(io::Error::other("the guard has ended")),
            _ => Ok(()),
        }
    }
}
