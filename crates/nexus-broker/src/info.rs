//! The first line a NATS server says to a client, which shows whether it is the one that was started, and ready.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The part of `INFO` that matters here.
#[derive(Debug, Deserialize)]
struct Info {
    server_name: String,
    #[serde(default)]
    jetstream: bool,
    #[serde(default)]
    auth_required: bool,
}

/// The line is well under this; a stranger may say anything.
const LONGEST: u64 = 64 * 1024;
/// A server that takes clients says it at once; the rest is for a busy machine.
const WITHIN: Duration = Duration::from_secs(10);

/// Connects and checks that the server called `name` answers, with JetStream, and asks for a password.
pub(crate) async fn check(port: u16, name: &str) -> Result<(), String> {
    let line = timeout(WITHIN, first_line(port)).await.map_err(|_| "it says nothing".to_owned())?;
    let line = line.map_err(|error| error.to_string())?;
    let json = line.strip_prefix("INFO ").ok_or("it is no NATS server")?;
    let info: Info = serde_json::from_str(json).map_err(|error| format!("its INFO can't be read: {error}"))?;
    if info.server_name != name {
        return Err(format!("it is called {}", info.server_name));
    }
    match (info.jetstream, info.auth_required) {
        (true, true) => Ok(()),
        (false, _) => Err("its JetStream is off".to_owned()),
        (_, false) => Err("it asks for no password".to_owned()),
    }
}

async fn first_line(port: u16) -> io::Result<String> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line).await?;
    Ok(line)
}
