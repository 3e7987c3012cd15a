//! One container from its start to its end: what it prints is passed on, signals are passed in, and it is removed.

use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::{Events, Limit, OutputPolicy, Remote, Report, Stdin, StdinWriter, Tree, Vitals, Watch, feed};
use tokio::io::{AsyncWriteExt, DuplexStream, copy, duplex};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::spec::ContainerSpec;
use crate::vitals::{Meter, PERIOD};
use crate::{ContainerError, refused, remove};

/// A container that runs.
#[derive(Debug)]
pub struct Started {
    pub tree: Tree,
    pub events: Events,
    pub vitals: Watch,
    pub id: String,
    /// Of a container whose input is [`Stdin::Piped`].
    pub stdin: Option<StdinWriter>,
}

/// The longest wait for the last words of a container once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// As much of its input as a pipe holds.
const INPUT: usize = 64 * 1024;
/// Between two tries, while the engine doesn't answer.
const AGAIN: Duration = Duration::from_millis(500);

pub(crate) async fn start(
    docker: &Docker,
    spec: &ContainerSpec,
    output: &OutputPolicy,
) -> Result<Started, ContainerError> {
    let options = CreateContainerOptionsBuilder::new().name(&spec.name()).build();
    let id = match docker.create_container(Some(options), spec.body()).await {
        Ok(created) => created.id,
        Err(Error::DockerResponseServerError { status_code: 404, message }) if message.contains("image") => {
            return Err(ContainerError::NoImage(spec.image.clone()));
        }
        Err(error) => return Err(refused("make a container")(error)),
    };
    match begin(docker, spec, &id).await {
        Ok((attached, pid)) => Ok(keep(docker, spec, id, attached, pid, output)),
        Err(error) => {
            if let Err(error) = remove(docker, &id).await {
                tracing::warn!(container = id, "a container that did not start could not be removed: {error}");
            }
            Err(error)
        }
    }
}

/// Listens before it starts: nothing of what it prints is missed.
async fn begin(
    docker: &Docker,
    spec: &ContainerSpec,
    id: &str,
) -> Result<(AttachContainerResults, u32), ContainerError> {
    let options = AttachContainerOptionsBuilder::new();
    let options = options.stream(true).stdout(true).stderr(true).stdin(!matches!(spec.stdin, Stdin::Closed)).build();
    let attached = docker.attach_container(id, Some(options)).await.map_err(refused("let a container be heard"))?;
    docker.start_container(id, None).await.map_err(refused("start a container"))?;
    let state = docker.inspect_container(id, None).await.map_err(refused("say how a container is"))?.state;
    let pid = state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
    Ok((attached, pid))
}

fn keep(
    docker: &Docker,
    spec: &ContainerSpec,
    id: String,
    attached: AttachContainerResults,
    pid: u32,
    output: &OutputPolicy,
) -> Started {
    let (tree, events, remote) = Tree::remote(pid, output);
    let AttachContainerResults { output, mut input } = attached;
    let stdin = match &spec.stdin {
        Stdin::Closed => None,
        Stdin::Bytes(bytes) => {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                feed(&mut input, bytes).await;
                let _ = input.shutdown().await;
            });
            None
        }
        Stdin::Piped => {
            let (writer, mut written) = duplex(INPUT);
            tokio::spawn(async move {
                // An error means that it doesn't read any more; whoever writes sees that by the other end.
                let _ = copy(&mut written, &mut input).await;
                // Its input is a half of the connection that its output comes by: dropping it alone ends nothing.
                let _ = input.shutdown().await;
            });
            Some(StdinWriter::new(writer))
        }
    };
    let (sender, vitals) = watch::channel(Vitals::default());
    let Remote { signals, stdout, stderr, phase } = remote;
    let heard = tokio::spawn(pass_on(output, stdout, stderr));
    let keeper = Keeper { docker: docker.clone(), id: id.clone(), vitals: sender, meter: Meter::default() };
    tokio::spawn(async move {
        let mut keeper = keeper;
        let (exit, limit) = keeper.until_the_end(signals, &phase).await;
        phase.left(exit);
        // It ends with the container; what an agent waits for that can't print is nobody's log.
        let _ = timeout(LAST_WORDS, heard).await;
        keeper.remove().await;
        let Meter { peak_memory, cpu_time, .. } = keeper.meter;
        phase.gone(Report { exit, peak_memory, cpu_time, limit });
    });
    Started { tree, events, vitals: Watch::of(vitals), id, stdin }
}

