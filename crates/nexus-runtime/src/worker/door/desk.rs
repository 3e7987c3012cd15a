//! Who sits at a door: asks for the token, lets in what has it, and holds what that may say.

use std::io;
use std::os::unix::net::UnixListener as Listener;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use nexus_process::bridge::SOCKET;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::reception::{Caller, Receptionist, Stream};
use crate::seldom::Seldom;

/// Connections at a time: an agent has one, its own agents one each. What comes beyond it is closed at once.
pub(super) const CONNECTIONS: usize = 8;
/// Longest message, in bytes: far more than a task may be, in JSON at its worst. A connection holds one at a time.
const MESSAGE: usize = 2 << 20;
/// The longest time that the token may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait while the machine is short of open files.
const AGAIN: Duration = Duration::from_millis(100);

/// One door's.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    token: Arc<str>,
    caller: Caller,
    receptionist: Arc<dyn Receptionist>,
    places: Arc<Semaphore>,
    strangers: Arc<Seldom>,
}

impl Desk {
    pub(super) fn new(caller: Caller, receptionist: Arc<dyn Receptionist>) -> Self {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        Self {
            token: format!("{}{}", random(), random()).into(),
            caller,
            receptionist,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            strangers: Arc::default(),
        }
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Lets in who comes by a socket.
    pub(super) fn attend(self, listener: UnixListener) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut inside = JoinSet::new();
            loop {
                tokio::select! {
                    come = listener.accept() => match come {
                        Ok((stream, _)) => {
                            let desk = self.clone();
                            if inside.len() < CONNECTIONS {
                                inside.spawn(async move { desk.meet(stream).await });
                            }
                        }
                        Err(error) => {
                            tracing::debug!(task = %self.caller.task_id, "at its door: {error}");
                            sleep(AGAIN).await;
                        }
                    },
                    Some(_) = inside.join_next() => {}
                }
            }
        }))
    }

    /// Serves one connection, if it has the token and there is room.
    pub(super) async fn meet(&self, mut stream: impl Stream + 'static) {
        let Ok(_place) = self.places.try_acquire() else { return };
        if !self.is_known(&mut stream).await {
            if self.strangers.is_time() {
                tracing::warn!(task = %self.caller.task_id, "somebody came to its door without its token");
            }
            return;
        }
        tracing::debug!(task = %self.caller.task_id, "its agent takes up the company's tools");
        self.receptionist.receive(self.caller.clone(), Box::new(Bounded { stream, line: 0 })).await;
    }

    async fn is_known(&self, stream: &mut (impl AsyncRead + Unpin)) -> bool {
        let mut said = vec![0; self.token.len() + 1];
        let read = timeout(PATIENCE, stream.read_exact(&mut said)).await;
        let expected = self.token.bytes().chain([b'\n']);
        // All of it is looked at, wherever it differs.
        let differs = said.iter().zip(expected).fold(0, |differs, (said, expected)| differs | (said ^ expected));
        matches!(read, Ok(Ok(_))) && differs == 0
    }
}

/// Listens in a directory whose path may be longer than that of a socket.
pub(super) fn listen(place: &Path) -> io::Result<UnixListener> {
    #[cfg(target_os = "linux")]
    let listener = {
        use std::os::fd::AsRawFd;
        let directory = std::fs::File::open(place)?;
        Listener::bind(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))?
    };
    #[cfg(not(target_os = "linux"))]
    let listener = Listener::bind(place.join(SOCKET))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// A stream of lines none of which is longer than a message may be.
struct Bounded<S> {
    stream: S,
    /// Bytes of the line that is being read.
    line: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let mut is_too_long = false;
        for part in buffer.filled()[before..].split_inclusive(|byte| *byte == b'\n') {
            self.line += part.len();
            is_too_long |= self.line > MESSAGE;
            if part.ends_with(b"\n") {
                self.line = 0;
            }
        }
        if is_too_long {
            // With an error comes nothing.
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::other(format!("a message of more than {MESSAGE} bytes"))));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
