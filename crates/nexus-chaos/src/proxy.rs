//! The way of one node to its broker, which can be cut, hung and healed.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::error::HarnessError;

/// The state of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections are taken and held, and nothing passes; what was sent arrives when it is healed.
    Hung,
    /// Connections are ended, and so is every new one.
    Cut,
}

/// Forwards connections to a port of this machine; ends with this.
#[derive(Debug)]
pub(crate) struct Proxy {
    addr: SocketAddr,
    way: watch::Sender<Way>,
    _forwarding: AbortOnDropHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(port: u16) -> Result<Self, HarnessError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(HarnessError::io("a proxy"))?;
        let addr = listener.local_addr().map_err(HarnessError::io("a proxy"))?;
        let (way, seen) = watch::channel(Way::Open);
        let forwarding = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, port, seen.clone()));
                // Those that have ended are forgotten.
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { addr, way, _forwarding: AbortOnDropHandle::new(forwarding) })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.addr)
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn forward(client: TcpStream, port: u16, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(from_client, to_server, way.clone()) => {}
        () = pass(from_server, to_client, way.clone()) => {}
        _ = way.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 || way.wait_for(|way| *way != Way::Hung).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
