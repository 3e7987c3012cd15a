//! A way to the server that can lose its answers: it swallows one, and the connection with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Forwards connections; it ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    /// Answers of the ledger that are still to be swallowed.
    lose: Arc<AtomicUsize>,
    forwarding: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let lose = Arc::new(AtomicUsize::new(0));
        let losing = Arc::clone(&lose);
        let forwarding = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                connections.spawn(forward(client, server, Arc::clone(&losing)));
            }
        });
        Self { addr, lose, forwarding }
    }

    /// The ledger's next answer to a publish is stored but never heard of.
    pub(crate) fn lose_answers(&self, n: usize) {
        self.lose.store(n, Ordering::SeqCst);
    }

    pub(crate) fn has_lost_all(&self) -> bool {
        self.lose.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, lose: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or(0);
            let answer = b"\"stream\":\"NEXUS_TASKS\"";
            let is_answer = buffer[..read].windows(answer.len()).any(|window| window == answer);
            let lost =
                is_answer && lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if read == 0 || lost || to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}
