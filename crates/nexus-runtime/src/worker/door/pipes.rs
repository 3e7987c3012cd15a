//! Pipes beside a door's socket, for an agent that can't make sockets: so many pairs, each for one connection at a time.
//!
//! Landlock doesn't look at connections to sockets that lie in the file system, so that without namespaces seccomp keeps
//! confined agents from making any: Docker's would be among them. A pipe is a file, which Landlock does look at.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nexus_process::make_pipe;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::desk::{CONNECTIONS, Desk};

/// Wait while the machine is short of open files.
const AGAIN: Duration = Duration::from_millis(100);

/// Makes them, and lets in who comes by them.
pub(super) fn lay(place: &Path, desk: &Desk) -> io::Result<Vec<AbortOnDropHandle<()>>> {
    let mut keepers = Vec::new();
    for pair in 0..CONNECTIONS {
        let [up, down] = pair_of(place, pair);
        make_pipe(&up)?;
        make_pipe(&down)?;
        let desk = desk.clone();
        keepers.push(AbortOnDropHandle::new(tokio::spawn(async move {
            while place_is_there(&up) {
                if let Err(error) = attend(&desk, &up, &down).await {
                    tracing::debug!("at a door's pipe: {error}");
                    sleep(AGAIN).await;
                }
            }
        })));
        // Last: who finds it finds the others too.
        std::fs::File::create(place.join(format!("{pair}.lock")))?;
    }
    Ok(keepers)
}

/// Those that the agent writes to.
pub(crate) fn writable(place: &Path) -> Vec<PathBuf> {
    (0..CONNECTIONS).map(|pair| pair_of(place, pair)[0].clone()).filter(|up| up.exists()).collect()
}

fn pair_of(place: &Path, pair: usize) -> [PathBuf; 2] {
    ["up", "down"].map(|way| place.join(format!("{pair}.{way}")))
}

fn place_is_there(up: &Path) -> bool {
    up.parent().is_some_and(Path::exists)
}

/// One connection, from its coming to its end.
async fn attend(desk: &Desk, up: &Path, down: &Path) -> io::Result<()> {
    let said: Receiver = OpenOptions::new().open_receiver(up)?;
    // Somebody writes, or was there and has left.
    said.readable().await?;
    // Whoever writes has opened this one before.
    let heard: Sender = OpenOptions::new().open_sender(down)?;
    desk.meet(tokio::io::join(said, heard)).await;
    Ok(())
}