type Heard = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, Error>> + Send>>;

/// Waits where nobody reads, and so does the container then.
async fn pass_on(mut heard: Heard, mut stdout: DuplexStream, mut stderr: DuplexStream) {
    while let Some(Ok(chunk)) = heard.next().await {
        let written = match chunk {
            LogOutput::StdErr { message } => stderr.write_all(&message).await,
            LogOutput::StdOut { message } | LogOutput::Console { message } => stdout.write_all(&message).await,
            LogOutput::StdIn { .. } => Ok(()),
        };
        // Nobody reads any more: it goes on being heard, so that it doesn't wait for that.
        drop(written);
    }
}

struct Keeper {
    docker: Docker,
    id: String,
    vitals: watch::Sender<Vitals>,
    meter: Meter,
}

impl Keeper {
    async fn until_the_end(
        &mut self,
        mut signals: tokio::sync::mpsc::Receiver<Signal>,
        phase: &nexus_process::Told,
    ) -> (ExitStatus, Option<Limit>) {
        let (docker, id) = (self.docker.clone(), self.id.clone());
        let ended = ended(&docker, &id);
        tokio::pin!(ended);
        let mut looks = interval(PERIOD);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut abandoned = false;
        loop {
            tokio::select! {
                end = &mut ended => {
                    if end.out_of_memory {
                        phase.limited(Limit::Memory);
                    }
                    return (end.exit, end.out_of_memory.then_some(Limit::Memory));
                }
                signal = signals.recv(), if !abandoned => match signal {
                    Some(signal) => self.signal(signal).await,
                    None => abandoned = true,
                },
                _ = looks.tick() => {
                    if abandoned {
                        self.signal(Signal::Kill).await;
                    }
                    if let Some(vitals) = self.meter.look(&docker, &id).await {
                        self.vitals.send_replace(vitals);
                    }
                }
            }
        }
    }

    /// An interrupt reaches the agent itself; a kill all that is in the container.
    async fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Kill => "SIGKILL",
        };
        let options = KillContainerOptionsBuilder::new().signal(name).build();
        match self.docker.kill_container(&self.id, Some(options)).await {
            // It isn't there, or doesn't run any more.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
            Err(error) => tracing::warn!(container = self.id, "{name} could not be sent to a container: {error}"),
        }
    }

    /// Until it is: only then is the attempt over.
    async fn remove(&self) {
        while let Err(error) = remove(&self.docker, &self.id).await {
            tracing::warn!(container = self.id, "a container could not be removed, and is tried again: {error}");
            sleep(AGAIN).await;
        }
    }
}

struct End {
    exit: ExitStatus,
    out_of_memory: bool,
}

/// Waits for its end, also while the engine is away.
async fn ended(docker: &Docker, id: &str) -> End {
    const LOST: End = End { exit: ExitStatus::Signal(9), out_of_memory: false };
    loop {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        // Whatever this says, the next tells how it is.
        let _ = docker.wait_container(id, Some(options)).next().await;
        match docker.inspect_container(id, None).await {
            Ok(found) => {
                let state = found.state.unwrap_or_default();
                if state.running != Some(true) {
                    let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
                    return End { exit: exit(code), out_of_memory: state.oom_killed == Some(true) };
                }
            }
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return LOST,
            Err(_) => {}
        }
        sleep(AGAIN).await;
    }
}

/// An engine says of a signal what a shell does.
const fn exit(code: i32) -> ExitStatus {
    match code {
        129..=159 => ExitStatus::Signal(code - 128),
        code => ExitStatus::Code(code),
    }
}
