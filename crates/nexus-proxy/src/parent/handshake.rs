//! Asking a proxy for a tunnel: CONNECT, and its answer read to the end of its head and not a byte further.

use std::io;

use nexus_core::network::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Parent;
use crate::upstream::Stream;

/// A head of an answer, at most; a proxy that asks for a login shows a page behind it.
const HEAD: usize = 16 * 1024;

/// Makes a connection to a proxy one to the target.
pub(crate) async fn tunnel(stream: &mut Box<dyn Stream>, parent: &Parent, target: &Target) -> io::Result<()> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(login) = &parent.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(login.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD {
            return Err(io::Error::other("its answer is too long"));
        }
        // One by one: what follows is the target's.
        head.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    let status = line.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(io::Error::other("it wants another login (407): set user and password in the proxy's URL")),
        Some(code) => Err(io::Error::other(format!("it answers {code} to CONNECT"))),
        None => Err(io::Error::other("it does not answer as an HTTP proxy does")),
    }
}
