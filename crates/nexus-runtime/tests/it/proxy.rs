//! A way to the server that can be cut: nothing passes, and nobody is told.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections; it ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    is_cut: watch::Sender<bool>,
    forwarding: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (is_cut, cut) = watch::channel(false);
        let forwarding = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let cut = cut.clone();
                connections.spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
                    tokio::select! {
                        () = forward(from_client, to_server, cut.clone()) => {}
                        () = forward(from_server, to_client, cut) => {}
                    }
                });
            }
        });
        Self { addr, is_cut, forwarding }
    }

    /// Nothing passes until it is mended; then everything does that was held back.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

async fn forward(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 || cut.wait_for(|cut| !cut).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
